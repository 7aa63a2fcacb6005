"""Workflows found, checked, started once, counted to their end, and their results on the way home."""

from __future__ import annotations

import json

import pytest

from tests.contracts.room.conftest import BROKEN, WORKFLOWS, Prepared, until
from watcher.errors import PlanError, Refused
from watcher.galaxy import Galaxy
from watcher.galaxy.bind import bind
from watcher.model import CollectionId, DatasetId, HistoryId, WorkflowId

COUNT_READS = WORKFLOWS / "count_reads.ga"


async def test_workflow_is_imported_once(galaxy: Galaxy, prepared: Prepared) -> None:
    """The same file is imported one time only; another content is another workflow."""
    content = COUNT_READS.read_bytes()
    assert (await galaxy.workflows.import_file(content, "count_reads.ga")).id == prepared.workflow
    changed = json.dumps({**json.loads(content), "name": "Count reads, changed"}).encode()
    other = await galaxy.workflows.import_file(changed, "changed.ga")
    assert other.id != prepared.workflow
    await galaxy.workflows.delete(other.id)


async def test_text_workflow_is_imported_once(galaxy: Galaxy) -> None:
    """A gxformat2 file is imported and found again like a .ga file."""
    content = (WORKFLOWS / "count_one.gxwf.yml").read_bytes()
    first = await galaxy.workflows.import_file(content, "count_one.gxwf.yml")
    assert (await galaxy.workflows.import_file(content, "count_one.gxwf.yml")).id == first.id
    facts = await galaxy.workflows.read(first.id)
    assert [(one.label, one.kind, one.type) for one in facts.inputs] == [
        ("File", "dataset", ""),
        ("minlen", "parameter", "integer"),
    ]
    await galaxy.workflows.delete(first.id)


async def test_file_that_is_no_workflow_is_told(galaxy: Galaxy) -> None:
    """A file that is no workflow is told by its name, before anything is asked of Galaxy."""
    with pytest.raises(PlanError, match=r"notes\.ga"):
        await galaxy.workflows.import_file(b"{}", "notes.ga")


async def test_workflow_is_found_by_id_and_name(galaxy: Galaxy, prepared: Prepared) -> None:
    """A workflow is found by its id; one that is deleted, or never was, is told."""
    found = await galaxy.workflows.find(id=prepared.workflow)
    assert (found.id, found.name) == (prepared.workflow, "Count reads")
    assert found.uuid
    with pytest.raises(PlanError):
        await galaxy.workflows.find(id="0123456789abcdef")
    with pytest.raises(PlanError, match="no-id"):
        await galaxy.workflows.find(id="no-id")


async def test_name_is_exact_and_only_one(galaxy: Galaxy, history: HistoryId) -> None:
    """A workflow is found by its exact name; a near one is proposed, and two of one name are named by their ids."""
    name = f"Exactly {history}"
    base = json.loads(COUNT_READS.read_bytes())
    first = await galaxy.workflows.import_file(json.dumps({**base, "name": name}).encode(), "first.ga")
    assert (await galaxy.workflows.find(name=name)).id == first.id
    with pytest.raises(PlanError, match=f"Did you mean “{name}”"):
        await galaxy.workflows.find(name=name.lower())
    second = await galaxy.workflows.import_file(json.dumps({**base, "name": name, "annotation": "2"}).encode(), "2.ga")
    with pytest.raises(PlanError, match="2 workflows") as two:
        await galaxy.workflows.find(name=name)
    assert first.id in two.value.hint
    assert second.id in two.value.hint
    for workflow in (first.id, second.id):
        await galaxy.workflows.delete(workflow)
    with pytest.raises(PlanError):
        await galaxy.workflows.find(id=first.id)


async def test_workflow_tells_what_it_wants(galaxy: Galaxy, prepared: Prepared) -> None:
    """A workflow tells its inputs, steps, labelled outputs and tools."""
    facts = await galaxy.workflows.read(prepared.workflow)
    reads, minlen = facts.inputs
    assert (reads.label, reads.kind, reads.collection_type, reads.optional) == (
        "Reads",
        "collection",
        "list:paired",
        False,
    )
    assert (minlen.label, minlen.kind, minlen.type, minlen.optional, minlen.default) == (
        "minlen",
        "parameter",
        "integer",
        True,
        0,
    )
    assert [(step.index, step.label, step.tool_id) for step in facts.steps] == [
        (2, "count", "count_reads"),
        (3, "wait", "wait_then_exit"),
    ]
    assert {"infile", "seconds", "code"} <= set(facts.steps[1].parameters)
    assert facts.outputs == ("read counts", "copies")
    assert await galaxy.workflows.missing_tools(facts) == []


