"""What people ask for: retry and cancel, with the daemon up or down, never two plans of a batch alive."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from tests.fakes.galaxy import Fault
from tests.world import World, fastq, packed, until


async def test_cancel_with_the_daemon_up_stops_an_upload(world: World) -> None:
    """A batch that is being sent is stopped at once, its sessions are deleted, and it stays cancelled."""
    world.add_run()
    world.fake.faults.add(Fault("hold", method="PATCH", path="/api/upload/*", times=None))
    running = world.start("serve")
    unit = (await world.until_status("waiting", stage="finish"))["id"]
    world.fake.wait_until(lambda: bool(world.fake.snapshot()["sessions"]))
    ended = world.command("cancel", unit)
    world.fake.faults.clear()
    assert (ended.code, ended.err) == (0, "")
    assert f"{unit} is cancelled" in ended.out
    assert running.end() == 0
    report = (await world.status())["units"][0]
    assert (report["status"], report["batches"][0]["status"]) == ("cancelled", "cancelled")
    assert not world.uploads()
    world.fake.wait_until(lambda: not world.fake.snapshot()["sessions"])


async def test_a_cancelled_unit_comes_back_by_retry_with_the_daemon_down(world: World) -> None:
    """`cancel` and `retry` work on the rows when nobody runs; nothing is sent twice."""
    run = world.add_run()
    world.write_config(rule={"workflow": {"name": "No such", "inputs": {"Reads": "reads"}}})
    unit = (await world.once())["units"][0]["id"]
    assert world.command("cancel", unit).code == 0
    assert (await world.once())["units"][0]["status"] == "cancelled"
    again = world.command("cancel", unit)
    assert (again.code, again.out) == (2, "")
    world.write_config()
    assert world.command("retry", unit).code == 0
    report = (await world.once())["units"][0]
    assert report["status"] == "done"
    assert world.uploads() == world.fastqs(run)


async def test_a_cancelled_workflow_is_never_taken_for_a_good_one(world: World) -> None:
    """After cancel in mid-workflow and retry the workflow runs again, on the same datasets."""
    run = world.add_run()
    world.fake.faults.add(Fault("job_paused", tool="wait_then_exit"))
    unit = (await world.once())["units"][0]
    batch = unit["batches"][0]
    assert (batch["stage"], batch["status"]) == ("poll", "held"), batch
    assert world.command("cancel", batch["id"]).code == 0
    assert world.command("retry", batch["id"]).code == 0
    unit = (await world.once())["units"][0]
    assert (unit["status"], unit["batches"][0]["status"]) == ("done", "done")
    assert world.uploads() == world.fastqs(run)
    states = sorted(row["state"] for row in world.fake.invocations())
    assert len(states) == 2
    assert unit["batches"][0]["invocations"][0]["status"] == "done"


async def test_a_failed_workflow_is_started_once_more_by_retry(world: World) -> None:
    """Retry of a failed batch is the next attempt of its workflow; the datasets stay."""
    run = world.add_run()
    world.fake.faults.add(Fault("job_error", tool="wait_then_exit"))
    unit = (await world.once())["units"][0]
    assert unit["status"] == "failed", unit
    assert world.command("retry", unit["id"]).code == 0
    unit = (await world.once())["units"][0]
    assert unit["status"] == "done"
    assert world.uploads() == world.fastqs(run)
    assert len(world.fake.invocations()) == 2


async def test_retry_from_plan_keeps_the_datasets_and_one_revision(world: World) -> None:
    """A new plan after a correction takes over the datasets that are the same; never two revisions alive."""
    run = world.add_run()
    world.fake.faults.add(Fault("job_error", tool="wait_then_exit"))
    unit = (await world.once())["units"][0]
    assert unit["status"] == "failed"
    assert world.command("retry", unit["id"], "--from", "plan").code == 0
    unit = (await world.once())["units"][0]
    assert unit["status"] == "done"
    assert [(batch["id"], batch["status"]) for batch in unit["batches"]] == [
        (f"{unit['id']}-1", "cancelled"),
        (f"{unit['id']}-1r2", "done"),
    ]
    assert world.uploads() == world.fastqs(run)
    assert world.posts("/api/tools/fetch") == 1
    assert len(world.fake.histories()) == 1
    again = world.command("retry", f"{unit['id']}-1")
    assert again.code == 2, "a plan that was replaced stays so"


async def test_retry_from_plan_after_the_history_was_deleted_makes_a_new_one(world: World) -> None:
    """What was deleted in Galaxy is made anew when a person asks for a new plan."""
    run = world.add_run()
    world.fake.faults.add(Fault("job_error", tool="wait_then_exit"))
    unit = (await world.once())["units"][0]
    world.fake.delete_history(world.fake.histories()[0]["id"])
    assert world.command("retry", unit["id"], "--from", "plan").code == 0
    assert (await world.once())["units"][0]["status"] == "done"
    alive = {row["id"] for row in world.fake.histories() if not row["deleted"]}
    assert len(alive) == 1
    names = [row["name"] for row in world.fake.datasets() if row["uploaded"] and row["history_id"] in alive]
    assert sorted(names) == sorted(world.fastqs(run))


@pytest.mark.parametrize(("stage", "code"), [("plan", 2), ("verify", 2), ("settle", 0)])
async def test_nobody_jumps_forward(stage: str, code: int, world: World) -> None:
    """A unit that is not settled cannot be sent to a later stage: what is not proven is never uploaded."""
    run = world.add_run()
    (run / "Logs" / "FastqComplete.txt").unlink()
    unit = (await world.once(wait_s=0.3))["units"][0]
    assert unit["stage"] == "settle"
    ended = world.command("retry", unit["id"], "--from", stage)
    assert ended.code == code, ended
    unit = (await world.once(wait_s=0.3))["units"][0]
    assert (unit["stage"], unit["status"]) == ("settle", "waiting")
    assert not world.uploads()


async def test_a_batch_held_at_upload_cannot_jump_to_delivery(world: World) -> None:
    """`--from` only goes back."""
    run = world.add_run()
    (run / "S2_S2_L001_R2_001.fastq.gz").write_bytes(packed(fastq(4000, read=2))[:-2000] + b"\x01" * 8)
    unit = (await world.once())["units"][0]
    batch = unit["batches"][0]
    assert (batch["stage"], batch["status"]) == ("upload", "held")
    assert world.command("retry", batch["id"], "--from", "deliver").code == 2
    assert (await world.status())["units"][0]["batches"][0]["status"] == "held"


async def test_a_retry_in_mid_upload_is_carried_out_at_once(world: World) -> None:
    """A wish concerning a running batch stops it, is carried out, and is never lost to a race."""
    run = world.add_run()
    hold = world.fake.faults.add(Fault("hold", method="PATCH", path="/api/upload/*", times=4))
    async with world.daemon() as daemon:
        await until(_reached(hold))
        unit = (await world.status())["units"][0]["id"]
        verb = await daemon.rooms.store.add_verb("tester", "retry", unit, {"from": "plan"})
        await daemon._verbs()
        answered = await daemon.rooms.store.verb(verb.id)
        assert answered
        assert answered.answer == f"{unit} goes on from plan."
        world.fake.faults.clear()
        report = await world.until_status("done")
    assert [batch["status"] for batch in report["batches"]] == ["cancelled", "done"]
    assert world.uploads() == world.fastqs(run)


def _reached(fault: Fault) -> Callable[[], Awaitable[bool]]:
    async def claim() -> bool:
        return fault.hits > 0

    return claim
