"""What happens to a run folder after its plan: files of reads that come or change, a sample sheet that is edited.

Asked by detect, at most once per `rescan`, and only of units that are under way or ended not long ago (`late_for`), for
that needs the whole listing of a folder. Sizes and names are believed; a file whose time alone has changed is read by
the unit itself (`finish.py`) before anybody is told. That a run moved as a whole is the business of `same_run.py`.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import structlog

from watcher.config import WatchSettings
from watcher.disk.scan import facts_of
from watcher.errors import DiskError, Superseded
from watcher.model import ENDED, Kind, SourceFacts, Stage, Status
from watcher.rows import SourceFile, Unit
from watcher.runs.layout import FoundUnit, Layout, UnitView
from watcher.stages.looking import list_run, place_of, reads_elsewhere, view_of, wish_of
from watcher.stages.revisions import BECAUSE, OVER, other_bytes, plan_again, sent_together
from watcher.stages.rooms import LateLook, Rooms

LATE, TOUCHED = "late", "touched"
"""What came after the plan, as [path, what], told already; and what is to be read before anything is told."""

PLANNED_SHEET, SHEET_CHANGED = "planned_sheet", "sheet_changed"
"""The sample sheet (path, sha256) that the plan was made by, and the one that lies there now, when it is another.
The second is also the code of a unit that is held for it."""

NOTHING_TO_UPLOAD = "nothing_to_upload"
"""Code of a unit that ended well without any reads: when some come, they are no late ones."""

ENDED_AT = "ended_at"

NEW, OTHER_SIZE, OTHER_BYTES, NEW_SHEET = "new", "other size", "other content", "new sample sheet"

SURE_S = 64.0
"""After how long the times of a file tell of each later change: the coarsest clock and the cache of a file server."""

log = structlog.get_logger("watcher")

NextVersion = tuple[FoundUnit, Unit, dict[str, Any]]
"""A unit to be taken once more, the version before it, and what the new one is to remember."""


def sheet_of(view: UnitView) -> dict[str, str]:
    """Return path and SHA-256 of the sample sheet of a look; nothing when there is none."""
    content = view.contents.get(view.sheet.path) if view.sheet.path else None
    if content is None:
        return {}
    return {"path": view.sheet.path, "sha256": hashlib.sha256(content, usedforsecurity=False).hexdigest()}


async def come_later(
    rooms: Rooms, settings: WatchSettings, layout: Layout, root: Path, units: Sequence[Unit]
) -> list[NextVersion]:
    """Note what came to the units of a run folder after their plans; return those to be taken once more."""
    watched = [unit for unit in units if _is_looked_after(rooms, settings, unit)]
    now_s = rooms.clock.monotonic()
    before = rooms.late_looks.get(str(root))
    if not watched or layout.flat:
        return []
    if before is not None and now_s - before.at_s < rooms.settings.rescan.total_seconds():
        return []
    wish = wish_of(rooms.settings, settings.name, layout.name)
    listing = await list_run(rooms.threads, rooms.clock, layout, root, wish=wish)
    seen = hash((layout.name, *((unit.id, unit.version) for unit in watched), *listing.entries.values()))
    is_same = before is not None and before.seen == seen
    since_s = before.since_s if before and is_same else rooms.clock.monotonic()
    is_sure = before is not None and is_same and before.is_sure
    rooms.late_looks[str(root)] = LateLook(now_s, seen, since_s, is_sure)
    if is_sure:
        return []  # each file has the times that it had when it was compared so long after them that they tell all
    again: list[NextVersion] = []
    whole = place_of(layout, root, listing)
    for found in whole.units:
        unit = next((one for one in watched if one.unit == found.unit), None)
        if unit is None:
            continue
        view = await view_of(rooms.threads, whole, found, settings, quiet_s={}, assume_quiet=True, wish=wish)
        with contextlib.suppress(Superseded):  # somebody moved it just now: the next look sees it again
            because = await _late_files(rooms, settings, view, unit)
            because = await _sheet(rooms, settings, view, unit) if because is None else because
            if because is not None:
                again.append((found, unit, because))
    rooms.late_looks[str(root)] = LateLook(now_s, seen, since_s, now_s - since_s >= SURE_S)
    return again


def _is_looked_after(rooms: Rooms, settings: WatchSettings, unit: Unit) -> bool:
    if unit.status in (Status.CANCELLED, Status.IGNORED) or (
        unit.stage is not Stage.FINISH and unit.status not in OVER
    ):
        return False
    until = looked_after_until(settings, unit)
    return unit.status not in ENDED or (until is not None and rooms.clock.now() <= until)


def looked_after_until(settings: WatchSettings, unit: Unit) -> datetime | None:
    """Return until when late files of a unit that ended are told; None for one that nobody looks after."""
    if unit.status in (Status.CANCELLED, Status.IGNORED):
        return None
    told = unit.more.get(ENDED_AT)
    ended_at = datetime.fromisoformat(told) if told else unit.stage_since
    return ended_at + settings.late_for if ended_at is not None else None


# --- files ----------------------------------------------------------------------------------------------------------


async def _late_files(rooms: Rooms, settings: WatchSettings, view: UnitView, unit: Unit) -> dict[str, Any] | None:
    """Compare the files of reads with those of the plan; return what a new version is to remember if there shall be
    one.
    """
    seen = {row.path: row for row in await rooms.store.source_files(unit.id)}
    paths = [*view.selection.selected]
    if unit.code == NOTHING_TO_UPLOAD and reads_elsewhere(
        view, [one.run_path for one in await rooms.store.unit_briefs(unit.watch)]
    ):
        paths += view.strays
    files = [view.listing.entries[path] for path in paths]
    late = [[facts.path, what] for facts in files if (what := _what(facts, seen.get(facts.path)))]
    if not seen or not late:
        return None
    if settings.late == "new_version" or unit.code == NOTHING_TO_UPLOAD:
        return {} if unit.status in OVER else None
    await tell_late(rooms, unit, [one for one in late if one[1] != TOUCHED])
    told = {path for path, _ in unit.more.get(LATE, [])}
    touched = [path for path, what in late if what == TOUCHED and path not in told]
    if touched and unit.stage is Stage.FINISH and unit.status in (Status.DONE, Status.FAILED):
        fresh = await rooms.store.unit(unit.id)
        if fresh is not None:
            await rooms.store.move(
                fresh,
                status=Status.READY,
                reason=f"Reads {len(touched)} files whose time has changed.",
                more={TOUCHED: touched},
            )
    return None


def _what(facts: SourceFacts, row: SourceFile | None) -> str:
    if row is None:
        return NEW
    if facts.size != row.size:
        return OTHER_SIZE
    return TOUCHED if facts.mtime_ns != row.mtime_ns else ""


async def tell_late(rooms: Rooms, unit: Unit, late: Sequence[Sequence[str]]) -> None:
    """Say what came after the plan, each file once."""
    stored = await rooms.store.unit(unit.id)
    known = [list(one) for one in (stored or unit).more.get(LATE, [])]
    fresh = [list(one) for one in late if list(one) not in known]
    if not fresh:
        return
    names = ", ".join(f"{path} ({what})" for path, what in fresh[:10])
    more = f" and {len(fresh) - 10} more" if len(fresh) > 10 else ""
    await rooms.store.touch(unit, more={LATE: [*known, *fresh]})
    text = f"Came after the plan, which does not know it: {names}{more}."
    await rooms.store.journal("unit.late_files", text, unit_id=unit.id)
    log.warning("unit.late_files", unit=unit.id, run=unit.run, files=[path for path, _ in fresh])


async def read_touched(rooms: Rooms, unit: Unit) -> None:
    """Read the files whose time alone has changed: those with the bytes that were sent are remembered as they are now,
    the others are told. A file that changes while it is read, or is gone, is left to the next look.
    """
    root = Path(unit.run_path)
    paths = await sent_together(rooms, unit.id, unit.more.get(TOUCHED, []))
    try:
        now = await facts_of(rooms.threads, root, paths)
        files = [facts for facts in now.values() if facts.kind is Kind.FILE]
        other = set(await other_bytes(rooms, unit.id, root, files))
    except DiskError as error:
        log.info("unit.not_read", unit=unit.id, reason=error.message)
        await rooms.store.touch(unit, more={TOUCHED: []})
        return
    rows = {row.path: row for row in await rooms.store.source_files(unit.id)}
    same = [
        SourceFile(
            unit.id, one.path, one.size, one.mtime_ns, one.ctime_ns, one.inode, sha256=rows[one.path].sha256
        )
        for one in files
        if one.path not in other and one.path in rows
    ]  # fmt: skip
    await rooms.store.put_source_files(unit, same)
    await tell_late(rooms, unit, [[path, OTHER_BYTES] for path in unit.more.get(TOUCHED, []) if path in other])
    await rooms.store.touch(unit, more={TOUCHED: []})


# --- the sample sheet -----------------------------------------------------------------------------------------------


async def _sheet(rooms: Rooms, settings: WatchSettings, view: UnitView, unit: Unit) -> dict[str, Any] | None:
    """Compare the sample sheet with the one that the plan was made by; return what a new version is to remember if
    there shall be one.
    """
    before: Mapping[str, str] | None = unit.more.get(PLANNED_SHEET)
    now = sheet_of(view)
    if before is None or not now or unit.stage is not Stage.FINISH:
        return None
    if not before:  # the plan was made without one, and did not miss it
        await tell_late(rooms, unit, [[now["path"], NEW_SHEET]])
        return None
    waiting: Mapping[str, str] = unit.more.get(SHEET_CHANGED) or {}
    if now["sha256"] == before.get("sha256"):
        if waiting:
            await _move_to_finish(rooms, unit, "The sample sheet is what it was.", {SHEET_CHANGED: {}})
        return None
    text = f"The sample sheet {now['path']} is another one than at the plan."
    if view.layout.analyses and not _lies_in(view, now["path"]):
        # Put there for the next analysis: this one was made by the sheet before, and its own copy would say so.
        if not _lies_in(view, before["path"]):
            await rooms.store.touch(unit, more={PLANNED_SHEET: now})
            text = f"{text} This analysis was made by the one before: nothing is done about it."
            await rooms.store.journal("sheet.changed", text, unit_id=unit.id)
        if waiting:
            await _move_to_finish(rooms, unit, "The sample sheet that changed is not its own.", {SHEET_CHANGED: {}})
        return None
    if settings.sheet_changed == "ignore":
        await rooms.store.touch(unit, more={PLANNED_SHEET: now, SHEET_CHANGED: {}})
        await rooms.store.journal("sheet.changed", f"{text} Nothing is done about it.", unit_id=unit.id)
        return None
    if unit.status not in ENDED and not await _has_begun(rooms, unit):
        await rooms.store.journal("sheet.changed", f"{text} A new plan is made.", unit_id=unit.id)
        await plan_again(rooms, unit, text)
        return None
    if settings.sheet_changed == "new_version":
        return {BECAUSE: SHEET_CHANGED} if unit.status in OVER else None
    if now["sha256"] != waiting.get("sha256"):
        await _move_to_finish(rooms, unit, text, {SHEET_CHANGED: now})
        await rooms.store.journal("sheet.changed", text, unit_id=unit.id)
        log.warning("sheet.changed", unit=unit.id, run=unit.run, path=now["path"])
    return None


def _lies_in(view: UnitView, path: str) -> bool:
    """Tell whether a path lies in the unit's own folder, not just in its run's."""
    return not view.found.folder or path.startswith(f"{view.found.folder}/")


async def _move_to_finish(rooms: Rooms, unit: Unit, reason: str, more: Mapping[str, Any]) -> None:
    fresh = await rooms.store.unit(unit.id)
    if fresh is not None and fresh.stage is Stage.FINISH:
        await rooms.store.move(fresh, status=Status.READY, reason=reason, more=more)


async def _has_begun(rooms: Rooms, unit: Unit) -> bool:
    """Tell whether anything of the unit is in Galaxy, or on its way."""
    for batch in await rooms.store.batches(unit.id):
        if batch.stage is not Stage.UPLOAD or await rooms.store.galaxy_objects(batch.id):
            return True
    return False
