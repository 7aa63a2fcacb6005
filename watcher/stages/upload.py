"""Stage upload: is the batch in Galaxy, byte for byte?

A history of the batch's own (`history.py`), or a folder in a library (`library.py`); every planned dataset sent
(`transfer.py`), registered in groups of samples whose files all passed, and checked on the server before it counts.
In a library `items.py` registers, `item_checks.py` checks; there Galaxy may fetch the files itself. Nothing is believed
because it was sent: a dataset is good when its state, size, extension and, where the server verifies it, SHA-256 are.
Next comes `invoke.py`.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

from watcher.errors import (
    AnswerLost,
    ContentBroken,
    FileGone,
    GalaxyAway,
    GalaxyBusy,
    KeyRefused,
    MountGone,
    NoGalaxy,
    OverQuota,
    Superseded,
    WatcherError,
)
from watcher.galaxy import Galaxy
from watcher.galaxy.fetch import FetchElement
from watcher.galaxy.histories import clean_tag
from watcher.model import DatasetId, HistoryId, Hold, Next, Outcome, Plan, PlannedDataset, Wait
from watcher.rows import Batch, Dataset
from watcher.runs.integrity import ContentFacts, check_pair
from watcher.stages.dataset_checks import all_checked, check_datasets
from watcher.stages.effects import together
from watcher.stages.history import ensure_history
from watcher.stages.item_checks import check_items, copy_items, put_items
from watcher.stages.item_versions import mark_superseded, take_over
from watcher.stages.items import Items
from watcher.stages.library import ensure_place
from watcher.stages.looking import see_root
from watcher.stages.pace import OUTSIDE_HOURS, OutsideHours, Pace
from watcher.stages.revisions import drop_sessions, inherit
from watcher.stages.rooms import Rooms
from watcher.stages.shares import share
from watcher.stages.slots import Line
from watcher.stages.space import IN_FLIGHT_BYTES
from watcher.stages.transfer import Transfer, offsets_of, prove_here, refuse_cut_sessions, sources_of
from watcher.stages.workflow_fit import refuse_misfits

GROUP_FILES = 200
SHARED = (GalaxyAway, GalaxyBusy, KeyRefused, MountGone, NoGalaxy, OverQuota)


async def upload(batch: Batch, rooms: Rooms) -> Outcome:
    """Bring every dataset of the plan into the batch's history and prove it; waits while Galaxy still works on some."""
    plan = batch.plan
    galaxy = rooms.galaxy(plan.galaxy)
    await galaxy.known_identity()
    await rooms.store.add_datasets(batch, [_row(batch, planned) for planned in plan.datasets])
    await inherit(batch, rooms, galaxy)
    is_new = not any(_is_begun(row) for row in await rooms.store.datasets(batch.id))
    if is_new:
        await refuse_misfits(batch, galaxy)  # the plan may have waited for days
    is_first_history = is_new and bool(plan.workflows) and await galaxy.offers.any_history() is None
    history_id = await ensure_history(batch, rooms, galaxy) if plan.needs_history else None
    if isinstance(history_id, Hold):
        return history_id
    if is_first_history:  # what Galaxy would correct in a workflow it tells only to an account that has a history
        await refuse_misfits(batch, galaxy)
    if plan.library is not None:
        return await _into_library(batch, rooms, galaxy, history_id)
    assert history_id is not None  # without a library everything is sent
    return await _into_history(batch, rooms, galaxy, history_id)


async def _into_history(batch: Batch, rooms: Rooms, galaxy: Galaxy, history_id: HistoryId) -> Outcome:
    rows = {row.key: row for row in await rooms.store.datasets(batch.id)}
    await _adopt_registered(batch, rooms, galaxy, history_id, rows.values())

    async def register(group: Sequence[PlannedDataset]) -> None:
        await _register(batch, rooms, galaxy, history_id, group)

    held = await _send_and_register(batch, rooms, galaxy, register)
    if held is not None:
        return held
    outcome = await check_datasets(batch, rooms, galaxy, history_id)
    if isinstance(outcome, Next):
        await share(batch, rooms, galaxy, history_id)
    return outcome


async def _into_library(batch: Batch, rooms: Rooms, galaxy: Galaxy, history_id: HistoryId | None) -> Outcome:
    """Bring every dataset into the batch's folder of the library and prove it: what is sent by way of the history, for
    only so it is private from the start. A collection or workflow finds them all in the history.
    """
    items = Items(batch, rooms, galaxy, await ensure_place(batch, rooms, galaxy))
    await items.refuse_while_others_put()
    await take_over(items)
    outcome: Outcome | None
    if history_id is not None and batch.plan.transfer == "tus":
        outcome = await items.refuse_what_is_there() or await _into_history(batch, rooms, galaxy, history_id)
        if not isinstance(outcome, Next):
            return outcome
        await put_items(items)
    else:
        await items.adopt()
        outcome = await items.refuse_what_is_there()
        outcome = outcome or await _send_and_register(batch, rooms, galaxy, items.register) or await check_items(items)
        if outcome is not None:
            return outcome
    await mark_superseded(items)
    if history_id is not None and (batch.plan.collection is not None or batch.plan.workflows):
        await copy_items(items, history_id)
    return await all_checked(batch, rooms)


