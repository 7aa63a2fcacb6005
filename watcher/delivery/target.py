"""The blocking calls on a target folder: reach it without following links, write, hash, compare, rename.

Everything goes through descriptors of folders below a base that must exist already, so that no link inside the target
leads elsewhere, and no folder is made where a mount is missing. Runs on threads; `folder.py` calls it and knows what
is written. Every OSError becomes one of the delivery errors here.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import secrets
import stat
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from watcher.delivery.rights import Rights
from watcher.errors import DeliveryBroken, DeliveryError, NameTaken, TargetFull, TargetGone

_SYNCED = ".synced"
_TEMPORARY = re.compile(r"\.(?P<name>.+)\.[0-9a-f]{6}(?:\.synced)?\.part", re.DOTALL)
READ_BYTES = 1024 * 1024
_TRIAL_BYTES = 1024 * 1024
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_FULL = {errno.ENOSPC, errno.EDQUOT}
_GONE = {
    errno.EROFS, errno.ENOENT, errno.ESTALE, errno.ENODEV, errno.ENXIO, errno.EIO, errno.ENOTCONN, errno.EHOSTDOWN,
    errno.EHOSTUNREACH, errno.ETIMEDOUT, errno.ECONNRESET, errno.EREMOTEIO,
}  # fmt: skip
OURS = Rights()
_LINKED = {errno.ELOOP, errno.ENOTDIR, errno.EISDIR}
_NO_HARD_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EACCES, errno.EINVAL}


class Digest(Protocol):
    """A hash object of hashlib, as far as it is used."""

    def update(self, part: bytes, /) -> None:
        """Take more bytes."""
        ...

    def hexdigest(self) -> str:
        """Return the hash so far."""
        ...


@contextlib.contextmanager
def delivery_errors(place: Path | str) -> Iterator[None]:
    """Turn an OSError about `place` into TargetFull, TargetGone or DeliveryBroken."""
    try:
        yield
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else str(error)
        if error.errno in _FULL:
            raise TargetFull(
                f"No room is left for {place}: {why}.", hint="Free space; the delivery goes on by itself."
            ) from error
        if error.errno in _GONE:
            raise TargetGone(
                f"{place} cannot be reached: {why}.",
                hint="Is it mounted, and writable? The delivery goes on by itself.",
            ) from error
        hint = "Let the watcher's user write there." if error.errno in (errno.EACCES, errno.EPERM) else ""
        if error.errno in _LINKED:
            why, hint = (
                "a link, a file or a folder is in the way",
                "Move it away; the watcher follows no links inside a target.",
            )
        raise DeliveryBroken(f"{place} cannot be delivered: {why}.", hint=hint) from error


def unmounted(path: Path, fstab: Path) -> str:
    """Return the mount point that fstab says should cover `path` though nothing is mounted there, or nothing."""
    try:
        lines = fstab.read_text(errors="replace").splitlines()
    except OSError:
        return ""
    for line in lines:
        fields = line.split()
        if len(fields) < 3 or fields[0].startswith("#"):
            continue
        point = Path(re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), fields[1]))
        if point.is_absolute() and point != Path("/") and path.is_relative_to(point) and not os.path.ismount(point):
            return str(point)
    return ""


def _try_to_write(folder_fd: int, size: int) -> None:
    """Write that much into a file without a name: a disk quota shows in no number of free bytes."""
    if not size:
        return
    name = f".galaxy-watcher-{secrets.token_hex(8)}"
    trial = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=folder_fd)
    try:
        os.unlink(name, dir_fd=folder_fd)  # first: nothing is left behind, whatever happens next
        left = memoryview(bytes(size))
        while left:
            left = left[os.write(trial, left) :]
        os.fsync(trial)
    finally:
        os.close(trial)


class Target:
    """A folder at or below an existing base; remembers which file system it was on."""

    def __init__(self, folder: Path, base: Path, fstab: Path, rights: Rights = OURS) -> None:
        self.folder = folder
        self.rights = rights
        self._base = base
        self._fstab = fstab
        self._device: int | None = None

    def check_room(self, needed_bytes: int) -> None:
        """Make the folder; TargetGone when the base or its mount is missing, TargetFull without that much room."""
        with delivery_errors(self._base):
            missing = unmounted(Path(os.path.realpath(self._base)), self._fstab)
            if missing:
                raise TargetGone(
                    f"{missing} should be mounted, says {self._fstab}, but is not: nothing is written to {self._base}.",
                    hint=f"Mount {missing}; the delivery goes on by itself.",
                )
        with delivery_errors(self.folder), self._open() as folder_fd:
            room = os.fstatvfs(folder_fd)
            if room.f_flag & os.ST_RDONLY:
                raise TargetGone(
                    f"{self.folder} is mounted read-only.", hint="Mount it writable; the delivery goes on by itself."
                )
            free_bytes = room.f_bavail * room.f_frsize
            if room.f_blocks and free_bytes < needed_bytes:  # some network file systems do not tell
                raise TargetFull(
                    f"{self.folder} has {free_bytes} bytes free, {needed_bytes} are needed.",
                    hint="Free space; the delivery goes on by itself.",
                )
            _try_to_write(folder_fd, min(needed_bytes, _TRIAL_BYTES))

    @contextlib.contextmanager
    def parent_of(self, path: str, *, make: bool = True) -> Iterator[tuple[int, str]]:
        """Give a descriptor of the folder that a relative path lies in, and its last part."""
        *folders, name = path.split("/")
        if name in ("", ".", "..") or any(part in ("", ".", "..") for part in folders):
            raise DeliveryBroken(f"{path!r} is no name for a result.")
        with delivery_errors(self.folder / path), self._open(folders, make=make) as folder_fd:
            yield folder_fd, name

    @contextlib.contextmanager
    def _open(self, folders: Sequence[str] = (), *, make: bool = True) -> Iterator[int]:
        if not self.folder.is_relative_to(self._base) or ".." in self.folder.parts:
            raise DeliveryBroken(
                f"{self.folder} does not lie in {self._base}.", hint="Correct `deliver:` in the configuration."
            )
        with delivery_errors(self._base):
            opened = os.open(self._base, _FOLDER)
        try:
            device = os.fstat(opened).st_dev
            if self._device is None:
                self._device = device
            if device != self._device:
                raise TargetGone(
                    f"{self._base} lies on another file system than when the delivery began.",
                    hint="Is it mounted? The delivery goes on by itself.",
                )
            for part in (*self.folder.relative_to(self._base).parts, *folders):
                below = self._step(opened, part, make=make)
                os.close(opened)
                opened = below
            yield opened
        finally:
            os.close(opened)

    def _step(self, above: int, part: str, *, make: bool) -> int:
        is_new = False
        if make:
            with contextlib.suppress(FileExistsError):
                os.mkdir(part, dir_fd=above)
                is_new = True
        try:
            opened = os.open(part, _FOLDER | os.O_NOFOLLOW, dir_fd=above)
        except FileNotFoundError as error:
            if make:
                raise
            raise NothingThere(part) from error
        if is_new:
            try:
                self.rights.give_folder(opened)
                os.fsync(above)
            except BaseException:
                os.close(opened)
                with contextlib.suppress(OSError):
                    os.rmdir(part, dir_fd=above)  # else it would stay with other rights
                raise
        return opened


class NothingThere(Exception):
    """A folder on the way to a file is not there, and was not to be made."""


class OpenFile:
    """An open file of a target. A call that was abandoned may still use it, so it is closed by whoever is last.

    `is_synced` says that all that was in it when it was opened had reached the disk.
    """

    def __init__(self, descriptor: int, place: Path, *, is_synced: bool = False) -> None:
        self.is_synced = is_synced
        self._descriptor = descriptor
        self._place = place
        self._failed = False
        self._busy = threading.Lock()
        self._given_up = False
        self._closed = False

    @contextlib.contextmanager
    def _using(self) -> Iterator[int]:
        try:
            with self._busy:
                if self._given_up:
                    raise DeliveryError(f"Writing {self._place} was given up.")
                with delivery_errors(self._place):
                    yield self._descriptor
        except BaseException:
            self._failed = True
            raise
        finally:
            if self._given_up:
                self.close()

    def size(self) -> int:
        """Return how long the file is."""
        with self._using() as descriptor:
            return os.fstat(descriptor).st_size

    def text(self) -> str:
        """Return what is there, as far as it is text; for a manifest, not for a result."""
        with self._using() as descriptor:
            return os.pread(descriptor, os.fstat(descriptor).st_size, 0).decode("utf-8", "replace")

    def hash_on(self, digest: Digest, start: int, end: int) -> None:
        """Hash a stretch of what is there."""
        with self._using() as descriptor:
            hash_stretch(descriptor, digest, start, end)

    def write(self, digest: Digest, offset: int, part: bytes) -> None:
        """Hash and write bytes at a place; written twice they are the same bytes."""
        digest.update(part)
        with self._using() as descriptor:
            left = memoryview(part)
            while left:
                written = os.pwrite(descriptor, left, offset)
                left, offset = left[written:], offset + written

    def cut(self, size: int) -> None:
        """Drop everything behind `size`."""
        with self._using() as descriptor:
            os.ftruncate(descriptor, size)

    def sync(self) -> None:
        """Return once the bytes are on the disk."""
        with self._using() as descriptor:
            os.fsync(descriptor)

    @property
    def is_trusted(self) -> bool:
        """Whether every call succeeded: the system tells of bytes it could not write once, and of none afterwards."""
        return not self._failed

    def __del__(self) -> None:
        # Opened for somebody who was cancelled meanwhile.
        self.close()

    def close(self) -> None:
        """Close it, now or as soon as the call that uses it returns."""
        self._given_up = True
        if self._busy.acquire(blocking=False):
            try:
                if not self._closed:
                    self._closed = True
                    with contextlib.suppress(OSError):  # what counts was synced, and checked, before
                        os.close(self._descriptor)
            finally:
                self._busy.release()


def open_part(target: Target, path: str, temporary: str) -> OpenFile:
    """Open the temporary file beside a path, new or left over; anything else there is replaced."""
    with target.parent_of(path) as (folder_fd, _):
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        is_synced = _exists(folder_fd, _synced(temporary))
        if is_synced:
            os.rename(_synced(temporary), temporary, src_dir_fd=folder_fd, dst_dir_fd=folder_fd)
            os.fsync(folder_fd)  # before a byte is added that is not synced
        try:
            found = os.stat(temporary, dir_fd=folder_fd, follow_symlinks=False)
            if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
                os.unlink(temporary, dir_fd=folder_fd)
        except FileNotFoundError:
            pass
        descriptor = os.open(temporary, flags, 0o666, dir_fd=folder_fd)
        return OpenFile(descriptor, target.folder / path, is_synced=is_synced)


def keep_part(target: Target, path: str, temporary: str, part: OpenFile) -> None:
    """Sync a temporary file that is not whole yet and say so by its name: whoever opens it next can go on with all of
    it. Nothing is said of one that could not be written at some time.
    """
    part.sync()
    if part.is_trusted:
        with target.parent_of(path) as (folder_fd, _):
            os.rename(temporary, _synced(temporary), src_dir_fd=folder_fd, dst_dir_fd=folder_fd)
            os.fsync(folder_fd)


def open_whole(target: Target, path: str) -> OpenFile | None:
    """Open a delivered file for reading, None when there is none; NameTaken when it is no file."""
    try:
        with target.parent_of(path, make=False) as (folder_fd, name):
            if not _exists(folder_fd, name):
                return None
            descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder_fd)
    except NothingThere:
        return None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise NameTaken(f"{target.folder / path} is no file.", hint="Move it away; it is never overwritten.")
    return OpenFile(descriptor, target.folder / path)


def give_name(target: Target, path: str, temporary: str, *, replace: bool = False) -> None:
    """Give a synced temporary file its name and sync the folder; NameTaken when it is taken, unless `replace`."""
    with target.parent_of(path) as (folder_fd, name):
        _give_rights(target.rights, folder_fd, temporary)
        if replace:
            os.rename(temporary, name, src_dir_fd=folder_fd, dst_dir_fd=folder_fd)
        else:
            try:
                # Unlike rename, link never overwrites.
                os.link(temporary, name, src_dir_fd=folder_fd, dst_dir_fd=folder_fd, follow_symlinks=False)
                os.unlink(temporary, dir_fd=folder_fd)
            except FileExistsError:
                raise NameTaken(f"{target.folder / path} is there already.", hint="It is never overwritten.") from None
            except OSError as error:
                if error.errno not in _NO_HARD_LINKS:
                    raise
                if _exists(folder_fd, name):
                    raise NameTaken(
                        f"{target.folder / path} is there already.", hint="It is never overwritten."
                    ) from None
                os.rename(temporary, name, src_dir_fd=folder_fd, dst_dir_fd=folder_fd)
        os.fsync(folder_fd)


def _give_rights(rights: Rights, folder_fd: int, temporary: str) -> None:
    descriptor = os.open(temporary, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder_fd)
    try:
        rights.give_file(descriptor)
    finally:
        os.close(descriptor)


def drop_part(target: Target, path: str, temporary: str) -> None:
    """Remove a temporary file, if there is one."""
    with target.parent_of(path) as (folder_fd, _):
        for name in (temporary, _synced(temporary)):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name, dir_fd=folder_fd)


def drop_ends(target: Target, names: Sequence[str]) -> None:
    """Remove what says that all is there, in this order, and return once it is gone from the disk as well."""
    with target.parent_of("_") as (folder_fd, _):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name, dir_fd=folder_fd)
                os.fsync(folder_fd)


def drop_left_over(target: Target, paths: Sequence[str]) -> None:
    """Remove temporary files that other results, of the same names, once left beside these."""
    names: dict[str, set[str]] = {}
    for path in paths:
        folder, _, name = path.rpartition("/")
        names.setdefault(folder, set()).add(name)
    for folder, delivered in names.items():
        with (
            contextlib.suppress(NothingThere),
            target.parent_of(f"{folder}/_" if folder else "_", make=False) as (folder_fd, _),
        ):
            with os.scandir(folder_fd) as entries:
                found = [_TEMPORARY.fullmatch(entry.name) for entry in entries]
            for leftover in found:
                if leftover and leftover["name"] in delivered:
                    os.unlink(leftover[0], dir_fd=folder_fd)


def temporary_name(path: str, mark: str) -> str:
    """Return the temporary name beside a path; `mark` (six hex digits) tells results of one name apart."""
    return f".{path.rpartition('/')[2]}.{mark}.part"


def _synced(temporary: str) -> str:
    return temporary.removesuffix(".part") + f"{_SYNCED}.part"


def hash_stretch(descriptor: int, digest: Digest, start: int, end: int) -> None:
    """Hash the bytes from `start` to `end`; DeliveryBroken when the file is shorter."""
    while start < end:
        part = os.pread(descriptor, min(READ_BYTES, end - start), start)
        if not part:
            raise DeliveryBroken(
                "A file in the target became shorter while it was read.", hint="Does somebody else write there?"
            )
        digest.update(part)
        start += len(part)


def new_digest() -> Digest:
    """Return an empty SHA-256."""
    return hashlib.sha256(usedforsecurity=False)


def _exists(folder_fd: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=folder_fd, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True
