"""Reads single values out of the tables of a layout, each checked, a mistake told with its key.

Which keys there are stands in `layout_file.py`, what a condition may say in `conditions.py`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from difflib import get_close_matches
from typing import Any

from watcher.runs.conditions import Condition, LayoutMistake, parse_condition, parse_duration
from watcher.runs.globs import anchored, compiled

SOURCES = "xml:FILE:Element@Attribute, json:FILE:a.b, kv:FILE:key or csv:FILE:column"
COUNTS = "csv:FILE:SAMPLES:READS or tsv:FILE:SAMPLES:READS (names of columns), or json:FILE:a.b:SAMPLES:READS"
_SOURCE = re.compile(r"(?:xml|json|kv|csv):[^:]+:[^:]+")


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


@dataclass(frozen=True, slots=True)
class Source:
    """Where a fact stands: in a small file (`glob` is relative to the unit) at a place that its kind knows."""

    kind: str
    glob: str
    at: str

    @property
    def written(self) -> str:
        """Return it as layouts write it."""
        return f"{self.kind}:{self.glob}:{self.at}"


@dataclass(frozen=True, slots=True)
class Counts:
    """Where it stands how many reads samples have: in rows of a table, or of a JSON document at a dotted path `at`, by
    the names of two columns; `glob` is relative to the unit.
    """

    kind: str
    glob: str
    at: str
    sample: str
    reads: str


class Written:
    """A layout as written: its tables by name, "" for the keys at its top; raises LayoutMistake for what does not
    fit.
    """

    def __init__(self, written: Mapping[str, Any], known: Mapping[str, Collection[str]]) -> None:
        self._tables: dict[str, Mapping[str, Any]] = {}
        for table, keys in known.items():
            part = written.get(table, {}) if table else written
            if not isinstance(part, dict):
                raise LayoutMistake(table, f"expected a table, not {part!r}")
            self._tables[table] = part
            here = {*keys, *(known if not table else ())} - {""}
            for key in part:
                if key not in here:
                    near = get_close_matches(key, here, n=1)
                    wish = f"; did you mean {near[0]}?" if near else ""
                    raise LayoutMistake(_key(table, key), f"unknown key {key!r}{wish}")

    def text(self, table: str, key: str, default: str = "") -> str:
        """Return a text."""
        value = self._tables[table].get(key, default)
        if not isinstance(value, str):
            raise LayoutMistake(_key(table, key), f"expected a text, not {value!r}")
        return value

    def one_of(self, table: str, key: str, words: Sequence[str]) -> str:
        """Return one of these words, the first when nothing is written."""
        value = self.text(table, key, words[0])
        if value not in words:
            near = get_close_matches(value, words, n=1)
            wish = f"did you mean {near[0]}?" if near else f"one of {', '.join(filter(None, words))} is needed"
            raise LayoutMistake(_key(table, key), f"{value!r} is not known here; {wish}")
        return value

    def texts(self, table: str, key: str) -> tuple[str, ...]:
        """Return a list of texts."""
        return _texts(self._tables[table].get(key, []), _key(table, key))

    def glob(self, table: str, key: str, default: str) -> str:
        """Return one glob."""
        found = self.text(table, key, default)
        _check_glob(found, _key(table, key))
        return found

    def globs(self, table: str, key: str, unit: str | None = None) -> tuple[str, ...]:
        """Return a list of globs; with a `unit` they may climb from where it lies, but not out of the run folder."""
        found = self.texts(table, key)
        for glob in found:
            _check_glob(glob, _key(table, key), unit)
        return found

    def globs_by_word(self, table: str, key: str, words: Sequence[str]) -> Mapping[str, tuple[str, ...]]:
        """Return lists of globs by word."""
        value = self._tables[table].get(key, {})
        if not isinstance(value, dict):
            raise LayoutMistake(_key(table, key), f"expected a table, not {value!r}")
        for word in value:
            if word not in words:
                raise LayoutMistake(f"{_key(table, key)}.{word}", f"unknown key {word!r}; known are {', '.join(words)}")
        found = {word: _texts(value[word], f"{_key(table, key)}.{word}") for word in words if word in value}
        for word, globs in found.items():
            for glob in globs:
                _check_glob(glob, f"{_key(table, key)}.{word}")
        return found

    def flag(self, table: str, key: str, default: bool = False) -> bool:
        """Return yes or no."""
        value = self._tables[table].get(key, default)
        if not isinstance(value, bool):
            raise LayoutMistake(_key(table, key), f"expected true or false, not {value!r}")
        return value

    def number(self, table: str, key: str, default: int = 0) -> int:
        """Return a number that is not negative."""
        value = self._tables[table].get(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise LayoutMistake(_key(table, key), f"expected a number, not {value!r}")
        return value

    def duration(self, key: str, default: str) -> timedelta:
        """Return a duration at the top of the layout."""
        return parse_duration(self._tables[""].get(key, default), key)

    def regex(self, table: str, key: str, group: str = "") -> re.Pattern[str] | None:
        """Return a regular expression (with a group of that name), None when nothing is written."""
        value = self.text(table, key)
        try:
            pattern = re.compile(value) if value else None
        except re.error as error:
            raise LayoutMistake(_key(table, key), f"no valid regular expression: {error}") from error
        if pattern is not None and group and group not in pattern.groupindex:
            raise LayoutMistake(_key(table, key), f"the pattern has no (?P<{group}>…)")
        return pattern

    def sources(self, table: str, key: str, unit: str, *words: str) -> tuple[str | Source, ...]:
        """Return where a fact may stand, in order, in files below `unit`; these `words` stand for themselves."""
        found: list[str | Source] = []
        for one in self.texts(table, key):
            if one in words:
                found.append(one)
            elif _SOURCE.fullmatch(one):
                source = Source(*one.split(":", 2))
                _check_glob(source.glob, _key(table, key), unit)
                found.append(source)
            else:
                also = "".join(f"{word!r}, " for word in words)
                raise LayoutMistake(_key(table, key), f"{one!r}: expected {also}{SOURCES}")
        return tuple(found)

    def counts(self, table: str, key: str, unit: str) -> tuple[Counts, ...]:
        """Return where it stands how many reads samples have; a glob alone is a table as BCL Convert writes it."""
        found: list[Counts] = []
        for one in self.texts(table, key):
            kind, *rest = one.split(":")
            if not rest:
                found.append(Counts("csv", one, "", "SampleID", "# Reads"))
            elif all(rest) and (kind, len(rest)) == ("json", 4):
                found.append(Counts(kind, *rest))
            elif all(rest) and kind in ("csv", "tsv") and len(rest) == 3:
                found.append(Counts(kind, rest[0], "", rest[1], rest[2]))
            else:
                raise LayoutMistake(_key(table, key), f"{one!r}: expected {COUNTS}")
            _check_glob(found[-1].glob, _key(table, key), unit)
        return tuple(found)

    def conditions(self, table: str, key: str, unit: str) -> tuple[Condition, ...]:
        """Return conditions; none may look out of the run folder from where its units lie."""
        written = self._tables[table].get(key, [])
        if not isinstance(written, list):
            raise LayoutMistake(_key(table, key), f"expected a list of conditions, not {written!r}")
        conditions = tuple(parse_condition(one, _key(table, key)) for one in written)
        for condition in conditions:
            for glob in (*condition.globs, *(condition.texts("than") or ())):
                _check_glob(glob, _key(table, key), unit)
        return conditions

    def exclusions(self, key: str) -> tuple[Exclusion, ...]:
        """Return globs of files that are not taken, with their reasons."""
        written = self._tables["files"].get(key, [])
        found: list[Exclusion] = []
        for one in written if isinstance(written, list) else [written]:
            if isinstance(one, str):
                found.append(Exclusion(one, f"excluded by {one}"))
            elif isinstance(one, dict) and set(one) == {"glob", "reason"}:
                found.append(Exclusion(str(one["glob"]), str(one["reason"])))
            else:
                raise LayoutMistake(f"files.{key}", f"expected globs or {{ glob = …, reason = … }}, not {one!r}")
            _check_glob(found[-1].glob, f"files.{key}")
        return tuple(found)

    def manifests(self, unit: str) -> tuple[ManifestRule, ...]:
        """Return where lists of checksums lie."""
        written: Sequence[object] = self._tables["verify"].get("manifests", [])
        found: list[ManifestRule] = []
        for one in written if isinstance(written, list) else [written]:
            condition = parse_condition({"manifest": one}, "verify.manifests")
            for glob in condition.globs:
                _check_glob(glob, "verify.manifests", unit)
            found.append(ManifestRule(condition.globs, condition.text("kind")))
        return tuple(found)


def line_of(text: str, key: str) -> int:
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


def _check_glob(glob: str, key: str, unit: str | None = None) -> None:
    """Refuse what is no glob, and what looks out of the run folder from where a `unit` lies; without one, any that is
    not relative.
    """
    try:
        compiled([glob])
    except re.error as error:
        raise LayoutMistake(key, f"{glob!r} is no glob: {error}") from error
    if unit is None and (glob.startswith("/") or ".." in glob.split("/")):
        raise LayoutMistake(key, f"{glob!r} is not relative to the folder")
    if unit is not None and anchored(unit, glob) is None:
        raise LayoutMistake(key, f"{glob!r} leaves the run folder")


def _key(table: str, key: str) -> str:
    return f"{table}.{key}".strip(".")


def _texts(value: object, key: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(one, str) and one for one in value):
        raise LayoutMistake(key, f"expected a list of texts, not {value!r}")
    return tuple(value)
