"""Where the state lies: a file on a local disk, or a PostgreSQL database.

Knows URLs, folders, permissions and mounts, no tables. A SQLite file on a network file system is refused: its
write-ahead log lives in shared memory, which no two hosts share, and file locks there come and go. How the database
is opened stands in `database.py`.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from watcher.errors import StateError
from watcher.model import NETWORK_FILE_SYSTEMS


@dataclass(frozen=True, slots=True)
class StatePlace:
    """Either a SQLite file (`path`, absolute, links resolved) or a PostgreSQL `url`."""

    path: Path | None
    url: URL | None

    def __str__(self) -> str:
        if self.path is not None:
            return str(self.path)
        return "" if self.url is None else self.url.render_as_string(hide_password=True)


def state_place(url_or_path: str | Path) -> StatePlace:
    """Read a path, `sqlite:///path` or `postgresql://...` (StateError for anything else)."""
    text = str(url_or_path)
    if "://" not in text:
        return StatePlace(Path(text).expanduser().resolve(), None)
    try:
        url = make_url(text)
    except (ArgumentError, ValueError) as error:
        raise StateError("The state database's URL cannot be read.", hint=_URL_HINT) from error
    kind = url.get_backend_name()
    if kind == "sqlite" and url.database and url.database != ":memory:":
        return StatePlace(Path(url.database).expanduser().resolve(), None)
    if kind == "postgresql":
        return StatePlace(None, url.set(drivername="postgresql+psycopg"))
    raise StateError(f"The state cannot be kept in {url.render_as_string(hide_password=True)}.", hint=_URL_HINT)


_URL_HINT = "Give a file on a local disk (state: {path: ...}) or state: {url: postgresql://user@host/name}."


def refuse_network_disk(path: Path, mountinfo: str | None = None) -> None:
    """Raise StateError when the file lies, or would lie, on a network file system.

    `mountinfo` is the text of the kernel's list of mounts, read from /proc without it.
    """
    if mountinfo is None:
        try:
            mountinfo = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape")
        except OSError:
            return  # no Linux: nothing to read it from
    fstype, source = _mount_of(path, mountinfo)
    if NETWORK_FILE_SYSTEMS.fullmatch(fstype):
        raise StateError(
            f"The state database {path} lies on a network file system ({fstype} {source}), where SQLite loses data.",
            hint="Put it on a local disk (state: {path: ...}), or use PostgreSQL (state: {url: ...}).",
        )


def _mount_of(path: Path, mountinfo: str) -> tuple[str, str]:
    """Return type and source of the mount that covers the path: the longest mount point, of equal ones the last."""
    best, found = "", ("", "")
    for line in mountinfo.splitlines():
        left, separator, right = line.partition(" - ")
        columns, facts = left.split(), right.split()
        if not separator or len(columns) < 5 or len(facts) < 2:
            continue
        point = _unescape(columns[4])
        if len(point) >= len(best) and path.is_relative_to(point):
            best, found = point, (facts[0], _unescape(facts[1]))
    return found


def _unescape(text: str) -> str:
    """Undo the kernel's octal escapes for blank, tab, newline and backslash."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)


def make_private_file(path: Path) -> bool:
    """Make the file (0600) and its missing folders (0700), and return whether it is new; StateError when we may not.

    Session ids inside are as good as keys, so a file that others may read is closed to them.
    """
    try:
        for folder in reversed([folder for folder in path.parents if not folder.exists()]):
            folder.mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            facts = os.fstat(descriptor)
            if stat.S_IMODE(facts.st_mode) & 0o077:
                os.fchmod(descriptor, 0o600)
        finally:
            os.close(descriptor)
        if facts.st_size == 0:
            _sync_folder(path.parent)
    except OSError as error:
        raise StateError(
            f"The state database {path} cannot be made or opened: {error.strerror}.",
            hint=f"Give the user that runs the watcher write access to {path.parent}, or set state: {{path: ...}}.",
        ) from error
    return facts.st_size == 0


def _sync_folder(folder: Path) -> None:
    """Make sure that the new file's name survives a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
