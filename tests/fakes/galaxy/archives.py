"""Archives of histories and invocations: the history's own, made by a job, and those that need Celery.

What they hold is less than on a real server; what is asked for them and answered is the same. Without Celery the
server says yes to what it never does, for a history; for an invocation it refuses.
"""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from pathlib import Path
from typing import Any
from uuid import uuid4

from starlette.responses import FileResponse, JSONResponse, Response

from tests.fakes.galaxy.archive_state import Archive
from tests.fakes.galaxy.exports import source_of
from tests.fakes.galaxy.ids import decode, encode
from tests.fakes.galaxy.state import History, Job
from tests.fakes.galaxy.web import Call, Refusal, not_found_page, route

Json = dict[str, Any]
NO_CELERY = "This operation requires asynchronous tasks to be enabled on the Galaxy server and they are not"


def _path(call: Call, name: str) -> Path:
    folder = call.world.folder / "archives"
    folder.mkdir(exist_ok=True)
    return folder / name


def _packed(call: Call, history: int, format: str) -> bytes:
    rows = [row for row in call.world.datasets.values() if row.history == history and not row.deleted]
    files = {f"datasets/{row.number}_{row.name}": row.file.path for row in rows if row.file.path}
    packed = io.BytesIO()
    if format == "bco.json":
        return json.dumps({"spec_version": "https://w3id.org/ieee/ieee-2791-schema/2791object.json"}).encode()
    if format == "rocrate.zip":
        with zipfile.ZipFile(packed, "w") as crate:
            crate.writestr("ro-crate-metadata.json", json.dumps({"@graph": []}))
            for name, path in files.items():
                crate.write(path, name)
    else:
        with tarfile.open(fileobj=packed, mode="w:gz") as archive:
            told = tarfile.TarInfo("history_attrs.txt")
            archive.addfile(told, io.BytesIO())
            for name, path in files.items():
                archive.add(path, name)
    return packed.getvalue()


def _shown(call: Call, one: Archive) -> Json:
    history = call.world.histories[one.history]
    path = f"/api/histories/{encode(history.number)}/exports/{encode(one.number)}"
    return {
        "id": f"{encode(one.number)}{uuid4().hex}",
        "ready": one.state == "ready",
        "preparing": one.state == "preparing",
        "up_to_date": one.as_of == history.update_time,
        "job_id": f"{encode(one.number)}{uuid4().hex}",
        "download_url": path,
        "external_download_latest_url": f"{call.request.base_url}{path.rpartition('/')[0]}/latest",
        "external_download_permanent_url": f"{call.request.base_url}{path}",
    }


def _of(call: Call) -> tuple[History, list[Archive]]:
    history = call.history(call.path["history"], own=True)
    return history, [one for one in call.world.archives.archives.values() if one.history == history.number]


def list_archives(call: Call) -> list[Json]:
    """List the archives of a history."""
    return [_shown(call, one) for one in _of(call)[1]]


def begin_archive(call: Call) -> Response:
    """Make the archive of a history; while it is made, and once it is there, the same answers again."""
    history, known = _of(call)
    current = next((one for one in known if one.as_of == history.update_time and one.state != "failed"), None)
    if current is not None:
        return JSONResponse(_shown(call, current), 200 if current.state == "ready" else 202)
    number = call.world.next_number("archive")
    job = Job(call.world.next_number("job"), "__EXPORT_HISTORY__", "0.1", history.user, history.number)
    call.world.add_job(job)
    made = call.world.archives.archives[number] = Archive(number, history.number, history.update_time, job=job.number)
    content = _packed(call, history.number, "tar.gz")
    fails = call.engine.faults.job_fault("__EXPORT_HISTORY__") == "job_error"

    def begin() -> None:
        made.state = "preparing"
        call.world.set_job_state(job, "running")

    def finish() -> None:
        _path(call, str(number)).write_bytes(content)
        made.state = "failed" if fails else "ready"
        call.world.set_job_state(job, "error" if fails else "ok")

    call.engine.after(call.engine.job_seconds / 2, begin)
    call.engine.after(call.engine.job_seconds, finish)
    return JSONResponse({"job_id": encode(job.number)}, 202)


