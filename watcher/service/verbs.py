"""Carries out what people ask for: `retry`, `release`, `hold`, `cancel`. A verb is a row with its actor, so it works
with the daemon up or down.

The engine stays the only writer of stage and status: this module is part of it, called between stages. A running
stage of the row is stopped first, so that nobody writes behind the verb's back.
"""

from __future__ import annotations

import contextlib
from typing import Any

import structlog

from watcher.errors import UsageError, WatcherError
from watcher.model import ENDED, Stage, Status
from watcher.rows import Batch, Unit, Verb
from watcher.service.embedded import Embedded
from watcher.service.engine import wake_finish
from watcher.stages.afterwards import PLANNED_SHEET, SHEET_CHANGED
from watcher.stages.attempts import AGAIN, ANEW, LOOK, found_unanswered
from watcher.stages.bring_home import abandon
from watcher.stages.causes import RESUME
from watcher.stages.copies import MADE_ANEW, TAKEN_ALL_THE_SAME
from watcher.stages.endings import WORKFLOW_PAUSED
from watcher.stages.history import MADE_ELSEWHERE, SENT_ALL_THE_SAME
from watcher.stages.removal import give_up, go_on, hold_date
from watcher.stages.reviews import CONFIRMED, RELEASED, REVIEW
from watcher.stages.revisions import BECAUSE, REPLANNED
from watcher.stages.rooms import Rooms
from watcher.stages.same_run import SAME_AS
from watcher.stages.settle import HELD_BY_RUN, READS_ELSEWHERE, TAKEN_AS_IT_IS

log = structlog.get_logger("watcher")

UNIT_STAGES = (Stage.SETTLE, Stage.VERIFY, Stage.PLAN)
BATCH_STAGES = (Stage.UPLOAD, Stage.INVOKE, Stage.POLL, Stage.DELIVER)
ORDER = tuple(Stage)
TO_RETRY = (Status.HELD, Status.FAILED, Status.WAITING, Status.CANCELLED, Status.IGNORED)
SUPERSEDED = "superseded"
KNOWN = ("retry", "release", "hold", "cancel")


async def carry_out_verbs(rooms: Rooms, dispatcher: Embedded | None) -> int:
    """Carry out every open verb once and answer it; return how many there were."""
    verbs = await rooms.store.open_verbs()
    for verb in verbs:
        try:
            answer = await _carry_out(rooms, dispatcher, verb)
        except WatcherError as error:
            answer = f"Not done: {error}"
        except Exception as error:  # one wish that meets a bug must not keep the daemon from starting
            log.exception("verb.broke", verb=verb.verb, target=verb.target)
            answer = f"Not done: the watcher has a bug: {type(error).__name__}: {error}."
        await rooms.store.answer_verb(verb.id, answer)
        await rooms.store.journal(
            f"verb.{verb.verb}",
            answer,
            actor=verb.actor,
            unit_id=verb.target.split("-", 1)[0],
            batch_id=verb.target if "-" in verb.target else "",
        )
        log.info("verb.carried_out", verb=verb.verb, target=verb.target, actor=verb.actor, answer=answer)
    if verbs and dispatcher:
        dispatcher.nudge()
    return len(verbs)


async def _carry_out(rooms: Rooms, dispatcher: Embedded | None, verb: Verb) -> str:
    rows = await _targets(rooms, verb.target)
    if not rows and verb.verb == "retry" and any(watch.name == verb.target for watch in rooms.settings.watches):
        return await _take_the_root_as_it_is(rooms, verb.target)
    if not rows:
        raise UsageError(f"There is no unit or batch `{verb.target}`.", hint="`galaxy-watcher status` lists them.")
    if verb.verb not in KNOWN:
        raise UsageError(f"`{verb.verb}` is not something the watcher can do.", hint=f"Known: {', '.join(KNOWN)}.")
    if verb.verb == "retry" and verb.arguments.get("from"):
        # A new plan concerns the whole unit, also when it is asked for one batch.
        rows = await _targets(rooms, verb.target.split("-", 1)[0])
    async with contextlib.AsyncExitStack() as stack:
        if dispatcher:
            await stack.enter_async_context(dispatcher.kept_still(rows))
        if verb.verb == "hold":
            return await _hold(rooms, verb.target, verb.actor)
        if verb.verb == "cancel":
            return await _cancel(rooms, verb.target)
        if verb.verb == "release":
            return await _release(rooms, verb.target)
        return await _retry(rooms, verb.target, verb.arguments.get("from"))


