"""How results come to a folder or an object store, what lies beside them, and the manifest: for `deliver.py`.

Results are read from any offset, written under a temporary name, compared with what Galaxy has (by SHA-256 where it
lists one, else by size) and renamed; the manifest comes last, so that its presence means "all here". What is delivered
on which ending, and what a delivery is stored as, is not decided here.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from watcher.delivery import Delivery, ObjectStoreDelivery
from watcher.delivery.parts import Begun
from watcher.errors import DeliveryError
from watcher.model import PlannedDelivery, Status
from watcher.results import ResultFile, ResultSource
from watcher.rows import Batch, DeliveredFile
from watcher.stages.beside import beside, names_beside
from watcher.stages.clashes import Ways, free_way, remembered, ways_of
from watcher.stages.effects import together
from watcher.stages.rooms import Rooms
from watcher.stages.targets import open_target

AT_ONCE = 4
_ABANDON_S = 10.0  # whoever cancels waits for it
DELIVERY_BYTES = "delivery_bytes"
"""Where a batch remembers how much room its delivery needs."""


async def bring_home(
    batch: Batch,
    rooms: Rooms,
    source: ResultSource,
    planned: PlannedDelivery,
    files: Sequence[ResultFile],
    begin: Callable[[], Awaitable[object]],
) -> list[DeliveredFile]:
    """Read the results and write those that are not there; return the rows of all of them. `begin` is called once the
    target has room for them. Raises DeliveryBroken, TargetFull, TargetGone, and whatever the source raises.
    """
    target = open_target(planned, rooms, names_beside(planned))
    places = target.places(files)
    rows = {row.path: row for row in await rooms.store.delivered_files(batch.id, planned.key)}
    ways = ways_of(planned, target, places)
    rows |= await _gone(target, rows, [path for one in ways for path in remembered(one, rows)])
    home = {path: file for one in ways for path, file in remembered(one, rows).items()}
    missing = [one for one in ways if not _all_home(remembered(one, rows), rows)]
    needed_bytes = sum(file.size for path, file in home.items() if not _is_home(rows.get(path), file))
    await rooms.store.touch(batch, more={DELIVERY_BYTES: needed_bytes})  # what a probe asks for while we wait
    await target.prepare(needed_bytes)
    await begin()
    # Another state may have delivered here before this one was begun: its record gives way, and nothing else does.
    before = {} if rows.keys() >= set(names_beside(planned)) else await target.listed()
    turns = asyncio.Semaphore(AT_ONCE)

    async def bring(alike: Ways) -> None:
        async with turns:
            way = await free_way(alike, rows, target, source)
            for path in remembered(alike, rows):
                home.pop(path)
            home.update(way)
            for path, file in way.items():
                if not _is_home(rows.get(path), file):
                    await _deliver_file(batch, rooms, source, target, planned.key, path, file, rows.get(path))

    await together(bring(one) for one in missing)
    done = await _rows_at(batch, rooms, planned, home)
    written = await beside(batch, rooms, planned, done)
    for path, file in written.places.items():
        outdated = before.get(path, "")
        await _deliver_file(batch, rooms, written, target, planned.key, path, file, rows.get(path), outdated)
    rooms.effects.reach("deliver.manifest.intent")
    every = await _rows_at(batch, rooms, planned, {**home, **written.places})
    await target.write_manifest([(row.path, row.sha256) for row in every])
    rooms.effects.reach("deliver.manifest.act")
    return done


async def abandon(batch: Batch, rooms: Rooms) -> None:
    """Throw away what object stores hold of results that nobody goes on with. A store that is away keeps it until the
    next delivery of that name.
    """
    for planned in batch.plan.deliveries:
        left = [row for row in await rooms.store.delivered_files(batch.id, planned.key) if row.upload]
        with contextlib.suppress(DeliveryError, TimeoutError):
            target = open_target(planned, rooms) if left else None
            if isinstance(target, ObjectStoreDelivery):
                async with asyncio.timeout(_ABANDON_S):
                    await together(_abandon_file(batch, rooms, target, row) for row in left)


async def _abandon_file(batch: Batch, rooms: Rooms, target: ObjectStoreDelivery, row: DeliveredFile) -> None:
    if await target.abandon(row.path, row.upload):
        # Said once: later another delivery may send by that name.
        await rooms.store.put_delivered_file(batch, row.delivery_key, row.path, upload="")


async def _gone(target: Delivery, rows: Mapping[str, DeliveredFile], paths: Sequence[str]) -> dict[str, DeliveredFile]:
    """Return the rows of files that were delivered once and are not there any more, as rows of files to come: days may
    lie between two rounds of a delivery, and the manifest may list nothing that is gone.
    """
    turns, found = asyncio.Semaphore(AT_ONCE), dict[str, DeliveredFile]()

    async def look(row: DeliveredFile) -> None:
        async with turns:
            if await target.size_of(row.path) != row.size:
                found[row.path] = replace(row, status=Status.WORKING)

    await together(look(rows[path]) for path in paths if path in rows and rows[path].status is Status.DONE)
    return found


async def _rows_at(
    batch: Batch, rooms: Rooms, planned: PlannedDelivery, places: Mapping[str, ResultFile]
) -> list[DeliveredFile]:
    return [row for row in await rooms.store.delivered_files(batch.id, planned.key) if row.path in places]


def _is_home(row: DeliveredFile | None, file: ResultFile) -> bool:
    """Tell whether this very result was delivered; an earlier attempt of the workflow made others of the same name."""
    return row is not None and row.status is Status.DONE and row.galaxy_id == file.galaxy_id


def _all_home(way: Mapping[str, ResultFile], rows: Mapping[str, DeliveredFile]) -> bool:
    return all(_is_home(rows.get(path), file) for path, file in way.items())


async def _deliver_file(
    batch: Batch,
    rooms: Rooms,
    source: ResultSource,
    target: Delivery,
    delivery_key: str,
    path: str,
    file: ResultFile,
    known: DeliveredFile | None,
    outdated: str = "",
) -> None:
    outdated = known.sha256 if known else outdated  # what an attempt before this one delivered
    # What lies beside the results belongs to no dataset, and is written anew: nothing says that it is the same.
    upload = known.upload if known and file.galaxy_id and known.galaxy_id == file.galaxy_id else ""
    if known and known.upload != upload and isinstance(target, ObjectStoreDelivery):
        await target.abandon(path, known.upload)  # the SHA-256 that it began with would stay with the object

    async def note(intent_at: datetime | None) -> None:
        await rooms.store.put_delivered_file(
            batch,
            delivery_key,
            path,
            galaxy_id=file.galaxy_id,
            size=file.size,
            sha256=outdated,
            upload=upload,
            intent_at=intent_at,
            status=Status.WORKING,
        )

    async def remember(upload_id: str) -> None:
        nonlocal upload
        upload = upload_id
        await rooms.store.put_delivered_file(batch, delivery_key, path, upload=upload_id)

    async def act() -> tuple[int, str]:
        return await target.put(
            source,
            file,
            path,
            lambda done: rooms.progress.fetched(batch.id, path, done),
            outdated=outdated,
            begun=Begun(upload, remember),
        )

    async def look() -> None:
        return None  # `put` itself resumes what is half there and adopts what is whole

    async def keep(proof: tuple[int, str]) -> None:
        await rooms.store.put_delivered_file(
            batch, delivery_key, path, size=proof[0], sha256=proof[1], checked=file.checked,
            upload="", receipt_at=rooms.clock.now(), status=Status.DONE,
        )  # fmt: skip

    await rooms.effects.once(
        "deliver.file",
        intent_at=known.intent_at if known else None,
        look=look,
        note=note,
        act=act,
        keep=keep,
        repeatable=True,
    )
