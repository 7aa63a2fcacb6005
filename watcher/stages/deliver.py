"""Stage deliver: are the results where they belong, whole?

Each delivery of the plan says on which ending it is made, and goes its own way: results and archives are brought to a
folder or an object store (`bring_home.py`), put into a library of the same Galaxy (`into_library.py`), or written by
Galaxy itself (`by_galaxy.py`, `archives.py`, `cloud_send.py`). Each is made whatever becomes of the others. The batch
ends here: well, or with the failure that `poll.py` found.
"""

from __future__ import annotations

import difflib
import re
from datetime import datetime

from watcher.errors import AnswerLost, DeliveryBroken, DeliveryError, Uncertain
from watcher.galaxy.results import GalaxyResults
from watcher.model import DatasetId, Done, Fail, Next, Outcome, PlannedDelivery, Stage, Status, Wait
from watcher.results import ResultFile, weakest
from watcher.rows import Batch, DeliveredFile, DeliveryRow, Invocation
from watcher.stages.archives import ArchiveSource, items_of, make_archives
from watcher.stages.beside import stands_alone
from watcher.stages.bring_home import bring_home
from watcher.stages.by_galaxy import told_left, write_out
from watcher.stages.chain import current_invocations, never_started, running, to_start
from watcher.stages.cloud_send import send
from watcher.stages.endings import PARTLY_GOOD, TOLERATED
from watcher.stages.into_library import put_into_library
from watcher.stages.rooms import Rooms
from watcher.stages.targets import open_target
from watcher.stages.troubles import Troubles

PARTLY_DELIVERED = "partly_delivered"


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
    troubles, waits, unheard = Troubles(batch, rooms), list[Wait](), None
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
        except AnswerLost as error:  # of one into a library: looked at again when the others are made
            unheard = unheard or error
    if unheard is not None:
        raise unheard
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
    if not files and not stands_alone(planned):  # a workflow that failed may have made none
        await _nothing_to_deliver(batch, rooms, planned)
        return None
    if planned.is_written_by_galaxy:
        await _begin(batch, rooms, planned, known)
        written = await (send if planned.bucket else write_out)(batch, rooms, planned, files)
        if isinstance(written, Wait):
            return written
        await _made(batch, rooms, planned, written, left=told_left(files))
    elif planned.library is not None:
        await _begin(batch, rooms, planned, known)
        done = await put_into_library(batch, rooms, planned, planned.library, files)
        await _made(batch, rooms, planned, done, "item")
    else:
        done = await bring_home(batch, rooms, results, planned, files, lambda: _begin(batch, rooms, planned, known))
        await _made(batch, rooms, planned, done)
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
        made = await bring_home(batch, rooms, made, planned, made.all, _as_begun)
    await _made(batch, rooms, planned, made)
    return None


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


async def _as_begun() -> None:
    """Do nothing: since when the delivery is under way was stored before, and is what its archive is known by."""


async def _made(
    batch: Batch, rooms: Rooms, planned: PlannedDelivery, done: list[DeliveredFile], what: str = "file", left: str = ""
) -> None:
    """Store that the delivery is made, and how far it was checked; `left` says what is no part of it."""
    told = f"{len(done)} {what if len(done) == 1 else f'{what}s'}"
    if level := weakest(row.checked for row in done):
        told += f", checked by {level}"
    told += left
    await rooms.store.put_delivery(batch, planned.key, status=Status.DONE, receipt_at=rooms.clock.now(), reason=told)
    rooms.effects.reach("deliver.manifest.receipt")
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
