"""What the tests of the disk room share: threads that are closed again, and mounts of their own."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from watcher.disk.threads import DiskThreads


@pytest.fixture
def threads() -> Iterator[DiskThreads]:
    """Threads with a short time limit, for calls that hang on purpose."""
    made = DiskThreads(looks=2, transfers=4, timeout_s=0.5, read_timeout_s=5.0, idle_s=5.0)
    yield made
    made.close()


@pytest.fixture
def patient() -> Iterator[DiskThreads]:
    """Threads with the limits of the program."""
    made = DiskThreads()
    yield made
    made.close()


@pytest.fixture
def stuck() -> Iterator[threading.Event]:
    """An event that blocking calls wait for; set at the end, so that no thread is left behind."""
    release = threading.Event()
    yield release
    release.set()


@pytest.fixture
def mount_tmpfs(tmp_path: Path) -> Iterator[Callable[[Path], Path]]:
    """Mount a tmpfs on a folder; `umount` by the test or at the end."""
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    points: list[Path] = []

    def mount(point: Path, source: str = "watcher-test") -> Path:
        point.mkdir(exist_ok=True)
        made = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=64m", source, str(point)], capture_output=True, text=True
        )
        if made.returncode:
            pytest.skip(f"this machine does not allow to mount a tmpfs: {made.stderr.strip()}")
        points.append(point)
        return point

    yield mount
    for point in reversed(points):
        subprocess.run(["umount", "-l", str(point)], capture_output=True)


def unmount(point: Path) -> None:
    """Take a mount away."""
    subprocess.run(["umount", str(point)], check=True)


@pytest.fixture
def public_path() -> Iterator[Path]:
    """A temporary folder that every user may enter (pytest's own are private)."""
    folder = Path(tempfile.mkdtemp(prefix="watcher-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@contextlib.contextmanager
def lesser_user() -> Iterator[None]:
    """Be a user without special rights for a while: root may read everything, whatever the mode says."""
    if os.geteuid() != 0:
        yield
        return
    nobody = 65534
    os.setresuid(nobody, nobody, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)
