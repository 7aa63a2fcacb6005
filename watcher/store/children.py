"""What a stage writes below its row: source files of a unit; datasets, Galaxy objects, invocations and deliveries of
a batch.

Every write names the parent row as the stage got it from `begin`, and is refused (Superseded) once another attempt
has begun or a person has overtaken it: then the stage must stop at once. Reading needs no row. Nothing here knows
what a receipt proves; `watcher/rows.py` says what the columns mean.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from watcher.errors import StateError
from watcher.rows import (
    Batch,
    Dataset,
    DeliveredFile,
    DeliveryRow,
    GalaxyObject,
    Invocation,
    InvocationRecord,
    SourceFile,
    Unit,
)
from watcher.store.database import Database
from watcher.store.rows import TABLES, K, first, listed, refuse_overtaken, refuse_unknown, select_of, values_of


class Children(Database):
    """The part of the store that stages write through."""

    async def put_source_files(self, unit: Unit, files: Sequence[SourceFile], *, gone: Collection[str] = ()) -> None:
        """Store what a look saw of these files, and forget the paths that are `gone`; other files stay as they are."""
        table = TABLES[SourceFile]
        rows = [{**values_of(file), "unit_id": unit.id} for file in files]

        async def work(connection: AsyncConnection) -> None:
            await refuse_overtaken(connection, unit)
            if rows:
                insert = self._insert(table)
                seen = {column.name: column for column in insert.excluded if not table.c[column.name].primary_key}
                await connection.execute(
                    insert.on_conflict_do_update(index_elements=list(table.primary_key), set_=seen), rows
                )
            if gone:
                forget = sa.delete(table).where(table.c.unit_id == unit.id, table.c.path == sa.bindparam("gone_path"))
                await connection.execute(forget, [{"gone_path": path} for path in gone])

        await self._write(work)

    async def source_files(self, unit_id: str) -> list[SourceFile]:
        """Return the unit's files by path."""
        return await self._children(SourceFile, {"unit_id": unit_id})

    async def add_datasets(self, batch: Batch, datasets: Sequence[Dataset]) -> list[Dataset]:
        """Store the planned datasets that are not there yet, touch no other, and return all of the batch."""
        table = TABLES[Dataset]
        rows = [{**values_of(dataset), "batch_id": batch.id} for dataset in datasets]

        async def work(connection: AsyncConnection) -> list[Dataset]:
            await refuse_overtaken(connection, batch)
            if rows:
                await connection.execute(self._insert(table).on_conflict_do_nothing(), rows)
            return await listed(connection, Dataset, _select(Dataset, {"batch_id": batch.id}))

        return await self._write(work)

    async def datasets(self, batch_id: str) -> list[Dataset]:
        """Return the batch's datasets by key."""
        return await self._children(Dataset, {"batch_id": batch_id})

    async def put_dataset(self, batch: Batch, key: str, **values: Any) -> Dataset:
        """Change a dataset's columns and return it."""
        return await self._put(Dataset, batch, {"key": key}, values)

    async def put_datasets(self, batch: Batch, keys: Collection[str], **values: Any) -> None:
        """Change the same columns of several datasets in one transaction: a group is registered by one request."""
        refuse_unknown(Dataset, values, fixed=("batch_id", "key"))
        table = TABLES[Dataset]

        async def work(connection: AsyncConnection) -> None:
            await refuse_overtaken(connection, batch)
            these = (table.c.batch_id == batch.id, table.c.key.in_(keys))
            found = (await connection.execute(sa.update(table).where(*these).values(values))).rowcount
            if found != len(set(keys)):
                raise StateError(f"Only {found} of {len(set(keys))} datasets are known in batch {batch.id}.")

        await self._write(work)

    async def put_each_dataset(self, batch: Batch, values: Mapping[str, Mapping[str, Any]]) -> None:
        """Change columns of several datasets, each its own values by its key, in one transaction."""
        for changed in values.values():
            refuse_unknown(Dataset, changed, fixed=("batch_id", "key"))
        table = TABLES[Dataset]

        async def work(connection: AsyncConnection) -> None:
            await refuse_overtaken(connection, batch)
            for key, changed in values.items():
                this = (table.c.batch_id == batch.id, table.c.key == key)
                if not (await connection.execute(sa.update(table).where(*this).values(changed))).rowcount:
                    raise StateError(f"There is no dataset {key} in batch {batch.id}.")

        await self._write(work)

    async def galaxy_objects(self, batch_id: str) -> list[GalaxyObject]:
        """Return the batch's histories and collections by key."""
        return await self._children(GalaxyObject, {"batch_id": batch_id})

    async def galaxy_objects_named(self, kind: str, name: str) -> list[GalaxyObject]:
        """Return what any batch made, or means to make, under this name: a place belongs to one batch."""
        return await self._children(GalaxyObject, {"kind": kind, "name": name})

    async def put_galaxy_object(self, batch: Batch, key: str, **values: Any) -> GalaxyObject:
        """Make or change a Galaxy object; the first time `kind` and `name` are needed. `more` is merged."""
        return await self._put(GalaxyObject, batch, {"key": key}, values)

    async def invocations(self, batch_id: str) -> list[Invocation]:
        """Return the batch's invocations by key and number."""
        return await self._children(Invocation, {"batch_id": batch_id})

    async def put_invocation(self, batch: Batch, key: str, number: int, **values: Any) -> Invocation:
        """Make or change an invocation; `number` counts the attempts under a key."""
        return await self._put(Invocation, batch, {"key": key, "number": number}, values)

    async def put_invocations(self, batch: Batch, values: Mapping[tuple[str, int], Mapping[str, Any]]) -> None:
        """Make or change several invocations, each its own values by key and number, in one transaction."""
        for changed in values.values():
            refuse_unknown(Invocation, changed, fixed=("batch_id", "key", "number"))

        async def work(connection: AsyncConnection) -> None:
            await refuse_overtaken(connection, batch)
            for (key, number), changed in values.items():
                whole = {"batch_id": batch.id, "key": key, "number": number}
                await _make_or_change(connection, Invocation, whole, changed)

        await self._write(work)

    async def invocation_records(self, batch_id: str) -> list[InvocationRecord]:
        """Return what is kept of the batch's invocations, by key and number."""
        return await self._children(InvocationRecord, {"batch_id": batch_id})

    async def put_invocation_record(self, batch: Batch, key: str, number: int, **values: Any) -> InvocationRecord:
        """Make or change what is kept of an invocation."""
        return await self._put(InvocationRecord, batch, {"key": key, "number": number}, values)

    async def deliveries(self, batch_id: str) -> list[DeliveryRow]:
        """Return the batch's deliveries by key."""
        return await self._children(DeliveryRow, {"batch_id": batch_id})

    async def deliveries_to(self, target: str) -> list[DeliveryRow]:
        """Return the deliveries of any batch to this target: a place belongs to one batch."""
        return await self._children(DeliveryRow, {"target": target})

    async def put_delivery(self, batch: Batch, key: str, **values: Any) -> DeliveryRow:
        """Make or change a delivery; the first time `target` is needed."""
        return await self._put(DeliveryRow, batch, {"key": key}, values)

    async def delivered_files(self, batch_id: str, delivery_key: str | None = None) -> list[DeliveredFile]:
        """Return the batch's delivered files by path, of one delivery or of all."""
        keys = {"batch_id": batch_id} if delivery_key is None else {"batch_id": batch_id, "delivery_key": delivery_key}
        return await self._children(DeliveredFile, keys)

    async def put_delivered_file(self, batch: Batch, delivery_key: str, path: str, **values: Any) -> DeliveredFile:
        """Make or change a delivered file; the first time `galaxy_id` and `size` are needed."""
        return await self._put(DeliveredFile, batch, {"delivery_key": delivery_key, "path": path}, values)

    async def _children(self, kept: type[K], keys: Mapping[str, Any]) -> list[K]:
        return await self._read(lambda connection: listed(connection, kept, _select(kept, keys)))

    async def _put(self, kept: type[K], batch: Batch, keys: Mapping[str, Any], values: Mapping[str, Any]) -> K:
        """Change the row of these keys, or make it from the values and the dataclass's defaults; return it."""
        whole = {"batch_id": batch.id, **keys}
        refuse_unknown(kept, values, fixed=tuple(whole))

        async def work(connection: AsyncConnection) -> K:
            await refuse_overtaken(connection, batch)
            return await _make_or_change(connection, kept, whole, values)

        return await self._write(work)


