"""Inflates a chain of gzip members to its very end, in slices of bounded size, and says where it breaks.

Three ways to write gzip are told apart: one member, several members one behind the other (lanes joined with `cat`),
and BGZF, small blocks that carry their own length and end with a fixed block of 28 bytes. Blocks are handed out as they
are: each inflates by itself, in any thread. It knows nothing of what is inside; `integrity.py` counts records and
hashes. Inflating releases the GIL; python-isal was the fastest of the libraries measured, six times zlib.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Protocol, cast

from isal import igzip, igzip_lib

from watcher.errors import ContentBroken

BGZF_END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
"""The empty block every whole BGZF file ends with (SAM specification, section 4.1.2)."""

COPY_AGAIN = "Copy the file again from where it was written; the watcher goes on by itself once it has changed."

BLOCK_BYTES = 64 * 1024
"""A BGZF block never inflates to more."""

_HEAD_BYTES = 18  # as long as a BGZF header, shorter than any gzip member
_PIECE_BYTES = (64 * 1024, 512 * 1024)  # least and most: what follows the end of a member is handed back as a copy
_SLICE_BYTES = 1024 * 1024
_BLOCK_START = b"\x1f\x8b\x08\x04"
_BLOCK_FIELD = b"\x06\x00BC\x02\x00"
# The library's stubs call the exception's class an instance.
_InflateError = cast(type[Exception], igzip_lib.IsalError)
_SIZE = struct.Struct("<I")
_SHORTEST_BLOCK_BYTES = len(BGZF_END)


def block_length(head: bytes | memoryview) -> int:
    """Return the length of the BGZF block that starts with these bytes (at least 18), or 0 for another gzip member."""
    if head[:4] == _BLOCK_START and head[10:16] == _BLOCK_FIELD:
        return int.from_bytes(head[16:18], "little") + 1
    return 0


class _Inflater(Protocol):
    """What inflates one member or stream, of whatever library."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    def decompress(self, packed: bytes | memoryview, most_bytes: int, /) -> bytes: ...


def inflated(inflater: _Inflater, piece: bytes | memoryview) -> Iterator[bytes]:
    """Yield what a piece inflates to, in slices; raises what the library raises."""
    part = inflater.decompress(piece, _SLICE_BYTES)
    while True:
        if part:
            yield part
        if inflater.eof or inflater.needs_input:
            return
        part = inflater.decompress(b"", _SLICE_BYTES)


@dataclass(frozen=True, slots=True)
class Block:
    """A whole BGZF block that is still packed; it starts at byte `at` of the file `name`."""

    packed: bytes | memoryview
    at: int
    name: str

    @property
    def size(self) -> int:
        """Return how long it says its text is, at most 64 KiB; ContentBroken for a block that cannot be one."""
        if len(self.packed) < _SHORTEST_BLOCK_BYTES:
            raise _broken(self.name, "bgzf", self.at, "a BGZF block is shorter than its own frame")
        (size,) = _SIZE.unpack(self.packed[-4:])
        if size > BLOCK_BYTES:
            raise _broken(self.name, "bgzf", self.at, "a BGZF block says that it inflates to more than 64 KiB")
        return int(size)

    def inflate(self) -> bytes:
        """Return what is inside, at most 64 KiB; ContentBroken when checksum or size do not fit."""
        size = self.size
        try:
            part = igzip_lib.decompress(self.packed, flag=igzip_lib.DECOMP_GZIP, bufsize=BLOCK_BYTES)
        except _InflateError as error:
            raise _broken(self.name, "bgzf", self.at, str(error)) from error
        if len(part) != size:
            raise _broken(self.name, "bgzf", self.at, "the size of a BGZF block does not fit")
        return part


def texts_of(blocks: Sequence[Block]) -> Iterator[bytes]:
    """Yield what is inside blocks that follow each other; ContentBroken like `Block.inflate`, in its turn.

    All at once where nothing is wrong: to go out of the interpreter and back for each block costs as much as inflating
    it while another thread wants to do the same.
    """
    try:
        size = sum(block.size for block in blocks)
        packed = BytesIO(b"".join(block.packed for block in blocks))
        with igzip.IGzipFile(fileobj=packed) as members:  # type: ignore[no-untyped-call]
            text: bytes = members.read(size + 1)  # no more than that, whatever a broken block inflates to
        if len(text) == size:
            yield text
            return
    except (ContentBroken, _InflateError, OSError, EOFError):
        pass  # one of them is broken: which one?
    for block in blocks:
        yield block.inflate()


