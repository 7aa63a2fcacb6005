"""Stage detect: what is new under the watch?

Looks at the watch's root (never while blind), at each run folder only as deep as its layout needs to find units, and
gives every unit its row and id, once for ever. What was complete at the very first look was there before us and is
left alone unless the operator says otherwise. Whether a unit is finished is the question of `settle.py`.
"""

from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog

from watcher.config import WatchSettings
from watcher.disk.mounts import inspect_root
from watcher.disk.scan import list_folder
from watcher.errors import FileGone, MountGone, StateError, Superseded, WatcherError
from watcher.model import Kind, Outcome, SourceFacts, Stage, Status, Wait
from watcher.rows import FolderLook, Unit, UnitBrief, Watch
from watcher.runs.layout import FoundUnit, judge, not_taken
from watcher.stages.afterwards import come_later
from watcher.stages.copies import ELSEWHERE, TAKEN_ALL_THE_SAME, follow_or_note, is_still_a_copy, known_as
from watcher.stages.looking import Place, identity_of, known_names, look_at, runs_in, see_root, view_of, without_let_go
from watcher.stages.revisions import NAMESAKE, OVER, files_of, has_new_files
from watcher.stages.rooms import Rooms
from watcher.stages.same_run import (
    HAS_LEFT,
    MISREAD,
    OPEN_STAGES,
    SAME_AS,
    TRACES,
    WHO,
    fingerprint,
    follow,
    holds_another_run,
    is_gone,
    note_copy,
    traces,
    who_says_so,
)
from watcher.stages.unchanged import by_folder, changed_folders, remember, seen_of

BACK_SINCE = "back_since"
"""When the root was last back after being blind: quiet time from before does not count (see `settle.py`)."""

LEFT_OUT, LEFT_OUT_MORE = "left_out", "left_out_more"
"""What lies in a flat folder and is no unit, as [path, reason], and how many more there are than are remembered."""

MOST_LEFT_OUT = 200

SUPERSEDED, SUPERSEDED_BY = "superseded", "superseded_by"
"""Code of an analysis that a later one makes superfluous, and where it remembers which one."""

UNTAKEN = (Status.CANCELLED, Status.IGNORED)

log = structlog.get_logger("watcher")


async def detect(watch: Watch, rooms: Rooms) -> Outcome:
    """Make rows for new units under the watch; raises MountGone while blind."""
    settings = rooms.watch(watch.name)
    briefs = await rooms.store.unit_briefs(watch.name)
    watch = await _look_at_root(watch, rooms, settings, briefs)
    layout = rooms.layouts.get(settings.layout)
    if layout is not None and layout.flat:
        known = await rooms.store.units(watch=watch.name)
        place = await look_at(rooms.threads, rooms.clock, layout, settings.path, shallow_only=True)
        left_out, problems = _left_out(watch, place), ""
        await _take_in(watch, rooms, settings, place, [unit for unit in known if unit.run_path == str(settings.path)])
    else:
        left_out = {LEFT_OUT: [], LEFT_OUT_MORE: 0} if watch.more.get(LEFT_OUT) else {}
        problems = await _look_into_folders(watch, rooms, settings, briefs)
    now = rooms.clock.now()
    await rooms.store.touch(watch, last_look_at=now, first_look_at=watch.first_look_at or now, more=left_out)
    await _wake_open_units(rooms, briefs)
    return Wait(rooms.settings.rescan, problems or "Watching.", "watching")


