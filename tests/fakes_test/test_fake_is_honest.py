"""The fake Galaxy and a real one, asked the same things by raw HTTP: what these tests say holds for both."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.fakes_test.ground import FIRST, SECOND, WRONG, Ground
from tests.fakes_test.raw_galaxy import RawGalaxy, counting_workflow, fastq, sha256, shape

UNKNOWN_ID = "0123456789abcdef"


def refusal(answer: httpx.Response) -> tuple[int, int]:
    """Give status and Galaxy's code of a refusal."""
    return answer.status_code, answer.json()["err_code"]


def read_paths(ground: Ground) -> dict[str, tuple[str, dict[str, Any]]]:
    """Name the reads whose answers must have the same keys on both servers."""
    history, (first, _, bad) = ground.history, ground.datasets
    invocation = ground.mapped
    return {
        "version": ("/api/version", {}),
        "account": ("/api/users/current", {}),
        "usage": ("/api/users/{user}/usage", {}),
        "default permissions": ("/api/users/{user}/permissions/inputs", {}),
        "history": (f"/api/histories/{history}", {}),
        "history keys": (f"/api/histories/{history}", {"keys": "id,name,tags,annotation,deleted,purged"}),
        "histories by tag": ("/api/histories", {"q": "tag", "qv": ground.mark}),
        "contents": (f"/api/histories/{history}/contents", {"v": "dev", "limit": 3}),
        "contents keys": (f"/api/histories/{history}/contents", {"v": "dev", "limit": 3, "keys": "id,file_size,tags"}),
        "contents detailed": (f"/api/histories/{history}/contents", {"v": "dev", "view": "detailed", "limit": 1}),
        "collections in contents": (
            f"/api/histories/{history}/contents",
            {"v": "dev", "q": "history_content_type-eq", "qv": "dataset_collection"},
        ),
        "dataset": (f"/api/datasets/{first}", {}),
        "dataset in error": (f"/api/datasets/{bad}", {}),
        "dataset summary": (f"/api/datasets/{first}", {"view": "summary"}),
        "collection": (f"/api/dataset_collections/{ground.nested['id']}", {}),
        "collection in history": (
            f"/api/histories/{history}/contents/dataset_collections/{ground.nested['id']}",
            {},
        ),
        "workflow": (f"/api/workflows/{ground.workflow['id']}", {}),
        "workflows": ("/api/workflows", {"search": f"name:{ground.mark.partition(':')[2]}"}),
        "tool": ("/api/tools/count_reads", {}),
        "invocation": (f"/api/invocations/{invocation}", {}),
        "invocation with step details": (f"/api/invocations/{invocation}", {"step_details": "true"}),
        "single invocation": (f"/api/invocations/{ground.single}", {}),
        "invocations of a history": ("/api/invocations", {"history_id": history, "view": "element", "limit": 100}),
        "invocations": ("/api/invocations", {"history_id": history}),
        "completion": (f"/api/invocations/{invocation}/completion", {}),
        "request": (f"/api/invocations/{invocation}/request", {}),
        "counts": (f"/api/invocations/{invocation}/jobs_summary", {}),
        "step counts": (f"/api/invocations/{invocation}/step_jobs_summary", {}),
        "counts of many": (
            f"/api/histories/{history}/jobs_summary",
            {"ids": f"{invocation},{ground.single}", "types": "WorkflowInvocation,WorkflowInvocation"},
        ),
        "jobs": ("/api/jobs", {"invocation_id": invocation}),
        "upload job": (f"/api/jobs/{ground.upload_job}", {}),
        "upload job in full": (f"/api/jobs/{ground.upload_job}", {"full": "true"}),
    }


SHAPED = [
    "version", "account", "usage", "default permissions", "history", "history keys", "histories by tag", "contents",
    "contents keys", "contents detailed", "collections in contents", "dataset", "dataset in error", "dataset summary",
    "collection", "collection in history", "workflow", "workflows", "tool", "invocation",
    "invocation with step details", "single invocation", "invocations of a history", "invocations", "completion",
    "request", "counts", "step counts",
    "counts of many", "jobs", "upload job", "upload job in full",
]  # fmt: skip


def read(ground: Ground, name: str) -> Any:
    """Get one of the reads."""
    path, params = read_paths(ground)[name]
    if "{user}" in path:
        path = path.format(user=ground.galaxy.get("/api/users/current")["id"])
    return ground.galaxy.get(path, **params)


