"""Runs that end by themselves, well or not: status, reason, what is delivered and what is kept."""

from __future__ import annotations

import pytest

from tests.endings.served import ServedWorld
from tests.endings.workflows import READ_1, one_file
from tests.world import counting_workflow

READS = {"Reads": "reads"}
PAIR = ("forward", "reverse")


@pytest.mark.also_killed
async def test_good_run(world: ServedWorld) -> None:
    """Everything is delivered, and report, steps, tool versions, parameters, metrics and request id are kept."""
    world.rule({"file": world.saved(counting_workflow("Good run")), "inputs": READS})
    world.add_run(samples=("S1",))
    async with world.living():
        batch = await world.ended("done")
    assert batch["code"] == ""
    everything = [f"{label}/S1/{way}.tabular" for label in ("copy", "read counts") for way in PAIR]
    assert world.delivered("ok") == world.delivered("always") == everything
    assert world.delivered("failed") == []
    (attempt,) = batch["attempts"]
    # A death loses the answer, and its id.
    assert (attempt["status"], bool(attempt["request_id"])) == ("done", world.runner is None)
    (record,) = batch["records"]
    assert "# Workflow Execution Summary of Good run" in record["report"]
    told = [(step["label"], step["tool_id"], step["tool_version"], len(step["jobs"])) for step in record["steps"]]
    assert told == [("count", "count_reads", "1.0", 2), ("wait", "wait_then_exit", "1.0", 2)]
    count, wait = record["steps"]
    assert {"Seconds", "Exit code"} <= {one["name"] for one in wait["parameters"]}
    assert [(job["state"], job["exit_code"]) for job in count["jobs"]] == [("ok", 0)] * 2
    assert "runtime_seconds" in count["jobs"][0]["metrics"]


@pytest.mark.also_killed
async def test_failing_tool(world: ServedWorld) -> None:
    """Step, tool, exit code and last words are the reason; deliveries for failed and for any ending are made."""
    world.rule({"file": world.saved(one_file("Fails", code=3)), "inputs": READ_1})
    world.add_run(samples=("S1",))
    async with world.living():
        batch = await world.ended("failed")
    for words in ("step `wait`", "`wait_then_exit`", "exit code 3"):
        assert words in batch["reason"]
    assert batch["reason"].count("exit code 3") == 2  # the code itself, and the tool's last words
    assert world.delivered("ok") == []
    assert world.delivered("failed") == world.delivered("always") == ["counts.tabular"]


@pytest.mark.also_killed
async def test_failure_inside_a_subworkflow(world: ServedWorld) -> None:
    """An inner step that fails is found where the counts of the outer workflow know nothing of it."""
    world.rule({"file": world.saved("wait_inside.ga"), "inputs": READ_1})
    world.add_run(samples=("S1",))
    async with world.living():
        batch = await world.ended("failed")
    for words in ("step `first`", "`wait_then_exit`", "exit code 3"):
        assert words in batch["reason"]
    assert world.delivered("ok") == []
    # A real 26.1.2 was seen to run the step after it with what the failed one had left, and to call that good.
    assert world.delivered("failed") in ([], ["end.fastqsanger.gz"])


@pytest.mark.slow_on_real
async def test_good_subworkflow(world: ServedWorld) -> None:
    """An inner step that ends well is counted, kept and delivered."""
    world.rule({"file": world.saved("nested.ga"), "inputs": READ_1})
    world.add_run(samples=("S1",))
    async with world.living():
        batch = await world.ended("done")
    assert batch["invocations"][0]["jobs"] == {"ok": 1}
    assert [step["tool_id"] for step in batch["records"][0]["steps"]] == ["count_reads"]
    assert world.delivered("ok") == ["inner counts.tabular"]


@pytest.mark.also_killed
async def test_workflow_without_labels(world: ServedWorld) -> None:
    """Inputs are given by number, and results that no later step takes are delivered, named after their steps."""
    world.rule({"file": world.saved("nothing_named.ga"), "inputs": {"0": {"read": "R1"}}})
    world.add_run(samples=("S1",))
    async with world.living():
        await world.ended("done")
    copy, other = world.delivered("ok")
    assert copy == "copy.out.tabular"
    assert other.startswith("wait_then_exit ")
    assert other.endswith(".out.tabular")


@pytest.mark.also_killed
async def test_cancelled_by_hand_in_galaxy(world: ServedWorld) -> None:
    """Somebody who cancels the invocation in Galaxy ends the batch, and it says so."""
    world.rule({"file": world.saved(one_file("Cancelled there", seconds=60)), "inputs": READ_1})
    world.add_run(samples=("S1",))
    async with world.living():
        running = await world.until_runs()
        world.ask("DELETE", f"/api/invocations/{running['id']}")
        batch = await world.ended("failed")
    assert "was cancelled in Galaxy" in batch["reason"]
    assert batch["invocations"][0]["code"] == "cancelled_there"
    assert world.delivered("ok") == []
