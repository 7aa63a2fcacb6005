"""What belongs to no single row: obstacles, the journal, and wishes from outside.

An obstacle is a fault of a shared thing (account, Galaxy, mount, target, disk); rows wait behind it by its key and
are set free in the same transaction that ends it. The journal is only ever added to. A verb is a wish of a person,
written by any process; the daemon carries it out and answers. Who raises, probes and carries out stands in
`service/`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from watcher.errors import StateError
from watcher.rows import JournalEntry, Obstacle, Verb
from watcher.store import schema
from watcher.store.database import Database
from watcher.store.moving import free_rows
from watcher.store.rows import first, listed, select_of, values_of


class Shared(Database):
    """The part of the store for obstacles, journal and verbs."""

    async def raise_obstacle(
        self, key: str, kind: str, subject: str, reason: str, hint: str, *, met_since: datetime | None = None
    ) -> tuple[Obstacle, bool]:
        """Store that the obstacle is there, and return it and whether it is new (then a notice is due).

        One that stands already keeps its time and takes the newest reason. One that ended at `met_since` or later stays
        ended: it may have been met before its end, and only the next try can tell.
        """
        table = schema.obstacle
        risen = Obstacle(key, kind, subject, reason, hint, since=self._clock.now())

        async def work(connection: AsyncConnection) -> tuple[Obstacle, bool]:
            # Two that meet the same fault at once: the second one waits here for the first, and then sees its row.
            await connection.execute(
                self._insert(table).values(values_of(replace(risen, ended_at=risen.since))).on_conflict_do_nothing()
            )
            this = sa.select(table.c.key).where(table.c.key == key).with_for_update()
            await connection.execute(this)
            stored = await first(connection, Obstacle, table.c.key == key)
            if stored is not None and met_since and stored.ended_at and met_since <= stored.ended_at < risen.since:
                return stored, False
            is_new = stored is None or stored.ended_at is not None
            now = risen if stored is None or is_new else replace(stored, reason=reason, hint=hint)
            await connection.execute(sa.update(table).where(table.c.key == key).values(values_of(now)))
            return now, is_new

        return await self._write(work)

    async def end_obstacle(self, key: str) -> int | None:
        """Store that the obstacle is gone, and make all rows behind it due now; return how many those are, None when
        it did not stand any more.
        """
        table = schema.obstacle
        ended = sa.update(table).where(table.c.key == key, table.c.ended_at.is_(None))

        async def work(connection: AsyncConnection) -> int | None:
            at = self._clock.now()
            stood = (await connection.execute(ended.values(ended_at=at, next_probe_at=None))).rowcount > 0
            freed = await free_rows(connection, key, at)
            return freed if stood else None

        return await self._write(work)

    async def obstacles(self, open_only: bool = True) -> list[Obstacle]:
        """Return the obstacles, oldest first."""
        table = schema.obstacle
        select = select_of(Obstacle).order_by(table.c.since, table.c.key)
        if open_only:
            select = select.where(table.c.ended_at.is_(None))
        return await self._read(lambda connection: listed(connection, Obstacle, select))

    async def set_probe(self, key: str, at: datetime | None) -> None:
        """Store when the obstacle is looked at next."""
        table = schema.obstacle
        await self._write(
            lambda connection: connection.execute(sa.update(table).where(table.c.key == key).values(next_probe_at=at))
        )

    async def journal(
        self,
        event: str,
        text: str,
        *,
        actor: str = "watcher",
        unit_id: str = "",
        batch_id: str = "",
        more: Mapping[str, Any] | None = None,
    ) -> JournalEntry:
        """Add a line of what happened, with the time of now."""
        entry = JournalEntry(self._clock.now(), actor, event, text, unit_id, batch_id, more or {})
        await self._write(lambda connection: connection.execute(sa.insert(schema.journal).values(values_of(entry))))
        return entry

    async def journal_of(self, unit_id: str = "", limit: int = 100) -> list[JournalEntry]:
        """Return the newest lines of a unit and its batches (of everything without a unit), oldest of them first."""
        table = schema.journal
        select = select_of(JournalEntry).order_by(table.c.id.desc()).limit(limit)
        if unit_id:
            select = select.where(table.c.unit_id == unit_id)
        entries = await self._read(lambda connection: listed(connection, JournalEntry, select))
        return entries[::-1]

    async def add_verb(self, actor: str, verb: str, target: str, arguments: Mapping[str, Any] | None = None) -> Verb:
        """Store a wish; the daemon finds it in `open_verbs`, now or when it is started next."""
        wish = Verb(0, self._clock.now(), actor, verb, target, arguments or {})
        values = values_of(wish)
        del values["id"]

        async def work(connection: AsyncConnection) -> Verb:
            key = (await connection.execute(sa.insert(schema.verb).values(values))).inserted_primary_key
            if key is None:
                raise StateError(f"The wish {verb} {target} got no number.")
            return replace(wish, id=key[0])

        return await self._write(work)

    async def open_verbs(self) -> list[Verb]:
        """Return the wishes that nobody has answered, in their order."""
        select = select_of(Verb).where(schema.verb.c.done_at.is_(None)).order_by(schema.verb.c.id)
        return await self._read(lambda connection: listed(connection, Verb, select))

    async def verb(self, verb_id: int) -> Verb | None:
        """Return a wish, answered or not."""
        return await self._read(lambda connection: first(connection, Verb, schema.verb.c.id == verb_id))

    async def answer_verb(self, verb_id: int, answer: str) -> bool:
        """Store what became of a wish; False when it has been answered before (the first answer stays)."""
        table = schema.verb
        answered = sa.update(table).where(table.c.id == verb_id, table.c.done_at.is_(None))

        async def work(connection: AsyncConnection) -> bool:
            result = await connection.execute(answered.values(done_at=self._clock.now(), answer=answer))
            return result.rowcount == 1

        return await self._write(work)
