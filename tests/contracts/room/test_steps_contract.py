"""What an invocation tells of its steps, how it waits for a person, and starts of every kind."""

from __future__ import annotations

from functools import partial

import pytest

from tests.contracts.room.conftest import GalaxyServer, Prepared, as_user, fastq, send, until
from tests.contracts.room.runs import at_rest, hda, imported, run
from watcher.errors import Refused
from watcher.galaxy import Galaxy
from watcher.galaxy.fetch import FetchElement
from watcher.model import DatasetId, HistoryId, InvocationId

SAMPLE = "S1_R1.fastq.gz"


async def test_steps_tell_what_they_are_and_made(galaxy: Galaxy, prepared: Prepared) -> None:
    """Each step tells its type, jobs and outputs, labelled or not, with the tool's version from the workflow."""
    steps = (await galaxy.invocations.detailed(prepared.failing)).steps
    assert [(step.index, step.label, step.type) for step in steps] == [
        (0, "Reads", "data_collection_input"),
        (1, "minlen", "parameter_input"),
        (2, "count", "tool"),
        (3, "wait", "tool"),
    ]
    assert [job.state for job in steps[2].jobs] == ["ok"] * 4
    assert [job.exit_code for job in steps[3].jobs] == [3] * 4
    assert (steps[3].tool_id, steps[3].tool_version, steps[3].is_mapped) == ("wait_then_exit", "1.0", True)
    assert [set(step.output_collections) for step in steps] == [{"output"}, set(), {"counts"}, {"out"}]
    assert all(step.id and step.state == "scheduled" and not step.outputs for step in steps)


async def test_subworkflow_step_is_told_as_one(galaxy: Galaxy, prepared: Prepared, history: HistoryId) -> None:
    """A subworkflow's step has that type, its outputs by their labels inside, and steps of its own below."""
    workflow = await imported(galaxy, "nested.ga")
    outer = await run(galaxy, history, workflow, {"File": hda(prepared.datasets[SAMPLE])})
    _, inside = (await galaxy.invocations.detailed(outer)).steps
    assert (inside.type, inside.label, set(inside.outputs)) == ("subworkflow", "inside", {"read counts"})
    inner = await galaxy.invocations.detailed(InvocationId(inside.subworkflow_invocation_id))
    assert [(step.type, step.label, step.tool_version) for step in inner.steps] == [
        ("data_input", "File", ""),
        ("tool", "count", "1.0"),
    ]
    assert inner.steps[1].outputs["counts"].id == inside.outputs["read counts"].id
    await galaxy.workflows.delete(workflow)


async def test_invocation_is_found_by_the_workflow_started(
    galaxy: Galaxy, prepared: Prepared, history: HistoryId
) -> None:
    """An invocation names a version of the workflow, not what was started; asked for by that, it is found all the
    same, and no other is.
    """
    workflows = [await imported(galaxy, name) for name in ("nested.ga", "wait_twice.ga")]
    started = [
        (await galaxy.invocations.start(workflow, history, {"File": hda(prepared.datasets[SAMPLE])})).id
        for workflow in workflows
    ]
    for workflow, invocation in zip(workflows, started, strict=True):
        assert [one.id for one in await galaxy.invocations.of_history(history, workflow)] == [invocation]
    for workflow, invocation in zip(workflows, started, strict=True):
        await until(partial(at_rest, galaxy, history, invocation))
        await galaxy.workflows.delete(workflow)
    # Deleting a workflow takes nothing from what is known of its invocations.
    assert [step.type for step in (await galaxy.invocations.detailed(started[1])).steps] == [
        "data_input",
        "tool",
        "tool",
    ]


async def test_start_by_step_index(galaxy: Galaxy, prepared: Prepared, history: HistoryId) -> None:
    """A workflow whose inputs have no label is started by step numbers, and the request's name in Galaxy's log comes
    back with it.
    """
    workflow = await imported(galaxy, "nothing_named.ga")
    file = hda(prepared.datasets[SAMPLE])
    started = await galaxy.invocations.start(
        workflow,
        history,
        {0: file},
        {"2": {"seconds": 0}},
        replacement_params={"sample": "S1"},
        allow_tool_state_corrections=True,
    )
    assert started.request_id
    await until(lambda: at_rest(galaxy, history, started.id))
    detail = await galaxy.invocations.detailed(started.id)
    assert len(detail.input_refs) == 1  # a copy, since it lies in another history
    assert [job.state for step in detail.steps for job in step.jobs] == ["ok"] * 3
    with pytest.raises(Refused):
        await galaxy.invocations.start(workflow, history, {"File": file})
    await galaxy.workflows.delete(workflow)


