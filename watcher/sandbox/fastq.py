"""Makes up FASTQ files: whole records of random bases in block gzip, the same ones for the same seed, quickly.

A pair of files gets the same read names in the same order. Knows nothing of run folders; `sequencer.py` decides what
goes where.
"""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

END_BLOCK = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
"""The empty block that ends every whole file of block gzip."""

BLOCK_READS = 160  # keeps a block of 151-base reads below the 64 KiB that its header can tell
LONGEST_READ = 151
_QUALITIES = bytes.maketrans(
    bytes(range(256)), b"F" * 176 + b":" * 48 + b"," * 24 + b"#" * 8
)  # four bins, as instruments write


@dataclass(frozen=True, slots=True)
class Reads:
    """The reads of one sample on one lane: `count` per direction, `length` bases each, a share `gc` (0-1) of G or C."""

    count: int
    seed: int
    length: int = LONGEST_READ
    gc: float = 0.5
    instrument: str = "M00000"
    run_number: int = 1
    flowcell: str = "000000000-DEMO1"
    lane: int = 1
    index: str = "ACGTACGT"


def fastq_blocks(reads: Reads, read: int) -> Iterator[bytes]:
    """Yield the file of read 1 or 2, block by block; together they are one whole file."""
    chance = random.Random(f"{reads.seed}-{reads.lane}-{read}")
    bases = _base_table(reads.gc)
    for start in range(0, reads.count, BLOCK_READS):
        yield bgzf_block(_records(reads, read, range(start, min(start + BLOCK_READS, reads.count)), chance, bases))
    yield END_BLOCK


def _base_table(gc: float) -> bytes:
    """Map random bytes to bases so that about the wanted share is G or C."""
    half = round(gc * 128)
    return b"G" * half + b"C" * half + b"A" * (128 - half) + b"T" * (128 - half)


def _records(reads: Reads, read: int, numbers: range, chance: random.Random, bases: bytes) -> bytes:
    length = reads.length
    sequence = chance.randbytes(length * len(numbers)).translate(bases)
    quality = chance.randbytes(length * len(numbers)).translate(_QUALITIES)
    front = f"@{reads.instrument}:{reads.run_number}:{reads.flowcell}:{reads.lane}".encode()
    back = f" {read}:N:0:{reads.index}\n".encode()
    lines = []
    for place, number in enumerate(numbers):
        cut = slice(place * length, (place + 1) * length)
        name = b"%b:%d:%d:%d" % (front, 1101 + number // 20_000, 1000 + number % 20_000, 1000 + number * 7 % 28_000)
        lines.append(b"%b%b%b\n+\n%b\n" % (name, back, sequence[cut], quality[cut]))
    return b"".join(lines)


def bgzf_block(content: bytes) -> bytes:
    """Compress up to 64 KiB into one block that tells its own length, as `bgzip` and BCL Convert write them."""
    deflate = zlib.compressobj(1, zlib.DEFLATED, -15)
    body = deflate.compress(content) + deflate.flush()
    header = struct.pack("<4BI2BH2BHH", 31, 139, 8, 4, 0, 0, 255, 6, 66, 67, 2, len(body) + 25)
    return header + body + struct.pack("<II", zlib.crc32(content), len(content))
