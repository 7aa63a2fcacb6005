"""Routes of jobs: what they did, jobs that people repeat by hand, quotas that hold them up, reviews of pause steps."""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse, Response

from tests.fakes.galaxy.data_answers import dataset_inner
from tests.fakes.galaxy.exports import run_export
from tests.fakes.galaxy.filters import page
from tests.fakes.galaxy.ids import encode
from tests.fakes.galaxy.run_answers import job_brief, job_detail, job_row
from tests.fakes.galaxy.schedule import Scheduler
from tests.fakes.galaxy.state import Job, Tree
from tests.fakes.galaxy.tools import EXPORT_REMOTE, TOOLS
from tests.fakes.galaxy.web import Call, Refusal, not_found_page, route

Json = dict[str, Any]


def list_jobs(call: Call) -> list[Json]:
    """List jobs, last changed (or made) first; those of subworkflows are not found through the outer invocation."""
    if call.user is None:
        return []
    rows = [row for row in call.world.jobs.values() if row.user == call.user.number]
    if call.query("invocation_id"):
        invocation = call.invocation(call.query("invocation_id"))
        rows = call.world.jobs_of(invocation, nested=False)
    if call.query("history_id"):
        history = call.history(call.query("history_id"))
        rows = [row for row in rows if row.history == history.number]
    states = call.request.query_params.getlist("state")
    rows = [row for row in rows if not states or row.state in states]
    if call.query("tool_id"):
        rows = [row for row in rows if row.tool_id == call.query("tool_id")]
    by_age = call.query("order_by") == "create_time"
    rows.sort(key=lambda row: row.create_time if by_age else row.update_time, reverse=True)
    return [job_row(call.world, row) for row in page(rows, call, limit=500)]


def show_job(call: Call) -> Json:
    """Show a job."""
    return job_detail(call.world, call.job(call.path["job"]), full=call.flag("full"))


def resume_job(call: Call) -> list[Json]:
    """Let a paused job try again; other jobs are left alone."""
    job = call.job(call.path["job"])
    if job.state == "paused":
        call.engine.resume(job)
    return [{"name": name, "dataset": {"id": encode(number), "src": "hda"}} for name, number in job.outputs.items()]


def stop_job(call: Call) -> Response:
    """Stop a job."""
    call.engine.cancel(call.job(call.path["job"]))
    return JSONResponse(True)


def _display(call: Call, job: Job) -> list[Json]:
    rows: list[Json] = []
    tool = TOOLS.get(job.tool_id)
    for one in tool.inputs if tool else ():
        value: Any = job.params.get(one.name)
        if one.kind in ("data", "many", "collection"):
            value = [
                {"id": encode(number), "src": "hda", "hid": row.hid, "name": row.name}
                for number in job.inputs.get(one.name, [])
                for row in [call.world.datasets[number]]
            ]
        elif one.kind == "integer" and value is not None:
            value = float(value)
        notes = None if isinstance(value, list) else ""
        rows.append({"text": one.label, "depth": 1, "value": value, "notes": notes})
    return rows


def show_parameters(call: Call) -> Json:
    """Give a job's parameters as people read them."""
    return {"parameters": _display(call, call.job(call.path["job"])), "has_parameter_errors": False, "outputs": {}}


def _metrics(job: Job) -> list[Json]:
    if job.exit_code is None:
        return []
    rows = (("Cores Allocated", "1", "galaxy_slots", "1.0000000"), ("Job Runtime (Wall Clock)", "0 seconds",
            "runtime_seconds", "0E-7"))  # fmt: skip
    return [
        {"title": title, "value": value, "plugin": "core", "name": name, "raw_value": raw}
        for title, value, name, raw in rows
    ]


def show_metrics(call: Call) -> list[Json]:
    """Give the figures of one job."""
    return _metrics(call.job(call.path["job"]))


