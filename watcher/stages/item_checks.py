"""Are the items of a batch what they should be, who may see them, and are they in the history where a workflow needs
them?

Nothing is believed because Galaxy was asked for it: an item is good when its state, size and extension are. Who may
see it is set only then. An upload straight into a folder would be open to everybody from the start (measured on
26.1.2), so what is sent goes to the history first and becomes an item when it is proven. A dataset and its copy share
their bytes and roles, and a copy in the history takes no room. What Galaxy fetches by itself is put there by
`items.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from datetime import datetime
from functools import partial
from html import escape

from watcher.errors import NotThere, SessionLost
from watcher.galaxy.library_answers import LibraryItem
from watcher.model import DatasetId, HistoryId, Hold, JobId, LibraryItemId, Status, Wait
from watcher.results import SIZE
from watcher.rows import Dataset
from watcher.stages.dataset_checks import still_made, throw_away
from watcher.stages.effects import together
from watcher.stages.items import Items
from watcher.stages.library import item_roles
from watcher.stages.readback import ReadBack, Shown, read_back_all

BROKEN = frozenset({"error", "failed_metadata", "discarded"})
OVER = frozenset({"ok", "error", "deleted", "failed", "stopped", "skipped"})
"""States in which a job stays."""

AT_ONCE = 4


async def check_items(items: Items) -> Hold | Wait | None:
    """Hold every item against its file; None when all are good. Raises SessionLost for one that is made once more."""
    rooms, batch = items.rooms, items.batch
    rows = [row for row in await items.rows() if not row.checked]
    if not rows:
        return None
    rooms.effects.reach("upload.check.intent")
    over = await _jobs_over(items, rows)  # asked before the folder is looked at: what they made is there then
    listed = await items.listed()
    taken = {*(await items.of_others()), *(row.item_id for row in await items.rows() if row.item_id)}
    by_id = {item.id: item for of_folder in listed.values() for item in of_folder}
    good: list[tuple[Dataset, LibraryItem]] = []
    bad: list[tuple[Dataset, LibraryItem | None, str]] = []
    for row in rows:
        item = by_id.get(row.item_id) if row.item_id else items.ours(row, listed, taken)
        if item is not None:
            taken.add(item.id)
        what = _what_is_wrong(row, item, is_over=row.job_id in over)
        outcome = False if what else _look_at(items, row, item)
        if what:
            bad.append((row, item, what))
        elif isinstance(outcome, Hold):
            return outcome
        elif outcome and item is not None:
            good.append((row, item))
    if bad:
        return await _once_more(items, bad)
    await _set_roles(items, [item for _, item in good])
    for row, item in good:
        if item.name != row.name and row.name == escape(row.name):  # other names Galaxy would keep as HTML
            await items.galaxy.libraries.describe_item(item.id, name=row.name)
    ids = {row.key: {"item_id": item.id, "version_id": item.version_id} for row, item in good}
    rooms.effects.reach("upload.check.act")
    if batch.plan.readback == "off":
        proven = {"checked": SIZE, "status": Status.DONE}
        await rooms.store.put_each_dataset(batch, {key: {**of_item, **proven} for key, of_item in ids.items()})
    else:
        await rooms.store.put_each_dataset(batch, ids)
        if bad := await _read_back(items, good):
            return await _once_more(items, bad)
    if len(good) < len(rows):
        return still_made(rooms, rows, f"{len(rows) - len(good)} of {len(batch.plan.datasets)} items")
    rooms.effects.reach("upload.check.receipt")
    return None


async def _read_back(
    items: Items, good: list[tuple[Dataset, LibraryItem]]
) -> list[tuple[Dataset, LibraryItem | None, str]]:
    """Compare what Galaxy shows of each with its file; return those that differ, for no server verifies what it reads
    by itself, and a path may lead it to another file of the same name and size.
    """
    differ: list[tuple[Dataset, LibraryItem | None, str]] = []
    of_key = {row.key: item for row, item in good}

    async def note(row: Dataset, found: ReadBack) -> None:
        if found.difference:
            differ.append((row, of_key[row.key], found.difference))
        else:
            proven = {"checked": found.checked, "status": Status.DONE}
            await items.rooms.store.put_each_dataset(items.batch, {row.key: proven})

    shown = (Shown(row, item.version_id, item.id) for row, item in good)
    await read_back_all(items.batch, items.rooms, items.galaxy, shown, note)
    return differ


async def _jobs_over(items: Items, rows: list[Dataset]) -> set[JobId]:
    """Return the jobs that have ended of those whose items are not known yet."""
    jobs = {row.job_id for row in rows if row.job_id and not row.item_id}
    return {job for job in jobs if (await items.galaxy.jobs.detail(job)).state in OVER}


def _what_is_wrong(row: Dataset, item: LibraryItem | None, *, is_over: bool) -> str:
    """Say why an item is to be made once more, or nothing."""
    if row.status is Status.FAILED:  # we died while we threw it away
        return row.reason or "it was thrown away"
    if item is None:
        return "its job made nothing" if is_over and not row.item_id else ""
    if item.state in BROKEN or (item.state == "ok" and item.size != row.size):
        return item.message or f"state {item.state}, {item.size} bytes instead of {row.size}"
    return ""


def _look_at(items: Items, row: Dataset, item: LibraryItem | None) -> Hold | bool:
    """Return True when the item is good, False while Galaxy works on it, or why the batch must stop."""
    batch = items.batch
    if item is None and row.item_id:
        return Hold(
            f"`{row.name}` of batch {batch.id} was deleted in Galaxy's library.",
            "dataset_deleted",
            hint=f"Undelete it and `galaxy-watcher retry {batch.id}`, or put it there again: "
            f"`galaxy-watcher retry {batch.unit_id} --from plan`.",
        )
    if item is None or item.state != "ok":
        return False
    if item.ext != row.ext:
        return Hold(
            f"Galaxy calls `{row.name}` {item.ext} instead of {row.ext}.",
            "dataset_extension",
            hint=f"Set the datatype in Galaxy, then `galaxy-watcher retry {batch.id}`.",
        )
    return True


async def _once_more(items: Items, bad: list[tuple[Dataset, LibraryItem | None, str]]) -> Hold:
    """Delete bad items and raise SessionLost: they are made once more. What was made twice already asks a person."""
    store, batch = items.rooms.store, items.batch
    twice = [(row, what) for row, _, what in bad if row.reason and row.status is not Status.FAILED]
    if twice:
        # A person who says retry means: once more.
        await store.put_datasets(batch, [row.key for row, _ in twice], reason="")
        row, what = twice[0]
        return Hold(
            f"Galaxy cannot take `{row.name}` ({row.size} bytes) into the library: {what}",
            "dataset_broken",
            hint="Look at it in Galaxy, and whether Galaxy sees the file as we do; then"
            f" `galaxy-watcher retry {batch.id}`.",
        )
    for row, item, what in bad:
        reason = what if row.status is Status.FAILED else f"made once more: {what}"[:500]
        delete = partial(items.galaxy.libraries.delete_item, item.id) if item is not None else None
        await throw_away(batch, items.rooms, row, delete, reason=reason)
    row, _, what = bad[0]
    more = f" and {len(bad) - 1} more" if len(bad) > 1 else ""
    raise SessionLost(f"`{row.name}`{more} did not come into the library whole: {what}")


async def _set_roles(items: Items, good: list[LibraryItem]) -> None:
    """Let those see and change the items whom the plan names; without a wish they keep what they came with."""
    if not good:
        return
    access, manage = await item_roles(items.batch, items.galaxy, good[0].id)
    own = await items.galaxy.users.own_role() if items.batch.plan.access == "private" else ""
    turns = asyncio.Semaphore(AT_ONCE)

    async def set_one(item: LibraryItem) -> None:
        if manage is None and (access is None or (access == [own] and item.is_private)):
            return
        async with turns:
            await items.galaxy.libraries.set_permissions("item", item.id, access=access, modify=manage, manage=manage)

    await together(set_one(item) for item in good)


# --- between the history and the folder ---------------------------------------------------------------------------


async def put_items(items: Items) -> None:
    """Make an item of each dataset of the history that is checked, once: they share bytes and who may read them, so
    that nothing is open before its roles are set.
    """
    store, batch = items.rooms.store, items.batch
    rows = await items.rows()
    taken = {*(await items.of_others()), *(row.item_id for row in rows if row.item_id)}
    turns = asyncio.Semaphore(AT_ONCE)

    async def put_one(row: Dataset) -> None:
        async with turns:
            await _put(items, row, taken)

    await together(put_one(row) for row in rows if row.galaxy_id and not row.item_id)
    # The version is noted last: it says that the roles are set.
    unsettled = {row.item_id: row for row in await items.rows() if row.item_id and not row.version_id}
    if not unsettled:
        return
    listed = {item.id: item for of_folder in (await items.listed()).values() for item in of_folder}
    good = [listed[id] for id, row in unsettled.items() if id in listed and listed[id].size == row.size]
    if len(good) < len(unsettled):
        name = next(row.name for id, row in unsettled.items() if id not in {item.id for item in good})
        raise NotThere(
            f"`{name}` of batch {batch.id} was deleted or changed in Galaxy's library.",
            hint=f"Put it there again: `galaxy-watcher retry {batch.unit_id} --from plan`.",
        )
    await _set_roles(items, good)
    await store.put_each_dataset(batch, {unsettled[item.id].key: {"version_id": item.version_id} for item in good})


async def _put(items: Items, row: Dataset, taken: Collection[str]) -> None:
    folder = await items.folder(items.planned[row.key].folder)

    async def look() -> LibraryItemId | None:
        named = await items.galaxy.libraries.items(folder, name=row.name)
        found = items.ours(row, {items.planned[row.key].folder: named}, taken)
        return found.id if found else None

    async def note(intent_at: datetime | None) -> None:
        await items.rooms.store.put_dataset(items.batch, row.key, copy_intent_at=intent_at)

    async def act() -> LibraryItemId:
        return await items.galaxy.libraries.copy_from_history(folder, row.galaxy_id)

    async def keep(item: LibraryItemId) -> None:
        await items.rooms.store.put_dataset(items.batch, row.key, item_id=item)

    await items.rooms.effects.once(
        "upload.item", intent_at=row.copy_intent_at, look=look, note=note, act=act, keep=keep
    )


async def copy_items(items: Items, history: HistoryId) -> None:
    """Copy each item into the history, once: for the collection and the workflow."""
    rooms, batch = items.rooms, items.batch
    rows = await items.rows()
    # An earlier plan may have left copies of its own in the same history.
    plans = [await rooms.store.datasets(one.id) for one in await rooms.store.batches(batch.unit_id)]
    known = {row.galaxy_id for of_plan in plans for row in of_plan if row.galaxy_id}
    for row in rows:
        if not row.galaxy_id:
            known.add(await _copied(items, history, row, known))


async def _copied(items: Items, history: HistoryId, row: Dataset, known: set[DatasetId]) -> DatasetId:
    rooms, batch = items.rooms, items.batch

    async def look() -> DatasetId | None:
        # One after the other: what is there and no row names is the one that was asked for.
        contents = await items.galaxy.histories.contents(history)
        named = [one for one in contents if one.kind == "dataset" and one.name == row.name and not one.deleted]
        return next((DatasetId(one.id) for one in named if one.id not in known), None)

    async def note(intent_at: datetime | None) -> None:
        await rooms.store.put_dataset(batch, row.key, copy_intent_at=intent_at)

    async def act() -> DatasetId:
        return await items.galaxy.libraries.copy_to_history(history, row.item_id)

    async def keep(dataset: DatasetId) -> None:
        await rooms.store.put_dataset(batch, row.key, galaxy_id=dataset)

    return await rooms.effects.once(
        "upload.copy", intent_at=row.copy_intent_at, look=look, note=note, act=act, keep=keep
    )
