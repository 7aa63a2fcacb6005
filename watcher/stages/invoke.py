"""Stage invoke: has the workflow been asked for, once?

The collection is built from verified datasets for this one invocation, so that the invocation can be found again by
it: Galaxy knows no idempotency key. People delete datasets by hand, and Galaxy starts workflows on those as well, so
all of them are looked at once more right before. Inputs were bound when the plan was frozen and are bound again here
against the workflow as it is now. What becomes of the invocation is the business of `poll.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from watcher.errors import GalaxyBusy, NotThere, PlanError
from watcher.galaxy import Galaxy
from watcher.galaxy.bind import Binding, bind
from watcher.galaxy.collections import Element
from watcher.galaxy.histories import clean_tag
from watcher.model import (
    CollectionId,
    DatasetId,
    HistoryId,
    InvocationId,
    Next,
    Outcome,
    PlannedCollection,
    PlannedElement,
    PlannedWorkflow,
    Stage,
    Status,
    Wait,
)
from watcher.rows import Batch, Dataset, Invocation
from watcher.stages.rooms import Rooms

SLOT_PAUSE = timedelta(seconds=5)
SPOILT = frozenset({"discarded", "empty", "error", "failed_metadata"})
"""States in which a dataset stays; in all others but `ok` Galaxy still works on it."""


async def invoke(batch: Batch, rooms: Rooms) -> Outcome:
    """Build the collection, start each workflow of the plan once, and go on to follow them."""
    plan = batch.plan
    galaxy = rooms.galaxy(plan.galaxy)
    if plan.workflows and await _full(batch, rooms):  # asked first: who waits for a slot costs Galaxy nothing
        return Wait(SLOT_PAUSE, "Galaxy runs as many workflows at a time as the limit allows.", "workflow_slots")
    await galaxy.known_identity()
    if not plan.needs_history:  # then there is neither workflow nor collection
        return Next(Stage.DELIVER, "No workflow is wanted.")
    history_id = await _history(batch, rooms, galaxy)
    if not plan.workflows:
        if plan.collection is not None:
            await _collection(batch, rooms, galaxy, history_id, plan.collection, "collection")
        return Next(Stage.DELIVER, "No workflow is wanted.")
    for planned in plan.workflows:
        known = [row for row in await rooms.store.invocations(batch.id) if row.key == planned.key]
        current = max(known, key=lambda row: row.number, default=None)
        if current is None or current.status in (Status.FAILED, Status.CANCELLED):
            current = Invocation(batch_id=batch.id, key=planned.key, number=current.number + 1 if current else 1)
        if current.galaxy_id:
            continue
        if current.number > 1:
            await _deliver_anew(batch, rooms)
        await _start(batch, rooms, galaxy, history_id, planned, current, known)
    return Next(Stage.POLL, f"Galaxy runs {' and '.join(f'`{planned.ref}`' for planned in plan.workflows)}.")


async def _full(batch: Batch, rooms: Rooms) -> bool:
    """Tell whether as many batches of this account are being followed as `limits.invocations` allows.

    Those that ask at the same moment count in the order of their ids, or all of them would find the last slot free.
    """
    followed = await rooms.store.batches(stage=Stage.POLL, status={Status.READY, Status.WORKING, Status.WAITING})
    asking = await rooms.store.batches(stage=Stage.INVOKE, status={Status.WORKING})
    before = [one for one in asking if one.plan.workflows and one.id < batch.id]
    others = [one for one in (*followed, *before) if one.plan.galaxy == batch.plan.galaxy and one.id != batch.id]
    return len(others) >= rooms.settings.limits.invocations


async def _deliver_anew(batch: Batch, rooms: Rooms) -> None:
    """Forget what was delivered of an attempt that failed: the next one has results of its own."""
    for row in await rooms.store.deliveries(batch.id):
        await rooms.store.put_delivery(batch, row.key, status=Status.READY, intent_at=None, receipt_at=None, reason="")


async def _history(batch: Batch, rooms: Rooms, galaxy: Galaxy) -> HistoryId:
    known = next(row for row in await rooms.store.galaxy_objects(batch.id) if row.key == "history")
    history_id = HistoryId(known.galaxy_id)
    facts = await galaxy.histories.get(history_id)
    if facts.deleted or facts.purged:  # Galaxy would take an invocation there and never run it
        raise NotThere(
            f"The history `{known.name}` of batch {batch.id} was deleted in Galaxy.",
            hint=f"Undelete it and `galaxy-watcher retry {batch.id}`, or `galaxy-watcher cancel {batch.id}`.",
        )
    return history_id


async def _collection(
    batch: Batch, rooms: Rooms, galaxy: Galaxy, history_id: HistoryId, planned: PlannedCollection, key: str
) -> CollectionId:
    """Return the id of the collection made for `key`, built once from verified datasets."""
    datasets = {row.key: row for row in await rooms.store.datasets(batch.id)}
    objects = {row.key: row for row in await rooms.store.galaxy_objects(batch.id)}
    known = objects.get(key)
    if known and known.galaxy_id:
        return CollectionId(known.galaxy_id)
    taken = {row.galaxy_id for row in objects.values() if row.kind == "collection" and row.galaxy_id}
    tag = f"watcher:{batch.id}"
    tags = (tag, clean_tag("run", batch.plan.run))
    elements = [_element(element, datasets) for element in planned.elements]

    async def look() -> CollectionId | None:
        found = await galaxy.collections.find(history_id, planned.name, tag, of=_datasets_in(elements), but=taken)
        if found is not None:  # the cut may have been between making and tagging
            await galaxy.collections.mark(history_id, found, tags)
        return found

    async def note(intent_at: datetime | None) -> None:
        await rooms.store.put_galaxy_object(batch, key, kind="collection", name=planned.name, intent_at=intent_at)

    async def act() -> CollectionId:
        await _look_once_more(batch, rooms, galaxy, history_id)
        return await galaxy.collections.build(history_id, planned.name, planned.type, elements, tags=tags)

    async def keep(collection_id: CollectionId) -> None:
        await rooms.store.put_galaxy_object(
            batch, key, galaxy_id=collection_id, receipt_at=rooms.clock.now(), status=Status.DONE
        )

    return await rooms.effects.once(
        "invoke.collection", intent_at=known.intent_at if known else None, look=look, note=note, act=act, keep=keep
    )


async def _look_once_more(batch: Batch, rooms: Rooms, galaxy: Galaxy, history_id: HistoryId) -> None:
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


async def _start(
    batch: Batch,
    rooms: Rooms,
    galaxy: Galaxy,
    history_id: HistoryId,
    planned: PlannedWorkflow,
    current: Invocation,
    known: list[Invocation],
) -> None:
    if batch.plan.collection is None:
        raise PlanError(
            f"Rule `{batch.plan.rule}` starts a workflow but makes no collection.",
            hint="Set `collection:` in its destination.",
        )
    key = f"collection:{planned.key}:{current.number}"
    is_older = any(row.key == key and row.galaxy_id for row in await rooms.store.galaxy_objects(batch.id))
    collection_id = await _collection(batch, rooms, galaxy, history_id, batch.plan.collection, key)
    binding, version = await _bound(batch, galaxy, planned)
    earlier = {row.galaxy_id for row in known if row.galaxy_id}

    async def look() -> InvocationId | None:
        for found in await galaxy.invocations.of_history(history_id):
            if found.id not in earlier and collection_id in found.input_ids:
                return found.id
        return None

    async def note(intent_at: datetime | None) -> None:
        await rooms.store.put_invocation(
            batch,
            planned.key,
            current.number,
            workflow_id=planned.workflow_id,
            intent_at=intent_at,
            status=Status.WORKING,
        )

    async def act() -> InvocationId:
        if is_older:
            await _look_once_more(batch, rooms, galaxy, history_id)
        started = await galaxy.invocations.start(
            planned.workflow_id, history_id, binding.inputs(collection_id), binding.parameters, version=version
        )
        return started.id

    async def keep(invocation_id: InvocationId) -> None:
        await rooms.store.put_invocation(
            batch, planned.key, current.number, galaxy_id=invocation_id, receipt_at=rooms.clock.now()
        )
        await rooms.store.journal(
            "invocation.started",
            f"Workflow `{planned.ref}` started for batch {batch.id}.",
            unit_id=batch.unit_id,
            batch_id=batch.id,
        )

    await rooms.effects.once("invoke.invocation", intent_at=current.intent_at, look=look, note=note, act=act, keep=keep)


async def _bound(batch: Batch, galaxy: Galaxy, planned: PlannedWorkflow) -> tuple[Binding, int | None]:
    """Bind the plan's inputs against the workflow as it is now; PlanError when it changed underneath.

    Returns the version that was read as well, so that no other one is started.
    """
    facts = await galaxy.workflows.read(planned.workflow_id)
    if planned.uuid and facts.uuid and facts.uuid != planned.uuid:
        raise PlanError(
            f"The workflow `{planned.ref}` was changed in Galaxy after batch {batch.id} was planned.",
            hint=f"Look at it, then `galaxy-watcher retry {batch.unit_id} --from plan`.",
        )
    collection = batch.plan.collection
    binding = bind(facts, planned.inputs, planned.steps, collection.type if collection else "", planned.cells)
    if binding.problems:
        raise PlanError(
            f"The workflow `{planned.ref}` cannot be started for batch {batch.id}: {' '.join(binding.problems)}",
            hint=f"Correct the rule `{batch.plan.rule}`, then `galaxy-watcher retry {batch.unit_id} --from plan`.",
        )
    return binding, facts.version
