"""Which folders below a watch's root need no look, because a look would find nothing new.

A folder's time changes when something comes into it, leaves it or is renamed in it. As long as the times of all
folders in which something new would show are what they were at two looks (one alone may have been too quick for the
clock of the file system), and the rows of its units as well, nothing is new. So the finished runs of years cost one
question each. Detect asks for names only; what changes inside files is seen by `settle.py` while a unit is open, and by
`afterwards.py` for some time after its plan.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from watcher import __version__
from watcher.config import WatchSettings
from watcher.disk.scan import folder_marks
from watcher.model import Kind, Listing, SourceFacts
from watcher.rows import FolderLook, Unit, UnitBrief
from watcher.runs.globs import compiled
from watcher.runs.layout import Layout
from watcher.stages.afterwards import looked_after_until
from watcher.stages.looking import Place
from watcher.stages.revisions import OVER
from watcher.stages.rooms import Rooms

B = TypeVar("B", Unit, UnitBrief)


@dataclass(frozen=True, slots=True)
class Look:
    """A look into a folder right below the root: its facts, what was listed to find its runs, and the runs."""

    facts: SourceFacts
    folder: Path
    listing: Listing | None
    places: tuple[Place, ...]

    def inner(self, place: Place) -> str:
        """Return where a run lies in the folder, "" for the folder itself."""
        return "" if place.root == self.folder else str(place.root.relative_to(self.folder))


async def changed_folders(
    rooms: Rooms, settings: WatchSettings, folders: Sequence[SourceFacts], briefs: Iterable[UnitBrief]
) -> list[SourceFacts]:
    """Return the folders right below a watch's root that are to be looked into."""
    known = await _remembered(rooms, settings.name)
    units = _by_folder(briefs, settings.path)
    now = rooms.clock.now()
    asked: list[tuple[SourceFacts, FolderLook]] = []
    changed: list[SourceFacts] = []
    for facts in folders:
        look = known.get(facts.path)
        of_folder = units.get(facts.path, [])
        if look is None or look.units != _key(rooms, settings, of_folder) or (look.again_until or now) > now:
            changed.append(facts)
        else:
            asked.append((facts, look))
    paths = [f"{facts.path}/{inner}" for facts, look in asked for inner in look.folders]
    marks = iter(await folder_marks(rooms.threads, settings.path, paths))
    for facts, look in asked:
        if _mark(facts, [(inner, next(marks)) for inner in look.folders]) != look.mark:
            changed.append(facts)
    return changed


async def remember(
    rooms: Rooms,
    settings: WatchSettings,
    folders: Sequence[SourceFacts],
    looks: Sequence[Look],
    briefs: Iterable[UnitBrief],
    known: Sequence[Unit],
) -> None:
    """Remember folders that were seen the same twice and hold nothing that is under way; forget those that are gone.

    `briefs` and `known` are the rows as they were before the looks.
    """
    remembered = await _remembered(rooms, settings.name)
    units = _by_folder(briefs, settings.path)
    rows = _by_folder(known, settings.path)
    fresh: list[FolderLook] = []
    for look in looks:
        name, of_folder = look.facts.path, units.get(look.facts.path, [])
        if any(one.status not in OVER for one in of_folder):
            continue
        telling = sorted(_telling(look).items())
        seen = FolderLook(
            settings.name,
            name,
            [path for path, _ in telling],
            _mark(look.facts, telling),
            _key(rooms, settings, of_folder),
            _latest(looked_after_until(settings, unit) for unit in rows.get(name, ())),
        )
        if rooms.folders_seen_once.pop((settings.name, name), None) != seen:
            rooms.folders_seen_once[settings.name, name] = seen
        elif remembered.get(name) != seen:
            fresh.append(seen)
    there = {facts.path for facts in folders}
    gone = [name for name in remembered if name not in there]
    await rooms.store.put_folder_looks(settings.name, fresh, gone)
    remembered.update({look.name: look for look in fresh})
    for name in gone:
        del remembered[name]


async def _remembered(rooms: Rooms, watch: str) -> dict[str, FolderLook]:
    if watch not in rooms.folder_looks:
        rooms.folder_looks[watch] = {look.name: look for look in await rooms.store.folder_looks(watch)}
    return rooms.folder_looks[watch]


def _telling(look: Look) -> dict[str, tuple[int, int]]:
    """Return mtime and inode of the folders in which something new would show, relative to the looked at one."""
    told = _times(look.listing)
    if look.places and all(place.layout.include and place.layout.unit_id is None for place in look.places):
        # All that could still come is another run beside these, or another unit in one of them.
        ways = {step for place in look.places for step in _way(look.inner(place))}
        told = {path: times for path, times in told.items() if path in ways}
    for place in look.places:
        inner, above = look.inner(place), _above_units(place.layout)
        told |= {
            f"{inner}/{path}".strip("/"): times
            for path, times in _times(place.listing).items()
            if above.fullmatch(path)
        }
    return told


def _times(listing: Listing | None) -> dict[str, tuple[int, int]]:
    """Return mtime and inode of all folders of a listing that were entered."""
    return {
        path: (facts.mtime_ns, facts.inode)
        for path, facts in (listing.entries if listing else {}).items()
        if facts.kind is Kind.FOLDER and listing is not None and path not in listing.pruned
    }


def _way(inner: str) -> list[str]:
    """Return the folders on the way to a run, and the run folder itself."""
    steps = inner.split("/") if inner else []
    return ["/".join(steps[:count]) for count in range(1, len(steps) + 1)]


def _above_units(layout: Layout) -> re.Pattern[str]:
    """Return what matches the folders in which units of a layout appear; all folders where nothing else tells them."""
    if layout.unit_id is not None or not layout.include:
        return re.compile(".*")
    steps = layout.unit.split("/")
    return compiled(["/".join(steps[:count]) for count in range(1, len(steps))])


def _mark(facts: SourceFacts, folders: Iterable[tuple[str, tuple[int, int] | None]]) -> str:
    told = [(facts.mtime_ns, facts.inode), *folders]
    return hashlib.sha1(repr(told).encode(errors="surrogateescape"), usedforsecurity=False).hexdigest()


def _key(rooms: Rooms, settings: WatchSettings, units: Iterable[UnitBrief]) -> str:
    """Return what changes with the rows of the units, and with whatever else decides what a look finds."""
    rows = sorted((unit.id, unit.version) for unit in units)
    told = [__version__, rooms.layouts_mark, settings.layout, settings.units, rows]
    return hashlib.sha1(repr(told).encode(), usedforsecurity=False).hexdigest()


def _by_folder(units: Iterable[B], root: Path) -> dict[str, list[B]]:
    """Return units by the name of the folder right below the root that they lie in."""
    found: dict[str, list[B]] = {}
    begin = f"{root}/"
    for unit in units:
        if unit.run_path.startswith(begin):
            found.setdefault(unit.run_path[len(begin) :].split("/", 1)[0], []).append(unit)
    return found


def _latest(times: Iterable[datetime | None]) -> datetime | None:
    return max((at for at in times if at is not None), default=None)
