"""One look at one unit: the listing, the small files read for it, and how long each path has been unchanged.

Everything that is derived from a look more than once (which files match, which reads are expected, the sample sheet)
is worked out here once per look. The conditions that ask it are in `predicates.py`, the verdict in `layout.py`.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cached_property

from watcher.errors import StructureBroken
from watcher.model import Kind, LeftOut, Listing, PredicateResult, SourceFacts
from watcher.runs.filenames import ReadsName
from watcher.runs.globs import anchored, compiled, is_literal
from watcher.runs.layout_file import Layout
from watcher.runs.layout_values import Source
from watcher.runs.markup import NotReadable, planned_reads, texts_at
from watcher.runs.read_groups import ReadGroup, read_groups
from watcher.runs.sample_sheet import SampleSheet, read_sample_sheet
from watcher.runs.selection import NO_WISH, Selection, Wish, select
from watcher.runs.units import FoundUnit

RUN_INFO = ("/RunInfo.xml", "/Reports/RunInfo.xml", "Reports/RunInfo.xml")


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a look says of a unit. Paths are relative to the run folder.

    `identity` is the run id where the run tells one (`identity_from` = "xml:…", or "folder" or "unit" where those are
    named by the instrument), else only the folder's or unit's name ("name"), to which the caller adds watch and path.
    `failed` and `held` are "" or the reason; `complete` is true only without both. `held_as` is short and stable:
    `by_run` (the run itself says so), `abandoned`, `never_started`, `no_reads`. `overdue` is what has been missing for
    too long already, `nothing` why a complete unit has nothing to upload.
    """

    run: str
    identity: str
    complete: bool
    predicates: tuple[PredicateResult, ...]
    failed: str
    selected: tuple[str, ...]
    left_out: tuple[LeftOut, ...]
    held: str
    identity_from: str = "name"
    held_as: str = ""
    overdue: str = ""
    nothing: str = ""


@dataclass(frozen=True, slots=True)
class SheetLook:
    """The unit's sample sheet: where it lies, and what it says or why it cannot be read."""

    path: str = ""
    sheet: SampleSheet | None = None
    problem: str = ""
    sha256: str = ""

    def told(self, root: str) -> dict[str, str] | None:
        """Return where the sheet lies and its checksum, for people; None when there is no sheet."""
        return {"path": f"{root}/{self.path}", "sha256": self.sha256} if self.path else None


