"""How rows move: begin, outcome, wake, due."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from watcher.clock import ManualClock
from watcher.errors import StateError, Superseded
from watcher.model import Plan, Stage, Status
from watcher.rows import Batch, DueRow, JournalEntry, Row, SourceFile, Unit, Watch
from watcher.store.store import Store

MINUTE = timedelta(minutes=1)


async def a_unit(store: Store, name: str = "240612_A") -> Unit:
    """Return a new unit."""
    return await store.add_unit("miseq", "bclconvert", name, name, ".", f"/data/{name}")


async def a_batch(store: Store) -> Batch:
    """Return a new batch."""
    plan = Plan(rule="r", watch="miseq", galaxy="galaxy", run="240612_A", unit=".", path="/data/240612_A")
    return await store.add_batch(await a_unit(store), 1, "r", plan)


async def a_row(store: Store, kind: str) -> Row:
    """Return a new row of that kind."""
    if kind == "watch":
        return await store.watch("miseq")
    return await a_unit(store) if kind == "unit" else await a_batch(store)


async def stored(store: Store, row: Row) -> Row | None:
    """Return the row as it is in the database."""
    if isinstance(row, Watch):
        return await store.watch(row.name)
    return await store.unit(row.id) if isinstance(row, Unit) else await store.batch(row.id)


@pytest.mark.parametrize("kind", ["watch", "unit", "batch"])
async def test_what_moves_return_is_what_is_stored(store: Store, clock: ManualClock, kind: str) -> None:
    """Each move returns the row exactly as the next reader will see it, for every kind of row."""
    row = await a_row(store, kind)
    begun = await store.begin(row)
    assert (begun.status, begun.attempt, begun.version) == (Status.WORKING, 1, 1)
    assert await stored(store, row) == begun
    clock.advance(5)
    moved = await store.finish_stage(
        begun,
        stage=Stage.FINISH,
        status=Status.WAITING,
        code="busy",
        reason="Galaxy is busy.",
        hint="Wait.",
        due_at=clock.now() + MINUTE,
        tries=3,
        more={"a": 1},
    )
    assert await stored(store, row) == moved
    assert (moved.version, moved.attempt, moved.tries, moved.due_at) == (2, 1, 3, clock.now() + MINUTE)
    assert moved.stage_since == clock.now()
    held = await store.move(moved, status=Status.HELD, code="person", reason="anna")
    assert await stored(store, row) == held
    assert (held.stage, held.attempt, held.tries) == (Stage.FINISH, 2, 0)


@pytest.mark.parametrize("kind", ["watch", "unit", "batch"])
async def test_stale_rows_move_nothing(store: Store, kind: str) -> None:
    """Who read the row before the last move is refused, whatever it tries, and changes nothing."""
    old = await a_row(store, kind)
    new = await store.begin(old)
    for move in (
        store.begin(old),
        store.finish_stage(old, stage=Stage.FINISH, status=Status.DONE),
        store.move(old, status=Status.CANCELLED),
        store.touch(old, reason="late"),
    ):
        with pytest.raises(Superseded):
            await move
    assert await stored(store, old) == new


async def test_one_of_many_begins_wins(store: Store) -> None:
    """Of many starts of the same stage at the same time exactly one goes through."""
    unit = await a_unit(store)
    answers = await asyncio.gather(*(store.begin(unit) for _ in range(8)), return_exceptions=True)
    won = [answer for answer in answers if isinstance(answer, Unit)]
    assert len(won) == 1
    assert sum(isinstance(answer, Superseded) for answer in answers) == 7
    assert await store.unit(unit.id) == won[0]


async def test_two_processes_begin_once(state: str, store: Store, clock: ManualClock) -> None:
    """Also over two openings of the same state only one start goes through, and the loser can read who won."""
    other = await Store.open(state, clock, lock=False, migrate=False)
    try:
        unit = await a_unit(store)
        answers = await asyncio.gather(store.begin(unit), other.begin(unit), return_exceptions=True)
        assert [type(answer) for answer in answers if isinstance(answer, BaseException)] == [Superseded]
        assert (await other.unit(unit.id)) == next(answer for answer in answers if isinstance(answer, Unit))
    finally:
        await other.close()


async def test_more_is_merged(store: Store) -> None:
    """What another stage or a newer version keeps in `more` survives an outcome that knows nothing of it."""
    unit = await store.begin(await a_unit(store))
    unit = await store.finish_stage(
        unit, stage=Stage.PLAN, status=Status.READY, more={"kept": [1, {"x": None}], "b": 1}
    )
    begun = await store.begin(unit)
    touched = await store.touch(begun, more={"c": "ä"})
    assert touched.more == {"kept": [1, {"x": None}], "b": 1, "c": "ä"}
    # The engine still holds the row as `begin` returned it.
    moved = await store.finish_stage(begun, stage=Stage.FINISH, status=Status.READY, more={"b": 2})
    assert moved.more == {"kept": [1, {"x": None}], "b": 2, "c": "ä"} == (await store.unit(unit.id)).more  # type: ignore[union-attr]


async def test_touch_moves_nothing(store: Store, clock: ManualClock) -> None:
    """A touched row keeps stage, status and version, so that its stage can still be finished."""
    begun = await store.begin(await a_unit(store))
    touched = await store.touch(begun, path="/data/new", fingerprint="f", reason="copying")
    assert (touched.version, touched.path, touched.reason) == (begun.version, "/data/new", "copying")
    assert await store.unit(begun.id) == touched
    done = await store.finish_stage(begun, stage=Stage.PLAN, status=Status.READY)
    assert (done.path, done.fingerprint) == ("/data/new", "f")
    watch = await store.touch(await store.watch("miseq"), device=2**64 - 2, mount="nfs", blind_since=clock.now())
    assert await store.watch("miseq") == watch


@pytest.mark.parametrize("column", ["status", "version", "due_at", "id", "plan", "nonsense"])
async def test_touch_refuses_what_only_moves_change(store: Store, column: str) -> None:
    """What the engine alone decides, and what does not exist, cannot be touched."""
    with pytest.raises(StateError, match=column):
        await store.touch(await a_batch(store), **{column: None})


async def test_due_rows(store: Store, clock: ManualClock) -> None:
    """Due is what goes on by itself and whose time has come, those without a time first, then the longest waiting."""
    expected = []
    for number, status in enumerate(Status):
        for minutes in (None, -1, 0, 1):
            unit = await a_unit(store, f"{status}{minutes}")
            due_at = None if minutes is None else clock.now() + (minutes * 100 - number) * MINUTE
            await store.move(unit, status=status, due_at=due_at)
            if status in (Status.READY, Status.WAITING, Status.WORKING) and minutes != 1:
                expected.append((due_at is not None, due_at or clock.now(), unit.id))
    assert [row.id for row in await store.due(clock.now())] == [unit_id for _, _, unit_id in sorted(expected)]


async def test_chosen_due_rows(store: Store, clock: ManualClock) -> None:
    """Those that were chosen are read whole, in the order of the choice, but for one that waits by then."""
    batch, unit = await a_batch(store), await a_unit(store, "other")
    watch = await store.watch("miseq")
    moved = await a_unit(store, "moved")
    due = {(row.kind, row.id): row for row in await store.due(clock.now())}
    assert due["batch", batch.id] == DueRow("batch", batch.id, Stage.UPLOAD, None, "miseq", "galaxy")
    assert due["watch", watch.id].watch == due["unit", unit.id].watch == "miseq"
    await store.move(moved, status=Status.WAITING, due_at=clock.now() + MINUTE)
    chosen = [due[key] for key in (("unit", unit.id), ("batch", batch.id), ("unit", moved.id), ("watch", watch.id))]
    assert await store.due_rows(chosen, clock.now()) == [unit, batch, watch]


async def test_next_due(store: Store, clock: ManualClock) -> None:
    """The next time is that of the earliest idle row; running ones and ended ones have none."""
    assert await store.next_due() is None
    first, second, ended = [await a_unit(store, name) for name in "abc"]
    assert await store.next_due() == clock.now()
    assert await store.next_due(after=clock.now()) is None
    await store.move(ended, status=Status.DONE, due_at=clock.now())
    await store.move(first, status=Status.WAITING, due_at=clock.now() + 2 * MINUTE)
    second = await store.move(second, status=Status.WAITING, due_at=clock.now() + MINUTE)
    assert await store.next_due() == clock.now() + MINUTE
    assert await store.next_due(after=clock.now() + MINUTE) == clock.now() + 2 * MINUTE
    await store.begin(second)
    assert await store.next_due() == clock.now() + 2 * MINUTE


async def test_woken_row_is_due(store: Store, clock: ManualClock) -> None:
    """A waiting row that is woken is due at once, and a wake of an ended or unknown one changes nothing."""
    unit = await store.move(await a_unit(store), status=Status.WAITING, due_at=clock.now() + MINUTE)
    assert await store.wake("unit", unit.id) == 1
    assert [row.id for row in await store.due(clock.now())] == [unit.id]
    await store.move(unit, status=Status.DONE)
    assert await store.wake("unit", unit.id) == 0
    assert await store.wake("batch", "nobody") == 0
    with pytest.raises(StateError, match="sample"):
        await store.wake("sample", "S1")


async def test_wake_during_stage_is_not_lost(store: Store, clock: ManualClock) -> None:
    """A row that is woken while its stage runs is due right after it, although the outcome said to wait."""
    begun = await store.begin(await a_unit(store))
    assert await store.wake("unit", begun.id) == 1
    moved = await store.finish_stage(begun, stage=Stage.SETTLE, status=Status.WAITING, due_at=clock.now() + MINUTE)
    assert moved.due_at == clock.now()
    again = await store.begin(moved)
    moved = await store.finish_stage(again, stage=Stage.SETTLE, status=Status.WAITING, due_at=clock.now() + MINUTE)
    assert moved.due_at == clock.now() + MINUTE


async def test_outcome_and_journal_together(store: Store, clock: ManualClock) -> None:
    """A move's lines are in the journal if and only if the move is."""
    old = await a_unit(store)
    line = JournalEntry(clock.now(), "watcher", "unit.settled", "Nothing changed for 5 min.", unit_id=old.id)
    begun = await store.begin(old)
    with pytest.raises(Superseded):
        await store.finish_stage(old, stage=Stage.VERIFY, status=Status.READY, entries=[line])
    assert await store.journal_of(old.id) == []
    await store.finish_stage(begun, stage=Stage.VERIFY, status=Status.READY, entries=[line])
    assert await store.journal_of(old.id) == [line]


@pytest.mark.parametrize("after_s", [0.0, 0.001, 0.003, 0.01, 0.1])
async def test_cancelled_caller_leaves_whole_writes(store: Store, after_s: float) -> None:
    """A stage that is cancelled in the middle of a write leaves all of it or nothing, and later writes come later."""
    unit = await store.begin(await a_unit(store))
    files = [SourceFile(unit.id, f"{number}.fastq.gz", 1, 2, 3, 4) for number in range(500)]
    writing = asyncio.ensure_future(store.put_source_files(unit, files))
    await asyncio.wait({writing}, timeout=after_s)
    writing.cancel()
    await store.put_source_files(unit, [replace(files[0], size=99)])
    kept = await store.source_files(unit.id)
    assert len(kept) in (1, 500)
    assert {file.path: file.size for file in kept}["0.fastq.gz"] == 99


async def test_what_is_at_work_is_not_read_again(store: Store, clock: ManualClock) -> None:
    """Rows that the caller has at work are left out by kind and id; a watch that is called like a unit is not."""
    unit = await a_unit(store)
    assert [row.id for row in await store.due(clock.now(), besides=[("watch", unit.id)])] == [unit.id]
    assert await store.due(clock.now(), besides=[("unit", unit.id)]) == []
