"""Our own threads for blocking disk calls: bounded per mount, daemonic, and given up on when they hang.

A call on a dead file server never returns and cannot be interrupted. So nobody waits for it: after `timeout_s` the
asking side gets MountGone, the thread stays behind as *hung* and becomes usable again when the call returns at last
(what it brings is dropped). A mount with all its threads hung refuses further calls at once, other mounts go on. The
event loop's own executor is never used, because the interpreter waits for its threads on the way out. What the calls
do is no concern of this module; see `scan.py` and `reader.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from watcher.disk.mounts import MOUNTINFO, Mount, MountTable
from watcher.errors import DiskError, MountGone

T = TypeVar("T")

HUNG_HINT = "Check the mount and its file server; the watcher asks again by itself."


M_ARENA_MAX, M_MMAP_THRESHOLD, M_TRIM_THRESHOLD = -8, -3, -1  # mallopt(3)
OWN_PAGES_BYTES = 2 * 1024 * 1024  # more than a slice of inflated text, for which new pages cost a fifth of the speed
KEPT_BYTES = 4 * 1024 * 1024


def _keep_little_memory() -> None:
    """Have glibc take all memory from one heap, for the whole process, and chunks from the system, one by one.

    By default each thread gets a heap of its own, each keeps up to 64 MiB of freed chunks, and chunks that come and go
    leave holes: measured, one stream of 10 MiB chunks then holds 63 MB instead of 21. Fewer heaps cost us nothing, the
    interpreter allocates in one thread at a time; pages of its own cost a chunk a few percent of being read and hashed.
    """
    with contextlib.suppress(AttributeError, OSError):  # another C library, which has no such heaps
        for option, value in (
            (M_ARENA_MAX, 1),
            (M_MMAP_THRESHOLD, OWN_PAGES_BYTES),
            (M_TRIM_THRESHOLD, KEPT_BYTES),
        ):
            ctypes.CDLL(None).mallopt(option, value)


@dataclass(eq=False, slots=True)
class _Call:
    """One blocking call: what to run, and who waits for it (nobody, where `answer` is None)."""

    place: Path
    work: Callable[[], Any]
    loop: asyncio.AbstractEventLoop
    answer: asyncio.Future[Any] | None
    timeout_s: float
    started_s: float = 0.0
    ended: bool = False
    hung: bool = False
    timer: asyncio.TimerHandle | None = field(default=None, repr=False)

    def on_loop(self, callback: Callable[..., None], *arguments: Any) -> None:
        """Run a callback on the loop that asked; a loop that is closed by now does not want to know."""
        with contextlib.suppress(RuntimeError):
            self.loop.call_soon_threadsafe(callback, *arguments)

    def settle(self, result: Any, error: BaseException | None) -> None:
        """Hand over the end (on the loop); dropped where the asking side has gone or was told that it hangs."""
        if self.timer is not None:
            self.timer.cancel()  # else the timer would keep the result alive
        if self.answer is None or self.answer.done():
            return
        if error is not None:
            self.answer.set_exception(error)
        else:
            self.answer.set_result(result)


class _Pool:
    """The threads of one mount and kind of work; they are started when needed and end after some idle time.

    The thread that fell idle last is called first: a single stream of chunks keeps to one thread and its warm caches.
    """

    def __init__(self, name: str, limit: int, idle_s: float) -> None:
        self._name = name
        self._limit = limit
        self._idle_s = idle_s
        self._change = threading.RLock()
        self._waiting: deque[_Call] = deque()
        self._running: set[_Call] = set()
        self._threads = 0
        self._idle: list[threading.Condition] = []  # the last to fall idle is the first to be called
        self._closed = False

    @property
    def is_bare(self) -> bool:
        """Tell whether the pool has neither threads nor calls."""
        with self._change:
            return not self._threads and not self._waiting

    @property
    def hung_calls(self) -> int:
        """Return how many threads are stuck in a call that was given up."""
        with self._change:
            return sum(call.hung for call in self._running)

    def submit(self, call: _Call) -> None:
        """Queue a call and see to it that somebody takes it; MountGone at once where all threads hang."""
        with self._change:
            if self._closed:
                raise DiskError("The disk threads are closed.")
            if call.answer is not None and self._all_hung():
                raise self._gone(call.place)
            self._waiting.append(call)
            if self._idle:
                self._idle.pop().notify()
            elif self._threads < self._limit:
                self._threads += 1
                threading.Thread(target=self._serve, name=self._name, daemon=True).start()

    async def run(self, call: _Call, answer: asyncio.Future[T]) -> T:
        """Queue a call and wait for its answer."""
        self.submit(call)
        try:
            return await answer
        except asyncio.CancelledError:
            with self._change, contextlib.suppress(ValueError):
                self._waiting.remove(call)
            raise

    def close(self) -> None:
        """Send idle threads home and refuse what waits; calls that run are left to themselves."""
        with self._change:
            self._closed = True
            refused, self._waiting = list(self._waiting), deque(call for call in self._waiting if call.answer is None)
            while self._idle:
                self._idle.pop().notify()
        for call in refused:
            call.on_loop(call.settle, None, DiskError("The disk threads were closed."))

    def _serve(self) -> None:
        # One call per function call: no local name may keep a chunk alive while the thread idles.
        while self._serve_one():
            pass

    def _serve_one(self) -> bool:
        with self._change:
            while not self._waiting:
                if self._closed:
                    self._threads -= 1
                    return False
                bell = threading.Condition(self._change)
                self._idle.append(bell)
                bell.wait(self._idle_s)
                if bell in self._idle:  # nobody called in all the time
                    self._idle.remove(bell)
                    self._threads -= 1
                    return False
            call = self._waiting.popleft()
            call.started_s = time.monotonic()
            self._running.add(call)
        call.on_loop(self._watch_over, call)
        result: Any = None
        error: BaseException | None = None
        try:
            result = call.work()
        except StopIteration as stop:  # a future does not take it
            error = RuntimeError(f"a disk call ended with {stop!r}")
        except BaseException as raised:
            error = raised
        with self._change:
            call.ended = True
            self._running.discard(call)
        call.on_loop(call.settle, result, error)
        return True

    def _watch_over(self, call: _Call) -> None:
        """Start the time limit, now that the call runs (on the loop): waiting for a thread does not count."""
        if not call.ended:
            call.timer = call.loop.call_later(call.timeout_s, self._give_up, call)

    def _give_up(self, call: _Call) -> None:
        """Tell the asking side that its call hangs (on the loop), and those that wait once no thread is left."""
        with self._change:
            if call.ended:
                return
            call.hung = True
            told = [call]
            if self._all_hung():
                told += [one for one in self._waiting if one.answer is not None]
                self._waiting = deque(one for one in self._waiting if one.answer is None)
            error_of = {one: self._gone(one.place) for one in told}
        for one, error in error_of.items():
            one.on_loop(one.settle, None, error)

    def _all_hung(self) -> bool:
        return sum(call.hung for call in self._running) >= self._limit

    def _gone(self, place: Path) -> MountGone:
        oldest_s = min(call.started_s for call in self._running if call.hung)
        return MountGone(f"{place} does not answer since {time.monotonic() - oldest_s:.0f} s.", hint=HUNG_HINT)


class DiskThreads:
    """Runs blocking calls: `look` for short ones, `read` for source bytes, calling it for work at a delivery target.

    Each kind has its own threads on each mount: at most `looks`, `transfers` and `transfers`. The limits of time are
    per call, so long work is to be cut into short calls (`scan.py` does). Errors of a call come out as they are:
    mapping them is the caller's.
    """

    def __init__(
        self,
        *,
        looks: int = 2,
        transfers: int = 4,
        timeout_s: float = 10.0,
        read_timeout_s: float = 60.0,
        call_timeout_s: float = 300.0,
        idle_s: float = 30.0,
        mountinfo: Path = MOUNTINFO,
    ) -> None:
        _keep_little_memory()
        self._limits = {"look": looks, "read": transfers, "call": transfers}
        self._timeouts_s = {"look": timeout_s, "read": read_timeout_s, "call": call_timeout_s}
        self._idle_s = idle_s
        self._table = MountTable(mountinfo)
        self._pools: dict[tuple[str, int, str], _Pool] = {}
        self._closed = False

    def mount_of(self, place: Path) -> Mount:
        """Return the mount a place is on, links followed; never touches a file system that may hang."""
        return self._table.covering(place)

    async def look(self, place: Path, call: Callable[[], T], *, timeout_s: float | None = None) -> T:
        """Run a short call (stat, listing, small file); MountGone after `timeout_s` or when the mount's threads all
        hang.
        """
        return await self._run("look", place, call, timeout_s)

    async def read(self, place: Path, call: Callable[[], T], *, timeout_s: float | None = None) -> T:
        """Run a call that reads source bytes, on threads that looking does not wait for; raises like `look`."""
        return await self._run("read", place, call, timeout_s)

    async def __call__(self, place: Path, call: Callable[[], T]) -> T:
        """Run a call at a delivery target, which may write and sync and so may take minutes; raises like `look`."""
        return await self._run("call", place, call, None)

    def let_go(self, place: Path, call: Callable[[], None]) -> None:
        """Run a call that frees something as soon as a reading thread can; nobody waits for it, its errors are
        dropped.
        """
        with contextlib.suppress(DiskError):
            self._pool("read", place).submit(
                _Call(place, call, asyncio.get_running_loop(), None, self._timeouts_s["read"])
            )

    def hung(self) -> Mapping[str, int]:
        """Return the threads that hang now, by mount point; mounts without any are left out."""
        counts: dict[str, int] = {}
        for (_, _, point), pool in self._pools.items():
            if stuck := pool.hung_calls:
                counts[point] = counts.get(point, 0) + stuck
        return counts

    def close(self) -> None:
        """Take no more calls. Hung threads are left behind: they are daemons and hold up no exit."""
        self._closed = True
        for pool in self._pools.values():
            pool.close()

    async def _run(self, kind: str, place: Path, work: Callable[[], T], timeout_s: float | None) -> T:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()
        limit_s = self._timeouts_s[kind] if timeout_s is None else timeout_s
        return await self._pool(kind, place).run(_Call(place, work, loop, answer, limit_s), answer)

    def _pool(self, kind: str, place: Path) -> _Pool:
        if self._closed:
            raise DiskError("The disk threads are closed.")
        mount = self._table.covering(place)
        # The id, not only the point: what is mounted anew is not held up by threads stuck in the old one.
        key = (kind, mount.id, mount.point)
        if key not in self._pools:
            self._pools = {known: pool for known, pool in self._pools.items() if not pool.is_bare}
            self._pools[key] = _Pool(f"disk-{kind}-{mount.point}", self._limits[kind], self._idle_s)
        return self._pools[key]
