"""What a workflow wants, does and gives, in our words: no request, no answer of Galaxy.

`workflow_answers.py` reads these facts from what Galaxy tells, `workflows.py` asks for it, `bind.py` checks values
against them, and `workflow_changes.py` says how two differ.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from watcher.galaxy.result_names import result_name
from watcher.model import WorkflowId

REVIEW = "pause"
"""Galaxy's word for a step at which an invocation waits for a person."""


@dataclass(frozen=True, slots=True)
class WorkflowRef:
    """A workflow of the account: which one, and which content (`uuid`)."""

    id: WorkflowId
    name: str
    uuid: str
    version: int | None = None


@dataclass(frozen=True, slots=True)
class WorkflowInput:
    """An input: `kind` is dataset, collection or parameter; `type` is the parameter's; `has_default` tells None from no
    default; `multiple` takes a list of values.

    `extensions` are what the workflow names itself. `accepts` holds what has to be fitted, each of its groups: those,
    or, where the workflow names none, what each tool names that takes the input; no group = everything fits.
    """

    label: str
    index: int
    kind: str
    type: str = ""
    collection_type: str = ""
    optional: bool = False
    default: Any = None
    has_default: bool = False
    extensions: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    multiple: bool = False
    accepts: tuple[tuple[str, ...], ...] = ()
    uuid: str = ""


@dataclass(frozen=True, slots=True)
class WorkflowStep:
    """A step that is no input; `index` counts from 0 as in the workflow file.

    `parameters` are the names that the workflow sets, `types` those that the tool knows, with Galaxy's type;
    repeats are counted as their first one (`repeat_0|name`). `options` are what a select with a fixed list takes, and
    the value each stands for; `multiple` names the parameters that take a list.

    `connections` tell for each input by name the outputs it takes, as (index of the step, name of the output).
    `outputs` are the names of what the step gives; a review (Galaxy's `pause`) gives what it took, as `output`.
    `labels` are the names people gave to outputs, by output. `settings` is a hash of what the workflow sets, `inside`
    the digest of a subworkflow.
    """

    index: int
    label: str
    type: str
    tool_id: str = ""
    tool_version: str = ""
    parameters: tuple[str, ...] = ()
    types: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    multiple: frozenset[str] = frozenset()
    connections: Mapping[str, tuple[tuple[int, str], ...]] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    settings: str = ""
    inside: Mapping[str, Any] = field(default_factory=dict)
    uuid: str = ""

    @property
    def is_review(self) -> bool:
        """Whether the invocation waits here until a person says that it may go on."""
        return self.type == REVIEW

    @property
    def sources(self) -> Iterator[tuple[int, str]]:
        """All outputs that the step takes."""
        for links in self.connections.values():
            yield from links


@dataclass(frozen=True, slots=True)
class MissingTool:
    """A tool that Galaxy does not have in the version that the workflow names.

    `repository` is `owner/name@tool shed` where the id tells it; with `installed_versions` Galaxy has others, and runs
    one of them without a word when it is asked for the workflow (measured on 24.1.4 to 26.1.2).
    """

    tool_id: str
    version: str
    repository: str = ""
    installed_versions: tuple[str, ...] = ()

    def __str__(self) -> str:
        told = [self.version, f"repository {self.repository}" if self.repository else ""]
        if self.installed_versions:
            told.append(f"Galaxy has {', '.join(self.installed_versions)}")
        known = "; ".join(one for one in told if one)
        return f"{self.tool_id} ({known})" if known else self.tool_id


@dataclass(frozen=True, slots=True)
class WorkflowFacts:
    """What one version of a workflow wants and gives; `tools` are id and version of all tools, those of subworkflows as
    well, and `missing` are the tools among them that Galaxy does not have so.

    `version` counts from 0 and is the number an invocation names to run this very version; `outputs` are labels.
    """

    id: WorkflowId
    name: str
    uuid: str
    version: int | None
    inputs: tuple[WorkflowInput, ...]
    steps: tuple[WorkflowStep, ...]
    outputs: tuple[str, ...] = ()
    tools: tuple[tuple[str, str], ...] = ()
    missing: tuple[MissingTool, ...] = ()

    @property
    def results(self) -> tuple[str, ...]:
        """What the workflow's results are called: their labels, or made-up names of what no step takes when nothing is
        labelled at all.
        """
        if self.outputs:
            return self.outputs
        taken = {source for step in self.steps if not step.is_review for source in self._seen_through(step)}
        return tuple(
            result_name(step.index, step.label, step.tool_id, output)
            for step in self.steps
            if not step.is_review
            for output in step.outputs
            if (step.index, output) not in taken
        )

    def _seen_through(self, step: WorkflowStep) -> Iterator[tuple[int, str]]:
        """All outputs that a step takes, also those that reach it through a review."""
        by_index = {one.index: one for one in self.steps}
        waiting, seen = list(step.sources), set[tuple[int, str]]()
        while waiting:
            source = waiting.pop()
            if source in seen:
                continue
            seen.add(source)
            yield source
            maker = by_index.get(source[0])
            if maker is not None and maker.is_review:
                waiting += maker.sources

    def downstream(self, step: int) -> frozenset[int]:
        """Return the steps that need what this step or input gives, at any distance."""
        found = {step}
        grows = True
        while grows:
            more = {one.index for one in self.steps if any(index in found for index, _ in one.sources)} - found
            found |= more
            grows = bool(more)
        return frozenset(found - {step})

    def digest(self) -> dict[str, Any]:
        """Return a small summary that JSON can hold and `workflow_changes.differences` compares."""
        return digest(self.inputs, self.steps, name=self.name)


def digest(inputs: tuple[WorkflowInput, ...], steps: tuple[WorkflowStep, ...], *, name: str = "") -> dict[str, Any]:
    """Return what is remembered of a workflow or subworkflow: of settings a hash only."""
    return {
        "name": name,
        "inputs": [
            {
                "uuid": one.uuid,
                "index": one.index,
                "label": one.label,
                "kind": one.kind,
                "type": one.type or one.collection_type,
                "optional": one.optional,
                "default": one.default,
                "extensions": list(one.extensions),
                "choices": list(one.choices),
            }
            for one in inputs
        ],
        "steps": [
            {
                "uuid": one.uuid,
                "index": one.index,
                "label": one.label,
                "type": one.type,
                "tool": one.tool_id,
                "version": one.tool_version,
                "settings": one.settings,
                "connections": {name: [list(link) for link in links] for name, links in one.connections.items()},
                "labels": dict(one.labels),
                "inside": dict(one.inside),
            }
            for one in steps
        ],
    }
