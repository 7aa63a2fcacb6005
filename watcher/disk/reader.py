"""Source bytes, chunk by chunk, checked on the way and against the file we looked at.

While one chunk is being sent, the next is read and inspected (hashed, inflated) in a reading thread. All that is read
at a time shares a fixed memory, whatever the sizes and however many files. A file that is not the expected one,
changes meanwhile, or is replaced or removed ends the reading with an error before its last chunk is handed over. What
`inspect` looks for is not known here (`runs/integrity.py`), nor where the bytes go.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import AsyncGenerator, Callable, Iterator
from pathlib import Path
from typing import Protocol

from watcher.disk.paths import disk_error, open_beneath
from watcher.disk.threads import DiskThreads
from watcher.errors import FileChanged
from watcher.model import Kind, SourceFacts

PREFIX_CHUNK_BYTES = 4 * 1024 * 1024
MEMORY_BYTES = 20 * 1024 * 1024


class Pauses(Protocol):
    """When a reading rests between two chunks, and for how long."""

    def wanted(self) -> bool:
        """Tell whether to rest after the chunk that is handed over now: then nothing is read ahead of it."""
        ...

    async def rest(self) -> None:
        """Return when the reading may go on; what it raises ends the reading."""
        ...


class FileReader:
    """Reads source files on the reading threads of their mount.

    A single file is read one chunk ahead. Several at a time overlap by themselves: they share `memory_bytes`, with
    smaller chunks the more they are, and read ahead only where all chunks together still fit.
    """

    def __init__(self, threads: DiskThreads, *, memory_bytes: int = MEMORY_BYTES) -> None:
        self._threads = threads
        self._memory_bytes = memory_bytes
        self._held_bytes = 0
        self._streams = 0

    def has_core_left(self) -> bool:
        """Tell whether fewer files are read at this time than there are cores for us."""
        return self._streams < len(os.sched_getaffinity(0))

    async def chunks(
        self,
        root: Path,
        path: str,
        *,
        offset: int,
        chunk_bytes: int,
        inspect: Callable[[bytes], None],
        expect: SourceFacts,
        pauses: Pauses | None = None,
    ) -> AsyncGenerator[bytes, None]:
        """Yield the bytes from `offset` on, in chunks of at most `chunk_bytes`.

        `inspect` gets every chunk first, in order, in a reading thread; what it raises comes out of the iteration in
        place of its chunk. After leaving early do not use again what `inspect` fills: a thread may still be at work
        on it. While it rests (`pauses`) it holds the open file and no bytes. Close the iterator (`contextlib.aclosing`)
        to free the file at once. Raises FileChanged, FileGone,
        UnsafePath, MountGone, DiskError.
        """
        file = _OpenFile(root, path, expect)
        held_bytes = 0
        ahead: asyncio.Task[bytes] | None = None

        def next_size(start: int) -> int:
            share = self._memory_bytes // max(self._streams, 2)
            # Those that began when they were fewer still hold more than their share.
            left = max(self._memory_bytes - self._held_bytes, share // 4, 1)
            return min(chunk_bytes, max(share, 1), left, expect.size - start)

        def begin(start: int) -> asyncio.Task[bytes]:
            nonlocal held_bytes
            size = next_size(start)
            held_bytes += size
            self._held_bytes += size
            return asyncio.create_task(self._threads.read(root, lambda: file.read(start, size, inspect)))

        def let_go(size: int) -> None:
            nonlocal held_bytes
            held_bytes -= size
            self._held_bytes -= size

        self._streams += 1
        try:
            await self._threads.read(root, lambda: file.open(offset))
            start = offset
            while start < expect.size:
                ahead = ahead or begin(start)
                chunk = await ahead
                size = len(chunk)
                start += size
                rests = pauses is not None and start < expect.size and pauses.wanted()
                has_room = not rests and self._held_bytes + next_size(start) <= self._memory_bytes
                ahead = begin(start) if start < expect.size and has_room else None
                yield chunk
                del chunk  # else it stays alive while the next one is awaited
                let_go(size)
                if rests and pauses is not None:
                    self._streams -= 1
                    try:
                        await pauses.rest()
                    finally:
                        self._streams += 1
        finally:
            self._streams -= 1
            let_go(held_bytes)
            if ahead is not None:
                ahead.cancel()
                ahead.add_done_callback(_retrieved)
            self._threads.let_go(root, file.drop)

    async def part(self, root: Path, path: str, start: int, size: int, *, expect: SourceFacts) -> bytes:
        """Return `size` bytes from `start` on of the expected file; raises like `chunks`."""
        file = _OpenFile(root, path, expect)

        def read() -> bytes:
            file.open(start)
            return file.read(start, size, lambda chunk: None)

        try:
            return await self._threads.read(root, read)
        finally:
            self._threads.let_go(root, file.drop)

    async def inspect_prefix(
        self, root: Path, path: str, upto: int, inspect: Callable[[bytes], None], *, expect: SourceFacts | None = None
    ) -> None:
        """Show the first `upto` bytes to `inspect`, for the hash of a file whose beginning was sent before; raises
        like `chunks`.
        """
        file = _OpenFile(root, path, expect)

        start = 0

        def show_next() -> int:
            return len(file.read(start, min(PREFIX_CHUNK_BYTES, upto - start), inspect))

        try:
            await self._threads.read(root, lambda: file.open(upto))
            while start < upto:
                start += await self._threads.read(root, show_next)
        finally:
            self._threads.let_go(root, file.drop)


class _OpenFile:
    """A descriptor that two sides may want to be rid of: the thread that uses it, and the side that has given up on
    that thread.
    """

    def __init__(self, root: Path, path: str, expect: SourceFacts | None) -> None:
        self._root = root
        self._path = path
        self._expect = expect
        self._guard = threading.Lock()
        self._in_use = False
        self._unwanted = False
        self._descriptor = -1
        self._before = SourceFacts(path, Kind.FILE)

    def open(self, offset: int) -> None:
        """Open the file and see that it is the expected one and has `offset` bytes (blocking)."""
        with self._using():
            self._descriptor = open_beneath(self._root, self._path)
            before = self._seen(self._descriptor)
            if self._expect is not None and not before.same_bytes(self._expect):
                raise self._changed(_difference(self._expect, before))
            if offset > before.size:
                raise self._changed(f"it has {before.size} bytes, but {offset} were read before")
            self._before = before
            with contextlib.suppress(OSError):  # advice only
                os.posix_fadvise(self._descriptor, 0, 0, os.POSIX_FADV_SEQUENTIAL)
            if offset == before.size:
                self._see_unchanged(before)

    def read(self, start: int, size: int, inspect: Callable[[bytes], None]) -> bytes:
        """Read and inspect a chunk; with the last one, see that the file is still the same (blocking)."""
        with self._using():
            before = self._before
            wanted = min(size, before.size - start)
            chunk = self._pread(wanted, start)
            if len(chunk) < wanted:
                raise self._changed(f"it ends after {start + len(chunk)} of {before.size} bytes")
            inspect(chunk)
            if start + wanted == before.size:
                self._see_unchanged(before)
            return chunk

    def drop(self) -> None:
        """Close the file, or have it closed by the thread that is still using it (blocking)."""
        with self._guard:
            self._unwanted = True
            if not self._in_use:
                self._close()

    @contextlib.contextmanager
    def _using(self) -> Iterator[None]:
        with self._guard:
            self._in_use = True
        try:
            yield
        except OSError as error:
            raise disk_error(error, self._path) from error
        finally:
            with self._guard:
                self._in_use = False
                if self._unwanted:
                    self._close()

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            with contextlib.suppress(OSError):
                os.close(descriptor)

    def _pread(self, size: int, start: int) -> bytes:
        chunk = os.pread(self._descriptor, size, start)
        if len(chunk) == size or not chunk:
            return chunk
        parts = [chunk]  # short answers are rare (a signal, some file servers)
        while chunk and sum(map(len, parts)) < size:
            have = sum(map(len, parts))
            chunk = os.pread(self._descriptor, size - have, start + have)
            parts.append(chunk)
        return b"".join(parts)

    def _seen(self, descriptor: int) -> SourceFacts:
        status = os.fstat(descriptor)
        times_ns = status.st_mtime_ns, status.st_ctime_ns
        return SourceFacts(self._path, Kind.FILE, status.st_size, *times_ns, status.st_ino)

    def _see_unchanged(self, before: SourceFacts) -> None:
        """Open the path once more: file servers vouch for fresh attributes only then, and a replaced file shows by
        its inode.
        """
        again = open_beneath(self._root, self._path)
        try:
            after = self._seen(again)
        finally:
            os.close(again)
        if after != before:
            raise self._changed(_difference(before, after))

    def _changed(self, what: str) -> FileChanged:
        return FileChanged(
            f"{self._path} is not the file that was looked at: {what}.",
            hint="It is looked at again until it stays as it is.",
            files=(self._path,),
        )


def _difference(expected: SourceFacts, found: SourceFacts) -> str:
    """Say what differs, the most telling first."""
    if expected.size != found.size:
        return f"it has {found.size} bytes, not {expected.size}"
    if expected.inode != found.inode:
        return "it was replaced by another one"
    if expected.mtime_ns != found.mtime_ns:
        return "it was written to"
    return "it was written to, renamed, or given other rights"


def _retrieved(ended: asyncio.Task[bytes]) -> None:
    """Take the error of a chunk that nobody waits for any more, so that asyncio does not report it as lost."""
    if not ended.cancelled():
        ended.exception()
