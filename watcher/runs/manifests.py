"""Finds the files that lists of checksums speak of, and what each should add up to.

Names in a list may be relative to it, to the unit, absolute on the machine that wrote it, or written with
backslashes: each is matched by its longest tail, and an ambiguous one is refused rather than guessed. Reading the
lists themselves is the job of `checksums.py`, comparing the bytes that of the content pass.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from watcher.errors import StructureBroken
from watcher.model import SourceFacts
from watcher.runs.checksums import read_manifest
from watcher.runs.selection import names_of, not_asked_for
from watcher.runs.units import reason_by_name
from watcher.runs.view import UnitView


@dataclass(frozen=True, slots=True)
class Listed:
    """What the lists of a unit say: path → (algorithm, hex) or None where only the name is listed, and what does not
    fit. `missing` are names by which nothing is there, `missing_from` the list of each.
    """

    files: Mapping[str, tuple[str, str] | None]
    missing: tuple[str, ...] = ()
    missing_from: tuple[str, ...] = ()
    ambiguous: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    lists: tuple[str, ...] = ()


def read_lists(view: UnitView, lists: Sequence[SourceFacts], kind: str, *, sidecars: bool = True) -> Listed:
    """Return what these lists say of the files there are; without `sidecars`, `x.md5` beside `x` does not count as a
    list.
    """
    files: dict[str, tuple[str, str] | None] = {}
    missing: list[str] = []
    missing_from: list[str] = []
    ambiguous: list[str] = []
    problems: list[str] = []
    read: list[str] = []
    by_name = _by_name(view)
    for facts in lists:
        if not sidecars and facts.path.rsplit(".", 1)[0] in view.listing.entries:
            continue
        content = view.contents.get(facts.path)
        if content is None:
            problems.append(f"{facts.path} could not be read")
            continue
        try:
            entries = read_manifest(content, kind, facts.path.rsplit("/", 1)[-1])
        except StructureBroken as error:
            problems.append(error.message)
            continue
        read.append(facts.path)
        for name, checksum in entries.items():
            hits = _named(view, facts.path, name, by_name)
            if len(hits) == 1:
                known = files.get(hits[0])
                if known and checksum and known[0] == checksum[0] and known[1].lower() != checksum[1].lower():
                    problems.append(f"{hits[0]} is listed with two different checksums")
                files[hits[0]] = checksum or known
            elif hits:
                ambiguous.append(f"{name} (in {facts.path}) could be {hits[0]} or {hits[1]}")
            elif not _is_pruned(view, facts.path, name):
                missing.append(name)
                missing_from.append(facts.path)
    return Listed(files, tuple(missing), tuple(missing_from), tuple(ambiguous), tuple(problems), tuple(read))


def expected_checksums(view: UnitView) -> Mapping[str, tuple[tuple[str, str], ...]]:
    """Return (algorithm, hex) pairs by path for the taken files that any of the layout's lists names.

    Raises StructureBroken when a list contradicts itself, another one, or cannot be read.
    """
    found: dict[str, dict[str, str]] = {}
    for rule in view.layout.manifests:
        listed = read_lists(view, view.find(rule.globs, ignore_case=True), rule.kind)
        if wrong := [*listed.problems, *listed.ambiguous]:
            raise StructureBroken(
                "; ".join(wrong) + ".", hint="Correct or remove the list of checksums.", files=listed.lists
            )
        for path, checksum in listed.files.items():
            if checksum and checksum[1] and path in view.names:
                algorithm, digest = checksum[0], checksum[1].lower()
                if found.setdefault(path, {}).setdefault(algorithm, digest) != digest:
                    raise StructureBroken(
                        f"{path} is listed with two different {algorithm} checksums.",
                        hint="Correct or remove the list of checksums.",
                        files=(path,),
                    )
    return {path: tuple(sorted(checksums.items())) for path, checksums in sorted(found.items())}


def missing_reads_of_lists(view: UnitView) -> list[tuple[str, str]]:
    """Return (list, sentence) for each file that any of the layout's lists names, that would be taken, and is not
    there: whoever made the list had it.
    """
    found: dict[str, tuple[str, str]] = {}
    for rule in view.layout.manifests:
        listed = read_lists(view, view.find(rule.globs, ignore_case=True), rule.kind)
        for name, by in zip(listed.missing, listed.missing_from, strict=True):
            if _would_be_taken(view, name):
                found.setdefault(name, (by, f"{name} is listed in {by}, but not there"))
    return list(found.values())


def _would_be_taken(view: UnitView, name: str) -> bool:
    """Tell whether a file of this name, as its list writes it, would be taken as part of this unit."""
    layout, steps = view.layout, _steps(name)
    tails = ("/".join(steps[at:]) for at in range(len(steps)))
    inner = next((tail for tail in tails if not reason_by_name(layout, tail, view.wish)), "")
    if not inner:
        return False
    parsed = names_of(layout, [inner])[inner]
    # A list in a flat folder speaks of files that are other units, or were and have been taken away.
    return not not_asked_for(layout, parsed, view.wish) and (not layout.flat or parsed.stem == view.found.unit)


def _by_name(view: UnitView) -> Mapping[str, Sequence[str]]:
    names: dict[str, list[str]] = {}
    for path in (*view.files, *view.selection.unusable):
        names.setdefault(path.rsplit("/", 1)[-1], []).append(path)
    return names


def _steps(name: str) -> list[str]:
    plain = name if "/" in name else name.replace("\\", "/")
    return [step for step in plain.split("/") if step not in ("", ".")]


def _named(view: UnitView, manifest: str, name: str, by_name: Mapping[str, Sequence[str]]) -> Sequence[str]:
    steps = _steps(name)
    if not steps:
        return ()
    candidates = [path for path in by_name.get(steps[-1], ()) if path != manifest]
    for folder in (_folder_of(manifest), view.found.folder):
        exact = _joined(folder, steps)
        if exact in candidates:
            return [exact]
    # A list from elsewhere: absolute there, or made one or more folders higher or lower than it lies now. A relative
    # name must agree as far as it goes, or the file of another folder would stand in for one that is absent.
    is_absolute = name.startswith(("/", "\\")) or name[1:2] == ":"
    shared = {path: _shared_tail(path.split("/"), steps) for path in candidates}
    fitting = [path for path, count in shared.items() if is_absolute or count in (len(steps), path.count("/") + 1)]
    longest = max((shared[path] for path in fitting), default=0)
    return [path for path in fitting if shared[path] == longest]


def _shared_tail(one: Sequence[str], other: Sequence[str]) -> int:
    count = 0
    while count < min(len(one), len(other)) and one[-1 - count] == other[-1 - count]:
        count += 1
    return count


def _folder_of(path: str) -> str:
    return path.rsplit("/", 1)[0] if "/" in path else ""


def _joined(folder: str, steps: Sequence[str]) -> str:
    joined = [step for step in folder.split("/") if step]
    for step in steps:
        if step == "..":
            if not joined:
                return ""
            joined.pop()
        else:
            joined.append(step)
    return "/".join(joined)


def _is_pruned(view: UnitView, manifest: str, name: str) -> bool:
    for base in {_folder_of(manifest), view.found.folder}:
        steps = _joined(base, _steps(name)).split("/")
        if any("/".join(steps[:count]) in view.listing.pruned for count in range(1, len(steps))):
            return True
    return False
