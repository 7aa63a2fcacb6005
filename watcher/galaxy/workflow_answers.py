"""How Galaxy tells a workflow, `/api/workflows/ID/download`, and the facts that are read from it.

A `.ga` file has the same shape. Pure: `workflows.py` asks. Measured on 24.1.4, 25.0.4 and 26.1.2: a tool that is not
installed has no `outputs` there, a subworkflow and a review (`pause`) never have, and an output of a subworkflow
without a label is called by number and name inside, `1:counts`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from watcher.galaxy.answers import Answer, Text
from watcher.galaxy.tools import Declared, Parameter
from watcher.galaxy.workflow_facts import REVIEW, WorkflowInput, WorkflowStep, digest

INPUT_KINDS = {"data_input": "dataset", "data_collection_input": "collection", "parameter_input": "parameter"}
ANYTHING = "data"
"""The extension that every dataset fits."""

Tool = tuple[str, str]


class _Output(Answer):
    label: Text = ""
    output_name: Text = ""


class _Named(Answer):
    name: Text = ""


class DownloadedStep(Answer):
    """One step, an input included; `id` counts from 0."""

    id: int
    type: str
    label: Text = ""
    tool_id: Text = ""
    tool_version: Text = ""
    tool_state: Any = None
    uuid: Text = ""
    when: Any = None
    input_connections: Mapping[str, Any] = {}
    outputs: tuple[_Named, ...] = ()
    workflow_outputs: tuple[_Output, ...] = ()
    post_job_actions: Any = None
    subworkflow: Downloaded | None = None

    def state(self) -> dict[str, Any]:
        """The step's settings; old files hold JSON inside JSON."""
        state = _plain(self.tool_state)
        return {key: _plain(value) for key, value in state.items()} if isinstance(state, dict) else {}

    def connections(self) -> dict[str, tuple[tuple[int, str], ...]]:
        """What each input takes; of gxformat2, where sources are labels, nothing is known."""
        found = {}
        for name, links in self.input_connections.items():
            rows = links if isinstance(links, list) else [links]
            found[name] = tuple(
                (int(row["id"]), str(row.get("output_name") or "output"))
                for row in rows
                if isinstance(row, Mapping) and str(row.get("id", "")).isdigit()
            )
        return {name: links for name, links in found.items() if links}

    def output_names(self) -> tuple[str, ...]:
        """The names of what the step gives, as far as Galaxy tells."""
        if self.type == REVIEW:
            return ("output",)
        if self.subworkflow is not None:
            inner = self.subworkflow.ordered()
            return tuple(
                output.label or f"{step.id}:{output.output_name}" for step in inner for output in step.workflow_outputs
            )
        named = [output.name for output in self.outputs] + [output.output_name for output in self.workflow_outputs]
        return tuple(dict.fromkeys(name for name in named if name))


class Downloaded(Answer):
    """A workflow or subworkflow; `version` and `uuid` are those of the version that was asked for."""

    steps: Mapping[str, DownloadedStep]
    uuid: Text = ""
    version: int | None = None

    def ordered(self) -> list[DownloadedStep]:
        """The steps as they are numbered."""
        return sorted(self.steps.values(), key=lambda step: step.id)


def labelled(step: DownloadedStep) -> DownloadedStep:
    """Old files name an input in its settings; Galaxy makes a label of it when it imports them."""
    if step.label or step.type not in INPUT_KINDS:
        return step
    return step.model_copy(update={"label": str(step.state().get("name") or "")})


def tools_of(steps: Sequence[DownloadedStep]) -> Iterator[Tool]:
    """Yield id and version of each tool, those of subworkflows as well."""
    for step in steps:
        if step.tool_id and step.type == "tool":
            yield step.tool_id, step.tool_version
        if step.subworkflow is not None:
            yield from tools_of(step.subworkflow.ordered())


def output_labels(steps: Sequence[DownloadedStep]) -> tuple[str, ...]:
    """Return the labels of a workflow's outputs."""
    return tuple(output.label for step in steps for output in step.workflow_outputs if output.label)


def inputs_of(steps: Sequence[DownloadedStep], declared: Mapping[Tool, Declared]) -> tuple[WorkflowInput, ...]:
    """Return the inputs of a workflow."""
    return tuple(_input(step, steps, declared) for step in steps if step.type in INPUT_KINDS)


def steps_of(steps: Sequence[DownloadedStep], declared: Mapping[Tool, Declared]) -> tuple[WorkflowStep, ...]:
    """Return what is no input."""
    return tuple(_step(step, declared) for step in steps if step.type not in INPUT_KINDS)


