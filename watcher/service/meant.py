"""Which run folders a path on the command line means: those below it, itself, or the one it lies in.

Below a watch that is said by the watch; elsewhere it is found out from what lies in the folders. Looks at names only,
and far up the tree at no more than the names right in a folder.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from watcher.clock import Clock
from watcher.config import Settings, WatchSettings
from watcher.disk.scan import list_folder
from watcher.disk.threads import DiskThreads
from watcher.errors import DiskError
from watcher.model import Kind
from watcher.runs.layout import FoundUnit, Layout, may_be
from watcher.runs.units import reason_by_name
from watcher.stages.looking import Place, look_at, runs_in

MOST_PARENTS = 8
"""How far above a path its run is looked for: the reads of a NovaSeq X lie six folders below theirs."""

_UNSPECIFIC = ("folder", "files")


@dataclass(frozen=True, slots=True)
class Asked:
    """A path that somebody asks about, the watch it lies in, and the layout it shall be seen with (or `auto`)."""

    path: Path
    watch: WatchSettings | None
    layouts: Mapping[str, Layout]
    wanted: str

    @property
    def is_folder(self) -> bool:
        """Tell whether the path is a folder; anything else is taken for a file in one."""
        return self.path.is_dir()


def watch_around(path: Path, settings: Settings | None) -> WatchSettings | None:
    """Return the watch whose folder holds the path, or is it."""
    for watch in settings.watches if settings else ():
        root = watch.path.resolve()
        if path == root or root in path.parents:
            return watch
    return None


def concerns(path: Path, place: Place, found: FoundUnit) -> bool:
    """Tell whether the unit lies below the path, is it, or holds it."""
    if found.files:
        return (
            path == place.root or place.root.is_relative_to(path) or path in [place.root / name for name in found.files]
        )
    unit = place.root / found.subpath
    return path == unit or path in unit.parents or unit in path.parents


async def run_folders(threads: DiskThreads, clock: Clock, asked: Asked) -> list[Path]:
    """Return the run folders meant; none for a single file where only folders are runs."""
    if asked.watch is not None:
        return await _in_watch(threads, clock, asked, asked.watch.path.resolve())
    start = asked.path if asked.is_folder else asked.path.parent
    around = await _around(threads, clock, asked, start)
    if around:
        return [around]
    if asked.is_folder and asked.wanted not in asked.layouts:
        below = await _folders_in(threads, clock, start)
        # One that can be told by its content is enough to take the path for a place where runs lie.
        for folder in below:
            if await _holds_runs(threads, clock, asked, folder):
                return below
    return [start]


async def _in_watch(threads: DiskThreads, clock: Clock, asked: Asked, root: Path) -> list[Path]:
    if asked.wanted in asked.layouts and asked.layouts[asked.wanted].flat:
        return [root]
    if asked.path == root:
        return await _folders_in(threads, clock, root)
    top = root / asked.path.relative_to(root).parts[0]
    return [top] if top.is_dir() else []


async def _folders_in(threads: DiskThreads, clock: Clock, root: Path) -> list[Path]:
    top = await list_folder(threads, root, depth=1, clock=clock)
    return [
        root / name
        for name in sorted(top.entries)
        if top.entries[name].kind is Kind.FOLDER and not name.startswith(".")
    ]


async def _around(threads: DiskThreads, clock: Clock, asked: Asked, start: Path) -> Path | None:
    """Return the nearest run that holds the path; of a file the outermost one that takes it.

    A converter leaves its own logs and reports inside the folder of an instrument.
    """
    nearest: Path | None = None
    taking: Path | None = None
    for candidate in (start, *list(start.parents)[:MOST_PARENTS]):
        place = await _recognised(threads, clock, asked, candidate)
        if place is None:
            continue
        units = [found for found in place.units if concerns(asked.path, place, found)]
        if not units:
            continue
        if asked.is_folder:
            return candidate
        nearest = nearest or candidate
        if any(takes_by_name(asked.path, place, found) for found in units):
            taking = candidate
    return taking or nearest


def takes_by_name(path: Path, place: Place, found: FoundUnit) -> bool:
    """Tell whether a unit would take a file of this name."""
    unit = place.root / found.subpath
    return path.is_relative_to(unit) and not reason_by_name(place.layout, str(path.relative_to(unit)))


async def _recognised(threads: DiskThreads, clock: Clock, asked: Asked, folder: Path) -> Place | None:
    """Return what a folder itself is, where its content speaks for a certain kind of run."""
    specific = [
        layout
        for name, layout in asked.layouts.items()
        if name not in _UNSPECIFIC and (asked.wanted not in asked.layouts or name == asked.wanted)
    ]
    try:
        if not may_be(specific, await list_folder(threads, folder, depth=1, clock=clock), folder.name):
            return None
        for path, layout in (await runs_in(threads, clock, asked.layouts, asked.wanted, folder)).runs:
            if path == folder and layout.name not in _UNSPECIFIC:
                return await look_at(threads, clock, layout, path, shallow_only=True)
    except DiskError:  # somebody else's folder on the way up
        return None
    return None


async def _holds_runs(threads: DiskThreads, clock: Clock, asked: Asked, folder: Path) -> bool:
    """Tell whether a folder is a certain kind of run, or holds one."""
    try:
        found = await runs_in(threads, clock, asked.layouts, asked.wanted, folder)
    except DiskError:
        return False
    return any(layout.name not in _UNSPECIFIC for _, layout in found.runs)
