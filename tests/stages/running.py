"""Batches whose workflows run: rows made through the store, invocations that the fake Galaxy really has.

A whole way of two hundred runs takes minutes and tells of polling what these tell in seconds.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs

import httpx

from tests.world import World, counting_workflow, until
from watcher.clock import Clock, SystemClock
from watcher.model import HistoryId, InvocationId, Plan, PlannedWorkflow, Stage, Status, WorkflowId
from watcher.rows import Batch
from watcher.store.store import Store

Json = dict[str, Any]
ENDLESS_S = 1_000_000
COLLECTION = {"destination": {"collection": "list:paired"}, "workflow": None, "deliver": None}


async def started(
    world: World, count: int, *, ago: timedelta = timedelta(0), workflow: Json | None = None
) -> list[tuple[Batch, InvocationId]]:
    """Put that many batches at the stage poll, each with an invocation of its own of a workflow that does not end, and
    return them; the watch is left without a run that is not known.

    They were started `ago`, if one believes their rows.
    """
    world.write_config(rule=COLLECTION)
    world.add_run(samples=("S1",))
    (unit,) = (await world.once())["units"]
    assert unit["status"] == "done", unit
    (history,), (collection,) = world.fake.histories(), world.fake.collections()
    document = workflow or counting_workflow("Endless", seconds=ENDLESS_S)
    planned = PlannedWorkflow(
        key="1", ref=document["label"], by="name", workflow_id=WorkflowId(world.fake.import_workflow(document))
    )
    ids = invoked(world, planned.workflow_id, history["id"], collection["id"], count)
    async with world.store() as store:
        (first,) = await store.batches(unit["id"])
        plan = first.plan.model_copy(update={"workflows": (planned,)})
        return [(await followed(store, unit["id"], plan, number, history["id"], one, ago), one) for number, one in ids]


def invoked(world: World, workflow: str, history: str, collection: str, count: int) -> list[tuple[int, InvocationId]]:
    """Start a workflow so often, and return number of the batch it is for and invocation."""
    body = {"history_id": history, "inputs_by": "name", "inputs": {"Reads": {"src": "hdca", "id": collection}}}
    found = []
    with httpx.Client(base_url=world.fake.url, headers={"x-api-key": world.fake.key}, timeout=60) as client:
        for number in range(2, count + 2):
            answer = client.post(f"/api/workflows/{workflow}/invocations", json=body).raise_for_status()
            found.append((number, InvocationId(answer.json()["id"])))
    return found


async def followed(
    store: Store, unit_id: str, plan: Plan, number: int, history: str, invocation: InvocationId, ago: timedelta
) -> Batch:
    """Make a batch of that number that follows an invocation."""
    unit = await store.unit(unit_id)
    assert unit is not None
    batch = await store.add_batch(unit, number, "all", plan)
    await store.put_galaxy_object(batch, "history", kind="history", name="h", galaxy_id=HistoryId(history))
    at = SystemClock().now() - ago
    await store.put_invocation(
        batch, "1", 1, workflow_id=plan.workflows[0].workflow_id, galaxy_id=invocation, status=Status.WORKING,
        intent_at=at, receipt_at=at, moved_at=at,
    )  # fmt: skip
    return await store.move(batch, stage=Stage.POLL, status=Status.READY)


async def rewrite_invocation(world: World, batch_id: str, invocation: str) -> None:
    """Let the row of a batch name another invocation."""
    async with world.store() as store:
        batch = await store.batch(batch_id)
        assert batch is not None
        await store.put_invocation(batch, "1", 1, galaxy_id=InvocationId(invocation))


def asked(world: World) -> list[set[str]]:
    """Return which invocations each request asked for the counts of."""
    seen = world.fake.requests.all("GET", "/jobs_summary")
    return [set(parse_qs(one.query)["ids"][0].split(",")) for one in seen]


async def at_rest(world: World, clock: Clock) -> None:
    """Wait until nothing is due at this time, and nothing is at work."""
    async with world.store() as store:

        async def rests() -> bool:
            return not await store.due(clock.now())

        await until(rests, what="rest")
