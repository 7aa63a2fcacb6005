"""Results as items of a data library: each put there once, named, closed to others and proven. The way of a delivery
that names a library instead of a folder, for `deliver.py`.

Galaxy makes an item of a dataset as often as it is asked to, and tells of none what it was made from. So each carries
a message of ours from its first instant on, with the batch and the dataset: by that it is found again after a lost
answer or a death. Elements of collections go one by one into folders named like the collection: Galaxy takes only flat
lists as a whole (`from_hdca_id`; of others it says 501), without the labels and with one message for all, of which
nobody could tell after a lost answer which are there (measured on 24.1.4 and 26.1.2). An item shares its bytes with the
result, and who may read them: what is not closed yet is closed before it is put there. Indexes and files beside a
result belong to its dataset and need no copy. Where the folder is, is told by `library.py`.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from watcher.delivery.names import lay_out
from watcher.errors import DeliveryBroken, Forbidden, NotThere, PlanError, Refused
from watcher.galaxy import Galaxy
from watcher.galaxy.library_answers import LibraryItem
from watcher.model import FolderId, LibraryItemId, PlannedDelivery, PlannedLibrary, Stage, Status
from watcher.results import SIZE, ResultFile
from watcher.rows import Batch, DeliveredFile
from watcher.stages.effects import together
from watcher.stages.history import SUPERSEDED
from watcher.stages.library import Place, Shelf, ensure_inner_folder, ensure_place, item_roles
from watcher.stages.rooms import Rooms

AT_ONCE = 4


async def put_into_library(
    batch: Batch, rooms: Rooms, planned: PlannedDelivery, library: PlannedLibrary, files: Sequence[ResultFile]
) -> list[DeliveredFile]:
    """Make an item of every result, and return the rows of all that are there then.

    Raises DeliveryBroken for what a person has to put right, Uncertain while a lost answer may still come true.
    """
    galaxy = rooms.galaxy(batch.plan.galaxy)
    shelf = Shelf(library, Stage.DELIVER, f"delivery {planned.key}: ")
    try:
        place = await ensure_place(batch, rooms, galaxy, shelf)
        return await _Putting(batch, rooms, galaxy, planned.key, shelf, place).put(laid_out(files))
    except (PlanError, Forbidden, NotThere, Refused) as error:  # of this delivery alone
        raise DeliveryBroken(
            f"Results of batch {batch.id} do not get into the {planned.target}: {error.message}", hint=error.hint
        ) from error


def laid_out(files: Sequence[ResultFile]) -> dict[str, ResultFile]:
    """Return the way of each dataset below the delivery's folder: its labels as folders, the last one as its name.

    Galaxy keeps names as HTML, so that no `&` may be in one.
    """
    in_folders = {file.galaxy_id for file in files if file.member and not file.suffix}
    own = [file for file in files if not file.member]
    parts = {file: file.parts[:-1] if file.galaxy_id in in_folders else file.parts for file in own}
    return lay_out([replace(file, parts=tuple(part.replace("&", "_") for part in parts[file])) for file in own])


@dataclass
class _Putting:
    """One round over the results of a delivery."""

    batch: Batch
    rooms: Rooms
    galaxy: Galaxy
    delivery: str
    shelf: Shelf
    place: Place
    _folders: dict[str, FolderId] = field(default_factory=dict)

    async def put(self, wanted: Mapping[str, ResultFile]) -> list[DeliveredFile]:
        rows = {row.path: row for row in await self._rows()}
        missing = {path: file for path, file in wanted.items() if not _is_there(rows.get(path), file)}
        for inner in dict.fromkeys(_split(path)[0] for path in wanted):
            self._folders[inner] = await ensure_inner_folder(
                self.batch, self.rooms, self.galaxy, self.place, inner, self.shelf
            )
        there = await self._messages_there(missing)
        turns = asyncio.Semaphore(AT_ONCE)

        async def put_one(path: str, file: ResultFile) -> None:
            async with turns:
                is_there = self._message(file) in there.get(_split(path)[0], ())
                await self._put(path, file, rows.get(path), is_there=is_there)

        await together(put_one(path, file) for path, file in missing.items())
        await self._mark_superseded(wanted)
        return [row for row in await self._rows() if row.path in wanted]

    async def _rows(self) -> list[DeliveredFile]:
        return await self.rooms.store.delivered_files(self.batch.id, self.delivery)

    # --- what is there ----------------------------------------------------------------------------------------------

    @property
    def _sign(self) -> str:
        """What the message of each item of ours begins with, also of those that an earlier plan made."""
        return f"watcher:{re.sub(r'r[0-9]+$', '', self.batch.id)} "

    def _message(self, file: ResultFile) -> str:
        return f"{self._sign}{file.galaxy_id}"

    async def _listed(self) -> dict[str, list[LibraryItem]]:
        found = {inner: await self.galaxy.libraries.items(folder) for inner, folder in self._folders.items()}
        return {inner: [item for item in items if SUPERSEDED not in item.tags] for inner, items in found.items()}

    async def _messages_there(self, missing: Mapping[str, ResultFile]) -> dict[str, set[str]]:
        """Return the messages in each folder before anything is put there. Raises DeliveryBroken when somebody else's
        item has a name of ours.
        """
        if not missing:
            return {}
        listed = await self._listed()
        for path in missing:
            inner, name = _split(path)
            if any(item.name == name and not item.message.startswith(self._sign) for item in listed[inner]):
                raise DeliveryBroken(
                    f"`{path}` is in the {_shown(self.shelf)} already, and this watcher did not put it there: it would"
                    " be there twice.",
                    hint=f"Rename or delete it in Galaxy, then `galaxy-watcher retry {self.batch.id}`.",
                )
        return {inner: {item.message for item in of_folder} for inner, of_folder in listed.items()}

    async def _mark_superseded(self, wanted: Mapping[str, ResultFile]) -> None:
        """Tag items of results that an earlier attempt or plan made: nothing that lies in a library is deleted."""
        for inner, items in (await self._listed()).items():
            now = {_split(path)[1]: self._message(file) for path, file in wanted.items() if _split(path)[0] == inner}
            for item in items:
                if item.message.startswith(self._sign) and item.message != now.get(item.name, item.message):
                    await self._describe(item.id, tags=[*item.tags, SUPERSEDED])
                    await self.rooms.store.journal(
                        "item.superseded",
                        f"`{item.name}` is in the library with newer content; the one before it is tagged.",
                        unit_id=self.batch.unit_id,
                        batch_id=self.batch.id,
                    )

    # --- putting there ----------------------------------------------------------------------------------------------

    async def _put(self, path: str, file: ResultFile, known: DeliveredFile | None, *, is_there: bool) -> None:
        store, (inner, name) = self.rooms.store, _split(path)
        folder, message = self._folders[inner], self._message(file)
        is_same = known is not None and known.galaxy_id == file.galaxy_id

        async def look() -> LibraryItemId | None:
            found = await self.galaxy.libraries.items(folder, message=message)
            standing = [item for item in found if SUPERSEDED not in item.tags]
            # Of one dataset under several labels each name has an item of its own; unnamed it is called as in Galaxy.
            named = [item for item in standing if item.name == name]
            others = {_split(row.path)[1] for row in await self._rows() if _split(row.path)[0] == inner}
            unnamed = [item for item in standing if item.name not in others]
            return next((item.id for item in (*named, *unnamed)), None)

        async def note(intent_at: datetime | None) -> None:
            await store.put_delivered_file(
                self.batch, self.delivery, path, galaxy_id=file.galaxy_id, size=file.size, sha256="", checked="",
                intent_at=intent_at, receipt_at=None, status=Status.WORKING,
            )  # fmt: skip

        async def act() -> LibraryItemId:
            return await self.galaxy.libraries.copy_from_history(folder, file.galaxy_id, message=message)

        async def keep(item: LibraryItemId) -> None:
            proven = await self._finish(item, path, file, uuid)
            await store.put_delivered_file(
                self.batch, self.delivery, path, galaxy_id=file.galaxy_id, **proven,
                receipt_at=self.rooms.clock.now(), status=Status.DONE,
            )  # fmt: skip
            self.rooms.effects.reach("deliver.rights.receipt")

        uuid = await self._close(file)
        await self.rooms.effects.once(
            "deliver.item",
            intent_at=known.intent_at if known and is_same and not known.receipt_at else None,
            look=look,
            note=note,
            act=act,
            keep=keep,
            always_look=is_there,
        )

    async def _close(self, file: ResultFile) -> str:
        """Let nobody else read the result when an item of it is to be closed, and return the uuid of its bytes: the
        item has the same readers from its first instant on.
        """
        facts = await self.galaxy.datasets.get(file.galaxy_id)
        if (self.batch.plan.access == "private" or self.shelf.planned.access) and not facts.access_roles:
            await self.galaxy.datasets.make_private(file.galaxy_id)
        return facts.uuid

    async def _finish(self, item: LibraryItemId, path: str, file: ResultFile, uuid: str) -> dict[str, Any]:
        """Name the item and say who may read and change it; return its size and how far it is proven. Raises
        DeliveryBroken when it is not what was put there.
        """
        facts = await self.galaxy.libraries.item(item)
        if (facts.state, facts.size) != ("ok", file.size) or (uuid and facts.uuid and facts.uuid != uuid):
            raise DeliveryBroken(
                f"`{path}` in the {_shown(self.shelf)} is not the result: {facts.state}, {facts.size} bytes; the result"
                f" has {file.size}.",
                hint=f"Delete it in Galaxy, then `galaxy-watcher retry {self.batch.id}`.",
            )
        self.rooms.effects.reach("deliver.rights.intent")
        if facts.name != _split(path)[1]:
            await self._describe(item, name=_split(path)[1])
        access, manage = await item_roles(self.batch, self.galaxy, item, self.shelf)
        if not self.shelf.planned.access:
            access = None  # those who may read the result in its history
        if access is not None or manage is not None:
            await self.galaxy.libraries.set_permissions("item", item, access=access, modify=manage, manage=manage)
        self.rooms.effects.reach("deliver.rights.act")
        if uuid and uuid == facts.uuid:  # the very same bytes
            return {"size": facts.size, "sha256": file.sha256, "checked": file.checked}
        return {"size": facts.size, "sha256": "", "checked": SIZE}

    async def _describe(self, item: LibraryItemId, **what: Any) -> None:
        libraries = self.galaxy.libraries
        try:
            await libraries.describe_item(item, **what)
        except Forbidden:
            # Who may only add to a folder may not change what he added there, and yet say who may (24.1.4, 26.1.2).
            rights = await libraries.permissions("item", item)
            own = await self.galaxy.users.own_role()
            await libraries.set_permissions("item", item, modify=[*rights.modify, own])
            await libraries.describe_item(item, **what)


def _is_there(row: DeliveredFile | None, file: ResultFile) -> bool:
    return row is not None and row.status is Status.DONE and row.galaxy_id == file.galaxy_id


def _split(path: str) -> tuple[str, str]:
    inner, _, name = path.rpartition("/")
    return inner, name


def _shown(shelf: Shelf) -> str:
    return f"library folder {shelf.planned.path}"
