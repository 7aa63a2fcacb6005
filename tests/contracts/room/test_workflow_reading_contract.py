"""What is read of a workflow before it is invoked: its versions, connections, results, tools and datatypes."""

from __future__ import annotations

import copy
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from tests.contracts.room.conftest import WORKFLOWS, GalaxyServer, Prepared, behind
from watcher.errors import PlanError, Refused
from watcher.galaxy import Galaxy
from watcher.galaxy.workflow_changes import differences
from watcher.galaxy.workflows import MissingTool, WorkflowRef
from watcher.model import HistoryId, WorkflowId

Json = dict[str, Any]
Import = Callable[[Json], Awaitable[WorkflowRef]]
CONNECTED = {"__class__": "ConnectedValue"}


def document(name: str) -> Json:
    """Return a workflow file as it stands."""
    read: Json = json.loads((WORKFLOWS / name).read_bytes())
    return read


@pytest.fixture
async def made(galaxy: Galaxy) -> AsyncIterator[Import]:
    """Return what imports a document; it is deleted again."""
    known: list[WorkflowId] = []

    async def import_document(given: Json) -> WorkflowRef:
        ref = await galaxy.workflows.import_file(json.dumps(given).encode(), f"{given['name']}.ga")
        known.append(ref.id)
        return ref

    yield import_document
    for workflow in known:
        await galaxy.workflows.delete(workflow)


async def test_a_version_is_read_as_it_was(
    galaxy: Galaxy, galaxy_server: GalaxyServer, made: Import, history: HistoryId
) -> None:
    """Each version of a workflow is read as it was, with a uuid of its own; one that never was is told with those that
    are.
    """
    given = document("count_reads.ga")
    given["name"] = f"Changed {history}"
    first = await made(given)
    given["steps"]["0"]["label"] = "Samples"
    given["steps"]["3"]["tool_state"] = json.dumps({"infile": CONNECTED, "seconds": "2", "code": "0"})
    await behind(galaxy_server, "PUT", f"/api/workflows/{first.id}", {"workflow": given})
    await behind(galaxy_server, "PUT", f"/api/workflows/{first.id}", {"name": f"Renamed {history}"})
    versions = [await galaxy.workflows.read(first.id, version) for version in (0, 1, 2)]
    assert [facts.version for facts in versions] == await galaxy.workflows.versions(first.id) == [0, 1, 2]
    assert [facts.inputs[0].label for facts in versions] == ["Reads", "Samples", "Samples"]
    assert versions[0].uuid == first.uuid
    assert len({facts.uuid for facts in versions}) == 3
    newest = await galaxy.workflows.read(first.id)
    assert newest == versions[2]
    for version in (3, -1):
        with pytest.raises(PlanError, match=f"no version {version}") as told:
            await galaxy.workflows.read(first.id, version)
        assert "0, 1, 2" in told.value.hint
    assert differences(versions[0], versions[1]) == [
        "Input “Reads” is now called “Samples”.",
        "The settings of step “wait” changed.",
    ]
    remembered = json.loads(json.dumps(versions[1].digest()))
    assert differences(versions[1], remembered) == []


async def test_an_invocation_runs_the_version_it_names(
    galaxy: Galaxy, galaxy_server: GalaxyServer, made: Import, history: HistoryId
) -> None:
    """The version of the facts is the number by which an invocation runs exactly that version."""
    given = document("count_reads.ga")
    given["name"] = f"Versions {history}"
    given["steps"] = {"0": {**given["steps"]["1"], "id": 0}}
    first = await made(given)
    given["steps"]["0"]["label"] = "second"
    await behind(galaxy_server, "PUT", f"/api/workflows/{first.id}", {"workflow": given})
    for version, label in ((0, "minlen"), (1, "second")):
        facts = await galaxy.workflows.read(first.id, version)
        asked = {"history_id": history, "inputs_by": "step_index", "inputs": {"0": 3}, "version": facts.version}
        started = await behind(galaxy_server, "POST", f"/api/workflows/{first.id}/invocations", asked)
        detail = await behind(galaxy_server, "GET", f"/api/invocations/{started['id']}")
        assert list(detail["input_step_parameters"]) == [label]


