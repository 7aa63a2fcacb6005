"""Samples of the sheet without files: excused and named where the run's own statistics count no reads, else held."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.runs.instruments.converters import bcl2fastq, bclconvert
from tests.runs.instruments.nanopore import FIRST, ont
from tests.runs.instruments.others import bases2fastq, ultima
from tests.runs.instruments.sheets import sheet_v1
from tests.runs.run_folders import LAYOUTS, Tree
from watcher.runs.conditions import LayoutMistake
from watcher.runs.grouping import Grouping, group
from watcher.runs.layout import judge, load_layouts
from watcher.runs.markup import NotReadable, json_rows


def grouped(tree: Tree, layout: str, no_files: str = "hold") -> Grouping:
    """Return the samples of the only unit of a run."""
    seen = tree.seen_by(LAYOUTS[layout])
    view = replace(seen.look(layout, seen.units(layout)[0].unit), no_files=no_files)
    return group(view, judge(view))


def without_files_of(tree: Tree, sample: str) -> Tree:
    """Take away all reads of a sample."""
    return tree.without(*(path for path in tree.files if sample in path))


def never_made_of(tree: Tree, sample: str) -> Tree:
    """Take away all reads of a sample of MinKNOW, and the list that would name them."""
    return tree.without(*(path for path in tree.files if f"/{sample}/" in path or path.startswith("output_hash")))


def of_bclconvert(reads: int) -> Tree:
    """Return the output of BCL Convert that lacks S2, which has so many reads."""
    tree = without_files_of(bclconvert(empty=() if reads else ("S2",)), "S2")
    return tree.without("Reports/fastq_list.csv")


def of_bcl2fastq(reads: int) -> Tree:
    """Return the output of bcl2fastq that lacks S2, which has so many reads in the second of two lanes."""
    tree = without_files_of(bcl2fastq(), "S2").add("SampleSheet.csv", sheet_v1(("S1", "S2")))
    counts = [{"S1": 2, "S2": 0}, {"S1": 2, "S2": reads}]
    lanes = [
        {"LaneNumber": at, "DemuxResults": [{"SampleId": one, "NumberReads": count} for one, count in lane.items()]}
        for at, lane in enumerate(counts, 1)
    ]
    return tree.add("Stats/Stats.json", json.dumps({"Flowcell": "H", "ConversionResults": lanes}).encode())


def of_bases2fastq(reads: int) -> Tree:
    """Return the output of Bases2Fastq that lacks the control, which is in the sheet as any other sample."""
    tree = without_files_of(bases2fastq(("S1", "S2")), "/S2/")
    stats = [
        {"SampleID": f"u{one}", "SampleName": one, "NumPolonies": count} for one, count in (("S1", 4), ("S2", reads))
    ]
    return tree.add("RunStats.json", json.dumps({"RunName": "Reef12", "SampleStats": stats}).encode())


CONVERTERS: dict[str, Callable[[int], Tree]] = {
    "bclconvert": of_bclconvert,
    "bcl2fastq": of_bcl2fastq,
    "bases2fastq": of_bases2fastq,
}


@pytest.mark.parametrize("layout", CONVERTERS)
def test_a_sample_that_had_no_reads_is_named(layout: str) -> None:
    """The statistics count none: the rest goes on, and a remark names the sample and who says so."""
    grouping = grouped(CONVERTERS[layout](0), layout)
    assert not grouping.problems
    assert [sample.name for sample in grouping.samples] == ["S1"]
    (remark,) = grouping.remarks
    assert "S2" in remark.message
    assert "says that it has no reads" in remark.message


@pytest.mark.parametrize("layout", CONVERTERS)
def test_a_sample_that_had_reads_must_have_files(layout: str) -> None:
    """The statistics count some, in one lane only: its files are lost, and nobody calls the run good."""
    (problem,) = grouped(CONVERTERS[layout](7), layout).problems
    assert problem.lacks_files
    assert problem.message.endswith("sample S2 has no files.")


@pytest.mark.parametrize("content", [b"", b"[1, 2", b'{"SampleStats": 4}', b'{"SampleStats": [{"SampleName": "S2"}]}'])
def test_statistics_that_say_nothing_excuse_nothing(content: bytes) -> None:
    """Half a document, or one without counts, is no zero."""
    grouping = grouped(of_bases2fastq(0).add("RunStats.json", content), "bases2fastq")
    assert [problem.lacks_files for problem in grouping.problems] == [True]


@pytest.mark.parametrize("ends", [b"\n", b"\r\n", b"\r"])
def test_a_table_counts_whatever_ends_its_lines(ends: bytes) -> None:
    """Statistics that went through a spreadsheet on a Mac still say who had no reads."""
    tree = of_bclconvert(0)
    path = "Reports/Demultiplex_Stats.csv"
    grouping = grouped(tree.add(path, tree.files[path].replace(b"\r\n", b"\n").replace(b"\n", ends)), "bclconvert")
    assert not grouping.problems
    assert "S2" in grouping.remarks[-1].message


def test_a_table_that_is_none_excuses_nothing() -> None:
    """What cannot be read is no zero and stops nothing else."""
    content = b"SampleID,# Reads\nS2,0" + b"0" * 200_000
    grouping = grouped(of_bclconvert(0).add("Reports/Demultiplex_Stats.csv", content), "bclconvert")
    assert [problem.lacks_files for problem in grouping.problems] == [True]


def test_a_name_in_a_table_that_is_none_is_looked_for_elsewhere() -> None:
    """The next place in which a layout looks for the sample's name tells it."""
    tree = ont(barcodes=False)
    sheet, summary = (next(path for path in tree.files if path.startswith(one)) for one in ("sample_s", "final_s"))
    tree.add(summary, tree.files[summary].replace(b"sample_id=", b"sample="))
    assert {one.sample for one in tree.look("ont").names.values()} == {FIRST.sample}
    tree.add(sheet, b"sample_id\n" + b"x" * 200_000)
    assert {one.sample for one in tree.look("ont").names.values()} == {FIRST.folder}


