"""Bytes of the files that instruments write, as small as they can be and still be what they are called.

FASTQ in gzip and in BGZF, BAM with a record, CRAM and POD5 with their ends, base calls that nobody reads. Names and
reads differ from file to file, so that checksums do. Knows no instrument.
"""

from __future__ import annotations

import struct
import zlib

from tests.runs.gzips import bgzf, one_member

CRAM_END = bytes.fromhex("0f000000ffffffff0fe0454f4600000000010005bdd94f0001000606010001000100ee63014b")
POD5_MARK = b"\x8bPOD\r\n\x1a\n"
BASE_CALLS = b"\x10\0\0\0" + bytes(range(4, 20))


def fastq(sample: str, read: str = "R1", count: int = 2, bases: int = 12) -> bytes:
    """Return FASTQ; the reads of a pair have the same names, the bases follow from sample and read."""
    seed = zlib.crc32(f"{sample}/{read}".encode())
    number = {"R1": "1", "R2": "2", "R3": "3"}.get(read, "1")
    lines = []
    for at in range(count):
        letters = "".join("ACGT"[(seed >> (place * 2 + at) % 31) & 3] for place in range(bases))
        lines.append(f"@{sample}:1:1101:{at}:7 {number}:N:0:ACGT\n{letters}\n+\n{'F' * bases}\n")
    return "".join(lines).encode()


def fastq_gz(sample: str, read: str = "R1", count: int = 2, *, blocks: bool = False) -> bytes:
    """Return FASTQ as plain gzip, or as BGZF with its end block."""
    text = fastq(sample, read, count)
    return bgzf(text) if blocks else one_member(text)


def bam(sample: str, count: int = 1) -> bytes:
    """Return a BAM of unaligned reads with a read group, in BGZF with its end block."""
    header = f"@HD\tVN:1.6\tSO:unknown\n@RG\tID:1\tSM:{sample}\n".encode()
    content = b"BAM\x01" + struct.pack("<i", len(header)) + header + struct.pack("<i", 0)
    for at in range(count):
        name = f"{sample}/{at}".encode() + b"\0"
        # Four bases in two bytes, their qualities, no reference, no cigar; flag 4 = not aligned.
        fixed = struct.pack("<iiBBHHHiiii", -1, -1, len(name), 255, 4680, 0, 4, 4, -1, -1, 0)
        record = fixed + name + b"\x12\x48" + b"\x1e" * 4
        content += struct.pack("<i", len(record)) + record
    return bgzf(content)


def pbi(count: int = 1) -> bytes:
    """Return the index PacBio writes beside a BAM: BGZF as well."""
    return bgzf(b"PBI\x01" + struct.pack("<IHI", 0x00030001, 0, count) + bytes(18))


def cram(sample: str) -> bytes:
    """Return what a CRAM 3.0 begins and ends with."""
    return b"CRAM\x03\x00" + sample.encode()[:20].ljust(20, b"\0") + CRAM_END


def pod5(sample: str) -> bytes:
    """Return what a POD5 begins and ends with."""
    return POD5_MARK + sample.encode().ljust(16, b"\x01") + POD5_MARK


def crc32_of(content: bytes) -> str:
    """Return a CRC-32 as DRAGEN writes it: eight hex digits."""
    return f"{zlib.crc32(content):08x}"
