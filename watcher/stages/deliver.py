"""Stage deliver: are the results where they belong, whole?

Each delivery of the plan says on which ending it is made. Results are read from Galaxy from any offset, written under
a temporary name, compared with what Galaxy has (by SHA-256 where it lists one, else by size) and renamed; the manifest
comes last, so that its presence means "all here". The batch ends here: well, or with the failure that `poll.py` found.
"""

from __future__ import annotations

import asyncio
import difflib
import re
from datetime import datetime

from watcher.delivery import Delivery
from watcher.errors import DeliveryBroken, DeliveryError, Uncertain
from watcher.galaxy.results import GalaxyResults
from watcher.model import DatasetId, Done, Fail, Next, Outcome, PlannedDelivery, Stage, Status, Wait
from watcher.results import ResultFile, ResultSource, weakest
from watcher.rows import Batch, DeliveredFile, DeliveryRow, Invocation
from watcher.stages.archives import ArchiveSource, items_of, make_archives
from watcher.stages.by_galaxy import told_left, write_out
from watcher.stages.chain import current_invocations, never_started, running, to_start
from watcher.stages.cloud_send import send
from watcher.stages.effects import together
from watcher.stages.endings import PARTLY_GOOD, TOLERATED
from watcher.stages.rooms import Rooms
from watcher.stages.targets import open_target
from watcher.stages.troubles import Troubles

AT_ONCE = 4
PARTLY_DELIVERED = "partly_delivered"
DELIVERY_BYTES = "delivery_bytes"
"""Where a batch remembers how much room its delivery needs."""


async def deliver(batch: Batch, rooms: Rooms) -> Outcome:
    """Make every delivery that fits the ending, then end the batch."""
    galaxy = rooms.galaxy(batch.plan.galaxy)
    rows = await rooms.store.invocations(batch.id)
    latest = current_invocations(rows)
    if running(rows):
        return Next(Stage.POLL, "Not every workflow has ended.")
    if to_start(batch.plan, rows):
        return Next(Stage.INVOKE, "Not every workflow has been asked for.")
    failed = [row for row in latest if row.status is not Status.DONE]
    skipped = never_started(batch.plan, rows)
    ending = "failed" if failed else "ok"
    replaced = {DatasetId(old): DatasetId(new) for row in latest for old, new in row.replaced.items()}
    # Of a sample that is not good also the steps before the one that failed made something: it is no result.
    left_out = {row.galaxy_id: row.samples for row in latest if row.code == PARTLY_GOOD}
    results = GalaxyResults(galaxy, [row.galaxy_id for row in latest if row.galaxy_id], replaced, left_out)
    # What a rule tolerates is not delivered, and does not keep what is good from being so.
    is_whole = not any(row.code in (TOLERATED, PARTLY_GOOD) for row in latest)
    troubles, waits = Troubles(batch, rooms), list[Wait]()
    for planned in batch.plan.deliveries:
        known = {row.key: row for row in await rooms.store.deliveries(batch.id)}.get(planned.key)
        if known and known.status is Status.DONE:
            continue
        if planned.on not in (ending, "always"):
            await rooms.store.put_delivery(
                batch,
                planned.key,
                target=planned.target,
                on_ending=planned.on,
                status=Status.IGNORED,
                reason=f"the workflow ended {ending}",
            )
            continue
        try:
            troubles.refuse_again(planned, known)
            if planned.export:
                wait = await _deliver_archives(batch, rooms, planned, known, latest)
            else:
                wait = await _deliver_one(batch, rooms, results, planned, known, ending, is_whole=is_whole)
            waits += [wait] if wait else []
        except Uncertain as error:
            waits.append(Wait(error.again_in, error.message, error.code))
        except DeliveryError as error:  # of this one alone: the others are made all the same
            await troubles.note(planned, error, known)
    if (wait := await troubles.settled(waits)) is not None:
        return wait
    if failed:
        told = [row.reason for row in failed] + [f"`{planned.ref}` was not started." for planned in skipped]
        return Fail(
            " ".join(told),
            "workflow_failed",
            hint="Look at the history in Galaxy. What is run again there with success is taken over by"
            f" `galaxy-watcher retry {batch.id}`, which else starts the workflow once more.",
        )
    rooms.progress.forget(batch.id)
    partly = " ".join(row.reason for row in latest if row.reason)
    end = "All results are where they belong." if batch.plan.deliveries else "All data are in Galaxy."
    if troubles.lacking:
        end = f"{' '.join(troubles.lacking)} `galaxy-watcher retry {batch.id} --from deliver` tries once more."
    code = PARTLY_GOOD if not is_whole else PARTLY_DELIVERED if troubles.lacking else ""
    return Done(f"{end} {partly}".strip(), code)


