"""Sample sheet against files: what belongs together, what is refused, what is only odd."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.runs.run_folders import LAYOUTS, READS, Tree, fastq_names, sheet_v2
from watcher.runs.grouping import Grouping, group
from watcher.runs.layout import judge

SHEET = "Reports/SampleSheet.csv"


def grouped(sheet: str | bytes, *names: str, kind: str = "illumina", pair: bool = False) -> Grouping:
    """Return the grouping of a converter's output with this sheet and these files."""
    tree = Tree("out").add("Logs/FastqComplete.txt", b"")
    for name in names:
        tree.add(name, READS)
    tree.add(SHEET, sheet.encode() if isinstance(sheet, str) else sheet)
    look = tree.look(replace(LAYOUTS["bclconvert"], sheet_kind=kind, pair=pair))
    return group(look, judge(look))


def messages(found: Grouping) -> list[str]:
    """Return what stops the unit."""
    return [one.message for one in found.problems]


def table(*ids: str) -> str:
    """Return a sheet with these samples, each with an index and a colour of its own."""
    return "[Data]\nSample_ID,Index,Colour\n" + "".join(
        f"{one},{'ACGT' * (n + 1)},{one}!\n" for n, one in enumerate(ids)
    )


def test_a_sample_that_the_sheet_does_not_name_is_a_remark() -> None:
    """It is taken all the same, without columns, and `plan` says so."""
    found = grouped(table("a"), "a_S1_R1_001.fastq.gz", "b_S2_R1_001.fastq.gz")
    assert [one.name for one in found.samples] == ["a", "b"]
    assert messages(found) == []
    assert [one.message for one in found.remarks] == [f"{SHEET} does not name b."]


def test_a_lane_without_files_of_a_sample_is_a_remark() -> None:
    """The sheet gives it two lanes: one of them was without reads, or was lost."""
    sheet = "[Data]\nLane,Sample_ID,Index\n1,a,AC\n1,b,GT\n2,a,AC\n2,b,GT\n"
    names = ["a_S1_L001_R1_001.fastq.gz", "a_S1_L002_R1_001.fastq.gz", "b_S2_L001_R1_001.fastq.gz"]
    assert [one.message for one in grouped(sheet, *names).remarks] == [f"{SHEET}:6:2: sample b has no files in lane 2."]
    told = [one.message for one in grouped(sheet, names[0], names[2]).remarks]
    assert told == [f"{SHEET}:5:2: sample a has no files in lane 2, and 1 more."]
    assert not grouped(sheet, *names, "b_S2_L002_R1_001.fastq.gz").remarks
    assert not grouped(sheet, "a_S1_R1_001.fastq.gz", "b_S2_R1_001.fastq.gz").remarks


def test_a_sheet_of_another_run_is_refused() -> None:
    """Where no file has a row, and rows there are, one problem says it, not one for each sample."""
    found = grouped(table("x", "y"), "a_S1_R1_001.fastq.gz", "b_S2_R1_001.fastq.gz")
    assert messages(found) == [f"{SHEET} names none of the samples a, b."]
    assert found.remarks == ()
    assert messages(grouped(table(), "a_S1_R1_001.fastq.gz")) == []


def test_an_s_number_that_is_not_the_place_is_a_remark() -> None:
    """Some tools number every sample 1; the rows are found by name."""
    found = grouped(table("a", "b", "c"), *(f"{one}_S1_R1_001.fastq.gz" for one in "abc"))
    assert messages(found) == []
    assert [one.message for one in found.remarks] == [
        f"S numbers are not the order of {SHEET}: b S1 is number 2, and 1 more."
    ]
    assert [one.columns["Colour"] for one in found.samples] == ["a!", "b!", "c!"]


def test_s_numbers_count_samples_not_rows() -> None:
    """A sample with a row for each lane has one number."""
    text = "[Data]\nLane,Sample_ID,Index\n1,a,AC\n2,a,AC\n1,b,GT\n2,b,GT\n"
    found = grouped(text, *fastq_names(["a", "b"], lanes=(1, 2), reads=("R1",)))
    assert (messages(found), found.remarks) == ([], ())


