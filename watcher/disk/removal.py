"""Takes a folder out of a watch: claims it under a hidden name, gives it back, deletes it entry by entry.

The only place that changes anything on a watched file system, and only what `stages/removal.py` has found to be right.
A claim is one rename beside the folder: from then on nobody adds to it by its path, no rescan takes it for a run, and
what was claimed can be compared once more before anything is lost. Each call may be repeated: what was done by one
that died is found and gone on with. The root itself is never touched, no link is followed.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from watcher.disk.mounts import CLAIM as PREFIX
from watcher.disk.paths import unsafe
from watcher.disk.stock import entry_of, open_folder, refuse_mounts, touch_error
from watcher.disk.threads import DiskThreads
from watcher.errors import FileChanged
from watcher.rows import StockFile

RECEIPT = ".galaxy-watcher.json"
SLICE_S = 0.5
LOOK_S = 60.0


def is_ours(name: str) -> bool:
    """Tell whether a name in a watched folder is one that the watcher gives: what it claims, and its receipts."""
    return name.endswith(RECEIPT) or f"/{PREFIX}" in f"/{name}"


def claimed_path(path: str, mark: str) -> str:
    """Return what a folder is called while it is claimed; `mark` tells whose claim it is. Files of a flat folder
    (path "") are gathered in a folder of that name.
    """
    parent = PurePosixPath(path).parent if path else PurePosixPath()
    return str(parent / f"{PREFIX}{mark}")


async def is_there(threads: DiskThreads, root: Path, path: str) -> bool:
    """Tell whether something lies at this path below a root; a link counts as something."""
    return await threads.look(root, lambda: entry_of(root, "", path) is not None)


async def claim(threads: DiskThreads, root: Path, path: str, mark: str, files: Sequence[str] = ()) -> None:
    """Rename a folder to its hidden name, or gather `files` of the root in a folder of that name; what is claimed
    already stays so. FileGone, UnsafePath, MountGone or DiskError.
    """

    def work() -> None:
        if path:
            refuse_mounts(root, path)
            os.close(open_folder(root, path))  # a folder, and no link on the way
            _rename(root, path, claimed_path(path, mark))
        else:
            _gather(root, files, claimed_path(path, mark))

    await threads.look(root, work, timeout_s=LOOK_S)


async def give_back(threads: DiskThreads, root: Path, path: str, mark: str, files: Sequence[str] = ()) -> None:
    """Undo a claim; UnsafePath when something else has taken the name meanwhile."""
    hidden = claimed_path(path, mark)

    def work() -> None:
        if path:
            if entry_of(root, "", hidden) is not None:
                _rename(root, hidden, path)
            return
        for name in files:
            if entry_of(root, hidden, name) is not None:
                _rename(root, f"{hidden}/{name}", name)
        _drop_folders(root, hidden, files)

    await threads.look(root, work, timeout_s=LOOK_S)


async def delete_claimed(threads: DiskThreads, root: Path, path: str, mark: str, stock: Sequence[StockFile]) -> None:
    """Delete what was claimed, entry by entry, each only if it is as in `stock`; what is gone already is fine.

    FileChanged for an entry that is not as it was, or that nobody knows: what is left stays under the hidden name.
    """
    hidden = claimed_path(path, mark)
    ahead = iter(sorted(stock, key=lambda one: one.path, reverse=True))  # what is in a folder comes before it

    def some() -> bool:
        until = time.monotonic() + SLICE_S
        for entry in ahead:
            _delete(root, hidden, entry)
            if time.monotonic() >= until:
                return False
        return True

    while not await threads.look(root, some, timeout_s=LOOK_S):
        pass
    if not path:
        folders = [one.path for one in stock]
        await threads.look(root, lambda: _drop_folders(root, hidden, folders), timeout_s=LOOK_S)
    else:
        await threads.look(root, lambda: _remove_folder(root, hidden), timeout_s=LOOK_S)


def _rename(root: Path, old: str, new: str) -> None:
    before, after = PurePosixPath(old), PurePosixPath(new)
    source = open_folder(root, "/".join(before.parts[:-1]))
    try:
        target = open_folder(root, "/".join(after.parts[:-1]))
        try:
            if entry_of(root, "", new) is not None:
                raise unsafe(new, "the name is taken")
            os.rename(before.name, after.name, src_dir_fd=source, dst_dir_fd=target)
            os.fsync(source)
            os.fsync(target)
        finally:
            os.close(target)
    except OSError as error:
        raise touch_error(error, old) from error
    finally:
        os.close(source)


def _gather(root: Path, files: Sequence[str], hidden: str) -> None:
    for name in files:
        _make_folders(root, PurePosixPath(hidden, name).parent.parts)
        if entry_of(root, "", name) is not None and entry_of(root, hidden, name) is None:
            _rename(root, name, f"{hidden}/{name}")


def _make_folders(root: Path, parts: Sequence[str]) -> None:
    for depth, part in enumerate(parts):
        folder = open_folder(root, "/".join(parts[:depth]))
        try:
            os.mkdir(part, dir_fd=folder)
        except FileExistsError:
            pass
        except OSError as error:
            raise touch_error(error, "/".join(parts[: depth + 1])) from error
        finally:
            os.close(folder)


def _drop_folders(root: Path, hidden: str, files: Sequence[str]) -> None:
    """Delete the folders in which files were gathered, deepest first."""
    inner = {str(above) for name in files for above in PurePosixPath(name).parents if str(above) != "."}
    for folder in sorted(inner, reverse=True):
        _remove_folder(root, f"{hidden}/{folder}")
    _remove_folder(root, hidden)


def _delete(root: Path, hidden: str, entry: StockFile) -> None:
    now = entry_of(root, hidden, entry.path)
    if now is None:
        return
    if (now.kind, now.size, now.mtime_ns, now.link) != (entry.kind, entry.size, entry.mtime_ns, entry.link):
        raise FileChanged(f"{entry.path} was changed while it was being deleted.", files=(entry.path,))
    if entry.kind == "folder":
        _remove_folder(root, f"{hidden}/{entry.path}")
        return
    path = PurePosixPath(hidden, entry.path)
    folder = open_folder(root, str(path.parent))
    try:
        os.unlink(path.name, dir_fd=folder)
    except FileNotFoundError:
        return
    except OSError as error:
        raise touch_error(error, entry.path) from error
    finally:
        os.close(folder)


def _remove_folder(root: Path, path: str) -> None:
    if entry_of(root, "", path) is None:
        return
    place = PurePosixPath(path)
    folder = open_folder(root, str(place.parent))
    try:
        os.rmdir(place.name, dir_fd=folder)
        os.fsync(folder)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            inner = open_folder(root, path)
            try:
                names = sorted(os.listdir(inner))  # noqa: PTH208 - a descriptor, no path
            finally:
                os.close(inner)
            told = ", ".join(names[:5])
            raise FileChanged(f"Files came into {path} while it was being deleted: {told}.", files=(path,)) from error
        raise touch_error(error, path) from error
    finally:
        os.close(folder)
