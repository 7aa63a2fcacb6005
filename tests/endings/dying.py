"""A daemon that dies by SIGKILL at each point it comes to from the workflow on, and is started again at once.

It lives in processes of its own (`tests/crash`), and knows nothing of what has to come of it: the scenarios do.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from collections.abc import AsyncIterator

from tests.crash.runner import Life, Runner, reached
from tests.world import World
from watcher.stages.effects import Points

DIES_IN = ("invoke", "poll", "deliver", "finish")
"""Up to there no ending differs from another; the kill matrix has what comes before."""


class Deaths:
    """One life after another, each to its end; to be run in a thread of its own."""

    def __init__(self, world: World, runner: Runner, points: Points, shortest_s: float) -> None:
        self._world = world
        self._runner = runner
        self._points = points
        self._shortest_s = shortest_s
        self._life: Life | None = None
        self._over = threading.Event()
        self.at: list[str] = []

    def go_on(self) -> None:
        """Start lives until somebody ends this; AssertionError when one ends otherwise than by SIGKILL."""
        while not self._over.is_set():
            self._life = self._runner.start(
                self._world, die_in=DIES_IN, serves=True, factor=1.0, shortest_s=self._shortest_s
            )
            if self._over.is_set():
                self._life.kill()
            ended = self._life.end()
            assert ended == -signal.SIGKILL, f"the daemon ended with {ended}:\n{self._life.said}"
            *before, last = (self._world.folder / "points").read_text().split()
            if last.partition(".")[0] in DIES_IN and last not in {*before, *self.at}:  # else somebody else did it
                self.at.append(last)
                self._points(last)

    def end(self) -> None:
        """Kill the last life, and start no other."""
        self._over.set()
        if self._life and not self._life.is_over:
            with contextlib.suppress(ProcessLookupError):  # it may have died in the meantime
                self._life.kill()


@contextlib.asynccontextmanager
async def dying(world: World, runner: Runner, points: Points, *, shortest_s: float) -> AsyncIterator[None]:
    """Let daemons live and die for the time of the block; `points` is called with each point that one died at."""
    deaths = Deaths(world, runner, points, shortest_s)
    lives = asyncio.create_task(asyncio.to_thread(deaths.go_on))
    try:
        yield
    finally:
        deaths.end()
        await lives
    came_to = {point for point in reached(world) if point.partition(".")[0] in DIES_IN}
    assert sorted(deaths.at) == sorted(came_to)
    assert "invoke.invocation.act" in came_to
