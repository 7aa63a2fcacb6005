"""Promise 2 between us and Galaxy where workflows are in a row, paused or reviewed: answers lost, a proxy that waits no
longer, a kill while Galaxy acts.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.runner import Runner
from tests.crash.workflow_worlds import (
    CHAIN,
    assert_runs_once,
    batch_of,
    chain_rule,
    reviewed_workflow,
    workflow_world,
)
from tests.fakes.galaxy import Fault
from tests.rarer import rarer
from tests.world import World

pytestmark = pytest.mark.timeout(180)

ACTS = {
    "file-copied": ("POST", "/api/histories/*/contents", 0),
    "copy-named": ("PUT", "/api/histories/*/contents/datasets/*", 0),
    "table-copied": ("POST", "/api/histories/*/contents", 1),
    "table-named": ("PUT", "/api/histories/*/contents/datasets/*", 1),
    "tables-collected": ("POST", "/api/dataset_collections", 1),
    "tables-marked": ("PUT", "/api/histories/*/contents/dataset_collections/*", 1),
    "beside-started": ("POST", "/api/workflows/*/invocations", 1),
    "second-started": ("POST", "/api/workflows/*/invocations", 2),
}
"""Every request that changes something after the first workflow was asked for."""

KINDS = ("lose_answer", "impatient", "reset", "hold_answer")
CASES = [("lose_answer", "file-copied"), ("reset", "copy-named"), ("impatient", "second-started")]
MORE = [(kind, act) for kind in KINDS for act in ACTS if (kind, act) not in CASES]


@pytest.fixture
def chained(tmp_path: Path) -> Iterator[World]:
    """Return a run for three workflows: two in a row and one beside them."""
    with workflow_world(tmp_path, chain_rule(), uncertain_for="40s") as made:
        yield made


def cut(kind: str, act: tuple[str, str, int]) -> Fault:
    """Return a fault for one of the acts; a proxy answers 504 at once, and Galaxy does it a second later."""
    method, path, skip = act
    return Fault(kind, method=method, path=path, skip=skip, seconds=1.0 if kind == "impatient" else 0.0, status=504)


def live_through(world: World, runner: Runner, fault: Fault) -> None:
    """Run a daemon to its end, and one more where the first is killed while Galaxy has acted and not yet answered."""
    if fault.kind == "hold_answer":
        life = runner.start(world)
        fault.wait(60)
        world.fake.wait_until(lambda: any(seen.fault and seen.received for seen in world.fake.requests.all()))
        life.kill()
        assert life.end() == -signal.SIGKILL
        fault.release()
    runner.finish(world)
    assert fault.used_up


@pytest.mark.parametrize(("kind", "act"), [*CASES, *rarer(MORE)])
async def test_a_cut_within_a_chain_doubles_nothing(chained: World, runner: Runner, kind: str, act: str) -> None:
    """Each workflow of a chain is asked for once, and each input of its own is made once."""
    fault = chained.fake.faults.add(cut(kind, ACTS[act]))
    live_through(chained, runner, fault)
    await assert_runs_once(chained, {key: ["done"] for key in CHAIN}, collections=2, copies=2, files=7)


@pytest.mark.parametrize("kind", rarer(KINDS, keep=1))
async def test_a_cut_while_paused_jobs_are_resumed(tmp_path: Path, runner: Runner, kind: str) -> None:
    """Whether or not Galaxy heard it, all paused jobs go on in the end."""
    with workflow_world(tmp_path) as world:
        world.fake.faults.add(Fault("over_quota", tool="wait_then_exit", times=2))
        fault = world.fake.faults.add(cut(kind, ("PUT", "/api/jobs/*/resume", 0)))
        live_through(world, runner, fault)
        await assert_runs_once(world, {"1": ["done"]}, collections=1, copies=0, files=4)


@pytest.mark.parametrize("kind", rarer(KINDS, keep=2))
async def test_a_cut_while_a_review_is_confirmed(tmp_path: Path, runner: Runner, kind: str) -> None:
    """Nobody has to release it a second time."""
    with workflow_world(tmp_path, reviewed_workflow()) as world:
        runner.finish(world)
        await world.wish("release", (await batch_of(world))["id"])
        fault = world.fake.faults.add(cut(kind, ("PUT", "/api/invocations/*/steps/*", 0)))
        live_through(world, runner, fault)
        await assert_runs_once(world, {"1": ["done"]}, collections=0, copies=1, files=1)
