"""Promise 2 at every instant: SIGKILL at each point of each stage, a restart, and everything is there exactly once."""

from __future__ import annotations

import pytest

from tests.crash.exactly_once import assert_exactly_once, assert_shared
from tests.crash.runner import LIMITS, Runner, reached
from tests.world import World
from watcher.stages.effects import POINTS

pytestmark = pytest.mark.timeout(180)  # two or three lives, each some seconds on a busy machine

LATER = (
    ("detect.begun", 2),
    ("upload.begun", 2),
    ("upload.session.intent", 2),
    ("upload.session.act", 2),
    ("upload.session.receipt", 2),
    ("upload.bytes.act", 2),
    ("upload.bytes.act", 4),
    ("upload.bytes.receipt", 2),
    ("upload.check.act", 2),
    ("poll.begun", 2),
    ("deliver.file.intent", 3),
    ("deliver.file.act", 2),
    ("deliver.file.receipt", 4),
)
"""Points that are reached more than once, killed at a later time than the first."""

TWICE = (
    ("plan.workflow.intent", "plan.workflow.intent"),
    ("plan.workflow.act", "plan.workflow.receipt"),
    ("upload.history.intent", "upload.history.intent"),
    ("upload.history.act", "upload.marks.intent"),
    ("upload.session.act", "upload.session.act"),
    ("upload.bytes.act", "upload.bytes.act"),
    ("upload.fetch.intent", "upload.fetch.intent"),
    ("upload.fetch.act", "upload.check.intent"),
    ("upload.check.act", "upload.check.act"),
    ("upload.share.act", "upload.share.intent"),
    ("invoke.collection.act", "invoke.invocation.intent"),
    ("invoke.invocation.intent", "invoke.invocation.act"),
    ("invoke.invocation.act", "poll.begun"),
    ("deliver.file.act", "deliver.manifest.act"),
    ("deliver.moved", "finish.begun"),
)
"""Where the daemon dies first, and where the one that was started after it."""


async def test_every_point_is_passed(world: World, runner: Runner) -> None:
    """An undisturbed run reaches each point that is listed, and no point that is not."""
    runner.finish(world)
    await assert_exactly_once(world)
    assert_shared(world)
    assert set(reached(world)) == set(POINTS)


@pytest.mark.parametrize("point", POINTS)
async def test_a_kill_at_any_point_leaves_nothing_lost_and_nothing_doubled(
    world: World, runner: Runner, point: str
) -> None:
    """After a SIGKILL at the point, a restart ends well with one of everything."""
    runner.die(world, point)
    runner.finish(world)
    await assert_exactly_once(world)
    assert_shared(world)


@pytest.mark.slow
@pytest.mark.parametrize(("point", "time"), LATER, ids=[f"{point}-{time}" for point, time in LATER])
async def test_a_kill_at_a_later_time_of_a_point(world: World, runner: Runner, point: str, time: int) -> None:
    """The second file, chunk or look is as safe as the first."""
    world.fake.engine.job_seconds = 0.5  # long enough to be looked at while they run
    runner.die(world, point, on=time)
    runner.finish(world)
    await assert_exactly_once(world)


async def test_a_kill_while_it_settles(world: World, runner: Runner) -> None:
    """Between two looks at a run that does not lie still long enough yet, nothing is lost."""
    world.write_config(watch={"settle": "20s"}, limits=LIMITS)
    runner.die(world, "settle.begun", on=3)
    runner.die(world, "settle.moved", on=1)
    runner.finish(world)
    await assert_exactly_once(world)


@pytest.mark.slow
@pytest.mark.parametrize(("first", "second"), TWICE, ids=[f"{first}-{second}" for first, second in TWICE])
async def test_a_second_kill_while_it_recovers(world: World, runner: Runner, first: str, second: str) -> None:
    """Recovering is as safe as the way itself."""
    runner.die(world, first)
    runner.die(world, second)
    runner.finish(world)
    await assert_exactly_once(world)