async def test_missing_tool_is_named_with_its_version(galaxy: Galaxy) -> None:
    """A workflow may be imported without its tools; the missing ones are named."""
    text = COUNT_READS.read_text().replace('"count_reads"', '"no_such_tool"').replace('"1.0"', '"2.5"', 1)
    workflow = await galaxy.workflows.import_file(text.encode(), "missing.ga")
    facts = await galaxy.workflows.read(workflow.id)
    assert await galaxy.workflows.missing_tools(facts) == ["no_such_tool (2.5)"]
    await galaxy.workflows.delete(workflow.id)


async def test_wrong_inputs_are_told_before_anything_is_sent(galaxy: Galaxy, prepared: Prepared) -> None:
    """Values that Galaxy would accept and fail on later are all told at once."""
    facts = await galaxy.workflows.read(prepared.workflow)
    binding = bind(
        facts, {"Read": "reads", "minlen": "abc"}, {"count": {"minlength": 3}, "wait": {"code": "three"}}, "list:paired"
    )
    text = "\n".join(binding.problems)
    for part in (
        "“Read”",
        "did you mean “Reads”",
        "an integer",
        "“minlength”",
        "not 'three'",
        "“Reads” of “Count reads” is missing",
    ):
        assert part in text


async def test_invocation_is_found_by_what_went_in(galaxy: Galaxy, prepared: Prepared) -> None:
    """The invocations of a history are told with the collection that went into them."""
    found = await galaxy.invocations.of_history(prepared.history, prepared.workflow)
    mine = [one.id for one in found if ("hdca", prepared.collection) in one.input_refs]
    assert mine == [prepared.good, prepared.failing]


async def test_history_without_invocations(galaxy: Galaxy, history: HistoryId) -> None:
    """A history into which nothing was invoked has no invocations."""
    assert await galaxy.invocations.of_history(history) == []


async def test_job_counts_tell_success(galaxy: Galaxy, prepared: Prepared) -> None:
    """The jobs of several invocations are counted in one request, and only the counts tell success."""
    counts = await galaxy.invocations.counts(prepared.history, [prepared.failing, prepared.good])
    assert (counts[prepared.good].populated, dict(counts[prepared.good].states)) == ("ok", {"ok": 8})
    assert dict(counts[prepared.failing].states) == {"ok": 4, "error": 4}
    assert await galaxy.invocations.counts(prepared.history, []) == {}


async def test_failed_job_says_why(galaxy: Galaxy, prepared: Prepared) -> None:
    """A failed job is found among the invocation's, with its exit code and the end of its output."""
    jobs = await galaxy.jobs.of_invocation(prepared.failing)
    failed = [job for job in jobs if job.state == "error"]
    assert len(jobs) == 8
    assert {(job.tool_id, job.exit_code) for job in failed} == {("wait_then_exit", 3)}
    assert "exit code 3" in (await galaxy.jobs.detail(failed[0].id)).stderr
    errors, printed = await galaxy.jobs.output(failed[0].id)
    assert errors.strip() == "exit code 3"
    assert printed == ""


async def test_outputs_are_known_by_label(galaxy: Galaxy, prepared: Prepared) -> None:
    """A good invocation offers its outputs by label, a collection each, with the samples' names inside."""
    detail = await galaxy.invocations.get(prepared.good)
    assert detail.history_id == prepared.history
    assert ("hdca", prepared.collection) in detail.input_refs
    assert detail.outputs == {}
    assert set(detail.output_collections) == {"read counts", "copies"}
    assert [step.label for step in detail.steps] == ["Reads", "minlen", "count", "wait"]
    counts = await galaxy.collections.get(CollectionId(detail.output_collections["read counts"].id))
    leaves = counts.leaves()
    assert [path for path, _ in leaves] == [(f"S{s}", way) for s in (1, 2) for way in ("forward", "reverse")]
    text = b""
    async with galaxy.datasets.open(DatasetId(leaves[2][1].dataset_id)) as pieces:
        text = b"".join([piece async for piece in pieces])
    assert text.startswith(b"reads\t20\n")


