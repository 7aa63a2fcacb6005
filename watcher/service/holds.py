"""Holds that release themselves: a hold that names files ends when one of them has changed and settled, and one for
something missing ends when anything has come.

So a corrected sample sheet, a re-copied FASTQ or the rest of a copy needs no shell. The unit goes back to settle, which
proves everything anew; a batch that had been planned gets a new plan from there. As for quiet time, a change of ctime
counts: who sets the old time of modification back cannot set that back, and one look too many costs little.
"""

from __future__ import annotations

from pathlib import Path

import structlog

from watcher.disk.scan import facts_of
from watcher.errors import DiskError
from watcher.model import Kind, SourceFacts, Stage, Status
from watcher.rows import Batch, SourceFile, Unit
from watcher.stages.looking import find_again
from watcher.stages.rooms import Rooms
from watcher.stages.settle import COMES_BACK, belongs

log = structlog.get_logger("watcher")


async def release_changed_holds(rooms: Rooms) -> int:
    """Send held units back to settle when a file their hold names is not what it was; return how many went."""
    released = 0
    for unit in await rooms.store.units(status={Status.HELD}):
        remembered = {row.path: row for row in await rooms.store.source_files(unit.id)}
        batches: list[Batch] = []
        if unit.stage is Stage.FINISH:
            held = [batch for batch in await rooms.store.batches(unit.id) if batch.status is Status.HELD]
            told = [(batch, await _changed(rooms, unit, _named(batch), remembered)) for batch in held]
            batches = [batch for batch, changed in told if changed]
            why = [path for _, changed in told for path in changed]
        elif unit.code in COMES_BACK:
            why = await _come_since(rooms, unit, remembered)
        else:
            why = await _changed(rooms, unit, _named(unit), remembered)
            if not why and unit.stage is Stage.VERIFY:
                # What is named is what was there: a sheet whose sample has no files, the one read of a pair.
                why = [path for path in await _come_since(rooms, unit, remembered) if path not in remembered]
        if not why:
            continue
        for batch in batches:
            await rooms.store.move(
                batch, status=Status.HELD, code="replanned", reason="A file changed; a new plan is being made."
            )
        await rooms.store.move(
            unit, stage=Stage.SETTLE, status=Status.READY, reason="A file that was wrong has changed."
        )
        await rooms.store.journal("hold.released", f"Changed: {', '.join(sorted(set(why))[:10])}.", unit_id=unit.id)
        log.info("hold.released", unit=unit.id, files=len(set(why)))
        released += 1
    return released


def _named(row: Unit | Batch) -> list[str]:
    return sorted(row.more.get("hold_files", ()))


async def _changed(rooms: Rooms, unit: Unit, paths: list[str], remembered: dict[str, SourceFile]) -> list[str]:
    """Return the named files that are not as remembered; one that vanished has not changed for the better, unless it
    never was a file that we could read.
    """
    if not paths:
        return []
    try:
        now = await facts_of(rooms.threads, Path(unit.run_path or unit.path), paths)
        changed = [path for path in paths if path in now and _is_other(now[path], remembered.get(path))]
        unread = [path for path in paths if path not in now and path not in remembered]
        if not changed and unread:
            # Asked of a listing: an unusable name is told there as it can be shown, not as it is on the disk.
            place, _ = await find_again(unit, rooms)
            changed = [path for path in unread if path not in place.listing.entries]
    except DiskError:
        return []
    return changed


async def _come_since(rooms: Rooms, unit: Unit, remembered: dict[str, SourceFile]) -> list[str]:
    """Return what has come or changed in a unit that lacks something."""
    try:
        place, found = await find_again(unit, rooms)
    except DiskError:
        return []
    return [
        facts.path
        for facts in place.listing.files()
        if belongs(facts.path, found) and _is_other(facts, remembered.get(facts.path))
    ]


def _is_other(facts: SourceFacts, row: SourceFile | None) -> bool:
    if facts.kind is not Kind.FILE:
        return False
    return row is None or (facts.size, facts.mtime_ns, facts.ctime_ns, facts.inode) != (
        row.size,
        row.mtime_ns,
        row.ctime_ns,
        row.inode,
    )
