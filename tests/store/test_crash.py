"""What was returned survives the death of the process at any instant."""

from __future__ import annotations

import subprocess
import sys

import pytest

from watcher.clock import ManualClock
from watcher.model import Stage, Status
from watcher.store.store import Store

WRITE_FOR_EVER = """
import asyncio, sys
from itertools import count
from watcher.clock import SystemClock
from watcher.model import Plan, Stage, Status
from watcher.store.store import Store

async def write():
    store = await Store.open(sys.argv[1], SystemClock(), lock=True, migrate=True)
    unit = await store.add_unit("miseq", "files", "240612_A", "240612_A", ".", "/data/240612_A")
    plan = Plan(rule="r", watch="miseq", galaxy="galaxy", run="240612_A", unit=".", path="/data/240612_A")
    batch = await store.add_batch(unit, 1, "r", plan)
    for number in count(1):
        batch = await store.begin(batch)
        await store.put_invocation(batch, "qc", number, workflow_id="w")
        batch = await store.finish_stage(batch, stage=Stage.POLL, status=Status.WAITING, more={"last": number})
        print(number, flush=True)

asyncio.run(write())
"""


def write_and_kill(state: str, writes: int) -> int:
    """Let another process write, kill it after that many moves, and return how many it knew to be stored."""
    process = subprocess.Popen([sys.executable, "-c", WRITE_FOR_EVER, state], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for _ in range(writes):
        process.stdout.readline()
    process.kill()
    return max([writes, *(int(line) for line in process.communicate()[0].splitlines() if line.strip())])


@pytest.mark.parametrize("writes", [1, 20])
async def test_killed_writer_loses_nothing(state: str, clock: ManualClock, writes: int) -> None:
    """After SIGKILL all that was returned is there, at most one move more, and never half of one."""
    returned = write_and_kill(state, writes)
    store = await Store.open(state, clock, lock=True, migrate=True)
    [batch] = await store.batches()
    last = batch.more["last"]
    assert last in (returned, returned + 1)
    invocations = [row.number for row in await store.invocations(batch.id)]
    if batch.status is Status.WORKING:  # died between begin and the outcome
        assert (batch.version, batch.attempt) == (2 * last + 1, last + 1)
        assert invocations in (list(range(1, last + 1)), list(range(1, last + 2)))
    else:
        assert (batch.stage, batch.status) == (Stage.POLL, Status.WAITING)
        assert (batch.version, batch.attempt) == (2 * last, last)
        assert invocations == list(range(1, last + 1))
    assert [row.id for row in await store.due(clock.now().replace(year=2100))] == [batch.unit_id, batch.id]
    await store.close()
