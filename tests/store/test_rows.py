"""Making rows once for ever, finding them, and values that are hard to keep."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta, timezone
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from watcher.clock import ManualClock
from watcher.errors import StateError
from watcher.model import Plan, PlannedDataset, Sample, SampleFile, Stage, Status
from watcher.rows import SourceFile
from watcher.store.store import DIGITS, LETTERS, Store, random_word

PLAN = Plan(rule="r", watch="miseq", galaxy="galaxy", run="240612_A", unit=".", path="/data/240612_A")


def test_random_words() -> None:
    """Ids are six letters and digits that cannot be mistaken for another, and differ."""
    words = {random_word() for _ in range(2000)}
    assert len(words) > 1990
    assert all(len(word) == 6 and word[0] in LETTERS and set(word) <= set(LETTERS + DIGITS) for word in words)
    assert not set("01ilo") & set(LETTERS + DIGITS)


async def test_taken_words_are_passed_over(tmp_path: Path, clock: ManualClock) -> None:
    """An id that is taken is never given twice; after many tries there is an error, not a loop."""
    words = iter(["aaaaaa", "aaaaaa", "aaaaaa", "bbbbbb", *["aaaaaa"] * 100])
    store = await Store.open(tmp_path / "s", clock, lock=True, migrate=True, new_word=lambda: next(words))
    units = [await store.add_unit("w", "files", identity, identity, ".", "/") for identity in ("one", "two")]
    assert [unit.id for unit in units] == ["aaaaaa", "bbbbbb"]
    with pytest.raises(StateError, match="No free id"):
        await store.add_unit("w", "files", "three", "three", ".", "/")
    assert await store.find_unit("three", ".") is None
    await store.close()


async def test_a_unit_is_one_row(store: Store) -> None:
    """Whoever finds the same unit again, in whatever words and however many at once, gets the row that is there."""
    found = await asyncio.gather(
        *(store.add_unit("w", "files", "240612_A", f"run {n}", "Analysis/1", f"/data/{n}") for n in range(8))
    )
    assert len({unit.id for unit in found}) == 1
    assert await store.units() == [found[0]] == [await store.find_unit("240612_A", "Analysis/1")]
    assert await store.find_unit("240612_A", "Analysis/2") is None


async def test_newest_version_is_found(store: Store) -> None:
    """A new version of a unit is a new row; the newest is found unless a version is asked for."""
    first = await store.add_unit("w", "files", "A", "A", ".", "/data")
    second = await store.add_unit("w", "files", "A", "A", ".", "/data", unit_version=2, replaces=first.id)
    assert first.id != second.id
    assert await store.find_unit("A", ".") == second
    assert await store.find_unit("A", ".", 1) == first


async def test_units_are_filtered(store: Store, clock: ManualClock) -> None:
    """Filters narrow the list together; the newest unit comes first."""
    a = await store.add_unit(
        "one", "files", "a", "a", ".", "/a", status=Status.IGNORED, code="old", reason="was there before"
    )
    clock.advance(1)
    b = await store.add_unit("one", "files", "b", "b", ".", "/b", stage=Stage.SETTLE, fingerprint="f")
    clock.advance(1)
    c = await store.add_unit(await store.watch("two"), "files", "c", "c", ".", "/c")
    assert await store.units() == [c, b, a]
    assert await store.units(limit=1) == [c]
    assert await store.units(watch="one") == [b, a]
    assert await store.units(watch="one", status=[Status.IGNORED, Status.HELD]) == [a]
    assert await store.units(stage=Stage.SETTLE, fingerprint="f") == [b]
    assert await store.units(status=[]) == []


async def test_a_batch_is_one_row(store: Store) -> None:
    """A batch planned again is the row that is there; numbers and revisions make ids that are read easily."""
    unit = await store.add_unit("w", "files", "A", "A", ".", "/data")
    first = await store.add_batch(unit, 1, "r", PLAN, priority=5)
    assert await store.add_batch(unit, 1, "other", PLAN) == first
    revised = await store.add_batch(unit, 1, "r", PLAN, revision=2)
    tenth = await store.add_batch(unit, 10, "r", PLAN)
    second = await store.add_batch(unit, 2, "r", PLAN)
    assert [batch.id for batch in await store.batches(unit.id)] == [
        f"{unit.id}-1",
        f"{unit.id}-1r2",
        f"{unit.id}-2",
        f"{unit.id}-10",
    ]
    await store.move(tenth, status=Status.DONE)
    assert await store.batches(unit_ids=[unit.id], status=[Status.READY]) == [first, revised, second]
    assert await store.batches(stage=Stage.POLL) == []


async def test_watches(store: Store) -> None:
    """A watch is remembered from the first time it is asked for."""
    watches = await asyncio.gather(*(store.watch(name) for name in ("b", "a", "b")))
    assert watches[0] == watches[2]
    assert await store.watches() == [watches[1], watches[0]]


TEXTS = ["", "plain", "Grüße 試料 🧬", "a\0b", "not\udcffutf8", "'; DROP TABLE unit; --", "%s :x ?", "line\nline"]


@pytest.mark.parametrize("text", TEXTS)
async def test_any_text_is_kept(store: Store, text: str) -> None:
    """Whatever a file name or Galaxy says is kept; only what no database can hold becomes its escape."""
    unit = await store.begin(await store.add_unit("w", "files", f"id{text}", text, ".", text, more={text: [text]}))
    found = await store.find_unit(f"id{text}", ".")
    assert found is not None
    readable = text.replace("\0", "\\x00").replace("\udcff", "\\udcff")
    assert (found.run, found.path, found.more) == (readable, readable, {text: [text]})
    plan = PLAN.model_copy(update={"left_out": ((text, "unreadable"),)})
    batch = await store.add_batch(unit, 1, text, plan)
    assert batch.plan == plan


async def test_times_come_back_as_utc(store: Store) -> None:
    """A time comes back as the same instant in UTC, to the microsecond; one without a zone is refused."""
    unit = await store.add_unit("w", "files", "A", "A", ".", "/data")
    local = datetime(2026, 3, 29, 3, 30, 0, 123456, tzinfo=timezone(timedelta(hours=2)))
    moved = await store.move(unit, status=Status.WAITING, due_at=local)
    found = await store.unit(unit.id)
    assert found is not None and found.due_at == local
    assert found.due_at.tzinfo is UTC and found.due_at.isoformat() == "2026-03-29T01:30:00.123456+00:00"
    assert [row.id for row in await store.due(local)] == [unit.id]
    assert await store.due(local - timedelta(microseconds=1)) == []
    with pytest.raises(StateError, match="no time zone"):
        await store.move(moved, status=Status.WAITING, due_at=datetime(2026, 1, 1))


async def test_rows_are_readable_with_sql(store: Store, clock: ManualClock) -> None:
    """An operator with an SQL prompt reads words, UTC times and JSON, and the database refuses words that are none."""
    unit = await store.add_unit("w", "files", "A", "A", ".", "/data", more={"a": 1})
    async with store._engine.connect() as connection:
        found = (await connection.execute(sa.text("SELECT status, stage, seen_at, more FROM unit"))).one()
        assert (found.status, found.stage) == ("ready", "settle")
        assert str(found.seen_at).startswith("2026-01-01 00:00:00")
        assert found.more in ('{"a": 1}', {"a": 1})
        with pytest.raises(sa.exc.IntegrityError, match="ck_unit_status"):
            await connection.execute(sa.text("UPDATE unit SET status = 'paused'"))
    assert unit.seen_at == clock.now()


async def test_numbers_at_their_limits(store: Store) -> None:
    """Inodes of 64 bits come back; a number that no database holds is a StateError, and the store goes on."""
    unit = await store.add_unit("w", "files", "A", "A", ".", "/data")
    file = SourceFile(unit.id, "a", 2**63 - 1, -(2**63), 0, 2**63)
    await store.put_source_files(unit, [file])
    assert await store.source_files(unit.id) == [file]
    with pytest.raises(StateError, match="state database"):
        await store.put_source_files(unit, [SourceFile(unit.id, "b", 2**64, 0, 0, 0)])
    assert await store.source_files(unit.id) == [file]


async def test_what_json_cannot_hold(store: Store) -> None:
    """A value that is no JSON is a StateError that leaves the row as it was."""
    unit = await store.add_unit("w", "files", "A", "A", ".", "/data")
    unkeepable: dict[str, Any] = {"when": object()}
    with pytest.raises(StateError, match="JSON"):
        await store.touch(unit, more=unkeepable)
    assert await store.unit(unit.id) == unit


async def test_large_plan(store: Store) -> None:
    """A plan of a thousand samples comes back whole, and moving its batch does not parse it again."""
    numbers = count(1)
    samples = tuple(
        Sample(
            name=f"S{n}", project="16S", files=(SampleFile(path=f"Data/S{n}_R1.fastq.gz", read="R1", lane=1, size=n),)
        )
        for n in range(1000)
    )
    datasets = tuple(
        PlannedDataset(key=f"{next(numbers):04}", name="x", ext="bam", sources=("a", "b"), size=2**40, sample="S1")
        for _ in range(1000)
    )
    plan = PLAN.model_copy(update={"samples": samples, "datasets": datasets, "rule_text": {"a": [1.5, None, True]}})
    unit = await store.add_unit("w", "files", "A", "A", ".", "/data")
    batch = await store.add_batch(unit, 1, "r", plan)
    assert batch.plan == plan
    begun = await store.begin(batch)
    assert begun.plan is batch.plan
