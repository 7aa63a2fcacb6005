"""The content pass finds what is broken: cut anywhere, changed, padded, joined to garbage, cut records."""

import bz2
import gzip
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.runs.gzips import BLOCK, RECORD, bgzf, one_member, read_through, records
from watcher.errors import ContentBroken
from watcher.runs.integrity import check_pair, kind_of

TEXT = records(40)
GZIP = one_member(TEXT)
BGZF = bgzf(TEXT, 1000)
FORMS = {"gzip": GZIP, "bgzf": BGZF}
HEAD_BYTES = 10


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (GZIP, "a.fastq.gz"),
        (BGZF, "a.fastq.gz"),
        (bz2.compress(TEXT), "a.fastq.bz2"),
        (b"".join(bz2.compress(TEXT[at : at + 900]) for at in range(0, len(TEXT), 900)), "a.fastq.bz2"),
    ],
    ids=["gzip", "bgzf", "bzip2", "bzip2 of many streams"],
)
def test_cut_at_any_byte(content: bytes, name: str) -> None:
    """Whatever is missing at the end, the file is broken and named, never taken for whole."""
    for length in range(len(content)):
        with pytest.raises(ContentBroken) as caught:
            read_through(content[:length], kind_of(name), name=name)
        assert caught.value.files == (name,)


@settings(max_examples=300)
@given(st.sampled_from(sorted(FORMS)), st.data())
def test_joined_files_cut_at_any_byte(form: str, draw: st.DataObject) -> None:
    """Several members, or BGZF files, one behind the other, cut anywhere and fed in any pieces: broken and named, but
    where the cut falls between two of them and between two records. Then it is a shorter file, which its mate tells.
    """
    text = records(draw.draw(st.integers(1, 30)))
    splits = draw.draw(st.lists(st.integers(0, len(text)), max_size=4).map(sorted))
    pieces = [text[start:end] for start, end in itertools.pairwise([0, *splits, len(text)])]
    block_bytes = draw.draw(st.integers(20, 3000))
    packed = [one_member(piece) if form == "gzip" else bgzf(piece, block_bytes) for piece in pieces]
    content = b"".join(packed)
    ends = dict(zip(itertools.accumulate(map(len, packed)), itertools.accumulate(map(len, pieces)), strict=True))
    near = [end + by for end in ends for by in (-1, 0, 1) if end + by < len(content)]
    length = draw.draw(st.one_of(st.integers(0, len(content) - 1), st.sampled_from(near)))
    cuts = draw.draw(st.lists(st.integers(0, len(content)), max_size=3))
    left = text[: ends.get(length, 0)]
    if length in ends and left.rstrip(b"\n") + b"\n" in _whole_records(text):
        shorter, whole = read_through(content[:length], "fastq.gz", *cuts), read_through(content)
        assert (shorter.records, whole.records) == (left.count(b"@run"), text.count(b"@run"))
        if shorter.records != whole.records:
            with pytest.raises(ContentBroken, match="holds"):
                check_pair(shorter, whole, ("a_R1.fastq.gz", "a_R2.fastq.gz"))
        return
    with pytest.raises(ContentBroken) as caught:
        read_through(content[:length], "fastq.gz", *cuts)
    assert caught.value.files == ("a.fastq.gz",)


def _whole_records(text: bytes) -> set[bytes]:
    """Return what is left of some records when it ends between two of them; nothing at all is one newline here."""
    lines = text.splitlines(keepends=True)
    return {b"".join(lines[:count]) or b"\n" for count in range(0, len(lines) + 1, 4)}


