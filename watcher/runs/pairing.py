"""Says which reads a sample should have, and which are missing or double.

How many reads are expected comes from what the converter was told (OverrideCycles), else from RunInfo.xml, else from
the sheet, and in any case from the samples beside it: where one sample has R2, all have. Knows nothing of
completeness; `predicates.py` and `grouping.py` both ask here, so that `settle` and `verify` never disagree. Which rows
of the sheet belong to which files is in `sheet_match.py`.
"""

from __future__ import annotations

from collections.abc import Sequence

from watcher.runs.sample_sheet import SampleSheet
from watcher.runs.view import UnitView


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


def _told_cycles(sheet: SampleSheet) -> int:
    """Return how many reads OverrideCycles asks for (parts with `Y`), the least of all samples; 0 = it is silent."""
    told = [row.cell("overridecycles") for row in sheet.rows] if sheet.version == 2 else []
    told = [one for one in told if one] or [sheet.settings.get("overridecycles", "")]
    return min((sum(1 for part in one.upper().split(";") if "Y" in part) for one in told), default=0)
