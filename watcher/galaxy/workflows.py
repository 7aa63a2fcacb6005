"""Workflows: found by id, exact name or file, and read for what they want.

A file is imported once: it gets a uuid made from its content, by which it is found again. What a file holds is told by
`workflow_files.py`. `bind.py` checks values against what is read here; `invocations.py` starts.
"""

from __future__ import annotations

import difflib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from pydantic import ValidationError

from watcher.errors import NotThere, PlanError, Refused
from watcher.galaxy.answers import Answer, Text
from watcher.galaxy.http import Http, Params
from watcher.galaxy.workflow_files import as_ga, content_uuid, importable, parse
from watcher.model import WorkflowId

PAGE = 100
INPUT_KINDS = {"data_input": "dataset", "data_collection_input": "collection", "parameter_input": "parameter"}


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


@dataclass(frozen=True, slots=True)
class WorkflowStep:
    """A step that is no input; `index` counts from 0 as in the workflow file.

    `parameters` are the names that the workflow sets, `types` those that the tool knows, with Galaxy's type;
    repeats are counted as their first one (`repeat_0|name`). `options` are what a select with a fixed list takes, and
    the value each stands for; `multiple` names the parameters that take a list.
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


@dataclass(frozen=True, slots=True)
class WorkflowFacts:
    """What a workflow wants and gives; `tools` are id and version of all tools, those of subworkflows as well.

    `missing` are the tools among them that Galaxy does not have.
    """

    id: WorkflowId
    name: str
    uuid: str
    version: int | None
    inputs: tuple[WorkflowInput, ...]
    steps: tuple[WorkflowStep, ...]
    outputs: tuple[str, ...] = ()
    tools: tuple[tuple[str, str], ...] = ()
    missing: tuple[tuple[str, str], ...] = ()


class _Row(Answer):
    id: WorkflowId
    name: str
    uuid: Text = ""
    latest_workflow_uuid: Text = ""
    version: int | None = None
    deleted: bool = False

    def ref(self) -> WorkflowRef:
        return WorkflowRef(self.id, self.name, self.latest_workflow_uuid, self.version)


class Workflows:
    """Workflows that the account may use."""

    def __init__(self, http: Http) -> None:
        self._http = http

    async def find(self, *, id: str = "", name: str = "") -> WorkflowRef:
        """Return the workflow with this id or exactly this name; raises PlanError when there is none or more than
        one.
        """
        if id:
            return await self._by_id(id)
        rows = await self._rows()
        named = [row for row in rows if row.name == name]
        if len(named) == 1:
            return named[0].ref()
        if named:
            ids = ", ".join(row.id for row in named)
            raise PlanError(
                f"{len(named)} workflows are called “{name}”.",
                hint=f"Write the id of the one you mean: {ids}; or rename one.",
            )
        near = difflib.get_close_matches(name, [row.name for row in rows], n=1)
        raise PlanError(
            f"No workflow of this account is called “{name}”.",
            hint=f"Did you mean “{near[0]}”?" if near else "Import it in Galaxy, or give the account access to it.",
        )

    async def imported(self, content: bytes) -> WorkflowRef | None:
        """Return the workflow that was made from exactly this file, and not changed in Galaxy since, or None."""
        ours = content_uuid(content)
        known = [row for row in await self._rows() if row.latest_workflow_uuid == ours]
        return min(known, key=lambda row: row.id).ref() if known else None

    async def import_file(self, content: bytes, name: str) -> WorkflowRef:
        """Return the workflow made from this file (.ga or gxformat2), imported now or earlier; `name` is the file's,
        for messages.

        Raises PlanError for a file that is no workflow, AnswerLost when it may have been imported: `imported` finds it
        once it is there, which may be later.
        """
        json = {"workflow": importable(parse(content, name), content_uuid(content))}
        if known := await self.imported(content):
            return known
        try:
            return (await self._http.post("/api/workflows", "import a workflow", _Row, json=json)).ref()
        except Refused as error:
            raise PlanError(f"Galaxy does not take the workflow in {name}: {error.message}", hint=error.hint) from error

    async def read(self, workflow: WorkflowId) -> WorkflowFacts:
        """Return what the newest version of the workflow wants and gives; raises PlanError when it is not there."""
        ref = await self._by_id(workflow)
        path = f"/api/workflows/{quote(workflow)}/download"
        return await self._facts(ref, (await self._http.get(path, "read a workflow", _Downloaded)).ordered())

    async def read_file(self, content: bytes, name: str) -> WorkflowFacts:
        """Return what a workflow file wants and gives before it is imported; `missing` is asked of Galaxy.

        Raises PlanError for a file that is no workflow.
        """
        document = parse(content, name)
        try:
            steps = _Downloaded.model_validate(as_ga(document)).ordered()
        except (ValidationError, AttributeError, TypeError, ValueError) as error:
            raise PlanError(
                f"{name} is no workflow: its steps are not as Galaxy writes them.",
                hint="Export the workflow from Galaxy once more.",
            ) from error
        title = str(document.get("label") or document.get("name") or name)
        ref = WorkflowRef(WorkflowId(""), title, content_uuid(content))
        return await self._facts(ref, [_labelled(step) for step in steps])

    async def _facts(self, ref: WorkflowRef, steps: list[_DownloadedStep]) -> WorkflowFacts:
        tools = tuple(dict.fromkeys(_tools(steps)))
        declared = {tool: await self._declared(*tool) for tool in tools}
        return WorkflowFacts(
            id=ref.id,
            name=ref.name,
            uuid=ref.uuid,
            version=ref.version,
            inputs=tuple(_input(step) for step in steps if step.type in INPUT_KINDS),
            steps=tuple(
                _step(step, declared.get((step.tool_id, step.tool_version)) or {})
                for step in steps
                if step.type not in INPUT_KINDS
            ),
            outputs=tuple(output.label for step in steps for output in step.workflow_outputs if output.label),
            tools=tools,
            missing=tuple(tool for tool in tools if declared[tool] is None),
        )

    async def missing_tools(self, facts: WorkflowFacts) -> list[str]:
        """Return the tools that Galaxy does not have, as "id (version)"; it runs another version of a tool it has."""
        return [f"{tool_id} ({version})" if version else tool_id for tool_id, version in facts.missing]

    async def _declared(self, tool_id: str, version: str) -> Mapping[str, list[_Parameter]] | None:
        """Return what a tool says of its parameters by name, None when Galaxy does not have the tool."""
        params: Params = {"io_details": True, **({"tool_version": version} if version else {})}
        try:
            tool = await self._http.get(f"/api/tools/{quote(tool_id)}", "look for a tool", _Tool, params=params)
        except NotThere:
            return None
        declared: dict[str, list[_Parameter]] = defaultdict(list)
        for name, one in _flat(tool.inputs):
            declared[name].append(one)
        return declared

    async def delete(self, workflow: WorkflowId) -> None:
        """Delete the workflow; invocations of it stay."""
        await self._http.delete(f"/api/workflows/{quote(workflow)}", "delete a workflow")

    async def _by_id(self, id: str) -> WorkflowRef:
        try:
            row = await self._http.get(f"/api/workflows/{quote(id, safe='')}", "read a workflow", _Row)
        except (NotThere, Refused) as error:
            raise PlanError(
                f"There is no workflow with the id {id} in this Galaxy.",
                hint="Ids differ between servers; a name may be easier.",
            ) from error
        if row.deleted:
            raise PlanError(
                f"The workflow “{row.name}” ({id}) is deleted.", hint="Undelete it in Galaxy, or name another one."
            )
        return row.ref()

    async def _rows(self) -> list[_Row]:
        rows: list[_Row] = []
        while True:
            params: Params = {"limit": PAGE, "offset": len(rows), "skip_step_counts": True}
            page = await self._http.get("/api/workflows", "list workflows", list[_Row], params=params)
            rows.extend(page)
            if len(page) < PAGE:
                return [row for row in rows if not row.deleted]


class _Output(Answer):
    label: Text = ""


class _DownloadedStep(Answer):
    id: int
    type: str
    label: Text = ""
    tool_id: Text = ""
    tool_version: Text = ""
    tool_state: Any = None
    input_connections: Mapping[str, Any] = {}
    workflow_outputs: tuple[_Output, ...] = ()
    subworkflow: _Downloaded | None = None

    def state(self) -> dict[str, Any]:
        """The step's settings; old files hold JSON inside JSON."""
        state = _plain(self.tool_state)
        return {key: _plain(value) for key, value in state.items()} if isinstance(state, dict) else {}


