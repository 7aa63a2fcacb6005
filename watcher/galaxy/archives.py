"""Archives that Galaxy makes of a history or an invocation: asked for, followed, and read from any offset.

There are two ways. A history's own archive is a job of Galaxy's, made without Celery, and stays on the server for
good. Everything else is a task of Celery, for a place of Galaxy's or to be fetched within a day. A server without it
says yes to the latter for a history and does nothing, so ask `Identity.celery` before (measured on 26.1.2).

Measured on 24.1.4, 25.0.4 and 26.1.2: all of it is the same there, ranges as well; why a task failed is told by 25.0
and 26.1 alone, and no server tells a task that it lost from one that is still to come. Knows no delivery.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from pydantic import Field

from watcher.errors import GalaxyBroken, NotThere, Refused
from watcher.galaxy.answers import Answer, Text
from watcher.galaxy.datasets import AS_IT_IS, PAST_THE_END, pieces_of
from watcher.galaxy.http import Http, Params
from watcher.galaxy.invocation_answers import JobFacts
from watcher.galaxy.jobs import UNDER_WAY
from watcher.galaxy.refusals import not_understood
from watcher.model import HistoryId

EXPORT_HISTORY = "__EXPORT_HISTORY__"
"""The tool behind a history's own archive; its job belongs to that history."""

FAILED, SUCCEEDED = "FAILURE", "SUCCESS"
"""How a task ends."""

WITH_FILES = {"include_files": True, "include_hidden": True, "include_deleted": False}
"""Hidden are the elements of collections, which is most of what a workflow made."""

_PLACES = {"history": "histories", "invocation": "invocations"}


class HistoryArchive(Answer):
    """An archive of a history; one that neither is ready nor being prepared has failed, or its job is still new."""

    path: str = Field(validation_alias="download_url")
    is_ready: bool = Field(validation_alias="ready")
    is_preparing: bool = Field(validation_alias="preparing")


class _Begun(Answer):
    path: Text = Field(default="", validation_alias="download_url")
    is_current: bool = Field(default=False, validation_alias="up_to_date")


class _Task(Answer):
    id: str


class _Prepared(Answer):
    request: str = Field(validation_alias="storage_request_id")
    task: _Task


class _Result(Answer):
    result: Any = None


@dataclass(frozen=True, slots=True)
class Prepared:
    """What is being made to be fetched: the path that it will have, and the task. The path needs no key."""

    path: str
    task: str


class Archives:
    """What Galaxy packs for this account."""

    def __init__(self, http: Http) -> None:
        self._http = http

    async def of_history(self, history: HistoryId) -> list[HistoryArchive]:
        """Return the archives of a history, old ones as well."""
        path = f"/api/histories/{history}/exports"
        return await self._http.get(path, "list archives of a history", list[HistoryArchive])

    async def find(self, history: HistoryId, *, but: Collection[str]) -> str | None:
        """Return the path of an archive that is none of `but`."""
        found = [one.path for one in await self.of_history(history) if one.path not in but]
        return found[-1] if found else None

    async def history_state(self, history: HistoryId, path: str) -> str:
        """Return how an archive of a history stands: FAILED, SUCCEEDED, or nothing while it is made."""
        one = await self._listed(history, path)
        if one is not None and not (one.is_ready or one.is_preparing):
            params: Params = {"history_id": history, "tool_id": EXPORT_HISTORY, "limit": 500}
            jobs = await self._http.get("/api/jobs", "list the jobs of a tool", list[JobFacts], params=params)
            if any(job.state in UNDER_WAY for job in jobs):
                return ""
            one = await self._listed(history, path)  # its job may have begun between the two
        if one is None:
            return FAILED
        return SUCCEEDED if one.is_ready else "" if one.is_preparing else FAILED

    async def _listed(self, history: HistoryId, path: str) -> HistoryArchive | None:
        return next((one for one in await self.of_history(history) if one.path == path), None)

    async def begin(self, history: HistoryId, *, but: Collection[str] = ()) -> str:
        """Let Galaxy make the archive of a history, and return the path that it will have. Repeating it makes no second
        one while nothing in the history changes; then it may be one of `but`, which is as good.
        """
        path = f"/api/histories/{history}/exports"
        begun = await self._http.put_for(path, "make an archive of a history", _Begun, json=WITH_FILES)
        if begun.path and begun.is_current:
            return begun.path
        if (made := await self.find(history, but=but)) is None:
            asked = self._http.asked("PUT", "make an archive of a history")
            raise not_understood(asked, "no archive", status=200, request_id="")
        return made

    async def write(self, what: str, id: str, address: str, format: str) -> str:
        """Let Galaxy write the archive of a history or invocation to a place of its own, and return the task. What is
        there is written over; a place that is not there fails the task alone.
        """
        path, json = f"/api/{_PLACES[what]}/{id}/write_store", {"target_uri": address, "model_store_format": format}
        return (await self._http.post(path, "write an archive", _Task, json={**json, **WITH_FILES})).id

    async def prepare(self, what: str, id: str, format: str) -> Prepared:
        """Let Galaxy make an archive that can be fetched for a while."""
        path, json = f"/api/{_PLACES[what]}/{id}/prepare_store_download", {"model_store_format": format, **WITH_FILES}
        made = await self._http.post(path, "prepare an archive", _Prepared, json=json)
        return Prepared(f"/api/short_term_storage/{made.request}", made.task.id)

    async def is_ready(self, path: str) -> bool:
        """Tell whether a prepared archive can be fetched; no more once its time is over."""
        return await self._http.get(f"{path}/ready", "tell whether an archive is ready", bool)

    async def task_state(self, task: str) -> str:
        """Return how a task stands, in Celery's words: PENDING, SUCCESS, FAILURE and others."""
        return await self._http.get(f"/api/tasks/{task}/state", "tell how a task stands", str)

    async def why_failed(self, task: str) -> str:
        """Return what Galaxy tells of a task that failed, nothing where it tells nothing."""
        try:
            told = await self._http.get(f"/api/tasks/{task}/result", "tell why a task failed", _Result)
        except (GalaxyBroken, NotThere):  # 24.1 has no such address
            return ""
        return told.result if isinstance(told.result, str) else ""

    async def size(self, path: str) -> int:
        """Return how many bytes an archive has; NotThere once it is gone. Galaxy answers no HEAD for one."""
        asked = self._http.asked("GET", "tell the size of an archive")
        headers = {**AS_IT_IS, "range": "bytes=0-0"}
        reply = await self._http.repeat(lambda: self._http.send(asked, path, headers=headers))
        size = reply.headers.get("content-range", "").rpartition("/")[2]
        if not size.isdigit():
            raise not_understood(asked, "no size", status=reply.status, request_id=reply.request_id)
        return int(size)

    @asynccontextmanager
    async def open(self, path: str, offset: int) -> AsyncIterator[AsyncIterator[bytes]]:
        """Open the bytes of an archive from `offset` on; errors as for `Datasets.open`."""
        asked = self._http.asked("GET", "send an archive")
        headers = {**AS_IT_IS, **({"range": f"bytes={offset}-"} if offset else {})}
        try:
            async with self._http.open(asked, path, headers=headers) as response:
                if offset and response.status_code != 206:
                    raise not_understood(asked, "all of it instead of the rest", status=200, request_id="")
                yield pieces_of(response, asked)
        except Refused as error:
            if error.status != PAST_THE_END or not offset:
                raise
            yield _nothing()


async def _nothing() -> AsyncIterator[bytes]:
    no_pieces: tuple[bytes, ...] = ()
    for piece in no_pieces:
        yield piece
