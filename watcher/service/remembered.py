"""What the state remembers of units that `plan` shows: their ids, their versions, and since when conditions hold.

`plan` is asked of folders that no daemon has ever seen, so that no state, or one that cannot be read, is no error here.
Reads rows and writes none. What the rest of a row says is shown by `status` and `show` (`report.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from watcher.clock import Clock
from watcher.config import Settings
from watcher.errors import StateError
from watcher.model import PredicateResult
from watcher.rows import Unit
from watcher.service.build import state_place
from watcher.store.store import Store

OPEN_S = 5.0
"""How long `plan` waits for a database that does not answer."""


class Remembered:
    """The rows of an open state."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def unit(self, identity: str, unit: str) -> Unit | None:
        """Return the newest version of a unit; None when there is none, or the state cannot be read after all."""
        try:
            return await self._store.find_unit(identity, unit)
        except StateError:
            return None

    async def close(self) -> None:
        """Let the state go."""
        await self._store.close()


async def remembered(settings: Settings, clock: Clock) -> Remembered | None:
    """Open the state that a configuration names; None where there is none to read."""
    try:
        async with asyncio.timeout(OPEN_S):
            return Remembered(await Store.open(state_place(settings), clock, lock=False, migrate=False))
    except (StateError, TimeoutError):
        return None


def told_predicates(
    predicates: Sequence[PredicateResult], since: Sequence[datetime | None], row: Unit | None
) -> list[dict[str, Any]]:
    """Return predicates as `plan` and `show` write them.

    Where the daemon has seen a predicate as it is now, its row says since when; else the times of the files do.
    """
    seen: Mapping[str, Mapping[str, Any]] = {one["name"]: one for one in row.more.get("predicates", [])} if row else {}
    told = []
    for one, moment in zip(predicates, since, strict=True):
        known = seen.get(one.name)
        as_told = known["since"] if known and known["holds"] == one.holds else None
        from_files = moment.isoformat(timespec="seconds") if moment else None
        told.append({"name": one.name, "holds": one.holds, "detail": one.detail, "since": as_told or from_files})
    return told
