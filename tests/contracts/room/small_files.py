"""Tiny files of every kind that sequencers write, made byte by byte: what Galaxy gives back must be exactly these.

BAM is BGZF around a header and alignments as the SAM specification lays them out (sections 4.1 and 4.2), CRAM 3.0 a
file definition, a header container and the end-of-file container. POD5 has the signature at both ends and nothing
that a reader could use between them: Galaxy looks no further. Knows no Galaxy.
"""

from __future__ import annotations

import bz2
import gzip
import struct
import zlib
from collections.abc import Sequence

BGZF_END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
CRAM_END = bytes.fromhex("0f000000ffffffff0fe0454f4600000000010005bdd94f0001000606010001000100ee63014b")
POD5_SIGNATURE = b"\x8bPOD\r\n\x1a\n"
SEQUENCE_CODES = "=ACMGRSVTWYHKDBN"
UNMAPPED, UNPLACED = 4, -1


def fastq(reads: int, newline: str = "\n") -> bytes:
    """Return FASTQ records of eight bases."""
    return "".join(
        newline.join((f"@M00001:1:{n}", "ACGTACGT", "+", "IIIIIIII", "")) for n in range(1, reads + 1)
    ).encode()


def bgzf(content: bytes) -> bytes:
    """Return one BGZF block and the end block; stored, not deflated, so that any rewriting shows."""
    packer = zlib.compressobj(0, zlib.DEFLATED, -15)
    packed = packer.compress(content) + packer.flush()
    size = len(packed) + 26  # header of 18 bytes, CRC and length of 4 each
    head = b"\x1f\x8b\x08\x04\0\0\0\0\0\xff\x06\0BC\x02\0" + struct.pack("<H", size - 1)
    return head + packed + struct.pack("<II", zlib.crc32(content), len(content)) + BGZF_END


def bam(alignments: Sequence[tuple[str, int]], *, order: str, reference_bases: int = 1000) -> bytes:
    """Return a BAM file of alignments (name, position from 0; -1 = unmapped); `order` is what its header claims.

    Without mapped alignments it has no reference either, as it comes from a sequencer.
    """
    is_mapped = any(position >= 0 for _, position in alignments)
    text = f"@HD\tVN:1.6\tSO:{order}\n" + (f"@SQ\tSN:chr1\tLN:{reference_bases}\n" if is_mapped else "")
    names = struct.pack("<i5si", 5, b"chr1\0", reference_bases) if is_mapped else b""
    head = b"BAM\x01" + struct.pack("<i", len(text)) + text.encode() + struct.pack("<i", int(is_mapped)) + names
    return bgzf(head + b"".join(_alignment(name, position) for name, position in alignments))


def _alignment(name: str, position: int) -> bytes:
    bases, qualities = "ACGTACGT", bytes([40] * 8)
    codes = [SEQUENCE_CODES.index(base) for base in bases]
    packed = bytes(high << 4 | low for high, low in zip(codes[::2], codes[1::2], strict=True))
    is_mapped = position >= 0
    cigar = struct.pack("<I", len(bases) << 4) if is_mapped else b""  # all match
    reference, flag, bin_ = (0, 0, 4681) if is_mapped else (UNPLACED, UNMAPPED, 4680)
    fixed = struct.pack(
        "<iiBBHHHiiii", reference, position, len(name) + 1, 60 if is_mapped else 0, bin_, int(is_mapped), flag,
        len(bases), UNPLACED, -1, 0,
    )  # fmt: skip
    body = fixed + name.encode() + b"\0" + cigar + packed + qualities
    return struct.pack("<i", len(body)) + body


def cram() -> bytes:
    """Return a CRAM 3.0 file with a header and no reads."""
    text = b"@HD\tVN:1.6\tSO:unsorted\n@SQ\tSN:chr1\tLN:1000\n"
    inner = struct.pack("<i", len(text)) + text
    block = bytes([0, 0, 0, len(inner), len(inner)]) + inner  # raw, file header, id 0, both sizes
    block += struct.pack("<I", zlib.crc32(block))
    head = struct.pack("<i", len(block)) + bytes([0, 0, 0, 0, 0, 0, 1, 1, 0])
    head += struct.pack("<I", zlib.crc32(head))
    return b"CRAM\x03\0" + b"made by a test".ljust(20, b"\0") + head + block + CRAM_END


PLACED = (("first", 10), ("second", 100), ("third", 500))

SMALL_FILES: dict[str, bytes] = {
    "S1_R1.fastq": fastq(3),
    "S1_R1.fastq.gz": gzip.compress(fastq(3), mtime=1),
    "S1_R1.fastq.bz2": bz2.compress(fastq(3)),
    "windows.fastq": fastq(3, "\r\n"),
    "two members.fastq.gz": gzip.compress(fastq(2), mtime=1) + gzip.compress(fastq(1), mtime=2),
    "sorted.bam": bam(PLACED, order="coordinate"),
    "unsorted.bam": bam(PLACED[::-1], order="unsorted"),
    "reads.bam": bam([("b", -1), ("a", -1)], order="unknown"),
    "reads.cram": cram(),
    "reads.pod5": POD5_SIGNATURE + bytes(range(256)) + POD5_SIGNATURE,
    "windows.txt": b"a line\r\nwith  blanks\tand a tab\r\nand no end",
    "windows.csv": b"Sample,Reads\r\nS1,3\r\n",
    "no reads.fastq.gz": gzip.compress(b"", mtime=1),
    "no reads.fastq": b"",
    "notes": b"\x00\xff\r\nno ending at all",
}
"""Each under the name from which the watcher tells its extension."""
