"""Listings and small reads: what is under a root, without following anything out of it.

Long work is cut into slices, each a short call on a look thread, so that a big folder on a slow server is not taken
for a hung one, and several watches on a mount take turns. Whatever cannot be used is in the listing with its problem:
nothing is dropped silently. What the files mean is the business of `runs/`; reading them whole is in `reader.py`.
"""

from __future__ import annotations

import os
import re
import stat
import time
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import BinaryIO, TypeVar

from watcher.clock import Clock
from watcher.disk.paths import (
    classify,
    disk_error,
    facts,
    failed,
    link_facts,
    name_problem,
    open_beneath,
    other,
    real_root,
    refused,
    shown_name,
    unsafe,
    was_refused,
)
from watcher.disk.threads import DiskThreads
from watcher.errors import FileGone, UnsafePath
from watcher.model import Kind, Listing, SourceFacts

__all__ = [
    "SMALL_BYTES",
    "facts",
    "facts_of",
    "folder_marks",
    "folder_pattern",
    "list_folder",
    "mark_of",
    "read_ends",
    "read_small",
    "was_refused",
]

T = TypeVar("T")

SLICE_S = 0.5
"""How long one call may work before it lets others have the thread; far below any limit of time."""

SMALL_BYTES = 32 * 1024 * 1024
"""How much of a small file is read: MinKNOW lists each file of a run of days with its hash, about 7 MB where there are
96 barcodes, and several times that with long names or smaller files.
"""


async def list_folder(
    threads: DiskThreads,
    root: Path,
    *,
    prune: Sequence[str] = (),
    depth: int | None = None,
    names_only: bool = False,
    clock: Clock,
    slice_s: float = SLICE_S,
) -> Listing:
    """Return everything beneath `root`, with paths relative to it; `taken_at` is when the look began.

    `prune`: patterns of relative folder paths that are listed but not entered. `depth` 1 lists what lies right in the
    root, 2 one folder deeper, None all. `names_only`: of regular files nothing is asked but the name, so that they have
    neither size nor times. Links to files inside the root stand for the file; every other link, FIFO,
    socket, device, unreadable path and unusable name is Kind.OTHER with its problem. Raises FileGone when the root is
    not there, MountGone when it does not answer or fails on the way: half a listing is none.
    """
    began_at, began_s = clock.now(), clock.monotonic()
    walk = _Walk(root, [folder_pattern(pattern) for pattern in prune], depth, slice_s, names_only)
    while not await threads.look(root, walk.go_on):
        pass
    entries = walk.result()
    return Listing(str(root), entries, began_at, frozenset(walk.pruned), clock.monotonic() - began_s)


async def read_small(
    threads: DiskThreads, root: Path, paths: Sequence[str], *, limit_bytes: int = SMALL_BYTES
) -> dict[str, bytes]:
    """Return the content of small files; those that are not there are left out.

    Raises UnsafePath for what we do not read, and for a file of more than `limit_bytes`: to leave it out would be to
    ignore what it says.
    """

    def content(path: str) -> bytes:
        with _opened(root, path) as file:
            read = file.read(limit_bytes + 1)
        if len(read) > limit_bytes:
            raise unsafe(path, f"it has more than {limit_bytes} bytes, too many for what it should be")
        return read

    return await _each(threads, root, paths, content)


async def facts_of(threads: DiskThreads, root: Path, paths: Sequence[str]) -> dict[str, SourceFacts]:
    """Return the facts of these paths; those that are not there are left out, those we do not read are Kind.OTHER."""

    def one(path: str) -> SourceFacts:
        try:
            return facts(root, path)
        except UnsafePath as error:
            return refused(path, error)

    return await _each(threads, root, paths, one)


async def folder_marks(threads: DiskThreads, root: Path, paths: Sequence[str]) -> list[tuple[int, ...] | None]:
    """Return the mark (`mark_of`) of each of these folders and files as it is now, None where the system tells none:
    a look will tell why. Raises MountGone when the root does not answer.
    """
    marks: list[tuple[int, ...] | None] = []
    begin = f"{root}/"  # text: a Path for each would cost more than the question

    def mark(path: str) -> None:
        try:
            marks.append(_mark(os.lstat(begin + path)))
        except OSError:
            marks.append(None)

    await _in_slices(threads, root, paths, mark)
    return marks


def mark_of(facts: SourceFacts) -> tuple[int, ...]:
    """Return what changes when something comes into a folder, leaves it, is renamed in it, or when it gets other
    rights; of a file, when it is written to.
    """
    times = (facts.mtime_ns, facts.ctime_ns, facts.inode)
    return (*times, facts.size) if facts.kind is Kind.FILE else times


