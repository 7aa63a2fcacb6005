"""What lies beside the results of a delivery: the record of the batch, Galaxy's reports, what failed jobs wrote.

All of it is small and written here, from what is stored with the batch; only the output of failed jobs is asked for.
`deliver.py` brings it like results, after them and before the manifest. What may leave the host in a record is decided
in `leaving.py`; reports and logs are Galaxy's own words, and come only when the rule asks for them.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from watcher.delivery.crate import record_files
from watcher.galaxy import Galaxy
from watcher.galaxy.job_failures import JobFailure
from watcher.model import DatasetId, InvocationId, PlannedDelivery, Status
from watcher.results import BESIDE, LOGS, RECORD, REPORT, ResultFile
from watcher.rows import Batch, DeliveredFile, Invocation
from watcher.stages.chain import current_invocations
from watcher.stages.provenance import batch_record
from watcher.stages.records import CANNOT
from watcher.stages.rooms import Rooms

MOST_LOGS = 100
"""Of more failed jobs those beyond are named alone: they seldom say anything else."""


class Beside:
    """Files of ours, read as results are; they belong to no dataset."""

    def __init__(self, contents: Mapping[str, bytes]) -> None:
        self._contents = contents
        self.places = {path: _file(path, content) for path, content in contents.items()}
        """Each file by the path that it is to have."""

    @asynccontextmanager
    async def read(self, file: ResultFile, offset: int) -> AsyncIterator[AsyncIterator[bytes]]:
        """Open the bytes from `offset` on."""

        async def pieces() -> AsyncIterator[bytes]:
            yield self._contents[file.parts[0]][offset:]

        yield pieces()


def names_beside(planned: PlannedDelivery) -> list[str]:
    """Return the names that what lies beside the results of this delivery takes."""
    return [name for kind in planned.beside for name in BESIDE[kind]]


def stands_alone(planned: PlannedDelivery) -> bool:
    """Tell whether it is worth bringing though there is no result: of a workflow that failed before it made one."""
    return planned.on != "ok" and bool({REPORT, LOGS} & set(planned.beside))


async def beside(batch: Batch, rooms: Rooms, planned: PlannedDelivery, results: Sequence[DeliveredFile]) -> Beside:
    """Return what lies beside these results, which are home; raises what Galaxy raises when it is asked."""
    contents: dict[str, bytes] = {}
    latest = current_invocations(await rooms.store.invocations(batch.id))
    if REPORT in planned.beside:
        contents |= _named(REPORT, await _reports(batch, rooms, latest))
    if LOGS in planned.beside:
        bad = [row.galaxy_id for row in latest if row.galaxy_id and (row.status is not Status.DONE or row.code)]
        contents |= _named(LOGS, await _logs(rooms.galaxy(batch.plan.galaxy), bad))
    if RECORD in planned.beside:
        record = await batch_record(batch, rooms, results)
        contents |= await asyncio.to_thread(record_files, record)
    return Beside(contents)


def _named(kind: str, text: str) -> dict[str, bytes]:
    return {BESIDE[kind][0]: text.encode("utf-8", "backslashreplace")} if text else {}


def _file(path: str, content: bytes) -> ResultFile:
    return ResultFile(DatasetId(""), (path,), "", len(content), hashlib.sha256(content).hexdigest())


async def _reports(batch: Batch, rooms: Rooms, latest: Sequence[Invocation]) -> str:
    """Return the reports as Galaxy made them when the workflows ended; more than one in the order of the rule."""
    kept = {(one.key, one.number): one.report for one in await rooms.store.invocation_records(batch.id)}
    order = {planned.key: place for place, planned in enumerate(batch.plan.workflows)}
    rows = sorted(latest, key=lambda row: order.get(row.key, len(order)))
    reports = [kept[row.key, row.number] for row in rows if kept.get((row.key, row.number))]
    return "\n\n".join(report.strip() for report in reports) + "\n" if reports else ""


async def _logs(galaxy: Galaxy, invocations: Sequence[InvocationId]) -> str:
    """Return what each failed job wrote, under a heading with its step and sample; "" when none failed."""
    every = [one for invocation in invocations for one in (invocation, *await galaxy.invocations.nested(invocation))]
    failures = await galaxy.jobs.failed(every)
    told = [await _log(galaxy, failure) for failure in failures[:MOST_LOGS]]
    told += [f"# {_heading(failure)}\n" for failure in failures[MOST_LOGS:]]
    return "\n".join(told)


async def _log(galaxy: Galaxy, failure: JobFailure) -> str:
    try:
        stderr, stdout = await galaxy.jobs.output(failure.job)
    except CANNOT:
        stderr, stdout = "", ""  # removed since; Galaxy's words are all there is
    parts = [("standard error", stderr), ("standard output", stdout)]
    if not (stderr.strip() or stdout.strip()):
        parts = [("Galaxy says", failure.words)]
    body = "".join(f"## {name}\n{text.rstrip()}\n" for name, text in parts if text.strip())
    return f"# {_heading(failure)}\n{body}"


def _heading(failure: JobFailure) -> str:
    step = f"step {failure.step_index + 1}" + (f" `{failure.step_label}`" if failure.step_label else "")
    element = f", {' / '.join(failure.elements)}" if failure.elements else ""
    code = "" if failure.exit_code is None else f", exit code {failure.exit_code}"
    tool = f"{failure.tool_id} {failure.tool_version}".strip()
    return f"{step}{element}: {tool}, {failure.state}{code} (job {failure.job})"
