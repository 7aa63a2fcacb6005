"""Which mount covers a path, and whether a watched root is still the one we know.

A missing mount looks like an empty folder, and an empty folder looks like deleted runs. So every look begins here:
when the root does not answer, is gone, lies on another mount than the remembered one, or has lost everything we knew,
we are blind and nothing is inferred. The mount table is read from mountinfo(5), which answers even when a file server
is dead. What follows from being blind is decided in `stages/detect.py` and `stages/settle.py`.
"""

from __future__ import annotations

import os
import re
import stat
from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from watcher.errors import DiskError
from watcher.model import NETWORK_FILE_SYSTEMS
from watcher.rows import Watch

if TYPE_CHECKING:  # threads.py asks this module which mount a place is on
    from watcher.disk.threads import DiskThreads

MOUNTINFO = Path("/proc/self/mountinfo")
ROOT_MARKER = ".watcher-root"
"""A file an operator may put into a root: while it is there, an empty root is believed to be empty."""

CLAIM = ".galaxy-watcher-"
"""What the names begin with that we give in a root to what is being moved or deleted (`removal.py`)."""

ROOT_TIMEOUT_S = 10.0
COUNTED_ENTRIES = 10_000  # beyond it, only "many" matters
LINK_LIMIT = 40  # as in path_resolution(7)


@dataclass(frozen=True, slots=True)
class Mount:
    """A line of the mount table; `source` and `fstype` outlive a remount, `id` does not."""

    point: str
    source: str
    fstype: str
    id: int = 0
    parent: int = 0

    @property
    def is_network(self) -> bool:
        """Tell whether others may write there unseen and whether a call may hang."""
        return NETWORK_FILE_SYSTEMS.fullmatch(self.fstype) is not None

    @property
    def label(self) -> str:
        """Return what is remembered of a mount: `source type`."""
        return f"{self.source} {self.fstype}"


@dataclass(frozen=True, slots=True)
class RootLook:
    """What one look at a watched root says; with `ok` false nothing else may be believed but `blind_reason` and `hint`.

    `restarted`: the same place on a new device, or made anew, so quiet time starts again. `entry_count` leaves out
    hidden names and lost+found; `marked`: the root marker is there.
    """

    ok: bool
    blind_reason: str = ""
    hint: str = ""
    mount: str = ""
    device: int = 0
    inode: int = 0
    restarted: bool = False
    entry_count: int = 0
    marked: bool = False
    is_network: bool = False


def read_mounts(text: str) -> tuple[Mount, ...]:
    """Parse mountinfo text; lines that are none are left out (proc_pid_mountinfo(5))."""
    mounts = []
    for line in text.splitlines():
        before, found, after = line.partition(" - ")
        fields, rest = before.split(), after.split()
        if not found or len(fields) < 5 or len(rest) < 2:
            continue
        mounts.append(
            Mount(
                point=_unescaped(fields[4]),
                source=_unescaped(rest[1]),
                fstype=rest[0],
                id=int(fields[0]),
                parent=int(fields[1]),
            )
        )
    return tuple(mounts)


