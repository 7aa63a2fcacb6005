"""Writes what is told of a batch as files: `batch.json`, and the same in the words of RO-Crate.

The crate follows the Process Run Crate profile: an action for the batch, one for each use of a workflow, one for each
of its steps, with what went in and what came out. Deterministic: the same record gives the same bytes, so that a
delivery which is repeated finds what it wrote before. Pure; where the files go is the business of a delivery. Why it is
written without a library stands in `docs/decisions/0027-the-crate-is-written-by-us.md`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

from watcher.delivery.record import (
    BATCH_JSON,
    BatchRecord,
    RecordedDataset,
    RecordedInvocation,
    RecordedStep,
    batch_json,
    json_bytes,
    told_time,
)

CRATE_JSON = "ro-crate-metadata.json"

CRATE = "https://w3id.org/ro/crate/1.1"
PROCESS_CRATE, PROCESS_VERSION = "https://w3id.org/ro/wfrun/process/0.5", "0.5"
GALAXY = "https://w3id.org/workflowhub/workflow-ro-crate#galaxy"
WATCHER, LICENSE = "#galaxy-watcher", "#license"

JSON = "application/json"
FORMATS = {
    ".csv": "text/csv",
    ".gz": "application/gzip",
    ".html": "text/html",
    ".json": JSON,
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".tsv": "text/tab-separated-values",
    ".txt": "text/plain",
}
"""By the end of a name; the tables of Python and of the host differ from one to the next."""

CONTEXT = (f"{CRATE}/context", {"sha256": "https://w3id.org/ro/terms/workflow-run#sha256"})
"""The words of RO-Crate 1.1, and the one of the profile that it lacks."""

GOOD_JOBS = frozenset({"ok", "skipped"})
"""How a job ends well, in Galaxy's words."""

Entity = dict[str, Any]


def record_files(record: BatchRecord) -> dict[str, bytes]:
    """Return the content of each file of the record by its name.

    Of twenty thousand jobs this takes a second or two: not for the loop.
    """
    plain = batch_json(record)
    return {BATCH_JSON: plain, CRATE_JSON: json_bytes(_crate(record, len(plain)))}


def _crate(record: BatchRecord, batch_json_bytes: int) -> Entity:
    results = {_path(one.path): _file(_path(one.path), one.path, one.size, one.sha256) for one in record.results}
    sent = {one.url: _sent(one, record) for one in record.datasets if one.url}
    workflows = {one.workflow_url: _workflow(one, record) for one in record.invocations if one.workflow_url}
    plain = _file(BATCH_JSON, BATCH_JSON, batch_json_bytes)
    parts = [plain, *results.values(), *sent.values(), *workflows.values()]
    actions = [_batch_action(record, sent, results)]
    others: dict[str, Entity] = {}
    for one in record.invocations:
        if one.id and one.workflow_url:
            given = {each["@id"]: each for each in _given(one)}
            others |= given
            is_only = len(record.invocations) == 1
            actions.append(_invocation_action(one, [*sent, *given], results if is_only else ()))
        for step in one.steps:
            tool, parameters = _tool(step, record.galaxy.url), _parameters(step)
            others |= {each["@id"]: each for each in (tool, *parameters)}
            actions.append(_step_action(step, tool, parameters))
    root = {
        "@id": "./",
        "@type": "Dataset",
        "conformsTo": _ref(PROCESS_CRATE),
        "name": f"Results of batch {record.batch}, run {record.run}",
        "description": f"Results of sequencing run {record.run}, made in Galaxy by the rule {record.rule} of"
        " galaxy-watcher, and how they were made.",
        "datePublished": told_time(record.ended_at or record.planned_at),
        "license": _ref(LICENSE),
        "identifier": record.batch,
        "hasPart": _refs(part["@id"] for part in parts),
        "mentions": _refs(action["@id"] for action in actions),
    }
    graph = [_descriptor(), root, *_fixed(record), *parts, *actions, *others.values()]
    return {"@context": list(CONTEXT), "@graph": graph}


