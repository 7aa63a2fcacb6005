"""What every sample sheet is read into, whatever its kind: rows by sample with all their columns, and their lines.

Columns keep their spelling and are asked for in any. `table` turns rows of text into these and refuses, with file,
line and column, what cannot be read one way only. Knows no kind of sheet and no files of reads.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from watcher.runs.sheet_text import TextRow, broken, plain

SHEET_KINDS = ("illumina", "ont", "element", "ultima", "columns")
"""The kinds of sheets that can be read; a layout names one as `sheet.kind`."""

SAMPLE_ID = ("sampleid",)
SAMPLE_NAME = ("samplename",)
_PROJECT = ("sampleproject", "project", "projectname")
_BARCODE = ("barcode", "indexlabel", "rapidbarcode", "barcodeid", "barcodename", "indexname", "i7indexid")
# As makers spell them: exports of databases add `sample_id` and `sample_name` of their own beside these.
_DOCUMENTED = frozenset({"Sample_ID", "Sample_Name", "SampleName"})
_READ = frozenset({*SAMPLE_ID, *SAMPLE_NAME, *_PROJECT, "lane", "index", "index2", "barcode", "alias"})
# Rows of one sample that differ in any of these are several parts of it, not one row written twice.
_PARTS = ("index", "index1", "index2", "flowcellid", "fcid", "positionid", "protocolrunid")
_SPOKEN = {"sampleid": "Sample_ID", "samplename": "SampleName"}
_LANE = re.compile(r"(?:lane|l)?0*(\d{1,4})", re.IGNORECASE)


@dataclass(frozen=True)
class SheetRow:
    """One row of the sample table: its cells by column as the sheet spells it, its line counted from 1, its sample.

    `is_for_all` marks a row that speaks of everything in the run, because the sheet tells no samples apart; `column` is
    where the sample stands in its line, from 1, as in messages about the sheet itself.
    """

    line: int
    cells: Mapping[str, str]
    sample_id: str
    is_for_all: bool = False
    column: int = 1

    @property
    def at(self) -> str:
        """Return line and column of the sample, for people."""
        return f"{self.line}:{self.column}"

    @cached_property
    def _plain(self) -> Mapping[str, str]:
        filled = [(name, value) for name, value in self.cells.items() if value]
        filled.sort(key=lambda cell: cell[0] not in _DOCUMENTED)
        return {plain(name): value for name, value in reversed(filled)}

    def cell(self, *columns: str) -> str:
        """Return the first non-empty cell of these columns, however the sheet spells their names."""
        return next((self._plain[plain(column)] for column in columns if plain(column) in self._plain), "")

    @cached_property
    def sample_name(self) -> str:
        """Return the Sample_Name, "" when the sheet has none."""
        return self.cell(*SAMPLE_NAME)

    @cached_property
    def project(self) -> str:
        """Return Sample_Project, or the ProjectName of the cloud table."""
        return self.cell(*_PROJECT)

    @cached_property
    def barcode(self) -> str:
        """Return the name of the barcode (`barcode01`, `Z0001`), not its sequence; "" when the sheet has none."""
        return self.cell(*_BARCODE)

    @cached_property
    def lanes(self) -> tuple[int, ...]:
        """Return the lanes this row speaks of, () = all; `1+2` are two of them."""
        found = (_LANE.fullmatch(part.strip()) for part in self.cell("lane").split("+"))
        return tuple(int(lane[1]) for lane in found if lane)

    @property
    def part(self) -> tuple[str, ...]:
        """Return what tells the rows of one sample apart: lanes, indexes, barcode, flow cell."""
        return (*map(str, sorted(self.lanes)), self.barcode, *(self.cell(column).upper() for column in _PARTS))


@dataclass(frozen=True, slots=True)
class SampleSheet:
    """A sheet as read. `settings` are those of all sections by lower-case key; `reads` the number of reads, 0 = not
    told; `kind` is one of SHEET_KINDS.
    """

    name: str
    version: int
    rows: tuple[SheetRow, ...]
    reads: int = 0
    settings: Mapping[str, str] = field(default_factory=dict)
    kind: str = "illumina"

    @property
    def is_interleaved(self) -> bool:
        """Tell whether both reads of a pair are in one file."""
        return self.settings.get("fastqcompressionformat", "").lower() == "dragen-interleaved"


def table(
    rows: Sequence[TextRow], name: str, line: int, samples: Sequence[str], *, must_have_samples: bool = True
) -> list[SheetRow]:
    """Return the rows of a table whose first row names its columns; `line` is that of its section.

    A row's sample is the first that is filled of the columns `samples`. Without `must_have_samples` a table without
    such a column has no rows, and a row without a sample is left out.
    """
    if not rows:
        if must_have_samples:
            raise broken(name, line, 1, "the sample table is empty")
        return []
    header = rows[0].cells
    names = [plain(column) for column in header]
    places = [_place_of(column, header, names) for column in samples if column in names]
    if not places:
        if must_have_samples:
            raise broken(name, rows[0].line, 1, f"the sample table has no {_SPOKEN.get(samples[0], samples[0])} column")
        return []
    for position, column in enumerate(header):
        same = [other for other, known in enumerate(names[:position]) if column and known == names[position]]
        is_clear = column not in header[:position] and (
            names[position] not in _READ or any(header[one] in _DOCUMENTED for one in (*same, position))
        )
        if same and not is_clear:
            raise broken(name, rows[0].line, position + 1, f"column {column} comes twice")
    found: list[SheetRow] = []
    for row in rows[1:]:
        if len(row.cells) > len(header):
            cell = row.cells[len(header)]
            raise broken(name, row.line, len(header) + 1, f"cell {cell!r} stands under no column")
        place = next((place for place in places if place < len(row.cells) and row.cells[place]), None)
        if place is not None:
            named = {column: cell for column, cell in zip(header, row.cells, strict=False) if column}
            found.append(SheetRow(row.line, named, row.cells[place], column=place + 1))
        elif must_have_samples:
            raise broken(name, row.line, places[0] + 1, f"this row has no {header[places[0]]}")
    return found


def _place_of(column: str, header: Sequence[str], names: Sequence[str]) -> int:
    """Return where a column stands; of several that differ in case only, the one that is spelled as makers do."""
    places = [place for place, known in enumerate(names) if known == column]
    return next((place for place in places if header[place] in _DOCUMENTED), places[0])
