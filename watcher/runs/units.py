"""Finds what completes by itself in a run folder: the folder, its `Analysis/2`, or one pair or file of a flat folder.

A flat folder is a place where people drop files: R1 and R2 with the same beginning of their names are one unit, with
those of all lanes; any other file is one by itself. Unit names depend on the unit's own files alone, never on what
else lies there, so that a name given once stays. What is taken of a unit is in `selection.py`, whether it is complete
in `layout.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from watcher.model import Kind, LeftOut, Listing, SourceFacts
from watcher.runs.filenames import READS, ReadsName, parse_names
from watcher.runs.globs import compiled
from watcher.runs.layout_file import Layout


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for beyond what a layout takes by itself: reads (`I1`) and kinds of files (`bam`)."""

    reads: frozenset[str] = frozenset()
    kinds: frozenset[str] = frozenset()


NO_WISH = Wish()


@dataclass(frozen=True, slots=True)
class FoundUnit:
    """A unit in a listing: its name and its folder relative to the run folder ("." = the folder itself).

    Of a unit that is told by the names of its files also these, and what lies `beside` them without being taken:
    transfers of its files, lists of checksums, what is of all units.
    """

    unit: str
    subpath: str = "."
    files: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()

    @property
    def folder(self) -> str:
        """Return the unit's folder relative to the run folder, "" for the run folder itself."""
        return "" if self.subpath == "." else self.subpath


def find_units(layout: Layout, listing: Listing) -> list[FoundUnit]:
    """Return the units there are by now, sorted; a run folder may have none yet."""
    if layout.flat:
        return _flat_units(layout, listing)
    if layout.unit_id is not None:
        return _units_by_name(layout.unit_id, listing)
    if layout.unit == ".":
        return [FoundUnit(".")]
    pattern = compiled([layout.unit])
    found = {folder for folder in _folders(listing) if pattern.fullmatch(folder)}
    if layout.unit_has:
        needed = compiled(layout.unit_has)
        found = {
            folder
            for folder in found
            if any(
                path.startswith(f"{folder}/") and needed.fullmatch(path, len(folder) + 1) for path in listing.entries
            )
        }
    return [FoundUnit(folder, folder) for folder in sorted(found, key=_by_number)]


def not_taken(layout: Layout, listing: Listing, *, all_of_it: bool = False) -> tuple[LeftOut, ...]:
    """Return what lies in a flat folder without being a unit, and why; nothing for other layouts, whose units tell it
    themselves.

    Lists of checksums are of use to the units, and hidden things that are no reads are nobody's business: they are only
    told when `all_of_it` is asked for.
    """
    if not layout.flat:
        return ()
    lists = _lists(layout)
    strays = [one for one in _flat_names(layout, listing)[1] if all_of_it or not _is_of_no_concern(one.path, lists)]
    folders = [
        LeftOut(path, f"a folder: layout {layout.name} takes single files")
        for path, facts in listing.entries.items()
        if facts.kind is Kind.FOLDER and "/" not in path and (all_of_it or not path.startswith("."))
    ]
    return tuple(sorted([*strays, *folders], key=lambda one: one.path))


def reason_against(layout: Layout, facts: SourceFacts, inner: str, wish: Wish = NO_WISH) -> str:
    """Return why a path is not taken by its name and kind, "" when it is; `inner` is the path relative to the unit."""
    if facts.kind is Kind.OTHER:
        return facts.problem or "no regular file"
    return reason_by_name(layout, inner, wish)


def reason_by_name(layout: Layout, inner: str, wish: Wish = NO_WISH) -> str:
    """Return why a file of this name would not be taken, "" when it would."""
    if layout.any_unfinished.fullmatch(inner):
        return next(reason for pattern, reason in layout.unfinished if pattern.fullmatch(inner))
    for pattern, reason in layout.excluded:
        if pattern.fullmatch(inner):
            return reason
    if not layout.included.fullmatch(inner):
        kind = next((kind for kind, pattern in layout.more_of.items() if pattern.fullmatch(inner)), "")
        if not kind:
            return "compressed as ORA, which Galaxy does not know" if inner.endswith(".ora") else elsewhere(layout)
        if kind not in wish.kinds:
            return f"{kind} files are taken when a rule asks for them"
    folders = inner.split("/")[:-1]
    return next((f"in folder {folder}" for folder in layout.exclude_folders if folder in folders), "")


