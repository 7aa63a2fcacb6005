"""The same run in a second place: a copy of it, or made anew?

A run may be demultiplexed once more into another folder, or copied to another watch, while the first folder still lies
where it was. Files with the names and sizes that were taken, and with the bytes that were sent, are a copy: noted once,
never sent twice. Anything else under the same run id and unit was made anew: by the watch's `late` a version of its
own, linked to the one before, or a notice. Detect asks what names and sizes tell at once; what they do not tell gets a
row, which ends in `verify.py`. That a run moved is the business of `same_run.py`, what comes later into the folder that
was taken that of `afterwards.py`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import structlog

from watcher.config import WatchSettings
from watcher.disk.scan import read_ends
from watcher.errors import DiskError, FileGone, MountGone, Superseded
from watcher.model import Ignore, Outcome, SourceFacts, Status, Wait
from watcher.rows import Unit
from watcher.runs.layout import FoundUnit, Judgement, UnitView, judge
from watcher.stages.afterwards import LATE
from watcher.stages.looking import Place, identity_of, look_at, view_of, wish_of
from watcher.stages.revisions import OVER, has_same_bytes, other_bytes
from watcher.stages.rooms import Rooms
from watcher.stages.same_run import ALSO_IN, MISREAD, OPEN_STAGES, SAME_AS, fingerprint, follow, is_gone, note_copy

ELSEWHERE = "elsewhere"
"""Where a version remembers the unit with the same run id that lies in another place."""

TAKEN_ALL_THE_SAME = "taken_all_the_same"
"""Set by a person's `retry` of what was found to be a copy, or to be made anew: it is taken."""

COPY_OF = "copy_of"
"""Where a unit that is a copy remembers of which one."""

MADE_ANEW = "made_anew"
"""Code of a version that is ignored because `late` says that what was made anew is only to be told."""

UNDER_WAY = (Status.READY, Status.WORKING, Status.WAITING)

log = structlog.get_logger("watcher")


# --- who it is ------------------------------------------------------------------------------------------------------


async def tell_who(rooms: Rooms, settings: WatchSettings, unit: Unit, place: Place, judgement: Judgement) -> Unit:
    """Give a unit the identity that its run tells by now, where it was known by its name only: converters write who the
    run is long after the first reads. The same run in another place makes it a version of that one.
    """
    identity, run = identity_of(unit.watch, settings.path, place, judgement)
    if judgement.identity_from == "name" or identity == unit.identity or "/" not in unit.identity or place.layout.flat:
        return unit
    async with rooms.planning:  # two places of one run may be told at the same time
        other = await rooms.store.find_unit(identity, unit.unit)
        if other is None:
            return await rooms.store.touch(unit, identity=identity, run=run)
        version = other.unit_version + 1
        more = {ELSEWHERE: other.id}
        return await rooms.store.touch(unit, identity=identity, run=run, unit_version=version, more=more)


async def known_as(rooms: Rooms, settings: WatchSettings, place: Place, found: FoundUnit, identity: str) -> Unit | None:
    """Return the unit whose files lie in this place, moved there or copied, as far as names and sizes tell; None when
    that cannot be told, or they are others. Lists the whole folder. Raises FileGone.
    """
    view = await _view_of_all(rooms, settings, place, found)
    is_complete = judge(view).complete
    for one in await _versions(rooms, identity, found.unit):
        if one.run_path == str(place.root):
            continue
        if not place.layout.include:
            return one  # base calls: their converter's reads are what counts
        if await is_gone(rooms, one):
            if await _may_have_moved(rooms, one, view):
                return one
        elif await _has_nothing_new(rooms, one, view, is_complete=is_complete) and (
            str(place.root) in one.more.get(ALSO_IN, ()) or await _same_ends(rooms, one, place.root, _taken(view))
        ):
            return one
    return None


async def is_still_a_copy(rooms: Rooms, settings: WatchSettings, place: Place, found: FoundUnit, unit: Unit) -> bool:
    """Tell whether a unit that was found to be a copy has the files it had then. Lists the whole folder. Raises
    FileGone.
    """
    if unit.code != SAME_AS or unit.run_path != str(place.root) or not unit.more.get(COPY_OF):
        return False
    return _is_exactly(unit, await _view_of_all(rooms, settings, place, found))


async def _view_of_all(rooms: Rooms, settings: WatchSettings, place: Place, found: FoundUnit) -> UnitView:
    wish = wish_of(rooms.settings, settings.name, place.layout.name)
    whole = await look_at(rooms.threads, rooms.clock, place.layout, place.root, wish=wish)
    same = next((one for one in whole.units if one.unit == found.unit), None)
    if same is None:
        raise FileGone(f"{found.unit} is not in {place.root} any more.", hint="The next look sees what is there.")
    return await view_of(rooms.threads, whole, same, settings, quiet_s={}, assume_quiet=True, wish=wish)


