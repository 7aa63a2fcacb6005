"""Sends the source files of one dataset to Galaxy over TUS, proving every byte on the way; or proves them here alone,
when Galaxy fetches them itself.

The content pass (SHA-256, gzip, FASTQ records, checksums of a manifest) runs on the very bytes that are sent: one
read per byte. A session id is stored before the first byte and is a secret. After a lost answer the server's own
offset decides; a session into which a lost request may still write is thrown away. Whether one may is in the row, so
that a sudden death makes no second writer. Registering the bytes as datasets is not done here: see `upload.py`. At each
chunk somebody else may get the transfer slot (`slots.py`); the file stays open meanwhile, and goes on where it was.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import structlog

from watcher.errors import (
    AnswerLost,
    ContentBroken,
    FileChanged,
    FileGone,
    GalaxyBroken,
    GalaxyBusy,
    GalaxyError,
    LineCut,
    NotThere,
    Refused,
    SessionLost,
    StateError,
)
from watcher.galaxy import Galaxy
from watcher.galaxy.tus import READING_PAUSE_S
from watcher.model import Kind, PlannedDataset, SourceFacts, Status
from watcher.rows import Batch, Dataset
from watcher.runs.integrity import ContentPass, kind_of
from watcher.stages.pace import Pace
from watcher.stages.rooms import Rooms
from watcher.stages.slots import Slot

T = TypeVar("T")

STILL_AT_WORK_S = 60.0
"""How long a request that a proxy gave up, or that we gave up, may still bring its bytes."""

FEW_PARTS = 8
"""What so many requests bring is sent again sooner than waited for."""

MAY_STILL_WRITE = "a request without an answer may still write into it"

NOTE_EVERY = timedelta(seconds=2)

log = structlog.get_logger("watcher")


class _SessionLost(Exception):
    """The session cannot be trusted any more: start afresh with a new one. Its text says why."""


@dataclass(frozen=True, slots=True)
class Source:
    """One source file of a dataset: where it lies, what it looked like when planned, and the checksums known for it."""

    root: Path
    path: str
    expect: SourceFacts
    checksums: Mapping[str, str]


class Transfer:
    """One dataset on its way into one session, with a slot that it holds and a pace that it keeps to."""

    def __init__(
        self,
        rooms: Rooms,
        galaxy: Galaxy,
        batch: Batch,
        planned: PlannedDataset,
        sources: tuple[Source, ...],
        slot: Slot,
        pace: Pace,
    ) -> None:
        self._rooms = rooms
        self._galaxy = galaxy
        self._batch = batch
        self._planned = planned
        self._sources = sources
        self._size = sum(source.expect.size for source in sources)
        self._noted_at = rooms.clock.monotonic()
        self._gone_on_at = ("", -1)
        self._reached = 0  # what the session is known to hold
        self._is_under_way = True  # a request to the session whose end nobody has seen
        self._slot = slot
        self._pace = pace

    async def send(self, row: Dataset) -> None:
        """Send what is missing and store the proof; raises ContentBroken, FileChanged, GalaxyAway, OutsideHours, and
        deletes a session it gives up.
        """
        for _ in range(3):
            try:
                await self._send(row)
                return
            except _SessionLost as lost:
                row = await self._fresh(row.key)  # the session may be younger than the row we were given
                log.warning(
                    "session.given_up",
                    batch=self._batch.id,
                    dataset=row.name,
                    reason=str(lost),
                    bytes_sent_again=self._reached,
                )
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
        identity = await self._patiently(self._galaxy.known_identity)
        limits = (rooms.settings.limits.chunk_bytes, tus.largest_bytes, self._pace.piece_bytes)
        chunk_bytes = min([identity.chunk_bytes, *filter(None, limits)])
        session, offset = row.session, 0
        if session:
            offset = await self._where_to_go_on(row, chunk_bytes)
            await self._keep(offset=offset, quiet_at=None, doubt_end=None)
        else:
            rooms.effects.reach("upload.session.intent")
            session = await self._patiently(lambda: tus.create(self._size, self._planned.name))
            rooms.effects.reach("upload.session.act")
            await self._keep(session=session, offset=0, quiet_at=None, doubt_end=None, status=Status.WORKING)
            rooms.effects.reach("upload.session.receipt")
        self._reached, self._is_under_way = offset, False
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
            await self._patiently(lambda: tus.delete(session))
            await self._keep(session="", offset=0)
            raise
        except _SessionLost:
            raise
        except BaseException:
            await self._leave()
            raise
        rooms.progress.sent(self._batch.id, row.key, self._size)
        now = rooms.clock.now()
        await self._keep(offset=self._size, sha256=facts.sha256, records=facts.records, sent_at=now, quiet_at=now)
        rooms.effects.reach("upload.bytes.receipt")

    async def _where_to_go_on(self, row: Dataset, chunk_bytes: int) -> int:
        """Return the offset of a session that was there before, once nobody else can write to it; else it is lost.

        Whoever wrote to it may have died, or been stopped, with a request under way that Galaxy still carries out.
        """
        tus, session = self._galaxy.tus, row.session
        known = await self._patiently(lambda: tus.offset(session))
        has_ended = row.quiet_at is not None or known in (row.doubt_end, self._size)
        if not has_ended and known is not None and known > FEW_PARTS * chunk_bytes:
            log.info("session.doubted", batch=self._batch.id, dataset=row.name, seconds=STILL_AT_WORK_S)
            async with self._slot.away():
                known = await self._patiently(
                    lambda: tus.settled_offset(session, self._rooms.clock, still_s=STILL_AT_WORK_S)
                )
            self._pace.refuse_outside_hours()
            has_ended = row.doubt_end in (None, known)
        self._reached = known or 0
        if known is None or known > self._size:
            raise _SessionLost("Galaxy does not have it any more" if known is None else "it holds more than was sent")
        if not has_ended:
            raise _SessionLost(MAY_STILL_WRITE)
        return known

    async def _leave(self) -> None:
        """Note that nothing is under way into the session, where that is so: whoever goes on need not wait."""
        if not self._is_under_way:
            with contextlib.suppress(StateError):  # then it is waited for in vain
                await self._keep(quiet_at=self._rooms.clock.now())

    async def _keep(self, **values: Any) -> None:
        await self._rooms.store.put_dataset(self._batch, self._planned.key, **values)

    async def _read_and_send(self, session: str, offset: int, content: ContentPass, chunk_bytes: int) -> None:
        start = 0
        for number, source in enumerate(self._sources):
            if number:
                content.next_part(source.checksums, source.path)
                if self.wanted():
                    await self.rest()
            skip = min(max(offset - start, 0), source.expect.size)
            if skip:  # the prefix is with Galaxy already; it is read once more for the checksums alone
                async with self._slot.away():
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
                pauses=self,
            )
            at = start + skip
            async with contextlib.aclosing(chunks):
                async for chunk in chunks:
                    await self._patiently(
                        self._galaxy.known_identity
                    )  # sessions ask for no key: prove ours every ten minutes
                    at = await self._send_chunk(session, at, chunk)
                    del chunk  # else it stays in memory while the next one is read
                    await self._note(at)
            start += source.expect.size

    def wanted(self) -> bool:
        """Tell whether the slot is wanted elsewhere, or the hours are over: then the file rests after this chunk."""
        return self._slot.is_wanted or not self._pace.is_open

    async def rest(self) -> None:
        """Return when the slot is ours again; raises OutsideHours when the hours are over."""
        self._pace.refuse_outside_hours()
        await self._slot.give_way()
        self._pace.refuse_outside_hours()

    async def _send_chunk(self, session: str, offset: int, chunk: bytes) -> int:
        """Send one chunk, in pieces when a proxy or the bandwidth wants smaller bodies; return the offset behind it."""
        sent, tus = 0, self._galaxy.tus
        while sent < len(chunk):
            most = min(tus.largest_bytes or len(chunk), self._pace.piece_bytes or len(chunk))
            piece = chunk[sent : sent + most] if sent or len(chunk) > most else chunk
            before = offset + sent
            await self._pace.before_sending(self._slot, len(piece))
            self._is_under_way = True
            try:
                reached = await tus.send(session, before, piece)
            except AnswerLost as lost:
                reached = await self._offset_after_lost_answer(session, before, len(piece), lost)
            except GalaxyError as error:
                self._is_under_way = isinstance(error, GalaxyBroken)  # a 500 may be a proxy's own; else it has ended
                await self._hear_refusal(session, before, len(piece), error)
                continue
            self._is_under_way, self._reached = False, reached
            self._rooms.effects.reach("upload.bytes.act")
            self._slot.moved(reached - before)
            sent = reached - offset
        return offset + sent

    async def _hear_refusal(self, session: str, before: int, length: int, error: GalaxyError) -> None:
        """Return when a piece that Galaxy surely did not take can be sent again; raises where it cannot."""
        if isinstance(error, GalaxyBusy):  # surely not taken; yet nothing is sent again without asking
            await self._pace.leave_alone(self._slot, error.retry_after_s)
            if await self._patiently(lambda: self._galaxy.tus.offset(session)) != before:
                raise _SessionLost("it moved while Galaxy asked to be left alone") from error
        elif isinstance(error, NotThere):
            raise _SessionLost("Galaxy does not have it any more") from error
        elif isinstance(error, Refused) and error.status == 409:  # the server knows better, and checks
            raise _SessionLost("it does not end where we think") from error
        elif isinstance(error, GalaxyBroken) and error.status is not None and error.status < 300:
            # Taken, but the session holds something else than we sent: an older request came after all.
            raise _SessionLost("it holds something else than was sent") from error
        elif not (isinstance(error, Refused) and error.status == 413 and self._galaxy.tus.learn_too_large(length)):
            raise error

    async def _patiently(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask as often as the server says that it is busy, each time after it had its rest."""
        while True:
            try:
                return await ask()
            except GalaxyBusy as busy:
                await self._pace.leave_alone(self._slot, busy.retry_after_s)

    async def _offset_after_lost_answer(self, session: str, before: int, length: int, lost: AnswerLost) -> int:
        """Return where to go on in the session, once nobody else can write to it; else the session is lost.

        A proxy that gave up (504), or a time limit of ours that passed, says nothing of the server, which may go on
        with the request. Its offset stands still until a request ends: only an offset that has moved proves the end.
        """
        tus, clock = self._galaxy.tus, self._rooms.clock
        checks = (await self._patiently(self._galaxy.features)).tus_checks_offset
        goes_on = not isinstance(lost, LineCut) and lost.status in (None, 408, 504)
        is_doubtful = goes_on or not checks
        if is_doubtful:  # also when Galaxy is away now, or we die, and somebody comes back later
            await self._keep(doubt_end=before + length)
        reached = await self._patiently(lambda: tus.settled_offset(session, clock))
        deadline = clock.monotonic() + STILL_AT_WORK_S
        while goes_on and reached == before and clock.monotonic() < deadline:
            await clock.sleep(READING_PAUSE_S)
            reached = await self._patiently(lambda: tus.offset(session))
        if reached != before + length:
            if goes_on or isinstance(lost, LineCut):
                tus.learn_cut(length)
            if reached is None or not before <= reached <= before + length or not checks:
                # A server that does not check may still append the lost request behind what we send now: a corrupt
                # file.
                raise _SessionLost(MAY_STILL_WRITE) from lost
            if reached == before and (goes_on or self._gone_on_at == (session, before)):
                raise _SessionLost(MAY_STILL_WRITE) from lost
            self._gone_on_at = (session, before)
        if is_doubtful:
            await self._keep(doubt_end=None)
        return reached

    async def _note(self, offset: int) -> None:
        self._rooms.progress.sent(self._batch.id, self._planned.key, offset)
        now = self._rooms.clock.monotonic()
        if now - self._noted_at >= NOTE_EVERY.total_seconds():
            self._noted_at = now
            await self._keep(offset=offset)


async def sources_of(batch: Batch, rooms: Rooms) -> dict[str, tuple[Source, ...]]:
    """Return for each planned dataset its source files as they looked when they were planned."""
    plan, root = batch.plan, Path(batch.plan.path)
    unit = await rooms.store.unit(batch.unit_id)
    seen = {row.path: row for row in await rooms.store.source_files(batch.unit_id)}
    checksums: Mapping[str, Mapping[str, str]] = (unit.more.get("checksums") or {}) if unit else {}

    def source(path: str) -> Source:
        row = seen.get(path)
        if row is None:
            raise FileGone(
                f"`{path}` of batch {batch.id} is not known any more.",
                hint=f"`galaxy-watcher retry {batch.unit_id} --from settle`",
                files=(path,),
            )
        facts = SourceFacts(path, Kind.FILE, row.size, row.mtime_ns, row.ctime_ns, row.inode)
        return Source(root, path, facts, checksums.get(path, {}))

    return {planned.key: tuple(source(path) for path in planned.sources) for planned in plan.datasets}


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
