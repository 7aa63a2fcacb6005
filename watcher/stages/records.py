"""What is kept of an invocation that has ended, with the batch: Galaxy's report, and its steps with tool, version,
parameters and metrics.

Galaxy may be cleaned up long before anybody asks how a result was made. One job of a step tells its parameters, since
mapped ones differ in their data alone. A report that Galaxy cannot make is told in its place: no batch is held for it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import structlog

from watcher.errors import Forbidden, GalaxyBroken, NotThere, Refused
from watcher.galaxy import Galaxy
from watcher.galaxy.invocation_answers import InvocationDetail, InvocationStep
from watcher.model import InvocationId
from watcher.rows import Batch, Invocation
from watcher.stages.rooms import Rooms

CANNOT = (GalaxyBroken, Forbidden, NotThere, Refused)
"""How Galaxy says that it has nothing to tell; what it may tell later is asked for again."""

MOST_ASKED = 100
"""Of more jobs only the first of each step tells its metrics, where Galaxy does not tell those of all in one answer."""

log = structlog.get_logger("watcher")


async def keep_record(
    batch: Batch, rooms: Rooms, galaxy: Galaxy, row: Invocation, details: Sequence[InvocationDetail]
) -> None:
    """Store the record, once for each ending."""
    rooms.effects.reach("poll.record.intent")
    try:
        figures = await _figures(galaxy, row, sum(len(step.jobs) for detail in details for step in detail.steps))
    except CANNOT as error:
        log.warning("record.without_metrics", reason=error.message)
        figures = {}
    steps = []
    for invocation_id, step in [(detail.id, step) for detail in details for step in detail.steps if step.jobs]:
        try:
            steps.append(await _step(galaxy, invocation_id, step, figures))
        except CANNOT as error:
            log.warning("record.without_step", step=step.index, reason=error.message)
    try:
        report = await galaxy.invocations.report(row.galaxy_id)
    except CANNOT as error:
        report = f"Galaxy made no report: {error.message}"
    rooms.effects.reach("poll.record.act")
    await rooms.store.put_invocation_record(
        batch, row.key, row.number, made_at=rooms.clock.now(), report=report, steps=steps
    )
    rooms.effects.reach("poll.record.receipt")


async def _figures(galaxy: Galaxy, row: Invocation, job_count: int) -> dict[str, dict[str, str]]:
    """Return the metrics of each job by name, unless each of very many had to be asked for."""
    if not (await galaxy.features()).invocation_metrics and job_count > MOST_ASKED:
        return {}
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for metric in await galaxy.invocations.metrics(row.galaxy_id):
        found[metric.job_id][metric.name or metric.title] = metric.raw_value or metric.value
    return found


async def _step(
    galaxy: Galaxy, invocation_id: InvocationId, step: InvocationStep, figures: Mapping[str, Mapping[str, str]]
) -> dict[str, Any]:
    """Return what is kept of a step: its first job in full, of all its jobs state, exit code and metrics."""
    record = await galaxy.jobs.record(step.jobs[0].id)
    first = {metric.name or metric.title: metric.raw_value or metric.value for metric in record.metrics}
    return {
        "invocation": invocation_id,
        "index": step.index,
        "label": step.label,
        "tool_id": record.tool_id,
        "tool_version": record.tool_version,
        "parameters": [{"depth": depth, "name": name, "value": value} for depth, name, value in record.parameters],
        "jobs": [
            {
                "id": job.id,
                "state": job.state,
                "exit_code": job.exit_code,
                "metrics": dict(figures.get(job.id) or (first if job.id == record.job else {})),
            }
            for job in step.jobs
        ],
    }
