"""Writes a small file beside a run folder: whole or not at all, and over nothing but an earlier one of its kind.

What stands in it is made in `stages/closing.py`.
"""

from __future__ import annotations

import os
from pathlib import Path

from watcher.disk.mounts import CLAIM as PREFIX
from watcher.disk.stock import open_folder, touch_error
from watcher.disk.threads import DiskThreads


async def write_beside(threads: DiskThreads, root: Path, folder: str, name: str, content: bytes) -> None:
    """Write the file into a folder below the root ("" is the root itself); FileGone, UnsafePath, MountGone, DiskError.

    No step of the way may be a link. A link of that name is replaced, never followed.
    """

    def work() -> None:
        there = open_folder(root, folder)
        growing = f"{PREFIX}{name}"
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
            file = os.open(growing, flags, 0o644, dir_fd=there)
            with os.fdopen(file, "wb") as written:
                written.write(content)
                written.flush()
                os.fsync(written.fileno())
            os.replace(growing, name, src_dir_fd=there, dst_dir_fd=there)
            os.fsync(there)
        except OSError as error:
            raise touch_error(error, name) from error
        finally:
            os.close(there)

    await threads.look(root, work, timeout_s=60.0)
