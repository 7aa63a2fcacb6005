"""What file names of reads say: Illumina's form from the right, the forms people use, and Galaxy's extensions."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watcher.runs.filenames import FastqName, extension_for, folded, parse_fastq_name, parse_names

NAMES = st.text(st.characters(codec="ascii", categories=("Lu", "Ll", "Nd"), include_characters="_-."), min_size=1)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("S1_S1_L001_R1_001.fastq.gz", FastqName("S1", 1, 1, "R1", 1)),
        ("ctl_S1_blank_S2_L001_R1_001.fastq.gz", FastqName("ctl_S1_blank", 2, 1, "R1", 1)),
        ("pool_R1_test_S5_R2_001.fastq.gz", FastqName("pool_R1_test", 5, 0, "R2", 1)),
        ("x_S1_L001_R1_001_S7_L002_I1_001.fastq.gz", FastqName("x_S1_L001_R1_001", 7, 2, "I1", 1)),
        ("Undetermined_S0_L008_R2_001.fastq.gz", FastqName("Undetermined", 0, 8, "R2", 1)),
        ("old_S3_L001_R1_002.fastq", FastqName("old", 3, 1, "R1", 2)),
        ("umi_S3_R3_001.fq.gz", FastqName("umi", 3, 0, "R3", 1)),
        ("S1_L001_R1_001.fastq.gz", None),
        ("S1_S1_L001_R1.fastq.gz", None),
        (".S1_S1_L001_R1_001.fastq.gz.Ab12Cd", None),
        ("S1_S1_L001_R1_001.fastq.qz", None),
    ],
)
def test_illumina_names_are_read_from_the_right(name: str, expected: FastqName | None) -> None:
    """The last parts of a name decide, whatever the sample is called."""
    assert parse_fastq_name(name) == expected


@given(NAMES, st.integers(0, 999), st.sampled_from([None, 1, 8]), st.sampled_from(["R1", "R2", "I1"]))
def test_any_sample_name_survives_the_way_through_a_file_name(
    sample: str, number: int, lane: int | None, read: str
) -> None:
    """What a converter puts into a name comes out again."""
    lanes = f"_L{lane:03d}" if lane else ""
    parsed = parse_fastq_name(f"{sample}_S{number}{lanes}_{read}_001.fastq.gz")
    assert parsed == FastqName(sample, number, lane or 0, read, 1)
    assert parsed.is_undetermined == (number == 0)


@pytest.mark.parametrize(
    ("name", "sample", "read", "lane"),
    [
        ("x_R1.fastq.gz", "x", "R1", 0),
        ("x_R2_001.fq", "x", "R2", 0),
        ("x.r2.fastq.gz", "x", "R2", 0),
        ("x_1.fq.gz", "x", "R1", 0),
        ("x_L002_R1.fastq.gz", "x", "R1", 2),
        ("pool_R1_test_R2.fastq.gz", "pool_R1_test", "R2", 0),
        ("x.fastq.gz", "x", "", 0),
        ("m84.hifi_reads.bc1.bam", "m84.hifi_reads.bc1", "", 0),
        ("notes_1.txt", "notes_1.txt", "", 0),
    ],
)
def test_names_people_give_are_understood(name: str, sample: str, read: str, lane: int) -> None:
    """R1/R2 and 1/2 at the end of a FASTQ's name are its read."""
    parsed = parse_names([name])[name]
    assert (parsed.sample, parsed.read, parsed.lane) == (sample, read, lane)


def test_numbered_samples_are_no_pair() -> None:
    """Three numbers are three samples, and so are numbers that start at 0."""
    for numbers in (("1", "2", "3"), ("0", "1")):
        names = [f"patient_{number}.fastq.gz" for number in numbers]
        assert {(one.sample, one.read) for one in parse_names(names).values()} == {(name[:-9], "") for name in names}


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("a_S1_L001_R1_001.fastq.gz", "a_S1"),
        ("a_S1_L001_R2_001.fastq.gz", "a_S1"),
        ("a_S1_L002_R1_001.fastq.gz", "a_S1"),
        ("a_S1_R1_001.fastq.gz", "a_S1"),
        ("a.L003.R2.fq.bz2", "a"),
        ("L001_S2_L001_R1_001.fastq.gz", "L001_S2"),
        ("a_L001.bam", "a_L001.bam"),
        ("-a-_1.fq.gz", "-a"),
    ],
)
def test_all_reads_of_a_sample_have_the_same_stem(name: str, stem: str) -> None:
    """The part before the read, without the lane, is what makes files one unit."""
    assert parse_names([name])[name].stem == stem


def test_a_layout_may_bring_its_own_pattern() -> None:
    """Groups of a layout's pattern win; reads and lanes may be bare numbers."""
    mgi = re.compile(r"(?P<chip>[^_]+)_(?P<lane>L\d\d)_(?P<sample>.+)_(?P<read>[12])\.fq\.gz")
    parsed = parse_names(["V350_L03_1_2.fq.gz"], mgi)["V350_L03_1_2.fq.gz"]
    assert (parsed.sample, parsed.read, parsed.lane, parsed.stem) == ("1", "R2", 3, "V350_1")


@pytest.mark.parametrize(
    ("name", "ext"),
    [
        ("S1_S1_L001_R1_001.fastq.gz", "fastqsanger.gz"),
        ("x.FQ.GZ", "fastqsanger.gz"),
        ("x.fastq", "fastqsanger"),
        ("x.fq.bz2", "fastqsanger.bz2"),
        ("x.y.bam", "unsorted.bam"),
        ("table.tsv", "tabular"),
        ("calls.vcf.gz", "vcf_bgzip"),
        ("fastq.gz", "data"),
        ("unknown.xyz", "data"),
        ("README", "data"),
    ],
)
def test_extensions_are_in_galaxys_spelling(name: str, ext: str) -> None:
    """A name tells Galaxy's extension; one that tells nothing is plain data."""
    assert extension_for(name) == ext


def test_folding_is_what_converters_do_to_names() -> None:
    """Blanks, underscores and dots become dashes, and case does not count."""
    assert folded(" phiX CT1462_2.1 ") == folded("PHIX-CT1462-2-1")