def _broken(name: str, form: str, at: int, why: str) -> ContentBroken:
    return ContentBroken(
        f"`{name}` is damaged: {why}, in the {form} member that starts at byte {at}.", hint=COPY_AGAIN, files=(name,)
    )


class GzipMembers:
    """Takes the bytes of one gzip file in chunks of any size, gives back what was inside."""

    def __init__(self, name: str) -> None:
        self.is_blocked = False
        self._name = name
        self._size = 0
        self._member: igzip_lib.IgzipDecompressor | None = None
        self._member_at = 0
        self._members = 0
        self._kept = b""
        self._ends_with_end_block = False

    @property
    def form(self) -> str:
        """Return `bgzf` or `gzip`; decided by the first member."""
        return "bgzf" if self.is_blocked else "gzip"

    def slices(self, chunk: bytes) -> Iterator[bytes | Block]:
        """Yield what the chunk inflates to, and whole BGZF blocks as they are; ContentBroken where it is no gzip or a
        checksum inside does not fit.
        """
        view, at = memoryview(chunk), 0
        before = self._size
        self._size += len(view)
        while at < len(view):
            if self._member is not None:
                piece = view[at : at + min(max(before + at - self._member_at, _PIECE_BYTES[0]), _PIECE_BYTES[1])]
                at += len(piece)
                yield from self._inflate(self._member, piece)
                if self._member.eof:
                    at -= len(self._member.unused_data)
                    self._member = None
                continue
            head = self._kept
            if not head:
                self._member_at = before + at
            if len(head) < _HEAD_BYTES:
                more = view[at : at + _HEAD_BYTES - len(head)]
                at += len(more)
                head += more
                if len(head) < _HEAD_BYTES:
                    self._kept = head
                    return
            length = self._look_at_head(head)
            if length:
                rest = view[at : at + length - len(head)]
                at += len(rest)
                if len(head) + len(rest) < length:
                    self._kept = head + rest
                    return
                whole = view[at - length : at] if length <= at else head + rest
                self._ends_with_end_block = length == len(BGZF_END) and whole == BGZF_END
                yield Block(whole, self._member_at, self._name)
            else:
                self._member = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)
                yield from self._inflate(self._member, head)
            self._kept = b""

    def end(self) -> None:
        """Say that nothing follows; ContentBroken when something should."""
        if self._kept and not b"\x1f\x8b".startswith(self._kept[:2]) and self._members:
            raise self._leftover(self._kept)
        if self._member is not None or self._kept or not self._members:
            raise ContentBroken(
                f"`{self._name}` is cut off: its {self.form} stream has no end after {self._size} bytes.",
                hint=COPY_AGAIN,
                files=(self._name,),
            )
        if self.is_blocked and not self._ends_with_end_block:
            raise ContentBroken(
                f"`{self._name}` is cut off: it is BGZF, but the end block is missing after {self._size} bytes.",
                hint=COPY_AGAIN,
                files=(self._name,),
            )

    def _look_at_head(self, head: bytes) -> int:
        """Check the start of a member; return the length of a BGZF block, 0 for another member."""
        if head[:3] != b"\x1f\x8b\x08":
            if self._members:
                raise self._leftover(head)
            raise ContentBroken(
                f"`{self._name}` is not gzip: it starts with {head[:4].hex(' ')} instead of 1f 8b 08.",
                hint=COPY_AGAIN,
                files=(self._name,),
            )
        length = block_length(head)
        if not self._members:
            self.is_blocked = bool(length)
        self._members += 1
        self._ends_with_end_block = False
        return length

    def _inflate(self, member: igzip_lib.IgzipDecompressor, piece: bytes | memoryview) -> Iterator[bytes]:
        try:
            yield from inflated(member, piece)
        except _InflateError as error:
            raise _broken(self._name, self.form, self._member_at, str(error)) from error

    def _leftover(self, start: bytes) -> ContentBroken:
        what = "zero bytes" if not any(start) else "bytes that are no gzip"
        return ContentBroken(
            f"`{self._name}` goes on with {what} behind the end of its gzip stream, at byte {self._member_at}.",
            hint=COPY_AGAIN,
            files=(self._name,),
        )