@pytest.mark.parametrize(
    ("ids", "names", "rows"),
    [
        # Folded by the converter, and told apart by the number alone.
        (("a_b", "a-b"), ("a-b_S1", "a-b_S2"), {"a_b": "a_b!", "a-b": "a-b!"}),
        (("x", "a b", "a.b"), ("x_S1", "a-b_S2", "a-b_S3"), {"x": "x!", "a b": "a b!", "a.b": "a.b!"}),
        # Spelled as in the sheet, and the numbers agree.
        (("a_b", "a-b"), ("a_b_S1", "a-b_S2"), {"a_b": "a_b!", "a-b": "a-b!"}),
        # The numbers say the opposite of the names, or the same for both, or nothing, or one file is missing.
        (("a_b", "a-b"), ("a_b_S2", "a-b_S1"), None),
        (("a_b", "a-b"), ("a_b_S1", "a-b_S1"), None),
        (("a_b", "a-b"), ("a-b_S1",), None),
        (("a_b", "a-b"), ("a-b_S2",), None),
        (("a_b", "a-b"), ("a-b_S1", "a-b_S3"), None),
    ],
)
def test_names_that_fold_to_one_are_told_apart_by_s_numbers(
    ids: tuple[str, ...], names: tuple[str, ...], rows: dict[str, str] | None
) -> None:
    """Only numbers that fit every sample of a name decide; else the sheet is refused."""
    found = grouped(table(*ids), *(f"{name}_R1_001.fastq.gz" for name in names))
    if rows is None:
        assert any("are one and the same in file names" in message for message in messages(found))
    else:
        assert messages(found) == []
        assert {one.name: one.columns["Colour"] for one in found.samples} == rows


def test_names_that_fold_to_one_but_have_no_files_are_just_missing() -> None:
    """What cannot be confused is not refused for it."""
    found = grouped(table("x", "a_b", "a-b"), "x_S1_R1_001.fastq.gz")
    assert messages(found) == [f"{SHEET}:4:1: sample a_b has no files.", f"{SHEET}:5:1: sample a-b has no files."]


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        ("[Data]\nSample_ID,Index\na,AC\na,AC\n", True),
        ("[Data]\nSample_ID,Index\na,AC\nA,ac\n", True),
        ("[Data]\nLane,Sample_ID,Index\n1,a,AC\n1,a,AC\n", True),
        ("[Data]\nLane,Sample_ID,Index\n1,a,AC\n2,a,AC\n", False),
        ("[Data]\nSample_ID,Index\na,AC\na,GT\n", False),
        ("[Data]\nSample_ID,Index,Index2\na,AC,GT\na,AC,TT\n", False),
    ],
)
def test_a_row_written_twice_is_refused(text: str, refused: bool) -> None:
    """The same sample with another lane or index is legal; both lines stand in the refusal."""
    found = messages(grouped(text, "a_S1_R1_001.fastq.gz"))
    first = 3
    column = 1 + text.splitlines()[1].split(",").index("Sample_ID")
    told = f"{SHEET}:{first + 1}:{column}: sample {text.splitlines()[-1].split(',')[-2]} is in line {first} already"
    assert any(message.startswith(told) for message in found) == refused
    assert bool(found) == refused


def test_cells_that_differ_between_the_rows_of_a_sample_are_all_kept() -> None:
    """Which of them is meant is not guessed."""
    found = grouped("[Data]\nLane,Sample_ID,PI\n1,a,No\n2,a,No\n", *fastq_names(["a"], (1, 2), ("R1",)))
    assert found.samples[0].columns == {"Lane": "1", "Sample_ID": "a", "PI": "No"}
    assert found.samples[0].several == {"Lane": ("1", "2")}


ONT = (
    "position_id,sample_id,barcode,alias,kit\n3E,pool,barcode01,soil,K\n3E,pool,barcode02,,K\n3E,pool,barcode03,sea,K\n"
)


