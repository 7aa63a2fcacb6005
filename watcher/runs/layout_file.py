"""Layouts as data: one TOML file each, those of the package in `layouts/`, an operator's own in a folder of theirs.

`extends` takes another layout's keys: tables merge deeply, lists replace, but for `also`, which adds to an inherited
`any`. A layout is checked whole when it is loaded, and all mistakes of all files come back as one ConfigError with
file, line and key. What a layout means for a run folder is in `layout.py`; what may stand in its conditions in
`conditions.py`.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Any

from watcher.errors import ConfigError, ConfigProblem
from watcher.runs.conditions import Condition, LayoutMistake, parse_condition, parse_duration
from watcher.runs.globs import anchored, compiled, depth_of
from watcher.runs.sample_sheet import SHEET_KINDS

_OWN = Path(__file__).parent / "layouts"
_KEYS: Mapping[str, frozenset[str]] = {
    "": frozenset(
        {"extends", "title", "abstract", "rank", "flat", "id", "unit", "prune", "settle", "max_wait"}
        | {"run", "complete", "failed", "held", "files", "sample", "sheet", "verify"}
    ),
    "run": frozenset({"name", "has_all", "has_any", "not_has"}),
    "complete": frozenset({"all", "any"}),
    "failed": frozenset({"any", "also"}),
    "held": frozenset({"any", "also"}),
    "files": frozenset({"include", "exclude", "exclude_folders", "temporary", "min"}),
    "sample": frozenset({"regex", "reads", "drop", "project", "pair"}),
    "sheet": frozenset({"path", "kind", "zero"}),
    "verify": frozenset({"manifests"}),
}


@dataclass(frozen=True, slots=True)
class Exclusion:
    """Files that are not taken, and why."""

    glob: str
    reason: str


@dataclass(frozen=True, slots=True)
class ManifestRule:
    """Where lists of checksums lie, and of which kind they are."""

    globs: tuple[str, ...]
    kind: str


@dataclass(frozen=True)
class Layout:
    """How one kind of folder is laid out; globs are relative to the unit, those of recognition and `prune` to the run
    folder.
    """

    name: str
    title: str
    abstract: bool
    rank: int
    flat: bool
    run_name: re.Pattern[str] | None
    has_all: tuple[str, ...]
    has_any: tuple[str, ...]
    not_has: tuple[str, ...]
    id: tuple[str, ...]
    unit: str
    prune: tuple[str, ...]
    settle: timedelta
    max_wait: timedelta
    complete_all: tuple[Condition, ...]
    complete_any: tuple[Condition, ...]
    failed: tuple[Condition, ...]
    held: tuple[Condition, ...]
    include: tuple[str, ...]
    exclude: tuple[Exclusion, ...]
    exclude_folders: tuple[str, ...]
    temporary: tuple[Exclusion, ...]
    least_files: int
    sample_regex: re.Pattern[str] | None
    reads: tuple[str, ...]
    drop_samples: tuple[str, ...]
    project_from_folder: bool
    pair: bool
    sheet_paths: tuple[str, ...]
    sheet_kind: str
    zero_yield: tuple[str, ...]
    manifests: tuple[ManifestRule, ...]

    @property
    def look_depth(self) -> int | None:
        """Return how many levels a listing must go down to recognise a run folder and find its units, None = all the
        way.
        """
        depths = [depth_of(glob) for glob in (*self.has_all, *self.has_any, *self.not_has)]
        depths.append(1 if self.unit == "." else depth_of(self.unit))
        known = [depth for depth in depths if depth is not None]
        return None if len(known) < len(depths) else max(known)

    @cached_property
    def included(self) -> re.Pattern[str]:
        """Return what matches the unit's paths that are asked for."""
        return compiled(self.include)

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
            line = _line_of(file.read_text(encoding="utf-8"), mistake.key)
            problems.append(ConfigProblem(str(file), line, mistake.key, mistake.message))
    if problems:
        raise ConfigError(problems, hint="Correct the layout.")
    return layouts


_Written = tuple[Path, Mapping[str, Any]]


def _read_folder(folder: Path, problems: list[ConfigProblem]) -> dict[str, _Written]:
    found: dict[str, _Written] = {}
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
    name: str, shipped: Mapping[str, _Written], added: Mapping[str, _Written], below: tuple[str, ...]
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


