"""Which name a result gets where somebody else's file has its own: none (a person is asked), or one with a suffix.

The names to take are always the same ones in the same order, and the one that was taken is remembered with the row of
the file before a byte is written under it: another start takes no other. What is called alike, as an alignment and its
index are, moves together. Nothing is ever overwritten; whether a file is another one is for `delivery/` to say.
"""

from __future__ import annotations

from collections.abc import Mapping

from watcher.delivery import Delivery
from watcher.model import PlannedDelivery
from watcher.results import ResultFile, ResultSource
from watcher.rows import DeliveredFile

Ways = tuple[dict[str, ResultFile], ...]
"""What is called alike: results by path, once for each way to call them, the first way is their own."""


def ways_of(planned: PlannedDelivery, target: Delivery, places: Mapping[str, ResultFile]) -> list[Ways]:
    """Return the ways to call the results at these places, which are those that the target told last."""
    found = []
    for alike in target.companions():
        own = {path: places[path] for path in alike}
        others = zip(*alike.values(), strict=False) if planned.on_clash == "suffix" else ()
        found.append((own, *(dict(zip(other, own.values(), strict=True)) for other in others)))
    return found


def remembered(ways: Ways, rows: Mapping[str, DeliveredFile]) -> dict[str, ResultFile]:
    """Return the way that was begun with, else the results' own."""
    return next((way for way in ways if any(_was_begun(rows.get(path)) for path in way)), ways[0])


async def free_way(
    ways: Ways, rows: Mapping[str, DeliveredFile], target: Delivery, results: ResultSource
) -> dict[str, ResultFile]:
    """Return the first way that nobody else's file is in, after the remembered one; the results' own where there is
    none, for that is what a person is told.
    """
    first = remembered(ways, rows)
    if len(ways) == 1:
        return first
    for way in (first, *(one for one in ways if one is not first)):
        for path, file in way.items():
            row = rows.get(path)
            if await target.is_taken(results, file, path, outdated=row.sha256 if row else ""):
                break
        else:
            return way
    return ways[0]


def _was_begun(row: DeliveredFile | None) -> bool:
    return row is not None and row.intent_at is not None
