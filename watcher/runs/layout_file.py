"""Layouts as data: one TOML file each, those of the package in `layouts/`, an operator's own in a folder of theirs.

`extends` takes another layout's keys: tables merge deeply, lists replace, but for `also`, which adds to an inherited
`any`. A layout is checked whole when it is loaded, and all mistakes of all files come back as one ConfigError with
file, line and key. What a layout means for a run folder is in `layout.py`; what may stand in its conditions in
`conditions.py`, how single values are read in `layout_values.py`.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Any

from watcher.errors import ConfigError, ConfigProblem
from watcher.runs.conditions import Condition, LayoutMistake
from watcher.runs.globs import compiled, depth_of, literal_parents
from watcher.runs.layout_keys import KEYS
from watcher.runs.layout_values import Counts, Exclusion, ManifestRule, Source, Written, line_of
from watcher.runs.sample_sheet import SHEET_KINDS

_OWN = Path(__file__).parent / "layouts"
KINDS_OF_READS = ("fastq", "bam", "cram", "pod5")
"""What kinds of files of reads a rule may ask for."""

EMPTY = ("skip", "upload", "hold")
"""What may become of files without a single read."""


@dataclass(frozen=True, eq=False)
class Layout:
    """How one kind of folder is laid out; globs are relative to the unit, those of recognition, `unit` and `prune` to
    the run folder. docs/layouts.md tells what each key is for.
    """

    name: str
    title: str
    abstract: bool
    rank: int
    flat: bool
    analyses: bool
    depth: int
    run_name: re.Pattern[str] | None
    instrument: re.Pattern[str] | None
    has_all: tuple[str, ...]
    has_any: tuple[str, ...]
    not_has: tuple[str, ...]
    id: tuple[str | Source, ...]
    instrument_from: tuple[str | Source, ...]
    instrument_in: re.Pattern[str] | None
    unit: str
    unit_has: tuple[str, ...]
    unit_id: re.Pattern[str] | None
    prune: tuple[str, ...]
    settle: timedelta
    max_wait: timedelta
    abandoned: timedelta
    complete_all: tuple[Condition, ...]
    complete_any: tuple[Condition, ...]
    failed: tuple[Condition, ...]
    held: tuple[Condition, ...]
    include: tuple[str, ...]
    more: Mapping[str, tuple[str, ...]]
    nothing: str
    exclude: tuple[Exclusion, ...]
    exclude_folders: tuple[str, ...]
    temporary: tuple[Exclusion, ...]
    least_files: int
    empty: str
    sample_regex: re.Pattern[str] | None
    sample_path: re.Pattern[str] | None
    sample_default: tuple[str | Source, ...]
    join: bool
    reads: tuple[str, ...]
    drop_samples: tuple[str, ...]
    project_from_folder: bool
    pair: bool
    sheet_paths: tuple[str, ...]
    sheet_kind: str
    zero_yield: tuple[Counts, ...]
    manifests: tuple[ManifestRule, ...]

    @property
    def look_depth(self) -> int | None:
        """Return how many levels a listing must go down to recognise a run folder and find its units, None = all the
        way.
        """
        if self.unit_id is not None:
            return None
        below = f"{self.unit}/" if self.unit != "." else ""
        units = [f"{below}{glob}" for glob in self.unit_has] or [self.unit]
        depths = [depth_of(glob) for glob in (*self.has_all, *self.has_any, *self.not_has, *units)]
        known = [depth for depth in depths if depth is not None]
        return None if len(known) < len(depths) else max(known)

    @property
    def look_depth_to_recognise(self) -> int | None:
        """Return how many levels below the folder right under the watch's root a listing must go down to recognise such
        a run, None = all the way.
        """
        depths = [depth_of(glob) for glob in self.recognises_by]
        known = [depth for depth in depths if depth is not None]
        return None if len(known) < len(depths) else max(known, default=1) + self.depth - 1

    @property
    def recognises_by(self) -> tuple[str, ...]:
        """Return the globs that tell whether a folder is such a run."""
        return (*self.has_all, *self.has_any, *self.not_has)

    def prune_but(self, kinds: Collection[str]) -> tuple[str, ...]:
        """Return the folders never to enter, but for those in which files of the wished kinds lie."""
        below = f"{self.unit}/" if self.unit != "." else ""
        wished = [f"{below}{glob}" for kind in kinds for glob in self.more.get(kind, ())]
        entered = {parent for glob in wished for parent in literal_parents(glob)}
        return tuple(glob for glob in self.prune if not any(compiled([glob]).fullmatch(parent) for parent in entered))

    @cached_property
    def included(self) -> re.Pattern[str]:
        """Return what matches the unit's paths that are asked for."""
        return compiled(self.include)

    @cached_property
    def more_of(self) -> Mapping[str, re.Pattern[str]]:
        """Return, by kind, what matches the paths that are taken when somebody asks for that kind."""
        return {kind: compiled(globs) for kind, globs in self.more.items()}

    @cached_property
    def excluded(self) -> tuple[tuple[re.Pattern[str], str], ...]:
        """Return what matches paths that are not taken, with the reason."""
        return tuple((compiled([one.glob], hidden=True), one.reason) for one in self.exclude)

    @cached_property
    def unfinished(self) -> tuple[tuple[re.Pattern[str], str], ...]:
        """Return what matches names of transfers that are not over, and of droppings of systems, with the reason."""
        return tuple((compiled([one.glob], hidden=True), one.reason) for one in self.temporary)

    @cached_property
    def any_unfinished(self) -> re.Pattern[str]:
        """Return one pattern for all of `unfinished`, to ask first."""
        return compiled([one.glob for one in self.temporary], hidden=True)


