"""A real nginx in front of a server of this machine, found on this machine and started in a temporary folder.

It runs as one process, as the user who runs the tests, and knows Galaxy below `/galaxy`. `.ci/nginx` installs it.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from watcher.sandbox.server import free_port

CONFIGURATION = """\
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
  access_log {folder}/access.log;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port};
    client_max_body_size {body_limit};
    location /galaxy {{
      proxy_pass http://127.0.0.1:{behind}{behind_path};
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_read_timeout 600s;
      {more}
    }}
  }}
}}
"""


def find_nginx() -> Path | None:
    """Return the program, also where it lies beside the PATH; None without one."""
    found = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/sbin")
    return Path(found) if found else None


class Nginx:
    """A running nginx, as a context manager; Galaxy is at `url`, which ends in /galaxy.

    With `prefix_is_cut` the server behind it knows nothing of the path, else it gets it as it is. `more` is more of the
    configuration of that path.
    """

    def __init__(
        self, program: Path, folder: Path, behind: int, *, body_limit: str = "16m", prefix_is_cut: bool, more: str = ""
    ) -> None:
        self._program = program
        self._folder = folder
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True)
        (folder / "nginx.conf").write_text(
            CONFIGURATION.format(
                folder=folder,
                port=self._port,
                body_limit=body_limit,
                behind=behind,
                behind_path="/" if prefix_is_cut else "",
                more=more,
            ).replace("location /galaxy {", "location /galaxy/ {" if prefix_is_cut else "location /galaxy {")
        )

    @property
    def url(self) -> str:
        """Where Galaxy is."""
        return f"http://127.0.0.1:{self._port}/galaxy"

    def statuses(self, method: str) -> list[int]:
        """Return how the requests of this method, or all, were answered, in order."""
        lines = (self._folder / "access.log").read_text().splitlines()
        return [int(line.split('" ')[1].split()[0]) for line in lines if f'"{method}' in line]

    def __enter__(self) -> Self:
        command: list[str | Path] = [self._program, "-p", self._folder, "-c", self._folder / "nginx.conf"]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end, pause = time.monotonic() + 20, threading.Event()
        while not self._listens():
            assert self._process.poll() is None, (self._folder / "error.log").read_text()
            assert time.monotonic() < end, "nginx does not listen"
            pause.wait(0.05)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(20)

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self._port)) == 0