@settings(max_examples=150)
@given(st.sampled_from(sorted(FORMS)), st.data())
def test_a_flipped_bit_is_found(form: str, draw: st.DataObject) -> None:
    """One changed bit anywhere behind the headers is found by the checksums inside, or the text is the same: the last
    byte of a deflate stream has bits that nobody reads.
    """
    content = bytearray(FORMS[form])
    if form == "gzip":
        place = draw.draw(st.integers(HEAD_BYTES, len(content) - 1))
    else:  # a block whose header changed may still be whole gzip: it says nothing of the content
        starts = _block_starts(bytes(content))
        place = draw.draw(
            st.integers(0, len(content) - 1).filter(lambda at: all(not 3 <= at - start < 16 for start in starts))
        )
    content[place] ^= 1 << draw.draw(st.integers(0, 7))
    try:
        facts = read_through(bytes(content))
    except ContentBroken:
        return
    assert (gzip.decompress(content), facts.records) == (TEXT, 40)


def _block_starts(content: bytes) -> list[int]:
    starts, at = [], 0
    while at < len(content):
        starts.append(at)
        at += int.from_bytes(content[at + 16 : at + 18], "little") + 1
    return starts


@settings(max_examples=100)
@given(st.sampled_from(sorted(FORMS)), st.binary(min_size=1, max_size=300), st.lists(st.integers(0, 3000), max_size=4))
def test_anything_behind_the_end_is_found(form: str, garbage: bytes, cuts: list[int]) -> None:
    """Bytes behind the last member are broken, unless they are themselves whole gzip."""
    with pytest.raises(ContentBroken):
        read_through(FORMS[form] + garbage, "fastq.gz", *cuts)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("extra", "told"),
    [
        (b"\0", "zero bytes"),
        (bytes(70_000), "zero bytes"),
        (b"garbage", "that are no gzip"),
        (b"\x1f\x8c" + bytes(30), "that are no gzip"),
    ],
    ids=["one zero", "padding", "short garbage", "nearly gzip"],
)
def test_the_place_of_what_is_too_much_is_told(form: str, extra: bytes, told: str) -> None:
    """Zero padding and garbage are told apart, with the offset where the stream ended."""
    content = FORMS[form]
    with pytest.raises(ContentBroken, match=rf"{told}.* at byte {len(content)}\."):
        read_through(content + extra)


def test_bgzf_without_its_end_block() -> None:
    """BGZF that stops between two blocks is whole gzip, and still cut off."""
    with pytest.raises(ContentBroken, match="the end block is missing"):
        read_through(bgzf(TEXT, end=False))
    with pytest.raises(ContentBroken, match="the end block is missing"):
        read_through(BLOCK + bgzf(TEXT, end=False))


@pytest.mark.parametrize("kind", ["fastq.gz", "gz", "bam"])
@pytest.mark.parametrize(
    "content", [b"", b"\x1f", b"\x1f\x8b\x08", b"plain text, and long enough to be looked at", bytes(5000)]
)
def test_what_is_no_gzip_at_all(kind: str, content: bytes) -> None:
    """Empty files, fragments of a header, text and zeros are not gzip."""
    with pytest.raises(ContentBroken):
        read_through(content, kind)


@pytest.mark.parametrize(
    "inside",
    [bgzf(b"SAM\x01" + bytes(99)), one_member(b"BAM\x01" + bytes(99)), bgzf(b"")],
    ids=["no BAM", "no BGZF", "empty"],
)
def test_a_bam_must_be_one(inside: bytes) -> None:
    """BAM is BGZF and starts with its own magic."""
    with pytest.raises(ContentBroken, match="no BAM"):
        read_through(inside, "bam")


