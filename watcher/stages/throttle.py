"""How many workflows run on a Galaxy at a time, and when a server that is behind gets no more, for `invoke.py`.

Counted from rows, so it holds after a restart too; only those that are being started right now are kept in mind
besides. All accounts of one server count together: it is the server that is to be spared. A batch that may not start
yet stands in line, by priority and age. Only the first of the line ask every few seconds, and whoever starts wakes the
next one for it: so a thousand that wait cost hardly more than ten. A batch in line counts for nothing but its place,
also when it has run a workflow before or runs another beside: nobody waits for one who waits.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta

from watcher.model import Stage, Wait
from watcher.rows import Batch
from watcher.stages.rooms import Rooms

SLOTS = "workflow_slots"
"""Code of a batch that stands in line."""

SLOT_PAUSE = timedelta(seconds=5)
"""How often the first of the line ask."""

FRONT = 10
"""So many are the first of the line."""

LONG_PAUSE = timedelta(minutes=10)
"""How often the others ask, should nobody wake them."""

LATELY = timedelta(days=1)
LEAST_STARTED = 10
"""Of fewer invocations a share says nothing."""


@contextlib.asynccontextmanager
async def turn_to_start(batch: Batch, rooms: Rooms, wanted: int) -> AsyncIterator[int | Wait]:
    """Give how many of the wanted workflows may be started in the block, one at least, or what to wait for.

    Those that ask at the same moment are answered one after the other, or all of them would find the last slot free.
    """
    accounts = _accounts_of_server(rooms, batch.plan.galaxy)
    async with rooms.starting_turn:
        answer = await _free(batch, rooms, accounts, counts_own=False)
        if isinstance(answer, int):
            answer = min(answer, wanted)
            rooms.starting[batch.id] = (batch.plan.galaxy, answer)
    try:
        if isinstance(answer, int) and (after := await rooms.store.in_line(Stage.INVOKE, SLOTS, accounts, FRONT - 1)):
            await rooms.store.wake("batch", after)
        yield answer
    finally:
        rooms.starting.pop(batch.id, None)


async def may_start(batch: Batch, rooms: Rooms) -> bool:
    """Tell whether a batch that follows a workflow already may start another one beside it."""
    return isinstance(await _free(batch, rooms, _accounts_of_server(rooms, batch.plan.galaxy), counts_own=True), int)


async def _free(batch: Batch, rooms: Rooms, accounts: frozenset[str], *, counts_own: bool) -> int | Wait:
    """Return how many slots are free for this batch, or what to wait for.

    Its own running workflows do not count where nobody follows them while it waits: their ends would never be seen.
    """
    limits = rooms.settings.limits
    # In this order: what ends its start between the two is counted as followed as well, never as neither.
    starting = {one: count for one, (account, count) in rooms.starting.items() if account in accounts}
    running = starting | await rooms.store.invocations_followed(accounts)
    own = running.pop(batch.id, 0)
    before = await rooms.store.in_line_before(batch, Stage.INVOKE, SLOTS, accounts, limit=limits.invocations + FRONT)
    ahead = sum(one not in running for one in before)
    free = limits.invocations - (own if counts_own else 0) - sum(max(count, 1) for count in running.values()) - ahead
    pause = SLOT_PAUSE if ahead < FRONT else LONG_PAUSE
    if free <= 0:
        return Wait(pause, "Galaxy runs as many workflows at a time as the limit allows.", SLOTS)
    if limits.unfinished_share < 1:
        mine = await rooms.store.invocations_since(rooms.clock.now() - LATELY, accounts)
        if len(mine) >= LEAST_STARTED and sum(mine) > limits.unfinished_share * len(mine):
            reason = f"Galaxy is behind: {sum(mine)} of the {len(mine)} workflows started within a day have not ended."
            return Wait(pause, reason, SLOTS)
    return free


def _accounts_of_server(rooms: Rooms, account: str) -> frozenset[str]:
    """Return the accounts on the same server; one that is not configured any more is alone."""
    urls = {name: str(galaxy.url).rstrip("/") for name, galaxy in rooms.settings.galaxies.items()}
    return frozenset({account, *(name for name, url in urls.items() if url == urls.get(account))})