class _Downloaded(Answer):
    steps: Mapping[str, _DownloadedStep]

    def ordered(self) -> list[_DownloadedStep]:
        return sorted(self.steps.values(), key=lambda step: step.id)


def _labelled(step: _DownloadedStep) -> _DownloadedStep:
    """Old files name an input in its settings; Galaxy makes a label of it when it imports them."""
    if step.label or step.type not in INPUT_KINDS:
        return step
    return step.model_copy(update={"label": str(step.state().get("name") or "")})


def _plain(value: Any) -> Any:
    if not isinstance(value, str) or value[:1] not in ('"', "{", "["):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def _input(step: _DownloadedStep) -> WorkflowInput:
    state = step.state()
    extensions = state.get("format") or ()
    default = state.get("default")
    return WorkflowInput(
        label=step.label,
        index=step.id,
        kind=INPUT_KINDS[step.type],
        type=str(state.get("parameter_type") or ""),
        collection_type=str(state.get("collection_type") or ""),
        optional=str(state.get("optional", False)).lower() == "true",
        default=default,
        has_default=default is not None,
        extensions=tuple(extensions.split(",") if isinstance(extensions, str) else extensions),
        choices=tuple(_choice(choice) for choice in state.get("restrictions") or ()),
        multiple=str(state.get("multiple", False)).lower() == "true",
    )


