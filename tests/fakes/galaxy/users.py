"""Routes of the server itself and of accounts."""

from __future__ import annotations

import base64
from typing import Any

from tests.fakes.galaxy.account_state import User
from tests.fakes.galaxy.ids import encode
from tests.fakes.galaxy.web import Call, Refusal, route

Json = dict[str, Any]


def show_version(call: Call) -> Json:
    """Say which release this is."""
    return {"version_major": call.world.behaviour.major, "version_minor": call.world.behaviour.minor}


def show_configuration(call: Call) -> Json:
    """Give what clients read of the configuration."""
    shown: Json = {
        "version_major": call.world.behaviour.major,
        "chunk_upload_size": 10485760,
        "enable_celery_tasks": call.world.archives.has_celery,
        "enable_quotas": True,
        "enable_notification_system": False,
        "allow_user_dataset_purge": True,
        "allow_local_account_creation": True,
        "file_sources_configured": False,
        "require_login": False,
        "server_mail_configured": False,
        "expose_user_email": False,
        "terms_url": None,
        "welcome_url": "/static/welcome.html",
    }
    shown["user_library_import_dir_available"] = call.world.has_user_import_folder
    if call.world.behaviour.sse:
        shown["enable_sse_updates"] = False
    if call.user is not None and call.user.is_admin:
        shown["allow_library_path_paste"] = call.world.allow_path_paste
        shown["library_import_dir"] = str(call.world.import_folder) if call.world.has_import_folder else None
    return shown


def _nice(size: int) -> str:
    return f"{size} bytes" if size < 1024 else f"{size / 1024:.1f} KB"


def _quota(call: Call, user: User) -> Json:
    used = call.world.usage(user)
    limit = user.quota_bytes
    return {
        "total_disk_usage": float(used),
        "quota_percent": None if limit is None or user.is_admin else min(100, round(100 * used / max(1, limit))),
        "quota_bytes": limit,
        "quota": "unlimited" if limit is None else _nice(limit),
    }


def show_user(call: Call) -> Json:
    """Show the caller's account; anonymous callers get three keys and no id."""
    if call.path["user"] != "current" and call.user is not None:
        number = call.number(call.path["user"])
        if number not in call.world.users:
            raise Refusal(400, 0, f"Invalid User id ( {number} ) specified")
        if number != call.user.number and not call.user.is_admin:
            raise Refusal(400, 400008, "Invalid user id specified")
    user = call.user
    if user is None:
        return {"total_disk_usage": 0.0, "nice_total_disk_usage": "0 bytes", "quota_percent": 0.0}
    return {
        **_quota(call, user),
        "nice_total_disk_usage": _nice(call.world.usage(user)),
        "id": encode(user.number),
        "username": user.username,
        "email": user.email,
        "deleted": False,
        "is_admin": user.is_admin,
        "purged": False,
        "preferences": {},
        "preferred_object_store_id": None,
    }


def _own_account(call: Call) -> User:
    user = call.need_user()
    if call.path["user"] != "current" and call.number(call.path["user"]) != user.number:
        raise Refusal(403, 403002, "Access denied")
    return user


def show_usage(call: Call) -> list[Json]:
    """Give the disk usage of the caller."""
    return [{"quota_source_label": None, **_quota(call, _own_account(call))}]


def show_default_permissions(call: Call) -> Json:
    """Give the roles a new history's datasets get."""
    user = _own_account(call)
    roles = [role for role in call.world.all_roles() if user.number in role.members]

    def select(name: str, label: str, text: str, value: list[int]) -> Json:
        return {
            "type": "select",
            "multiple": True,
            "optional": True,
            "name": name,
            "label": label,
            "help": text,
            "options": [[role.name, role.number] for role in roles],
            "value": value,
        }

    manage = "Users having associated role can manage the roles associated with permissions on this dataset."
    access = "Users having all associated roles can import this dataset into their history for analysis."
    return {
        "inputs": [
            select("DATASET_MANAGE_PERMISSIONS", "manage permissions", manage, [user.role]),
            select("DATASET_ACCESS", "access", access, list(user.default_access)),
        ]
    }


def change_default_permissions(call: Call) -> Json:
    """Set the roles of what histories made from now on will hold."""
    user = _own_account(call)
    user.default_access = tuple(int(role) for role in call.body.get("DATASET_ACCESS") or ())
    return {"message": "Permissions have been saved."}


def log_in(call: Call) -> Json:
    """Tell the key of an account for its password, also one that was not made before."""
    words = call.request.headers.get("authorization", "").split(" ")
    if words == [""]:
        raise Refusal(400, 400008, "Authentication is missing")
    try:
        identity, password = base64.b64decode(words[-1]).decode().split(":")
    except ValueError:
        raise Refusal(400, 400008, "Invalid authorization line") from None
    user = next((one for one in call.world.users.values() if identity in (one.email, one.username)), None)
    if user is None:
        raise Refusal(404, 404001, "The user does not exist.")
    if not user.password or password != user.password:
        raise Refusal(401, 401001, "Invalid password.")
    return {"api_key": user.key}


def list_users(call: Call) -> list[Json]:
    """List the accounts whose address holds a text; whoever is no administrator is shown the own one alone."""
    asking, wanted = call.need_user(), call.query("f_email").lower()
    shown = [
        one
        for one in call.world.users.values()
        if (asking.is_admin and wanted in one.email.lower()) or (not asking.is_admin and one is asking)
    ]
    return [
        {
            "model_class": "User",
            "id": encode(one.number),
            "username": one.username,
            "email": one.email,
            "deleted": False,
            "active": True,
        }
        for one in shown
    ]


ROUTES = [
    route("/api/authenticate/baseauth", "GET", log_in, for_anybody=True),
    route("/api/users", "GET", list_users),
    route("/api/version", "GET", show_version),
    route("/api/configuration", "GET", show_configuration),
    route("/api/users/{user}", "GET", show_user),
    route("/api/users/{user}/usage", "GET", show_usage),
    route("/api/users/{user}/permissions/inputs", "GET", show_default_permissions),
    route("/api/users/{user}/permissions/inputs", "PUT", change_default_permissions),
]