def _layout(name: str, written: Mapping[str, Any]) -> Layout:
    tables: dict[str, Mapping[str, Any]] = {"": written}
    for table, keys in _KEYS.items():
        part = written.get(table, {}) if table else written
        if not isinstance(part, dict):
            raise LayoutMistake(table, f"expected a table, not {part!r}")
        tables[table] = part
        for key in part:
            if key not in keys:
                near = get_close_matches(key, keys, n=1)
                wish = f"; did you mean {near[0]}?" if near else ""
                raise LayoutMistake(f"{table}.{key}".strip("."), f"unknown key {key!r}{wish}")
    unit = _text(tables, "", "unit", ".")
    project = _text(tables, "sample", "project", "")
    if project not in ("", "folder"):
        raise LayoutMistake("sample.project", f"{project!r}: only 'folder' or nothing is known")
    regex = _regex(tables, "sample", "regex")
    if regex is not None and "sample" not in regex.groupindex:
        raise LayoutMistake("sample.regex", "the pattern has no (?P<sample>…)")
    layout = Layout(
        name=name,
        title=_text(tables, "", "title", name),
        abstract=_flag(tables, "", "abstract"),
        rank=_number(tables, "", "rank"),
        flat=_flag(tables, "", "flat"),
        run_name=_regex(tables, "run", "name"),
        has_all=_texts(tables, "run", "has_all"),
        has_any=_texts(tables, "run", "has_any"),
        not_has=_texts(tables, "run", "not_has"),
        id=_texts(tables, "", "id") or ("name",),
        unit=unit,
        prune=_texts(tables, "", "prune"),
        settle=parse_duration(written.get("settle", 0), "settle"),
        max_wait=parse_duration(written.get("max_wait", "12h"), "max_wait"),
        complete_all=_conditions(tables, "complete", "all", unit),
        complete_any=_conditions(tables, "complete", "any", unit),
        failed=_conditions(tables, "failed", "any", unit) + _conditions(tables, "failed", "also", unit),
        held=_conditions(tables, "held", "any", unit) + _conditions(tables, "held", "also", unit),
        include=_texts(tables, "files", "include"),
        exclude=_exclusions(tables, "exclude"),
        exclude_folders=_texts(tables, "files", "exclude_folders"),
        temporary=_exclusions(tables, "temporary"),
        least_files=_number(tables, "files", "min", 1),
        sample_regex=regex,
        reads=_texts(tables, "sample", "reads"),
        drop_samples=_texts(tables, "sample", "drop"),
        project_from_folder=project == "folder",
        pair=_flag(tables, "sample", "pair", True),
        sheet_paths=_texts(tables, "sheet", "path"),
        sheet_kind=_text(tables, "sheet", "kind", "illumina"),
        zero_yield=_texts(tables, "sheet", "zero"),
        manifests=_manifests(tables),
    )
    for one in layout.id:
        if one != "name" and not re.fullmatch(r"xml:[^:]+:[^:]+", one):
            raise LayoutMistake("id", f"{one!r}: expected 'name' or 'xml:FILE:Element@Attribute'")
    if layout.sheet_kind not in SHEET_KINDS:
        raise LayoutMistake("sheet.kind", f"{layout.sheet_kind!r}: expected one of {', '.join(SHEET_KINDS)}")
    return layout


_Tables = Mapping[str, Mapping[str, Any]]


def _key(table: str, key: str) -> str:
    return f"{table}.{key}".strip(".")


def _text(tables: _Tables, table: str, key: str, default: str) -> str:
    value = tables[table].get(key, default)
    if not isinstance(value, str):
        raise LayoutMistake(_key(table, key), f"expected a text, not {value!r}")
    return value


def _texts(tables: _Tables, table: str, key: str) -> tuple[str, ...]:
    value = tables[table].get(key, [])
    if not isinstance(value, list) or not all(isinstance(one, str) and one for one in value):
        raise LayoutMistake(_key(table, key), f"expected a list of texts, not {value!r}")
    return tuple(value)


def _flag(tables: _Tables, table: str, key: str, default: bool = False) -> bool:
    value = tables[table].get(key, default)
    if not isinstance(value, bool):
        raise LayoutMistake(_key(table, key), f"expected true or false, not {value!r}")
    return value


def _number(tables: _Tables, table: str, key: str, default: int = 0) -> int:
    value = tables[table].get(key, default)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise LayoutMistake(_key(table, key), f"expected a number, not {value!r}")
    return value


def _regex(tables: _Tables, table: str, key: str) -> re.Pattern[str] | None:
    value = _text(tables, table, key, "")
    try:
        return re.compile(value) if value else None
    except re.error as error:
        raise LayoutMistake(_key(table, key), f"no valid regular expression: {error}") from error


def _conditions(tables: _Tables, table: str, key: str, unit: str) -> tuple[Condition, ...]:
    written = tables[table].get(key, [])
    if not isinstance(written, list):
        raise LayoutMistake(_key(table, key), f"expected a list of conditions, not {written!r}")
    conditions = tuple(parse_condition(one, _key(table, key)) for one in written)
    for condition in conditions:
        for glob in (*condition.globs, *(condition.texts("than") or ())):
            if anchored(unit, glob) is None:
                raise LayoutMistake(_key(table, key), f"{glob!r} leaves the run folder")
    return conditions


def _exclusions(tables: _Tables, key: str) -> tuple[Exclusion, ...]:
    written = tables["files"].get(key, [])
    found: list[Exclusion] = []
    for one in written if isinstance(written, list) else [written]:
        if isinstance(one, str):
            found.append(Exclusion(one, f"excluded by {one}"))
        elif isinstance(one, dict) and set(one) == {"glob", "reason"}:
            found.append(Exclusion(str(one["glob"]), str(one["reason"])))
        else:
            raise LayoutMistake(f"files.{key}", f"expected globs or {{ glob = …, reason = … }}, not {one!r}")
    return tuple(found)


def _manifests(tables: _Tables) -> tuple[ManifestRule, ...]:
    written: Sequence[object] = tables["verify"].get("manifests", [])
    found: list[ManifestRule] = []
    for one in written if isinstance(written, list) else [written]:
        condition = parse_condition({"manifest": one}, "verify.manifests")
        found.append(ManifestRule(condition.globs, condition.text("kind")))
    return tuple(found)


def _line_of(text: str, key: str) -> int:
    """Return the line, counted from 1, that most likely writes a key; 0 when none does (it is inherited)."""
    lines = text.splitlines()
    *tables, last = key.split(".") if key else [""]
    begin = next((at for at, line in enumerate(lines) if tables and line.strip() == f"[{tables[0]}]"), 0)
    for word in (last, *reversed(tables)):
        pattern = re.compile(rf"\b{re.escape(word)}\b\s*(=|\])")
        for at in range(begin, len(lines)):
            if word and pattern.search(lines[at]):
                return at + 1
    return 0