@pytest.mark.real
@pytest.mark.timeout(180)
@pytest.mark.parametrize("name", SHAPED)
def test_answers_have_the_same_keys_and_kinds(fake_ground: Ground, real_ground: Ground, name: str) -> None:
    """Each read has the same keys with the same kinds of values on the fake and on the real server."""
    assert shape(read(fake_ground, name)) == shape(read(real_ground, name))


def test_all_reads_are_compared(fake_ground: Ground) -> None:
    """No read is left out of the comparison, and all of them work on the fake."""
    assert sorted(read_paths(fake_ground)) == sorted(SHAPED)
    for name in SHAPED:
        assert read(fake_ground, name)


@pytest.mark.real
@pytest.mark.timeout(180)
def test_fetch_and_collection_answers_have_the_same_shape(fake_ground: Ground, real_ground: Ground) -> None:
    """What a fetch and a new collection answer has the same keys on both servers."""
    assert shape(fake_ground.fetched) == shape(real_ground.fetched)
    assert shape(fake_ground.nested) == shape(real_ground.nested)
    assert shape(fake_ground.workflow) == shape(real_ground.workflow)


def test_an_anonymous_caller_gets_200_without_an_id(ground: Ground) -> None:
    """Without a key, or with a Bearer one, Galaxy says 200 and gives no id; a wrong key is a 401."""
    galaxy = ground.galaxy
    bearer = {"Authorization": f"Bearer {galaxy.key}"}
    for answer in (
        galaxy.call("GET", "/api/users/current", key=False),
        galaxy.call("GET", "/api/users/current", key=False, headers=bearer),
    ):
        assert answer.status_code == 200
        assert "id" not in answer.json()
    assert galaxy.call("GET", "/api/histories", key=False).json() == []
    wrong = galaxy.call("GET", "/api/users/current", key=False, headers={"x-api-key": "nobody"})
    assert wrong.json() == {"err_msg": "Provided API key is not valid.", "err_code": 401001}


def test_unknown_routes_are_html(ground: Ground) -> None:
    """A route or method nobody knows is a 404 page, not JSON."""
    for method, path in (("GET", "/api/nosuch"), ("PUT", "/api/histories"), ("HEAD", "/api/version")):
        answer = ground.galaxy.call(method, path)
        assert answer.status_code == 404
        assert answer.headers["content-type"].startswith("text/html")
    assert ground.galaxy.call("GET", "/api/version").headers["x-request-id"]


def test_ids_are_refused_in_three_ways(ground: Ground) -> None:
    """An id of the wrong length, one nobody made, and one of nothing are told apart."""
    galaxy = ground.galaxy
    assert refusal(galaxy.call("GET", "/api/histories/zzz")) == (400, 400008)
    assert refusal(galaxy.call("GET", f"/api/histories/{UNKNOWN_ID}")) == (400, 400009)
    many = galaxy.call("GET", f"/api/histories/{ground.history}/contents", params={"ids": ground.datasets[0]})
    assert refusal(many) == (400, 400009)


def test_malformed_json_is_a_bare_500(ground: Ground) -> None:
    """A body that is no JSON ends in a 500 of plain text."""
    headers = {"content-type": "application/json"}
    answer = ground.galaxy.call("POST", "/api/histories", content=b"{x", headers=headers)
    assert (answer.status_code, answer.text) == (500, "Internal Server Error")


def test_tags_are_ignored_when_a_history_is_made(ground: Ground) -> None:
    """Tags of a POST are dropped, those of a PUT are kept; the tag filter also finds the part before the colon."""
    galaxy = ground.galaxy
    made = galaxy.post("/api/histories", {"name": "tags", "tags": ["x"]})
    assert made["tags"] == []
    galaxy.call("PUT", f"/api/histories/{made['id']}", json={"tags": [ground.mark, "b"], "annotation": "run=1"})
    found = galaxy.get("/api/histories", q="tag", qv=ground.mark, keys="id,tags,annotation")
    assert {"id": made["id"], "tags": ["b", ground.mark], "annotation": "run=1"} in found
    by_head = galaxy.get("/api/histories", q="tag", qv=ground.mark.partition(":")[0], keys="id")
    assert {"id": made["id"]} in by_head
    galaxy.call("DELETE", f"/api/histories/{made['id']}")
    left = galaxy.get("/api/histories", q="tag", qv=ground.mark, keys="id")
    assert left == [{"id": ground.history}]
    deleted = galaxy.get("/api/histories", q=["tag", "deleted"], qv=[ground.mark, "True"], keys="id,deleted")
    assert deleted == [{"id": made["id"], "deleted": True}]


