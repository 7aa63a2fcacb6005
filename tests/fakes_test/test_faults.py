"""Every fault the fake Galaxy can be armed with does what its name says, and nothing when it is not armed."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import httpx
import pytest

from tests.fakes.galaxy import FakeGalaxy, Fault
from tests.fakes_test.raw_galaxy import Json, RawGalaxy, counting_workflow, fastq, sha256

CONTENT = fastq(30)
SESSIONS = "/api/upload/resumable_upload/*"


@pytest.fixture
def fake() -> Iterator[FakeGalaxy]:
    """Give a fresh server."""
    with FakeGalaxy(job_seconds=0.02, lock_wait_s=0.2) as server:
        yield server
        assert server.engine.problems == []


@pytest.fixture
def galaxy(fake: FakeGalaxy) -> RawGalaxy:
    """Give a caller with the right key."""
    return RawGalaxy(fake.url, fake.key)


def upload_one(galaxy: RawGalaxy, *, claimed: bool = True) -> Json:
    """Upload one file to the end and give its dataset."""
    history = galaxy.new_history("one")
    body = galaxy.fetch_body(history, [("one.fastq.gz", CONTENT, "fastqsanger.gz", sha256(CONTENT) if claimed else "")])
    fetched = galaxy.post("/api/tools/fetch", body)
    return galaxy.wait(f"/api/datasets/{fetched['outputs'][0]['id']}", ("ok", "error", "paused"))


def test_reset_before_the_body_does_nothing(fake: FakeGalaxy, galaxy: RawGalaxy) -> None:
    """A reset request has no effect, and the next one passes."""
    fault = fake.faults.add(Fault("reset", method="POST", path="/api/histories"))
    with pytest.raises(httpx.TransportError):
        galaxy.post("/api/histories", {"name": "x"})
    assert fake.histories() == []
    galaxy.post("/api/histories", {"name": "x"})
    assert (len(fake.histories()), fault.hits, fault.used_up) == (1, 1, True)
    assert [(seen.status, seen.fault) for seen in fake.requests.all("POST")] == [(0, "reset"), (200, "")]


def test_lost_answer_has_its_effect(fake: FakeGalaxy, galaxy: RawGalaxy) -> None:
    """A request whose answer is lost was carried out."""
    fake.faults.add(Fault("lose_answer", method="POST", path="/api/histories"))
    with pytest.raises(httpx.TransportError):
        galaxy.post("/api/histories", {"name": "x"})
    assert [row["name"] for row in fake.histories()] == ["x"]


def test_late_effect_comes_after_the_answer_is_lost(fake: FakeGalaxy, galaxy: RawGalaxy) -> None:
    """A PATCH may be carried out after its connection broke, and HEAD shows the old offset until then."""
    session = galaxy.open_session(5, "x.txt")
    fake.faults.add(Fault("late", method="PATCH", path=SESSIONS, seconds=0.3))
    with pytest.raises(httpx.TransportError):
        galaxy.tus("PATCH", session, b"01234", Upload_Offset="0")
    assert galaxy.tus("HEAD", session).headers["upload-offset"] == "0"
    fake.wait_until(lambda: galaxy.tus("HEAD", session).headers["upload-offset"] == "5")


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 502, 503, 504])
def test_status_pages_are_html(fake: FakeGalaxy, galaxy: RawGalaxy, status: int) -> None:
    """A proxy's answer is an HTML page; 429 says when to come back."""
    fake.faults.add(Fault("status", path="/api/version", status=status, seconds=7, times=2))
    for _ in range(2):
        answer = galaxy.call("GET", "/api/version")
        assert (answer.status_code, answer.headers["content-type"]) == (status, "text/html")
        assert answer.headers.get("retry-after") == ("7" if status in (429, 503) else None)
    assert galaxy.get("/api/version") == {"version_major": "26.1", "version_minor": "2"}


def test_garbage_is_a_page_that_says_200(fake: FakeGalaxy, galaxy: RawGalaxy) -> None:
    """A login page in front answers 200 with HTML."""
    fake.faults.add(Fault("garbage", path="/api/version"))
    answer = galaxy.call("GET", "/api/version")
    assert (answer.status_code, answer.text[:6]) == (200, "<html>")


def test_too_large_bodies_are_refused_by_size(fake: FakeGalaxy, galaxy: RawGalaxy) -> None:
    """A proxy with a limit refuses big chunks with 413 and passes small ones; the offset does not move."""
    fault = fake.faults.add(Fault("too_large", method="PATCH", size=8, times=None))
    session = galaxy.open_session(20, "x.txt")
    assert galaxy.tus("PATCH", session, b"0123456789", Upload_Offset="0").status_code == 413
    assert galaxy.tus("HEAD", session).headers["upload-offset"] == "0"
    assert galaxy.tus("PATCH", session, b"01234567", Upload_Offset="0").status_code == 204
    assert fault.hits == 1


