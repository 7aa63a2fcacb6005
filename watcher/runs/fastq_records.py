"""Proves that FASTQ text which comes in slices consists of whole records, and counts them.

For text that nothing else vouches for, every record is looked at: its name starts with '@', its third line with '+',
sequence and quality are equally long. Only lengths and first bytes of lines are kept, and only until their record is
over. A stretch of text is looked at by itself, in any thread, and is then joined to what came before. Packed text,
which carries its own checksum, has a quicker way in `fastq_lines.py`: a look at each record costs a third of the speed
of unpacking. Nothing is known of files; see `integrity.py`.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from io import BytesIO
from operator import itemgetter

from watcher.errors import ContentBroken
from watcher.runs.inflate import COPY_AGAIN

_LINES = 4
_AT, _PLUS, _NEWLINE = b"@", b"+", b"\n"
_NOT_SEEN = -1
_first_byte = itemgetter(0)


@dataclass(slots=True)
class RecordStretch:
    """What is remembered of some text: the length of each line with its newline, and its first byte.

    The text may begin and end within a line; `ends_open` says the latter.
    """

    size: int = 0
    zero_at: int = _NOT_SEEN
    ends_open: bool = False
    lengths: array[int] = field(default_factory=lambda: array("Q"))
    heads: bytearray = field(default_factory=bytearray)

    def look(self, part: bytes) -> None:
        """Look at the slice that follows."""
        if not part:
            return
        if self.zero_at == _NOT_SEEN and b"\0" in part:
            self.zero_at = self.size + part.index(0)
        # `readlines` and `map` go through the lines without running a line of Python for each.
        lines = BytesIO(part).readlines()
        self.add(array("Q", map(len, lines)), bytes(map(_first_byte, lines)), len(part), part[-1:] != _NEWLINE)

    def add(self, lengths: array[int], heads: bytes | bytearray, size: int, ends_open: bool) -> None:
        """Take over lines; the first of them goes on with our last one where that is open."""
        if self.ends_open:
            self.lengths[-1] += lengths[0]
            lengths, heads = lengths[1:], heads[1:]
        self.lengths += lengths
        self.heads += heads
        self.size += size
        self.ends_open = ends_open


class FastqRecords:
    """The records of one FASTQ file; `join` takes its stretches in order."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._size = 0
        self._whole = 0
        self._left = RecordStretch()  # the lines of the record that is not over yet

    @property
    def records(self) -> int:
        """Return how many records there are, counting one whose last line has no newline."""
        return self._whole + (len(self._left.lengths) == _LINES)

    def stretch(self) -> RecordStretch:
        """Return what may look at the text that follows, in any thread."""
        return RecordStretch()

    def check(self) -> None:
        """Say that a chunk is over: all whole records in it have been looked at by now."""

    def join(self, stretch: RecordStretch) -> None:
        """Take the text that follows; ContentBroken for a record that is none, and for zero bytes: no FASTQ holds
        any.
        """
        if not stretch.size:
            return
        if stretch.zero_at != _NOT_SEEN:
            raise self._broken(f"holds zero bytes from byte {self._size + stretch.zero_at} of its text on")
        self._size += stretch.size
        left = self._left
        left.add(stretch.lengths, stretch.heads, stretch.size, stretch.ends_open)
        over = (len(left.lengths) - left.ends_open) // _LINES * _LINES
        if over:
            self._check(left.lengths[:over], left.heads[:over])
            del left.lengths[:over], left.heads[:over]
            self._whole += over // _LINES

    def finish(self, *, goes_on: bool = False) -> None:
        """Say that the file ends here; ContentBroken within a record, or without newline when another file goes on."""
        left = self._left
        if left.ends_open:
            if goes_on:
                raise self._broken("does not end with a newline, so that the next file cannot be joined to it")
            left.lengths[-1] += 1
        if len(left.lengths) % _LINES:
            # What is no record may be why the lines do not come out even: that tells more.
            self._check_beginning(left.heads)
            lines = self._whole * _LINES + len(left.lengths)
            raise self._broken(f"ends in the middle of a record: {lines} lines are not a multiple of four")
        self._check(left.lengths, left.heads)

    def _check(self, lengths: array[int], heads: bytearray) -> None:
        """Check whole records; the quick look is at all of them at once, and only what fails it is gone through."""
        count = len(heads) // _LINES
        if (
            heads[0::_LINES].count(_AT) == count
            and heads[2::_LINES].count(_PLUS) == count
            and lengths[1::_LINES] == lengths[3::_LINES]
        ):
            return
        for at in range(0, len(heads), _LINES):
            self._check_beginning(heads[at : at + _LINES], at // _LINES)
            sequence, quality = lengths[at + 1] - 1, lengths[at + 3] - 1
            if sequence != quality:
                raise self._broken(
                    f"holds a damaged record: sequence and quality of record {self._whole + at // _LINES + 1}"
                    f" are {sequence} and {quality} long"
                )

    def _check_beginning(self, heads: bytearray, offset: int = 0) -> None:
        number = self._whole + offset + 1
        if heads[:1] not in (_AT, b""):
            raise self._broken(f"is no FASTQ: record {number} does not start with '@'")
        if heads[2:3] not in (_PLUS, b""):
            raise self._broken(f"is no FASTQ: the third line of record {number} does not start with '+'")

    def _broken(self, why: str) -> ContentBroken:
        return ContentBroken(f"`{self._name}` {why}.", hint=COPY_AGAIN, files=(self._name,))
