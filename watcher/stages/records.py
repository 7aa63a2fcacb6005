"""What is kept of an invocation that has ended, with the batch: Galaxy's report, and its steps with tool, version,
parameters and metrics.

Galaxy may be cleaned up long before anybody asks how a result was made. One job of a step tells its parameters, since
mapped ones differ in their data alone. A report that Galaxy cannot make is told in its place: no batch is held for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from watcher.errors import GalaxyBroken, NotThere, Refused
from watcher.galaxy import Galaxy
from watcher.galaxy.invocation_answers import InvocationDetail, InvocationStep
from watcher.model import JobId
from watcher.rows import Batch, Invocation
from watcher.stages.rooms import Rooms


async def keep_record(
    batch: Batch, rooms: Rooms, galaxy: Galaxy, row: Invocation, details: Sequence[InvocationDetail]
) -> None:
    """Store the record, once for each ending."""
    steps = [
        await _step(galaxy, detail, step, is_inner=detail is not details[0])
        for detail in details
        for step in detail.steps
        if step.jobs
    ]
    try:
        report = await galaxy.invocations.report(row.galaxy_id)
    except (GalaxyBroken, NotThere, Refused) as error:
        report = f"Galaxy made no report: {error.message}"
    await rooms.store.put_invocation_record(
        batch, row.key, row.number, made_at=rooms.clock.now(), report=report, steps=steps
    )


async def _step(galaxy: Galaxy, detail: InvocationDetail, step: InvocationStep, *, is_inner: bool) -> dict[str, Any]:
    """Return what is kept of a step."""
    record = await galaxy.jobs.record(JobId(step.jobs[0].id))
    return {
        "invocation": detail.id,
        "inner": is_inner,
        "index": step.index,
        "label": step.label,
        "jobs": len(step.jobs),
        "tool_id": record.tool_id,
        "tool_version": record.tool_version,
        "exit_code": record.exit_code,
        "parameters": dict(record.parameters),
        "metrics": dict(record.metrics),
    }