async def _take_the_root_as_it_is(rooms: Rooms, name: str) -> str:
    """Forget on which mount a watch's root was: a person says that the one it is on now is right."""
    watch = await rooms.store.watch(name)
    await rooms.store.touch(watch, mount="", device=0, root_inode=0, more={"root_marked": False})
    await rooms.store.wake("watch", name)
    return f"The watch {name} takes its folder as it is now."


async def _targets(rooms: Rooms, target: str) -> list[Unit | Batch]:
    """Return the named batch, or the named unit with its batches."""
    if "-" in target:
        batch = await rooms.store.batch(target)
        return [batch] if batch else []
    unit = await rooms.store.unit(target)
    return [unit, *await rooms.store.batches(unit.id)] if unit else []


async def _hold(rooms: Rooms, target: str, actor: str) -> str:
    """Keep a run folder that has a date until a person says otherwise."""
    unit = await rooms.store.unit(target.split("-", 1)[0])
    if unit is None or not await hold_date(rooms, unit, actor):
        raise UsageError(
            f"No run folder of `{target}` has a date.",
            hint="`hold` stops one that is to be moved or deleted; `galaxy-watcher cancel` stops a run under way.",
        )
    return f"The run folder of {unit.id} stays until `galaxy-watcher retry {unit.id}`."


async def _retry(rooms: Rooms, target: str, from_stage: str | None) -> str:
    stage = stage_to_retry(from_stage)
    unit = await rooms.store.unit(target)
    if stage is None and unit is not None and await go_on(rooms, unit):
        return f"{unit.id} goes on with its run folder."
    if stage in UNIT_STAGES:
        return await _plan_anew(rooms, target.split("-", 1)[0], stage)
    rows = await _targets(rooms, target)
    moved = [row for row in rows if await _retry_row(rooms, row, stage, rows)]
    if not moved:
        told = f"cannot go back to {stage}" if stage else "is held, failed or waiting"
        raise UsageError(
            f"Nothing of `{target}` {told}.", hint="`--from STAGE` goes back to an earlier stage; `show` tells where."
        )
    for row in moved:
        if isinstance(row, Batch):
            await wake_finish(rooms.store, row.unit_id)
    return f"{', '.join(row.id for row in moved)} {'goes' if len(moved) == 1 else 'go'} on."


def stage_to_retry(name: str | None) -> Stage | None:
    """Return the stage of that name if one can go back to it; UsageError otherwise."""
    if not name:
        return None
    if name not in (*UNIT_STAGES, *BATCH_STAGES):
        raise UsageError(
            f"Nobody can go back to a stage `{name}`.", hint=f"Stages: {', '.join((*UNIT_STAGES, *BATCH_STAGES))}."
        )
    return Stage(name)


async def _plan_anew(rooms: Rooms, unit_id: str, stage: Stage | None) -> str:
    """Send a unit back to a stage before its batches; those that are not done wait for the new plan."""
    unit = await rooms.store.unit(unit_id)
    if unit is None or stage is None:
        raise UsageError(f"There is no unit `{unit_id}`.")
    if unit.stage is Stage.FINISH and unit.code == SHEET_CHANGED:
        return await _take_once_more(rooms, unit)
    if ORDER.index(stage) > ORDER.index(unit.stage):
        raise UsageError(f"{unit.id} has not been at {stage} yet: it stands at {unit.stage}.")
    # First the batches, then the unit: its plan must not find them alive.
    for batch in await rooms.store.batches(unit.id):
        if batch.status is not Status.DONE and batch.code != SUPERSEDED:
            batch = await rooms.store.move(
                batch, status=Status.HELD, code=REPLANNED, reason="A new plan is being made."
            )
            await _stop_in_galaxy(rooms, batch)
    await rooms.store.move(unit, stage=stage, status=Status.READY, reason="retried")
    return f"{unit.id} goes on from {stage}."


