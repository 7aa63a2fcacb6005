"""Which run is which: a folder that was renamed or moved is no new run.

A run that says who it is (RunInfo.xml) is known by that wherever it lies. A run that is known only by its folder's
name is recognised by what is in it: the same files with inode, size and time, which only a rename leaves as they are,
or else the same bytes as were sent, read through. Then the old row goes to where the folder lies now, and the new one
ends. What comes later to a run that stays where it is: `afterwards.py`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import structlog

from watcher.config import WatchSettings
from watcher.errors import MountGone
from watcher.model import ENDED, SourceFacts, Stage, Status
from watcher.rows import Unit
from watcher.runs.globs import compiled
from watcher.runs.layout import FoundUnit, judge
from watcher.runs.layout_values import Source
from watcher.stages.looking import Place, identity_of, see_root, view_of
from watcher.stages.revisions import NAMESAKE, has_same_bytes, plan_again
from watcher.stages.rooms import Rooms

SAME_AS, MISREAD = "same_as", "misread"
"""Codes of units that are ignored: known already under another name, or taken for what they are not."""

TRACES = "traces"
"""Where a unit remembers what a mere rename leaves as it is (see `traces`)."""

HAS_LEFT = "has_left"
"""Set on a unit whose folder was renamed: another folder of the name that it is known by is another run."""

WHO = "who"
"""Where a unit remembers the files that said which run it is (see `who_says_so`)."""

ALSO_IN = "also_in"
"""Where a unit remembers the other places in which its run was seen."""

OPEN_STAGES = (Stage.SETTLE, Stage.VERIFY, Stage.PLAN)

log = structlog.get_logger("watcher")


def fingerprint(found: FoundUnit, files: Iterable[SourceFacts]) -> str:
    """Return a short hash of what is taken: paths relative to the unit, and sizes."""
    inside = f"{found.folder}/" if found.folder else ""
    return _short(f"{facts.path.removeprefix(inside)}\0{facts.size}" for facts in files)


def traces(files: Iterable[SourceFacts]) -> str:
    """Return a short hash of what a rename does not change of the files: paths in the run, size, time, inode."""
    return _short(f"{facts.path}\0{facts.size}\0{facts.mtime_ns}\0{facts.inode}" for facts in files)


def _short(lines: Iterable[str]) -> str:
    text = "\n".join(sorted(lines))
    return hashlib.sha256(text.encode(errors="surrogateescape"), usedforsecurity=False).hexdigest()[:16]


async def earlier_self(rooms: Rooms, unit: Unit, place: Place, files: Sequence[SourceFacts]) -> Unit | None:
    """Return the unit that this one was under another folder name, None when it is new; may read the files through.

    `unit` carries its fingerprint. Raises FileChanged and FileGone.
    """
    if place.layout.flat or not files or (unit.unit_version > 1 and not unit.more.get(NAMESAKE)):
        return None
    candidates = await rooms.store.units(fingerprint=unit.fingerprint)
    begun = await rooms.store.units(status={Status.READY, Status.WORKING, Status.WAITING, Status.HELD})
    candidates += [one for one in begun if not one.fingerprint and one.stage in OPEN_STAGES]
    for one in candidates:
        alike = (one.layout, one.unit) == (unit.layout, unit.unit) and one.code not in (SAME_AS, MISREAD)
        is_older = (one.seen_at, one.id) < (unit.seen_at, unit.id)  # never each for the other
        if not alike or not is_older or (one.identity == unit.identity and not one.more.get(HAS_LEFT)):
            continue
        # One that has followed already: we were interrupted before the new row ended.
        has_followed = one.run_path == unit.run_path
        if (has_followed or await is_gone(rooms, one)) and await _is_proven(rooms, one, place, files):
            return one
    return None


async def _is_proven(rooms: Rooms, old: Unit, place: Place, files: Sequence[SourceFacts]) -> bool:
    if old.fingerprint:
        is_renamed = old.more.get(TRACES) == traces(files)
        return is_renamed or await has_same_bytes(rooms, old.id, place.root, files)
    # It was never settled, so that nothing of it was sent: what was seen of it must be there as it was.
    rows = {row.path: row for row in await rooms.store.source_files(old.id)}
    seen = [(facts, rows[facts.path]) for facts in files if facts.path in rows]
    return bool(seen) and all(
        (facts.size, facts.mtime_ns, facts.inode) == (row.size, row.mtime_ns, row.inode) for facts, row in seen
    )


async def is_gone(rooms: Rooms, unit: Unit) -> bool:
    """Tell whether a unit's run is no more where it was; never while the place cannot be trusted."""
    if any(watch.name == unit.watch for watch in rooms.settings.watches):
        try:
            await see_root(unit.watch, rooms)
        except MountGone:
            return False
    if not unit.run_path:  # deleted, as its rule said
        return True
    path = Path(unit.run_path)
    return not await rooms.threads.look(path, path.exists)


