"""Archives that Galaxy makes of a history or of each invocation: asked for once, followed, and where they are then.

One that is to go to a place of Galaxy's is written there by Galaxy itself, and the listing of the place is the proof.
Any other is fetched: this module only says which bytes to read, and `deliver.py` brings them home as it does results.
What is asked for belongs to one round of the delivery (`begun`): another attempt of a workflow wants another archive.
The batch comes again while Galaxy is at work.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from watcher.delivery.names import clean_part
from watcher.errors import DeliveryBroken, Forbidden, NotThere, Refused
from watcher.galaxy import Galaxy
from watcher.galaxy.archives import FAILED, SUCCEEDED, Prepared
from watcher.model import DatasetId, HistoryId, PlannedDelivery, Status, Wait
from watcher.results import ResultFile
from watcher.rows import Batch, DeliveredFile, GalaxyObject, Invocation
from watcher.stages.by_galaxy import EXPORT, GALAXY_WRITES, LOOK_AGAIN, SHOWS_LATE, export_key, history_of
from watcher.stages.rooms import Rooms
from watcher.stages.rounds import pause_after
from watcher.stages.ways_out import needs_celery

NO_WORD_FOR = timedelta(days=1)
"""A task that Galaxy lost looks like one that is still to come: after so long it is believed lost."""

BEGUN, BEFORE, TICKET, SIZE_IN_GALAXY, ENDED, WAS = "begun", "before", "ticket", "size", "ended", "was"
"""What the row of an archive remembers: its round, the archives of before, Celery's task, its size in bytes, when the
task was seen to have ended, and the size of what had its name before.
"""

SEEN = "seen"
"""In place of a task whose answer was lost, of an archive that is there all the same."""


@dataclass(frozen=True, slots=True)
class Item:
    """One archive: its name without an ending, and what of Galaxy it is made of."""

    name: str
    what: str  # history, invocation
    id: str


@dataclass
class ArchiveSource:
    """Archives that can be read, as a delivery reads results."""

    making: _Making
    paths: dict[str, tuple[Item, str]] = field(default_factory=dict)
    all: list[ResultFile] = field(default_factory=list)

    async def files(self, outputs: Sequence[str]) -> list[ResultFile]:
        """Return all of them, whatever is asked for."""
        del outputs
        return self.all

    @asynccontextmanager
    async def read(self, file: ResultFile, offset: int) -> AsyncIterator[AsyncIterator[bytes]]:
        """Open the bytes from `offset` on; DeliveryBroken once Galaxy keeps the archive no longer."""
        item, path = self.paths[file.galaxy_id]
        try:
            async with self.making.galaxy.archives.open(path, offset) as pieces:
                yield pieces
        except NotThere as error:
            raise await self.making.broken(item, "Galaxy keeps it no longer.") from error


async def items_of(batch: Batch, rooms: Rooms, planned: PlannedDelivery, latest: Sequence[Invocation]) -> list[Item]:
    """Return what archives a delivery is of: the history, or each invocation that Galaxy has."""
    if planned.export == "history":
        return [Item("history", "history", await history_of(batch, rooms))]
    several = len(batch.plan.workflows) > 1
    rows = [row for row in latest if row.galaxy_id]
    return [
        Item(f"invocation-{clean_part(row.key)}" if several else "invocation", "invocation", row.galaxy_id)
        for row in rows
    ]


async def make_archives(
    batch: Batch, rooms: Rooms, planned: PlannedDelivery, items: Sequence[Item], begun: datetime
) -> Wait | list[DeliveredFile] | ArchiveSource:
    """Let Galaxy make the archives; return what is to be waited for, what it has written to a place of its own, or
    where to read them. DeliveryBroken when it cannot.
    """
    making = _Making(batch, rooms, planned, rooms.galaxy(batch.plan.galaxy), begun.isoformat())
    try:
        return await (making.written(items) if planned.is_written_by_galaxy else making.readable(items))
    except (Forbidden, NotThere, Refused) as error:
        raise DeliveryBroken(
            f"Galaxy makes no archive of the {planned.export} for {planned.target}: {error.message}",
            hint=error.hint or f"`galaxy-watcher check` asks what is there; then `galaxy-watcher retry {batch.id}`.",
        ) from error


@dataclass(frozen=True)
class _Making:
    batch: Batch
    rooms: Rooms
    planned: PlannedDelivery
    galaxy: Galaxy
    begun: str

    async def readable(self, items: Sequence[Item]) -> Wait | ArchiveSource:
        """Return where to read all of them once the last one is made."""
        source, waits = ArchiveSource(self), []
        for item in items:
            made = await self._made(item)
            if isinstance(made, Wait):
                waits.append(made)
                continue
            path, size = made
            known_as = DatasetId(hashlib.sha256(path.encode()).hexdigest()[:16])  # who knows the path may read it
            source.paths[known_as] = item, path
            source.all.append(ResultFile(known_as, (item.name,), self.planned.format, size))
        return min(waits, key=lambda wait: wait.after) if waits else source

    async def written(self, items: Sequence[Item]) -> Wait | list[DeliveredFile]:
        """Return what lies at the place once the last one is there."""
        waits, paths = [], []
        for item in items:
            path = f"{item.name}.{self.planned.format}"
            if (wait := await self._write(item, path)) is not None:
                waits.append(wait)
            paths.append(path)
        rows = {row.path: row for row in await self._rows()}
        return min(waits, key=lambda wait: wait.after) if waits else [rows[path] for path in paths]

    async def broken(self, item: Item, why: str) -> DeliveryBroken:
        """Forget what was asked for, and return the error that says so."""
        await self._remember(item, galaxy_id="", intent_at=None, receipt_at=None, more={BEGUN: ""})
        return DeliveryBroken(
            f"There is no archive of the {item.what} for {self.planned.target}: {why}",
            hint=f"`galaxy-watcher retry {self.batch.id}` lets Galaxy make it once more.",
        )

    # --- to be fetched -----------------------------------------------------------------------------------------------

    async def _made(self, item: Item) -> Wait | tuple[str, int]:
        """Return path and size of an archive that is made, or what to wait for."""
        known = await self._known(item)
        if known is None or not known.galaxy_id:
            known = await self._ask_to_make(item, known)
        if size := int(known.more.get(SIZE_IN_GALAXY) or 0):
            return known.galaxy_id, size
        if ticket := known.more.get(TICKET):
            if (wait := await self._under_way(item, known, ticket)) is not None:
                return wait
            is_ready = await self.galaxy.archives.is_ready(known.galaxy_id)
        else:
            state = await self.galaxy.archives.history_state(HistoryId(item.id), known.galaxy_id)
            if state == FAILED:
                raise await self.broken(item, "the job that makes it failed in Galaxy.")
            is_ready = state == SUCCEEDED
        if not is_ready:
            return self._wait(known)
        size = await self.galaxy.archives.size(known.galaxy_id)
        await self._remember(item, more={SIZE_IN_GALAXY: size})
        return known.galaxy_id, size

    async def _ask_to_make(self, item: Item, known: GalaxyObject | None) -> GalaxyObject:
        await self._refuse_without_celery()
        archives, history = self.galaxy.archives, HistoryId(item.id)
        is_plain = not needs_celery(self.planned)
        before: list[str] = known.more.get(BEFORE, []) if known else []
        if is_plain and known is None:
            before = [one.path for one in await archives.of_history(history)]

        async def look() -> Prepared | None:
            path = await archives.find(history, but=before) if is_plain else None
            return Prepared(path, "") if path else None

        async def act() -> Prepared:
            if is_plain:
                return Prepared(await archives.begin(history, but=before), "")
            return await archives.prepare(item.what, item.id, self.planned.format)

        await self.rooms.effects.once(
            "deliver.archive",
            intent_at=known.intent_at if known else None,
            look=look,
            note=lambda intent_at: self._intend(item, intent_at, {BEFORE: before}),
            act=act,
            keep=lambda made: self._keep(item, made.path, {TICKET: made.task}),
            repeatable=True,  # another one is left to itself, and nobody sees it
        )
        made = await self._known(item)
        assert made is not None
        return made

    # --- written by Galaxy -------------------------------------------------------------------------------------------

    async def _write(self, item: Item, path: str) -> Wait | None:
        known, row = await self._known(item), {row.path: row for row in await self._rows()}.get(path)
        if known and row and row.status is Status.DONE:
            return None
        if known is None or not known.galaxy_id:
            known = await self._ask_to_write(item, path, known, row)
        if known.galaxy_id != SEEN and ((wait := await self._under_way(item, known, known.galaxy_id)) is not None):
            return wait
        size = (await self.galaxy.exports.listing(self.planned.url)).get(path, 0)
        if known.galaxy_id == SEEN and size != known.more.get(SIZE_IN_GALAXY):  # perhaps it is being written
            await self._remember(item, more={SIZE_IN_GALAXY: size})
            return self._wait(known, LOOK_AGAIN)
        if not size:
            now = self.rooms.clock.now()
            ended = datetime.fromisoformat(known.more.get(ENDED) or now.isoformat())
            if now - ended >= SHOWS_LATE:
                raise await self.broken(item, f"Galaxy says it wrote it, but the listing does not show `{path}`.")
            await self._remember(item, more={ENDED: ended.isoformat()})
            return self._wait(known, LOOK_AGAIN)
        await self.rooms.store.put_delivered_file(
            self.batch, self.planned.key, path, galaxy_id=DatasetId(item.id), size=size, sha256="", checked="",
            receipt_at=self.rooms.clock.now(), status=Status.DONE,
        )  # fmt: skip
        return None

    async def _ask_to_write(
        self, item: Item, path: str, known: GalaxyObject | None, row: DeliveredFile | None
    ) -> GalaxyObject:
        await self._refuse_without_celery()
        address, exports = f"{self.planned.url}/{path}", self.galaxy.exports
        there = (await exports.listing(self.planned.url)).get(path)
        was = known.more.get(WAS) if known and known.intent_at else there
        if there is not None and (row is None or not (row.intent_at or row.receipt_at)):
            raise DeliveryBroken(
                f"{address} is there already and is another file: {there} bytes.",
                hint="It is never overwritten: move it away, then retry.",
            )

        async def look() -> str | None:
            return SEEN if there and there != was else None

        async def note(intent_at: datetime | None) -> None:
            await self.rooms.store.put_delivered_file(
                self.batch, self.planned.key, path, galaxy_id=DatasetId(item.id), size=0, intent_at=intent_at,
                status=Status.WORKING,
            )  # fmt: skip
            await self._intend(item, intent_at, {WAS: was})

        await self.rooms.effects.once(
            "deliver.archive",
            intent_at=known.intent_at if known else None,
            look=look,
            note=note,
            act=lambda: self.galaxy.archives.write(item.what, item.id, address, self.planned.format),
            keep=lambda ticket: self._keep(item, ticket, {}),
        )
        asked = await self._known(item)
        assert asked is not None
        return asked

    # --- both --------------------------------------------------------------------------------------------------------

    async def _under_way(self, item: Item, known: GalaxyObject, ticket: str) -> Wait | None:
        """Return None once the task has ended well."""
        state = await self.galaxy.archives.task_state(ticket)
        if state == SUCCEEDED:
            return None
        if state == FAILED:
            why = await self.galaxy.archives.why_failed(ticket)
            raise await self.broken(item, f"{why or 'Galaxy does not say why; its log does'}.")
        if known.receipt_at and self.rooms.clock.now() - known.receipt_at > NO_WORD_FOR:
            raise await self.broken(item, "Galaxy has not made it for a day. Does its Celery worker run?")
        return self._wait(known)

    def _wait(self, known: GalaxyObject, after: timedelta | None = None) -> Wait:
        after = after or pause_after(known.receipt_at, self.rooms.clock.now())
        return Wait(after, f"Galaxy is making the archive for {self.planned.target}.", GALAXY_WRITES)

    async def _refuse_without_celery(self) -> None:
        if needs_celery(self.planned) and not (await self.galaxy.known_identity()).celery:
            raise DeliveryBroken(
                f"Galaxy makes no {self.planned.format} of the {self.planned.export} for {self.planned.target}:"
                " it works without Celery, and would say yes and do nothing.",
                hint=f"Its administrator sets enable_celery_tasks; then `galaxy-watcher retry {self.batch.id}`.",
            )

    async def _rows(self) -> list[DeliveredFile]:
        return await self.rooms.store.delivered_files(self.batch.id, self.planned.key)

    def _key(self, item: Item) -> str:
        return f"{export_key(self.planned)}:{item.name}"

    async def _known(self, item: Item) -> GalaxyObject | None:
        """Return what was asked for in this round."""
        rows = await self.rooms.store.galaxy_objects(self.batch.id)
        mark = f"{self.begun} {item.id}"
        return next((row for row in rows if row.key == self._key(item) and row.more.get(BEGUN) == mark), None)

    async def _intend(self, item: Item, intent_at: datetime | None, more: Mapping[str, Any]) -> None:
        fresh = {BEGUN: f"{self.begun} {item.id}", BEFORE: [], TICKET: "", SIZE_IN_GALAXY: 0, ENDED: "", WAS: None}
        await self._remember(item, galaxy_id="", intent_at=intent_at, receipt_at=None, more={**fresh, **more})

    async def _keep(self, item: Item, galaxy_id: str, more: Mapping[str, Any]) -> None:
        await self._remember(item, galaxy_id=galaxy_id, receipt_at=self.rooms.clock.now(), more=more)

    async def _remember(self, item: Item, **values: Any) -> None:
        await self.rooms.store.put_galaxy_object(
            self.batch, self._key(item), kind=EXPORT, name=self.planned.target, **values
        )