def fetch_archive(call: Call) -> Response:
    """Give the bytes of an archive, also of one that is not the newest."""
    one = call.world.archives.archives.get(decode(call.path["archive"]) or 0)
    if one is None or one.state != "ready":
        raise Refusal(404, 404001, "No such object found.")
    name = call.history(call.path["history"]).name
    return FileResponse(_path(call, str(one.number)), media_type="application/x-gzip", filename=f"{name}.tar.gz")


def _asked(call: Call) -> tuple[int, str]:
    """Give the history whose things are packed, and the format."""
    if "history" in call.path:
        history = call.history(call.path["history"]).number
    else:
        history = call.invocation(call.path["invocation"]).history
        if not call.world.archives.has_celery:
            raise Refusal(403, 403004, NO_CELERY)
    return history, str(call.body["model_store_format"])


def _later(call: Call, work: Any) -> str:
    task, shelf = str(uuid4()), call.world.archives
    shelf.tasks[task] = ("PENDING", "")

    def do() -> None:
        try:
            work()
            shelf.tasks[task] = ("SUCCESS", "")
        except Refusal as refusal:
            shelf.tasks[task] = ("FAILURE", str(refusal))
        except OSError as problem:
            shelf.tasks[task] = ("FAILURE", str(problem))

    if shelf.has_celery:
        call.engine.after(call.engine.job_seconds, do)
    return task


def write_store(call: Call) -> Json:
    """Write an archive to the file source; a source that is not there is seen by the task alone."""
    history, format = _asked(call)
    content = _packed(call, history, format)
    address = str(call.body["target_uri"])

    def write() -> None:
        _, root, below = source_of(call, address)
        place = root / below
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)

    return {"id": _later(call, write), "ignored": False, "name": None, "queue": None}


def prepare_download(call: Call) -> Json:
    """Make an archive that can be fetched."""
    history, format = _asked(call)
    content, request, shelf = _packed(call, history, format), str(uuid4()), call.world.archives

    def write() -> None:
        _path(call, request).write_bytes(content)
        shelf.ready.add(request)

    task = {"id": _later(call, write), "ignored": False, "name": None, "queue": None}
    return {"storage_request_id": request, "task": task}


def show_task(call: Call) -> str:
    """Tell how a task stands; one that nobody knows is still to come."""
    return call.world.archives.tasks.get(call.path["task"], ("PENDING", ""))[0]


def show_result(call: Call) -> Json | Response:
    """Tell what came of a task; unknown on 24.1."""
    if not call.world.behaviour.tells_task_results:
        return not_found_page(call.request.url.path)
    state, why = call.world.archives.tasks.get(call.path["task"], ("PENDING", ""))
    return {"state": state, "result": why}


def show_ready(call: Call) -> bool:
    """Tell whether something can be fetched."""
    return call.path["request"] in call.world.archives.ready


def fetch_prepared(call: Call) -> Response:
    """Give what was prepared, to anybody who knows how it is called."""
    if call.path["request"] not in call.world.archives.ready:
        raise Refusal(404, 404001, "No such object found.")
    return FileResponse(_path(call, call.path["request"]), media_type="application/zip")


ROUTES = [
    route("/api/histories/{history}/exports", "GET", list_archives),
    route("/api/histories/{history}/exports", "PUT", begin_archive),
    route("/api/histories/{history}/exports/{archive}", "GET", fetch_archive),
    *(
        route(f"/api/{kind}/{name}", "POST", endpoint)
        for kind in ("histories/{history}", "invocations/{invocation}")
        for name, endpoint in (("write_store", write_store), ("prepare_store_download", prepare_download))
    ),
    route("/api/tasks/{task}/state", "GET", show_task),
    route("/api/tasks/{task}/result", "GET", show_result),
    route("/api/short_term_storage/{request}/ready", "GET", show_ready),
    route("/api/short_term_storage/{request}", "GET", fetch_prepared, for_anybody=True),
]
