"""Routes of invocations."""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse, PlainTextResponse, Response

from tests.fakes.galaxy.filters import page
from tests.fakes.galaxy.ids import decode
from tests.fakes.galaxy.run_answers import (
    invocation_brief,
    invocation_detail,
    job_counts,
    known_tool,
    step_counts,
)
from tests.fakes.galaxy.schedule import Scheduler, copied_in
from tests.fakes.galaxy.state import Invocation, Step, Workflow
from tests.fakes.galaxy.web import Call, Refusal, invalid, not_found_page, route
from tests.fakes.galaxy.workflows import asked_version

Json = dict[str, Any]
BY = ("step_id", "step_index", "step_uuid", "name")
DATA_KINDS = ("data_input", "data_collection_input")


def _find_step(workflow: Workflow, key: str, by: str) -> Step | None:
    for step in workflow.steps:
        names = {"step_index": str(step.index), "step_uuid": step.uuid, "step_id": str(step.number), "name": step.label}
        if any(names[kind] == key for kind in by.split("|")):
            return step
    return None


def _read_inputs(call: Call, workflow: Workflow, invocation: Invocation) -> None:
    by = str(call.body.get("inputs_by") or "step_id|step_uuid")
    if any(kind not in BY for kind in by.split("|")):
        raise invalid(f"Value error, Invalid inputsBy delineation {by}", ("body", "inputs_by"), by)
    history = call.world.histories[invocation.history]
    for key, value in dict(call.body.get("inputs") or {}).items():
        step = _find_step(workflow, str(key), by)
        if step is None:
            continue
        if step.kind == "parameter_input":
            invocation.params[step.index] = value
            continue
        if step.kind not in DATA_KINDS:
            continue
        if not isinstance(value, dict) or value.get("src") not in ("hda", "hdca"):
            raise invalid(
                "Input should be a valid dictionary or object to extract fields from", ("DataRequestHda",), value
            )
        number = decode(str(value.get("id")))
        if number is None:
            raise Refusal(400, 400009, f"Wrong  id ( {value.get('id')} ) specified, unable to decode.")
        if value["src"] == "hda":
            member = ("hda", call.dataset(value["id"]).number)
        else:
            member = ("hdca", call.collection(value["id"]).number)
        invocation.inputs[step.index] = copied_in(call.world, member, history)


def _check_inputs(workflow: Workflow, invocation: Invocation) -> None:
    for step in workflow.steps:
        given = step.index in invocation.inputs or step.index in invocation.params
        is_input = step.kind in (*DATA_KINDS, "parameter_input")
        if is_input and not given and not step.state.get("optional") and "default" not in step.state:
            place = f"input step '{step.number}' ({step.label})"
            raise Refusal(400, 0, f"Workflow cannot be run because {place} is not optional and no input provided.")


def _missing_tools(workflow: Workflow) -> list[str]:
    missing = []
    for step in workflow.steps:
        if step.subworkflow:
            missing += _missing_tools(step.subworkflow)
        elif step.kind == "tool" and known_tool(step.tool_id) is None:
            missing.append(f"{step.tool_id} (version {step.tool_version})")
    return missing


def invoke(call: Call) -> Json:
    """Start a workflow; what Galaxy does not check is not checked here either."""
    call.need_user()
    assert call.user is not None
    world = call.world
    encoded = call.path["workflow"]
    known = world.workflows.get(call.number(encoded, ("path", "workflow_id")))
    if known is not None and not call.may_use(known.user):
        raise Refusal(403, 403002, "Workflow is not owned by or shared with current user")
    body = call.body
    workflow = asked_version(call, call.workflow(encoded), "" if body.get("version") is None else str(body["version"]))
    if body.get("batch"):
        raise Refusal(400, 400008, "The fake server starts no batches of invocations")
    if body.get("history_id") and body.get("new_history_name"):
        raise Refusal(400, 400008, "Specified both 'history_id' and 'new_history_name', only one is allowed")
    missing = _missing_tools(workflow)
    trial = Invocation(0, workflow, call.user.number, 0)
    history = call.history(body["history_id"], own=True) if body.get("history_id") else None
    if missing:
        message = f"Workflow was not invoked; the following required tools are not installed: {', '.join(missing)}"
        raise Refusal(400, 0, message)
    if history is None:
        history = world.add_history(call.user, str(body.get("new_history_name") or workflow.name))
    trial.history = history.number
    _read_inputs(call, workflow, trial)
    _check_inputs(workflow, trial)
    for index, step in enumerate(workflow.steps):
        if step.kind == "parameter_input" and "default" in step.state:
            trial.params.setdefault(index, step.state["default"])
    for key, values in dict(body.get("parameters") or {}).items():
        for step in workflow.steps:
            if str(key) in (str(step.index), step.uuid, step.tool_id) and isinstance(values, dict):
                trial.step_params[step.index] = values
    trial.number = world.next_number("invocation")
    trial.request = body
    world.invocations[trial.number] = trial
    scheduler: Scheduler = call.request.app.state.scheduler
    scheduler.accept(trial)
    return invocation_brief(world, trial)


