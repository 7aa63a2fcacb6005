"""Which folders are runs, and of which layout: told by what lies in them.

A run may lie right below the watch's root, or deeper (MinKNOW: group, sample, run), and a folder that holds runs is
none itself: `find_runs` looks at a folder and everything below it that may be one. The layout of highest rank wins. A
folder can be recognised differently later (a run folder before its first reads is one of base calls), so callers ask
again until it settles. Pure: a listing and a few small files in, layouts out. What is in a run is asked in
`layout.py`.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from watcher.model import Kind, Listing, SourceFacts
from watcher.runs.globs import alternatives, compiled, depth_of, is_literal, literal_parents
from watcher.runs.layout_file import Layout
from watcher.runs.markup import NotReadable, parse_xml, xml_texts

RUN_INFO = "RunInfo.xml"
"""Tells the instrument of every Illumina run, whatever a site makes of the folder's name."""


@dataclass(frozen=True, slots=True)
class Detection:
    """How to list a folder whose layout is not known yet: folders never to enter, and how deep to go (None = all the
    way).
    """

    prune: tuple[str, ...]
    depth: int | None


@dataclass(frozen=True, slots=True)
class FoundRun:
    """A run folder below the folder that was listed ("" = that folder itself), and its layout."""

    path: str
    layout: Layout


def detection(layouts: Mapping[str, Layout]) -> Detection:
    """Return the cheapest look that still lets `find_runs` tell these layouts apart."""
    return _detection(tuple(_usable(layouts.values())))


@functools.lru_cache(maxsize=64)  # asked for every folder under every watch, of always the same layouts
def _detection(usable: tuple[Layout, ...]) -> Detection:
    entered = {parent for layout in usable for glob in layout.recognises_by for parent in literal_parents(glob)}
    prune = dict.fromkeys(
        above + glob
        for layout in usable
        for glob in layout.prune
        # What one layout never enters may be where another one is recognised.
        if not any(map(compiled([glob]).fullmatch, entered))
        for above in ("*/" * level for level in range(layout.depth))
    )
    depths = [layout.look_depth_to_recognise for layout in usable]
    known = [depth for depth in depths if depth is not None]
    return Detection(tuple(prune), None if len(known) < len(depths) else max(known, default=1))


def tells_of_runs(layouts: Mapping[str, Layout]) -> re.Pattern[str]:
    """Return what matches the folders (below one right under the watch's root) in which a name could change what
    `find_runs` says: not the barcodes of a run, say, however many there are.
    """
    return _tells_of_runs(tuple(_usable(layouts.values())))


@functools.lru_cache(maxsize=64)
def _tells_of_runs(usable: tuple[Layout, ...]) -> re.Pattern[str]:
    ways: set[str] = set()
    for layout in usable:
        plain = [one.strip("/").split("/") for glob in layout.recognises_by for one in alternatives(glob)]
        for above in (["*"] * level for level in range(layout.depth)):
            for steps in plain:
                ends = len(steps) + (steps[-1] == "**")  # `a/**/b` is among the ways as `a/**`: all that is below it
                ways |= {"/".join([*above, *steps[:count]]) for count in range(ends)}
    return compiled(sorted(ways - {""}), hidden=True)


def find_runs(
    layouts: Mapping[str, Layout], listing: Listing, name: str, run_infos: Mapping[str, bytes] | None = None
) -> list[FoundRun]:
    """Return the runs in a folder called `name`: itself, or those below it; none while nothing is recognised.

    `run_infos` are the contents of the files `run_info_paths` asked for, by path.
    """
    run_infos = run_infos or {}
    itself = recognise(layouts, listing, name, run_infos.get(RUN_INFO, b""))
    deep = {key: layout for key, layout in layouts.items() if layout.depth > 1}
    if not deep:
        return [FoundRun("", itself)] if itself else []
    below: list[FoundRun] = []
    for folder, inner in _folders_below(listing, max(layout.depth for layout in _usable(deep.values()))):
        if any(folder.startswith(f"{run.path}/") for run in below):
            continue
        level = folder.count("/") + 2  # counted from the watch's root
        possible = {key: layout for key, layout in deep.items() if layout.depth >= level}
        found = recognise(possible, inner, folder.rsplit("/", 1)[-1], run_infos.get(f"{folder}/{RUN_INFO}", b""))
        if found is not None and (itself is None or found.rank > itself.rank):
            below.append(FoundRun(folder, found))
    if itself is not None and not below:
        return [FoundRun("", itself)]
    return sorted(below, key=lambda run: run.path)