def test_stalls_run_into_the_clients_patience(fake: FakeGalaxy, galaxy: RawGalaxy) -> None:
    """A server that stalls before or after the effect is seen as a time-out."""
    for kind, made in (("stall", 0), ("stall_answer", 1)):
        fake.faults.add(Fault(kind, method="POST", path="/api/histories", seconds=0.5))
        before = len(fake.histories())
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(f"{fake.url}/api/histories", json={"name": kind}, headers={"x-api-key": fake.key}, timeout=0.2)
        assert len(fake.histories()) - before == made


def test_held_requests_wait_for_release(fake: FakeGalaxy, galaxy: RawGalaxy) -> None:
    """A held answer leaves time to look at the effect, and comes when released."""
    fault = fake.faults.add(Fault("hold_answer", method="POST", path="/api/histories"))
    answers: list[Json] = []
    caller = threading.Thread(target=lambda: answers.append(galaxy.post("/api/histories", {"name": "held"})))
    caller.start()
    fault.wait()
    fake.wait_until(lambda: len(fake.histories()) == 1)
    assert answers == []
    fault.release()
    caller.join()
    assert answers[0]["name"] == "held"


def test_slow_line_takes_its_time(fake: FakeGalaxy, galaxy: RawGalaxy) -> None:
    """A slow PATCH takes as long as its bytes need."""
    session = galaxy.open_session(1000, "x.txt")
    fake.faults.add(Fault("slow", method="PATCH", size=5000))
    start = time.monotonic()
    assert galaxy.tus("PATCH", session, bytes(1000), Upload_Offset="0").status_code == 204
    assert time.monotonic() - start >= 0.2


def test_sessions_are_lost_or_cut(fake: FakeGalaxy, galaxy: RawGalaxy) -> None:
    """A session can lose its last bytes after a PATCH, or vanish altogether."""
    session = galaxy.open_session(10, "x.txt")
    fake.faults.add(Fault("truncate", method="PATCH", path=SESSIONS, size=4))
    galaxy.tus("PATCH", session, b"0123456789", Upload_Offset="0")
    assert galaxy.tus("HEAD", session).headers["upload-offset"] == "6"
    fake.faults.add(Fault("session_gone", method="HEAD", path=SESSIONS))
    assert galaxy.tus("HEAD", session).status_code == 404
    assert galaxy.tus("PATCH", session, b"6789", Upload_Offset="6").status_code == 404


def test_cut_connection_keeps_what_came(fake: FakeGalaxy, galaxy: RawGalaxy) -> None:
    """A PATCH whose client goes away in the middle leaves the bytes that arrived, on 26.x."""
    session = galaxy.open_session(1_000_000, "x.txt")

    def half() -> Iterator[bytes]:
        yield bytes(500_000)
        raise RuntimeError("the client dies here")

    with pytest.raises(RuntimeError):
        httpx.patch(
            f"{fake.url}/api/upload/resumable_upload/{session}",
            content=half(),
            headers={"Tus-Resumable": "1.0.0", "Upload-Offset": "0", "Content-Length": "1000000"},
        )
    fake.wait_until(lambda: galaxy.tus("HEAD", session).headers["upload-offset"] == "500000")


def test_two_patches_at_once_freeze_the_server(fake: FakeGalaxy, galaxy: RawGalaxy) -> None:
    """A second PATCH of a session under way is a 503; the log tells that it happened."""
    session = galaxy.open_session(10, "x.txt")
    fake.faults.add(Fault("slow", method="PATCH", size=20))
    first = threading.Thread(target=lambda: galaxy.tus("PATCH", session, b"01234", Upload_Offset="0"))
    first.start()
    fake.wait_until(lambda: any(row.writing for row in fake.state.sessions.values()))
    second = galaxy.tus("PATCH", session, b"01234", Upload_Offset="0")
    first.join()
    assert second.status_code == 503
    assert "waiting for lock" in second.json()["detail"]
    assert galaxy.tus("HEAD", session).headers["upload-offset"] == "5"
    assert fake.requests.most_patches_per_session == 2


def test_spoilt_answer_has_its_length(fake: FakeGalaxy, galaxy: RawGalaxy) -> None:
    """Bytes that change on their way are as many as before, and the next time they are right."""
    place = f"/api/datasets/{upload_one(galaxy)['id']}/display"
    fake.faults.add(Fault("spoil_answer", method="GET", path=place))
    spoilt, right = galaxy.call("GET", place).content, galaxy.call("GET", place).content
    assert (len(spoilt), spoilt[1:], right) == (len(CONTENT), CONTENT[1:], CONTENT)
    assert spoilt != right


