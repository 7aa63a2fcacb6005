"""Workflows that stand still in Galaxy until somebody does something there, or here."""

from __future__ import annotations

import asyncio

import pytest

from tests.endings.served import Json, ServedWorld, history_of
from tests.endings.workflows import READ_1, one_file
from tests.world import until


async def nothing_more(world: ServedWorld) -> None:
    """Fail unless there is exactly one invocation, and one uploaded file of each read."""
    batch = await world.ended("done")
    assert len(world.invocations(batch)) == 1
    assert [row["number"] for row in batch["attempts"]] == [1]


@pytest.mark.ordinary
@pytest.mark.also_killed
async def test_full_account(world: ServedWorld) -> None:
    """A job paused for want of room waits behind the quota, and goes on by itself when there is room."""
    quota: list[Json] = []

    def fill(point: str) -> None:
        if point == "invoke.invocation.intent" and not quota:
            user = world.ask("GET", "/api/users/current")["id"]
            json = {"name": f"of {user}", "description": "of a test", "operation": "=", "in_users": [user]}
            quota.append(world.ask("POST", "/api/quotas", {**json, "amount": "0.01 MB"}, as_admin=True))

    world.rule({"file": world.saved(one_file("Full account")), "inputs": READ_1})
    world.add_run(samples=("S1",), reads=600, bases=60)
    async with world.living(points=fill):
        batch = await world.ended("waiting", behind="quota:")
        assert "are paused: the account" in batch["reason"]
        (obstacle,) = (await world.status())["obstacles"]
        assert obstacle["kind"] == "quota"
        world.ask("PUT", f"/api/quotas/{quota[0]['id']}", {"amount": "1 GB", "operation": "="}, as_admin=True)
        await nothing_more(world)
    assert world.delivered("ok") == ["copy.tabular", "counts.tabular"]


@pytest.mark.also_killed
async def test_input_deleted_by_hand(world: ServedWorld) -> None:
    """A job that finds its input deleted is paused and held with that; undeleted, `retry` lets it go on."""
    deleted: list[str] = []

    def delete(point: str) -> None:
        if point == "invoke.invocation.intent" and not deleted:
            history = world.history()
            for row in world.ask("GET", f"/api/histories/{history}/contents"):
                if row["history_content_type"] == "dataset" and row["name"].endswith("_R1_001.fastq.gz"):
                    world.ask("DELETE", f"/api/datasets/{row['id']}")
                    deleted.append(f"/api/histories/{history}/contents/{row['id']}")

    world.rule({"file": world.saved(one_file("Deleted input")), "inputs": READ_1})
    world.add_run(samples=("S1",))
    async with world.living(points=delete):
        batch = await world.ended("held", world.unless_it_died("workflow_paused"))
        assert "deleted" in batch["reason"].lower()
        for path in deleted:
            world.ask("PUT", path, {"deleted": False})
        await world.wish("retry", batch["id"])
        await nothing_more(world)
        assert await world.journal("hold.released") == []  # that all is scheduled is no move
    assert world.delivered("ok") == ["copy.tabular", "counts.tabular"]


@pytest.mark.slow_on_real
@pytest.mark.newest
async def test_review_in_galaxy(world: ServedWorld) -> None:
    """The batch waits for the review, names its step, and goes on by itself once somebody confirmed it in Galaxy."""
    world.rule({"file": world.saved("look.ga"), "inputs": READ_1})
    world.add_run(samples=("S1",))
    async with world.living():
        batch = await world.ended("held", "review")
        assert "waits for review at step `look`" in batch["reason"]
        (invocation,) = world.invocations(batch)
        steps = world.ask("GET", f"/api/invocations/{invocation['id']}")["steps"]
        (look,) = [step for step in steps if step["workflow_step_label"] == "look"]
        world.ask("PUT", f"/api/invocations/{invocation['id']}/steps/{look['id']}", {"action": True})
        await nothing_more(world)
    assert world.delivered("ok") == ["copies.tabular", "counts.tabular"]


@pytest.mark.slow_on_real
@pytest.mark.newest
async def test_review_released_here(world: ServedWorld) -> None:
    """With `reviews: release` the command confirms the review in Galaxy."""
    world.rule({"file": world.saved("look.ga"), "inputs": READ_1, "reviews": "release"})
    world.add_run(samples=("S1",))
    async with world.living():
        batch = await world.ended("held", "review")
        assert f"galaxy-watcher release {batch['id']}" in batch["hint"]
        await world.wish("release", batch["id"])
        await nothing_more(world)
    assert world.delivered("ok") == ["copies.tabular", "counts.tabular"]


@pytest.mark.slow_on_real
@pytest.mark.newest
async def test_job_that_does_not_move(world: ServedWorld) -> None:
    """A job that stands for too long is held with that reason; when it moves the batch goes on by itself."""
    world.rule({"file": world.saved(one_file("Stuck", seconds=6)), "inputs": READ_1, "stuck_after": "2s"})
    world.add_run(samples=("S1",))
    async with world.living():
        batch = await world.ended("held", "workflow_stuck")
        assert "has moved since" in batch["reason"]
        await nothing_more(world)
    assert world.delivered("ok") == ["copy.tabular", "counts.tabular"]


@pytest.mark.slow_on_real
@pytest.mark.newest
async def test_cancelled_here(world: ServedWorld) -> None:
    """The command cancels the invocation in Galaxy as well, with the job that runs."""
    world.rule({"file": world.saved(one_file("Cancelled here", seconds=60)), "inputs": READ_1})
    world.add_run(samples=("S1",))
    async with world.living():
        running = await world.until_runs()
        (unit,) = (await world.status())["units"]
        await world.wish("cancel", unit["batches"][0]["id"])
        batch = await world.ended("cancelled")

        async def is_over() -> bool:
            jobs = await asyncio.to_thread(world.ask, "GET", f"/api/jobs?history_id={history_of(batch)}")
            state = (await asyncio.to_thread(world.ask, "GET", f"/api/invocations/{running['id']}"))["state"]
            return state == "cancelled" and not {job["state"] for job in jobs} & {"new", "queued", "running"}

        await until(is_over, what="a cancelled invocation without a running job")
    assert world.delivered("ok") == world.delivered("failed") == world.delivered("always") == []
