"""Routes that tell of groups and of what lies in the import folders; groups are made here as well."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from starlette.responses import Response

from tests.fakes.galaxy.exports import list_source
from tests.fakes.galaxy.ids import encode
from tests.fakes.galaxy.web import Call, Refusal, route

Json = dict[str, Any]


def _need_admin(call: Call) -> None:
    if call.user is None or not call.user.is_admin:
        raise Refusal(403, 403006, "You must be an administrator to access this feature.")


def _group(number: int, name: str) -> Json:
    return {"model_class": "Group", "id": encode(number), "name": name, "url": f"group?id={encode(number)}"}


def list_groups(call: Call) -> list[Json]:
    """List all groups, for administrators."""
    _need_admin(call)
    return [_group(number, name) for number, (name, _) in enumerate(call.world.groups, start=1)]


def make_group(call: Call) -> list[Json]:
    """Make a group that gives roles to its members, for administrators."""
    _need_admin(call)
    roles = tuple(call.number(id) for id in call.body.get("role_ids") or ())
    call.world.groups.append((str(call.body.get("name")), roles))
    return [_group(len(call.world.groups), call.world.groups[-1][0])]


def list_roles_of_group(call: Call) -> list[Json]:
    """List the roles of a group, for administrators."""
    _need_admin(call)
    group = call.path["group"]
    _, roles = call.world.groups[call.number(group) - 1]
    names = {role.number: role.name for role in call.world.all_roles()}
    return [
        {"id": encode(number), "name": names[number], "url": f"/api/groups/{group}/roles/{encode(number)}"}
        for number in roles
    ]


def list_remote_files(call: Call) -> list[Json] | Response:
    """List what lies right in a folder of an import folder, folders before files; anybody may."""
    user = call.need_user()
    scheme, _, inner = call.query("target").partition("://")
    if scheme in ("gxfiles", "gxuserfiles"):
        return list_source(call)
    own = call.world.user_import_folder / user.email
    if scheme not in ("gximport", "gxuserimport") or (scheme == "gximport" and not call.world.has_import_folder):
        raise Refusal(400, 400008, f"Could not find handler for URI [{call.query('target')}]")
    if scheme == "gxuserimport" and not own.is_dir():
        raise Refusal(404, 404001, "Your user import directory does not exist.")
    folder = (own if scheme == "gxuserimport" else call.world.import_folder) / inner
    if os.path.normpath(inner).startswith(".."):
        raise Refusal(403, 403004, f"directory ({folder}) is a symlink to a location not on the allowlist")
    if not folder.is_dir():
        raise Refusal(404, 404001, f"The specified directory does not exist [{folder}].")
    found = sorted(folder.iterdir(), key=lambda path: (path.is_file(), path.name))
    return [_entry(call.query("target").rstrip("/"), path) for path in found]


def _entry(target: str, path: Path) -> Json:
    where = {"name": path.name, "uri": f"{target}/{path.name}", "path": path.name}
    if path.is_dir():
        return {**where, "class": "Directory"}
    return {**where, "class": "File", "size": path.stat().st_size, "ctime": "2024-06-12T00:00:00Z", "hashes": None}


ROUTES = [
    route("/api/groups", "GET", list_groups),
    route("/api/groups", "POST", make_group),
    route("/api/groups/{group}/roles", "GET", list_roles_of_group),
    route("/api/remote_files", "GET", list_remote_files),
]