@dataclass(frozen=True, eq=False)
class UnitView:
    """A look. `contents` holds the files that `wanted` named; `quiet_s` the seconds each path has been seen unchanged.

    `settle`, `max_wait`, `abandoned` and `empty` override the layout's; `no_files` is "skip" where samples of the sheet
    may have none; `assume_quiet` answers as if nothing changed
    any more; `wish` is what is asked for beyond what the layout takes.
    """

    layout: Layout
    folder_name: str
    listing: Listing
    found: FoundUnit
    contents: Mapping[str, bytes]
    quiet_s: Mapping[str, float]
    settle: timedelta | None = None
    max_wait: timedelta | None = None
    abandoned: timedelta | None = None
    empty: str = ""
    no_files: str = ""
    assume_quiet: bool = False
    wish: Wish = NO_WISH

    @cached_property
    def selection(self) -> Selection:
        """Return what is taken and what is not."""
        return select(self.layout, self.listing, self.found, self.wish)

    def find(self, globs: Iterable[str], *, ignore_case: bool = False) -> list[SourceFacts]:
        """Return the regular files that match any of a unit's globs, sorted by path; nothing outside the run folder."""
        return [facts for facts in self._matching(globs, ignore_case) if facts.kind is Kind.FILE]

    def place(self, glob: str) -> str:
        """Return a unit's glob as a path relative to the run folder, for people."""
        base, rest = anchored(self.found.folder, glob) or ("", glob)
        return f"{base}/{rest}".strip("/")

    def problem_at(self, globs: Iterable[str], *, ignore_case: bool = False) -> str:
        """Return what is wrong with a path that matches but is no regular file, "" when there is none."""
        others = (facts for facts in self._matching(globs, ignore_case) if facts.kind is Kind.OTHER)
        return next((f"{facts.path}: {facts.problem or 'no regular file'}" for facts in others), "")

    def unchanged(self, paths: Iterable[str]) -> tuple[float, str]:
        """Return for how many seconds all of these paths have been unchanged, and which one changed last.

        A taken file that nobody has timed counts as just changed; others are timed by the listing where nothing is
        kept of them.
        """
        least, last = math.inf, ""
        if self.assume_quiet:
            return least, last
        now_ns = int(self.listing.taken_at.timestamp() * 1e9)
        for path in paths:
            seconds = self.quiet_s.get(path)
            if seconds is None:
                facts = self.listing.entries.get(path)
                taken = facts is None or path in self.selection.names
                seconds = 0.0 if taken or facts is None else max(0.0, (now_ns - facts.ctime_ns) / 1e9)
            if seconds < least:
                least, last = seconds, path
        return least, last

    @cached_property
    def files(self) -> Sequence[str]:
        """Return every regular file of the unit, taken or not."""
        return [facts.path for facts in self._entries_in(self.found.folder) if facts.kind is Kind.FILE]

    @cached_property
    def sheet(self) -> SheetLook:
        """Return the first sample sheet that is there."""
        for glob in self.layout.sheet_paths:
            for facts in self.find([glob], ignore_case=True):
                content = self.contents.get(facts.path)
                if content is None:
                    return SheetLook(facts.path, None, f"{facts.path} could not be read.")
                digest, kind = hashlib.sha256(content).hexdigest(), self.layout.sheet_kind
                try:
                    return SheetLook(facts.path, read_sample_sheet(content, facts.path, kind), sha256=digest)
                except StructureBroken as error:
                    return SheetLook(facts.path, None, error.message, digest)
        return SheetLook()

    @cached_property
    def planned_read_count(self) -> int:
        """Return how many reads the run plans apart from index reads, 0 when it does not tell."""
        for facts in self.find(RUN_INFO):
            if (content := self.contents.get(facts.path)) is not None:
                try:
                    return sum(1 for read in planned_reads(content) if not read.is_index)
                except NotReadable:
                    continue
        return 0

    @cached_property
    def groups(self) -> Sequence[ReadGroup]:
        """Return the taken files by sample, project and lane."""
        from_folder = self.layout.project_from_folder
        return read_groups(self.names, self.found.folder, self.sheet.sheet, project_from_folder=from_folder)

    def identity(self) -> tuple[str, str]:
        """Return what identifies the run and where that was found, from the layout's `id`; the name when nothing else
        does.
        """
        for source in self.layout.id:
            if source == "name":
                break
            if source == "folder":
                return self.folder_name, "folder"
            if source == "unit":
                return self.found.unit, "unit"
            if isinstance(source, Source) and (value := self.told(replace(source, glob=f"/{source.glob}"))):
                return value, source.written
        return self.called, "name"

    @property
    def instrument(self) -> str:
        """Return what the instrument is called: as the run's files tell it, else as its id or the folder's name does;
        "" when nothing tells it.
        """
        for source in self.layout.instrument_from:
            if isinstance(source, Source) and (value := self.told(replace(source, glob=f"/{source.glob}"))):
                return value
        pattern = self.layout.instrument_in
        found = (pattern.fullmatch(name) for name in (self.identity()[0], self.folder_name) if pattern is not None)
        return next((one["instrument"] for one in found if one is not None), "")

    @property
    def called(self) -> str:
        """Return what people call the run when it does not say."""
        return self.found.unit if self.layout.flat else self.folder_name

    def told(self, source: Source) -> str:
        """Return what the first file that matches tells at a place, "" when none does."""
        for facts in self.find([source.glob]):
            try:
                texts = texts_at(source.kind, self.contents.get(facts.path, b""), source.at)
            except NotReadable:
                continue
            if value := next((text.strip() for text in texts if text.strip()), ""):
                return value
        return ""

    @cached_property
    def names(self) -> Mapping[str, ReadsName]:
        """Return what the name of each taken file says; a sample that no name tells is told by the run."""
        names = self.selection.names
        if all(name.sample for name in names.values()):
            return names
        default = self._default_sample()
        return {path: name if name.sample else replace(name, sample=default) for path, name in names.items()}

    def _default_sample(self) -> str:
        for source in self.layout.sample_default:
            if source == "unit":
                return self.found.unit
            if isinstance(source, Source) and (value := self.told(source)):
                return value
        return self.folder_name

    def _matching(self, globs: Iterable[str], ignore_case: bool) -> list[SourceFacts]:
        found: dict[str, SourceFacts] = {}
        by_folder: dict[str, list[str]] = {}
        for glob in globs:
            if (resolved := anchored(self.found.folder, glob)) is None:
                continue
            base, rest = resolved
            if is_literal(rest) and not ignore_case and not self.found.files:
                path = f"{base}/{rest}".strip("/")
                if (facts := self.listing.entries.get(path)) is not None:
                    found[path] = facts
            else:
                by_folder.setdefault(base, []).append(rest)
        for base, rests in by_folder.items():
            pattern = compiled(rests, ignore_case=ignore_case)
            skip = len(base) + 1 if base else 0
            for facts in self._entries_in(base):
                if pattern.fullmatch(facts.path, skip):
                    found[facts.path] = facts
        return [found[path] for path in sorted(found)]

    def _entries_in(self, folder: str) -> Iterator[SourceFacts]:
        if self.found.files:
            for path in (*self.found.files, *self.found.beside):
                if (facts := self.listing.entries.get(path)) is not None:
                    yield facts
        elif not folder:
            yield from self.listing.entries.values()
        else:
            prefix = folder + "/"
            yield from (facts for path, facts in self.listing.entries.items() if path.startswith(prefix))
