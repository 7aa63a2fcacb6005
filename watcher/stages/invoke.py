"""Stage invoke: has the workflow been asked for, once?

Each workflow of the plan that waits for nobody any more is started; `poll.py` sends the batch back here for those that
come after. What goes in is made for one attempt alone (`inputs.py`), so that the invocation can be found again by it:
Galaxy knows no idempotency key. People delete datasets by hand, and Galaxy starts workflows on those as well, so all of
them are looked at once more right before. Inputs were bound when the plan was frozen and are bound again here against
the workflow as it is now. What becomes of the invocation is the business of `poll.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from watcher.errors import NotThere
from watcher.galaxy import Galaxy
from watcher.galaxy.invocations import Started
from watcher.model import HistoryId, Next, Outcome, PlannedWorkflow, Stage, Status, Wait
from watcher.rows import Batch, Invocation
from watcher.stages.chain import current_invocations, to_start
from watcher.stages.inputs import look_once_more, prepare, reads_collection
from watcher.stages.rooms import Rooms
from watcher.stages.throttle import turn_to_start
from watcher.stages.workflow_fit import bound


async def invoke(batch: Batch, rooms: Rooms) -> Outcome:
    """Start each workflow of the plan that may start, once, and go on to follow them."""
    plan = batch.plan
    galaxy = rooms.galaxy(plan.galaxy)
    wanted = to_start(plan, await rooms.store.invocations(batch.id))
    if not wanted:
        return await _start_all(batch, rooms, galaxy, wanted)
    async with turn_to_start(batch, rooms, len(wanted)) as turn:  # asked first: who waits costs Galaxy nothing
        if isinstance(turn, Wait):
            return turn
        return await _start_all(batch, rooms, galaxy, wanted[:turn])  # `poll.py` sends it back for the others


async def _start_all(batch: Batch, rooms: Rooms, galaxy: Galaxy, wanted: Sequence[PlannedWorkflow]) -> Outcome:
    plan = batch.plan
    await galaxy.known_identity()
    if not plan.needs_history:  # then there is neither workflow nor collection
        return Next(Stage.DELIVER, "No workflow is wanted.")
    history_id = await _history(batch, rooms, galaxy)
    if not plan.workflows:
        if plan.collection is not None:
            await reads_collection(batch, rooms, galaxy, history_id, plan.collection, "collection")
        return Next(Stage.DELIVER, "No workflow is wanted.")
    for planned in wanted:
        rows = [row for row in await rooms.store.invocations(batch.id) if row.key == planned.key]
        current = next(iter(current_invocations(rows)), Invocation(batch_id=batch.id, key=planned.key, number=1))
        await _start(batch, rooms, galaxy, history_id, planned, current, rows)
    return Next(Stage.POLL, f"Galaxy runs {' and '.join(f'`{planned.ref}`' for planned in wanted or plan.workflows)}.")


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


async def _start(
    batch: Batch,
    rooms: Rooms,
    galaxy: Galaxy,
    history_id: HistoryId,
    planned: PlannedWorkflow,
    current: Invocation,
    known: Sequence[Invocation],
) -> None:
    """Ask for one workflow, or find that it was asked for."""
    binding, version = await bound(batch, galaxy, planned)
    made = await prepare(batch, rooms, galaxy, history_id, current, binding)
    earlier = {row.galaxy_id for row in known if row.galaxy_id}

    async def look() -> Started | None:
        for found in await galaxy.invocations.of_history(history_id):
            if found.id not in earlier and made.mark in found.input_refs:
                return Started(found.id, "")
        return None

    async def note(intent_at: datetime | None) -> None:
        await rooms.store.put_invocation(
            batch,
            planned.key,
            current.number,
            workflow_id=planned.workflow_id,
            intent_at=intent_at,
            status=Status.WORKING if intent_at else Status.READY,
        )

    async def act() -> Started:
        if made.is_older:
            await look_once_more(batch, rooms, galaxy, history_id)
        return await galaxy.invocations.start(
            planned.workflow_id,
            history_id,
            made.inputs,
            binding.parameters,
            version=version,
            replacement_params=planned.replacements,
            use_cached_job=planned.use_cached_job,
            allow_tool_state_corrections=planned.upgrades == "allow",
        )

    async def keep(started: Started) -> None:
        await rooms.store.put_invocation(
            batch,
            planned.key,
            current.number,
            galaxy_id=started.id,
            request_id=started.request_id,
            receipt_at=rooms.clock.now(),
            moved_at=rooms.clock.now(),
        )
        await rooms.store.journal(
            "invocation.started",
            f"Workflow `{planned.ref}` started for batch {batch.id}.",
            unit_id=batch.unit_id,
            batch_id=batch.id,
        )

    await rooms.effects.once("invoke.invocation", intent_at=current.intent_at, look=look, note=note, act=act, keep=keep)
