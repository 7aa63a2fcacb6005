"""Jobs of Galaxy: what an invocation runs, why one of them failed or stands still, and what became of it by hand.

A job that is `ok` says nothing of an upload (see `datasets.py`); for tools its exit code and the end of its output tell
why. Counting jobs is the business of `invocations.py`, the words for people are in `job_failures.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from watcher.errors import Forbidden, NotThere, Refused
from watcher.galaxy.answers import Answer, CollectionElement, Text, understand
from watcher.galaxy.collections import Collections
from watcher.galaxy.datasets import Datasets
from watcher.galaxy.histories import Histories
from watcher.galaxy.http import Http, Params
from watcher.galaxy.invocation_answers import InvocationDetail, InvocationStep, JobFacts, Metric, OutputRef
from watcher.galaxy.invocations import Invocations
from watcher.galaxy.job_failures import (
    FAILED_STATES,
    JobFailure,
    last_lines,
    pause_cause,
    tool_words,
)
from watcher.galaxy.tool_ids import bare_tool, version_in
from watcher.model import CollectionId, DatasetId, HistoryId, InvocationId, JobId

PAGE = 500
UPLOADS = frozenset({"__DATA_FETCH__", "upload1"})
"""The tools behind uploads and imports."""

UNDER_WAY = ("new", "upload", "waiting", "queued", "running")
TAIL_CHARACTERS = 4000
"""How much of a job's output is kept: the end, where tools say why."""

ALIKE = 20
"""Of so many failed jobs of one step each is asked for; of all further ones only their outputs tell why."""

MOST_REPEATED = 20
"""Of so many jobs of a tool, the newest, each is asked whether it repeats a failed one."""

OF_INVOCATION = "__workflow_invocation_uuid__"
"""The parameter that only jobs of an invocation have; those that a person runs do not (measured on 24.1.4, 26.1.2)."""

Leaves = list[tuple[tuple[str, ...], CollectionElement]]


@dataclass(frozen=True, slots=True)
class JobRecord:
    """What is kept of a job: `parameters` are (depth, name, value) as Galaxy shows them to people, in order."""

    job: JobId
    tool_id: str
    tool_version: str
    state: str
    exit_code: int | None
    create_time: str
    update_time: str
    parameters: tuple[tuple[int, str, str], ...]
    metrics: tuple[Metric, ...]


class _Parameter(Answer):
    text: Text = ""
    depth: int = 1
    value: Any = None


class _Parameters(Answer):
    parameters: tuple[_Parameter, ...] = ()


class _Rerun(Answer):
    version: Text = ""


