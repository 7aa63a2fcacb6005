"""Stage settle: is the unit finished?

Ready means proven: every predicate of the layout holds, the last of them being quiet. The stage waits, naming each
predicate that does not hold and since when; nothing is ever completed by giving up. Failure signs of the instrument
win over completeness. Whether what is finished is also whole is the question of `verify.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import structlog

from watcher.disk.mounts import RootLook
from watcher.disk.quiet import add_quiet, filer_time
from watcher.model import Done, Fail, Hold, Listing, Next, Outcome, PredicateResult, Stage, Wait
from watcher.rows import SourceFile, Unit, Watch
from watcher.runs.layout import FoundUnit, Judgement, UnitView, judge
from watcher.runs.predicates import is_still, still_to_lie
from watcher.stages.copies import tell_who
from watcher.stages.looking import (
    NO_FILES,
    event_folders,
    find_again,
    left_out_of,
    reads_elsewhere,
    see_root,
    view_of,
    wish_of,
)
from watcher.stages.rooms import Rooms

log = structlog.get_logger("watcher")

SHORTEST = timedelta(milliseconds=200)

INCOMPLETE = "incomplete"
"""Code of a unit that waits for something."""

HELD_BY_RUN = "held_by_run"
"""Code of a hold because of what the run says of itself."""

READS_ELSEWHERE = "reads_elsewhere"
"""Code of a hold because a run of base calls holds reads where nobody looks for any."""

COMES_BACK = (HELD_BY_RUN, "abandoned", "never_started", "no_reads", NO_FILES, READS_ELSEWHERE)
"""Codes of holds that end when anything has come."""

NOTHING = "nothing_to_upload"
"""Code of a unit that ended well, because nothing of it is for Galaxy: base calls wait for their converter."""

OVERDUE = "overdue"
"""What has been missing for longer than `max_wait`, as told once."""

TAKEN_AS_IT_IS = "taken_as_it_is"
"""What was said of a run when a person's `retry` took it all the same."""


async def settle(unit: Unit, rooms: Rooms) -> Outcome:
    """Look at the unit's files once and say what is still missing."""
    settings = rooms.watch(unit.watch)
    watch, look = await see_root(unit.watch, rooms)
    place, found = await find_again(unit, rooms)
    files = await _remember(unit, rooms, place.listing, found, watch, look)
    quiet_s = {row.path: row.unchanged_s for row in files}
    view = await view_of(
        rooms.threads,
        place,
        found,
        settings,
        quiet_s=quiet_s,
        wish=wish_of(rooms.settings, unit.watch, unit.layout),
    )
    judgement = judge(view)
    unit = await tell_who(rooms, settings, unit, place, judgement)
    since = _since(unit, judgement.predicates, rooms.clock.now())
    sheet = view.sheet.told(unit.run_path)
    await rooms.store.touch(unit, more={"predicates": since, "sheet": sheet, **left_out_of(judgement.left_out)})
    watched = rooms.wakeups.watched()
    for folder in event_folders(place, found):
        if (key := f"unit:{unit.id}:{folder}") not in watched:
            rooms.wakeups.watch(key, folder)
    if judgement.failed:
        return Fail(judgement.failed, "run_failed", hint="Look at the instrument; nothing of this run is uploaded.")
    if judgement.held_as == "by_run" and judgement.held != unit.more.get(TAKEN_AS_IT_IS):
        hint = f"Look at the instrument; `galaxy-watcher retry {unit.id}` takes the run as it is."
        return Hold(judgement.held, HELD_BY_RUN, hint=hint, files=judgement.selected)
    if judgement.held and judgement.held_as != "by_run":
        hint = f"Add what is missing, and the watcher sees it; or `galaxy-watcher cancel {unit.id}`."
        return Hold(judgement.held, judgement.held_as, hint=hint, files=judgement.selected)
    if all(predicate.holds for predicate in judgement.predicates):
        if judgement.nothing:
            others = [one.run_path for one in await rooms.store.unit_briefs(unit.watch)]
            told = reads_elsewhere(view, others)
            if told and not is_still(view):
                return Wait(rooms.settings.rescan_active, f"Reads come: {told}", "settling")
            if told and told != unit.more.get(TAKEN_AS_IT_IS):
                hint = (
                    f"Write a layout that takes them (docs/layouts.md); `galaxy-watcher retry {unit.id}` leaves them."
                )
                return Hold(told, READS_ELSEWHERE, hint=hint)
            return Done(f"Nothing to upload: {judgement.nothing}.", NOTHING)
        return Next(Stage.VERIFY, "Finished: every condition holds.")
    await _tell_overdue(unit, rooms, judgement)
    return _wait(rooms, judgement, view)


async def _tell_overdue(unit: Unit, rooms: Rooms, judgement: Judgement) -> None:
    """Say once what has been missing for too long; nothing is ever completed, or given up, because of it."""
    told = unit.more.get(OVERDUE, "")
    if bool(judgement.overdue) == bool(told):
        return
    await rooms.store.touch(unit, more={OVERDUE: judgement.overdue})
    if judgement.overdue:
        await rooms.store.journal("unit.overdue", f"{judgement.overdue}.", unit_id=unit.id)
        log.warning("unit.overdue", reason=judgement.overdue, now="The watcher goes on waiting.")


def _wait(rooms: Rooms, judgement: Judgement, view: UnitView) -> Wait:
    open_ones = [predicate for predicate in judgement.predicates if not predicate.holds]
    reason = "; ".join(predicate.detail or predicate.name for predicate in open_ones[:3])
    if all(predicate.name.startswith("quiet") for predicate in open_ones):
        return Wait(min(max(still_to_lie(view), SHORTEST), rooms.settings.rescan_active), reason, "settling")
    return Wait(rooms.settings.rescan_active, reason, INCOMPLETE)


async def _remember(
    unit: Unit, rooms: Rooms, listing: Listing, found: FoundUnit, watch: Watch, look: RootLook
) -> list[SourceFile]:
    """Add up quiet time for every file of the unit and store it; none for time in which the root was away."""
    now = rooms.clock.now()
    back_since = watch.more.get("back_since")
    previous = {row.path: row for row in await rooms.store.source_files(unit.id)}
    rows = add_quiet(
        previous,
        listing,
        unit_id=unit.id,
        at=now,
        rescan=rooms.settings.rescan,
        blind=watch.blind_since is not None,
        restarted=look.restarted,
        back_since=datetime.fromisoformat(back_since) if back_since else None,
        filer_now=filer_time(listing, at=now, is_network=look.is_network),
    )
    rows = [row for row in rows if belongs(row.path, found)]
    present = {row.path for row in rows}
    await rooms.store.put_source_files(unit, rows, gone=[path for path in previous if path not in present])
    return rows


def belongs(path: str, found: FoundUnit) -> bool:
    """Keep the unit's own files and what lies at the top of the run folder (markers, sheet)."""
    if found.files:
        return path in found.files
    return found.subpath in ("", ".") or path.startswith(f"{found.subpath}/") or "/" not in path


def _since(unit: Unit, predicates: tuple[PredicateResult, ...], now: datetime) -> list[dict[str, Any]]:
    """Remember since when each predicate has held, or not."""
    before: Mapping[str, Mapping[str, Any]] = {one["name"]: one for one in unit.more.get("predicates", [])}
    told = []
    for predicate in predicates:
        earlier = before.get(predicate.name)
        same = earlier is not None and earlier["holds"] == predicate.holds
        since = earlier["since"] if same and earlier else now.isoformat(timespec="seconds")
        told.append({"name": predicate.name, "holds": predicate.holds, "detail": predicate.detail, "since": since})
    return told
