"""What Galaxy would change in a workflow's steps when it runs them, as its run form tells it.

`/api/workflows/ID/download?style=run&history_id=H`, measured on 24.1.4, 25.0.4 and 26.1.2: `step_version_changes` are
pieces of HTML that name the tool alone, `messages` of a step name its parameters. A step inside a subworkflow makes
the whole answer a 400, whose `err_data` holds the messages by the number of the step inside; so does a missing tool,
without `err_data`. Pure: `workflows.py` asks.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from watcher.galaxy.answers import Answer, Text
from watcher.galaxy.tool_ids import short_tool_id
from watcher.galaxy.workflow_answers import DownloadedStep

_TAGS = re.compile(r"<[^>]*>?")
_TOOL = re.compile(r"tool id '([^']+)'")


class _FormStep(Answer):
    step_index: int
    step_label: Text = ""
    step_name: Text = ""
    id: Text = ""
    messages: Any = None


class RunForm(Answer):
    """Galaxy's form for running a workflow, as far as it warns."""

    steps: tuple[_FormStep, ...] = ()
    step_version_changes: tuple[str, ...] = ()


def told(form: RunForm) -> list[str]:
    """Return what the form warns of, each with the step it is about."""
    versions = [_version_change(change, form) for change in form.step_version_changes]
    corrections = [f"{_named(step)}: {text}" for step in form.steps for text in _texts(step.messages)]
    return [*versions, *corrections]


def told_inside(messages: Any, steps: Sequence[DownloadedStep]) -> list[str]:
    """Return what Galaxy says of steps inside subworkflows; `messages` is by the number that a step has there."""
    if not isinstance(messages, Mapping):
        return []
    return [
        f"{_named_inside(str(number), steps)}: {text}" for number, about in messages.items() for text in _texts(about)
    ]


def _version_change(change: str, form: RunForm) -> str:
    tool = _TOOL.search(change)
    names = [_named(step) for step in form.steps if tool is not None and step.id == tool[1]]
    said = " ".join(html.unescape(_TAGS.sub(" ", change)).split())
    about = ", ".join(names) or (short_tool_id(tool[1]) if tool else "")
    return f"{about}: {said}" if about else said


def _named(step: _FormStep) -> str:
    return f"Step “{step.step_label}”" if step.step_label else f"Step {step.step_index} ({step.step_name})"


def _named_inside(number: str, steps: Sequence[DownloadedStep]) -> str:
    """Galaxy does not tell the subworkflow: named are all that have a tool under this number."""
    around = [step for step in steps if step.subworkflow is not None]
    places = []
    for step in around:
        for inner in step.subworkflow.ordered() if step.subworkflow is not None else ():
            if str(inner.id) == number and inner.type == "tool":
                name = inner.label or short_tool_id(inner.tool_id)
                places.append(f"“{name}” inside step {f'“{step.label}”' if step.label else step.id}")
    return f"Step {' or '.join(places)}" if places else f"Step {number} inside a subworkflow"


def _texts(messages: Any, above: str = "") -> Iterator[str]:
    if isinstance(messages, Mapping):
        for name, one in messages.items():
            yield from _texts(one, f"{above}{name}|")
    elif isinstance(messages, list):
        for one in messages:
            yield from _texts(one, above)
    elif messages:
        name = above.rstrip("|")
        yield f"{name}: {messages}" if name else str(messages)
