"""Promise 2 for workflows in a row and side by side, paused, reviewed, tried again: each attempt is asked for once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.runner import Runner, reached
from tests.crash.workflow_worlds import (
    CHAIN,
    assert_runs_once,
    batch_of,
    chain_rule,
    repeat_the_failed_job,
    reviewed_workflow,
    waiting_workflow,
    workflow_world,
)
from tests.fakes.galaxy import Fault
from tests.rarer import rarer
from tests.world import World
from watcher.stages.effects import INSTANTS

pytestmark = pytest.mark.timeout(180)

CHAIN_KILLS = [
    ("invoke.copy.act", 1),
    ("invoke.copy.act", 2),
    ("invoke.collection.act", 2),
    ("invoke.invocation.act", 3),
    ("invoke.copy.intent", 1),
    ("invoke.copy.intent", 2),
    ("invoke.copy.receipt", 1),
    ("invoke.copy.receipt", 2),
    ("invoke.collection.intent", 2),
    ("invoke.collection.receipt", 2),
    ("invoke.invocation.act", 2),
    *((f"invoke.invocation.{instant}", time) for time in (2, 3) for instant in ("intent", "receipt")),
    ("invoke.begun", 2),
    ("invoke.moved", 2),
    ("poll.moved", 1),
    *((f"poll.record.{instant}", time) for time in (1, 2, 3) for instant in INSTANTS),
    ("deliver.file.act", 5),
]
"""Of the second workflow and the one that takes a single file; where the first one dies is as in the main matrix."""

TWICE = [
    (("invoke.copy.act", 1), ("invoke.copy.intent", 1)),
    (("invoke.copy.intent", 1), ("invoke.copy.act", 1)),
    (("invoke.copy.act", 2), ("invoke.invocation.act", 1)),
    (("invoke.collection.act", 2), ("invoke.invocation.act", 1)),
    (("poll.record.act", 1), ("poll.record.receipt", 1)),
]

RESUMED = [f"poll.resume.{instant}" for instant in ("act", "intent", "receipt")]
REVIEWED = [f"poll.review.{instant}" for instant in ("act", "intent", "receipt")]
AGAIN = [f"poll.attempt.{instant}" for instant in ("act", "intent", "receipt")]

SECOND_ATTEMPT = [
    *((point, 1) for point in AGAIN),
    ("invoke.collection.act", 2),
    ("invoke.invocation.act", 2),
    ("poll.record.receipt", 1),
    ("poll.record.receipt", 2),
    ("poll.moved", 1),
    ("invoke.collection.intent", 2),
    ("invoke.collection.receipt", 2),
    ("invoke.invocation.intent", 2),
    ("invoke.invocation.receipt", 2),
    ("poll.moved", 2),
    ("deliver.begun", 1),
    ("deliver.file.act", 2),
]

AFTER_THE_WISH = [
    *AGAIN,
    "deliver.file.act",
    "invoke.collection.act",
    "invoke.invocation.act",
    "poll.begun",
    "poll.moved",
    "invoke.begun",
    "poll.record.act",
    "deliver.manifest.intent",
    "deliver.manifest.act",
    "deliver.manifest.receipt",
]

ADOPTED = ["poll.record.receipt", "poll.moved", "poll.begun", "poll.record.act", "deliver.file.act", "deliver.begun"]


@pytest.fixture
def chained(tmp_path: Path) -> Iterator[World]:
    """Return a run for three workflows: two in a row and one beside them."""
    with workflow_world(tmp_path, chain_rule()) as made:
        yield made


@pytest.fixture
def reviewed(tmp_path: Path) -> Iterator[World]:
    """Return a run for a workflow that waits for a review, which a command may confirm."""
    with workflow_world(tmp_path, reviewed_workflow()) as made:
        yield made


@pytest.fixture
def counted(tmp_path: Path) -> Iterator[World]:
    """Return a run for one workflow, tried again by itself when a job of it was killed."""
    with workflow_world(tmp_path, retries=1) as made:
        yield made


@pytest.fixture
def waiting(tmp_path: Path) -> Iterator[World]:
    """Return a run for a workflow of a single job."""
    with workflow_world(tmp_path, waiting_workflow()) as made:
        yield made


async def assert_chain_once(world: World) -> None:
    """Each of the three ran once; reads and tables are a collection each, the single file and the table a copy each."""
    await assert_runs_once(world, {key: ["done"] for key in CHAIN}, collections=2, copies=2, files=7)


def case(value: object) -> str:
    """Return how a case is called."""
    return "-".join(map(str, value)) if isinstance(value, tuple) else str(value)


async def test_chain_passes_every_point(chained: World, runner: Runner) -> None:
    """Undisturbed, both ways of making an input of one's own are gone, and each workflow leaves a record."""
    runner.finish(chained)
    await assert_chain_once(chained)
    count = reached(chained)
    assert [count[f"invoke.{effect}.act"] for effect in ("collection", "copy", "invocation")] == [2, 2, 3]
    assert count["poll.record.act"] == 3


