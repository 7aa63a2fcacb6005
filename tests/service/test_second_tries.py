"""Wishes while workflows run, wait or have failed: nothing runs on unknown, nothing starts that was cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.contracts.room.runs import asked
from tests.crash.workflow_worlds import (
    CHAIN,
    REVIEWED,
    assert_runs_once,
    batch_of,
    chain_rule,
    reviewed_workflow,
    workflow_world,
)
from tests.fakes.galaxy import Fault
from tests.world import World
from watcher.model import Status
from watcher.service.build import build
from watcher.service.galaxy_moves import release_moved_holds
from watcher.service.verbs import carry_out_verbs

Json = dict[str, Any]
STARTED = "/api/workflows/*/invocations"


@pytest.fixture
def chained(tmp_path: Path) -> Iterator[World]:
    """Return a run for three workflows: two in a row and one beside them."""
    with workflow_world(tmp_path, chain_rule(), uncertain_for="3s") as made:
        yield made


@pytest.fixture
def counted(tmp_path: Path) -> Iterator[World]:
    """Return a run for the counting workflow."""
    with workflow_world(tmp_path, uncertain_for="3s") as made:
        yield made


async def wish(world: World, verb: str, target: str, **arguments: str) -> str:
    """Ask for a verb with the daemon down, and return what came of it."""
    async with build(world.settings(), on_wake=lambda _: None, on_blind=lambda *_: None) as rooms:
        made = await rooms.store.add_verb("tester", verb, target, arguments)
        await carry_out_verbs(rooms, None)
        answered = await rooms.store.verb(made.id)
    assert answered
    return answered.answer


def attempts(batch: Json, key: str) -> list[str]:
    """Return how the attempts of a workflow stand."""
    return [row["status"] for row in batch["attempts"] if row["key"] == key]


def states(world: World) -> list[str]:
    """Return the states of all invocations in Galaxy, in the order in which they came."""
    return [row["state"] for row in world.fake.invocations()]


async def test_paused_workflow_is_started_anew(counted: World) -> None:
    """`retry --from invoke` cancels the paused one in Galaxy; it counts as cancelled, not as one that still runs."""
    counted.fake.faults.add(Fault("job_paused", tool="wait_then_exit"))
    await counted.once()
    held = await batch_of(counted)
    assert (held["status"], attempts(held, "1")) == ("held", ["working"])
    assert "goes on" in await wish(counted, "retry", held["id"], **{"from": "invoke"})
    await counted.once()
    await assert_runs_once(counted, {"1": ["cancelled", "done"]}, collections=2, copies=0, files=4)
    assert states(counted)[0].startswith("cancel")


async def test_paused_workflow_goes_on_by_retry(counted: World) -> None:
    """`retry` alone resumes the job in Galaxy, in the same invocation."""
    counted.fake.faults.add(Fault("job_paused", tool="wait_then_exit"))
    await counted.once()
    assert "goes on" in await wish(counted, "retry", (await batch_of(counted))["id"])
    await counted.once()
    await assert_runs_once(counted, {"1": ["done"]}, collections=1, copies=0, files=4)


async def test_workflow_that_is_refused_keeps_no_other_cancelled(chained: World) -> None:
    """A batch that was cancelled while one of its workflows ran and another could not be asked for takes up both."""
    chained.fake.faults.add(Fault("job_paused", tool="count_reads"))
    chained.fake.faults.add(Fault("status", method="POST", path=STARTED, skip=1, status=400))
    await chained.once()
    held = await batch_of(chained)
    assert (held["stage"], held["status"], attempts(held, "first")) == ("invoke", "held", ["working"]), held
    assert "is cancelled" in await wish(chained, "cancel", held["id"])
    assert attempts(await batch_of(chained), "first") == ["cancelled"]
    assert states(chained) == ["cancelled"]
    assert "goes on" in await wish(chained, "retry", held["id"])
    await chained.once()
    batch = await batch_of(chained)
    assert batch["status"] == "done", batch
    assert [attempts(batch, key) for key in CHAIN] == [["cancelled", "done"], ["done"], ["done"]]


async def test_cancelled_chain_starts_nothing_more(chained: World) -> None:
    """What comes after a cancelled workflow never starts; `retry` asks for that one anew, and then for the next."""
    chained.fake.faults.add(Fault("job_paused", tool="count_reads", times=4))
    await chained.once()
    held = await batch_of(chained)
    assert held["status"] == "held"
    assert "is cancelled" in await wish(chained, "cancel", held["id"])
    started = len(chained.fake.invocations())
    await chained.once()
    assert (await batch_of(chained))["status"] == "cancelled"
    assert len(chained.fake.invocations()) == started == 2
    assert "goes on" in await wish(chained, "retry", held["id"])
    await chained.once()
    batch = await batch_of(chained)
    assert [attempts(batch, key) for key in CHAIN] == [["cancelled", "done"], ["done"], ["cancelled", "done"]]


async def test_new_plan_stops_every_workflow(chained: World) -> None:
    """`retry --from plan` cancels all that run, and the new plan runs each once."""
    chained.fake.faults.add(Fault("job_paused", tool="count_reads", times=4))
    await chained.once()
    assert len(chained.fake.invocations()) == 2
    held = await batch_of(chained)
    unit = held["id"].split("-")[0]
    assert "goes on" in await wish(chained, "retry", unit, **{"from": "plan"})
    await chained.once()
    assert states(chained) == ["cancelled"] * 2 + ["completed"] * 3
    (report,) = (await chained.status())["units"]
    assert [batch["status"] for batch in report["batches"]] == ["cancelled", "done"]


@pytest.mark.parametrize("verb", [("cancel", {}), ("retry", {"from": "plan"})], ids=["cancel", "new plan"])
async def test_workflow_without_an_answer_is_stopped(counted: World, verb: tuple[str, dict[str, str]]) -> None:
    """Galaxy has started a workflow and not yet answered when a person wants it no more: it is found, and cancelled."""
    counted.fake.engine.job_seconds = 5.0
    held = counted.fake.faults.add(Fault("hold_answer", method="POST", path=STARTED))
    async with counted.daemon() as daemon:
        await asyncio.to_thread(held.wait)
        unit = (await counted.status())["units"][0]["id"]
        await counted.wish(verb[0], unit, **verb[1])
        await daemon._verbs()
        assert states(counted)[0].startswith("cancel")
        held.release()
        counted.fake.engine.job_seconds = 0.05
        await counted.until_status("cancelled" if verb[0] == "cancel" else "done")
    assert len(counted.fake.invocations()) == (1 if verb[0] == "cancel" else 2)


async def test_workflow_that_may_still_come_is_told(counted: World) -> None:
    """Nobody is told that all is cancelled while Galaxy may still start something; asked once more, it is stopped."""
    late = counted.fake.faults.add(Fault("late", method="POST", path=STARTED, seconds=1.0))
    async with counted.daemon() as daemon:
        await asyncio.to_thread(late.wait)
        unit = (await counted.status())["units"][0]["id"]
        told = [await asked_for(daemon, "cancel", unit)]
        await asyncio.to_thread(counted.fake.wait_until, lambda: bool(counted.fake.invocations()))
        told.append(await asked_for(daemon, "cancel", unit))
    assert "may still start it" in told[0]
    assert "stays there" in told[1]
    assert states(counted)[0].startswith("cancel")


async def asked_for(daemon: Any, verb: str, target: str) -> str:
    """Ask for a verb with the daemon up, and return what came of it."""
    made = await daemon.rooms.store.add_verb("tester", verb, target, {})
    await daemon._verbs()
    answered = await daemon.rooms.store.verb(made.id)
    assert answered
    return str(answered.answer)


async def test_cancelled_review_is_not_released(tmp_path: Path) -> None:
    """A batch that was held for a review and is cancelled confirms nothing; `retry` is another attempt."""
    with workflow_world(tmp_path, reviewed_workflow()) as world:
        await world.once()
        held = await batch_of(world)
        assert "is cancelled" in await wish(world, "cancel", held["id"])
        assert "Nothing of" in await wish(world, "release", held["id"])
        assert "goes on" in await wish(world, "retry", held["id"])
        await world.once()
        again = await batch_of(world)
        assert (again["status"], attempts(again, "1")) == ("held", ["cancelled", "working"])
        assert "is confirmed" in await wish(world, "release", held["id"])
        await world.once()
        await assert_runs_once(world, {"1": ["cancelled", "done"]}, collections=0, copies=2, files=1)


async def test_review_is_released_while_it_is_looked_at_again(tmp_path: Path) -> None:
    """Something moved in Galaxy, and the batch is ready to be looked at: the command counts all the same, once."""
    with workflow_world(tmp_path, reviewed_workflow()) as world:
        await world.once()
        held = await batch_of(world)
        async with build(world.settings(), on_wake=lambda _: None, on_blind=lambda *_: None) as rooms:
            row = await rooms.store.batch(held["id"])
            assert row
            await rooms.store.move(row, status=Status.READY, code="", reason="Something moved in Galaxy.")
        assert "is confirmed" in await wish(world, "release", held["id"])
        await world.once()
        await assert_runs_once(world, {"1": ["done"]}, collections=0, copies=1, files=1)
        assert "Nothing of" in await wish(world, "release", held["id"])


async def test_only_the_review_that_was_told_is_confirmed(tmp_path: Path) -> None:
    """Of two workflows that wait for a review, `release` confirms the one that people were told of, then the other."""
    both = [{**reviewed_workflow(), "key": key, "inputs": {"File": {"read": key}}} for key in ("R1", "R2")]
    with workflow_world(tmp_path, both) as world:
        await world.once()
        held = await batch_of(world)
        for confirmed in (1, 2):
            assert "is confirmed" in await wish(world, "release", held["id"])
            await world.once()
            seen = world.fake.requests.all("PUT", "/steps/")
            assert len(seen) == confirmed
        told = [row["id"] for row in held["attempts"]]
        assert [seen.path.split("/")[-3] for seen in world.fake.requests.all("PUT", "/steps/")] == told
        batch = await batch_of(world)
        assert (batch["status"], attempts(batch, "R1"), attempts(batch, "R2")) == ("done", ["done"], ["done"])


async def test_workflow_that_is_gone_keeps_no_other_held(tmp_path: Path) -> None:
    """Where Galaxy does not tell of one held workflow any more, another one goes on once it is reviewed."""
    with workflow_world(tmp_path, reviewed_workflow()) as world:
        deliver = {"folder": f"{world.results}/{{run}}/{{sample}}"}
        world.write_config(rule={"per": "sample", "workflow": reviewed_workflow(), "deliver": deliver})
        world.add_run("260301_M02439_0044_000000000-KT42N", samples=("S2",), reads=60, bases=60)
        await world.once()
        units = (await world.status())["units"]
        assert [unit["status"] for unit in units] == ["held", "held"]
        gone, alive = (row["id"] for row in world.fake.invocations())
        world.fake.faults.add(Fault("status", path=f"/api/invocations/{gone}", status=404, times=None))
        steps = asked(world.fake, "GET", f"/api/invocations/{alive}?step_details=true")["steps"]
        (pause,) = [one for one in steps if one["order_index"] == 2]
        asked(world.fake, "PUT", f"/api/invocations/{alive}/steps/{pause['id']}", {"action": True})
        world.fake.wait_until(lambda: world.fake.invocations()[1]["jobs"] == {"ok": 2})
        async with build(world.settings(), on_wake=lambda _: None, on_blind=lambda *_: None) as rooms:
            # The other one, too, where Galaxy was still scheduling it when it was held: it is looked at, held anew.
            assert await release_moved_holds(rooms) in (1, 2)
        await world.once()
        assert sorted(unit["status"] for unit in (await world.status())["units"]) == ["done", "held"]


async def test_review_that_is_left_to_galaxy(tmp_path: Path) -> None:
    """With `reviews: in_galaxy` the command refuses, and says where to review."""
    with workflow_world(tmp_path, reviewed_workflow(reviews="in_galaxy")) as world:
        await world.once()
        held = await batch_of(world)
        assert "leaves reviews to Galaxy" in await wish(world, "release", held["id"])
        assert REVIEWED in held["reason"]
        await world.once()
        assert (await batch_of(world))["status"] == "held"
        assert world.fake.requests.all("PUT", "/steps/") == []
