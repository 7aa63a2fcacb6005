"""Many workflows that run: what Galaxy is asked, how often, and what one that it does not know does to the others."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from tests.fakes.galaxy.ids import encode
from tests.promises.test_5_never_calls_bad_good import with_subworkflow
from tests.stages.running import ENDLESS_S, asked, at_rest, rewrite_invocation, started
from tests.world import World, counting_workflow, until
from watcher.clock import ManualClock, SystemClock
from watcher.model import Status
from watcher.rows import Batch
from watcher.stages.endings import WORKFLOW_PAUSED

MINUTE = timedelta(minutes=1)
MANY = 200


async def test_two_hundred_that_run_cost_two_requests_a_minute(world: World) -> None:
    """Also right after a start, and none of them is read by itself; one that ended is asked for no more."""
    made = await started(world, MANY, ago=20 * MINUTE)
    ids = {one for _, one in made}
    clock = ManualClock(SystemClock().now())
    world.fake.requests.clear()
    async with world.daemon(clock=clock):
        for _ in range(2):
            await at_rest(world, clock)
            assert [len(part) for part in asked(world)] == [100, 100]
            assert set().union(*asked(world)) == ids
            assert not world.fake.requests.all("GET", "/api/invocations")
            world.fake.requests.clear()
            clock.advance(MINUTE - timedelta(seconds=1))
            await at_rest(world, clock)
            assert asked(world) == []
            clock.advance(timedelta(seconds=1))
        await at_rest(world, clock)
        (ended, gone), *_ = made
        async with httpx.AsyncClient(headers={"x-api-key": world.fake.key}) as client:
            (await client.delete(f"{world.fake.url}/api/invocations/{gone}")).raise_for_status()
        clock.advance(MINUTE)
        async with world.store() as store:

            async def has_ended() -> bool:
                clock.advance(timedelta(milliseconds=100))  # what it waits for on the way, as on a busy machine
                return (await store.invocations(ended.id))[0].status is Status.FAILED

            await until(has_ended, what="the end of what was cancelled")
        await at_rest(world, clock)
        world.fake.requests.clear()
        clock.advance(MINUTE)
        await at_rest(world, clock)
        assert [len(part) for part in asked(world)] == [100, 99]
        assert set().union(*asked(world)) == ids - {gone}


async def test_inner_workflows_are_in_the_same_requests(tmp_path: Path) -> None:
    """Where the outer counts are blind to them, they are asked for beside the outer ones, a hundred at a time."""
    with World(tmp_path, version="24.1.4") as world:
        nested = with_subworkflow("Nested")
        nested["steps"]["inside"]["run"] = counting_workflow("inner", seconds=ENDLESS_S)
        made = await started(world, MANY // 2, ago=20 * MINUTE, workflow=nested)
        clock = ManualClock(SystemClock().now())
        async with world.daemon(clock=clock):
            await at_rest(world, clock)  # now it knows the inner ones
            for _ in range(2):
                world.fake.requests.clear()
                clock.advance(MINUTE)
                await at_rest(world, clock)
                assert [len(part) for part in asked(world)] == [100, 100]
                assert not world.fake.requests.all("GET", "/api/invocations")
            ids = set[str]()
            async with world.store() as store:
                for batch, outer in made:
                    (row,) = await store.invocations(batch.id)
                    assert row.counts == {"ok": 2, "running": 2}
                    ids |= {outer, *row.inner}
        assert len(ids) == MANY
        world.fake.requests.clear()
        clock.advance(MINUTE)
        async with world.daemon(clock=clock):  # when it comes back it knows from its rows
            await at_rest(world, clock)
            assert [len(part) for part in asked(world)] == [100, 100]
            assert set().union(*asked(world)) == ids


@pytest.mark.parametrize("version", ["24.1.4", "26.1.2"])
async def test_one_that_galaxy_does_not_know_is_held_and_stops_no_other(tmp_path: Path, version: str) -> None:
    """Galaxy answers 500 to the whole request; the others are followed, and this one is told as what it is."""
    with World(tmp_path, version=version) as world:
        made = await started(world, 8, ago=20 * MINUTE)
        lost, _ = made[3]
        await rewrite_invocation(world, lost.id, encode(999_999))
        clock = ManualClock(SystemClock().now())
        async with world.daemon(clock=clock), world.store() as store:
            await at_rest(world, clock)
            held = await store.batch(lost.id)
            assert held is not None
            assert (held.status, held.code) == (Status.HELD, "not_there")
            assert encode(999_999) in held.reason
            assert f"galaxy-watcher retry {lost.id} --from invoke" in held.hint
            for batch, _ in made:
                if batch.id != lost.id:
                    (row,) = await store.invocations(batch.id)
                    assert row.counts == {"ok": 2, "running": 2}
            world.fake.requests.clear()
            clock.advance(MINUTE)
            await at_rest(world, clock)
            assert [len(part) for part in asked(world)] == [7]


async def test_holds_end_beside_one_that_galaxy_does_not_know(world: World) -> None:
    """Held ones are looked at with one request; where that fails the one that spoils it is told as what it is."""
    made = await started(world, 3)
    (lost, _), *others = made
    await rewrite_invocation(world, lost.id, encode(999_999))
    async with world.store() as store:
        for batch, _ in made:
            await store.move(batch, status=Status.HELD, code=WORKFLOW_PAUSED)
    async with world.daemon(), world.store() as store:

        async def stand(batches: list[Batch]) -> set[str]:
            return {row.code for batch in batches if (row := await store.batch(batch.id))}

        async def moved() -> bool:
            return await stand([lost]) == {"not_there"} and await stand([one for one, _ in others]) == {"workflow_runs"}

        await until(moved, 20, what="the end of the holds")
