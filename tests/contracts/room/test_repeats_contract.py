"""Jobs that a person repeated in Galaxy, copies made for one invocation, and results without labels."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.contracts.room.conftest import GalaxyServer, Prepared, behind, send, until
from tests.contracts.room.runs import asked, at_rest, hda, hdca, imported, listed, reaches, repeat_by_hand, run
from watcher.galaxy import Galaxy
from watcher.galaxy.fetch import FetchElement
from watcher.galaxy.job_failures import JobFailure
from watcher.galaxy.results import GalaxyResults
from watcher.model import DatasetId, HistoryId, InvocationId, JobId, WorkflowId

SAMPLE = "S1_R1.fastq.gz"
FAILS = {"1": {"code": 3}}


@pytest.fixture
async def twice(galaxy: Galaxy) -> AsyncIterator[WorkflowId]:
    """Return a workflow of two jobs in a row."""
    workflow = await imported(galaxy, "wait_twice.ga")
    yield workflow
    await galaxy.workflows.delete(workflow)


async def test_repeated_job_stands_for_the_failed_one(
    galaxy_server: GalaxyServer, galaxy: Galaxy, prepared: Prepared, twice: WorkflowId
) -> None:
    """Of jobs repeated by hand, one that took the failed one's place and is good is found, also where a newer one was
    run beside it; an older one and one that failed again are not. The invocation goes on with the new results.
    """
    history, file = prepared.history, prepared.datasets[SAMPLE]
    older, _ = repeat_by_hand(galaxy_server, history, None, file, code=0)
    await reaches(galaxy, older, ["ok"])
    invocation, failure, again = await failed_twice(galaxy_server, galaxy, history, twice, file)
    old = (await galaxy.invocations.get(invocation)).outputs["one"].id
    assert await galaxy.jobs.rerun_of(history, failure) == {}
    good, new = repeat_by_hand(galaxy_server, history, again, file, code=0)
    await reaches(galaxy, good, ["ok"])
    beside, _ = repeat_by_hand(galaxy_server, history, None, file, code=0)
    await reaches(galaxy, beside, ["ok"])
    replaced = await galaxy.jobs.rerun_of(history, failure)
    assert replaced == {DatasetId(old): new}

    async def goes_on() -> bool:
        return await states(galaxy, history, invocation) == {"error": 1, "ok": 1}

    await until(goes_on)
    assert (await galaxy.invocations.get(invocation)).outputs["one"].id == old
    assert (await GalaxyResults(galaxy, [invocation]).look(["one"]))[1] == ["one (error)"]
    found, not_good = await GalaxyResults(galaxy, [invocation], replaced).look(["*"])
    assert ([file.parts for file in found], not_good) == ([("one",), ("two",)], [])
    assert found[0].galaxy_id == new


async def failed_twice(
    server: GalaxyServer, galaxy: Galaxy, history: HistoryId, twice: WorkflowId, file: DatasetId
) -> tuple[InvocationId, JobFailure, JobId]:
    """Return an invocation whose first job failed, and failed again by hand, while the second one is paused.

    A repeat makes Galaxy look at the waiting job anew, with what `failed_once` says.
    """
    for _ in range(6):
        invocation = await failed_once(galaxy, history, twice, hda(file))
        failure = (await galaxy.jobs.failed([invocation]))[0]
        again, _ = repeat_by_hand(server, history, failure.job, file, code=3)
        await reaches(galaxy, again, ["error"])
        await until(lambda: at_rest(galaxy, history, invocation))  # noqa: B023 - waited for at once
        if await states(galaxy, history, invocation) == {"error": 1, "paused": 1}:
            return invocation, failure, again
    raise AssertionError("no waiting job was paused")


async def failed_once(
    galaxy: Galaxy, history: HistoryId, twice: WorkflowId, given: dict[str, str], files: int = 1
) -> InvocationId:
    """Return an invocation whose first jobs failed, one per file, while all second ones are paused.

    Real servers up to 25.0.4 take a waiting job up at times while the one before it fails: it ends for good, and we
    begin anew.
    """
    for _ in range(6):
        invocation = await run(galaxy, history, twice, {"File": given}, FAILS)
        if await states(galaxy, history, invocation) == {"error": files, "paused": files}:
            return invocation
    raise AssertionError("no waiting job was paused")


async def states(galaxy: Galaxy, history: HistoryId, invocation: InvocationId) -> dict[str, int]:
    """Return how many jobs of an invocation are in each state."""
    return dict((await galaxy.invocations.counts(history, [invocation]))[invocation].states)


async def test_job_with_another_input_proves_nothing(
    galaxy_server: GalaxyServer, galaxy: Galaxy, prepared: Prepared, twice: WorkflowId
) -> None:
    """A job in the failed one's place that was given another sample's file does not stand for it."""
    history = prepared.history
    invocation = await run(galaxy, history, twice, {"File": hda(prepared.datasets[SAMPLE])}, FAILS)
    failure = (await galaxy.jobs.failed([invocation]))[0]
    other, _ = repeat_by_hand(galaxy_server, history, failure.job, prepared.datasets["S2_R1.fastq.gz"], code=0)
    await reaches(galaxy, other, ["ok"])
    assert await galaxy.jobs.rerun_of(history, failure) == {}


async def test_repeated_job_that_nothing_waits_for(
    galaxy_server: GalaxyServer, galaxy: Galaxy, prepared: Prepared, twice: WorkflowId
) -> None:
    """Of the last step no new output gets the old one's number: there the newest good job with the same input that a
    person started is found, with its outputs there; none of another invocation, and none with another input.
    """
    history, file = prepared.history, prepared.datasets[SAMPLE]
    invocation = await run(galaxy, history, twice, {"File": hda(file)}, {"2": {"code": 3}})
    (failure,) = await galaxy.jobs.failed([invocation])
    outputs = (await galaxy.invocations.get(invocation)).outputs
    one, old = outputs["one"].id, DatasetId(outputs["two"].id)
    await run(galaxy, history, twice, {"File": hda(one)})
    other, _ = repeat_by_hand(galaxy_server, history, None, file, code=0)
    again, _ = repeat_by_hand(galaxy_server, history, failure.job, one, code=3)
    await reaches(galaxy, other, ["ok"])
    await reaches(galaxy, again, ["error"])
    assert await galaxy.jobs.rerun_of(history, failure) == {}
    for of in (None, failure.job):
        good, new = repeat_by_hand(galaxy_server, history, of, one, code=0)
        await reaches(galaxy, good, ["ok"])
        assert not (await galaxy.jobs.detail(good)).invocation_uuid
        assert (await galaxy.datasets.origin(new)).hid != (await galaxy.datasets.origin(old)).hid
        replaced = await galaxy.jobs.rerun_of(history, failure)
        assert replaced == {old: new}
        assert await galaxy.jobs.rerun_of(history, failure, something_waits=True) == {}
        found, not_good = await GalaxyResults(galaxy, [invocation], replaced).look(["*"])
        assert ([(file.parts, file.galaxy_id) for file in found], not_good) == ([(("one",), one), (("two",), new)], [])
    await behind(galaxy_server, "DELETE", f"/api/datasets/{new}")
    kept = (await galaxy.jobs.rerun_of(history, failure))[old]
    assert kept not in (old, new)
    assert (await galaxy.datasets.get(kept)).state == "ok"


async def test_repeated_job_of_a_mapped_step(
    galaxy_server: GalaxyServer, galaxy: Galaxy, prepared: Prepared, twice: WorkflowId
) -> None:
    """The new dataset is put into the collection by Galaxy itself, and the new job counts in place of the old one,
    though it says nothing of an invocation; a job run beside it stands for no element.
    """
    history, names = prepared.history, {"S1": "S1_R1.fastq.gz", "S2": "S2_R1.fastq.gz"}
    samples = await listed(galaxy, history, {name: prepared.datasets[file] for name, file in names.items()})
    invocation = await failed_once(galaxy, history, twice, hdca(samples), files=2)
    second = next(one for one in await galaxy.jobs.failed([invocation]) if one.elements == ("S2",))
    beside, _ = repeat_by_hand(galaxy_server, history, None, prepared.datasets[names["S2"]], code=0)
    await reaches(galaxy, beside, ["ok"])
    assert await galaxy.jobs.rerun_of(history, second) == {}
    job, new = repeat_by_hand(galaxy_server, history, second.job, prepared.datasets[names["S2"]], code=0)
    await reaches(galaxy, job, ["ok"])
    assert not (await galaxy.jobs.detail(job)).invocation_uuid
    assert second.outputs is not None
    assert await galaxy.jobs.rerun_of(history, second) == {second.outputs["out"]: new}

    async def goes_on() -> bool:
        return await states(galaxy, history, invocation) == {"error": 1, "paused": 1, "ok": 2}

    await until(goes_on)
    assert {one.elements for one in await galaxy.jobs.failed([invocation])} == {("S1",)}
    found, _ = await GalaxyResults(galaxy, [invocation]).look(["one"])
    assert [(file.parts, file.galaxy_id) for file in found] == [(("one", "S2"), new)]


async def test_repeated_job_inside_a_subworkflow(
    galaxy_server: GalaxyServer, galaxy: Galaxy, prepared: Prepared
) -> None:
    """The outer workflow's output is the failed dataset as well, and the same replacement stands for it."""
    history, file = prepared.history, prepared.datasets[SAMPLE]
    workflow = await imported(galaxy, "wait_inside.ga")
    outer = await run(galaxy, history, workflow, {"File": hda(file)})
    (failure,) = await galaxy.jobs.failed(await galaxy.invocations.nested(outer))
    job, new = repeat_by_hand(galaxy_server, history, failure.job, file, code=0)
    await reaches(galaxy, job, ["ok"])
    replaced = await galaxy.jobs.rerun_of(history, failure)
    await until(lambda: at_rest(galaxy, history, outer))
    found, _ = await GalaxyResults(galaxy, [outer], replaced).look(["copied"])
    assert [(one.parts, one.galaxy_id) for one in found] == [(("copied",), new)]
    await galaxy.workflows.delete(workflow)


