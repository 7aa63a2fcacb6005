"""Sends the source files of one dataset to Galaxy over TUS, proving every byte on the way; or proves them here alone,
when Galaxy fetches them itself.

The content pass (SHA-256, gzip, FASTQ records, checksums of a manifest) runs on the very bytes that are sent: one
read per byte. A session id is stored before the first byte and is a secret. After a lost answer the server's own
offset decides; where a server would append at a wrong offset, a doubtful session is thrown away. Registering the
bytes as datasets is not done here: see `upload.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import structlog

from watcher.errors import (
    AnswerLost,
    ContentBroken,
    FileChanged,
    FileGone,
    GalaxyBroken,
    GalaxyError,
    NotThere,
    Refused,
    SessionLost,
)
from watcher.galaxy import Galaxy
from watcher.model import PlannedDataset, SourceFacts, Status
from watcher.rows import Batch, Dataset
from watcher.runs.integrity import ContentPass, kind_of
from watcher.stages.rooms import Rooms

SMALLEST_CHUNK_BYTES = 64 * 1024
NOTE_EVERY = timedelta(seconds=2)

log = structlog.get_logger("watcher")


class _SessionLost(Exception):
    """The session cannot be trusted any more: start afresh with a new one."""


@dataclass(frozen=True, slots=True)
class Source:
    """One source file of a dataset: where it lies, what it looked like when planned, and the checksums known for it."""

    root: Path
    path: str
    expect: SourceFacts
    checksums: Mapping[str, str]


class Transfer:
    """One dataset on its way into one session."""

    def __init__(
        self, rooms: Rooms, galaxy: Galaxy, batch: Batch, planned: PlannedDataset, sources: tuple[Source, ...]
    ) -> None:
        self._rooms = rooms
        self._galaxy = galaxy
        self._batch = batch
        self._planned = planned
        self._sources = sources
        self._size = sum(source.expect.size for source in sources)
        self._noted_at = rooms.clock.monotonic()
        self._slice_bytes = 0

    async def send(self, row: Dataset) -> None:
        """Send what is missing and store the proof; raises ContentBroken, FileChanged, GalaxyAway, and deletes a
        session it gives up.
        """
        for _ in range(3):
            try:
                await self._send(row)
                return
            except _SessionLost:
                row = await self._fresh(row.key)  # the session may be younger than the row we were given
                await give_up_session(self._galaxy, self._batch, row)
                await self._rooms.store.put_dataset(self._batch, row.key, session="", offset=0)
                row = await self._fresh(row.key)
        raise AnswerLost(
            f"Three upload sessions for `{row.name}` were lost.",
            hint="The watcher tries again; look at Galaxy's web log if it goes on.",
        )

    async def _fresh(self, key: str) -> Dataset:
        return next(row for row in await self._rooms.store.datasets(self._batch.id) if row.key == key)

    async def _send(self, row: Dataset) -> None:
        rooms, tus = self._rooms, self._galaxy.tus
        identity = await self._galaxy.known_identity()
        chunk_bytes = min(identity.chunk_bytes, rooms.settings.limits.chunk_bytes or identity.chunk_bytes)
        self._slice_bytes = self._slice_bytes or chunk_bytes
        session, offset = row.session, 0
        if session:
            known = await tus.settled_offset(session, self._rooms.clock)
            if known is None or known > self._size:
                raise _SessionLost
            offset = known
        else:
            rooms.effects.reach("upload.session.intent")
            session = await tus.create(self._size, self._planned.name)
            rooms.effects.reach("upload.session.act")
            await rooms.store.put_dataset(self._batch, row.key, session=session, offset=0, status=Status.WORKING)
            rooms.effects.reach("upload.session.receipt")
        rooms.effects.reach("upload.bytes.intent")
        first = self._sources[0]
        content = ContentPass(
            first.path, kind_of(first.path), first.checksums, has_core_left=rooms.reader.has_core_left
        )
        try:
            await self._read_and_send(session, offset, content, chunk_bytes)
            for source in self._sources:  # a file may change after its last byte was read and before it was there
                await rooms.reader.inspect_prefix(source.root, source.path, 0, content.feed, expect=source.expect)
            facts = content.finish()
        except (ContentBroken, FileChanged, FileGone):
            await tus.delete(session)
            await rooms.store.put_dataset(self._batch, row.key, session="", offset=0)
            raise
        rooms.progress.sent(self._batch.id, row.key, self._size)
        await rooms.store.put_dataset(
            self._batch,
            row.key,
            offset=self._size,
            sha256=facts.sha256,
            records=facts.records,
            sent_at=rooms.clock.now(),
        )
        rooms.effects.reach("upload.bytes.receipt")

    async def _read_and_send(self, session: str, offset: int, content: ContentPass, chunk_bytes: int) -> None:
        start = 0
        for number, source in enumerate(self._sources):
            if number:
                content.next_part(source.checksums, source.path)
            skip = min(max(offset - start, 0), source.expect.size)
            if skip:  # the prefix is with Galaxy already; it is read once more for the checksums alone
                await self._rooms.reader.inspect_prefix(
                    source.root, source.path, skip, content.feed, expect=source.expect
                )
            chunks = self._rooms.reader.chunks(
                source.root,
                source.path,
                offset=skip,
                chunk_bytes=chunk_bytes,
                inspect=content.feed,
                expect=source.expect,
            )
            at = start + skip
            async with contextlib.aclosing(chunks):
                async for chunk in chunks:
                    await self._galaxy.known_identity()  # sessions ask for no key: prove ours every ten minutes
                    at = await self._send_chunk(session, at, chunk)
                    del chunk  # else it stays in memory while the next one is read
                    await self._note(at)
            start += source.expect.size

    async def _send_chunk(self, session: str, offset: int, chunk: bytes) -> int:
        """Send one chunk, in slices when a proxy wants smaller bodies; return the offset behind it."""
        sent = 0
        while sent < len(chunk):
            piece = chunk[sent : sent + self._slice_bytes] if sent or len(chunk) > self._slice_bytes else chunk
            try:
                reached = await self._galaxy.tus.send(session, offset + sent, piece)
            except Refused as error:
                if error.status == 409:  # not where we think: the server knows better, and checks
                    raise _SessionLost from error
                if error.status != 413 or self._slice_bytes <= SMALLEST_CHUNK_BYTES:
                    raise
                self._slice_bytes //= 2
                continue
            except NotThere as error:
                raise _SessionLost from error
            except GalaxyBroken as error:
                if error.status is None or error.status >= 300:
                    raise
                # Taken, but the session holds something else than we sent: an older request came after all.
                raise _SessionLost from error
            except AnswerLost:
                reached = await self._offset_after_lost_answer(session, offset + sent, len(piece))
            self._rooms.effects.reach("upload.bytes.act")
            sent = reached - offset
        return offset + sent

    async def _offset_after_lost_answer(self, session: str, before: int, length: int) -> int:
        reached = await self._galaxy.tus.settled_offset(session, self._rooms.clock)
        identity = await self._galaxy.known_identity()
        if reached is None or not before <= reached <= before + length:
            raise _SessionLost
        if reached < before + length and not identity.features.tus_checks_offset:
            # Such a server may still append the lost request behind what we send now: a corrupt file.
            raise _SessionLost
        return reached

    async def _note(self, offset: int) -> None:
        self._rooms.progress.sent(self._batch.id, self._planned.key, offset)
        now = self._rooms.clock.monotonic()
        if now - self._noted_at >= NOTE_EVERY.total_seconds():
            self._noted_at = now
            await self._rooms.store.put_dataset(self._batch, self._planned.key, offset=offset)


async def give_up_session(galaxy: Galaxy, batch: Batch, row: Dataset) -> None:
    """Delete a session before it is forgotten, or its bytes would stay where nobody knows them.

    Only tried: why the session is given up is what counts, and what keeps us from deleting it shows by itself.
    """
    if row.session:
        try:
            await galaxy.tus.delete(row.session)
        except GalaxyError as error:
            log.warning("session.not_deleted", batch=batch.id, dataset=row.name, reason=error.message)


async def prove_here(
    rooms: Rooms, batch: Batch, planned: PlannedDataset, sources: tuple[Source, ...], *, is_read: bool
) -> None:
    """See that files whose bytes are not sent are still those that were planned, and read them through once when
    `is_read`; store the proof. Raises ContentBroken, FileChanged, FileGone.
    """
    if not is_read:  # asked again after a restart: there is nothing to store
        for source in sources:
            await rooms.reader.inspect_prefix(source.root, source.path, 0, _nothing, expect=source.expect)
        return
    first = sources[0]
    content = ContentPass(first.path, kind_of(first.path), first.checksums, has_core_left=rooms.reader.has_core_left)
    for source in sources:
        size = source.expect.size
        await rooms.reader.inspect_prefix(source.root, source.path, size, content.feed, expect=source.expect)
    facts = content.finish()
    await rooms.store.put_dataset(
        batch, planned.key, sha256=facts.sha256, records=facts.records, sent_at=rooms.clock.now()
    )


def _nothing(_: bytes) -> None:
    """Look at no byte."""


async def offsets_of(galaxy: Galaxy, rows: Sequence[Dataset]) -> list[int | None]:
    """Return how many bytes each session holds, to be asked right before they are registered: Galaxy takes half a file
    too.
    """
    return await asyncio.gather(*(galaxy.tus.offset(row.session) for row in rows))


async def refuse_cut_sessions(
    rooms: Rooms, galaxy: Galaxy, batch: Batch, rows: Sequence[Dataset], offsets: Sequence[int | None]
) -> None:
    """Give up sessions that are gone, or were cut by the server, and raise SessionLost: only a fresh one can be
    trusted.
    """
    cut = [row for row, offset in zip(rows, offsets, strict=True) if offset != row.size]
    for row in cut:
        await give_up_session(galaxy, batch, row)
        await rooms.store.put_dataset(batch, row.key, session="", offset=0, sent_at=None)
    if cut:
        raise SessionLost(f"{len(cut)} upload sessions of batch {batch.id} are not whole; sending them again.")
