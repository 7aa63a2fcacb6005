"""Sample sheets of other makers: what a sample is called, its barcode, and refusals with a place."""

from __future__ import annotations

import pytest

from watcher.errors import StructureBroken
from watcher.runs.sample_sheet import read_sample_sheet

MINKNOW = (
    "protocol_run_id,position_id,flow_cell_id,sample_id,experiment_id,flow_cell_product_code,kit,barcode,alias,type\n"
    "e05460c6,3E,PAA12345,pool,exp1,FLO-PRO114M,SQK-NBD114-24,barcode01,soil_1,test_sample\n"
    "e05460c6,3E,PAA12345,pool,exp1,FLO-PRO114M,SQK-NBD114-24,barcode02,,test_sample\n"
)
ELEMENT = (
    '# made for the night run,,\n[RUNVALUES]\nKeyName,Value\nPrep,"kit; A"\n[SETTINGS]\nSettingName,Value,Lane\n'
    "R1Adapter,AAAA,1+2\n[SAMPLES]\nSampleName,Index1,Index2,Lane,Project\n# controls\n"
    "a,ACGT,TTGG,1+2,P\na,CCCC,TTAA,1,P\n\nb,GGGG,TTCC,2,\n"
)
ULTIMA = b"""<SampleInfo RunId="424090" Library_Pool="pool_4">
  <Attributes><Attribute Name="Application" Value="WGS" /></Attributes>
  <Samples>
    <Sample Id="s1@lib1" Index_Label="Z0001" Index_Sequence="CAGC">
      <Attribute Name="Barcode_Plate_Well" Value="A1" />
    </Sample>
    <Sample Id="s2@lib2" Index_Label="Z0002" />
  </Samples>
  <Analysis_Recipe Name="WGS1" />pool_4</SampleInfo>
"""


def test_minknow_calls_a_sample_by_alias_then_barcode() -> None:
    """The alias replaces the barcode in folders and names; the barcode is kept either way."""
    rows = read_sample_sheet(MINKNOW.encode(), "sample_sheet_PAA12345.csv", "ont").rows
    assert [(row.line, row.sample_id, row.barcode) for row in rows] == [
        (2, "soil_1", "barcode01"),
        (3, "barcode02", "barcode02"),
    ]
    assert rows[0].cell("experiment_id") == "exp1" and not rows[0].is_for_all


def test_minknow_without_barcodes_speaks_of_the_whole_run() -> None:
    """A sheet that was given no barcodes tells no samples apart."""
    bare = "\n".join(line.rsplit(",", 3)[0] for line in MINKNOW.splitlines()[:2])
    (row,) = read_sample_sheet(bare.encode(), "s.csv", "ont").rows
    assert (row.sample_id, row.barcode, row.is_for_all) == ("pool", "", True)


def test_element_samples_have_lanes_indexes_and_projects() -> None:
    """Sections come in any case, comments are none of the rows, lanes are joined by a plus."""
    for text in (ELEMENT, ELEMENT.replace("[SAMPLES]", "[Samples]").replace("\n", "\r\n")):
        sheet = read_sample_sheet(text.encode(), "RunManifest.csv", "element")
        assert [(row.line, row.sample_id, row.lanes, row.project) for row in sheet.rows] == [
            (11, "a", (1, 2), "P"),
            (12, "a", (1,), "P"),
            (14, "b", (2,), ""),
        ]
        assert sheet.settings["r1adapter"] == "AAAA"


def test_ultima_samples_have_labels_and_attributes() -> None:
    """Text that stands between the elements changes nothing; the lines are those of the elements."""
    rows = read_sample_sheet(ULTIMA, "424090_LibraryInfo.xml", "ultima").rows
    assert [(row.line, row.sample_id, row.barcode) for row in rows] == [
        (4, "s1@lib1", "Z0001"),
        (7, "s2@lib2", "Z0002"),
    ]
    assert rows[0].cells["Barcode_Plate_Well"] == "A1"
    assert "Barcode_Plate_Well" not in rows[1].cells


def test_ultima_survives_a_wrong_declaration() -> None:
    """The declaration says UTF-16, the bytes do not."""
    lying = b'<?xml version="1.0" encoding="utf-16"?>\n' + ULTIMA
    assert len(read_sample_sheet(lying, "x.xml", "ultima").rows) == 2


@pytest.mark.parametrize("column", ["Sample_ID", "sample", "SampleName", "name", "SAMPLE NAME", "#SampleID"])
def test_any_table_with_a_column_of_samples_is_read(column: str) -> None:
    """The row of column names is found by what samples are called; comments around it are none."""
    text = f"{column}\tPI\n#q2:types\tcategorical\na\tNo\nb\tYes\n"
    for before in ("", "# made by hand\n\n"):
        rows = read_sample_sheet((before + text).encode(), "samples.tsv", "columns").rows
        assert [(row.sample_id, row.cells["PI"]) for row in rows] == [("a", "No"), ("b", "Yes")]


@pytest.mark.parametrize(
    ("kind", "content", "place", "word"),
    [
        ("ont", b"", "s:1:1", "empty"),
        ("ont", b"kit,type\nx,y\n", "s:1:1", "no alias column"),
        ("ont", b"alias,barcode,kit\n,,SQK\n", "s:2:1", "no alias"),
        ("element", b"[SETTINGS]\nx,y\n", "s:1:1", "no [SAMPLES]"),
        ("element", b"SampleName,Index1\na,AC\n", "s:1:1", "expected a section"),
        ("element", b"# x\n[SAMPLES]\nIndex1\nAC\n", "s:3:1", "no SampleName column"),
        ("element", b"[SAMPLES]\nSampleName,Index1\na,AC\n,GG\n", "s:4:1", "no SampleName"),
        ("ultima", b"", "s:1:1", "cannot be read as XML"),
        ("ultima", ULTIMA[:200], "s:4:5", "cannot be read as XML"),
        ("ultima", b"<SampleInfo/>", "s:1:1", "no Sample element"),
        ("ultima", b"<S>\n <Sample Index_Label='Z1'/></S>", "s:2:2", "no Id"),
        ("columns", b"", "s:1:1", "expected a row of column names"),
        ("columns", b"# x\n\nPI,Index\nme,AC\n", "s:3:1", "expected a row of column names"),
        ("columns", b"sample,PI\na,b,c\n", "s:2:3", "'c' stands under no column"),
    ],
)
def test_a_broken_sheet_is_refused_with_its_place(kind: str, content: bytes, place: str, word: str) -> None:
    """File, line and column stand in the message, whatever the kind."""
    with pytest.raises(StructureBroken) as refused:
        read_sample_sheet(content, "s", kind)
    assert refused.value.message.startswith(place)
    assert word in refused.value.message
    assert refused.value.files == ("s",)
