"""How stages look at a run folder: list it, read the few small files that the layout asks for, and judge.

Shared by detect, settle, verify and plan, and by the `plan` command, which judges without any row. It knows the disk
room and the runs room and brings them together; it writes nothing.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

from watcher.clock import Clock
from watcher.config import Settings, WatchSettings
from watcher.disk.mounts import RootLook, inspect_root
from watcher.disk.removal import is_ours
from watcher.disk.scan import facts_of, list_folder, read_ends, read_small
from watcher.disk.threads import DiskThreads
from watcher.errors import FileGone, MountGone, PlanError, StructureBroken, Superseded, UnsafePath
from watcher.model import Kind, LeftOut, Listing, SourceFacts
from watcher.rows import Unit, UnitBrief, Watch
from watcher.runs.grouping import Grouping, group
from watcher.runs.layout import (
    FoundUnit,
    Judgement,
    Layout,
    UnitView,
    detection,
    find_runs,
    find_units,
    judge,
    run_info_paths,
    tells_of_runs,
    wanted,
)
from watcher.runs.selection import NO_WISH, Wish
from watcher.runs.structure import check_structure, has_no_reads
from watcher.stages.rooms import Rooms

MOST_EVENT_FOLDERS = 32

NO_FILES = "no_files"
"""Code of a hold because samples of the sheet have no files, and nothing else is wrong."""

LET_GO = "let_go"
"""Where a watch remembers that we take something out of its folder, and the names that are on their way: it may be
empty by right.
"""

MOST_LEFT_OUT = 200
"""How many of the files that are not taken a unit remembers: a long run of MinKNOW leaves out thousands."""


@dataclass(frozen=True, slots=True)
class Place:
    """A run folder that was looked at: its layout and the units found in it."""

    root: Path
    name: str
    layout: Layout
    listing: Listing
    units: tuple[FoundUnit, ...]


@dataclass(frozen=True, slots=True)
class RunsIn:
    """The run folders that a folder is, or holds, with their layouts; `listing` is what was looked at to find them
    (files by name alone), `telling` the folders of it in which a run could show, and `read` the files that were asked
    for what they say.
    """

    runs: tuple[tuple[Path, Layout], ...]
    listing: Listing | None = None
    telling: frozenset[str] = frozenset()
    read: Mapping[str, SourceFacts] = field(default_factory=dict)


async def runs_in(
    threads: DiskThreads, clock: Clock, layouts: Mapping[str, Layout], wanted_layout: str, folder: Path
) -> RunsIn:
    """Look for runs in a folder right below a watch's root."""
    fixed = layouts.get(wanted_layout)
    if fixed is not None and fixed.depth == 1:
        return RunsIn(((folder, fixed),))
    possible = layouts if fixed is None else {wanted_layout: fixed}
    look = detection(possible)
    listing = await list_folder(threads, folder, depth=look.depth, prune=look.prune, names_only=True, clock=clock)
    read = await facts_of(threads, folder, run_info_paths(possible, listing))
    readable = [path for path, facts in read.items() if facts.kind is Kind.FILE]
    found = find_runs(possible, listing, folder.name, await read_small(threads, folder, readable))
    runs = tuple((folder / run.path if run.path else folder, run.layout) for run in found)
    tells = tells_of_runs(possible)
    folders = (path for path, facts in listing.entries.items() if facts.kind is Kind.FOLDER)
    return RunsIn(runs, listing, frozenset(path for path in folders if tells.fullmatch(path)), read)


async def look_at(
    threads: DiskThreads,
    clock: Clock,
    layout: Layout,
    root: Path,
    *,
    shallow_only: bool = False,
    wish: Wish = NO_WISH,
) -> Place:
    """List a run folder of this layout; `shallow_only`: just deep enough to find its units."""
    return place_of(layout, root, await list_run(threads, clock, layout, root, shallow_only=shallow_only, wish=wish))


async def list_run(
    threads: DiskThreads,
    clock: Clock,
    layout: Layout,
    root: Path,
    *,
    shallow_only: bool = False,
    wish: Wish = NO_WISH,
) -> Listing:
    """List a run folder as `look_at` does, without asking what is in it.

    Where a file or a folder may be a unit by itself, what the watcher put there (`is_ours`) is left out.
    """
    depth = layout.look_depth if shallow_only else (1 if layout.flat else None)
    listing = await list_folder(threads, root, depth=depth, prune=layout.prune_but(wish.kinds), clock=clock)
    if layout.flat or layout.analyses:
        entries = {path: facts for path, facts in listing.entries.items() if not is_ours(path)}
        listing = replace(listing, entries=entries)
    return listing


