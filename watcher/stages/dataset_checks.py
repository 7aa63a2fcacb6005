"""Are the datasets of a batch in its history what was sent?

A dataset is good when its state, size and extension are, and its SHA-256 where Galaxy verifies it; what no server
verified is read back when the plan says so. One that is not good is thrown away and sent once more, then a person is
asked. The same is asked of library items in `item_checks.py`, which throws away and waits as is done here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

from watcher.errors import OverQuota, SessionLost
from watcher.galaxy import Galaxy
from watcher.galaxy.answers import DatasetFacts
from watcher.galaxy.features import SORTED_BY_GALAXY
from watcher.model import DatasetId, HistoryId, Hold, Next, Outcome, Stage, Status, Wait
from watcher.results import SHA256, SIZE
from watcher.rows import Batch, Dataset
from watcher.stages.readback import ReadBack, Shown, read_back_all
from watcher.stages.rooms import Rooms

SHORTEST_S, LONGEST_S = 0.5, 15.0
"""How soon and how late Galaxy is asked again for what it still makes."""


async def check_datasets(batch: Batch, rooms: Rooms, galaxy: Galaxy, history_id: HistoryId) -> Outcome:
    """Hold every registered dataset against what was sent."""
    rows = [row for row in await rooms.store.datasets(batch.id) if not row.checked]
    if rows:
        rooms.effects.reach("upload.check.intent")
        facts = await galaxy.datasets.many(history_id, [row.galaxy_id for row in rows])
        open_rows, unverified = 0, []
        for row in rows:
            found = facts.get(row.galaxy_id)
            outcome = await _check_one(batch, rooms, galaxy, row, found)
            if isinstance(outcome, Hold):
                return outcome
            open_rows += outcome is None
            if outcome == SIZE and batch.plan.readback != "off":
                unverified.append(row)
            elif outcome:
                await rooms.store.put_dataset(batch, row.key, checked=outcome, status=Status.DONE)
        held = await _read_back(batch, rooms, galaxy, unverified)
        if held is not None:
            return held
        if open_rows:
            return still_made(rooms, rows, f"{open_rows} of {len(batch.plan.datasets)} datasets")
        rooms.effects.reach("upload.check.receipt")
    return await all_checked(batch, rooms)


async def all_checked(batch: Batch, rooms: Rooms) -> Outcome:
    """Return what comes next when every dataset of the batch is good, and how far they are checked."""
    levels = {row.checked for row in await rooms.store.datasets(batch.id)}
    return Next(
        Stage.INVOKE,
        f"{len(batch.plan.datasets)} datasets are in Galaxy, checked by {' and '.join(sorted(levels)) or 'nothing'}.",
    )


async def _check_one(
    batch: Batch, rooms: Rooms, galaxy: Galaxy, row: Dataset, found: DatasetFacts | None
) -> Hold | str | None:
    """Return how far the dataset is checked, None when Galaxy still works on it, or why the batch must stop."""
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
        if found.state == "ok" and row.ext in SORTED_BY_GALAXY:  # and would be again
            return Hold(
                f"Galaxy sorted `{row.name}`, as it does with {row.ext}: the dataset holds other bytes than the file.",
                "dataset_sorted",
                hint="Let the rule ask for unsorted.bam, which Galaxy leaves as it is, and "
                f"`galaxy-watcher retry {batch.unit_id} --from plan`.",
            )
        what = found.misc_info or f"state {found.state}, {found.size} bytes instead of {row.size}"
        return await _broken(batch, rooms, galaxy, row, what)
    if found.state != "ok":
        return None
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
    knows = identity.features.fetch_hashes and row.ext not in SORTED_BY_GALAXY
    verified = knows and listed == row.sha256
    return SHA256 if verified else SIZE


async def _read_back(batch: Batch, rooms: Rooms, galaxy: Galaxy, rows: Sequence[Dataset]) -> Hold | None:
    """Compare with what was sent what no server verified."""
    if not rows:
        return None
    held = []

    async def note(row: Dataset, found: ReadBack) -> None:
        if not found.difference:
            await rooms.store.put_dataset(batch, row.key, checked=found.checked, status=Status.DONE)
        else:
            held.append(await _broken(batch, rooms, galaxy, row, found.difference))

    await read_back_all(batch, rooms, galaxy, (Shown(row, DatasetId(row.galaxy_id)) for row in rows), note)
    return held[0] if held else None


async def _broken(batch: Batch, rooms: Rooms, galaxy: Galaxy, row: Dataset, what: str) -> Hold:
    """Throw a dataset away and raise SessionLost, so that it is sent once more; hold what was sent twice already."""
    if row.reason:
        await rooms.store.put_dataset(batch, row.key, reason="")  # a person who says retry means: send it again
        return Hold(
            f"Galaxy cannot take `{row.name}`: {what}",
            "dataset_broken",
            hint=f"Look at the dataset in Galaxy, then `galaxy-watcher retry {batch.id}`.",
            files=(),
        )
    await _send_again(batch, rooms, galaxy, row, reason=f"sent again: {what}"[:500])
    raise SessionLost(f"`{row.name}` did not arrive whole ({what}); sending it again.")


async def _send_again(batch: Batch, rooms: Rooms, galaxy: Galaxy, row: Dataset, reason: str = "") -> None:
    await throw_away(batch, rooms, row, lambda: galaxy.datasets.delete(row.galaxy_id, purge=True), reason=reason)


async def throw_away(
    batch: Batch, rooms: Rooms, row: Dataset, delete: Callable[[], Awaitable[object]] | None, *, reason: str
) -> None:
    """Delete in Galaxy what was made of a file, None where there is nothing, and start its dataset afresh; `reason`
    stays in the row, so that a second time is known for one.
    """
    # Written first: after a crash in between nobody takes our own deleting for somebody else's.
    await rooms.store.put_dataset(batch, row.key, status=Status.FAILED, reason=reason)
    if delete is not None:
        await delete()
    await rooms.store.put_dataset(
        batch,
        row.key,
        galaxy_id="",
        item_id="",
        version_id="",
        session="",
        offset=0,
        sent_at=None,
        fetch_intent_at=None,
        fetch_receipt_at=None,
        job_id="",
        status=Status.READY,
    )


def still_made(rooms: Rooms, rows: Sequence[Dataset], what: str) -> Wait:
    """Wait for Galaxy to make what is left of these rows; the longer it takes already, the longer the pause."""
    now = rooms.clock.now()
    age_s = (now - min(row.fetch_receipt_at or now for row in rows)).total_seconds()
    pause = timedelta(seconds=min(max(age_s / 4, SHORTEST_S), LONGEST_S))
    return Wait(pause, f"{what} are still being made by Galaxy.", "galaxy_works")