def _choice(choice: Any) -> str:
    return str(choice.get("value")) if isinstance(choice, dict) else str(choice)


def _step(step: _DownloadedStep, declared: Mapping[str, Sequence[_Parameter]]) -> WorkflowStep:
    names = dict.fromkeys([*_names(step.state()), *step.input_connections])
    return WorkflowStep(
        index=step.id,
        label=step.label,
        type=step.type,
        tool_id=step.tool_id,
        tool_version=step.tool_version,
        parameters=tuple(names),
        # What the cases of a conditional declare differently is of no known type.
        types={name: them[0].type if len({one.type for one in them}) == 1 else "" for name, them in declared.items()},
        options={name: _options(them) for name, them in declared.items() if all(one.has_fixed_list for one in them)},
        multiple=frozenset(name for name, them in declared.items() if any(one.is_multiple for one in them)),
    )


def _options(them: Sequence[_Parameter]) -> dict[str, str]:
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


def _tools(steps: list[_DownloadedStep]) -> Iterator[tuple[str, str]]:
    for step in steps:
        if step.tool_id and step.type == "tool":
            yield step.tool_id, step.tool_version
        if step.subworkflow is not None:
            yield from _tools(step.subworkflow.ordered())


class _Case(Answer):
    inputs: tuple[_Parameter, ...] = ()


class _Parameter(Answer):
    name: Text = ""
    type: Text = ""
    inputs: tuple[_Parameter, ...] = ()
    test_param: _Parameter | None = None
    cases: tuple[_Case, ...] = ()
    multiple: Any = False
    is_dynamic: Any = False
    options: Any = ()

    @property
    def is_multiple(self) -> bool:
        """Whether it takes a list of values."""
        return str(self.multiple).lower() == "true"

    @property
    def has_fixed_list(self) -> bool:
        """Whether it is a select whose options, `[label, value, selected]`, do not depend on data or other values."""
        is_list = isinstance(self.options, list) and all(isinstance(row, list) and len(row) > 1 for row in self.options)
        return self.type == "select" and not self.is_dynamic and is_list and bool(self.options)


class _Tool(Answer):
    inputs: tuple[_Parameter, ...] = ()


def _flat(parameters: Iterable[_Parameter], above: str = "") -> Iterator[tuple[str, _Parameter]]:
    """Flatten a tool's parameters, named as Galaxy takes them; the cases of a conditional may repeat a name."""
    for one in parameters:
        name = above + one.name
        if one.type == "conditional" and one.test_param is not None:
            yield f"{name}|{one.test_param.name}", one.test_param
            for case in one.cases:
                yield from _flat(case.inputs, f"{name}|")
        elif one.type in ("section", "repeat"):
            yield from _flat(one.inputs, f"{name}_0|" if one.type == "repeat" else f"{name}|")
        else:
            yield name, one
