"""What comes after something of the same name: the next plan of a batch, the next version of a unit.

The new revision keeps the history when account and history name are the same, and every dataset in it whose source
files still have the bytes that were sent: they are read once more here and compared by SHA-256, nothing is believed
from names. A history that is not kept is tagged `watcher:superseded`; nothing is deleted. Called by `upload.py`
before it sends anything.

New files under names that were there before are the next version of a unit, never a change of the old row: people drop
`a_R1.fastq.gz` again when a run was repeated. A file that was touched or copied back looks new as well: `verify.py`
reads before it believes. For files of run folders that come after the plan see `afterwards.py`.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import structlog

from watcher.errors import DiskError, GalaxyError, NotThere, PlanError, Superseded
from watcher.galaxy import Galaxy
from watcher.model import ENDED, DatasetId, HistoryId, Kind, Plan, PlannedDataset, SourceFacts, Stage, Status
from watcher.rows import Batch, Dataset, GalaxyObject, SourceFile, Unit
from watcher.runs.layout import FoundUnit
from watcher.stages.history import HISTORY, SUPERSEDED
from watcher.stages.looking import Place
from watcher.stages.rooms import Rooms

OVER = frozenset({Status.DONE, Status.FAILED, Status.CANCELLED, Status.IGNORED})

REPLANNED = "replanned"
"""Code of a batch whose plan was given up: it waits for the next revision (see `plan.py`)."""

BECAUSE = "because"
"""Where a version remembers why it was made when that is not its files, which then may be the same."""

NAMESAKE = "namesake"
"""Where a version remembers the unit that was known by its name before: perhaps the same run, perhaps another."""

log = structlog.get_logger("watcher")


async def inherit(batch: Batch, rooms: Rooms, galaxy: Galaxy) -> None:
    """Take over history and datasets of the revision before; does nothing for a first plan, or when done already."""
    known = {row.key for row in await rooms.store.galaxy_objects(batch.id)}
    if batch.revision == 1 or HISTORY in known:
        return
    earlier, history = await _last_with_history(batch, rooms)
    if earlier is None or history is None:
        return
    if _place_of(earlier.plan) != _place_of(batch.plan):
        if earlier.plan.history_id:
            return  # it is not ours: others work in it
        try:
            await _tag_superseded(rooms, history, earlier)
        except (PlanError, GalaxyError) as error:
            if earlier.plan.galaxy == batch.plan.galaxy:
                raise
            # The other account may be why there is a new plan: it must not hold this one up.
            log.warning("history.not_tagged", batch=earlier.id, reason=error.message)
        return
    if not await _is_there(galaxy, HistoryId(history.galaxy_id)):
        return
    _refuse_while_registering(rooms, await rooms.store.datasets(earlier.id))
    sent = await _sent(rooms, galaxy, HistoryId(history.galaxy_id), earlier) if batch.plan.transfer == "tus" else {}
    before, names = _by_name(earlier.plan.datasets), _by_name(batch.plan.datasets)
    for planned in batch.plan.datasets:
        by_name = before.get((planned.name, ())) if (planned.name, ()) in names else None
        was = before.get((planned.name, planned.sources), by_name)
        row = sent.get(was.key) if was is not None else None
        if (
            was is not None
            and row is not None
            and was.dbkey == planned.dbkey
            and await same_bytes(batch, rooms, planned, row)
        ):
            await rooms.store.put_dataset(
                batch, planned.key, galaxy_id=row.galaxy_id, offset=row.size, **proven_of(row)
            )
    await drop_sessions(rooms, galaxy, earlier)
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


def _by_name(datasets: Sequence[PlannedDataset]) -> dict[tuple[str, tuple[str, ...]], PlannedDataset]:
    """Return the datasets by name and files, and those whose name is no other's by name alone."""
    counts = Counter(one.name for one in datasets)
    found = {(one.name, one.sources): one for one in datasets}
    return found | {(one.name, ()): one for one in datasets if counts[one.name] == 1}


def proven_of(row: Dataset) -> dict[str, Any]:
    """Return what an earlier row knows of bytes that are the same and stay where they are, for the row after it."""
    return {
        "sha256": row.sha256,
        "records": row.records,
        "checked": row.checked,
        "sent_at": row.sent_at,
        "fetch_intent_at": row.fetch_intent_at,
        "fetch_receipt_at": row.fetch_receipt_at,
        "status": row.status,
    }


def _place_of(plan: Plan) -> tuple[str, str]:
    return plan.galaxy, plan.history_id or f"new {plan.history}"


