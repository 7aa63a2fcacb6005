"""Routes of workflows and tools: imported, changed, shown in each version, and what the run form warns of.

What a workflow looks like when it is read is written in `workflow_answers.py`, how one comes from a registry in
`registries.py`; invocations are in `invocations.py`.
"""

from __future__ import annotations

import json
import re
from typing import Any

from starlette.responses import JSONResponse, Response

from tests.fakes.galaxy import registries
from tests.fakes.galaxy.filters import page
from tests.fakes.galaxy.run_answers import known_tool, listed_workflow, stored_workflow, tool_answer, workflow_detail
from tests.fakes.galaxy.state import Workflow, now_text
from tests.fakes.galaxy.tools import TOOLS
from tests.fakes.galaxy.web import Call, Refusal, route
from tests.fakes.galaxy.workflow_answers import downloaded, run_form
from tests.fakes.galaxy.workflow_import import new_version, read_workflow

Json = dict[str, Any]


def import_workflow(call: Call) -> Json:
    """Import a workflow; the same one twice is there twice."""
    user = call.need_user()
    if call.body.get("archive_source") == "trs_tool":
        return registries.import_workflow(call, user)
    document = call.body.get("workflow")
    if isinstance(document, str):
        document = json.loads(document)
    if not isinstance(document, dict):
        raise Refusal(400, 400008, "Must supply a workflow to import")
    return stored_workflow(call.world, read_workflow(call.world, user, document))


def _search_terms(search: str) -> list[tuple[str, str, str]]:
    """Cut a search into (key, quote, text): `name:'a b'` is exact, `name:a b` two words of which only one has a key."""
    found = re.findall(r"""(?:([a-z_]+):(?=\S))?(?:(['"])(.*?)\2(?=\s|$)|(\S+))""", search)
    return [(key, quote, quoted or word) for key, quote, quoted, word in found]


def _is_found(row: Workflow, key: str, quote: str, text: str) -> bool:
    if key == "is":
        return True
    if key not in ("", "name"):
        return False
    return row.name == text if quote else text.lower() in row.name.lower()


def list_workflows(call: Call) -> Response:
    """List the caller's workflows, newest first; `search=name:` finds parts of names."""
    number = call.user.number if call.user else 0
    wants_deleted = call.flag("show_deleted")
    rows = [row for row in call.world.workflows.values() if row.user == number and row.deleted is wants_deleted]
    for key, quote, text in _search_terms(call.query("search")):
        rows = [row for row in rows if _is_found(row, key, quote, text)]
    rows.sort(key=lambda row: (row.update_time, row.number), reverse=True)
    shown = [listed_workflow(call.world, row) for row in page(rows, call)]
    return JSONResponse(shown, headers={"total_matches": str(len(rows))})


def asked_version(call: Call, workflow: Workflow, asked: str) -> Workflow:
    """Give the version that a request names, the newest when it names none."""
    if not asked:
        return workflow
    try:
        return [*workflow.earlier, workflow][int(asked)]
    except IndexError as problem:
        raise Refusal(400, 400008, "Version does not exist") from problem


def _by_row(call: Call) -> Workflow:
    """Give the version of this id, which invocations name; those inside of other workflows have no other."""
    number = call.number(call.path["workflow"], ("path", "workflow_id"))
    shown = [version for row in call.world.workflows.values() for version in (*row.earlier, row)]
    found = next((row for row in (*shown, *call.world.subworkflows.values()) if row.row == number), None)
    if found is None:
        raise Refusal(404, 404001, "No such workflow found.")
    if not call.may_use(found.user):
        raise Refusal(403, 403002, "Workflow is neither importable, nor owned by or shared with current user")
    return found


def show_workflow(call: Call) -> Json:
    """Show a workflow with inputs and steps."""
    workflow = call.workflow(call.path["workflow"])
    shown = workflow_detail(call.world, asked_version(call, workflow, call.query("version")))
    return {**shown, "latest_workflow_uuid": workflow.uuid, "deleted": workflow.deleted, "name": workflow.name}


def change_workflow(call: Call) -> Json:
    """Make a further version of a workflow: of another document, or by another name alone."""
    workflow = call.workflow(call.path["workflow"])
    document = dict(call.body.get("workflow") or workflow.definition)
    changed = new_version(call.world, call.need_user(), workflow, document, str(call.body.get("name") or ""))
    shown = workflow_detail(call.world, changed)
    return {**shown, "version": changed.version}


def list_versions(call: Call) -> list[Json]:
    """List the versions of a workflow."""
    workflow = call.workflow(call.path["workflow"])
    return [
        {"version": row.version, "update_time": row.update_time, "steps": len(row.steps)}
        for row in (*workflow.earlier, workflow)
    ]


def download_workflow(call: Call) -> Json:
    """Give a workflow as `.ga`, or what its run form holds."""
    if call.flag("instance"):
        return downloaded(_by_row(call))
    workflow = call.workflow(call.path["workflow"])
    version = asked_version(call, workflow, call.query("version"))
    if call.query("style") == "run":
        if not call.query("history_id"):
            raise Refusal(400, 0, "History unavailable. Please specify a valid history id")
        history = call.history(call.query("history_id"))
        return run_form(call.world, version, history)
    if call.query("style"):
        raise Refusal(400, 400008, "The fake server gives workflows in no other style")
    source = {"source_metadata": version.source} if version.source else {}
    return {**downloaded(version), "name": workflow.name, "version": version.version, **source}


def remove_workflow(call: Call) -> Response:
    """Mark a workflow as deleted; it can still be shown."""
    workflow = call.workflow(call.path["workflow"])
    workflow.deleted, workflow.update_time = True, now_text()
    return Response(b"", 204)


def show_tool(call: Call) -> Json:
    """Show a tool; whatever version is asked for, the one that is there answers."""
    tool = known_tool(call.path["tool"])
    if tool is None:
        raise Refusal(404, 404001, f"Could not find tool with id '{call.path['tool']}'.")
    return tool_answer(tool, io_details=call.flag("io_details"))


def list_tools(call: Call) -> list[Json] | list[str]:
    """List the tools, or the versions of one."""
    wanted = call.query("tool_id")
    if wanted:
        return [tool.version for tool in TOOLS.values() if tool.id == wanted]
    return [tool_answer(tool) for tool in TOOLS.values()]


ROUTES = [
    route("/api/workflows", "GET", list_workflows),
    route("/api/workflows", "POST", import_workflow),
    route("/api/workflows/upload", "POST", import_workflow),
    route("/api/workflows/{workflow}", "GET", show_workflow),
    route("/api/workflows/{workflow}", "PUT", change_workflow),
    route("/api/workflows/{workflow}", "DELETE", remove_workflow),
    route("/api/workflows/{workflow}/versions", "GET", list_versions),
    route("/api/workflows/{workflow}/download", "GET", download_workflow),
    route("/api/trs_consume/servers", "GET", registries.list_servers),
    route("/api/tools", "GET", list_tools),
    route("/api/tools/{tool:path}", "GET", show_tool),
]
