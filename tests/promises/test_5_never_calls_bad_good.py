"""Promise 5: a result that is not good is never called good; success is read from job counts, into subworkflows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.fakes.galaxy import Fault
from tests.world import RUN, World, counting_workflow

pytestmark = pytest.mark.timeout(180)  # a whole way each, also on a busy machine

Json = dict[str, Any]


def with_subworkflow(name: str) -> Json:
    """Return a workflow whose only tools are in a subworkflow."""
    inner = counting_workflow("inner")
    return {
        "class": "GalaxyWorkflow",
        "label": name,
        "inputs": inner["inputs"],
        "outputs": {"counts": {"outputSource": "inside/read counts"}},
        "steps": {"inside": {"run": inner, "in": {"Reads": "Reads", "minlen": "minlen"}}},
    }


def nothing_delivered(world: World) -> bool:
    """Tell whether the delivery folder for good endings was never made."""
    return not (world.results / RUN).exists()


async def test_a_failing_tool_fails_the_batch_in_its_own_words(world: World) -> None:
    """Tool, exit code and last words of the first failed job are the reason, and nothing is delivered as good."""
    world.fake.import_workflow(counting_workflow("Fails", exit_code=3))
    world.write_config(rule={"workflow": {"name": "Fails", "inputs": {"Reads": "reads"}}})
    world.add_run()
    (unit,) = (await world.once())["units"]
    assert (unit["status"], unit["batches"][0]["status"]) == ("failed", "failed")
    for words in ("wait_then_exit", "exit code 3"):
        assert words in unit["batches"][0]["reason"]
    assert nothing_delivered(world)


@pytest.mark.parametrize("version", ["24.1.4", "25.1.3", "26.0.2", "26.1.2"])
async def test_one_failed_job_inside_a_subworkflow_fails_the_batch(tmp_path: Path, version: str) -> None:
    """Also where the counts of the outer invocation do not know of inner jobs."""
    with World(tmp_path, version=version) as world:
        world.fake.import_workflow(with_subworkflow("Nested"))
        world.write_config(rule={"workflow": {"name": "Nested", "inputs": {"Reads": "reads"}}})
        world.fake.faults.add(Fault("job_error", tool="count_reads"))
        world.add_run()
        (unit,) = (await world.once())["units"]
        assert (unit["status"], unit["batches"][0]["status"]) == ("failed", "failed"), unit
        assert "count_reads" in unit["reason"]
        assert nothing_delivered(world)


@pytest.mark.parametrize("version", ["24.1.4", "26.1.2"])
async def test_a_subworkflow_that_ends_well_is_good(tmp_path: Path, version: str) -> None:
    """Its inner jobs are counted, and its results delivered."""
    with World(tmp_path, version=version) as world:
        world.fake.import_workflow(with_subworkflow("Nested"))
        world.write_config(rule={"workflow": {"name": "Nested", "inputs": {"Reads": "reads"}}})
        world.add_run()
        (unit,) = (await world.once())["units"]
        assert unit["status"] == "done", unit
        assert unit["batches"][0]["invocations"][0]["jobs"] == {"ok": 8}
        assert (world.results / RUN / "MANIFEST.sha256").exists()


@pytest.mark.parametrize("version", ["24.1.4", "26.1.2"])
async def test_a_paused_job_is_held_with_its_cause(tmp_path: Path, version: str) -> None:
    """Paused is no ending that Galaxy leaves by itself: the batch is held and says why they are paused."""
    with World(tmp_path, version=version) as world:
        world.fake.faults.add(Fault("job_paused", tool="wait_then_exit", times=None))
        world.add_run()
        (unit,) = (await world.once())["units"]
        (batch,) = unit["batches"]
        assert (batch["stage"], batch["status"]) == ("poll", "held")
        assert "paused" in batch["reason"]
        assert "galaxy-watcher retry" in batch["hint"]
        assert nothing_delivered(world)


async def test_an_invocation_cancelled_by_hand_fails_the_batch(world: World) -> None:
    """What somebody stops in Galaxy is told as that."""

    def cancel() -> None:
        (invocation,) = world.fake.invocations()
        answer = httpx.delete(
            f"{world.fake.url}/api/invocations/{invocation['id']}", headers={"x-api-key": world.fake.key}
        )
        answer.raise_for_status()

    world.fake.import_workflow(counting_workflow("Slow", seconds=100))
    world.write_config(rule={"workflow": {"name": "Slow", "inputs": {"Reads": "reads"}}})
    world.fake.faults.add(Fault("act", method="GET", path="/api/histories/*/jobs_summary", action=cancel))
    world.add_run()
    (unit,) = (await world.once())["units"]
    assert (unit["status"], unit["batches"][0]["status"]) == ("failed", "failed"), unit
    assert "cancelled" in unit["batches"][0]["reason"]
    assert nothing_delivered(world)


async def test_a_history_deleted_under_a_workflow_is_not_good(world: World) -> None:
    """Galaxy may finish the jobs all the same; nobody wants results from a history that was deleted."""

    def delete() -> None:
        world.fake.delete_history(world.fake.histories()[0]["id"])

    world.fake.faults.add(Fault("act", method="GET", path="/api/histories/*/jobs_summary", action=delete))
    world.add_run()
    (unit,) = (await world.once())["units"]
    assert unit["status"] in ("held", "failed"), unit
    assert "deleted" in unit["reason"]
    assert nothing_delivered(world)


async def test_a_result_that_changes_on_the_way_home_is_not_delivered(world: World) -> None:
    """A file that is not what Galaxy says it is does not get its name, nor a manifest beside it."""

    def spoil() -> None:
        for row in world.fake.datasets():
            if not row["uploaded"]:
                world.fake.spoil_dataset(row["id"], b"x" * (row["size"] - 1))

    world.fake.faults.add(Fault("act", method="GET", path="/api/datasets/*/display", action=spoil))
    world.add_run(samples=("S1",))
    (unit,) = (await world.once())["units"]
    files = [path for path in world.results.rglob("*") if path.is_file()]
    assert unit["status"] == "held", (unit, files)
    delivered = [path for path in files if not path.name.endswith(".part")]  # another one may be on its way just then
    assert not [path for path in delivered if path.read_bytes().startswith(b"x")]
    assert not (world.results / RUN / "MANIFEST.sha256").exists()


async def test_on_failed_deliveries_are_made_only_then(world: World) -> None:
    """Each delivery names the ending it is for."""
    for ending in ("ok", "failed", "always"):
        (world.results / ending).mkdir()
    world.write_config(
        rule={
            "deliver": [
                {"folder": f"{world.results}/ok/{{run}}"},
                {"folder": f"{world.results}/failed/{{run}}", "on": "failed"},
                {"folder": f"{world.results}/always/{{run}}", "on": "always"},
            ]
        }
    )
    world.fake.faults.add(Fault("job_error", tool="wait_then_exit", times=None))
    world.add_run()
    (unit,) = (await world.once())["units"]
    assert unit["status"] == "failed"
    assert sorted(path.parent.parent.name for path in world.results.rglob("MANIFEST.sha256")) == ["always", "failed"]
