"""How many workflows run on a Galaxy at a time, and when a server that is behind gets no more, for `invoke.py`.

Counted from rows, so it holds after a restart too. All accounts of one server count together: it is the server that is
to be spared. Those that ask at the same moment count in the order of their ids, or all of them would find the last slot
free.
"""

from __future__ import annotations

from datetime import timedelta

from watcher.model import Stage, Status
from watcher.rows import Batch
from watcher.stages.rooms import Rooms

LATELY = timedelta(days=1)
LEAST_STARTED = 10
"""Of fewer invocations a share says nothing."""


async def told_to_wait(batch: Batch, rooms: Rooms) -> str:
    """Return why no further workflow may be started on this server now; "" when one may."""
    limits, server = rooms.settings.limits, _server(rooms, batch.plan.galaxy)
    followed = [
        max(running, 1)
        for one, account, running in await rooms.store.invocations_followed()
        if one != batch.id and _server(rooms, account) == server
    ]
    asking = [
        one
        for one in await rooms.store.batches(stage=Stage.INVOKE, status={Status.WORKING})
        if one.plan.workflows and one.id < batch.id and _server(rooms, one.plan.galaxy) == server
    ]
    if sum(followed) + len(asking) >= limits.invocations:
        return "Galaxy runs as many workflows at a time as the limit allows."
    if limits.unfinished_share >= 1:
        return ""
    started = await rooms.store.invocations_since(rooms.clock.now() - LATELY)
    mine = [is_running for account, is_running in started if _server(rooms, account) == server]
    if len(mine) >= LEAST_STARTED and sum(mine) > limits.unfinished_share * len(mine):
        return f"Galaxy is behind: {sum(mine)} of the {len(mine)} workflows started within a day have not ended."
    return ""


def _server(rooms: Rooms, account: str) -> str:
    """Return the address of an account's server; an account that is not configured any more counts for itself."""
    known = rooms.settings.galaxies.get(account)
    return str(known.url).rstrip("/") if known is not None else account
