"""From a run over a real Galaxy to a bucket: SIGKILL while results go there, and every object is there once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.on_real_galaxy import assert_real_exactly_once, real_world
from tests.crash.runner import Runner
from tests.delivery.conftest import s3, s3_server
from tests.delivery.stores import S3
from tests.live.real_galaxy import RealGalaxy, real_galaxy
from tests.rarer import rarer
from tests.stages.test_deliveries_to_stores import assert_whole
from tests.world import RUN, World

__all__ = ["s3", "s3_server"]

KILLS = [
    ("deliver.file.act", 2),
    ("deliver.file.intent", 1),
    ("deliver.file.receipt", 5),
    ("deliver.manifest.intent", 1),
    ("deliver.manifest.act", 1),
]


@pytest.fixture
def real() -> RealGalaxy:
    """Return the real Galaxy."""
    return real_galaxy()


@pytest.fixture
def world(tmp_path: Path, real: RealGalaxy, s3: S3) -> Iterator[World]:
    """Return a finished run for the real Galaxy, whose results go to the bucket."""
    with real_world(tmp_path, real, store=s3, uncertain_for="4s", chunk_bytes=1024) as made:
        yield made


@pytest.mark.real
@pytest.mark.parametrize(("point", "time"), rarer(KILLS), ids=[f"{point}-{time}" for point, time in KILLS])
async def test_a_kill_leaves_every_object_of_a_real_galaxy_once(
    world: World, runner: Runner, real: RealGalaxy, s3: S3, tmp_path: Path, point: str, time: int
) -> None:
    """The bucket holds the bytes that another client reads from Galaxy, the record and the manifest, nothing else."""
    runner.die(world, point, on=time, factor=1.0)
    runner.finish(world, factor=1.0)
    (unit,) = (await world.status())["units"]
    (batch,) = unit["batches"]
    assert (unit["status"], batch["status"]) == ("done", "done"), unit
    assert_whole(s3, tmp_path / "there")
    assert_real_exactly_once(real, world, batch["id"], tmp_path / "there" / "runs" / RUN)
