"""Slots and rounds under cancellation and forgotten askers: nothing is lost with a stage that stops."""

from __future__ import annotations

import asyncio

import pytest

from watcher.clock import ManualClock
from watcher.stages.slots import Slots


@pytest.mark.parametrize("order", ["waiter first", "holder first"])
async def test_a_batch_that_is_cancelled_gives_its_slot_back(order: str) -> None:
    """Holder and waiters of a batch end in the same turn of the loop, in any order; the slot is free afterwards."""
    slots = Slots(ManualClock(), 1)
    inside = asyncio.Event()

    async def transfer() -> None:
        with slots.line("a-1", "watch", "galaxy") as line:
            async with line.slot():
                inside.set()
                await asyncio.Event().wait()

    holder = asyncio.create_task(transfer())
    await inside.wait()
    waiters = [asyncio.create_task(transfer()) for _ in range(3)]
    await asyncio.sleep(0)
    for one in [*waiters, holder] if order == "waiter first" else [holder, *waiters]:
        one.cancel()
    ended = await asyncio.gather(holder, *waiters, return_exceptions=True)
    assert [type(error) for error in ended] == [asyncio.CancelledError] * 4
    async with asyncio.timeout(30):
        with slots.line("b-1", "watch", "galaxy") as line:
            async with line.slot():
                pass


async def test_a_waiter_that_just_got_the_slot_passes_it_on_when_cancelled() -> None:
    """Between being given a slot and running with it a batch may be stopped: the next one gets it."""
    slots = Slots(ManualClock(), 1)
    inside, let_go = asyncio.Event(), asyncio.Event()

    async def holding() -> None:
        with slots.line("a-1", "watch", "galaxy") as line:
            async with line.slot():
                inside.set()
                await let_go.wait()

    async def short(batch: str) -> str:
        with slots.line(batch, "watch", "galaxy") as line:
            async with line.slot():
                return batch

    holder = asyncio.create_task(holding())
    await inside.wait()
    first, second = asyncio.create_task(short("b-1")), asyncio.create_task(short("c-1"))
    await asyncio.sleep(0)
    let_go.set()
    holder.add_done_callback(lambda _: first.cancel())
    await holder
    async with asyncio.timeout(30):
        assert await second == "c-1"
