"""Reads back what Galaxy has of a file, where no server verified its SHA-256: all of it, or a sample.

A sample is the first and the last bytes and some in between, one request for each, compared with the file as it lay
there when it was sent. Where that file is not there any more in that state, all of the dataset is read back instead:
its SHA-256 is known since it was sent. Nothing is written, in Galaxy or here, so that doing it again is harmless. Which
datasets are read back, and what becomes of one that differs, is said in `dataset_checks.py` and `item_checks.py`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass

import structlog

from watcher.errors import FileChanged, FileGone, GalaxyAway
from watcher.galaxy import Galaxy
from watcher.model import DatasetId, LibraryItemId
from watcher.results import SAMPLE, SHA256, SIZE
from watcher.rows import Batch, Dataset
from watcher.stages.effects import together
from watcher.stages.rooms import Rooms
from watcher.stages.slots import Line
from watcher.stages.transfer import Source, sources_of

SAMPLE_BYTES = 64 * 1024
SAMPLES = 6
"""Requests per dataset: first, last, and four in between."""

log = structlog.get_logger("watcher")


@dataclass(frozen=True, slots=True)
class ReadBack:
    """How far a dataset is checked now; or, with `difference`, what is other than in the file."""

    checked: str
    difference: str = ""


def samples(size: int, seed: str) -> list[tuple[int, int]]:
    """Return offset and length of each part to compare; `seed`, a hash in hex, moves those in the middle.

    They never overlap. What is not larger than all of them together is one part.
    """
    if size <= SAMPLES * SAMPLE_BYTES:
        return [(0, size)] if size else []
    first, last, between = 0, size - SAMPLE_BYTES, SAMPLES - 2
    stretch = (last - SAMPLE_BYTES) // between
    offsets = [first]
    for number in range(between):
        chosen = int(hashlib.sha256(f"{seed}:{number}".encode()).hexdigest()[:16], 16)
        offsets.append(SAMPLE_BYTES + number * stretch + chosen % (stretch - SAMPLE_BYTES + 1))
    return [(offset, SAMPLE_BYTES) for offset in (*offsets, last)]


@dataclass(frozen=True, slots=True)
class Shown:
    """What Galaxy has of a file: a dataset of a history, or the version that an item of a library shows."""

    row: Dataset
    dataset: DatasetId
    item: LibraryItemId | None = None

    @property
    def in_library(self) -> bool:
        """Whether it is an item's."""
        return self.item is not None


async def read_back_all(
    batch: Batch,
    rooms: Rooms,
    galaxy: Galaxy,
    shown: Iterable[Shown],
    note: Callable[[Dataset, ReadBack], Awaitable[None]],
) -> None:
    """Compare what is `ok` and of the right size with its files, as the plan says; each takes the slot of a transfer.

    `note` is called as soon as one is compared. Raises GalaxyAway and what else reading from Galaxy raises, MountGone
    and DiskError; do it again from the start.
    """
    all_shown = list(shown)
    sources = await sources_of(batch, rooms)

    async def compare(one: Shown, line: Line) -> None:
        async with line.slot():
            found = await _read_back(rooms, galaxy, one, sources[one.row.key], batch.plan.readback)
        await note(one.row, found)

    left_bytes = sum(one.row.size for one in all_shown)
    plan = batch.plan
    with rooms.slots.line(batch.id, plan.watch, plan.galaxy, priority=plan.priority, left_bytes=left_bytes) as line:
        await together(compare(one, line) for one in all_shown)


async def _read_back(rooms: Rooms, galaxy: Galaxy, one: Shown, sources: Sequence[Source], how: str) -> ReadBack:
    if one.item is not None and not (await galaxy.features()).shows_library_files:
        return await _downloaded(galaxy, one, one.item)
    if how == "sample" or not one.row.sha256:  # of what we did not read there is no hash: only parts can be compared
        try:
            return await _sampled(rooms, galaxy, one, sources)
        except (FileChanged, FileGone) as error:
            if not one.row.sha256:
                raise
            log.info("dataset.not_sampled", dataset=one.row.name, reason=error.message)
    return await _whole(galaxy, one)


async def _sampled(rooms: Rooms, galaxy: Galaxy, one: Shown, sources: Sequence[Source]) -> ReadBack:
    for offset, length in samples(one.row.size, one.row.sha256):
        ours = await _of_sources(rooms, sources, offset, length)
        if await galaxy.datasets.part(one.dataset, offset, length, in_library=one.in_library) != ours:
            return ReadBack("", f"Galaxy gives back other bytes than the file's between {offset} and {offset + length}")
    return ReadBack(SAMPLE)


async def _of_sources(rooms: Rooms, sources: Sequence[Source], offset: int, length: int) -> bytes:
    """Return a part of the dataset as its files hold it, put end to end."""
    parts, start = [], 0
    for source in sources:
        begin, end = max(offset - start, 0), min(offset + length - start, source.expect.size)
        if begin < end:
            parts.append(await rooms.reader.part(source.root, source.path, begin, end - begin, expect=source.expect))
        start += source.expect.size
    return b"".join(parts)


async def _whole(galaxy: Galaxy, one: Shown) -> ReadBack:
    """Read all of it, going on where a connection broke for as long as each one brings something."""
    digest, at = hashlib.sha256(), 0
    while True:
        began_at = at
        try:
            async with galaxy.datasets.open(one.dataset, offset=at, in_library=one.in_library) as pieces:
                async for piece in pieces:
                    digest.update(piece)
                    at += len(piece)
            break
        except GalaxyAway:
            if at == began_at:
                raise
    return _compared(one, at, digest.hexdigest())


async def _downloaded(galaxy: Galaxy, one: Shown, item: LibraryItemId) -> ReadBack:
    """Read all of an item of a server that gives no parts; without a hash of ours there is nothing to compare."""
    if not one.row.sha256:
        return ReadBack(SIZE)
    digest, at = hashlib.sha256(), 0
    async with galaxy.libraries.open(item) as pieces:
        async for piece in pieces:
            digest.update(piece)
            at += len(piece)
    return _compared(one, at, digest.hexdigest())


def _compared(one: Shown, at: int, sha256: str) -> ReadBack:
    if (at, sha256) != (one.row.size, one.row.sha256):
        how = "with another SHA-256" if at == one.row.size else f"{at} instead of {one.row.size}"
        return ReadBack("", f"Galaxy gives back other bytes than the file's, {how}")
    return ReadBack(SHA256)
