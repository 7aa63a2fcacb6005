"""Proves that FASTQ text which comes in slices consists of whole records, and counts them.

For text that nothing else vouches for, every record is looked at: its name starts with '@', its third line with '+',
sequence and quality are equally long. Kept are lengths and first bytes of the lines of records that are not over.
A stretch of text is looked at by itself, in any thread, and is then joined to what came before. Packed text, which
carries its own checksum, has a quicker way in `fastq_lines.py`: a look at each record would keep unpacking waiting.
Nothing is known of files; see `integrity.py`.
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
class _Lines:
    """Some lines: the length of each with its newline, and its first byte. The last one may go on: `ends_open`."""

    ends_open: bool = False
    lengths: array[int] = field(default_factory=lambda: array("Q"))
    heads: bytearray = field(default_factory=bytearray)

    def add(self, lines: list[bytes]) -> None:
        """Take lines over; the first of them goes on with our last one where that is open."""
        # `map` goes through the lines without running a line of Python for each.
        self.join(_Lines(lines[-1][-1:] != _NEWLINE, array("Q", map(len, lines)), bytearray(map(_first_byte, lines))))

    def join(self, more: _Lines) -> None:
        """Take over what is remembered of the lines that follow."""
        lengths, heads = more.lengths, more.heads
        if self.ends_open:
            self.lengths[-1] += lengths[0]
            lengths, heads = lengths[1:], heads[1:]
        self.lengths += lengths
        self.heads += heads
        self.ends_open = more.ends_open


@dataclass(slots=True)
class RecordStretch:
    """What is remembered of some text, in order: lines, and between them the number of whole records seen to be good.

    The text may begin and end within a line, and nobody knows at which line of a record.
    """

    size: int = 0
    zero_at: int = _NOT_SEEN
    seen: list[_Lines | int] = field(default_factory=list)

    def look(self, part: bytes) -> None:
        """Look at the slice that follows."""
        if not part:
            return
        if self.zero_at == _NOT_SEEN and b"\0" in part:
            self.zero_at = self.size + part.index(0)
        self.size += len(part)
        lines = BytesIO(part).readlines()
        start, count = _good_records(lines)
        end = start + count * _LINES
        self._add(lines[:start])
        if count:
            self.seen.append(count)
            self._add(lines[end:])

    def _add(self, lines: list[bytes]) -> None:
        last = self.seen[-1] if self.seen else None
        if not isinstance(last, _Lines):
            self.seen.append(last := _Lines())
        last.add(lines)


def _good_records(lines: list[bytes]) -> tuple[int, int]:
    """Return where whole good records lie in the middle of some text, and how many; all lines and none where not.

    Where a record begins is guessed from '@' and '+', with which no sequence begins: in good text the guess is right,
    and where it is not, what comes before these is no record. Looked at like this, a record costs half of what
    remembering its lines would.
    """
    for first in range(1, min(_LINES + 1, len(lines) - 2 * _LINES)):  # the first line may be the end of one
        if lines[first][:1] == _AT and lines[first + 2][:1] == _PLUS:
            start = first + _LINES
            count = (len(lines) - 1 - start) // _LINES  # the last line may go on
            if count > 0 and _are_good(lines[start : start + count * _LINES]):
                return start, count
    return len(lines), 0


def _are_good(lines: list[bytes]) -> bool:
    pluses = lines[2::_LINES]
    return (
        list(map(len, lines[1::_LINES])) == list(map(len, lines[3::_LINES]))
        and bytes(map(_first_byte, lines[0::_LINES])).count(_AT) == len(pluses)
        and (pluses.count(b"+\n") == len(pluses) or bytes(map(_first_byte, pluses)).count(_PLUS) == len(pluses))
    )


class FastqRecords:
    """The records of one FASTQ file; `join` takes its stretches in order."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._size = 0
        self._whole = 0
        self._left = _Lines()  # the lines of the record that is not over yet

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
        for seen in stretch.seen:
            if isinstance(seen, _Lines):
                self._join_lines(seen)
            elif self._left.heads:
                raise self._broken(f"is no FASTQ: record {self._whole + 1} does not end where the next one starts")
            else:
                self._whole += seen

    def _join_lines(self, lines: _Lines) -> None:
        left = self._left
        left.join(lines)
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
