"""The record of a batch as files: whole, the same each time, and honest about what went wrong."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from tests.delivery.records import CONTENTS, EXAMPLE, FASTP, RUN, URL, example_record
from watcher.delivery.crate import record_files
from watcher.delivery.record import BatchRecord, told_time

Json = dict[str, Any]


def entities(record: BatchRecord) -> dict[str, Json]:
    """Return what the crate tells, by address; AssertionError when two tell of the same."""
    graph = json.loads(record_files(record)["ro-crate-metadata.json"])["@graph"]
    found = {entity["@id"]: entity for entity in graph}
    assert len(found) == len(graph)
    return found


def test_the_same_facts_are_the_same_bytes() -> None:
    """A delivery that is repeated finds what it wrote before."""
    first, again = record_files(example_record()), record_files(example_record())
    assert first == again
    assert sorted(first) == ["batch.json", "ro-crate-metadata.json"]


def test_whatever_is_referred_to_is_told() -> None:
    """No reference of the crate leads nowhere, and all that lies there or was sent is a part of it."""
    found = entities(example_record())

    def refs(value: Any) -> list[str]:
        if isinstance(value, list):
            return [ref for one in value for ref in refs(one)]
        return [value["@id"]] if isinstance(value, dict) else []

    wanted = {ref for entity in found.values() for value in entity.values() for ref in refs(value)}
    assert wanted - found.keys() == {"https://w3id.org/ro/crate/1.1"}
    files = {id for id, entity in found.items() if "File" in entity["@type"]}
    assert files == set(refs(found["./"]["hasPart"]))
    assert {"report.html", "trimmed%20reads/S1/forward.fastqsanger.gz", "batch.json"} < files
    assert {found[id]["name"] for id in files} >= CONTENTS.keys()


def test_steps_name_their_tool_with_version_and_parameters() -> None:
    """A tool from a tool shed is called by its address, a built-in one by its form in that Galaxy."""
    found = entities(example_record())
    step, other = found["#step-df7a1f0c02a5b08e-2"], found["#step-df7a1f0c02a5b08e-3"]
    tool = found[step["instrument"]["@id"]]
    assert (tool["name"], tool["softwareVersion"]) == (FASTP, "1.0.1+galaxy3")
    assert tool["url"] == "https://toolshed.g2.bx.psu.edu/view/iuc/fastp"
    assert other["instrument"]["@id"] == f"{URL}/?tool_id=Show%20beginning1&version=1.0.2"
    parameter = found[step["object"]["@id"]]
    assert (parameter["name"], parameter["value"]) == ("Minimum length", "50")
    assert step["identifier"] == "b0b1b2b3b4b5b602"


def test_what_failed_is_told_as_failed() -> None:
    """A job that failed makes its step, the invocation and the batch failed actions, with the exit code."""
    record = example_record()
    (invocation,) = record.invocations
    first, last = invocation.steps
    broken = replace(last, jobs=(replace(last.jobs[0], state="error", exit_code=2),))
    invocation = replace(invocation, status="failed", code="job_failed", steps=(first, broken))
    found = entities(replace(record, ending="failed", invocations=(invocation,), results=()))
    failed = "http://schema.org/FailedActionStatus"
    assert found["#step-df7a1f0c02a5b08e-3"]["actionStatus"] == failed
    assert found["#step-df7a1f0c02a5b08e-3"]["error"] == "error (exit code 2)"
    assert found[invocation.url]["actionStatus"] == found["#batch-k7m2x9-1"]["actionStatus"] == failed
    assert found[invocation.url]["error"] == "job_failed"
    assert "result" not in found["#batch-k7m2x9-1"]
    assert found["#step-df7a1f0c02a5b08e-2"]["actionStatus"] == "http://schema.org/CompletedActionStatus"


def test_several_workflows_claim_no_result_of_each_other() -> None:
    """Which of several workflows made a result is not known here: then the batch alone claims it."""
    record = example_record()
    (invocation,) = record.invocations
    other = replace(invocation, key="2", id="i2", url=f"{URL}/workflows/invocations/i2", steps=())
    found = entities(replace(record, invocations=(invocation, other)))
    assert "result" not in found[invocation.url]
    assert "result" not in found[other.url]
    assert len(found["#batch-k7m2x9-1"]["result"]) == len(CONTENTS)


def test_an_upload_without_a_workflow_has_a_record_too() -> None:
    """Then the crate tells what was sent, and of no invocation."""
    record = replace(example_record(), invocations=(), results=())
    found = entities(record)
    assert found["./"]["mentions"] == {"@id": "#batch-k7m2x9-1"}
    assert json.loads(record_files(record)["batch.json"])["run"] == RUN


@pytest.mark.parametrize("name", ["50 % ok?.txt", "#1.txt", "ü.txt", "\udcff.txt"])
def test_any_file_name_can_be_told(name: str) -> None:
    """A name with signs of addresses, or one that is no UTF-8, is told so that it is found again."""
    record = example_record()
    named = replace(record, results=(replace(record.results[0], path=name),))
    (told,) = [entity for entity in entities(named).values() if entity.get("name") == name]
    assert told["@id"].isascii()
    assert not set("#? ") & set(told["@id"])


def test_times_are_told_in_utc() -> None:
    """A time of any zone is told as the same instant in UTC."""
    elsewhere = datetime(2026, 1, 14, 20, 2, 11, 500_000, timezone(timedelta(hours=2)))
    assert told_time(elsewhere) == "2026-01-14T18:02:11.500+00:00"
    assert told_time(None) == ""


def test_the_example_of_the_docs_is_what_is_written() -> None:
    """The files that `docs/provenance.md` shows are those of the example record, byte for byte; to make them anew, run
    `python -m tests.delivery.records`.
    """
    for name, content in record_files(example_record()).items():
        assert (EXAMPLE / name).read_bytes() == content, name


def test_the_docs_explain_every_key() -> None:
    """Each key of the first level stands in the table of the page."""
    page = (EXAMPLE.parent / "provenance.md").read_text()
    keys = json.loads(record_files(example_record())["batch.json"])
    assert [key for key in keys if f"`{key}`" not in page] == []
