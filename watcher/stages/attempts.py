"""Second tries of a workflow: what a person made good in Galaxy is taken over, else it is asked for once more.

`retry` of a batch that ended leaves a wish (`AGAIN`) in its row, so that it works with the daemon up or down; the stage
poll takes it up here and reads the invocation again. A new attempt is an invocation row without an id in Galaxy, which
`invoke.py` starts on the same datasets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from watcher.galaxy import Galaxy
from watcher.model import HistoryId, PlannedWorkflow, Status
from watcher.rows import Batch, Invocation
from watcher.stages.chain import current_invocations
from watcher.stages.endings import PASSING, Ending
from watcher.stages.inputs import made_for
from watcher.stages.rooms import Rooms

AGAIN = "again"
"""Where a batch remembers a person's wish: `LOOK` at what failed before it is tried again, or `ANEW` without a look."""

LOOK, ANEW = "look", "anew"

LOOKED_AT_AGAIN = "looked_at_again"
"""Code of an invocation that ended and is read again because a person asked: bad as before, it is tried again."""


def is_to_try_again(planned: PlannedWorkflow, row: Invocation, ending: Ending) -> bool:
    """Tell whether an invocation that failed is tried again: a person wants it, or it may pass and the rule does."""
    return row.code == LOOKED_AT_AGAIN or (ending.code in PASSING and row.number <= planned.retries)


async def take_up_again(batch: Batch, rooms: Rooms, galaxy: Galaxy) -> None:
    """Carry out the wish: each workflow that is not good is read once more, or asked for anew.

    All rows change at once: whoever dies on the way finds either nothing done, or nothing left to do.
    """
    rows = current_invocations(await rooms.store.invocations(batch.id))
    open_rows = [row for row in rows if row.status is not Status.DONE]
    anew: list[tuple[Invocation, str]] = []
    changes: dict[tuple[str, int], dict[str, Any]] = {}
    if batch.more[AGAIN] == ANEW:
        for row in open_rows or rows:
            if row.galaxy_id and row.status is Status.WORKING:
                await galaxy.invocations.cancel(row.galaxy_id)
                changes[row.key, row.number] = {"status": Status.CANCELLED}
            if row.galaxy_id or row.status in (Status.FAILED, Status.CANCELLED):
                anew.append((row, "A person asked for it."))
    else:
        for row in open_rows:
            if row.status is Status.FAILED and row.galaxy_id:
                again = {"status": Status.WORKING, "code": LOOKED_AT_AGAIN, "moved_at": rooms.clock.now()}
                changes[row.key, row.number] = again
            elif row.status in (Status.FAILED, Status.CANCELLED):
                anew.append((row, "It was cancelled before."))
    await _begin_attempts(batch, rooms, anew, changes)
    await rooms.store.touch(batch, more={AGAIN: ""})


async def try_again(batch: Batch, rooms: Rooms, row: Invocation, why: str, ended: Mapping[str, Any]) -> None:
    """End an attempt with these values of its row and make that of the next one; its results are others, so deliveries
    begin anew.
    """
    await _begin_attempts(batch, rooms, [(row, why)], {(row.key, row.number): dict(ended)})


async def _begin_attempts(
    batch: Batch,
    rooms: Rooms,
    anew: Sequence[tuple[Invocation, str]],
    changes: dict[tuple[str, int], dict[str, Any]],
) -> None:
    planned = {one.key: one for one in batch.plan.workflows}
    for row, _ in anew:
        changes[row.key, row.number + 1] = {"workflow_id": planned[row.key].workflow_id}
    rooms.effects.reach("poll.attempt.intent")
    await deliver_anew(batch, rooms)
    await rooms.store.put_invocations(batch, changes)
    rooms.effects.reach("poll.attempt.act")
    for row, why in anew:
        text = f"Workflow `{planned[row.key].ref}` is asked for once more (attempt {row.number + 1}): {why}"
        await rooms.store.journal("invocation.again", text, unit_id=batch.unit_id, batch_id=batch.id)
    rooms.effects.reach("poll.attempt.receipt")


async def found_unanswered(batch: Batch, rooms: Rooms, galaxy: Galaxy, rows: Sequence[Invocation]) -> list[Invocation]:
    """Return those attempts that Galaxy was asked for without an answer and has made, with their ids."""
    if not rows:
        return []
    objects = await rooms.store.galaxy_objects(batch.id)
    history_id = next(HistoryId(row.galaxy_id) for row in objects if row.key == "history")
    known = await galaxy.invocations.of_history(history_id)
    marks = [(row, made_for(row.key, row.number, objects)) for row in rows]
    return [replace(row, galaxy_id=one.id) for row, made in marks for one in known if made & one.input_refs]


async def deliver_anew(batch: Batch, rooms: Rooms) -> None:
    """Forget how the deliveries ended: another ending wants others, and another attempt has results of its own."""
    for row in await rooms.store.deliveries(batch.id):
        await rooms.store.put_delivery(batch, row.key, status=Status.READY, intent_at=None, receipt_at=None, reason="")
