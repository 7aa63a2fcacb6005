"""Calls the engine when something is due: one process, one loop, no queue.

Waits for a wake-up, the end of a running stage, or the next due time in the rows. How many rows of a watch (and
server) may be at a stage at once is limited here; how many files move at once is limited by the transfer slots. On
stop every running stage is cancelled and leaves its row ready to go on.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any

import structlog

from watcher.errors import StateError
from watcher.model import Stage
from watcher.rows import Batch, DueRow, Row, Unit, Watch
from watcher.service.engine import Engine
from watcher.stages.rooms import Rooms

AT_ONCE: Mapping[Stage, int] = {
    Stage.DETECT: 16,
    Stage.SETTLE: 16,
    Stage.VERIFY: 8,
    Stage.PLAN: 4,
    Stage.UPLOAD: 64,  # those without a transfer slot cost little, and whose turn it is the slots can only say of these
    Stage.INVOKE: 8,
    Stage.POLL: 50,
    Stage.DELIVER: 8,
    Stage.FINISH: 8,
}
LONGEST_NAP_S = 30.0
BROKEN_PAUSE_S = 1.0

log = structlog.get_logger("watcher")


def row_key(row: Row) -> tuple[str, str]:
    """Return kind and id: what tells running rows apart."""
    return ({Watch: "watch", Unit: "unit", Batch: "batch"}[type(row)], row.id)


def _turn(row: DueRow) -> tuple[int, int]:
    """Put batches of a high priority first, then small ones; all others as they are."""
    return (-row.priority, row.planned_bytes if row.stage is Stage.UPLOAD else 0)


class Embedded:
    """The default dispatcher: an asyncio loop over due rows."""

    def __init__(self, rooms: Rooms, engine: Engine) -> None:
        self._rooms = rooms
        self._engine = engine
        self._wake = asyncio.Event()
        self._running: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._stages: dict[tuple[str, str], tuple[Stage, str, str]] = {}
        self._still: Counter[tuple[str, str]] = Counter()
        self._looked_at = rooms.clock.now()
        self.started = 0
        """How many stages were ever started."""

    @property
    def is_at_work(self) -> bool:
        """Whether a stage runs, or what comes after it: a row that looks ended may be about to wake another one."""
        return bool(self._running)

    def nudge(self) -> None:
        """Look at the rows now."""
        self._wake.set()

    @property
    def idle(self) -> bool:
        """True while no stage runs."""
        return not self._running

    @contextlib.asynccontextmanager
    async def kept_still(self, rows: Iterable[Row]) -> AsyncIterator[None]:
        """Cancel the stages of these rows, wait until they let go, and start none of them during the block."""
        keys = {row_key(row) for row in rows}
        self._still.update(keys)  # counted: two wishes may concern the same row
        try:
            running = {self._running[key] for key in keys if key in self._running}
            for one in running:
                one.cancel()
            if running:
                await asyncio.wait(running, timeout=8)
            yield
        finally:
            self._still.subtract(keys)
            self.nudge()

    async def run(self, stop: asyncio.Event) -> None:
        """Advance what is due until `stop` is set, then cancel what runs and wait for it, at most 8 s."""
        stopping = asyncio.create_task(stop.wait())
        try:
            while not stop.is_set():
                self._wake.clear()
                try:
                    await self._start_due()
                    seconds = await self._seconds_to_nap()
                except StateError as error:  # a full or broken disk of ours may come back; nothing is lost meanwhile
                    log.error("state.unusable", reason=error.message, hint=error.hint)
                    self._wake.clear()
                    seconds = BROKEN_PAUSE_S
                await self._nap(seconds, stopping)
        finally:
            stopping.cancel()
            for running in self._running.values():
                running.cancel()
            if self._running:
                await asyncio.wait(set(self._running.values()), timeout=8)

    async def _start_due(self) -> None:
        busy = Counter(self._stages.values())
        self._looked_at = self._rooms.clock.now()
        due = await self._rooms.store.due(self._looked_at, besides=self._running)
        places = dict[tuple[str, str], tuple[Stage, str, str]]()
        chosen = []
        for one in sorted(due, key=_turn):
            key, place = (one.kind, one.id), (one.stage, one.watch, one.account)
            if not self._is_taken(key) and busy[place] < AT_ONCE[one.stage]:
                busy[place] += 1
                places[key] = place
                chosen.append(one)
        for row in await self._rooms.store.due_rows(chosen, self._looked_at) if chosen else ():
            key = row_key(row)
            if self._is_taken(key):  # a person wanted it while it was read
                continue
            self._stages[key] = places[key]
            running = asyncio.create_task(self._engine.advance(row), name=f"{row.stage}:{row.id}")
            self._running[key] = running
            self.started += 1
            running.add_done_callback(functools.partial(self._ended, key))

    def _is_taken(self, key: tuple[str, str]) -> bool:
        return key in self._running or self._still[key] > 0

    def _ended(self, key: tuple[str, str], ended: asyncio.Task[None]) -> None:
        self._running.pop(key, None)
        self._stages.pop(key, None)
        error = None if ended.cancelled() else ended.exception()
        if error is None:
            self._wake.set()
            return
        # The outcome could not be stored: the row is as it was, and due. Not at once, or a full disk costs a core.
        log.error("row.not_moved", row=key[1], reason=str(error), exc_info=not isinstance(error, StateError) and error)
        asyncio.get_running_loop().call_later(BROKEN_PAUSE_S, self._wake.set)

    async def _seconds_to_nap(self) -> float:
        due_at = await self._rooms.store.next_due(after=self._looked_at)
        if due_at is None:
            return LONGEST_NAP_S
        return min(max((due_at - self._rooms.clock.now()).total_seconds(), 0.0), LONGEST_NAP_S)

    async def _nap(self, seconds: float, stopping: asyncio.Task[Any]) -> None:
        """Wait that long, or until somebody nudges, or until the end."""
        waking: asyncio.Task[Any] = asyncio.create_task(self._wake.wait())
        napping: asyncio.Task[Any] = asyncio.create_task(self._nap_for(seconds))
        try:
            await asyncio.wait({waking, napping, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waking.cancel()
            napping.cancel()

    async def _nap_for(self, seconds: float) -> None:
        await self._rooms.clock.sleep(seconds)
