"""Counts the records of FASTQ text that comes in slices, quickly, and proves that the last one is whole.

For text whose packing carries a checksum of it: what was packed is what comes out. So lines are only counted, four to a
record, as fast as they are unpacked; text that nothing vouches for is for `fastq_records.py`. The shape ('@', '+',
equal lengths of sequence and quality) is looked at for the last whole record of every chunk and of the file, in
constant memory whatever the length of a read: only where the last lines start is remembered. A stretch of text can be
looked at by itself, in any thread, and is then joined to what came before. Nothing is known of gzip or files; see
`integrity.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from io import BytesIO

from watcher.errors import ContentBroken
from watcher.runs.inflate import COPY_AGAIN

_LINES = 4
_WINDOW = 2 * _LINES  # a whole record lies among the last eight line starts, wherever the text breaks off
_LONG_LINES_BYTES = 80
_AT, _PLUS, _NOT_SEEN = ord("@"), ord("+"), -1


def count_newlines(part: bytes, line_bytes: float) -> int:
    """Count newlines in text whose lines are about `line_bytes` long, the faster way of two.

    `bytes.count` goes byte by byte (2 GB/s), `readlines` from newline to newline: measured on CPython 3.11 to 3.13 it
    wins from about 70 bytes per line on (3 GB/s at reads of 151 bases, 12 GB/s at long reads).
    """
    if line_bytes < _LONG_LINES_BYTES:
        return part.count(b"\n")
    lines = len(BytesIO(part).readlines())
    return lines if part.endswith(b"\n") or not part else lines - 1


@dataclass(slots=True)
class LineStretch:
    """What is remembered of some text, whose lines are about `line_bytes` long: its length and newlines, and where its
    last lines start, with which byte.
    """

    line_bytes: float = 0.0
    size: int = 0
    newlines: int = 0
    zero_at: int = _NOT_SEEN
    first: int = _NOT_SEEN
    ends_open: bool = False
    starts: list[tuple[int, int]] = field(default_factory=list)

    def look(self, part: bytes) -> None:
        """Look at the slice that follows."""
        if not part:
            return
        if self.zero_at == _NOT_SEEN and b"\0" in part:
            self.zero_at = self.size + part.index(0)
        if self.first == _NOT_SEEN:
            self.first = part[0]
        if self.starts and self.starts[-1][1] == _NOT_SEEN:
            self.starts[-1] = (self.starts[-1][0], part[0])
        starts: list[tuple[int, int]] = []
        end = len(part)
        while len(starts) < _WINDOW and (end := part.rfind(b"\n", 0, end)) >= 0:
            starts.append((self.size + end + 1, part[end + 1] if end + 1 < len(part) else _NOT_SEEN))
        starts.reverse()
        self.starts = [*self.starts, *starts][-_WINDOW:]
        self.size += len(part)
        self.newlines += count_newlines(part, self.line_bytes)
        self.ends_open = part[-1] != ord("\n")


class FastqLines:
    """The lines of one FASTQ file; `join` takes its stretches in order."""

    def __init__(self, name: str) -> None:
        self.size = 0
        self._name = name
        self._lines = 0
        self._starts: list[tuple[int, int]] = [(0, _NOT_SEEN)]  # where the last lines start, and with which byte
        self._ends_open = False

    @property
    def records(self) -> int:
        """Return how many records there are, counting a last line that has no newline."""
        return (self._lines + self._ends_open) // _LINES

    def stretch(self) -> LineStretch:
        """Return what may look at the text that follows, in any thread."""
        return LineStretch(self.size / self._lines if self._lines else 0.0)

    def join(self, stretch: LineStretch) -> None:
        """Take the text that follows; ContentBroken for zero bytes: no FASTQ holds any."""
        if not stretch.size:
            return
        if stretch.zero_at != _NOT_SEEN:
            raise self._broken(f"holds zero bytes from byte {self.size + stretch.zero_at} of its text on")
        if self._starts[-1][1] == _NOT_SEEN:
            self._starts[-1] = (self._starts[-1][0], stretch.first)
        starts = [(self.size + at, byte) for at, byte in stretch.starts]
        self._starts = [*self._starts, *starts][-_WINDOW:]
        self._lines += stretch.newlines
        self.size += stretch.size
        self._ends_open = stretch.ends_open

    def check(self) -> None:
        """Check the last whole record so far."""
        self._check_record(self._lines, self._starts)

    def finish(self, *, goes_on: bool = False) -> None:
        """Say that the file ends here; ContentBroken within a record, or without newline when another file goes on."""
        lines, starts = self._lines, self._starts
        if self._ends_open:
            if goes_on:
                raise self._broken("does not end with a newline, so that the next file cannot be joined to it")
            lines, starts = lines + 1, [*starts, (self.size + 1, _NOT_SEEN)]
        if lines % _LINES:
            raise self._broken(f"ends in the middle of a record: {lines} lines are not a multiple of four")
        self._check_record(lines, starts)

    def _check_record(self, lines: int, starts: list[tuple[int, int]]) -> None:
        behind = lines % _LINES
        first = len(starts) - 1 - behind - _LINES
        number = lines // _LINES
        if first < 0:
            return
        (_, name), (sequence, _), (plus, plus_sign), (quality, _), (end, following) = starts[first : first + _LINES + 1]
        if name != _AT:
            raise self._broken(f"is no FASTQ: record {number} does not start with '@'")
        if plus_sign != _PLUS:
            raise self._broken(f"is no FASTQ: the third line of record {number} does not start with '+'")
        if plus - sequence != end - quality:
            lengths = f"{plus - sequence - 1} and {end - quality - 1}"
            raise self._broken(f"holds a damaged record: sequence and quality of record {number} are {lengths} long")
        if following not in (_AT, _NOT_SEEN):
            raise self._broken(f"is no FASTQ: record {number + 1} does not start with '@'")

    def _broken(self, why: str) -> ContentBroken:
        return ContentBroken(f"`{self._name}` {why}.", hint=COPY_AGAIN, files=(self._name,))