def _plain(value: Any) -> Any:
    if not isinstance(value, str) or value[:1] not in ('"', "{", "["):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def _input(step: DownloadedStep, steps: Sequence[DownloadedStep], declared: Mapping[Tool, Declared]) -> WorkflowInput:
    state = step.state()
    named = state.get("format") or ()
    extensions = tuple(named.split(",") if isinstance(named, str) else named)
    default = state.get("default")
    kind = INPUT_KINDS[step.type]
    wanted = [extensions] if extensions else _wanted((step.id, "output"), steps, declared)
    return WorkflowInput(
        label=step.label,
        index=step.id,
        kind=kind,
        type=str(state.get("parameter_type") or ""),
        collection_type=str(state.get("collection_type") or ""),
        optional=str(state.get("optional", False)).lower() == "true",
        default=default,
        has_default=default is not None,
        extensions=extensions,
        choices=tuple(_choice(choice) for choice in state.get("restrictions") or ()),
        multiple=str(state.get("multiple", False)).lower() == "true",
        accepts=() if kind == "parameter" else tuple(dict.fromkeys(one for one in wanted if ANYTHING not in one)),
        uuid=step.uuid,
    )


def _choice(choice: Any) -> str:
    return str(choice.get("value")) if isinstance(choice, dict) else str(choice)


def _wanted(
    source: tuple[int, str], steps: Sequence[DownloadedStep], declared: Mapping[Tool, Declared]
) -> Iterator[tuple[str, ...]]:
    """Yield the extensions that each tool names which takes this output, also inside subworkflows and behind reviews.

    Galaxy looks at the tools right behind a dataset input only, and not at those behind a collection input (the
    `extensions` of `/api/workflows/ID/download?style=run`, measured on 24.1.4 to 26.1.2).
    """
    for step in steps:
        for name, links in step.connections().items():
            if source not in links:
                continue
            if step.type == REVIEW:
                yield from _wanted((step.id, "output"), steps, declared)
            elif step.subworkflow is not None:
                inner = step.subworkflow.ordered()
                place = next((one.id for one in inner if one.type in INPUT_KINDS and one.label == name), None)
                if place is not None:
                    yield from _wanted((place, "output"), inner, declared)
            else:
                known = declared.get((step.tool_id, step.tool_version), Declared()).parameters
                # Repeats are declared once, as their first one.
                for one in known.get(re.sub(r"_\d+\|", "_0|", name), ()):
                    if one.extensions:
                        yield one.extensions


def _step(step: DownloadedStep, declared: Mapping[Tool, Declared]) -> WorkflowStep:
    known = declared.get((step.tool_id, step.tool_version), Declared()).parameters
    names = dict.fromkeys([*_names(step.state()), *step.input_connections])
    inner = step.subworkflow.ordered() if step.subworkflow is not None else []
    return WorkflowStep(
        index=step.id,
        label=step.label,
        type=step.type,
        tool_id=step.tool_id,
        tool_version=step.tool_version,
        parameters=tuple(names),
        # What the cases of a conditional declare differently is of no known type.
        types={name: them[0].type if len({one.type for one in them}) == 1 else "" for name, them in known.items()},
        options={name: _options(them) for name, them in known.items() if all(one.has_fixed_list for one in them)},
        multiple=frozenset(name for name, them in known.items() if any(one.is_multiple for one in them)),
        connections=step.connections(),
        outputs=step.output_names(),
        labels={output.output_name: output.label for output in step.workflow_outputs if output.label},
        settings=_settings(step),
        inside=digest(inputs_of(inner, declared), steps_of(inner, declared)) if inner else {},
        uuid=step.uuid,
    )


def _settings(step: DownloadedStep) -> str:
    """Return a hash of what a person can set in a step, without what Galaxy notes there for itself."""
    state = {name: value for name, value in step.state().items() if not name.startswith("__")}
    told = [state, _plain(step.when), step.post_job_actions or {}]
    text = json.dumps(told, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _options(them: Sequence[Parameter]) -> dict[str, str]:
    """Return all that a select takes, also where the cases of a conditional declare it differently.

    Galaxy takes a value, and the label of one as well.
    """
    rows = [row for one in them for row in one.options]
    return {str(row[0]): str(row[1]) for row in rows} | {str(row[1]): str(row[1]) for row in rows}


def _names(state: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """Flatten a tool's state to the names Galaxy takes: `section|name`, `repeat_0|name`."""
    for key, value in state.items():
        if key.startswith("__"):
            continue
        if isinstance(value, Mapping) and "__class__" not in value:
            yield from _names(value, f"{above}{key}|")
        elif (
            isinstance(value, list) and value and all(isinstance(row, Mapping) and "__index__" in row for row in value)
        ):
            for number, row in enumerate(value):
                yield from _names(row, f"{above}{key}_{number}|")
        else:
            yield above + key
