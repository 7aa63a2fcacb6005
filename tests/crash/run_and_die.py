"""Runs the daemon in forked children, and lets a child kill itself at a named point.

Started as `python -m tests.crash.run_and_die` by `runner.py`, the other side of its pipes.

Everything is imported once, before any thread or loop exists; each order (a line of JSON on stdin) forks a process that
is a daemon like any other and dies by a true SIGKILL. For each order there are two lines on stdout: the child's pid,
and how it ended (minus the signal).
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
import traceback
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import alembic.command  # noqa: F401 - what a life imports late would be paid for in each: this, and the next five
import anyio._backends._asyncio  # noqa: F401
import apscheduler.executors.asyncio
import apscheduler.triggers.interval  # noqa: F401
import httpcore  # noqa: F401
import sqlalchemy.dialects.sqlite.aiosqlite  # noqa: F401

from watcher.config import Settings, load_config
from watcher.runs.layout import load_layouts
from watcher.service.daemon import Daemon
from watcher.stages import dataset_checks, rounds

Json = dict[str, Any]


class QuickClock:
    """A clock that runs `factor` times as fast; it agrees over restarts, as the machine's own does."""

    def __init__(self, began: float, factor: float) -> None:
        self._began = began
        self._factor = factor

    def now(self) -> datetime:
        """Return the wall clock, aware UTC."""
        return datetime.fromtimestamp(self._began + (time.time() - self._began) * self._factor, UTC)

    def monotonic(self) -> float:
        """Return seconds that never jump, for measuring durations."""
        return time.monotonic() * self._factor

    async def sleep(self, seconds: float) -> None:
        """Return after that many of its seconds."""
        await asyncio.sleep(seconds / self._factor)


class Points:
    """Writes down every point that is reached, and kills the process at the n-th reach of one, or wherever no life
    before has been in the stages of `die_in`.
    """

    def __init__(self, note: Path, die_at: str, die_on: int, die_in: list[str]) -> None:
        self._note = os.open(note, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._die_at = die_at
        self._left = die_on
        self._die_in = die_in
        self._known = set(note.read_text().split()) if die_in else set()

    def __call__(self, point: str) -> None:
        os.write(self._note, f"{point}\n".encode())
        if point == self._die_at:
            self._left -= 1
            if not self._left:
                os.kill(os.getpid(), signal.SIGKILL)
        if point.partition(".")[0] in self._die_in and point not in self._known:
            os.kill(os.getpid(), signal.SIGKILL)


async def catch_up(settings: Settings, points: Points, order: Json) -> None:
    """Be a one-shot daemon until nothing is left to do, or until death; one that `serves` goes on until death alone."""
    clock = QuickClock(order["began"], order["factor"])
    daemon = Daemon(settings, clock=clock, points=points, takes_existing=True)
    if order["serves"]:
        async with daemon.running():
            await asyncio.Event().wait()
    await daemon.catch_up(timedelta(seconds=order["patience_s"]))


def live(order: Json) -> int:
    """Do what the order says, in the child; return the exit code."""
    says = os.open(order["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    silence = os.open(os.devnull, os.O_RDONLY)
    os.dup2(silence, 0)
    os.dup2(says, 1)
    os.dup2(says, 2)
    try:
        settings = load_config(Path(order["config"]), layouts=load_layouts)
        points = Points(Path(order["points"]), order["die_at"], order["die_on"], order["die_in"])
        if order["shortest_s"]:
            rounds.SHORTEST = timedelta(seconds=order["shortest_s"])
            dataset_checks.SHORTEST_S = order["shortest_s"]
        asyncio.run(catch_up(settings, points, order))
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        return 1
    return 0


def main() -> None:
    """Carry out orders until stdin ends."""
    for line in iter(sys.stdin.readline, ""):
        order = json.loads(line)
        child = os.fork()
        if child == 0:
            os._exit(live(order))
        os.write(1, json.dumps({"pid": child}).encode() + b"\n")
        _, status = os.waitpid(child, 0)
        os.write(1, json.dumps({"ended": os.waitstatus_to_exitcode(status)}).encode() + b"\n")


if __name__ == "__main__":
    main()