def show_invocation_metrics(call: Call) -> list[Json] | Response:
    """Give the figures of all jobs of an invocation, subworkflows included; unknown on 24.1."""
    if not call.world.behaviour.invocation_metrics:
        return not_found_page(call.request.url.path)

    def below(number: int, above: str) -> list[Json]:
        rows: list[Json] = []
        for step in call.world.invocations[number].steps:
            place: int | str = f"{above}.{step.step.index}" if above else step.step.index
            for job in (call.world.jobs[one] for one in step.jobs):
                more = {"tool_id": job.tool_id, "job_id": encode(job.number), "step_index": place}
                rows += [{**row, **more, "step_label": step.step.label} for row in _metrics(job)]
            if step.nested is not None and call.world.behaviour.sse:  # 26.1; 25.0 leaves them out
                rows += below(step.nested, str(place))
        return rows

    return below(call.invocation(call.path["invocation"]).number, "")


def show_report(call: Call) -> Json:
    """Give the report of an invocation."""
    row = call.invocation(call.path["invocation"])
    shown = f"```galaxy\ninvocation_outputs(invocation_id={encode(row.number)})\n```"
    markdown = f"\n# Workflow Execution Summary of {row.workflow.name}\n\n## Workflow Outputs\n{shown}\n"
    return {"model_class": "Report", "render_format": "markdown", "markdown": markdown, "title": row.workflow.name}


def show_for_rerun(call: Call) -> Json:
    """Give what the form for repeating a job starts with."""
    job = call.job(call.path["job"])
    return {"model_class": "Tool", "id": job.tool_id, "version": job.tool_version, "job_id": encode(job.number)}


def run_tool(call: Call) -> Json:
    """Run a tool by hand on single datasets, perhaps in place of a former job."""
    if call.body.get("tool_id") == EXPORT_REMOTE.id:
        return run_export(call)
    user = call.need_user()
    world, body = call.world, call.body
    history = call.history(body["history_id"], own=True)
    tool = TOOLS.get(str(body.get("tool_id")))
    if tool is None:
        raise Refusal(404, 404001, f"Could not find tool with id '{body.get('tool_id')}'.")
    given = dict(body.get("inputs") or {})
    job = Job(world.next_number("job"), tool.id, tool.version, user.number, history.number, is_by_hand=True)
    for one in tool.inputs:
        value = given.get(one.name, one.default)
        if isinstance(value, dict):
            job.inputs[one.name] = [call.dataset(ref["id"]).number for ref in value["values"]]
        else:
            job.params[one.name] = str(value)
    old = call.job(given["rerun_remap_job_id"]) if given.get("rerun_remap_job_id") else None
    first = world.datasets[next(iter(job.inputs.values()))[0]]
    for made in tool.outputs:
        name = made.label.format(name=first.name) or f"{tool.name} on dataset {first.hid}"
        dataset = world.add_dataset(history, name, ext=made.ext or first.file.ext, state="new")
        dataset.file.job, dataset.file.access = job.number, first.file.access
        job.outputs[made.name] = dataset.number
    world.add_job(job)
    if old is not None:
        _take_place(call, old, job)
    call.engine.submit(job)
    outputs = [{**dataset_inner(world.datasets[n]), "output_name": name} for name, n in job.outputs.items()]
    jobs = [{**job_brief(world, job), "tool_version": tool.version}]
    return {"outputs": outputs, "output_collections": [], "jobs": jobs, "implicit_collections": []}


