"""From the bytes of a table to rows with their place: encoding, delimiter, quotes, sections.

Tolerant of what real sheets carry: byte order marks, UTF-16, cp1252, every kind of line end, `,` `;` or TAB, the line
`sep=;` that Excel writes, trailing commas, rows of nothing but commas. A row's line is the one it begins at, quoted
cells may hold line ends. Knows no column; what a row means is in `sheet_rows.py`, which sections a sheet has in
`sample_sheet.py` and `sheet_kinds.py`.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from watcher.errors import StructureBroken

_DELIMITERS = (",", ";", "\t")
_TOLD = re.compile(r'\s*"?sep=([,;\t|])"?\s*', re.IGNORECASE)
_LINE_ENDS = re.compile(r"\r\n|\r|\n")
_BLANKS = re.compile(r"[\s_.-]+")


@dataclass(frozen=True, slots=True)
class TextRow:
    """A row with its cells, stripped and without the empty ones at its end, and the line it begins at, from 1."""

    line: int
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Section:
    """A section such as `[Data]` by its lower-case name, and the rows below it."""

    name: str
    line: int
    rows: tuple[TextRow, ...]


def broken(name: str, line: int, column: int, message: str) -> StructureBroken:
    """Return the refusal of a sheet that names file, line and column; a column is a cell's number, from 1."""
    return StructureBroken(f"{name}:{line}:{column}: {message}.", hint="Correct the sample sheet.", files=(name,))


def plain(column: str) -> str:
    """Return a column's name as it is compared: `Sample ID`, `sample_id` and `SampleID` are one."""
    return _BLANKS.sub("", column).lower()


def decoded(content: bytes, name: str) -> str:
    """Return the text of a file, without its byte order mark; StructureBroken when it is none."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encodings = ["utf-16"]
    else:
        content = content.removeprefix(codecs.BOM_UTF8)
        encodings = ["utf-8", "cp1252", "latin-1"]
    for encoding in encodings:
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" in text:
            line = len(_LINE_ENDS.findall(text[: text.index("\0")])) + 1
            raise broken(name, line, 1, "this is no text")
        return text.lstrip("\ufeff")
    raise broken(name, 1, 1, "this is no text")


def rows_of(text: str, name: str, known: Collection[str]) -> list[TextRow]:
    """Return the rows that hold anything. `known` are columns (as `plain` writes them) by which the row of column
    names, and with it the delimiter, is recognised.
    """
    lines = list(io.StringIO(text, newline=""))
    begin, delimiter = 0, ""
    if lines and (told := _TOLD.fullmatch(lines[0])):
        begin, delimiter = 1, told[1]
    delimiter = delimiter or _delimiter(lines, known)
    reader = csv.reader(lines[begin:], delimiter=delimiter)
    rows: list[TextRow] = []
    line = begin + 1
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            while cells and not cells[-1]:
                cells.pop()
            if cells:
                rows.append(TextRow(line, tuple(cells)))
            last, line = line, begin + reader.line_num + 1
    except csv.Error as error:
        raise broken(name, line, 1, str(error)) from error
    # A quote that is never closed swallows everything after it, and nobody would miss those samples.
    if line > begin + 1 and _is_open(lines[last - 1 :], delimiter):
        raise broken(name, last, 1, 'a quote (") that opens in this row is never closed')
    return rows


def sections_of(rows: Sequence[TextRow], name: str, bare: Collection[str] = ()) -> list[Section]:
    """Return the sections of a sheet; a table without any is one called `data` if its first row has one of the
    columns `bare`.
    """
    found: list[tuple[str, int, list[TextRow]]] = []
    for row in rows:
        if row.cells[0].startswith("["):
            end = row.cells[0].find("]")
            if end < 0:
                raise broken(name, row.line, 1, f"section {row.cells[0]} is not closed by ]")
            found.append((row.cells[0][1:end].strip().lower(), row.line, []))
            continue
        if not found:
            if not any(plain(cell) in bare for cell in row.cells):
                raise broken(name, row.line, 1, "expected a section such as [Header] or [Data]")
            found.append(("data", row.line, []))
        found[-1][2].append(row)
    return [Section(section, line, tuple(rows)) for section, line, rows in found]


def _delimiter(lines: Sequence[str], known: Collection[str]) -> str:
    """Return what separates cells: best told by the row of column names, else by the first row that is no section."""
    for line in lines:
        counts = {one: cells for one in _DELIMITERS if (cells := _columns(line, one, known))}
        if counts:
            return max(counts, key=lambda one: counts[one])
    first = next((line for line in lines if line.strip() and not line.lstrip().startswith("[")), "")
    return max(_DELIMITERS, key=first.count)


def _columns(line: str, delimiter: str, known: Collection[str]) -> int:
    """Return how many cells a row of column names has with this delimiter, 0 when it is no such row."""
    cells = [cell.strip().strip('"') for cell in line.split(delimiter)]
    return len(cells) if any(plain(cell.lstrip("#")) in known for cell in cells) else 0


def _is_open(lines: Sequence[str], delimiter: str) -> bool:
    try:
        list(csv.reader(lines, delimiter=delimiter, strict=True))
    except csv.Error as error:
        return "unexpected end" in str(error)
    return False
