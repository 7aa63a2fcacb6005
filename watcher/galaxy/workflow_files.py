"""Workflow files as people keep them, `.ga` and gxformat2: read, marked with a uuid of their content, ready to send.

The uuid has to look like a version 4 one, because Galaxy 26.1.2 imports any other and then answers 500 to every request
for that workflow. Pure: asks nobody; `workflows.py` imports.
"""

from __future__ import annotations

import hashlib
import math
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from watcher.errors import PlanError

Json = dict[str, Any]
_PARAMETERS = {"int": "integer", "long": "integer", "string": "text", "double": "float"}
_COLLECTIONS = ("collection", "data_collection", "data_collection_input")
_DATASETS = ("data", "File", "data_input", "dataset")


def content_uuid(content: bytes) -> str:
    """Return the uuid that stands for exactly this content, in the form of a version 4 one."""
    return str(uuid.UUID(bytes=hashlib.sha256(content).digest()[:16], version=4))


def parse(content: bytes, name: str) -> Json:
    """Return what the file says; PlanError, naming it, when it is no workflow."""
    try:
        workflow = yaml.safe_load(content)  # JSON is YAML as well
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        line = getattr(getattr(error, "problem_mark", None), "line", None)
        place = f"{name}:{line + 1}" if line is not None else name
        raise PlanError(
            f"{place}: neither JSON nor YAML.", hint="Export the workflow from Galaxy once more."
        ) from error
    if not isinstance(workflow, dict) or not workflow.get("steps"):
        raise PlanError(f"{name} is no workflow: it has no steps.", hint="Name a .ga or gxformat2 file.")
    return workflow


def importable(workflow: Json, own_uuid: str) -> Json:
    """Return the request for a file: a .ga file as it is, gxformat2 as text; either with our uuid."""
    workflow = {**workflow, "uuid": own_uuid}
    if _is_text(workflow):
        return {"yaml_content": yaml.safe_dump(workflow, sort_keys=False, allow_unicode=True)}
    return workflow


def as_ga(workflow: Json) -> Json:
    """Return inputs and steps in the shape of a .ga file; of gxformat2 only what tells them apart, no connections
    between them.
    """
    if not _is_text(workflow):
        return workflow
    inputs = [_input(label, row) for label, row in _rows(workflow.get("inputs"))]
    steps = [_step(label, row) for label, row in _rows(workflow["steps"])]
    # Galaxy numbers them so as well.
    return {"steps": {str(index): {"id": index, **row} for index, row in enumerate([*inputs, *steps])}}


def in_order(steps: Mapping[str, Any]) -> list[Json]:
    """Return the steps of a .ga file as Galaxy will number them, connections included.

    It numbers them anew when it imports them: they are walked as they are drawn, nearest to the upper left first, where
    all places are told, and each comes as soon as all that it needs has come (`order_workflow_steps` in
    `galaxy/workflow/steps.py`; measured on 24.1.4, 25.0.4 and 26.1.2).
    """
    rows = sorted((dict(row) for row in steps.values()), key=lambda row: int(row["id"]))
    places = [row.get("position") for row in rows]
    known = [place for place in places if isinstance(place, Mapping) and "left" in place and "top" in place]
    if rows and len(known) == len(rows):
        left, top = min(place["left"] for place in known), min(place["top"] for place in known)
        rows.sort(key=lambda row: math.hypot(row["position"]["left"] - left, row["position"]["top"] - top))
    waiting = {int(row["id"]): {int(link["id"]) for link in _links(row) if "id" in link} for row in rows}
    walked = [step for step, needed in waiting.items() if not needed]
    for done in walked:
        freed = [step for step, needed in waiting.items() if done in needed and needed == {done}]
        waiting = {step: needed - {done} for step, needed in waiting.items()}
        walked += freed
    numbers = {step: number for number, step in enumerate(walked)}
    if len(numbers) < len(rows):
        return rows
    for row in rows:
        row["input_connections"] = {
            name: [_moved(link, numbers) for link in _as_list(links)]
            for name, links in (row.get("input_connections") or {}).items()
        }
        row["id"] = numbers[int(row["id"])]
    return sorted(rows, key=lambda row: int(row["id"]))


def _moved(link: Any, numbers: Mapping[int, int]) -> Any:
    if not isinstance(link, Mapping) or "id" not in link:
        return link
    return {**link, "id": numbers[int(link["id"])]}


def _as_list(links: Any) -> list[Any]:
    return links if isinstance(links, list) else [links]


def _links(row: Json) -> list[Mapping[str, Any]]:
    found = [link for links in (row.get("input_connections") or {}).values() for link in _as_list(links)]
    return [link for link in found if isinstance(link, Mapping)]


def _is_text(workflow: Mapping[str, Any]) -> bool:
    return workflow.get("class") == "GalaxyWorkflow"


def _rows(given: Any) -> Iterator[tuple[str, Json]]:
    """Yield label and row of what is a mapping by label, or a list whose members may tell theirs."""
    if isinstance(given, Mapping):
        for label, row in given.items():
            yield str(label), dict(row) if isinstance(row, Mapping) else {"type": row}
    for row in given if isinstance(given, list) else ():
        yield str(row.get("id") or row.get("label") or ""), dict(row)


def _input(label: str, row: Json) -> Json:
    kinds = row.get("type") or "data"
    kind = str(kinds if isinstance(kinds, str) else next((one for one in kinds if one != "null"), "data"))
    may_be_left_out = kind.endswith("?") or (isinstance(kinds, list) and "null" in kinds)
    kind = kind.removesuffix("?")
    state: Json = {"optional": bool(row.get("optional", may_be_left_out)), "default": row.get("default")}
    if kind in _COLLECTIONS:
        state["collection_type"] = row.get("collection_type")
        return {"label": label, "type": "data_collection_input", "tool_state": state}
    if kind in _DATASETS:
        return {"label": label, "type": "data_input", "tool_state": state}
    state["parameter_type"] = _PARAMETERS.get(kind, kind)
    return {"label": label, "type": "parameter_input", "tool_state": state}


def _step(label: str, row: Json) -> Json:
    step: Json = {
        "label": label,
        "type": row.get("type") or "tool",
        "tool_id": row.get("tool_id"),
        "tool_version": row.get("tool_version"),
        "tool_state": row.get("tool_state") or row.get("state"),
        "input_connections": dict(_rows(row.get("in"))),
    }
    inner = row.get("run")
    if inner is not None:
        step["type"] = "subworkflow"
        step["subworkflow"] = as_ga(inner) if isinstance(inner, dict) and inner.get("steps") else None
    return step