def elsewhere(layout: Layout) -> str:
    """Return why reads are not taken that lie where nobody expects any."""
    return f"not where layout {layout.name} looks for reads"


def is_dropped(layout: Layout, name: ReadsName) -> bool:
    """Tell whether these are reads that no index claimed: S0 in Illumina's form, or a name the layout lists."""
    return bool(layout.drop_samples) and (
        name.number == 0 or name.sample.casefold() in {dropped.casefold() for dropped in layout.drop_samples}
    )


def _flat_units(layout: Layout, listing: Listing) -> list[FoundUnit]:
    names, strays = _flat_names(layout, listing)
    groups: dict[str, list[str]] = {}
    for path, name in names.items():
        groups.setdefault(name.stem, []).append(path)
    lists = _lists(layout)
    for_all: list[str] = []
    beside: dict[str, list[str]] = {}
    for stray in strays:
        meant = next((one for one in _meant(stray.path) if one in names), "")
        if meant:
            beside.setdefault(names[meant].stem, []).append(stray.path)
        elif lists.fullmatch(stray.path):
            for_all.append(stray.path)
        else:
            for name in parse_names(_meant(stray.path), layout.sample_regex).values():
                beside.setdefault(name.stem, []).append(stray.path)
    return [
        FoundUnit(unit, ".", tuple(sorted(paths)), tuple(sorted({*beside.get(unit, ()), *for_all})))
        for unit, paths in sorted(groups.items())
    ]


def _units_by_name(pattern: re.Pattern[str], listing: Listing) -> list[FoundUnit]:
    """Return the units of runs that share a folder; what no name gives to one of them is of all, but for what names
    another one's `part`.
    """
    files: dict[str, list[str]] = {}
    parts: dict[str, str] = {}
    others: list[str] = []
    for path, facts in listing.entries.items():
        if facts.kind is Kind.FOLDER:
            continue
        if (told := pattern.search(path.rsplit("/", 1)[-1])) is None:
            others.append(path)
            continue
        files.setdefault(told["unit"], []).append(path)
        parts[told["unit"]] = told.groupdict().get("part") or told["unit"]
    return [
        FoundUnit(
            unit,
            files=tuple(sorted(files[unit])),
            beside=tuple(
                sorted(
                    path for path in others if parts[unit] in path or not any(part in path for part in parts.values())
                )
            ),
        )
        for unit in sorted(files)
    ]


def _lists(layout: Layout) -> re.Pattern[str]:
    return compiled([glob for rule in layout.manifests for glob in rule.globs], ignore_case=True)


def _is_of_no_concern(path: str, lists: re.Pattern[str]) -> bool:
    return lists.fullmatch(path) is not None or (path.startswith(".") and not READS.fullmatch(path))


def _meant(path: str) -> Iterable[str]:
    """Return the names a stray may stand for: `x.fastq.gz` for itself, `.x.fastq.gz.Ab12Cd` and `x.fastq.gz.aspx`."""
    bare = re.sub(r"^(?:\._|\.)", "", path)
    return dict.fromkeys((path, bare, bare.rsplit(".", 1)[0]))


def _flat_names(layout: Layout, listing: Listing) -> tuple[dict[str, ReadsName], list[LeftOut]]:
    candidates: list[str] = []
    left_out: list[LeftOut] = []
    for path in sorted(listing.entries):
        facts = listing.entries[path]
        if "/" in path or facts.kind is Kind.FOLDER:
            continue
        if reason := reason_against(layout, facts, path):
            left_out.append(LeftOut(path, reason))
        else:
            candidates.append(path)
    names = parse_names(candidates, layout.sample_regex)
    for path, name in list(names.items()):
        if is_dropped(layout, name):
            left_out.append(LeftOut(path, "Undetermined reads"))
            del names[path]
    return names, left_out


def _folders(listing: Listing) -> Iterator[str]:
    # A listing may hold a file without its folder (made by hand, or the folder vanished between the two looks).
    for path, facts in listing.entries.items():
        if facts.kind is Kind.FOLDER:
            yield path
        while "/" in path:
            path = path.rsplit("/", 1)[0]
            yield path


def _by_number(folder: str) -> tuple[tuple[int, int | str], ...]:
    return tuple((0, int(step)) if step.isdigit() else (1, step) for step in folder.split("/"))
