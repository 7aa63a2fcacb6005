"""Says which reads a sample should have, which are missing or double, and which rows of the sample sheet belong to
which files.

How many reads are expected comes from what the converter was told (OverrideCycles), else from RunInfo.xml, else from
the sheet, and in any case from the samples beside it: where one sample has R2, all have. Knows nothing of
completeness; `predicates.py` and `grouping.py` both ask here, so that `settle` and `verify` never disagree.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from watcher.runs.filenames import folded
from watcher.runs.markup import text_of
from watcher.runs.sample_sheet import SampleSheet, SheetRow
from watcher.runs.view import UnitView


@dataclass(frozen=True, slots=True)
class SheetMatch:
    """Rows by (sample, project) of the files; `without_files` are samples of the sheet that have none, `clashes` are
    refusals.
    """

    rows: Mapping[tuple[str, str], tuple[SheetRow, ...]]
    without_files: tuple[SheetRow, ...]
    clashes: tuple[str, ...]


def expected_reads(view: UnitView) -> tuple[str, ...]:
    """Return the reads each sample should have in each of its lanes; () = any will do."""
    seen = {read for group in view.groups for read in group.reads if read.startswith("R")}
    if not view.layout.pair or not seen:
        return ()
    if view.layout.flat:
        return ("R1", "R2")
    sheet = view.sheet.sheet
    if sheet is not None and sheet.is_interleaved:
        return ()
    count = (_told_cycles(sheet) if sheet else 0) or view.planned_read_count or (sheet.reads if sheet else 0)
    if "R2" in seen:
        count = max(count, 2)
    return tuple(f"R{number}" for number in range(1, count + 1))


def missing_reads(view: UnitView, expected: Sequence[str]) -> list[tuple[str, str]]:
    """Return (a file of the group, `R2 of S2 lane 1 is missing`) for each read that should be there.

    A read that is there but cannot be read is not missing: `verify` stops at it by its name.
    """
    unusable = {(name.sample, name.lane, name.read) for name in view.selection.unusable.values()}
    return [
        (group.any_path, f"{read} of {group.called} is missing")
        for group in view.groups
        # Files whose names tell no read (a BAM) are whole by themselves.
        if any(group.reads) and any(read.startswith("R") for read in group.reads)
        for read in expected
        if read not in group.reads and (group.sample, group.lane, read) not in unusable
    ]


def double_reads(view: UnitView) -> list[tuple[str, str]]:
    """Return (path, sentence) for each file that is the same read of the same sample and lane as another."""
    doubles: list[tuple[str, str]] = []
    for group in view.groups:
        for read, paths in group.reads.items():
            first: dict[int, str] = {}
            for path in paths:
                other = first.setdefault(view.names[path].chunk, path)
                if other != path:
                    what = f"{read} of {group.called}" if read else group.called
                    doubles.append((path, f"{what} is there twice: {other} and {path}"))
    return doubles


def match_sheet(view: UnitView) -> SheetMatch:
    """Match rows to files: as spelled, then whatever the case, then as converters fold names; ambiguous rows are
    refused.
    """
    sheet = view.sheet.sheet
    if sheet is None:
        return SheetMatch({}, (), ())
    folds: dict[str, set[str]] = {}
    for row in sheet.rows:
        folds.setdefault(folded(row.sample_id), set()).add(row.sample_id)
    clashes = tuple(
        f"samples {' and '.join(repr(one) for one in sorted(ids))} of {sheet.name} are one and the same in file names"
        for ids in (folds[fold] for fold in sorted(folds))
        if len(ids) > 1
    )
    index = _indexed(sheet.rows)
    rows: dict[tuple[str, str], tuple[SheetRow, ...]] = {}
    used: set[str] = set()
    for sample, project in sorted({(group.sample, group.project) for group in view.groups}):
        matched = _rows_for(index, sample, project)
        if matched:
            rows[sample, project] = matched
            used.update(row.sample_id for row in matched)
    excused = _zero_yield(view) | {fold for fold, ids in folds.items() if len(ids) > 1}
    excused |= {folded(name.sample) for name in view.selection.unusable.values()}
    # By sample, not by row: a sample may have a row for each lane, or two indexes.
    left = tuple(row for row in sheet.rows if row.sample_id not in used and folded(row.sample_id) not in excused)
    return SheetMatch(rows, left, clashes)


_Index = Mapping[tuple[int, str], Sequence[SheetRow]]
_SPELLINGS: Sequence[Callable[[str], str]] = (str.strip, str.casefold, folded)


def _indexed(rows: Iterable[SheetRow]) -> _Index:
    """Return rows by every way to spell their Sample_ID (even numbers) and Sample_Name (odd), the strictest first."""
    index: dict[tuple[int, str], list[SheetRow]] = {}
    for row in rows:
        for at, spelled in enumerate(_SPELLINGS):
            for column, name in enumerate((row.sample_id, row.sample_name)):
                if name:
                    index.setdefault((2 * at + column, spelled(name)), []).append(row)
    return index


def _rows_for(index: _Index, sample: str, project: str) -> tuple[SheetRow, ...]:
    for at in range(2 * len(_SPELLINGS)):
        if matched := index.get((at, _SPELLINGS[at // 2](sample))):
            of_project = tuple(row for row in matched if not project or folded(row.project) == folded(project))
            return of_project or tuple(matched)
    return ()


def _told_cycles(sheet: SampleSheet) -> int:
    """Return how many reads OverrideCycles asks for (parts with `Y`), the least of all samples; 0 = it is silent."""
    told = [row.cell("overridecycles") for row in sheet.rows] if sheet.version == 2 else []
    told = [one for one in told if one] or [sheet.settings.get("overridecycles", "")]
    return min((sum(1 for part in one.upper().split(";") if "Y" in part) for one in told), default=0)


def _zero_yield(view: UnitView) -> frozenset[str]:
    """Return the samples (folded) that the converter's own statistics list with no reads at all."""
    counts: dict[str, int] = {}
    for facts in view.find(view.layout.zero_yield):
        rows = csv.DictReader(io.StringIO(text_of(view.contents.get(facts.path, b""))))
        for row in rows:
            sample, reads = row.get("SampleID") or "", (row.get("# Reads") or "").strip()
            if sample and reads.isdigit():
                counts[folded(sample)] = counts.get(folded(sample), 0) + int(reads)
    return frozenset(sample for sample, count in counts.items() if not count)
