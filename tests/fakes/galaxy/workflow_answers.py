"""A workflow as Galaxy gives it to be read, `.ga` style, and the form it is run with.

Both as measured on 24.1.4, 25.0.4 and 26.1.2, which answer alike here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tests.fakes.galaxy.ids import encode
from tests.fakes.galaxy.run_answers import known_tool
from tests.fakes.galaxy.state import History, Step, Workflow, World
from tests.fakes.galaxy.tools import Tool
from tests.fakes.galaxy.web import Refusal

Json = dict[str, Any]
NAMES = {
    "data_input": "Input dataset",
    "data_collection_input": "Input dataset collection",
    "parameter_input": "Input parameter",
    "pause": "Pause for dataset review",
}


def downloaded(workflow: Workflow) -> Json:
    """Give a workflow as a file."""
    rows = workflow.definition["steps"]
    return {
        "a_galaxy_workflow": "true",
        "annotation": workflow.annotation or "",
        "comments": [],
        "format-version": "0.1",
        "name": workflow.name,
        "steps": {str(step.index): _step(step, rows[str(step.index)]) for step in workflow.steps},
        "tags": workflow.tags,
        "uuid": workflow.uuid,
    }


def _links(links: list[tuple[int, str]]) -> Json | list[Json]:
    rows = [{"id": index, "output_name": name} for index, name in links]
    return rows[0] if len(rows) == 1 else rows


def _step(step: Step, row: Json) -> Json:
    tool = known_tool(step.tool_id)
    shown: Json = {
        "annotation": row.get("annotation") or "",
        "id": step.index,
        "input_connections": {name: _links(links) for name, links in step.connections.items()},
        "inputs": [{"description": "", "name": step.label}] if step.label and step.kind != "tool" else [],
        "label": step.label,
        "name": NAMES.get(step.kind) or (tool.name if tool else step.tool_id or row.get("name")),
        "outputs": [],
        "position": row.get("position"),
        "tool_id": step.tool_id,
        "type": step.kind,
        "uuid": step.uuid,
        "when": None,
        "workflow_outputs": [
            {"label": output.get("label"), "output_name": output["output_name"], "uuid": output.get("uuid")}
            for output in row.get("workflow_outputs") or []
        ],
    }
    if step.subworkflow is not None:
        return {**shown, "subworkflow": downloaded(step.subworkflow)}
    shown |= {
        "content_id": step.tool_id,
        "errors": None,
        "tool_state": json.dumps(step.state),
        "tool_version": step.tool_version,
    }
    if step.kind == "tool":
        shown["post_job_actions"] = row.get("post_job_actions") or {}
        shown["outputs"] = [{"name": one.name, "type": one.ext or "input"} for one in tool.outputs] if tool else []
        shown["errors"] = None if tool else "Tool is not installed"
    return shown


def run_form(world: World, workflow: Workflow, history: History) -> Json:
    """Give the form a workflow is run with; it is refused over a missing tool and over a step of a subworkflow."""
    missing = list(dict.fromkeys(_missing(workflow)))
    if missing:
        raise Refusal(400, 0, f"Following tools missing: {', '.join(missing)}")
    for step in workflow.steps:
        if step.subworkflow is not None:
            _refuse_corrections(step.subworkflow)
    steps = [_form_step(step) for step in workflow.steps]
    return {
        "id": encode(workflow.number),
        "name": workflow.name,
        "owner": world.users[workflow.user].username,
        "history_id": encode(history.number),
        "steps": steps,
        "step_version_changes": list(_version_changes(workflow)),
        "has_upgrade_messages": any("messages" in step for step in steps),
    }


def _form_step(step: Step) -> Json:
    shown: Json = {"step_type": step.kind, "step_label": step.label, "step_index": step.index}
    tool = known_tool(step.tool_id)
    if tool is None:
        shown["step_name"] = NAMES.get(step.kind) or (step.subworkflow.name if step.subworkflow else "")
        return shown
    shown |= {"step_name": tool.name, "id": tool.id, "version": tool.version}
    messages = _corrections(step, tool)
    return {**shown, "messages": messages} if messages else shown


def _corrections(step: Step, tool: Tool) -> Json:
    """Tell which parameters have no value, or one that is no number."""
    told = {}
    for one in tool.inputs:
        if one.kind not in ("integer", "text") or one.name in step.connections:
            continue
        value = step.state.get(one.name)
        if value is None:
            told[one.name] = f"No value found for '{one.label}'. Using default: '{one.default}'."
        elif one.kind == "integer" and not str(value).lstrip("-").isdigit():
            problem = f"Parameter '{one.name}': an integer or workflow parameter is required"
            told[one.name] = f"{problem} Using default: '{one.default}'."
    return told


def _refuse_corrections(workflow: Workflow) -> None:
    for step in workflow.steps:
        tool = known_tool(step.tool_id)
        if step.subworkflow is not None:
            _refuse_corrections(step.subworkflow)
        elif tool is not None and (messages := _corrections(step, tool)):
            raise Refusal(400, 0, "Workflow step has upgrade messages", err_data={str(step.index): messages})


def _missing(workflow: Workflow) -> Iterator[str]:
    for step in workflow.steps:
        if step.subworkflow is not None:
            yield from _missing(step.subworkflow)
        elif step.kind == "tool" and known_tool(step.tool_id) is None:
            yield str(step.tool_id)


def _version_changes(workflow: Workflow) -> Iterator[str]:
    for step in workflow.steps:
        tool = known_tool(step.tool_id)
        if step.subworkflow is not None:
            yield from _version_changes(step.subworkflow)
        elif tool is not None and step.tool_version and step.tool_version != tool.version:
            yield (
                f"<span title=\"tool id '{tool.id}'\">Using version '{tool.version}' instead of version "
                f"'{step.tool_version}' specified in this workflow. "
            )
