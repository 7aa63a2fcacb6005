"""Routes of single datasets: facts, bytes with ranges, privacy, hashes, deletion."""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from starlette.responses import JSONResponse, Response, StreamingResponse

from tests.fakes.galaxy.data_answers import dataset_detail, dataset_summary
from tests.fakes.galaxy.histories import purge_dataset
from tests.fakes.galaxy.ids import encode
from tests.fakes.galaxy.library_permissions import may_read
from tests.fakes.galaxy.members import PACKED, archive, file_beside
from tests.fakes.galaxy.state import Dataset, now_text
from tests.fakes.galaxy.web import Call, Refusal, route

Json = dict[str, Any]
READ_BYTES = 1 << 18
HASH_FUNCTIONS = {"MD5": "md5", "SHA-1": "sha1", "SHA-256": "sha256", "SHA-512": "sha512"}


def show_dataset(call: Call) -> Json:
    """Show one dataset; `keys` is ignored here, `view=summary` is not."""
    if call.query("hda_ldda") == "ldda":
        version = _of_library(call)
        shown = {"name": version.name, "state": version.file.state, "file_ext": version.file.ext, "deleted": False}
        return {"id": call.path["dataset"], "hda_ldda": "ldda", "file_size": version.file.size, **shown}
    dataset = call.dataset(call.path["dataset"])
    if call.query("view") == "summary":
        return dataset_summary(dataset)
    shown = dataset_detail(call.world, dataset, raw_ids=True)
    if call.user is None:
        for key in ("permissions", "file_name"):
            shown.pop(key, None)
    return shown


def remove_dataset(call: Call) -> Response:
    """Delete or purge a dataset."""
    dataset = call.dataset(call.path["dataset"], own=True)
    purge = call.flag("purge") or bool(call.body.get("purge"))
    dataset.deleted, dataset.update_time = True, now_text()
    if purge:
        world = call.world
        call.engine.after(call.engine.job_seconds, lambda: purge_dataset(world, dataset.number))
    return Response(b"", 202 if purge else 204)


def change_permissions(call: Call) -> Json:
    """Make a dataset private, lift that, or give it to roles."""
    dataset = call.dataset(call.path["dataset"], own=True)
    action = call.body.get("action", "set_permissions")
    world, owner = call.world, call.world.users[dataset.file.user]
    if action == "set_permissions":
        dataset.file.access = _asked_roles(call)
    elif action in ("make_private", "remove_restrictions"):
        dataset.file.access = (owner.role,) if action == "make_private" else ()
    else:
        raise Refusal(400, 400008, f"The fake server knows no permission action {action!r}")
    named = {role.number: role.name for role in world.all_roles()}
    return {
        "access_dataset_roles": [[named[number], encode(number)] for number in dataset.file.access],
        "manage_dataset_roles": [[owner.email, encode(owner.role)]],
        "modify_item_roles": [],
    }


def _asked_roles(call: Call) -> tuple[int, ...]:
    """Give the roles of a request, refused as Galaxy does where nobody has all of them."""
    rows = {role.number: role for role in call.world.all_roles()}
    if not call.body.get("manage_ids[]"):
        raise Refusal(400, 400008, "At least 1 role must be associated with manage permissions on this dataset.")
    asked = [rows[call.number(one)] for one in call.body.get("access_ids[]") or ()]
    needed = "At least 1 user must have every role associated with accessing datasets.  "
    if len(asked) > 1 and any(role.kind == "private" for role in asked):
        more = "Since you are associating more than 1 role, no private roles are allowed."
        raise Refusal(400, 400008, needed + more)
    if asked and not frozenset.intersection(*(role.members for role in asked)):
        more = "The roles you attempted to associate for access would make the datasets in-accessible by everyone."
        raise Refusal(400, 400008, needed + more)
    return tuple(role.number for role in asked)


def compute_hash(call: Call) -> Json:
    """Start the computation of a hash; a claimed hash of the same kind stays."""
    dataset = call.dataset(call.path["dataset"], own=True)
    function = str(call.body.get("hash_function") or "SHA-256")
    if function not in HASH_FUNCTIONS:
        raise Refusal(400, 400008, f"Unknown hash function {function}")

    def compute() -> None:
        path = dataset.file.path
        if path is None or any(known == function for _, known, _ in dataset.file.hashes):
            return
        with path.open("rb") as stored:
            value = hashlib.file_digest(stored, HASH_FUNCTIONS[function]).hexdigest()
        with call.world.lock:
            dataset.file.hashes.append((call.world.next_number("hash"), function, value))

    call.engine.after(call.engine.job_seconds, compute)
    return {"id": str(uuid4()), "ignored": False, "name": None, "queue": None}


