"""Reads sample sheets: Illumina's v1 (IEM, `[Data]`) and v2 (BCL Convert, `[BCLConvert_Data]`) here, other kinds in
`sheet_kinds.py`.

Every column is kept; columns of `[Cloud_Data]`, `[Galaxy_Data]` and other tables are joined by sample. Refuses with
file, line and column what cannot be read one way only. Knows no files of reads; matching is done in `pairing.py`, what
encodings and separators real sheets have stands in `sheet_text.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from watcher.runs.sheet_kinds import read_columns, read_element, read_ont, read_ultima
from watcher.runs.sheet_rows import SAMPLE_ID, SAMPLE_NAME, SHEET_KINDS, SampleSheet, SheetRow, table
from watcher.runs.sheet_text import Section, broken, decoded, rows_of, sections_of

__all__ = ["SHEET_KINDS", "SampleSheet", "SheetRow", "read_sample_sheet"]

_SAMPLE_TABLES = ("bclconvert_data", "data")


def read_sample_sheet(content: bytes, name: str, kind: str = "illumina") -> SampleSheet:
    """Return the sheet, or raise StructureBroken that names file, line and column (each counted from 1).

    `kind` is one of SHEET_KINDS, ValueError for any other.
    """
    if kind not in SHEET_KINDS:
        raise ValueError(f"there is no kind of sample sheet {kind!r}")
    readers = {"ont": read_ont, "element": read_element, "ultima": read_ultima, "columns": read_columns}
    return readers.get(kind, _read_illumina)(content, name)


def _read_illumina(content: bytes, name: str) -> SampleSheet:
    rows = rows_of(decoded(content, name), name, (*SAMPLE_ID, *SAMPLE_NAME))
    sections = sections_of(rows, name, SAMPLE_ID)
    main = next((one for wanted in _SAMPLE_TABLES for one in sections if one.name == wanted), None)
    if main is None:
        raise broken(name, 1, 1, "there is no [Data] and no [BCLConvert_Data] section and no Sample_ID column")
    for again in sections:
        if again.name == main.name and again is not main:
            raise broken(name, again.line, 1, f"section [{again.name}] comes twice, first in line {main.line}")
    # A name may stand in for an id, as in old MiSeq sheets.
    columns = (*SAMPLE_ID, *SAMPLE_NAME)
    by_sample: dict[str, dict[str, str]] = {}
    for other in sections:
        if other is not main and other.name.endswith("_data"):
            for row in table(other.rows, name, other.line, columns, must_have_samples=False):
                extra = by_sample.setdefault(row.sample_id.casefold(), {})
                for column, value in row.cells.items():
                    extra.setdefault(column, value)
    joined = tuple(
        _joined(row, by_sample.get(row.sample_id.casefold(), {})) for row in table(main.rows, name, main.line, columns)
    )
    settings = {
        row.cells[0].lower(): row.cells[1] if len(row.cells) > 1 else ""
        for one in sections
        if one.name in ("settings", "header") or one.name.endswith("_settings")
        for row in one.rows
    }
    return SampleSheet(name, 2 if main.name == "bclconvert_data" else 1, joined, _reads(sections), settings)


def _joined(row: SheetRow, extra: Mapping[str, str]) -> SheetRow:
    known = {column.lower() for column in row.cells}
    added = {name: value for name, value in extra.items() if name.lower() not in known}
    return replace(row, cells={**row.cells, **added})


def _reads(sections: Sequence[Section]) -> int:
    lines = [row.cells for one in sections if one.name == "reads" for row in one.rows]
    bare = sum(1 for cells in lines if cells[0].strip("0").isdecimal())
    named = sum(
        1 for cells in lines if cells[0].lower().startswith("read") and "".join(cells[1:2]).strip("0").isdecimal()
    )
    return bare or named
