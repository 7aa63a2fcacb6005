"""The units at, below or around a path, for the commands that only look: `plan` and `explain`. Which run folders a path
means is found out in `meant.py`.

Each unit is looked at as the stages look (`stages/looking.py`), and handed to whoever asks; nothing is written.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from watcher.clock import Clock, SystemClock
from watcher.config import Settings, WatchSettings
from watcher.disk.threads import DiskThreads
from watcher.errors import DiskError, UsageError
from watcher.model import LeftOut, Status
from watcher.rows import Unit
from watcher.runs.layout import FoundUnit, Judgement, Layout, UnitView, judge, load_layouts, not_taken
from watcher.runs.selection import NO_WISH, Wish, select
from watcher.runs.units import reason_against
from watcher.service.meant import Asked, concerns, run_folders, watch_around
from watcher.service.remembered import Remembered, remembered
from watcher.stages.choose import Facts
from watcher.stages.looking import Place, identity_of, look_at, runs_in, view_of, wish_of


@dataclass(frozen=True, slots=True)
class UnitAt:
    """A unit that was found at the path, with the watch it lies in and the rows that remember it, if there are any."""

    threads: DiskThreads
    clock: Clock
    settings: Settings | None
    watch: WatchSettings | None
    memory: Remembered | None
    place: Place
    found: FoundUnit


@dataclass(frozen=True, slots=True)
class Looked:
    """What a look at such a unit said."""

    at: UnitAt
    view: UnitView
    judgement: Judgement
    run: str
    row: Unit | None

    def facts(self) -> Facts:
        """Return what names and rules may depend on."""
        at, row = self.at, self.row
        unit_id, version = (row.id, row.unit_version) if row else ("{id}", 1)
        unit = "" if at.found.unit == "." else at.found.unit
        watch = at.watch.name if at.watch else ""
        day = at.clock.now().date()
        path = str(at.place.root)
        return Facts(unit_id, watch, at.place.layout.name, self.run, unit, version, path, day, self.view.instrument)

    def verdict(self) -> tuple[Status, list[str]]:
        """Return how the unit stands, before anybody looks at its samples, and why when it is not ready."""
        judgement = self.judgement
        if judgement.failed:
            return Status.FAILED, [judgement.failed]
        if judgement.held:
            return Status.HELD, [judgement.held]
        if not judgement.complete:
            return Status.WAITING, [f"{one.detail or one.name}" for one in judgement.predicates if not one.holds]
        if judgement.nothing:
            return Status.IGNORED, [f"Nothing to upload: {judgement.nothing}."]
        return Status.READY, []

    def told(self) -> dict[str, Any]:
        """Return which unit it is, as every report says it."""
        at, root = self.at, self.at.place.root
        return {
            **({"id": self.row.id} if self.row else {}),
            "watch": at.watch.name if at.watch else None,
            "layout": at.place.layout.name,
            "run": self.run,
            "unit": at.found.unit,
            "version": self.row.unit_version if self.row else 1,
            "path": str(root if at.found.subpath in ("", ".") else root / at.found.subpath),
        }


Tell = Callable[[UnitAt], Awaitable[dict[str, Any]]]


async def units_at(
    path: Path, settings: Settings | None, tell: Tell, *, layout: str = "", clock: Clock | None = None
) -> dict[str, Any]:
    """Return what `tell` says of each unit at, below or around a path, and what lies there in no unit."""
    clock = clock or SystemClock()
    threads = DiskThreads(looks=2, transfers=2)
    memory: Remembered | None = None
    try:
        layouts = load_layouts(settings.layouts_dir if settings else None)
        asked = _asked(path, settings, layouts, layout)
        folders = await run_folders(threads, clock, asked)
        memory = await remembered(settings, clock) if settings and asked.watch else None
        units: list[dict[str, Any]] = []
        strays: list[LeftOut] = []
        for folder in folders:
            try:
                looked = await runs_in(threads, clock, layouts, asked.wanted, folder)
                places = [
                    await look_at(threads, clock, found_as, run, wish=_wish(settings, asked.watch, found_as))
                    for run, found_as in looked.runs
                ]
            except DiskError as error:
                if len(folders) == 1:
                    raise
                strays.append(LeftOut(folder.name, error.message))  # one bad folder never stops the others
                continue
            for place in places:
                for found in place.units:
                    if concerns(asked.path, place, found):
                        units.append(await tell(UnitAt(threads, clock, settings, asked.watch, memory, place, found)))
                strays += _strays(asked, place)
        if not units and not strays and not asked.is_folder:
            strays = [_in_no_run(asked)]
        told = {left["path"] for unit in units for left in unit["left_out"]}
        left_out = [{"path": one.path, "reason": one.reason} for one in strays if one.path not in told]
        return {"units": units, "left_out": left_out}
    finally:
        threads.close()
        if memory is not None:
            await memory.close()


async def look_into(at: UnitAt, *, assume_quiet: bool) -> Looked:
    """Look at a unit and judge it, as settle does."""
    view = await view_of(
        at.threads,
        at.place,
        at.found,
        at.watch,
        quiet_s=_untouched_s(at.place, at.clock),
        assume_quiet=assume_quiet,
        wish=_wish(at.settings, at.watch, at.place.layout),
    )
    judgement = judge(view)
    root = at.watch.path.resolve() if at.watch else at.place.root.parent
    identity, run = identity_of(at.watch.name if at.watch else "", root, at.place, judgement)
    row = await at.memory.unit(identity, at.found.unit) if at.memory else None
    return Looked(at, view, judgement, run, row)


def inside(path: str, found: FoundUnit) -> str:
    """Return a path relative to the unit's own folder."""
    if found.subpath in ("", "."):
        return path
    inner = PurePosixPath(path)
    return str(inner.relative_to(found.subpath)) if inner.is_relative_to(found.subpath) else path