def _row(batch: Batch, planned: PlannedDataset) -> Dataset:
    return Dataset(batch_id=batch.id, key=planned.key, name=planned.name, ext=planned.ext, size=planned.size)


def _is_begun(row: Dataset) -> bool:
    """Tell whether anything of it was sent, or asked of Galaxy."""
    return bool(row.session or row.sent_at or row.fetch_intent_at or row.galaxy_id or row.item_id)


def element_tag(batch: Batch, key: str) -> str:
    """Return the tag by which one dataset of the batch is found again."""
    return f"watcher:{batch.id}.{key}"


# --- sending --------------------------------------------------------------------------------------------------------


async def _adopt_registered(
    batch: Batch, rooms: Rooms, galaxy: Galaxy, history_id: HistoryId, rows: Iterable[Dataset]
) -> None:
    """Find datasets whose registration was asked for but never confirmed to us."""
    open_rows = [row for row in rows if row.fetch_intent_at and not (row.galaxy_id or row.item_id)]
    if open_rows:
        found = await _registered(batch, galaxy, history_id)
        await _keep_registered(batch, rooms, {row.key: found[row.key] for row in open_rows if row.key in found})


async def _registered(batch: Batch, galaxy: Galaxy, history_id: HistoryId) -> dict[str, str]:
    """Return what Galaxy has of this batch: key → dataset id."""
    prefix = element_tag(batch, "")
    contents = await galaxy.histories.contents(history_id, tag=prefix)
    return {
        tag.removeprefix(prefix): content.id
        for content in contents
        if content.kind == "dataset" and not content.deleted
        for tag in content.tags
        if tag.startswith(prefix)
    }


async def _keep_registered(batch: Batch, rooms: Rooms, found: Mapping[str, str], job_id: str = "") -> None:
    now = rooms.clock.now()
    for key, dataset_id in found.items():
        await rooms.store.put_dataset(batch, key, galaxy_id=dataset_id, job_id=job_id, fetch_receipt_at=now, session="")


async def _send_and_register(
    batch: Batch, rooms: Rooms, galaxy: Galaxy, register: Callable[[Sequence[PlannedDataset]], Awaitable[None]]
) -> Outcome | None:
    """Send all that is missing, or prove it where it lies, registering whole samples as they pass; return the hold of
    the first broken file, or that the hours of the watch are over, if so.
    """
    plan = batch.plan
    rows = {row.key: row for row in await rooms.store.datasets(batch.id)}
    missing = [one for one in plan.datasets if not (rows[one.key].galaxy_id or rows[one.key].fetch_receipt_at)]
    if not missing:
        return None
    sources = await sources_of(batch, rooms)
    sample_of = _samples(plan)
    left: dict[tuple[str, str], list[PlannedDataset]] = defaultdict(list)
    for planned in missing:
        left[sample_of[planned.key]].append(planned)
    ready: list[PlannedDataset] = []
    broken: list[WatcherError] = []
    closed: list[OutsideHours] = []
    turn = asyncio.Lock()
    unsent = [rows[planned.key] for planned in missing if rows[planned.key].sent_at is None]
    left_bytes = sum(row.size - row.offset for row in unsent)

    async def send_one(planned: PlannedDataset, line: Line, pace: Pace) -> None:
        if rows[planned.key].sent_at is None:
            pace.refuse_outside_hours()
            async with line.slot() as slot:
                pace.refuse_outside_hours()
                if any(isinstance(error, SHARED) and not isinstance(error, AnswerLost) for error in broken):
                    return  # every other file would only run into the same wall, one after the other
                if plan.transfer == "tus":
                    sent = Transfer(rooms, galaxy, batch, planned, sources[planned.key], slot, pace)
                    await sent.send(rows[planned.key])
                else:
                    is_read = plan.content == "full"
                    await prove_here(rooms, batch, planned, sources[planned.key], is_read=is_read)
        sample = sample_of[planned.key]
        left[sample].remove(planned)
        if not left[sample]:
            await sample_sent(sample)

    async def sample_sent(sample: tuple[str, str]) -> None:
        members = [planned for planned in missing if sample_of[planned.key] == sample]
        await _check_pairs(batch, rooms, galaxy, plan, sample)
        async with turn:
            ready.extend(members)
            is_much = plan.transfer == "tus" and sum(p.size for p in ready) >= IN_FLIGHT_BYTES
            if is_much or len(ready) >= GROUP_FILES:
                group = ready.copy()
                ready.clear()
                await register(group)

    async def guarded(planned: PlannedDataset, line: Line, pace: Pace) -> None:
        try:
            await send_one(planned, line, pace)
        except Superseded:
            raise  # somebody wants us to stop: at once, and all
        except WatcherError as error:
            broken.append(error)
        except OutsideHours as over:
            closed.append(over)

    with rooms.slots.line(batch.id, plan.watch, plan.galaxy, priority=plan.priority, left_bytes=left_bytes) as line:
        hours = rooms.settings.hours_of(plan.watch)
        pace = Pace(rooms.clock, plan.watch, hours, rooms.bandwidths.get(plan.watch), line)
        async with pace.told_to(lambda reason: rooms.store.touch(batch, reason=reason)):
            await together(guarded(planned, line, pace) for planned in missing)
    if ready and not any(not isinstance(error, ContentBroken) for error in broken):
        await register(ready)
    for error in broken:
        if isinstance(error, FileGone) and rooms.settings.watch(plan.watch):
            await see_root(plan.watch, rooms)  # without its mount every file is gone
        if not isinstance(error, ContentBroken):
            raise error
    if broken:
        files = tuple(dict.fromkeys(file for error in broken for file in error.files))
        hint = (
            broken[0].hint
            or f"Put good files in their place; the watcher sees it. Or `galaxy-watcher cancel {batch.id}`."
        )
        await drop_sessions(rooms, galaxy, batch)
        return Hold(" ".join(error.message for error in broken), "content", hint=hint, files=files)
    if closed:
        return Wait(closed[0].opens_at - rooms.clock.now(), closed[0].reason, OUTSIDE_HOURS)
    return None


