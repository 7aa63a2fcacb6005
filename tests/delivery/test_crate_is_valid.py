"""The crate holds against the profile that it names, as a validator that is not ours says, without any network."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.delivery.records import CONTENTS, example_record
from watcher.delivery.crate import record_files
from watcher.delivery.record import BatchRecord

NOT_KNOWN = {
    "process-run-crate-0.5_3.2": "the watcher has no address of its own",
    "process-run-crate-0.5_5.1": "the same",
    "process-run-crate-0.5_8.6": "whose account it was is not told: a person may stand behind it",
    "process-run-crate-0.5_11.1": "what a single step made stays in Galaxy, or is the result of the whole",
    "ro-crate-1.1_22.2": "the author of the results is not known to the watcher",
    "ro-crate-1.1_22.3": "nor is who publishes them",
    "ro-crate-1.1_28.1": "what was sent is private, and nothing is fetched by a test",
    "ro-crate-1.1_29.1": "how large a workflow's document is, nobody tells",
}
"""Recommendations that are not followed, and why."""


def write(record: BatchRecord, folder: Path) -> Path:
    """Write a record and the results that it tells of, as a delivery does."""
    there = {path: CONTENTS[path] for path in (result.path for result in record.results)}
    for path, content in {**record_files(record), **there}.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return folder


def issues(crate: Path, cache: Path) -> list[list[str]]:
    """Return what the validator finds: [severity, check, message, entity] each."""
    script = Path(__file__).with_name("validator.py")
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", script, crate, cache], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    count, found = ended.stdout.splitlines()[-2:]
    assert int(count) > 90, "most checks of the profile and of RO-Crate 1.1 are made"
    listed: list[list[str]] = json.loads(found)
    return listed


def failed_record() -> BatchRecord:
    """Return the record of a batch whose last job failed, and that brought nothing home."""
    record = example_record()
    (invocation,) = record.invocations
    first, last = invocation.steps
    broken = replace(last, jobs=(replace(last.jobs[0], state="error", exit_code=2, ended_at=None),))
    invocation = replace(invocation, status="failed", code="job_failed", steps=(first, broken))
    return replace(record, ending="failed", invocations=(invocation,), results=())


@pytest.mark.parametrize("record", [example_record(), failed_record()], ids=["good", "failed"])
def test_the_crate_holds_against_the_validator(record: BatchRecord, tmp_path: Path) -> None:
    """Nothing that is required is missing, and of what is recommended only what the watcher cannot know."""
    found = issues(write(record, tmp_path / "crate"), tmp_path / "cache")
    assert [issue for issue in found if issue[0] == "REQUIRED"] == []
    times = "process-run-crate-0.5_8.4"  # a job that was cut off has no end
    wrong = [issue for issue in found if issue[1] not in NOT_KNOWN and (record.ending == "ok" or issue[1] != times)]
    assert wrong == []


def test_a_broken_crate_is_found(tmp_path: Path) -> None:
    """The validator does look: a result that is not there and an action without its program are told as required."""
    crate = write(example_record(), tmp_path / "crate")
    (crate / "report.html").unlink()
    path = crate / "ro-crate-metadata.json"
    told = json.loads(path.read_text())
    for entity in told["@graph"]:
        if entity["@id"] == "#batch-k7m2x9-1":
            del entity["instrument"]
    path.write_text(json.dumps(told))
    required = [issue[2] for issue in issues(crate, tmp_path / "cache") if issue[0] == "REQUIRED"]
    assert any("instrument" in message for message in required), required


def test_another_library_reads_the_crate(tmp_path: Path) -> None:
    """ro-crate-py opens it and finds its actions and the results where they lie."""
    from rocrate.rocrate import ROCrate

    crate = ROCrate(str(write(example_record(), tmp_path)))
    assert {"report.html", "batch.json"} <= {entity.id for entity in crate.data_entities}
    assert "#batch-k7m2x9-1" in {entity.id for entity in crate.root_dataset["mentions"]}
