"""What is told of a batch after its workflow ended, on each server: steps, parameters, jobs and their times."""

from __future__ import annotations

import json

from tests.endings.served import ServedWorld
from tests.endings.workflows import READ_1
from tests.world import RUN
from watcher.results import BESIDE


async def test_a_record_tells_what_galaxy_did(world: ServedWorld) -> None:
    """Each step has the tool, version and parameters that Galaxy used, each job its exit code, and its times where
    Galaxy tells them; a step that failed is told with its exit code.
    """
    workflow = {"file": world.saved("wait_twice.ga"), "inputs": READ_1, "steps": {"second": {"code": 3}}}
    every = {"on": "failed", "beside": ["record", "report", "logs"]}
    world.rule(workflow, deliver=[{"folder": f"{world.results}/failed/{{run}}", **every}])
    world.add_run(samples=("S1",))
    async with world.living():
        await world.ended("failed")
    folder = world.results / "failed" / RUN
    assert world.delivered("failed") == ["one.fastqsanger.gz"]
    written = {name: (folder / name).read_bytes() for names in BESIDE.values() for name in names}
    assert "# Workflow Execution Summary of" in written["report.md"].decode()
    log = written["failed_jobs.txt"].decode()
    assert log.startswith("# step 3 `second`: wait_then_exit 1.0, error, exit code 3 (job "), log
    assert log.count("# step") == 1
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
    assert str(world.folder).encode() not in written["batch.json"] + written["ro-crate-metadata.json"]
