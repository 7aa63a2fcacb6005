"""Invocations: started once, found again by what went into them, and counted to their true end.

Galaxy takes no idempotency key, and `completed` only says that all jobs ended, failed ones as well (measured on
26.1.2): success is in the job counts. Knows no batch; `workflows.py` reads what an invocation will want, `bind.py`
checks it before, `jobs.py` tells why it failed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from watcher.errors import Forbidden, NotThere, Refused
from watcher.galaxy.answers import Answer, Text
from watcher.galaxy.features import Features
from watcher.galaxy.http import Http, Params
from watcher.galaxy.invocation_answers import (
    InvocationDetail,
    InvocationFacts,
    InvocationStep,
    JobCounts,
    Metric,
    WorkflowStep,
    WorkflowVersion,
)
from watcher.model import HistoryId, InvocationId, WorkflowId

PAGE = 100
"""Galaxy 24.2 and later answer 400 to more."""


@dataclass(frozen=True, slots=True)
class Started:
    """What came of a start: the invocation, and what Galaxy calls the request in its log (perhaps nothing)."""

    id: InvocationId
    request_id: str = ""


class _Report(Answer):
    markdown: Text = ""


class Invocations:
    """Invocations of the account."""

    def __init__(self, http: Http, features: Callable[[], Awaitable[Features]]) -> None:
        self._http = http
        self._features = features
        self._versions: dict[WorkflowId, WorkflowVersion] = {}

    async def start(
        self,
        workflow: WorkflowId,
        history: HistoryId,
        inputs: Mapping[str, Any] | Mapping[int, Any],
        parameters: Mapping[str, Mapping[str, Any]] | None = None,
        *,
        version: int | None = None,
        replacement_params: Mapping[str, str] | None = None,
        use_cached_job: bool = False,
        allow_tool_state_corrections: bool = False,
    ) -> Started:
        """Ask for the workflow once; inputs by step index (whole numbers) or all by label, parameters by step number,
        all checked before by `bind`.

        Only by index can a workflow be started whose inputs have no label; Galaxy numbers the steps anew when a
        workflow is imported, so read them from there. `allow_tool_state_corrections` lets Galaxy fill in parameters
        that the installed tool has and the workflow does not name, which it otherwise refuses; a tool in another
        version than the workflow's is never asked for. Raises AnswerLost when it may have been started: look into
        `of_history`. Galaxy accepts unknown names and wrong types with a 200.
        """
        by_index = not any(isinstance(key, str) for key in inputs)
        json: dict[str, Any] = {
            "history_id": history,
            "inputs_by": "step_index" if by_index else "name",
            "inputs": {str(key): value for key, value in inputs.items()},
            "require_exact_tool_versions": True,
            "use_cached_job": use_cached_job,
            "allow_tool_state_corrections": allow_tool_state_corrections,
        }
        if parameters:
            json["parameters"] = {step: dict(values) for step, values in parameters.items()}
        if replacement_params:
            json["replacement_params"] = dict(replacement_params)
        if version is not None:
            json["version"] = version
        path = f"/api/workflows/{workflow}/invocations"
        made, request_id = await self._http.post_noting(path, "start a workflow", InvocationFacts, json=json)
        return Started(made.id, request_id)

    async def of_history(self, history: HistoryId, workflow: WorkflowId | None = None) -> list[InvocationFacts]:
        """Return the invocations into this history, oldest first, without those of subworkflows; of one workflow alone,
        whatever its version, by the id that one starts.
        """
        found: list[InvocationFacts] = []
        while True:
            params: Params = {
                "history_id": history,
                "view": "element",
                "include_nested_invocations": False,
                "limit": PAGE,
                "offset": len(found),
            }
            if workflow is not None:
                params = {**params, "workflow_id": workflow}
            page = await self._http.get("/api/invocations", "list invocations", list[InvocationFacts], params=params)
            found.extend(page)
            if len(page) < PAGE:
                return sorted(found, key=lambda invocation: invocation.create_time)

    async def get(self, invocation: InvocationId) -> InvocationDetail:
        """Return one invocation; its labelled outputs are there as soon as it is scheduled, ready or not."""
        return await self._http.get(f"/api/invocations/{invocation}", "read an invocation", InvocationDetail)

    async def detailed(self, invocation: InvocationId) -> InvocationDetail:
        """Return one invocation with what each step is, its jobs and all its outputs, labelled or not."""
        path = f"/api/invocations/{invocation}"
        detail = await self._http.get(path, "read an invocation", InvocationDetail, params={"step_details": True})
        planned = (await self.workflow_version(detail.workflow_version_id)).steps
        steps = tuple(_completed(step, planned) for step in detail.steps)
        return detail.model_copy(update={"steps": steps})

    async def workflow_version(self, version: WorkflowId) -> WorkflowVersion:
        """Return the version of a workflow that an invocation used, subworkflows too, also when it is deleted; empty
        where somebody else's workflow may not be read any more. Asked once: a version never changes.
        """
        if version not in self._versions:
            path = f"/api/workflows/{version}/download"
            try:
                found = await self._http.get(path, "read a workflow", WorkflowVersion, params={"instance": True})
            except (Forbidden, NotThere, Refused):
                found = WorkflowVersion()
            self._versions[version] = found
        return self._versions[version]

    async def review(self, invocation: InvocationId, step_id: str, *, confirmed: bool) -> None:
        """Let an invocation go on that waits at a pause step (`InvocationDetail.to_review`), or end it.

        Refused means that the invocation is over (Galaxy: 400). Not confirmed, it is `cancelled` a moment later with
        the message `cancelled_on_review`, its counts' `populated` is "failed", and what ran before stays.
        """
        path = f"/api/invocations/{invocation}/steps/{step_id}"
        await self._http.put(path, "review a pause step", json={"action": confirmed})

    async def report(self, invocation: InvocationId) -> str:
        """Return Galaxy's report of an invocation as Markdown; Galaxy's own blocks in it name things by id."""
        path = f"/api/invocations/{invocation}/report"
        return (await self._http.get(path, "report on an invocation", _Report)).markdown

    async def metrics(self, invocation: InvocationId) -> list[Metric]:
        """Return the figures of all jobs, subworkflows included: run time, cores and what else the server measures.

        Before 26.1 that is one request for each job.
        """
        if (await self._features()).invocation_metrics:
            path = f"/api/invocations/{invocation}/metrics"
            return await self._http.get(path, "measure the jobs of an invocation", list[Metric])
        return await self._metrics_by_job(invocation, "")

    async def _metrics_by_job(self, invocation: InvocationId, above: str) -> list[Metric]:
        found: list[Metric] = []
        for step in (await self.detailed(invocation)).steps:
            place = f"{above}{step.index}"
            for job in step.jobs:
                rows = await self._http.get(f"/api/jobs/{job.id}/metrics", "measure a job", list[Metric])
                more = {"job_id": job.id, "tool_id": job.tool_id, "step_index": place, "step_label": step.label}
                found.extend(row.model_copy(update=more) for row in rows)
            if step.subworkflow_invocation_id:
                inner = InvocationId(step.subworkflow_invocation_id)
                found.extend(await self._metrics_by_job(inner, f"{place}."))
        return found

    async def counts(self, own_history: HistoryId, ids: Sequence[InvocationId]) -> dict[InvocationId, JobCounts]:
        """Return the job counts of many invocations, one request for each hundred; `own_history` is any history of the
        account.

        Rows are paired by id: their order was never promised. An invocation that Galaxy leaves out is missing here too.
        That history may be deleted or purged, as may those of the invocations, whose counts stay what they were: Galaxy
        looks neither at states nor at owners here (measured on 24.1.4 and 26.1.2).
        """
        found: dict[InvocationId, JobCounts] = {}
        for start in range(0, len(ids), PAGE):
            part = ids[start : start + PAGE]
            params: Params = {"ids": ",".join(part), "types": ",".join(["WorkflowInvocation"] * len(part))}
            path = f"/api/histories/{own_history}/jobs_summary"
            rows = await self._http.get(path, "count jobs", list[JobCounts], params=params)
            found |= {counts.id: counts for counts in rows}
        return found

    async def nested(self, invocation: InvocationId) -> tuple[InvocationId, ...]:
        """Return the invocations of all subworkflows, however deep, outer ones first."""
        found: list[InvocationId] = []
        waiting = [invocation]
        while waiting:
            below = [inner for inner in (await self.get(waiting.pop(0))).subworkflow_ids if inner not in found]
            found.extend(below)
            waiting.extend(below)
        return tuple(found)

    async def cancel(self, invocation: InvocationId) -> None:
        """Ask Galaxy to stop; jobs are deleted a moment later, and asking again changes nothing."""
        try:
            await self._http.delete(f"/api/invocations/{invocation}", "cancel an invocation")
        except NotThere:
            return


def _completed(step: InvocationStep, planned: Mapping[int, WorkflowStep]) -> InvocationStep:
    """Return the step with what only the workflow tells of it."""
    known = planned.get(step.index, WorkflowStep())
    return step.model_copy(update={"type": known.type, "tool_id": known.tool_id, "tool_version": known.tool_version})