async def _versions(rooms: Rooms, identity: str, unit: str) -> list[Unit]:
    """Return the versions of a unit that were taken for what they are, newest first."""
    newest = await rooms.store.find_unit(identity, unit)
    numbers = range(newest.unit_version if newest else 0, 0, -1)
    rows = [await rooms.store.find_unit(identity, unit, number) for number in numbers]
    return [one for one in rows if one is not None and one.code not in (SAME_AS, MISREAD)]


async def follow_or_note(rooms: Rooms, one: Unit, watch: str, place: Place) -> None:
    """Let the rows of a run go to where it was moved, or note that it lies there as well.

    Superseded when one of them is at work just now: then the next look does it.
    """
    one = await rooms.store.unit(one.id) or one
    if one.run_path == str(place.root):
        if rooms.settings.watch(one.watch) is None:  # the watch itself has another name now
            await rooms.store.touch(one, watch=watch)
        return
    await (follow(rooms, one, watch, place) if await is_gone(rooms, one) else note_copy(rooms, one, place))


# --- what verify asks -----------------------------------------------------------------------------------------------


async def compared(
    rooms: Rooms, settings: WatchSettings, unit: Unit, place: Place, view: UnitView
) -> tuple[Unit, Outcome | None]:
    """Tell a copy of a run that lies elsewhere from one that was made anew; None for the second when it is to be taken.

    May read the files through. Raises FileChanged and FileGone.
    """
    if not unit.more.get(ELSEWHERE) or unit.more.get(TAKEN_ALL_THE_SAME) or await rooms.store.batches(unit.id):
        return unit, None
    versions = await _versions(rooms, unit.identity, unit.unit)
    others = [one for one in versions if one.unit_version < unit.unit_version]  # never each for the other
    if not others:
        return unit, None
    for one in others:
        if one.stage in OPEN_STAGES and one.status in UNDER_WAY:
            reason = f"The same run lies in {one.run_path} and is not finished there: {one.id} comes first."
            return unit, Wait(rooms.settings.rescan_active, reason, "elsewhere")
    files = _taken(view)
    for one in others:
        if await _has_nothing_new(rooms, one, view, is_complete=True) and await _same_bytes(rooms, one, place, files):
            return await _is_copy(rooms, unit, one, place)
    before = others[0]
    text = f"{unit.run} was made anew in {place.root}: its files are not those of {before.id} in {before.run_path}."
    if unit.replaces != before.id:
        await rooms.store.journal("unit.made_anew", text, unit_id=unit.id)
        log.warning("unit.made_anew", unit=unit.id, before=before.id, path=str(place.root), late=settings.late)
        unit = await rooms.store.touch(unit, replaces=before.id)
    if settings.late == "new_version" or _brought_nothing(before):
        return unit, None
    return unit, Ignore(f"{text} `galaxy-watcher retry {unit.id}` takes them.", MADE_ANEW)


async def copy_of(rooms: Rooms, unit: Unit, place: Place, files: Sequence[SourceFacts]) -> tuple[Unit, Outcome | None]:
    """Tell whether a run that is known by its name alone has the very files of one that was sent from another place.

    Waits while such a one is still being sent; reads the files through. Raises FileChanged and FileGone.
    """
    if place.layout.flat or not files or unit.unit_version > 1 or unit.more.get(TAKEN_ALL_THE_SAME):
        return unit, None
    # Asked first: one that gets its fingerprint between the two questions is in one of the answers.
    begun = await rooms.store.units(status=UNDER_WAY)
    candidates = await rooms.store.units(fingerprint=unit.fingerprint)
    candidates += [one for one in begun if not one.fingerprint and one.stage in OPEN_STAGES]
    for one in candidates:
        alike = (one.layout, one.unit) == (unit.layout, unit.unit) and one.code not in (SAME_AS, MISREAD)
        # Whoever is planned comes first, else the older one: never each for the other.
        is_first = one.stage not in OPEN_STAGES or (one.seen_at, one.id) < (unit.seen_at, unit.id)
        if not alike or not is_first or one.id == unit.id:
            continue
        if not one.fingerprint and not await _has_begun_with(rooms, one, files):
            continue
        if await is_gone(rooms, one) or not await _same_ends(rooms, one, place.root, files):
            continue
        if one.status in UNDER_WAY:
            reason = f"Files of the same names and sizes lie in {one.run_path}: {one.id} is sent first."
            return unit, Wait(rooms.settings.rescan_active, reason, "elsewhere")
        if await has_same_bytes(rooms, one.id, place.root, files):
            return await _is_copy(rooms, unit, one, place)
    return unit, None


