"""Which workflows run, and which batches stand in line for the next one: asked every few seconds while some do.

Nothing here reads a plan, which may be long: of a batch only its account is wanted, which has a column of its own.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from watcher.model import InvocationId, Stage, Status
from watcher.rows import Batch, Invocation
from watcher.store import schema
from watcher.store.database import Database
from watcher.store.moving import GOES_ON
from watcher.store.rows import listed, select_of

_batch, _invocation = schema.batch, schema.invocation
_runs = (_invocation.c.status == Status.WORKING) & (_invocation.c.galaxy_id != "")
_order = (_batch.c.priority.desc(), _batch.c.created_at, _batch.c.id)


async def _rows(connection: AsyncConnection, select: sa.Select[Any]) -> list[Any]:
    return list((await connection.execute(select)).all())


class Followed(Database):
    """The part of the store that knows of running workflows and of those that wait for their turn."""

    async def invocations_followed(self, accounts: Collection[str]) -> dict[str, int]:
        """Return the number of running invocations of each batch of these accounts that follows some: at the stage
        poll, or about to go there.
        """
        select = (
            sa.select(_batch.c.id, sa.func.count(_invocation.c.key))
            .select_from(_batch.outerjoin(_invocation, (_invocation.c.batch_id == _batch.c.id) & _runs))
            .where(_batch.c.account.in_(accounts), _batch.c.status.in_(GOES_ON))
            .where(
                (_batch.c.stage == Stage.POLL)
                | ((_batch.c.stage == Stage.INVOKE) & (_batch.c.status == Status.WORKING))
            )
            .group_by(_batch.c.id, _batch.c.stage)
            .having((_batch.c.stage == Stage.POLL) | (sa.func.count(_invocation.c.key) > 0))
        )
        return {id: count for id, count in await self._read(lambda connection: _rows(connection, select))}

    async def invocations_running(self, account: str) -> list[InvocationId]:
        """Return what Galaxy calls the running invocations of an account that are being followed, with those of their
        subworkflows.
        """
        select = (
            select_of(Invocation)
            .join(_batch, _invocation.c.batch_id == _batch.c.id)
            .where(_batch.c.stage == Stage.POLL, _batch.c.status.in_(GOES_ON), _batch.c.account == account, _runs)
        )
        rows = await self._read(lambda connection: listed(connection, Invocation, select))
        return [one for row in rows for one in (row.galaxy_id, *row.inner)]

    async def invocations_since(self, moment: datetime, accounts: Collection[str]) -> list[bool]:
        """Return of each invocation of these accounts that was started since then whether it still runs."""
        select = (
            sa.select(_invocation.c.status)
            .join(_batch, _invocation.c.batch_id == _batch.c.id)
            .where(_invocation.c.receipt_at >= moment, _batch.c.account.in_(accounts))
        )
        rows = await self._read(lambda connection: _rows(connection, select))
        return [status is Status.WORKING for (status,) in rows]

    async def in_line_before(
        self, batch: Batch, stage: Stage, code: str, accounts: Collection[str], *, limit: int
    ) -> list[str]:
        """Return the batches of these accounts at a stage that wait with this code, or are at work, and whose
        turn comes first: by priority, then by age; at most so many.
        """
        other = _batch.c
        is_before = sa.or_(
            other.priority > batch.priority,
            sa.and_(
                other.priority == batch.priority,
                sa.or_(
                    other.created_at < batch.created_at,
                    sa.and_(other.created_at == batch.created_at, other.id < batch.id),
                ),
            ),
        )
        select = self._line(stage, code, accounts, is_at_work=True).where(is_before).limit(limit)
        return [id for (id,) in await self._read(lambda connection: _rows(connection, select))]

    async def in_line(self, stage: Stage, code: str, accounts: Collection[str], place: int) -> str | None:
        """Return the batch at this place, from 0, in the line of those that wait with this code."""
        select = self._line(stage, code, accounts, is_at_work=False).offset(place).limit(1)
        return next((id for (id,) in await self._read(lambda connection: _rows(connection, select))), None)

    def _line(self, stage: Stage, code: str, accounts: Collection[str], *, is_at_work: bool) -> sa.Select[Any]:
        stands = (_batch.c.status == Status.WAITING) & (_batch.c.code == code)
        if is_at_work:
            stands |= _batch.c.status == Status.WORKING
        return (
            sa.select(_batch.c.id)
            .where(_batch.c.stage == stage, _batch.c.account.in_(accounts), stands)
            .order_by(*_order)
        )
