"""The content pass reads bzip2 to its end: one stream or many, cut anywhere, changed, padded, cut records."""

from __future__ import annotations

import bz2
import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.runs.gzips import read_through, records
from watcher.errors import ContentBroken
from watcher.runs.integrity import ContentFacts, check_pair

TEXT = records(400)
ONE = bz2.compress(TEXT)
MANY = b"".join(bz2.compress(TEXT[at : at + 900]) for at in range(0, len(TEXT), 900))
FORMS = {"one stream": ONE, "many streams": MANY, "with an empty one": ONE + bz2.compress(b"")}


def through(content: bytes, *cuts: int, kind: str = "fastq.bz2") -> ContentFacts:
    """Read bytes through as a file of this kind."""
    return read_through(content, kind, *cuts, name="a.fastq.bz2")


@pytest.mark.parametrize("form", FORMS)
def test_whole_files_give_their_facts(form: str) -> None:
    """Records are counted inside, size and hash are those of the bytes as sent, in chunks small and large."""
    content = FORMS[form]
    facts = through(content)
    assert (facts.size, facts.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert (facts.records, facts.gzip) == (400, "bzip2")
    assert through(content, *range(len(content))) == facts


def test_large_chunks_say_the_same() -> None:
    """Two threads at work, a text larger than any slice."""
    text = records(40_000, 151)
    content = bz2.compress(text[:5_000_000]) + bz2.compress(text[5_000_000:])
    assert through(content).records == 40_000


@settings(max_examples=40)
@given(st.sampled_from(sorted(FORMS)), st.lists(st.integers(0, len(MANY)), max_size=30))
def test_how_it_is_cut_into_chunks_does_not_matter(form: str, cuts: list[int]) -> None:
    """Any split of the bytes gives identical facts."""
    assert through(FORMS[form], *cuts) == through(FORMS[form])


@settings(max_examples=150)
@given(st.sampled_from(sorted(FORMS)), st.data())
def test_a_flipped_bit_is_found(form: str, draw: st.DataObject) -> None:
    """One changed bit is found by the checksums inside, or the text is the same."""
    content = bytearray(FORMS[form])
    content[draw.draw(st.integers(0, len(content) - 1))] ^= 1 << draw.draw(st.integers(0, 7))
    try:
        facts = through(bytes(content))
    except ContentBroken:
        return
    assert (bz2.decompress(content), facts.records) == (TEXT, 400)


@settings(max_examples=60)
@given(st.binary(min_size=1, max_size=300), st.lists(st.integers(0, 3000), max_size=4))
def test_anything_behind_the_end_is_found(garbage: bytes, cuts: list[int]) -> None:
    """Bytes behind the last stream are broken."""
    with pytest.raises(ContentBroken):
        through(ONE + garbage, *cuts)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "is cut off"),
        (b"BZ", "is cut off"),
        (b"plain text, and long enough", "is not bzip2: it starts with 70 6c 61 69"),
        (bytes(99), "is not bzip2"),
        (ONE + bytes(9), f"goes on with zero bytes .* at byte {len(ONE)}"),
        (ONE + b"x", f"goes on with bytes that are no bzip2 .* at byte {len(ONE)}"),
        (ONE[:60] + bytes(20) + ONE[80:], "is damaged: invalid data stream, in the bzip2 stream that starts at byte 0"),
        (bz2.compress(TEXT[:-5]), "sequence and quality of record 400"),
        (bz2.compress(TEXT[: TEXT.rindex(b"+")]), "ends in the middle of a record"),
    ],
    ids=["empty", "half a head", "text", "zeros", "padded", "garbage", "hole", "cut quality", "cut record"],
)
def test_what_is_wrong_is_told(content: bytes, told: str) -> None:
    """Each fault is named with its place."""
    with pytest.raises(ContentBroken, match=told):
        through(content)


def test_pairs_are_compared_and_other_files_only_inflated() -> None:
    """R1 and R2 must have as many records; what is no FASTQ has none."""
    short = through(bz2.compress(records(399)))
    with pytest.raises(ContentBroken, match="holds 400 records"):
        check_pair(through(ONE), short, ("a_R1.fastq.bz2", "a_R2.fastq.bz2"))
    assert through(bz2.compress(b"##fileformat"), kind="bz2").records is None