async def _take_once_more(rooms: Rooms, unit: Unit) -> str:
    """Make the next version of a unit by the sample sheet that lies there now; what was done by the old one stays."""
    latest = await rooms.store.find_unit(unit.identity, unit.unit) or unit
    new = await rooms.store.add_unit(
        unit.watch,
        unit.layout,
        unit.identity,
        unit.run,
        unit.unit,
        unit.path,
        unit.run_path,
        unit_version=latest.unit_version + 1,
        replaces=unit.id,
        more={BECAUSE: SHEET_CHANGED},
    )
    await _keep_what_was_done(rooms, unit)
    return f"{new.id} takes {unit.run} once more, by the new sample sheet: version {new.unit_version}."


async def _keep_what_was_done(rooms: Rooms, unit: Unit) -> None:
    """Let a unit end as its batches did, whatever its sample sheet says by now."""
    answer: dict[str, Any] = {PLANNED_SHEET: unit.more.get(SHEET_CHANGED), SHEET_CHANGED: {}}
    await rooms.store.move(unit, stage=Stage.FINISH, status=Status.READY, reason="retried", more=answer)


async def _retry_row(rooms: Rooms, row: Unit | Batch, stage: Stage | None, asked: list[Unit | Batch]) -> bool:
    """Let one row go on; False when there is nothing to go on with."""
    if isinstance(row, Unit):
        if row.stage is Stage.FINISH and row.code == SHEET_CHANGED and stage is None:
            await _keep_what_was_done(rooms, row)
            return True
        if row.stage is Stage.FINISH or stage is not None:
            return False  # it follows its batches
    else:
        if row.code in (SUPERSEDED, REPLANNED):
            return False  # another revision is alive, or about to be
        if stage is not None and ORDER.index(stage) > ORDER.index(row.stage):
            return False  # what was never done cannot be done again
        whole = [one for one in asked if isinstance(one, Unit)]
        if row.status is Status.CANCELLED and whole and whole[0].status is not Status.CANCELLED:
            return False  # it was cancelled by itself; only its own id brings it back
    if stage is None and row.status not in TO_RETRY:
        return False
    wish: dict[str, Any] = {}
    if isinstance(row, Batch) and await _has_workflows_to_follow(rooms, row):
        if stage is Stage.INVOKE:
            stage, wish = Stage.POLL, {AGAIN: ANEW}
        elif stage is None and row.status in ENDED:
            # What was made good by hand counts, else comes the next attempt, on the same datasets.
            stage, wish = Stage.POLL, {AGAIN: LOOK}
        elif stage is None and row.code == WORKFLOW_PAUSED:
            wish = {RESUME: True}
    answers: dict[str, dict[str, Any]] = {
        MADE_ELSEWHERE: {SENT_ALL_THE_SAME: True},
        HELD_BY_RUN: {TAKEN_AS_IT_IS: row.reason},
        READS_ELSEWHERE: {TAKEN_AS_IT_IS: row.reason},
        SAME_AS: {TAKEN_ALL_THE_SAME: True},
        MADE_ANEW: {TAKEN_ALL_THE_SAME: True},
    }
    answer = answers.get(row.code, {}) | wish
    await rooms.store.move(row, stage=stage or row.stage, status=Status.READY, reason="retried", more=answer)
    return True


async def _has_workflows_to_follow(rooms: Rooms, batch: Batch) -> bool:
    """Tell whether a wish concerns attempts that were made; while one is being made, `invoke` goes on with it."""
    if batch.stage is Stage.INVOKE:
        return batch.status in ENDED and bool(await rooms.store.invocations(batch.id))
    return batch.stage in (Stage.POLL, Stage.DELIVER)


def _waits_for_review(batch: Batch) -> bool:
    """Tell whether a batch is held for a review, or was until a moment ago and is just being looked at again."""
    if batch.status is Status.HELD:
        return batch.code == REVIEW
    told = batch.more.get(REVIEW)
    is_looked_at = batch.stage is Stage.POLL and batch.status in (Status.READY, Status.WORKING)
    return is_looked_at and bool(told) and batch.more.get(RELEASED) != told