def _unescaped(text: str) -> str:
    """Undo the octal escapes of blank, tab, newline and backslash."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)


def covering(path: str, mounts: Sequence[Mount]) -> Mount:
    """Return the mount that `path` (absolute, without links) lies on: the way down the tree, as the kernel walks it.

    Going down by parent, instead of taking the longest match, is right also where a later mount hides an older one
    below it.
    """
    ids = {mount.id for mount in mounts}
    starts = [one for one in mounts if (one.parent not in ids or one.parent == one.id) and _is_beneath(path, one.point)]
    if not starts:
        return Mount(point="/", source="unknown", fstype="unknown")
    here = max(starts, key=lambda one: len(one.point))
    passed = {here.id}
    while True:
        below = [
            one for one in mounts if one.parent == here.id and one.id not in passed and _is_beneath(path, one.point)
        ]
        if not below:
            return here
        here = min(below, key=lambda one: len(one.point))
        passed.add(here.id)


def _is_beneath(path: str, point: str) -> bool:
    return path == point or path.startswith(point.rstrip("/") + "/")


def mount_of(path: Path, mountinfo_text: str | None = None) -> Mount:
    """Return the mount that covers an absolute path, taken as it is written: links are not resolved, the disk is not
    touched.
    """
    text = MOUNTINFO.read_text(errors="surrogateescape") if mountinfo_text is None else mountinfo_text
    return covering(os.path.normpath(path), read_mounts(text))


def mounts_in(folder: str, mountinfo_text: str | None = None) -> list[str]:
    """Return the mount points that are this folder (absolute, without links) or lie in it; the disk is not touched."""
    text = MOUNTINFO.read_text(errors="surrogateescape") if mountinfo_text is None else mountinfo_text
    return [one.point for one in read_mounts(text) if _is_beneath(one.point, folder)]


class MountTable:
    """The mount table as it is now, with what was found out about places while it does not change."""

    def __init__(self, mountinfo: Path = MOUNTINFO) -> None:
        self._mountinfo = mountinfo
        self._text = ""
        self._mounts: tuple[Mount, ...] = ()
        self._known: dict[str, Mount] = {}

    def covering(self, place: Path) -> Mount:
        """Return the mount a place is on, links followed, without ever asking a file system that may hang.

        Where the way leads onto a network mount the answer is known, and nothing behind it is touched.
        """
        text = self._mountinfo.read_text(errors="surrogateescape")
        if text != self._text or len(self._known) > 1000:
            self._text, self._mounts, self._known = text, read_mounts(text), {}
        key = os.fspath(place)
        if key not in self._known:
            self._known[key] = _landing(place, self._mounts)
        return self._known[key]


def _landing(place: Path, mounts: Sequence[Mount]) -> Mount:
    here = "/"
    ahead = deque(place.absolute().parts[1:])
    links = 0
    while ahead:
        part = ahead.popleft()
        if part == "..":
            here = os.path.dirname(here)  # noqa: PTH120 - text, no path is touched
            continue
        step = f"{here.rstrip('/')}/{part}"
        mount = covering(step, mounts)
        if mount.is_network:
            return mount
        try:
            target = PurePosixPath(os.readlink(step))  # noqa: PTH115 - a Path per step would cost more than the call
        except OSError:
            here = step
            continue
        links += 1
        if links > LINK_LIMIT:
            break
        if target.is_absolute():
            here = "/"
        ahead.extendleft(part for part in reversed(target.parts) if part != "/")
    return covering(here, mounts)


async def inspect_root(
    threads: DiskThreads, watch: Watch, root: Path, *, known: Collection[str] = (), timeout_s: float = ROOT_TIMEOUT_S
) -> RootLook:
    """Look at a watched root and compare it with what the watch row remembers; never raises for the disk's sake.

    `known` are names right under the root that we have met before (run folders). A root that was not empty and is
    empty now has lost its mount, unless the root marker says that empty is true; where the marker was seen before
    (`watch.more["root_marked"]`) and is gone together with all known names, we are blind as well, whatever else is
    there. An empty root never seen otherwise is healthy, and a new device number under the same source and type (a
    remount, a reboot) only restarts the quiet clocks.
    """
    try:
        seen = await threads.look(root, lambda: _root_facts(root, known), timeout_s=timeout_s)
    except DiskError as error:
        return RootLook(ok=False, blind_reason=error.message, hint=error.hint)
    except FileNotFoundError:
        return _blind(f"{root} does not exist.")
    except NotADirectoryError:
        return _blind(f"{root} is no folder.", hint="Point the watch to a folder.")
    except OSError as error:
        return _blind(f"{root} cannot be read: {error.strerror or error}.")
    look, known_there = seen
    if watch.mount and watch.mount != look.mount:
        return _blind(
            f"{root} lies on `{look.mount}`, not on `{watch.mount}` as before: its mount is missing or another one.",
            hint="Bring the mount back; the watcher then goes on by itself."
            f" If this is its new place: `galaxy-watcher retry {watch.name}`.",
        )
    if not look.marked:
        if not look.entry_count and (watch.entry_count or known):
            return _blind(
                f"{root} is empty, but was not: its mount may be missing.",
                hint=f"If it is meant to be empty, create an empty file {root / ROOT_MARKER}.",
            )
        if watch.more.get("root_marked") and known and not known_there:
            return _blind(
                f"{root} has lost its {ROOT_MARKER} and everything that was known in it: it may be another disk."
            )
    changed = bool(watch.mount) and (watch.device, watch.root_inode) != (look.device, look.inode)
    return replace(look, restarted=changed)


def _blind(reason: str, *, hint: str = "Bring the mount back; the watcher then goes on by itself.") -> RootLook:
    return RootLook(ok=False, blind_reason=reason, hint=hint)


def _root_facts(root: Path, known: Collection[str]) -> tuple[RootLook, bool]:
    """Look at the root (blocking); also tell whether any known name is there."""
    real = os.path.realpath(root, strict=True)
    status = os.stat(real)  # noqa: PTH116 - `real` is text
    if not stat.S_ISDIR(status.st_mode):
        raise NotADirectoryError(real)
    mount = mount_of(Path(real))
    count = 0
    marked = os.path.lexists(f"{real}/{ROOT_MARKER}")
    with os.scandir(real) as entries:
        for entry in entries:
            is_shown = not entry.name.startswith(".") or entry.name.startswith(CLAIM)
            if is_shown and entry.name != "lost+found":
                count += 1
                if count >= COUNTED_ENTRIES:
                    break
    known_there = any(os.path.lexists(f"{real}/{name}") for name in known)
    look = RootLook(
        ok=True,
        mount=mount.label,
        device=status.st_dev,
        inode=status.st_ino,
        entry_count=count,
        marked=marked,
        is_network=mount.is_network,
    )
    return look, known_there
