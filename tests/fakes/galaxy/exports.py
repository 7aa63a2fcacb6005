"""What this server writes to its file source `gxfiles://results`, to those of users, and shows of them.

`offers.py` has the listing of import folders, `archives.py` archives.
"""

from __future__ import annotations

import re
import uuid
from pathlib import Path
from typing import Any

from starlette.responses import PlainTextResponse, Response

from tests.fakes.galaxy.data_answers import dataset_inner
from tests.fakes.galaxy.run_answers import job_brief
from tests.fakes.galaxy.state import Job, World
from tests.fakes.galaxy.tools import EXPORT_REMOTE
from tests.fakes.galaxy.web import Call, Refusal, route

Json = dict[str, Any]
SOURCE = "gxfiles://results"
OWN = "gxuserfiles://"


def folder_of(world: World) -> Path:
    """Give the folder behind the file source."""
    folder = world.folder / "results"
    folder.mkdir(exist_ok=True)
    return folder


def make_own_source(call: Call) -> Json:
    """Make a file source of a user's own, from the only template."""
    user, id = call.need_user(), str(uuid.uuid4())
    call.world.own_sources[id] = user.number
    asked = call.body
    return {
        "uuid": id, "uri_root": f"{OWN}{id}", "name": asked["name"], "description": asked["description"],
        "hidden": False, "active": True, "purged": False, "type": "posix", "template_id": asked["template_id"],
        "template_version": asked["template_version"], "variables": {}, "secrets": [],
    }  # fmt: skip


def source_of(call: Call, uri: str) -> tuple[str, Path, str]:
    """Give the root of a source, its folder and the path below it; refuse one that is not there, or another user's."""
    own = re.match(rf"({OWN}([^/]+))(?:/|$)", uri)
    if own is None:
        if uri != SOURCE and not uri.startswith(f"{SOURCE}/"):
            raise Refusal(400, 400008, f"Could not find handler for URI [{uri}]")
        return SOURCE, folder_of(call.world), uri.removeprefix(SOURCE).strip("/")
    if own[2] not in call.world.own_sources:
        raise NoSuchSource
    if call.world.own_sources[own[2]] != call.need_user().number:
        raise Refusal(403, 403003, "Your Galaxy user does not have access to the requested resource.")
    return own[1], call.world.folder / "shelves" / own[2], uri.removeprefix(own[1]).strip("/")


class NoSuchSource(Refusal):
    """A user's source that nobody has: real servers trip over it."""

    def __init__(self) -> None:
        super().__init__(500, 0, "Uncaught exception in exposed API method:")


def list_plugins(call: Call) -> list[Json]:
    """List the file sources that can be looked into."""
    user = call.need_user()
    stock = "_" if call.world.behaviour.major <= "25.0" else "stock_gx"
    rows = [
        (f"{stock}import", "gximport", "Library Import Directory", False, "gximport://"),
        (f"{stock}userimport", "gxuserimport", "Library User Import Directory", False, "gxuserimport://"),
        ("results", "posix", "Results", True, SOURCE),
        *(
            (id, "posix", "Mine", True, f"{OWN}{id}")
            for id, owner in call.world.own_sources.items()
            if owner == user.number
        ),
    ]
    return [
        {"id": id, "type": kind, "label": label, "doc": "", "browsable": True, "writable": writable,
         "requires_roles": None, "requires_groups": None, "url": None, "uri_root": root,
         "supports": {"pagination": False, "search": False, "sorting": False}}
        for id, kind, label, writable, root in rows
    ]  # fmt: skip


def list_source(call: Call) -> list[Json] | Response:
    """List a folder of the source, with all below it when that is asked for."""
    target = call.query("target").rstrip("/")
    try:
        source, root, below = source_of(call, target)
    except NoSuchSource:
        return PlainTextResponse("Internal Server Error", 500)
    folder = root / below
    if not folder.is_dir():
        raise Refusal(404, 404001, f"The specified directory does not exist [{folder}].")
    found = sorted(folder.rglob("*") if call.flag("recursive") else folder.iterdir())
    return [_entry(source, path, path.relative_to(root), newest=call.world.behaviour.sse) for path in found]


def _entry(source: str, path: Path, below: Path, *, newest: bool) -> Json:
    where = {"name": path.name, "uri": f"{source}/{below}", "path": str(below)}
    if path.is_dir():
        return {**where, "class": "Directory"}
    when: Json = {"ctime": "2026-11-22T12:14:39.208658Z", "hashes": None} if newest else {"ctime": "11/22/2026"}
    return {**where, "class": "File", "size": path.stat().st_size, **when}


def run_export(call: Call) -> Json:
    """Run the tool on single datasets, each under a name."""
    user, world, body = call.need_user(), call.world, call.body
    history = call.history(body["history_id"], own=True)
    given = dict(body.get("inputs") or {})
    place = str(given["d_uri"])
    _, root, below = source_of(call, place)
    if not world.behaviour.keeps_folder_letters:
        below = re.sub(r"[^A-Za-z0-9 =_.()/+*^,:?!-]", "X", below)
    job = Job(world.next_number("job"), EXPORT_REMOTE.id, EXPORT_REMOTE.version, user.number, history.number)
    datasets: list[Json] = []
    while (key := f"export_type|datasets_{len(datasets)}|infile") in given:
        row = call.dataset(given[key]["values"][0]["id"])
        job.inputs[key] = [row.number]
        name = given[f"export_type|datasets_{len(datasets)}|name"]
        members = {"values": [{"id": row.number, "src": "hda"}]}
        datasets.append({"__index__": len(datasets), "infile": members, "name": name})
    chosen = {"__current_case__": 2, "datasets": datasets, "export_type_selector": "datasets_named"}
    job.params = {"export_type": chosen, "d_uri": place, "folder": str(root / below)}
    job.params["include_metadata_files"] = bool(given.get("include_metadata_files", True))
    log = world.add_dataset(history, "Export logs", ext="txt", state="new")
    log.file.job = job.number
    job.outputs["out"] = log.number
    world.add_job(job)
    call.engine.submit(job)
    outputs = [{**dataset_inner(log), "output_name": "out"}]
    jobs = [{**job_brief(world, job), "tool_version": job.tool_version}]
    return {"outputs": outputs, "output_collections": [], "jobs": jobs, "implicit_collections": []}


ROUTES = [
    route("/api/remote_files/plugins", "GET", list_plugins),
    route("/api/file_source_instances", "POST", make_own_source),
]
