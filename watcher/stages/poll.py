"""Stage poll: how did it truly end?

Success is read from job counts, never from the state of the invocation: `completed` only means that nothing moves any
more. Below Galaxy 26.0 the counts of the outer invocation are blind to subworkflows, so every inner invocation is
asked for in the same request (measured on 24.1.4 to 26.1.2). Whatever the ending, the batch goes on to `deliver.py`,
which chooses by it.
"""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

from watcher.errors import NotThere
from watcher.galaxy import Galaxy
from watcher.galaxy.invocation_answers import InvocationDetail, JobCounts
from watcher.model import DatasetId, HistoryId, Hold, InvocationId, Next, Outcome, Stage, Status, Wait
from watcher.rows import Batch, Invocation
from watcher.stages.rooms import Rooms

GOOD = frozenset({"ok", "skipped"})
BAD = frozenset({"error", "deleted", "deleting", "failed", "stopped", "stop"})
LAST_WORDS = 400
SHORTEST, LONGEST = timedelta(seconds=1), timedelta(seconds=60)


async def poll(batch: Batch, rooms: Rooms) -> Outcome:
    """Follow every invocation of the batch until no job moves any more."""
    galaxy = rooms.galaxy(batch.plan.galaxy)
    history_id = next(
        HistoryId(row.galaxy_id) for row in await rooms.store.galaxy_objects(batch.id) if row.key == "history"
    )
    waits: list[Wait] = []
    for row in current_invocations(await rooms.store.invocations(batch.id)):
        if row.status not in (Status.WORKING, Status.READY, Status.WAITING):
            continue
        outcome = await _follow(batch, rooms, galaxy, history_id, row)
        if isinstance(outcome, Hold):
            return outcome
        if outcome is not None:
            waits.append(outcome)
    if waits:
        return min(waits, key=lambda wait: wait.after)
    rows = current_invocations(await rooms.store.invocations(batch.id))
    if any(row.status is Status.CANCELLED for row in rows) or len(rows) < len(batch.plan.workflows):
        return Next(Stage.INVOKE, "The workflow was cancelled before; it is started once more.")
    failed = [row for row in rows if row.status is Status.FAILED]
    return Next(Stage.DELIVER, " ".join(row.reason for row in failed) or "The workflow ended well.")


def current_invocations(rows: list[Invocation]) -> list[Invocation]:
    """Return the latest attempt of each workflow."""
    latest: dict[str, Invocation] = {}
    for row in sorted(rows, key=lambda row: row.number):
        latest[row.key] = row
    return list(latest.values())


async def _follow(
    batch: Batch, rooms: Rooms, galaxy: Galaxy, history_id: HistoryId, row: Invocation
) -> Wait | Hold | None:
    """Return None when the invocation has ended (its row says how), else what to wait for."""
    age = rooms.clock.now() - (row.receipt_at or rooms.clock.now())
    pause = min(max(age / 10, SHORTEST), LONGEST)
    detail = await galaxy.invocations.get(row.galaxy_id)
    ids = (row.galaxy_id, *(() if not detail.subworkflow_ids else await galaxy.invocations.nested(row.galaxy_id)))
    answer = await rooms.rounds.counts(galaxy, history_id, ids, fresh_s=pause.total_seconds() / 2)
    counts: Counter[str] = Counter()
    inner = ids[1:] if not (await galaxy.known_identity()).features.outer_counts_include_nested else ()
    for one in (row.galaxy_id, *inner):
        counts.update(answer[one].states if one in answer else {})
    await rooms.store.put_invocation(batch, row.key, row.number, state=detail.state, counts=dict(counts))
    verdict = ending(detail, counts, all_scheduled=all(_scheduled(answer.get(one)) for one in ids))
    if verdict == "running":
        return Wait(pause, f"Galaxy runs the workflow: {_told(counts)}.", "workflow_runs")
    rooms.rounds.forget(galaxy, ids)
    if (await galaxy.histories.get(history_id)).deleted:  # its jobs end well all the same, and their results vanish
        raise NotThere(
            f"The history of batch {batch.id} was deleted in Galaxy while the workflow ran.",
            hint=f"Undelete it and `galaxy-watcher retry {batch.id}`, or `galaxy-watcher cancel {batch.id}`.",
        )
    if verdict == "ok":
        await rooms.store.put_invocation(batch, row.key, row.number, status=Status.DONE)
        return None
    reason = await _reason(batch, rooms, galaxy, history_id, detail, ids, counts)
    if verdict == "paused":
        return Hold(
            reason,
            "workflow_paused",
            hint=f"Resume or re-run the paused jobs in Galaxy, then `galaxy-watcher retry {batch.id}`.",
        )
    await rooms.store.put_invocation(batch, row.key, row.number, status=Status.FAILED, reason=reason)
    return None


