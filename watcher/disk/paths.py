"""Which paths we touch: nothing outside the root, nothing that is no regular file, no name that cannot be passed on.

Links are resolved by hand, step by step, so that a link which leaves the root is noticed before anything behind it is
touched: it may point to a file server that hangs. What cannot be used is named by a sentence (`problem`), never
dropped. `scan.py` and `reader.py` build on this.
"""

from __future__ import annotations

import errno
import os
import stat
import unicodedata
from collections import deque
from pathlib import Path, PurePosixPath

from watcher.disk.mounts import LINK_LIMIT
from watcher.errors import DiskError, FileGone, MountGone, UnsafePath
from watcher.model import Kind, SourceFacts

MOUNT_ERRNOS = frozenset(
    {
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
        errno.EIO,
        errno.ENODEV,
        errno.ENOTCONN,
        errno.ENXIO,
        errno.ESHUTDOWN,
        errno.ESTALE,
        errno.ETIMEDOUT,
    }
)
"""What system calls answer when the file system behind a path has gone (nfs(5) soft mounts: EIO; FUSE: ENOTCONN)."""


UNREADABLE = "it cannot be read by the watcher's user"
VANISHED = "it vanished while it was looked at"
REFUSED = "it cannot be read: "


def disk_error(error: OSError, path: str) -> DiskError:
    """Return our error for what the system said about a path."""
    why = error.strerror or str(error)
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return FileGone(f"{path} is not there any more.", files=(path,))
    if error.errno in MOUNT_ERRNOS:
        return MountGone(f"{path} cannot be reached: {why}.", hint="Check the mount; the watcher asks again by itself.")
    if error.errno in (errno.EACCES, errno.EPERM):
        return unsafe(path, UNREADABLE, hint="Give that user the right to read it.")
    if error.errno == errno.ELOOP:
        return unsafe(path, "it is a link where none may be")
    return DiskError(f"{path} cannot be read: {why}.", files=(path,))


def unsafe(path: str, problem: str, *, hint: str = "") -> UnsafePath:
    """Return the error for a path that we do not read; `problem` is what a listing says about it."""
    return UnsafePath(f"{path}: {problem}.", hint=hint, files=(path,))


def refused(path: str, error: UnsafePath) -> SourceFacts:
    """Return what a listing says about a path for which `unsafe` was raised."""
    return other(path, error.message.removeprefix(f"{path}: ").rstrip("."))


def name_problem(name: str) -> str:
    """Return why a file name cannot be passed on to databases, Galaxy and people; empty when it can."""
    if name.isascii() and name.isprintable():
        return ""
    if any("\udc80" <= character <= "\udcff" for character in name):
        return "the name is not valid UTF-8"
    if any(unicodedata.category(character) in ("Cc", "Zl", "Zp") for character in name):
        return "the name has a line break or another control character"
    return ""


def shown_name(name: str) -> str:
    r"""Return a name that can be printed and stored: bytes and characters that cannot be are written as \xff, \n."""
    readable = os.fsencode(name).decode("utf-8", "backslashreplace")
    return "".join(
        character
        if unicodedata.category(character) not in ("Cc", "Zl", "Zp")
        else character.encode("unicode_escape").decode()
        for character in readable
    )


def other(path: str, problem: str, status: os.stat_result | None = None) -> SourceFacts:
    """Return the facts of something we do not read, and why."""
    return _facts(path, Kind.OTHER, status, problem) if status else SourceFacts(path, Kind.OTHER, problem=problem)


def _facts(path: str, kind: Kind, status: os.stat_result, problem: str = "") -> SourceFacts:
    size = status.st_size if kind is Kind.FILE else 0
    return SourceFacts(path, kind, size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, problem)