async def _look_into_folders(watch: Watch, rooms: Rooms, settings: WatchSettings, briefs: Sequence[UnitBrief]) -> str:
    """Look into the folders right below the root that may hold something new; return what was wrong with some."""
    began_s = rooms.clock.monotonic()
    folders = await _folders(rooms, settings)
    units = by_folder(briefs, settings)
    looks: dict[str, FolderLook | None] = {}
    problems: list[str] = []
    changed, late = await changed_folders(rooms, settings, folders, units)
    for facts in changed:
        folder, of_folder = settings.path / facts.path, units.get(facts.path, [])
        known = await rooms.store.units_of([unit.id for unit in of_folder])
        try:
            found = await runs_in(rooms.threads, rooms.clock, rooms.layouts, settings.layout, folder)
            places = []
            for path, layout in found.runs:
                place = await look_at(rooms.threads, rooms.clock, layout, path, shallow_only=True)
                await _take_in(watch, rooms, settings, place, [unit for unit in known if unit.run_path == str(path)])
                places.append(place)
            looks[facts.path] = seen_of(rooms, settings, facts, found, places, of_folder, known)
        except (MountGone, StateError):
            raise
        except WatcherError as error:  # one bad folder never stops the others
            problems.append(error.message)
    for facts in late:
        try:
            await _look_after(watch, rooms, settings, await rooms.store.units_of([u.id for u in units[facts.path]]))
        except (MountGone, StateError):
            raise
        except WatcherError as error:
            problems.append(error.message)
    await remember(rooms, settings, folders, looks, began_s)
    return " ".join(problems)


async def _look_after(watch: Watch, rooms: Rooms, settings: WatchSettings, known: Sequence[Unit]) -> None:
    """Look for files that come late to the runs of a folder in which nothing else is new."""
    for path in dict.fromkeys(unit.run_path for unit in known):
        of_run = [unit for unit in known if unit.run_path == path and unit.code not in (SAME_AS, MISREAD)]
        newest = {unit.unit: unit for unit in sorted(of_run, key=_age)}
        for layout in [rooms.layouts[name] for name in sorted({unit.layout for unit in newest.values()})]:
            units = [unit for unit in newest.values() if unit.layout == layout.name]
            again = await come_later(rooms, settings, layout, Path(path), units)
            if again:
                place = await look_at(rooms.threads, rooms.clock, layout, Path(path), shallow_only=True)
                for found, elder, more in again:
                    await _add(watch, rooms, settings, place, found, elder, more=more)


async def _look_at_root(watch: Watch, rooms: Rooms, settings: WatchSettings, known: Sequence[UnitBrief]) -> Watch:
    """Refuse to infer anything while the root is not the one we know; remember the mount otherwise."""
    watch, names = without_let_go(watch, known_names(known, settings.path))
    look = await inspect_root(rooms.threads, watch, settings.path, known=names)
    first_look_at = watch.first_look_at
    if not look.ok and watch.mount and not watch.entry_count and not known:
        # We started before the mount did and remember the bare folder below it: what is there now is the first look.
        fresh = replace(watch, mount="", device=0, root_inode=0)
        look = await inspect_root(rooms.threads, fresh, settings.path, known=names)
        first_look_at = None
    if not look.ok:
        if watch.blind_since is None:
            watch = await rooms.store.touch(watch, blind_since=rooms.clock.now())
        raise MountGone(
            f"The watch `{watch.name}` is blind: {look.blind_reason}",
            hint=look.hint or f"Look at {settings.path}; the watcher goes on by itself when it is back.",
        )
    is_back = look.restarted or watch.blind_since is not None
    if is_back:  # the kernel tells nothing of a remount: watch the root anew
        rooms.wakeups.watch(f"watch:{watch.name}", settings.path)
    return await rooms.store.touch(
        watch,
        mount=look.mount,
        device=look.device,
        root_inode=look.inode,
        entry_count=look.entry_count,
        blind_since=None,
        first_look_at=first_look_at,
        more={
            "root_marked": look.marked,
            "is_network": look.is_network,
            **({BACK_SINCE: rooms.clock.now().isoformat()} if is_back else {}),
        },
    )


async def _folders(rooms: Rooms, settings: WatchSettings) -> list[SourceFacts]:
    """Return the folders right below the root: each may be a run, or hold some."""
    top = await list_folder(rooms.threads, settings.path, depth=1, clock=rooms.clock)
    return [facts for facts in top.entries.values() if facts.kind is Kind.FOLDER and not facts.path.startswith(".")]


