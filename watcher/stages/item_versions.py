"""Items that an earlier plan, or an earlier version of the unit, put into the same folder.

A file that has the bytes it had is one item for ever: it is taken over. A file that was replaced becomes an item of its
own, and the one before it is tagged `watcher:superseded` and says by what; nothing is deleted. Bytes that were read are
compared by SHA-256; where only the structure was looked at, a file is the same whose size, time and inode are.
"""

from __future__ import annotations

from collections.abc import Mapping

from watcher.galaxy.library_answers import LibraryItem
from watcher.model import LibraryItemId, PlannedDataset
from watcher.rows import Batch, Dataset, GalaxyObject
from watcher.stages.history import SUPERSEDED
from watcher.stages.items import Items
from watcher.stages.library import FOLDER
from watcher.stages.revisions import proven_of, same_bytes

MARKS = "marks"
"""Where the row of a folder keeps what the source files looked like when they were planned, by dataset."""


async def take_over(items: Items) -> None:
    """Take over what earlier plans and versions put there of the same files."""
    marks = await _marks_kept(items)
    is_sent = items.batch.plan.transfer == "tus"
    rows = await items.rows()
    fresh = [row for row in rows if not (row.item_id or (row.copy_intent_at if is_sent else row.fetch_intent_at))]
    others = await items.others() if fresh else []
    if not others:
        return
    there = {item.id: item for of_folder in (await items.listed()).values() for item in of_folder}
    planned = {one.key: one for one in items.batch.plan.datasets}
    for other in reversed(others):  # the newest first
        before = await _folder_of(items, other)
        known = {(one.folder, one.name): one.key for one in other.plan.datasets}
        theirs = {row.key: row for row in await items.rooms.store.datasets(other.id)}
        for row in list(fresh):
            key = known.get((planned[row.key].folder, row.name), "")
            if key in theirs and _is_good(theirs[key], there) and theirs[key].ext == row.ext:
                marks_before = before.more.get(MARKS, {}) if before else {}
                if await _is_same(items, planned[row.key], theirs[key], marks[row.key], marks_before.get(key, "")):
                    await _take(items, row, theirs[key])
                    fresh.remove(row)


async def _marks_kept(items: Items) -> Mapping[str, str]:
    """Return what the source files of each dataset looked like, and keep it for a later plan or version."""
    files = {file.path: file for file in await items.rooms.store.source_files(items.batch.unit_id)}
    marks = {}
    for planned in items.batch.plan.datasets:
        seen = [files[path] for path in planned.sources if path in files]
        marks[planned.key] = " ".join(f"{one.size}.{one.mtime_ns}.{one.inode}" for one in seen)
    known = await _folder_of(items, items.batch)
    if known is not None and MARKS not in known.more:
        await items.rooms.store.put_galaxy_object(items.batch, FOLDER, more={MARKS: marks})
    return marks


async def _folder_of(items: Items, batch: Batch) -> GalaxyObject | None:
    return next((row for row in await items.rooms.store.galaxy_objects(batch.id) if row.key == FOLDER), None)


def _is_good(row: Dataset, there: Mapping[LibraryItemId, LibraryItem]) -> bool:
    item = there.get(row.item_id)
    return bool(row.checked) and item is not None and item.state == "ok" and SUPERSEDED not in item.tags


async def _is_same(items: Items, planned: PlannedDataset, row: Dataset, mark: str, mark_before: str) -> bool:
    if row.sha256:
        return await same_bytes(items.batch, items.rooms, planned, row)
    return bool(mark) and mark == mark_before


async def _take(items: Items, row: Dataset, earlier: Dataset) -> None:
    await items.rooms.store.put_dataset(
        items.batch,
        row.key,
        item_id=earlier.item_id,
        version_id=earlier.version_id,
        offset=earlier.offset,
        **proven_of(earlier),
    )


async def mark_superseded(items: Items) -> None:
    """Tag what our items replace, and say by what; asked again, it changes nothing."""
    rows = await items.rows()
    ours = {row.item_id for row in rows}
    names = {(planned.folder, planned.name) for planned in items.batch.plan.datasets}
    newer = {item for item, other in (await items.of_others()).items() if _is_newer(other, items.batch)}
    for inner, of_folder in (await items.listed()).items():
        for item in of_folder:
            if (inner, item.name) in names and item.id not in ours | newer and SUPERSEDED not in item.tags:
                await items.galaxy.libraries.describe_item(
                    item.id, tags=[*item.tags, SUPERSEDED], message=f"Superseded by the file of batch {items.batch.id}."
                )
                await items.rooms.store.journal(
                    "item.superseded",
                    f"`{item.name}` is in the library in a newer version; the one before it is tagged.",
                    unit_id=items.batch.unit_id,
                    batch_id=items.batch.id,
                )


def _is_newer(other: Batch, ours: Batch) -> bool:
    return bool(other.created_at and ours.created_at and other.created_at > ours.created_at)
