"""Stage upload: is the batch in Galaxy, byte for byte?

A history of the batch's own (`history.py`); every planned dataset sent (`transfer.py`), registered in groups
of samples whose files all passed, and checked on the server before it counts. Nothing is believed because it was
sent: a dataset is good when its state, size, extension and, where the server verifies it, SHA-256 are. Next comes
`invoke.py`.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path

from watcher.errors import (
    AnswerLost,
    ContentBroken,
    FileGone,
    GalaxyAway,
    KeyRefused,
    MountGone,
    NoGalaxy,
    OverQuota,
    SessionLost,
    Superseded,
    WatcherError,
)
from watcher.galaxy import Galaxy
from watcher.galaxy.answers import DatasetFacts
from watcher.galaxy.fetch import FetchElement
from watcher.galaxy.histories import clean_tag
from watcher.model import (
    DatasetId,
    HistoryId,
    Hold,
    Kind,
    Next,
    Outcome,
    Plan,
    PlannedDataset,
    SourceFacts,
    Stage,
    Status,
    Wait,
)
from watcher.rows import Batch, Dataset
from watcher.runs.integrity import ContentFacts, check_pair
from watcher.stages.effects import together
from watcher.stages.history import ensure_history
from watcher.stages.looking import see_root
from watcher.stages.revisions import drop_sessions, inherit
from watcher.stages.rooms import Rooms
from watcher.stages.shares import share
from watcher.stages.transfer import Source, Transfer, give_up_session

GROUP_BYTES = 4 * 1024**3
GROUP_FILES = 200
SHARED = (GalaxyAway, KeyRefused, MountGone, NoGalaxy, OverQuota)


async def upload(batch: Batch, rooms: Rooms) -> Outcome:
    """Bring every dataset of the plan into the batch's history and prove it; waits while Galaxy still works on some."""
    plan = batch.plan
    galaxy = rooms.galaxy(plan.galaxy)
    await galaxy.known_identity()
    await rooms.store.add_datasets(batch, [_row(batch, planned) for planned in plan.datasets])
    await inherit(batch, rooms, galaxy)
    history_id = await ensure_history(batch, rooms, galaxy)
    if isinstance(history_id, Hold):
        return history_id
    rows = {row.key: row for row in await rooms.store.datasets(batch.id)}
    await _adopt_registered(batch, rooms, galaxy, history_id, rows.values())
    held = await _send_and_register(batch, rooms, galaxy, history_id)
    if held is not None:
        return held
    outcome = await _check(batch, rooms, galaxy, history_id)
    if isinstance(outcome, Next):
        await share(batch, rooms, galaxy, history_id)
    return outcome


def _row(batch: Batch, planned: PlannedDataset) -> Dataset:
    return Dataset(batch_id=batch.id, key=planned.key, name=planned.name, ext=planned.ext, size=planned.size)


def element_tag(batch: Batch, key: str) -> str:
    """Return the tag by which one dataset of the batch is found again."""
    return f"watcher:{batch.id}.{key}"


# --- sending --------------------------------------------------------------------------------------------------------


async def _adopt_registered(
    batch: Batch, rooms: Rooms, galaxy: Galaxy, history_id: HistoryId, rows: Iterable[Dataset]
) -> None:
    """Find datasets whose registration was asked for but never confirmed to us."""
    open_rows = [row for row in rows if row.fetch_intent_at and not row.galaxy_id]
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


async def _send_and_register(batch: Batch, rooms: Rooms, galaxy: Galaxy, history_id: HistoryId) -> Outcome | None:
    """Send all that is missing, registering whole samples as they pass; return the hold of the first broken file, if
    any.
    """
    plan = batch.plan
    rows = {row.key: row for row in await rooms.store.datasets(batch.id)}
    missing = [planned for planned in plan.datasets if not rows[planned.key].galaxy_id]
    if not missing:
        return None
    sources = await _sources(batch, rooms)
    sample_of = _samples(plan)
    left: dict[tuple[str, str], list[PlannedDataset]] = defaultdict(list)
    for planned in missing:
        left[sample_of[planned.key]].append(planned)
    ready: list[PlannedDataset] = []
    broken: list[WatcherError] = []
    turn = asyncio.Lock()
    left_bytes = sum(planned.size for planned in missing)

    async def send_one(planned: PlannedDataset) -> None:
        if rows[planned.key].sent_at is None:
            async with rooms.slots.slot(batch.id, plan.watch, priority=plan.priority, left_bytes=left_bytes):
                if any(isinstance(error, SHARED) and not isinstance(error, AnswerLost) for error in broken):
                    return  # every other file would only run into the same wall, one after the other
                await Transfer(rooms, galaxy, batch, planned, sources[planned.key]).send(rows[planned.key])
        sample = sample_of[planned.key]
        left[sample].remove(planned)
        if not left[sample]:
            await sample_sent(sample)

    async def sample_sent(sample: tuple[str, str]) -> None:
        members = [planned for planned in missing if sample_of[planned.key] == sample]
        await _check_pairs(batch, rooms, galaxy, plan, sample)
        async with turn:
            ready.extend(members)
            if sum(p.size for p in ready) >= GROUP_BYTES or len(ready) >= GROUP_FILES:
                group = ready.copy()
                ready.clear()
                await _register(batch, rooms, galaxy, history_id, group)

    async def guarded(planned: PlannedDataset) -> None:
        try:
            await send_one(planned)
        except Superseded:
            raise  # somebody wants us to stop: at once, and all
        except WatcherError as error:
            broken.append(error)

    await together(guarded(planned) for planned in missing)
    if ready and not any(not isinstance(error, ContentBroken) for error in broken):
        await _register(batch, rooms, galaxy, history_id, ready)
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
    return None


