"""Inflates a chain of bzip2 streams to its very end, in slices of bounded size, and says where it breaks.

Programs that use several processors write many streams, one behind the other; each carries a checksum of its own. The
same shape as `inflate.py`, which does this for gzip; the standard library is fast enough for what is rare.
"""

from __future__ import annotations

import bz2
from collections.abc import Iterator

from watcher.errors import ContentBroken
from watcher.runs.inflate import COPY_AGAIN, inflated

SMALLEST_BYTES = 14
"""A stream with nothing in it: its head, the mark of its end, a checksum."""

_HEAD_BYTES = 4
_PIECE_BYTES = 64 * 1024  # what follows the end of a stream is handed back as a copy


def starts_stream(head: bytes) -> bool:
    """Tell whether a bzip2 stream may start with these bytes, of which four are enough."""
    return head[:3] == b"BZh" and head[3:4] in (b"1", b"2", b"3", b"4", b"5", b"6", b"7", b"8", b"9")


class Bzip2Streams:
    """Takes the bytes of one bzip2 file in chunks of any size, gives back what was inside."""

    form = "bzip2"
    is_blocked = False

    def __init__(self, name: str) -> None:
        self._name = name
        self._size = 0
        self._stream: bz2.BZ2Decompressor | None = None
        self._stream_at = 0
        self._streams = 0
        self._head = b""

    def slices(self, chunk: bytes) -> Iterator[bytes]:
        """Yield what the chunk inflates to; ContentBroken where it is no bzip2 or a checksum inside does not fit."""
        view, at = memoryview(chunk), 0
        before = self._size
        self._size += len(view)
        while at < len(view):
            if self._stream is None:
                if not self._head:
                    self._stream_at = before + at
                more = view[at : at + _HEAD_BYTES - len(self._head)]
                at += len(more)
                self._head += more
                if len(self._head) == _HEAD_BYTES:
                    self._stream = self._begun(self._head)
                    self._head = b""
                continue
            piece = view[at : at + _PIECE_BYTES]
            at += len(piece)
            yield from self._inflate(self._stream, piece)
            if self._stream.eof:
                at -= len(self._stream.unused_data)
                self._stream = None

    def end(self) -> None:
        """Say that nothing follows; ContentBroken when something should."""
        if self._head and self._streams and not b"BZh".startswith(self._head[:3]):
            raise self._leftover(self._head)
        if self._stream is not None or self._head or not self._streams:
            raise self._broken(f"is cut off: its bzip2 stream has no end after {self._size} bytes")

    def _begun(self, head: bytes) -> bz2.BZ2Decompressor:
        if not starts_stream(head):
            if self._streams:
                raise self._leftover(head)
            raise self._broken(f"is not bzip2: it starts with {head.hex(' ')} instead of 42 5a 68")
        self._streams += 1
        stream = bz2.BZ2Decompressor()
        stream.decompress(head)
        return stream

    def _inflate(self, stream: bz2.BZ2Decompressor, piece: memoryview) -> Iterator[bytes]:
        try:
            yield from inflated(stream, piece)
        except OSError as error:
            raise self._broken(
                f"is damaged: {str(error).lower()}, in the bzip2 stream that starts at byte {self._stream_at}"
            ) from error

    def _leftover(self, start: bytes) -> ContentBroken:
        what = "zero bytes" if not any(start) else "bytes that are no bzip2"
        return self._broken(f"goes on with {what} behind the end of its bzip2 stream, at byte {self._stream_at}")

    def _broken(self, what: str) -> ContentBroken:
        return ContentBroken(f"`{self._name}` {what}.", hint=COPY_AGAIN, files=(self._name,))
