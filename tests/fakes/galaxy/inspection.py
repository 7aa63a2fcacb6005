"""What a test sees of the server from outside: plain rows, with sizes and SHA-256 of the stored bytes."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.fakes.galaxy.fault_layer import RequestLog
from tests.fakes.galaxy.faults import FaultBox
from tests.fakes.galaxy.ids import encode
from tests.fakes.galaxy.state import Tree, World

Json = dict[str, Any]


def sha256_of(path: Path | None) -> str:
    """Give the SHA-256 of a file, nothing when it is not there."""
    if path is None or not path.exists():
        return ""
    with path.open("rb") as stored:
        return hashlib.file_digest(stored, "sha256").hexdigest()


def histories(world: World) -> list[Json]:
    """Give all histories."""
    return [
        {
            "id": encode(row.number),
            "user": world.users[row.user].username,
            "name": row.name,
            "tags": sorted(row.tags),
            "annotation": row.annotation,
            "deleted": row.deleted,
            "purged": row.purged,
            "archived": row.archived,
            "shared": [world.users[number].email for number in row.shared],
        }
        for row in world.histories.values()
    ]


def datasets(world: World) -> list[Json]:
    """Give all datasets; `uploaded` tells those made by an upload from those made by tools or copied."""
    seen: set[int] = set()
    rows = []
    for row in world.datasets.values():
        file = row.file
        job = world.jobs.get(file.job or 0)
        rows.append(
            {
                "id": encode(row.number),
                "history_id": encode(row.history),
                "hid": row.hid,
                "name": row.name,
                "state": file.state,
                "ext": file.ext,
                "dbkey": file.dbkey,
                "size": file.path.stat().st_size if file.path and file.path.exists() else 0,
                "recorded_size": file.size,
                "sha256": sha256_of(file.path),
                "tags": sorted(row.tags),
                "deleted": row.deleted,
                "purged": row.purged,
                "visible": row.visible,
                "private": file.private,
                "readers": sorted(user.email for user in world.users.values() if world.may_read(user, file)),
                "open": world.may_read(None, file),
                "copied": file.number in seen,
                "uploaded": job is not None and job.tool_id == "__DATA_FETCH__" and file.number not in seen,
            }
        )
        seen.add(file.number)
    return rows


def _tree(tree: Tree) -> Json:
    return {
        element.identifier: _tree(element.child) if element.child else encode(element.dataset or 0)
        for element in tree.elements
    }


def collections(world: World) -> list[Json]:
    """Give all collections; elements are dataset ids by identifier, nested as the collection is."""
    return [
        {
            "id": encode(row.number),
            "history_id": encode(row.history),
            "name": row.name,
            "type": row.tree.collection_type,
            "tags": sorted(row.tags),
            "deleted": row.deleted,
            "populated_state": row.populated_state,
            "made_by_tool": row.map_jobs is not None,
            "elements": _tree(row.tree),
        }
        for row in world.collections.values()
    ]


def invocations(world: World) -> list[Json]:
    """Give all invocations with the counts of their own jobs."""
    return [
        {
            "id": encode(row.number),
            "workflow_id": encode(row.workflow.number),
            "workflow": row.workflow.name,
            "history_id": encode(row.history),
            "state": row.state,
            "nested": row.parent is not None,
            "jobs": dict(Counter(job.state for job in world.jobs_of(row, nested=False))),
        }
        for row in world.invocations.values()
    ]


def workflows(world: World) -> list[Json]:
    """Give all workflows that are not deleted, in the order they came."""
    return [
        {"id": encode(row.number), "name": row.name, "uuid": row.uuid}
        for row in world.workflows.values()
        if not row.deleted
    ]


def jobs(world: World) -> list[Json]:
    """Give all jobs."""
    return [
        {"id": encode(row.number), "tool_id": row.tool_id, "state": row.state, "exit_code": row.exit_code}
        for row in world.jobs.values()
    ]


def sessions(world: World) -> list[Json]:
    """Give the open uploads, without their ids."""
    return [{"length": row.length, "offset": row.offset} for row in world.sessions.values()]


def everything(world: World, log: RequestLog, faults: FaultBox) -> Json:
    """Give all of it as JSON, for tests in another process."""
    with world.lock:
        return {
            "histories": histories(world),
            "datasets": datasets(world),
            "collections": collections(world),
            "invocations": invocations(world),
            "jobs": jobs(world),
            "sessions": sessions(world),
            "workflows": workflows(world),
            "requests": [asdict(seen) for seen in log.all()],
            "most_patches_per_session": log.most_patches_per_session,
            "faults": [
                {"kind": one.kind, "method": one.method, "path": one.path, "hits": one.hits, "used_up": one.used_up}
                for one in faults.all()
            ],
        }
