"""A world whose Galaxy has reference data and workflows that want it, for tests of what fits and what does not."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx

from tests.world import World, counting_workflow
from watcher.clock import SystemClock
from watcher.model import Plan

Json = dict[str, Any]
RUN_BEFORE = "230101_M02439_0001_000000000-ABCDE"
REFERENCES = f"References of {RUN_BEFORE}"
REFERENCE = "S1_S1_L001_R1_001.fastq.gz"
"""The name of the reference: any file will do."""


def assembling_workflow(*, tool: str = "count_reads", ext: str = "fastqsanger.gz") -> Json:
    """Return a workflow that wants reads, a genome and a length; its output is labelled `read counts`."""
    document = counting_workflow("Assembly")
    document["inputs"]["Reads"]["format"] = [ext]
    document["inputs"]["Genome"] = {"type": "data", "format": ["fastqsanger.gz"]}
    document["inputs"]["Annotation"] = {"type": "collection", "collection_type": "list", "optional": True}
    document["steps"]["count"]["tool_id"] = tool
    return document


async def put_references(world: World) -> None:
    """Let a history hold datasets of before."""
    world.write_config(
        rule={
            "destination": {"history": "References of {run}", "collection": "none"},
            "workflow": None,
            "deliver": None,
        }
    )
    world.add_run(RUN_BEFORE, samples=("S1",))
    await world.once()


def far_hours() -> str:
    """Return hours of the day in which it is not now: what is to be sent waits."""
    opens_at = SystemClock().now() + timedelta(hours=6)
    return f"{opens_at:%H:%M}-{opens_at + timedelta(hours=1):%H:%M}"


async def plan_of(world: World, unit_id: str) -> Plan:
    """Return the plan of the unit's only batch."""
    async with world.store() as store:
        (batch,) = await store.batches(unit_id)
        return batch.plan


async def changed_by_hand(world: World) -> None:
    """Let somebody save the counting workflow anew in Galaxy's editor, with another label of its input."""
    key = {"x-api-key": world.fake.key}
    async with httpx.AsyncClient(base_url=world.fake.url, headers=key, timeout=30) as client:
        path = f"/api/workflows/{world.workflow_id}"
        document = (await client.get(f"{path}/download")).json()
        document["steps"]["0"]["label"] = "Samples"
        (await client.put(path, json={"workflow": document})).raise_for_status()


def nothing_was_asked(world: World) -> bool:
    """Tell whether Galaxy was only read from."""
    return not any(world.fake.requests.all(method) for method in ("POST", "PUT", "PATCH", "DELETE"))
