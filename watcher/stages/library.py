"""A place of a batch in a data library, for its data or for its results: library and nested folders, found or made
once, and who may see them.

Galaxy takes every name as often as it is given, so it is looked first, under one lock for each account; an answer that
was lost is looked for, and while another batch waits for such an answer nobody makes the same folder. What was there
before keeps its permissions; what is made here gets them before anything is put into it. What lies in the folder is the
business of `items.py`, and for results of `into_library.py`.
"""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from watcher.errors import NotThere, PlanError
from watcher.galaxy import Galaxy
from watcher.model import FolderId, LibraryId, PlannedLibrary, Stage, Status
from watcher.rows import Batch, GalaxyObject
from watcher.stages.rooms import Rooms

LIBRARY = "library"
FOLDER = "folder"
"""Key and kind of the batch's own folder: what belongs to one batch."""

ABOVE = "folder_above"
"""Kind of a folder on the way to it, and of folders in it; several batches may need the same."""

ROOT = "root"
"""Where the row of a library keeps the id of its root folder."""

MADE = "made"
"""Where a row keeps that the thing was made here, so that its permissions are ours to set."""


@dataclass(frozen=True, slots=True)
class Shelf:
    """A place as planned; `stage` names the effects by which it is made, `mark` begins the keys of its rows."""

    planned: PlannedLibrary
    stage: Stage = Stage.UPLOAD
    mark: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """A library and the batch's folder in it."""

    library: LibraryId
    folder: FolderId


async def ensure_place(batch: Batch, rooms: Rooms, galaxy: Galaxy, shelf: Shelf | None = None) -> Place:
    """Return library and folder of the batch's data, or of that shelf, each found or made once.

    Raises PlanError when a name stands for several or a role is not known, Forbidden when the account may not make one,
    NotThere when somebody deleted the library, Uncertain while a lost answer may still come true.
    """
    shelf = shelf or Shelf(_planned(batch))
    planned = shelf.planned
    if batch.plan.access == "private" or planned.access:
        await galaxy.users.make_new_datasets_private()  # whatever comes is closed until its own roles are set
    async with rooms.placing.setdefault(galaxy.account.name, asyncio.Lock()):
        library = await _library(batch, rooms, galaxy, shelf)
        folder = FolderId(str(library.more[ROOT]))
        for depth, name in enumerate(planned.folder, start=1):
            is_own = depth == len(planned.folder)
            way = "/".join((planned.name, *planned.folder[:depth]))
            key = FOLDER if is_own else way
            folder = await _folder(batch, rooms, galaxy, shelf, folder, name, way, key=key)
        if not planned.folder:
            await rooms.store.put_galaxy_object(
                batch, shelf.mark + FOLDER, kind=FOLDER, name=planned.path, galaxy_id=folder, status=Status.DONE
            )
    return Place(LibraryId(library.galaxy_id), folder)


async def ensure_inner_folder(
    batch: Batch, rooms: Rooms, galaxy: Galaxy, place: Place, inner: str, shelf: Shelf | None = None
) -> FolderId:
    """Return a folder below that of the batch, found or made once; "" is the batch's own."""
    shelf = shelf or Shelf(_planned(batch))
    folder, way = place.folder, shelf.planned.path
    async with rooms.placing.setdefault(galaxy.account.name, asyncio.Lock()):
        for name in filter(None, inner.split("/")):
            way = f"{way}/{name}"
            folder = await _folder(batch, rooms, galaxy, shelf, folder, name, way, key=way)
    return folder


def _planned(batch: Batch) -> PlannedLibrary:
    if batch.plan.library is None:
        raise PlanError(f"Batch {batch.id} has no library.", hint=f"`galaxy-watcher cancel {batch.id}`.")
    return batch.plan.library


# --- found or made --------------------------------------------------------------------------------------------------


