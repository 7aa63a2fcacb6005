"""Routes of libraries, their folders and the files in them; who may see what is asked of `library_permissions.py`."""

from __future__ import annotations

from html import escape
from typing import Any

from starlette.responses import Response, StreamingResponse

from tests.fakes.galaxy.collections import copy_within
from tests.fakes.galaxy.data_answers import DATA_TYPES, dataset_summary
from tests.fakes.galaxy.datasets import bytes_of
from tests.fakes.galaxy.ids import encode
from tests.fakes.galaxy.library_permissions import (
    find_folder,
    find_item,
    find_library,
    holds,
    is_private_to,
    may,
    may_read,
    may_see,
)
from tests.fakes.galaxy.library_state import Library, LibraryFolder, LibraryItem
from tests.fakes.galaxy.state import now_text
from tests.fakes.galaxy.tags import bent
from tests.fakes.galaxy.web import Call, Refusal, route

Json = dict[str, Any]
ONLY_ADMINS = "You must be an administrator to access this feature."


def folder_id(number: int) -> str:
    """Give the id of a folder as Galaxy shows it."""
    return "F" + encode(number)


def _nice(size: int) -> str:
    amount = float(size)
    for unit in ("bytes", "KB", "MB", "GB", "TB"):
        if amount < 1024 or unit == "TB":
            return f"{amount:.0f} {unit}" if unit == "bytes" else f"{amount:.1f} {unit}"
        amount /= 1024
    return ""


def _library(call: Call, row: Library) -> Json:
    return {
        "model_class": "Library",
        "id": encode(row.number),
        "name": row.name,
        "description": row.description,
        "synopsis": row.synopsis,
        "root_folder_id": folder_id(row.root),
        "create_time": row.create_time,
        "deleted": row.deleted,
        "create_time_pretty": "just now",
        "public": True,  # whatever its rights are
        "can_user_add": may(call, "add", row.rights),
        "can_user_modify": may(call, "modify", row.rights),
        "can_user_manage": may(call, "manage", row.rights),
    }


def _admin_only(call: Call) -> None:
    if call.user is None or not call.user.is_admin:
        raise Refusal(403, 403006, ONLY_ADMINS)


def list_libraries(call: Call) -> list[Json]:
    """List the libraries the caller may see; deleted ones only for administrators who ask."""
    deleted = call.flag("deleted")
    rows = [row for row in call.world.shelf.libraries.values() if row.deleted is deleted and may_see(call, row)]
    return [_library(call, row) for row in rows]


def make_library(call: Call) -> Json:
    """Make a library, whatever others are called."""
    _admin_only(call)
    name, description, synopsis = (str(call.body.get(key) or "") for key in ("name", "description", "synopsis"))
    return _library(call, call.world.shelf.add_library(name, description, synopsis))


def show_library(call: Call) -> Json:
    """Show one library."""
    return _library(call, find_library(call, call.path["library"]))


def remove_library(call: Call) -> Json:
    """Mark a library deleted."""
    _admin_only(call)
    row = find_library(call, call.path["library"])
    row.deleted = True
    return _library(call, row)


def make_folder(call: Call) -> Json:
    """Make a folder below another one, whatever others are called."""
    parent = find_folder(call, call.path["folder"])
    if not may(call, "add", parent.rights):
        raise Refusal(403, 403005, "You do not have proper permission to create folders under given folder.")
    shelf = call.world.shelf
    row = shelf.add_folder(parent, str(call.body["name"]), str(call.body.get("description") or ""))
    return {
        "model_class": "LibraryFolder",
        "id": folder_id(row.number),
        "name": row.name,
        "description": row.description,
        "item_count": 0,
        "parent_library_id": encode(row.library),
        "parent_id": folder_id(parent.number),
        "genome_build": "?",
        "update_time": row.update_time,
        "deleted": row.deleted,
        "library_path": [above.name for above in shelf.way_to(row)[1:]],
    }


def _folder_row(call: Call, row: LibraryFolder) -> Json:
    return {
        "name": row.name,
        "type": "folder",
        "create_time": row.create_time,
        "update_time": row.update_time,
        "can_manage": may(call, "manage", row.rights),
        "deleted": row.deleted,
        "id": folder_id(row.number),
        "can_modify": may(call, "modify", row.rights),
        "description": row.description,
    }


