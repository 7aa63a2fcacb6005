"""Which rows of the sample sheet belong to which samples of the files.

A row is found as spelled, then whatever the case, then as converters fold names, and for sheets of barcodes by those.
What can be read two ways is refused; what is merely odd (a sample the sheet does not name, an S number that is not the
sample's place) is a remark. Which reads a sample should have is asked in `pairing.py`; `predicates.py` and
`grouping.py` both ask here, so that `settle` and `verify` never disagree.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from watcher.runs.filenames import folded
from watcher.runs.read_groups import ReadGroup
from watcher.runs.sample_sheet import SampleSheet, SheetRow
from watcher.runs.sheet_numbers import places_of, same_in_names, told_apart
from watcher.runs.view import UnitView
from watcher.runs.yields import without_reads

_SHOWN = 5
_BARCODED_KINDS = ("ont", "ultima", "columns")
_LANE_UNIT = re.compile(r"(?:.*/)?L0*(\d{1,4})")
_NUMBERED_BARCODE = re.compile(r"(?:barcode|bc|nb|rb)?0*(\d+)")


@dataclass(frozen=True, slots=True)
class SheetMatch:
    """Rows by (sample, project) of the files; `without_files` are samples of the sheet that have none, `clashes` are
    refusals, `remarks` what is odd without being wrong. `called` is what the sheet calls samples whose files have only
    a barcode. `is_of_others`: there are files, and the sheet names none.
    """

    rows: Mapping[tuple[str, str], tuple[SheetRow, ...]]
    without_files: tuple[SheetRow, ...] = ()
    clashes: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    called: Mapping[tuple[str, str], str] = field(default_factory=dict)
    is_of_others: bool = False


def match_sheet(view: UnitView) -> SheetMatch:
    """Match the rows of the unit's sheet to its files; nothing without a sheet."""
    sheet = view.sheet.sheet
    if sheet is None:
        return SheetMatch({})
    if lane := _LANE_UNIT.fullmatch(view.found.unit):
        own = tuple(row for row in sheet.rows if not row.lanes or int(lane[1]) in row.lanes)
        sheet = replace(sheet, rows=own)
    shared = same_in_names(sheet)
    decided = {fold for fold, _ in told_apart(view.names.values(), sheet)} if shared else set()
    there = {folded(group.sample) for group in view.groups} if shared else set()
    unclear = {fold: ids for fold, ids in shared.items() if fold in there and fold not in decided}
    clashes = [
        f"samples {' and '.join(repr(one) for one in sorted(ids))} of {sheet.name} are one and the same in file names"
        for _, ids in sorted(unclear.items())
    ]
    clashes += _written_twice(sheet)
    rows, by_name, by_barcode = _rows_of_samples(sheet, view.groups)
    clashes += _unclear_barcodes(sheet, by_name, by_barcode)
    used = {row.sample_id for matched in rows.values() for row in matched}
    excused = set(unclear)
    excused |= {folded(name.sample) for name in view.selection.unusable.values()}
    # By sample, not by row: a sample may have a row for each lane, or two indexes.
    missing = tuple(
        row
        for row in sheet.rows
        if row.sample_id not in used and folded(row.sample_id) not in excused and not row.is_for_all
    )
    empty = without_reads(view)
    excuses = {row.line: empty[name] for row in missing for name in _names_of(sheet, row) if name in empty}
    left = tuple(row for row in missing if row.line not in excuses)
    is_of_others = bool(sheet.rows and view.groups and not rows)
    remarks = [] if is_of_others else _remarks(view, sheet, rows)
    remarks += dict.fromkeys(
        f"sample {row.sample_id} of {sheet.name} has no files: {excuses[row.line]} says that it has no reads"
        for row in missing
        if row.line in excuses
    )
    called = {key: meant[0].sample_id for key, meant in by_barcode.items() if key not in by_name}
    return SheetMatch(rows, left, tuple(clashes), tuple(remarks), called, is_of_others)


_Key = tuple[str, str]
_Rows = dict[_Key, tuple[SheetRow, ...]]
_Index = Mapping[tuple[int, str], Sequence[SheetRow]]
_SPELLINGS: Sequence[Callable[[str], str]] = (str.strip, str.casefold, folded)


