"""What a way into Galaxy or a library needs, held against what the account may there: files by path, import folders,
making a library, adding to it, and the roles and users it is opened to.

Reads only, and tells every problem. Whether Galaxy sees a file under its mapped path (`link`, `copy`) nothing tells
beforehand: it refuses the import and makes nothing. What lies in an import folder it shows. Part of `offered.py`,
through which the plan stage and `check` come here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from watcher.errors import Forbidden, GalaxyBroken, Refused
from watcher.galaxy import Galaxy
from watcher.galaxy.client import Identity
from watcher.model import FolderId, PlannedLibrary
from watcher.stages.unknown import Problem, near, unknown_role

TUS = "use `transfer: tus`."


@dataclass(frozen=True, slots=True)
class Way:
    """A way in other than `tus`, and who wants it. Of an import folder, also a folder in it and names with sizes in
    bytes (None where none is known) of what lies there on our side.
    """

    transfer: str
    asker: str
    folder: str = ""
    here: Mapping[str, int | None] = field(default_factory=dict)


async def way_problems(galaxy: Galaxy, identity: Identity, way: Way, told: list[str]) -> list[Problem]:
    """Return why Galaxy would not take files this way; `identity` has to be fresh, as somebody may just have corrected
    it. What was seen to be well is added to `told`.
    """
    if refused := _refused(identity, way.transfer, f" ({way.asker})"):
        return [refused]
    if way.transfer == "import_dir":
        return await _unseen(galaxy, way, f"its import folder, {identity.import_folder}", told)
    if way.transfer == "user_import_dir":
        return await _unseen(galaxy, way, f"the import folder of {identity.email}", told)
    return []


def _refused(identity: Identity, transfer: str, asker: str) -> Problem | None:
    told = f"(transfer: {transfer})"
    if transfer == "user_import_dir":
        if identity.has_user_import_folder:
            return None
        return Problem(
            f"Galaxy has no import folders for its users {told}: `user_library_import_dir` is not set{asker}.",
            f"Whoever runs Galaxy sets it; or {TUS}",
        )
    if not identity.is_admin:
        return Problem(
            f"Galaxy takes files this way {told} from administrators only, and {identity.email} is none{asker}.",
            f"Name an administrator's key, use `transfer: user_import_dir` where Galaxy has it, or {TUS}",
        )
    if transfer == "import_dir":
        if identity.import_folder:
            return None
        return Problem(
            f"Galaxy has no import folder {told}: `library_import_dir` is not set{asker}.",
            f"Whoever runs Galaxy sets it; or {TUS}",
        )
    if identity.takes_paths:
        return None
    return Problem(
        f"Galaxy takes no files by their path {told}: `allow_path_paste` is not set{asker}.",
        f"Whoever runs Galaxy sets it to true; or {TUS}",
    )


async def _unseen(galaxy: Galaxy, way: Way, where: str, told: list[str]) -> list[Problem]:
    """Find out whether the folder is one and the same on both sides, as far as Galaxy shows its own."""
    folder = "" if way.folder == "." else way.folder
    try:
        there = await galaxy.offers.import_folder(folder, own=way.transfer == "user_import_dir")
    except (Refused, Forbidden, GalaxyBroken):
        return []  # it does not show it; what it makes of each file is checked in any case
    hint = f"Compare `{way.transfer}` of this Galaxy in the configuration with the folder that the server has."
    place = f"a folder `{folder}` in {where}" if folder else where
    if there is None:
        return [Problem(f"Galaxy does not see {place} ({way.asker}).", hint)]
    missing = [name for name in way.here if name not in there]
    if way.here and len(missing) == len(way.here):
        names = ", ".join(f"`{name}`" for name in missing[:3])
        return [Problem(f"Galaxy does not see {names} in {place} ({way.asker}).", hint)]
    for name, size in way.here.items():
        if size is not None and there.get(name) not in (None, size):
            message = f"`{name}` has {size} bytes here and {there[name]} in {place}, as Galaxy sees it ({way.asker})."
            return [Problem(message, hint)]
    told.append(f"Galaxy sees {place}")
    return []


async def library_problems(
    galaxy: Galaxy, identity: Identity, library: PlannedLibrary, told: list[str]
) -> list[Problem]:
    """Return why the account could not put a batch there, and which roles and users are not known; without a name only
    the latter, of a folder the part that is known. What is well is added to `told`.
    """
    problems = await _reader_problems(galaxy, identity, library)
    if not library.name:
        return problems
    found = await galaxy.libraries.find(library.name)
    if len(found) > 1:
        message = f"Galaxy has {len(found)} libraries named `{library.name}`: nobody can tell which one is meant."
        return [*problems, Problem(message, "Rename or delete all but one of them in Galaxy.")]
    if found:
        return [*problems, *await _place_problems(galaxy, identity, library, found[0].root_folder_id, told)]
    if identity.is_admin:
        told.append(f"the library `{library.name}` will be made")
        return problems
    hint = near(library.name, await galaxy.libraries.names())
    message = f"There is no library `{library.name}` that {identity.email} may see, and only administrators make one."
    return [*problems, Problem(message, hint or "An administrator of Galaxy makes it and lets the account add to it.")]


async def _place_problems(
    galaxy: Galaxy, identity: Identity, library: PlannedLibrary, root: FolderId, told: list[str]
) -> list[Problem]:
    """Go down the folders as far as they are there: the last one has to take what comes."""
    folder, way = root, [library.name]
    for name in library.folder:
        same = [one for one in await galaxy.libraries.folders(folder) if one.name == name]
        if len(same) > 1:
            shown = "/".join((*way, name))
            message = f"Galaxy has {len(same)} folders `{shown}`: nobody can tell which one is meant."
            return [Problem(message, "Rename or delete all but one of them in Galaxy.")]
        if not same:
            break
        folder, way = same[0].id, [*way, name]
    shown = "/".join(way)
    if not await galaxy.libraries.may_add(folder):
        message = f"{identity.email} may not add to `{shown}` of Galaxy's libraries."
        return [Problem(message, "Whoever manages it in Galaxy gives the account the right to add.")]
    if library.manage and not await _may_manage(galaxy, folder):
        message = f"{identity.email} may not say who manages what is made in `{shown}` of Galaxy's libraries."
        return [Problem(message, "Leave out `manage`, or let somebody give the account the right to manage it.")]
    told.append(f"the account may add to `{shown}` of the libraries")
    return []


async def _may_manage(galaxy: Galaxy, folder: FolderId) -> bool:
    try:
        await galaxy.libraries.permissions("folder", folder)
    except Forbidden:
        return False
    return True


async def _reader_problems(galaxy: Galaxy, identity: Identity, library: PlannedLibrary) -> list[Problem]:
    """Find roles and users that nobody has, those that the account may not give, and readers who exclude each other."""
    wanted = tuple(dict.fromkeys((*library.access, *library.manage)))
    if not wanted:
        return []
    rows = {role.name.lower(): role for role in await galaxy.offers.roles() if role.type != "sharing"}
    held = set() if identity.is_admin else {name.lower() for name in await galaxy.offers.held_roles()}
    problems = []
    for name in wanted:
        if name.lower() not in rows and "@" in name and not identity.is_admin:
            message = f"{identity.email} cannot let {name} in: only administrators give the roles of other users."
            problems.append(Problem(message, "Name a role that both have, or use an administrator's key."))
        elif name.lower() not in rows:
            hint = "Roles go by their name, users by their e-mail."
            known = [role.name for role in rows.values()]
            problems.append(await unknown_role(galaxy, "role or user", name, known, hint))
        elif not identity.is_admin and name.lower() not in held:
            message = (
                f"{identity.email} does not have the role `{name}`: only administrators give other roles than theirs."
            )
            problems.append(Problem(message, "An administrator of Galaxy gives it to the account."))
    alone = [name for name in library.access if name.lower() in rows and rows[name.lower()].type == "private"]
    if len(alone) > 1:
        message = f"Nobody could read what is open to {' and '.join(alone)}: Galaxy wants all roles of a dataset."
        problems.append(Problem(message, "Name a role in `access` that they all have."))
    return problems
