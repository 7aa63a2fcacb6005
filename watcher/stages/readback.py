"""Reads back what Galaxy has of a file, where no server verified its SHA-256: all of it, or a sample.

A sample is the first and the last bytes and some in between, one request for each, compared with the file as it lay
there when it was sent. Where that file is not there any more in that state, all of the dataset is read back instead:
its SHA-256 is known since it was sent. Nothing is written, in Galaxy or here, so that doing it again is harmless. Which
datasets are read back, and what becomes of one that differs, is said in `upload.py`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from watcher.errors import FileChanged, FileGone, GalaxyAway
from watcher.galaxy import Galaxy
from watcher.model import SAMPLE, SHA256, DatasetId
from watcher.rows import Dataset
from watcher.stages.rooms import Rooms
from watcher.stages.transfer import Source

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


async def read_back(rooms: Rooms, galaxy: Galaxy, row: Dataset, sources: Sequence[Source], how: str) -> ReadBack:
    """Compare a dataset that is `ok` and of the right size with what was sent; `how` is sample or full.

    Raises GalaxyAway and what else reading from Galaxy raises, MountGone and DiskError; do it again from the start.
    """
    if how == "sample":
        try:
            return await _sampled(rooms, galaxy, row, sources)
        except (FileChanged, FileGone) as error:
            log.info("dataset.not_sampled", dataset=row.name, reason=error.message)
    return await _whole(galaxy, row)


async def _sampled(rooms: Rooms, galaxy: Galaxy, row: Dataset, sources: Sequence[Source]) -> ReadBack:
    for offset, length in samples(row.size, row.sha256):
        ours = await _of_sources(rooms, sources, offset, length)
        if await galaxy.datasets.part(DatasetId(row.galaxy_id), offset, length) != ours:
            return ReadBack("", f"Galaxy gives back other bytes than were sent, between {offset} and {offset + length}")
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


async def _whole(galaxy: Galaxy, row: Dataset) -> ReadBack:
    """Read all of it, going on where a connection broke for as long as each one brings something."""
    digest, at = hashlib.sha256(), 0
    while True:
        began_at = at
        try:
            async with galaxy.datasets.open(DatasetId(row.galaxy_id), offset=at) as pieces:
                async for piece in pieces:
                    digest.update(piece)
                    at += len(piece)
            break
        except GalaxyAway:
            if at == began_at:
                raise
    if (at, digest.hexdigest()) != (row.size, row.sha256):
        return ReadBack("", f"Galaxy gives back other bytes than were sent, {at} of {row.size}")
    return ReadBack(SHA256)
