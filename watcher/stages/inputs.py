"""What goes into one invocation, made for it alone: collections of verified datasets, outputs of earlier workflows.

Galaxy knows no idempotency key, so an invocation is found again by something that went into no other: each attempt
gets a collection, or a copy of a dataset, of its own (no bytes are copied). Of an output that is a collection only the
good elements of good samples go on. Shared by nobody but `invoke.py`, which it was cut from; what a workflow wants is
told by a `Binding`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from watcher.errors import GalaxyBusy, NotThere, PlanError
from watcher.galaxy import Galaxy
from watcher.galaxy.answers import CollectionElement
from watcher.galaxy.bind import Binding
from watcher.galaxy.collections import Element
from watcher.galaxy.histories import clean_tag
from watcher.galaxy.results import GalaxyResults
from watcher.model import CollectionId, DatasetId, HistoryId, PlannedCollection, PlannedElement, Status
from watcher.rows import Batch, Dataset, GalaxyObject, Invocation
from watcher.stages.chain import current_invocations
from watcher.stages.endings import PARTLY_GOOD
from watcher.stages.rooms import Rooms

SPOILT = frozenset({"discarded", "empty", "error", "failed_metadata"})
"""States in which a dataset stays; in all others but `ok` Galaxy still works on it."""

OK = "ok"


@dataclass(frozen=True, slots=True)
class Prepared:
    """The inputs of a request by step number; `mark` is what no other invocation has ("hda" or "hdca", and the id),
    `is_older` tells that it was made some time ago.
    """

    inputs: Mapping[int, Any]
    mark: tuple[str, str]
    is_older: bool


async def prepare(
    batch: Batch, rooms: Rooms, galaxy: Galaxy, history_id: HistoryId, current: Invocation, binding: Binding
) -> Prepared:
    """Make what one attempt of a workflow takes, once, and return the inputs to ask for it with."""
    own = f"{current.key}:{current.number}"
    known = {row.key for row in await rooms.store.galaxy_objects(batch.id) if row.galaxy_id}
    made: list[tuple[str, tuple[str, str]]] = []  # key of its row, and what it is in Galaxy
    reads: CollectionId | None = None
    if binding.takes_reads and batch.plan.collection is not None:
        reads = await reads_collection(batch, rooms, galaxy, history_id, batch.plan.collection, f"collection:{own}")
        made.append((f"collection:{own}", ("hdca", reads)))
    outputs: dict[tuple[str, str], Mapping[str, str]] = {}
    for wanted in binding.outputs:
        key = f"output:{own}:{':'.join(wanted)}"
        outputs[wanted] = await _output(batch, rooms, galaxy, history_id, wanted, key)
        made.append((key, (outputs[wanted]["src"], outputs[wanted]["id"])))
    rows = {row.key: row for row in await rooms.store.datasets(batch.id)}
    datasets = {key: rows[key].galaxy_id for key in binding.dataset_keys}
    if not made and datasets:
        first = next(iter(datasets))
        key = f"copy:{own}"
        datasets[first] = await _copy(batch, rooms, galaxy, history_id, datasets[first], rows[first].name, key)
        made.append((key, ("hda", datasets[first])))
    if not made:
        raise PlanError(
            f"Workflow {current.key} of batch {batch.id} takes nothing of the batch: it would be the same for each.",
            hint="Give it the reads, a dataset of the batch or an output of an earlier workflow.",
        )
    key, mark = made[0]
    by_number = {int(step): value for step, value in binding.request(reads, datasets, outputs).items()}
    return Prepared(by_number, mark, key in known)


def made_for(key: str, number: int, objects: Iterable[GalaxyObject]) -> frozenset[tuple[str, str]]:
    """Return what was made for one attempt of a workflow alone ("hda" or "hdca", and the id): who takes one of them is
    that attempt.
    """
    own = f"{key}:{number}"
    return frozenset(
        ("hda" if row.kind == "copy" else "hdca", row.galaxy_id)
        for row in objects
        if row.galaxy_id and (row.key in (f"collection:{own}", f"copy:{own}") or row.key.startswith(f"output:{own}:"))
    )


async def reads_collection(
    batch: Batch, rooms: Rooms, galaxy: Galaxy, history_id: HistoryId, planned: PlannedCollection, key: str
) -> CollectionId:
    """Return the id of the collection of the batch's datasets made for `key`, built once."""
    datasets = {row.key: row for row in await rooms.store.datasets(batch.id)}
    elements = [_element(element, datasets) for element in planned.elements]
    return await _build(batch, rooms, galaxy, history_id, planned.name, planned.type, elements, key)


