"""What is told of a batch after its workflow ended, on each server: steps, parameters, jobs and their times."""

from __future__ import annotations

import json

from tests.endings.served import ServedWorld
from tests.endings.workflows import READ_1
from watcher.delivery.crate import record_files
from watcher.service.daemon import Daemon
from watcher.stages.provenance import batch_record


async def test_a_record_tells_what_galaxy_did(world: ServedWorld) -> None:
    """Each step has the tool, version and parameters that Galaxy used, each job its exit code, and its times where
    Galaxy tells them; a step that failed is told with its exit code.
    """
    world.rule({"file": world.saved("wait_twice.ga"), "inputs": READ_1, "steps": {"second": {"code": 3}}})
    world.add_run(samples=("S1",))
    async with world.living():
        batch = await world.ended("failed")
    async with Daemon(world.settings()).running() as rooms:
        row = await rooms.store.batch(batch["id"])
        assert row is not None
        files = await rooms.store.delivered_files(row.id, row.plan.deliveries[-1].key)
        written = record_files(await batch_record(row, rooms, files))
    told = json.loads(written["batch.json"])
    assert told["ending"] == "failed"
    (invocation,) = told["invocations"]
    assert invocation["source"] == "wait_twice.ga"
    first, second = invocation["steps"]
    assert (first["label"], second["label"]) == ("first", "second")
    assert [job["exit_code"] for step in (first, second) for job in step["jobs"]] == [0, 3]
    for step in (first, second):
        (job,) = step["jobs"]
        shown = world.ask("GET", f"/api/jobs/{job['id']}?full=true")
        assert (step["tool_id"], job["exit_code"]) == (shown["tool_id"], shown["exit_code"])
        assert not world.real or told["planned_at"] < job["started_at"] <= job["ended_at"] <= told["ended_at"]
        assert step["tool_version"]
        assert {parameter["name"]: parameter["value"] for parameter in step["parameters"]}
    version = world.ask("GET", "/api/version")
    assert told["galaxy"]["version"] == f"{version['version_major']}.{version['version_minor']}"
    assert [result["path"] for result in told["results"]] == ["one.fastqsanger.gz"]
    assert str(world.folder).encode() not in b"".join(written.values())
