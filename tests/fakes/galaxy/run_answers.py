"""The JSON shapes of workflows, invocations and jobs, key by key as Galaxy 26.1.2 gives them."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from typing import Any

from tests.fakes.galaxy.engine import FETCH_TOOL
from tests.fakes.galaxy.ids import encode
from tests.fakes.galaxy.state import Invocation, InvocationStep, Job, Step, Workflow, World
from tests.fakes.galaxy.tools import TOOLS, Tool

Json = dict[str, Any]
INPUT_KINDS = ("data_input", "data_collection_input", "parameter_input")


def stored_workflow(world: World, workflow: Workflow) -> Json:
    """Give a workflow as an import answers."""
    return {
        "model_class": "StoredWorkflow",
        "id": encode(workflow.number),
        "latest_workflow_id": workflow.row,
        "name": workflow.name,
        "create_time": workflow.create_time,
        "update_time": workflow.update_time,
        "published": False,
        "importable": False,
        "deleted": workflow.deleted,
        "hidden": workflow.hidden,
        "tags": workflow.tags,
        "latest_workflow_uuid": workflow.uuid,
        "creator_deleted": False,
        "annotations": [workflow.annotation] if workflow.annotation else [],
        "url": f"/api/workflows/{encode(workflow.number)}",
        "owner": world.users[workflow.user].username,
        "number_of_steps": len(workflow.steps),
    }


def listed_workflow(world: World, workflow: Workflow) -> Json:
    """Give a workflow as lists show it."""
    row = stored_workflow(world, workflow)
    return {
        **row,
        "latest_workflow_id": encode(workflow.number),
        "source_metadata": workflow.source,
        "show_in_tool_panel": False,
    }


def _step_answer(step: Step) -> Json:
    shown: Json = {
        "id": step.index,
        "annotation": None,
        "input_steps": {
            name: {"source_step": links[0][0], "step_output": links[0][1]} for name, links in step.connections.items()
        },
        "when": None,
        "tool_id": step.tool_id,
        "tool_uuid": None,
        "tool_version": step.tool_version,
        "tool_inputs": None if step.subworkflow else step.state,
        "type": step.kind,
    }
    if step.subworkflow:
        shown["workflow_id"] = encode(step.subworkflow.number)
    return shown


def workflow_detail(world: World, workflow: Workflow) -> Json:
    """Give a workflow with inputs and steps."""
    row = stored_workflow(world, workflow)
    del row["latest_workflow_id"]
    owner = world.users[workflow.user]
    return {
        **row,
        "annotations": None,
        "number_of_steps": None,
        "show_in_tool_panel": None,
        "annotation": workflow.annotation,
        "license": None,
        "version": workflow.version,
        "inputs": {
            str(step.index): {"label": step.label, "value": "", "uuid": step.uuid}
            for step in workflow.steps
            if step.kind in INPUT_KINDS
        },
        "creator": None,
        "doi": None,
        "steps": {str(step.index): _step_answer(step) for step in workflow.steps},
        "email_hash": hashlib.md5(owner.email.encode()).hexdigest(),
        "readme": None,
        "help": None,
        "slug": None,
        "source_metadata": workflow.source,
    }


def _input_answer(one: Any) -> Json:
    kinds = {"data": "data", "many": "data", "collection": "data_collection", "integer": "integer"}
    return {
        "name": one.name,
        "type": kinds.get(one.kind, "text"),
        "label": one.label,
        "argument": None,
        "help": "",
        "optional": False,
        "hidden": False,
        "value": one.default or None,
        **(
            {"extensions": list(one.extensions), "multiple": one.kind == "many"}
            if one.kind in ("data", "many", "collection")
            else {}
        ),
    }


def tool_answer(tool: Tool, *, io_details: bool = False) -> Json:
    """Give a tool."""
    shown: Json = {
        "model_class": "Tool",
        "id": tool.id,
        "name": tool.name,
        "version": tool.version,
        "description": "",
        "labels": [],
        "icon": None,
        "edam_operations": [],
        "edam_topics": [],
        "hidden": "",
        "is_workflow_compatible": True,
        "xrefs": [],
        "versions": [tool.version],
        "hidden_versions": [],
        "config_file": f"tools/{tool.id}.xml",
        "has_parameters": True,
        "panel_section_id": "demo",
        "panel_section_name": "Demo",
        "form_style": "regular",
    }
    if io_details:
        shown["inputs"] = [_input_answer(one) for one in tool.inputs]
        shown["outputs"] = [
            {
                "model_class": "ToolOutput",
                "name": one.name,
                "format": one.ext or "input",
                "label": one.label,
                "output_type": "data",
            }
            for one in tool.outputs
        ]
    return shown


def job_brief(world: World, job: Job) -> Json:
    """Give a job as the steps of an invocation show it."""
    return {
        "model_class": "Job",
        "id": encode(job.number),
        "history_id": encode(job.history),
        "tool_id": job.tool_id,
        "state": job.state,
        "exit_code": job.exit_code,
        "create_time": job.create_time,
        "update_time": job.update_time,
        "galaxy_version": world.behaviour.major,
    }


def job_row(world: World, job: Job) -> Json:
    """Give a job as lists show it."""
    started = job.state in ("running", "ok", "error") and not (job.state == "error" and job.exit_code is None)
    shown = started and world.users[job.user].is_admin
    return {
        **job_brief(world, job),
        "external_id": str(1000 + job.number) if shown else None,
        "handler": None,
        "job_runner_name": None,
        "command_line": f"run {job.tool_id}" if shown else None,
        "user_email": None,
        "user_id": None,
    }


def job_detail(world: World, job: Job, *, full: bool) -> Json:
    """Give a job with parameters, inputs and outputs; `full` adds what it wrote."""

    def member(number: int) -> Json:
        return {"id": encode(number), "src": "hda", "uuid": world.datasets[number].file.uuid}

    params = {
        name: json.dumps(value if isinstance(value, dict | bool) else str(value)) for name, value in job.params.items()
    }
    if job.tool_id == FETCH_TOOL:
        leaves = [leaf for _, leaf, _, _ in job.request.get("items", [])]
        request = {"targets": [{"destination": {"type": "hdas"}, "elements": leaves}], "check_content": True}
        params |= {
            "request_version": json.dumps("1"),
            "request_json": json.dumps(json.dumps(request)),
            "file_count": json.dumps(str(len(leaves))),
            "files": "[]",
            "paramfile": "null",
        }
    if job.invocation and not job.is_by_hand:  # one that took a place in an invocation does not tell either
        params["__workflow_invocation_uuid__"] = json.dumps(world.invocations[job.invocation].uuid.replace("-", ""))
    if job.tool_id != FETCH_TOOL:
        params |= {"chromInfo": '"?.len"', "dbkey": '"?"', "__input_ext": '"input"'}
    inputs = {}
    for name, numbers in job.inputs.items():
        for index, number in enumerate(numbers):
            inputs[name if index == 0 else f"{name}{index + 1}"] = member(number)
    shown = {
        **job_row(world, job),
        "user_id": encode(job.user),
        "command_version": None,
        "params": params,
        "inputs": inputs,
        "outputs": {name: member(number) for name, number in job.outputs.items()},
        "copied_from_job_id": None,
        "output_collections": {name: {"src": "hdca", "id": encode(n)} for name, n in job.output_collections.items()},
    }
    if not full:
        return shown
    admin = world.users[job.user].is_admin
    paused = job.state == "paused"
    written = "" if job.exit_code is not None else None
    return {
        **shown,
        "user_email": world.users[job.user].email if admin else None,
        "tool_stdout": None if paused else job.stdout,
        "tool_stderr": None if paused else job.stderr,
        "job_stdout": written,
        "job_stderr": written,
        "stdout": job.stdout,
        "stderr": job.stderr,
        "job_messages": [] if job.state == "ok" or job.exit_code is not None else None,
        "dependencies": [],
        "job_metrics": [] if admin else None,
    }


def job_counts(world: World, invocation: Invocation) -> Json:
    """Give the job counts of an invocation; before 26.0 those of subworkflows are missing."""
    jobs = world.jobs_of(invocation, nested=world.behaviour.outer_counts_nested)
    populated = "ok"
    if invocation.state in ("cancelled", "cancelling", "failed"):
        populated = "failed"
    elif invocation.state in ("new", "ready"):
        populated = "new"
    return {
        "id": encode(invocation.number),
        "states": dict(Counter(job.state for job in jobs)),
        "populated_state": populated,
        "model": "WorkflowInvocation",
    }


def step_counts(world: World, invocation: Invocation) -> list[Json]:
    """Give the job counts of each step, those of subworkflows in between."""
    rows: list[Json] = []
    for step in invocation.steps:
        if step.nested is not None:
            rows += step_counts(world, world.invocations[step.nested])
        elif step.jobs or step.map_jobs:
            states = dict(Counter(world.jobs[number].state for number in step.jobs))
            number, model = (step.map_jobs, "ImplicitCollectionJobs") if step.map_jobs else (step.jobs[0], "Job")
            rows.append({"id": encode(number), "states": states, "populated_state": "ok", "model": model})
    return rows


def invocation_brief(world: World, invocation: Invocation) -> Json:
    """Give an invocation as lists show it."""
    shown: Json = {
        "model_class": "WorkflowInvocation",
        "id": encode(invocation.number),
        "create_time": invocation.create_time,
        "update_time": invocation.update_time,
        "workflow_id": encode(invocation.workflow.row),
        "history_id": encode(invocation.history),
        "uuid": invocation.uuid,
        "state": invocation.state,
    }
    if world.behaviour.completed_state:
        shown |= {"landing_uuid": None, "on_complete": None}
    return shown


def _step_run(world: World, step: InvocationStep, *, details: bool) -> Json:
    def members(source: str) -> Json:
        if not details:
            return {}
        return {
            name: {
                "src": kind,
                "id": encode(number),
                **({"uuid": world.datasets[number].file.uuid} if kind == "hda" else {}),
            }
            for name, (kind, number) in step.outputs.items()
            if kind == source
        }

    single = step.jobs[0] if step.jobs and not step.map_jobs else None
    return {
        "model_class": "WorkflowInvocationStep",
        "id": encode(step.number),
        "update_time": step.update_time,
        "job_id": encode(single) if single else None,
        "workflow_step_id": encode(step.step.number),
        "subworkflow_invocation_id": encode(step.nested) if step.nested else None,
        "state": step.state,
        "action": step.action,
        "order_index": step.step.index,
        "workflow_step_label": step.step.label,
        "workflow_step_uuid": step.step.uuid,
        "outputs": members("hda"),
        "output_collections": members("hdca"),
        "jobs": [job_brief(world, world.jobs[number]) for number in step.jobs] if details else [],
        "implicit_collection_jobs_id": encode(step.map_jobs) if step.map_jobs else None,
    }


def invocation_detail(world: World, invocation: Invocation, *, step_details: bool = False) -> Json:
    """Give an invocation with steps, inputs, outputs and messages."""
    steps = {step.index: step for step in invocation.workflow.steps}

    def outputs(source: str) -> Json:
        return {
            label: {"id": encode(number), "workflow_step_id": encode(step), "src": kind}
            for label, (kind, number, step) in invocation.outputs.items()
            if kind == source
        }

    return {
        **invocation_brief(world, invocation),
        "steps": [_step_run(world, step, details=step_details) for step in invocation.steps],
        "inputs": {
            str(index): {
                "id": encode(number),
                "workflow_step_id": encode(steps[index].number),
                "label": steps[index].label,
                "src": kind,
            }
            for index, (kind, number) in sorted(invocation.inputs.items())
        },
        "input_step_parameters": {
            str(steps[index].label): {
                "parameter_value": value,
                "label": steps[index].label,
                "workflow_step_id": encode(steps[index].number),
            }
            for index, value in sorted(invocation.params.items())
        },
        "outputs": outputs("hda"),
        "output_collections": outputs("hdca"),
        "output_values": {},
        "messages": invocation.messages,
    }


def known_tool(tool_id: str | None) -> Tool | None:
    """Find a tool by id."""
    return TOOLS.get(tool_id or "")
