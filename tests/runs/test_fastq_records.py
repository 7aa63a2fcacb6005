"""Every record of plain FASTQ is looked at, wherever the text is cut and whatever is wrong with one of its lines."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from watcher.errors import ContentBroken
from watcher.runs.fastq_records import FastqRecords

RECORDS = 40


def lines_of(lengths: list[int]) -> list[bytes]:
    """Return the lines of records with reads of these lengths; qualities begin with '@' or '+' now and then."""
    lines = []
    for number, length in enumerate(lengths):
        quality = b"@+FI"[number % 4 : number % 4 + 1] * length
        lines += [b"@r%d" % number, b"ACGT"[number % 4 : number % 4 + 1] * length, b"+", quality]
    return lines


def is_whole(text: bytes) -> bool:
    """Tell whether the text is whole records, looking at one after another."""
    lines = text.removesuffix(b"\n").split(b"\n") if text else []
    records = [lines[at : at + 4] for at in range(0, len(lines), 4)]
    return all(
        len(record) == 4 and record[0][:1] == b"@" and record[2][:1] == b"+" and len(record[1]) == len(record[3])
        for record in records
    )


def records_in(text: bytes, cuts: list[int], portions: list[int]) -> int | None:
    """Return how many records are counted in text that is cut there and looked at in such portions; None: refused."""
    places = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts)})
    slices = [text[start:end] for start, end in itertools.pairwise(places)]
    looked_at = FastqRecords("reads.fastq")
    try:
        while slices:
            portion = portions[len(slices) % len(portions)]
            stretch = looked_at.stretch()
            for part in slices[:portion]:
                stretch.look(part)
            del slices[:portion]
            looked_at.join(stretch)
        looked_at.finish()
    except ContentBroken:
        return None
    return looked_at.records


@given(
    lengths=st.lists(st.sampled_from([1, 2, 7]), min_size=RECORDS, max_size=RECORDS) | st.just([5] * RECORDS),
    cuts=st.lists(st.integers(0, 2000), max_size=6),
    portions=st.lists(st.integers(1, 3), min_size=1, max_size=3),
)
def test_whole_records_are_counted_wherever_the_text_is_cut(
    lengths: list[int], cuts: list[int], portions: list[int]
) -> None:
    """Good text counts alike in any slices, also where reads differ in length."""
    assert records_in(b"\n".join(lines_of(lengths)) + b"\n", cuts, portions) == RECORDS


@given(
    at=st.integers(0, RECORDS * 4 - 1),
    line=st.sampled_from([None, b"", b"@", b"+", b"ACGT", b"ACGTA", b"@CGTA"]),
    cuts=st.lists(st.integers(0, 2000), max_size=6),
    portions=st.lists(st.integers(1, 3), min_size=1, max_size=3),
)
def test_one_wrong_line_is_found_wherever_it_is(
    at: int, line: bytes | None, cuts: list[int], portions: list[int]
) -> None:
    """A line that is replaced or missing is found as surely as by looking at one record after another."""
    lines = lines_of([5] * RECORDS)
    lines[at : at + 1] = [] if line is None else [line]
    text = b"\n".join(lines) + b"\n"
    assert records_in(text, cuts, portions) == (RECORDS if is_whole(text) else None)
