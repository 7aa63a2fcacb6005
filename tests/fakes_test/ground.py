"""What every test finds on a server: a history with uploads, collections, workflows and finished invocations."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from tests.fakes_test.raw_galaxy import Json, RawGalaxy, counting_workflow, fastq, sha256

FIRST, SECOND = fastq(20), fastq(40)
WRONG = "0" * 64


@dataclass(frozen=True)
class Ground:
    """The ids of what was made, and the answers on the way."""

    galaxy: RawGalaxy
    mark: str
    history: str
    fetched: Json
    datasets: tuple[str, str, str]
    plain_list: str
    nested: Json
    workflow: Json
    mapped: str
    single: str

    @property
    def upload_job(self) -> str:
        """The job of the upload."""
        return str(self.fetched["jobs"][0]["id"])


def lay_ground(galaxy: RawGalaxy) -> Ground:
    """Upload three files (one with a wrong hash), build two collections, run a workflow on a list and on one file."""
    mark = f"contract:{uuid.uuid4().hex[:12]}"
    history = galaxy.new_history("contract", mark, "other")
    files = [
        ("one.fastq.gz", FIRST, "fastqsanger.gz", sha256(FIRST)),
        ("two.fastq.gz", SECOND, "fastqsanger.gz", sha256(SECOND)),
        ("bad.fastq.gz", FIRST, "fastqsanger.gz", WRONG),
    ]
    fetched: Json = galaxy.post("/api/tools/fetch", galaxy.fetch_body(history, files))
    first, second, bad = (str(output["id"]) for output in fetched["outputs"])
    galaxy.wait(f"/api/jobs/{fetched['jobs'][0]['id']}", ("ok", "error"))
    for dataset in (first, second, bad):
        galaxy.wait(f"/api/datasets/{dataset}", ("ok", "error"))
        galaxy.call("PUT", f"/api/datasets/{dataset}/permissions", json={"action": "remove_restrictions"})
    plain_list = galaxy.list_of(history, "plain", [first, second])
    pair = [{"name": "forward", "src": "hda", "id": first}, {"name": "reverse", "src": "hda", "id": second}]
    nested = galaxy.post(
        "/api/dataset_collections",
        {
            "collection_type": "list:paired",
            "name": "nested",
            "history_id": history,
            "instance_type": "history",
            "element_identifiers": [
                {"name": "s1", "src": "new_collection", "collection_type": "paired", "element_identifiers": pair}
            ],
        },
    )
    workflow = galaxy.post(
        "/api/workflows", {"workflow": counting_workflow(f"Counting {mark.partition(':')[2]}", exit_code=3)}
    )
    mapped = galaxy.invoke(workflow["id"], history, Reads={"src": "hdca", "id": plain_list}, minlen=7)["id"]
    single = galaxy.invoke(workflow["id"], history, Reads={"src": "hda", "id": first})["id"]
    for invocation in (mapped, single):
        galaxy.wait(f"/api/invocations/{invocation}", ("completed", "failed", "cancelled"))
    return Ground(galaxy, mark, history, fetched, (first, second, bad), plain_list, nested, workflow, mapped, single)
