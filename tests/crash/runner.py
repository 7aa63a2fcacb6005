"""The test's side of `run_and_die.py`: start a daemon in a world, let it die at a point, see what it reached.

It knows processes and points, not what has to hold afterwards: that is in `exactly_once.py`.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.world import ROOT, World

FACTOR = 10.0
"""How much faster than ours the clock of the daemons runs."""

PATIENCE_S = 60.0
"""For how long, on the daemon's clock, it waits for a run that is not finished or a Galaxy that does not answer."""


LIMITS = {"uncertain_for": "10s", "chunk_bytes": 1024}
"""On that clock a lost answer may still come true for ten seconds; small files are sent in several chunks."""


class Life:
    """One process, from its start to its end."""

    def __init__(self, pid: int, folder: Path, program: subprocess.Popen[str]) -> None:
        self.pid = pid
        self._folder = folder
        self._program = program
        self.is_over = False

    def kill(self) -> None:
        """End it now, as a power cut would."""
        os.kill(self.pid, signal.SIGKILL)

    def end(self) -> int:
        """Wait for its end and return the exit code, or minus the signal."""
        code = int(_heard(self._program)["ended"])
        self.is_over = True
        return code

    @property
    def said(self) -> str:
        """Return what this and earlier ones in the same world wrote to the log."""
        log = self._folder / "daemon.log"
        return log.read_text()[-6000:] if log.exists() else ""


class Runner:
    """A warm process from which daemons are forked, one at a time; a context manager."""

    def __init__(self) -> None:
        self._latest: Life | None = None

    def __enter__(self) -> Self:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("WATCHER_")}
        self._program = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.run_and_die"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._program.stdin
        assert self._program.stdout
        self._bury()
        self._program.stdin.close()
        self._program.wait(30)
        self._program.stdout.close()

    def start(
        self,
        world: World,
        die_at: str = "",
        *,
        die_on: int = 1,
        factor: float = FACTOR,
        die_in: Iterable[str] = (),
        serves: bool = False,
        shortest_s: float = 0.0,
    ) -> Life:
        """Start a daemon that dies at the `die_on`-th reach of a point, at the first reach of any in the stages of
        `die_in`, or that nobody stops. One that `serves` does not end by itself; `shortest_s` is how soon it asks
        Galaxy again, where that is not to be as it is.
        """
        self._bury()
        birth = world.folder / "born"
        if not birth.exists():
            birth.write_text(str(time.time()))
        order: dict[str, Any] = {
            "config": str(world.config_file),
            "points": str(world.folder / "points"),
            "log": str(world.folder / "daemon.log"),
            "began": float(birth.read_text()),
            "factor": factor,
            "patience_s": PATIENCE_S,
            "die_at": die_at,
            "die_on": die_on,
            "die_in": list(die_in),
            "serves": serves,
            "shortest_s": shortest_s,
        }
        assert self._program.stdin
        self._program.stdin.write(json.dumps(order) + "\n")
        self._program.stdin.flush()
        self._latest = Life(int(_heard(self._program)["pid"]), world.folder, self._program)
        return self._latest

    def _bury(self) -> None:
        """End what a test that failed has left running."""
        if self._latest is not None and not self._latest.is_over:
            with contextlib.suppress(ProcessLookupError):  # it may have died in the meantime
                self._latest.kill()
            self._latest.end()

    def die(self, world: World, at: str, *, on: int = 1, factor: float = FACTOR) -> None:
        """Run a daemon that has to die at this point; AssertionError when it never gets there."""
        life = self.start(world, at, die_on=on, factor=factor)
        ended = life.end()
        assert ended == -signal.SIGKILL, f"the point {at} was not reached {on} times (exit {ended}):\n{life.said}"

    def finish(self, world: World, *, factor: float = FACTOR) -> None:
        """Run a daemon to its own end."""
        life = self.start(world, factor=factor)
        ended = life.end()
        assert ended == 0, f"the daemon ended with {ended}:\n{life.said}"


def reached(world: World) -> Counter[str]:
    """Return how often each point was reached in this world so far."""
    points = world.folder / "points"
    return Counter(points.read_text().split()) if points.exists() else Counter()


def _heard(program: subprocess.Popen[str]) -> dict[str, Any]:
    assert program.stdout
    line = program.stdout.readline()
    assert line, "the program that forks daemons has ended"
    heard: dict[str, Any] = json.loads(line)
    return heard
