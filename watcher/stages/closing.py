"""What becomes of the histories of a unit that is done, and of upload sessions that were left over; and the receipt.

Each is an effect of its own, done once; what is done is remembered with the unit. A history that was there before is
never archived or deleted, and one in which anything lies that is not ours is neither deleted nor are datasets in it:
that is journaled, and the history stays. What of this a rule wants is frozen in the plan.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any

from watcher.disk.receipt import write_beside
from watcher.disk.removal import RECEIPT
from watcher.errors import GalaxyError, NotThere
from watcher.galaxy import Galaxy
from watcher.galaxy.histories import plain_tag
from watcher.galaxy.made import Found, made_by_the_way
from watcher.model import DatasetId, HistoryId, InvocationId, Status
from watcher.rows import Batch, Removal, Unit
from watcher.stages.bring_home import abandon
from watcher.stages.history import HISTORY, OWN
from watcher.stages.removable import living, source_of
from watcher.stages.rooms import Rooms

CLOSED = "closed"
"""Where a unit remembers what was done with the history of a batch, by the batch's id, and what was noted before."""

DID = {"tag": "got the tag", "archive": "went to Galaxy's archive", "delete": "was deleted"}


async def close_histories(rooms: Rooms, unit: Unit, batches: Sequence[Batch]) -> None:
    """Do with the history of each batch what its plan says, and delete sessions that were left over."""
    for batch in batches:
        try:
            await _forget_sessions(rooms, batch)
            await abandon(batch, rooms)
            if batch.status is Status.DONE and batch in living(batches):
                await _close(rooms, unit, batch)
        except GalaxyError as error:
            error.subject = batch.plan.galaxy
            raise


async def _forget_sessions(rooms: Rooms, batch: Batch) -> None:
    """Delete upload sessions that nobody goes on with; a session that is gone is fine."""
    left = [row for row in await rooms.store.datasets(batch.id) if row.session]
    for row in left:
        galaxy, what = rooms.galaxy(batch.plan.galaxy), f"The upload session of `{row.name}` that was left over"
        unit_id, batch_id = batch.unit_id, batch.id
        await rooms.store.journal("session.deleting", f"{what} is being deleted.", unit_id=unit_id, batch_id=batch_id)
        rooms.effects.reach("finish.session.intent")
        await galaxy.tus.delete(row.session)
        rooms.effects.reach("finish.session.act")
        await rooms.store.put_dataset(batch, row.key, session="", offset=0)
        await rooms.store.journal("session.deleted", f"{what} was deleted.", unit_id=unit_id, batch_id=batch_id)
        rooms.effects.reach("finish.session.receipt")


async def _close(rooms: Rooms, unit: Unit, batch: Batch) -> None:
    plan = batch.plan.finish
    if not plan.purge_intermediates and plan.history == "keep":
        return
    rows = {row.key: row for row in await rooms.store.galaxy_objects(batch.id)}
    history = HistoryId(rows[HISTORY].galaxy_id) if HISTORY in rows else HistoryId("")
    if not history:  # everything went to a library
        return
    galaxy = rooms.galaxy(batch.plan.galaxy)
    is_ours = not batch.plan.existing
    if plan.purge_intermediates and is_ours:
        await _purge(rooms, unit, batch, galaxy, history)
    if plan.history == "tag" or (plan.history != "keep" and is_ours):
        await _history(rooms, unit, batch, galaxy, history)


# --- what was made by the way ---------------------------------------------------------------------------------------


async def _purge(rooms: Rooms, unit: Unit, batch: Batch, galaxy: Galaxy, history: HistoryId) -> None:
    if (await _noted(rooms, unit, batch)).get("purged"):
        return
    found = await _look_through(rooms, batch, galaxy, history)
    if found is None:
        return
    if found.unknown:
        text = f"Nothing is deleted for good in the history of batch {batch.id}: not ours are {_some(found.unknown)}."
    elif not found.by_the_way:
        text = f"The workflow of batch {batch.id} left nothing behind that is no result."
    else:
        count = f"{len(found.by_the_way)} hidden datasets of batch {batch.id}"
        text = f"{count} that are no results are being deleted for good."
        await rooms.store.journal("history.purging", text, unit_id=unit.id, batch_id=batch.id)
        await _note(rooms, unit, batch, purging=rooms.clock.now().isoformat())
        rooms.effects.reach("finish.purge.intent")
        for dataset in found.by_the_way:
            await galaxy.datasets.delete(dataset, purge=True)
            rooms.effects.reach("finish.purge.act")
        text = f"{count} that are no results were deleted for good."
    await _note(rooms, unit, batch, purged=rooms.clock.now().isoformat())
    if found.by_the_way and not found.unknown:
        rooms.effects.reach("finish.purge.receipt")
    await rooms.store.journal("history.purged", text, unit_id=unit.id, batch_id=batch.id)


async def _look_through(rooms: Rooms, batch: Batch, galaxy: Galaxy, history: HistoryId) -> Found | None:
    """Return what lies in the history of a batch; None when it is gone."""
    rows = await rooms.store.invocations(batch.id)
    ours = {row.galaxy_id for row in await rooms.store.datasets(batch.id)}
    ours |= {row.galaxy_id for row in await rooms.store.delivered_files(batch.id)}
    ours |= {DatasetId(new) for row in rows for new in row.replaced.values()}
    try:
        return await made_by_the_way(
            galaxy,
            history,
            [row.galaxy_id for row in rows if row.galaxy_id],
            [InvocationId(one) for row in rows for one in row.inner],
            {one for one in ours if one},
            f"{OWN}{batch.id}",
        )
    except NotThere:
        return None


# --- the history ----------------------------------------------------------------------------------------------------


