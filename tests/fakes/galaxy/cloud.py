"""The cloud storage API of servers up to 24.1; a bucket is a folder.

Without OpenID Connect the answer is what was measured on 24.1.4: a bare 500, before anything is begun. What comes with
it, and what the tool says, is read from the source of 24.1.4.
"""

from __future__ import annotations

import json
from typing import Any

from starlette.responses import JSONResponse, PlainTextResponse, Response

from tests.fakes.galaxy.ids import encode
from tests.fakes.galaxy.state import Dataset, History, Job
from tests.fakes.galaxy.tools import SEND_TO_CLOUD
from tests.fakes.galaxy.web import Call, Refusal, not_found_page, route

Json = dict[str, Any]


def list_authorizations(call: Call) -> list[Json] | Response:
    """List the authorizations of the account."""
    if not call.world.behaviour.has_cloud:
        return not_found_page(call.request.url.path)
    call.need_user()
    return [
        {"model_class": "CloudAuthz", "id": encode(number), "provider": "aws", "config": {}, "description": name}
        for number, name in enumerate(call.world.clouds.authorizations, start=1)
    ]


def send(call: Call) -> Response:
    """Begin a job for each dataset of the history whose stored file is named; all of it when none is."""
    if not call.world.behaviour.has_cloud:
        return not_found_page(call.request.url.path)
    user, world, body = call.need_user(), call.world, call.body
    for name in ("history_id", "authz_id", "bucket"):
        if not body.get(name):
            raise Refusal(400, 400007, f"The required `{name}` is missing")
    if not world.clouds.has_oidc:
        return PlainTextResponse("Internal Server Error", 500)
    history = call.history(body["history_id"], own=True)
    wanted = {call.number(one) for one in body["dataset_ids"]} if body.get("dataset_ids") is not None else None
    begun = []
    for kind, number in list(history.contents):
        row = world.datasets.get(number) if kind == "dataset" else None
        if row is None or row.deleted or row.file.state != "ok":
            continue
        if wanted is None or row.file.number in wanted:
            job = _begin(call, user.number, history, row)
            begun.append(json.dumps({"object": job.params["object_label"], "job_id": encode(job.number)}))
    answer = {"sent_dataset_labels": begun, "failed_dataset_labels": [], "bucket_name": body["bucket"]}
    return JSONResponse(answer)


def _begin(call: Call, user: int, history: History, row: Dataset) -> Job:
    world, tool = call.world, SEND_TO_CLOUD
    job = Job(world.next_number("job"), tool.id, tool.version, user, history.number)
    job.inputs["filename"] = [row.number]
    job.params = {
        "authz_id": str(call.body["authz_id"]),
        "bucket": str(call.body["bucket"]),
        "object_label": row.name.replace(" ", "_"),
        "overwrite_existing": bool(call.body.get("overwrite_existing")),
    }
    log = world.add_dataset(history, f"Send to cloud on data {row.hid}", ext="data", state="new")
    log.file.job = job.number
    job.outputs["output"] = log.number
    world.add_job(job)
    call.engine.submit(job)
    return job


ROUTES = [
    route("/api/cloud/authz", "GET", list_authorizations),
    route("/api/cloud/storage/send", "POST", send),
]
