"""Jobs of Galaxy: what an invocation runs, and why one of them failed.

A job that is `ok` says nothing of an upload (see `datasets.py`); for tools its exit code and the end of its output tell
why. Counting jobs is the business of `invocations.py`.
"""

from __future__ import annotations

from typing import Any

from watcher.galaxy.answers import understand
from watcher.galaxy.http import Http, Params
from watcher.galaxy.invocation_answers import JobFacts
from watcher.model import InvocationId, JobId

PAGE = 500
UPLOADS = frozenset({"__DATA_FETCH__", "upload1"})
"""The tools behind uploads and imports."""

UNDER_WAY = ("new", "upload", "waiting", "queued", "running")
TAIL_CHARACTERS = 4000
"""How much of a job's output is kept: the end, where tools say why."""


class Jobs:
    """Jobs of the account."""

    def __init__(self, http: Http) -> None:
        self._http = http

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
        """Return a job with the end of its output and Galaxy's messages about it."""
        answer = await self._http.get(f"/api/jobs/{job}", "read a job", dict[str, Any], params={"full": True})
        shortened = {
            **answer,
            "stderr": _tail(answer.get("tool_stderr") or answer.get("stderr")),
            "stdout": _tail(answer.get("tool_stdout") or answer.get("stdout")),
            "messages": [_message(message) for message in answer.get("job_messages") or ()],
        }
        return understand(JobFacts, shortened, self._http.asked("GET", "read a job"))


def _tail(text: Any) -> str:
    return str(text or "").rstrip()[-TAIL_CHARACTERS:]


def _message(message: Any) -> str:
    return str(message.get("desc") or message) if isinstance(message, dict) else str(message)
