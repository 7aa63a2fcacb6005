"""A world whose Galaxy has reference data and workflows that want it, for tests of what fits and what does not."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from tests.world import World, counting_workflow
from watcher.clock import SystemClock
from watcher.galaxy.extensions import Datatypes
from watcher.model import Plan

Json = dict[str, Any]
RUN_BEFORE = "230101_M02439_0001_000000000-ABCDE"
REFERENCES = f"References of {RUN_BEFORE}"
REFERENCE = "S1_S1_L001_R1_001.fastq.gz"
"""The name of the reference: any file will do."""


class KindsOfText:
    """Datatypes of which every one but BAM is a text."""

    def fits(self, ext: str, wanted: Any) -> bool:
        """Tell whether it is the same, or both are texts."""
        return ext in wanted or "data" in wanted or (ext != "bam" and "txt" in wanted)

    def converts(self, ext: str, wanted: Any) -> bool:
        """Tell that nothing is converted."""
        del ext, wanted
        return False


async def texts_and_bam(galaxy: object) -> Datatypes:
    """Return these datatypes for whatever Galaxy."""
    del galaxy
    return KindsOfText()


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


def changed_by_hand(world: World, uuid: str = "7f2b4a52-7d9e-4a0e-9a6b-2f6a3a1f0c11") -> None:
    """Let somebody have saved the counting workflow anew in Galaxy's editor."""
    with world.fake.state.lock:
        row = next(row for row in world.fake.state.workflows.values() if row.name == "Count reads")
        row.uuid = uuid


def nothing_was_asked(world: World) -> bool:
    """Tell whether Galaxy was only read from."""
    return not any(world.fake.requests.all(method) for method in ("POST", "PUT", "PATCH", "DELETE"))
