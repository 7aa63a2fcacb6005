"""Reads Illumina sample sheets, v1 (IEM, `[Data]`) and v2 (BCL Convert, `[BCLConvert_Data]`), and plain tables with a
Sample_ID column.

Tolerant of what real sheets carry: byte order marks, UTF-16, cp1252, CRLF, `;` or TAB, trailing commas, an empty last
column, blank lines, columns of any case. Every column is kept, columns of `[Cloud_Data]`, `[Galaxy_Data]` and other
tables are joined by sample. Refuses with file, line and column what cannot be read one way only. Knows no files of
reads; matching is done in `grouping.py`.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from watcher.errors import StructureBroken

_SAMPLE_TABLES = ("data", "bclconvert_data")
_DELIMITERS = (",", ";", "\t")
_SAMPLE_ID = ("sample_id", "sampleid")
_SAMPLE_NAME = ("sample_name", "samplename")
_PROJECT = ("sample_project", "project", "projectname")


@dataclass(frozen=True)
class SheetRow:
    """One row of the sample table: its cells by column as the sheet spells it, and its line counted from 1."""

    line: int
    cells: Mapping[str, str]

    @cached_property
    def _lower(self) -> Mapping[str, str]:
        return {name.lower(): value for name, value in self.cells.items()}

    def cell(self, *columns: str) -> str:
        """Return the first non-empty cell of these columns (lower case), whatever case the sheet uses."""
        return next((self._lower[column] for column in columns if self._lower.get(column)), "")

    @cached_property
    def sample_id(self) -> str:
        """Return the Sample_ID."""
        return self.cell(*_SAMPLE_ID)

    @cached_property
    def sample_name(self) -> str:
        """Return the Sample_Name, "" when the sheet has none."""
        return self.cell(*_SAMPLE_NAME)

    @cached_property
    def project(self) -> str:
        """Return Sample_Project, or the ProjectName of the cloud table."""
        return self.cell(*_PROJECT)

    @property
    def lanes(self) -> tuple[int, ...]:
        """Return the lanes this row speaks of, () = all."""
        return tuple(int(part) for part in self.cell("lane").split("+") if part.strip().isdigit())


@dataclass(frozen=True, slots=True)
class SampleSheet:
    """A sheet as read. `settings` are those of all sections by lower-case key; `reads` the number of reads, 0 = not
    told.
    """

    name: str
    version: int
    rows: tuple[SheetRow, ...]
    reads: int = 0
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_interleaved(self) -> bool:
        """Tell whether both reads of a pair are in one file."""
        return self.settings.get("fastqcompressionformat", "").lower() == "dragen-interleaved"


@dataclass(slots=True)
class _Section:
    name: str
    line: int
    lines: list[tuple[int, list[str]]]


def read_sample_sheet(content: bytes, name: str) -> SampleSheet:
    """Return the sheet, or raise StructureBroken that names file, line and column (each counted from 1)."""
    text = _decoded(content, name)
    sections = list(_sections(text, name))
    table = next((one for wanted in reversed(_SAMPLE_TABLES) for one in sections if one.name == wanted), None)
    if table is None:
        raise _broken(name, 1, 1, "there is no [Data] and no [BCLConvert_Data] section and no Sample_ID column")
    rows = _table(table, name, must_have_ids=True)
    by_sample: dict[str, dict[str, str]] = {}
    for other in sections:
        if other is not table and other.name.endswith("_data"):
            for row in _table(other, name, must_have_ids=False):
                extra = by_sample.setdefault(row.sample_id.casefold(), {})
                for column, value in row.cells.items():
                    extra.setdefault(column, value)
    joined = tuple(_joined(row, by_sample.get(row.sample_id.casefold(), {})) for row in rows)
    settings = {
        cells[0].lower(): cells[1] if len(cells) > 1 else ""
        for one in sections
        if one.name == "settings" or one.name == "header" or one.name.endswith("_settings")
        for _, cells in one.lines
        if cells
    }
    return SampleSheet(name, 2 if table.name == "bclconvert_data" else 1, joined, _reads(sections), settings)


def _decoded(content: bytes, name: str) -> str:
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encodings = ["utf-16"]
    else:
        encodings = ["utf-8-sig", "cp1252", "latin-1"]
    for encoding in encodings:
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" in text:
            break
        return text
    raise _broken(name, 1, 1, "this is no text")


def _sections(text: str, name: str) -> Iterator[_Section]:
    lines = text.splitlines()
    delimiter = _delimiter(lines)
    section: _Section | None = None
    # csv joins quoted cells that hold line ends; its own count names the line such a row ends at.
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            while cells and not cells[-1]:
                cells.pop()
            if not cells:
                continue
            if cells[0].startswith("["):
                end = cells[0].find("]")
                if end < 0:
                    raise _broken(name, reader.line_num, 1, f"section {cells[0]} is not closed by ]")
                if section is not None:
                    yield section
                section = _Section(cells[0][1:end].strip().lower(), reader.line_num, [])
                continue
            if section is None:
                # A bare table: only a header row with sample ids may come first.
                if not any(cell.lower() in _SAMPLE_ID for cell in cells):
                    raise _broken(name, reader.line_num, 1, "expected a section such as [Header] or [Data]")
                section = _Section("data", reader.line_num, [])
            section.lines.append((reader.line_num, cells))
    except csv.Error as error:
        raise _broken(name, reader.line_num, 1, str(error)) from error
    if section is not None:
        yield section


def _delimiter(lines: Sequence[str]) -> str:
    for line in lines:
        bare = line.strip().lstrip("\ufeff")
        if bare and not bare.startswith("["):
            return max(_DELIMITERS, key=bare.count)
    return ","


def _table(section: _Section, name: str, *, must_have_ids: bool) -> list[SheetRow]:
    if not section.lines:
        if must_have_ids:
            raise _broken(name, section.line, 1, "the sample table is empty")
        return []
    header_line, header = section.lines[0]
    lower = [column.lower() for column in header]
    ids = next((lower.index(column) for column in (*_SAMPLE_ID, *_SAMPLE_NAME) if column in lower), None)
    if ids is None:
        if must_have_ids:
            raise _broken(name, header_line, 1, "the sample table has no Sample_ID column")
        return []
    for position, column in enumerate(lower):
        if column and column in lower[:position]:
            raise _broken(name, header_line, position + 1, f"column {header[position]} comes twice")
    rows: list[SheetRow] = []
    for line, cells in section.lines[1:]:
        if len(cells) > len(header):
            raise _broken(name, line, len(header) + 1, f"cell {cells[len(header)]!r} stands under no column")
        named = {column: cell for column, cell in zip(header, cells, strict=False) if column}
        if not (cells[ids] if ids < len(cells) else ""):
            # An id may be missing where the name stands in for it, as in old MiSeq sheets.
            if not SheetRow(line, named).sample_name:
                if must_have_ids:
                    raise _broken(name, line, ids + 1, "this row has no Sample_ID")
                continue
            named[header[ids]] = SheetRow(line, named).sample_name
        rows.append(SheetRow(line, named if SheetRow(line, named).sample_id else {"Sample_ID": cells[ids], **named}))
    return rows


def _joined(row: SheetRow, extra: Mapping[str, str]) -> SheetRow:
    known = {column.lower() for column in row.cells}
    return SheetRow(
        row.line, {**row.cells, **{name: value for name, value in extra.items() if name.lower() not in known}}
    )


def _reads(sections: Sequence[_Section]) -> int:
    lines = [cells for one in sections if one.name == "reads" for _, cells in one.lines]
    bare = sum(1 for cells in lines if cells[0].isdigit() and int(cells[0]) > 0)
    named = sum(
        1 for cells in lines if cells[0].lower().startswith("read") and "".join(cells[1:2]).strip("0").isdigit()
    )
    return bare or named


def _broken(name: str, line: int, column: int, message: str) -> StructureBroken:
    return StructureBroken(f"{name}:{line}:{column}: {message}.", hint="Correct the sample sheet.", files=(name,))