async def test_results_without_labels(galaxy: Galaxy, prepared: Prepared) -> None:
    """Of a workflow that labels nothing, the outputs that no later step takes are the results, named by their steps."""
    workflow = await imported(galaxy, "nothing_named.ga")
    samples = await listed(galaxy, prepared.history, {"S1": prepared.datasets[SAMPLE]})
    for given, path in ((hda(prepared.datasets[SAMPLE]), ()), (hdca(samples), ("S1",))):
        invocation = await run(galaxy, prepared.history, workflow, {0: given})
        results = GalaxyResults(galaxy, [invocation])
        steps = (await galaxy.invocations.detailed(invocation)).steps
        unnamed = next(step.index for step in steps if step.tool_id == "wait_then_exit" and not step.label)
        names = {"copy.out", f"wait_then_exit {unnamed}.out"}
        assert set(await results.labels()) == names
        found, not_good = await results.look(["*"])
        assert ({file.parts for file in found}, not_good) == ({(name, *path) for name in names}, [])
        assert [file.parts for file in await results.files(["copy.*"])] == [("copy.out", *path)]
    await galaxy.workflows.delete(workflow)


async def test_copies_for_one_invocation(galaxy: Galaxy, prepared: Prepared, twice: WorkflowId) -> None:
    """A copy of a dataset or collection inside its history is found by name and tag, has no datasets of its own to
    count, and is what the invocation names among its inputs, also where it is mapped over.
    """
    history, tag = prepared.history, "watcher:copy-1"
    dataset = prepared.datasets[SAMPLE]
    samples = await listed(galaxy, history, {"S1": dataset})
    assert await galaxy.datasets.find_copy(history, "the copy", tag, of=dataset) is None
    one = await galaxy.datasets.copy_within(history, dataset, "the copy", [tag])
    many = await galaxy.collections.copy_within(history, samples, "the copies", [tag])
    assert await galaxy.datasets.find_copy(history, "the copy", tag, of=dataset) == one != dataset
    assert await galaxy.collections.find(history, "the copies", tag, but={samples}) == many != samples
    facts = await galaxy.datasets.get(one)
    assert (facts.name, facts.tags, facts.state) == ("the copy", (tag,), "ok")
    assert facts.size == len(prepared.contents[SAMPLE])
    copied = await galaxy.collections.get(many)
    assert (copied.name, copied.tags) == ("the copies", (tag,))
    assert [leaf.dataset_id for _, leaf in copied.leaves()] == [dataset]
    for given in (hda(one), hdca(many)):
        invocation = await run(galaxy, history, twice, {"File": given})
        made_of = {(given["src"], given["id"])}
        assert (await galaxy.invocations.get(invocation)).input_refs == made_of
        listed_ones = {row.id: row.input_refs for row in await galaxy.invocations.of_history(history, twice)}
        assert listed_ones[invocation] == made_of