@pytest.mark.parametrize("packed", [True, False], ids=["gz", "plain"])
@pytest.mark.parametrize(
    ("text", "told"),
    [
        (TEXT[: TEXT.rindex(b"+\n")], "ends in the middle of a record: 158 lines"),
        (TEXT[: TEXT.rindex(b"\n", 0, -1)], "ends in the middle of a record: 159 lines"),
        (TEXT[:-5], "sequence and quality of record 40 are 40 and 36 long"),
        (TEXT + b"\n", "record 41 does not start with '@'"),
        (TEXT.replace(b"@run:1:39", b"run:1:39"), "record 40 does not start with '@'"),
        (b"-\n".join(TEXT.rsplit(b"+\n", 1)), "third line of record 40 does not start with"),
        (TEXT[:600] + bytes(5) + TEXT[605:], "zero bytes from byte 600 of its text on"),
        (b"just a text\nof\nfour\nlines\n", "does not start with '@'"),
        (b">fasta\nACGT\n>b\nACGT\n", "does not start with '@'"),
    ],
    ids=["no plus", "no quality", "cut quality", "empty line", "no @", "no +", "hole", "text", "fasta"],
)
def test_records_that_are_not_whole(text: bytes, told: str, packed: bool) -> None:
    """Whole gzip around a cut FASTQ is found by its lines, with what is wrong."""
    with pytest.raises(ContentBroken, match=told):
        read_through(one_member(text) if packed else text, "fastq.gz" if packed else "fastq")


def test_a_shifted_record_in_the_middle_is_found_early() -> None:
    """A lost line shows at the next chunk, not only at the end."""
    text = records(10) + RECORD.replace(b"+\n", b"") + records(9)
    with pytest.raises(ContentBroken, match=r"record 1\d"):
        read_through(text + records(100), "fastq", len(text))


@settings(max_examples=150)
@given(st.integers(0, 39), st.integers(0, 3), st.binary(max_size=60), st.lists(st.integers(0, 5000), max_size=4))
def test_a_changed_line_of_plain_text_is_found_wherever_it_is(
    record: int, line: int, wrong: bytes, cuts: list[int]
) -> None:
    """Nothing vouches for plain text, so each of its records is looked at, however it is cut into chunks."""
    lines = TEXT.split(b"\n")
    at = 4 * record + line
    fits = {
        0: wrong[:1] == b"@",
        1: len(wrong) == len(lines[at]),
        2: wrong[:1] == b"+",
        3: len(wrong) == len(lines[at]),
    }[line]
    lines[at] = wrong
    text = b"\n".join(lines)
    if fits and b"\n" not in wrong and b"\0" not in wrong:
        assert read_through(text, "fastq", *cuts, name="a.fastq").records == 40
    else:
        with pytest.raises(ContentBroken, match=r"a\.fastq"):
            read_through(text, "fastq", *cuts, name="a.fastq")


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ((80, b"garbage"), "record 21 does not start with '@'"),
        ((82, b"-"), "the third line of record 21 does not start with"),
        ((83, b"FFF"), "sequence and quality of record 21 are 40 and 3 long"),
    ],
)
def test_the_damaged_record_is_named(wrong: tuple[int, bytes], told: str) -> None:
    """A person finds the place by the number of the record."""
    lines = TEXT.split(b"\n")
    lines[wrong[0]] = wrong[1]
    with pytest.raises(ContentBroken, match=told):
        read_through(b"\n".join(lines), "fastq", 500, 2000, name="a.fastq")


def test_a_quality_cut_within_a_long_read() -> None:
    """The lengths of a read longer than any buffer are compared as well."""
    text = b"@long\n" + b"ACGT" * 500_000 + b"\n+\n" + b"F" * 1_999_999
    with pytest.raises(ContentBroken, match="2000000 and 1999999 long"):
        read_through(one_member(text), "fastq.gz", *range(0, 3000, 500))


def test_a_block_that_lies_about_its_size() -> None:
    """A BGZF block cannot claim more than its format allows, nor be shorter than its frame."""
    content = bytearray(bgzf(TEXT))
    length = int.from_bytes(content[16:18], "little") + 1
    content[length - 4 : length] = (70_000).to_bytes(4, "little")
    with pytest.raises(ContentBroken, match="more than 64 KiB"):
        read_through(bytes(content))
    content[16:18] = (19).to_bytes(2, "little")
    with pytest.raises(ContentBroken, match="shorter than its own frame"):
        read_through(bytes(content))