def test_tags_are_checked_and_bent(ground: Ground) -> None:
    """Blanks and empty halves are refused; `#`, `=`, commas are bent, too long ones vanish; a fetch only bends."""
    galaxy = ground.galaxy
    history = galaxy.new_history("tags")
    path = f"/api/histories/{history}"
    for wrong in (["a b"], ["ok", ""], ["a:"], [":a"], "abc"):
        assert refusal(galaxy.call("PUT", path, json={"tags": wrong})) == (400, 400008)
    for given, kept in (
        (["a,b"], ["a", "b"]),
        (["#y", "a=b", "A:B:c", "a.b", "a/b"], ["A:B:c", "a.b", "a/b", "a:b", "name:y"]),
        (["x" * 300, "a", "a"], ["a"]),
    ):
        assert sorted(galaxy.call("PUT", path, json={"tags": given}).json()["tags"]) == kept
    body = galaxy.fetch_body(history, [("x.txt", b"x\n", "txt", "")])
    body["targets"][0]["elements"][0]["tags"] = ["a b", "#y"]
    assert sorted(galaxy.post("/api/tools/fetch", body)["outputs"][0]["tags"]) == ["ab", "name:y"]


def test_uploads_ask_for_no_key(ground: Ground) -> None:
    """An upload needs no key, knows its offset, refuses a wrong one, and refuses more than was declared."""
    galaxy = RawGalaxy(ground.galaxy.url, "no such key")
    session = galaxy.open_session(10, "x.txt")
    assert galaxy.tus("PATCH", session, b"01234", Upload_Offset="0").headers["upload-offset"] == "5"
    head = galaxy.tus("HEAD", session)
    assert (head.status_code, head.headers["upload-offset"], head.headers["upload-length"]) == (200, "5", "10")
    wrong = galaxy.tus("PATCH", session, b"01234", Upload_Offset="0")
    assert (wrong.status_code, wrong.json()) == (409, {"detail": "Offset mismatch"})
    too_much = galaxy.tus("PATCH", session, b"0123456789", Upload_Offset="5")
    assert (too_much.status_code, too_much.json()) == (400, {"detail": "Upload would exceed declared Upload-Length"})
    assert galaxy.tus("HEAD", session, Tus_Resumable="0.1").status_code == 412
    assert galaxy.tus("DELETE", session).status_code == 204
    assert galaxy.tus("HEAD", session).status_code == 404


def test_uploaded_bytes_come_back(ground: Ground) -> None:
    """What was uploaded with the right hash is `ok` with its size, and comes back whole and in parts."""
    galaxy, (first, second, _) = ground.galaxy, ground.datasets
    for dataset, content in ((first, FIRST), (second, SECOND)):
        row = galaxy.get(f"/api/datasets/{dataset}")
        assert (row["state"], row["file_ext"], row["file_size"]) == ("ok", "fastqsanger.gz", len(content))
        assert [(one["hash_function"], one["hash_value"]) for one in row["hashes"]] == [("SHA-256", sha256(content))]
    path = f"/api/datasets/{first}/display"
    whole = galaxy.call("GET", path, params={"to_ext": "data"})
    assert whole.content == FIRST
    assert whole.headers["content-disposition"].startswith('attachment; filename="Galaxy1-[one.fastq.gz]')
    part = galaxy.call("GET", path, headers={"Range": "bytes=3-7"})
    assert (part.status_code, part.content) == (206, FIRST[3:8])
    assert part.headers["content-range"] == f"bytes 3-7/{len(FIRST)}"
    past = galaxy.call("GET", path, headers={"Range": f"bytes={len(FIRST)}-"})
    assert (past.status_code, past.headers["content-range"]) == (416, f"bytes */{len(FIRST)}")
    head = galaxy.call("HEAD", path)
    assert (head.status_code, head.headers["content-length"]) == (200, str(len(FIRST)))


