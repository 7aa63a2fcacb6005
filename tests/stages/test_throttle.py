"""How many workflows run on one server at a time, who comes next, and what those cost that wait."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
import sqlalchemy as sa

from tests.world import RUN, World, counting_workflow, until
from watcher.clock import ManualClock
from watcher.model import InvocationId, Plan, PlannedWorkflow, Stage, Status, Wait
from watcher.rows import Batch, Unit
from watcher.stages import throttle
from watcher.stages.rooms import Rooms
from watcher.stages.throttle import FRONT, LONG_PAUSE, SLOT_PAUSE, SLOTS, may_start, turn_to_start
from watcher.store import schema
from watcher.store.rows import values_of
from watcher.store.store import Store

URLS = {"a": "https://one.org", "b": "https://one.org/", "c": "https://two.org"}
LIMIT = 3


@pytest.fixture
def clock() -> ManualClock:
    """Return a clock that stands still."""
    return ManualClock()


@pytest.fixture
async def store(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Store]:
    """Return an open store."""
    opened = await Store.open(tmp_path / "state.sqlite", clock, lock=True, migrate=True)
    yield opened
    await opened.close()


def rooms_of(store: Store, clock: ManualClock, *, share: float = 1.0) -> Rooms:
    """Return as much of the rooms as the throttle asks for: two accounts on one server, one on another."""
    galaxies = {name: SimpleNamespace(url=url) for name, url in URLS.items()}
    limits = SimpleNamespace(invocations=LIMIT, unfinished_share=share)
    settings = SimpleNamespace(galaxies=galaxies, limits=limits)
    made = SimpleNamespace(settings=settings, store=store, clock=clock, starting={}, starting_turn=asyncio.Lock())
    return cast(Rooms, made)


class Line:
    """Makes batches of one unit that stand somewhere, each a second younger than the one before."""

    def __init__(self, store: Store, unit: Unit, clock: ManualClock) -> None:
        self._store, self._unit, self._clock, self._number = store, unit, clock, 0

    async def add(self, account: str = "a", *, priority: int = 0, stage: Stage = Stage.INVOKE) -> Batch:
        """Return a new batch that is ready at a stage."""
        self._number += 1
        self._clock.advance(1)
        workflow = PlannedWorkflow(key="1", ref="w", by="name")
        plan = Plan(rule="r", watch="w", galaxy=account, run="A", unit=".", path="/data", workflows=(workflow,))
        batch = await self._store.add_batch(self._unit, self._number, "r", plan, priority)
        return await self._store.move(batch, stage=stage, status=Status.READY)

    async def running(self, account: str = "a", *, count: int = 1) -> Batch:
        """Return a batch that follows so many invocations."""
        batch = await self.add(account, stage=Stage.POLL)
        for number in range(count):
            await self.invoked(batch, str(number))
        return batch

    async def invoked(self, batch: Batch, key: str, status: Status = Status.WORKING) -> None:
        """Let a batch have an invocation that was started now."""
        at = self._clock.now()
        await self._store.put_invocation(batch, key, 1, galaxy_id=InvocationId(f"{batch.id}.{key}"), receipt_at=at)
        await self._store.put_invocation(batch, key, 1, status=status)

    async def waiting(self, account: str = "a", *, priority: int = 0) -> Batch:
        """Return a batch that was told to wait in line."""
        batch = await self.add(account, priority=priority)
        return await self._store.move(batch, status=Status.WAITING, code=SLOTS)


@pytest.fixture
async def line(store: Store, clock: ManualClock) -> Line:
    """Return what makes batches."""
    return Line(store, await store.add_unit("w", "files", "A", "A", ".", "/data"), clock)


async def turn(batch: Batch, rooms: Rooms, wanted: int = 1) -> int | Wait:
    """Ask as the stage does; nothing is started."""
    async with turn_to_start(batch, rooms, wanted) as answer:
        return answer


async def test_all_accounts_of_a_server_count_and_no_other(store: Store, line: Line, clock: ManualClock) -> None:
    """Each running invocation counts, of whatever account; a batch that is held counts for none."""
    rooms = rooms_of(store, clock)
    held = await line.running("b", count=2)
    await store.move(held, status=Status.HELD)
    await line.running("a", count=LIMIT - 1)
    await line.running("c", count=LIMIT)
    mine = await line.add("a")
    assert await turn(mine, rooms, 2) == 1
    await line.running("b")
    answer = await turn(mine, rooms)
    assert isinstance(answer, Wait)
    assert (answer.code, answer.after) == (SLOTS, SLOT_PAUSE)
    assert "as the limit allows" in answer.reason


async def test_several_that_ask_at_once_share_what_is_free(store: Store, line: Line, clock: ManualClock) -> None:
    """Of many at the same moment as many start as there are slots, those of high priority and age first."""
    rooms = rooms_of(store, clock)
    await line.running()
    asking = [await store.begin(await line.add(priority=priority)) for priority in (0, 0, 5, 0, 5)]
    all_answered = asyncio.Event()
    answers: dict[str, int | Wait] = {}

    async def ask(batch: Batch) -> None:
        async with turn_to_start(batch, rooms, 1) as answer:
            answers[batch.id] = answer
            if len(answers) == len(asking):
                all_answered.set()
            await all_answered.wait()

    await asyncio.gather(*(ask(batch) for batch in asking))
    assert {id for id, answer in answers.items() if answer == 1} == {one.id for one in asking if one.priority == 5}


async def test_who_starts_holds_its_slot_until_the_row_says_so(store: Store, line: Line, clock: ManualClock) -> None:
    """Between the answer of Galaxy and the next stage the invocation is counted, too, by whoever asks."""
    rooms = rooms_of(store, clock)
    await line.running(count=LIMIT - 1)
    late, early = await store.begin(await line.add()), await line.add()
    async with turn_to_start(late, rooms, 1) as answer:
        assert answer == 1
        assert isinstance(await turn(early, rooms), Wait)
        await line.invoked(late, "1")
    assert isinstance(await turn(early, rooms), Wait)
    await store.finish_stage(late, stage=Stage.POLL, status=Status.READY)
    assert isinstance(await turn(early, rooms), Wait)


async def test_who_waits_longest_is_next(store: Store, line: Line, clock: ManualClock) -> None:
    """A newcomer does not take the slot of those in line; behind the first ones it is asked for seldom, until one of
    them starts.
    """
    rooms = rooms_of(store, clock)
    waiting = [await line.waiting() for _ in range(LIMIT + FRONT)]
    assert isinstance(await turn(await line.add(), rooms), Wait)
    last = await turn(waiting[-1], rooms)
    assert isinstance(last, Wait)
    assert last.after == LONG_PAUSE
    far_off = clock.now() + timedelta(hours=1)
    behind = await store.finish_stage(
        await store.begin(waiting[FRONT]), stage=Stage.INVOKE, status=Status.WAITING, code=SLOTS, due_at=far_off
    )
    first = await store.begin(waiting[0])
    assert await turn(first, rooms) == 1
    woken = await store.batch(behind.id)
    assert woken is not None
    assert woken.due_at == clock.now()


async def test_one_that_waits_for_its_second_workflow_keeps_nobody_waiting(
    store: Store, line: Line, clock: ManualClock
) -> None:
    """In line it counts for its place alone, whatever it has run; each of many such goes on in turn."""
    rooms = rooms_of(store, clock)
    chained = [await line.waiting() for _ in range(LIMIT + 1)]
    for batch in chained:
        await line.invoked(batch, "1", Status.DONE)
        await line.invoked(batch, "beside")
    assert [isinstance(await turn(batch, rooms), int) for batch in chained] == [True] * LIMIT + [False]


async def test_beside_its_own_workflow_a_batch_starts_another_only_in_a_free_slot(
    store: Store, line: Line, clock: ManualClock
) -> None:
    """Its own running ones count there."""
    rooms = rooms_of(store, clock)
    mine = await line.running(count=LIMIT - 1)
    assert await may_start(mine, rooms)
    await line.running()
    assert not await may_start(mine, rooms)


async def test_a_server_that_is_behind_gets_no_more(store: Store, line: Line, clock: ManualClock) -> None:
    """Counted are the invocations of a day on that server; of fewer than ten a share says nothing."""
    rooms = rooms_of(store, clock, share=0.1)
    old = await line.running("c", count=2)
    for number in range(7):
        await line.invoked(old, f"done {number}", Status.DONE)
    mine = await line.add("c")
    assert await turn(mine, rooms) == 1
    await line.invoked(old, "tenth", Status.DONE)
    answer = await turn(mine, rooms)
    assert isinstance(answer, Wait)
    assert "2 of the 10 workflows started within a day have not ended" in answer.reason
    assert await turn(await line.add("a"), rooms) == 1
    clock.advance(timedelta(days=1, seconds=1))
    assert await turn(mine, rooms) == 1


async def test_a_thousand_in_line_cost_little(store: Store, line: Line, clock: ManualClock) -> None:
    """To ask for its turn costs a batch less than 15 ms of processor, however many stand before it."""
    rooms = rooms_of(store, clock)
    await line.running(count=LIMIT)
    first = await line.waiting()
    copies = [replace(first, id=f"{first.unit_id}-{number}") for number in range(100, 1100)]
    rows = [{**values_of(batch), "number": batch.number, "account": "a"} for batch in copies]
    async with store._engine.begin() as connection:
        await connection.execute(sa.insert(schema.batch), rows)
    best_s = float("inf")
    for _ in range(7):
        started = time.process_time()
        assert isinstance(await turn(copies[-1], rooms), Wait)
        best_s = min(best_s, time.process_time() - started)
    assert best_s < 0.015


async def test_the_status_says_why_a_batch_waits(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """With one workflow at a time four samples go one after the other, and none is forgotten."""
    monkeypatch.setattr(throttle, "SLOT_PAUSE", timedelta(seconds=0.2))
    world.fake.import_workflow(counting_workflow("First", seconds=10))
    world.fake.import_workflow(counting_workflow("Second"))
    reads = {"inputs": {"Reads": "reads"}}
    chain = [{"name": "First", **reads}, {"name": "Second", "after": "1", **reads}]
    destination = {"history": "{run} {sample}"}
    world.write_config(
        rule={"per": "sample", "workflow": chain, "deliver": None, "destination": destination},
        limits={"invocations": 1},
    )
    world.add_run(RUN, samples=("S1", "S2", "S3", "S4"))
    async with world.daemon():

        async def waits() -> bool:
            units = (await world.status())["units"]
            batches = units[0]["batches"] if units else []
            return any("as the limit allows" in batch["reason"] for batch in batches)

        await until(waits, what="a batch that waits")
        unit = await world.until_status("done", timeout_s=100)
    assert [batch["status"] for batch in unit["batches"]] == ["done"] * 4
    assert len(world.fake.invocations()) == 8
