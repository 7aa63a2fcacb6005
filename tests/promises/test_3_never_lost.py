"""Promise 3: every batch ends done, or held or failed with a reason and the command that goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from tests.fakes.galaxy import Fault
from tests.world import World, counting_workflow, fastq, packed, until

pytestmark = pytest.mark.timeout(180)  # a whole way each, also on a busy machine


def _tool_fails(world: World) -> None:
    world.fake.faults.add(Fault("job_error", tool="wait_then_exit"))


def _job_paused(world: World) -> None:
    world.fake.faults.add(Fault("job_paused", tool="wait_then_exit"))


def _workflow_unknown(world: World) -> None:
    world.write_config(rule={"workflow": {"name": "No such", "inputs": {"Reads": "reads"}}})


def _no_rule(world: World) -> None:
    world.write_config(rule={"match": {"sample": "S1"}})


def _nothing_selected(world: World) -> None:
    world.write_config(rule={"deliver": {"folder": f"{world.results}/{{run}}", "outputs": ["report*"]}})


def _file_broken(world: World) -> None:
    next(world.watched.rglob("S2*R1*.gz")).write_bytes(packed(fastq(2000))[:-900])


def _forbidden(world: World) -> None:
    world.fake.faults.add(Fault("status", method="POST", path="/api/tools/fetch", status=403))


def _galaxy_broken(world: World) -> None:
    world.fake.faults.add(Fault("hash_mismatch", times=None))


def _history_deleted(world: World) -> None:
    def delete() -> None:
        world.fake.delete_history(world.fake.histories()[0]["id"])

    world.fake.faults.add(Fault("act", method="POST", path="/api/tools/fetch", action=delete))


ENDINGS: dict[str, tuple[Callable[[World], None], str]] = {
    "tool-fails": (_tool_fails, "failed"),
    "job-paused": (_job_paused, "held"),
    "workflow-unknown": (_workflow_unknown, "held"),
    "sample-no-rule-takes": (_no_rule, "held"),
    "delivery-selects-nothing": (_nothing_selected, "held"),
    "file-broken": (_file_broken, "held"),
    "galaxy-forbids": (_forbidden, "held"),
    "galaxy-keeps-breaking-a-file": (_galaxy_broken, "held"),
    "history-deleted": (_history_deleted, "held"),
}


@pytest.mark.parametrize("case", ENDINGS)
async def test_what_does_not_end_well_says_why_and_how_to_go_on(world: World, case: str) -> None:
    """A unit that cannot go on is held or failed, with a reason and a command or a deed that takes it on."""
    spoil, status = ENDINGS[case]
    run = world.add_run()
    spoil(world)
    (unit,) = (await world.once())["units"]
    assert unit["status"] == status, unit
    told = [unit, *unit["batches"]]
    assert all(row["reason"] for row in told if row["status"] == status)
    assert any("galaxy-watcher" in row["hint"] or "watcher goes on" in row["hint"] for row in told), told
    assert run.exists()


RECOVERS = {
    "session-gone": Fault("session_gone", method="PATCH", path="/api/upload/resumable_upload/*"),
    "session-truncated": Fault("truncate", method="PATCH", path="/api/upload/resumable_upload/*", size=20),
    "reset-in-mid-upload": Fault("reset", method="PATCH", path="/api/upload/resumable_upload/*"),
    "answer-to-a-chunk-lost": Fault("lose_answer", method="PATCH", path="/api/upload/resumable_upload/*"),
    "chunks-too-large-for-a-proxy": Fault("too_large", method="PATCH", size=70_000, times=None),
    "fetch-503": Fault("status", method="POST", path="/api/tools/fetch", status=503, times=2),
    "fetch-502": Fault("status", method="POST", path="/api/tools/fetch", status=502),
    "fetch-500": Fault("status", method="POST", path="/api/tools/fetch", status=500),
    "invocation-504": Fault("status", method="POST", path="/api/workflows/*/invocations", status=504),
    "polls-fail": Fault("status", method="GET", path="/api/invocations/*", status=500, times=3),
    "login-page-in-front": Fault("garbage", method="GET", path="/api/histories*", times=2),
    "download-cut": Fault("cut_answer", method="GET", path="/api/datasets/*/display", size=5),
    "poll-stalls": Fault("stall", method="GET", path="/api/invocations/*", seconds=1.0),
}


@pytest.mark.parametrize("case", RECOVERS)
async def test_what_passes_by_itself_needs_nobody(world: World, case: str) -> None:
    """Faults that pass are outlived: everything is there at the end, and once."""
    world.add_run(reads=4000 if case == "chunks-too-large-for-a-proxy" else 4, bases=60)
    armed = RECOVERS[case]
    fault = world.fake.faults.add(
        Fault(
            armed.kind, method=armed.method, path=armed.path, times=armed.times,
            seconds=armed.seconds, size=armed.size, status=armed.status,
        )
    )  # fmt: skip
    (unit,) = (await world.once())["units"]
    assert fault.hits
    assert unit["status"] == "done", unit
    assert world.uploads() == world.fastqs()
    assert len(world.fake.invocations()) == 1
    assert await world.journal("obstacle.raised") == []  # a line that breaks once is no dead Galaxy


async def test_a_galaxy_that_is_away_is_waited_for(world: World) -> None:
    """Galaxy down is one obstacle, told once; when it is back everything goes on by itself."""
    run = world.add_run()
    world.fake.stop()
    async with world.daemon():

        async def open_obstacles() -> list[str]:
            return [one["kind"] for one in (await world.status())["obstacles"]]

        assert await until(open_obstacles, what="an obstacle") == ["galaxy"]
        world.fake.start()
        await world.until_status("done")
    assert world.uploads() == world.fastqs(run)
    assert (await world.status())["obstacles"] == []
    assert len(await world.journal("obstacle.raised")) == 1


async def test_a_galaxy_that_restarts_in_mid_upload_loses_nothing(world: World) -> None:
    """Half-sent files go on after a restart of Galaxy."""
    run = world.add_run()
    fault = world.fake.faults.add(Fault("hold", method="PATCH", path="/api/upload/resumable_upload/*"))
    async with world.daemon():
        await asyncio.to_thread(fault.wait)
        await asyncio.to_thread(world.fake.restart)
        fault.release()
        await world.until_status("done", timeout_s=60)
    assert world.uploads() == world.fastqs(run)
    assert len(world.fake.invocations()) == 1


async def test_a_failed_workflow_goes_on_with_the_command_it_names(world: World) -> None:
    """After `retry` a failed batch gets a second invocation over the same datasets, and ends well."""
    world.fake.faults.add(Fault("job_error", tool="wait_then_exit"))
    world.add_run(samples=("S1",))
    (unit,) = (await world.once())["units"]
    (batch,) = unit["batches"]
    assert batch["status"] == "failed"
    command = next(part for part in batch["hint"].split("`") if part.startswith("galaxy-watcher "))
    assert world.command(*command.split()[1:]).code == 0
    (unit,) = (await world.once())["units"]
    assert unit["status"] == "done"
    assert len(world.uploads()) == 2
    assert len(world.fake.invocations()) == 2


async def test_what_is_left_out_is_listed(world: World) -> None:
    """Files of a run that are not sent are listed with the reason; none disappears in silence."""
    run = world.add_run()
    (run / "Undetermined_S0_L001_R1_001.fastq.gz").write_bytes(packed(fastq(3)))
    (run / "Undetermined_S0_L001_R2_001.fastq.gz").write_bytes(packed(fastq(3, read=2)))
    world.fake.import_workflow(counting_workflow("unused"))
    (unit,) = (await world.once())["units"]
    left_out = {path for path, reason in (await world.show(unit["id"]))["left_out"] if reason}
    sent = set(world.uploads())
    everything = {str(path.relative_to(run)) for path in run.rglob("*.fastq.gz")}
    assert {path for path in everything if path.rpartition("/")[2] not in sent} <= left_out