def _item_row(call: Call, row: LibraryItem) -> Json:
    return {
        "name": row.name,
        "type": "file",
        "create_time": row.create_time,
        "update_time": row.update_time,
        "can_manage": may(call, "manage", row.rights),
        "deleted": row.deleted,
        "id": encode(row.number),
        "file_ext": row.file.ext,
        "date_uploaded": row.create_time,
        "is_unrestricted": not row.file.access,
        "is_private": is_private_to(call.user, row.file),
        "state": row.file.state,
        "file_size": _nice(row.file.size),
        "raw_size": row.file.size,
        "ldda_id": encode(row.version),
        "tags": list(row.tags),
        "message": row.message or row.file.misc_info,
    }


def list_folder(call: Call) -> Json:
    """List a folder, folders first; a page that the folders fill has all files as well, as Galaxy's has."""
    folder = find_folder(call, call.path["folder"])
    shelf = call.world.shelf
    text = call.query("search_text").lower()
    folders = [row for row in shelf.folders_in(folder) if text in row.name.lower() or text in row.description.lower()]
    items = [
        row
        for row in shelf.items_in(folder)
        if may_read(call, row, listed=True) and text in f"{row.name}\n{row.message or ''}".lower()
    ]
    folders.sort(key=lambda row: row.name)
    items.sort(key=lambda row: row.name)
    limit, offset = call.count("limit", 10) or 0, call.count("offset", 0) or 0
    end = offset + limit if limit > 0 else None
    shown = folders[offset:end]
    skipped = max(0, offset - (len(folders) - len(shown)))
    left = limit - len(shown)
    files = items[skipped : skipped + left if left > 0 else None]
    return {
        "metadata": {
            "parent_library_id": encode(folder.library),
            "folder_name": folder.name,
            "folder_description": folder.description,
            "total_rows": len(folders) + len(items),
            "can_modify_folder": may(call, "modify", folder.rights),
            "can_add_library_item": may(call, "add", folder.rights),
            "full_path": [[folder_id(row.number), row.name] for row in shelf.way_to(folder)],
        },
        "folder_contents": [_folder_row(call, row) for row in shown] + [_item_row(call, row) for row in files],
    }


def _item(call: Call, row: LibraryItem) -> Json:
    """Give what both ways to show a file have in common."""
    file = row.file
    return {
        "id": encode(row.number),
        "ldda_id": encode(row.version),
        "parent_library_id": encode(call.world.shelf.folders[row.folder].library),
        "folder_id": folder_id(row.folder),
        "model_class": "LibraryDataset",
        "state": file.state,
        "name": row.name,
        "file_name": str(file.path) if file.path and file.state != "error" else "",
        "created_from_basename": file.basename,
        "uploaded_by": call.world.users[file.user].email,
        "message": row.message,
        "date_uploaded": row.create_time,
        "update_time": row.update_time,
        "file_ext": file.ext,
        "data_type": DATA_TYPES.get(file.ext, DATA_TYPES["data"]),
        "genome_build": row.dbkey,
        "misc_info": file.misc_info,
        "misc_blurb": file.blurb,
        "peek": file.peek,
        "uuid": file.uuid,
        "metadata_dbkey": row.dbkey,
        "tags": list(row.tags),
    }


def _item_alone(call: Call, row: LibraryItem) -> Json:
    shelf = call.world.shelf
    way = [[folder_id(above.number), above.name] for above in shelf.way_to(shelf.folders[row.folder])]
    return {
        **_item(call, row),
        "file_size": _nice(row.file.size),
        "deleted": row.deleted,
        "full_path": [*way, [encode(row.number), row.name]],
        "can_user_modify": may(call, "modify", row.rights),
        "is_unrestricted": not row.file.access,
        "can_user_manage": may(call, "manage", row.rights),
    }


def show_item(call: Call) -> Json:
    """Show a file; its size is a text for people."""
    return _item_alone(call, find_item(call, call.path["item"]))


def show_content(call: Call) -> Json:
    """Show a file the other way: its size is a number."""
    row = find_item(call, call.path["item"])
    return {**_item(call, row), "file_size": row.file.size}


