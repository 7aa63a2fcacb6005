"""Moves rows from stage to stage; the only writer of stage and status.

`advance` loads nothing by itself and decides nothing about time: it runs the one stage a row stands at and stores
what came out. Level triggered: calling it twice, late, or beside another process is harmless, because starting a
stage raises the row's attempt and every later write is refused unless the attempt is still ours. Who calls it, and
when, is `embedded.py`; what an error means, `faults.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from datetime import datetime, timedelta
from typing import Any

import structlog

from watcher.errors import (
    DeliveryBroken,
    Forbidden,
    GalaxyBroken,
    GalaxyError,
    NotThere,
    PlanError,
    Refused,
    StateError,
    Superseded,
    WatcherError,
)
from watcher.model import Done, Fail, Hold, Ignore, Next, Outcome, Stage, Status, Wait
from watcher.rows import Batch, Row, Unit, Watch
from watcher.service.faults import Means, judge
from watcher.stages.deliver import deliver
from watcher.stages.detect import detect
from watcher.stages.finish import finish
from watcher.stages.invoke import invoke
from watcher.stages.plan import plan
from watcher.stages.poll import poll
from watcher.stages.rooms import Rooms
from watcher.stages.settle import settle
from watcher.stages.upload import upload
from watcher.stages.verify import verify
from watcher.store.store import Store

log = structlog.get_logger("watcher")

BUSY_PAUSE = timedelta(seconds=1)
"""After it a stage tries again that met another row at work."""

WAKE_TRIES = 5

ONLY_GALAXY_MAY_SAY = (DeliveryBroken, Forbidden, GalaxyBroken, NotThere, Refused)
"""What a row may be held for on Galaxy's word, and what any web page in Galaxy's place looks like as well."""

STAGES: Mapping[Stage, Callable[[Any, Rooms], Awaitable[Outcome]]] = {
    Stage.DETECT: detect,
    Stage.SETTLE: settle,
    Stage.VERIFY: verify,
    Stage.PLAN: plan,
    Stage.UPLOAD: upload,
    Stage.INVOKE: invoke,
    Stage.POLL: poll,
    Stage.DELIVER: deliver,
    Stage.FINISH: finish,
}


class Engine:
    """Runs stages and stores their outcomes."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms

    async def advance(self, row: Row) -> None:
        """Run the stage the row stands at and store the outcome; returns quietly when somebody else moved the row."""
        store = self._rooms.store
        try:
            row = await store.begin(row)
        except Superseded:
            return
        structlog.contextvars.bind_contextvars(**_names(row))
        began_at = self._rooms.clock.now()
        self._rooms.effects.reach(f"{row.stage}.begun")
        try:
            outcome = await self._outcome(row, began_at)
            if outcome is None:
                return
            await _whole(self._conclude(row, outcome))
        except Superseded:
            log.debug("row.superseded")
        finally:
            structlog.contextvars.clear_contextvars()

    async def _conclude(self, row: Row, outcome: Outcome) -> None:
        stage = row.stage
        row = await self._store(row, outcome)
        self._rooms.effects.reach(f"{stage}.moved")
        await self._after(row, stage, outcome)

    async def _outcome(self, row: Row, began_at: datetime) -> Outcome | None:
        """Run the stage; turn errors into outcomes here and nowhere else."""
        try:
            return await STAGES[row.stage](row, self._rooms)
        except asyncio.CancelledError:
            await asyncio.shield(self._give_back(row))
            raise
        except Exception as error:
            return await self._judged(row, error, began_at)

    async def _give_back(self, row: Row, due_at: datetime | None = None) -> None:
        """Leave a row that was interrupted (stop, verb, another row at work) ready to go on, at once or then."""
        status = Status.WAITING if due_at else Status.READY
        try:
            await self._rooms.store.finish_stage(
                row, stage=row.stage, status=status, code="", reason=row.reason, hint="", due_at=due_at
            )
        except StateError:
            log.debug("row.superseded")

    async def _judged(self, row: Row, error: Exception, began_at: datetime) -> Outcome | None:
        error = await self._who_says_so(row, error)
        verdict = judge(error, row.tries)
        if not isinstance(error, WatcherError):
            log.exception("stage.broke", stage=row.stage)
            return Hold(
                f"The watcher has a bug: stage {row.stage} ended with {type(error).__name__}: {error}.",
                "bug",
                hint=f"Please report it with the log; `galaxy-watcher retry {row.id}` tries again.",
            )
        match verdict.means:
            case Means.STOP:
                # Where this row was moved, this changes nothing. Where another one was that the stage touches, nobody
                # else would ever take this one up again.
                await self._give_back(row, self._rooms.clock.now() + BUSY_PAUSE)
                return None
            case Means.FAIL:
                return Fail(error.message, error.code, hint=error.hint)
            case Means.HOLD:
                return Hold(error.message, error.code, hint=_way_on(error, row), files=error.files)
            case Means.AGAIN:
                await self._rooms.store.finish_stage(
                    row,
                    stage=row.stage,
                    status=Status.WAITING,
                    code=error.code,
                    reason=error.message,
                    hint=error.hint,
                    due_at=self._rooms.clock.now() + verdict.after,
                    tries=row.tries + (error.code != "uncertain"),
                )
                log.info(
                    "stage.again",
                    stage=row.stage,
                    code=error.code,
                    reason=error.message,
                    after_s=round(verdict.after.total_seconds(), 1),
                )
                return None
            case Means.OBSTACLE:
                await self._behind_obstacle(row, verdict.kind, error, began_at)
                return None

    async def _who_says_so(self, row: Row, error: Exception) -> Exception:
        """Return the error, or that it is not Galaxy who said it: a proxy's page in mid-work must hold nothing."""
        if not isinstance(error, WatcherError) or not isinstance(error.__cause__ or error, ONLY_GALAXY_MAY_SAY):
            return error
        account = row.plan.galaxy if isinstance(row, Batch) else error.subject
        if not account:
            return error
        try:
            await self._rooms.galaxy(account).identify()
        except PlanError:  # not configured any more
            return error
        except GalaxyError as nobody:
            nobody.subject = account
            return nobody
        return error

    async def _behind_obstacle(self, row: Row, kind: str, error: WatcherError, began_at: datetime) -> None:
        """Note the obstacle (one row, one notice) and let the row wait behind it.

        Where it has ended while the stage ran, the row is due at once: what it met may be what has ended.
        """
        store = self._rooms.store
        subject = error.subject or _subject(kind, row)
        obstacle, is_new = await store.raise_obstacle(
            f"{kind}:{subject}", kind, subject, error.message, error.hint, met_since=began_at
        )
        await store.finish_stage(
            row,
            stage=row.stage,
            status=Status.WAITING,
            code=error.code,
            reason=f"Waits: {error.message}",
            hint=error.hint,
            due_at=None,
            obstacle=obstacle.key,
            tries=0,
        )
        if is_new:
            log.warning("obstacle.raised", kind=kind, subject=subject, reason=error.message, hint=error.hint)
            await store.journal(
                "obstacle.raised", f"{error.message} {error.hint}".strip(), more={"obstacle": obstacle.key}
            )

    async def _store(self, row: Row, outcome: Outcome) -> Row:
        store, now = self._rooms.store, self._rooms.clock.now()
        if isinstance(row, Watch) and isinstance(outcome, Hold | Fail):
            # Nobody can retry a watch: it looks again by itself, whatever was wrong.
            log.warning("watch.not_looked", reason=outcome.reason, hint=outcome.hint)
            outcome = Wait(self._rooms.settings.rescan, outcome.reason, outcome.code)
        match outcome:
            case Next(stage, reason):
                return await store.finish_stage(
                    row, stage=stage, status=Status.READY, code="", reason=reason, hint="", due_at=None
                )
            case Wait(after, reason, code):
                return await store.finish_stage(
                    row, stage=row.stage, status=Status.WAITING, code=code, reason=reason, hint="", due_at=now + after
                )
            case Hold(reason, code, hint, files):
                return await store.finish_stage(
                    row,
                    stage=row.stage,
                    status=Status.HELD,
                    code=code,
                    reason=reason,
                    hint=hint,
                    due_at=None,
                    more={"hold_files": list(files)},
                )
            case Fail(reason, code, hint):
                return await store.finish_stage(
                    row, stage=row.stage, status=Status.FAILED, code=code, reason=reason, hint=hint, due_at=None
                )
            case Done(reason, code):
                return await store.finish_stage(
                    row, stage=row.stage, status=Status.DONE, code=code, reason=reason, hint="", due_at=None
                )

            case Ignore(reason, code):
                return await store.finish_stage(
                    row, stage=row.stage, status=Status.IGNORED, code=code, reason=reason, hint="", due_at=None
                )

    async def _after(self, row: Row, stage: Stage, outcome: Outcome) -> None:
        """Tell the journal what people want to know, and wake what waits for this row."""
        if isinstance(row, Watch):
            return
        if isinstance(outcome, Hold | Fail | Done | Ignore) or (
            isinstance(outcome, Next) and stage is not Stage.DETECT
        ):
            word = {Hold: "held", Fail: "failed", Done: "done", Ignore: "ignored", Next: "ended"}[type(outcome)]
            unit_id, batch_id = (row.id, "") if isinstance(row, Unit) else (row.unit_id, row.id)
            await self._rooms.store.journal(f"{stage}.{word}", outcome.reason, unit_id=unit_id, batch_id=batch_id)
            write = log.info if isinstance(outcome, Next | Done | Ignore) else log.warning
            write(
                f"{stage}.{word}",
                reason=outcome.reason,
                **({"hint": outcome.hint} if isinstance(outcome, Hold | Fail) else {}),
            )
        if isinstance(row, Batch) and isinstance(outcome, Hold | Fail | Done):
            await wake_finish(self._rooms.store, row.unit_id)