async def _deliver_one(
    batch: Batch,
    rooms: Rooms,
    results: GalaxyResults,
    planned: PlannedDelivery,
    known: DeliveryRow | None,
    ending: str,
    *,
    is_whole: bool,
) -> Wait | None:
    """Make one delivery; return what is to be waited for while Galaxy is at work on it."""
    files, not_good = await results.look(planned.outputs)
    if not_good and ending == "ok" and is_whole:
        raise DeliveryBroken(
            f"Not every result of batch {batch.id} is good in Galaxy, though no job failed: {', '.join(not_good[:5])}.",
            hint=f"Look at the history, then `galaxy-watcher retry {batch.id}`.",
        )
    if ending == "ok" and is_whole:
        _refuse_unselected(batch, planned, await results.labels(), files, results.unmet(planned.outputs))
    if not files:  # a workflow that failed may have made none
        await _nothing_to_deliver(batch, rooms, planned)
        return None
    if planned.is_written_by_galaxy:
        await _begin(batch, rooms, planned, known)
        written = await (send if planned.bucket else write_out)(batch, rooms, planned, files)
        if isinstance(written, Wait):
            return written
        await _made(batch, rooms, planned, written, told_left(files))
        return None
    await _bring_home(batch, rooms, results, planned, known, files)
    return None


async def _deliver_archives(
    batch: Batch, rooms: Rooms, planned: PlannedDelivery, known: DeliveryRow | None, latest: list[Invocation]
) -> Wait | None:
    """Make a delivery of archives; return what is to be waited for while Galaxy is at work on it."""
    items = await items_of(batch, rooms, planned, latest)
    if not items:
        await _nothing_to_deliver(batch, rooms, planned)
        return None
    if not planned.is_written_by_galaxy:  # first of all, so that Galaxy makes none for a place that is away
        await open_target(planned, rooms).prepare(0)
    begun = await _begin(batch, rooms, planned, known)
    made = await make_archives(batch, rooms, planned, items, begun)
    if isinstance(made, Wait):
        return made
    if isinstance(made, ArchiveSource):
        await _bring_home(batch, rooms, made, planned, known, made.all)
    else:
        await _made(batch, rooms, planned, made)
    return None


async def _bring_home(
    batch: Batch,
    rooms: Rooms,
    results: ResultSource,
    planned: PlannedDelivery,
    known: DeliveryRow | None,
    files: list[ResultFile],
) -> None:
    """Bring the files to their target, those that are not there, and the manifest after them."""
    target = open_target(planned, rooms)
    places = target.places(files)
    rows = {row.path: row for row in await rooms.store.delivered_files(batch.id, planned.key)}
    missing = [(path, file) for path, file in places.items() if not _is_home(rows.get(path), file)]
    needed_bytes = sum(file.size for _, file in missing)
    await rooms.store.touch(batch, more={DELIVERY_BYTES: needed_bytes})  # what a probe asks for while we wait
    await target.prepare(needed_bytes)
    await _begin(batch, rooms, planned, known)
    turns = asyncio.Semaphore(AT_ONCE)

    async def bring(path: str, file: ResultFile) -> None:
        async with turns:
            await _deliver_file(batch, rooms, results, target, planned.key, path, file, rows.get(path))

    await together(bring(path, file) for path, file in missing)
    rooms.effects.reach("deliver.manifest.intent")
    known_files = await rooms.store.delivered_files(batch.id, planned.key)
    done = [row for row in known_files if row.path in places]
    await target.write_manifest([(row.path, row.sha256) for row in done])
    rooms.effects.reach("deliver.manifest.act")
    await _made(batch, rooms, planned, done)
    rooms.effects.reach("deliver.manifest.receipt")


async def _begin(batch: Batch, rooms: Rooms, planned: PlannedDelivery, known: DeliveryRow | None) -> datetime:
    """Store that the delivery is under way, and since when; return that."""
    intent_at = (known.intent_at if known else None) or rooms.clock.now()
    if known is None or known.intent_at is None or known.status is not Status.WORKING:
        await rooms.store.put_delivery(
            batch,
            planned.key,
            target=planned.target,
            on_ending=planned.on,
            status=Status.WORKING,
            intent_at=intent_at,
            reason="",
        )
    return intent_at