def change_item(call: Call) -> Json:
    """Change name, tags or message of a file."""
    row = find_item(call, call.path["item"])
    if row.deleted:
        raise Refusal(404, 404001, "Library dataset with the id provided is deleted.")
    if not may(call, "modify", row.rights):
        raise Refusal(403, 403005, "You do not have proper permission to modify this library dataset.")
    if call.body.get("tags") is not None and not call.may_use(row.file.user):
        raise Refusal(403, 403003, "User does not own item.")
    if call.body.get("name") == "":
        raise Refusal(400, 400008, "name must have at least length of 1")
    # Galaxy keeps such texts as HTML, whatever becomes of a name with such letters.
    if call.body.get("name"):
        row.name = escape(str(call.body["name"]), quote=False)
    if call.body.get("message") is not None:
        row.message = escape(str(call.body["message"]), quote=False)
    if call.body.get("tags") is not None:
        row.tags = bent(call.body["tags"])
    row.update_time = now_text()
    return _item_alone(call, row)


def remove_item(call: Call) -> Json:
    """Mark a file deleted."""
    row = find_item(call, call.path["item"])
    if not may(call, "modify", row.rights):
        raise Refusal(403, 403005, "You do not have proper permissions to delete this dataset.")
    row.deleted = True
    return _item_alone(call, row)


def put_dataset(call: Call) -> Json:
    """Make a file of a dataset of the caller's own: at once, with the same bytes, hashes and access roles."""
    folder = find_folder(call, call.path["folder"])
    dataset = call.dataset(call.body.get("from_hda_id"), own=True)
    if not may(call, "add", folder.rights):
        raise Refusal(403, 403002, "You do not have access to the requested item")
    row = call.world.shelf.add_item(folder, dataset.name, dataset.file)
    row.rights["manage"] = tuple({call.world.users[dataset.file.user].role, *row.rights.get("manage", ())})
    row.message = escape(str(call.body.get("ldda_message") or ""), quote=False) or None
    shown = _item(call, row)
    return {**shown, "id": encode(row.version), "library_dataset_id": encode(row.number), "file_size": row.file.size}


def copy_to_history(call: Call) -> Json:
    """Make a dataset of a history from a file, which shares the bytes; twice makes two."""
    history = call.history(call.path["history"], own=True)
    if call.body.get("source") in ("hda", "hdca"):
        return copy_within(call, history)
    if call.body.get("source") != "library":
        raise Refusal(400, 400008, f"The fake server copies nothing that is {call.body.get('source')!r}")
    row = find_item(call, call.body.get("content"))
    if not holds(call, row.file.access):
        raise Refusal(403, 403002, "You do not have permission to access the library dataset")
    dataset = call.world.place_dataset(history, row.file, row.name)
    dataset.tags = list(row.tags)
    return {**dataset_summary(dataset), "copied_from_ldda_id": encode(row.version)}


def download_item(call: Call) -> Response:
    """Give all bytes of a library's file."""
    item = find_item(call, call.query("ld_ids"))
    path = item.file.path
    assert path is not None
    size = path.stat().st_size
    headers = {"content-length": str(size)}
    return StreamingResponse(bytes_of(path, 0, size), headers=headers, media_type="application/octet-stream")


ROUTES = [
    route("/api/libraries/datasets/download/uncompressed", "GET", download_item),
    route("/api/libraries", "GET", list_libraries),
    route("/api/libraries", "POST", make_library),
    route("/api/libraries/{library}", "GET", show_library),
    route("/api/libraries/{library}", "DELETE", remove_library),
    route("/api/folders/{folder}", "POST", make_folder),
    route("/api/folders/{folder}/contents", "GET", list_folder),
    route("/api/folders/{folder}/contents", "POST", put_dataset),
    route("/api/libraries/{library}/contents/{item}", "GET", show_content),
    route("/api/libraries/datasets/{item}", "GET", show_item),
    route("/api/libraries/datasets/{item}", "PATCH", change_item),
    route("/api/libraries/datasets/{item}", "DELETE", remove_item),
    route("/api/histories/{history}/contents", "POST", copy_to_history),
]
