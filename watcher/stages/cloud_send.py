"""Results that Galaxy sends to a bucket with an authorization of its own, as servers up to 24.1 can.

A request that was answered, or whose jobs are found, is never made again: each of its datasets has a job, which is
followed and believed only when its output says so. What was not sent is told by name, and a retry asks for that alone.
Objects are called as the datasets are, and not as files would be: two of one name are refused. The bucket itself cannot
be looked into.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from watcher.errors import DeliveryBroken, Forbidden, GalaxyBroken, NotThere, Refused
from watcher.galaxy import Galaxy
from watcher.galaxy.cloud import Sent, label_of, was_sent
from watcher.galaxy.invocation_answers import JobFacts
from watcher.galaxy.job_failures import FAILED_STATES, tool_words
from watcher.model import DatasetId, JobId, PlannedDelivery, Status, Wait
from watcher.results import ResultFile
from watcher.rows import Batch, DeliveredFile, GalaxyObject
from watcher.stages.by_galaxy import EXPORT, GALAXY_WRITES, GONE, SENT, export_key, export_row, history_of
from watcher.stages.rooms import Rooms
from watcher.stages.rounds import pause_after

JOBS, NOT_BEGUN, STORED = "jobs", "not_begun", "stored"
"""What the row of a request remembers besides: jobs by object, why others were not begun."""


async def send(
    batch: Batch, rooms: Rooms, planned: PlannedDelivery, files: Sequence[ResultFile]
) -> Wait | list[DeliveredFile]:
    """Let Galaxy send the results and return them, or what is to be waited for; DeliveryBroken when it does not."""
    try:
        return await _Sending(batch, rooms, planned, rooms.galaxy(batch.plan.galaxy)).all_of(files)
    except (Forbidden, NotThere, Refused) as error:
        raise DeliveryBroken(
            f"Galaxy does not send to {planned.target}: {error.message}",
            hint=error.hint or f"`galaxy-watcher check` asks what is there; then `galaxy-watcher retry {batch.id}`.",
        ) from error


@dataclass(frozen=True, slots=True)
class _Named:
    """A dataset that is to be sent: itself, and what it shares with its copies."""

    file: ResultFile
    stored_id: str


@dataclass(frozen=True)
class _Sending:
    batch: Batch
    rooms: Rooms
    planned: PlannedDelivery
    galaxy: Galaxy

    async def all_of(self, files: Sequence[ResultFile]) -> Wait | list[DeliveredFile]:
        named = await self._named([file for file in files if not file.member])
        rows = await self._rows()
        missing = {
            label: one
            for label, one in named.items()
            if not (label in rows and rows[label].status is Status.DONE and rows[label].galaxy_id == one.file.galaxy_id)
        }
        if missing:
            known = await export_row(self.batch, self.rooms, self.planned)
            sent = known.more.get(SENT, {}) if known and known.intent_at else {}
            if not known or not known.galaxy_id or any(sent.get(label) is None for label in missing):
                known = await self._ask(known if sent else None, known.more.get(GONE, []) if known else [], missing)
            if (wait := await self._follow(known, missing)) is not None:
                return wait
        rows = await self._rows()
        return [rows[label] for label in named]

    async def _named(self, files: Sequence[ResultFile]) -> dict[str, _Named]:
        """Return the datasets by the names of their objects; DeliveryBroken when two would be one."""
        history = await history_of(self.batch, self.rooms)
        contents = [one for one in await self.galaxy.histories.contents(history) if one.kind == "dataset"]
        by_id, found = {one.id: one for one in contents}, dict[str, _Named]()
        for file in files:
            one = by_id.get(file.galaxy_id)
            if one is None or not one.stored_id:
                raise DeliveryBroken(
                    f"`{'/'.join(file.parts)}` does not lie in the history of batch {self.batch.id}, and Galaxy sends"
                    " what lies there alone.",
                    hint="Deliver it by `url` or `folder`.",
                )
            copies = [
                two for two in contents if two.stored_id == one.stored_id and two.id != one.id and not two.deleted
            ]
            label = label_of(one.name)
            if label in found or copies:
                raise DeliveryBroken(
                    f"Two datasets would be sent to {self.planned.target} as `{label}`.",
                    hint="Objects are called as the datasets are: let the workflow name its outputs apart, or deliver"
                    " them by `url` or `folder`.",
                )
            found[label] = _Named(file, one.stored_id)
        return found

    async def _rows(self) -> dict[str, DeliveredFile]:
        rows = await self.rooms.store.delivered_files(self.batch.id, self.planned.key)
        return {row.path: row for row in rows}

    async def _ask(self, known: GalaxyObject | None, gone: list[str], missing: Mapping[str, _Named]) -> GalaxyObject:
        history, cloud = await history_of(self.batch, self.rooms), self.galaxy.cloud
        authz_id, bucket = self.planned.authz_id, self.planned.bucket
        datasets = {one.file.galaxy_id: label for label, one in missing.items()}

        async def found() -> Sent:
            jobs = await cloud.find(history, authz_id, bucket, datasets, but=gone)
            begun = {datasets[dataset]: job for dataset, job in jobs.items()}
            return Sent(begun, {label: "Galaxy did not begin it" for label in missing if label not in begun})

        async def look() -> Sent | None:
            there = await found()
            is_late = bool(known and known.intent_at) and self._is_certain(known)
            return there if there.jobs and (is_late or not there.failed) else None

        async def act() -> Sent:
            stored = [one.stored_id for one in missing.values()]
            try:
                return await cloud.send(history, authz_id, bucket, stored, overwrite=self.planned.overwrite)
            except GalaxyBroken as error:
                there = await found()  # the answer came: what has no job now will never have one
                if there.jobs:
                    return there
                raise DeliveryBroken(
                    f"Galaxy failed at sending to {self.planned.target} ({error.status}) and began nothing. It does so"
                    " where OpenID Connect is not set up, without which it cannot use an authorization.",
                    hint="Ask its administrator for OpenID Connect and cloudbridge; or deliver by `url` or `folder`.",
                ) from error

        async def note(intent_at: datetime | None) -> None:
            for label, one in missing.items():
                await self.rooms.store.put_delivered_file(
                    self.batch, self.planned.key, label, galaxy_id=one.file.galaxy_id, size=one.file.size,
                    intent_at=intent_at, status=Status.WORKING,
                )  # fmt: skip
            sent = {label: one.file.galaxy_id for label, one in missing.items()}
            await self._remember(galaxy_id="", intent_at=intent_at, more={SENT: sent, GONE: gone, JOBS: {}})

        async def keep(made: Sent) -> None:
            more = {JOBS: dict(made.jobs), NOT_BEGUN: dict(made.failed)}
            await self._remember(galaxy_id="sent", receipt_at=self.rooms.clock.now(), more=more)

        await self.rooms.effects.once(
            "deliver.send",
            intent_at=known.intent_at if known else None,
            look=look,
            note=note,
            act=act,
            keep=keep,
        )
        asked = await export_row(self.batch, self.rooms, self.planned)
        assert asked is not None
        return asked

    def _is_certain(self, known: GalaxyObject | None) -> bool:
        """Tell whether a request that was not answered can begin nothing any more."""
        assert known is not None
        assert known.intent_at is not None
        return self.rooms.clock.now() - known.intent_at >= self.rooms.settings.limits.uncertain_for

    async def _remember(self, **values: Any) -> None:
        await self.rooms.store.put_galaxy_object(
            self.batch, export_key(self.planned), kind=EXPORT, name=self.planned.target, **values
        )

    async def _follow(self, known: GalaxyObject, missing: Mapping[str, _Named]) -> Wait | None:
        jobs, wrong = known.more.get(JOBS, {}), dict[str, str]()
        not_begun, moving = known.more.get(NOT_BEGUN, {}), 0
        for label in missing:
            if label not in jobs:
                wrong[label] = not_begun.get(label, "Galaxy says nothing of it")
                continue
            facts = await self.galaxy.jobs.detail(JobId(jobs[label]))
            if was_sent(facts):
                await self._keep(label, facts)
            elif facts.state == "ok" or facts.state in FAILED_STATES:
                wrong[label] = _last_line(facts)
            else:
                moving += 1
        if moving:
            pause = pause_after(known.receipt_at, self.rooms.clock.now())
            return Wait(pause, f"Galaxy is sending to {self.planned.target}.", GALAXY_WRITES)
        if wrong:
            gone = [*known.more.get(GONE, []), *(jobs[label] for label in wrong if label in jobs)]
            await self._remember(galaxy_id="", intent_at=None, receipt_at=None, more={GONE: gone, SENT: {}})
            told = "; ".join(f"`{label}`: {why}" for label, why in list(wrong.items())[:5])
            raise DeliveryBroken(
                f"Galaxy did not send {len(wrong)} of {len(missing)} files to {self.planned.target}: {told}.",
                hint=f"Put right what it says; `galaxy-watcher retry {self.batch.id}` sends those alone.",
            )
        return None

    async def _keep(self, label: str, facts: JobFacts) -> None:
        """Delete the tool's log, then store that the object was sent."""
        self.rooms.effects.reach("deliver.log.intent")
        for made in facts.outputs.values():
            await self.galaxy.datasets.delete(DatasetId(made.id))
        self.rooms.effects.reach("deliver.log.act")
        await self.rooms.store.put_delivered_file(
            self.batch, self.planned.key, label, sha256="", checked="", receipt_at=self.rooms.clock.now(),
            status=Status.DONE,
        )  # fmt: skip
        self.rooms.effects.reach("deliver.log.receipt")


def _last_line(facts: JobFacts) -> str:
    """Return what the tool said last that says why."""
    said = [line for line in facts.stdout.splitlines() if "Failed to" in line]
    words = tool_words(facts).splitlines()
    return said[0] if said else words[-1] if words else f"its job ended {facts.state} without a word"
