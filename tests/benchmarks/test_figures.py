"""The page of figures: verdicts are computed, busy machines are named, nothing tells whose machine it was."""

from __future__ import annotations

import gzip
import platform
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import content, reads
from benchmarks.figures import Figure, NotMeasured, Table, Target, median_of
from benchmarks.machine import this_machine
from benchmarks.page import page, with_tables
from watcher.runs.integrity import ContentPass, kind_of


@pytest.mark.parametrize(
    ("target", "value", "verdict"),
    [
        (Target(below=1), 0.99, "met"),
        (Target(below=1), 1.0, "missed"),
        (Target(at_most=1), 1.0, "met"),
        (Target(at_most=1), 1.01, "missed"),
        (Target(at_least=3), 3.0, "met"),
        (Target(at_least=3), 2.99, "missed"),
        (None, 5.0, ""),
    ],
)
def test_a_verdict_follows_from_the_value(target: Target | None, value: float, verdict: str) -> None:
    """A limit itself counts where the promise says at most or at least, and not where it says under."""
    assert Figure("it", value, "s", target=target).verdict == verdict


def test_the_page_says_what_was_measured_and_what_was_not() -> None:
    """Every figure stands beside its target; a missed one is set in bold, a measurement that could not be is named."""
    figure = median_of("way", [0.2, 0.5, 0.3], "s", target=Target(below=0.25))
    machine = replace(this_machine(), load=0.2)
    text = page(machine, [Table("Ways", "How.", (figure,)), NotMeasured("Uploads", "no Galaxy")], 61.0)
    assert "| way | 0.30 s | under 0.25 s | **missed** | median of 3; 0.20 to 0.50 |" in text
    assert "## Uploads\n\nNot measured: no Galaxy" in text
    assert "busy" not in text


def test_one_table_takes_the_place_of_the_one_before() -> None:
    """The others stay as they are, and it says that it was measured by itself; a table that has no place is refused."""
    tables = [Table(title, "How.", (Figure("it", 1.0, "s"),)) for title in ("First", "Second", "Third")]
    before = page(replace(this_machine(), load=0.2), tables, 61.0)
    for number, title in enumerate(("First", "Second", "Third")):
        sections = with_tables(before, [Table(title, "How.", (Figure("it", 2.0, "s"),))]).split("\n## ")
        assert [index for index, one in enumerate(sections[1:]) if "| it | 2.00 s |" in one] == [number]
        assert "Measured once more by itself" in sections[1 + number]
        assert [one for index, one in enumerate(sections) if index != 1 + number] == [
            one for index, one in enumerate(before.split("\n## ")) if index != 1 + number
        ]
    with pytest.raises(ValueError, match="Fourth"):
        with_tables(before, [Table("Fourth", "How.", ())])


def test_a_busy_machine_is_named_and_none_is_told_by_name() -> None:
    """The load at the start decides; host names and paths never stand on the page."""
    text = page(replace(this_machine(), load=1.5), [], 1.0)
    assert "Measured on a busy machine" in text
    assert platform.node() not in text
    assert str(Path(__file__).parents[2]) not in text


def test_the_files_to_measure_with_are_whole(tmp_path: Path) -> None:
    """Every way to write them holds the same text, by the standard library's reading, and passes the content pass."""
    size = 4 * len(reads.base_text()) // 3
    member, blocks, plain = tmp_path / "a.fastq.gz", tmp_path / "b.fastq.gz", tmp_path / "c.fastq"
    reads.write_member(member, size // 3)
    reads.write_blocks(blocks, size // 3)
    reads.write_text(plain, size)
    assert plain.stat().st_size >= size
    for packed in (member, blocks):
        text = gzip.decompress(packed.read_bytes())
        assert text == reads.base_text() * (len(text) // len(reads.base_text()))
    for path in (member, blocks, plain):
        reading = ContentPass(path.name, kind_of(path.name))
        reading.feed(path.read_bytes())
        assert (reading.finish().records or 1) % reads.BASE_RECORDS == 0


def test_what_is_measured_against_reads_to_the_end(tmp_path: Path) -> None:
    """The library's own ways refuse a file that is cut, however it is fed."""
    reads.write_member(tmp_path / "member", 1)
    reads.write_blocks(tmp_path / "blocks", 1)
    ways = [("member", content.isal_member), ("blocks", content.isal_blocks)]
    ways += [(name, alone) for name in ("member", "blocks") for alone in (content.zlib_alone, content.zlib_ng_alone)]
    for name, alone in ways:
        whole = (tmp_path / name).read_bytes()
        alone([whole[at : at + 1_000_003] for at in range(0, len(whole), 1_000_003)])
        with pytest.raises(ValueError, match="does not end"):
            alone([whole[:-9]])