async def test_kept_records(galaxy: Galaxy, prepared: Prepared) -> None:
    """A report, the figures of every job with its step, and a job's parameters as people read them can be kept."""
    workflow = await imported(galaxy, "nested.ga")
    invocation = await run(galaxy, prepared.history, workflow, {"File": hda(prepared.datasets[SAMPLE])})
    assert "# Workflow Execution Summary of Count within a workflow" in await galaxy.invocations.report(invocation)
    metrics = await galaxy.invocations.metrics(invocation)
    slots = [one for one in metrics if one.name == "galaxy_slots"]
    assert [(one.step_index, one.step_label, one.tool_id, one.value) for one in slots] == [
        ("1.1", "count", "count_reads", "1")
    ]
    failure = (await galaxy.jobs.failed([prepared.failing]))[0]
    record = await galaxy.jobs.record(failure.job)
    assert (record.tool_id, record.tool_version, record.state, record.exit_code) == (
        "wait_then_exit",
        "1.0",
        "error",
        3,
    )
    assert [(name, value) for _, name, value in record.parameters[1:]] == [("Seconds", "0.0"), ("Exit code", "3.0")]
    assert record.parameters[0][1] == "Input"
    assert "runtime_seconds" in {one.name for one in record.metrics}
    assert record.create_time <= record.update_time
    await galaxy.workflows.delete(workflow)