def list_invocations(call: Call) -> Response:
    """List invocations, newest first, with those of subworkflows unless told otherwise."""
    world = call.world
    asked = call.count("limit")
    allowed = world.behaviour.invocation_limit
    if asked is not None and asked > allowed:
        if allowed > 100:
            return PlainTextResponse("Internal Server Error", 500, headers={"connection": "close"})
        raise invalid(f"Input should be less than or equal to {allowed}", ("query", "limit"), str(asked))
    if call.user is None:
        return JSONResponse([], headers={"total_matches": "0"})
    rows = [row for row in world.invocations.values() if row.user == call.user.number]
    if call.query("history_id"):
        history = call.history(call.query("history_id"))
        rows = [row for row in world.invocations.values() if row.history == history.number]
    if call.query("workflow_id") or "workflow" in call.path:
        workflow = call.workflow(call.path.get("workflow") or call.query("workflow_id"))
        rows = [row for row in rows if row.workflow.number == workflow.number]
    if not call.flag("include_nested_invocations", default=True):
        rows = [row for row in rows if row.parent is None]
    if not call.flag("include_terminal", default=True):
        rows = [row for row in rows if row.state in ("new", "ready")]
    rows.sort(key=lambda row: row.number, reverse=True)
    shown = page(rows, call)
    if call.query("view") == "element":
        details = [invocation_detail(world, row, step_details=call.flag("step_details")) for row in shown]
    else:
        details = [invocation_brief(world, row) for row in shown]
    return JSONResponse(details, headers={"total_matches": str(len(rows))})


def show_invocation(call: Call) -> Json:
    """Show one invocation."""
    invocation = call.invocation(call.path["invocation"])
    return invocation_detail(call.world, invocation, step_details=call.flag("step_details"))


def cancel_invocation(call: Call) -> Json:
    """Cancel one invocation."""
    invocation = call.invocation(call.path["invocation"])
    scheduler: Scheduler = call.request.app.state.scheduler
    scheduler.cancel(invocation)
    return invocation_detail(call.world, invocation)


def show_counts(call: Call) -> Json | Response:
    """Give the job counts of one invocation; on old servers under a foreign id, and a bare 500 for an unknown one."""
    number = call.number(call.path["invocation"])
    invocation = call.world.invocations.get(number)
    if invocation is None:
        return PlainTextResponse("Internal Server Error", 500, headers={"connection": "close"})
    counts = job_counts(call.world, invocation)
    if not call.world.behaviour.summary_id_right:
        counts["id"] = counts["id"] * 3
    return counts


def show_step_counts(call: Call) -> list[Json]:
    """Give the job counts of each step."""
    return step_counts(call.world, call.invocation(call.path["invocation"]))


def show_many_counts(call: Call) -> list[Json] | Response:
    """Give the job counts of many invocations, whoever owns them or the history asked through."""
    if call.number(call.path["history"], ("path", "history_id")) not in call.world.histories:
        raise Refusal(404, 404001, "History not found")
    ids = [one for one in call.query("ids").split(",") if one]
    types = [one for one in call.query("types").split(",") if one]
    if len(ids) != len(types):
        raise Refusal(400, 400008, f"The number of ids ({len(ids)}) and types ({len(types)}) must match.")
    rows = [call.world.invocations.get(call.number(one)) for one in ids]
    if None in rows:
        return PlainTextResponse("Internal Server Error", 500, headers={"connection": "close"})
    return [job_counts(call.world, row) for row in rows if row is not None]


def show_request(call: Call) -> Json | Response:
    """Give an invocation's request as it was sent."""
    if not call.world.behaviour.invocation_request:
        return not_found_page(call.request.url.path)
    row = call.invocation(call.path["invocation"])
    shown = invocation_brief(call.world, row)
    return {
        "history_id": shown["history_id"],
        "workflow_id": shown["workflow_id"],
        "inputs": row.request.get("inputs") or {},
        "inputs_by": "name",
        "replacement_params": row.request.get("replacement_params"),
        "resource_params": None,
        "use_cached_job": False,
        "preferred_object_store_id": None,
        "preferred_intermediate_object_store_id": None,
        "preferred_outputs_object_store_id": None,
        "parameters_normalized": True,
        "parameters": None,
        "instance": True,
    }


def show_completion(call: Call) -> Json | Response:
    """Say when an invocation completed and with which counts; unknown below 26.0."""
    if not call.world.behaviour.completed_state:
        return not_found_page(call.request.url.path)
    row = call.invocation(call.path["invocation"])
    if row.completion_time is None:
        raise Refusal(404, 404001, "Workflow invocation has not completed")
    return {"completion_time": row.completion_time, "job_state_summary": row.completion_states, "hooks_executed": []}


ROUTES = [
    route("/api/workflows/{workflow}/invocations", "POST", invoke),
    route("/api/workflows/{workflow}/invocations", "GET", list_invocations),
    route("/api/invocations", "GET", list_invocations),
    route("/api/invocations/{invocation}", "GET", show_invocation),
    route("/api/invocations/{invocation}", "DELETE", cancel_invocation),
    route("/api/invocations/{invocation}/jobs_summary", "GET", show_counts),
    route("/api/invocations/{invocation}/step_jobs_summary", "GET", show_step_counts),
    route("/api/invocations/{invocation}/request", "GET", show_request),
    route("/api/invocations/{invocation}/completion", "GET", show_completion),
    route("/api/histories/{history}/jobs_summary", "GET", show_many_counts),
]