async def _whole(work: Coroutine[Any, Any, None]) -> None:
    """Run to the end even when cancelled: an outcome that is stored but not told would leave its unit asleep."""
    running = asyncio.ensure_future(work)
    try:
        await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait({running})
        if not running.cancelled() and (error := running.exception()):
            log.debug("row.not_moved", reason=str(error))
        raise


async def wake_finish(store: Store, unit_id: str) -> None:
    """Let a unit at its finish look at its batches again."""
    for _ in range(WAKE_TRIES):
        unit = await store.unit(unit_id)
        if unit is None or unit.stage is not Stage.FINISH or unit.status in (Status.CANCELLED, Status.IGNORED):
            return
        try:
            await store.move(unit, status=Status.READY)
            return
        except Superseded:  # it moved between the two lines: look again, or the end of a batch is never seen
            continue


def _way_on(error: WatcherError, row: Row) -> str:
    """Return the error's hint, with the command that goes on unless it names one or a changed file will do."""
    if error.files or "galaxy-watcher" in error.hint:
        return error.hint
    return f"{error.hint} Then `galaxy-watcher retry {row.id}`.".strip()


def _names(row: Row) -> dict[str, str]:
    if isinstance(row, Watch):
        return {"watch": row.name}
    if isinstance(row, Unit):
        return {"watch": row.watch, "unit": row.id, "run": row.run}
    return {"unit": row.unit_id, "batch": row.id, "run": row.plan.run}


def _subject(kind: str, row: Row) -> str:
    """Name the shared thing that is broken: an account, a watch's mount, a delivery target."""
    if isinstance(row, Watch):
        return row.name
    if isinstance(row, Unit):
        return row.watch
    if kind == "mount":
        return row.plan.watch
    if kind == "target":
        return row.plan.deliveries[0].base if row.plan.deliveries else row.id
    return row.plan.galaxy
