"""Since when conditions hold or do not, as far as the times of the files tell: for who asks without remembered looks.

A file proves what it does since its change time here, the one time that neither copying nor `touch` sets back. What is
not there has been missing since the unit's first file came. Knows no rows: what was seen at earlier looks, and by whom,
is the caller's. The conditions themselves are asked in `predicates.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from watcher.model import PredicateResult, SourceFacts
from watcher.runs.conditions import Condition
from watcher.runs.predicates import SETTLED, ask, files_of, lying_still
from watcher.runs.view import RUN_INFO, UnitView

_SAYING = ("xml", "json", "kv", "text")
"""Conditions that ask what a file says: it has said so, or something else, since it was written."""

_OF_ALL = ("pairs", "sheet_covered")
"""Conditions that speak of everything that is taken, as lists of checksums do where there are any."""


def since_when(view: UnitView, predicates: Sequence[PredicateResult]) -> list[datetime | None]:
    """Return for each of a judgement's predicates since when it has been as it is; None where nothing tells."""
    conditions = {condition.name: condition for condition in view.layout.complete_all}
    return [_since(view, one, conditions.get(one.name)) for one in predicates]


def _since(view: UnitView, told: PredicateResult, condition: Condition | None) -> datetime | None:
    if condition is not None:
        return _of_condition(view, condition, told.holds)
    if told.name == SETTLED:
        return _still(view, None, told.holds)
    alternatives = view.layout.complete_any
    if told.name == " or ".join(one.name for one in alternatives):
        holding = [_of_condition(view, one, True) for one in alternatives if told.holds and ask(one, view).holds]
        return min((one for one in holding if one), default=None) if told.holds else _begun(view)
    return _enough(view) if told.holds else _begun(view)


def _of_condition(view: UnitView, condition: Condition, holds: bool) -> datetime | None:
    if condition.kind in ("quiet", "age"):
        return _still(view, condition, holds) if holds or lying_still(condition, view)[1] else _begun(view)
    if condition.kind == "each":
        found = view.find([*RUN_INFO, condition.text("glob").replace("{n}", "*")], ignore_case=condition.flag("ci"))
    else:
        found = files_of(condition, view)
    if condition.kind == "newer":
        found = [*found, *view.find(condition.texts("than") or ())] if found else []
    elif condition.kind in _OF_ALL or (condition.kind == "manifest" and found):
        taken = [*view.selection.selected, *filter(None, [view.sheet.path])]
        found = [*found, *(view.listing.entries[path] for path in taken)]
    if condition.kind in ("file", "no_file"):
        # The first of them is enough to say that there is one.
        is_there = holds is (condition.kind == "file")
        return _at(view, min(_changes(found), default=None)) if is_there else _begun(view)
    tells = holds or condition.kind in (*_SAYING, "newer")
    return _at(view, max(_changes(found), default=None)) if tells and found else _begun(view)


def _still(view: UnitView, condition: Condition | None, holds: bool) -> datetime | None:
    needed, paths = lying_still(condition, view)
    quiet_s, last = view.unchanged(paths)
    if view.assume_quiet or not last:
        return None
    return view.listing.taken_at - timedelta(seconds=quiet_s) + (needed if holds else timedelta(0))


def _enough(view: UnitView) -> datetime | None:
    """Return when the last file came that is needed to have the least number of them."""
    there = [view.listing.entries[path] for path in (*view.selection.selected, *view.selection.unusable)]
    needed = sorted(_changes(there))[: view.layout.least_files]
    return _at(view, needed[-1]) if needed else None


def _begun(view: UnitView) -> datetime | None:
    return _at(view, min(_changes(view.listing.entries[path] for path in view.files), default=None))


def _changes(files: Iterable[SourceFacts]) -> list[int]:
    # Of what is no regular file a look tells no times.
    return [facts.ctime_ns for facts in files if facts.ctime_ns]


def _at(view: UnitView, changed_ns: int | None) -> datetime | None:
    """Return a file's time; never one to come, as clocks of file servers have it."""
    if changed_ns is None:
        return None
    return min(datetime.fromtimestamp(changed_ns / 1e9, UTC), view.listing.taken_at)