def test_a_wrong_hash_fails_the_dataset_and_not_the_job(ground: Ground) -> None:
    """A dataset whose hash is wrong is in error, empty, of type data, lists the wrong hash; its job says ok."""
    row = ground.galaxy.get(f"/api/datasets/{ground.datasets[2]}")
    assert (row["state"], row["file_size"], row["file_ext"]) == ("error", 0, "data")
    assert row["misc_info"] == f"Failed to validate upload with [SHA-256] - expected [{WRONG}] got [{sha256(FIRST)}]"
    assert [one["hash_value"] for one in row["hashes"]] == [WRONG]
    assert ground.galaxy.get(f"/api/jobs/{ground.upload_job}")["state"] == "ok"


def test_fetch_refuses_what_it_does_not_know(ground: Ground) -> None:
    """An unknown extension, an unknown key and a missing file are refused; a history of others too."""
    galaxy = ground.galaxy
    good = galaxy.fetch_body(ground.history, [("x.txt", b"x\n", "txt", "")])

    def changed(**more: str) -> dict[str, Any]:
        element = {**good["targets"][0]["elements"][0], **more}
        return {**good, "targets": [{"destination": {"type": "hdas"}, "elements": [element]}]}

    assert refusal(galaxy.call("POST", "/api/tools/fetch", json=changed(ext="nosuch"))) == (400, 400008)
    assert refusal(galaxy.call("POST", "/api/tools/fetch", json=changed(nosuch="1"))) == (400, 400007)
    bare = {key: value for key, value in good.items() if not key.startswith("files_")}
    assert refusal(galaxy.call("POST", "/api/tools/fetch", json=bare)) == (400, 400007)
    assert refusal(galaxy.call("POST", "/api/tools/fetch", json=good, key=False)) == (403, 403003)