async def _made(
    batch: Batch, rooms: Rooms, planned: PlannedDelivery, done: list[DeliveredFile], left: str = ""
) -> None:
    """Store that the delivery is made, and how far it was checked; `left` says what is no part of it."""
    told = f"{len(done)} {'file' if len(done) == 1 else 'files'}"
    if level := weakest(row.checked for row in done):
        told += f", checked by {level}"
    told += left
    await rooms.store.put_delivery(batch, planned.key, status=Status.DONE, receipt_at=rooms.clock.now(), reason=told)
    await rooms.store.journal(
        "delivery.made",
        f"Results of batch {batch.id} are in {planned.target}: {told}.",
        unit_id=batch.unit_id,
        batch_id=batch.id,
    )


def _refuse_unselected(
    batch: Batch, planned: PlannedDelivery, labels: list[str], files: list[ResultFile], unselected: list[str]
) -> None:
    """Raise DeliveryBroken when a pattern of the delivery fits no output, or all that fit are empty: a result that was
    asked for would be missing, and nobody would know.
    """
    if not unselected and files:
        return
    told = ", ".join(f"`{pattern}`" for pattern in unselected or planned.outputs)
    near = [f"`{label}`" for pattern in unselected if (label := _near(pattern, labels))]
    raise DeliveryBroken(
        f"The delivery of batch {batch.id} selects nothing with {told}: "
        + ("there is no such output." if unselected else "these outputs are empty."),
        hint=(f"Did you mean {' and '.join(dict.fromkeys(near))}? " if near else "")
        + f"The workflow labels {', '.join(f'`{label}`' for label in labels) or 'nothing'}. Correct `outputs:`, then"
        f" `galaxy-watcher retry {batch.unit_id} --from plan`.",
    )


def _near(pattern: str, labels: list[str]) -> str:
    """Return the label that was probably meant; the fixed beginning of a pattern is compared with theirs."""
    stem = re.split(r"[*?\[]", pattern.lower())[0]
    known = {label.lower()[: len(stem)]: label for label in labels} | {label.lower(): label for label in labels}
    near = difflib.get_close_matches(stem, known, n=1) if stem else []
    return known[near[0]] if near else ""


async def _nothing_to_deliver(batch: Batch, rooms: Rooms, planned: PlannedDelivery) -> None:
    """End a delivery without a file; an empty manifest would promise results, and `sha256sum -c` refuses it."""
    now, told = rooms.clock.now(), "no result to deliver"
    await rooms.store.put_delivery(
        batch, planned.key, target=planned.target, on_ending=planned.on, status=Status.DONE, reason=told,
        intent_at=now, receipt_at=now,
    )  # fmt: skip
    await rooms.store.journal(
        "delivery.empty",
        f"Nothing of batch {batch.id} went to {planned.target}: {told}.",
        unit_id=batch.unit_id,
        batch_id=batch.id,
    )


def _is_home(row: DeliveredFile | None, file: ResultFile) -> bool:
    """Tell whether this very result was delivered; an earlier attempt of the workflow made others of the same name."""
    return row is not None and row.status is Status.DONE and row.galaxy_id == file.galaxy_id


async def _deliver_file(
    batch: Batch,
    rooms: Rooms,
    results: ResultSource,
    target: Delivery,
    delivery_key: str,
    path: str,
    file: ResultFile,
    known: DeliveredFile | None,
) -> None:
    async def note(intent_at: datetime | None) -> None:
        await rooms.store.put_delivered_file(
            batch,
            delivery_key,
            path,
            galaxy_id=file.galaxy_id,
            size=file.size,
            intent_at=intent_at,
            status=Status.WORKING,
        )

    async def act() -> tuple[int, str]:
        return await target.put(
            results,
            file,
            path,
            lambda done: rooms.progress.fetched(batch.id, path, done),
            outdated=known.sha256 if known else "",  # what an attempt before this one delivered
        )

    async def look() -> None:
        return None  # `put` itself resumes what is half there and adopts what is whole

    async def keep(proof: tuple[int, str]) -> None:
        await rooms.store.put_delivered_file(
            batch, delivery_key, path, size=proof[0], sha256=proof[1], checked=file.checked,
            receipt_at=rooms.clock.now(), status=Status.DONE,
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