async def _history(rooms: Rooms, unit: Unit, batch: Batch, galaxy: Galaxy, history: HistoryId) -> None:
    plan, noted = batch.plan.finish, await _noted(rooms, unit, batch)
    if noted.get("done"):
        return
    if plan.history == "delete":
        found = await _look_through(rooms, batch, galaxy, history)
        if found is not None and found.unknown:
            text = f"The history of batch {batch.id} stays: not ours are {_some(found.unknown)} in it."
            await _note(rooms, unit, batch, done=rooms.clock.now().isoformat())
            await rooms.store.journal("history.kept", text, unit_id=unit.id, batch_id=batch.id)
            return
    tag = plain_tag(plan.tag)
    name = f"The history `{batch.plan.history}` of batch {batch.id}"

    async def look() -> bool | None:
        try:
            facts = await galaxy.histories.get(history)
        except NotThere:
            return True
        has = {"tag": tag.lower() in {one.lower() for one in facts.tags}, "archive": facts.archived}
        return True if has.get(plan.history, False) or facts.deleted or facts.purged else None

    async def note(intent_at: datetime | None) -> None:
        await _note(rooms, unit, batch, intent=intent_at.isoformat() if intent_at else "")
        if intent_at and plan.history != "tag":
            text = f"{name} is about to be {plan.history}d."
            await rooms.store.journal("history.closing", text, unit_id=unit.id, batch_id=batch.id)

    async def act() -> bool:
        if plan.history == "archive":
            await galaxy.histories.archive(history)
        elif plan.history == "delete":
            await galaxy.histories.delete(history)
        else:
            async with rooms.marking:  # all tags are set at once: two at a time would undo each other
                facts = await galaxy.histories.get(history)
                await galaxy.histories.tag(history, [*facts.tags, tag])
        return True

    async def keep(_: bool) -> None:
        await _note(rooms, unit, batch, done=rooms.clock.now().isoformat())
        text = f"{name} {DID[plan.history]}{f' {tag}' if plan.history == 'tag' else ''}."
        await rooms.store.journal("history.closed", text, unit_id=unit.id, batch_id=batch.id)

    asked_at = noted.get("intent")
    await rooms.effects.once(
        "finish.history",
        intent_at=datetime.fromisoformat(asked_at) if asked_at else None,
        look=look,
        note=note,
        act=act,
        keep=keep,
        repeatable=True,
        always_look=True,
    )


async def _noted(rooms: Rooms, unit: Unit, batch: Batch) -> dict[str, str]:
    stored = await rooms.store.unit(unit.id)
    noted: dict[str, str] = (stored or unit).more.get(CLOSED, {}).get(batch.id, {})
    return noted


async def _note(rooms: Rooms, unit: Unit, batch: Batch, **values: str) -> None:
    stored = await rooms.store.unit(unit.id)
    known = (stored or unit).more.get(CLOSED, {})
    await rooms.store.touch(unit, more={CLOSED: {**known, batch.id: {**known.get(batch.id, {}), **values}}})


def _some(names: Sequence[str]) -> str:
    return f"{', '.join(names[:5])}{f' and {len(names) - 5} more' if len(names) > 5 else ''}"


# --- the receipt ----------------------------------------------------------------------------------------------------


async def write_receipt(
    rooms: Rooms, unit: Unit, batches: Sequence[Batch], row: Removal | None, told: Callable[[Removal | None], str]
) -> None:
    """Write what was done with the run to a file beside its folder, when a rule asks for it; again when it is moved
    or deleted. Raises MountGone and DiskError.
    """
    if not any(batch.plan.finish.receipt for batch in living(batches)):
        return
    content = json.dumps(await _receipt(rooms, unit, batches, row, told), indent=1, ensure_ascii=False) + "\n"
    rooms.effects.reach("finish.receipt.intent")
    if row is not None and _is_archived(row):
        root, place = Path(row.base), PurePosixPath(Path(row.target).relative_to(row.base))
    else:
        source = await source_of(rooms, unit)
        root, place = source.root, PurePosixPath(source.path)
    name = f"{place.name or unit.run}{RECEIPT}"
    folder = "/".join(place.parent.parts)
    await write_beside(rooms.threads, root, folder, name, content.encode())
    rooms.effects.reach("finish.receipt.act")
    rooms.effects.reach("finish.receipt.receipt")


def _is_archived(row: Removal) -> bool:
    return row.action == "archive" and row.status is Status.DONE and not row.code


async def _receipt(
    rooms: Rooms, unit: Unit, batches: Sequence[Batch], row: Removal | None, told: Callable[[Removal | None], str]
) -> dict[str, Any]:
    return {
        "run": unit.run,
        "unit": unit.unit,
        "id": unit.id,
        "version": unit.unit_version,
        "source": told(row) or "The run folder stays as it is.",
        "batches": [await _told_batch(rooms, batch) for batch in living(batches)],
    }


async def _told_batch(rooms: Rooms, batch: Batch) -> dict[str, Any]:
    url = rooms.galaxy(batch.plan.galaxy).account.url
    rows = {one.key: one for one in await rooms.store.galaxy_objects(batch.id)}
    return {
        "id": batch.id,
        "rule": batch.rule,
        "status": str(batch.status),
        "galaxy": str(url),
        "history": {"name": batch.plan.history, "id": rows[HISTORY].galaxy_id if HISTORY in rows else ""},
        "datasets": [
            {"name": row.name, "id": row.galaxy_id or row.item_id, "size": row.size, "sha256": row.sha256,
             "checked": row.checked}
            for row in await rooms.store.datasets(batch.id)
        ],
        "deliveries": [
            {"target": row.target, "status": str(row.status)} for row in await rooms.store.deliveries(batch.id)
        ],
    }  # fmt: skip