def _left_out(watch: Watch, place: Place) -> dict[str, Any]:
    """Return what is to be remembered of a place's files that are no units; says each new one once."""
    strays = not_taken(place.layout, place.listing)
    told = [[stray.path, stray.reason] for stray in strays[:MOST_LEFT_OUT]]
    before = watch.more.get(LEFT_OUT, [])
    for path, reason in told:
        # A transfer that goes on is nothing to warn of: it is listed while it is there.
        if [path, reason] not in before and not place.layout.any_unfinished.fullmatch(path):
            log.warning("file.left_out", watch=watch.name, path=path, reason=reason)
    return {LEFT_OUT: told, LEFT_OUT_MORE: len(strays) - len(told)}


async def _take_in(watch: Watch, rooms: Rooms, settings: WatchSettings, place: Place, known: list[Unit]) -> None:
    newest: list[Unit] = []
    for found in place.units:
        of_unit = [unit for unit in known if unit.unit == found.unit and unit.code != SAME_AS]
        elder = _elder(place, of_unit)
        if elder is not None and await _lies_there_no_more(rooms, settings, place, found, elder):
            elder = None
        if elder is None:
            await _drop_misread(rooms, place, found, known)
            await _add(watch, rooms, settings, place, found, replaces=_requeued(settings, place, found, known))
        elif elder.layout != place.layout.name and _brought_nothing(elder):
            # A run folder of base calls, say, in which the reads are only made later.
            await _add(watch, rooms, settings, place, found, elder)
        elif await has_new_files(rooms, place, found, elder):
            await _add(watch, rooms, settings, place, found, elder)
        else:
            await _release_if_gone(rooms, elder)
            await _give_way(rooms, settings, place, elder)
            newest.append(elder)
    for found, elder, more in await come_later(rooms, settings, place.layout, place.root, newest):
        await _add(watch, rooms, settings, place, found, elder, more=more)


def _elder(place: Place, of_unit: Sequence[Unit]) -> Unit | None:
    """Return the newest version of a unit, also one that was met under another layout and is more than a beginning."""
    rightly_read = [unit for unit in of_unit if unit.code != MISREAD]
    newest = max(rightly_read, key=_age, default=None)
    if newest is not None and newest.layout != place.layout.name:
        begun_otherwise = newest.stage in OPEN_STAGES and newest.status not in OVER
        newest = None if begun_otherwise else newest
    return newest or next((unit for unit in of_unit if unit.layout == place.layout.name), None)


def _age(unit: Unit) -> tuple[datetime, int]:
    """Return what orders the rows of one place: versions of a run, or runs that lay there one after another."""
    return unit.seen_at or datetime.min.replace(tzinfo=UTC), unit.unit_version


async def _lies_there_no_more(
    rooms: Rooms, settings: WatchSettings, place: Place, found: FoundUnit, unit: Unit
) -> bool:
    """Tell whether another run lies in the folder of a unit by now; one that was not taken yet is held."""
    with contextlib.suppress(Superseded):  # it is at work just now: the next look asks again
        if not await holds_another_run(rooms, settings, place, found, unit):
            return False
        if unit.stage in OPEN_STAGES and unit.status not in OVER:
            await rooms.store.move(
                unit,
                status=Status.HELD,
                code=FileGone.code,
                reason=f"{place.root} holds another run now.",
                hint=f"Put {unit.run} back under another name, or cancel it.",
            )
        return True
    return False


def _brought_nothing(unit: Unit) -> bool:
    """Tell whether a unit ended before there was anything of it to send."""
    return unit.stage in OPEN_STAGES and unit.status in (Status.DONE, Status.FAILED)


# --- several analyses of one run ------------------------------------------------------------------------------------


def _in_order(place: Place) -> list[str]:
    """Return the units of a run as they came one after the other: `Analysis/10` after `Analysis/9`."""
    names = [found.unit for found in place.units]
    return sorted(names, key=lambda name: [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)])


