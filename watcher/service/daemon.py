"""The daemon and the one-shot catch-up: one code path, two endings.

Opens the state, starts the loop over due rows, the timers (rescan, probes) and the wake-up socket, and stops cleanly
on SIGTERM within 10 s, also while a disk thread hangs. `once` is the same daemon that ends when nothing is left to
do. What is done, and in which order, is not known here: see `engine.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import timedelta
from pathlib import Path
from typing import Any

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from watcher.clock import Clock, SystemClock
from watcher.config import Settings
from watcher.errors import StateError, WatcherError
from watcher.model import ENDED, Stage, Status
from watcher.rows import Batch, Unit
from watcher.service.build import build
from watcher.service.embedded import Embedded
from watcher.service.engine import Engine
from watcher.service.galaxy_moves import release_moved_holds
from watcher.service.holds import release_changed_holds
from watcher.service.obstacles import probe_obstacles
from watcher.service.systemd import notify
from watcher.service.verbs import carry_out_verbs
from watcher.stages.effects import Points, pass_by
from watcher.stages.pace import OUTSIDE_HOURS
from watcher.stages.removal import take_up_due
from watcher.stages.rooms import Rooms
from watcher.stages.troubles import DELIVERY_WAITS

log = structlog.get_logger("watcher")

WAKE_SOCKET = "wake.sock"
LOOK_AGAIN_S = 0.25
KERNEL_S = 1.0
"""How long a start waits for the kernel to watch the roots; a mount that hangs is watched when it answers."""


class Daemon:
    """Everything that runs while the watcher runs."""

    def __init__(
        self, settings: Settings, *, clock: Clock | None = None, points: Points = pass_by, takes_existing: bool = False
    ) -> None:
        self._settings = settings
        self._clock = clock or SystemClock()
        self._points = points
        self._takes_existing = takes_existing
        self._woken: set[str] = set()
        self._waking = asyncio.Event()
        self._verbs_turn, self._probe_turn = asyncio.Lock(), asyncio.Lock()
        self._errands: set[asyncio.Task[None]] = set()
        self._is_probed = False
        self.stop = asyncio.Event()
        self.rooms: Rooms
        self.dispatcher: Embedded

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Rooms]:
        """Start everything; stop it all at the end of the block."""
        async with build(
            self._settings,
            on_wake=self._on_wake,
            on_blind=self._on_blind,
            clock=self._clock,
            points=self._points,
            takes_existing=self._takes_existing,
        ) as rooms:
            self.rooms = rooms
            self.dispatcher = Embedded(rooms, Engine(rooms))
            for watch in self._settings.watches:
                row = await rooms.store.watch(watch.name)
                # Also one that was held, or stood behind an obstacle: a start is a fresh look.
                await rooms.store.move(row, status=Status.READY)
                rooms.wakeups.watch(f"watch:{watch.name}", watch.path)
            if await rooms.wakeups.started(within_s=KERNEL_S):
                # The kernel watches before the first look begins: nothing has come meanwhile that this look misses.
                self._woken.clear()
                self._waking.clear()
            names = {watch.name for watch in self._settings.watches}
            for row in await rooms.store.watches():
                if row.name not in names and row.status is not Status.IGNORED:
                    await rooms.store.move(row, status=Status.IGNORED, code="removed", reason="It is not configured.")
            for unit in await rooms.store.units(stage=Stage.FINISH, status={Status.WAITING}):
                await rooms.store.wake("unit", unit.id)  # we may have died between the end of a batch and telling it
            for batch in await rooms.store.batches(stage=Stage.UPLOAD, status={Status.WAITING}):
                if batch.code == OUTSIDE_HOURS:  # there may be other hours by now
                    await rooms.store.wake("batch", batch.id)
            await carry_out_verbs(rooms, None)
            timers = self._timers(rooms)
            with self._wake_socket():
                loop_over_rows = asyncio.create_task(self.dispatcher.run(self.stop))
                loop_over_rows.add_done_callback(lambda _: self.stop.set())  # without it nothing would ever happen
                self._send_off(self._probe())  # what was broken when we stopped may be well by now
                wakes = asyncio.create_task(self._pass_on_wakes(rooms))
                try:
                    yield rooms
                finally:
                    self.stop.set()
                    timers.shutdown(wait=False)
                    for beside in (wakes, *self._errands):
                        beside.cancel()
                    await asyncio.wait({loop_over_rows, wakes, *self._errands}, timeout=9)
                if loop_over_rows.done() and not loop_over_rows.cancelled():
                    loop_over_rows.result()

    def _timers(self, rooms: Rooms) -> AsyncIOScheduler:
        """Start the timers; they hold no state and only make things due."""
        timers = AsyncIOScheduler(timezone="UTC")
        each: dict[str, Any] = {"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
        probe_s = self._settings.limits.probe.total_seconds()
        timers.add_job(self._at_rescan, "interval", seconds=self._settings.rescan.total_seconds(), **each)
        timers.add_job(self._at_probe, "interval", seconds=probe_s, **each)
        timers.start()
        return timers

    async def _at_rescan(self) -> None:
        self._send_off(self._rescan())

    async def _at_probe(self) -> None:
        if not self._probe_turn.locked():  # a Galaxy that hangs keeps one probe waiting, not one a minute
            self._send_off(self._probe())

    def _send_off(self, errand: Coroutine[Any, Any, None]) -> None:
        """Do something beside the loop over rows; what goes wrong in it is logged, and the next timer tries again."""
        running = asyncio.ensure_future(errand)
        self._errands.add(running)
        running.add_done_callback(self._came_back)

    def _came_back(self, ended: asyncio.Task[None]) -> None:
        self._errands.discard(ended)
        error = None if ended.cancelled() else ended.exception()
        if error is not None:
            log.error("timer.broke", reason=str(error), exc_info=not isinstance(error, WatcherError) and error)

    async def _rescan(self) -> None:
        for watch in self._settings.watches:
            await self.rooms.store.wake("watch", watch.name)
        self.dispatcher.nudge()

    async def _probe(self) -> None:
        async with self._probe_turn:
            try:
                await self._probe_once()
            finally:
                self._is_probed = True

    async def _probe_once(self) -> None:
        try:
            await self.rooms.store.keep_lock()
        except StateError as error:  # somebody else owns the state now: two writers must never be
            log.error("state.lost", reason=error.message, hint=error.hint)
            self.stop.set()
            return
        gone = await probe_obstacles(self.rooms)
        released = await release_changed_holds(self.rooms) + await release_moved_holds(self.rooms)
        due = await take_up_due(self.rooms)
        if gone or released or due:
            self.dispatcher.nudge()
        await self._verbs()

    async def _verbs(self) -> None:
        async with self._verbs_turn:  # a timer and the socket may both have seen the same wish
            await carry_out_verbs(self.rooms, self.dispatcher)

    # --- wake-ups ----------------------------------------------------------------------------------------------------

    def _on_wake(self, key: str) -> None:
        self._woken.add(key)
        self._waking.set()

    def _on_blind(self, key: str, reason: str) -> None:
        log.warning("events.blind", watch=key.removeprefix("watch:"), reason=reason, now="The periodic rescan goes on.")

    async def _pass_on_wakes(self, rooms: Rooms) -> None:
        """Turn file system events into due rows; many events of one folder are one wake-up."""
        rest_until = self._clock.monotonic()
        while True:
            await self._waking.wait()
            await self._clock.sleep(max(rest_until - self._clock.monotonic(), 0.0))
            self._waking.clear()
            keys, self._woken = self._woken, set()
            began = self._clock.monotonic()
            for key in sorted(keys):
                kind, name = key.split(":")[:2]
                with contextlib.suppress(StateError):  # a hint only: the rescan comes anyway
                    await rooms.store.wake(kind, name)
            self.dispatcher.nudge()
            # A folder that is being written wakes us all the time: look a few times a second, not hundreds.
            ended = self._clock.monotonic()
            rest_until = ended + min(max(10 * (ended - began), 0.2), 2.0)

    @contextlib.contextmanager
    def _wake_socket(self) -> Any:
        """Listen in the state folder, so that commands are carried out at once."""
        path = wake_socket_path(self._settings)
        if path is None:
            yield
            return
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
            ear.setblocking(False)
            try:
                ear.bind(str(path))
            except OSError as error:  # a path of more than 107 bytes; wishes are found by the timer all the same
                log.warning("socket.missing", reason=str(error), now="Commands are carried out within a minute.")
                yield
                return
            path.chmod(0o600)

            def heard() -> None:
                with contextlib.suppress(BlockingIOError):
                    ear.recv(64)
                self._send_off(self._verbs())

            loop.add_reader(ear, heard)
            try:
                yield
            finally:
                loop.remove_reader(ear)
                with contextlib.suppress(FileNotFoundError):
                    path.unlink()

    # --- the two ways to live ----------------------------------------------------------------------------------------

    def stop_on_signals(self) -> None:
        """End the daemon on SIGTERM and SIGINT."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop.set)

    async def serve(self) -> None:
        """Run until told to stop."""
        self.stop_on_signals()
        async with self.running():
            log.info("watcher.ready", watches=len(self._settings.watches), rules=len(self._settings.rules))
            notify("READY=1")
            gc.freeze()  # what was imported stays: a collection need not go through it time and again
            await self.stop.wait()
            notify("STOPPING=1")
        log.info("watcher.stopped")

    async def catch_up(
        self, wait: timedelta | None, *, follow: bool = True, on_look: Callable[[Rooms], Any] | None = None
    ) -> bool:
        """Take what is ready or gets ready within `wait` (default: the settle times) and follow it to its end.

        Returns False when a signal ended it early.
        """
        self.stop_on_signals()
        async with self.running() as rooms:
            patience = wait if wait is not None else self._longest_settle(rooms) + timedelta(seconds=5)
            began: float | None = None
            while not self.stop.is_set():
                looked = self._clock.monotonic()
                if on_look:
                    await on_look(rooms)
                if await self._all_looked_at(rooms):
                    began = looked if began is None else began  # a slow disk takes nothing off the patience
                    waited = timedelta(seconds=looked - began)
                    started, at_work = self.dispatcher.started, self.dispatcher.is_at_work
                    is_over = not at_work and await self._nothing_left(rooms, patience, waited > patience, follow)
                    if is_over and self.dispatcher.started == started:
                        if on_look:
                            await on_look(rooms)  # something may have ended since the last look
                        return True
                # With thousands of rows a look costs more: it never takes more than a quarter of the time.
                pause_s = max(LOOK_AGAIN_S, 3 * (self._clock.monotonic() - looked))
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause_s):
                        await self.stop.wait()
        return False

    def _longest_settle(self, rooms: Rooms) -> timedelta:
        defaults = max((layout.settle for layout in rooms.layouts.values()), default=timedelta(0))
        return max(
            (watch.settle if watch.settle is not None else defaults for watch in self._settings.watches),
            default=timedelta(0),
        )

    async def _all_looked_at(self, rooms: Rooms) -> bool:
        if not self._is_probed:
            return False  # what an earlier run left behind an obstacle or on hold may go on
        watches = [await rooms.store.watch(watch.name) for watch in self._settings.watches]
        if any(watch.first_look_at is None and not (watch.obstacle or watch.code) for watch in watches):
            return False
        return not any(watch.status in (Status.READY, Status.WORKING) for watch in watches)

    async def _nothing_left(self, rooms: Rooms, patience: timedelta, patience_over: bool, follow: bool) -> bool:
        """Tell whether everything has ended, is held, or waits for what a one-shot run does not wait for."""
        batches = await rooms.store.batches()
        moving = {batch.unit_id for batch in batches if batch.status not in ENDED and batch.status is not Status.HELD}
        rows: list[Unit | Batch] = [*await rooms.store.units(), *batches]
        obstacles, now = await rooms.store.obstacles(open_only=True), self._clock.now()
        lasting = {one.key for one in obstacles if now - one.since > patience}  # one that came late gets its time too
        return all(self._let_go(row, moving, lasting, patience_over, follow) for row in rows)

    def _let_go(
        self, row: Unit | Batch, moving: set[str], lasting: set[str], patience_over: bool, follow: bool
    ) -> bool:
        if row.status in ENDED or row.status is Status.HELD:
            return True
        if row.status is Status.WAITING and row.obstacle:
            return patience_over and row.obstacle in lasting
        if row.status is Status.WAITING and row.code in (OUTSIDE_HOURS, DELIVERY_WAITS):
            return patience_over
        if isinstance(row, Unit):
            if row.stage is Stage.FINISH:
                # Its batches are looked at themselves; when none is under way any more, it is about to say so.
                return row.status is Status.WAITING and row.id in moving
            is_due = row.due_at is not None and row.due_at <= self._clock.now()  # nobody came to look at it yet
            return row.stage is Stage.SETTLE and row.status is Status.WAITING and patience_over and not is_due
        return not follow and row.stage in (Stage.POLL, Stage.DELIVER) and row.status is not Status.WORKING


def wake_socket_path(settings: Settings) -> Path | None:
    """Return the socket in the state folder; None when the state lives on a database server."""
    return settings.state.path.parent / WAKE_SOCKET if settings.state.path and not settings.state.url else None
