"""Probes: is a shared thing that was broken usable again?

One small question per kind, asked every `probe` interval by a timer while an obstacle is open: does Galaxy answer, is
the key good, is there room, is the mount back. A good answer ends the obstacle and wakes everything that waited
behind it. What an obstacle is, and when one is raised, is decided in `faults.py` and `engine.py`.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from pathlib import Path

import structlog

from watcher.disk.mounts import inspect_root
from watcher.errors import WatcherError
from watcher.rows import Obstacle
from watcher.stages.rooms import Rooms

log = structlog.get_logger("watcher")

LEAST_FREE_BYTES = 16 * 1024**2


async def _galaxy_answers(rooms: Rooms, obstacle: Obstacle) -> bool:
    await rooms.galaxy(obstacle.subject).identify()
    return True


async def _quota_left(rooms: Rooms, obstacle: Obstacle) -> bool:
    used, limit = await rooms.galaxy(obstacle.subject).users.quota()
    return limit is None or used < limit


async def _root_answers(rooms: Rooms, obstacle: Obstacle) -> bool:
    watch = await rooms.store.watch(obstacle.subject)
    look = await inspect_root(rooms.threads, watch, rooms.root(obstacle.subject))
    return look.ok


async def _target_has_room(rooms: Rooms, obstacle: Obstacle) -> bool:
    def free_bytes() -> int:
        state = os.statvfs(obstacle.subject)
        return state.f_bavail * state.f_frsize

    return await rooms.targets(Path(obstacle.subject), free_bytes) >= LEAST_FREE_BYTES


PROBES: Mapping[str, Callable[[Rooms, Obstacle], Awaitable[bool]]] = {
    "galaxy": _galaxy_answers,
    "account": _galaxy_answers,
    "quota": _quota_left,
    "mount": _root_answers,
    "target": _target_has_room,
}


async def probe_obstacles(rooms: Rooms) -> int:
    """Ask after every open obstacle and end those that are gone; return how many ended."""
    ended = 0
    for obstacle in await rooms.store.obstacles(open_only=True):
        try:
            gone = await PROBES[obstacle.kind](rooms, obstacle)
        except (WatcherError, OSError) as error:
            log.debug("obstacle.stands", kind=obstacle.kind, subject=obstacle.subject, reason=str(error))
            gone = False
        if not gone:
            await rooms.store.set_probe(obstacle.key, rooms.clock.now() + timedelta(minutes=1))
            continue
        await rooms.store.end_obstacle(obstacle.key)
        await rooms.store.journal(
            "obstacle.ended", f"{obstacle.kind} {obstacle.subject} is usable again.", more={"obstacle": obstacle.key}
        )
        log.info("obstacle.ended", kind=obstacle.kind, subject=obstacle.subject)
        ended += 1
    return ended
