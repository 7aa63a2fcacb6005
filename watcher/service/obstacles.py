"""Probes: is a shared thing that was broken usable again?

One small question per kind, asked every `probe` interval by a timer while an obstacle is open: does Galaxy answer, is
the key good, is there room, is the mount back. A good answer ends the obstacle and wakes everything that waited
behind it. What an obstacle is, and when one is raised, is decided in `faults.py` and `engine.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import structlog

from watcher.disk.mounts import inspect_root
from watcher.errors import DeliveryError, OverQuota, PlanError, WatcherError
from watcher.model import Stage, Status
from watcher.rows import Batch, Obstacle, Unit
from watcher.stages.bring_home import DELIVERY_BYTES
from watcher.stages.looking import known_names, without_let_go
from watcher.stages.removal import archive_answers
from watcher.stages.rooms import Rooms
from watcher.stages.space import refuse_without_room, store_free
from watcher.stages.targets import open_target

log = structlog.get_logger("watcher")

LEAST_FREE_BYTES = 16 * 1024**2


async def _galaxy_answers(rooms: Rooms, obstacle: Obstacle) -> bool:
    await rooms.galaxy(obstacle.subject).identify()
    return True


async def _quota_left(rooms: Rooms, obstacle: Obstacle) -> bool:
    """Ask as the plans will; what fits goes on by itself while others still wait for more room."""
    used, limit = await rooms.galaxy(obstacle.subject).users.quota()
    if limit is None and await store_free(rooms, obstacle.subject) is None:
        return True
    if limit is not None and used >= limit:
        return False
    stuck = [one for one in await rooms.store.units(stage=Stage.PLAN) if one.obstacle == obstacle.key]
    paused = [
        one
        for stage in (Stage.UPLOAD, Stage.POLL)
        for one in await rooms.store.batches(stage=stage)
        if one.obstacle == obstacle.key
    ]
    if not (stuck or paused):  # the row that met it may not stand behind it yet
        return obstacle.since <= rooms.clock.now() - rooms.settings.limits.probe
    fit = [one for one in stuck if await _has_room(rooms, obstacle.subject, one)]
    if len(fit) == len(stuck):
        return True
    rows: list[Unit | Batch] = [*fit, *paused]
    for row in rows:
        await rooms.store.move(row, status=Status.READY, reason=row.reason)
    return False


async def _has_room(rooms: Rooms, account: str, unit: Unit) -> bool:
    try:
        await refuse_without_room(rooms, account, unit.more, unit.run)
    except OverQuota as error:
        log.debug("obstacle.stands", subject=account, unit=unit.id, reason=error.message)
        return False
    return True


async def _root_answers(rooms: Rooms, obstacle: Obstacle) -> bool:
    watch, root = await rooms.store.watch(obstacle.subject), rooms.root(obstacle.subject)
    # The same question as detect asks, or the obstacle would end and rise again for ever.
    watch, known = without_let_go(watch, known_names(await rooms.store.units(watch=watch.name), root))
    return (await inspect_root(rooms.threads, watch, root, known=known)).ok


async def _target_takes_results(rooms: Rooms, obstacle: Obstacle) -> bool:
    """Ask as the deliveries will; one that fits goes on by itself while others still wait for more room."""
    for unit in await rooms.store.units(stage=Stage.FINISH, status={Status.WAITING}):
        if unit.obstacle == obstacle.key and not await archive_answers(rooms, unit):
            return False
    stuck = [one for one in await rooms.store.batches(stage=Stage.DELIVER) if one.obstacle == obstacle.key]
    if not stuck:  # the batch that met it may not stand behind it yet; once it had the time, nobody needs the target
        return obstacle.since <= rooms.clock.now() - rooms.settings.limits.probe
    fit = [batch for batch in stuck if await _fits(rooms, obstacle.subject, batch)]
    if len(fit) == len(stuck):
        return True
    for batch in fit:
        await rooms.store.move(batch, status=Status.READY, reason=batch.reason)
    return False


async def _fits(rooms: Rooms, base: str, batch: Batch) -> bool:
    needed_bytes = max(int(batch.more.get(DELIVERY_BYTES, 0)), LEAST_FREE_BYTES)
    for planned in batch.plan.deliveries:
        if planned.base == base:
            folder = open_target(planned, rooms)
            try:
                await folder.prepare(needed_bytes)
            except DeliveryError as error:
                log.debug("obstacle.stands", subject=base, batch=batch.id, reason=error.message)
                return False
    return True


PROBES: Mapping[str, Callable[[Rooms, Obstacle], Awaitable[bool]]] = {
    "galaxy": _galaxy_answers,
    "account": _galaxy_answers,
    "quota": _quota_left,
    "mount": _root_answers,
    "target": _target_takes_results,
}


async def probe_obstacles(rooms: Rooms) -> int:
    """Ask after every open obstacle, all at once, and end those that are gone; return how many ended."""
    standing = await rooms.store.obstacles(open_only=True)
    return sum(await asyncio.gather(*(_probe(rooms, obstacle) for obstacle in standing)))


async def _probe(rooms: Rooms, obstacle: Obstacle) -> bool:
    try:
        gone = await PROBES[obstacle.kind](rooms, obstacle)
    except PlanError:  # not configured any more: what waits behind it says so itself
        gone = True
    except (WatcherError, OSError) as error:
        log.debug("obstacle.stands", kind=obstacle.kind, subject=obstacle.subject, reason=str(error))
        gone = False
    if not gone:
        await rooms.store.set_probe(obstacle.key, rooms.clock.now() + rooms.settings.limits.probe)
        return False
    if await rooms.store.end_obstacle(obstacle.key) is None:
        return False  # another probe was quicker, and has told it
    await rooms.store.journal(
        "obstacle.ended", f"{obstacle.kind} {obstacle.subject} is usable again.", more={"obstacle": obstacle.key}
    )
    log.info("obstacle.ended", kind=obstacle.kind, subject=obstacle.subject)
    return True