def test_unknown_and_half_sessions(ground: Ground) -> None:
    """An unknown session is an error of the dataset, half a gzip file as well, and half a plain file is simply half."""
    galaxy = ground.galaxy
    packed, plain = fastq(3000), b"ACGT\n" * 2000
    body = galaxy.fetch_body(ground.history, [(name, b"x", "txt", "") for name in ("gone", "half.gz", "half")])
    body["files_0|file_data"]["session_id"] = "nosuchsession"
    body["targets"][0]["elements"][1]["ext"] = "fastqsanger.gz"
    half_packed = galaxy.upload(packed, "half.gz", part=len(packed) // 2)
    half_plain = galaxy.upload(plain, "half", part=len(plain) // 2)
    body["files_1|file_data"]["session_id"], body["files_2|file_data"]["session_id"] = half_packed, half_plain
    fetched = galaxy.post("/api/tools/fetch", body)
    rows = [galaxy.wait(f"/api/datasets/{output['id']}", ("ok", "error")) for output in fetched["outputs"]]
    assert [row["state"] for row in rows] == ["error", "error", "ok"]
    assert rows[0]["misc_info"].startswith("[Errno 2] No such file or directory")
    assert rows[1]["misc_info"] == "Compressed file ended before the end-of-stream marker was reached"
    assert rows[2]["file_size"] == len(plain) // 2
    assert galaxy.tus("HEAD", half_packed).status_code == 200
    assert galaxy.tus("HEAD", half_plain).status_code == 404


def test_contents_are_found_by_tag(ground: Ground) -> None:
    """The tag filter of contents takes a whole tag or the part before its colon; `keys` adds and takes nothing away."""
    path = f"/api/histories/{ground.history}/contents"
    found = ground.galaxy.get(path, v="dev", q="tag", qv="w:two.fastq.gz", keys="id,file_size")
    assert [(row["id"], row["file_size"], row["name"]) for row in found] == [
        (ground.datasets[1], len(SECOND), "two.fastq.gz")
    ]
    assert {row["id"] for row in ground.galaxy.get(path, v="dev", q="tag", qv="w")} >= set(ground.datasets)
    assert ground.galaxy.get(path, v="dev", q="tag", qv="w:") == []
    bad = ground.galaxy.call("GET", path, params={"v": "dev", "q": "nosuch", "qv": "1"})
    assert bad.json() == {"err_msg": "bad filter", "err_code": 400008, "column": "nosuch", "operation": "eq"}


def test_collections_are_checked(ground: Ground) -> None:
    """Doubled names, a flat member of a nested type and missing members are refused."""
    galaxy, first = ground.galaxy, ground.datasets[0]
    inner = ground.nested["elements"][0]["object"]["elements"]
    assert [(one["element_identifier"], one["object"]["id"]) for one in inner] == [
        ("forward", first),
        ("reverse", ground.datasets[1]),
    ]
    body = {"name": "x", "history_id": ground.history, "collection_type": "list"}
    twice = [{"name": "a", "src": "hda", "id": first}, {"name": "a", "src": "hda", "id": first}]
    for more, code in (
        ({"element_identifiers": twice}, 400008),
        ({"element_identifiers": twice[:1], "collection_type": "list:paired"}, 400008),
        ({}, 400005),
    ):
        answer = galaxy.call("POST", "/api/dataset_collections", json={**body, **more})
        assert refusal(answer) == (400, code)


def test_workflow_inputs_can_be_read(ground: Ground) -> None:
    """A workflow shows its inputs with kinds and defaults; the same document twice is there twice with one uuid."""
    galaxy = ground.galaxy
    row = galaxy.get(f"/api/workflows/{ground.workflow['id']}")
    assert [one["label"] for one in row["inputs"].values()] == ["Reads", "minlen"]
    assert row["steps"]["0"]["tool_inputs"] == {"optional": False, "format": ["fastqsanger.gz"], "tag": None}
    assert row["steps"]["1"]["tool_inputs"]["default"] == 5
    assert row["steps"]["2"]["input_steps"]["reads"] == {"source_step": 0, "step_output": "output"}
    word = f"t{ground.mark.partition(':')[2]}"
    name = f"Twice {word}"
    made = [galaxy.post("/api/workflows", {"workflow": counting_workflow(name)}) for _ in range(2)]
    for search in (f"name:{word}", f"name:{name.lower()}", f"name:'{name}'", word):
        found = galaxy.get("/api/workflows", search=search)
        assert [one["id"] for one in found] == [made[1]["id"], made[0]["id"]]
    for search in (f"name:'{word}'", f"name:{word} nosuchword", f"{word} nosuchkey:x"):
        assert galaxy.get("/api/workflows", search=search) == []
    assert made[0]["latest_workflow_uuid"] == made[1]["latest_workflow_uuid"]


def test_invocations_are_hardly_checked(ground: Ground) -> None:
    """A missing input, a missing tool and a scalar for data are refused; an unknown input name is not."""
    galaxy = ground.galaxy
    path = f"/api/workflows/{ground.workflow['id']}/invocations"
    body = {"history_id": ground.history, "inputs_by": "name", "inputs": {}}
    missing = galaxy.call("POST", path, json=body)
    assert refusal(missing) == (400, 0)
    assert "(Reads) is not optional and no input provided." in missing.json()["err_msg"]
    assert refusal(galaxy.call("POST", path, json={**body, "inputs": {"Reads": 5}})) == (400, 400008)
    assert refusal(galaxy.call("POST", path, json={**body, "inputs_by": "luck"})) == (400, 400008)
    wrong_id = {"Reads": {"src": "hdca", "id": "zzz"}}
    assert refusal(galaxy.call("POST", path, json={**body, "inputs": wrong_id})) == (400, 400009)
    strange = galaxy.post("/api/workflows", {"workflow": counting_workflow("Strange", tool_id="nosuchtool")})
    reads = {"Reads": {"src": "hda", "id": ground.datasets[0]}}
    answer = galaxy.call("POST", f"/api/workflows/{strange['id']}/invocations", json={**body, "inputs": reads})
    assert refusal(answer) == (400, 0)
    assert "required tools are not installed: nosuchtool (version 1.0)" in answer.json()["err_msg"]
    assert galaxy.call("GET", "/api/tools/nosuchtool").json()["err_code"] == 404001


def test_a_failed_tool_shows_in_the_counts_only(ground: Ground) -> None:
    """An invocation whose tool failed is `completed` without a message; only the job counts tell."""
    galaxy = ground.galaxy
    row = galaxy.get(f"/api/invocations/{ground.mapped}")
    assert (row["state"], row["messages"], row["outputs"]) == ("completed", [], {})
    counts = galaxy.get(f"/api/invocations/{ground.mapped}/jobs_summary")
    assert (counts["states"], counts["populated_state"]) == ({"ok": 2, "error": 2}, "ok")
    many = galaxy.get(
        f"/api/histories/{ground.history}/jobs_summary",
        ids=f"{ground.mapped},{ground.single}",
        types="WorkflowInvocation,WorkflowInvocation",
    )
    assert {one["id"]: one["states"] for one in many} == {
        ground.mapped: {"ok": 2, "error": 2},
        ground.single: {"ok": 1, "error": 1},
    }
    failed = [one for one in galaxy.get("/api/jobs", invocation_id=ground.single) if one["state"] == "error"]
    detail = galaxy.get(f"/api/jobs/{failed[0]['id']}", full="true")
    assert (detail["exit_code"], detail["stderr"], detail["tool_id"]) == (3, "exit code 3\n", "wait_then_exit")
    assert galaxy.get(f"/api/invocations/{ground.single}")["outputs"]["read counts"]["src"] == "hda"


def test_mapping_over_a_list_keeps_the_names(ground: Ground) -> None:
    """A workflow for one dataset maps over a list; its outputs are collections with the same element names."""
    galaxy = ground.galaxy
    row = galaxy.get(f"/api/invocations/{ground.mapped}")
    counts = galaxy.get(f"/api/dataset_collections/{row['output_collections']['read counts']['id']}")
    texts = {}
    for element in counts["elements"]:
        path = f"/api/datasets/{element['object']['id']}/display"
        texts[element["element_identifier"]] = galaxy.call("GET", path).text
    assert texts == {"a": "reads\t20\nbases\t200\n", "b": "reads\t40\nbases\t400\n"}
    listed = galaxy.get("/api/invocations", history_id=ground.history, view="element")
    inputs = {one["id"]: [value["id"] for value in one["inputs"].values()] for one in listed}
    assert inputs[ground.mapped] == [ground.plain_list]


def test_an_invocation_into_a_deleted_history_is_accepted_and_cancelled(ground: Ground) -> None:
    """An invocation into a deleted history is taken, then cancelled with a message; a purged one refuses writes."""
    galaxy = ground.galaxy
    history = galaxy.new_history("gone")
    galaxy.call("DELETE", f"/api/histories/{history}")
    reads = {"src": "hda", "id": ground.datasets[0]}
    invocation = galaxy.invoke(ground.workflow["id"], history, Reads=reads)["id"]
    row = galaxy.wait(f"/api/invocations/{invocation}", ("cancelled",))
    assert [one["reason"] for one in row["messages"]] == ["history_deleted"]
    counts = galaxy.get(f"/api/invocations/{invocation}/jobs_summary")
    assert (counts["states"], counts["populated_state"]) == ({}, "failed")
    galaxy.call("DELETE", f"/api/histories/{history}", params={"purge": "true"})
    assert refusal(galaxy.call("PUT", f"/api/histories/{history}", json={"name": "x"})) == (403, 403003)


def test_private_datasets_are_closed_to_others(ground: Ground) -> None:
    """A dataset is readable by everybody until it is made private."""
    galaxy = ground.galaxy
    body = galaxy.fetch_body(ground.history, [("secret.txt", b"secret\n", "txt", "")])
    dataset = galaxy.post("/api/tools/fetch", body)["outputs"][0]["id"]
    galaxy.wait(f"/api/datasets/{dataset}", ("ok",))
    path = f"/api/datasets/{dataset}"
    galaxy.call("PUT", f"{path}/permissions", json={"action": "remove_restrictions"})
    assert galaxy.call("GET", path, key=False).status_code == 200
    assert galaxy.get(path)["permissions"]["access"] == []
    answer = galaxy.call("PUT", f"{path}/permissions", json={"action": "make_private"})
    assert answer.status_code == 200 and len(answer.json()["access_dataset_roles"]) == 1
    assert refusal(galaxy.call("GET", path, key=False)) == (403, 403002)
    assert len(galaxy.get(path)["permissions"]["access"]) == 1


def test_purged_datasets_are_gone_deleted_ones_are_not(ground: Ground) -> None:
    """A deleted dataset can still be downloaded; a purged one is a 400."""
    galaxy = ground.galaxy
    body = galaxy.fetch_body(ground.history, [("old.txt", b"old\n", "txt", "")])
    dataset = galaxy.post("/api/tools/fetch", body)["outputs"][0]["id"]
    galaxy.wait(f"/api/datasets/{dataset}", ("ok",))
    path = f"/api/datasets/{dataset}"
    assert galaxy.call("DELETE", path).status_code == 204
    assert galaxy.get(path)["deleted"] is True
    assert galaxy.call("GET", f"{path}/display").content == b"old\n"
    assert galaxy.call("DELETE", path, params={"purge": "true"}).status_code == 202
    galaxy.wait(path, (True,), "purged")
    assert refusal(galaxy.call("GET", f"{path}/display")) == (400, 0)
