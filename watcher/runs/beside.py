"""A second thread for the content pass: it does some of the work while the giving thread goes on, or does some itself.

What the work brings is taken in the order in which it was given, by the giving thread, whoever did it. Little work is
under way at a time, so that what it holds in memory is bounded. What the work is, `integrity.py` knows.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, TypeVar

T = TypeVar("T")

_MOST_WAITING = 2


class Beside:
    """One thread; it starts with the first work, and ends with `close` or when nobody refers to this any more."""

    def __init__(self, name: str) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._given: deque[tuple[Future[Any], Callable[[Any], None]]] = deque()

    @property
    def has_room(self) -> bool:
        """Tell whether the other thread will soon want more work."""
        return sum(not given.done() for given, _ in self._given) < _MOST_WAITING

    def give(self, work: Callable[[], T], take: Callable[[T], None]) -> None:
        """Have work done by the other thread, and `take` what it brings in its turn; raises what earlier work
        raised.
        """
        self._given.append((self._thread.submit(work), take))
        self._take_done()

    def work_here(self, work: Callable[[], T], take: Callable[[T], None]) -> None:
        """Do work in this thread, now; what it brings, also an error, waits for its turn as well."""
        done: Future[T] = Future()
        try:
            done.set_result(work())
        except Exception as error:
            done.set_exception(error)
        self._given.append((done, take))
        self._take_done()

    def catch_up(self) -> None:
        """Return when all that was given is done and taken; raises the first error in that order."""
        try:
            while self._given:
                self._take_first()
        finally:
            wait([given for given, _ in self._given])
            self._given.clear()

    def close(self) -> None:
        """Let the thread go."""
        self._thread.shutdown(wait=False)

    def _take_done(self) -> None:
        while self._given and self._given[0][0].done():
            self._take_first()

    def _take_first(self) -> None:
        done, take = self._given.popleft()
        take(done.result())
