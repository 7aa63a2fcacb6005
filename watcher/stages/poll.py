"""Stage poll: how did it truly end?

Counts of jobs come in rounds (`rounds.py`), a request for each hundred invocations; an invocation itself is read only
when none of its jobs moves any more. Below Galaxy 26.0 the counts of the outer invocation are blind to
subworkflows, so every inner one is counted beside it (measured on 24.1.4 to 26.1.2). What the answers mean is told by
`endings.py`. Whatever the ending, the batch goes on to `deliver.py`, which chooses by it; first comes what waits for a
workflow that ended well, or a second try.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from watcher.errors import GalaxyBroken, NotThere, Refused
from watcher.galaxy import Galaxy
from watcher.galaxy.invocation_answers import InvocationDetail
from watcher.galaxy.job_failures import JobFailure, PauseCause
from watcher.model import DatasetId, HistoryId, Hold, InvocationId, Next, Outcome, PlannedWorkflow, Stage, Status, Wait
from watcher.rows import Batch, Invocation
from watcher.stages.attempts import AGAIN, LOOKED_AT_AGAIN, is_to_try_again, take_up_again, try_again
from watcher.stages.causes import deleted_inputs, not_scheduled, resume
from watcher.stages.chain import current_invocations, never_started, running, to_start
from watcher.stages.endings import PAUSED, Ending, counts_of, first_look, is_populated, judged, moving, told_counts
from watcher.stages.records import keep_record
from watcher.stages.reviews import has_review, review
from watcher.stages.rooms import Rooms
from watcher.stages.rounds import pause_after
from watcher.stages.throttle import may_start

STUCK = "workflow_stuck"


async def poll(batch: Batch, rooms: Rooms) -> Outcome:
    """Follow every invocation of the batch until no job moves any more, then go on with what comes after it."""
    galaxy = rooms.galaxy(batch.plan.galaxy)
    history_id = next(
        HistoryId(row.galaxy_id) for row in await rooms.store.galaxy_objects(batch.id) if row.key == "history"
    )
    if batch.more.get(AGAIN):
        await take_up_again(batch, rooms, galaxy)
    waits: list[Wait] = []
    holds: list[Hold] = []
    for row in running(await rooms.store.invocations(batch.id)):
        outcome = await _follow(batch, rooms, galaxy, history_id, row, is_told=not holds)
        if isinstance(outcome, Hold):
            holds.append(outcome)
        elif outcome is not None:
            waits.append(outcome)
    rows = await rooms.store.invocations(batch.id)
    # Beside one that runs it is followed on while there is no slot: in line nobody would see that one's end.
    if to_start(batch.plan, rows) and (holds or not waits or await may_start(batch, rooms)):
        return Next(Stage.INVOKE, _next_told(batch, rows))
    if waits:  # what stands still beside it is held for once nothing else is to be followed
        first = min(waits, key=lambda wait: wait.after)
        return replace(first, reason=" ".join([first.reason, *(hold.reason for hold in holds)]))
    if holds:
        return holds[0]
    failed = [row for row in current_invocations(rows) if row.status is Status.FAILED]
    kept = [row.reason for row in current_invocations(rows) if row.status is Status.DONE and row.reason]
    skipped = [f"`{planned.ref}` was not started." for planned in never_started(batch.plan, rows)]
    return Next(
        Stage.DELIVER, " ".join([*(row.reason for row in failed), *skipped, *kept]) or "The workflow ended well."
    )


def _next_told(batch: Batch, rows: Sequence[Invocation]) -> str:
    names = " and ".join(f"`{planned.ref}`" for planned in to_start(batch.plan, rows))
    return f"Now comes {names}."


async def _follow(
    batch: Batch, rooms: Rooms, galaxy: Galaxy, history_id: HistoryId, row: Invocation, *, is_told: bool
) -> Wait | Hold | None:
    """Return None when the invocation has ended (its row says how), else what to wait for; a hold `is_told` when none
    comes before it.
    """
    planned = next(one for one in batch.plan.workflows if one.key == row.key)
    pause = pause_after(row.receipt_at, rooms.clock.now())
    ids = (row.galaxy_id, *row.inner)
    try:
        answer = await rooms.rounds.counts(galaxy, history_id, ids, fresh_s=pause.total_seconds() / 2)
    except GalaxyBroken:
        await _refuse_unknown(batch, galaxy, planned, row)
        raise
    outer_has_all = (await galaxy.known_identity()).features.outer_counts_include_nested
    counts = counts_of(ids, answer, outer_has_all=outer_has_all)
    row = await _note_moves(batch, rooms, row, dict(counts))
    if moving(counts) or not (counts or is_populated(answer.get(row.galaxy_id)) or has_review(planned)):
        return await _stuck(batch, rooms, galaxy, planned, row) or _still_running(row, pause)
    details = await _read(batch, rooms, galaxy, row)
    row = await rooms.store.put_invocation(
        batch, row.key, row.number, state=details[0].state, inner=[one.id for one in details[1:]]
    )
    rooms.rounds.expect(galaxy, row.inner)
    all_scheduled = all(is_populated(answer.get(detail.id)) for detail in details)
    verdict = first_look(details, counts, all_scheduled=all_scheduled)
    if verdict == "review":
        return await review(batch, rooms, galaxy, planned, details, is_told=is_told)
    if verdict == "running":
        return await _stuck(batch, rooms, galaxy, planned, row) or _still_running(row, pause)
    rooms.rounds.forget(galaxy, [detail.id for detail in details])
    await _refuse_deleted_history(batch, galaxy, history_id)
    is_again = row.code == LOOKED_AT_AGAIN
    failures, replaced = await _failures(galaxy, history_id, details, is_again) if verdict == "bad" else ((), {})
    ending = await _ending(batch, rooms, galaxy, history_id, planned, details, failures, verdict)
    if ending.kind == PAUSED:
        if await resume(batch, rooms, galaxy, ending, failures):
            return Wait(pause, "Galaxy was asked to go on with paused jobs.", "resumed")
        return Hold(
            ending.reason,
            ending.code,
            hint=f"Put right what is named, then `galaxy-watcher retry {batch.id}` lets them go on; or resume them in"
            f" Galaxy. `galaxy-watcher retry {batch.id} --from invoke` starts the workflow anew.",
        )
    await keep_record(batch, rooms, galaxy, row, details)
    await _conclude(batch, rooms, planned, row, ending, replaced)
    return None


async def _failures(
    galaxy: Galaxy, history_id: HistoryId, details: Sequence[InvocationDetail], is_again: bool
) -> tuple[list[JobFailure], dict[DatasetId, DatasetId]]:
    """Return the jobs that did not end well; when a person wants it looked at again, without those that were run again
    by hand with success, whose results are returned by the datasets they stand for.

    Such a job stays outside of the invocation, whose counts keep the failed one for good (measured on 24.1.4, 26.1.2).
    """
    failures = await galaxy.jobs.failed_in(details)
    waits = any(failure.state == PAUSED for failure in failures)
    found: list[dict[DatasetId, DatasetId]] = []
    for failure in failures:
        is_asked = is_again and failure.state != PAUSED
        found.append(await galaxy.jobs.rerun_of(history_id, failure, something_waits=waits) if is_asked else {})
    claims = Counter(new for made in found for new in made.values())
    left, replaced = [], dict[DatasetId, DatasetId]()
    for failure, made in zip(failures, found, strict=True):
        # Two steps may give one tool the same inputs: a job that could stand for both proves nothing of either.
        if made and all(claims[new] == 1 for new in made.values()):
            replaced |= made
        else:
            left.append(failure)
    return left, replaced


async def _note_moves(batch: Batch, rooms: Rooms, row: Invocation, counts: dict[str, int]) -> Invocation:
    if counts == row.counts and row.moved_at is not None:
        return row
    return await rooms.store.put_invocation(batch, row.key, row.number, counts=counts, moved_at=rooms.clock.now())


async def _read(batch: Batch, rooms: Rooms, galaxy: Galaxy, row: Invocation) -> list[InvocationDetail]:
    """Return the invocation and those of all its subworkflows, however deep, outer ones first."""
    found = [await galaxy.invocations.detailed(row.galaxy_id)]
    for detail in found:
        known = {one.id for one in found}
        found += [await galaxy.invocations.detailed(inner) for inner in detail.subworkflow_ids if inner not in known]
    return found


def _still_running(row: Invocation, pause: timedelta) -> Wait:
    return Wait(pause, f"Galaxy runs the workflow: {told_counts(row.counts)}.", "workflow_runs")


async def _stuck(batch: Batch, rooms: Rooms, galaxy: Galaxy, planned: PlannedWorkflow, row: Invocation) -> Hold | None:
    """Return a hold when no job has moved for too long: the node of a job may be gone, and Galaxy never notices."""
    still_s = (rooms.clock.now() - (row.moved_at or rooms.clock.now())).total_seconds()
    if still_s < planned.stuck_after_s:
        return None
    state = (await galaxy.invocations.get(row.galaxy_id)).state
    await rooms.store.put_invocation(batch, row.key, row.number, state=state)  # a change of it ends the hold
    since = row.moved_at.isoformat(timespec="minutes") if row.moved_at else "its start"
    return Hold(
        f"No job of the workflow `{planned.ref}` has moved since {since}: {told_counts(row.counts)}.",
        STUCK,
        hint=f"Look at its jobs in Galaxy. When one moves, it goes on by itself; `galaxy-watcher cancel {row.batch_id}`"
        " ends it.",
    )


async def _refuse_unknown(batch: Batch, galaxy: Galaxy, planned: PlannedWorkflow, row: Invocation) -> None:
    """Jobs of an invocation that Galaxy does not know are an internal error of it; only the invocation itself tells."""
    try:
        await galaxy.invocations.get(row.galaxy_id)
    except (NotThere, Refused) as error:
        raise NotThere(
            f"Galaxy does not know the invocation {row.galaxy_id} of workflow `{planned.ref}` any more.",
            hint="Was its database put back to an earlier state, or is another server behind its address?"
            f" `galaxy-watcher retry {batch.id} --from invoke` starts the workflow anew.",
            status=error.status,
            request_id=error.request_id,
        ) from error


async def _refuse_deleted_history(batch: Batch, galaxy: Galaxy, history_id: HistoryId) -> None:
    """Jobs in a deleted history end well all the same, and their results vanish."""
    if (await galaxy.histories.get(history_id)).deleted:
        raise NotThere(
            f"The history of batch {batch.id} was deleted in Galaxy while the workflow ran.",
            hint=f"Undelete it and `galaxy-watcher retry {batch.id}`, or `galaxy-watcher cancel {batch.id}`.",
        )


async def _ending(
    batch: Batch,
    rooms: Rooms,
    galaxy: Galaxy,
    history_id: HistoryId,
    planned: PlannedWorkflow,
    details: Sequence[InvocationDetail],
    failures: Sequence[JobFailure],
    verdict: str,
) -> Ending:
    """Say how it ended, and why, from the jobs themselves where they did not all end well."""
    if verdict == "ok":
        return Ending("ok")
    if verdict == "failed":
        return not_scheduled(batch, details)
    if verdict == "cancelled":
        why = "; ".join(text for detail in details for text in detail.message_texts) or "no reason given"
        return Ending("failed", f"The workflow of batch {batch.id} was cancelled in Galaxy ({why}).", "cancelled_there")
    reads = batch.plan.collection
    total = len(reads.elements) if reads is not None and reads.type.startswith("list") else 0
    ending = judged(planned, failures, total, _places(details), _after(planned))
    if ending.kind == PAUSED and (gone := await deleted_inputs(batch, rooms, galaxy, history_id)):
        return replace(ending, reason=f"{ending.reason.rstrip('.')}: {gone}.", cause=PauseCause.DELETED_INPUT)
    return ending


def _places(details: Sequence[InvocationDetail]) -> dict[InvocationId, int]:
    """Return the step of the outer workflow that each inner invocation belongs to."""
    places: dict[InvocationId, int] = {}
    for detail in details:
        for step in detail.steps:
            if step.subworkflow_invocation_id:
                inner = InvocationId(step.subworkflow_invocation_id)
                places[inner] = places.get(detail.id, step.index)
    return places


def _after(planned: PlannedWorkflow) -> dict[int, list[int]]:
    """Return the steps that hang on each step, at any distance, as the plan saw the workflow."""
    takers: dict[int, set[int]] = defaultdict(set)
    for step in planned.digest.get("steps", ()):
        for links in step["connections"].values():
            for source, _ in links:
                takers[source].add(step["index"])
    return {step: sorted(_reached(takers, step)) for step in list(takers)}


def _reached(takers: Mapping[int, set[int]], start: int) -> set[int]:
    found: set[int] = set()
    waiting = [start]
    while waiting:
        more = takers.get(waiting.pop(), set()) - found
        found |= more
        waiting += more
    return found


async def _conclude(
    batch: Batch,
    rooms: Rooms,
    planned: PlannedWorkflow,
    row: Invocation,
    ending: Ending,
    replaced: Mapping[DatasetId, DatasetId],
) -> None:
    """Store the ending, and with it the row of the next attempt where there is to be one."""
    is_well = ending.kind == "ok"
    reason = ending.reason
    if is_well and replaced:
        reason = f"{len(replaced)} results are of jobs that were run again by hand in Galaxy. {reason}".strip()
    ended: dict[str, Any] = {
        "status": Status.DONE if is_well else Status.FAILED,
        "reason": reason,
        "code": ending.code,
        "samples": dict(ending.samples),
        "replaced": dict(replaced),
    }
    if not is_well and is_to_try_again(planned, row, ending):
        await try_again(batch, rooms, row, reason, ended)
    else:
        await rooms.store.put_invocation(batch, row.key, row.number, **ended)