async def test_steps_tell_what_they_take_and_give(galaxy: Galaxy, made: Import) -> None:
    """Steps tell their connections and outputs, and which of them waits for a person."""
    facts = await galaxy.workflows.read((await made(document("review.ga"))).id)
    count, look, wait = facts.steps
    assert dict(look.connections) == {"input": ((1, "counts"),)}
    assert [step.outputs for step in facts.steps] == [("counts",), ("output",), ("out",)]
    assert [step.is_review for step in facts.steps] == [False, True, False]
    assert dict(wait.labels) == {"out": "copies"}
    assert dict(count.connections) == {"reads": ((0, "output"),)}
    assert [sorted(facts.downstream(index)) for index in (0, 2, 3)] == [[1, 2, 3], [3], []]
    assert facts.results == ("copies",)


async def test_results_without_labels_have_names(galaxy: Galaxy, made: Import) -> None:
    """A workflow without any label has as results what none of its steps takes, numbered as Galaxy does on import."""
    given = document("unlabelled.ga")
    assert given["steps"]["3"]["tool_id"] == "count_reads"
    facts = await galaxy.workflows.read((await made(given)).id)
    assert facts.outputs == ()
    assert facts.results == ("count_reads 2.counts", "wait_then_exit 3.out")
    before = await galaxy.workflows.read_file(json.dumps(given).encode(), "unlabelled.ga")
    assert before.results == facts.results
    assert [dict(step.connections) for step in before.steps] == [dict(step.connections) for step in facts.steps]


async def test_outputs_of_a_subworkflow_are_called_by_label_or_place(galaxy: Galaxy, made: Import) -> None:
    """A subworkflow gives its outputs by their labels inside, or by number and name where they have none."""
    given = document("nested.ga")
    facts = await galaxy.workflows.read((await made(given)).id)
    assert facts.steps[0].outputs == ("read counts",)
    for row in given["steps"]["1"]["subworkflow"]["steps"]["1"]["workflow_outputs"]:
        row["label"] = None
    given["steps"]["1"]["workflow_outputs"] = []
    given["name"] = "Nested without labels"
    facts = await galaxy.workflows.read((await made(given)).id)
    assert facts.steps[0].outputs == ("1:counts",)
    assert facts.results == ("inside.1:counts",)


async def test_another_version_of_a_tool_is_told_with_what_is_there(galaxy: Galaxy, made: Import) -> None:
    """A tool that Galaxy has in another version only, inside a subworkflow as well, is missing, and both are told."""
    given = document("nested.ga")
    given["name"] = "Nested with an old tool"
    inner = given["steps"]["1"]["subworkflow"]["steps"]["1"]
    inner["tool_version"] = "0.9"
    facts = await galaxy.workflows.read((await made(given)).id)
    assert facts.missing == (MissingTool("count_reads", "0.9", "", ("1.0",)),)
    assert await galaxy.workflows.missing_tools(facts) == ["count_reads (0.9; Galaxy has 1.0)"]


async def test_the_repository_of_a_missing_tool_is_told(galaxy: Galaxy, made: Import) -> None:
    """A missing tool of a tool shed is told with its repository, and what it would give is known by what takes it."""
    given = document("count_reads.ga")
    given["name"] = "Count with a tool of a tool shed"
    long_id = "toolshed.example.org/repos/iuc/fastp/fastp/0.23.4"
    given["steps"]["3"] |= {"tool_id": long_id, "content_id": long_id, "tool_version": "0.23.4"}
    facts = await galaxy.workflows.read((await made(given)).id)
    assert facts.missing == (MissingTool(long_id, "0.23.4", "iuc/fastp@toolshed.example.org"),)
    assert await galaxy.workflows.missing_tools(facts) == [
        f"{long_id} (0.23.4; repository iuc/fastp@toolshed.example.org)"
    ]
    assert facts.steps[1].outputs == ("out",)