def _range(header: str, size: int) -> tuple[int, int] | None:
    """Read `bytes=a-b`, `bytes=a-` or `bytes=-n` as first and last byte; None means not satisfiable."""
    found = re.fullmatch(r"bytes=(\d*)-(\d*)", header.strip())
    if not found or found.groups() == ("", ""):
        return None
    first, last = found.groups()
    if not first:
        start, end = max(0, size - int(last)), size - 1
    else:
        start, end = int(first), min(int(last), size - 1) if last else size - 1
    return (start, end) if start <= end else None


def _disposition(dataset: Dataset) -> str:
    title = f"Galaxy{dataset.hid}-[{dataset.name}].{dataset.file.ext}"
    plain = re.sub(r"[^A-Za-z0-9.,^_+=()\[\]{}@-]", "_", title)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(title, safe='')}"


async def bytes_of(path: Path, start: int, length: int) -> AsyncIterator[bytes]:
    while length > 0:
        with path.open("rb") as stored:  # nothing stays open when the line is cut between two chunks
            stored.seek(start)
            chunk = stored.read(min(READ_BYTES, length))
        if not chunk:
            return
        start, length = start + len(chunk), length - len(chunk)
        yield chunk


def _of_library(call: Call) -> Dataset:
    """Give the version of a library's file as if it were a dataset."""
    number = call.number(call.path["dataset"], ("path", "dataset_id"))
    found = [item for item in call.world.shelf.items.values() if item.version == number]
    if not found:
        raise Refusal(404, 404001, "LibraryDatasetDatasetAssociation not found")
    if not may_read(call, found[0]):
        raise Refusal(403, 403002, "LibraryDatasetDatasetAssociation is not accessible by user")
    return Dataset(0, found[0].file, 0, 0, found[0].name)


def download(call: Call) -> Response:
    """Give the bytes of a dataset, whole or in part; those of a library's file come as they are or not at all."""
    if call.query("hda_ldda") == "ldda":
        dataset = _of_library(call)
        if call.query("to_ext") or not call.world.behaviour.shows_library_files:
            raise Refusal(500, 500001, "Could not get display data for dataset")
    else:
        dataset = call.dataset(call.path["dataset"])
    file = dataset.file
    if dataset.purged:
        raise Refusal(400, 0, "The dataset you are attempting to view has been purged.")
    if file.state in ("new", "queued", "running", "upload", "paused") or file.path is None:
        message = f"The dataset you are attempting to view is {file.state} and has no data."
        raise Refusal(409, 409001, message)
    if not file.path.exists():
        raise Refusal(404, 404001, "File Not Found")
    beside = call.query("filename")
    path = file_beside(file, beside) if beside and beside != "index" else file.path
    if path == file.path and file.ext in PACKED and call.query("to_ext") and not call.flag("raw"):
        return archive(dataset)
    stat = path.stat()
    size = stat.st_size
    headers = {
        "x-content-type-options": "nosniff",
        "accept-ranges": "bytes",
        "last-modified": format_datetime(datetime.fromtimestamp(stat.st_mtime, UTC), usegmt=True),
        "etag": f'"{hashlib.md5(f"{stat.st_mtime}-{size}".encode()).hexdigest()}"',
    }
    if call.query("to_ext") and not call.flag("raw"):
        headers["content-disposition"] = _disposition(dataset)
    asked = call.request.headers.get("range")
    status, start, end = 200, 0, size - 1
    if asked:
        part = _range(asked, size)
        if part is None:
            more = {"content-range": f"bytes */{size}"} if call.world.behaviour.major >= "26.1" else {}
            return JSONResponse({"detail": f"Invalid request range (Range:'{asked}')"}, 416, headers=more)
        status, (start, end) = 206, part
        headers["content-range"] = f"bytes {start}-{end}/{size}"
    headers["content-length"] = str(end - start + 1)
    if call.request.method == "HEAD":
        return Response(b"", status, headers=headers, media_type="application/octet-stream")
    body = bytes_of(path, start, end - start + 1)
    return StreamingResponse(body, status, headers=headers, media_type="application/octet-stream")


ROUTES = [
    route("/api/datasets/{dataset}", "GET", show_dataset),
    route("/api/datasets/{dataset}", "DELETE", remove_dataset),
    route("/api/datasets/{dataset}/permissions", "PUT", change_permissions),
    route("/api/datasets/{dataset}/hash", "PUT", compute_hash),
    route("/api/datasets/{dataset}/display", "GET", download),
    route("/api/histories/{history}/contents/{dataset}/display", "GET", download),
]