async def test_copy_that_was_not_marked_is_found(
    galaxy_server: GalaxyServer, galaxy: Galaxy, prepared: Prepared
) -> None:
    """It shares what is stored with its source; another dataset of the same name, tags and bytes is not taken."""
    history, content, tag = prepared.history, prepared.contents[SAMPLE], "watcher:copy-2"
    twins = [FetchElement("twin", "fastqsanger.gz", await send(galaxy, content, "twin"), ("x:1",)) for _ in range(2)]
    source, twin = (await galaxy.fetch.register(history, twins)).dataset_ids

    async def are_good() -> bool:
        found = await galaxy.datasets.many(history, [source, twin])
        return [facts.state for facts in found.values()] == ["ok", "ok"]

    await until(are_good)
    assert await galaxy.datasets.find_copy(history, "the copy", tag, of=source) is None
    json = {"source": "hda", "content": source, "type": "dataset", "copy_elements": False}
    copy = asked(galaxy_server, "POST", f"/api/histories/{history}/contents", json)["id"]
    assert await galaxy.datasets.find_copy(history, "the copy", tag, of=source, but={copy}) is None
    assert await galaxy.datasets.find_copy(history, "the copy", tag, of=source) == copy
    facts = await galaxy.datasets.get(copy)
    assert (facts.name, facts.tags) == ("the copy", (tag,))
    assert facts.stored_id == (await galaxy.datasets.get(source)).stored_id != ""