def _scheduled(counts: JobCounts | None) -> bool:
    return counts is not None and counts.populated not in ("new", "")


def ending(detail: InvocationDetail, counts: Counter[str], *, all_scheduled: bool) -> str:
    """Tell how an invocation stands: `running`, `ok`, `paused` or `failed`.

    Ended means: scheduling is over and every job is in a terminal state, where `paused` counts as terminal because
    nothing moves it but a person. An error beside paused jobs is a failure: the paused ones only wait for its output.
    """
    if detail.state in ("cancelled", "cancelling", "failed"):
        return "failed"
    moving = sum(count for state, count in counts.items() if state not in GOOD | BAD | {"paused"})
    if detail.state not in ("scheduled", "completed") or moving or not all_scheduled:
        return "running"
    if any(counts[state] for state in BAD):
        return "failed"
    return "paused" if counts["paused"] else "ok"


def _told(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {state}" for state, count in sorted(counts.items()) if count) or "no job yet"


async def _reason(
    batch: Batch,
    rooms: Rooms,
    galaxy: Galaxy,
    history_id: HistoryId,
    detail: InvocationDetail,
    ids: tuple[InvocationId, ...],
    counts: Counter[str],
) -> str:
    """Say why a workflow did not end well: cancelled, paused, or the first failed job's last words."""
    told_by_galaxy = "; ".join(detail.message_texts) or "no reason given"
    if detail.state in ("cancelled", "cancelling"):
        return f"The workflow of batch {batch.id} was cancelled in Galaxy ({told_by_galaxy})."
    if failed := await _first_failed_job(galaxy, ids):
        return f"{failed} ({_told(counts)})."
    if counts["paused"]:
        cause = (
            await _deleted_inputs(batch, rooms, galaxy, history_id)
            or await _pause_cause(galaxy, history_id)
            or "an input failed, or a person paused them"
        )
        return f"{counts['paused']} jobs of batch {batch.id} are paused in Galaxy: {cause}."
    if detail.state == "failed":
        return f"Galaxy could not schedule the workflow of batch {batch.id}: {told_by_galaxy}."
    return f"Jobs of batch {batch.id} were deleted in Galaxy ({_told(counts)})."


async def _first_failed_job(galaxy: Galaxy, ids: tuple[InvocationId, ...]) -> str:
    for invocation_id in ids:
        for job in await galaxy.jobs.of_invocation(invocation_id):
            if job.state in ("error", "failed"):
                told = await galaxy.jobs.detail(job.id)
                words = (told.stderr or told.stdout or " ".join(told.messages)).strip()[-LAST_WORDS:]
                return f"Tool `{job.tool_id}` failed with exit code {told.exit_code}{f': {words}' if words else ''}"
    return ""


async def _deleted_inputs(batch: Batch, rooms: Rooms, galaxy: Galaxy, history_id: HistoryId) -> str:
    """Return which of the batch's own datasets somebody deleted, whatever Galaxy makes of it."""
    rows = {row.galaxy_id: row.name for row in await rooms.store.datasets(batch.id)}
    facts = await galaxy.datasets.many(history_id, list(rows))
    names = [name for one, name in rows.items() if one not in facts or facts[one].deleted or facts[one].purged]
    return f"{', '.join(f'`{name}`' for name in names)} was deleted in Galaxy" if names else ""


async def _pause_cause(galaxy: Galaxy, history_id: HistoryId) -> str:
    """Return what Galaxy writes on the first paused output."""
    for content in await galaxy.histories.contents(HistoryId(history_id)):
        if content.kind == "dataset" and content.state == "paused":
            return (await galaxy.datasets.get(DatasetId(content.id))).misc_info.strip().rstrip(".")
    return ""
