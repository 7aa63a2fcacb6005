"""YAML as it was written: plain values, and the line each one stands on.

Read as YAML 1.2 means it: `on` and `yes` are words, `007` and `2025-01-31` are text. A key that is written twice is a
problem instead of silently winning, tags are refused, and a file that does not parse is told with line and column.
What the values mean is not known here; `load.py` puts them into `Settings`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml.composer import Composer
from yaml.emitter import Emitter
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from yaml.parser import Parser
from yaml.reader import Reader, ReaderError
from yaml.representer import SafeRepresenter
from yaml.resolver import BaseResolver
from yaml.scanner import Scanner
from yaml.serializer import Serializer

from watcher.config.values import KeyPath
from watcher.errors import ConfigError, ConfigProblem

SIZE_LIMIT_BYTES = 1024 * 1024
_VALUES_LIMIT = 100_000
_TAG = "tag:yaml.org,2002:"
_QUOTE_HINT = "Text that begins with * & ! { [ or %, or holds ': ', has to be quoted."


class _PlainResolver(BaseResolver):
    """What an unquoted word is, after the core schema of YAML 1.2."""


for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    # A leading zero is kept as text: sample 007 is not sample 7.
    ("int", r"[-+]?(?:0|[1-9][0-9]*)", "-+0123456789"),
    (
        "float",
        r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)\.[0-9]*)(?:[eE][-+]?[0-9]+)?|[-+]?(?:0|[1-9][0-9]*)[eE][-+]?[0-9]+",
        "-+.0123456789",
    ),
):
    _PlainResolver.add_implicit_resolver(_TAG + _tag, re.compile(rf"(?:{_pattern})\Z"), list(_first))


class _NodeLoader(Reader, Scanner, Parser, Composer, _PlainResolver):
    """Makes nodes, which know their place; values are made in `_Conversion`."""

    def __init__(self, stream: str) -> None:
        Reader.__init__(self, stream)
        Scanner.__init__(self)
        Parser.__init__(self)
        Composer.__init__(self)
        _PlainResolver.__init__(self)


class _Dumper(Emitter, Serializer, SafeRepresenter, _PlainResolver):
    """Quotes exactly what `read_yaml` would otherwise take for something else."""

    def __init__(self, stream: Any, **options: Any) -> None:
        Emitter.__init__(self, stream, width=120, allow_unicode=True)
        Serializer.__init__(self)
        SafeRepresenter.__init__(self, sort_keys=False)
        _PlainResolver.__init__(self)

    def ignore_aliases(self, value: Any) -> bool:
        """Write every value out, also when it occurs twice."""
        return True


@dataclass(frozen=True, slots=True)
class Written:
    """The values of a file, the line of each (counted from 1), and what is wrong with the writing itself."""

    values: Mapping[str, Any]
    lines: Mapping[KeyPath, int]
    problems: tuple[ConfigProblem, ...]


def read_yaml(content: bytes, file: str) -> Written:
    """Read a configuration file. Raises ConfigError when nothing can be said about its values."""
    if len(content) > SIZE_LIMIT_BYTES:
        raise _unreadable(file, 0, "is larger than 1 MiB: this is no configuration.")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        line = content.count(b"\n", 0, problem.start) + 1
        raise _unreadable(file, line, "holds bytes that are not UTF-8.", "Save the file as UTF-8.") from None
    node = _compose(text, file)
    if node is None:
        raise _unreadable(file, 0, "is empty.", "`galaxy-watcher config example` writes a complete one to start from.")
    if not isinstance(node, MappingNode):
        raise _unreadable(
            file, _line(node), f"must hold keys and values, not {_what(node)}.", "It begins like galaxy: …"
        )
    conversion = _Conversion(file)
    try:
        values = conversion.mapping(node, ())
    except RecursionError:
        raise _unreadable(file, 0, "is nested too deeply.") from None
    return Written(values, conversion.lines, tuple(conversion.problems))


def dump_yaml(value: Any) -> str:
    """Write plain values so that `read_yaml` reads the same ones."""
    text: str = yaml.dump(value, Dumper=_Dumper)
    return text


def _compose(text: str, file: str) -> Node | None:
    try:
        loader = _NodeLoader(text)
        return loader.get_single_node()
    except ReaderError as problem:
        line = text.count("\n", 0, problem.position) + 1
        raise _unreadable(file, line, f"holds a character that YAML does not allow (U+{_code(problem):04X}).") from None
    except yaml.MarkedYAMLError as problem:
        mark = problem.problem_mark or problem.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark is not None else (0, 0)
        raise _unreadable(file, line, *_syntax(problem, text, line), column=column) from None
    except RecursionError:
        raise _unreadable(file, 0, "is nested too deeply.") from None


def _code(problem: ReaderError) -> int:
    return problem.character if isinstance(problem.character, int) else ord(problem.character[:1] or "\0")


def _syntax(problem: yaml.MarkedYAMLError, text: str, line: int) -> tuple[str, str]:
    """Say what does not parse. Nothing of the file is repeated: it could be a key in the wrong place."""
    what = problem.problem or "cannot be understood"
    lines = text.splitlines()
    written = lines[line - 1] if 0 < line <= len(lines) else ""
    if "alias" in what or "alias" in (problem.context or ""):
        return "an unquoted * or & begins an alias or anchor.", 'A pattern that begins with * has to be quoted: "*".'
    if "\t" in what or "\\t" in what or "\t" in written[: len(written) - len(written.lstrip())]:
        return "is indented with a tab.", "YAML wants blanks."
    if "but found another document" in what:
        return "begins a second document (---).", "One file holds one configuration."
    if re.search(r"\w:\S", written) and "://" not in written and "could not find expected ':'" in what:
        return f"{what}.", "A key is followed by a colon and a blank."
    return f"{what}.", _QUOTE_HINT


def _unreadable(file: str, line: int, message: str, hint: str = "", *, column: int = 0) -> ConfigError:
    where = f"column {column}" if column else "the file"
    return ConfigError([ConfigProblem(file, line, where, message, hint)])


def _line(node: Node) -> int:
    return int(node.start_mark.line) + 1


def _what(node: Node) -> str:
    return "a list" if isinstance(node, SequenceNode) else "text" if isinstance(node, ScalarNode) else "keys and values"


@dataclass(slots=True)
class _Conversion:
    """Turns nodes into values while noting lines and problems."""

    file: str
    lines: dict[KeyPath, int] = field(default_factory=dict)
    problems: list[ConfigProblem] = field(default_factory=list)
    _open: list[Node] = field(default_factory=list)
    _count: int = 0

    def mapping(self, node: MappingNode, path: KeyPath) -> dict[str, Any]:
        """Return a mapping with text keys; a key seen before is a problem, and its first value stays."""
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, ScalarNode):
                self._problem(key_node, path, "has a key that is a list or a mapping.", _QUOTE_HINT)
                continue
            key = self._text(key_node, path)
            here = (*path, key)
            if key in values:
                self._problem(
                    key_node, here, f"is written twice; first in line {self.lines[here]}.", "Keep one of them."
                )
                continue
            self.lines[here] = _line(key_node)
            values[key] = self._value(value_node, here)
        return values

    def _value(self, node: Node, path: KeyPath) -> Any:
        self._count += 1
        if self._count > _VALUES_LIMIT:
            raise _unreadable(self.file, _line(node), "holds too many values: aliases multiply them.")
        if any(node is outer for outer in self._open):
            self._problem(node, path, "contains itself.", "Write the value out instead of using an alias.")
            return None
        if node.tag not in (_TAG + kind for kind in ("map", "seq", "str", "int", "float", "bool", "null")):
            self._problem(node, path, "has a tag (!…), which is not supported.", _QUOTE_HINT)
            return None
        self._open.append(node)
        try:
            if isinstance(node, MappingNode):
                return self.mapping(node, path)
            if isinstance(node, SequenceNode):
                return self._sequence(node, path)
            return self._scalar(node, path)
        finally:
            self._open.pop()

    def _sequence(self, node: SequenceNode, path: KeyPath) -> list[Any]:
        values = []
        for number, entry in enumerate(node.value):
            self.lines[(*path, number)] = _line(entry)
            values.append(self._value(entry, (*path, number)))
        return values

    def _scalar(self, node: Node, path: KeyPath) -> Any:
        text = self._text(node, path)
        kind = node.tag.removeprefix(_TAG)
        try:
            if kind == "null":
                return None
            if kind == "bool":
                return {"true": True, "false": False}[text.lower()]
            if kind == "int":
                return int(text)
            if kind == "float" and math.isfinite(number := float(text)):
                return number
        except (KeyError, ValueError):
            # An explicit tag that does not fit, or more digits than Python reads: the type check says what is wanted.
            return text
        return text

    def _text(self, node: Node, path: KeyPath) -> str:
        text = str(node.value)
        if any(0xD800 <= ord(letter) <= 0xDFFF for letter in text):
            self._problem(node, path, "holds an escape that is no character.", "Write the character itself.")
            return text.encode("utf-8", "replace").decode()
        return text

    def _problem(self, node: Node, path: KeyPath, message: str, hint: str) -> None:
        self.problems.append(ConfigProblem(self.file, _line(node), key_text(path), message, hint))


def key_text(path: KeyPath) -> str:
    """Write the way to a value as people do: `rules[0].match.watch`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text or "the file"
