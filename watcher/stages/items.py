"""The datasets of a batch as items of a library: put there once each, checked, and copied into the history.

Galaxy makes an item of a file as often as it is asked to, so the folder is looked through first; an item is ours by its
name and size, and one that a row of another batch names is never taken for it. After a lost answer the folder is looked
at until it has not grown for a while and no upload job of ours runs: Galaxy works on imports long after the line was
cut. Where the folder is, is told by `library.py`; what goes to it, and when, by `upload.py`; how import folders are
asked for it by `imports.py`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial

from watcher.config.ways import BY_PATH
from watcher.errors import Uncertain
from watcher.galaxy import Galaxy
from watcher.galaxy.library_answers import LibraryItem
from watcher.model import FolderId, Hold, LibraryItemId, PlannedDataset
from watcher.rows import NO_JOB, Batch, Dataset
from watcher.stages.history import SUPERSEDED
from watcher.stages.imports import Made, ask, cut_imports
from watcher.stages.library import FOLDER, Place, ensure_inner_folder
from watcher.stages.offered import NO_DBKEY
from watcher.stages.rooms import Rooms

LONGEST_QUIET = timedelta(minutes=2)
"""For so long a folder must not grow before an import whose answer was lost is sent again."""

GROWN = "grown_at"
SEEN = "seen"
"""Where the row of the folder keeps when it was last seen to grow, and to how many items."""

Listed = Mapping[str, list[LibraryItem]]
"""What lies in the folders of a batch, by the way below its own."""


class Items:
    """The items of one batch."""

    def __init__(self, batch: Batch, rooms: Rooms, galaxy: Galaxy, place: Place) -> None:
        self.batch = batch
        self.rooms = rooms
        self.galaxy = galaxy
        self._place = place
        self.planned = {planned.key: planned for planned in batch.plan.datasets}
        self._folders: dict[str, FolderId] = {}

    # --- what is there ----------------------------------------------------------------------------------------------

    async def rows(self) -> list[Dataset]:
        """Return the datasets of the batch as they stand."""
        return await self.rooms.store.datasets(self.batch.id)

    async def folder(self, inner: str) -> FolderId:
        """Return the folder that lies so below the batch's own, made when it is not there."""
        if inner not in self._folders:
            self._folders[inner] = await ensure_inner_folder(self.batch, self.rooms, self.galaxy, self._place, inner)
        return self._folders[inner]

    async def listed(self) -> dict[str, list[LibraryItem]]:
        """Return what lies in the batch's folders, by folder below its own."""
        inner = dict.fromkeys(planned.folder for planned in self.batch.plan.datasets)
        return {one: await self.galaxy.libraries.items(await self.folder(one)) for one in inner}

    async def others(self) -> list[Batch]:
        """Return the batches that have, or had, the same folder: earlier plans and earlier versions, oldest first."""
        store, library = self.rooms.store, self.batch.plan.library
        rows = await store.galaxy_objects_named(FOLDER, library.path if library else "")
        found = [await store.batch(row.batch_id) for row in rows if row.batch_id != self.batch.id]
        same = [one for one in found if one is not None and one.plan.galaxy == self.batch.plan.galaxy]
        return sorted(same, key=lambda one: (one.created_at is not None, one.created_at, one.id))

    async def of_others(self) -> dict[LibraryItemId, Batch]:
        """Return which items belong to other batches, and to the newest one of them."""
        return {
            row.item_id: other
            for other in await self.others()
            for row in await self.rooms.store.datasets(other.id)
            if row.item_id
        }

    def ours(self, row: Dataset, items: Listed, taken: Collection[str]) -> LibraryItem | None:
        """Return the item that must be the one this row asked for."""
        inner, names = self.planned[row.key].folder, self.names_of(row)
        same = (one for one in items[inner] if one.name in names and one.id not in taken)
        return next((one for one in same if SUPERSEDED not in one.tags and one.size in _sizes(one, row)), None)

    def names_of(self, row: Dataset) -> tuple[str, ...]:
        """Return the names that its item may have: of a file that it copies, Galaxy takes off the letters of `.gz`."""
        is_bent = self.batch.plan.transfer == "copy" and row.name.endswith(".gz")
        return (row.name, row.name.rstrip(".gz")) if is_bent else (row.name,)

    # --- after a lost answer ----------------------------------------------------------------------------------------

    async def adopt(self) -> None:
        """Find items whose making was asked for and never confirmed to us; those that surely were not made are asked
        for again. Raises Uncertain while Galaxy may still make them.
        """
        rows = await self.rows()
        unheard = [row for row in rows if row.fetch_intent_at and not row.fetch_receipt_at]
        if not unheard:
            return
        items = await self.listed()
        taken = {*(await self.of_others()), *(row.item_id for row in rows if row.item_id)}
        missing = []
        for row in unheard:
            if row.item_id:
                await self._keep([row.key], (row.job_id, {}))
            elif found := self.ours(row, items, taken):
                taken.add(found.id)
                await self._keep([row.key], (row.job_id, {row.key: found.id}))
            else:
                missing.append(row)
        if missing:
            await self._refuse_while_it_grows(sum(map(len, items.values())), missing)
            await self.rooms.store.put_datasets(self.batch, [row.key for row in missing], fetch_intent_at=None)

    async def _refuse_while_it_grows(self, count: int, missing: Sequence[Dataset]) -> None:
        """Raise Uncertain until the folder has not grown for two minutes and no upload job of ours runs."""
        rooms, now = self.rooms, self.rooms.clock.now()
        folder = next(row for row in await rooms.store.galaxy_objects(self.batch.id) if row.key == FOLDER)
        grown_at = max(row.fetch_intent_at for row in missing if row.fetch_intent_at)
        if folder.more.get(SEEN) == count and folder.more.get(GROWN):
            grown_at = max(grown_at, datetime.fromisoformat(folder.more[GROWN]))
        else:
            grown_at = now
            more = {SEEN: count, GROWN: now.isoformat()}
            await rooms.store.put_galaxy_object(self.batch, FOLDER, more=more)
        quiet, needed = now - grown_at, min(rooms.settings.limits.uncertain_for, LONGEST_QUIET)
        told = f"The answer to an import of {len(missing)} files never came; "
        if quiet < needed:
            pause = min(max(quiet / 2, timedelta(seconds=1)), needed - quiet, timedelta(minutes=1))
            raise Uncertain(f"{told}looking whether Galaxy made them after all.", pause)
        if running := await self.galaxy.jobs.uploads_under_way((await self.galaxy.known_identity()).user_id):
            raise Uncertain(f"{told}Galaxy still works on {running} uploads.", max(needed / 4, timedelta(seconds=1)))

    async def refuse_while_others_put(self) -> None:
        """Raise Uncertain while Galaxy may still put something into the folder for another batch."""
        for other in await self.others():
            for row in await self.rooms.store.datasets(other.id):
                asked_at = row.copy_intent_at if other.plan.transfer == "tus" else row.fetch_intent_at
                if asked_at and not row.item_id:
                    self.rooms.effects.refuse_while_uncertain("upload.import", asked_at)

    # --- putting there ----------------------------------------------------------------------------------------------

    async def refuse_what_is_there(self) -> Hold | None:
        """Take for ours what is linked there from the very path; hold for what somebody else put there under a name
        and size of ours.
        """
        rows = await self.rows()
        fresh = [row for row in rows if not (row.item_id or row.fetch_intent_at or row.fetch_receipt_at)]
        if not fresh:
            return None
        items = await self.listed()
        taken = {*(await self.of_others()), *(row.item_id for row in rows if row.item_id)}
        for row in fresh:
            found = self.ours(row, items, taken)
            if found is None or found.state != "ok":
                continue
            if self.batch.plan.transfer == "link":
                facts = await self.galaxy.libraries.item(found.id)
                if facts.file_name == self.planned[row.key].server_path:
                    taken.add(found.id)
                    await self._keep([row.key], (row.job_id, {row.key: found.id}))
                    continue
            return Hold(
                f"`{row.name}` is in the library folder already, with the same size, and this watcher did not put it"
                " there: it would come twice.",
                "item_there",
                hint=f"Rename or delete it in Galaxy, then `galaxy-watcher retry {self.batch.id}`.",
            )
        return None

    async def register(self, group: Sequence[PlannedDataset]) -> None:
        """Let Galaxy make items of files that passed, by their paths; few at a time."""
        if self.batch.plan.transfer in BY_PATH:
            await self._register_paths(group)
            return
        # All folders are there by now, since it was looked what lies in them: made by Galaxy they could come twice.
        for one in await cut_imports(self.batch, self.rooms, self.galaxy, group):
            folder = await self.folder(one.inner)
            await self._once(one.members, partial(ask, self.batch, self.galaxy, self._place.library, folder, one))

    async def _register_paths(self, group: Sequence[PlannedDataset]) -> None:
        limit = self.rooms.settings.limits.library_files
        parts: dict[tuple[str, str, str], list[PlannedDataset]] = defaultdict(list)
        for planned in group:
            parts[planned.folder, planned.ext, planned.dbkey].append(planned)
        for (inner, _, _), members in parts.items():
            folder = await self.folder(inner)
            for start in range(0, len(members), limit):
                some = members[start : start + limit]
                await self._once(some, partial(self._of_paths, folder, some))

    async def _once(self, members: Sequence[PlannedDataset], act: Callable[[], Awaitable[Made]]) -> None:
        keys = [planned.key for planned in members]

        async def look() -> Made | None:
            return None  # all that was there was adopted before

        async def note(intent_at: datetime | None) -> None:
            await self.rooms.store.put_datasets(self.batch, keys, fetch_intent_at=intent_at)

        async def keep(made: Made) -> None:
            await self._keep(keys, made)

        await self.rooms.effects.once("upload.import", intent_at=None, look=look, note=note, act=act, keep=keep)

    async def _keep(self, keys: Collection[str], made: Made) -> None:
        job, items = made
        await self.rooms.store.put_each_dataset(self.batch, {key: {"item_id": item} for key, item in items.items()})
        now = self.rooms.clock.now()
        asked = {row.key for row in await self.rows() if row.fetch_intent_at}
        if not asked.issuperset(keys):
            await self.rooms.store.put_datasets(self.batch, set(keys) - asked, fetch_intent_at=now)
        await self.rooms.store.put_datasets(self.batch, keys, fetch_receipt_at=now, job_id=job)

    async def _of_paths(self, folder: FolderId, members: Sequence[PlannedDataset]) -> Made:
        paths = [planned.server_path for planned in members]
        made = await self.galaxy.libraries.link_paths(
            self._place.library,
            folder,
            paths,
            ext=members[0].ext,
            dbkey=members[0].dbkey or NO_DBKEY,
            copy=self.batch.plan.transfer == "copy",
        )
        return NO_JOB, {planned.key: item for planned, item in zip(members, made, strict=True)}


def _sizes(item: LibraryItem, row: Dataset) -> tuple[int, ...]:
    """Return the sizes that an item may show that is this row's: until it is done it shows none, or a wrong one."""
    return (row.size,) if item.state == "ok" else (row.size, item.size)
