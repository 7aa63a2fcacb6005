"""Stopping and starting: within 10 s, also in mid-upload and beside a hanging disk; what was sent stays sent."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections import Counter

import pytest

from tests.crash.run_and_die import QuickClock
from tests.fakes.galaxy import Fault
from tests.world import World, until
from watcher.clock import SystemClock
from watcher.errors import Superseded
from watcher.model import Outcome, Stage, Status
from watcher.rows import Unit
from watcher.service import engine
from watcher.stages.rooms import Rooms
from watcher.stages.verify import verify

CHUNK = 16 * 1024

HANGING = """
import asyncio, contextlib, pathlib, sys
from watcher.cli.main import main
from watcher.service.daemon import Daemon

plain = Daemon.running

@contextlib.asynccontextmanager
async def running(self):
    async with plain(self) as rooms:
        hung = asyncio.ensure_future(rooms.threads.look(pathlib.Path(sys.argv[2]), lambda: open(sys.argv[1])))
        yield rooms
        hung.cancel()

Daemon.running = running
main(["serve"])
"""


async def test_sigterm_in_mid_upload_keeps_the_offset(world: World) -> None:
    """The daemon ends within 10 s, and the next one goes on where the session stands: each byte is sent once."""
    world.write_config(limits={"chunk_bytes": CHUNK, "transfers": 1})
    run = world.add_run(samples=("S1",), reads=20_000, bases=60)
    size = sum(path.stat().st_size for path in run.glob("*.fastq.gz"))
    assert size > 24 * CHUNK
    hold = world.fake.faults.add(Fault("hold", method="PATCH", path="/api/upload/*", skip=10, times=1))
    running = world.start("serve")
    await asyncio.to_thread(hold.wait, 20.0)
    began = SystemClock().monotonic()
    assert running.end(signal.SIGTERM, 12.0) == 0
    assert SystemClock().monotonic() - began < 10
    world.fake.faults.clear()
    async with world.daemon(clock=QuickClock(time.time(), 10.0)):  # the part that was cut off is waited for
        await world.until_status("done")
    assert world.uploads() == world.fastqs(run)
    heads = world.fake.requests.all("HEAD", "/api/upload")
    assert heads, "the session was looked at before it was gone on with"
    took = Counter(seen.offset for seen in world.fake.requests.all("PATCH") if seen.status == 204)
    # Offset 0 of the other file aside, nothing that was taken in was sent again.
    assert sum(seen.received for seen in world.fake.requests.all("PATCH") if seen.status == 204) == size
    assert max(count for offset, count in took.items() if offset) <= 2


async def test_a_hanging_disk_does_not_stop_the_exit(world: World) -> None:
    """A thread that hangs in the kernel is left behind."""
    run = world.add_run(samples=("S1",))
    pipe = world.folder / "hang"
    os.mkfifo(pipe)
    running = world.start_script(HANGING, str(pipe), str(run))
    running.wait_for("watcher.ready")
    await world.until_status("done")
    began = SystemClock().monotonic()
    assert running.end(signal.SIGTERM, 12.0) == 0
    assert SystemClock().monotonic() - began < 10


async def test_an_idle_daemon_sleeps(world: World) -> None:
    """With nothing to do the loop over rows passes only when a timer or an event says so."""
    world.write_config(rescan="10m", limits={"probe": "10m", "uncertain_for": "2s"})
    world.add_run()
    passes = 0
    async with world.daemon() as daemon:
        await world.until_status("done")
        plain = daemon.rooms.store.due

        async def counted(now, **more):  # type: ignore[no-untyped-def]
            nonlocal passes
            passes += 1
            return await plain(now, **more)

        daemon.rooms.store.due = counted  # type: ignore[method-assign]
        await SystemClock().sleep(2.0)
    assert passes <= 4


async def test_first_look_of_a_daemon_ignores_what_was_there(world: World) -> None:
    """`serve` leaves complete runs of before alone and says so; `once`, and retry by hand, take them."""
    world.write_config(watch={"existing": "ignore"})
    run = world.add_run()
    async with world.daemon():
        unit = await world.until_status("ignored")
        assert "before" in unit["reason"]
        new = world.add_run("260301_M02439_0044_000000000-KT42N", samples=("T1",))
        await until(lambda: _all_done(world, 1))
    assert world.uploads() == world.fastqs(new)
    assert world.command("retry", unit["id"]).code == 0
    await world.once()
    assert world.uploads() == world.fastqs(new) | world.fastqs(run)


async def _all_done(world: World, count: int) -> bool:
    return [unit["status"] for unit in (await world.status())["units"]].count("done") == count


async def test_a_superseded_stage_writes_nothing_more(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """When a person moves a row while its stage runs, the stage stops and its outcome is not stored."""
    world.add_run(samples=("S1",))
    began, go_on, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def waits(unit: Unit, rooms: Rooms) -> Outcome:
        began.set()
        await go_on.wait()
        try:
            return await verify(unit, rooms)
        finally:
            ended.set()

    monkeypatch.setattr(engine, "STAGES", {**engine.STAGES, Stage.VERIFY: waits})
    async with world.daemon() as daemon:
        await asyncio.wait_for(began.wait(), 30)
        unit = (await daemon.rooms.store.units())[0]
        moved = await daemon.rooms.store.move(unit, status=Status.CANCELLED, code="cancelled", reason="by hand")
        go_on.set()
        await asyncio.wait_for(ended.wait(), 30)
    async with world.store() as store:
        after = await store.unit(unit.id)
    assert after
    assert (after.stage, after.status, after.version) == (moved.stage, Status.CANCELLED, moved.version)
    assert not world.uploads()


async def test_a_stage_that_meets_another_row_at_work_tries_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stage may touch other rows; when one of them is moved just then, its own row is not left lying."""
    world.add_run(samples=("S1",))
    tries: list[str] = []

    async def meets(unit: Unit, rooms: Rooms) -> Outcome:
        tries.append(unit.id)
        if len(tries) == 1:
            raise Superseded("Another row was moved.")
        return await verify(unit, rooms)

    monkeypatch.setattr(engine, "STAGES", {**engine.STAGES, Stage.VERIFY: meets})
    async with world.daemon():
        await world.until_status(Status.DONE)
    assert len(tries) == 2
