"""Invocations: started once, found again by what went into them, and counted to their true end.

Galaxy takes no idempotency key, and `completed` only says that all jobs ended, failed ones as well (measured on
26.1.2): success is in the job counts. Knows no batch; `workflows.py` reads what an invocation will want, `bind.py`
checks it before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from watcher.errors import NotThere
from watcher.galaxy.http import Http, Params
from watcher.galaxy.invocation_answers import InvocationDetail, InvocationFacts, JobCounts
from watcher.model import HistoryId, InvocationId, WorkflowId

PAGE = 100
"""Galaxy 24.2 and later answer 400 to more."""


class Invocations:
    """Invocations of the account."""

    def __init__(self, http: Http) -> None:
        self._http = http

    async def start(
        self,
        workflow: WorkflowId,
        history: HistoryId,
        inputs: Mapping[str, Any],
        parameters: Mapping[str, Mapping[str, Any]] | None = None,
        *,
        version: int | None = None,
    ) -> InvocationId:
        """Ask for the workflow once; inputs by label, parameters by step number, both checked before by `bind`.

        Raises AnswerLost when it may have been started: look into `of_history`. Galaxy accepts unknown names and wrong
        types with a 200.
        """
        json: dict[str, Any] = {"history_id": history, "inputs_by": "name", "inputs": dict(inputs)}
        if parameters:
            json["parameters"] = {step: dict(values) for step, values in parameters.items()}
        if version is not None:
            json["version"] = version
        path = f"/api/workflows/{workflow}/invocations"
        return (await self._http.post(path, "start a workflow", InvocationFacts, json=json)).id

    async def of_history(self, history: HistoryId) -> list[InvocationFacts]:
        """Return the invocations into this history, oldest first, without those of subworkflows."""
        found: list[InvocationFacts] = []
        while True:
            params: Params = {
                "history_id": history,
                "view": "element",
                "include_nested_invocations": False,
                "limit": PAGE,
                "offset": len(found),
            }
            page = await self._http.get("/api/invocations", "list invocations", list[InvocationFacts], params=params)
            found.extend(page)
            if len(page) < PAGE:
                return sorted(found, key=lambda invocation: invocation.create_time)

    async def get(self, invocation: InvocationId) -> InvocationDetail:
        """Return one invocation; its labelled outputs are there as soon as it is scheduled, ready or not."""
        return await self._http.get(f"/api/invocations/{invocation}", "read an invocation", InvocationDetail)

    async def counts(self, own_history: HistoryId, ids: Sequence[InvocationId]) -> dict[InvocationId, JobCounts]:
        """Return the job counts of many invocations, one request for each hundred; `own_history` is any history of the
        account.

        Rows are paired by id: their order was never promised. An invocation that Galaxy leaves out is missing here too.
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
