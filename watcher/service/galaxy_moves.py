"""Holds for a workflow that stands still end by themselves when something moves in Galaxy: a review is confirmed, a
paused job resumed, a stuck one ends.

Asked with the probes, once a minute: job counts of a hundred in one request, and of those that did not change the state
of the invocation, since a review that is refused moves no job. The stage poll finds out what it means.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import structlog

from watcher.errors import Forbidden, GalaxyBroken, NotThere, PlanError, Refused, Superseded, WatcherError
from watcher.galaxy import Galaxy
from watcher.galaxy.invocation_answers import JobCounts
from watcher.model import HistoryId, InvocationId, Stage, Status
from watcher.rows import Batch, Invocation
from watcher.service.engine import wake_finish
from watcher.stages.chain import running
from watcher.stages.endings import WORKFLOW_PAUSED, counts_of
from watcher.stages.poll import STUCK
from watcher.stages.reviews import REVIEW
from watcher.stages.rooms import Rooms

log = structlog.get_logger("watcher")

STANDING_STILL = (REVIEW, STUCK, WORKFLOW_PAUSED)
"""Codes of holds that end when Galaxy moves."""


async def release_moved_holds(rooms: Rooms) -> int:
    """Send held batches back to work whose workflow has moved in Galaxy; return how many went."""
    by_account: dict[str, list[tuple[Batch, list[Invocation]]]] = defaultdict(list)
    for batch in await rooms.store.batches(stage=Stage.POLL, status={Status.HELD}):
        if batch.code in STANDING_STILL:
            by_account[batch.plan.galaxy].append((batch, running(await rooms.store.invocations(batch.id))))
    released = 0
    for account, held in by_account.items():
        try:
            moved = await _moved(rooms, rooms.galaxy(account), held)
        except (PlanError, WatcherError) as error:  # away, or not configured any more: asked again with the next probe
            log.debug("hold.not_looked_at", subject=account, reason=str(error))
            continue
        for batch in moved:
            try:
                await rooms.store.move(batch, status=Status.READY, reason="Something moved in Galaxy.")
            except Superseded:  # a person was faster
                continue
            await wake_finish(rooms.store, batch.unit_id)  # or the unit looks held while its batch goes on
            await rooms.store.journal(
                "hold.released", "Something moved in Galaxy.", unit_id=batch.unit_id, batch_id=batch.id
            )
            released += 1
    return released


def _differ(now: str, before: str) -> bool:
    """Tell whether somebody moved an invocation: Galaxy itself calls one completed soon after all is scheduled, with
    jobs that are paused as well (measured on 26.1.2).
    """
    return now != before and not {now, before} <= {"scheduled", "completed"}


async def _moved(rooms: Rooms, galaxy: Galaxy, held: Sequence[tuple[Batch, list[Invocation]]]) -> list[Batch]:
    """Return those in which something moved; also one whose workflow Galaxy does not know any more, which the stage
    poll tells.
    """
    ids = [one for _, rows in held for row in rows for one in (row.galaxy_id, *row.inner)]
    history = next(
        HistoryId(row.galaxy_id) for row in await rooms.store.galaxy_objects(held[0][0].id) if row.key == "history"
    )
    outer_has_all = (await galaxy.known_identity()).features.outer_counts_include_nested
    try:
        answer = await galaxy.invocations.counts(history, ids)
    except GalaxyBroken:  # one that it does not know fails the request for all of them
        answer = await _one_by_one(galaxy, history, [row for _, rows in held for row in rows])
    moved = []
    for batch, rows in held:
        for row in rows:
            counts = counts_of((row.galaxy_id, *row.inner), answer, outer_has_all=outer_has_all)
            try:
                is_other = row.galaxy_id not in answer or dict(counts) != row.counts
                if is_other or _differ(await _state(galaxy, row), row.state):
                    moved.append(batch)
                    break
            except GalaxyBroken as error:  # it may be this one alone: the others are looked at all the same
                log.debug("hold.not_looked_at", batch=batch.id, reason=error.message)
    return moved


async def _one_by_one(galaxy: Galaxy, history: HistoryId, rows: Sequence[Invocation]) -> dict[InvocationId, JobCounts]:
    """Return the counts of those that Galaxy knows."""
    found: dict[InvocationId, JobCounts] = {}
    for row in rows:
        try:
            found |= await galaxy.invocations.counts(history, (row.galaxy_id, *row.inner))
        except GalaxyBroken:
            if await _state(galaxy, row):
                raise
    return found


async def _state(galaxy: Galaxy, row: Invocation) -> str:
    """Return the state of an invocation, "" for one that Galaxy does not know any more."""
    try:
        return (await galaxy.invocations.get(row.galaxy_id)).state
    except (Forbidden, NotThere, Refused):
        return ""
