"""Which workflows run, and who stands in line for the next, on both databases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from watcher.clock import ManualClock
from watcher.model import InvocationId, Plan, Stage, Status
from watcher.rows import Batch
from watcher.store.store import Store

LINE = "waits_in_line"


async def batch(
    store: Store, number: int, stage: Stage, status: Status, *, account: str = "a", priority: int = 0, code: str = ""
) -> Batch:
    """Return a batch that stands so."""
    unit = await store.add_unit("w", "files", "A", "A", ".", "/data")
    plan = Plan(rule="r", watch="w", galaxy=account, run="A", unit=".", path="/data")
    made = await store.add_batch(unit, number, "r", plan, priority)
    return await store.move(made, stage=stage, status=status, code=code)


async def invoked(store: Store, of: Batch, key: str, status: Status, **values: Any) -> None:
    """Let a batch have an invocation that Galaxy calls like its batch and key."""
    known: Mapping[str, Any] = {"galaxy_id": InvocationId(f"{of.number}{key}"), **values}
    await store.put_invocation(of, key, 1, status=status, **known)


async def test_running_invocations_of_followed_batches_are_counted(store: Store) -> None:
    """Of the accounts that are asked for; held batches, ended invocations and those never started do not count."""
    two = await batch(store, 1, Stage.POLL, Status.WAITING)
    none = await batch(store, 2, Stage.POLL, Status.READY)
    held = await batch(store, 3, Stage.POLL, Status.HELD)
    starts = await batch(store, 4, Stage.INVOKE, Status.WORKING)
    asks = await batch(store, 5, Stage.INVOKE, Status.WORKING)
    waits = await batch(store, 6, Stage.INVOKE, Status.WAITING)
    other = await batch(store, 7, Stage.POLL, Status.WAITING, account="b")
    for one in (two, held, starts, waits, other):
        await invoked(store, one, "x", Status.WORKING, inner=["inner"])
    await invoked(store, two, "y", Status.WORKING)
    await invoked(store, two, "z", Status.DONE)
    await invoked(store, asks, "x", Status.WORKING, galaxy_id=InvocationId(""))
    assert await store.invocations_followed({"a"}) == {two.id: 2, none.id: 0, starts.id: 1}
    assert await store.invocations_followed({"a", "b"}) == {two.id: 2, none.id: 0, starts.id: 1, other.id: 1}
    assert await store.invocations_running("a") == ["1x", "inner", "1y"]
    assert await store.invocations_running("b") == ["7x", "inner"]


async def test_the_line_is_by_priority_and_age(store: Store, clock: ManualClock) -> None:
    """Before a batch come those of higher priority and, among equals, older ones, that wait so or are at work there."""
    low = await batch(store, 1, Stage.INVOKE, Status.WAITING, priority=-1, code=LINE)
    working = await batch(store, 2, Stage.INVOKE, Status.WORKING)
    clock.advance(1)
    mine = await batch(store, 3, Stage.INVOKE, Status.WAITING, code=LINE)
    same_age = await batch(store, 4, Stage.INVOKE, Status.WAITING, code=LINE)
    clock.advance(1)
    high = await batch(store, 5, Stage.INVOKE, Status.WAITING, priority=5, code=LINE)
    await batch(store, 6, Stage.INVOKE, Status.WAITING, priority=9, code="another")
    await batch(store, 7, Stage.POLL, Status.WAITING, priority=9, code=LINE)
    await batch(store, 8, Stage.INVOKE, Status.WAITING, account="b", priority=9, code=LINE)
    assert await store.in_line_before(mine, Stage.INVOKE, LINE, {"a"}, limit=9) == [high.id, working.id]
    assert await store.in_line_before(mine, Stage.INVOKE, LINE, {"a"}, limit=1) == [high.id]
    assert await store.in_line_before(low, Stage.INVOKE, LINE, {"a"}, limit=9) == [
        high.id, working.id, mine.id, same_age.id,
    ]  # fmt: skip
    places = [await store.in_line(Stage.INVOKE, LINE, {"a"}, place) for place in range(5)]
    assert places == [high.id, mine.id, same_age.id, low.id, None]


async def test_invocations_are_counted_from_a_moment_on(store: Store, clock: ManualClock) -> None:
    """Those started since then tell whether they run; older ones, other accounts and those never started do not."""
    one = await batch(store, 1, Stage.POLL, Status.WAITING)
    other = await batch(store, 2, Stage.POLL, Status.WAITING, account="b")
    await invoked(store, one, "old", Status.WORKING, receipt_at=clock.now())
    clock.advance(1)
    moment = clock.now()
    await invoked(store, one, "ended", Status.FAILED, receipt_at=moment)
    await invoked(store, one, "runs", Status.WORKING, receipt_at=moment)
    await invoked(store, one, "asked", Status.WORKING)
    await invoked(store, other, "x", Status.WORKING, receipt_at=moment)
    assert sorted(await store.invocations_since(moment, {"a"})) == [False, True]
    assert sorted(await store.invocations_since(moment, {"a", "b"})) == [False, True, True]
