"""How fast, and when, the files of a watch may be sent, and what to tell people while they may not.

One `Bandwidth` is shared by all transfers of a watch. A `Pace` is that of one batch: it waits without a transfer slot,
for the bandwidth as for a server that asked to be left alone. Slots are in `slots.py`, the hours themselves in the
configuration.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime, timedelta

from watcher.clock import Clock
from watcher.config.hours import Hours
from watcher.errors import StateError
from watcher.stages.slots import Line, Slot

OUTSIDE_HOURS = "outside_hours"
"""The code of a batch that waits for the hours of its watch."""

AT_ONCE_S = 0.25
"""A limited watch sends so many seconds' worth in one piece, and makes up for no more than that of a late one."""

LEAST_PIECE_BYTES = 64 * 1024
SLOWED_FOR_S = 30.0
"""So long after its last wait for bandwidth a batch is told to be limited by it."""

SHORTEST_REST_S = 1.0
TELL_EVERY_S = 2.0


class OutsideHours(Exception):
    """The hours of the watch are over; `opens_at` is when they begin again, `reason` says so to people."""

    def __init__(self, opens_at: datetime, reason: str) -> None:
        super().__init__(reason)
        self.opens_at = opens_at
        self.reason = reason


class Bandwidth:
    """Bytes per second that several transfers share, first come first served."""

    def __init__(self, clock: Clock, bytes_per_s: int) -> None:
        self.bytes_per_s = bytes_per_s
        self.piece_bytes = max(int(bytes_per_s * AT_ONCE_S), LEAST_PIECE_BYTES)
        self._clock = clock
        self._free_at = float("-inf")

    def reserve(self, size: int) -> float:
        """Book so many bytes and return after how many seconds they may go."""
        now = self._clock.monotonic()
        start = max(self._free_at, now - AT_ONCE_S)
        self._free_at = start + size / self.bytes_per_s
        return max(start - now, 0.0)


class Pace:
    """What one batch keeps to while it is sent."""

    def __init__(self, clock: Clock, watch: str, hours: Hours, bandwidth: Bandwidth | None, line: Line) -> None:
        self._clock = clock
        self._watch = watch
        self._hours = hours
        self._bandwidth = bandwidth
        self._line = line
        self._slowed_at = float("-inf")
        self._left_alone_until: datetime | None = None

    @property
    def is_open(self) -> bool:
        """Whether files of this watch may be sent now."""
        return self._hours.is_open(self._clock.now())

    @property
    def piece_bytes(self) -> int | None:
        """The most that is to be sent in one request; None: as much as one likes."""
        return self._bandwidth.piece_bytes if self._bandwidth else None

    def refuse_outside_hours(self) -> None:
        """Raise OutsideHours when nothing of this watch may be sent now."""
        if not self.is_open:
            raise self.closed()

    def closed(self) -> OutsideHours:
        """Return why nothing is sent now, and until when."""
        now = self._clock.now()
        opens_at = self._hours.next_change(now) or now + timedelta(minutes=1)
        return OutsideHours(opens_at, waits_for_hours(self._watch, self._hours, opens_at))

    async def before_sending(self, slot: Slot, size: int) -> None:
        """Return when so many bytes may go; while they may not, the slot is free for others."""
        wait_s = self._bandwidth.reserve(size) if self._bandwidth else 0.0
        if wait_s > 0:
            self._slowed_at = self._clock.monotonic()
            async with slot.away():
                await self._clock.sleep(wait_s)

    async def leave_alone(self, slot: Slot, seconds: float) -> None:
        """Let a server that asked for it rest, without a slot."""
        rest_s = max(seconds, SHORTEST_REST_S)
        self._left_alone_until = self._clock.now() + timedelta(seconds=rest_s)
        async with slot.away():
            await self._clock.sleep(rest_s)

    @contextlib.asynccontextmanager
    async def told_to(self, say: Callable[[str], Awaitable[object]]) -> AsyncIterator[None]:
        """During the block `say` what slows the batch down, and let nobody wait for a slot once its hours are over."""
        telling = asyncio.ensure_future(self._tell(say))
        try:
            yield
        finally:
            telling.cancel()
            await asyncio.wait({telling})
        if not telling.cancelled():
            telling.result()

    async def _tell(self, say: Callable[[str], Awaitable[object]]) -> None:
        said = ""
        while True:
            await self._clock.sleep(TELL_EVERY_S)
            if not self.is_open:
                self._line.close(self.closed())
            if (now := self._told()) != said:
                said = now
                with contextlib.suppress(StateError):  # who cannot say it goes on all the same
                    await say(said)

    def _told(self) -> str:
        """Say what keeps the batch from going as fast as it could; nothing where nothing does."""
        now, others = self._clock.now(), self._line.files_before
        if self._left_alone_until is not None and now < self._left_alone_until:
            return f"Galaxy asked to be left alone until {self._hours.told(self._left_alone_until)}."
        if others:
            return f"Waits for its turn: `transfers` allows no more, and others have {others} files on their way."
        if self._bandwidth and self._clock.monotonic() - self._slowed_at < SLOWED_FOR_S:
            return f"Sends at most {rate_text(self._bandwidth.bytes_per_s)}, the bandwidth of watch `{self._watch}`."
        return ""


def waits_for_hours(watch: str, hours: Hours, opens_at: datetime) -> str:
    """Say that a watch sends nothing now, and when it goes on."""
    return f"Outside the hours of watch `{watch}`: goes on at {hours.told(opens_at)}."


def rate_text(bytes_per_s: int) -> str:
    """Return bytes per second for people, as they are written in a configuration."""
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if bytes_per_s >= size:
            return f"{bytes_per_s / size:.3g} {unit}/s"
    return f"{bytes_per_s} B/s"
