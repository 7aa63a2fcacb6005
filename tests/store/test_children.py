"""What stages write below their rows, and how they are refused."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from watcher.clock import ManualClock
from watcher.errors import StateError, Superseded
from watcher.model import DatasetId, Plan, Status, WorkflowId
from watcher.rows import Batch, Dataset, DeliveredFile, DeliveryRow, GalaxyObject, Invocation, SourceFile, Unit
from watcher.store.store import Store

PLAN = Plan(rule="r", watch="miseq", galaxy="galaxy", run="240612_A", unit=".", path="/data/240612_A")


@pytest.fixture
async def unit(store: Store) -> Unit:
    """Return a unit whose stage runs."""
    return await store.begin(await store.add_unit("miseq", "files", "240612_A", "240612_A", ".", "/data/240612_A"))


@pytest.fixture
async def batch(store: Store, unit: Unit) -> Batch:
    """Return a batch whose stage runs."""
    return await store.begin(await store.add_batch(unit, 1, "r", PLAN))


async def test_source_files_are_replaced_by_path(store: Store, unit: Unit, clock: ManualClock) -> None:
    """A newer look replaces what is known of its files, keeps the others, and forgets those that are gone."""
    files = [
        SourceFile(unit.id, f"Data/{name}", 10, -5, 2**62, 2**64 - 1, 1.25, clock.now(), "ab")
        for name in ("c", "a ä", "b")
    ]
    await store.put_source_files(unit, files)
    assert await store.source_files(unit.id) == sorted(files, key=lambda file: file.path)
    grown = replace(files[0], size=11, unchanged_s=0.0, looked_at=None)
    await store.put_source_files(unit, [grown], gone=["Data/b", "Data/never there"])
    assert await store.source_files(unit.id) == [files[1], grown]
    await store.put_source_files(unit, [])
    assert len(await store.source_files(unit.id)) == 2


async def test_planned_datasets_are_added_once(store: Store, batch: Batch) -> None:
    """Adding the plan's datasets again leaves those that are on their way alone."""
    planned = [
        Dataset(batch.id, f"{number:03}", f"S{number}.fastq.gz", "fastqsanger.gz", number) for number in (1, 2, 3)
    ]
    assert await store.add_datasets(batch, planned[:2]) == planned[:2]
    sent = await store.put_dataset(batch, "001", session="secret", offset=2**40, records=None)
    assert await store.add_datasets(batch, planned) == [sent, *planned[1:]] == await store.datasets(batch.id)
    assert "secret" not in repr(sent)


async def test_attempt_ends_as_the_next_one_begins(store: Store, batch: Batch) -> None:
    """Several invocations are stored together or not at all: one that is wrong keeps the others as they were."""
    first = await store.put_invocation(batch, "qc", 1, workflow_id="w", status=Status.WORKING)
    with pytest.raises(StateError):
        await store.put_invocations(batch, {("qc", 1): {"status": Status.FAILED}, ("qc", 2): {"number": 3}})
    assert await store.invocations(batch.id) == [first]
    ended, begun = {"status": Status.FAILED, "code": "job_lost"}, {"workflow_id": "w"}
    await store.put_invocations(batch, {("qc", 1): ended, ("qc", 2): begun})
    assert await store.invocations(batch.id) == [
        replace(first, status=Status.FAILED, code="job_lost"),
        Invocation(batch.id, "qc", 2, WorkflowId("w")),
    ]
    await store.begin(await _again(store, batch))
    with pytest.raises(Superseded):
        await store.put_invocations(batch, {("qc", 2): {"status": Status.WORKING}})


async def _again(store: Store, batch: Batch) -> Batch:
    found = await store.batch(batch.id)
    assert found
    return found


async def test_group_of_datasets(store: Store, batch: Batch, clock: ManualClock) -> None:
    """The intent of one request for several datasets is stored for all of them or for none."""
    await store.add_datasets(batch, [Dataset(batch.id, key, key, "bam", 1) for key in ("001", "002", "003")])
    await store.put_datasets(batch, ["001", "003"], fetch_intent_at=clock.now())
    assert [row.fetch_intent_at for row in await store.datasets(batch.id)] == [clock.now(), None, clock.now()]
    with pytest.raises(StateError, match="Only 1 of 2"):
        await store.put_datasets(batch, ["002", "004"], status=Status.DONE)
    assert [row.status for row in await store.datasets(batch.id)] == [Status.READY] * 3