def place_of(layout: Layout, root: Path, listing: Listing) -> Place:
    """Return the units that a listing of a run folder shows."""
    return Place(root, root.name, layout, listing, tuple(find_units(layout, listing)))


async def view_of(
    threads: DiskThreads,
    place: Place,
    found: FoundUnit,
    watch: WatchSettings | None,
    *,
    quiet_s: Mapping[str, float],
    assume_quiet: bool = False,
    wish: Wish = NO_WISH,
) -> UnitView:
    """Read what the layout wants to know and put it beside the listing; `watch` may override what the layout says."""
    paths = wanted(place.layout, place.listing, found)
    contents = await read_small(threads, place.root, paths)
    return UnitView(
        layout=place.layout,
        folder_name=place.name,
        listing=place.listing,
        found=found,
        contents=contents,
        quiet_s=quiet_s,
        settle=watch.settle if watch else None,
        max_wait=watch.max_wait if watch else None,
        abandoned=watch.abandoned if watch else None,
        empty=(watch.empty or "") if watch else "",
        no_files=watch.no_files if watch else "",
        assume_quiet=assume_quiet,
        wish=wish,
    )


async def view_again(unit: Unit, rooms: Rooms) -> tuple[Place, UnitView]:
    """Look anew at a unit that has settled: what is in its folder now counts, how long it is quiet no more. Raises
    MountGone, and what `find_again` raises when the unit is not there.
    """
    await see_root(unit.watch, rooms)
    place, found = await find_again(unit, rooms)
    view = await view_of(
        rooms.threads,
        place,
        found,
        rooms.watch(unit.watch),
        quiet_s={},
        assume_quiet=True,
        wish=wish_of(rooms.settings, unit.watch, unit.layout),
    )
    return place, view


def wish_of(settings: Settings, watch: str, layout: str) -> Wish:
    """Return what the rules that may take samples of this watch and layout ask for beyond what the layout takes."""
    asking = [rule for rule in settings.rules if rule.match.may_take(watch=watch, layout=layout)]
    reads = frozenset(read for rule in asking for read in rule.reads)
    return Wish(reads, frozenset(kind for rule in asking for kind in rule.kinds))


def without_let_go(watch: Watch, names: set[str]) -> tuple[Watch, set[str]]:
    """Return a watch, and the names that are known in its root, as if what we took out had never been there."""
    if LET_GO not in watch.more:
        return watch, names
    left = names - set(watch.more[LET_GO])
    return (watch if left else replace(watch, entry_count=0)), left


async def see_root(watch_name: str, rooms: Rooms) -> tuple[Watch, RootLook]:
    """Return how a watch's root looks now; raises MountGone while we are blind, which the watch then remembers."""
    settings = rooms.watch(watch_name)
    watch = await rooms.store.watch(watch_name)
    known = watch
    if LET_GO in watch.more:
        known, _ = without_let_go(watch, known_names(await rooms.store.unit_briefs(watch_name), settings.path))
    look = await inspect_root(rooms.threads, known, settings.path)
    if look.ok:
        return watch, look
    if watch.blind_since is None:
        with contextlib.suppress(Superseded):  # then detect is looking just now, and remembers it itself
            await rooms.store.touch(watch, blind_since=rooms.clock.now())
        await rooms.store.wake("watch", watch_name)
    raise MountGone(
        f"The watch `{watch_name}` is blind: {look.blind_reason}",
        hint=look.hint or "The watcher goes on by itself when it is back.",
    )


async def find_again(unit: Unit, rooms: Rooms) -> tuple[Place, FoundUnit]:
    """List the unit's run folder in full and find the unit in it; FileGone when it is not there."""
    root = Path(unit.run_path)
    layout = rooms.layouts.get(unit.layout)
    if not unit.run_path:
        raise FileGone(
            f"{unit.path} was deleted, as its rule says.", hint=f"`galaxy-watcher show {unit.id}` tells when."
        )
    if layout is None:
        raise PlanError(
            f"There is no layout `{unit.layout}` any more.", hint=f"Put it back, or `galaxy-watcher cancel {unit.id}`."
        )
    wish = wish_of(rooms.settings, unit.watch, unit.layout)
    place = await look_at(rooms.threads, rooms.clock, layout, root, wish=wish)
    found = next((one for one in place.units if one.unit == unit.unit), None)
    if found is None:
        raise FileGone(
            f"{unit.unit if unit.unit != '.' else unit.run} is not in {root} any more.",
            hint=f"Put it back, or `galaxy-watcher cancel {unit.id}`.",
        )
    return place, found


