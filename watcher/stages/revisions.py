"""What a new plan of the same batch takes over from the plan it replaces.

The new revision keeps the history when account and history name are the same, and every dataset in it whose source
files still have the bytes that were sent: they are read once more here and compared by SHA-256, nothing is believed
from names. A history that is not kept is tagged `watcher:superseded`; nothing is deleted. Called by `upload.py`
before it sends anything.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

from watcher.errors import DiskError, NotThere
from watcher.galaxy import Galaxy
from watcher.model import DatasetId, HistoryId, Kind, PlannedDataset, SourceFacts
from watcher.rows import Batch, Dataset, GalaxyObject
from watcher.stages.rooms import Rooms

HISTORY = "history"
SUPERSEDED = "watcher:superseded"


async def inherit(batch: Batch, rooms: Rooms, galaxy: Galaxy) -> None:
    """Take over history and datasets of the revision before; does nothing for a first plan, or when done already."""
    if batch.revision == 1 or await rooms.store.galaxy_objects(batch.id):
        return
    before = [
        one
        for one in await rooms.store.batches(batch.unit_id)
        if one.number == batch.number and one.revision < batch.revision
    ]
    earlier = max(before, key=lambda one: one.revision, default=None)
    if earlier is None:
        return
    objects = {row.key: row for row in await rooms.store.galaxy_objects(earlier.id)}
    history = objects.get(HISTORY)
    if history is None or not history.galaxy_id:
        return
    if (earlier.plan.galaxy, earlier.plan.history) != (batch.plan.galaxy, batch.plan.history):
        await _tag_superseded(rooms, history, earlier)
        return
    if not await _is_there(galaxy, HistoryId(history.galaxy_id)):
        return
    sent = await _sent(rooms, galaxy, HistoryId(history.galaxy_id), earlier)
    for planned in batch.plan.datasets:
        row = sent.get(planned.name)
        if row is not None and await _same_bytes(batch, rooms, planned, row):
            await rooms.store.put_dataset(
                batch,
                planned.key,
                galaxy_id=row.galaxy_id,
                sha256=row.sha256,
                records=row.records,
                checked=row.checked,
                sent_at=row.sent_at,
                fetch_intent_at=row.fetch_intent_at,
                fetch_receipt_at=row.fetch_receipt_at,
                offset=row.size,
                status=row.status,
            )
    # Last: its presence says that the take-over is over. Status ready lets the history be marked for this revision.
    await rooms.store.put_galaxy_object(
        batch,
        HISTORY,
        kind="history",
        name=history.name,
        galaxy_id=history.galaxy_id,
        intent_at=history.intent_at,
        receipt_at=history.receipt_at,
    )


async def _is_there(galaxy: Galaxy, history_id: HistoryId) -> bool:
    try:
        facts = await galaxy.histories.get(history_id)
    except NotThere:
        return False
    return not (facts.deleted or facts.purged)


async def _sent(rooms: Rooms, galaxy: Galaxy, history_id: HistoryId, earlier: Batch) -> dict[str, Dataset]:
    """Return what Galaxy has of the earlier revision, by name: checked or not, but nothing that was deleted since.

    A dataset whose registration was never confirmed to us is found by its tag, or it would be made twice.
    """
    rows = await rooms.store.datasets(earlier.id)
    contents = [one for one in await galaxy.histories.contents(history_id) if not one.deleted]
    there = {one.id for one in contents}
    tagged = {tag: one.id for one in contents for tag in one.tags}
    found = {}
    for row in rows:
        galaxy_id = row.galaxy_id or tagged.get(f"watcher:{earlier.id}.{row.key}", "")
        if galaxy_id in there and row.sha256:
            found[row.name] = replace(row, galaxy_id=DatasetId(galaxy_id))
    return found


async def _same_bytes(batch: Batch, rooms: Rooms, planned: PlannedDataset, row: Dataset) -> bool:
    """Tell whether the source files as they are now hash to what was sent."""
    if (planned.size, planned.ext) != (row.size, row.ext):
        return False
    digest = hashlib.sha256(usedforsecurity=False)
    seen = {file.path: file for file in await rooms.store.source_files(batch.unit_id)}
    for path in planned.sources:
        file = seen.get(path)
        if file is None:
            return False
        facts = SourceFacts(path, Kind.FILE, file.size, file.mtime_ns, file.ctime_ns, file.inode)
        try:
            await rooms.reader.inspect_prefix(Path(batch.plan.path), path, file.size, digest.update, expect=facts)
        except DiskError:
            return False
    return digest.hexdigest() == row.sha256


async def _tag_superseded(rooms: Rooms, history: GalaxyObject, earlier: Batch) -> None:
    galaxy = rooms.galaxy(earlier.plan.galaxy)
    history_id = HistoryId(history.galaxy_id)
    try:
        facts = await galaxy.histories.get(history_id)
    except NotThere:
        return
    if SUPERSEDED not in facts.tags:
        await galaxy.histories.mark(history_id, [*facts.tags, SUPERSEDED], facts.annotation)