async def test_objects_invocations_deliveries(store: Store, batch: Batch, clock: ManualClock) -> None:
    """Every effect row is made by its first write, changed by the next, and read back as it was returned."""
    made = await store.put_galaxy_object(
        batch, "history", kind="history", name="240612_A", intent_at=clock.now(), more={"a": 1}
    )
    assert made == GalaxyObject(batch.id, "history", "history", "240612_A", intent_at=clock.now(), more={"a": 1})
    known = await store.put_galaxy_object(batch, "history", galaxy_id="f2", more={"b": 2})
    assert known == replace(made, galaxy_id="f2", more={"a": 1, "b": 2})
    assert await store.galaxy_objects(batch.id) == [known] == await store.galaxy_objects_named("history", "240612_A")

    first = await store.put_invocation(
        batch, "qc", 1, workflow_id="w", status=Status.FAILED, counts={"ok": 3, "error": 1}
    )
    second = await store.put_invocation(batch, "qc", 2, workflow_id="w")
    assert first == Invocation(batch.id, "qc", 1, WorkflowId("w"), status=Status.FAILED, counts={"ok": 3, "error": 1})
    assert await store.invocations(batch.id) == [first, second]

    delivery = await store.put_delivery(batch, "1", target="/results/240612_A", on_ending="always")
    assert delivery == DeliveryRow(batch.id, "1", "/results/240612_A", "always")
    assert await store.deliveries(batch.id) == [delivery] == await store.deliveries_to("/results/240612_A")

    file = await store.put_delivered_file(batch, "1", "qc/S1.txt", galaxy_id="d1", size=7)
    done = await store.put_delivered_file(
        batch, "1", "qc/S1.txt", sha256="ab", receipt_at=clock.now(), status=Status.DONE
    )
    assert done == DeliveredFile(
        batch.id, "1", "qc/S1.txt", DatasetId("d1"), 7, "ab", Status.DONE, receipt_at=clock.now()
    )
    other = await store.put_delivered_file(batch, "2", "qc/S1.txt", galaxy_id="d1", size=7)
    assert replace(file, delivery_key="2") == other
    assert await store.delivered_files(batch.id) == [done, other]
    assert await store.delivered_files(batch.id, "2") == [other]


WRITES: dict[str, Callable[[Store, Batch], Awaitable[object]]] = {
    "add_datasets": lambda store, batch: store.add_datasets(batch, [Dataset(batch.id, "009", "n", "bam", 1)]),
    "put_dataset": lambda store, batch: store.put_dataset(batch, "001", offset=5),
    "put_datasets": lambda store, batch: store.put_datasets(batch, ["001"], offset=5),
    "put_galaxy_object": lambda store, batch: store.put_galaxy_object(batch, "history", kind="history", name="n"),
    "put_invocation": lambda store, batch: store.put_invocation(batch, "qc", 1, workflow_id="w"),
    "put_delivery": lambda store, batch: store.put_delivery(batch, "1", target="/t"),
    "put_delivered_file": lambda store, batch: store.put_delivered_file(batch, "1", "p", galaxy_id="d", size=1),
}


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("overtaken_by", ["another attempt", "a person", "removal"])
async def test_overtaken_stages_write_nothing(
    store: Store, batch: Batch, unit: Unit, write: str, overtaken_by: str
) -> None:
    """Once another attempt has begun, a person has moved the row or it is gone, no child write goes through."""
    await store.add_datasets(batch, [Dataset(batch.id, "001", "S1.bam", "bam", 10)])
    known = batch
    if overtaken_by == "another attempt":
        await store.begin(batch)
    elif overtaken_by == "a person":
        await store.move(batch, status=Status.CANCELLED)
    else:
        known = replace(batch, id="gone-1")
    before = await everything(store, batch)
    with pytest.raises(Superseded):
        await WRITES[write](store, known)
    assert await everything(store, batch) == before


async def everything(store: Store, batch: Batch) -> list[object]:
    """Return all rows below the batch."""
    return [
        *await store.datasets(batch.id),
        *await store.galaxy_objects(batch.id),
        *await store.invocations(batch.id),
        *await store.deliveries(batch.id),
        *await store.delivered_files(batch.id),
    ]


async def test_outcome_keeps_the_fence_for_its_own_stage(store: Store, batch: Batch) -> None:
    """A row that was touched or woken can still be written below by the attempt that runs."""
    await store.touch(batch, reason="sending")
    await store.wake("batch", batch.id)
    await store.put_delivery(batch, "1", target="/t")
    assert len(await store.deliveries(batch.id)) == 1


async def test_overtaken_units_write_nothing(store: Store, unit: Unit) -> None:
    """The stages of units are fenced as well: source files, batches, and what a watch finds."""
    watch = await store.watch("miseq")
    await store.begin(watch)
    await store.begin(unit)
    with pytest.raises(Superseded):
        await store.put_source_files(unit, [SourceFile(unit.id, "a", 1, 2, 3, 4)])
    with pytest.raises(Superseded):
        await store.add_batch(unit, 1, "r", PLAN)
    with pytest.raises(Superseded):
        await store.add_unit(watch, "files", "new", "new", ".", "/data/new")
    assert await store.source_files(unit.id) == []
    assert await store.batches() == []
    assert await store.units() == [await store.unit(unit.id)]


@pytest.mark.parametrize("column", ["batch_id", "nonsense"])
async def test_columns_that_do_not_exist(store: Store, batch: Batch, column: str) -> None:
    """A write of an unknown column, or of what names the row, is refused by name."""
    with pytest.raises(StateError, match=column):
        await store.put_delivery(batch, "1", target="/t", **{column: "x"})
    assert await store.deliveries(batch.id) == []


async def test_first_write_says_enough(store: Store, batch: Batch) -> None:
    """The first write of a row must bring what has no default, and says what is missing."""
    with pytest.raises(StateError, match="size"):
        await store.put_delivered_file(batch, "1", "p", galaxy_id="d")