def _mark(status: os.stat_result) -> tuple[int, ...]:
    times = (status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
    return times if stat.S_ISDIR(status.st_mode) else (*times, status.st_size)


async def read_ends(
    threads: DiskThreads, root: Path, path: str, head: int = 64, tail: int = 4096
) -> tuple[bytes, bytes]:
    """Return the first and the last bytes of a file; they overlap in a short one. Raises FileGone, UnsafePath,
    MountGone.
    """

    def ends() -> tuple[bytes, bytes]:
        try:
            with _opened(root, path) as file:
                first = file.read(head)
                file.seek(max(0, file.seek(0, os.SEEK_END) - tail))
                return first, file.read(tail)
        except OSError as error:
            raise disk_error(error, path) from error

    return await threads.look(root, ends)


def folder_pattern(pattern: str) -> re.Pattern[str]:
    """Compile a pattern as layouts write them: `*` and `?` stay within a name, `**` spans folders, `[0-9]` is one of
    these.
    """
    parts = pattern.strip("/").split("/")
    text = ""
    for number, part in enumerate(parts):
        last = number == len(parts) - 1
        if part == "**":
            text += ".+" if last else "(?:[^/]+/)*"
            continue
        for literal, wild in re.findall(r"([^*?\[]+)|(\*|\?|\[!?\]?[^\]]*\]|\[)", part):
            if literal or wild == "[":
                text += re.escape(literal or wild)
            elif wild == "*":
                text += "[^/]*"
            elif wild == "?":
                text += "[^/]"
            else:
                text += "[" + wild[1:].replace("!", "^", 1) if wild[1] == "!" else wild
        text += "" if last else "/"
    return re.compile(text + r"\Z")


class _Walk:
    """A listing under way; `go_on` works for one slice (blocking) and tells whether all is seen."""

    def __init__(
        self, root: Path, prune: Sequence[re.Pattern[str]], depth: int | None, slice_s: float, names_only: bool
    ) -> None:
        self._root = root
        self._real = ""
        self._prune = prune
        self._depth = depth
        self._slice_s = slice_s
        self._names_only = names_only
        self._entries: dict[str, SourceFacts] = {}
        self._unusable: list[tuple[str, str]] = []
        self._steps = self._all_steps()
        self.pruned: set[str] = set()

    def go_on(self) -> bool:
        until = time.monotonic() + self._slice_s
        return all(time.monotonic() < until for _ in self._steps)  # stops at the first step that is too late

    def result(self) -> dict[str, SourceFacts]:
        """Return the entries; those with unusable names come last, under a name that can be shown and is nobody
        else's.
        """
        for path, problem in self._unusable:
            shown = shown_name(path)
            while shown in self._entries:
                shown += "'"
            self._entries[shown] = other(shown, problem)
        self._unusable.clear()
        return self._entries

    def _all_steps(self) -> Generator[None, None, None]:
        self._real = real_root(self._root)
        folders = [("", 1)]
        while folders:
            folder, level = folders.pop()
            try:
                inner = yield from self._folder_steps(folder)
            except OSError as error:
                if not folder:
                    raise disk_error(error, str(self._root)) from error
                self._entries[folder] = failed(folder, error, self._real)
                continue
            if self._depth is None or level < self._depth:
                folders += [(one, level + 1) for one in inner]

    def _folder_steps(self, folder: str) -> Generator[None, None, list[str]]:
        """Look at one folder's entries; returns the folders in it that are to be entered."""
        inner = []
        prefix = f"{folder}/" if folder else ""
        with os.scandir(f"{self._real}/{folder}") as found:
            for entry in found:
                yield
                path = prefix + entry.name
                if problem := name_problem(entry.name):
                    self._unusable.append((path, problem))
                    continue
                self._entries[path] = seen = self._look_at(entry, path)
                if seen.kind is Kind.FOLDER:
                    if any(pattern.match(path) for pattern in self._prune):
                        self.pruned.add(path)
                    else:
                        inner.append(path)
        return inner

    def _look_at(self, entry: os.DirEntry[str], path: str) -> SourceFacts:
        try:
            if self._names_only and entry.is_file(follow_symlinks=False):
                return SourceFacts(path, Kind.FILE)
            if entry.is_symlink():
                return link_facts(self._root, self._real, path)
            return classify(path, entry.stat(follow_symlinks=False), entry.path)
        except OSError as error:
            return failed(path, error, self._real)


def _opened(root: Path, path: str) -> BinaryIO:
    return os.fdopen(open_beneath(root, path), "rb")


async def _each(threads: DiskThreads, root: Path, paths: Sequence[str], call: Callable[[str], T]) -> dict[str, T]:
    """Return what a call brings for each path; paths that are gone are left out."""
    found: dict[str, T] = {}

    def one(path: str) -> None:
        try:
            found[path] = call(path)
        except FileGone:
            return
        except OSError as error:
            raise disk_error(error, path) from error

    await _in_slices(threads, root, paths, one)
    return found


async def _in_slices(threads: DiskThreads, root: Path, paths: Sequence[str], do: Callable[[str], None]) -> None:
    """Do something for each path, in calls that are short however many there are."""
    ahead = iter(paths)

    def some() -> bool:
        until = time.monotonic() + SLICE_S
        for path in ahead:
            do(path)
            if time.monotonic() >= until:
                return False
        return True

    while not await threads.look(root, some):
        pass
