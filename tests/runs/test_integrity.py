"""The content pass: facts of whole files, whatever way they are written and fed; checksums; joined files; pairs."""

import gzip
import hashlib
import io
import resource
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.runs.gzips import RECORD, bgzf, one_member, read_through, records
from watcher.errors import ContentBroken
from watcher.runs.integrity import ALGORITHMS, ContentFacts, ContentPass, check_pair, kind_of

TEXT = records(2000)
FORMS = {
    "one member": one_member(TEXT),
    "two members": one_member(TEXT[:50_000]) + one_member(TEXT[50_000:]),
    "many members": b"".join(one_member(TEXT[at : at + 500]) for at in range(0, len(TEXT), 500)),
    "bgzf": bgzf(TEXT),
    "bgzf in small blocks": bgzf(TEXT, 700),
    "bgzf then gzip and bgzf": bgzf(TEXT[:50_000]) + one_member(TEXT[50_000:60_000]) + bgzf(TEXT[60_000:]),
}


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("S1_R1_001.fastq.gz", "fastq.gz"),
        ("S1.FQ.GZ", "fastq.gz"),
        ("S1.fastq.bz2", "fastq.bz2"),
        ("S1.FQ.BZ2", "fastq.bz2"),
        ("a.vcf.bz2", "bz2"),
        ("a.fastq", "fastq"),
        ("a.fq", "fastq"),
        ("a.vcf.gz", "gz"),
        ("a.bam", "bam"),
        ("a.bam.bai", "plain"),
        ("fastq", "plain"),
        ("a.fastq.ora", "plain"),
        ("a.txt", "plain"),
    ],
)
def test_the_name_says_how_to_read(name: str, kind: str) -> None:
    """What is inflated and counted follows from the end of the name."""
    assert kind_of(name) == kind