def _asked(path: Path, settings: Settings | None, layouts: Mapping[str, Layout], layout: str) -> Asked:
    watch = watch_around(path, settings)
    if watch is None:
        path = path.resolve()  # a link lying in a watch is asked about itself, any other stands for its file
        if not path.exists():
            raise UsageError(f"{path} does not exist.")
    wanted = layout or (watch.layout if watch else "auto")
    if wanted != "auto" and wanted not in layouts:
        raise UsageError(f"There is no layout `{wanted}`.", hint=f"Known: auto, {', '.join(sorted(layouts))}.")
    return Asked(path, watch, layouts, wanted)


def _strays(asked: Asked, place: Place) -> list[LeftOut]:
    """Return what lies in a place and no unit takes, as far as it was asked about."""
    if asked.path == place.root:
        return list(not_taken(place.layout, place.listing))
    strays = not_taken(place.layout, place.listing, all_of_it=True)
    here = [one for one in strays if (place.root / one.path) in (asked.path, *asked.path.parents)]
    if here or asked.is_folder or not asked.path.is_relative_to(place.root):
        return here
    inner = str(asked.path.relative_to(place.root))
    for found in place.units:
        if concerns(asked.path, place, found):
            if found.files or inner in select(place.layout, place.listing, found).selected:
                return []
            facts = place.listing.entries.get(inner)
            shown = inside(inner, found)
            reason = reason_against(place.layout, facts, shown) if facts else "in a folder that is not looked into"
            return [LeftOut(shown, reason)] if reason else []
    return [LeftOut(inner, f"in no unit of {place.name}, a run of layout {place.layout.name}")]


def _in_no_run(asked: Asked) -> LeftOut:
    root = asked.watch.path.resolve() if asked.watch else asked.path.parent
    inner = asked.path.relative_to(root)
    if len(inner.parts) == 1 and asked.watch:
        return LeftOut(str(inner), f"a single file: layout {asked.wanted} takes folders")
    return LeftOut(str(inner), "in a folder that no layout recognises")


def _wish(settings: Settings | None, watch: WatchSettings | None, layout: Layout) -> Wish:
    return wish_of(settings, watch.name, layout.name) if settings and watch else NO_WISH


def _untouched_s(place: Place, clock: Clock) -> dict[str, float]:
    """Without a remembered look the files' own change times are all there is to judge quiet by."""
    now_ns = clock.now().timestamp() * 1e9
    return {path: max((now_ns - facts.ctime_ns) / 1e9, 0.0) for path, facts in place.listing.entries.items()}
