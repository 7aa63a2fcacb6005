"""What is asked of Galaxy to find a job that a person repeated, for tools that no test server has."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

from tests.galaxy.conftest import ScriptedServer, reply
from watcher.galaxy import Galaxy
from watcher.galaxy.job_failures import JobFailure
from watcher.galaxy.jobs import MOST_REPEATED
from watcher.model import DatasetId, HistoryId, InvocationId, JobId

H = HistoryId("h1")
TOOL = "shed.example.org/repos/iuc/multiqc/multiqc"
FAILURE = JobFailure(InvocationId("i1"), JobId("j1"), 4, "", f"{TOOL}/1.0", "1.0", "error", 1, "")
INPUTS = {"results1": {"src": "hda", "id": "d1"}}


def job(id: str, minute: int, output: str, version: str = "1.0", **more: object) -> dict[str, object]:
    """Return a job with all that is told of it."""
    made = {"create_time": f"2026-01-01T00:{minute:02d}:00", "inputs": INPUTS, "params": {}}
    outputs = {"report": {"src": "hda", "id": output}}
    return {"id": id, "tool_id": f"{TOOL}/{version}", "state": "ok", "outputs": outputs, **made, **more}


OLD = [reply(200, job("j1", 5, "old", state="error")), reply(200, {"id": "old", "hid": 7}), reply(200, [])]


async def test_tool_of_a_toolshed_counts_in_every_version(galaxy: Galaxy, server: ScriptedServer) -> None:
    """Jobs are listed by the id without the version; one of an invocation is passed over, an older one not read."""
    of_invocation = {"__workflow_invocation_uuid__": '"0770a672"'}
    taken, good = job("j4", 8, "x", params=of_invocation), job("j3", 7, "new", "1.1")
    server.script = [
        *OLD,
        reply(200, [job("j2", 4, "before"), good, taken]),
        reply(200, taken),
        reply(200, good),
        reply(200, {"id": "new", "state": "ok"}),
    ]
    assert await galaxy.jobs.rerun_of(H, FAILURE) == {DatasetId("old"): DatasetId("new")}
    asked = parse_qs(urlsplit(server.requests[3].target).query)
    assert (asked["tool_id_like"], asked["history_id"], asked["state"]) == ([f"{TOOL}/%"], ["h1"], ["ok"])
    assert "tool_id" not in asked
    assert not server.script


async def test_no_more_than_the_newest_jobs_are_asked_for(galaxy: Galaxy, server: ScriptedServer) -> None:
    """Of many good jobs of the tool only the newest are read, even when none of them proves anything."""
    others = [job(f"n{n}", 10 + n, f"o{n}", inputs={}) for n in range(MOST_REPEATED + 5)]
    newest = others[-MOST_REPEATED:]
    server.script = [*OLD, reply(200, others), *[reply(200, one) for one in reversed(newest)]]
    assert await galaxy.jobs.rerun_of(H, FAILURE) == {}
    assert [request.target.split("/")[-1].split("?")[0] for request in server.requests[4:]] == [
        one["id"] for one in reversed(newest)
    ]
