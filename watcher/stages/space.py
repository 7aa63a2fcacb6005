"""Is there room in Galaxy for what is to be sent: in the account's quota, and where the server keeps uploads?

Asked before the first byte of a unit, for Galaxy would notice in the middle of it; and again, in the same words, while
a unit waits for room. The folder for uploads is known only when the configuration names it, on a machine that shares
it. What is read from where it lies takes no room. What a full Galaxy answers later is understood in `galaxy/`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from watcher.errors import DiskError, OverQuota
from watcher.model import Plan
from watcher.stages.rooms import Rooms

QUOTA_BYTES = "quota_bytes"
STORE_BYTES = "store_bytes"
"""Where a unit remembers how much room it needs of each kind, by account."""

IN_FLIGHT_BYTES = 4 * 1024**3
"""So much is sent before Galaxy is told to take it out of the folder for uploads, and some files more."""

Needed = Mapping[str, Mapping[str, int]]
"""Bytes by kind of room and account."""


def room_needed(plans: Mapping[str, Sequence[Plan]], transfers: int) -> Needed:
    """Return how much room plans need, given by account; `transfers` files are sent at a time."""
    quota, store = {}, {}
    for account, its in plans.items():
        quota[account] = sum(dataset.size for planned in its for dataset in planned.datasets if _takes_room(planned))
        sent = [dataset.size for planned in its for dataset in planned.datasets if planned.transfer == "tus"]
        store[account] = min(sum(sent), IN_FLIGHT_BYTES + transfers * max(sent, default=0))
    return {QUOTA_BYTES: quota, STORE_BYTES: store}


def _takes_room(planned: Plan) -> bool:
    """Tell whether it counts: what Galaxy finds by itself for a library is nobody's, and copies of it take no room."""
    return planned.library is None or planned.transfer == "tus"


async def refuse_without_room(rooms: Rooms, account: str, needed: Needed, who: str) -> None:
    """Raise OverQuota when an account has less room than is needed; `who` needs it."""
    used, limit = await rooms.galaxy(account).users.quota()
    wanted = int(needed.get(QUOTA_BYTES, {}).get(account, 0))
    if limit is not None and wanted > limit - used:
        raise OverQuota(
            f"{who} needs {wanted} bytes in Galaxy, the quota of the account `{account}` leaves"
            f" {max(limit - used, 0)}.",
            hint="Free space in Galaxy or ask for a larger quota; the watcher goes on by itself.",
        )
    free, wanted = await store_free(rooms, account), int(needed.get(STORE_BYTES, {}).get(account, 0))
    if free is not None and wanted > free:
        raise OverQuota(
            f"{who} needs {wanted} bytes where Galaxy `{account}` keeps uploads"
            f" ({rooms.settings.galaxies[account].upload_store}), {free} are free.",
            hint="Free space there; the watcher goes on by itself.",
        )


async def store_free(rooms: Rooms, account: str) -> int | None:
    """Return the bytes that are free where the server keeps uploads; None when that is not known here."""
    galaxy = rooms.settings.galaxies.get(account)
    folder = galaxy.upload_store if galaxy is not None else None
    if folder is None:
        return None
    try:
        room = await rooms.threads.look(folder, lambda: os.statvfs(folder))
    except (OSError, DiskError):
        return None  # `check` tells it; Galaxy itself will say when it can take no more
    return room.f_bavail * room.f_frsize if room.f_blocks else None  # some network file systems do not tell