def run_info_paths(layouts: Mapping[str, Layout], listing: Listing) -> list[str]:
    """Return the small files whose content helps to tell these layouts apart."""
    if all(layout.instrument is None for layout in _usable(layouts.values())):
        return []
    return [
        path
        for path, facts in listing.entries.items()
        if (path == RUN_INFO or path.endswith(f"/{RUN_INFO}")) and facts.kind is Kind.FILE and path.count("/") <= 1
    ]


def recognise(
    layouts: Mapping[str, Layout], listing: Listing, folder_name: str, run_info: bytes = b""
) -> Layout | None:
    """Return the layout a folder's own content speaks for, the highest rank first; None while nothing is
    recognised.
    """
    instrument = ""
    for layout in sorted(_usable(layouts.values()), key=lambda one: (-one.rank, one.name)):
        if layout.instrument is not None:
            instrument = instrument or _instrument(folder_name, run_info)
            if not layout.instrument.match(instrument):
                continue
        if _is_like(layout, listing, folder_name):
            return layout
    return None


def may_be(layouts: Iterable[Layout], top: Listing, folder_name: str) -> bool:
    """Tell whether a deeper look could recognise one of these layouts, from the names right in a folder."""
    return any(
        (layout.run_name is None or layout.run_name.fullmatch(folder_name) is not None)
        and all(_begins(top, (glob,)) for glob in layout.has_all)
        and (not layout.has_any or _begins(top, layout.has_any))
        for layout in _usable(layouts)
    )


def _usable(layouts: Iterable[Layout]) -> Iterator[Layout]:
    return (layout for layout in layouts if not layout.abstract and not layout.flat)


def _instrument(folder_name: str, run_info: bytes) -> str:
    """Return the instrument's name from RunInfo.xml, else from the second part of the run's id or the folder's name."""
    try:
        root = parse_xml(run_info) if run_info else None
    except NotReadable:  # half-written: asked again at the next look
        root = None
    told = [text for text in xml_texts(root, "Run/Instrument") if text] if root is not None else []
    ids = [*xml_texts(root, "Run@Id"), folder_name] if root is not None else [folder_name]
    return next((name for name in (*told, *(_second_part(one) for one in ids)) if name), "")


def _second_part(name: str) -> str:
    parts = name.split("_")
    return parts[1] if len(parts) > 1 else ""


def _is_like(layout: Layout, listing: Listing, folder_name: str) -> bool:
    if layout.run_name is not None and not layout.run_name.fullmatch(folder_name):
        return False
    return (
        all(_has(listing, (glob,)) for glob in layout.has_all)
        and (not layout.has_any or _has(listing, layout.has_any))
        and not _has(listing, layout.not_has)
    )


def _has(listing: Listing, globs: Iterable[str]) -> bool:
    names, pattern, depth = _asked_for(tuple(globs))
    if any(name in listing.entries for name in names):
        return True
    if pattern is None:
        return False
    return any(pattern.fullmatch(path) for path in listing.entries if depth is None or path.count("/") < depth)


@functools.lru_cache(maxsize=1024)  # the same few globs for every folder; most entries lie deeper than they look
def _asked_for(globs: tuple[str, ...]) -> tuple[tuple[str, ...], re.Pattern[str] | None, int | None]:
    """Return the paths that globs name, a pattern for the rest, and how many levels down that looks (None = any)."""
    wild = [glob for glob in globs if not is_literal(glob)]
    depths = [depth_of(glob) for glob in wild]
    depth = max((one for one in depths if one is not None), default=0) if None not in depths else None
    return tuple(glob for glob in globs if is_literal(glob)), compiled(wild) if wild else None, depth


def _begins(top: Listing, globs: Iterable[str]) -> bool:
    steps = {plain.split("/", 1)[0] for glob in globs for plain in alternatives(glob)}
    return "**" in steps or _has(top, steps)


def _folders_below(listing: Listing, depth: int) -> list[tuple[str, Listing]]:
    """Return the folders that lie less than `depth` levels down, outermost first, each with the listing of what is in
    it.
    """
    inside: dict[str, dict[str, SourceFacts]] = {
        path: {} for path, facts in listing.entries.items() if facts.kind is Kind.FOLDER and path.count("/") < depth - 1
    }
    for path, facts in listing.entries.items():
        at = path.find("/")
        while at >= 0:
            if (folder := inside.get(path[:at])) is not None:
                folder[path[at + 1 :]] = facts
            elif path[:at].count("/") >= depth - 1:
                break
            at = path.find("/", at + 1)
    return [
        (folder, Listing(f"{listing.root}/{folder}", entries, listing.taken_at))
        for folder, entries in sorted(inside.items(), key=lambda one: (one[0].count("/"), one[0]))
    ]
