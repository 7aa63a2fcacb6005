"""Upload sessions become datasets: one request, one job, any number of files.

Everything a caller must not trust (measured on 24.1.4 to 26.1.2): Galaxy takes a session whose bytes are not all there,
and the job is `ok` whatever became of the files. So the caller compares offset and size before, and reads every dataset
afterwards. Uploads go to the history itself, never straight into a collection, where a wrong hash is swallowed; see
`collections.py`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from watcher.errors import AnswerLost
from watcher.galaxy.answers import Answer
from watcher.galaxy.features import SHA256, Features
from watcher.galaxy.http import Http
from watcher.model import DatasetId, HistoryId, JobId


@dataclass(frozen=True, slots=True)
class FetchElement:
    """A file to register: `session` holds its bytes; `sha256` is empty when unknown, `dbkey` for Galaxy's own."""

    name: str
    ext: str
    session: str = field(repr=False)
    tags: tuple[str, ...] = ()
    sha256: str = ""
    size: int = 0
    dbkey: str = ""


@dataclass(frozen=True, slots=True)
class FetchReceipt:
    """What Galaxy made of a request: the job, and the datasets in the order of the elements."""

    job_id: JobId
    dataset_ids: tuple[DatasetId, ...]


class _Made(Answer):
    id: str
    name: str = ""


class _FetchAnswer(Answer):
    outputs: tuple[_Made, ...]
    jobs: tuple[_Made, ...]


class Fetch:
    """Registers uploads of the account."""

    def __init__(self, http: Http, features: Callable[[], Awaitable[Features]]) -> None:
        self._http = http
        self._features = features

    async def register(self, history: HistoryId, elements: Sequence[FetchElement]) -> FetchReceipt:
        """Make datasets of uploads, each with its own name, extension and tags, bytes untouched.

        Raises AnswerLost when they may have been made: look for the tags. A session is used up by it.
        """
        purpose = "make datasets of uploads"
        secrets = [element.session for element in elements]
        features = await self._features()
        json: dict[str, Any] = {
            "history_id": history,
            "targets": [
                {"destination": {"type": "hdas"}, "elements": [_element(element, features) for element in elements]},
            ],
        }
        for number, element in enumerate(elements):
            json[f"files_{number}|file_data"] = {"session_id": element.session, "name": element.name}
        answer = await self._http.post("/api/tools/fetch", purpose, _FetchAnswer, json=json, secrets=secrets)
        names = [made.name for made in answer.outputs]
        if names != [element.name for element in elements] or not answer.jobs:
            raise AnswerLost(
                f"Galaxy at {self._http.account.shown} made other datasets than it was asked for: "
                f"{len(names)} for {len(elements)} files.",
                hint="The watcher looks for them by their tags.",
            )
        return FetchReceipt(JobId(answer.jobs[0].id), tuple(DatasetId(made.id) for made in answer.outputs))


def _element(element: FetchElement, features: Features) -> dict[str, Any]:
    described: dict[str, Any] = {
        "src": "files",
        "name": element.name,
        "ext": element.ext,
        "tags": list(element.tags),
        "created_from_basename": element.name,
        "auto_decompress": False,
        "to_posix_lines": False,
        "space_to_tab": False,
    }
    if element.dbkey:
        described["dbkey"] = element.dbkey
    if element.sha256 and features.fetch_hashes:
        described["hashes"] = [{"hash_function": SHA256, "hash_value": element.sha256}]
    return described
