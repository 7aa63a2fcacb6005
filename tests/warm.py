"""Commands from a warm process: what `galaxy-watcher` imports, nine tenths of the time a short command takes, is paid
for once.

Each command is forked from that process and is one of its own in every other way: its arguments, environment, folder,
standard streams, signals and exit code. Where the start itself is what a test is about, `World.start` and
`World.fresh_command` start Python as a person does.

Started as `python -m tests.warm`; orders come over a socket, each with the descriptors of the command's streams and of
its own line back. A second fork waits for the command, so that several may run side by side.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).parents[1]
MOST_BYTES = 1 << 20
STREAMS = 3  # stdout, stderr, the line back
LATE = (
    "alembic.command", "anyio._backends._asyncio", "apscheduler.executors.asyncio", "apscheduler.triggers.interval",
    "httpcore", "sqlalchemy.dialects.sqlite.aiosqlite", "watcher.cli.act", "watcher.cli.check", "watcher.cli.look",
    "watcher.cli.output", "watcher.cli.run", "watcher.cli.settings", "watcher.service.daemon",
)  # fmt: skip
"""What the commands import when they run."""


class WarmProcess:
    """The test's side: the process that commands are forked from, started when the first one is wanted."""

    def __init__(self) -> None:
        self._line, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            environment = {name: value for name, value in os.environ.items() if not name.startswith("WATCHER_")}
            self._program = subprocess.Popen(
                [sys.executable, "-m", "tests.warm", str(theirs.fileno())],
                cwd=ROOT, env=environment, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL,
            )  # fmt: skip

    def close(self) -> None:
        """End it."""
        self._line.close()
        self._program.wait(30)

    def run(
        self, arguments: Sequence[str], folder: Path, environment: Mapping[str, str], timeout_s: float
    ) -> tuple[int, str, str]:
        """Run a command to its end; return its exit code, or minus the signal, and what it wrote to stdout and stderr.

        TimeoutExpired when it takes longer; it is killed then.
        """
        order = json.dumps({"arguments": list(arguments), "folder": str(folder), "environment": dict(environment)})
        ours, theirs = socket.socketpair()
        with ours, tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            with theirs:
                socket.send_fds(self._line, [order.encode()], [out.fileno(), err.fileno(), theirs.fileno()])
            with ours.makefile() as back:
                pid = int(back.readline())
                ours.settimeout(timeout_s)
                try:
                    code = int(back.readline())
                except TimeoutError:
                    os.kill(pid, signal.SIGKILL)
                    raise subprocess.TimeoutExpired(list(arguments), timeout_s, _all_of(out), _all_of(err)) from None
            return code, _all_of(out), _all_of(err)


def _all_of(stream: IO[str]) -> str:
    stream.seek(0)
    return stream.read()


@functools.cache
def warm_process() -> WarmProcess:
    """Return the one warm process of this test process, which ends with it."""
    started = WarmProcess()
    atexit.register(started.close)
    return started


# --- the other side ---------------------------------------------------------------------------------------------------


def next_order(line: socket.socket) -> dict[str, Any]:
    """Wait for orders; return one, in the process that is to carry it out. Ends the program when no more can come."""
    while True:
        order, descriptors, _, _ = socket.recv_fds(line, MOST_BYTES, STREAMS)
        if not order:
            sys.exit(0)
        if os.fork() == 0:
            line.close()
            return _in_child(json.loads(order), descriptors)
        for descriptor in descriptors:
            os.close(descriptor)


def _in_child(order: dict[str, Any], descriptors: list[int]) -> dict[str, Any]:
    """Wait for the command's end and tell it, in one process; return the order in the other."""
    out, err, back = descriptors
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    command = os.fork()
    if command:
        os.close(out)
        os.close(err)
        os.write(back, f"{command}\n".encode())
        _, status = os.waitpid(command, 0)
        with contextlib.suppress(BrokenPipeError):  # nobody waits any longer
            os.write(back, f"{os.waitstatus_to_exitcode(status)}\n".encode())
        os._exit(0)
    os.dup2(out, 1)
    os.dup2(err, 2)
    for descriptor in descriptors:
        os.close(descriptor)
    return order


def main() -> None:
    """Import everything, then be each command that is ordered, in a process of its own."""
    from watcher.cli.main import main as command

    for module in LATE:
        importlib.import_module(module)
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # those that wait for commands need nobody to wait for them
    order = next_order(socket.socket(fileno=int(sys.argv[1])))
    os.chdir(order["folder"])
    os.environ.clear()
    os.environ.update(order["environment"])
    time.tzset()
    # As `python -m watcher` has them; help pages name the command by them.
    sys.argv = [str(ROOT / "watcher" / "__main__.py"), *order["arguments"]]
    sys.modules["__main__"].__package__ = "watcher"
    command()


if __name__ == "__main__":
    main()
