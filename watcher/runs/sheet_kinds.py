"""Sample sheets of other makers than Illumina: MinKNOW's table, Element's RunManifest, Ultima's LibraryInfo, and any
plain table with a column of samples.

Each function takes the bytes of a file and its name and returns the sheet, or raises StructureBroken with file, line
and column. Which kind a run has is the layout's business (`sheet.kind`); `sample_sheet.py` is the way in.
"""

from __future__ import annotations

from dataclasses import replace

from watcher.runs.markup import NotReadable, located_elements
from watcher.runs.sheet_rows import SAMPLE_ID, SAMPLE_NAME, SampleSheet, SheetRow, table
from watcher.runs.sheet_text import broken, decoded, plain, rows_of, sections_of

_ONT = ("alias", "barcode", "sampleid")
_ELEMENT = ("samplename",)
_ANY = (*SAMPLE_ID, "sample", *SAMPLE_NAME, "name", "alias")


def read_ont(content: bytes, name: str) -> SampleSheet:
    """Read MinKNOW's `sample_sheet_*.csv`: a sample is called by its alias, else its barcode, else its sample_id.

    MinKNOW writes barcodes and aliases only when it was given some; without any, a row speaks of the whole run.
    """
    rows = table(rows_of(decoded(content, name), name, _ONT), name, 1, _ONT)
    return SampleSheet(
        name, 1, tuple(replace(row, is_for_all=not row.cell("alias", "barcode")) for row in rows), kind="ont"
    )


def read_element(content: bytes, name: str) -> SampleSheet:
    """Read Element's RunManifest.csv: `[RunValues]`, `[Settings]`, `[Samples]`, in any case; `#` begins a comment."""
    rows = [row for row in rows_of(decoded(content, name), name, _ELEMENT) if not row.cells[0].startswith("#")]
    sections = sections_of(rows, name)
    # Settings and samples may come in several parts, each with column names of its own.
    parts = [one for one in sections if one.name == "samples"]
    if not parts:
        raise broken(name, 1, 1, "there is no [SAMPLES] section")
    samples = [row for part in parts for row in table(part.rows, name, part.line, _ELEMENT)]
    settings = {
        row.cells[0].lower(): row.cells[1] if len(row.cells) > 1 else ""
        for one in sections
        if one.name in ("settings", "runvalues")
        for row in one.rows
    }
    return SampleSheet(name, 1, tuple(samples), settings=settings, kind="element")


def read_ultima(content: bytes, name: str) -> SampleSheet:
    """Read Ultima's `<run>_LibraryInfo.xml`: `Sample` elements by their Id, with the attributes below them."""
    rows: list[SheetRow] = []
    try:
        elements = located_elements(content)
    except NotReadable as error:
        line, column = error.at or (1, 1)
        raise broken(name, line, column, f"it {error}") from error
    samples = [(number, one) for number, one in enumerate(elements) if one.name == "Sample"]
    for number, sample in samples:
        cells = {key: value.strip() for key, value in sample.attributes.items()}
        if not cells.get("Id"):
            raise broken(name, sample.line, sample.column, "this Sample has no Id")
        for inner in elements[number + 1 :]:
            if inner.depth <= sample.depth:
                break
            if inner.name == "Attribute" and (called := inner.attributes.get("Name", "").strip()):
                cells.setdefault(called, inner.attributes.get("Value", "").strip())
        rows.append(SheetRow(sample.line, cells, cells["Id"], column=sample.column))
    if not rows:
        raise broken(name, 1, 1, "there is no Sample element")
    return SampleSheet(name, 1, tuple(rows), kind="ultima")


def read_columns(content: bytes, name: str) -> SampleSheet:
    """Read any table whose first row names a column of samples (Sample_ID, sample, SampleName, name …).

    Lines that begin with `#` are comments, but for a row of column names that begins so (`#SampleID`).
    """
    rows = rows_of(decoded(content, name), name, _ANY)
    for number, row in enumerate(rows):
        header = (row.cells[0].lstrip("#").strip(), *row.cells[1:])
        if any(plain(column) in _ANY for column in header):
            below = (one for one in rows[number + 1 :] if not one.cells[0].startswith("#"))
            found = table([replace(row, cells=header), *below], name, row.line, _ANY)
            return SampleSheet(name, 1, tuple(found), kind="columns")
        if not row.cells[0].startswith("#"):
            break
    line = next((row.line for row in rows if not row.cells[0].startswith("#")), 1)
    raise broken(name, line, 1, "expected a row of column names with one for samples, such as Sample_ID or sample")
