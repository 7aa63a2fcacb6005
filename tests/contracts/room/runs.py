"""Small runs of workflows for the contract tests: started, waited for, and repeated by hand as a person does it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import httpx

from tests.contracts.room.conftest import WORKFLOWS, GalaxyServer, until
from watcher.galaxy import Galaxy
from watcher.galaxy.collections import Element
from watcher.model import CollectionId, DatasetId, HistoryId, InvocationId, JobId, WorkflowId

AT_REST = frozenset({"ok", "error", "paused", "skipped", "deleted"})


def hda(dataset: str) -> dict[str, str]:
    """Return a dataset as an input."""
    return {"src": "hda", "id": dataset}


def hdca(collection: str) -> dict[str, str]:
    """Return a collection as an input."""
    return {"src": "hdca", "id": collection}


async def imported(galaxy: Galaxy, name: str) -> WorkflowId:
    """Import one of the workflows beside the live tests."""
    return (await galaxy.workflows.import_file((WORKFLOWS / name).read_bytes(), name)).id


async def listed(galaxy: Galaxy, history: HistoryId, samples: Mapping[str, DatasetId]) -> CollectionId:
    """Build a list over datasets."""
    elements = [Element(name, dataset) for name, dataset in samples.items()]
    return await galaxy.collections.build(history, "samples", "list", elements, ["watcher:runs"])


async def run(
    galaxy: Galaxy,
    history: HistoryId,
    workflow: WorkflowId,
    inputs: Mapping[str, Any] | Mapping[int, Any],
    parameters: Mapping[str, Mapping[str, Any]] | None = None,
) -> InvocationId:
    """Start a workflow and wait until nothing in it moves any more."""
    started = await galaxy.invocations.start(workflow, history, inputs, parameters)
    await until(lambda: at_rest(galaxy, history, started.id))
    return started.id


async def at_rest(galaxy: Galaxy, history: HistoryId, invocation: InvocationId) -> bool:
    """Tell whether all is scheduled and all jobs have ended or are paused, subworkflows included."""
    every = [invocation, *await galaxy.invocations.nested(invocation)]
    counts = await galaxy.invocations.counts(history, every)
    return all(one.populated == "ok" and set(one.states) <= AT_REST for one in counts.values()) and any(
        one.states for one in counts.values()
    )


async def reaches(galaxy: Galaxy, job: JobId, states: Sequence[str]) -> None:
    """Wait until a job is in one of these states."""

    async def is_there() -> bool:
        return (await galaxy.jobs.detail(job)).state in states

    await until(is_there)


def repeat_by_hand(
    server: GalaxyServer, history: HistoryId, of: JobId | None, infile: str, *, code: int
) -> tuple[JobId, DatasetId]:
    """Run `wait_then_exit` as Galaxy's form does, in place of a former job when one is named."""
    inputs: dict[str, Any] = {"infile": {"values": [hda(infile)]}, "seconds": "0", "code": str(code)}
    if of:
        inputs["rerun_remap_job_id"] = of
    json = {"tool_id": "wait_then_exit", "history_id": history, "inputs": inputs}
    made = asked(server, "POST", "/api/tools", json)
    return JobId(made["jobs"][0]["id"]), DatasetId(made["outputs"][0]["id"])


def asked(server: GalaxyServer, method: str, path: str, json: Any = None, key: str = "") -> Any:
    """Ask the server for something that the room itself never asks for."""
    headers = {"x-api-key": key or server.key, "connection": "close"}
    with httpx.Client(base_url=server.url, headers=headers, timeout=60) as client:
        return client.request(method, path, json=json).raise_for_status().json()
