"""Stage finish: is the place left as the rule says?

It comes when every batch of the unit has ended. A unit whose batches are all done is done; otherwise it shows the
worst of them, and goes on by itself when that one does. It comes again when something was found to have changed later
(`afterwards.py`), and when the date of its run folder has come: the unit is done meanwhile. What becomes of histories
and the receipt stands in `closing.py`, what of the run folder in `removal.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from watcher.errors import MountGone
from watcher.model import Done, Fail, Hold, Outcome, Status, Wait
from watcher.rows import Batch, Removal, Unit
from watcher.stages.afterwards import ENDED_AT, SHEET_CHANGED, TOUCHED, read_touched
from watcher.stages.closing import close_histories, write_receipt
from watcher.stages.removal import SOURCE_STAYS, STOPPED, carry_out, fix_date
from watcher.stages.removal import told as told_of
from watcher.stages.revisions import hashes_sent
from watcher.stages.rooms import Rooms
from watcher.stages.same_run import is_gone

SOURCE_GONE = "source_gone"
"""Where a unit remembers that its run folder was gone at its end, and that this was told."""


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
    await close_histories(rooms, unit, batches)
    row = await _source(unit, rooms, batches)
    if isinstance(row, Hold):
        return row
    if row is None:
        await _note_gone(unit, rooms)
    await write_receipt(rooms, unit, batches, row, told_of)
    end = "Its batch is done." if count == 1 else f"All {count} batches are done."
    return Done(f"{end} {told_of(row)}".rstrip())


async def _source(unit: Unit, rooms: Rooms, batches: Sequence[Batch]) -> Removal | Hold | None:
    """Move or delete the run folder if its date has come; return its dated row as it is now, or why it stands still."""
    stored = await rooms.store.unit(unit.id) or unit
    ended_at = datetime.fromisoformat(stored.more[ENDED_AT])
    row = await fix_date(rooms, stored, batches, ended_at)
    if row is None:
        return None
    row, held = await carry_out(rooms, stored, row)
    if held is None and row.status is Status.HELD and row.code == STOPPED:  # asked for again by something else
        return Hold(row.reason, SOURCE_STAYS, hint=f"`galaxy-watcher retry {unit.id}` looks again.")
    return held or row


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


async def _note_gone(unit: Unit, rooms: Rooms) -> None:
    """Journal once that somebody took the run folder away after all of it was verified in Galaxy: nothing waits for it.
    A watch that is blind tells nothing.
    """
    if unit.more.get(SOURCE_GONE) or not unit.run_path:
        return
    try:
        if not await is_gone(rooms, unit):
            return
    except MountGone:
        return
    text = f"{unit.run_path} is gone; all of it was verified in Galaxy before."
    await rooms.store.journal("source.gone", text, unit_id=unit.id)
    await rooms.store.touch(unit, more={SOURCE_GONE: True})