async def _sources(batch: Batch, rooms: Rooms) -> dict[str, tuple[Source, ...]]:
    """Return for each planned dataset its source files as they looked when they were planned."""
    plan, root = batch.plan, Path(batch.plan.path)
    unit = await rooms.store.unit(batch.unit_id)
    seen = {row.path: row for row in await rooms.store.source_files(batch.unit_id)}
    checksums: Mapping[str, Mapping[str, str]] = (unit.more.get("checksums") or {}) if unit else {}

    def source(path: str) -> Source:
        row = seen.get(path)
        if row is None:
            raise FileGone(
                f"`{path}` of batch {batch.id} is not known any more.",
                hint=f"`galaxy-watcher retry {batch.unit_id} --from settle`",
                files=(path,),
            )
        facts = SourceFacts(path, Kind.FILE, row.size, row.mtime_ns, row.ctime_ns, row.inode)
        return Source(root, path, facts, checksums.get(path, {}))

    return {planned.key: tuple(source(path) for path in planned.sources) for planned in plan.datasets}


def _samples(plan: Plan) -> dict[str, tuple[str, str]]:
    """Return project and name of the sample of each dataset by its key: two projects may have a sample `S1`."""
    of_path = {file.path: (sample.project, sample.name) for sample in plan.samples for file in sample.files}
    return {planned.key: of_path[planned.sources[0]] for planned in plan.datasets}


async def _check_pairs(batch: Batch, rooms: Rooms, galaxy: Galaxy, plan: Plan, sample: tuple[str, str]) -> None:
    """Compare the record counts of R1 and R2, lane by lane; a bad pair's sessions are deleted."""
    rows = {row.key: row for row in await rooms.store.datasets(batch.id)}
    lanes: dict[int, dict[str, PlannedDataset]] = defaultdict(dict)
    sample_of = _samples(plan)
    for planned in plan.datasets:
        if sample_of[planned.key] == sample and planned.read in ("R1", "R2"):
            lanes[planned.lane][planned.read] = planned
    for reads in lanes.values():
        if len(reads) < 2:
            continue
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
    offsets = await asyncio.gather(*(galaxy.tus.offset(row.session) for row in members))
    intents = [row.fetch_intent_at for row in members if row.fetch_intent_at]

    async def look() -> dict[str, str] | None:
        found = await _registered(batch, galaxy, history_id)
        return {row.key: found[row.key] for row in members} if all(row.key in found for row in members) else None

    async def note(intent_at: object) -> None:
        for row in members:
            await rooms.store.put_dataset(batch, row.key, fetch_intent_at=intent_at)

    async def act() -> dict[str, str]:
        whole = [row for row, offset in zip(members, offsets, strict=True) if offset == row.size]
        if len(whole) < len(members):
            for row in members:
                if row not in whole:  # gone, or cut by the server: only a fresh session can be trusted
                    await give_up_session(galaxy, batch, row)
                    await rooms.store.put_dataset(batch, row.key, session="", offset=0, sent_at=None)
            raise SessionLost(
                f"{len(members) - len(whole)} upload sessions of batch {batch.id} are not whole; sending them again."
            )
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


# --- checking -------------------------------------------------------------------------------------------------------


