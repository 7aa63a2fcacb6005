"""From a listing to a verdict: which units are in a run folder, and whether a unit is complete.

The order of use: `load_layouts`, `detection` (how to list a folder nobody knows yet), `find_runs`, `find_units`,
`wanted` (which small files to read), `judge`. Pure: listings and bytes in, facts out; nothing here touches a disk but
`load_layouts`. Which layout a folder has is told in `recognition.py`, what the layouts themselves say in
`layouts/*.toml`, which samples a unit holds in `grouping.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta

from watcher.model import Listing, PredicateResult
from watcher.runs.conditions import Condition, spoken
from watcher.runs.layout_file import Layout, load_layouts
from watcher.runs.layout_values import Source
from watcher.runs.predicates import ask, ask_any, contents_needed, is_still, settled
from watcher.runs.recognition import (
    Detection,
    FoundRun,
    detection,
    find_runs,
    may_be,
    recognise,
    run_info_paths,
    tells_of_runs,
)
from watcher.runs.units import FoundUnit, find_units, not_taken
from watcher.runs.view import RUN_INFO, Judgement, UnitView

__all__ = [
    "Detection",
    "FoundRun",
    "FoundUnit",
    "Judgement",
    "Layout",
    "UnitView",
    "detection",
    "find_runs",
    "find_units",
    "judge",
    "load_layouts",
    "may_be",
    "not_taken",
    "recognise",
    "run_info_paths",
    "tells_of_runs",
    "wanted",
]

FILES = "files"
"""The name of the predicate that there is something to take."""

MARKS = ("file", "xml", "json", "kv", "text", "each", "manifest", "count")
"""Conditions that something was written to fulfil, unlike time that passes."""


def wanted(layout: Layout, listing: Listing, found: FoundUnit) -> tuple[str, ...]:
    """Return the small files whose content `judge`, `group` and `expected_checksums` need of a unit, sorted."""
    view = UnitView(layout, "", listing, found, {}, {})
    plain: list[str] = [*RUN_INFO, *(counts.glob for counts in layout.zero_yield)]
    plain += (f"/{source.glob}" for source in (*layout.id, *layout.instrument_from) if isinstance(source, Source))
    plain += (source.glob for source in layout.sample_default if isinstance(source, Source))
    conditions = (*layout.complete_all, *layout.complete_any, *layout.failed, *layout.held)
    plain += (glob for condition in conditions for glob in contents_needed(condition))
    any_case = [*layout.sheet_paths, *(glob for rule in layout.manifests for glob in rule.globs)]
    any_case += (glob for condition in conditions if condition.flag("ci") for glob in contents_needed(condition))
    found_files = [*view.find(plain), *view.find(any_case, ignore_case=True)]
    return tuple(sorted({facts.path for facts in found_files}))


def judge(view: UnitView) -> Judgement:
    """Return what this look says of the unit; complete = every predicate holds and nothing says failed or held."""
    selection = view.selection
    identity, identity_from = view.identity()
    run = view.called if identity_from == "unit" else identity
    predicates = tuple(_predicates(view))
    missing = [result for result in predicates if not result.holds]
    failed = next((result.detail for result in _asked(view.layout.failed, view) if result.holds), "")
    held, held_as, overdue = "", "", ""
    if not failed:
        held = next((result.detail for result in _asked(view.layout.held, view) if result.holds), "")
        held_as = "by_run" if held else ""
    if not failed and not held and missing:
        held, held_as = _not_to_come(view, missing)
        overdue = (
            "" if held else _unmoved(view, missing, view.layout.max_wait if view.max_wait is None else view.max_wait)
        )
    if not view.layout.include:
        # The converter's output has the same run id, and is what the run is for.
        identity = f"{view.layout.name}:{identity}"
    return Judgement(
        run=run,
        identity=identity,
        complete=not missing and not failed and not held,
        predicates=predicates,
        failed=failed,
        selected=selection.selected,
        left_out=selection.left_out,
        held=held,
        held_as=held_as,
        overdue=overdue,
        nothing="" if view.layout.include or missing else view.layout.nothing or "there is nothing to upload in it",
        identity_from=identity_from,
    )


def _asked(conditions: Iterable[Condition], view: UnitView) -> Iterator[PredicateResult]:
    for condition in conditions:
        yield ask(condition, view, of_completeness=False)


def _predicates(view: UnitView) -> Iterator[PredicateResult]:
    layout = view.layout
    for condition in layout.complete_all:
        yield ask(condition, view)
    if layout.complete_any:
        yield ask_any(layout.complete_any, view)
    # A file that is there but cannot be read is nothing to wait for: `verify` stops at it.
    count = len(view.selection.selected) + len(view.selection.unusable)
    if layout.least_files:
        detail = f"{count} files to take" if count else "there is no file to take yet"
        yield PredicateResult(FILES, count >= layout.least_files, detail)
    if not any(condition.kind == "quiet" for condition in layout.complete_all):
        # Quiet as a proof of its own is stricter than the last settling and contains it.
        yield settled(view)


def _not_to_come(view: UnitView, missing: Sequence[PredicateResult]) -> tuple[str, str]:
    """Return why nobody should wait any longer for what is missing, and under which code; "" while it may come."""
    if [result.name for result in missing] == [FILES] and any(one.kind in MARKS for one in view.layout.complete_all):
        # A copy may bring the markers first: it must be over before a person is asked.
        return (_no_reads(view), "no_reads") if is_still(view) else ("", "")
    limit = view.layout.abandoned if view.abandoned is None else view.abandoned
    if unmoved := _unmoved(view, missing, limit):
        names = {result.name for result in missing}
        marks = [one for one in view.layout.complete_all if one.kind in MARKS and not one.flag("if_present")]
        begun = view.selection.selected or any(one.name not in names for one in marks)
        return (unmoved, "abandoned") if begun else (f"the run seems never to have started: {unmoved}", "never_started")
    return "", ""


def _no_reads(view: UnitView) -> str:
    packed = [left.path for left in view.selection.left_out if left.path.endswith(".ora")]
    if packed:
        return (
            f"it is complete, but its reads are compressed as ORA ({packed[0]} and so on), which Galaxy does not know"
        )
    others = next((f": {left.path} is {left.reason}" for left in view.selection.left_out), "")
    return f"it is complete, but {view.layout.nothing or 'there is no file of reads in it'}{others}"


def _unmoved(view: UnitView, missing: Sequence[PredicateResult], limit: timedelta) -> str:
    """Return what is missing when nothing has moved for so long, else nothing."""
    flat = view.layout.flat
    seconds, last = view.unchanged([*view.found.files, *view.selection.unfinished] if flat else view.files)
    if view.assume_quiet or not last or seconds < limit.total_seconds():
        return ""
    return f"nothing has changed for {spoken(limit)}, but {'; '.join(result.detail for result in missing)}"
