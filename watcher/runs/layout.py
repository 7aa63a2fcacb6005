"""From a listing to a verdict: which layout a folder has, which units are in it, and whether a unit is complete.

The order of use is the order of this file: `load_layouts`, `detection` (how to list a folder nobody knows yet),
`recognise`, `find_units`, `wanted` (which small files to read), `judge`. Pure: listings and bytes in, facts out;
nothing here touches a disk but `load_layouts`. What the layouts themselves say is in `layouts/*.toml`, which samples
a unit holds in `grouping.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from watcher.model import Listing, PredicateResult
from watcher.runs.conditions import Condition, spoken
from watcher.runs.globs import alternatives, compiled, is_literal, literal_parents
from watcher.runs.layout_file import Layout, load_layouts
from watcher.runs.predicates import ask, ask_any, contents_needed, settled
from watcher.runs.units import FoundUnit, find_units, not_taken
from watcher.runs.view import RUN_INFO, Judgement, UnitView

__all__ = [
    "Detection",
    "FoundUnit",
    "Judgement",
    "Layout",
    "UnitView",
    "detection",
    "find_units",
    "judge",
    "load_layouts",
    "may_be",
    "not_taken",
    "recognise",
    "wanted",
]


@dataclass(frozen=True, slots=True)
class Detection:
    """How to list a folder whose layout is not known yet: folders never to enter, and how deep to go (None = all the
    way).
    """

    prune: tuple[str, ...]
    depth: int | None


def detection(layouts: Mapping[str, Layout]) -> Detection:
    """Return the cheapest look that still lets `recognise` tell these layouts apart."""
    usable = [layout for layout in layouts.values() if not layout.abstract and not layout.flat]
    looked_for = {glob for layout in usable for glob in (*layout.has_all, *layout.has_any, *layout.not_has)}
    entered = {parent for glob in looked_for for parent in literal_parents(glob)}
    prune = dict.fromkeys(glob for layout in usable for glob in layout.prune)
    depths = [layout.look_depth for layout in usable]
    known = [depth for depth in depths if depth is not None]
    return Detection(
        # What one layout never enters may be where another one is recognised.
        prune=tuple(glob for glob in prune if not any(compiled([glob]).fullmatch(parent) for parent in entered)),
        depth=None if len(known) < len(depths) else max(known, default=1),
    )


def recognise(layouts: Mapping[str, Layout], listing: Listing, folder_name: str) -> Layout | None:
    """Return the layout a run folder's content speaks for, the highest rank first; None while nothing is recognised.

    A folder can be recognised differently later (a run folder before its first reads is nobody's), so ask again until
    it settles.
    """
    usable = (layout for layout in layouts.values() if not layout.abstract and not layout.flat)
    for layout in sorted(usable, key=lambda one: (-one.rank, one.name)):
        if _is_like(layout, listing, folder_name):
            return layout
    return None


def may_be(layouts: Iterable[Layout], top: Listing, folder_name: str) -> bool:
    """Tell whether a deeper look could recognise one of these layouts, from the names right in a folder."""
    usable = (layout for layout in layouts if not layout.abstract and not layout.flat)
    return any(
        (layout.run_name is None or layout.run_name.fullmatch(folder_name) is not None)
        and all(_begins(top, (glob,)) for glob in layout.has_all)
        and (not layout.has_any or _begins(top, layout.has_any))
        for layout in usable
    )


def wanted(layout: Layout, listing: Listing, found: FoundUnit) -> tuple[str, ...]:
    """Return the small files whose content `judge`, `group` and `expected_checksums` need of a unit, sorted."""
    view = UnitView(layout, "", listing, found, {}, {})
    plain: list[str] = [*RUN_INFO, *layout.zero_yield]
    plain += (f"/{one.split(':', 2)[1]}" for one in layout.id if one.startswith("xml:"))
    conditions = (*layout.complete_all, *layout.complete_any, *layout.failed, *layout.held)
    plain += (glob for condition in conditions for glob in contents_needed(condition))
    any_case = [*layout.sheet_paths, *(glob for rule in layout.manifests for glob in rule.globs)]
    any_case += (glob for condition in conditions if condition.flag("ci") for glob in contents_needed(condition))
    found_files = [*view.find(plain), *view.find(any_case, ignore_case=True)]
    return tuple(sorted({facts.path for facts in found_files}))


def judge(view: UnitView) -> Judgement:
    """Return what this look says of the unit; complete = every predicate holds and nothing says failed or held."""
    layout, selection = view.layout, view.selection
    identity, identity_from = view.identity()
    failed = next((result.detail for result in _asked(layout.failed, view) if result.holds), "")
    predicates = tuple(_predicates(view))
    holds = all(result.holds for result in predicates)
    held = "" if failed else next((result.detail for result in _asked(layout.held, view) if result.holds), "")
    held_by_run = bool(held)
    if not failed and not held and not holds:
        held = _overdue(view, predicates)
    return Judgement(
        run=identity,
        identity=identity,
        complete=holds and not failed and not held,
        predicates=predicates,
        failed=failed,
        selected=selection.selected,
        left_out=selection.left_out,
        held=held,
        identity_from=identity_from,
        held_by_run=held_by_run,
    )


def _is_like(layout: Layout, listing: Listing, folder_name: str) -> bool:
    if layout.run_name is not None and not layout.run_name.fullmatch(folder_name):
        return False
    return (
        all(_has(listing, (glob,)) for glob in layout.has_all)
        and (not layout.has_any or _has(listing, layout.has_any))
        and not _has(listing, layout.not_has)
    )


def _has(listing: Listing, globs: Iterable[str]) -> bool:
    globs = list(globs)
    if any(glob in listing.entries for glob in globs if is_literal(glob)):
        return True
    pattern = compiled([glob for glob in globs if not is_literal(glob)])
    return any(pattern.fullmatch(path) for path in listing.entries)


def _begins(top: Listing, globs: Iterable[str]) -> bool:
    steps = {plain.split("/", 1)[0] for glob in globs for plain in alternatives(glob)}
    return "**" in steps or _has(top, steps)


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
        yield PredicateResult("files", count >= layout.least_files, detail)
    if not any(condition.kind == "quiet" for condition in layout.complete_all):
        # Quiet as a proof of its own is stricter than the last settling and contains it.
        yield settled(view)


def _overdue(view: UnitView, predicates: Iterable[PredicateResult]) -> str:
    """Return why nobody should wait any longer: nothing has moved for `max_wait`, and something is still missing."""
    limit = view.layout.max_wait if view.max_wait is None else view.max_wait
    flat = view.layout.flat
    seconds, last = view.unchanged([*view.found.files, *view.selection.unfinished] if flat else view.files)
    if view.assume_quiet or not last or seconds < limit.total_seconds():
        return ""
    missing = "; ".join(result.detail for result in predicates if not result.holds)
    return f"nothing has changed for {spoken(limit)}, but {missing}"