async def _last_with_history(batch: Batch, rooms: Rooms) -> tuple[Batch | None, GalaxyObject | None]:
    """Return the newest earlier revision that came as far as a history, and that history."""
    before = [one for one in await rooms.store.batches(batch.unit_id) if one.number == batch.number]
    for one in sorted(before, key=lambda one: -one.revision):
        rows = await rooms.store.galaxy_objects(one.id) if one.revision < batch.revision else []
        history = next((row for row in rows if row.key == HISTORY and row.galaxy_id), None)
        if history is not None:
            return one, history
    return None, None


async def drop_sessions(rooms: Rooms, galaxy: Galaxy, batch: Batch) -> None:
    """Delete what a plan that is held or given up had sent and not registered: a session is a secret."""
    for row in await rooms.store.datasets(batch.id):
        if row.session and not row.galaxy_id:
            await galaxy.tus.delete(row.session)
            await rooms.store.put_dataset(batch, row.key, session="", offset=0, sent_at=None)


def _refuse_while_registering(rooms: Rooms, rows: list[Dataset]) -> None:
    """Raise Uncertain while Galaxy may still make datasets of what the earlier plan sent: they would come twice."""
    for row in rows:
        if row.fetch_intent_at and not row.galaxy_id:
            rooms.effects.refuse_while_uncertain("upload.fetch", row.fetch_intent_at)


async def _is_there(galaxy: Galaxy, history_id: HistoryId) -> bool:
    try:
        facts = await galaxy.histories.get(history_id)
    except NotThere:
        return False
    return not (facts.deleted or facts.purged)


async def _sent(rooms: Rooms, galaxy: Galaxy, history_id: HistoryId, earlier: Batch) -> dict[str, Dataset]:
    """Return what Galaxy has of the earlier revision, by key: checked or not, but nothing that was deleted since.

    One that is not good any more counts as not checked, so that it is looked at and sent again. A dataset whose
    registration was never confirmed to us is found by its tag, or it would be made twice.
    """
    rows = await rooms.store.datasets(earlier.id)
    contents = await galaxy.histories.contents(history_id)
    # Ids of datasets and of collections are counted apart: the same text may name one of each.
    datasets = [one for one in contents if one.kind == "dataset" and not one.deleted]
    there = {one.id: one for one in datasets}
    tagged = {tag: one.id for one in datasets for tag in one.tags}
    found = {}
    for row in rows:
        galaxy_id = row.galaxy_id or tagged.get(f"watcher:{earlier.id}.{row.key}", "")
        if galaxy_id in there and row.sha256:
            checked = row.checked if there[galaxy_id].state == "ok" else ""
            found[row.key] = replace(row, galaxy_id=DatasetId(galaxy_id), checked=checked)
    return found


async def same_bytes(batch: Batch, rooms: Rooms, planned: PlannedDataset, row: Dataset) -> bool:
    """Tell whether the source files as they are now hash to what was sent; reads them through."""
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


# --- versions of a unit ----------------------------------------------------------------------------------------------


async def has_new_files(rooms: Rooms, place: Place, found: FoundUnit, elder: Unit) -> bool:
    """Tell whether a unit that is over has files that it did not have; files that were taken away say nothing."""
    if not place.layout.flat or elder.status not in OVER:
        return False
    seen = {row.path: row for row in await rooms.store.source_files(elder.id)}
    return bool(seen) and any(_looks_new(place.listing.entries[path], seen.get(path)) for path in found.files)


def _looks_new(facts: SourceFacts, row: SourceFile | None) -> bool:
    return row is None or (facts.size, facts.mtime_ns) != (row.size, row.mtime_ns)


def files_of(place: Place, found: FoundUnit, unit_id: str) -> list[SourceFile]:
    """Return what is to be remembered of the files of a unit that nobody will settle."""
    listed = (place.listing.entries[path] for path in found.files)
    return [SourceFile(unit_id, one.path, one.size, one.mtime_ns, one.ctime_ns, one.inode) for one in listed]


async def brings_nothing_new(rooms: Rooms, unit: Unit, root: Path, files: Sequence[SourceFacts]) -> bool:
    """Tell whether every file has the bytes that the version before sent; reads them through.

    Raises FileChanged and FileGone.
    """
    before = unit.replaces or unit.more.get(NAMESAKE, "")
    if not before or unit.more.get(BECAUSE):
        return False
    return await has_same_bytes(rooms, await _who_sent(rooms, before), root, files)


