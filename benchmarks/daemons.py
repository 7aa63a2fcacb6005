"""Daemons as an installed program starts them, and what the system says of their time and memory.

Linux only (proc(5)). It knows no figure; see `footprint.py` and `marker.py`.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

from tests.world import Running, World

READY_LIMIT_S = 60.0


class Daemon:
    """`galaxy-watcher serve` in a world, measured from its start; bytecode lies ready, as after an installation."""

    def __init__(self, world: World) -> None:
        with _notify_socket(world.folder / "notify.sock") as ear:
            began = time.monotonic()
            self._running: Running = world.start(
                "serve", NOTIFY_SOCKET=str(world.folder / "notify.sock"), **bytecode(world.folder.parent)
            )
            while ear.recv(256) != b"READY=1":
                pass
            self.ready_s = time.monotonic() - began
        self.pid = self._running.pid

    def stop(self) -> None:
        """End it as systemd does."""
        code = self._running.end()
        if code:
            raise RuntimeError(f"the daemon ended with {code}:\n" + "\n".join(self._running.lines[-20:]))

    @property
    def cpu_s(self) -> float:
        """Return the seconds of processor time it has taken."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def resident_mb(self) -> float:
        """Return the memory it has now (RSS)."""
        return self._memory_mb("VmRSS")

    @property
    def most_resident_mb(self) -> float:
        """Return the most memory it had since `forget_most`."""
        return self._memory_mb("VmHWM")

    def forget_most(self) -> None:
        """Begin anew with the most memory it had (proc(5), clear_refs)."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")

    def _memory_mb(self, field: str) -> float:
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return int(next(line.split()[1] for line in lines if line.startswith(f"{field}:"))) * 1024 / 1e6


def bytecode(folder: Path) -> dict[str, str]:
    """Return the variables that let Python keep its bytecode in `folder`, whatever the environment says."""
    return {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(folder / "bytecode")}


@contextlib.contextmanager
def _notify_socket(path: Path) -> Iterator[socket.socket]:
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind(str(path))
        ear.settimeout(READY_LIMIT_S)
        yield ear
