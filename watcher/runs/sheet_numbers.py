"""What the S number in a file's name says of the sample sheet: a sample's place among the sheet's samples.

Converters number samples in the order in which each Sample_ID first comes in the sheet. Where they write two names as
one (`a_b` and `a-b` both become `a-b`), that number is all that tells the files apart. It is only believed where it
fits every sample of that name, because some tools number every sample 1. Knows names and sheets, no files.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from watcher.runs.filenames import ReadsName, folded
from watcher.runs.sheet_rows import SampleSheet


def places_of(sheet: SampleSheet) -> Mapping[str, int]:
    """Return the place of each Sample_ID among those of the sheet, from 1 on."""
    ids = dict.fromkeys(row.sample_id for row in sheet.rows)
    return {sample_id: place for place, sample_id in enumerate(ids, start=1)}


def same_in_names(sheet: SampleSheet) -> Mapping[str, tuple[str, ...]]:
    """Return the Sample_IDs that are one and the same in file names, by that name, wherever there are several."""
    folds: dict[str, dict[str, None]] = {}
    for row in sheet.rows:
        folds.setdefault(folded(row.sample_id), {})[row.sample_id] = None
    return {fold: tuple(ids) for fold, ids in folds.items() if len(ids) > 1}


def told_apart(names: Iterable[ReadsName], sheet: SampleSheet) -> Mapping[tuple[str, int], str]:
    """Return the Sample_ID that is meant by (folded name, S number), for names of several Sample_IDs.

    Empty where the numbers do not decide: one is missing, another one is there, or the names say otherwise.
    """
    if not (shared := same_in_names(sheet)):
        return {}
    seen: dict[str, set[tuple[str, int | None]]] = {}
    for name in names:
        if (fold := folded(name.sample)) in shared:
            seen.setdefault(fold, set()).add((name.sample, name.number))
    places = places_of(sheet)
    meant: dict[tuple[str, int], str] = {}
    for fold, found in seen.items():
        by_number = {places[sample_id]: sample_id for sample_id in shared[fold]}
        if {number for _, number in found} != set(by_number):
            continue
        # Written in several ways, the names are the converter's own and have to agree.
        is_spelled = len({sample for sample, _ in found}) > 1
        if is_spelled and any(sample in shared[fold] and by_number.get(n or 0) != sample for sample, n in found):
            continue
        meant.update({(fold, number): sample_id for number, sample_id in by_number.items()})
    return meant