def test_rows_are_found_by_alias_and_by_barcode() -> None:
    """Files carry the alias, or the barcode where there was none; samples are called as the sheet calls them."""
    found = grouped(
        ONT, "soil_S1_R1_001.fastq.gz", "barcode02_S1_R1_001.fastq.gz", "BARCODE03_S1_R1_001.fastq.gz", kind="ont"
    )
    assert messages(found) == []
    assert found.remarks == ()
    assert {one.name: one.columns["barcode"] for one in found.samples} == {
        "soil": "barcode01",
        "barcode02": "barcode02",
        "sea": "barcode03",
    }


def test_a_sheet_without_barcodes_speaks_of_every_barcode() -> None:
    """MinKNOW's sheet of a run that was given none is no sheet of another run."""
    found = grouped(
        "sample_id,kit\npool,K\n", "barcode01_S1_R1_001.fastq.gz", "barcode02_S1_R1_001.fastq.gz", kind="ont"
    )
    assert (messages(found), found.remarks) == ([], ())
    assert {one.columns["kit"] for one in found.samples} == {"K"}


def test_one_barcode_in_two_lanes_is_two_samples() -> None:
    """A lane's own rows count; without lanes the barcode is refused."""
    rows = "sample,Lane,barcode\na,L01,7\nb,L02,7\n"
    found = grouped(rows, "007_S1_L001_R1_001.fastq.gz", kind="columns")
    assert messages(found) == [f"{SHEET}:3:1: sample b has no files."]
    assert found.samples[0].columns["sample"] == "a"
    unclear = grouped(rows.replace("L01", "").replace("L02", ""), "7_S1_R1_001.fastq.gz", kind="columns")
    assert messages(unclear) == [f"{SHEET}:2:1: 7 may be a or b, by its name or its barcode (lines 2 and 3)."]


def test_a_unit_that_is_one_lane_is_asked_for_its_own_rows() -> None:
    """What other lanes hold is in other units."""
    tree = Tree("chip").add("L01/7_S1_R1_001.fastq.gz").add("L01/s.csv", b"sample,Lane,barcode\na,L01,7\nb,L02,7\n")
    layout = replace(LAYOUTS["bclconvert"], sheet_kind="columns", sheet_paths=("s.csv",), unit="L0*", pair=False)
    look = tree.look(layout, "L01")
    found = group(look, judge(look))
    assert messages(found) == []
    assert found.samples[0].columns["sample"] == "a"


def test_a_name_that_is_a_sample_and_another_ones_barcode_is_refused() -> None:
    """Where files are called by barcodes, a sample called like a barcode has no row that is sure."""
    found = grouped("sample,barcode\n2,1\nx,2\n", "1_S1_R1_001.fastq.gz", "2_S1_R1_001.fastq.gz", kind="columns")
    assert any("2 may be 2 or x" in message for message in messages(found))
    by_name = grouped("sample,barcode\n2,1\n1,2\n", "1_S1_R1_001.fastq.gz", "2_S1_R1_001.fastq.gz", kind="columns")
    assert messages(by_name) == []


def test_illumina_files_are_never_called_by_barcodes() -> None:
    """The number of an index is no sample's name."""
    found = grouped("[Data]\nSample_ID,I7_Index_ID\na,1\nb,2\n", "1_S1_R1_001.fastq.gz", "a_S1_R1_001.fastq.gz")
    assert [one.message for one in found.remarks] == [f"{SHEET} does not name 1."]


def test_the_look_tells_which_sheet_was_read() -> None:
    """Path and checksum, also of a sheet that cannot be read; nothing where there is none."""
    for content in (sheet_v2(["a"]), b"hello"):
        look = Tree("out").add(SHEET, content).add("a_S1_R1_001.fastq.gz").look("bclconvert")
        told = look.sheet.told("/data/out")
        assert told is not None
        assert told["path"] == f"/data/out/{SHEET}"
        assert len(told["sha256"]) == 64
    assert Tree("out").add("a_S1_R1_001.fastq.gz").look("bclconvert").sheet.told("/x") is None