async def _release(rooms: Rooms, target: str) -> str:
    """Confirm the review that a workflow waits for, where its rule lets this command do so."""
    rows = await _targets(rooms, target)  # as they stand now that they stand still
    waiting = [row for row in rows if isinstance(row, Batch) and _waits_for_review(row)]
    if not waiting:
        raise UsageError(
            f"Nothing of `{target}` waits for a review.", hint="`galaxy-watcher retry` goes on with what is held."
        )
    refused = [row.id for row in waiting if not row.more.get(REVIEW)]
    if refused:
        raise UsageError(
            f"The rule of {', '.join(refused)} leaves reviews to Galaxy.",
            hint="Review it there; or set `reviews: release` for its workflow before the next run.",
        )
    for row in waiting:
        await rooms.store.move(
            row, status=Status.READY, reason="released", more={CONFIRMED: row.more[REVIEW], RELEASED: row.more[REVIEW]}
        )
        await wake_finish(rooms.store, row.unit_id)
    return f"{', '.join(row.id for row in waiting)}: the review is confirmed."


async def _cancel(rooms: Rooms, target: str) -> str:
    """Stop for good: invocations are cancelled in Galaxy, half-sent sessions deleted; datasets and histories stay.

    Asked again it does what Galaxy could not be told the first time.
    """
    whole = await rooms.store.unit(target)
    if whole is not None and await give_up(rooms, whole):
        return f"The run folder of {target} stays where it is."
    open_rows = [row for row in await _targets(rooms, target) if row.status is not Status.DONE]
    moved, told = 0, []
    for row in open_rows:
        if row.status is not Status.CANCELLED:
            row = await rooms.store.move(row, status=Status.CANCELLED, code="cancelled", reason="Cancelled by hand.")
            moved += 1
        if isinstance(row, Batch):
            told.append(await _stop_in_galaxy(rooms, row))
            await wake_finish(rooms.store, row.unit_id)
    problems = [problem for problem in told if problem is not None]
    if not moved and not problems:
        raise UsageError(f"Nothing of `{target}` is left to cancel.")
    if any(problems):
        why = next(filter(None, problems))
        return f"{target} is cancelled here, but Galaxy could not be told: {why} Cancel it once more when it can."
    return f"{target} is cancelled; what is in Galaxy stays there."


async def _stop_in_galaxy(rooms: Rooms, batch: Batch) -> str | None:
    """Delete half-sent sessions and cancel what runs; None when there is neither, else what kept us, or nothing.

    A Galaxy that is away does not keep anybody from cancelling, nor does a store of which parts are thrown away.
    """
    await abandon(batch, rooms)
    sessions = [row for row in await rooms.store.datasets(batch.id) if row.session and not row.galaxy_id]
    if batch.code == REPLANNED:  # what Galaxy may be registering just now is looked up by the new plan
        sessions = [row for row in sessions if row.fetch_intent_at is None]
    asked_for = [row for row in await rooms.store.invocations(batch.id) if row.status is Status.WORKING]
    running = [row for row in asked_for if row.galaxy_id]
    unanswered = [row for row in asked_for if row.intent_at and not row.galaxy_id]
    if not sessions and not running and not unanswered:
        return None
    try:
        galaxy = rooms.galaxy(batch.plan.galaxy)
        found = await found_unanswered(batch, rooms, galaxy, unanswered)
        running += found
        for dataset in sessions:
            await galaxy.tus.delete(dataset.session)
            await rooms.store.put_dataset(batch, dataset.key, session="", offset=0, sent_at=None)
        for invocation in running:
            await galaxy.invocations.cancel(invocation.galaxy_id)
            await rooms.store.put_invocation(
                batch, invocation.key, invocation.number, galaxy_id=invocation.galaxy_id, status=Status.CANCELLED
            )
    except WatcherError as error:
        log.warning("cancel.incomplete", batch=batch.id, reason=error.message)
        return error.message
    known = {(row.key, row.number) for row in found}
    since = rooms.clock.now() - rooms.settings.limits.uncertain_for
    if any((row.key, row.number) not in known and row.intent_at and row.intent_at > since for row in unanswered):
        return "it was asked for a workflow just now, and may still start it."
    return "" if sessions or running else None
