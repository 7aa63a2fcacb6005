"""What a file's size, first and last bytes give away: empty, reserved and never written, cut, misnamed."""

import bz2
import gzip

import pytest

from tests.runs.gzips import BLOCK, RECORD, bgzf, one_member
from watcher.runs.structure import check_structure

BAM = bgzf(b"BAM\x01" + bytes(100))
GZIP = one_member(RECORD * 100)
BZIP2 = bz2.compress(RECORD * 100)
CRAM_3 = bytes.fromhex("0f000000ffffffff0fe0454f4600000000010005bdd94f0001000606010001000100ee63014b")
CRAM_2 = bytes.fromhex("0b000000ffffffff0fe0454f460000000001000001000606010001000100")
POD5 = b"\x8bPOD\r\n\x1a\n"


def look(path: str, content: bytes) -> str:
    """Look at the ends of a content as the disk room would hand them over."""
    return check_structure(path, len(content), content[:64], content[-4096:])


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("a.fastq.gz", GZIP),
        ("Data/S1_R1.fastq.gz", bgzf(RECORD * 9)),
        ("none.fastq.gz", one_member(b"")),
        ("level9.fastq.gz", gzip.compress(b"", 9, mtime=0)),
        ("none.fastq.gz", BLOCK),
        ("a.fastq.bz2", BZIP2),
        ("none.fq.bz2", bz2.compress(b"")),
        ("a.fastq", RECORD),
        ("a.bam", BAM),
        ("a.cram", b"CRAM\x03\x00" + bytes(30) + CRAM_3),
        ("a.cram", b"CRAM\x02\x01" + bytes(30) + CRAM_2),
        ("a.pod5", POD5 + bytes(30) + POD5),
        ("a.csv", b"Sample,1\n"),
        ("utf16.txt", "Sample\n".encode("utf-16-le")),
        ("image.tif", b"II*\0" + bytes(9000)),
        ("archive.tar", bytes(9000)),
        ("a.vcf.gz", bgzf(b"##fileformat=VCFv4.2\n")),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{len(value)}-bytes",
)
def test_good_files_pass(path: str, content: bytes) -> None:
    """Whole files, also those without reads and those that may well end with zeros, have no fault."""
    assert look(path, content) == ""


@pytest.mark.parametrize(
    ("path", "content", "told"),
    [
        ("a.fastq.gz", b"", "is empty"),
        ("a.fastq", b"", "is empty"),
        ("a.xyz", b"", "is empty"),
        ("a.fastq.gz", bytes(9000), "starts with zero bytes"),
        ("a.fastq", bytes(9000), "starts with zero bytes"),
        ("a.csv", bytes(9000), "starts with zero bytes"),
        ("a.bam", bytes(9000), "starts with zero bytes"),
        ("a.fastq.gz", RECORD, "is not gzip: it starts with 40 41 30 30"),
        ("a.fastq.gz", GZIP[:19], "19 bytes are fewer"),
        ("a.fastq.gz", GZIP + bytes(5000), "ends with 4096 zero bytes"),
        ("a.fastq.bz2", b"", "is empty"),
        ("a.fastq.bz2", bytes(9000), "starts with zero bytes"),
        ("a.fq.bz2", GZIP, "is not bzip2: it starts with 1f 8b 08 00"),
        ("a.fq.bz2", b"BZh0" + bytes(99), "is not bzip2"),
        ("a.fq.bz2", BZIP2[:13], "13 bytes are fewer"),
        ("a.fq.bz2", BZIP2 + bytes(5000), "ends with 4096 zero bytes"),
        ("a.fastq.gz", bgzf(RECORD * 9, end=False), "the end block is missing"),
        ("a.bam", BAM[:-28], "the end block is missing"),
        ("a.bam", BAM[:-1], "the end block is missing"),
        ("a.bam", one_member(b"BAM\x01"), "its first block is not BGZF"),
        ("a.fastq", b">fasta", "is no FASTQ"),
        ("a.fastq", RECORD + bytes(2000), "ends with 2000 zero bytes"),
        ("a.tsv", b"a\tb\n" + bytes(100), "ends with 100 zero bytes"),
        ("a.cram", b"CRAM\x03\x00" + bytes(100), "the end container of CRAM is missing"),
        ("a.cram", b"BAM\x01", "is no CRAM"),
        ("a.pod5", POD5 + bytes(100), "the end mark of POD5 is missing"),
        ("a.pod5", b"POD5", "is no POD5"),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{len(value)}-bytes",
)
def test_what_is_wrong_is_told(path: str, content: bytes, told: str) -> None:
    """Each fault is told in words that a person can act on."""
    assert told in look(path, content)
