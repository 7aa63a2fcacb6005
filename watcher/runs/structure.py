"""Whether a file can be whole, seen from its size, its first and its last bytes alone.

Catches what copies leave behind: empty files, space reserved in advance and never written, text where gzip or bzip2
should be, BGZF, CRAM and POD5 without their end. A good answer proves nothing yet: the file is read through while it
is sent, see `integrity.py`.
"""

from __future__ import annotations

import bz2
import gzip
import zlib
from collections.abc import Callable, Mapping

from watcher.runs.bzip2 import SMALLEST_BYTES, starts_stream
from watcher.runs.inflate import BGZF_END, block_length
from watcher.runs.integrity import kind_of

SMALLEST_GZIP_BYTES = 20

_CRAM_START = b"CRAM"
# The two end-of-file containers of the CRAM specification, section 9: version 3 and version 2.1.
_CRAM_ENDS = (
    bytes.fromhex("0f000000ffffffff0fe0454f4600000000010005bdd94f0001000606010001000100ee63014b"),
    bytes.fromhex("0b000000ffffffff0fe0454f460000000001000001000606010001000100"),
)
_POD5_MARK = b"\x8bPOD\r\n\x1a\n"  # at both ends, POD5 file format specification
_UNPACK: Mapping[str, Callable[[bytes], bytes]] = {"fastq.gz": gzip.decompress, "fastq.bz2": bz2.decompress}
_TABLES = (".csv", ".tsv", ".txt", ".xml", ".json", ".html", ".log")
_SEQUENCES = (".fasta", ".fa", ".fna", ".sam", ".vcf", ".bed", ".gtf", ".gff3")
_TEXT = _TABLES + _SEQUENCES


def check_structure(path: str, size: int, head: bytes, tail: bytes) -> str:
    """Say what is wrong with a file of this name, or nothing.

    `head` are its first bytes (64 do), `tail` its last (4096 do; fewer of a smaller file).
    """
    if size == 0:
        return "is empty (0 bytes)"
    kind = kind_of(path)
    low = path.lower()
    if not any(head) and (kind != "plain" or low.endswith(_TEXT)):
        return "starts with zero bytes: its space was reserved, but its content was not written yet"
    if kind in ("fastq.gz", "gz", "bam"):
        return _check_gzip(kind, size, head, tail)
    if kind in ("fastq.bz2", "bz2"):
        return _check_bzip2(size, head, tail)
    if kind == "fastq":
        if head[:1] != b"@":
            return f"is no FASTQ: it starts with {head[:4]!r} instead of '@'"
        return _check_text_end(tail)
    if low.endswith(".cram"):
        if head[:4] != _CRAM_START:
            return f"is no CRAM: it starts with {head[:4].hex(' ')}"
        return "" if tail.endswith(_CRAM_ENDS) else "is cut off: the end container of CRAM is missing"
    if low.endswith(".pod5"):
        if head[:8] != _POD5_MARK:
            return f"is no POD5: it starts with {head[:8].hex(' ')}"
        return "" if tail.endswith(_POD5_MARK) else "is cut off: the end mark of POD5 is missing"
    return _check_text_end(tail) if low.endswith(_TEXT) else ""


def has_no_reads(path: str, size: int, tail: bytes) -> bool:
    """Tell whether a file of FASTQ is whole but holds nothing: converters make such for samples that failed.

    `tail` are its last bytes; what does not fit in there holds something.
    """
    if len(tail) < size or (unpack := _UNPACK.get(kind_of(path))) is None:
        return False
    try:
        return not unpack(tail)
    except (OSError, EOFError, ValueError, zlib.error):
        return False  # broken, which is said elsewhere


def _check_gzip(kind: str, size: int, head: bytes, tail: bytes) -> str:
    if head[:3] != b"\x1f\x8b\x08":
        return f"is not gzip: it starts with {head[:4].hex(' ')} instead of 1f 8b 08"
    if size < SMALLEST_GZIP_BYTES:
        return f"is cut off: {size} bytes are fewer than the smallest gzip file has"
    if wrong := _check_hole(tail):
        return wrong
    if len(head) < 18 or not block_length(head):
        return "is no BAM: its first block is not BGZF" if kind == "bam" else ""
    return "" if tail.endswith(BGZF_END) else "is cut off: it is BGZF, but the end block is missing"


def _check_bzip2(size: int, head: bytes, tail: bytes) -> str:
    if not starts_stream(head):
        return f"is not bzip2: it starts with {head[:4].hex(' ')} instead of 42 5a 68 and a digit"
    if size < SMALLEST_BYTES:
        return f"is cut off: {size} bytes are fewer than the smallest bzip2 file has"
    return _check_hole(tail)


def _check_hole(tail: bytes) -> str:
    if any(tail):
        return ""
    return f"ends with {len(tail)} zero bytes: its space was reserved, but its content was not written to the end"


def _check_text_end(tail: bytes) -> str:
    # Text in UTF-16 holds single zero bytes; a hole is nothing else.
    zeros = len(tail) - len(tail.rstrip(b"\0"))
    return f"ends with {zeros} zero bytes: its content was not written to the end" if zeros > 1 else ""
