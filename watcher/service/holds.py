"""Holds that release themselves: a hold that names files ends when one of them has changed and settled.

So a corrected sample sheet or a re-copied FASTQ needs no shell. The unit goes back to settle, which proves everything
anew; a batch that had been planned gets a new plan from there.
"""

from __future__ import annotations

from pathlib import Path

import structlog

from watcher.disk.scan import facts_of
from watcher.errors import DiskError
from watcher.model import Kind, SourceFacts, Stage, Status
from watcher.rows import Batch, Unit
from watcher.stages.rooms import Rooms

log = structlog.get_logger("watcher")


async def release_changed_holds(rooms: Rooms) -> int:
    """Send held units back to settle when a file their hold names is not what it was; return how many went."""
    released = 0
    for unit in await rooms.store.units(status={Status.HELD}):
        batches = [batch for batch in await rooms.store.batches(unit.id) if batch.status is Status.HELD]
        held: list[Unit | Batch] = [*batches, unit] if unit.stage is Stage.FINISH else [unit]
        named = sorted({path for row in held for path in row.more.get("hold_files", ())})
        if named and await _changed(rooms, unit, named):
            for batch in batches:
                await rooms.store.move(
                    batch, status=Status.HELD, code="replanned", reason="A file changed; a new plan is being made."
                )
            await rooms.store.move(
                unit, stage=Stage.SETTLE, status=Status.READY, reason="A file that was wrong has changed."
            )
            await rooms.store.journal("hold.released", f"Changed: {', '.join(named)}.", unit_id=unit.id)
            log.info("hold.released", unit=unit.id, files=named)
            released += 1
    return released


async def _changed(rooms: Rooms, unit: Unit, paths: list[str]) -> bool:
    """Compare the named files with what is remembered of them; a file that vanished has not changed for the better."""
    remembered = {row.path: row for row in await rooms.store.source_files(unit.id)}
    try:
        now = await facts_of(rooms.threads, Path(unit.run_path or unit.path), paths)
    except DiskError:
        return False
    for path in paths:
        row, facts = remembered.get(path), now.get(path)
        if facts is None or facts.kind is not Kind.FILE:
            continue
        if row is None or not facts.same_bytes(
            SourceFacts(path, Kind.FILE, row.size, row.mtime_ns, row.ctime_ns, row.inode)
        ):
            return True
    return False