async def _library(batch: Batch, rooms: Rooms, galaxy: Galaxy, shelf: Shelf) -> GalaxyObject:
    planned, key = shelf.planned, shelf.mark + LIBRARY
    found_again: dict[str, str] = {}

    async def look() -> str | None:
        found = await galaxy.libraries.find(planned.name)
        _refuse_several(len(found), f"libraries named `{planned.name}`")
        found_again.update({library.id: library.root_folder_id for library in found})
        return found[0].id if found else None

    async def act() -> str:
        made = await galaxy.libraries.create(planned.name, planned.description, planned.synopsis)
        found_again[made.id] = made.root_folder_id
        return made.id

    async def close(library: str) -> None:
        own = await galaxy.users.own_role()
        access = await _roles(galaxy, "library", library, planned.access, "access")
        if access or batch.plan.access == "private":
            # Of a library, unlike a dataset, everybody sees something who has one of its roles.
            await galaxy.libraries.set_permissions("library", library, access=[*access, own])
        if planned.manage:
            roles = [*await _roles(galaxy, "library", library, planned.manage, "rights"), own]
            await galaxy.libraries.set_permissions("library", library, add=roles, manage=roles, modify=roles)

    known = await _known(batch, rooms, key)
    if known is not None and known.status is Status.DONE:
        if await look() != known.galaxy_id:
            raise NotThere(
                f"The library `{planned.name}` of batch {batch.id} was deleted in Galaxy.",
                hint=f"Undelete it and `galaxy-watcher retry {batch.id}`, or `galaxy-watcher cancel {batch.id}`.",
            )
        return known
    return await _ensured(
        batch, rooms, galaxy, known, f"{shelf.stage}.library", key, LIBRARY, planned.name, look, act, close,
        lambda library: {ROOT: found_again[library]},
    )  # fmt: skip


async def _folder(
    batch: Batch, rooms: Rooms, galaxy: Galaxy, shelf: Shelf, parent: FolderId, name: str, way: str, *, key: str
) -> FolderId:
    planned, kind, key = shelf.planned, FOLDER if key == FOLDER else ABOVE, shelf.mark + key

    async def look() -> str | None:
        found = [folder for folder in await galaxy.libraries.folders(parent) if folder.name == name]
        _refuse_several(len(found), f"folders `{way}`")
        return found[0].id if found else None

    async def act() -> str:
        return (await galaxy.libraries.create_folder(parent, name)).id

    async def close(folder: str) -> None:
        if planned.manage and kind == FOLDER:
            roles = await _roles(galaxy, "folder", folder, planned.manage, "rights")
            roles = [*roles, await galaxy.users.own_role()]
            await galaxy.libraries.set_permissions("folder", folder, add=roles, manage=roles, modify=roles)

    known = await _known(batch, rooms, key)
    if known is not None and known.status is Status.DONE:
        return FolderId(known.galaxy_id)
    effect = f"{shelf.stage}.folder"
    row = await _ensured(batch, rooms, galaxy, known, effect, key, kind, way, look, act, close, lambda _: {})
    return FolderId(row.galaxy_id)


