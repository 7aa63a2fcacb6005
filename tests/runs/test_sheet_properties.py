"""Sample sheets in every spelling: what is written comes back, and bytes of any kind end in a sheet or a refusal."""

from __future__ import annotations

import csv
import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watcher.errors import StructureBroken
from watcher.runs.sample_sheet import SHEET_KINDS, read_sample_sheet

ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "cp1252")
HEADERS = {
    "illumina": ("[Header]\nDate,today\n\n[Data]\n", ("Sample_ID", "Note", "Other")),
    "ont": ("", ("alias", "Note", "Other")),
    "element": ("[SETTINGS]\nSettingName,Value\n[SAMPLES]\n", ("SampleName", "Note", "Other")),
    "columns": ("# by hand\n", ("Note", "sample", "Other")),
}
# Letters whose bytes in cp1252 are never UTF-8, and everything that has to be quoted.
CELLS = st.text(st.sampled_from("aZ09 -_.%@/äöüé,;\t\"'\n[]"), max_size=8).map(
    lambda text: " ".join(text.split(" ")).strip()
)
NAMES = st.from_regex(re.compile(r"[A-Za-z0-9äö][A-Za-z0-9äö %_.-]{0,6}[A-Za-z0-9]", re.ASCII), fullmatch=True)
ROWS = st.lists(st.tuples(NAMES, CELLS, CELLS), min_size=1, max_size=6)


@given(
    rows=ROWS,
    kind=st.sampled_from(sorted(HEADERS)),
    encoding=st.sampled_from(ENCODINGS),
    delimiter=st.sampled_from(",;\t"),
    line_end=st.sampled_from(["\n", "\r\n", "\r"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    trailing=st.integers(0, 3),
)
def test_whatever_the_spelling_the_rows_come_back(
    rows: list[tuple[str, str, str]],
    kind: str,
    encoding: str,
    delimiter: str,
    line_end: str,
    quoting: int,
    trailing: int,
) -> None:
    """Encoding, delimiter, line ends, quotes, trailing delimiters and blank rows change nothing."""
    before, columns = HEADERS[kind]
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, lineterminator=line_end, quoting=quoting)  # type: ignore[arg-type]
    lines = []
    wanted = []
    writer.writerow([*columns, *[""] * trailing])
    # A line end inside a cell is of the kind that the sheet has: the writer quotes no other.
    for sample, note, other in ((name, *(cell.replace("\n", line_end) for cell in cells)) for name, *cells in rows):
        text.write(delimiter * trailing + line_end)
        cells = {"Note": note, "Other": other, next(one for one in columns if one not in ("Note", "Other")): sample}
        lines.append(1 + len(re.findall(r"\r\n|\r|\n", before.replace("\n", line_end) + text.getvalue())))
        writer.writerow([*(cells[column] for column in columns), *[""] * trailing])
        wanted.append((sample, note, other))
    # Excel writes the whole sheet with one delimiter and one kind of line end.
    whole = before.replace(",", delimiter).replace("\n", line_end) + text.getvalue()
    sheet = read_sample_sheet(whole.encode(encoding), "s.csv", kind)
    assert [(row.sample_id, row.cell("Note"), row.cell("Other")) for row in sheet.rows] == wanted
    assert [row.line for row in sheet.rows] == lines


@pytest.mark.parametrize("kind", SHEET_KINDS)
@given(
    content=st.one_of(st.binary(max_size=200), st.text(max_size=200).map(lambda text: text.encode("utf-8", "ignore")))
)
def test_any_bytes_are_a_sheet_or_refused_with_a_place(kind: str, content: bytes) -> None:
    """Nothing a file can hold ends in another error."""
    try:
        sheet = read_sample_sheet(content, "s.csv", kind)
    except StructureBroken as refused:
        assert re.match(r"s\.csv:\d+:\d+: .+\.$", refused.message, re.DOTALL)
    else:
        assert all(row.sample_id and row.line >= 1 and row.lanes is not None for row in sheet.rows)


LINES = ["[Data]", "[Header]", "[SAMPLES]", "Sample_ID,Lane,index", "sample;name", "a,1+2,AC", "#x", ",,", '"', "[x",
         "sep=;", "a;²", "Read1Cycles,²", "[Reads]", "99999999999999999999,", "alias\tbarcode"]  # fmt: skip


@pytest.mark.parametrize("kind", SHEET_KINDS)
@given(lines=st.lists(st.sampled_from(LINES), max_size=8))
def test_any_lines_of_sheets_are_a_sheet_or_refused_with_a_place(kind: str, lines: list[str]) -> None:
    """Pieces of true sheets in any order, which random bytes never hit."""
    test_any_bytes_are_a_sheet_or_refused_with_a_place.hypothesis.inner_test(kind, "\n".join(lines).encode())
