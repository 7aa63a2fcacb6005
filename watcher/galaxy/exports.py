"""What Galaxy writes to places by itself: datasets under names of ours, by its tool, and the looks that prove it.

A place is a folder of a file source (`gxfiles://ID/folder`): something that Galaxy knows the way to, and nobody else.
The tool tells in no answer what it wrote, so the listing of the place does. Archives are in `archives.py`. Knows no
delivery.

Measured on 24.1.4, 25.0.4 and 26.1.2: files are written over without a word, so look before; a source that is not there
is 400 when the tool is asked for, a folder that is not there 404 when it is listed, and a source of an account that is
not there a bare 500. On 24.1.4 every letter of the folder that is not plain becomes an X; the names are kept.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from pydantic import Field

from watcher.errors import NotThere
from watcher.galaxy.answers import Answer, Number, Text
from watcher.galaxy.http import Http, Params
from watcher.galaxy.invocation_answers import JobFacts
from watcher.model import DatasetId, HistoryId, JobId

EXPORT_TOOL = "export_remote"
LONGEST_NAME = 255
"""Characters of a name, with its folders, that the tool takes."""

PAGE = 500
ANSWER_S = 300.0
"""Galaxy answers once each of the datasets is looked at."""

PLAIN = re.compile(r"[A-Za-z0-9 ._/:=-]*")

Wanted = Mapping[str, DatasetId]
"""Datasets by the names they get: paths below the place."""


class FileSource(Answer):
    """A file source that the account may look into."""

    id: str
    label: Text = ""
    is_writable: bool = Field(default=False, validation_alias="writable")
    root: Text = Field(default="", validation_alias="uri_root")


class _Entry(Answer):
    uri: str
    kind: str = Field(validation_alias="class")
    size: Number = 0


class _Ran(Answer):
    jobs: tuple[JobFacts, ...] = Field(min_length=1)


class AskedFor(Answer):
    """What a job was asked for; its inputs are datasets by parameter name."""

    params: Mapping[str, Any] = {}
    inputs: Mapping[str, Any] = {}


class Exports:
    """Galaxy's own ways out, for this account."""

    def __init__(self, http: Http) -> None:
        self._http = http

    async def sources(self) -> list[FileSource]:
        """Return the file sources that can be looked into."""
        return await self._http.get("/api/remote_files/plugins", "list its file sources", list[FileSource])

    async def has_tool(self, tool_id: str) -> bool:
        """Tell whether a tool of Galaxy's own is installed."""
        try:
            await self._http.get(f"/api/tools/{quote(tool_id)}", "look for a tool", _Tool)
        except NotThere:
            return False
        return True

    async def listing(self, place: str) -> dict[str, int]:
        """Return the files at a place with their sizes in bytes, by their path below it; of a folder that is not there
        none. Raises Refused when Galaxy does not know the source.
        """
        params: Params = {"target": place, "format": "uri", "recursive": True}
        try:
            rows = await self._http.get("/api/remote_files", "list files of a file source", list[_Entry], params=params)
        except NotThere:
            return {}
        start = f"{place.rstrip('/')}/"
        return {row.uri.removeprefix(start): row.size for row in rows if row.kind == "File"}

    async def write(self, history: HistoryId, place: str, wanted: Wanted) -> JobId:
        """Let Galaxy write datasets of the account to a place, and return the job that does, in this history. Raises
        AnswerLost when it may have begun: `find_write` tells.

        What has one of the names there is written over. Indexes and files beside a dataset are left where they are.
        """
        folder, names = _split(place, wanted)
        inputs: dict[str, Any] = {
            "export_type|export_type_selector": "datasets_named",
            "d_uri": folder,
            "include_metadata_files": False,
        }
        for number, (name, dataset) in enumerate(names):
            inputs[f"export_type|datasets_{number}|infile"] = {"values": [{"src": "hda", "id": dataset}]}
            inputs[f"export_type|datasets_{number}|name"] = name
        body = {"tool_id": EXPORT_TOOL, "history_id": history, "inputs": inputs}
        ran = await self._http.post("/api/tools", "write results to a place", _Ran, json=body, read_s=ANSWER_S)
        return ran.jobs[0].id

    async def find_write(
        self, history: HistoryId, place: str, wanted: Wanted, *, but: Collection[str] = ()
    ) -> JobId | None:
        """Return the newest job in this history that writes just this to this place, none of `but`."""
        folder, names = _split(place, wanted)
        for job in await self.jobs_of(history, EXPORT_TOOL):
            if job in but:
                continue
            asked = await self.asked(job)
            chosen = told_value(asked.params.get("export_type"))
            told = [str(one.get("name")) for one in chosen.get("datasets", ())] if isinstance(chosen, dict) else []
            inputs = [
                str((asked.inputs.get(f"export_type|datasets_{number}|infile") or {}).get("id"))
                for number in range(len(told))
            ]
            if told_value(asked.params.get("d_uri")) == folder and list(zip(told, inputs, strict=True)) == names:
                return job
        return None

    async def jobs_of(self, history: HistoryId, tool_id: str) -> list[JobId]:
        """Return the jobs of a tool in a history, newest first."""
        params: Params = {"history_id": history, "tool_id": tool_id, "limit": PAGE}
        rows = await self._http.get("/api/jobs", "list the jobs of a tool", list[JobFacts], params=params)
        return [row.id for row in sorted(rows, key=lambda row: row.create_time, reverse=True)]

    async def asked(self, job: JobId) -> AskedFor:
        """Return what a job was asked for; its parameters are read by `told_value`."""
        return await self._http.get(f"/api/jobs/{job}", "read a job", AskedFor, params={"full": True})


class _Tool(Answer):
    id: Text = ""


def _split(place: str, wanted: Wanted) -> tuple[str, Sequence[tuple[str, str]]]:
    """Return the folder that the tool is told, and the names below it, in order. What of the folder is not plain is
    told with the names, where every version takes it as it is.
    """
    folder, below = place.rstrip("/"), ""
    if not PLAIN.fullmatch(folder):
        scheme, _, rest = folder.partition("://")
        source, _, inner = rest.partition("/")
        folder, below = f"{scheme}://{source}", f"{inner}/" if inner else ""
    return folder, sorted((f"{below}{name}", str(dataset)) for name, dataset in wanted.items())


def longest_name(place: str, names: Collection[str]) -> str:
    """Return a name that the tool does not take for its length at this place, or nothing."""
    _, told = _split(place, dict.fromkeys(names, DatasetId("")))
    return next((name for name, _ in told if len(name) > LONGEST_NAME), "")


def told_value(value: Any) -> Any:
    """Return what a parameter of a job stands for: Galaxy shows each as JSON in a text."""
    try:
        return json.loads(value)
    except (TypeError, ValueError):
        return value