async def _output(
    batch: Batch, rooms: Rooms, galaxy: Galaxy, history_id: HistoryId, wanted: tuple[str, str], key: str
) -> Mapping[str, str]:
    """Return what stands for an output of an earlier workflow, made for this invocation alone."""
    earlier, label = wanted
    rows = current_invocations(await rooms.store.invocations(batch.id))
    row = next(row for row in rows if row.key == earlier)
    refs = await GalaxyResults(galaxy, [row.galaxy_id]).refs()
    if label not in refs:
        raise PlanError(
            f"Workflow {earlier} of batch {batch.id} has no output `{label}`.",
            hint=f"It has {', '.join(f'`{name}`' for name in refs) or 'none'}; correct the rule, then"
            f" `galaxy-watcher retry {batch.unit_id} --from plan`.",
        )
    ref = refs[label]
    if ref.src == "hda":
        dataset_id = DatasetId(row.replaced.get(ref.id, ref.id))
        return {"src": "hda", "id": await _copy(batch, rooms, galaxy, history_id, dataset_id, label, key)}
    facts = await galaxy.collections.get(CollectionId(ref.id))
    left_out = row.samples if row.code == PARTLY_GOOD else {}
    taken = [element for element in facts.elements if element.identifier not in left_out]
    elements = [good for element in taken if (good := _good(element, row.replaced)) is not None]
    if not elements:
        raise PlanError(
            f"Output `{label}` of workflow {earlier} of batch {batch.id} has no good element.",
            hint=f"Look at the history in Galaxy, then `galaxy-watcher retry {batch.id} --from invoke`.",
        )
    own = await _build(batch, rooms, galaxy, history_id, label, facts.type, elements, key, but=ref.id)
    return {"src": "hdca", "id": own}


def _good(element: CollectionElement, replaced: Mapping[str, str]) -> Element | None:
    """Return an element with what is good of it; None when nothing is, or a pair is not whole."""
    if element.elements:
        inner = [_good(below, replaced) for below in element.elements]
        whole = [below for below in inner if below is not None]
        if not whole or (len(whole) < len(inner) and element.collection_type.startswith("paired")):
            return None
        return Element(name=element.identifier, elements=tuple(whole))
    if element.dataset_id in replaced:
        return Element(name=element.identifier, dataset_id=DatasetId(replaced[element.dataset_id]))
    return Element(name=element.identifier, dataset_id=element.dataset_id) if element.state == OK else None


async def _build(
    batch: Batch,
    rooms: Rooms,
    galaxy: Galaxy,
    history_id: HistoryId,
    name: str,
    type: str,
    elements: Sequence[Element],
    key: str,
    *,
    but: str = "",
) -> CollectionId:
    """Return the id of a collection made for the key, which is never the one that it is made `but` of."""
    objects = {row.key: row for row in await rooms.store.galaxy_objects(batch.id)}
    known = objects.get(key)
    if known and known.galaxy_id:
        return CollectionId(known.galaxy_id)
    taken = {but, *(row.galaxy_id for row in objects.values() if row.kind == "collection" and row.galaxy_id)}
    tag = f"watcher:{batch.id}"
    tags = (tag, clean_tag("run", batch.plan.run))

    async def look() -> CollectionId | None:
        found = await galaxy.collections.find(history_id, name, tag, of=_datasets_in(elements), but=taken)
        if found is not None:  # the cut may have been between making and tagging
            await galaxy.collections.mark(history_id, found, tags)
        return found

    async def note(intent_at: datetime | None) -> None:
        await rooms.store.put_galaxy_object(batch, key, kind="collection", name=name, intent_at=intent_at)

    async def act() -> CollectionId:
        await look_once_more(batch, rooms, galaxy, history_id)
        return await galaxy.collections.build(history_id, name, type, elements, tags=tags)

    async def keep(collection_id: CollectionId) -> None:
        await rooms.store.put_galaxy_object(
            batch, key, galaxy_id=collection_id, receipt_at=rooms.clock.now(), status=Status.DONE
        )

    return await rooms.effects.once(
        "invoke.collection", intent_at=known.intent_at if known else None, look=look, note=note, act=act, keep=keep
    )