def _rows_of_samples(sheet: SampleSheet, groups: Iterable[ReadGroup]) -> tuple[_Rows, _Rows, _Rows]:
    """Return the rows of each sample that has any, those that its name means, and those that it means as a barcode."""
    index = _indexed(sheet.rows)
    barcodes: dict[str, list[SheetRow]] = {}
    if sheet.kind in _BARCODED_KINDS:
        for row in sheet.rows:
            if row.barcode:
                barcodes.setdefault(_barcode(row.barcode), []).append(row)
    for_all = tuple(row for row in sheet.rows if row.is_for_all)
    lanes: dict[_Key, set[int]] = {}
    for group in groups:
        lanes.setdefault((group.sample, group.project), set()).add(group.lane)
    rows: _Rows = {}
    by_name: _Rows = {}
    by_barcode: _Rows = {}
    for key in sorted(lanes):
        sample, project = key
        if named := _rows_for(index, sample, project):
            by_name[key] = named
        meant = tuple(
            row
            for row in barcodes.get(_barcode(sample), ())
            if not row.lanes or 0 in lanes[key] or lanes[key] & set(row.lanes)
        )
        if meant:
            by_barcode[key] = meant
        if matched := named or meant or for_all:
            rows[key] = matched
    return rows, by_name, by_barcode


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


def _barcode(name: str) -> str:
    """Return a barcode's name as it is compared: `barcode01`, `BC01` and `1` are one."""
    found = _NUMBERED_BARCODE.fullmatch(name.strip().casefold())
    return found[1] if found else name.strip().casefold()


def _written_twice(sheet: SampleSheet) -> Iterable[str]:
    """Tell of rows of one sample that nothing tells apart; plain tables may repeat a sample for their own reasons."""
    first: dict[tuple[str, ...], SheetRow] = {}
    for row in sheet.rows if sheet.kind != "columns" else ():
        other = first.setdefault((row.sample_id.casefold(), row.project, *row.part), row)
        if other is not row:
            yield (
                f"{sheet.name}:{row.at}: sample {row.sample_id} is in line {other.line} already, with the same lane"
                " and indexes"
            )


def _unclear_barcodes(sheet: SampleSheet, by_name: _Rows, by_barcode: _Rows) -> Iterable[str]:
    """Tell of barcodes of several samples; where barcodes name any files, also of names that mean another row."""
    if not set(by_barcode) - set(by_name):
        return
    for key, meant in by_barcode.items():
        both = {row.line: row for row in (*by_name.get(key, ()), *meant)}
        ids = dict.fromkeys(row.sample_id for row in both.values())
        if len(ids) > 1:
            lines = " and ".join(map(str, sorted(both)))
            place = f"{sheet.name}:{both[min(both)].at}"
            yield f"{place}: {key[0]} may be {' or '.join(ids)}, by its name or its barcode (lines {lines})"


def _remarks(view: UnitView, sheet: SampleSheet, rows: Mapping[_Key, Sequence[SheetRow]]) -> list[str]:
    """Return what is odd: samples without a row, S numbers that are not the sample's place in the sheet."""
    remarks: list[str] = []
    unnamed = sorted({group.sample for group in view.groups if (group.sample, group.project) not in rows})
    if unnamed and sheet.rows:
        remarks.append(f"{sheet.name} does not name {_some(unnamed)}")
    if sheet.kind == "illumina":
        remarks += _without_lanes(view, sheet, rows)
        places, odd = places_of(sheet), dict[str, str]()
        for group in view.groups:
            matched = rows.get((group.sample, group.project), ())
            numbers = {view.names[path].number for paths in group.reads.values() for path in paths} - {None}
            wanted = {places[row.sample_id] for row in matched}
            if matched and not numbers <= wanted:
                odd[group.sample] = f"S{min(number or 0 for number in numbers)} is number {min(wanted)}"
        if odd:
            sample, told = next(iter(odd.items()))
            more = f", and {len(odd) - 1} more" if len(odd) > 1 else ""
            remarks.append(f"S numbers are not the order of {sheet.name}: {sample} {told}{more}")
    return remarks


def _without_lanes(view: UnitView, sheet: SampleSheet, rows: Mapping[_Key, Sequence[SheetRow]]) -> Iterable[str]:
    """Tell of lanes that the sheet gives a sample and in which it has no files; without reads there may be none, so
    nothing is held for it. Names without lanes tell nothing.
    """
    lanes: dict[_Key, set[int]] = {}
    for group in view.groups:
        lanes.setdefault((group.sample, group.project), set()).add(group.lane)
    wanted = {(key, lane): row for key, matched in rows.items() for row in matched for lane in row.lanes}
    lacking = sorted((key, lane) for key, lane in wanted if lanes[key].isdisjoint((0, lane)))
    if lacking:
        key, lane = lacking[0]
        more = f", and {len(lacking) - 1} more" if len(lacking) > 1 else ""
        yield f"{sheet.name}:{wanted[lacking[0]].at}: sample {key[0]} has no files in lane {lane}{more}"


def _names_of(sheet: SampleSheet, row: SheetRow) -> set[str]:
    """Return what statistics may call the sample of a row, folded: its id, in sheets of barcodes also these."""
    barcode = row.barcode if sheet.kind in _BARCODED_KINDS else ""
    return {folded(name) for name in (row.sample_id, barcode) if name}


def _some(names: Sequence[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
