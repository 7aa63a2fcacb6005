"""The content pass: what is learnt from the bytes of a source file while they are being sent, one read per byte.

SHA-256, the checksums of a manifest, gzip (`inflate.py`) and bzip2 (`bzip2.py`) to their ends, whole FASTQ records
(`fastq_records.py`, `fastq_lines.py`).
Constant memory. Large chunks are worked on by two threads (`beside.py`): while one hashes and counts lines, the other
goes on inflating; each piece of work that takes long releases the GIL or is short. Nothing is known of Galaxy, offsets
or files: chunks in, facts out. Looks without reading through are in `structure.py`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from isal import isal_zlib

from watcher.errors import ContentBroken
from watcher.runs.beside import Beside
from watcher.runs.bzip2 import Bzip2Streams
from watcher.runs.fastq_lines import FastqLines
from watcher.runs.fastq_records import FastqRecords
from watcher.runs.inflate import COPY_AGAIN, Block, GzipMembers, texts_of

ALGORITHMS = ("md5", "sha1", "sha224", "sha256", "sha384", "sha512", "crc32")
"""The checksums a manifest may give."""

BAM_START = b"BAM\x01"

_BESIDE_BYTES = 256 * 1024  # below that a second thread costs more than it brings
_PORTION_BYTES = 512 * 1024  # of text: work of less than a millisecond, and little to hold in memory
_USUAL_RATIO = 4  # of text to what it is packed into
_HASHED_BYTES = 256 * 1024  # of the chunk with each portion: hashing is through before inflating is


@dataclass(frozen=True, slots=True)
class PartFacts:
    """One source file of a dataset; `records` is None where nothing is counted."""

    name: str
    size: int
    sha256: str
    records: int | None = None


@dataclass(frozen=True, slots=True)
class ContentFacts:
    """What was sent: SHA-256 of the bytes as sent; FASTQ records, None = not counted; `gzip`, `bgzf`, `bzip2` or
    nothing.
    """

    size: int
    sha256: str
    records: int | None = None
    gzip: str = ""
    parts: tuple[PartFacts, ...] = ()


def kind_of(name: str) -> str:
    """Return how a file of this name is read through: `fastq.gz`, `fastq.bz2`, `fastq`, `gz`, `bz2`, `bam` or `plain`
    (hashed only).
    """
    low = name.lower()
    if low.endswith((".fastq.gz", ".fq.gz", ".fastq.bgz", ".fq.bgz")):
        return "fastq.gz"
    if low.endswith((".gz", ".bgz")):
        return "gz"
    if low.endswith(".bz2"):
        return "fastq.bz2" if low.endswith((".fastq.bz2", ".fq.bz2")) else "bz2"
    if low.endswith((".fastq", ".fq")):
        return "fastq"
    return "bam" if low.endswith(".bam") else "plain"


def check_pair(first: ContentFacts, second: ContentFacts, names: Sequence[str]) -> None:
    """Raise ContentBroken when two reads of a sample differ in their number of records; not counted proves nothing."""
    if first.records is None or second.records is None or first.records == second.records:
        return
    raise ContentBroken(
        f"`{names[0]}` holds {first.records} records, its partner `{names[1]}` {second.records}.",
        hint="One of the two is not complete: " + COPY_AGAIN[0].lower() + COPY_AGAIN[1:],
        files=tuple(names),
    )


class _Digest(Protocol):
    def update(self, chunk: bytes | memoryview, /) -> None: ...
    def hexdigest(self) -> str: ...


class _Crc32:
    """CRC-32 in the shape of a hashlib object; eight hex digits."""

    def __init__(self) -> None:
        self._value = 0

    def update(self, chunk: bytes | memoryview, /) -> None:
        self._value = isal_zlib.crc32(chunk, self._value)

    def hexdigest(self) -> str:
        return f"{self._value:08x}"


def _digest(algorithm: str) -> _Digest:
    if algorithm not in ALGORITHMS:
        raise ValueError(f"no checksum is called {algorithm!r}")
    return _Crc32() if algorithm == "crc32" else hashlib.new(algorithm, usedforsecurity=False)


class _Stretch(Protocol):
    def look(self, part: bytes, /) -> None: ...


class _Records(Protocol):
    """Counts and checks records; `join` takes, in order, the stretches that its own `stretch` made."""

    @property
    def records(self) -> int: ...
    def stretch(self) -> _Stretch: ...
    def join(self, stretch: Any, /) -> None: ...
    def check(self) -> None: ...
    def finish(self, *, goes_on: bool = False) -> None: ...


def _records(name: str, kind: str) -> _Records | None:
    """Return what looks at the records: quickly where packing vouches for the text, at each where nothing does."""
    if kind == "fastq":
        return FastqRecords(name)
    return FastqLines(name) if kind in ("fastq.gz", "fastq.bz2") else None


@dataclass(slots=True)
class _Seen:
    """What was found in a portion, up to the error that ended the looking."""

    stretch: _Stretch | None
    start: bytes = b""
    error: ContentBroken | None = None


def _texts(portion: Iterable[bytes | Block]) -> Iterator[bytes]:
    """Yield what is inside, blocks that follow each other all at once."""
    blocks: list[Block] = []
    for piece in portion:
        if isinstance(piece, Block):
            blocks.append(piece)
            continue
        yield from texts_of(blocks)
        blocks.clear()
        yield piece
    yield from texts_of(blocks)


def _see(portion: Iterable[bytes | Block], stretch: _Stretch | None) -> _Seen:
    """Look at a portion by itself, in any thread."""
    seen = _Seen(stretch)
    try:
        for part in _texts(portion):
            if len(seen.start) < len(BAM_START):
                seen.start += part[: len(BAM_START) - len(seen.start)]
            if stretch is not None:
                stretch.look(part)
    except ContentBroken as error:
        seen.error = error
    return seen


def _members(name: str, kind: str) -> GzipMembers | Bzip2Streams | None:
    if kind in ("fastq.gz", "gz", "bam"):
        return GzipMembers(name)
    return Bzip2Streams(name) if kind in ("fastq.bz2", "bz2") else None


class _Part:
    """One source file on its way through: its checksums, its inflater, its records."""

    def __init__(self, name: str, kind: str, expect: Mapping[str, str], *, own_sha256: bool) -> None:
        self.name = name
        self.size = 0
        self.expect = {algorithm.lower(): value.lower() for algorithm, value in expect.items()}
        wanted = {*self.expect, "sha256"} if own_sha256 else set(self.expect) - {"sha256"}
        self.digests = {algorithm: _digest(algorithm) for algorithm in sorted(wanted)}
        self.members = _members(name, kind)
        self.records = _records(name, kind)
        self.start_wanted = BAM_START if kind == "bam" else b""
        self.start = b""

    def portions(self, chunk: bytes) -> Iterator[list[bytes | Block]]:
        """Yield what is inside the chunk; before an error, what came before it."""
        portion: list[bytes | Block] = []
        size = 0
        slices: Iterator[bytes | Block] = self.members.slices(chunk) if self.members else _cut(chunk)
        while True:
            try:
                piece = next(slices, None)
            except ContentBroken:
                yield portion
                raise
            if piece is None:
                break
            portion.append(piece)
            size += len(piece.packed) * _USUAL_RATIO if isinstance(piece, Block) else len(piece)
            if size >= _PORTION_BYTES:
                yield portion
                portion, size = [], 0
        yield portion

    def looking(self, portion: list[bytes | Block]) -> Callable[[], _Seen]:
        """Return the work that a portion makes."""
        return partial(_see, portion, self.records.stretch() if self.records is not None else None)

    def take(self, seen: _Seen) -> None:
        """Take what was seen in the portion that follows."""
        if len(self.start) < len(self.start_wanted):
            self.start += seen.start[: len(self.start_wanted) - len(self.start)]
        if self.records is not None:
            self.records.join(seen.stretch)
        if seen.error is not None:
            raise seen.error


def _cut(text: bytes) -> Iterator[bytes]:
    return (text[at : at + _PORTION_BYTES] for at in range(0, len(text), _PORTION_BYTES))


class ContentPass:
    """Reads one dataset through: `feed` chunk by chunk, `next_part` between joined source files, `finish` once.

    A second thread helps while `has_core_left` says so: as many files at once as there are cores keep them all busy
    with one thread each, more threads would only take the interpreter's lock from one another. Raises ContentBroken,
    naming the file and the place, as soon as something is wrong; after that the pass is of no use any more.
    """

    def __init__(
        self,
        name: str,
        kind: str,
        expect: Mapping[str, str] | None = None,
        *,
        has_core_left: Callable[[], bool] = lambda: True,
    ) -> None:
        self._name = name
        self._kind = kind
        self._sha256 = hashlib.sha256(usedforsecurity=False)
        self._size = 0
        self._done: list[PartFacts] = []
        self._forms: list[str] = []
        # The first part's SHA-256 is the whole's so far: hashed once.
        self._part = _Part(name, kind, expect or {}, own_sha256=False)
        self._beside: Beside | None = None
        self._has_core_left = has_core_left

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes, in a thread that may compute; returns when all is known about them."""
        self._size += len(chunk)
        self._part.size += len(chunk)
        part = self._part
        if self._kind == "plain":
            self._hash(chunk)
        elif len(chunk) >= _BESIDE_BYTES and self._has_core_left():
            self._beside = self._beside or Beside("content")
            self._feed_both(chunk, self._beside)
        else:
            self._hash(chunk)
            for portion in part.portions(chunk):
                part.take(part.looking(portion)())
        if part.records is not None:
            part.records.check()

    def next_part(self, expect: Mapping[str, str] | None = None, name: str = "") -> None:
        """End one source file and begin the next, which is joined to it; `expect` and `name` are the next one's."""
        self._end_part(goes_on=True)
        self._part = _Part(name or self._name, self._kind, expect or {}, own_sha256=True)

    def finish(self) -> ContentFacts:
        """Return what is known of the whole."""
        self._end_part(goes_on=False)
        if self._beside is not None:
            self._beside.close()
        counts = [part.records for part in self._done if part.records is not None]
        forms = set(self._forms)
        form = forms.pop() if len(forms) == 1 else "gzip" if forms else ""
        records = sum(counts) if len(counts) == len(self._done) else None
        return ContentFacts(self._size, self._sha256.hexdigest(), records, form, tuple(self._done))

    def _feed_both(self, chunk: bytes, beside: Beside) -> None:
        """Hash and look, in two threads; hashing keeps to the other one, piece by piece between the portions."""
        part, left = self._part, memoryview(chunk)
        step = _HASHED_BYTES if part.members else len(chunk)
        try:
            for portion in part.portions(chunk):
                if beside.has_room:
                    beside.give(partial(self._hash_and_look, left[:step], part.looking(portion)), part.take)
                    left = left[step:]
                else:
                    beside.work_here(part.looking(portion), part.take)
        finally:
            beside.give(partial(self._hash, left), _nothing)
            beside.catch_up()  # what is wrong before the place where inflating broke off comes first

    def _hash_and_look(self, piece: memoryview, look: Callable[[], _Seen]) -> _Seen:
        self._hash(piece)
        return look()

    def _hash(self, chunk: bytes | memoryview) -> None:
        self._sha256.update(chunk)
        for digest in self._part.digests.values():
            digest.update(chunk)

    def _end_part(self, *, goes_on: bool) -> None:
        part = self._part
        if part.members is not None:
            part.members.end()
            self._forms.append(part.members.form)
            if part.start_wanted and (part.start != part.start_wanted or not part.members.is_blocked):
                raise ContentBroken(f"`{part.name}` is no BAM inside.", hint=COPY_AGAIN, files=(part.name,))
        if part.records is not None:
            part.records.finish(goes_on=goes_on)
        seen = {algorithm: digest.hexdigest() for algorithm, digest in part.digests.items()}
        seen.setdefault("sha256", self._sha256.hexdigest())
        for algorithm, wanted in part.expect.items():
            if seen[algorithm] != (wanted.zfill(8) if algorithm == "crc32" else wanted):
                raise ContentBroken(
                    f"`{part.name}` has the {algorithm} {seen[algorithm]}, its checksum file says {wanted}.",
                    hint=COPY_AGAIN,
                    files=(part.name,),
                )
        records = part.records.records if part.records is not None else None
        self._done.append(PartFacts(part.name, part.size, seen["sha256"], records))


def _nothing(_: object) -> None:
    """Hashing brings nothing to take."""
