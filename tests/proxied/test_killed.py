"""The daemon dies while a part of a file is under way, and Galaxy goes on with it: nobody else writes meanwhile."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.crash.runner import LIMITS, Life, Runner
from tests.proxied.between import Impatient
from tests.world import World

pytestmark = pytest.mark.timeout(180)

PART = {"PATCH /api/upload/": 1}
LATE_S = 3.0
"""The daemon's clock runs ten times as fast: half of the time for which a request may still write."""

ONE_BY_ONE = {**LIMITS, "transfers": 1}

GONE = {"24.1.4": 500, "26.1.2": 404}
"""What a part gets whose session was thrown away while it was under way."""


@pytest.fixture(params=GONE)
def versioned(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """Return a world with one pair of files in several parts, whose Galaxy behaves as that version."""
    with World(tmp_path / "world", version=request.param) as made:
        made.add_run(samples=("S1",), reads=1500, bases=60)
        yield made


def die(world: World, life: Life, when: Callable[[], bool]) -> None:
    """Kill a daemon as soon as something is so."""
    world.fake.wait_until(when)
    life.kill()
    assert life.end() == -signal.SIGKILL


async def assert_nobody_met(world: World, proxy: Impatient) -> None:
    """Hold Galaxy, and what went through the proxy, against the files."""
    (unit,) = (await world.status())["units"]
    assert unit["status"] == "done", unit
    assert world.uploads() == world.fastqs()
    assert proxy.met == 0
    assert world.fake.writers_met == 0
    assert world.fake.snapshot()["sessions"] == []


@pytest.mark.parametrize("after", [0, 12])
async def test_a_kill_while_a_part_is_under_way(versioned: World, runner: Runner, after: int) -> None:
    """Nobody knows that it is still under way but the row: the next daemon waits for its end, or begins anew where that
    costs less.
    """
    world = versioned
    with Impatient(world.fake.port, PART, late_s=LATE_S, after=after, is_mute=True) as proxy:
        world.write_config(galaxy={"url": proxy.url}, limits=ONE_BY_ONE)
        die(world, runner.start(world), lambda: bool(proxy.given_up))
        runner.finish(world)
        world.fake.wait_until(lambda: bool(proxy.carried_out))
        await assert_nobody_met(world, proxy)
        assert proxy.carried_out == ([204] if after else [GONE[world.version]])


@pytest.mark.parametrize("after", [0, 12])
async def test_a_kill_while_a_part_without_an_answer_is_waited_for(
    versioned: World, runner: Runner, after: int
) -> None:
    """After a 504 the doubt outlives the daemon: the next one does not write into that session either."""
    world = versioned
    with Impatient(world.fake.port, PART, late_s=LATE_S, after=after) as proxy:
        world.write_config(galaxy={"url": proxy.url}, limits=ONE_BY_ONE)
        die(world, runner.start(world), lambda: bool(set(proxy.given_up) & set(proxy.looks)))
        runner.finish(world)
        world.fake.wait_until(lambda: bool(proxy.carried_out))
        await assert_nobody_met(world, proxy)
        assert proxy.carried_out == ([204] if after else [GONE[world.version]])


async def test_a_part_that_arrives_while_nobody_runs(versioned: World, runner: Runner) -> None:
    """What Galaxy took in after a 504 and the daemon's death counts: nothing is sent again."""
    world = versioned
    with Impatient(world.fake.port, PART, late_s=LATE_S, after=12) as proxy:
        world.write_config(galaxy={"url": proxy.url}, limits=ONE_BY_ONE)
        die(world, runner.start(world), lambda: bool(set(proxy.given_up) & set(proxy.looks)))
        world.fake.wait_until(lambda: bool(proxy.carried_out))
        runner.finish(world)
        await assert_nobody_met(world, proxy)
    sent = sum(seen.received for seen in world.fake.requests.all("PATCH"))
    assert sent == sum(path.stat().st_size for path in world.watched.rglob("*.fastq.gz"))


async def test_a_part_that_takes_longer_than_anybody_waits(versioned: World, runner: Runner) -> None:
    """Who gave up tells of a slow server, also to the next daemon: it sends the file into a session of its own."""
    world = versioned
    with Impatient(world.fake.port, PART, late_s=5 * LATE_S, after=12) as proxy:
        world.write_config(galaxy={"url": proxy.url}, limits=ONE_BY_ONE)
        die(world, runner.start(world), lambda: bool(set(proxy.given_up) & set(proxy.looks)))
        runner.finish(world)
        assert not proxy.carried_out
        world.fake.wait_until(lambda: bool(proxy.carried_out))
        await assert_nobody_met(world, proxy)
        assert proxy.carried_out == [GONE[world.version]]