async def test_result_is_resumed_at_any_byte(galaxy: Galaxy, prepared: Prepared) -> None:
    """A result is read from any offset on; from its end on there is nothing."""
    name = "S2_R1.fastq.gz"
    content = prepared.contents[name]
    for offset in (0, 1, len(content) - 1, len(content)):
        async with galaxy.datasets.open(prepared.datasets[name], offset=offset) as pieces:
            assert b"".join([piece async for piece in pieces]) == content[offset:]


async def test_failed_dataset_has_no_bytes_to_send(galaxy: Galaxy, prepared: Prepared) -> None:
    """A session of bytes that never became a good dataset cannot be read as if it were one; where no hash is verified
    they became one.
    """
    size = 0 if (await galaxy.features()).fetch_hashes else len(BROKEN)
    assert (await galaxy.datasets.get(prepared.broken)).size == size


async def test_missing_input_is_refused_by_galaxy(galaxy: Galaxy, prepared: Prepared, history: HistoryId) -> None:
    """A start without a required input is refused, and leaves no invocation."""
    with pytest.raises(Refused, match="Reads"):
        await galaxy.invocations.start(prepared.workflow, history, {"minlen": 1})
    assert await galaxy.invocations.of_history(history) == []


async def test_unknown_workflow_is_not_started(galaxy: Galaxy, history: HistoryId) -> None:
    """A start of a workflow that is not there is refused."""
    with pytest.raises(Refused):
        await galaxy.invocations.start(WorkflowId("no-id"), history, {})


async def test_cancelled_invocation_says_so(galaxy: Galaxy, prepared: Prepared) -> None:
    """A cancelled invocation ends as cancelled with the reason, and cancelling again changes nothing."""
    facts = await galaxy.workflows.read(prepared.workflow)
    binding = bind(facts, {"Reads": "reads"}, {"wait": {"seconds": 60}}, "list:paired")
    inputs = binding.inputs(prepared.collection)
    history = await galaxy.histories.create("to be cancelled")
    started = (await galaxy.invocations.start(prepared.workflow, history, inputs, binding.parameters)).id
    for _ in range(2):
        await galaxy.invocations.cancel(started)

    async def cancelled() -> bool:
        return (await galaxy.invocations.get(started)).state == "cancelled"

    await until(cancelled)
    assert "user_request" in " ".join((await galaxy.invocations.get(started)).message_texts)
    await galaxy.histories.delete(history, purge=True)


async def test_subworkflow_is_an_invocation_of_its_own(galaxy: Galaxy, prepared: Prepared, history: HistoryId) -> None:
    """The invocation of a subworkflow is found below the outer one and counted by itself, and is no row of the
    history; before 26.0 nothing else counts its jobs.
    """
    outer_counts = {"ok": 1} if (await galaxy.features()).outer_counts_include_nested else {}
    workflow = await galaxy.workflows.import_file((WORKFLOWS / "nested.ga").read_bytes(), "nested.ga")
    facts = await galaxy.workflows.read(workflow.id)
    assert facts.tools == (("count_reads", "1.0"),)
    file = {"src": "hda", "id": prepared.datasets["S1_R1.fastq.gz"]}
    binding = bind(facts, {"File": file})
    assert binding.problems == ()
    outer = (await galaxy.invocations.start(workflow.id, history, binding.inputs(CollectionId("")))).id

    async def scheduled() -> bool:
        nested = await galaxy.invocations.nested(outer)
        counts = await galaxy.invocations.counts(history, [outer, *nested])
        return len(nested) == 1 and [dict(counts[id].states) for id in (*nested, outer)] == [{"ok": 1}, outer_counts]

    await until(scheduled)
    assert [one.id for one in await galaxy.invocations.of_history(history)] == [outer]
    assert len(await galaxy.jobs.of_invocation(outer)) == 0
    await galaxy.workflows.delete(workflow.id)