@pytest.mark.parametrize("form", FORMS)
def test_whole_files_give_their_facts(form: str) -> None:
    """Size and SHA-256 are those of the bytes as sent, records those inside, in every form of gzip."""
    content = FORMS[form]
    facts = read_through(content)
    assert (facts.size, facts.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert facts.records == 2000
    assert facts.gzip == ("bgzf" if form.startswith("bgzf") else "gzip")


@settings(max_examples=40)
@given(st.sampled_from(sorted(FORMS)), st.lists(st.integers(0, 60_000), max_size=30))
def test_how_it_is_cut_into_chunks_does_not_matter(form: str, cuts: list[int]) -> None:
    """Any split of the bytes gives identical facts."""
    assert read_through(FORMS[form], "fastq.gz", *cuts) == read_through(FORMS[form])


@pytest.mark.parametrize("form", ["one member", "bgzf in small blocks", "two members"])
def test_single_bytes_are_enough(form: str) -> None:
    """Fed byte by byte, nothing changes."""
    content = FORMS[form][:]
    assert read_through(content, "fastq.gz", *range(len(content))) == read_through(content)


def test_large_chunks_use_two_threads_and_say_the_same() -> None:
    """Above some size hashing runs beside inflating; the facts are those of small chunks."""
    content = one_member(hashlib.shake_128(b"x").digest(1_500_000))
    small = read_through(content, "gz", *range(0, len(content), 10_000))
    assert read_through(content, "gz", 700_000) == small
    text = records(20_000, 100)
    assert read_through(text, "fastq", 1_000_000) == read_through(text, "fastq", *range(0, len(text), 10_000))


@pytest.mark.parametrize(("kind", "content"), [("fastq.gz", one_member(b"")), ("fastq.gz", bgzf(b"")), ("fastq", b"")])
def test_no_reads_at_all_is_legal(kind: str, content: bytes) -> None:
    """Converters write empty files for samples that failed."""
    assert read_through(content, kind).records == 0


def test_a_last_line_without_newline_is_whole() -> None:
    """The final newline may be missing."""
    assert read_through(one_member(TEXT[:-1])).records == 2000
    assert read_through(TEXT[:-1], "fastq").records == 2000


def test_reads_of_any_length_are_counted() -> None:
    """Reads longer than any buffer, of one base and of none are records like others."""
    long = b"@long\n" + b"ACGT" * 700_000 + b"\n+long\n" + b"F" * 2_800_000 + b"\n"
    short = b"@s\nA\n+\n+\n@none\n\n+\n\n"
    content = one_member(long + short + long + short)
    assert read_through(content, "fastq.gz", *range(0, len(content), 3000)).records == 6


def test_files_that_are_not_fastq_are_hashed_and_inflated_only() -> None:
    """Other gzip is read to its end without counting; plain files are hashed."""
    assert read_through(one_member(b"anything"), "gz") == ContentFacts(
        28,
        hashlib.sha256(one_member(b"anything")).hexdigest(),
        None,
        "gzip",
        read_through(one_member(b"anything"), "gz").parts,
    )
    assert read_through(b"\0\1\2", "plain").records is None
    bam = bgzf(b"BAM\x01" + bytes(1000))
    assert read_through(bam, "bam", 3, 30).gzip == "bgzf"


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_checksums_of_a_manifest_are_compared(algorithm: str) -> None:
    """A listed checksum that fits passes, also in capitals; another one is broken and named."""
    content = one_member(TEXT)
    good = f"{zlib.crc32(content):08x}" if algorithm == "crc32" else hashlib.new(algorithm, content).hexdigest()
    assert read_through(content, expect={algorithm: good.upper()}).records == 2000
    wrong = ("0" if good[0] != "0" else "1") + good[1:]
    with pytest.raises(ContentBroken, match=f"has the {algorithm} {good}, its checksum file says {wrong}") as caught:
        read_through(content, expect={algorithm: wrong})
    assert caught.value.files == ("a.fastq.gz",)


def test_a_crc32_without_leading_zeros_fits() -> None:
    """Some lists drop them."""
    content = next(text for number in range(5000) if zlib.crc32(text := b"%d" % number) < 0x01000000)
    assert read_through(content, "plain", expect={"crc32": f"{zlib.crc32(content):x}"}).size == len(content)


def test_joined_files_are_one_dataset() -> None:
    """Lanes sent one behind the other: one SHA-256 and size, records added up, each part's own checksum proven."""
    lanes = [one_member(records(3)), bgzf(records(4)), one_member(records(5))]
    reading = ContentPass("S1", "fastq.gz", {"md5": hashlib.md5(lanes[0]).hexdigest()})
    for number, lane in enumerate(lanes):
        if number:
            reading.next_part({"sha256": hashlib.sha256(lane).hexdigest()}, name=f"lane {number}")
        reading.feed(lane)
    facts = reading.finish()
    whole = b"".join(lanes)
    assert (facts.size, facts.sha256, facts.records) == (len(whole), hashlib.sha256(whole).hexdigest(), 12)
    assert facts.gzip == "gzip"
    assert [(part.size, part.sha256, part.records) for part in facts.parts] == [
        (len(lane), hashlib.sha256(lane).hexdigest(), count) for lane, count in zip(lanes, (3, 4, 5), strict=True)
    ]
    assert gzip.decompress(whole).count(b"\n") == 48


def test_a_later_part_is_named_when_it_is_broken() -> None:
    """Checksum and content of each part are judged by themselves."""
    reading = ContentPass("lane 1", "fastq.gz")
    reading.feed(one_member(RECORD))
    reading.next_part({"sha256": "0" * 64}, name="lane 2")
    reading.feed(one_member(RECORD))
    with pytest.raises(ContentBroken, match="`lane 2` has the sha256"):
        reading.finish()


def test_a_part_must_end_before_the_next_begins() -> None:
    """A first lane that is cut off is not healed by the second; one without final newline would join two lines."""
    reading = ContentPass("lane 1", "fastq.gz")
    reading.feed(one_member(RECORD)[:-5])
    with pytest.raises(ContentBroken, match="cut off"):
        reading.next_part()
    reading = ContentPass("lane 1", "fastq")
    reading.feed(RECORD[:-1])
    with pytest.raises(ContentBroken, match="does not end with a newline"):
        reading.next_part()


def test_pairs_have_as_many_records() -> None:
    """R1 and R2 that differ are broken, both named; what was not counted proves nothing."""

    def facts(count: int | None) -> ContentFacts:
        return ContentFacts(1, "", count)

    check_pair(facts(5), facts(5), ("R1", "R2"))
    check_pair(facts(5), facts(None), ("R1", "R2"))
    with pytest.raises(ContentBroken, match="`R1` holds 5 records, its partner `R2` 4") as caught:
        check_pair(facts(5), facts(4), ("R1", "R2"))
    assert caught.value.files == ("R1", "R2")


def test_a_gzip_bomb_uses_bounded_memory() -> None:
    """256 MiB of zeros in one small chunk are inflated in slices."""
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=6, mtime=0) as bomb:
        for _ in range(256):
            bomb.write(bytes(1024 * 1024))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    read_through(packed.getvalue(), "gz")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 30 * 1024


def test_an_unknown_checksum_is_a_mistake_of_ours() -> None:
    """A name that no list can give is refused at once."""
    with pytest.raises(ValueError, match="whirlpool"):
        ContentPass("a", "plain", {"whirlpool": "00"})