class Jobs:
    """Jobs of the account."""

    def __init__(
        self,
        http: Http,
        invocations: Invocations,
        collections: Collections,
        datasets: Datasets,
        histories: Histories,
    ) -> None:
        self._http = http
        self._invocations = invocations
        self._collections = collections
        self._datasets = datasets
        self._histories = histories

    async def of_invocation(self, invocation: InvocationId) -> list[JobFacts]:
        """Return the jobs of one invocation; those of its subworkflows belong to invocations of their own, on every
        version.
        """
        jobs: list[JobFacts] = []
        while True:
            params: Params = {"invocation_id": invocation, "limit": PAGE, "offset": len(jobs)}
            page = await self._http.get("/api/jobs", "list the jobs of an invocation", list[JobFacts], params=params)
            jobs.extend(page)
            if len(page) < PAGE:
                return jobs

    async def uploads_under_way(self, user: str) -> int:
        """Return how many jobs of this user that make datasets of files have not ended yet."""
        count = 0
        for state in UNDER_WAY:  # an administrator is shown everybody's jobs unless a user is named
            params: Params = {"user_id": user, "state": state, "limit": PAGE}
            jobs = await self._http.get("/api/jobs", "list the jobs that run", list[JobFacts], params=params)
            count += sum(job.tool_id in UPLOADS for job in jobs)
        return count

    async def detail(self, job: JobId) -> JobFacts:
        """Return a job with the end of its output, Galaxy's messages about it, its inputs and outputs."""
        answer = await self._http.get(f"/api/jobs/{job}", "read a job", dict[str, Any], params={"full": True})
        shortened = {
            **answer,
            "stderr": _tail(answer.get("tool_stderr") or answer.get("stderr")),
            "stdout": _tail(answer.get("tool_stdout") or answer.get("stdout")),
            "messages": [_message(message) for message in answer.get("job_messages") or ()],
            "invocation_uuid": (answer.get("params") or {}).get(OF_INVOCATION) or "",
        }
        return understand(JobFacts, shortened, self._http.asked("GET", "read a job"))

    async def output(self, job: JobId) -> tuple[str, str]:
        """Return what a job wrote to standard error and standard output, as much of it as Galaxy keeps."""
        answer = await self._http.get(f"/api/jobs/{job}", "read a job", dict[str, Any], params={"full": True})
        return (
            str(answer.get("tool_stderr") or answer.get("stderr") or ""),
            str(answer.get("tool_stdout") or answer.get("stdout") or ""),
        )

    async def failed(self, invocations: Sequence[InvocationId]) -> list[JobFailure]:
        """Return the jobs of these invocations that failed or are paused, step by step; name subworkflows' invocations
        as well (`Invocations.nested`).

        One request (two for a workflow not seen before) for each invocation, and those of `failed_in`.
        """
        return await self.failed_in([await self._invocations.detailed(invocation) for invocation in invocations])

    async def failed_in(self, invocations: Sequence[InvocationDetail]) -> list[JobFailure]:
        """Return the same of invocations whose steps are known.

        One request for each mapped step with failures, and one or two for each failed job, of many alike only for the
        first 20. Of those beyond, jobs and elements are paired by their order, in which Galaxy makes both.
        """
        return [
            failure
            for invocation in invocations
            for step in invocation.steps
            if any(job.state in FAILED_STATES for job in step.jobs)
            for failure in await self._failed_of(invocation.id, step)
        ]

    async def _failed_of(self, invocation: InvocationId, step: InvocationStep) -> list[JobFailure]:
        leaves: Leaves = []
        if step.is_mapped and (made := next(iter(step.output_collections.values()), None)):
            leaves = (await self._collections.get(CollectionId(made.id))).leaves()
        by_dataset = {leaf.dataset_id: (path, leaf) for path, leaf in leaves}
        found: list[JobFailure] = []
        asked: dict[str, int] = {}
        for place, job in enumerate(step.jobs):
            if job.state not in FAILED_STATES:
                continue
            failure = JobFailure(
                invocation,
                job.id,
                step.index,
                step.label,
                job.tool_id,
                version_in(job.tool_id) or step.tool_version,
                job.state,
                job.exit_code,
                "",
            )
            asked[job.state] = asked.get(job.state, 0) + 1
            if asked[job.state] <= ALIKE:
                failure = await self._told(failure, by_dataset)
            elif len(leaves) == len(step.jobs):
                path, leaf = leaves[place]
                failure = replace(failure, elements=path, words=last_lines(leaf.misc_info))
            cause = pause_cause(failure.words) if failure.state == "paused" else None
            found.append(replace(failure, cause=cause))
        return found

    async def _told(
        self, failure: JobFailure, by_dataset: Mapping[DatasetId, tuple[tuple[str, ...], CollectionElement]]
    ) -> JobFailure:
        """Return the failure with what Galaxy tells of its job alone."""
        job = await self.detail(failure.job)
        outputs = _datasets(job.outputs)
        words = tool_words(job)
        elements: tuple[str, ...] = ()
        misc_info = ""
        for dataset in outputs.values():
            if dataset in by_dataset:
                elements, leaf = by_dataset[dataset]
                misc_info = leaf.misc_info
        if not words and not misc_info and outputs:
            misc_info = (await self._datasets.get(next(iter(outputs.values())))).misc_info
        return replace(failure, words=words or last_lines(misc_info), elements=elements, outputs=outputs)

    async def resume(self, job: JobId) -> None:
        """Let a paused job try again; any other job is left as it is, and what waits for it goes on by itself.

        A tool's job that was paused for want of quota runs once there is space, and pauses again while there is
        none (measured on 24.1.4, 25.0.4 and 26.1.2, with Celery); one whose input failed pauses again as well. An
        upload paused so stays `new` for ever where Celery works: send it anew.
        """
        await self._http.put(f"/api/jobs/{job}/resume", "resume a job", json={})

    async def rerun_of(
        self, history: HistoryId, failure: JobFailure, *, something_waits: bool = False
    ) -> dict[DatasetId, DatasetId]:
        """Return which good dataset stands for each output of a job that a person repeated in Galaxy, empty when
        nothing proves it.

        Neither of the two jobs names the other (measured on 24.1.4 and 26.1.2). Two things prove it, both only of a
        good job of the same tool, in whatever version, with the same inputs; the parameters may be others: that is what
        people change. Of several the newest is taken.

        First, the numbers in the history. Where a person let the new job take the old one's place, and a later job
        waits for an output, that output gets the number of the old one, which nothing else gives. What the same job
        made beside it stands for the rest.

        Else, at a step that was not mapped, that the job is newer than the failed one and belongs to no invocation, so
        a person started it: nothing gives the number of an output that no job takes, as of a report at the end, and
        Galaxy's form offers no place to take there. Of the newest 20 jobs each is asked for. This proves nothing while
        `something_waits`, a paused job of the workflow: a job run beside the failed one never lets that go on.

        The invocation still names the old datasets, also at the outputs of a workflow around it, unless the step was
        mapped: there Galaxy puts the new dataset into the collection by itself, and the new job in place of the old
        one.
        """
        old = await self.detail(failure.job)
        new = await self._in_its_place(history, old)
        if new is None and not failure.elements and not something_waits:
            new = await self._beside(history, old)
        made = _datasets(new.outputs) if new else {}
        return {dataset: made[name] for name, dataset in _datasets(old.outputs).items() if name in made}

    async def _in_its_place(self, history: HistoryId, old: JobFacts) -> JobFacts | None:
        """Return the newest job that repeats the old one and gave an output the number of the old one's."""
        good: dict[JobId, JobFacts] = {}
        for name, dataset in _datasets(old.outputs).items():
            number = (await self._datasets.origin(dataset)).hid
            for other in await self._histories.numbered(history, number):
                if other.kind != "dataset" or other.state != "ok" or other.deleted or other.id == dataset:
                    continue
                maker = (await self._datasets.origin(DatasetId(other.id))).creating_job
                new = await self.detail(JobId(maker)) if maker else None
                if new is not None and _repeats(old, new) and _datasets(new.outputs).get(name) == other.id:
                    good[new.id] = new
        return max(good.values(), key=_made_at, default=None)

    async def _beside(self, history: HistoryId, old: JobFacts) -> JobFacts | None:
        """Return the newest job that repeats the old one and was started by a person, with all its outputs there."""
        if not old.inputs:  # all jobs of a tool that takes no data would look alike
            return None
        tool = bare_tool(old.tool_id)
        # A tool from a ToolShed has its version in its id, and a person may have taken another one.
        named: Params = {"tool_id": tool} if tool == old.tool_id else {"tool_id_like": f"{tool}/%"}
        params: Params = {"history_id": history, "state": "ok", "order_by": "create_time", "limit": PAGE, **named}
        rows = await self._http.get("/api/jobs", "list the jobs of a tool", list[JobFacts], params=params)
        newer = [row for row in rows if bare_tool(row.tool_id) == tool and _made_at(row) > _made_at(old)]
        for row in sorted(newer, key=_made_at, reverse=True)[:MOST_REPEATED]:
            new = await self.detail(row.id)
            if new.invocation_uuid or not _repeats(old, new):
                continue
            made = [await self._datasets.get(dataset) for dataset in _datasets(new.outputs).values()]
            if made and all(facts.state == "ok" and not facts.deleted for facts in made):
                return new
        return None

    async def record(self, job: JobId) -> JobRecord:
        """Return what is worth keeping of a job: tool, parameters as people read them, figures, exit code, times.

        The version of a built-in tool is told only while it is installed.
        """
        facts = await self.detail(job)
        shown = await self._http.get(f"/api/jobs/{job}/parameters_display", "show a job's parameters", _Parameters)
        metrics = await self._http.get(f"/api/jobs/{job}/metrics", "measure a job", list[Metric])
        version = version_in(facts.tool_id)
        if not version:
            try:
                path = f"/api/jobs/{job}/build_for_rerun"
                version = (await self._http.get(path, "tell the version of a job's tool", _Rerun)).version
            except (Forbidden, NotThere, Refused):
                version = ""
        return JobRecord(
            job,
            facts.tool_id,
            version,
            facts.state,
            facts.exit_code,
            facts.create_time,
            facts.update_time,
            tuple((one.depth, one.text, _shown(one.value)) for one in shown.parameters),
            tuple(metrics),
        )


def _repeats(old: JobFacts, new: JobFacts) -> bool:
    is_same_tool = bare_tool(old.tool_id) == bare_tool(new.tool_id)
    return new.id != old.id and new.state == "ok" and is_same_tool and old.inputs == new.inputs


def _made_at(job: JobFacts) -> str:
    return job.create_time


def _datasets(refs: Mapping[str, OutputRef]) -> dict[str, DatasetId]:
    return {name: DatasetId(ref.id) for name, ref in refs.items() if ref.src == "hda"}


def _shown(value: Any) -> str:
    """Return a parameter's value as text; datasets come as a list, named as in their collection or history."""
    if isinstance(value, list):
        return ", ".join(_shown(one) for one in value)
    if isinstance(value, dict):
        return str(value.get("name") or value.get("id") or value)
    return "" if value is None else str(value)


def _tail(text: Any) -> str:
    return str(text or "").rstrip()[-TAIL_CHARACTERS:]


def _message(message: Any) -> str:
    return str(message.get("desc") or message) if isinstance(message, dict) else str(message)
