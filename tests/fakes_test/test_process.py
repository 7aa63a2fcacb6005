"""The fake Galaxy as others use it: in a process of its own, with bioblend, with a thousand datasets."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from bioblend.galaxy import GalaxyInstance

from tests.fakes.galaxy import FakeGalaxy
from tests.fakes_test.raw_galaxy import Json, RawGalaxy, sha256

ROOT = Path(__file__).parents[2]


@contextmanager
def process(folder: Path, *more: str) -> Iterator[Json]:
    """Run the fake in a process until the end of the block."""
    command = [sys.executable, "-m", "tests.fakes.galaxy", "--state", str(folder), "--job-seconds", "0.02", *more]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        yield json.loads(running.stdout.readline())
        running.terminate()
        assert running.wait(10) == 0


def test_process_keeps_its_state(tmp_path: Path) -> None:
    """A fake in a process is controlled by HTTP, and the next process on the same folder knows all of it."""
    with process(tmp_path) as place:
        galaxy = RawGalaxy(place["url"], place["key"])
        fault = httpx.post(
            f"{place['url']}/_fake/faults", json={"kind": "lose_answer", "method": "POST", "path": "/api/histories"}
        ).json()
        with pytest.raises(httpx.TransportError):
            galaxy.post("/api/histories", {"name": "kept"})
        look = httpx.get(f"{place['url']}/_fake/faults/{fault['number']}", params={"wait": 5}).json()
        assert look == {"hits": 1, "used_up": True}
        state = httpx.get(f"{place['url']}/_fake/state").json()
        assert [row["name"] for row in state["histories"]] == ["kept"]
        history = state["histories"][0]["id"]
        body = galaxy.fetch_body(history, [("a.txt", b"a\n", "txt", "")])
        galaxy.post("/api/tools/fetch", body)
        httpx.post(f"{place['url']}/_fake/act", json={"action": "wait_idle"}).raise_for_status()
        session = galaxy.upload(b"0123456789", "b.txt", part=4)
    with process(tmp_path) as place:
        again = RawGalaxy(place["url"], place["key"])
        assert place["key"] == galaxy.key
        assert [row["name"] for row in again.get("/api/histories")] == ["kept"]
        assert again.tus("HEAD", session).headers["upload-offset"] == "4"
        state = httpx.get(f"{place['url']}/_fake/state").json()
        assert [(row["state"], row["sha256"]) for row in state["datasets"]] == [("ok", sha256(b"a\n"))]
        assert session not in json.dumps(state)
        assert galaxy.key not in json.dumps(state)


def test_bioblend_lists_histories_and_datasets() -> None:
    """The client library people use works with the fake."""
    with FakeGalaxy(job_seconds=0.02) as fake:
        galaxy = RawGalaxy(fake.url, fake.key)
        history = galaxy.new_history("mine", "watcher:x")
        body = galaxy.fetch_body(history, [("a.txt", b"a\n", "txt", "")])
        dataset = galaxy.post("/api/tools/fetch", body)["outputs"][0]["id"]
        fake.wait_idle()
        instance = GalaxyInstance(fake.url, fake.key)
        assert [row["name"] for row in instance.histories.get_histories()] == ["mine"]
        assert instance.histories.show_history(history)["tags"] == ["watcher:x"]
        assert [row["id"] for row in instance.histories.show_history(history, contents=True)] == [dataset]
        assert instance.datasets.show_dataset(dataset)["state"] == "ok"
        assert instance.datasets.download_dataset(dataset) == b"a\n"
        assert instance.users.get_current_user()["email"] == "watcher@example.org"
        assert instance.config.get_version()["version_major"] == "26.1"
        workflow = instance.workflows.import_workflow_dict(
            {"name": "w", "steps": {}, "a_galaxy_workflow": "true", "format-version": "0.1"}
        )
        assert instance.workflows.show_workflow(workflow["id"])["name"] == "w"
        assert instance.invocations.get_invocations() == []


def test_a_thousand_datasets_are_no_burden() -> None:
    """A server is up in seconds, takes a thousand datasets in one fetch, and keeps their bytes on disk."""
    start = time.monotonic()
    with FakeGalaxy(job_seconds=0.02) as fake:
        assert time.monotonic() - start < 5
        galaxy = RawGalaxy(fake.url, fake.key)
        history = galaxy.new_history("many")
        with httpx.Client(base_url=fake.url, headers={"x-api-key": fake.key}) as client:
            body: Json = {"history_id": history}
            elements = []
            for index in range(1000):
                metadata = {"Upload-Length": "2", "Upload-Metadata": "filename YQ==,filetype YQ=="}
                made = client.post("/api/upload/resumable_upload", headers={"Tus-Resumable": "1.0.0", **metadata})
                session = made.headers["location"].rpartition("/")[2]
                sent = {"Tus-Resumable": "1.0.0", "Upload-Offset": "0"}
                client.patch(f"/api/upload/resumable_upload/{session}", headers=sent, content=b"a\n")
                body[f"files_{index}|file_data"] = {"session_id": session, "name": f"f{index}"}
                elements.append({"src": "files", "name": f"f{index}", "ext": "txt"})
            body["targets"] = [{"destination": {"type": "hdas"}, "elements": elements}]
            fetched = client.post("/api/tools/fetch", json=body).json()
            assert len(fetched["outputs"]) == 1000
            fake.wait_idle()
            rows = client.get(f"/api/histories/{history}/contents", params={"v": "dev", "keys": "file_size"}).json()
        assert {(row["state"], row["file_size"]) for row in rows} == {("ok", 2)}
        assert len(list((fake.state.folder / "files").iterdir())) == 1000
        folder = fake.state.folder
    assert not folder.exists()
