"""Promise 2 on a real Galaxy: SIGKILL where it hurts most, a restart, and BioBlend finds one of everything."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.exactly_once import assert_delivered_once
from tests.crash.on_real_galaxy import assert_real_exactly_once, real_world
from tests.crash.runner import Runner
from tests.live.real_galaxy import RealGalaxy, real_galaxy
from tests.rarer import rarer
from tests.world import RUN, World

CASES = (
    ("upload.history.act", 1),
    ("upload.bytes.act", 2),
    ("upload.fetch.act", 1),
    ("invoke.invocation.act", 1),
)
"""Right after each effect that Galaxy or a reader would show twice."""

MORE = (("upload.fetch.intent", 1), ("invoke.collection.act", 1), ("poll.begun", 2), ("deliver.file.act", 2))


@pytest.fixture
def real() -> RealGalaxy:
    """Return the real Galaxy."""
    return real_galaxy()


@pytest.fixture
def world(tmp_path: Path, real: RealGalaxy) -> Iterator[World]:
    """Return a finished run for the real Galaxy; a request of ours never comes true there later than in seconds."""
    with real_world(tmp_path, real, uncertain_for="4s", chunk_bytes=1024) as made:
        yield made


@pytest.mark.real
@pytest.mark.parametrize(
    ("point", "time"),
    [*CASES, *rarer(MORE)],
    ids=[f"{point}-{time}" for point, time in (*CASES, *MORE)],
)
async def test_a_kill_leaves_one_of_everything_in_a_real_galaxy(
    world: World, runner: Runner, real: RealGalaxy, point: str, time: int
) -> None:
    """After a SIGKILL at the point and a restart, another client finds one of everything, byte for byte."""
    runner.die(world, point, on=time, factor=1.0)
    runner.finish(world, factor=1.0)
    (unit,) = (await world.status())["units"]
    (batch,) = unit["batches"]
    assert (unit["status"], batch["status"], batch["checked"]) == ("done", "done", "SHA-256"), unit
    assert_real_exactly_once(real, world, batch["id"], world.results / RUN)
    assert_delivered_once(world.results / RUN)
