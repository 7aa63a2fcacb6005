"""Which folders below a watch's root need no look, because a look would find nothing new.

The times of a folder change when something comes into it, leaves it or is renamed in it. As long as the times of all
folders in which something new would show are what they were at two looks, and the rows of its units as well, nothing
is new. So the finished runs of years cost a few questions each. A missed run is the worst that can happen, so:

- mtime, which copying programs set back, counts together with ctime, which nobody can set;
- two looks count only with enough time between them that the clock of the file system, or the cache of a file server,
  cannot hide what came right after the first (`sure_after_s`);
- what could not be read, what is known from another place, and what a file system without times of folders holds is
  looked at each time;
- everything is looked at once a day all the same.

Detect asks for names only; what changes inside files is seen by `settle.py` while a unit is open, and by
`afterwards.py` for some time after its plan.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from watcher import __version__
from watcher.config import WatchSettings
from watcher.disk.scan import folder_marks, mark_of, was_refused
from watcher.model import Kind, Listing, SourceFacts
from watcher.rows import FolderLook, Unit, UnitBrief
from watcher.stages.afterwards import looked_after_until
from watcher.stages.looking import Place, RunsIn
from watcher.stages.revisions import OVER
from watcher.stages.rooms import Rooms

COARSEST_S = 4.0
"""Twice the coarsest clock of a file system (FAT: 2 s)."""

CACHED_S = 60.0
"""How old the times of a folder may be that a client of a file server believes (nfs(5), acdirmax)."""

ANYWAY_S = 24 * 3600.0
"""How long a folder is left alone at most, whatever its times say."""

WITHOUT_TIMES = re.compile(r"fuse|fuse\..*|davfs2?")
"""File systems of programs (buckets, unions of disks) whose folders may keep their times whatever comes into them."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of a folder once, and when the look was over (monotonic seconds)."""

    look: FolderLook
    over_s: float


async def changed_folders(
    rooms: Rooms, settings: WatchSettings, folders: Sequence[SourceFacts], units: Mapping[str, Sequence[UnitBrief]]
) -> tuple[list[SourceFacts], list[SourceFacts]]:
    """Return the folders right below a watch's root that are to be looked into, and those of the others in which files
    may come late to what is known; `units` are the rows by folder.
    """
    known = await _remembered(rooms, settings.name)
    turns = rooms.folder_turns.setdefault(settings.name, {})
    now, now_s = rooms.clock.now(), rooms.clock.monotonic()
    told = _told(rooms, settings)
    asked: list[tuple[SourceFacts, FolderLook]] = []
    changed: list[SourceFacts] = []
    for facts in folders:
        look = known.get(facts.path)
        if (
            look is None
            or look.units != _key(told, units.get(facts.path, ()))
            or turns.setdefault(facts.path, _turn(now_s)) <= now_s
        ):
            changed.append(facts)
        else:
            asked.append((facts, look))
    paths = [f"{facts.path}/{inner}" for facts, look in asked for inner in look.folders]
    marks = iter(await folder_marks(rooms.threads, settings.path, paths))
    for facts, look in asked:
        if _mark(facts, [next(marks) for _ in look.folders]) != look.mark:
            changed.append(facts)
    in_question = {facts.path for facts in changed}
    late = [facts for facts, look in asked if (look.again_until or now) > now and facts.path not in in_question]
    return changed, late


def _turn(now_s: float) -> float:
    """Return when a folder is looked at whatever its times say; not all of them at once."""
    return now_s + ANYWAY_S * random.uniform(0.5, 1.0)


def seen_of(
    rooms: Rooms,
    settings: WatchSettings,
    facts: SourceFacts,
    found: RunsIn,
    places: Sequence[Place],
    briefs: Sequence[UnitBrief],
    units: Sequence[Unit],
) -> FolderLook | None:
    """Return what is to be remembered of a look into a folder, None when it must be looked at again.

    `facts` are those of the folder before the look, `briefs` and `units` the rows that lay in it then.
    """
    if any(one.status not in OVER for one in briefs):
        return None
    of_run = {(unit.run_path, unit.unit) for unit in units}
    if any((str(place.root), one.unit) not in of_run for place in places for one in place.units):
        return None  # new just now, or known from another place: when it goes from there, it is taken from here
    listings = [place.listing for place in places] + ([found.listing] if found.listing else [])
    if any(was_refused(one) for listing in listings for one in listing.entries.values()):
        return None  # it may be readable the next time, and nothing tells
    until = _latest(looked_after_until(settings, unit) for unit in units)
    as_known = {(unit.run_path, unit.layout) for unit in units}
    if until and until > rooms.clock.now() and {(str(one.root), one.layout.name) for one in places} - as_known:
        return None  # what comes late is looked for as the folder is read now, not as its units were
    telling = {path: mark_of(one) for path, one in found.read.items()}
    if found.listing:
        telling |= {path: mark_of(found.listing.entries[path]) for path in found.telling - found.listing.pruned}
    for place in places:
        above = f"{place.root.relative_to(settings.path / facts.path)}/".removeprefix("./")
        telling |= {above + path: times for path, times in _times(place.listing, place.layout.look_depth).items()}
    paths = sorted(telling)
    return FolderLook(
        settings.name,
        facts.path,
        paths,
        _mark(facts, [telling[path] for path in paths]),
        _key(_told(rooms, settings), briefs),
        until,
    )


