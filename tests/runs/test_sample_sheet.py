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
        V1_ROWS.replace("\n", "\r").encode(),
        V1_ROWS.encode("utf-16-be").join([b"\xfe\xff", b""]),
        ("sep=;\n" + V1_ROWS.replace(",", ";")).encode(),
        V1_ROWS.replace("Sample_ID,Sample_Name,Index,Sample_Project", "SAMPLE_ID,sample name,INDEX,Project").encode(),
        V1_ROWS.replace(",Sample_Project\n", ",Sample_Project,\n").encode(),
        V1_ROWS.replace("Index,", "   ,Index,").replace("ACGT,", "   ,ACGT,").replace("TTGG,", "   ,TTGG,").encode(),
        V1_ROWS.replace("[Data]", "[Sequencing_Settings]\n[Data]").encode(),
        V1_ROWS.replace("IEMFileVersion,4", "Investigator,botany; ferns; and; others").encode(),
        V1_ROWS.replace("first", '"first"').encode(),
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
        "cr",
        "utf16-big-endian",
        "excels-sep",
        "any-case",
        "empty-last-column",
        "column-of-blanks",
        "empty-section",
        "other-delimiters-in-cells",
        "quotes",
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
    content = '[Data]\nSample_ID,Description\ns1,"Müller, 2"\n'.encode("cp1252")
    # Some programs write the mark of UTF-8 and go on in the letters of the house.
    for mark in (b"", b"\xef\xbb\xbf"):
        assert read_sample_sheet(mark + content, "s.csv").rows[0].cells["Description"] == "Müller, 2"


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
        (b"[Data]\nLane,SAMPLE_ID,sample_id\n1,a,b\n", "s.csv:2:3", "comes twice"),
        (b"[Data]\nSample_ID,index,Index\na,AC,GT\n", "s.csv:2:3", "comes twice"),
        (b"[Data]\nSample_ID,PI,PI\na,x,y\n", "s.csv:2:3", "comes twice"),
        (b"[Data]\nSample_ID\na\n[Data]\nSample_ID\nb\n", "s.csv:4:1", "comes twice"),
        (b'[Data]\nSample_ID,Note\na,"one\nb,two\nc,three\n', "s.csv:3:1", "never closed"),
        (b'[Data]\nSample_ID,Note\na,"x\n\ny"\nb,"one\ntwo",three\n', "s.csv:6:3", "'three'"),
        (b"[Data]\r\r\nSample_ID,Index\r\n,AC\r\n", "s.csv:4:1", "no Sample_ID"),
        (b"\xff\xfe\x41", "s.csv:1:1", "no text"),
        (b"PK\x03\x04\x00\x00", "s.csv:1:1", "no text"),
        (b"[Data]\r\nSample_ID\r\na\r\n" + bytes(512), "s.csv:4:1", "no text"),
    ],
)
def test_a_broken_sheet_is_refused_with_its_place(content: bytes, place: str, word: str) -> None:
    """File, line and column stand in the message."""
    with pytest.raises(StructureBroken) as refused:
        read_sample_sheet(content, "s.csv")
    assert refused.value.message.startswith(place + ":")
    assert word in refused.value.message
    assert refused.value.files == ("s.csv",)


def test_a_row_stands_at_the_line_it_begins_at() -> None:
    """Quoted cells hold line ends; the rows after them keep their true lines."""
    sheet = read_sample_sheet(b'[Data]\r\nSample_ID,Note\r\na,"x\r\ny"\r\n,,\r\nb,z\r\n', "s.csv")
    assert [(row.line, row.sample_id, row.cell("note")) for row in sheet.rows] == [(3, "a", "x\r\ny"), (6, "b", "z")]


def test_names_are_kept_as_they_are_written() -> None:
    """Percent escapes, blanks and dashes are a sample's own; fifty columns are all kept."""
    more = [f"c{number}" for number in range(50)]
    text = f"Sample_ID,{','.join(more)}\nSQPP-94282-Q%3AA1,{','.join(more)}\nphiX CT1462-2 1\n"
    rows = read_sample_sheet(text.encode(), "s.csv").rows
    assert [row.sample_id for row in rows] == ["SQPP-94282-Q%3AA1", "phiX CT1462-2 1"]
    assert [rows[0].cells[column] for column in more] == more


def test_columns_that_differ_in_case_are_two_where_it_is_clear_what_they_mean() -> None:
    """Exports of databases have a `sample_id` beside Illumina's Sample_ID, which stays the one that counts."""
    text = "[Data],,,\nsample_id,Lane,Sample_ID,Sample_Name,sample_name,PI,pi,\n7139,1,57224,SRS1,NA19,x,y,\n"
    (row,) = read_sample_sheet(text.encode(), "s.csv").rows
    assert (row.sample_id, row.sample_name) == ("57224", "SRS1")
    assert [row.cells[column] for column in ("sample_id", "sample_name", "PI", "pi")] == ["7139", "NA19", "x", "y"]


def test_an_unknown_kind_is_a_mistake_of_the_caller() -> None:
    """Kinds are those of layouts, which are checked when they are loaded."""
    with pytest.raises(ValueError, match="no kind of sample sheet 'exel'"):
        read_sample_sheet(b"", "s.csv", "exel")