def _descriptor() -> Entity:
    return {"@id": CRATE_JSON, "@type": "CreativeWork", "about": _ref("./"), "conformsTo": _ref(CRATE)}


def _fixed(record: BatchRecord) -> list[Entity]:
    """Return what every crate names: profile, licence, the watcher, and Galaxy's language of workflows."""
    return [
        {"@id": PROCESS_CRATE, "@type": "CreativeWork", "name": "Process Run Crate", "version": PROCESS_VERSION},
        {
            "@id": LICENSE,
            "@type": "CreativeWork",
            "name": "No licence stated",
            "description": "The watcher does not know under which terms the results may be used.",
        },
        {
            "@id": WATCHER,
            "@type": "SoftwareApplication",
            "name": "galaxy-watcher",
            "softwareVersion": record.watcher_version,
        },
        {
            "@id": GALAXY,
            "@type": "ComputerLanguage",
            "name": "Galaxy",
            "url": "https://galaxyproject.org/",
            **_with({"version": record.galaxy.version}),
        },
    ]  # fmt: skip


# --- what lies there, and what was sent -----------------------------------------------------------------------------


def _file(id: str, name: str, size: int, sha256: str = "") -> Entity:
    format = FORMATS.get(PurePosixPath(name).suffix.lower(), "application/octet-stream")
    plain = {"@id": id, "@type": "File", "name": name, "encodingFormat": format, "contentSize": str(size)}
    return _with({**plain, "sha256": sha256})


def _sent(one: RecordedDataset, record: BatchRecord) -> Entity:
    """Return what was sent as Galaxy has it: the sources themselves stay where they are."""
    return {
        **_file(one.url, one.name, one.size, one.sha256),
        **_with({"alternateName": _one_or_all([source.path for source in one.sources])}),
        "sdDatePublished": told_time(record.ended_at or record.planned_at),
        "description": f"Sample {one.sample} of run {record.run}, sent to Galaxy as {one.ext}"
        + (f", checked by {one.checked}" if one.checked else ""),
    }


def _workflow(one: RecordedInvocation, record: BatchRecord) -> Entity:
    return _with(
        {
            "@id": one.workflow_url,
            "@type": ["File", "SoftwareSourceCode", "ComputationalWorkflow"],
            "name": one.workflow,
            "encodingFormat": JSON,
            "programmingLanguage": _ref(GALAXY),
            "identifier": one.uuid,
            "version": one.uuid if one.version is None else str(one.version),  # each version has a uuid of its own
            "url": f"{record.galaxy.url}/workflows/list",
            "sdDatePublished": told_time(record.ended_at or record.planned_at),
            "hasPart": _refs(sorted({_tool_id(step, record.galaxy.url) for step in one.steps})),
        }
    )


def _tool_id(step: RecordedStep, url: str) -> str:
    """Return a tool's address: those from a tool shed are called by it, built-in ones have a form in Galaxy."""
    if _is_from_shed(step):
        return f"https://{quote(step.tool_id)}"
    return f"{url}/?tool_id={quote(step.tool_id, safe='')}&version={quote(step.tool_version, safe='')}"


def _tool(step: RecordedStep, url: str) -> Entity:
    id = page = _tool_id(step, url)
    if _is_from_shed(step):
        shed, _, owner, repository, *_ = step.tool_id.split("/")
        page = f"https://{shed}/view/{quote(owner)}/{quote(repository)}"
    named = {"@id": id, "@type": "SoftwareApplication", "name": step.tool_id, "url": page}
    return _with({**named, "softwareVersion": step.tool_version})


def _is_from_shed(step: RecordedStep) -> bool:
    parts = step.tool_id.split("/")
    return len(parts) >= 5 and parts[1] == "repos"


def _parameters(step: RecordedStep) -> list[Entity]:
    at = f"#parameter-{step.invocation}-{step.index}"
    return [_value(f"{at}-{number}", one.name, one.value) for number, one in enumerate(step.parameters, 1)]