def _take_place(call: Call, old: Job, new: Job) -> None:
    """Put a job in place of another: what waits gets its outputs and goes on; only those take the numbers as well.

    Only the elements of collections are exchanged, and the jobs of mapped steps; an invocation keeps its datasets.
    """
    world = call.world
    instead = {number: new.outputs[name] for name, number in old.outputs.items() if name in new.outputs}
    for before, after in instead.items():
        gone, made = world.datasets[before], world.datasets[after]
        made.visible = gone.visible = False
        if any(before in many for job in world.jobs.values() for many in job.inputs.values()):
            made.hid = gone.hid
    for name, number in old.output_collections.items():
        _exchange(world.collections[number].tree, instead)
        new.output_collections[name] = number
    for jobs in (*world.map_jobs.values(), *(step.jobs for row in world.invocations.values() for step in row.steps
                                             if step.map_jobs)):  # fmt: skip
        jobs[:] = [new.number if one == old.number else one for one in jobs]
        if new.number in jobs:
            new.invocation = old.invocation
    for waiting in world.jobs.values():
        if waiting.state == "paused" and any(one in instead for many in waiting.inputs.values() for one in many):
            waiting.inputs = {name: [instead.get(one, one) for one in many] for name, many in waiting.inputs.items()}
            call.engine.resume(waiting)


def _exchange(tree: Tree, instead: dict[int, int]) -> None:
    for element in tree.elements:
        if element.child is not None:
            _exchange(element.child, instead)
        elif element.dataset in instead:
            element.dataset = instead[element.dataset]


def review_step(call: Call) -> Json:
    """Take what a person decided at a pause step."""
    row = call.invocation(call.path["invocation"])
    if row.state in ("scheduled", "completed", "cancelled", "cancelling", "failed"):
        raise Refusal(400, 400008, "Attempting to modify the state of a completed workflow invocation.")
    number = call.number(call.path["step"])
    step = next(one for one in row.steps if one.number == number)
    scheduler: Scheduler = call.request.app.state.scheduler
    scheduler.review(row, step, confirmed=bool(call.body["action"]))
    return {"model_class": "WorkflowInvocationStep", "id": encode(number), "action": step.action, "state": step.state}


def _set_quota(call: Call) -> None:
    amount, unit = str(call.body["amount"]).split()
    megabytes = float(amount) * {"MB": 1, "GB": 1024 if call.world.behaviour.quota_megabyte == 1 << 20 else 1000}[unit]
    for number in call.world.quotas[-1]:
        call.world.users[number].quota_bytes = int(megabytes * call.world.behaviour.quota_megabyte)


def make_quota(call: Call) -> Json:
    """Set a quota for some users; for administrators."""
    _need_admin(call)
    call.world.quotas.append([call.number(one) for one in call.body["in_users"]])
    _set_quota(call)
    return {"model_class": "Quota", "id": encode(len(call.world.quotas)), "name": call.body["name"]}


def change_quota(call: Call) -> str:
    """Set another amount for the quota made last; nobody is resumed by that."""
    _need_admin(call)
    if call.number(call.path["quota"]) != len(call.world.quotas):
        raise Refusal(400, 400008, "The fake server changes the newest quota only")
    _set_quota(call)
    return f"Quota is now '={call.body['amount']}'."


def _need_admin(call: Call) -> None:
    if not call.need_user().is_admin:
        raise Refusal(403, 403006, "You must be an administrator to access this feature.")


ROUTES = [
    route("/api/jobs", "GET", list_jobs),
    route("/api/jobs/{job}", "GET", show_job),
    route("/api/jobs/{job}", "DELETE", stop_job),
    route("/api/jobs/{job}/resume", "PUT", resume_job),
    route("/api/jobs/{job}/parameters_display", "GET", show_parameters),
    route("/api/jobs/{job}/metrics", "GET", show_metrics),
    route("/api/jobs/{job}/build_for_rerun", "GET", show_for_rerun),
    route("/api/tools", "POST", run_tool),
    route("/api/invocations/{invocation}/metrics", "GET", show_invocation_metrics),
    route("/api/invocations/{invocation}/report", "GET", show_report),
    route("/api/invocations/{invocation}/steps/{step}", "PUT", review_step),
    route("/api/quotas", "POST", make_quota),
    route("/api/quotas/{quota}", "PUT", change_quota),
]
