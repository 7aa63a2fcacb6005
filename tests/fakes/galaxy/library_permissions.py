"""Who may see and change what in libraries, and the routes that tell and set it.

A library and a folder are seen by everybody or by those who hold one of the access roles; a file is read by those who
hold all of its roles. Administrators may do everything.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from tests.fakes.galaxy.account_state import User
from tests.fakes.galaxy.ids import encode
from tests.fakes.galaxy.library_state import Library, LibraryFolder, LibraryItem, Rights
from tests.fakes.galaxy.state import StoredFile, World
from tests.fakes.galaxy.web import Call, Refusal, invalid, route

Json = dict[str, Any]
KEYS = {
    "library": {
        "access": "access_library_role_list",
        "modify": "modify_library_role_list",
        "manage": "manage_library_role_list",
        "add": "add_library_item_role_list",
    },
    "folder": {
        "modify": "modify_folder_role_list",
        "manage": "manage_folder_role_list",
        "add": "add_library_item_role_list",
    },
    "item": {"access": "access_dataset_roles", "manage": "manage_dataset_roles", "modify": "modify_item_roles"},
}


def roles_of(call: Call) -> set[int]:
    """Give the roles the caller holds."""
    user = call.user
    return {role.number for role in call.world.all_roles() if user is not None and user.number in role.members}


def may(call: Call, right: str, rights: Rights) -> bool:
    """Say whether the caller holds a right."""
    if call.user is None:
        return False
    return call.user.is_admin or bool(roles_of(call) & set(rights.get(right, ())))


def holds(call: Call, access: tuple[int, ...]) -> bool:
    """Say whether the caller may read a file with these access roles: all of them are needed."""
    return (call.user is not None and call.user.is_admin) or set(access) <= roles_of(call)


def may_see(call: Call, library: Library) -> bool:
    """Say whether the caller may see a library."""
    return not library.rights.get("access") or may(call, "access", library.rights)


def may_read(call: Call, item: LibraryItem, *, listed: bool = False) -> bool:
    """Say whether the caller may read a file; in a list one of its roles is enough."""
    shelf = call.world.shelf
    if not may_see(call, shelf.libraries[shelf.folders[item.folder].library]):
        return False
    if listed and set(item.file.access) & roles_of(call):
        return True
    return holds(call, item.file.access)


def is_private_to(user: User | None, file: StoredFile) -> bool:
    """Say whether only this account may read a file."""
    return user is not None and file.access == (user.role,)


def find_library(call: Call, encoded: Any) -> Library:
    """Find a library the caller may see."""
    row = call.world.shelf.libraries.get(call.number(encoded, ("path", "id")))
    if row is None or not may_see(call, row) or (row.deleted and not (call.user and call.user.is_admin)):
        raise Refusal(404, 404001, "Library with the id provided was not found.")
    return row


def find_folder(call: Call, encoded: Any) -> LibraryFolder:
    """Find a folder by its id, which begins with F, in a library the caller may see."""
    text = str(encoded)
    if not text.startswith("F"):
        message = "Value error, Invalid library folder ID. Folder IDs must start with an 'F'"
        raise invalid(message, ("path", "folder_id"), text)
    row = call.world.shelf.folders.get(call.number(text[1:], ("path", "folder_id")))
    if row is None:
        raise Refusal(400, 400008, "No folder found with the id provided.")
    if not may_see(call, call.world.shelf.libraries[row.library]):
        raise Refusal(404, 404001, f"Folder with the id provided ( {text} ) was not found")
    return row


def find_item(call: Call, encoded: Any) -> LibraryItem:
    """Find a file the caller may read; others are told that it is not there."""
    row = call.world.shelf.items.get(call.number(encoded, ("path", "id")))
    if row is None or not may_read(call, row):
        raise Refusal(404, 404001, "Library dataset with the id provided was not found.")
    if row.deleted and not (call.user and call.user.is_admin):
        raise Refusal(404, 404001, "Library dataset with the id provided is deleted.")
    return row


def _names(world: World) -> dict[int, tuple[str, str]]:
    return {role.number: (role.name, role.kind) for role in world.all_roles()}


def _shown(call: Call, kind: str, rights: Rights) -> Json:
    names = _names(call.world)
    return {
        key: [[names[number][0], encode(number)] for number in rights.get(right, ())]
        for right, key in KEYS[kind].items()
    }


def _valid(call: Call) -> dict[int, tuple[str, str]]:
    """Give the roles the caller may give: an administrator all, others their own."""
    names = _names(call.world)
    if call.user is not None and call.user.is_admin:
        return names
    return {number: name for number, name in names.items() if number in roles_of(call)}


def _offered(call: Call) -> Json:
    roles = [{"id": encode(number), "name": name, "type": kind} for number, (name, kind) in _valid(call).items()]
    page, limit = call.count("page", 1) or 1, call.count("page_limit", 10) or 10
    shown = roles[(page - 1) * limit : page * limit]
    # What Galaxy calls the total is what it shows.
    return {"roles": shown, "page": page, "page_limit": limit, "total": len(shown)}


def _thing(call: Call, kind: str) -> tuple[Rights, Library]:
    shelf = call.world.shelf
    if kind == "library":
        library = find_library(call, call.path["library"])
        return library.rights, library
    if kind == "folder":
        folder = find_folder(call, call.path["folder"])
        return folder.rights, shelf.libraries[folder.library]
    item = find_item(call, call.path["item"])
    return {**item.rights, "access": item.file.access}, shelf.libraries[shelf.folders[item.folder].library]


REFUSED_TO_READ = {
    "library": "You do not have proper permission to access permissions of this library.",
    "folder": "You do not have proper permission to access permissions of this folder.",
    "item": "You do not have proper permission to access permissions.",
}
REFUSED_TO_SET = {
    "library": "You do not have proper permission to modify permissions of this library.",
    "folder": "You do not have proper permission to modify permissions of this folder.",
    "item": "You do not have proper permissions to manage permissions on this dataset.",
}


def _show(call: Call, kind: str) -> Json:
    rights, _ = _thing(call, kind)
    if not may(call, "manage", rights):
        raise Refusal(403, 403005, REFUSED_TO_READ[kind])
    if call.query("scope") == "available":
        return _offered(call)
    return _shown(call, kind, rights)


def _set(call: Call, kind: str) -> Json:
    rights, library = _thing(call, kind)
    if not may(call, "manage", rights):
        raise Refusal(403, 403005, REFUSED_TO_SET[kind])
    if call.body.get("action") != "set_permissions":
        raise Refusal(400, 400008, 'The mandatory parameter "action" has an invalid value.')
    valid = _valid(call)
    wanted: Rights = {}
    for right in KEYS[kind]:
        numbers = [call.number(one) for one in call.body.get(f"{right}_ids[]") or []]
        if any(number not in valid for number in numbers):
            raise Refusal(404, 404001, "No accessible role found with the id provided.")
        wanted[right] = tuple(numbers)
    shelf = call.world.shelf
    if kind == "library":
        library.rights = wanted
        shelf.folders[library.root].rights = {right: roles for right, roles in wanted.items() if right != "access"}
    elif kind == "folder":
        find_folder(call, call.path["folder"]).rights = wanted
    else:
        item = find_item(call, call.path["item"])
        item.file.access = wanted.pop("access")
        item.rights = wanted
        wanted = {**wanted, "access": item.file.access}
    return _shown(call, kind, wanted)


ROUTES = [
    made
    for kind, path in (
        ("library", "/api/libraries/{library}/permissions"),
        ("folder", "/api/folders/{folder}/permissions"),
        ("item", "/api/libraries/datasets/{item}/permissions"),
    )
    for made in (
        route(path, "GET", partial(_show, kind=kind)),
        route(path, "POST", partial(_set, kind=kind)),
    )
]