@pytest.mark.parametrize(("layout", "tree"), [("ont", ont()), ("ultima", ultima(("coral", "squid")))])
def test_a_sample_nobody_counts_is_held_unless_the_operator_says_otherwise(layout: str, tree: Tree) -> None:
    """No list of counts is known of these instruments: a person decides, or `no_files: skip` names it and goes on."""
    lacking = without_files_of(tree, "squid") if layout == "ultima" else never_made_of(tree, "squid")
    held = grouped(lacking, layout)
    assert [problem.lacks_files for problem in held.problems] == [True]
    assert "squid" in held.problems[0].message
    skipped = grouped(lacking, layout, "skip")
    assert not skipped.problems
    assert [sample.name for sample in skipped.samples] == [sample.name for sample in held.samples]
    assert "squid" in skipped.remarks[-1].message


def test_a_layout_of_ones_own_may_say_where_counts_stand(tmp_path: Path) -> None:
    """A table of tabs, by the names of its columns."""
    (tmp_path / "mine.toml").write_text('extends = "ont"\n[sheet]\nzero = ["tsv:barcode_*.tsv:alias:reads"]\n')
    layout = load_layouts(tmp_path)["mine"]
    tree = never_made_of(ont(), "squid")
    table = next(path for path in tree.files if path.startswith("barcode_alignment"))
    tree.add(table, b"barcode\talias\treads\nbarcode01\tcoral\t4\nbarcode02\tsquid\t0\n")
    view = tree.seen_by(layout).look(layout)
    assert not group(view, judge(view)).problems


@pytest.mark.parametrize("written", ["tsv:a.tsv", "xml:a:b:c", "json:a.json:b:c", "csv:a.csv::reads"])
def test_counts_that_are_no_counts_are_told(tmp_path: Path, written: str) -> None:
    """The mistake is told with what is expected."""
    (tmp_path / "mine.toml").write_text(f'extends = "ont"\n[sheet]\nzero = ["{written}"]\n')
    with pytest.raises(Exception, match="expected csv:FILE:SAMPLES:READS") as caught:
        load_layouts(tmp_path)
    assert not isinstance(caught.value, LayoutMistake), "told with file and line"


def test_rows_are_found_through_lists() -> None:
    """All elements of all lists on the way; what is no object is no row."""
    assert json_rows(b'{"a": [{"b": [{"c": 1}, 2]}, {"b": {"c": 3}}, {}]}', "a.b") == [{"c": 1}, {"c": 3}]
    with pytest.raises(NotReadable):
        json_rows(b"{", "a")