@pytest.mark.parametrize(("point", "time"), rarer(CHAIN_KILLS, keep=5))
async def test_a_kill_within_a_chain_doubles_nothing(chained: World, runner: Runner, point: str, time: int) -> None:
    """After a SIGKILL at the point each workflow was asked for once, by inputs of its own."""
    runner.die(chained, point, on=time)
    runner.finish(chained)
    await assert_chain_once(chained)


@pytest.mark.slow
@pytest.mark.parametrize(("first", "second"), TWICE, ids=case)
async def test_a_second_kill_within_a_chain(
    chained: World, runner: Runner, first: tuple[str, int], second: tuple[str, int]
) -> None:
    """Recovering is as safe as the way itself."""
    for point, time in (first, second):
        runner.die(chained, point, on=time)
    runner.finish(chained)
    await assert_chain_once(chained)


@pytest.mark.parametrize("point", rarer(RESUMED, keep=1))
async def test_a_kill_while_paused_jobs_are_resumed(counted: World, runner: Runner, point: str) -> None:
    """Jobs that were paused for want of quota go on in the same invocation."""
    counted.fake.faults.add(Fault("over_quota", tool="wait_then_exit", times=2))
    runner.die(counted, point)
    runner.finish(counted)
    await assert_runs_once(counted, {"1": ["done"]}, collections=1, copies=0, files=4)


@pytest.mark.parametrize("point", rarer(REVIEWED, keep=1))
async def test_a_kill_while_a_review_is_confirmed(reviewed: World, runner: Runner, point: str) -> None:
    """What a person released is confirmed once, and the workflow goes on."""
    runner.finish(reviewed)
    held = await batch_of(reviewed)
    assert (held["stage"], held["status"]) == ("poll", "held")
    assert "waits for review at step `look`" in held["reason"]
    await reviewed.wish("release", held["id"])
    runner.die(reviewed, point)
    runner.finish(reviewed)
    await assert_runs_once(reviewed, {"1": ["done"]}, collections=0, copies=1, files=1)
    assert len(reviewed.fake.requests.all("PUT", "/steps/")) == 1


@pytest.mark.parametrize(("point", "time"), rarer(SECOND_ATTEMPT, keep=4))
async def test_a_kill_while_it_is_tried_again_by_itself(counted: World, runner: Runner, point: str, time: int) -> None:
    """A job was killed: the second attempt is made once, with a collection of its own, and the first one has ended."""
    counted.fake.faults.add(Fault("job_killed", tool="wait_then_exit"))
    runner.die(counted, point, on=time)
    runner.finish(counted)
    await assert_runs_once(counted, {"1": ["failed", "done"]}, collections=2, copies=0, files=4)


@pytest.mark.parametrize("point", rarer(AFTER_THE_WISH, keep=2))
async def test_a_kill_while_a_person_tries_it_again(counted: World, runner: Runner, point: str) -> None:
    """`retry` of a failed batch is one more attempt, however often the daemon dies; deliveries begin anew."""
    counted.fake.faults.add(Fault("job_error", tool="wait_then_exit"))
    runner.finish(counted)
    failed = await batch_of(counted)
    assert failed["status"] == "failed"
    assert [one["status"] for one in failed["deliveries"]] == ["ignored", "done"]
    await counted.wish("retry", failed["id"])
    runner.die(counted, point)
    runner.finish(counted)
    await assert_runs_once(counted, {"1": ["failed", "done"]}, collections=2, copies=0, files=4)


@pytest.mark.parametrize("point", rarer(AFTER_THE_WISH, keep=0))
async def test_a_kill_while_a_chain_is_asked_for_anew(chained: World, runner: Runner, point: str) -> None:
    """`retry --from invoke` of a chain that went well asks for all of its workflows once more, and once."""
    runner.finish(chained)
    before = await batch_of(chained)
    await chained.wish("retry", before["id"], **{"from": "invoke"})
    runner.die(chained, point)
    runner.finish(chained)
    await assert_runs_once(chained, {key: ["done", "done"] for key in CHAIN}, collections=4, copies=4, files=7)


@pytest.mark.parametrize("point", rarer(ADOPTED, keep=1))
async def test_a_kill_while_a_repeated_job_is_taken_over(waiting: World, runner: Runner, point: str) -> None:
    """What a person ran again in Galaxy is a result, and no second invocation is asked for."""
    waiting.fake.faults.add(Fault("job_error", tool="wait_then_exit"))
    runner.finish(waiting)
    failed = await batch_of(waiting)
    assert failed["status"] == "failed"
    repeat_the_failed_job(waiting)
    await waiting.wish("retry", failed["id"])
    runner.die(waiting, point)
    runner.finish(waiting)
    await assert_runs_once(waiting, {"1": ["done"]}, collections=0, copies=1, files=1)
    (attempt,) = (await batch_of(waiting))["attempts"]
    assert len(attempt["run_again_by_hand"]) == 1