async def _make_or_change(
    connection: AsyncConnection, kept: type[K], whole: Mapping[str, Any], values: Mapping[str, Any]
) -> K:
    table = TABLES[kept]
    this = [table.c[name] == value for name, value in whole.items()]
    stored = await first(connection, kept, *this)
    if stored is None:
        stored = _new(kept, {**whole, **values})
        await connection.execute(sa.insert(table).values(values_of(stored)))
        return stored
    changed = dict(values)
    if "more" in changed:
        changed["more"] = {**getattr(stored, "more", {}), **changed["more"]}
    if changed:
        await connection.execute(sa.update(table).where(*this).values(changed))
    return kept(**{**_as_values(stored), **changed})


def _select(kept: type[K], keys: Mapping[str, Any]) -> sa.Select[Any]:
    table = TABLES[kept]
    return select_of(kept).where(*(table.c[name] == value for name, value in keys.items())).order_by(*table.primary_key)


def _as_values(row: K) -> dict[str, Any]:
    return {field.name: getattr(row, field.name) for field in fields(row)}


def _new(kept: type[K], values: Mapping[str, Any]) -> K:
    """Make a row that is not stored yet; StateError when the values do not say enough."""
    try:
        return kept(**values)
    except TypeError as error:
        raise StateError(f"A new {TABLES[kept].name} row needs more values: {error}.") from error