async def problems_of(threads: DiskThreads, view: UnitView) -> tuple[list[str], tuple[str, ...], Grouping | None]:
    """Return what is wrong, the files to blame, and the samples; also what `plan` shows."""
    judgement = judge(view)
    if judgement.failed:
        return [judgement.failed], (), None
    problems: list[str] = []
    blamed: list[str] = []
    root = Path(view.listing.root)
    empty: list[str] = []
    for path in view.selection.unusable:
        problems.append(f"`{path}`: {view.listing.entries[path].problem or 'it is no regular file'}.")
        blamed.append(path)
    for path in judgement.selected:
        try:
            head, tail = await read_ends(threads, root, path)
        except UnsafePath as error:  # a file server may refuse what the mode allows
            problems.append(error.message)
            blamed.append(path)
            continue
        if wrong := check_structure(path, view.listing.entries[path].size, head, tail):
            problems.append(f"`{path}`: {wrong}.".replace("..", "."))
            blamed.append(path)
        elif has_no_reads(path, view.listing.entries[path].size, tail):
            empty.append(path)
    try:
        grouping = group(view, judgement, empty)
    except StructureBroken as error:
        return [*problems, error.message], (*blamed, *error.files), None
    for problem in grouping.problems:
        problems.append(problem.message)
        blamed.append(problem.path)
    return problems, tuple(dict.fromkeys(path for path in blamed if path)), grouping


def reads_elsewhere(view: UnitView, others: Iterable[str] = ()) -> str:
    """Return what to say of a run that seems to hold base calls alone, and holds reads where its layout does not look;
    those in `others` (absolute paths of runs that are known) are looked after there.
    """
    inside = tuple(f"{other}/" for other in others if other.startswith(f"{view.listing.root}/"))
    paths = [path for path in view.strays if not f"{view.listing.root}/{path}".startswith(inside)]
    if not paths:
        return ""
    more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
    return f"it is complete, but holds reads where layout {view.layout.name} does not look: {paths[0]}{more}"


def identity_of(watch: str, root: Path, place: Place, judgement: Judgement) -> tuple[str, str]:
    """Return identity and display name of a run: what the run says of itself, else the watch and the path below its
    `root`.
    """
    if judgement.identity_from != "name":
        return judgement.identity, judgement.run
    if place.layout.flat:
        return f"{watch}/", judgement.run
    inner = place.root.relative_to(root) if place.root.is_relative_to(root) else place.name
    return f"{watch}/{inner}", judgement.run


def known_names(units: Iterable[Unit | UnitBrief], root: Path) -> set[str]:
    """Return the names right below a watch's root that we have met before; a flat folder's files come and go."""
    begin = f"{str(root).rstrip('/')}/"
    return {unit.run_path[len(begin) :].split("/", 1)[0] for unit in units if unit.run_path.startswith(begin)}


def event_folders(place: Place, found: FoundUnit) -> list[Path]:
    """Return the folders whose events may say something of a unit: the run's top, the way down to the unit, and two
    levels below it.
    """
    way = PurePosixPath(found.folder)
    folders = {"", *(str(parent) for parent in way.parents if str(parent) != "."), found.folder}
    inside = f"{found.folder}/" if found.folder else ""
    for path, facts in place.listing.entries.items():
        entered = facts.kind is Kind.FOLDER and path not in place.listing.pruned
        if entered and path.startswith(inside) and path.removeprefix(inside).count("/") < 2:
            folders.add(path)
    return [place.root / folder for folder in sorted(folders)[:MOST_EVENT_FOLDERS]]


def left_out_of(left_out: Sequence[LeftOut]) -> dict[str, Any]:
    """Return what a unit remembers of the files that are not taken: the first ones, and how many more there are."""
    told = [[left.path, left.reason] for left in left_out[:MOST_LEFT_OUT]]
    return {"left_out": told, "left_out_more": len(left_out) - len(told)}
