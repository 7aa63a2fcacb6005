"""FASTQ files of any size, quickly, whose bytes are as hard to pack as an instrument's.

A base of text is made and packed once; files repeat it. Packed text is repeated as it is: block gzip by its blocks,
one-member gzip as a stretch of deflate that refers to nothing before it. The repetition is far beyond deflate's window.
"""

from __future__ import annotations

import functools
import random
import struct
import zlib
from pathlib import Path

from watcher.sandbox.fastq import END_BLOCK, bgzf_block

BASE_RECORDS = 24_000
BASES = 151
BLOCK_BYTES = 65_280
_LETTERS = bytes(b"ACGT"[byte & 3] for byte in range(256))
_QUALITIES = bytes.maketrans(bytes(range(256)), b"F" * 200 + b":" * 36 + b"," * 14 + b"#" * 6)


@functools.cache
def base_text() -> bytes:
    """Return some 8 MiB of FASTQ: random bases, qualities in four bins."""
    chance = random.Random(1)
    records = []
    for number in range(BASE_RECORDS):
        name = b"@M00000:1:000000000-BENCH:1:%d:%d:%d 1:N:0:1" % (1101 + number % 28, number * 7 % 28_000, number)
        bases = chance.randbytes(BASES).translate(_LETTERS)
        records.append(b"%b\n%b\n+\n%b\n" % (name, bases, chance.randbytes(BASES).translate(_QUALITIES)))
    return b"".join(records)


@functools.cache
def base_blocks() -> bytes:
    """Return the base as block gzip, without the end block."""
    text = base_text()
    return b"".join(bgzf_block(text[at : at + BLOCK_BYTES]) for at in range(0, len(text), BLOCK_BYTES))


@functools.cache
def _base_deflated() -> bytes:
    deflate = zlib.compressobj(6, zlib.DEFLATED, -15)
    return deflate.compress(base_text()) + deflate.flush(zlib.Z_FULL_FLUSH)


def write_text(path: Path, size_bytes: int) -> int:
    """Write plain FASTQ of at least that size; return its true size."""
    return _repeat(path, b"", base_text(), _times(size_bytes, base_text()), b"")


def write_blocks(path: Path, size_bytes: int) -> int:
    """Write block gzip, as `bgzip` and BCL Convert do, of at least that size; return its true size."""
    return _repeat(path, b"", base_blocks(), _times(size_bytes, base_blocks()), END_BLOCK)


def write_member(path: Path, size_bytes: int) -> int:
    """Write one gzip member, as `gzip` does, of at least that size; return its true size."""
    times = _times(size_bytes, _base_deflated())
    checksum = 0
    for _ in range(times):
        checksum = zlib.crc32(base_text(), checksum)
    end = zlib.compressobj(6, zlib.DEFLATED, -15).flush()
    trailer = struct.pack("<II", checksum, times * len(base_text()) & 0xFFFFFFFF)
    return _repeat(path, b"\x1f\x8b\x08\0\0\0\0\0\0\xff", _base_deflated(), times, end + trailer)


def _times(size_bytes: int, base: bytes) -> int:
    return max(-(-size_bytes // len(base)), 1)


def _repeat(path: Path, head: bytes, middle: bytes, times: int, end: bytes) -> int:
    with path.open("wb") as file:
        file.write(head)
        for _ in range(times):
            file.write(middle)
        file.write(end)
        return file.tell()
