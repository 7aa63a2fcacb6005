"""Reads workflows as people write them, `.ga` and gxformat2 YAML, into the rows of `state.py`.

gxformat2 is first rewritten as `.ga`, so there is one reader. Only what the tools of this server need is understood.
"""

from __future__ import annotations

import json
import uuid
from typing import Any

import yaml

from tests.fakes.galaxy.account_state import User
from tests.fakes.galaxy.state import Step, Workflow, World
from tests.fakes.galaxy.web import Refusal

Json = dict[str, Any]
CONNECTED = {"__class__": "ConnectedValue"}
_PARAMETER_TYPES = {
    "int": "integer",
    "integer": "integer",
    "text": "text",
    "string": "text",
    "float": "float",
    "boolean": "boolean",
}


def _by_label(rows: Any, key: str) -> list[tuple[str, Json]]:
    """Take a mapping by label, or a list whose members carry their label."""
    if isinstance(rows, dict):
        return [(str(label), row if isinstance(row, dict) else {"type": row}) for label, row in rows.items()]
    return [(str(row.get("id") or row.get("label") or f"{key}{index}"), row) for index, row in enumerate(rows or [])]


def _input_step(index: int, label: str, row: Json) -> Json:
    kind = str(row.get("type") or "data").removesuffix("?")
    state: Json = {"optional": bool(row.get("optional", str(row.get("type") or "").endswith("?")))}
    step: Json = {
        "id": index,
        "label": label,
        "input_connections": {},
        "workflow_outputs": [],
        "uuid": str(uuid.uuid4()),
    }
    step["inputs"] = [{"description": "", "name": label}]
    if kind in _PARAMETER_TYPES:
        state["parameter_type"] = _PARAMETER_TYPES[kind]
        if "default" in row:
            state |= {"default": row["default"], "optional": True}
        return {**step, "type": "parameter_input", "name": "Input parameter", "tool_state": json.dumps(state)}
    formats = row.get("format")
    if formats:
        state["format"] = [formats] if isinstance(formats, str) else list(formats)
    state["tag"] = None
    if kind in ("collection", "data_collection", "data_collection_input"):
        state["collection_type"] = row.get("collection_type") or "list"
        return {
            **step,
            "type": "data_collection_input",
            "name": "Input dataset collection",
            "tool_state": json.dumps(state),
        }
    return {**step, "type": "data_input", "name": "Input dataset", "tool_state": json.dumps(state)}


def _sources(value: Any) -> list[str]:
    source = value.get("source") if isinstance(value, dict) else value
    return [str(one) for one in source] if isinstance(source, list) else [str(source)]


def _tool_step(index: int, label: str, row: Json, places: dict[str, int]) -> Json:
    connections: Json = {}
    state: Json = dict(row.get("state") or row.get("tool_state") or {})
    for name, value in dict(row.get("in") or {}).items():
        if isinstance(value, dict) and "default" in value and "source" not in value:
            state[name] = value["default"]
            continue
        links = []
        for source in _sources(value):
            head, _, output = source.partition("/")
            links.append({"id": places[head], "output_name": output or "output"})
        connections[name] = links[0] if len(links) == 1 else links
        state[name] = CONNECTED
    step: Json = {
        "id": index,
        "label": label,
        "name": row.get("label") or label,
        "input_connections": connections,
        "workflow_outputs": [],
        "uuid": str(uuid.uuid4()),
    }
    if "run" in row:
        return {**step, "type": "subworkflow", "subworkflow": from_yaml(row["run"])}
    return {
        **step,
        "type": "tool",
        "tool_id": row.get("tool_id"),
        "tool_version": row.get("tool_version") or "1.0",
        "tool_state": json.dumps({**state, "__page__": 0, "__rerun_remap_job_id__": None}),
    }


