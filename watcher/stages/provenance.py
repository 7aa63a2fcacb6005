"""Gathers what is told of a batch beside its results, from its rows and its frozen plan.

It is asked once all files of a delivery are home; `delivery/crate.py` writes what it returns, to be put beside them.
Whatever leaves goes through `leaving.py`. The same rows make the same record: nothing is asked that may answer
otherwise the next time, but the version of Galaxy, which the batch remembers together with our own from the first
answer on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from watcher import __version__
from watcher.delivery.record import (
    BatchRecord,
    RecordedDataset,
    RecordedGalaxy,
    RecordedInvocation,
    RecordedJob,
    RecordedParameter,
    RecordedResult,
    RecordedSample,
    RecordedSheet,
    RecordedSource,
    RecordedStep,
)
from watcher.model import PlannedDataset, PlannedWorkflow, Status
from watcher.rows import Batch, Dataset, DeliveredFile, GalaxyObject, Invocation, InvocationRecord, Unit
from watcher.stages.chain import current_invocations
from watcher.stages.history import HISTORY
from watcher.stages.leaving import Leaving
from watcher.stages.rooms import Rooms

MADE_BY = "made_by"
"""Where a batch remembers the versions that its record names, with the invocations they stand for."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of a batch beside its row: `made_by` are versions, `places` paths of the host that never leave."""

    unit: Unit | None
    datasets: Sequence[Dataset]
    objects: Sequence[GalaxyObject]
    invocations: Sequence[Invocation]
    records: Sequence[InvocationRecord]
    url: str
    made_by: Mapping[str, Any]
    places: tuple[str, ...] = ()


async def batch_record(batch: Batch, rooms: Rooms, files: Sequence[DeliveredFile]) -> BatchRecord:
    """Return what is told beside `files`, the files of one delivery; their paths are relative to where it will lie.

    Raises what Galaxy raises when it is asked for its version, once for each ending.
    """
    store, galaxy = rooms.store, rooms.galaxy(batch.plan.galaxy)
    invocations = current_invocations(await store.invocations(batch.id))
    kept = Kept(
        unit=await store.unit(batch.unit_id),
        datasets=await store.datasets(batch.id),
        objects=await store.galaxy_objects(batch.id),
        invocations=invocations,
        records=await store.invocation_records(batch.id),
        url=galaxy.account.shown,
        made_by=await _made_by(batch, rooms, [row.galaxy_id for row in invocations]),
        places=tuple(str(watch.path) for watch in rooms.settings.watches),
    )
    return record_of(batch, kept, files)


def record_of(batch: Batch, kept: Kept, files: Sequence[DeliveredFile]) -> BatchRecord:
    """Return the record that these rows make: pure, so that the same rows always make the same one."""
    plan, url = batch.plan, kept.url
    leaving = Leaving(plan, kept.places)
    records = {(one.key, one.number): one for one in kept.records}
    wanted = {one.key: one for one in plan.workflows}
    current = {(row.key, row.number) for row in kept.invocations}
    ended = [*(records[key].made_at for key in current & records.keys()), *(file.receipt_at for file in files)]
    return BatchRecord(
        batch=batch.id,
        rule=plan.rule,
        watch=plan.watch,
        run=plan.run,
        unit=plan.unit if plan.unit == "." else leaving.source(plan.unit),
        unit_version=kept.unit.unit_version if kept.unit else 1,
        layout=kept.unit.layout if kept.unit else "",
        ending="ok" if all(row.status is Status.DONE for row in kept.invocations) else "failed",
        planned_at=batch.created_at,
        ended_at=max((time for time in ended if time), default=None),
        watcher_version=kept.made_by["watcher"],
        galaxy=_galaxy(batch, kept, leaving),
        sheet=_sheet(batch, leaving),
        samples=tuple(
            RecordedSample(sample.name, leaving.project(sample), leaving.columns(sample)) for sample in plan.samples
        ),
        datasets=_datasets(batch, kept.datasets, leaving, url),
        invocations=tuple(
            _invocation(row, wanted.get(row.key), records.get((row.key, row.number)), leaving, url)
            for row in sorted(kept.invocations, key=lambda row: row.key)
        ),
        results=tuple(
            RecordedResult(
                file.path, file.size, file.sha256, file.checked, file.galaxy_id, _dataset_url(url, file.galaxy_id)
            )
            for file in sorted(files, key=lambda file: (file.path, file.delivery_key))
        ),
    )


async def _made_by(batch: Batch, rooms: Rooms, invocation_ids: Sequence[str]) -> Mapping[str, Any]:
    """Return the versions of the watcher and of Galaxy, as they were when this ending was first told of."""
    stored = await rooms.store.batch(batch.id)
    known: Mapping[str, Any] = (stored.more if stored else {}).get(MADE_BY) or {}
    if known.get("invocations") == list(invocation_ids):
        return known
    version = (await rooms.galaxy(batch.plan.galaxy).known_identity()).version_text
    known = {"invocations": list(invocation_ids), "watcher": __version__, "galaxy": version}
    await rooms.store.touch(batch, more={MADE_BY: known})
    return known


