"""Keeps one process of the sandbox, and ends it with everything it started as soon as its owner is gone.

Runs as a program of its own between the owner and Galaxy: `python keeper.py COMMAND ...`. The owner holds the other
end of standard input; when that closes, however the owner ended, the whole session of the command is stopped. The
word `keep` on standard input makes it stay without an owner. Standard library only, and it imports nothing of ours,
so that it starts in no time.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

PATIENCE_S = 20.0


def session_of(leader: int) -> list[int]:
    """Return the processes that belong to a session, jobs in process groups of their own included."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            # The name in parentheses may hold anything; then come the state (Z: dead already) and, fourth, the session.
            state, *numbers = (place / "stat").read_text().rpartition(")")[2].split()
            if state != "Z" and int(numbers[2]) == leader:
                found.append(int(place.name))
    return found


def send(leader: int, number: signal.Signals) -> None:
    """Signal every process of a session; where the system does not list them, its first process group."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, number)
    for pid in session_of(leader):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def stop(process: subprocess.Popen[bytes], patience_s: float = PATIENCE_S) -> None:
    """End the process and its session: first asked, then forced."""
    with contextlib.suppress(ProcessLookupError):
        process.terminate()  # the leader alone: Galaxy ends its own children in order
    send(process.pid, signal.SIGCONT)  # one that stands still would not hear it
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(patience_s)
    send(process.pid, signal.SIGTERM)
    deadline = time.monotonic() + 2
    while session_of(process.pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    send(process.pid, signal.SIGKILL)
    process.wait()


def keep(command: list[str]) -> int:
    """Run the command until it ends by itself, the owner is gone, or we are asked to stop; return its exit status."""
    # Our own standard output only tells the owner the process id; what Galaxy says belongs into the log.
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sys.stderr, start_new_session=True)
    print(process.pid, flush=True)
    asked: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: asked.append(number))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the owner's to answer
    owned = True
    while process.poll() is None and not asked:
        if not owned:
            time.sleep(0.2)
        elif select.select([0], [], [], 0.2)[0]:
            word = os.read(0, 64)
            if b"keep" in word:
                owned = False
            elif not word:
                break
    stop(process)
    return process.returncode


if __name__ == "__main__":
    sys.exit(keep(sys.argv[1:]))