async def follow(rooms: Rooms, old: Unit, watch: str, place: Place, *, has_left: bool = False) -> None:
    """Let a run's rows, all its units and versions, go to where it lies now, under the watch that sees it there.

    `has_left`: it lies there under another name than the one it is known by.
    """
    before = old.run_path
    rows = [one for one in await rooms.store.units(watch=old.watch) if one.run_path == before]
    for one in rows if not place.layout.flat else [old]:
        if one.identity != old.identity:
            continue
        inner = Path(one.path)
        path = place.root / inner.relative_to(before) if inner.is_relative_to(before) else place.root
        batches = await rooms.store.batches(one.id)
        if any(batch.stage is Stage.UPLOAD and batch.status not in ENDED for batch in batches):
            # Before the row moves: when we die between the two, it is met here once more.
            await plan_again(rooms, one, f"The run lies in {place.root} now.")
            one = await rooms.store.unit(one.id) or one
        one = await rooms.store.touch(
            one, watch=watch, path=str(path), run_path=str(place.root), more={HAS_LEFT: has_left}
        )
        text = f"{one.run} {one.unit} lies in {place.root} now; it was in {before}."
        await rooms.store.journal("unit.moved", text, unit_id=one.id)
        log.info("unit.moved", unit=one.id, path=str(place.root), before=before)
        if one.stage in OPEN_STAGES and one.status not in ENDED:
            await rooms.store.move(one, stage=Stage.SETTLE, status=Status.READY, reason=f"It lies in {place.root} now.")


async def note_copy(rooms: Rooms, unit: Unit, place: Place) -> None:
    """Say once that a run lies in a second place as well: it is taken from the first one alone."""
    places = unit.more.get(ALSO_IN, [])
    if place.layout.flat or unit.code == SAME_AS or str(place.root) in (unit.run_path, *places):
        return
    await rooms.store.touch(unit, more={ALSO_IN: [*places, str(place.root)]})
    text = f"{unit.run} lies in {place.root} as well; it is taken from {unit.run_path} alone."
    await rooms.store.journal("unit.copy_seen", text, unit_id=unit.id)
    log.warning("unit.copy_seen", unit=unit.id, path=str(place.root), taken_from=unit.run_path)


def who_says_so(place: Place) -> str:
    """Return a short hash of the files that say which run lies in a place (RunInfo.xml, say): sizes, times, inodes."""
    globs = [source.glob for source in place.layout.id if isinstance(source, Source)]
    pattern = compiled(globs)
    return traces(facts for path, facts in place.listing.entries.items() if globs and pattern.fullmatch(path))


async def holds_another_run(rooms: Rooms, settings: WatchSettings, place: Place, found: FoundUnit, unit: Unit) -> bool:
    """Tell whether a folder holds another run than the unit that is known there, as the run itself says: names of
    folders are used again.
    """
    if place.layout.flat or place.layout.name != unit.layout or "/" in unit.identity:  # known by its name
        return False
    who = who_says_so(place)
    if unit.more.get(WHO) == who:
        return False
    judgement = judge(await view_of(rooms.threads, place, found, settings, quiet_s={}, assume_quiet=True))
    identity, _ = identity_of(unit.watch, settings.path, place, judgement)
    if judgement.identity_from != "name" and identity != unit.identity:
        return True
    await rooms.store.touch(unit, more={WHO: who})
    return False