def classify(path: str, status: os.stat_result, full: str) -> SourceFacts:
    """Return the facts of something that is no link; `full` is where to ask whether we may read it."""
    mode = status.st_mode
    if stat.S_ISDIR(mode):
        return _facts(path, Kind.FOLDER, status)
    if stat.S_ISREG(mode):
        # Asked only when the mode leaves it open: on a file server each question costs a round trip.
        if mode & 0o444 != 0o444 and not os.access(full, os.R_OK):
            return other(path, UNREADABLE, status)
        return _facts(path, Kind.FILE, status)
    kinds = {stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device"}
    return other(path, f"it is {kinds.get(stat.S_IFMT(mode), 'no regular file')}", status)


def failed(path: str, error: OSError, root: str) -> SourceFacts:
    """Return the facts of something the system would not tell us about; MountGone when it is the whole mount that
    fails.
    """
    if error.errno in MOUNT_ERRNOS:
        try:
            os.stat(root)  # noqa: PTH116 - `root` is text
        except OSError as of_root:
            raise disk_error(of_root, root) from of_root
    if error.errno == errno.ENOENT:
        return other(path, VANISHED)
    if error.errno in (errno.EACCES, errno.EPERM):
        return other(path, UNREADABLE)
    return other(path, f"{REFUSED}{error.strerror or error}")


def was_refused(facts: SourceFacts) -> bool:
    """Tell whether the system did not tell what a path is or what is in it: the next look may find it out.

    A file that we may not read is known to be one.
    """
    if facts.kind is not Kind.OTHER or facts.inode:
        return False
    return facts.problem in (VANISHED, UNREADABLE) or facts.problem.startswith(REFUSED)


def real_root(root: Path) -> str:
    """Return a root with its own links resolved (blocking); FileGone, MountGone or DiskError when it cannot be."""
    try:
        return os.path.realpath(root, strict=True)
    except OSError as error:
        raise disk_error(error, str(root)) from error


def resolve(root: Path, real: str, path: str) -> str:
    """Return where a relative path really is, relative to the real root (blocking).

    `real` is `real_root(root)`; absolute link targets may be written with either. UnsafePath when the way leaves the
    root, even if it would come back; FileGone when something on the way is missing.
    """
    here: list[str] = []
    ahead = deque(_parts(path))
    links = 0
    while ahead:
        part = ahead.popleft()
        if part == "..":
            if not here:
                raise _leaves(path)
            here.pop()
            continue
        try:
            target = PurePosixPath(os.readlink("/".join((real, *here, part))))  # noqa: PTH115 - text all the way
        except OSError as error:
            if error.errno != errno.EINVAL:  # EINVAL: no link
                raise disk_error(error, path) from error
            here.append(part)
            continue
        links += 1
        if links > LINK_LIMIT:
            raise unsafe(path, "it is a link that leads in a circle")
        if target.is_absolute():
            base = next(
                (base for base in (PurePosixPath(real), PurePosixPath(root)) if target.is_relative_to(base)), None
            )
            if base is None:
                raise _leaves(path)
            here, target = [], target.relative_to(base)
        ahead.extendleft(reversed(target.parts))
    return "/".join(here)


def _parts(path: str) -> tuple[str, ...]:
    pure = PurePosixPath(path)
    if not path or "\0" in path or pure.is_absolute() or ".." in pure.parts:
        raise unsafe(shown_name(path), "it is no path beneath a root")
    return pure.parts


def _leaves(path: str) -> UnsafePath:
    return unsafe(path, "it is a link that leaves the watched folder", hint="Put a copy there instead.")


def link_facts(root: Path, real: str, path: str) -> SourceFacts:
    """Return the facts of a link (blocking): those of its file, where that lies inside the root.

    A link to a folder is not followed, wherever it leads: inside the root the folder is listed under its own name,
    and its files must not be taken twice.
    """
    try:
        where = resolve(root, real, path)
        full = f"{real}/{where}" if where else real
        facts = classify(path, os.lstat(full), full)
    except FileGone:
        return other(path, "it is a link to nothing")
    except UnsafePath as error:
        return refused(path, error)
    except OSError as error:
        return failed(path, error, real)
    if facts.kind is Kind.FOLDER:
        return other(path, f"it is a link to the folder {where or '.'}, which is not followed")
    return facts


def facts(root: Path, path: str) -> SourceFacts:
    """Return the facts of one path beneath a root as a listing would (blocking); FileGone, UnsafePath or MountGone."""
    real = real_root(root)
    parts = _parts(path)
    parent = resolve(root, real, "/".join(parts[:-1])) if len(parts) > 1 else ""
    full = "/".join(part for part in (real, parent, parts[-1]) if part)
    try:
        status = os.lstat(full)
    except OSError as error:
        raise disk_error(error, path) from error
    if stat.S_ISLNK(status.st_mode):
        return link_facts(root, real, path)
    return classify(path, status, full)


def open_beneath(root: Path, path: str) -> int:
    """Open a regular file beneath a root for reading and return its descriptor (blocking).

    The path is resolved first; then every step is opened from the one before without following links, so that nobody
    can put a link in between. Raises FileGone, UnsafePath, MountGone or DiskError.
    """
    real = real_root(root)
    *folders, name = resolve(root, real, path).split("/")
    try:
        folder = os.open(real, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for step in folders:
                inner = os.open(step, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
                os.close(folder)
                folder = inner
            _refuse_irregular(os.stat(name, dir_fd=folder, follow_symlinks=False), path)
            # O_NONBLOCK: should a FIFO take the file's place just now, opening it must not hang.
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
            opened = os.open(name, flags, dir_fd=folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise disk_error(error, path) from error
    try:
        _refuse_irregular(os.fstat(opened), path)
    except BaseException:
        os.close(opened)
        raise
    return opened


def _refuse_irregular(status: os.stat_result, path: str) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise unsafe(path, "it is no regular file")
