"""Starts the sandbox's processes under their keepers, and ends them: asked, at once, or by themselves when we die.

Everything goes by process id. Knows nothing of Galaxy; the keeper's own side is `keeper.py`.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from watcher.sandbox import keeper


class Kept:
    """One process with everything it starts; it ends when this program does, unless `let_go` was called."""

    def __init__(self, command: Sequence[str], *, folder: Path, log: Path, environment: Mapping[str, str]) -> None:
        self.log = log
        with log.open("ab") as sink:
            self._keeper = subprocess.Popen(
                [sys.executable, keeper.__file__, *command],
                cwd=folder,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=sink,
                start_new_session=True,  # Ctrl-C at the terminal is for us alone
            )
        assert self._keeper.stdout is not None
        self.pid = int(self._keeper.stdout.readline() or 0)

    @property
    def keeper_pid(self) -> int:
        """The process that a person ends to stop it all."""
        return self._keeper.pid

    def is_alive(self) -> bool:
        """Say whether it still runs."""
        return self._keeper.poll() is None

    def ask_to_stop(self) -> None:
        """Begin to end it; `wait` returns when it has ended."""
        assert self._keeper.stdin is not None
        with contextlib.suppress(OSError):
            self._keeper.stdin.close()

    def pause(self) -> None:
        """Let it and everything it started stand still, as it is, until `go_on`; it takes no processor meanwhile."""
        keeper.send(self.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it go on after `pause`; harmless otherwise."""
        keeper.send(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        """End it at once, as a power cut would, with everything it started."""
        if self.is_alive():
            keeper.send(self.pid, signal.SIGKILL)
        self.wait()

    def wait(self, patience_s: float = 60.0) -> None:
        """Wait until it has ended."""
        try:
            self._keeper.wait(patience_s)
        except subprocess.TimeoutExpired:
            keeper.send(self.pid, signal.SIGKILL)
            self._keeper.kill()
            self._keeper.wait()
        for stream in (self._keeper.stdin, self._keeper.stdout):
            if stream:
                with contextlib.suppress(OSError):
                    stream.close()

    def let_go(self) -> None:
        """Leave it running when this program ends."""
        assert self._keeper.stdin is not None
        os.write(self._keeper.stdin.fileno(), b"keep\n")