async def _ensured(
    batch: Batch,
    rooms: Rooms,
    galaxy: Galaxy,
    known: GalaxyObject | None,
    effect: str,
    key: str,
    kind: str,
    name: str,
    look: Callable[[], Awaitable[str | None]],
    act: Callable[[], Awaitable[str]],
    close: Callable[[str], Awaitable[None]],
    more: Callable[[str], dict[str, str]],
) -> GalaxyObject:
    """Find a library or folder, or make it and then set who may see it; a death in between sets it all the same."""
    is_made = known is not None and known.intent_at is not None

    async def note(intent_at: datetime | None) -> None:
        nonlocal is_made
        is_made = intent_at is not None
        await rooms.store.put_galaxy_object(batch, key, kind=kind, name=name, intent_at=intent_at)

    async def keep(galaxy_id: str) -> None:
        await rooms.store.put_galaxy_object(
            batch, key, kind=kind, name=name, galaxy_id=galaxy_id, receipt_at=rooms.clock.now(),
            more={**more(galaxy_id), MADE: is_made},
        )  # fmt: skip

    async def look_for_all() -> str | None:
        found = await look()
        if found is None:  # before an intent of our own is noted, on which others would wait in turn
            await _refuse_while_others_make(batch, rooms, effect, name)
        return found

    galaxy_id = known.galaxy_id if known else ""
    if not galaxy_id:
        galaxy_id = await rooms.effects.once(
            effect,
            intent_at=known.intent_at if known else None,
            look=look_for_all,
            note=note,
            act=act,
            keep=keep,
            always_look=True,
        )
    row = await _known(batch, rooms, key)
    if row is not None and row.more.get(MADE):
        await close(galaxy_id)
        await rooms.store.journal(
            f"{kind}.made", f"`{name}` made in Galaxy's libraries.", unit_id=batch.unit_id, batch_id=batch.id
        )
    return await rooms.store.put_galaxy_object(batch, key, status=Status.DONE)


async def _known(batch: Batch, rooms: Rooms, key: str) -> GalaxyObject | None:
    return next((row for row in await rooms.store.galaxy_objects(batch.id) if row.key == key), None)


async def _refuse_while_others_make(batch: Batch, rooms: Rooms, effect: str, name: str) -> None:
    """Raise Uncertain while another batch may still get the same thing made by a request whose answer was lost."""
    for kind in (LIBRARY, FOLDER, ABOVE):
        for row in await rooms.store.galaxy_objects_named(kind, name):
            other = await rooms.store.batch(row.batch_id) if row.batch_id != batch.id else None
            if other and other.plan.galaxy == batch.plan.galaxy and row.intent_at and not row.galaxy_id:
                rooms.effects.refuse_while_uncertain(effect, row.intent_at)


def _refuse_several(count: int, what: str) -> None:
    if count > 1:
        raise PlanError(
            f"Galaxy has {count} {what}: nobody can tell which one is meant.",
            hint="Rename or delete all but one of them in Galaxy, then retry.",
        )


# --- who may see it -------------------------------------------------------------------------------------------------


async def item_roles(
    batch: Batch, galaxy: Galaxy, item: str, shelf: Shelf | None = None
) -> tuple[list[str] | None, list[str] | None]:
    """Return the roles that may read, and those that may change, an item of the batch; None = as it is.

    Galaxy shows a dataset only to those who hold all of its roles.
    """
    planned = shelf.planned if shelf else _planned(batch)
    access = await _roles(galaxy, "item", item, planned.access, "access")
    manage = await _roles(galaxy, "item", item, planned.manage, "rights")
    own = [await galaxy.users.own_role()] if manage or (not access and batch.plan.access == "private") else []
    return (access or (own if batch.plan.access == "private" else None)), ([*manage, *own] if manage else None)


async def _roles(
    galaxy: Galaxy,
    kind: Literal["library", "folder", "item"],
    id: str,
    wanted: Collection[str],
    scope: Literal["access", "rights"],
) -> list[str]:
    """Return the ids of roles told by name, or of users told by e-mail; PlanError names those Galaxy does not offer."""
    if not wanted:
        return []
    offered = await galaxy.libraries.roles_offered(kind, id, scope)
    of_name = {role.name.lower(): role.id for role in offered}
    unknown = [name for name in wanted if name.lower() not in of_name]
    if unknown:
        near = difflib.get_close_matches(unknown[0].lower(), of_name, n=1)
        raise PlanError(
            f"Galaxy offers no role or user {' and no '.join(f'`{name}`' for name in unknown)} for the {kind}.",
            hint=(f"Did you mean `{near[0]}`? " if near else "") + "Correct `access` or `manage` of the library.",
        )
    return [of_name[name.lower()] for name in wanted]