async def _copy(
    batch: Batch, rooms: Rooms, galaxy: Galaxy, history_id: HistoryId, dataset_id: DatasetId, name: str, key: str
) -> DatasetId:
    """Return a copy of a dataset in the batch's history that is made for this key alone; no bytes are copied."""
    objects = {row.key: row for row in await rooms.store.galaxy_objects(batch.id)}
    known = objects.get(key)
    if known and known.galaxy_id:
        return DatasetId(known.galaxy_id)
    taken = {row.galaxy_id for row in objects.values() if row.kind == "copy"}
    tag = clean_tag("watcher", f"{batch.id}.{key}")

    async def look() -> DatasetId | None:
        return await galaxy.datasets.find_copy(history_id, name, tag, of=dataset_id, but=taken)

    async def note(intent_at: datetime | None) -> None:
        await rooms.store.put_galaxy_object(batch, key, kind="copy", name=name, intent_at=intent_at)

    async def act() -> DatasetId:
        await look_once_more(batch, rooms, galaxy, history_id)
        return await galaxy.datasets.copy_within(history_id, dataset_id, name, [tag])

    async def keep(copy_id: DatasetId) -> None:
        await rooms.store.put_galaxy_object(
            batch, key, galaxy_id=copy_id, receipt_at=rooms.clock.now(), status=Status.DONE
        )

    return await rooms.effects.once(
        "invoke.copy", intent_at=known.intent_at if known else None, look=look, note=note, act=act, keep=keep
    )


async def look_once_more(batch: Batch, rooms: Rooms, galaxy: Galaxy, history_id: HistoryId) -> None:
    """Raise when a dataset that was checked is not good any more: NotThere, PlanError, GalaxyBusy while Galaxy works
    on one.
    """
    rows = await rooms.store.datasets(batch.id)
    found = await galaxy.datasets.many(history_id, [row.galaxy_id for row in rows])
    gone, purged, spoilt, moving = [], [], [], []
    for row in rows:
        facts = found.get(row.galaxy_id)
        if facts is None or facts.purged:
            purged.append(row.name)
        elif facts.deleted:
            gone.append(row.name)
        elif facts.state in SPOILT:
            spoilt.append(f"{row.name} ({facts.state})")
        elif facts.state != "ok":
            moving.append(f"{row.name} ({facts.state})")
    again = f"`galaxy-watcher retry {batch.unit_id} --from plan`"
    if gone or purged:
        raise NotThere(
            f"Deleted in Galaxy after it was checked: {_listed([*gone, *purged])} of batch {batch.id}. "
            "No workflow is started.",
            hint=f"Send again what is missing: {again}."
            if purged
            else f"Undelete it in Galaxy and `galaxy-watcher retry {batch.id}`, or send it again: {again}.",
        )
    if spoilt:
        raise PlanError(
            f"No longer good in Galaxy, although it was when it was checked: {_listed(spoilt)} of batch {batch.id}. "
            "No workflow is started.",
            hint=f"Send it again: {again}.",
        )
    if moving:
        raise GalaxyBusy(f"Galaxy works on {_listed(moving)} of batch {batch.id} once more.", status=None)


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(f"`{name}`" for name in names[:3])
    return f"{shown} and {len(names) - 3} more" if len(names) > 3 else shown


def _element(planned: PlannedElement, datasets: Mapping[str, Dataset]) -> Element:
    if planned.dataset:
        return Element(name=planned.name, dataset_id=datasets[planned.dataset].galaxy_id)
    return Element(name=planned.name, elements=tuple(_element(inner, datasets) for inner in planned.elements))


def _datasets_in(elements: Sequence[Element]) -> list[DatasetId]:
    found = []
    for element in elements:
        found += _datasets_in(element.elements) if element.dataset_id is None else [element.dataset_id]
    return found