async def test_what_galaxy_would_change_is_told_with_the_step(galaxy: Galaxy, made: Import, history: HistoryId) -> None:
    """Other versions of tools, and values that are missing or wrong, are told with their step."""
    given = document("count_reads.ga")
    assert await galaxy.workflows.upgrade_messages((await made(given)).id, history) == []
    given["name"] = "Count with corrections"
    given["steps"]["2"]["tool_version"] = "0.9"
    given["steps"]["3"]["tool_state"] = json.dumps({"infile": CONNECTED, "code": "zero"})
    told = await galaxy.workflows.upgrade_messages((await made(given)).id, history)
    assert told[0] == "Step “count”: Using version '1.0' instead of version '0.9' specified in this workflow."
    code, seconds = sorted(told[1:])
    assert seconds == "Step “wait”: seconds: No value found for 'Seconds'. Using default: '1'."
    # Before 25.0 the message begins with a small letter.
    assert code.lower() == (
        "step “wait”: code: parameter 'code': an integer or workflow parameter is required using default: '0'."
    )


async def test_what_galaxy_would_change_inside_is_told_as_well(
    galaxy: Galaxy, made: Import, history: HistoryId
) -> None:
    """Where a step inside a subworkflow makes Galaxy refuse to tell, what it says of that step is told."""
    given = document("nested.ga")
    given["name"] = "Nested with corrections"
    inner = given["steps"]["1"]["subworkflow"]["steps"]["1"]
    inner["tool_state"] = json.dumps({"reads": CONNECTED})
    assert await galaxy.workflows.upgrade_messages((await made(given)).id, history) == [
        "Step “count” inside step “inside”: minlen: No value found for 'Shortest read to count'. Using default: '0'."
    ]
    missing = copy.deepcopy(given)
    missing["name"] = "Nested with a missing tool"
    missing["steps"]["1"]["subworkflow"]["steps"]["1"] |= {"tool_id": "no_such_tool", "content_id": "no_such_tool"}
    with pytest.raises(Refused, match="no_such_tool"):
        await galaxy.workflows.upgrade_messages((await made(missing)).id, history)


async def test_what_an_input_takes_is_read_from_its_tools(galaxy: Galaxy, made: Import, prepared: Prepared) -> None:
    """An input takes what the workflow names for it, or what all tools that take it can read."""
    facts = await galaxy.workflows.read((await made(document("unlabelled.ga"))).id)
    assert facts.inputs[0].accepts == (("fastq", "fastq.gz"),)
    taken = (await galaxy.workflows.accepted_extensions(facts))[0]
    assert {"fastq", "fastqsanger", "fastq.gz", "fastqsanger.gz", "fastqillumina.gz"} <= taken
    assert not {"fastqsanger.bz2", "fasta.gz", "bam", "txt", "tabular"} & taken
    reads = await galaxy.workflows.read(prepared.workflow)
    narrow = await galaxy.workflows.accepted_extensions(reads)
    assert list(narrow) == [0]
    assert {"fastqsanger", "fastqsanger.gz"} <= narrow[0]
    assert not {"fastq.gz", "fastqillumina.gz"} & narrow[0]


async def test_datatypes_fit_as_galaxy_has_it(galaxy: Galaxy) -> None:
    """A datatype fits what it is a kind of, compressed alike; others may be converted."""
    known = await galaxy.workflows.datatypes()
    fitting = [
        ("fastqsanger.gz", ["fastqsanger.gz"]),
        ("fastqsanger.gz", ["fastq.gz"]),
        ("fastqsanger", ["txt"]),
        ("vcf", ["tabular"]),
        ("bam", ["unsorted.bam"]),
        ("fastqsanger.gz", ["data"]),
        ("no_such_type", ["data"]),
    ]
    foreign = [
        ("fastqsanger.gz", ["fastqsanger"]),
        ("fastqsanger.gz", ["txt"]),
        ("fastq.gz", ["fastqsanger.gz"]),
        ("fastqsanger.bz2", ["fastq.gz"]),
        ("source.h", ["source.c"]),
        ("txt", ["tabular"]),
        ("no_such_type", ["txt"]),
    ]
    assert [pair for pair in fitting if not known.fits(*pair)] == []
    assert [pair for pair in foreign if known.fits(*pair)] == []
    assert known.converts("fastqsanger.gz", ["fastq"])
    assert known.converts("fastqsanger.bz2", ["fastq.gz"])
    assert not known.converts("fastqsanger.gz", ["bam"])
    assert not known.converts("fastqsanger.gz", ["fastq.gz"])
