"""Results that Galaxy itself writes to a place that it alone knows: asked for once, followed, proven by a listing.

Its tool names each dataset as we lay files out, and writes over what is there: so the place is looked at before the
first of it is asked for, and what is not ours is left alone. The job is found again by its history, its datasets with
their names, and the place. It is not waited for here: the batch comes again. The listing of the place with sizes is the
proof; no checksum is told, and no manifest written. The tool's log, a dataset in the history, is deleted at the end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from watcher.delivery.names import lay_out
from watcher.errors import DeliveryBroken, Forbidden, NotThere, Refused
from watcher.galaxy import Galaxy
from watcher.galaxy.exports import longest_name
from watcher.galaxy.invocation_answers import JobFacts
from watcher.galaxy.job_failures import FAILED_STATES, last_lines, tool_words
from watcher.model import DatasetId, HistoryId, JobId, PlannedDelivery, Status, Wait
from watcher.results import SIZE, ResultFile
from watcher.rows import Batch, DeliveredFile, GalaxyObject
from watcher.stages.rooms import Rooms
from watcher.stages.rounds import pause_after

GALAXY_WRITES = "galaxy_writes"
"""Why a batch waits whose results Galaxy is bringing to their place."""

EXPORT = "export"
AT_A_TIME = 200
"""So many files are asked for with one job."""

SHOWS_LATE = timedelta(minutes=1)
"""How long after the job a place may go on showing what was there before."""

LOOK_AGAIN = timedelta(seconds=5)

SENT, GONE, ENDED = "sent", "gone", "ended"
"""What the row of a job remembers: datasets by name, jobs that failed before, and when it was seen to have ended."""


def export_key(planned: PlannedDelivery) -> str:
    """Return how the row is called that remembers what Galaxy was asked for."""
    return f"{EXPORT}:{planned.key}"


async def export_row(batch: Batch, rooms: Rooms, planned: PlannedDelivery) -> GalaxyObject | None:
    """Return what Galaxy was asked for, if it was."""
    key = export_key(planned)
    return next((row for row in await rooms.store.galaxy_objects(batch.id) if row.key == key), None)


async def history_of(batch: Batch, rooms: Rooms) -> HistoryId:
    """Return the history that the batch works in; DeliveryBroken when it needs none."""
    for row in await rooms.store.galaxy_objects(batch.id):
        if row.key == "history":
            return HistoryId(row.galaxy_id)
    raise DeliveryBroken(
        f"Batch {batch.id} has no history in Galaxy: all of it is in a library.",
        hint="Take the delivery out of the rule, or let a workflow run on it.",
    )


async def write_out(
    batch: Batch, rooms: Rooms, planned: PlannedDelivery, files: Sequence[ResultFile]
) -> Wait | list[DeliveredFile]:
    """Bring the results to their place and return them as they are there, or what is to be waited for. DeliveryBroken
    when Galaxy cannot, or something else has a name there.
    """
    try:
        return await _Writing(batch, rooms, planned, rooms.galaxy(batch.plan.galaxy)).all_of(files)
    except (Forbidden, NotThere, Refused) as error:
        raise DeliveryBroken(
            f"Galaxy does not write to {planned.target}: {error.message}",
            hint=error.hint or f"`galaxy-watcher check` asks what is there; then `galaxy-watcher retry {batch.id}`.",
        ) from error


@dataclass(frozen=True)
class _Writing:
    batch: Batch
    rooms: Rooms
    planned: PlannedDelivery
    galaxy: Galaxy

    async def all_of(self, files: Sequence[ResultFile]) -> Wait | list[DeliveredFile]:
        places = lay_out([file for file in files if not file.member])
        if name := longest_name(self.planned.url, places.keys()):
            raise DeliveryBroken(
                f"`{name}` is too long: Galaxy's tool takes 255 letters for a name with its folders.",
                hint="Deliver to a place with a shorter name, or give the outputs shorter labels.",
            )
        while missing := await self._missing(places):
            if (wait := await self._group(missing)) is not None:
                return wait
        rows = await self._rows()
        return [rows[path] for path in places]

    async def _rows(self) -> dict[str, DeliveredFile]:
        rows = await self.rooms.store.delivered_files(self.batch.id, self.planned.key)
        return {row.path: row for row in rows}

    async def _missing(self, places: Mapping[str, ResultFile]) -> dict[str, ResultFile]:
        rows = await self._rows()
        return {
            path: file
            for path, file in places.items()
            if not (path in rows and rows[path].status is Status.DONE and rows[path].galaxy_id == file.galaxy_id)
        }

    async def _group(self, missing: Mapping[str, ResultFile]) -> Wait | None:
        """Bring as many of the missing files as one job does; None once they are there."""
        known = await export_row(self.batch, self.rooms, self.planned)
        sent: Mapping[str, str] = known.more.get(SENT, {}) if known and known.intent_at else {}
        group = {path: file for path, file in missing.items() if sent.get(path) == file.galaxy_id}
        if not group:  # nothing of it was asked for
            group, known = dict(islice(missing.items(), AT_A_TIME)), _without_intent(known)
            sent = {path: file.galaxy_id for path, file in group.items()}
            await self._refuse_foreign(group)
        job = JobId(known.galaxy_id) if known and known.galaxy_id else await self._ask(known, group, sent)
        return await self._follow(job, group)

    async def _refuse_foreign(self, group: Mapping[str, ResultFile]) -> None:
        """Raise when one of the names is taken by something that this delivery did not put there."""
        listed, rows = await self.galaxy.exports.listing(self.planned.url), await self._rows()
        for path in group:
            row = rows.get(path)
            is_ours = row is not None and (row.intent_at or row.receipt_at)
            is_changed = row is not None and row.status is Status.DONE and listed.get(path) != row.size
            if path in listed and (not is_ours or is_changed):
                raise DeliveryBroken(
                    f"{self.planned.url}/{path} is there already and is another file: {listed[path]} bytes.",
                    hint="It is never overwritten: move it away, then retry.",
                )

    async def _ask(self, known: GalaxyObject | None, group: Mapping[str, ResultFile], sent: Mapping[str, str]) -> JobId:
        history = await history_of(self.batch, self.rooms)
        gone: list[str] = known.more.get(GONE, []) if known else []
        wanted = {path: DatasetId(dataset) for path, dataset in sent.items()}

        async def note(intent_at: datetime | None) -> None:
            for path, file in group.items():
                await self.rooms.store.put_delivered_file(
                    self.batch, self.planned.key, path, galaxy_id=file.galaxy_id, size=file.size, intent_at=intent_at,
                    status=Status.WORKING,
                )  # fmt: skip
            await self._remember(intent_at=intent_at, more={SENT: dict(sent), GONE: gone, ENDED: ""})

        return await self.rooms.effects.once(
            "deliver.write",
            intent_at=known.intent_at if known else None,
            look=lambda: self.galaxy.exports.find_write(history, self.planned.url, wanted, but=gone),
            note=note,
            act=lambda: self.galaxy.exports.write(history, self.planned.url, wanted),
            keep=lambda job: self._remember(galaxy_id=job, receipt_at=self.rooms.clock.now()),
        )

    async def _remember(self, **values: Any) -> None:
        await self.rooms.store.put_galaxy_object(
            self.batch, export_key(self.planned), kind=EXPORT, name=self.planned.target, **values
        )

    async def _follow(self, job: JobId, group: Mapping[str, ResultFile]) -> Wait | None:
        facts = await self.galaxy.jobs.detail(job)
        known = await export_row(self.batch, self.rooms, self.planned)
        assert known is not None
        if facts.state in FAILED_STATES:
            raise await self._failed(known, facts)
        now = self.rooms.clock.now()
        if facts.state != "ok":
            return Wait(
                pause_after(known.receipt_at, now), f"Galaxy is writing to {self.planned.target}.", GALAXY_WRITES
            )
        listed = await self.galaxy.exports.listing(self.planned.url)
        if lacking := [path for path, file in group.items() if listed.get(path) != file.size]:
            ended = datetime.fromisoformat(known.more.get(ENDED) or now.isoformat())
            if now - ended < SHOWS_LATE:
                await self._remember(more={**known.more, ENDED: ended.isoformat()})
                return Wait(LOOK_AGAIN, f"{self.planned.target} does not show all of it yet.", GALAXY_WRITES)
            await self._forget(known)
            shown = f"{listed[lacking[0]]} bytes" if lacking[0] in listed else "nothing"
            raise DeliveryBroken(
                f"Galaxy says it wrote to {self.planned.target}, but the listing shows {shown} as `{lacking[0]}`,"
                f" which has {group[lacking[0]].size} bytes.",
                hint=f"Look at the place; `galaxy-watcher retry {self.batch.id}` lets Galaxy write it once more.",
            )
        await self._keep(facts, group)
        return None

    async def _keep(self, facts: JobFacts, group: Mapping[str, ResultFile]) -> None:
        """Delete the tool's log, then store that the files are there."""
        self.rooms.effects.reach("deliver.log.intent")
        await self._delete_log(facts)
        self.rooms.effects.reach("deliver.log.act")
        for path in group:
            await self.rooms.store.put_delivered_file(
                self.batch, self.planned.key, path, sha256="", checked=SIZE, receipt_at=self.rooms.clock.now(),
                status=Status.DONE,
            )  # fmt: skip
        self.rooms.effects.reach("deliver.log.receipt")

    async def _delete_log(self, facts: JobFacts) -> None:
        for made in facts.outputs.values():
            await self.galaxy.datasets.delete(DatasetId(made.id))

    async def _failed(self, known: GalaxyObject, facts: JobFacts) -> DeliveryBroken:
        words = tool_words(facts)
        if not words:
            outputs = [await self.galaxy.datasets.get(DatasetId(made.id)) for made in facts.outputs.values()]
            words = next((last_lines(one.misc_info) for one in outputs if one.misc_info), "")
        if facts.state == "paused":  # it would go on by itself one day, beside the next one
            await self._delete_log(facts)
        await self._forget(known)
        told = words.splitlines()[-1] if words else "it says nothing more"
        return DeliveryBroken(
            f"Galaxy's job that writes to {self.planned.target} ended {facts.state}: {told}.".replace("..", "."),
            hint=f"Put right what it says, then `galaxy-watcher retry {self.batch.id}` lets Galaxy write it once more.",
        )

    async def _forget(self, known: GalaxyObject) -> None:
        """Take back what was asked for: its job has ended for good."""
        gone = [*known.more.get(GONE, []), known.galaxy_id]
        await self._remember(galaxy_id="", intent_at=None, receipt_at=None, more={GONE: gone})


def _without_intent(known: GalaxyObject | None) -> GalaxyObject | None:
    """Return the row as before it was asked for anything, with what failed before."""
    if known is None:
        return None
    gone = {GONE: known.more.get(GONE, [])}
    return GalaxyObject(known.batch_id, known.key, known.kind, known.name, more=gone)


def told_left(files: Sequence[ResultFile]) -> str:
    """Say what of the results stays in Galaxy."""
    left = sum(bool(file.member) for file in files)
    return (
        f"; {left} {'index or file' if left == 1 else 'indexes and files'} beside them stay in Galaxy" if left else ""
    )
