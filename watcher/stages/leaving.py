"""What may leave the host beside the data: the one place that decides it for records.

A sample sheet may hold names of people. Of a sample only its name, its files and the cells of those columns leave that
its rule uses; its project only where the rule asks for it. Paths of this host become `HIDDEN`, wherever they stand in a
text of ours or of Galaxy's. Pure: it reads a frozen plan, whose rule stands in it as the operator wrote it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from watcher.config.destinations import SHEET
from watcher.config.workflows import column_of
from watcher.model import Plan, Sample

HIDDEN = "[not told]"
"""What stands for a path of the host, or a folder that is called like a project nobody asked for."""

_FIELD = re.compile(r"\{([^{}]+)\}")
_PATH = re.compile(r"(?:(?<=file://)|(?<![\w/.:$)}\]-]))/[\w.@+,=~-]+(?:/[\w.@+,=~-]+)+/?")
"""An absolute path, whosever it is: of two parts at least, so that `/x` in a setting stays; no part of an address."""

_NO_TEMPLATES = ("match", "workflow")
"""Parts of a rule that are no templates, or hold some beside texts that only look like them."""


def used_columns(rule: Mapping[str, Any]) -> tuple[frozenset[str], frozenset[str]]:
    """Return the columns that a rule names as it spells them, and those it matches by, which are asked in any case."""
    texts = list(_templates(rule))
    named = {field.removeprefix(SHEET) for text in texts for field in _fields(text) if field.startswith(SHEET)}
    named |= {column for text in texts if (column := column_of(text))}
    for workflow in rule.get("workflow") or ():
        named |= {column for value in (workflow.get("inputs") or {}).values() if (column := column_of(value))}
    return frozenset(named), frozenset(column.lower() for column in (rule.get("match") or {}).get("sheet") or {})


def uses_project(rule: Mapping[str, Any]) -> bool:
    """Tell whether the rule cuts or matches by project, or names something after it."""
    patterns = tuple((rule.get("match") or {}).get("project") or ("*",))
    return rule.get("per") == "project" or patterns != ("*",) or any("project" in _fields(x) for x in _templates(rule))


def _templates(rule: Mapping[str, Any]) -> Iterator[str]:
    """Yield the texts of a rule that may name fields or columns: inputs and settings of tools are none."""
    yield from _texts({key: value for key, value in rule.items() if key not in _NO_TEMPLATES})
    for workflow in rule.get("workflow") or ():
        yield from _texts(workflow.get("replacements"))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _texts(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _texts(one)


def _fields(template: str) -> list[str]:
    return _FIELD.findall(template.replace("{{", "").replace("}}", ""))


class Leaving:
    """What may leave of one plan. `places` are further paths of the host that appear nowhere."""

    def __init__(self, plan: Plan, places: Iterable[str] = ()) -> None:
        self._named, self._matched = used_columns(plan.rule_text)
        self._tells_project = uses_project(plan.rule_text)
        self._projects = frozenset(sample.project for sample in plan.samples if sample.project)
        found = sorted({place.rstrip("/") for place in (*places, *_places(plan))} - {""}, key=len, reverse=True)
        self._place = _below(found) if found else None

    def columns(self, sample: Sample) -> dict[str, tuple[str, ...]]:
        """Return the cells of a sample that its rule uses, as the sheet spells their columns."""
        exact = self._named & sample.columns.keys()
        loose = {column.lower() for column in self._named - exact} | self._matched
        return {
            column: tuple(sample.several.get(column, (cell,)))
            for column, cell in sorted(sample.columns.items())
            if column in exact or column.lower() in loose
        }

    def project(self, sample: Sample) -> str:
        """Return the project of a sample, "" when the rule does not ask for it."""
        return sample.project if self._tells_project else ""

    def source(self, path: str) -> str:
        """Return a path below the run folder; converters call folders after projects."""
        *folders, name = PurePosixPath(path).parts
        if PurePosixPath(path).is_absolute() or ".." in folders:
            return f"{HIDDEN}/{name}"
        hides = frozenset() if self._tells_project else self._projects
        return "/".join((*(HIDDEN if folder in hides else folder for folder in folders), name))

    def text(self, text: str) -> str:
        """Return a text without absolute paths."""
        return _PATH.sub(HIDDEN, self._place.sub(HIDDEN, text) if self._place else text)

    def value(self, value: Any) -> Any:
        """Return what JSON can hold, without paths of the host in any text or key."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(str(key)): self.value(one) for key, one in value.items()}
        return [self.value(one) for one in value] if isinstance(value, list | tuple) else value


def _below(places: Iterable[str]) -> re.Pattern[str]:
    """Match these paths and what follows them as far as it is surely a path."""
    return re.compile(rf"(?:{'|'.join(re.escape(place) for place in places)})(?![\w.-])(?:/[\w.@+,=~-]*)*")


def _places(plan: Plan) -> Iterator[str]:
    """Yield the paths of the host that a plan knows."""
    yield plan.path
    for delivery in plan.deliveries:
        yield from (place for place in (delivery.folder, delivery.base) if place.startswith("/"))
    for dataset in plan.datasets:
        yield dataset.server_path if dataset.server_path.startswith("/") else ""
    for workflow in plan.workflows:
        yield workflow.ref if workflow.by == "file" else ""
    for text in _texts({key: value for key, value in plan.rule_text.items() if key not in _NO_TEMPLATES}):
        if text.startswith("/"):
            yield text.partition("{")[0]