async def has_same_bytes(rooms: Rooms, unit_id: str, root: Path, files: Sequence[SourceFacts]) -> bool:
    """Tell whether a unit sent exactly these bytes under these paths; reads them through, unless sizes tell already.

    Raises FileChanged and FileGone.
    """
    sizes = {facts.path: facts.size for facts in files}
    of_size: dict[str, int] = {}
    for planned, row in await _sent_of_unit(rooms, unit_id):
        if planned.size == row.size == sum(sizes.get(path, -1) for path in planned.sources):
            of_size |= dict.fromkeys(planned.sources, row.size)
    if not sizes or not sizes.keys() <= of_size.keys():
        return False
    return not await other_bytes(rooms, unit_id, root, files, at_most=1)


async def other_bytes(
    rooms: Rooms, unit_id: str, root: Path, files: Sequence[SourceFacts], *, at_most: int = 0
) -> list[str]:
    """Return which of these files have not the bytes that a unit sent under their paths, at once when there are
    `at_most` of them. What was never sent is not among them.

    Reads them through; chunks of one dataset are compared together. Raises FileChanged and FileGone.
    """
    known = {facts.path: facts for facts in files}
    unproven: set[str] = set()
    compared: set[tuple[tuple[str, ...], str]] = set()
    for planned, row in await _sent_of_unit(rooms, unit_id):
        if (planned.sources, row.sha256) in compared:
            continue  # two rules took it: once read is enough
        compared.add((planned.sources, row.sha256))
        here = [path for path in planned.sources if path in known]
        if len(here) < len(planned.sources):
            unproven.update(here)
            continue
        digest = hashlib.sha256(usedforsecurity=False)
        for path in planned.sources:
            facts = known[path]
            await rooms.reader.inspect_prefix(root, path, facts.size, digest.update, expect=facts)
        if digest.hexdigest() != row.sha256:
            unproven.update(here)
        if at_most and len(unproven) >= at_most:
            break
    return sorted(unproven)


async def sent_together(rooms: Rooms, unit_id: str, paths: Collection[str]) -> list[str]:
    """Return these files and all that became one dataset with any of them: only together they can be compared."""
    wanted = set(paths)
    for planned, _ in await _sent_of_unit(rooms, unit_id):
        if wanted.intersection(planned.sources):
            wanted.update(planned.sources)
    return sorted(wanted)


async def hashes_sent(rooms: Rooms, unit_id: str) -> Mapping[str, str]:
    """Return the SHA-256 of each file that is a dataset of its own in Galaxy by now, by its path."""
    return {
        planned.sources[0]: row.sha256
        for planned, row in await _sent_of_unit(rooms, unit_id)
        if len(planned.sources) == 1
    }


async def _who_sent(rooms: Rooms, unit_id: str) -> str:
    """Return the unit itself, or the version before it that sent something: one that brought nothing new did not."""
    unit = await rooms.store.unit(unit_id)
    while unit is not None and unit.replaces and not await rooms.store.batches(unit.id):
        unit = await rooms.store.unit(unit.replaces)
    return unit.id if unit is not None else unit_id


async def _sent_of_unit(rooms: Rooms, unit_id: str) -> list[tuple[PlannedDataset, Dataset]]:
    """Return the checked datasets of a unit."""
    found = []
    for batch in await rooms.store.batches(unit_id):
        rows = {row.key: row for row in await rooms.store.datasets(batch.id) if row.checked and row.sha256}
        found += [(planned, rows[planned.key]) for planned in batch.plan.datasets if planned.key in rows]
    return found


async def plan_again(rooms: Rooms, unit: Unit, reason: str, *, from_stage: Stage = Stage.SETTLE) -> None:
    """Send a planned unit back; batches that are still to be uploaded are given up for the next plan, which keeps what
    they have sent. First the batches, then the unit: its plan must not find them alive.
    """
    for batch in await rooms.store.batches(unit.id):
        now: Batch | None = batch
        while now is not None and now.stage is Stage.UPLOAD and now.status not in ENDED and now.code != REPLANNED:
            try:
                await rooms.store.move(now, status=Status.HELD, code=REPLANNED, reason=f"{reason} A new plan is made.")
                break
            except Superseded:  # it began or ended its stage just now
                now = await rooms.store.batch(batch.id)
    fresh = await rooms.store.unit(unit.id)
    if fresh is not None:
        await rooms.store.move(fresh, stage=from_stage, status=Status.READY, reason=reason)
