"""Ways to write gzip, and ways to feed it: what the tests of the content pass are made of.

Everything is written with the standard library, so that our inflating is judged by somebody else's deflating.
"""

from __future__ import annotations

import gzip
import struct
import zlib

from watcher.runs.integrity import ContentFacts, ContentPass

BLOCK = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
RECORD = b"@A00123:55:HXXXX:1:1101:1000:2000 1:N:0:ACGT\nACGTACGTAC\n+\nFFFFFFFF,:\n"


def records(count: int, length: int = 40) -> bytes:
    """Return FASTQ text whose records differ."""
    return b"".join(
        b"@run:1:%d:%d\n%s\n+\n%s\n" % (number, number * 7919 % 9973, _letters(number, length), b"F" * length)
        for number in range(count)
    )


def _letters(number: int, length: int) -> bytes:
    return bytes(b"ACGT"[(number * 31 + place * place * 7 + (place >> 1)) % 4] for place in range(length))


def one_member(content: bytes) -> bytes:
    """Write plain gzip."""
    return gzip.compress(content, 6, mtime=0)


def bgzf(content: bytes, block_bytes: int = 65280, *, end: bool = True) -> bytes:
    """Write BGZF."""
    blocks = [_block(content[at : at + block_bytes]) for at in range(0, len(content), block_bytes)]
    return b"".join(blocks) + (BLOCK if end else b"")


def _block(content: bytes) -> bytes:
    deflate = zlib.compressobj(6, zlib.DEFLATED, -15)
    packed = deflate.compress(content) + deflate.flush()
    head = b"\x1f\x8b\x08\x04\0\0\0\0\0\xff\x06\0BC\x02\0" + struct.pack("<H", len(packed) + 25)
    return head + packed + struct.pack("<II", zlib.crc32(content), len(content))


def read_through(
    content: bytes, kind: str = "fastq.gz", *cuts: int, name: str = "a.fastq.gz", expect: dict[str, str] | None = None
) -> ContentFacts:
    """Run the content pass over bytes, fed in pieces that end at `cuts`."""
    reading = ContentPass(name, kind, expect)
    start = 0
    for cut in (*sorted(min(cut, len(content)) for cut in cuts), len(content)):
        if cut > start:
            reading.feed(content[start:cut])
            start = cut
    return reading.finish()
