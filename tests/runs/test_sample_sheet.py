"""Sample sheets as they really are: versions, encodings, separators, and refusals with a place."""

from __future__ import annotations

import pytest

from tests.runs.run_folders import sheet_v2
from watcher.errors import StructureBroken
from watcher.runs.sample_sheet import read_sample_sheet

V1_ROWS = (
    "[Header]\nIEMFileVersion,4\n[Reads]\n151\n151\n[Settings]\nAdapter,AGAT\n[Data]\n"
    "Sample_ID,Sample_Name,Index,Sample_Project\ns1,first,ACGT,P1\ns2,second,TTGG,P2\n"
)


@pytest.mark.parametrize(
    "content",
    [
        V1_ROWS.encode(),
        V1_ROWS.replace("\n", "\r\n").encode(),
        b"\xef\xbb\xbf" + V1_ROWS.encode(),
        V1_ROWS.encode("utf-16"),
        V1_ROWS.replace(",", ";").encode(),
        V1_ROWS.replace(",", "\t").encode(),
        V1_ROWS.replace("\n", ",,,\n").encode(),
        V1_ROWS.replace("[Data]", ",,,\n[Data]").encode(),
        V1_ROWS.replace("P1\n", "P1\n\n,,,\n").encode(),
        V1_ROWS.split("[Data]\n")[1].encode(),
        ("[Data]" + V1_ROWS.split("[Data]")[1]).encode(),
    ],
    ids=[
        "plain",
        "crlf",
        "bom",
        "utf16",
        "semicolon",
        "tab",
        "trailing-commas",
        "comma-line",
        "blank-rows",
        "bare-table",
        "data-only",
    ],
)
def test_every_spelling_of_a_sheet_says_the_same(content: bytes) -> None:
    """Encoding, line ends, separators and empty cells change nothing."""
    sheet = read_sample_sheet(content, "SampleSheet.csv")
    assert [(row.sample_id, row.sample_name, row.project, row.cell("index")) for row in sheet.rows] == [
        ("s1", "first", "P1", "ACGT"),
        ("s2", "second", "P2", "TTGG"),
    ]


def test_version_two_is_read_with_its_reads_and_settings() -> None:
    """Cycles count reads, settings are found whatever their case, lines are those of the file."""
    sheet = read_sample_sheet(sheet_v2(["a", "b"], "P", "FastqCompressionFormat,dragen-interleaved\r\n"), "s.csv")
    assert (sheet.version, sheet.reads, sheet.is_interleaved) == (2, 2, True)
    assert [(row.line, row.sample_id, row.lanes) for row in sheet.rows] == [(13, "a", (1,)), (14, "b", (1,))]


def test_an_empty_last_column_and_a_bare_reads_section_do_no_harm() -> None:
    """Real sheets end their header row with a comma."""
    sheet = read_sample_sheet(b"[BCLConvert_Data],,\nLane,Sample_ID,Index,Index2,\n1,a,AC,GT,\n", "s.csv")
    assert sheet.rows[0].cells == {"Lane": "1", "Sample_ID": "a", "Index": "AC", "Index2": "GT"}


def test_columns_of_other_tables_are_joined_by_sample() -> None:
    """A project of the cloud table and own columns of an own section reach the sample; the main table wins."""
    more = b"[Cloud_Data]\nSample_ID,ProjectName\nA,cloud\n[Galaxy_Data]\nSample_ID,Galaxy_History,Index\na,mine,XXXX\n"
    sheet = read_sample_sheet(sheet_v2(["a"]) + more, "s.csv")
    row = sheet.rows[0]
    assert (row.project, row.cell("galaxy_history"), row.cell("index")) == ("cloud", "mine", "ACGT")


def test_quoted_cells_and_western_letters_are_kept() -> None:
    """Commas in quotes belong to the cell; bytes that are no UTF-8 are read as a spreadsheet writes them."""
    sheet = read_sample_sheet('[Data]\nSample_ID,Description\ns1,"Müller, 2"\n'.encode("cp1252"), "s.csv")
    assert sheet.rows[0].cells["Description"] == "Müller, 2"


@pytest.mark.parametrize(
    ("content", "place", "word"),
    [
        (b"[Header]\nx,1\n", "s.csv:1:1", "no [Data]"),
        (b"", "s.csv:1:1", "no [Data]"),
        (b"\x00\x01\x02", "s.csv:1:1", "no text"),
        (b"hello\nworld\n", "s.csv:1:1", "expected a section"),
        (b"[Data]\nLane,Index\n1,AC\n", "s.csv:2:1", "no Sample_ID"),
        (b"[Data]\n", "s.csv:1:1", "empty"),
        (b"[Header\nx\n", "s.csv:1:1", "not closed"),
        (b"[Data]\nSample_ID,Index\ns1,AC,extra\n", "s.csv:3:3", "'extra'"),
        (b"[Data]\nSample_ID,Index\ns1,AC\n,GT\n", "s.csv:4:1", "no Sample_ID"),
        (b"[Data]\nLane,Sample_ID,sample_id\n1,a,b\n", "s.csv:2:3", "comes twice"),
    ],
)
def test_a_broken_sheet_is_refused_with_its_place(content: bytes, place: str, word: str) -> None:
    """File, line and column stand in the message."""
    with pytest.raises(StructureBroken) as refused:
        read_sample_sheet(content, "s.csv")
    assert refused.value.message.startswith(place + ":")
    assert word in refused.value.message
    assert refused.value.files == ("s.csv",)