async def _check(batch: Batch, rooms: Rooms, galaxy: Galaxy, history_id: HistoryId) -> Outcome:
    """Hold every registered dataset against what was sent."""
    rows = [row for row in await rooms.store.datasets(batch.id) if not row.checked]
    if rows:
        rooms.effects.reach("upload.check.intent")
        facts = await galaxy.datasets.many(history_id, [row.galaxy_id for row in rows])
        open_rows = 0
        for row in rows:
            found = facts.get(row.galaxy_id)
            outcome = await _check_one(batch, rooms, galaxy, row, found)
            if isinstance(outcome, Hold):
                return outcome
            open_rows += not outcome
        if open_rows:
            age_s = (rooms.clock.now() - min(row.fetch_receipt_at or rooms.clock.now() for row in rows)).total_seconds()
            pause = timedelta(seconds=min(max(age_s / 4, 0.5), 15))
            return Wait(
                pause,
                f"{open_rows} of {len(batch.plan.datasets)} datasets are still being made by Galaxy.",
                "galaxy_works",
            )
        rooms.effects.reach("upload.check.receipt")
    levels = {row.checked for row in await rooms.store.datasets(batch.id)}
    return Next(
        Stage.INVOKE,
        f"{len(batch.plan.datasets)} datasets are in Galaxy, checked by {' and '.join(sorted(levels)) or 'nothing'}.",
    )


async def _check_one(
    batch: Batch, rooms: Rooms, galaxy: Galaxy, row: Dataset, found: DatasetFacts | None
) -> Hold | bool:
    """Return True when the dataset is proven, False when Galaxy still works on it, or why the batch must stop."""
    if row.status is Status.FAILED:  # we died while we threw it away
        await _send_again(batch, rooms, galaxy, row, reason=row.reason)
        raise SessionLost(f"`{row.name}` did not arrive whole; sending it again.")
    if found is None or found.deleted or found.purged:
        return Hold(
            f"Dataset `{row.name}` of batch {batch.id} was deleted in Galaxy.",
            "dataset_deleted",
            hint=f"Undelete it and `galaxy-watcher retry {batch.id}`, or send it again: "
            f"`galaxy-watcher retry {batch.unit_id} --from plan`.",
        )
    if found.state == "paused":
        await _send_again(batch, rooms, galaxy, row)
        raise OverQuota(
            f"Galaxy paused the upload of `{row.name}`: the account is over its quota.",
            hint="Free space or raise the quota; the watcher goes on by itself.",
        )
    if found.state in ("error", "failed_metadata", "discarded") or (found.state == "ok" and found.size != row.size):
        what = found.misc_info or f"state {found.state}, {found.size} bytes instead of {row.size}"
        if row.reason:  # it was sent twice already
            await rooms.store.put_dataset(batch, row.key, reason="")  # a person who says retry means: send it again
            return Hold(
                f"Galaxy cannot take `{row.name}`: {what}",
                "dataset_broken",
                hint=f"Look at the dataset in Galaxy, then `galaxy-watcher retry {batch.id}`.",
                files=(),
            )
        await _send_again(batch, rooms, galaxy, row, reason=f"sent again: {what}"[:500])
        raise SessionLost(f"`{row.name}` did not arrive whole ({what}); sending it again.")
    if found.state != "ok":
        return False
    if found.ext != row.ext:
        return Hold(
            f"Galaxy calls `{row.name}` {found.ext} instead of {row.ext}.",
            "dataset_extension",
            hint=f"Set the datatype in Galaxy, then `galaxy-watcher retry {batch.id}`.",
        )
    if batch.plan.access == "private" and not found.is_closed_to_all_but(await galaxy.users.own_role()):
        await galaxy.datasets.make_private(found.id)
    rooms.effects.reach("upload.check.act")
    identity = await galaxy.known_identity()
    listed = {name.upper(): value.lower() for name, value in found.hashes.items()}.get("SHA-256")
    verified = identity.features.fetch_hashes and listed == row.sha256
    await rooms.store.put_dataset(batch, row.key, checked="SHA-256" if verified else "size", status=Status.DONE)
    return True


async def _send_again(batch: Batch, rooms: Rooms, galaxy: Galaxy, row: Dataset, reason: str = "") -> None:
    """Throw a bad dataset away, in Galaxy too, and start it afresh."""
    # Written first: after a crash in between nobody takes our own deleting for somebody else's.
    await rooms.store.put_dataset(batch, row.key, status=Status.FAILED, reason=reason)
    await galaxy.datasets.delete(row.galaxy_id, purge=True)
    await rooms.store.put_dataset(
        batch,
        row.key,
        galaxy_id="",
        session="",
        offset=0,
        sent_at=None,
        fetch_intent_at=None,
        fetch_receipt_at=None,
        job_id="",
        reason=reason,
        status=Status.READY,
    )
