"""Routes of what a server offers by name, of roles, and of sharing histories; measured on 24.1.4, 25.0.4 and 26.1.2.

The odd cases are kept: the list of users is set as a whole, a private dataset is opened to one user at a time so that
the last one wins, only new users are given anything, and a refused request opens datasets all the same.
"""

from __future__ import annotations

from typing import Any

from tests.fakes.galaxy.account_state import Role, User
from tests.fakes.galaxy.data_answers import DATA_TYPES
from tests.fakes.galaxy.ids import encode
from tests.fakes.galaxy.state import Dataset, History
from tests.fakes.galaxy.web import Call, Refusal, route

Json = dict[str, Any]
NOT_FOR_UPLOAD = ("data",)
GENOMES = (
    ("Human Dec. 2013 (GRCh38/hg38) (hg38)", "hg38"),
    ("Human Feb. 2009 (GRCh37/hg19) (hg19)", "hg19"),
    ("Mouse June 2020 (GRCm39/mm39) (mm39)", "mm39"),
    ("unspecified (?)", "?"),
)


def list_datatypes(call: Call) -> list[str]:
    """List extensions; by default only those that are offered for uploads."""
    uploads = call.flag("upload_only", default=True)
    known = DATA_TYPES.keys() - call.world.unknown_datatypes
    return sorted(ext for ext in known if not uploads or ext not in NOT_FOR_UPLOAD)


def list_genomes(_: Call) -> list[list[str]]:
    """List reference genomes by name and key."""
    return [list(row) for row in GENOMES]


def _row(user: User) -> Json:
    return {"model_class": "User", "id": encode(user.number), "username": user.username, "email": user.email}


def make_user(call: Call) -> Json:
    """Make an ordinary user, as administrators may."""
    if not call.need_user().is_admin:
        raise Refusal(403, 403006, "You must be an administrator to access this feature.")
    return _row(call.world.add_user(str(call.body["username"]), is_admin=False))


def make_role(call: Call) -> Json:
    """Make a role with members, as administrators may."""
    if not call.need_user().is_admin:
        raise Refusal(403, 403006, "You must be an administrator to access this feature.")
    members = {call.number(one) for one in call.body.get("user_ids") or ()}
    role = call.world.add_role(str(call.body["name"]), members)
    return role_row(role)


def role_row(role: Role) -> Json:
    """Give a role as Galaxy lists it."""
    encoded = encode(role.number)
    shown = {"id": encoded, "name": role.name, "type": role.kind, "description": None}
    return {"model_class": "Role", **shown, "url": f"role?id={encoded}"}


def list_roles(call: Call) -> list[Json]:
    """List the roles the caller may see: those for people, and private ones and those of sharing that it has."""
    user = call.need_user()
    rows = call.world.all_roles()
    return [
        role_row(role)
        for role in rows
        if user.is_admin or role.kind not in ("private", "sharing") or user.number in role.members
    ]


def show_sharing(call: Call) -> Json:
    """Say with whom a history is shared."""
    return _status(call, call.history(call.path["history"], own=True))


def _status(call: Call, history: History) -> Json:
    owner = call.world.users[history.user]
    readers = [call.world.users[number] for number in history.shared]
    return {
        "id": encode(history.number),
        "title": history.name,
        "importable": False,
        "published": False,
        "users_shared_with": [{"id": encode(one.number), "email": one.email} for one in readers],
        "email_hash": "0" * 32,
        "username": owner.username,
        "username_and_slug": f"u/{owner.username}/h/{history.name}" if readers else None,
    }


def share_history(call: Call) -> Json:
    """Set the users a history is shared with."""
    history = call.history(call.path["history"], own=True)
    world, owner = call.world, call.world.users[history.user]
    users, errors = _named(call, owner)
    option = call.body.get("share_option")
    members = [world.datasets[number] for kind, number in history.contents if kind == "dataset"]
    members = [one for one in members if not one.purged]
    if not members:
        errors.append("You cannot share an empty history.")
    open_to_all = _open_to(call, owner, [one for one in users if one.number not in history.shared], members, option)
    well = not errors and (option is not None or open_to_all)
    if well:
        history.shared = [one.number for one in users]
    extra = None if well else {"can_share": False, "can_change": [], "cannot_change": [], "accessible_count": 0}
    return {**_status(call, history), "errors": errors, "extra": extra}


def _named(call: Call, owner: User) -> tuple[list[User], list[str]]:
    users, errors = [], []
    for named in dict.fromkeys(str(one) for one in call.body.get("user_ids") or ()):
        found = next((one for one in call.world.users.values() if named in (one.email, encode(one.number))), None)
        if found is None:
            errors.append(f"{named} is not a valid Galaxy user.")
        elif found is owner:
            errors.append("You cannot share resources with yourself.")
        else:
            users.append(found)
    return users, errors


def _open_to(call: Call, owner: User, users: list[User], members: list[Dataset], option: str | None) -> bool:
    """Open what the users cannot read, one user after the other; tell whether they can read it all then."""
    well = True
    for user in users:
        for dataset in members:
            if not call.world.may_read(user, dataset.file) and option == "make_accessible_to_shared":
                dataset.file.access = (call.world.sharing_role(owner, user).number,)
            well = well and call.world.may_read(user, dataset.file)
    return well


ROUTES = [
    route("/api/datatypes", "GET", list_datatypes),
    route("/api/genomes", "GET", list_genomes),
    route("/api/users", "POST", make_user),
    route("/api/roles", "GET", list_roles),
    route("/api/roles", "POST", make_role),
    route("/api/histories/{history}/sharing", "GET", show_sharing),
    route("/api/histories/{history}/share_with_users", "PUT", share_history),
]
