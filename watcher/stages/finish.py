"""Stage finish: is the place left as the rule says?

It comes when every batch of the unit has ended. A unit whose batches are all done is done; otherwise it shows the
worst of them, and goes on by itself when that one does. For now a rule can only say `keep`: source files are never
touched.
"""

from __future__ import annotations

from datetime import timedelta

from watcher.model import Done, Fail, Hold, Outcome, Status, Wait
from watcher.rows import Unit
from watcher.stages.rooms import Rooms


async def finish(unit: Unit, rooms: Rooms) -> Outcome:
    """End the unit as its batches ended; waits (woken by the engine) while one is under way."""
    batches = await rooms.store.batches(unit.id)
    standing = {status: [batch for batch in batches if batch.status is status] for status in Status}
    if standing[Status.HELD]:
        worst = standing[Status.HELD][0]
        return Hold(worst.reason, "batch_held", hint=worst.hint)
    moving = [batch for batch in batches if batch.status in (Status.READY, Status.WORKING, Status.WAITING)]
    if moving:
        return Wait(timedelta(hours=1), f"{len(moving)} of {len(batches)} batches are under way.", "batches")
    if standing[Status.FAILED]:
        worst = standing[Status.FAILED][0]
        return Fail(worst.reason, "batch_failed", hint=worst.hint)
    count = len(standing[Status.DONE])
    if not count:
        return Done("Nothing is left to do: its batches were cancelled.")
    return Done("Its batch is done." if count == 1 else f"All {count} batches are done.")
