"""Brings a folder into an archive: by one rename on the same file system, else copied, read back and compared.

A copy grows under a hidden name beside its place, file by file; each is synced, read back, and only then counts, so
that a copy which broke goes on with the file at which it broke. Times and modes are kept, owners are not. Nothing of
the source is changed here; what may go, and when, is decided in `stages/removal.py`.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TypeVar

from watcher.disk.mounts import CLAIM as PREFIX
from watcher.disk.removal import claimed_path
from watcher.disk.stock import open_folder, touch_error
from watcher.disk.threads import DiskThreads
from watcher.errors import DeliveryBroken, FileChanged, TargetFull, TargetGone, UnsafePath
from watcher.rows import StockFile

T = TypeVar("T")

CHUNK_BYTES = 4 * 1024 * 1024
SPARE_BYTES = 16 * 1024 * 1024
TOLD_BYTES = 256 * 1024 * 1024
"""After so many bytes it is remembered which files are whole."""


def part_of(target: Path, mark: str) -> Path:
    """Return where a copy grows before it gets its name."""
    return target.parent / f"{PREFIX}{mark}"


async def prepare(threads: DiskThreads, base: Path, target: Path, needed_bytes: int) -> None:
    """Make the folders above the target; TargetGone when the archive's fixed folder is not there, TargetFull when it
    has too little room.
    """

    def work() -> int:
        if not base.is_dir():
            raise _gone(base)
        target.parent.mkdir(parents=True, exist_ok=True)
        free = os.statvfs(base)
        return free.f_bavail * free.f_frsize

    try:
        free_bytes = await threads(base, work)
    except OSError as error:
        raise _target_error(error, base) from error
    if free_bytes < needed_bytes + SPARE_BYTES:
        raise TargetFull(
            f"The archive {base} has {free_bytes} bytes left, {needed_bytes} are needed.", hint="Make room there."
        )


async def is_at(threads: DiskThreads, base: Path, path: Path) -> bool:
    """Tell whether anything lies at a path of the archive; TargetGone when the archive itself is not there."""

    def work() -> bool:
        if not base.is_dir():
            raise _gone(base)
        return os.path.lexists(path)

    return await threads(base, work)


def is_one_mount(threads: DiskThreads, root: Path, base: Path) -> bool:
    """Tell whether a rename may do; the system has the last word."""
    here, there = threads.mount_of(root), threads.mount_of(base)
    return (here.id, here.point) == (there.id, there.point)


async def clear(threads: DiskThreads, base: Path, part: Path) -> None:
    """Delete a copy that was begun, our own and under its hidden name, to begin anew."""

    def work() -> None:
        if part.name.startswith(PREFIX) and part.is_dir() and not part.is_symlink():
            shutil.rmtree(part)

    await _on_target(threads, base, work)


async def place_claimed(threads: DiskThreads, root: Path, path: str, mark: str, base: Path, target: Path) -> bool:
    """Rename what was claimed to its place in the archive; False when that is another file system after all."""
    hidden = PurePosixPath(claimed_path(path, mark))

    def work() -> bool:
        source = open_folder(root, str(hidden.parent))
        try:
            if os.path.lexists(target):
                raise _taken(target)
            os.rename(hidden.name, target, src_dir_fd=source)
            os.fsync(source)
            _sync_folder(target.parent)
        except OSError as error:
            if error.errno == errno.EXDEV:
                return False
            raise touch_error(error, str(target)) from error
        finally:
            os.close(source)
        return True

    return await threads(base, work)


async def place_copy(threads: DiskThreads, base: Path, target: Path, mark: str) -> None:
    """Give a whole copy its name; one that has it already is fine."""
    part = part_of(target, mark)

    def work() -> None:
        if not os.path.lexists(part) and os.path.lexists(target):
            return
        if os.path.lexists(target):
            raise _taken(target)
        part.rename(target)
        _sync_folder(target.parent)

    try:
        await threads(base, work)
    except OSError as error:
        raise _target_error(error, base) from error


async def copy_stock(
    threads: DiskThreads,
    root: Path,
    path: str,
    stock: Sequence[StockFile],
    base: Path,
    part: Path,
    *,
    sent: Mapping[str, str],
    on_whole: Callable[[Mapping[str, str]], Awaitable[None]],
) -> None:
    """Copy what is in `stock` from a folder below the root to `part`; entries with a SHA-256 are there already.

    `sent` are the SHA-256 that files must have, by path. `on_whole` gets path and SHA-256 of what is copied and read
    back. FileChanged for a source that is not as it was, DeliveryBroken for a copy that does not read back the same.
    """
    await _on_target(threads, base, lambda: _make(part))
    whole: dict[str, str] = {}
    told_bytes = 0
    for entry in sorted(stock, key=lambda one: one.path):
        here = part / entry.path
        if entry.kind == "folder":
            await _on_target(threads, base, lambda here=here: _make(here))  # type: ignore[misc]
        elif entry.kind == "link":
            await _on_target(threads, base, lambda here=here, link=entry.link: _link(here, link))  # type: ignore[misc]
        elif not (entry.sha256 and await _on_target(threads, base, lambda here=here: here.is_file())):  # type: ignore[misc]
            whole[entry.path] = await _copy(threads, root, path, entry, base, here, sent.get(entry.path, ""))
            told_bytes += entry.size
            if told_bytes >= TOLD_BYTES:
                await on_whole(whole)
                whole, told_bytes = {}, 0
    await on_whole(whole)


async def _copy(
    threads: DiskThreads, root: Path, path: str, entry: StockFile, base: Path, here: Path, expected: str
) -> str:
    """Copy one file, read it back and return its SHA-256."""
    source = await threads.read(root, lambda: _open(root, path, entry))
    digest = hashlib.sha256()
    growing = here.with_name(f"{PREFIX}part")
    target = await _on_target(threads, base, lambda: _create(here.parent, growing))
    try:
        offset = 0
        while offset < entry.size:
            size = min(CHUNK_BYTES, entry.size - offset)
            chunk = await threads.read(root, lambda size=size, at=offset: os.pread(source, size, at))  # type: ignore[misc]
            if not chunk:
                break
            digest.update(chunk)
            await _on_target(threads, base, lambda chunk=chunk: _write(target, chunk))  # type: ignore[misc]
            offset += len(chunk)
        status = await threads.read(root, lambda: os.fstat(source))
        if (status.st_size, status.st_mtime_ns) != (entry.size, entry.mtime_ns) or offset != entry.size:
            raise _changed(entry)
        if expected and digest.hexdigest() != expected:
            raise FileChanged(
                f"{entry.path} has not the bytes that were sent (SHA-256 {digest.hexdigest()}).", files=(entry.path,)
            )
        await _on_target(threads, base, lambda: _settle(target, status))
    finally:
        os.close(target)
        await threads.read(root, lambda: os.close(source))
    await _read_back(threads, base, growing, entry, digest.hexdigest())
    await _on_target(threads, base, lambda: growing.replace(here))
    return digest.hexdigest()


async def _read_back(threads: DiskThreads, base: Path, copy: Path, entry: StockFile, sha256: str) -> None:
    digest = hashlib.sha256()
    file = await _on_target(threads, base, lambda: os.open(copy, os.O_RDONLY | os.O_CLOEXEC))
    try:
        offset = 0
        while chunk := await _on_target(threads, base, lambda at=offset: os.pread(file, CHUNK_BYTES, at)):  # type: ignore[misc]
            digest.update(chunk)
            offset += len(chunk)
    finally:
        os.close(file)
    if digest.hexdigest() != sha256:
        raise DeliveryBroken(
            f"The copy of {entry.path} in the archive does not read back as it was written.",
            hint="Look at the disk of the archive.",
        )


async def _on_target(threads: DiskThreads, base: Path, work: Callable[[], T]) -> T:
    try:
        return await threads(base, work)
    except OSError as error:
        raise _target_error(error, base) from error


def _open(root: Path, path: str, entry: StockFile) -> int:
    place = PurePosixPath(path, entry.path)
    folder = open_folder(root, str(place.parent))
    try:
        file = os.open(place.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except OSError as error:
        raise touch_error(error, entry.path) from error
    finally:
        os.close(folder)
    status = os.fstat(file)
    if (status.st_size, status.st_mtime_ns) != (entry.size, entry.mtime_ns):
        os.close(file)
        raise _changed(entry)
    return file


def _changed(entry: StockFile) -> FileChanged:
    return FileChanged(f"{entry.path} was changed while it was being copied.", files=(entry.path,))


def _make(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)


def _link(here: Path, target: str) -> None:
    if not here.is_symlink():
        here.symlink_to(target)


def _create(folder: Path, growing: Path) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    return os.open(growing, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def _write(file: int, chunk: bytes) -> None:
    view = memoryview(chunk)
    while view:
        view = view[os.write(file, view) :]


def _settle(file: int, status: os.stat_result) -> None:
    os.fchmod(file, status.st_mode & 0o777)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    os.fsync(file)
    with contextlib.suppress(OSError):  # advice only: what is read back shall come from the disk
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)


def _sync_folder(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _taken(target: Path) -> UnsafePath:
    return UnsafePath(
        f"{target} is there already: nothing is put over it.", hint="Move it elsewhere, or correct `archive:`."
    )


def _gone(base: Path) -> TargetGone:
    return TargetGone(f"The archive {base} is not there.", hint="Mount it, or make that folder.")


def _target_error(error: OSError, base: Path) -> Exception:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return TargetFull(f"The archive {base} is full.", hint="Make room there.")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return DeliveryBroken(
            f"The watcher's user may not write to the archive {base}.", hint="Give it the right to write there."
        )
    return TargetGone(f"The archive {base} cannot be written to: {error.strerror or error}.", hint="Check its mount.")
