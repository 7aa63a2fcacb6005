"""Wake-ups: the kernel tells that something changed in a folder, so nobody needs to wait for the next rescan.

Only a hint, never the truth: events are lost on overflow, on unmount and on network file systems, all silently, so
the periodic rescan decides (`stages/detect.py`). Folders are watched one by one, not recursively. Our own reading
makes no event here, nor does every write of a growing file: coming, going, renaming and the closing of a written file
do. Whatever goes wrong is told once per folder through `on_blind`, and once in all where a limit of the kernel is
reached, which concerns every folder; nothing here raises.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path

from watchdog import events as kinds
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver, ObservedWatch

from watcher.disk.threads import DiskThreads
from watcher.errors import DiskError

CALM_S = 0.2
"""Shortest time between two wake-ups of a key: the first comes at once, what follows comes together."""

LIMITS = {
    errno.ENOSPC: "no watches are left: raise the sysctl fs.inotify.max_user_watches and start anew",
    errno.EMFILE: "no instances are left: raise the sysctl fs.inotify.max_user_instances and start anew",
}
"""What inotify_init(2) and inotify_add_watch(2) answer when a limit of the user is reached."""

OVERFLOW = (
    "more changed at once than the kernel keeps for us, some events were lost: where that happens often, raise the"
    " sysctl fs.inotify.max_queued_events"
)

OVERFLOW_LOGGER = "watchdog.observers.inotify_c"

WAKING: list[type[kinds.FileSystemEvent]] = [
    kinds.FileCreatedEvent,
    kinds.FileMovedEvent,
    kinds.FileDeletedEvent,
    kinds.FileClosedEvent,
    kinds.DirCreatedEvent,
    kinds.DirMovedEvent,
    kinds.DirDeletedEvent,
]


@dataclass(eq=False, slots=True)
class _Folder:
    """What one key watches, and the wake-up that is on its way."""

    key: str
    path: Path
    real: str = ""
    woken_meanwhile: bool = False
    calm_timer: asyncio.TimerHandle | None = None


class Wakeups:
    """Watches folders by key; made, used and closed on the event loop, where both callbacks are called.

    `on_wake(key)`: something changed in the folder of that key. `on_blind(key, reason)`: from now on no wake-ups come
    from there, or some were lost; each at most once per `watch`, and for the first key alone where it is a limit of the
    kernel. To watch again (after a remount, or when a root is
    back) just call `watch` again.
    """

    def __init__(
        self,
        threads: DiskThreads,
        *,
        on_wake: Callable[[str], None],
        on_blind: Callable[[str, str], None],
        calm_s: float = CALM_S,
    ) -> None:
        self._threads = threads
        self._on_wake = on_wake
        self._on_blind = on_blind
        self._calm_s = calm_s
        self._loop = asyncio.get_running_loop()
        self._folders: dict[str, _Folder] = {}
        self._at_work: set[asyncio.Task[None]] = set()
        self._turn = asyncio.Lock()
        self._kernel = _Kernel(self._loop, self._something_came, self._events_lost)
        self._told_of_all: set[str] = set()
        self._closed = False

    def watch(self, key: str, folder: Path) -> None:
        """Begin to watch a folder, or begin anew; returns at once, the work is done on a disk thread.

        The key is woken as soon as the kernel watches, for what may have changed since the caller's last look.
        """
        self.unwatch(key)
        if not self._closed:
            entry = self._folders[key] = _Folder(key, folder)
            self._begin(self._start(entry))

    def unwatch(self, key: str) -> None:
        """Stop watching; a key that is not watched is no mistake."""
        entry = self._folders.pop(key, None)
        if entry is None:
            return
        if entry.calm_timer is not None:
            entry.calm_timer.cancel()
        if not self._closed:
            self._begin(self._end(entry))

    def watched(self) -> frozenset[str]:
        """Return the keys that need no `watch`: also those that are deaf for good, as on a network mount.

        A key whose folder was not there, or is gone, is not among them.
        """
        return frozenset(self._folders)

    async def started(self, within_s: float | None = None) -> bool:
        """Return once every `watch` and `unwatch` so far is carried out, or reported as blind; False when that takes
        longer than `within_s`, and goes on.
        """
        at_work = set(self._at_work)
        return not at_work or not (await asyncio.wait(at_work, timeout=within_s))[1]

    def close(self) -> None:
        """Stop everything; no callback comes after it."""
        self._closed = True
        for key in list(self._folders):
            self.unwatch(key)
        for work in self._at_work:
            work.cancel()
        self._kernel.close()

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        begun = self._loop.create_task(work)
        self._at_work.add(begun)
        begun.add_done_callback(self._at_work.discard)

    async def _start(self, entry: _Folder) -> None:
        mount = self._threads.mount_of(entry.path)
        if mount.is_network:
            # Changes made elsewhere are not announced, and adding a watch on a dead server would block all of watchdog.
            self._tell_blind(entry, f"the kernel does not announce what others change on a `{mount.fstype}` mount")
            return
        async with self._turn:
            if self._folders.get(entry.key) is not entry:
                return
            try:
                entry.real = await self._threads.look(entry.path, lambda: self._kernel.watch(entry.path))
            except (DiskError, FileNotFoundError, NotADirectoryError) as error:
                self._give_up(entry, getattr(error, "message", "") or f"{entry.path} is not there")
            except (OSError, RuntimeError) as error:  # RuntimeError: no more threads
                if limit := LIMITS.get(getattr(error, "errno", None) or 0):
                    self._tell_of_all(entry, limit)
                    return
                self._tell_blind(entry, f"the kernel does not watch it: {getattr(error, 'strerror', None) or error}")
            else:
                if self._folders.get(entry.key) is entry:
                    self._wake(entry)  # for what changed since the caller's last look

    async def _end(self, entry: _Folder) -> None:
        async with self._turn:
            if entry.real and all(other.real != entry.real for other in self._folders.values()):
                # What cannot be ended is of no use any more, and its events find no key.
                with contextlib.suppress(DiskError, OSError):
                    await self._threads.look(entry.path, lambda: self._kernel.unwatch(entry.real))

    def _something_came(self, real: str, is_gone: bool) -> None:
        for entry in [one for one in self._folders.values() if one.real == real]:
            if is_gone:
                self._give_up(entry, f"{entry.path} is gone")
                if not self._closed:
                    self._on_wake(entry.key)  # at once: the calm of a key ends with it
            else:
                self._wake(entry)

    def _events_lost(self) -> None:
        for entry in [one for one in self._folders.values() if one.real and not self._closed]:
            self._tell_of_all(entry, OVERFLOW)
            self._wake(entry)

    def _wake(self, entry: _Folder) -> None:
        if self._closed:
            return
        if entry.calm_timer is not None:
            entry.woken_meanwhile = True
            return
        entry.calm_timer = self._loop.call_later(self._calm_s, self._calm_is_over, entry)
        self._on_wake(entry.key)

    def _calm_is_over(self, entry: _Folder) -> None:
        entry.calm_timer = None
        if entry.woken_meanwhile:
            entry.woken_meanwhile = False
            self._wake(entry)

    def _give_up(self, entry: _Folder, reason: str) -> None:
        """Say that the folder is not there, and forget it: it may be watched anew when it is back."""
        self._tell_blind(entry, reason)
        if self._folders.get(entry.key) is entry:
            self.unwatch(entry.key)

    def _tell_of_all(self, entry: _Folder, reason: str) -> None:
        """Say what keeps us from hearing of any folder, once: thousands of folders may feel it."""
        if reason not in self._told_of_all:
            self._told_of_all.add(reason)
            self._tell_blind(entry, reason)

    def _tell_blind(self, entry: _Folder, reason: str) -> None:
        """Say that no more events are to be expected."""
        if not self._closed and self._folders.get(entry.key) is entry:
            self._on_blind(entry.key, reason)


class _Kernel:
    """The observer and its events, brought to the loop; `watch` and `unwatch` block and belong on disk threads."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        on_event: Callable[[str, bool], None],
        on_lost: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._on_event = on_event
        self._guard = threading.Lock()
        self._observer: BaseObserver | None = None
        self._observed: dict[str, ObservedWatch] = {}
        # watchdog tells an overflow to the log and to nobody else.
        self._overflow = _OverflowEar(lambda: self._on_loop(on_lost))
        logging.getLogger(OVERFLOW_LOGGER).addHandler(self._overflow)

    def watch(self, folder: Path) -> str:
        """Ask for the events of a folder and return where it really is; OSError when the kernel will not."""
        real = os.path.realpath(folder, strict=True)
        with self._guard:
            self._forget(real)  # a watch from before a remount is deaf
            if self._observer is None:
                observer = Observer()
                observer.start()
                self._observer = observer
            ear = _Ear(real, self._heard)
            self._observed[real] = self._observer.schedule(ear, real, recursive=False, event_filter=WAKING)
        return real

    def unwatch(self, real: str) -> None:
        """Ask for no more events of a folder."""
        with self._guard:
            self._forget(real)

    def close(self) -> None:
        """Stop the observer; its threads are daemons and are not waited for."""
        logging.getLogger(OVERFLOW_LOGGER).removeHandler(self._overflow)
        if self._observer is not None:
            threading.Thread(target=self._observer.stop, name="disk-events-stop", daemon=True).start()

    def _forget(self, real: str) -> None:
        observed = self._observed.pop(real, None)
        if observed is not None and self._observer is not None:
            self._observer.unschedule(observed)

    def _heard(self, ear: _Ear, is_gone: bool) -> None:
        self._on_loop(self._pass_on, ear, is_gone)

    def _pass_on(self, ear: _Ear, is_gone: bool) -> None:
        ear.is_waiting = False
        self._on_event(ear.real, is_gone)

    def _on_loop(self, callback: Callable[..., None], *arguments: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody wants to know any more
            self._loop.call_soon_threadsafe(callback, *arguments)


class _Ear(kinds.FileSystemEventHandler):
    """Hears the events of one folder; those that come while one is on its way to the loop are the same news."""

    def __init__(self, real: str, heard: Callable[[_Ear, bool], None]) -> None:
        self.real = real
        self.is_waiting = False
        self._heard = heard

    def dispatch(self, event: kinds.FileSystemEvent) -> None:
        """Pass an event on (called by the observer's thread)."""
        is_gone = isinstance(event, kinds.DirDeletedEvent) and os.fsdecode(event.src_path) == self.real
        if is_gone or not self.is_waiting:
            self.is_waiting = True
            self._heard(self, is_gone)


class _OverflowEar(logging.Handler):
    """Hears watchdog's log line about lost events."""

    def __init__(self, heard: Callable[[], None]) -> None:
        super().__init__(logging.WARNING)
        self._heard = heard

    def emit(self, record: logging.LogRecord) -> None:
        """Pass the news on (called by the inotify thread)."""
        if "overflow" in record.getMessage().lower():
            self._heard()