async def remember(
    rooms: Rooms,
    settings: WatchSettings,
    folders: Sequence[SourceFacts],
    looks: Mapping[str, FolderLook | None],
    began_s: float,
) -> None:
    """Remember folders that were seen the same twice; forget those that are gone.

    `looks` is what was seen of the folders that were looked at, none of it before `began_s` (monotonic).
    """
    remembered = await _remembered(rooms, settings.name)
    turns = rooms.folder_turns.setdefault(settings.name, {})
    once = rooms.folders_seen_once.setdefault(settings.name, {})
    mount = rooms.threads.mount_of(settings.path)
    has_times = WITHOUT_TIMES.fullmatch(mount.fstype) is None
    sure_after_s = COARSEST_S + (CACHED_S if mount.is_network else 0.0)
    over_s = rooms.clock.monotonic()
    fresh: list[FolderLook] = []
    for name, look in looks.items():
        turns[name] = _turn(over_s)
        before = once.get(name)
        if look is None or not has_times:
            once.pop(name, None)
        elif remembered.get(name) == look:
            continue
        elif before is None or before.look != look:
            once[name] = Seen(look, over_s)
        elif began_s - before.over_s >= sure_after_s:
            fresh.append(look)
            del once[name]
    there = {facts.path for facts in folders}
    gone = [name for name in remembered if name not in there]
    await rooms.store.put_folder_looks(settings.name, fresh, gone)
    remembered.update({look.name: look for look in fresh})
    for name in gone:
        del remembered[name]
        turns.pop(name, None)


async def _remembered(rooms: Rooms, watch: str) -> dict[str, FolderLook]:
    if watch not in rooms.folder_looks:
        rooms.folder_looks[watch] = {look.name: look for look in await rooms.store.folder_looks(watch)}
    return rooms.folder_looks[watch]


def _times(listing: Listing, depth: int | None) -> dict[str, tuple[int, ...]]:
    """Return the marks of all folders that a listing of that depth has entered."""
    return {
        path: mark_of(facts)
        for path, facts in listing.entries.items()
        if facts.kind is Kind.FOLDER and path not in listing.pruned and (depth is None or path.count("/") + 1 < depth)
    }


def _mark(facts: SourceFacts, inside: Iterable[tuple[int, ...] | None]) -> str:
    """Return one number for all marks; of numbers alone (not of text, not of None) it is the same at each start."""
    return f"{hash((mark_of(facts), *(mark or () for mark in inside))):x}"


def _told(rooms: Rooms, settings: WatchSettings) -> list[Any]:
    """Return what decides what a look finds, but for the folder and the rows of its units."""
    late_s = settings.late_for.total_seconds()
    return [__version__, rooms.layouts_mark, str(settings.path), settings.layout, settings.units, late_s]


def _key(told: Sequence[Any], units: Iterable[UnitBrief]) -> str:
    """Return what changes with the rows of the units, and with whatever else decides what a look finds."""
    return _short([*told, sorted((unit.id, unit.version) for unit in units)])


def _short(told: Sequence[Any]) -> str:
    return hashlib.sha1(repr(told).encode(errors="surrogateescape"), usedforsecurity=False).hexdigest()


def by_folder(units: Iterable[UnitBrief], watch: WatchSettings) -> dict[str, list[UnitBrief]]:
    """Return units by the name of the folder right below the watch's root that they lie in."""
    found: dict[str, list[UnitBrief]] = {}
    begin = f"{watch.path}/"
    for unit in units:
        if unit.run_path.startswith(begin):
            found.setdefault(unit.run_path[len(begin) :].split("/", 1)[0], []).append(unit)
    return found


def _latest(times: Iterable[datetime | None]) -> datetime | None:
    return max((at for at in times if at is not None), default=None)
