"""Older releases answer as they were measured to answer."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fakes.galaxy import FakeGalaxy
from tests.fakes_test.raw_galaxy import CONNECTED, Json, RawGalaxy, fastq, sha256

CONTENT = fastq(10)
NESTED: Json = {
    "class": "GalaxyWorkflow",
    "label": "Outer",
    "inputs": {"Reads": {"type": "data"}},
    "outputs": {"counts": {"outputSource": "count/counts"}, "end": {"outputSource": "inner/inner end"}},
    "steps": {
        "count": {"tool_id": "count_reads", "in": {"reads": "Reads"}, "state": {"minlen": 0}},
        "inner": {
            "in": {"Table": "count/counts"},
            "run": {
                "class": "GalaxyWorkflow",
                "label": "Inner",
                "inputs": {"Table": {"type": "data"}},
                "outputs": {"inner end": {"outputSource": "wait/out"}},
                "steps": {
                    "wait": {
                        "tool_id": "wait_then_exit",
                        "in": {"infile": "Table"},
                        "state": {"seconds": 0, "code": 3},
                    }
                },
            },
        },
    },
}


@pytest.fixture(params=["24.1.4", "25.0.4", "26.1.2"])
def fake(request: pytest.FixtureRequest) -> Iterator[FakeGalaxy]:
    """Give one server of each release."""
    with FakeGalaxy(request.param, job_seconds=0.02) as server:
        yield server
        assert server.engine.problems == []


def test_hashes_are_known_from_24_2_on(fake: FakeGalaxy) -> None:
    """24.1 refuses a whole request because of one claimed hash; later ones verify it."""
    galaxy = RawGalaxy(fake.url, fake.key)
    history = galaxy.new_history("h")
    body = galaxy.fetch_body(history, [("a.fastq.gz", CONTENT, "fastqsanger.gz", sha256(CONTENT))])
    answer = galaxy.call("POST", "/api/tools/fetch", json=body)
    if fake.version == "24.1.4":
        assert answer.status_code == 400
        assert "Extra inputs are not permitted" in answer.json()["err_msg"]
    else:
        assert answer.status_code == 200


def test_server_hashes_come_late_and_from_25_0_on(fake: FakeGalaxy) -> None:
    """Without a claimed hash the server makes its own, from 25.0 on, after the dataset is ok."""
    galaxy = RawGalaxy(fake.url, fake.key)
    body = galaxy.fetch_body(galaxy.new_history("h"), [("a.fastq.gz", CONTENT, "fastqsanger.gz", "")])
    dataset = galaxy.post("/api/tools/fetch", body)["outputs"][0]["id"]
    galaxy.wait(f"/api/datasets/{dataset}", ("ok",))
    if fake.version == "24.1.4":
        galaxy.call("PUT", f"/api/datasets/{dataset}/hash", json={"hash_function": "SHA-256"})

    def hashes() -> list[str]:
        return [one["hash_value"] for one in galaxy.get(f"/api/datasets/{dataset}")["hashes"]]

    fake.wait_until(lambda: hashes() == [sha256(CONTENT)])


def test_old_servers_append_at_any_offset(fake: FakeGalaxy) -> None:
    """Below 26.0 a PATCH at a wrong offset is appended, which spoils the file."""
    galaxy = RawGalaxy(fake.url, fake.key)
    session = galaxy.open_session(8, "x.txt")
    galaxy.tus("PATCH", session, b"abcde", Upload_Offset="0")
    wrong = galaxy.tus("PATCH", session, b"XYZ", Upload_Offset="0")
    if fake.version == "26.1.2":
        assert wrong.status_code == 409
        return
    assert (wrong.status_code, wrong.headers["upload-offset"]) == (204, "8")
    stored = next((fake.state.folder / "tus").iterdir())
    assert stored.read_bytes() == b"abcdeXYZ"


def test_outer_counts_miss_subworkflows_below_26(fake: FakeGalaxy) -> None:
    """Below 26.0 the outer counts say ok while the inner job failed; the inner invocation tells."""
    galaxy = RawGalaxy(fake.url, fake.key)
    history = galaxy.new_history("h")
    body = galaxy.fetch_body(history, [("a.fastq.gz", CONTENT, "fastqsanger.gz", "")])
    dataset = galaxy.post("/api/tools/fetch", body)["outputs"][0]["id"]
    workflow = fake.import_workflow(NESTED)
    outer = galaxy.invoke(workflow, history, Reads={"src": "hda", "id": dataset})["id"]
    fake.wait_idle()
    row = galaxy.get(f"/api/invocations/{outer}")
    new = fake.version == "26.1.2"
    assert row["state"] == ("completed" if new else "scheduled")
    inner = next(step["subworkflow_invocation_id"] for step in row["steps"] if step["subworkflow_invocation_id"])
    many = galaxy.get(
        f"/api/histories/{history}/jobs_summary",
        ids=f"{outer},{inner}",
        types="WorkflowInvocation,WorkflowInvocation",
    )
    states = {one["id"]: one["states"] for one in many}
    assert states[outer] == ({"ok": 1, "error": 1} if new else {"ok": 1})
    assert states[inner] == {"error": 1}
    assert sorted(row["outputs"]) == ["counts", "end"]
    assert len(galaxy.get("/api/jobs", invocation_id=outer)) == 1
    listed = galaxy.get("/api/invocations", history_id=history)
    assert {one["id"] for one in listed} == {outer, inner}
    own = galaxy.get("/api/invocations", history_id=history, include_nested_invocations="false")
    assert [one["id"] for one in own] == [outer]
    single = galaxy.get(f"/api/invocations/{outer}/jobs_summary")
    assert (single["id"] == outer) is (fake.version != "24.1.4")
    completion = galaxy.call("GET", f"/api/invocations/{outer}/completion")
    assert completion.status_code == (200 if new else 404)


def test_pairs_are_taken_as_a_whole(fake: FakeGalaxy) -> None:
    """A tool for pairs gives one result per sample of a list of pairs; one for many files takes all at once."""
    galaxy = RawGalaxy(fake.url, fake.key)
    history = galaxy.new_history("h")
    files = [(f"{name}.fastq.gz", CONTENT, "fastqsanger.gz", "") for name in "abcd"]
    fetched = galaxy.post("/api/tools/fetch", galaxy.fetch_body(history, files))
    ids = [output["id"] for output in fetched["outputs"]]
    samples = [
        {
            "name": f"s{index}",
            "src": "new_collection",
            "collection_type": "paired",
            "element_identifiers": [
                {"name": "forward", "src": "hda", "id": ids[2 * index]},
                {"name": "reverse", "src": "hda", "id": ids[2 * index + 1]},
            ],
        }
        for index in range(2)
    ]
    pairs = galaxy.post(
        "/api/dataset_collections",
        {"collection_type": "list:paired", "name": "p", "history_id": history, "element_identifiers": samples},
    )["id"]
    workflow = fake.import_workflow(
        {
            "class": "GalaxyWorkflow",
            "label": "Pairs",
            "inputs": {"Pairs": {"type": "collection", "collection_type": "list:paired"}},
            "outputs": {"pair counts": {"outputSource": "pairs/counts"}, "all": {"outputSource": "join/joined"}},
            "steps": {
                "pairs": {"tool_id": "count_pairs", "in": {"pair": "Pairs"}, "state": {"pair": CONNECTED}},
                "join": {"tool_id": "join_files", "in": {"files": "pairs/counts"}},
            },
        }
    )
    invocation = galaxy.invoke(workflow, history, Pairs={"src": "hdca", "id": pairs})["id"]
    fake.wait_idle()
    row = galaxy.get(f"/api/invocations/{invocation}")
    counts = galaxy.get(f"/api/dataset_collections/{row['output_collections']['pair counts']['id']}")
    assert counts["collection_type"] == "list"
    assert [one["element_identifier"] for one in counts["elements"]] == ["s0", "s1"]
    joined = galaxy.call("GET", f"/api/datasets/{row['outputs']['all']['id']}/display").text
    assert joined == "forward\t10\nreverse\t10\n" * 2