def load_layouts(own: Path | None = None) -> Mapping[str, Layout]:
    """Return the layouts of the package and those in `own` by name, abstract ones included; an own one wins over ours.

    Raises ConfigError with every mistake of every file.
    """
    problems: list[ConfigProblem] = []
    shipped = _read_folder(_OWN, problems)
    added = _read_folder(own, problems) if own is not None else {}
    layouts: dict[str, Layout] = {}
    for name in sorted({*shipped, *added}):
        file = (added.get(name) or shipped[name])[0]
        try:
            layouts[name] = _layout(name, _extended(name, shipped, added, ()))
        except LayoutMistake as mistake:
            line = line_of(file.read_text(encoding="utf-8"), mistake.key)
            problems.append(ConfigProblem(str(file), line, mistake.key, mistake.message))
    if problems:
        raise ConfigError(problems, hint="Correct the layout.")
    return layouts


_Found = tuple[Path, Mapping[str, Any]]


def _read_folder(folder: Path, problems: list[ConfigProblem]) -> dict[str, _Found]:
    found: dict[str, _Found] = {}
    try:
        files = sorted(folder.glob("*.toml"))
        if not files:
            problems.append(ConfigProblem(str(folder), 0, "layouts_dir", "there is no layout (*.toml) in this folder."))
        for file in files:
            content = file.read_bytes()
            try:
                found[file.stem] = (file, tomllib.loads(content.decode()))
            except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
                told = re.search(r"line (\d+)", str(error))
                line = int(told[1]) if told else content.count(b"\n") + 1
                problems.append(ConfigProblem(str(file), line, file.stem, f"no valid TOML: {error}"))
    except OSError as error:
        problems.append(ConfigProblem(str(folder), 0, "layouts_dir", f"cannot be read: {error.strerror}."))
    return found


def _extended(
    name: str, shipped: Mapping[str, _Found], added: Mapping[str, _Found], below: tuple[str, ...]
) -> Mapping[str, Any]:
    # An own layout may extend ours of the same name, so a name may come up once from each side.
    source = shipped if name in below else {**shipped, **added}
    if name not in source or below.count(name) > 1:
        near = get_close_matches(name, [*shipped, *added], n=1)
        circle = name in below
        wish = f"; did you mean {near[0]}?" if near and not circle else ""
        raise LayoutMistake("extends", "extends itself" if circle else f"there is no layout {name!r}{wish}")
    written = source[name][1]
    parent = written.get("extends")
    if parent is None:
        return written
    if not isinstance(parent, str):
        raise LayoutMistake("extends", f"expected the name of a layout, not {parent!r}")
    inherited = _extended(parent, shipped, added, (*below, name))
    own = {key: value for key, value in inherited.items() if key not in ("abstract", "title")}
    return _merged(own, written)


def _merged(lower: Mapping[str, Any], upper: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(lower)
    if "any" in upper:
        merged.pop("also", None)  # it added to what is replaced now
    for key, value in upper.items():
        below = merged.get(key)
        if isinstance(value, dict) and isinstance(below, dict):
            merged[key] = _merged(below, value)
        elif key == "also" and isinstance(value, list) and isinstance(below, list):
            merged[key] = [*below, *value]
        else:
            merged[key] = value
    return merged


def _layout(name: str, found: Mapping[str, Any]) -> Layout:
    written = Written(found, KEYS)
    unit = written.text("", "unit", ".")
    include = written.texts("files", "include")
    return Layout(
        name=name,
        title=written.text("", "title", name),
        abstract=written.flag("", "abstract"),
        rank=written.number("", "rank"),
        flat=written.flag("", "flat"),
        analyses=written.flag("", "analyses"),
        depth=written.number("run", "depth", 1),
        run_name=written.regex("run", "name"),
        instrument=written.regex("run", "instrument"),
        has_all=written.texts("run", "has_all"),
        has_any=written.texts("run", "has_any"),
        not_has=written.texts("run", "not_has"),
        id=written.sources("", "id", "folder", "unit", "name") or ("name",),
        instrument_from=written.sources("", "instrument_from"),
        instrument_in=written.regex("", "instrument_in", group="instrument"),
        unit=unit,
        unit_has=written.texts("", "unit_has"),
        unit_id=written.regex("", "unit_id", group="unit"),
        prune=written.texts("", "prune"),
        settle=written.duration("settle", "0"),
        max_wait=written.duration("max_wait", "12h"),
        abandoned=written.duration("abandoned", "72h"),
        complete_all=written.conditions("complete", "all", unit),
        complete_any=written.conditions("complete", "any", unit),
        failed=written.conditions("failed", "any", unit) + written.conditions("failed", "also", unit),
        held=written.conditions("held", "any", unit) + written.conditions("held", "also", unit),
        include=include,
        more=written.texts_by_word("files", "more", KINDS_OF_READS),
        nothing=written.text("files", "none"),
        exclude=written.exclusions("exclude"),
        exclude_folders=written.texts("files", "exclude_folders"),
        temporary=written.exclusions("temporary"),
        least_files=written.number("files", "min", 1 if include else 0),
        empty=written.one_of("files", "empty", EMPTY),
        sample_regex=written.regex("sample", "regex", group="sample"),
        sample_path=written.regex("sample", "path", group="sample"),
        sample_default=written.sources("sample", "default", "run", "unit"),
        join=written.flag("sample", "join"),
        reads=written.texts("sample", "reads"),
        drop_samples=written.texts("sample", "drop"),
        project_from_folder=written.one_of("sample", "project", ("", "folder")) == "folder",
        pair=written.flag("sample", "pair", True),
        sheet_paths=written.texts("sheet", "path"),
        sheet_kind=written.one_of("sheet", "kind", SHEET_KINDS),
        zero_yield=written.counts("sheet", "zero"),
        manifests=written.manifests(),
    )
