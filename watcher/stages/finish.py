"""Stage finish: is the place left as the rule says?

It comes when every batch of the unit has ended. A unit whose batches are all done is done; otherwise it shows the
worst of them, and goes on by itself when that one does. It comes again when something was found to have changed later
(`afterwards.py`). For now a rule can only say `keep`: source files are never touched.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from watcher.model import Done, Fail, Hold, Outcome, Status, Wait
from watcher.rows import Unit
from watcher.stages.afterwards import ENDED_AT, SHEET_CHANGED, TOUCHED, read_touched
from watcher.stages.revisions import hashes_sent
from watcher.stages.rooms import Rooms


async def finish(unit: Unit, rooms: Rooms) -> Outcome:
    """End the unit as its batches ended; waits (woken by the engine) while one is under way."""
    batches = await rooms.store.batches(unit.id)
    standing = {status: [batch for batch in batches if batch.status is status] for status in Status}
    sheet = unit.more.get(SHEET_CHANGED) or {}
    told = f"The sample sheet {sheet['path']} was changed after the plan." if sheet else ""
    if standing[Status.HELD]:
        worst = standing[Status.HELD][0]
        return Hold(worst.reason, "batch_held", hint=worst.hint)
    moving = [batch for batch in batches if batch.status in (Status.READY, Status.WORKING, Status.WAITING)]
    if moving:
        reason = f"{len(moving)} of {len(batches)} batches are under way. {told}".rstrip()
        return Wait(timedelta(hours=1), reason, SHEET_CHANGED if sheet else "batches")
    await _remember(unit, rooms)
    if sheet:
        hint = f"`galaxy-watcher retry {unit.id} --from plan` takes the run once more, by the new sheet;"
        return Hold(told, SHEET_CHANGED, hint=f"{hint} `galaxy-watcher retry {unit.id}` leaves it at what was done.")
    if standing[Status.FAILED]:
        worst = standing[Status.FAILED][0]
        return Fail(worst.reason, "batch_failed", hint=worst.hint)
    count = len(standing[Status.DONE])
    if not count:
        return Done("Nothing is left to do: its batches were cancelled.")
    return Done("Its batch is done." if count == 1 else f"All {count} batches are done.")


async def _remember(unit: Unit, rooms: Rooms) -> None:
    """Keep what tells later whether the files are still those that were sent: when this ended, and their SHA-256."""
    if not unit.more.get(ENDED_AT):
        await rooms.store.touch(unit, more={ENDED_AT: rooms.clock.now().isoformat()})
    hashes = await hashes_sent(rooms, unit.id)
    files = await rooms.store.source_files(unit.id)
    known = [replace(row, sha256=hashes[row.path]) for row in files if hashes.get(row.path, row.sha256) != row.sha256]
    await rooms.store.put_source_files(unit, known)
    if unit.more.get(TOUCHED):
        await read_touched(rooms, unit)