def _given(one: RecordedInvocation) -> list[Entity]:
    """Return what the rule gives to a workflow besides the data, and the parameters that it sets."""
    steps = [(f"{step}: {name}", value) for step, values in one.parameters.items() for name, value in values.items()]
    given = [*one.inputs.items(), *steps, *one.replacements.items()]
    return [_value(f"#given-{one.id}-{number}", name, value) for number, (name, value) in enumerate(given, 1)]


def _value(id: str, name: str, value: object) -> Entity:
    plain = value if isinstance(value, str | bool | int | float) else json_bytes({"value": value}).decode().strip()
    return {"@id": id, "@type": "PropertyValue", "name": name, "value": plain}


# --- what was done --------------------------------------------------------------------------------------------------


def _batch_action(record: BatchRecord, sent: Iterable[str], results: Iterable[str]) -> Entity:
    return _action(
        f"#batch-{record.batch}",
        f"Batch {record.batch}",
        f"galaxy-watcher sent the samples of run {record.run} to Galaxy {record.galaxy.version} at {record.galaxy.url}"
        " and brought the results home.",
        WATCHER,
        is_good=record.ending == "ok",
        started=told_time(record.planned_at),
        ended=told_time(record.ended_at),
        object=_refs(sent),
        result=_refs(results),
    )


def _invocation_action(one: RecordedInvocation, given: Iterable[str], results: Iterable[str]) -> Entity:
    return _action(
        one.url,
        f"Invocation {one.id}",
        f"Galaxy ran the workflow {one.workflow}: {one.state or one.status}.",
        one.workflow_url,
        is_good=one.status == "done",
        started=told_time(one.started_at),
        ended=told_time(one.ended_at),
        object=_refs(given),
        result=_refs(results),
        error=one.code,
    )


def _step_action(step: RecordedStep, tool: Entity, parameters: Iterable[Entity]) -> Entity:
    started = [job.started_at for job in step.jobs if job.started_at]
    ended = [job.ended_at for job in step.jobs if job.ended_at]
    bad = [job for job in step.jobs if job.state not in GOOD_JOBS]
    return _action(
        f"#step-{step.invocation}-{step.index}",
        f"Step {step.index + 1}: {step.label or step.tool_id}",
        f"{len(step.jobs)} {'job' if len(step.jobs) == 1 else 'jobs'} of {step.tool_id}",
        tool["@id"],
        is_good=not bad,
        started=told_time(min(started)) if started else "",
        ended=told_time(max(ended)) if ended else "",
        object=_refs(one["@id"] for one in parameters),
        identifier=_one_or_all([job.id for job in step.jobs]),
        error=", ".join(sorted({_how(job.state, job.exit_code) for job in bad})),
    )


def _how(state: str, exit_code: int | None) -> str:
    return state if exit_code is None else f"{state} (exit code {exit_code})"


def _action(
    id: str, name: str, description: str, instrument: str, *, is_good: bool, started: str, ended: str, **more: Any
) -> Entity:
    ending = "Completed" if is_good else "Failed"
    if is_good:
        more["error"] = ""  # the profile knows an error of a failed action only
    return _with(
        {
            "@id": id,
            "@type": "CreateAction",
            "name": name,
            "description": description,
            "instrument": _ref(instrument),
            "startTime": started,
            "endTime": ended,
            "actionStatus": f"http://schema.org/{ending}ActionStatus",
            **more,
        }
    )


def _ref(id: str) -> dict[str, str]:
    return {"@id": id}


def _refs(ids: Iterable[str]) -> Any:
    return _one_or_all([_ref(id) for id in dict.fromkeys(ids)])


def _one_or_all(values: list[Any]) -> Any:
    """Return a single value without its list, as RO-Crate asks for."""
    return values[0] if len(values) == 1 else values


def _path(path: str) -> str:
    """Return a relative path as an address; a name that cannot be UTF-8 stays as its bytes."""
    return quote(path.encode("utf-8", "surrogateescape"))


def _with(entity: Mapping[str, Any]) -> Entity:
    """Leave out what is empty: a crate says nothing rather than an empty value."""
    return {key: value for key, value in entity.items() if value not in ("", [])}
