"""Lets Galaxy's upload jobs start from a warm process: to load Galaxy takes each of them four seconds of processor.

Galaxy's own Python runs this, beside its web server (`serve`) and at the very start of such a job (`hand_over`). The
job's program is the same one, in a process of its own with the job's arguments, folder, environment and streams; only
what it imports is there already. Where nobody serves, a job does its work by itself. Standard library only, and it
imports nothing of ours; `settings.py` puts it where Galaxy finds it.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import runpy
import signal
import socket
import sys
import traceback
from pathlib import Path
from typing import Any

PLACE = "SANDBOX_UPLOADS"
"""Names the socket in the environment of Galaxy's processes."""

PROGRAM = "data_source/upload.py"
MOST_BYTES = 1 << 20
STREAMS = 3


def hand_over(command: list[str]) -> None:
    """Have the warm process do what this process was started for, and end as it ended; harmless where it cannot."""
    if PLACE not in os.environ:
        return
    os.umask(umask := os.umask(0o077))
    job = {"arguments": command[1:], "folder": str(Path.cwd()), "environment": dict(os.environ), "umask": umask}
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as line:
        try:
            line.connect(os.environ[PLACE])
            socket.send_fds(line, [json.dumps(job).encode()], range(STREAMS))
        except OSError:  # nobody is there, or it is too long for one message
            return
        os._exit(int(line.recv(16) or 1))


def serve(place: Path) -> None:
    """Take jobs at a socket, for ever where there can be one, each in a process of its own."""
    new = place.with_suffix(".new")
    new.unlink(missing_ok=True)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the jobs need nobody to wait for them
    is_warm = False
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as door:
        try:
            door.bind(str(new))
        except OSError:  # its path is too long for one
            return
        door.listen(64)
        new.replace(place)  # in the place of what a killed one left; who finds it is answered
        while True:
            line, _ = door.accept()
            with line:
                order, streams, _, _ = socket.recv_fds(line, MOST_BYTES, STREAMS)
                if order:
                    job = json.loads(order)
                    if not is_warm:
                        warm_up(job["arguments"])
                        is_warm = True
                    if os.fork() == 0:
                        door.close()
                        be(job, streams, line)
                for stream in streams:
                    os.close(stream)


def warm_up(arguments: list[str]) -> None:
    """Load what the program of the first job loads, and the datatypes it is told of."""
    program, root, datatypes, *_ = arguments
    with contextlib.suppress(Exception):  # a job says it better
        runpy.run_path(program, run_name="warm")["Registry"]().load_datatypes(root_dir=root, config=datatypes)


def be(job: dict[str, Any], streams: list[int], line: socket.socket) -> None:
    """Be the job, tell its exit code, and end."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    # When Galaxy ends the job, its end of the line closes; unless it is told otherwise, SIGIO ends a process.
    fcntl.fcntl(line, fcntl.F_SETOWN, os.getpid())
    flags = fcntl.fcntl(line, fcntl.F_GETFL)
    fcntl.fcntl(line, fcntl.F_SETFL, flags | os.O_ASYNC)
    os.umask(job["umask"])
    os.chdir(job["folder"])
    os.environ.clear()
    os.environ.update(job["environment"])
    sys.argv = job["arguments"]
    sys.path[0] = str(Path(sys.argv[0]).parent)
    code = 0
    try:
        runpy.run_path(sys.argv[0], run_name="__main__")
    except SystemExit as ending:
        code = ending.code if isinstance(ending.code, int) else int(ending.code is not None)
    except BaseException:
        traceback.print_exc()
        code = 1
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    fcntl.fcntl(line, fcntl.F_SETFL, flags)
    line.send(str(code).encode())
    os._exit(0)


if __name__ == "__main__":
    serve(Path(os.environ[PLACE]))
