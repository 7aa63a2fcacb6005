"""What lies in a folder below a watch's root, entry by entry, for whoever is about to move or delete it.

Unlike a listing (`scan.py`) it leaves nothing out and follows nothing: every step of the way is opened from the one
before without following links, a link is an entry of its own, and whatever is no file, folder or link, is mounted
there or has a name that cannot be passed on ends it with UnsafePath. What a difference means is decided in
`stages/removal.py`.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from watcher.disk.mounts import mounts_in
from watcher.disk.paths import MOUNT_ERRNOS, disk_error, name_problem, real_root, shown_name, unsafe
from watcher.disk.threads import DiskThreads
from watcher.errors import FileGone, MountGone
from watcher.rows import StockFile

SLICE_S = 0.5
LOOK_S = 60.0
"""A folder of a hundred thousand files on a slow server takes that long to be listed."""

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


async def take_stock(threads: DiskThreads, root: Path, path: str) -> list[StockFile]:
    """Return everything in the folder `path` below a root, by path; FileGone, UnsafePath, MountGone or DiskError."""
    walk = _Walk(root, path)
    while not await threads.look(root, walk.go_on, timeout_s=LOOK_S):
        pass
    return sorted(walk.found, key=lambda one: one.path)


async def stock_of(threads: DiskThreads, root: Path, path: str, names: Sequence[str]) -> list[StockFile]:
    """Return these entries of a folder, without those that are not there; raises like `take_stock`."""
    found: list[StockFile] = []
    ahead = iter(names)

    def some() -> bool:
        until = time.monotonic() + SLICE_S
        for name in ahead:
            if (entry := entry_of(root, path, name)) is not None:
                found.append(entry)
            if time.monotonic() >= until:
                return False
        return True

    while not await threads.look(root, some, timeout_s=LOOK_S):
        pass
    return sorted(found, key=lambda one: one.path)


def entry_of(root: Path, path: str, name: str) -> StockFile | None:
    """Return one entry of a folder as it is now, None when it is not there (blocking)."""
    *inner, last = PurePosixPath(name).parts
    try:
        folder = open_folder(root, "/".join(part for part in (path, *inner) if part))
    except FileGone:
        return None
    try:
        return _entry(name, last, os.stat(last, dir_fd=folder, follow_symlinks=False), folder)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise touch_error(error, name) from error
    finally:
        os.close(folder)


def open_folder(root: Path, path: str) -> int:
    """Open a folder below a root (the root itself for "") and return its descriptor (blocking).

    No step of the way may be a link. FileGone, UnsafePath, MountGone or DiskError.
    """
    steps = PurePosixPath(path).parts
    if PurePosixPath(path).is_absolute() or ".." in steps:
        raise unsafe(path, "it is no path beneath a root")
    folder = os.open(real_root(root), _FOLDER)
    try:
        for step in steps:
            inner = os.open(step, _FOLDER, dir_fd=folder)
            os.close(folder)
            folder = inner
    except OSError as error:
        os.close(folder)
        if error.errno in (errno.ENOTDIR, errno.ELOOP):
            raise unsafe(path, "there is a link on the way, or something that is no folder") from error
        raise touch_error(error, path) from error
    except BaseException:
        os.close(folder)
        raise
    return folder


def touch_error(error: OSError, path: str) -> Exception:
    """Return our error for what the system said when a path was to be changed."""
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return unsafe(
            path,
            "the watcher's user may not move or delete it",
            hint="Give that user the right to write to the folder it lies in (or mount it writable).",
        )
    return disk_error(error, path)


def refuse_mounts(root: Path, path: str) -> None:
    """Raise UnsafePath when the folder, or anything in it, is a mount point (blocking)."""
    full = "/".join(part for part in (real_root(root).rstrip("/"), path) if part)
    if points := mounts_in(full):
        raise unsafe(path, f"something is mounted at {points[0]}")


def total_bytes(stock: Iterable[StockFile]) -> int:
    """Return the size of all files."""
    return sum(one.size for one in stock if one.kind == "file")


class _Walk:
    def __init__(self, root: Path, path: str) -> None:
        self.found: list[StockFile] = []
        self._root = root
        self._path = path
        self._ahead = [""]
        self._device: int | None = None

    def go_on(self) -> bool:
        """Look for a while; True when everything was seen (blocking)."""
        if self._device is None:
            refuse_mounts(self._root, self._path)
        until = time.monotonic() + SLICE_S
        while self._ahead:
            inner = self._ahead.pop()
            try:
                self._look(inner)
            except OSError as error:
                if error.errno in MOUNT_ERRNOS:
                    raise MountGone(f"{self._root} cannot be reached: {error.strerror}.") from error
                raise touch_error(error, self._path) from error
            if time.monotonic() >= until:
                break
        return not self._ahead

    def _look(self, inner: str) -> None:
        folder = open_folder(self._root, f"{self._path}/{inner}" if inner else self._path)
        try:
            device = os.fstat(folder).st_dev
            if self._device not in (None, device):
                raise unsafe(inner, "another file system is mounted there")
            self._device = device
            with os.scandir(folder) as entries:
                for entry in entries:
                    path = f"{inner}/{entry.name}" if inner else entry.name
                    if problem := name_problem(entry.name):
                        raise unsafe(shown_name(path), problem)
                    one = _entry(path, entry.name, entry.stat(follow_symlinks=False), folder)
                    self.found.append(one)
                    if one.kind == "folder":
                        self._ahead.append(path)
        finally:
            os.close(folder)


def _entry(path: str, name: str, status: os.stat_result, folder: int) -> StockFile:
    if stat.S_ISDIR(status.st_mode):
        return StockFile("", path, "folder")
    if stat.S_ISREG(status.st_mode):
        return StockFile("", path, "file", status.st_size, status.st_mtime_ns)
    if stat.S_ISLNK(status.st_mode):
        return StockFile(
            "", path, "link", link=os.fsencode(os.readlink(name, dir_fd=folder)).decode("utf-8", "replace")
        )
    raise unsafe(path, "it is neither a file nor a folder")