def _samples(plan: Plan) -> dict[str, tuple[str, str]]:
    """Return project and name of the sample of each dataset by its key: two projects may have a sample `S1`."""
    of_path = {file.path: (sample.project, sample.name) for sample in plan.samples for file in sample.files}
    return {planned.key: of_path[planned.sources[0]] for planned in plan.datasets}


async def _check_pairs(batch: Batch, rooms: Rooms, galaxy: Galaxy, plan: Plan, sample: tuple[str, str]) -> None:
    """Compare the record counts of R1 and R2, lane by lane; a bad pair's sessions are deleted."""
    lanes: dict[int, dict[str, PlannedDataset]] = defaultdict(dict)
    sample_of = _samples(plan)
    for planned in plan.datasets:
        if sample_of[planned.key] == sample and planned.read in ("R1", "R2"):
            lanes[planned.lane][planned.read] = planned
    pairs = [reads for reads in lanes.values() if len(reads) == 2]
    rows = {row.key: row for row in await rooms.store.datasets(batch.id)} if pairs else {}
    for reads in pairs:
        pair = [rows[reads[read].key] for read in ("R1", "R2")]
        facts = [ContentFacts(size=row.size, sha256=row.sha256, records=row.records) for row in pair]
        names = tuple(reads[read].sources[0] for read in ("R1", "R2"))
        try:
            check_pair(facts[0], facts[1], (names[0], names[1]))
        except ContentBroken:
            for row in pair:
                if row.session:
                    await galaxy.tus.delete(row.session)
                await rooms.store.put_dataset(batch, row.key, session="", offset=0, sent_at=None)
            raise


async def _register(
    batch: Batch, rooms: Rooms, galaxy: Galaxy, history_id: HistoryId, group: Sequence[PlannedDataset]
) -> None:
    """Make datasets of sent sessions, one request for the group; sessions are looked at right before, for Galaxy
    takes half a file too.
    """
    rows = {row.key: row for row in await rooms.store.datasets(batch.id)}
    members = [rows[planned.key] for planned in group]
    dbkeys = {planned.key: planned.dbkey for planned in group}
    offsets = await offsets_of(galaxy, members)
    intents = [row.fetch_intent_at for row in members if row.fetch_intent_at]

    async def look() -> dict[str, str] | None:
        found = await _registered(batch, galaxy, history_id)
        return {row.key: found[row.key] for row in members} if all(row.key in found for row in members) else None

    async def note(intent_at: object) -> None:
        for row in members:
            await rooms.store.put_dataset(batch, row.key, fetch_intent_at=intent_at)

    async def act() -> dict[str, str]:
        await refuse_cut_sessions(rooms, galaxy, batch, members, offsets)
        elements = [
            FetchElement(
                name=row.name,
                ext=row.ext,
                session=row.session,
                size=row.size,
                sha256=row.sha256,
                dbkey=dbkeys[row.key],
                tags=(f"watcher:{batch.id}", element_tag(batch, row.key), clean_tag("run", batch.plan.run)),
            )
            for row in members
        ]
        receipt = await galaxy.fetch.register(history_id, elements)
        return {row.key: dataset_id for row, dataset_id in zip(members, receipt.dataset_ids, strict=True)}

    async def keep(found: Mapping[str, str]) -> None:
        await _keep_registered(batch, rooms, found)
        await _close_at_once(batch, galaxy, found.values())

    await rooms.effects.once(
        "upload.fetch", intent_at=min(intents) if intents else None, look=look, note=note, act=act, keep=keep
    )


async def _close_at_once(batch: Batch, galaxy: Galaxy, datasets: Iterable[str]) -> None:
    """Make private what was just registered in a history that was there before: a new history has that by itself, one
    that was made earlier may be open. Galaxy puts the bytes in some seconds later. `_check` looks at it again.
    """
    if batch.plan.history_id and batch.plan.access == "private":
        for dataset in datasets:
            await galaxy.datasets.make_private(DatasetId(dataset))