async def waits(galaxy: Galaxy, invocation: InvocationId) -> bool:
    """Tell whether an invocation waits at its pause step and the job before it has ended."""
    detail = await galaxy.invocations.detailed(invocation)
    return bool(detail.to_review) and [job.state for step in detail.steps for job in step.jobs] == ["ok"]


@pytest.mark.parametrize("confirmed", [True, False])
async def test_review_lets_it_go_on_or_ends_it(
    galaxy: Galaxy, prepared: Prepared, history: HistoryId, confirmed: bool
) -> None:
    """An invocation waits at a pause step, `ready` and with counts that are not populated; confirmed it goes on,
    refused it is cancelled with that reason, and in both cases it is over for a second answer.
    """
    workflow = await imported(galaxy, "look.ga")
    invocation = (await galaxy.invocations.start(workflow, history, {"File": hda(prepared.datasets[SAMPLE])})).id
    await until(lambda: waits(galaxy, invocation))
    detail = await galaxy.invocations.detailed(invocation)
    (look,) = detail.to_review
    assert (detail.state, look.label, look.index) == ("ready", "look", 2)
    assert [step.state for step in detail.steps] == ["scheduled", "scheduled", "scheduled", "new"]
    assert set(detail.outputs) == {"counts"}
    counts = (await galaxy.invocations.counts(history, [invocation]))[invocation]
    assert (counts.populated, dict(counts.states)) == ("new", {"ok": 1})
    await galaxy.invocations.review(invocation, look.id, confirmed=confirmed)

    async def is_over() -> bool:
        state = (await galaxy.invocations.get(invocation)).state
        return state == "cancelled" or (confirmed and await at_rest(galaxy, history, invocation))

    await until(is_over)
    detail = await galaxy.invocations.detailed(invocation)
    counts = (await galaxy.invocations.counts(history, [invocation]))[invocation]
    assert detail.to_review == ()
    assert detail.steps[2].action is confirmed
    if confirmed:
        assert (counts.populated, dict(counts.states)) == ("ok", {"ok": 2})
        assert set(detail.outputs) == {"counts", "copies"}
    else:
        assert detail.state == "cancelled"
        assert "cancelled_on_review" in " ".join(detail.message_texts)
        assert (counts.populated, dict(counts.states)) == ("failed", {"ok": 1})
    with pytest.raises(Refused, match="completed workflow invocation"):
        await galaxy.invocations.review(invocation, look.id, confirmed=confirmed)
    await galaxy.workflows.delete(workflow)


async def test_counts_know_no_owner_and_no_bin(galaxy_server: GalaxyServer, galaxy: Galaxy) -> None:
    """The counts of an invocation stay what they were when its history is purged, and are told through any history,
    also a purged one or another user's.
    """
    history = await galaxy.histories.create("to be purged")
    content = fastq("S1", 3)
    element = FetchElement("S1.fastq.gz", "fastqsanger.gz", await send(galaxy, content, "S1.fastq.gz"), (), "")
    dataset = DatasetId((await galaxy.fetch.register(history, [element])).dataset_ids[0])
    workflow = await imported(galaxy, "wait_twice.ga")
    invocation = await run(galaxy, history, workflow, {"File": hda(dataset)})
    await galaxy.histories.delete(history, purge=True)
    await until(lambda: is_purged(galaxy, history))
    async with as_user(galaxy_server, galaxy_server.second_key) as other:
        own = await other.histories.create("of somebody else")
        for client, through in ((galaxy, history), (galaxy, own), (other, own), (other, history)):
            counts = (await client.invocations.counts(through, [invocation]))[invocation]
            assert (counts.populated, dict(counts.states)) == ("ok", {"ok": 2})
        await other.histories.delete(own, purge=True)
    await galaxy.workflows.delete(workflow)


async def is_purged(galaxy: Galaxy, history: HistoryId) -> bool:
    """Tell whether a history is purged by now."""
    return (await galaxy.histories.get(history)).purged
