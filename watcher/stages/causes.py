"""Why jobs of an invocation did not end well, and what the watcher itself can do about it, for `poll.py`.

Asked only once nothing moves any more and counts are not all good. A full account is the one cause that passes without
a person: Galaxy leaves jobs that it paused for it where they are, also when there is room again, until somebody asks it
to go on (measured on 24.1.4 to 26.1.2).
"""

from __future__ import annotations

from collections.abc import Sequence

from watcher.errors import OverQuota
from watcher.galaxy import Galaxy
from watcher.galaxy.invocation_answers import InvocationDetail
from watcher.galaxy.job_failures import JobFailure, PauseCause
from watcher.model import HistoryId
from watcher.rows import Batch
from watcher.stages.endings import PAUSED, Ending
from watcher.stages.rooms import Rooms

RESUME = "resume"
"""Where a batch remembers that a person wants its paused jobs to go on."""


async def resume(batch: Batch, rooms: Rooms, galaxy: Galaxy, ending: Ending, failures: Sequence[JobFailure]) -> bool:
    """Ask Galaxy to go on with paused jobs, when their cause has passed or a person says so; False when neither is so.

    Raises OverQuota while the account is full. A job that still cannot go on is paused again by Galaxy.
    """
    if ending.cause is PauseCause.QUOTA:
        used, limit = await galaxy.users.quota()
        if limit is not None and used >= limit:
            full = OverQuota(
                f"Jobs of batch {batch.id} are paused: the account `{batch.plan.galaxy}` uses {used} of {limit} bytes.",
                hint="Free space in Galaxy or ask for a larger quota; the watcher goes on by itself.",
            )
            full.subject = batch.plan.galaxy
            raise full
    elif not batch.more.get(RESUME):
        return False
    rooms.effects.reach("poll.resume.intent")
    for failure in failures:
        if failure.state == PAUSED:
            await galaxy.jobs.resume(failure.job)
    rooms.effects.reach("poll.resume.act")
    await rooms.store.touch(batch, more={RESUME: False})
    rooms.effects.reach("poll.resume.receipt")
    return True


async def deleted_inputs(batch: Batch, rooms: Rooms, galaxy: Galaxy, history_id: HistoryId) -> str:
    """Return which of the batch's own datasets somebody deleted, whatever Galaxy makes of it; "" for none."""
    rows = {row.galaxy_id: row.name for row in await rooms.store.datasets(batch.id) if row.galaxy_id}
    facts = await galaxy.datasets.many(history_id, list(rows))
    names = [name for one, name in rows.items() if one not in facts or facts[one].deleted or facts[one].purged]
    shown = ", ".join(f"`{name}`" for name in names[:3]) + (f" and {len(names) - 3} more" if names[3:] else "")
    return f"{shown} {'was' if len(names) == 1 else 'were'} deleted in Galaxy" if names else ""


def not_scheduled(batch: Batch, details: Sequence[InvocationDetail]) -> Ending:
    """Return the ending of a workflow that Galaxy gave up before all of its jobs were there."""
    told = "; ".join(text for detail in details for text in detail.message_texts) or "no reason given"
    # What the scheduler stumbled over may not be there the next time; all other reasons are the workflow's own.
    code = "not_scheduled" if "unexpected_failure" in told else "schedule_refused"
    return Ending("failed", f"Galaxy could not schedule the workflow of batch {batch.id}: {told}.", code)
