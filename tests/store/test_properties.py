"""Whatever two daemons try with rows they may have read long ago, the state follows one story."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

from hypothesis import given, settings
from hypothesis import strategies as st

from watcher.clock import ManualClock
from watcher.errors import Superseded
from watcher.model import Plan, Stage, Status
from watcher.rows import Batch
from watcher.store.store import Store

KEYS = ("galaxy:main", "mount:miseq")
T = TypeVar("T")
ACTS = ("read", "begin", "finish", "wait behind", "write", "touch", "move", "raise", "end")

steps = st.lists(
    st.tuples(st.sampled_from(ACTS), st.integers(0, 1), st.sampled_from(KEYS), st.sampled_from(list(Status))),
    max_size=20,
)


@dataclass
class Story:
    """What must be true of one batch, told by hand: its version and attempt, and the obstacles that stand."""

    version: int = 0
    attempt: int = 0
    status: Status = Status.READY
    obstacle: str = ""
    written: int = 0
    standing: set[str] = field(default_factory=set)


@settings(max_examples=25)
@given(steps=steps)
def test_stale_rows_never_count(steps: list[tuple[str, int, str, Status]]) -> None:
    """A move counts only with the newest version, a child write with the newest attempt; the rest is refused."""
    asyncio.run(play(steps))


async def play(steps: list[tuple[str, int, str, Status]]) -> None:
    """Let two daemons act in that order, each with the row it read or was given last, and compare with the story."""
    clock, story = ManualClock(), Story()
    with tempfile.TemporaryDirectory() as folder:
        store = await Store.open(Path(folder) / "state.sqlite", clock, lock=True, migrate=True)
        unit = await store.add_unit("w", "files", "A", "A", ".", "/data")
        plan = Plan(rule="r", watch="w", galaxy="g", run="A", unit=".", path="/data")
        batch = await store.add_batch(unit, 1, "r", plan)
        known = [batch, batch]
        for act, who, key, status in steps:
            clock.advance(1)
            row = known[who]
            moves = row.version == story.version
            writes = row.attempt == story.attempt
            if act == "read":
                known[who] = await newest(store, batch)
            elif act == "begin":
                known[who] = await tried(store.begin(row), moves, row)
                if moves:
                    story.version, story.attempt, story.status = story.version + 1, story.attempt + 1, Status.WORKING
            elif act == "finish":
                known[who] = await tried(store.finish_stage(row, stage=Stage.POLL, status=status), moves, row)
                if moves:
                    story.version, story.status, story.obstacle = story.version + 1, status, ""
            elif act == "wait behind":
                behind = store.finish_stage(row, stage=Stage.POLL, status=Status.WAITING, obstacle=key)
                known[who] = await tried(behind, moves, row)
                if moves:
                    story.version, story.status = story.version + 1, Status.WAITING
                    story.obstacle = key if key in story.standing else ""
            elif act == "move":
                known[who] = await tried(store.move(row, status=status), moves, row)
                if moves:
                    story.version, story.attempt, story.status = story.version + 1, story.attempt + 1, status
                    story.obstacle = ""
            elif act == "touch":
                known[who] = await tried(store.touch(row, reason="here"), writes, row)
            elif act == "write":
                number = story.written + 1
                await tried(store.put_invocation(row, "qc", number), writes, None)
                story.written += writes
            elif act == "raise":
                _, is_new = await store.raise_obstacle(key, "galaxy", "main", "away", "")
                assert is_new == (key not in story.standing)
                story.standing.add(key)
            else:
                freed = await store.end_obstacle(key)
                assert (freed is None) == (key not in story.standing)
                assert (freed or 0) == (story.obstacle == key)
                story.standing.discard(key)
                story.obstacle = "" if story.obstacle == key else story.obstacle
            await compare(store, batch, story, clock)
        await store.close()


async def tried(writing: Awaitable[T], counts: bool, otherwise: T) -> T:
    """Return what the write returns when it must count, `otherwise` when it must be refused."""
    try:
        answer = await writing
    except Superseded:
        assert not counts
        return otherwise
    assert counts
    return answer


async def newest(store: Store, batch: Batch) -> Batch:
    """Return the batch as stored."""
    found = await store.batch(batch.id)
    assert found is not None
    return found


async def compare(store: Store, batch: Batch, story: Story, clock: ManualClock) -> None:
    """Check the stored row, its children and whether it is due."""
    row = await newest(store, batch)
    assert (row.version, row.attempt, row.status, row.obstacle) == (
        story.version,
        story.attempt,
        story.status,
        story.obstacle,
    )
    assert len(await store.invocations(batch.id)) == story.written
    assert {obstacle.key for obstacle in await store.obstacles()} == story.standing
    goes_on = story.status in (Status.READY, Status.WAITING, Status.WORKING)
    due = [found.id for found in await store.due(clock.now() + timedelta(seconds=1)) if found.kind == "batch"]
    assert due == ([batch.id] if goes_on and not story.obstacle else [])


@settings(max_examples=10)
@given(rows=st.integers(1, 4), tries=st.integers(2, 6), restart=st.booleans())
def test_one_begin_wins(rows: int, tries: int, restart: bool) -> None:
    """However many start the same stages at once, from one opening or two, each stage starts exactly once."""
    asyncio.run(race(rows, tries, restart))


async def race(rows: int, tries: int, second_opening: bool) -> None:
    """Begin every unit `tries` times at once and count who came through."""
    clock = ManualClock()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "state.sqlite"
        stores = [await Store.open(path, clock, lock=True, migrate=True)]
        if second_opening:
            stores.append(await Store.open(path, clock, lock=False, migrate=False))
        units = [await stores[0].add_unit("w", "files", str(number), "A", ".", "/data") for number in range(rows)]
        begins: list[Callable[[], Awaitable[object]]] = [
            lambda store=store, unit=unit: store.begin(unit)  # type: ignore[misc]
            for number in range(tries)
            for unit in units
            for store in [stores[number % len(stores)]]
        ]
        answers = await asyncio.gather(*(begin() for begin in begins), return_exceptions=True)
        refused = [answer for answer in answers if isinstance(answer, BaseException)]
        assert {type(answer) for answer in refused} == {Superseded}
        assert len(answers) - len(refused) == rows
        assert {unit.attempt for unit in await stores[-1].units()} == {1}
        for store in stores:
            await store.close()