def _latest(settings: WatchSettings, place: Place) -> str:
    """Return which unit makes the others of its run superfluous; none unless the operator says so."""
    if settings.units == "all" or not place.layout.analyses or not place.units:
        return ""
    return _in_order(place)[-1]


def _requeued(settings: WatchSettings, place: Place, found: FoundUnit, known: Sequence[Unit]) -> str:
    """Return the id of the analysis before this one that was taken, where only the latest one shall count."""
    if not _latest(settings, place):
        return ""
    order = _in_order(place)
    before = order[: order.index(found.unit)]
    taken = [
        unit for unit in known if unit.unit in before and unit.stage is Stage.FINISH and unit.status not in UNTAKEN
    ]
    return max(taken, key=lambda unit: (order.index(unit.unit), unit.unit_version)).id if taken else ""


async def _give_way(rooms: Rooms, settings: WatchSettings, place: Place, unit: Unit) -> None:
    """Leave an analysis that is not planned yet, because a later one came; once: a person may take it all the same."""
    latest = _latest(settings, place)
    if latest in ("", unit.unit) or unit.more.get(SUPERSEDED_BY) == latest:
        return
    if unit.stage not in OPEN_STAGES or unit.status in OVER:
        return
    reason = f"{latest} came after it."
    with contextlib.suppress(Superseded):  # it goes on just now: the next look finds it again
        await rooms.store.move(
            unit, status=Status.IGNORED, code=SUPERSEDED, reason=reason, more={SUPERSEDED_BY: latest}
        )
        await rooms.store.journal("unit.superseded", reason, unit_id=unit.id)


# --- rows -----------------------------------------------------------------------------------------------------------


async def _release_if_gone(rooms: Rooms, unit: Unit) -> None:
    """Let a unit go on that was held because it had vanished: here it is."""
    if unit.status is Status.HELD and unit.code == FileGone.code and unit.stage in OPEN_STAGES:
        await rooms.store.move(unit, stage=Stage.SETTLE, status=Status.READY, reason="It is back.")


async def _drop_misread(rooms: Rooms, place: Place, found: FoundUnit, known: list[Unit]) -> None:
    """A folder may show what it is only after some files: what was taken for something else before, and not begun, is
    dropped.
    """
    for unit in known:
        if unit.layout != place.layout.name and unit.stage in OPEN_STAGES and unit.status not in OVER:
            await rooms.store.move(unit, status=Status.IGNORED, code=MISREAD, reason=_turned_out(place))


def _turned_out(place: Place) -> str:
    return f"This folder turned out to be a {place.layout.name} run."


