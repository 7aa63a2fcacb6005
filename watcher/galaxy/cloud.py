"""Galaxy's own way into clouds, as servers up to 24.1 have it: datasets sent to a bucket with an authorization that the
account has left there.

Each dataset is a job of Galaxy's tool, made before the request is answered. The objects are called as the datasets are,
blanks as `_`. Measured on 24.1.4: without OpenID Connect set up the answer is a bare 500, and nothing is begun; 24.2
and later do not know the addresses. From the source of 24.1: what the request calls ids of datasets are those that a
dataset shares with its copies (`stored_id`), and the tool ends well even when it could not send. Knows no delivery.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from watcher.galaxy.answers import Answer, Text
from watcher.galaxy.exports import ANSWER_S, Exports, told_value
from watcher.galaxy.http import Http
from watcher.galaxy.invocation_answers import JobFacts
from watcher.model import DatasetId, HistoryId, JobId

SEND_TOOL = "send_to_cloud"
FINISHED, FAILED_TO = "Finished successfully", "Failed to"
"""What the tool says at its end, and of each thing that went wrong before."""


class Authorization(Answer):
    """An authorization that the account has left in Galaxy."""

    id: str
    provider: Text = ""
    description: Text = ""


class _Sent(Answer):
    sent_dataset_labels: tuple[str, ...] = ()
    failed_dataset_labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of a request: the jobs by the names of the objects, and why others were not begun."""

    jobs: Mapping[str, JobId] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)


def label_of(name: str) -> str:
    """Return how the object of a dataset is called."""
    return name.replace(" ", "_")


def was_sent(job: JobFacts) -> bool:
    """Tell whether a job of the tool that has ended has sent its dataset; its state does not tell."""
    return job.state == "ok" and FINISHED in job.stdout and FAILED_TO not in job.stdout


class Cloud:
    """The buckets that Galaxy knows the way to, for this account."""

    def __init__(self, http: Http, exports: Exports) -> None:
        self._http = http
        self._exports = exports

    async def authorizations(self) -> list[Authorization]:
        """Return the authorizations of the account."""
        return await self._http.get("/api/cloud/authz", "list its cloud authorizations", list[Authorization])

    async def send(
        self, history: HistoryId, authz_id: str, bucket: str, stored_ids: Collection[str], *, overwrite: bool
    ) -> Sent:
        """Let Galaxy send datasets of a history, named by `stored_id`, never all of it. Never ask twice: an object that
        is there gets a second one beside it. Raises AnswerLost, or GalaxyBroken, when it may have begun: `find` tells.
        """
        body = {
            "history_id": history,
            "authz_id": authz_id,
            "bucket": bucket,
            "dataset_ids": list(stored_ids),
            "overwrite_existing": overwrite,
        }
        path, purpose = "/api/cloud/storage/send", "send datasets to a bucket"
        answer = await self._http.post(path, purpose, _Sent, json=body, read_s=ANSWER_S)
        begun = [_row(one) for one in answer.sent_dataset_labels]
        failed = [_row(one) for one in answer.failed_dataset_labels]
        return Sent(
            {str(one.get("object")): JobId(str(one.get("job_id"))) for one in begun},
            {str(one.get("object")): str(one.get("error")) for one in failed},
        )

    async def find(
        self, history: HistoryId, authz_id: str, bucket: str, datasets: Collection[DatasetId], *, but: Collection[str]
    ) -> dict[DatasetId, JobId]:
        """Return the newest jobs that send these datasets of a history to the bucket, none of `but`."""
        found: dict[DatasetId, JobId] = {}
        for job in await self._exports.jobs_of(history, SEND_TOOL):
            if job in but:
                continue
            asked = await self._exports.asked(job)
            dataset = DatasetId(str((asked.inputs.get("filename") or {}).get("id")))
            place = (told_value(asked.params.get("bucket")), told_value(asked.params.get("authz_id")))
            if dataset in datasets and place == (bucket, authz_id):
                found.setdefault(dataset, job)
        return found


def _row(text: str) -> Mapping[str, Any]:
    """Return what a text of the answer stands for: each is JSON once more."""
    try:
        row = json.loads(text)
    except ValueError:
        row = None
    return row if isinstance(row, dict) else {"object": text}
