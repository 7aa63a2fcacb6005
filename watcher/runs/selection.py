"""Says which files of a unit are taken, and gives the reason for every file of reads that is not.

Nothing is left out silently: links that leave the watch, devices and unusable names with the problem the listing
gives, transfers in progress with the program that writes so, index and undetermined reads, and reads that lie where
the layout does not look. Files that are no reads (logs, reports, images) are not told one by one. What would be taken
by its name but cannot be read is more than left out: without it a sample would be sent as if it were whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from watcher.model import Kind, LeftOut, Listing, SourceFacts
from watcher.runs.filenames import READS, ReadsName, name_from, parse_names
from watcher.runs.layout_file import Layout
from watcher.runs.units import NO_WISH, FoundUnit, Wish, is_dropped, reason_against, reason_by_name

__all__ = ["NO_WISH", "Selection", "Wish", "files_of", "names_of", "not_asked_for", "select"]


@dataclass(frozen=True, slots=True)
class Selection:
    """What is taken of a unit; `names` is what the files' names say, `unfinished` are transfers in progress.

    `unusable` is what would be taken if it were a regular file that we may read, with what the names say; `extra` is
    taken only because somebody wished it.
    """

    selected: tuple[str, ...]
    left_out: tuple[LeftOut, ...]
    unfinished: tuple[str, ...]
    names: Mapping[str, ReadsName]
    unusable: Mapping[str, ReadsName]
    extra: frozenset[str] = frozenset()


def files_of(listing: Listing, found: FoundUnit) -> Iterator[tuple[str, SourceFacts]]:
    """Yield what lies in a unit's folder and its path below; of a flat folder only what concerns the unit."""
    if found.files:
        for path in (*found.files, *found.beside):
            if path in listing.entries:
                yield path, listing.entries[path]
        return
    if not found.folder:
        yield from listing.entries.items()
        return
    prefix = found.folder + "/"
    for path, facts in listing.entries.items():
        if path.startswith(prefix):
            yield path[len(prefix) :], facts


def select(layout: Layout, listing: Listing, found: FoundUnit, wish: Wish = NO_WISH) -> Selection:
    """Return what is taken of a unit and what is not; each path is in at most one of the two."""
    wanted: dict[str, str] = {}
    unusable: dict[str, str] = {}
    left_out: dict[str, str] = {}
    unfinished: list[str] = []
    for inner, facts in files_of(listing, found):
        if facts.kind is Kind.FOLDER:
            continue
        reason = reason_against(layout, facts, inner, wish)
        if not reason:
            wanted[facts.path] = inner
        elif facts.kind is Kind.OTHER or layout.flat or READS.fullmatch(inner) or layout.included.fullmatch(inner):
            left_out[facts.path] = reason
            if facts.kind is Kind.FILE and layout.any_unfinished.fullmatch(inner):
                unfinished.append(facts.path)
            if facts.kind is Kind.OTHER and not reason_by_name(layout, inner, wish):
                unusable[facts.path] = inner
    by_inner = names_of(layout, [*wanted.values(), *unusable.values()])
    names: dict[str, ReadsName] = {}
    extra: set[str] = set()
    for path in sorted(wanted):
        name = by_inner[wanted[path]]
        if reason := not_asked_for(layout, name, wish):
            left_out[path] = reason
            continue
        names[path] = name
        if not_asked_for(layout, name) or not layout.included.fullmatch(wanted[path]):
            extra.add(path)
    missed = {path: by_inner[unusable[path]] for path in sorted(unusable)}
    return Selection(
        selected=tuple(names),
        left_out=tuple(LeftOut(path, left_out[path]) for path in sorted(left_out)),
        unfinished=tuple(sorted(unfinished)),
        names=names,
        unusable={path: name for path, name in missed.items() if _is_of_unit(layout, found, name)},
        extra=frozenset(extra),
    )


def names_of(layout: Layout, inners: Iterable[str]) -> dict[str, ReadsName]:
    """Return what the names of files say, by their paths relative to the unit."""
    bases = {inner: inner.rsplit("/", 1)[-1] for inner in inners}
    by_base = parse_names(bases.values(), layout.sample_regex)
    names = {inner: by_base[base] for inner, base in bases.items()}
    if layout.sample_path is not None:
        for inner in names:
            if (found := layout.sample_path.fullmatch(inner)) is not None:
                names[inner] = name_from(found)
    return names


def not_asked_for(layout: Layout, name: ReadsName, wish: Wish = NO_WISH) -> str:
    """Return why reads of such a name are not taken, "" when they are: no sample's, or a read that nobody wants."""
    if is_dropped(layout, name):
        return "Undetermined reads"
    if layout.reads and name.read and name.read not in layout.reads and name.read not in wish.reads:
        return "index read" if name.read.startswith("I") else f"read {name.read} is not asked for"
    return ""


def _is_of_unit(layout: Layout, found: FoundUnit, name: ReadsName) -> bool:
    # What lies beside the files of a flat unit would be a unit of its own, but for another read of the same beginning.
    return not not_asked_for(layout, name) and (not layout.flat or name.stem == found.unit)
