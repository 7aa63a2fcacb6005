"""The predicate language of layouts: what may be written in `complete`, `failed` and `held`, checked when a layout is
loaded.

A condition is one TOML table with one of the KINDS as key: `{file = "CopyComplete.txt"}`, `{xml = {file = "…", at =
"RunStatus", in = ["RunCompleted"]}}`. Globs are relative to the unit; `../` climbs and a leading `/` is the run
folder. Here is only the grammar; what a condition finds in a run folder is in `predicates.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from difflib import get_close_matches
from typing import Any

_UNITS_S = {"ms": 0.001, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|min|m|h|d)")


class LayoutMistake(Exception):
    """What is wrong in a layout, and at which key; `load_layouts` turns it into a ConfigError with file and line."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key
        self.message = message


def parse_duration(value: object, key: str) -> timedelta:
    """Return what `2m`, `90 s`, `1.5h` mean; 0 may go without a unit."""
    if value == 0 or value == "0":
        return timedelta(0)
    found = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        raise LayoutMistake(key, f"{value!r} is no duration; write 30s, 15m, 12h or 3d")
    return timedelta(seconds=float(found[1]) * _UNITS_S[found[2]])


def spoken(duration: timedelta | float) -> str:
    """Return a duration as people write it: `12 s`, `2 m`, `1 h 30 m`."""
    seconds = duration.total_seconds() if isinstance(duration, timedelta) else duration
    if seconds < 60:
        return f"{seconds:.1f}".rstrip("0").rstrip(".") + " s"
    whole = int(seconds)
    parts = [(whole // 86400, "d"), (whole // 3600 % 24, "h"), (whole // 60 % 60, "m"), (whole % 60, "s")]
    return " ".join(f"{count} {unit}" for count, unit in parts if count)


@dataclass(frozen=True, slots=True)
class Condition:
    """One predicate: its kind, its checked arguments, and its name as the layout writes it."""

    kind: str
    arguments: Mapping[str, Any]
    name: str

    def text(self, key: str, default: str = "") -> str:
        """Return a textual argument."""
        return str(self.arguments.get(key, default))

    def texts(self, key: str) -> tuple[str, ...] | None:
        """Return a list argument as texts, None when it is not written; one text counts as a list of one."""
        value = self.arguments.get(key)
        if value is None:
            return None
        return (value,) if isinstance(value, str) else tuple(str(one) for one in value)

    def flag(self, key: str) -> bool:
        """Return a yes-or-no argument, no by default."""
        return bool(self.arguments.get(key, False))

    def duration(self, key: str) -> timedelta:
        """Return a duration argument."""
        value = self.arguments[key]
        assert isinstance(value, timedelta)  # made by `parse_condition`
        return value

    @property
    def globs(self) -> tuple[str, ...]:
        """Return the globs of `file` (or `glob`)."""
        return self.texts("file") or self.texts("glob") or ()


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _is_texts(value: object) -> bool:
    return _is_text(value) or (isinstance(value, list) and bool(value) and all(_is_text(one) for one in value))


def _is_values(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, str | int | float | bool) for one in value)


def _is_flag(value: object) -> bool:
    return isinstance(value, bool)


def _is_duration(value: object) -> bool:
    return value in (0, "0") or (isinstance(value, str) and _DURATION.fullmatch(value.strip()) is not None)


def _is_regex(value: object) -> bool:
    try:
        return _is_text(value) and re.compile(str(value)) is not None
    except re.error:
        return False


def _is_count(value: object) -> bool:
    if isinstance(value, str) and value.startswith("kv:"):
        return len(value.split(":", 2)) == 3 and all(value.split(":", 2))
    return (isinstance(value, int) and not isinstance(value, bool)) or _is_text(value)


def _is_numbered(value: object) -> bool:
    return isinstance(value, str) and "{n}" in value


def _one_of(*words: str) -> Callable[[object], bool]:
    return lambda value: value in words


@dataclass(frozen=True, slots=True)
class Grammar:
    """Arguments of a kind: `needed` and `allowed` with their checks; `lone` is the key a bare value stands for, `holds`
    says when such a condition does.
    """

    lone: str
    needed: Mapping[str, Callable[[object], bool]]
    allowed: Mapping[str, Callable[[object], bool]]
    holds: str


_CI = {"ci": _is_flag}
_CLAIMS = {"in": _is_values, "not_in": _is_values, "exists": _is_flag, "nonempty": _is_flag}
_VALUES = {
    **_CLAIMS,
    "if_present": _is_flag,
    "say": _is_texts,
    "first": _is_flag,
    **_CI,
}

KINDS: Mapping[str, Grammar] = {
    "file": Grammar("file", {"file": _is_texts}, _CI, "A file is there."),
    "no_file": Grammar("file", {"file": _is_texts}, _CI, "No such file is there."),
    "each": Grammar(
        "",
        {"glob": _is_numbered, "for": _one_of("runinfo.reads")},
        _CI,
        "A file is there for each read of RunInfo.xml, index reads counted; `{n}` is its number.",
    ),
    "xml": Grammar(
        "",
        {"file": _is_texts, "at": _is_text},
        _VALUES,
        "The text at `Parent/Element` or `Element@Attribute` (namespaces do not matter) is one of `in`, none of "
        "`not_in`, exists, or is not empty.",
    ),
    "json": Grammar("", {"file": _is_texts, "at": _is_text}, _VALUES, "The same for the value at a dotted path."),
    "kv": Grammar("", {"file": _is_texts, "key": _is_text}, _VALUES, "The same for a line `key=value`."),
    "text": Grammar(
        "",
        {"file": _is_texts, "regex": _is_regex},
        {"if_present": _is_flag, **_CI},
        "The pattern is found in the file.",
    ),
    "count": Grammar(
        "",
        {"glob": _is_texts, "equals": _is_count},
        {},
        "So many files are there: a number, `kv:FILE:key`, or as many as another glob finds.",
    ),
    "manifest": Grammar(
        "",
        {"file": _is_texts, "kind": _one_of("md5", "sha", "crc32-tsv", "ont-hash", "pacbio", "fastq_list")},
        {
            "check": _one_of("exists", "size", "hash"),
            "if_present": _is_flag,
            "if_listed": _is_flag,
            "covers": _is_flag,
            "sidecars": _is_flag,
            **_CI,
        },
        "All files that a list names are there (and with `covers` no other one is taken).",
    ),
    "pairs": Grammar("asked", {"asked": _is_flag}, {}, "Every sample has all its reads in every lane it has."),
    "sheet_covered": Grammar("asked", {"asked": _is_flag}, {}, "Every sample of the sheet has files."),
    "quiet": Grammar("min", {"min": _is_duration}, {}, "Nothing in the unit has changed for so long, as we saw it."),
    "newer": Grammar(
        "", {"file": _is_texts, "than": _is_texts}, _CI, "A file was changed after all that match `than`."
    ),
    "age": Grammar(
        "", {"file": _is_texts, "min": _is_duration}, _CI, "A file has not changed for so long, as we saw it."
    ),
}
"""The language of conditions; docs/layouts.md is made of it."""


def parse_condition(written: object, key: str) -> Condition:
    """Return the condition written in a layout, or raise LayoutMistake that says what is wrong with it."""
    if not isinstance(written, dict):
        raise LayoutMistake(key, f"expected a table such as {{ file = 'CopyComplete.txt' }}, not {written!r}")
    kinds = [kind for kind in KINDS if kind in written]
    if len(kinds) != 1:
        unknown = next((str(word) for word in written if word not in KINDS), "")
        near = get_close_matches(unknown, KINDS, n=1)
        wish = f"; did you mean {near[0]}?" if near and not kinds else f"; one of {', '.join(KINDS)} is needed"
        raise LayoutMistake(key, f"{written!r} is no condition{wish}")
    kind = kinds[0]
    grammar, inner = KINDS[kind], written[kind]
    beside = {name: value for name, value in written.items() if name != kind}
    if isinstance(inner, dict):
        arguments: dict[str, Any] = {**inner, **beside}
    elif grammar.lone:
        arguments = {grammar.lone: inner, **beside}
    else:
        raise LayoutMistake(key, f"{kind} needs a table with {', '.join(grammar.needed)}")
    _check(kind, grammar, arguments, key)
    name = _name(kind, arguments)
    if "min" in arguments:
        arguments["min"] = parse_duration(arguments["min"], f"{key}.{kind}.min")
    return Condition(kind, arguments, name)


def _check(kind: str, grammar: Grammar, arguments: Mapping[str, Any], key: str) -> None:
    for needed in grammar.needed:
        if needed not in arguments:
            raise LayoutMistake(f"{key}.{kind}", f"{kind} needs {needed!r}")
    for name, value in arguments.items():
        check = grammar.needed.get(name) or grammar.allowed.get(name)
        if check is None:
            near = get_close_matches(name, [*grammar.needed, *grammar.allowed], n=1)
            raise LayoutMistake(
                f"{key}.{kind}.{name}", f"{kind} knows no {name!r}" + (f"; did you mean {near[0]}?" if near else "")
            )
        if not check(value):
            raise LayoutMistake(f"{key}.{kind}.{name}", f"{value!r} does not fit here")
    if _CLAIMS.keys() <= grammar.allowed.keys() and not _CLAIMS.keys() & arguments.keys():
        raise LayoutMistake(f"{key}.{kind}", f"{kind} needs one of {', '.join(_CLAIMS)}")


def _name(kind: str, arguments: Mapping[str, Any]) -> str:
    words = [kind]
    for argument in ("glob", "file", "at", "key", "equals", "than", "min"):
        value = arguments.get(argument)
        if value is not None:
            words.append(" | ".join(value) if isinstance(value, list) else str(value))
    return " ".join(words)