async def _has_begun_with(rooms: Rooms, one: Unit, files: Sequence[SourceFacts]) -> bool:
    """Tell whether a unit that is not verified yet has files of these names and sizes."""
    sizes = await _sizes(rooms, one)
    return all(sizes.get(facts.path) == facts.size for facts in files)


async def _is_copy(rooms: Rooms, unit: Unit, one: Unit, place: Place) -> tuple[Unit, Outcome]:
    try:
        await follow_or_note(rooms, one, unit.watch, place)
    except Superseded:
        return unit, Wait(
            rooms.settings.rescan_active, f"The same files are those of {one.id}, which is at work.", "elsewhere"
        )
    unit = await rooms.store.touch(unit, more={COPY_OF: one.id})
    one = await rooms.store.unit(one.id) or one
    if one.run_path == unit.run_path:
        return unit, Ignore(f"This is {one.id}, which lies here: the same files.", SAME_AS)
    reason = f"This is a copy of {one.id} in {one.run_path}: the same files."
    return unit, Ignore(f"{reason} `galaxy-watcher retry {unit.id}` takes them all the same.", SAME_AS)


def _brought_nothing(unit: Unit) -> bool:
    """Tell whether a unit ended, or stopped for a person, before anything of it was sent."""
    return unit.stage in OPEN_STAGES and unit.status in (Status.DONE, Status.FAILED, Status.HELD)


# --- what is the same -----------------------------------------------------------------------------------------------


def _taken(view: UnitView) -> list[SourceFacts]:
    return [view.listing.entries[path] for path in view.selection.selected]


def _is_exactly(one: Unit, view: UnitView) -> bool:
    """Tell whether names and sizes are those that were taken, with or without what only some rules ask for."""
    files = _taken(view)
    plain = [facts for facts in files if facts.path not in view.selection.extra]
    return one.fingerprint in (fingerprint(view.found, files), fingerprint(view.found, plain))


async def _sizes(rooms: Rooms, one: Unit) -> Mapping[str, int]:
    return {row.path: row.size for row in await rooms.store.source_files(one.id)}


async def _has_nothing_new(rooms: Rooms, one: Unit, view: UnitView, *, is_complete: bool) -> bool:
    """Tell whether all that lies here is known of a unit that lies elsewhere; files that were taken away say nothing
    of a run that is complete.
    """
    sizes = await _sizes(rooms, one)
    if not sizes and not one.fingerprint:
        return one.status in OVER  # ignored at once, nobody ever looked what it has
    if _is_exactly(one, view):
        return True
    late: Collection[str] = {path for path, _ in one.more.get(LATE, [])}
    files = _taken(view)
    return (
        is_complete
        and bool(files)
        and all(facts.path in late or sizes.get(facts.path) == facts.size for facts in files)
    )


async def _may_have_moved(rooms: Rooms, one: Unit, view: UnitView) -> bool:
    """Tell whether what lies here can be a run that is no more where it was: also with fewer files, or more of them."""
    sizes = await _sizes(rooms, one)
    if (one.stage in OPEN_STAGES and one.status not in OVER) or (not sizes and not one.fingerprint):
        return True
    if _is_exactly(one, view):
        return True
    files = {facts.path: facts.size for facts in _taken(view)}
    late = {path for path, _ in one.more.get(LATE, [])}
    inner = len(view.found.folder) + 1 if view.found.folder else 0
    has_changed = any(sizes[path] != files[path] for path in (sizes.keys() & files.keys()) - late)
    has_new = bool(files.keys() - sizes.keys() - late)
    lacks = any(path not in view.listing.entries and view.layout.included.fullmatch(path, inner) for path in sizes)
    return bool(sizes) and not has_changed and not (has_new and lacks)


async def _same_bytes(rooms: Rooms, one: Unit, place: Place, files: Sequence[SourceFacts]) -> bool:
    """Tell whether these files have the bytes of another unit's as far as they were sent, and its ends as far as they
    are still there.
    """
    if not await _same_ends(rooms, one, place.root, files):
        return False
    return not await other_bytes(rooms, one.id, place.root, files, at_most=1)


async def _same_ends(rooms: Rooms, one: Unit, root: Path, files: Sequence[SourceFacts]) -> bool:
    """Tell whether first and last bytes are those of the unit's files; a packed file ends with a checksum of all of it.

    What is not where the unit lies, or cannot be read there, says nothing.
    """
    there = Path(one.run_path)
    for facts in files:
        try:
            before = await read_ends(rooms.threads, there, facts.path)
        except MountGone:
            return True
        except DiskError:
            continue
        if before != await read_ends(rooms.threads, root, facts.path):
            return False
    return True
