"""What is told of a batch beside its results: how they were made, of what, by what, and how far all of it was checked.

Only shapes: the facts are gathered, and what may leave the host is decided, before they come here
(`watcher/stages/provenance.py`, `watcher/stages/leaving.py`). `batch_json` writes all of them as they stand; the same
in the words of RO-Crate is the business of `crate.py`. Sizes are bytes, times aware UTC, paths relative: those of
sources to the run folder, those of results to the folder in which the record lies.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from datetime import UTC, datetime
from typing import Any

BATCH_JSON = "batch.json"

FORMAT = 1
"""Raised when a key changes its meaning or goes; new keys may come at any time."""


@dataclass(frozen=True, slots=True)
class RecordedSource:
    """A file of the run; `sha256` is empty where it was never read by itself."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class RecordedDataset:
    """What was sent: `sources` joined in their order. `sha256` is that of its bytes, `checked` how far Galaxy's were
    compared with them; `records` counts FASTQ records, None where there are none.
    """

    name: str
    ext: str
    sample: str
    read: str
    lane: int
    size: int
    sha256: str
    records: int | None
    checked: str
    galaxy_id: str
    url: str
    sources: tuple[RecordedSource, ...]


@dataclass(frozen=True, slots=True)
class RecordedSheet:
    """The sample sheet that the plan was made by: its hash tells it, `columns` are those that the rule uses."""

    path: str
    sha256: str
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RecordedSample:
    """A sample with the cells that the rule uses; `project` is empty when the rule does not ask for it."""

    name: str
    project: str
    columns: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class RecordedParameter:
    """A parameter as Galaxy shows it to people; `depth` is 1 outside of any section of the tool's form."""

    depth: int
    name: str
    value: str


@dataclass(frozen=True, slots=True)
class RecordedJob:
    """A job of Galaxy; its times are None where Galaxy tells none."""

    id: str
    state: str
    exit_code: int | None
    started_at: datetime | None
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class RecordedStep:
    """A step that had jobs; `invocation` is that of a subworkflow when it lies in one."""

    invocation: str
    index: int
    label: str
    tool_id: str
    tool_version: str
    parameters: tuple[RecordedParameter, ...]
    jobs: tuple[RecordedJob, ...]


@dataclass(frozen=True, slots=True)
class RecordedInvocation:
    """One use of a workflow: the workflow as it was found, what went in, and how it ended.

    `by` says how the rule names the workflow (id, name, file, trs), `source` is that name. `samples_not_good` are left
    out of the results; `ended_at` is when the end was seen.
    """

    key: str
    attempt: int
    id: str
    url: str
    status: str
    state: str
    code: str
    started_at: datetime | None
    ended_at: datetime | None
    workflow: str
    workflow_id: str
    uuid: str
    version: int | None
    by: str
    source: str
    workflow_url: str
    inputs: Mapping[str, Any]
    parameters: Mapping[str, Any]
    replacements: Mapping[str, str]
    samples_not_good: tuple[str, ...]
    steps: tuple[RecordedStep, ...]


@dataclass(frozen=True, slots=True)
class RecordedResult:
    """A delivered file; `checked` is how far it was compared with what Galaxy has."""

    path: str
    size: int
    sha256: str
    checked: str
    galaxy_id: str
    url: str


@dataclass(frozen=True, slots=True)
class RecordedGalaxy:
    """The server, and what was made there for the batch."""

    url: str
    version: str
    history: str
    history_id: str
    history_url: str
    collection: str
    collection_type: str
    library: str


@dataclass(frozen=True, slots=True)
class BatchRecord:
    """All that is told of one batch; `ended_at` is the latest time that is stored of its results."""

    batch: str
    rule: str
    watch: str
    run: str
    unit: str
    unit_version: int
    layout: str
    ending: str  # ok, failed
    planned_at: datetime | None
    ended_at: datetime | None
    watcher_version: str
    galaxy: RecordedGalaxy
    sheet: RecordedSheet | None
    samples: tuple[RecordedSample, ...]
    datasets: tuple[RecordedDataset, ...]
    invocations: tuple[RecordedInvocation, ...]
    results: tuple[RecordedResult, ...]


def batch_json(record: BatchRecord) -> bytes:
    """Return the content of `batch.json`: the same bytes for the same facts."""
    return json_bytes({"format": FORMAT, **_fields(record)})


def json_bytes(value: Mapping[str, Any]) -> bytes:
    """Return JSON as people read it, times as `told_time`; a character that UTF-8 cannot write stays an escape."""
    text = json.dumps(value, indent=2, ensure_ascii=False, default=_told)
    return (text + "\n").encode("utf-8", errors="backslashreplace")


def told_time(time: datetime | None) -> str:
    """Return a time as ISO 8601 in UTC, to the millisecond as profiles of RO-Crate want it; "" for none."""
    return time.astimezone(UTC).isoformat(timespec="milliseconds") if time else ""


def _fields(record: Any) -> dict[str, Any]:
    # `asdict` copies every value at every depth, which took half of the time for a batch of many jobs.
    return {field.name: getattr(record, field.name) for field in fields(record)}


def _told(value: object) -> Any:
    if isinstance(value, datetime):
        return told_time(value)
    if is_dataclass(value):
        return _fields(value)
    raise TypeError(f"{type(value).__name__} has no place in a record")