def from_yaml(document: Json) -> Json:
    """Rewrite a gxformat2 document as `.ga`."""
    inputs = _by_label(document.get("inputs"), "input")
    steps = _by_label(document.get("steps"), "step")
    places = {label: index for index, (label, _) in enumerate([*inputs, *steps])}
    rows = [_input_step(places[label], label, row) for label, row in inputs]
    rows += [_tool_step(places[label], label, row, places) for label, row in steps]
    for label, row in _by_label(document.get("outputs"), "output"):
        head, _, output = str(row.get("outputSource") or row.get("type")).partition("/")
        rows[places[head]]["workflow_outputs"].append(
            {"label": label, "output_name": output, "uuid": str(uuid.uuid4())}
        )
    return {
        "a_galaxy_workflow": "true",
        "format-version": "0.1",
        "name": document.get("label") or document.get("name") or "Workflow",
        "annotation": document.get("doc") or "",
        "uuid": document.get("uuid") or str(uuid.uuid4()),
        "tags": list(document.get("tags") or []),
        "steps": {str(row["id"]): row for row in rows},
    }


def _uuid4(text: Any) -> str:
    if not text:
        return str(uuid.uuid4())
    try:
        known = uuid.UUID(str(text))
    except ValueError as problem:
        raise Refusal(400, 400004, f"Invalid step UUID4 '{text}' in request.") from problem
    if known.version != 4:
        raise Refusal(400, 400004, f"Invalid step UUID4 '{text}' in request.")
    return str(known)


def _state(row: Json) -> Json:
    given = row.get("tool_state") or {}
    state: Json = json.loads(given) if isinstance(given, str) else dict(given)
    kind = row.get("type")
    if kind == "data_collection_input":
        return {"column_definitions": None, "fields": None, "optional": False, "tag": None, **state}
    if kind == "data_input":
        return {"optional": False, "tag": None, **state}
    if kind == "parameter_input":
        return {"validators": [], **state}
    if kind == "tool":
        return {"__page__": 0, "__rerun_remap_job_id__": None, **state}
    return state


def _connections(row: Json) -> dict[str, list[tuple[int, str]]]:
    found = {}
    for name, links in dict(row.get("input_connections") or {}).items():
        many = links if isinstance(links, list) else [links]
        found[str(name)] = [(int(link["id"]), str(link.get("output_name") or "output")) for link in many]
    return found


def _step(world: World, user: User, index: int, row: Json) -> Step:
    step = Step(
        number=world.next_number("step"),
        index=index,
        kind=str(row["type"]),
        label=row.get("label") or _input_name(row),
        uuid=_uuid4(row.get("uuid")),
        tool_id=row.get("tool_id"),
        tool_version=row.get("tool_version"),
        state=_state(row),
        connections=_connections(row),
        output_labels={
            str(output["output_name"]): str(output["label"])
            for output in row.get("workflow_outputs") or []
            if output.get("label")
        },
    )
    if step.kind == "subworkflow":
        step.subworkflow = read_workflow(world, user, dict(row["subworkflow"]), nested=True)
    return step


def _input_name(row: Json) -> str | None:
    """Old workflows name their inputs in the tool state instead of by label."""
    if row.get("type") in ("data_input", "data_collection_input", "parameter_input"):
        name = _state(row).get("name")
        return str(name) if name else None
    return None


def read_workflow(world: World, user: User, document: Json, *, nested: bool = False) -> Workflow:
    """Make a workflow of what was sent; the same document twice makes two of one name and uuid."""
    if "yaml_content" in document:
        document = from_yaml(yaml.safe_load(document["yaml_content"]))
    elif document.get("class") == "GalaxyWorkflow":
        document = from_yaml(document)
    if not isinstance(document.get("steps"), dict):
        raise Refusal(500, 0, "Uncaught exception in exposed API method:")
    number = world.next_number("workflow_version")
    steps = [
        _step(world, user, int(index), row)
        for index, row in sorted(document["steps"].items(), key=lambda item: int(item[0]))
    ]
    workflow = Workflow(
        number=number if nested else world.next_number("workflow"),
        user=user.number,
        name=str(document.get("name") or "Workflow"),
        uuid=_uuid4(document.get("uuid")),
        steps=steps,
        annotation=document.get("annotation") or None,
        tags=[str(tag) for tag in document.get("tags") or []],
        definition=document,
        version_number=number,
    )
    rows = world.subworkflows if nested else world.workflows
    rows[workflow.number] = workflow
    return workflow