def _galaxy(batch: Batch, kept: Kept, leaving: Leaving) -> RecordedGalaxy:
    plan, url = batch.plan, kept.url
    history_id = next((row.galaxy_id for row in kept.objects if row.key == HISTORY), "")
    return RecordedGalaxy(
        url=url,
        version=kept.made_by["galaxy"],
        history=leaving.text(plan.history) if plan.needs_history else "",
        history_id=history_id,
        history_url=f"{url}/histories/view?id={history_id}" if history_id else "",
        collection=leaving.text(plan.collection.name) if plan.collection else "",
        collection_type=plan.collection.type if plan.collection else "",
        library=leaving.text(plan.library.path) if plan.library else "",
    )


def _sheet(batch: Batch, leaving: Leaving) -> RecordedSheet | None:
    sheet = batch.plan.sheet
    if not sheet.path:
        return None
    used = {column for sample in batch.plan.samples for column in leaving.columns(sample)}
    return RecordedSheet(leaving.source(sheet.path), sheet.sha256, tuple(sorted(used)))


def _datasets(batch: Batch, rows: Sequence[Dataset], leaving: Leaving, url: str) -> tuple[RecordedDataset, ...]:
    by_key = {row.key: row for row in rows}
    sizes = {file.path: file.size for sample in batch.plan.samples for file in sample.files}
    return tuple(
        _dataset(planned, by_key[planned.key], sizes, leaving, url)
        for planned in batch.plan.datasets
        if planned.key in by_key
    )


def _dataset(
    planned: PlannedDataset, row: Dataset, sizes: Mapping[str, int], leaving: Leaving, url: str
) -> RecordedDataset:
    is_one = len(planned.sources) == 1  # what was joined was read as one: there is no hash of its parts
    galaxy_id = row.galaxy_id or row.version_id
    return RecordedDataset(
        name=planned.name,
        ext=planned.ext,
        sample=planned.sample,
        read=planned.read,
        lane=planned.lane,
        size=row.size,
        sha256=row.sha256,
        records=row.records,
        checked=row.checked,
        galaxy_id=galaxy_id,
        url=_dataset_url(url, galaxy_id),
        sources=tuple(
            RecordedSource(
                leaving.source(path),
                row.size if is_one else sizes.get(path, 0),
                row.sha256 if is_one else "",
            )
            for path in planned.sources
        ),
    )


def _invocation(
    row: Invocation, planned: PlannedWorkflow | None, kept: InvocationRecord | None, leaving: Leaving, url: str
) -> RecordedInvocation:
    workflow_id = row.workflow_id or (planned.workflow_id if planned else "")
    version = planned.version if planned else None
    at = "" if version is None else f"?version={version}"
    ref = planned.ref if planned else ""
    named = str(planned.digest.get("name", "")) if planned else ""
    return RecordedInvocation(
        key=row.key,
        attempt=row.number,
        id=row.galaxy_id,
        url=f"{url}/workflows/invocations/{row.galaxy_id}" if row.galaxy_id else "",
        status=str(row.status),
        state=row.state,
        code=row.code,
        started_at=row.receipt_at or row.intent_at,
        ended_at=kept.made_at if kept else None,
        workflow=leaving.text(named) or leaving.text(ref),
        workflow_id=workflow_id,
        uuid=planned.uuid if planned else "",
        version=version,
        by=planned.by if planned else "",
        source=_file_name(ref) if planned and planned.by == "file" else leaving.text(ref),
        workflow_url=f"{url}/api/workflows/{workflow_id}/download{at}" if workflow_id else "",
        inputs=leaving.value(_given(planned)) if planned else {},
        parameters=leaving.value(planned.steps) if planned else {},
        replacements=leaving.value(planned.replacements) if planned else {},
        samples_not_good=tuple(sorted(row.samples)),
        steps=tuple(_step(step, leaving) for step in kept.steps) if kept else (),
    )


def _given(planned: PlannedWorkflow) -> dict[str, Any]:
    """Return what the inputs of a workflow got, by label: as the rule says, what the sheet said, and what was found."""
    found = {label: {"src": one.src, "id": one.id, "name": one.name} for label, one in planned.references.items()}
    return {**planned.inputs, **planned.cells, **found}


def _step(step: Mapping[str, Any], leaving: Leaving) -> RecordedStep:
    return RecordedStep(
        invocation=str(step["invocation"]),
        index=int(step["index"]),
        label=leaving.text(step["label"] or ""),
        tool_id=step["tool_id"],
        tool_version=step["tool_version"],
        parameters=tuple(
            RecordedParameter(int(one["depth"]), leaving.text(str(one["name"])), leaving.text(str(one["value"])))
            for one in step["parameters"]
        ),
        jobs=tuple(
            RecordedJob(
                job["id"],
                job["state"],
                job["exit_code"],
                _epoch(job["metrics"].get("start_epoch")),
                _epoch(job["metrics"].get("end_epoch")),
            )
            for job in step["jobs"]
        ),
    )


def _epoch(told: object) -> datetime | None:
    """Return the time that a metric tells in seconds of 1970, None where it tells none."""
    try:
        return datetime.fromtimestamp(float(str(told)), UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _dataset_url(url: str, galaxy_id: str) -> str:
    return f"{url}/datasets/{galaxy_id}" if galaxy_id else ""


def _file_name(path: str) -> str:
    return path.rpartition("/")[2]
