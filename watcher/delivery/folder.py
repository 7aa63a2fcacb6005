"""Brings results to a local or mounted folder: whole, under safe names, each once, with a manifest at the end.

A result is written under a temporary name beside its own, resumed from there after a break, synced, compared with what
Galaxy has, and renamed. A part that was synced when its source broke off says so by its name and is gone on with where
it ends; of one left by a death, what may not have reached the disk is fetched again. Compared is the size, and the
SHA-256 where Galaxy lists one; the SHA-256 in the manifest is that of the bytes as they were written. What is there
already and the same is taken as delivered; what differs is never overwritten. It knows no Galaxy and no batch: it reads
a ResultSource. The blocking calls are in `target.py`, the names in `names.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from watcher.clock import Clock
from watcher.delivery.names import NO_NAMES, Places, manifest_entries, manifest_line
from watcher.delivery.parts import NEVER_BEGUN, Begun
from watcher.delivery.rights import Rights
from watcher.delivery.target import (
    OURS,
    Digest,
    OpenFile,
    Target,
    drop_ends,
    drop_left_over,
    drop_part,
    give_name,
    keep_part,
    new_digest,
    open_part,
    open_whole,
    temporary_name,
)
from watcher.delivery.templates import Names
from watcher.errors import DeliveryBroken, DeliveryError, MountGone, NameTaken, TargetGone, WatcherError
from watcher.results import MANIFEST, BlockingCalls, ResultFile, ResultSource

T = TypeVar("T")

_PIECE_BYTES = 1024 * 1024
_HASH_BYTES = 64 * 1024 * 1024  # per call on the target's threads, which give a call some minutes
_SYNC_BYTES = 64 * 1024 * 1024  # no sync takes minutes, and what lies further back survives a power cut
_SYNC_EVERY_S = 10.0
_UNSURE_BYTES = _SYNC_BYTES + 2 * _PIECE_BYTES  # the piece that is written when a sync falls due, and a chunk more
_KEEP_S = 10.0  # a target that hangs must not hold up the end of the program
FSTAB = Path("/etc/fstab")


class _Unfit(Exception):
    """What is in the temporary file is not the beginning of this result."""


class FolderDelivery(Places):
    """One folder that results are brought to. It is made when missing, but only below `base`, which must exist."""

    def __init__(
        self,
        folder: Path,
        base: Path,
        call: BlockingCalls,
        clock: Clock,
        *,
        rights: Rights = OURS,
        marker: str = "",
        kept: Sequence[str] = (),
        names: Names = NO_NAMES,
        fstab: Path = FSTAB,
    ) -> None:
        """`marker` is the name of an empty file that comes last of all; names that are `kept` no result is given."""
        super().__init__(marker, kept, names)
        self._target = Target(folder, base, fstab, rights)
        self._base = base
        self._call = call
        self._clock = clock
        self._has_begun = False

    async def prepare(self, needed_bytes: int) -> None:
        """Make the folder and see that it takes that many bytes; TargetFull, TargetGone otherwise."""
        await self._run(lambda: self._target.check_room(needed_bytes))

    async def put(
        self,
        source: ResultSource,
        file: ResultFile,
        path: str,
        on_bytes: Callable[[int], None] = lambda _: None,
        *,
        outdated: str = "",
        begun: Begun = NEVER_BEGUN,
    ) -> tuple[int, str]:
        """Bring one result to `path`; return its size and the SHA-256 of what was written (see `ResultFile.checked`).

        `on_bytes` hears how many bytes are there. Twice is harmless: what is half there is gone on with, what is
        whole is kept. Only a file of the SHA-256 `outdated`, which an earlier attempt delivered here, gives way to
        another one. Manifest and marker are gone before the file has its name. Raises DeliveryBroken when the bytes
        are not what they should be, NameTaken when a different file has the name, TargetFull, TargetGone, and
        whatever the source raises. Nothing need be remembered with `begun`: what is half there has a name.
        """
        temporary = part_name(file, path)
        there = await self._run(lambda: open_whole(self._target, path))
        if there is not None:
            adopted = await self._adopt(source, file, path, temporary, there, on_bytes, outdated)
            if adopted is not None:
                return adopted
        part = await self._run(lambda: open_part(self._target, path, temporary))
        try:
            try:
                sha256 = await self._write(source, file, path, part, on_bytes)
            except _Unfit:
                await self._run(lambda: part.cut(0))
                sha256 = await self._write(source, file, path, part, on_bytes)
        except DeliveryBroken:
            with contextlib.suppress(WatcherError):  # the first error is the one to tell
                await self._run(lambda: drop_part(self._target, path, temporary))
            raise
        except DeliveryError:
            raise  # what a target in trouble has taken is not known
        except (Exception, asyncio.CancelledError):
            with contextlib.suppress(WatcherError, OSError):
                async with asyncio.timeout(_KEEP_S):
                    await self._run(lambda: keep_part(self._target, path, temporary, part))
            raise
        finally:
            await self._close(part)
        await self._begin()
        await self._run(lambda: give_name(self._target, path, temporary, replace=there is not None))
        return file.size, sha256

    async def is_taken(self, source: ResultSource, file: ResultFile, path: str, *, outdated: str = "") -> bool:
        """Tell whether `put` would raise NameTaken; what is there is compared in the same way."""
        try:
            there = await self._run(lambda: open_whole(self._target, path))
            if there is not None:
                await self._adopt(source, file, path, part_name(file, path), there, lambda _: None, outdated)
        except NameTaken:
            return True
        return False

    async def size_of(self, path: str) -> int | None:
        """Return how long the file at `path` is, None where there is none."""
        there = await self._run(lambda: open_whole(self._target, path))
        if there is None:
            return None
        try:
            return await self._run(there.size)
        finally:
            await self._close(there)

    async def holds(self, path: str, size: int, sha256: str) -> bool:
        """Tell whether a file of this size and SHA-256 is there; reads it through."""
        there = await self._run(lambda: open_whole(self._target, path))
        if there is None:
            return False
        try:
            return await self._run(there.size) == size and await self._hash(there, new_digest(), size) == sha256
        finally:
            await self._close(there)

    async def listed(self) -> dict[str, str]:
        """Return the SHA-256 of each path that the manifest there names; none where there is no manifest."""
        there = await self._run(lambda: open_whole(self._target, MANIFEST))
        if there is None:
            return {}
        try:
            return manifest_entries(await self._run(there.text))
        finally:
            await self._close(there)

    async def write_manifest(self, files: Sequence[tuple[str, str]]) -> None:
        """Write paths and SHA-256 in the form `sha256sum -c` reads; it comes last, so that it means "all here". After
        it comes the marker, if there is to be one; one of before goes first.
        """
        content = "".join(manifest_line(path, sha256) for path, sha256 in sorted(files)).encode()
        temporary = f".{MANIFEST}.part"

        def write() -> None:
            part = open_part(self._target, MANIFEST, temporary)
            try:
                part.cut(0)
                part.write(new_digest(), 0, content)
                part.sync()
            finally:
                part.close()
            drop_ends(self._target, self._ends)
            drop_left_over(self._target, [*(path for path, _ in files), *self.paths])
            give_name(self._target, MANIFEST, temporary, replace=True)
            for marker in self._ends:
                open_part(self._target, marker, f".{marker}.part").close()
                give_name(self._target, marker, f".{marker}.part", replace=True)

        await self._run(write)
        self._has_begun = False

    async def _begin(self) -> None:
        """Take marker and manifest away, once: they would say of a target that is about to change that it is whole."""
        if not self._has_begun:
            await self._run(lambda: drop_ends(self._target, (*self._ends, MANIFEST)))
            self._has_begun = True

    async def _write(
        self, source: ResultSource, file: ResultFile, path: str, part: OpenFile, on_bytes: Callable[[int], None]
    ) -> str:
        """Write what is missing, sync, compare; return the SHA-256."""
        kept = await self._run(part.size)
        if kept > file.size:
            raise _Unfit
        if kept and not part.is_synced:
            # A tail that a power cut, or an error of the disk, left unwritten: seen late with a checksum, else never.
            kept = max(0, kept - _UNSURE_BYTES)
            await self._run(lambda: part.cut(kept))
        digest = new_digest()
        await self._hash(part, digest, kept)
        on_bytes(kept)
        done = await self._append(source, file, part, digest, kept, on_bytes) if kept < file.size else kept
        if done == file.size:
            await self._run(part.sync)
        sha256 = digest.hexdigest()
        if done == file.size == await self._run(part.size) and file.sha256 in ("", sha256):
            return sha256
        if kept and done >= file.size:
            raise _Unfit  # what was left over was not the beginning of this file
        raise self._different(file, path, done, sha256)

    async def _append(
        self,
        source: ResultSource,
        file: ResultFile,
        part: OpenFile,
        digest: Digest,
        start: int,
        on_bytes: Callable[[int], None],
    ) -> int:
        done, synced, waiting = start, start, bytearray()
        synced_s = self._clock.monotonic()

        async def flush() -> None:
            nonlocal done, synced, synced_s
            piece, offset = bytes(waiting), done
            waiting.clear()
            await self._run(lambda: part.write(digest, offset, piece))
            done += len(piece)
            if done - synced >= _SYNC_BYTES or self._clock.monotonic() - synced_s >= _SYNC_EVERY_S:
                await self._run(part.sync)
                synced, synced_s = done, self._clock.monotonic()
            on_bytes(done)

        try:
            async with source.read(file, start) as chunks:
                async for chunk in chunks:
                    waiting += chunk
                    if done + len(waiting) > file.size:
                        return done + len(waiting)  # more than there should be: not worth writing
                    if len(waiting) >= _PIECE_BYTES:
                        await flush()
        except DeliveryError:
            raise
        except WatcherError:
            await flush()  # what came before the break need not come again
            raise
        if waiting:
            await flush()
        return done

    async def _adopt(
        self,
        source: ResultSource,
        file: ResultFile,
        path: str,
        temporary: str,
        there: OpenFile,
        on_bytes: Callable[[int], None],
        outdated: str,
    ) -> tuple[int, str] | None:
        """Take a file that has the name already, if it is this result byte for byte; None for an outdated one. Raises
        NameTaken for any other.
        """
        try:
            size = await self._run(there.size)
            sha256 = await self._hash(there, new_digest(), size)
        finally:
            await self._close(there)
        wanted = file.sha256
        if size == file.size and not wanted:  # Galaxy has no checksum: only its bytes can tell
            digest = hashlib.sha256(usedforsecurity=False)
            async with source.read(file, 0) as chunks:
                async for chunk in chunks:
                    digest.update(chunk)
            wanted = digest.hexdigest()
        if size != file.size or sha256 != wanted:
            if outdated and sha256 == outdated:
                return None
            raise NameTaken(
                f"{self._target.folder / path} is there already and is another file: {size} bytes, wanted {file.size}.",
                hint="It is never overwritten: move it away, then retry.",
            )
        await self._run(lambda: drop_part(self._target, path, temporary))
        on_bytes(size)
        return size, sha256

    async def _hash(self, part: OpenFile, digest: Digest, end: int) -> str:
        for start in range(0, end, _HASH_BYTES):
            stop = min(end, start + _HASH_BYTES)
            await self._run(lambda start=start, stop=stop: part.hash_on(digest, start, stop))  # type: ignore[misc]
        return digest.hexdigest()

    async def _close(self, part: OpenFile) -> None:
        # The target may be what failed; that error is the one to tell.
        with contextlib.suppress(WatcherError):
            await self._run(part.close)

    async def _run(self, call: Callable[[], T]) -> T:
        try:
            return await self._call(self._base, call)
        except MountGone as error:
            raise TargetGone(error.message, hint=error.hint) from error

    def _different(self, file: ResultFile, path: str, done: int, sha256: str) -> DeliveryBroken:
        told = f"{done} of {file.size} bytes came" if done < file.size else f"more than {file.size} bytes came"
        if done == file.size:
            told = f"SHA-256 is {sha256}, Galaxy has {file.sha256}"
        return DeliveryBroken(
            f"`{path}` is not what Galaxy has: {told}; it was not delivered.",
            hint="Try again; look at the dataset in Galaxy.",
        )


def part_name(file: ResultFile, path: str) -> str:
    """Return what a result is called, beside its path, until it is whole."""
    # A later result may get the same name: it must not go on with what another one left.
    return temporary_name(path, hashlib.sha256(file.galaxy_id.encode()).hexdigest()[:6])
