"""Moves or deletes a run folder, step by step, when its date has come and nothing speaks against it.

One dated row for each unit. Its `step` is stored before and after each act, and each act may be repeated, so that a
death at any instant leaves a folder that is whole in one place at least, and the next start goes on. What goes is
first claimed by one rename, compared once more, and only then deleted or given its place in the archive; a copy for
another file system is made and read back before that. Whatever is not as planned stops it: everything is given back
where that can be, and a person is asked. What has to hold is in `removable.py`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from watcher.disk import archive
from watcher.disk.removal import claim, claimed_path, delete_claimed, give_back, is_there
from watcher.disk.stock import total_bytes
from watcher.errors import (
    DeliveryBroken,
    DeliveryError,
    DiskError,
    MountGone,
    PlanError,
    Superseded,
    TargetFull,
    TargetGone,
    WatcherError,
)
from watcher.model import Hold, PlannedFinish, Stage, Status
from watcher.rows import Batch, Removal, StockFile, Unit
from watcher.stages.looking import LET_GO
from watcher.stages.removable import (
    STOCK_PROBLEM,
    Source,
    living,
    look_at_stock,
    refuse_blind,
    refuse_changed,
    refuse_other_bytes,
    refuse_unproven,
    sent_hashes,
    source_of,
    versions_of,
)
from watcher.stages.rooms import Rooms

SOURCE_STAYS = "source_stays"
"""Code of a unit that is held because its folder could not be moved or deleted."""

BY_HAND, KEPT, STOPPED, GONE = "by_hand", "kept", "stopped", "gone"
"""Why a dated row stands still, or ended: a person holds it, the plans keep the folder, something spoke against it, the
folder was gone already."""

COPIES = "copies"
"""Code of a row under way whose archive is on another file system."""

AS_IT_IS = "as_it_is"
"""Where a unit remembers that a person answered: what lies in its folder now may go with it."""

TRIES = 5

log = structlog.get_logger("watcher")


# --- the date -------------------------------------------------------------------------------------------------------


def wish_of(batches: Sequence[Batch]) -> tuple[PlannedFinish, str]:
    """Return what becomes of the folder when all batches are heard, the most careful one first, and why it stays if one
    of them wants it to go.
    """
    asked = [batch.plan for batch in living(batches)]
    going = [plan for plan in asked if plan.finish.source != "keep"]
    if not going:
        return PlannedFinish(), ""
    if keeping := next((plan for plan in asked if plan.finish.source == "keep"), None):
        return going[0].finish, f"rule `{keeping.rule}` keeps it"
    archiving = [plan for plan in going if plan.finish.source == "archive"] or going
    places = {plan.finish.archive: plan.rule for plan in archiving}
    if len(places) > 1:
        return archiving[0].finish, f"rules {' and '.join(f'`{rule}`' for rule in places.values())} name two archives"
    latest = max(plan.finish.after_s for plan in going)
    return archiving[0].finish.model_copy(update={"after_s": latest}), ""


async def fix_date(rooms: Rooms, unit: Unit, batches: Sequence[Batch], ended_at: datetime) -> Removal | None:
    """Make the dated row of a unit all of whose batches have ended, once; None when its folder is not to go."""
    known = await rooms.store.removal(unit.id)
    if known is not None and known.code != KEPT:
        return known
    wish, why = wish_of(batches)
    if wish.source == "keep":
        return known
    cancelled = next((batch.id for batch in living(batches) if batch.status is not Status.DONE), "")
    why = why or (f"batch {cancelled} was cancelled" if cancelled else "")
    due_at = ended_at + timedelta(seconds=wish.after_s)
    row = await rooms.store.put_removal(
        unit,
        action=wish.source,
        target=wish.archive,
        base=wish.base,
        due_at=None if why else due_at,
        status=Status.IGNORED if why else Status.WAITING,
        step="",
        code=KEPT if why else "",
        reason=f"The run folder stays: {why}." if why else "",
        intent_at=None,
        receipt_at=None,
    )
    if known is None or known.reason != row.reason:
        await rooms.store.journal("source.kept" if why else "source.dated", told(row), unit_id=unit.id)
    return row


async def forget_date(rooms: Rooms, unit: Unit) -> None:
    """Let a new plan decide anew, unless the folder has begun to go, or a person has said that it stays."""
    known = await rooms.store.removal(unit.id)
    is_open = known is not None and (known.status is Status.WAITING or known.code == STOPPED)
    if known is not None and is_open and not known.step:
        await rooms.store.put_removal(unit, status=Status.IGNORED, code=KEPT, reason="", due_at=None)


def told(row: Removal | None) -> str:
    """Say what becomes of the folder, with the date; nothing when nothing does."""
    if row is None:
        return ""
    day = f" on {row.due_at:%Y-%m-%d}" if row.due_at else ""
    to = f" to {row.target}" if row.action == "archive" else ""
    verb = {"archive": "moved", "delete": "deleted"}[row.action]
    if row.status is Status.WAITING:
        return f"The run folder is {verb}{to}{day}; `galaxy-watcher hold {row.unit_id}` stops it."
    if row.status is Status.HELD and row.code == BY_HAND:
        return f"The run folder stays: held by hand. `galaxy-watcher retry {row.unit_id}` goes on with it."
    return row.reason


async def take_up_due(rooms: Rooms) -> int:
    """Let the units whose date has come go on; return how many those are."""
    count = 0
    for unit_id in await rooms.store.removals_due(rooms.clock.now()):
        unit = await rooms.store.unit(unit_id)
        if unit is None or unit.stage is not Stage.FINISH or unit.status is not Status.DONE:
            continue
        try:
            await rooms.store.move(unit, status=Status.READY, reason="The date of its run folder has come.")
        except Superseded:  # somebody moved it just now: the next round sees it again
            continue
        count += 1
    return count


# --- a person's wish ------------------------------------------------------------------------------------------------


async def hold_date(rooms: Rooms, unit: Unit, actor: str) -> bool:
    """Keep the folder until a person says otherwise; False when there is nothing to hold."""
    row = await rooms.store.removal(unit.id)
    if row is None or row.status is not Status.WAITING or row.step:
        return False
    row = await rooms.store.put_removal(unit, status=Status.HELD, code=BY_HAND, reason=f"Held by {actor}.")
    await rooms.store.touch(unit, reason=told(row))
    return True


async def go_on(rooms: Rooms, unit: Unit) -> bool:
    """Take a held date up again; False when there is none."""
    row = await rooms.store.removal(unit.id)
    if row is None or row.status is not Status.HELD:
        return False
    stopped = row.code != BY_HAND
    row = await rooms.store.put_removal(unit, status=Status.WAITING, code="", reason="")
    if unit.status in (Status.DONE, Status.HELD) and unit.stage is Stage.FINISH:
        await rooms.store.move(unit, status=Status.READY, reason="retried", more={AS_IT_IS: True} if stopped else {})
    return True


async def give_up(rooms: Rooms, unit: Unit) -> bool:
    """Let the folder stay for good; False when it was not to go, or is on its way already."""
    row = await rooms.store.removal(unit.id)
    if row is None or row.status not in (Status.WAITING, Status.HELD) or row.step:
        return False
    await rooms.store.put_removal(unit, status=Status.CANCELLED, reason="The run folder stays: cancelled by hand.")
    if unit.stage is Stage.FINISH and unit.status in (Status.DONE, Status.HELD):
        await rooms.store.move(unit, status=Status.READY, reason="cancelled")
    return True


# --- the act --------------------------------------------------------------------------------------------------------


async def carry_out(rooms: Rooms, unit: Unit, row: Removal) -> tuple[Removal, Hold | None]:
    """Move or delete the folder if its date has come; return the row as it is then, and why a person is asked.

    Raises MountGone while the watch is blind or does not answer, TargetGone and TargetFull for the archive: all of it
    is gone on with by itself.
    """
    is_due = row.status is Status.WAITING and row.due_at is not None and row.due_at <= rooms.clock.now()
    if not is_due and row.status is not Status.WORKING:
        return row, None
    work = _Work(rooms, unit, row)
    try:
        await work.run()
    except (TargetGone, TargetFull) as error:
        error.subject = row.base
        raise
    except MountGone:
        raise
    except (DiskError, DeliveryError, PlanError) as error:
        return await work.stopped(error)
    return work.row, None


async def archive_answers(rooms: Rooms, unit: Unit) -> bool:
    """Tell whether the archive that a unit waits for is there, and has room for it."""
    row = await rooms.store.removal(unit.id)
    if row is None or row.action != "archive":
        return True
    stock = [one for one in await rooms.store.stock(unit.id) if not one.sha256]
    base = Path(row.base)
    needed_bytes = 0 if archive.is_one_mount(rooms.threads, rooms.root(unit.watch), base) else total_bytes(stock)
    try:
        await archive.prepare(rooms.threads, base, Path(row.target), needed_bytes)
    except DeliveryError:
        return False
    return True


class _Work:
    """One try; `row` is what is stored."""

    def __init__(self, rooms: Rooms, unit: Unit, row: Removal) -> None:
        self._rooms = rooms
        self._unit = unit
        self.row = row
        self._source: Source

    async def run(self) -> None:
        """Go on from the step that the row tells of."""
        rooms, unit = self._rooms, self._unit
        await refuse_blind(rooms, unit)
        self._source = source = await source_of(rooms, unit)
        if await self._is_gone():
            return
        if not self.row.step:
            await self._refuse_all()
        stock = await rooms.store.stock(unit.id)
        if self.row.action == "archive":
            await self._archive(source, stock)
        else:
            await self._claim(source, stock)
            await self._delete(source, stock)
        await self._end(source)

    async def stopped(self, error: WatcherError) -> tuple[Removal, Hold]:
        """Give back what was claimed, if nothing of it is lost, and ask a person; MountGone when it is the mount that
        has gone meanwhile.
        """
        rooms, unit, told_error = self._rooms, self._unit, error.message
        await refuse_blind(rooms, unit)
        if self.row.step in ("claiming", "claimed", "placing"):
            try:
                await give_back(rooms.threads, self._source.root, self._source.path, unit.id, self._source.files)
            except DiskError as again:
                told_error = f"{told_error} It lies in {self._hidden}: {again.message}"
            else:
                await self._put(step="")
        elif self.row.step == "removing":
            told_error = f"{told_error} What is left of it lies in {self._hidden}."
        elif self.row.step:
            await self._put(step="")
        verb = "moved" if self.row.action == "archive" else "deleted"
        text = f"The run folder is not {verb}: {told_error}"
        await self._put(status=Status.HELD, code=STOPPED, reason=text, intent_at=None)
        await rooms.store.journal("source.stopped", text, unit_id=unit.id)
        hint = (
            f"{error.hint.rstrip('.')}. " if error.hint else ""
        ) + (
            f"`galaxy-watcher retry {unit.id}` looks again and takes what lies there now as part of the run, never a"
            f" file that is not as it was sent; `galaxy-watcher cancel {unit.id}` lets the folder stay."
        )  # fmt: skip
        return self.row, Hold(text, SOURCE_STAYS, hint=hint)

    # --- before anything is touched

    async def _refuse_all(self) -> None:
        rooms, unit, source = self._rooms, self._unit, self._source
        await refuse_unproven(rooms, unit)
        if unit.more.get(AS_IT_IS):
            await rooms.store.put_stock(unit, await look_at_stock(rooms, source))
            self._unit = unit = await rooms.store.touch(unit, more={AS_IT_IS: False, STOCK_PROBLEM: ""})
        if problem := unit.more.get(STOCK_PROBLEM):
            raise PlanError(f"It could not be looked through: {problem}", hint="Put that right")
        known = await rooms.store.stock(unit.id)
        if not known:
            raise PlanError("Nothing is known of what lay in it when it was planned.")
        await refuse_changed(rooms, source, known)
        await refuse_other_bytes(rooms, unit, source, joined_only=self.row.action == "archive")

    async def _is_gone(self) -> bool:
        """End it when somebody else has taken the folder away; all of it is in Galaxy, checked."""
        source, rooms = self._source, self._rooms
        if self.row.step or not source.path or await is_there(rooms.threads, source.root, source.path):
            return False
        text = f"{source.shown} was gone already, after all of it was verified in Galaxy."
        await self._put(status=Status.DONE, code=GONE, reason=text, receipt_at=rooms.clock.now())
        await rooms.store.journal("source.gone", text, unit_id=self._unit.id)
        return True

    # --- steps

    async def _claim(self, source: Source, stock: Sequence[StockFile]) -> None:
        """Take the folder out of everybody's sight, and look once more whether it is what was planned."""
        threads, mark = self._rooms.threads, self._unit.id
        if self.row.step in ("", "copied", "claiming"):
            await self._let_go(source, is_over=False)

            async def act() -> None:
                if not source.path or not await is_there(threads, source.root, claimed_path(source.path, mark)):
                    await claim(threads, source.root, source.path, mark, source.files)

            await self._step("claim", "claiming", "claimed", act)
        if self.row.step == "claimed":
            await refuse_changed(self._rooms, source, [replace(one, sha256="") for one in stock], claim=mark)

    async def _delete(self, source: Source, stock: Sequence[StockFile]) -> None:
        if self.row.step == "removed":
            return
        files = sum(one.kind == "file" for one in stock)
        text = f"{source.shown} is being deleted: {files} files, {total_bytes(stock)} bytes."
        await self._rooms.store.journal("source.deleting", text, unit_id=self._unit.id)

        async def act() -> None:
            await delete_claimed(self._rooms.threads, source.root, source.path, self._unit.id, stock)

        await self._step("remove", "removing", "removed", act)

    async def _archive(self, source: Source, stock: Sequence[StockFile]) -> None:
        rooms, row, mark = self._rooms, self.row, self._unit.id
        base, target = Path(row.base), Path(row.target)
        one_mount = archive.is_one_mount(rooms.threads, source.root, base) and row.code != COPIES
        if not row.step:
            await archive.prepare(rooms.threads, base, target, 0 if one_mount else total_bytes(stock))
            if await archive.is_at(rooms.threads, base, target):
                raise DeliveryBroken(f"{target} is there already: nothing is put over it.", hint="Move it elsewhere")
            text = f"{source.shown} is being moved to {target}."
            await rooms.store.journal("source.moving", text, unit_id=self._unit.id)
        if one_mount:
            await self._claim(source, stock)
            if await self._rename(source, base, target):
                return
            await give_back(rooms.threads, source.root, source.path, mark, source.files)
            await self._put(step="", code=COPIES)
            await archive.prepare(rooms.threads, base, target, total_bytes(stock))
        if self.row.step in ("", "copying"):
            await self._copy(source, stock, base, target)
        await self._claim(source, stock)
        if self.row.step in ("claimed", "placing"):
            await self._step(
                "place", "placing", "placed", partial(archive.place_copy, rooms.threads, base, target, mark)
            )
        await self._delete(source, stock)

    async def _rename(self, source: Source, base: Path, target: Path) -> bool:
        rooms, mark, done = self._rooms, self._unit.id, True

        async def act() -> None:
            nonlocal done
            if await is_there(rooms.threads, source.root, claimed_path(source.path, mark)):
                done = await archive.place_claimed(rooms.threads, source.root, source.path, mark, base, target)

        await self._step("place", "placing", "placed", act)
        return done

    async def _copy(self, source: Source, stock: Sequence[StockFile], base: Path, target: Path) -> None:
        rooms, unit = self._rooms, self._unit
        part = archive.part_of(target, unit.id)
        if not any(one.sha256 for one in stock):
            await archive.clear(rooms.threads, base, part)

        async def whole(hashes: Mapping[str, str]) -> None:
            await rooms.store.put_copied(unit, hashes)

        async def act() -> None:
            sent = await sent_hashes(rooms, unit, source)
            await archive.copy_stock(
                rooms.threads, source.root, source.path, stock, base, part, sent=sent, on_whole=whole
            )

        if self.row.code != COPIES:
            await self._put(code=COPIES)
        await self._step("copy", "copying", "copied", act)

    async def _step(self, effect: str, begun: str, ended: str, act: Callable[[], Awaitable[None]]) -> None:
        """Note what is begun, do it, note that it is done."""
        reach = self._rooms.effects.reach
        await self._put(step=begun, status=Status.WORKING, intent_at=self._rooms.clock.now())
        reach(f"finish.{effect}.intent")
        await act()
        reach(f"finish.{effect}.act")
        await self._put(step=ended, intent_at=None)
        reach(f"finish.{effect}.receipt")

    async def _end(self, source: Source) -> None:
        """Store where the run is now, for every version of it, and that its root may be empty by right."""
        rooms, row = self._rooms, self.row
        is_moved = row.action == "archive"
        verb = "was" if source.path else "were"
        text = f"{source.shown} {verb} moved to {row.target}." if is_moved else f"{source.shown} {verb} deleted."
        for one in await versions_of(rooms, self._unit) if source.path else ():
            own = self._unit if one.id == self._unit.id else one
            where: dict[str, Any] = {"path": row.target} if is_moved else {}
            if own.run_path == own.path:
                where["run_path"] = row.target if is_moved else ""
            await rooms.store.touch(own, **where)
        await self._let_go(source, is_over=True)
        now = rooms.clock.now()
        await self._put(status=Status.DONE, code="", reason=text, intent_at=None, receipt_at=now)
        await rooms.store.journal("source.moved" if is_moved else "source.deleted", text, unit_id=self._unit.id)
        log.info("source.moved" if is_moved else "source.deleted", path=source.shown, target=row.target)

    async def _let_go(self, source: Source, *, is_over: bool) -> None:
        """Let the watch know what is missing in its root by right: else it would take its mount for gone."""
        name = source.path.split("/", 1)[0]
        for _ in range(TRIES):
            watch = await self._rooms.store.watch(self._unit.watch)
            others = [one for one in watch.more.get(LET_GO, []) if one != name]
            names = others if is_over or not name or "/" in source.path else [*others, name]
            try:
                await self._rooms.store.touch(watch, more={LET_GO: names})
                return
            except Superseded:  # it has begun to look between the two lines
                continue

    @property
    def _hidden(self) -> Path:
        return self._source.root / claimed_path(self._source.path, self._unit.id)

    async def _put(self, **values: Any) -> None:
        self.row = await self._rooms.store.put_removal(self._unit, **values)