async def _add(
    watch: Watch,
    rooms: Rooms,
    settings: WatchSettings,
    place: Place,
    found: FoundUnit,
    elder: Unit | None = None,
    *,
    replaces: str = "",
    more: Mapping[str, Any] | None = None,
) -> None:
    """Give a unit its row, or the next version of `elder` one of its own."""
    view = await view_of(rooms.threads, place, found, settings, quiet_s={}, assume_quiet=True)
    judgement = judge(view)
    identity, run = identity_of(watch.name, settings.path, place, judgement)
    latest = _latest(settings, place)
    why, whole = "", None
    more = {**(more or {}), WHO: who_says_so(place)}
    if watch.first_look_at is None and settings.existing == "ignore" and not rooms.takes_existing:
        whole = await _complete(rooms, settings, place, found)
    if whole is not None:
        why, reason = "was_there_before", "It was there before the first look."
        more[TRACES] = traces(whole.files)
    elif elder is None and latest not in ("", found.unit):
        why, reason = SUPERSEDED, f"{latest} came after it."
        more[SUPERSEDED_BY] = latest
    row = functools.partial(
        rooms.store.add_unit,
        watch,
        place.layout.name,
        identity,
        run,
        found.unit,
        str(place.root / found.folder),
        str(place.root),
        status=Status.IGNORED if why else Status.READY,
        code=why,
        reason=reason if why else "",
        fingerprint=fingerprint(found, whole.files) if whole else "",
    )
    version = await _next_version(rooms, identity, place, found, elder)
    await see_root(settings.name, rooms)  # the mount may have gone since: then this lies on the folder below it
    unit = await row(unit_version=version, replaces=elder.id if elder else replaces, more=more)
    if why:
        await rooms.store.put_source_files(unit, files_of(place, found, unit.id))
    if unit.run_path != str(place.root) or unit.code == SAME_AS:
        if await is_still_a_copy(rooms, settings, place, found, unit):
            return
        gone = await is_gone(rooms, unit)
        by_name = judgement.identity_from == "name"
        newest = await rooms.store.find_unit(identity, found.unit) or unit
        if by_name and not place.layout.flat and not (gone and _keeps_its_name(unit)):
            # A name proves nothing, and who had it has left it or is still there: `verify.py` looks which run it is.
            unit = await row(unit_version=newest.unit_version + 1, more={**more, NAMESAKE: unit.id})
        elif by_name or place.layout.flat:
            await (follow(rooms, unit, watch.name, place) if gone else note_copy(rooms, unit, place))
            return
        elif (known_one := await known_as(rooms, settings, place, found, identity)) is not None:
            # The same run under another name or mount: the row follows it, unless it lies in both.
            with contextlib.suppress(Superseded):  # it is at work just now: the next look finds it again
                await follow_or_note(rooms, known_one, watch.name, place)
            return
        else:  # a copy that is under way, or made anew: `verify.py` looks once it is whole
            told = {ELSEWHERE: unit.id, **({TAKEN_ALL_THE_SAME: True} if why else {})}
            unit = await row(unit_version=newest.unit_version + 1, more={**more, **told})
    if unit.code == MISREAD and unit.layout != place.layout.name:  # it says who it is: the row stays
        unit = await rooms.store.touch(unit, layout=place.layout.name)
        unit = await rooms.store.move(unit, stage=Stage.SETTLE, status=Status.READY, reason=_turned_out(place))
    if unit.attempt == 0 and not why:
        await rooms.store.journal(
            "unit.detected", f"{unit.run} {unit.unit} in {place.root}, layout {unit.layout}.", unit_id=unit.id
        )
        rooms.wakeups.watch(f"unit:{unit.id}:{place.root}", place.root)


async def _next_version(rooms: Rooms, identity: str, place: Place, found: FoundUnit, elder: Unit | None) -> int:
    """Return the number of the version after `elder`, past those that the same run has in other places."""
    version = elder.unit_version + 1 if elder else 1
    while elder and (taken := await rooms.store.find_unit(identity, found.unit, version)):
        if taken.run_path == str(place.root):
            break
        version += 1
    return version


def _keeps_its_name(unit: Unit) -> bool:
    return unit.code != SAME_AS and not unit.more.get(HAS_LEFT)


@dataclass(frozen=True, slots=True)
class _Complete:
    """What is taken of a unit that is complete."""

    files: tuple[SourceFacts, ...]


async def _complete(rooms: Rooms, settings: WatchSettings, place: Place, found: FoundUnit) -> _Complete | None:
    """Return the files of a unit that is complete but for quiet time, looking at all of it; None while it is not."""
    whole = await look_at(rooms.threads, rooms.clock, place.layout, place.root)
    same = next((one for one in whole.units if one.unit == found.unit), None)
    if same is None:
        return None
    judgement = judge(await view_of(rooms.threads, whole, same, settings, quiet_s={}, assume_quiet=True))
    return _Complete(tuple(whole.listing.entries[path] for path in judgement.selected)) if judgement.complete else None


async def _wake_open_units(rooms: Rooms, known: Sequence[UnitBrief]) -> None:
    """A rescan looks at every unit that is not settled yet, events or not."""
    for unit in known:
        if unit.stage is Stage.SETTLE and unit.status is Status.WAITING:
            await rooms.store.wake("unit", unit.id)