@pytest.mark.parametrize(
    ("fault", "state", "size"),
    [
        (Fault("hash_mismatch"), "error", 0),
        (Fault("lose_tail", size=len(CONTENT) // 2), "error", 0),
        (Fault("session_lost"), "error", 0),
        (Fault("wrong_size", size=3), "ok", len(CONTENT) - 3),
    ],
    ids=["hash", "tail", "session", "size"],
)
def test_upload_jobs_spoil_datasets(fake: FakeGalaxy, galaxy: RawGalaxy, fault: Fault, state: str, size: int) -> None:
    """A dataset whose bytes went wrong on the server shows it, once; the next upload is good."""
    fake.faults.add(fault)
    row = upload_one(galaxy)
    assert (row["state"], row["file_size"]) == (state, size)
    again = upload_one(galaxy)
    assert (again["state"], again["file_size"]) == ("ok", len(CONTENT))


def test_expired_key_is_refused_until_renewed(fake: FakeGalaxy, galaxy: RawGalaxy) -> None:
    """From some request on the key is wrong, and a new one works."""
    fake.faults.add(Fault("act", path="/api/histories", action=fake.expire_key))
    assert galaxy.call("GET", "/api/histories").status_code == 401
    assert galaxy.call("GET", "/api/users/current").status_code == 401
    renewed = RawGalaxy(fake.url, fake.renew_key())
    assert renewed.get("/api/users/current")["id"]


def test_full_quota_pauses_jobs_and_room_wakes_them(fake: FakeGalaxy, galaxy: RawGalaxy) -> None:
    """Above the quota an upload is paused with Galaxy's words; with room again a resumed job goes on."""
    assert upload_one(galaxy)["state"] == "ok"
    fake.set_quota(10)
    account = galaxy.get("/api/users/current")
    assert (account["quota_bytes"], account["total_disk_usage"]) == (10, float(len(CONTENT)))
    row = upload_one(galaxy)
    assert row["state"] == "paused"
    assert "over your disk quota" in row["misc_info"]
    fake.set_quota(None)
    galaxy.call("PUT", f"/api/jobs/{row['creating_job']}/resume")
    assert galaxy.wait(f"/api/datasets/{row['id']}", ("ok",))["file_size"] == len(CONTENT)


@pytest.mark.parametrize(
    ("fault", "counts"),
    [
        (Fault("job_error", tool="count_reads"), {"error": 1, "paused": 1}),
        (Fault("job_paused", tool="wait_then_exit"), {"ok": 1, "paused": 1}),
        (Fault("over_quota", tool="count_reads"), {"paused": 2}),
    ],
    ids=["error", "paused", "quota"],
)
def test_jobs_fail_on_demand(fake: FakeGalaxy, galaxy: RawGalaxy, fault: Fault, counts: Json) -> None:
    """A job can be made to fail or pause; what depends on it is paused and the invocation says completed."""
    dataset = upload_one(galaxy)
    fake.faults.add(fault)
    workflow = galaxy.post("/api/workflows", {"workflow": counting_workflow("w")})["id"]
    reads = {"src": "hda", "id": dataset["id"]}
    invocation = galaxy.invoke(workflow, dataset["history_id"], Reads=reads)["id"]
    galaxy.wait(f"/api/invocations/{invocation}", ("completed",))
    assert galaxy.get(f"/api/invocations/{invocation}/jobs_summary")["states"] == counts


def test_cut_download_can_be_resumed(fake: FakeGalaxy, galaxy: RawGalaxy) -> None:
    """A download cut in the middle gives its first bytes, and a range gives the rest."""
    path = f"/api/datasets/{upload_one(galaxy)['id']}/display"
    fake.faults.add(Fault("cut_answer", path="*/display", size=40))
    got = b""
    with (
        pytest.raises(httpx.TransportError),
        httpx.stream("GET", fake.url + path, headers={"x-api-key": fake.key}) as answer,
    ):
        for chunk in answer.iter_raw():
            got += chunk
    assert got == CONTENT[:40]
    assert galaxy.call("GET", path, headers={"Range": "bytes=40-"}).content == CONTENT[40:]


def test_restart_keeps_state_and_sessions(fake: FakeGalaxy, galaxy: RawGalaxy) -> None:
    """While stopped nobody answers; afterwards all is there on the same port and an upload can go on."""
    session = galaxy.open_session(10, "x.txt")
    galaxy.tus("PATCH", session, b"01234", Upload_Offset="0")
    dataset = upload_one(galaxy)["id"]
    url = fake.url
    fake.stop()
    with pytest.raises(httpx.ConnectError):
        galaxy.get("/api/version")
    fake.start()
    assert fake.url == url
    assert galaxy.get(f"/api/datasets/{dataset}")["state"] == "ok"
    assert galaxy.tus("HEAD", session).headers["upload-offset"] == "5"
    assert galaxy.tus("PATCH", session, b"56789", Upload_Offset="5").status_code == 204


def test_things_deleted_by_hand_are_gone(fake: FakeGalaxy, galaxy: RawGalaxy) -> None:
    """A person can delete a dataset or a history behind the client's back."""
    row = upload_one(galaxy)
    fake.delete_dataset(row["id"], purge=True)
    assert galaxy.get(f"/api/datasets/{row['id']}")["purged"] is True
    fake.delete_history(row["history_id"])
    assert galaxy.get(f"/api/histories/{row['history_id']}")["deleted"] is True


def test_unknown_kinds_are_refused() -> None:
    """A fault nobody knows is refused when it is made."""
    with pytest.raises(ValueError, match="there is no fault"):
        Fault("bad luck")
