"""Promise 2 for object stores: killed at each instant of a delivery to S3, every object is there once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crash.runner import LIMITS, Runner, reached
from tests.delivery.conftest import s3, s3_server
from tests.delivery.stores import S3
from tests.rarer import rarer
from tests.stages.test_deliveries_to_stores import assert_whole, only_batch, to_store
from tests.world import World

__all__ = ["s3", "s3_server"]

pytestmark = pytest.mark.timeout(180)

KILLS = [
    ("deliver.file.act", 1),
    ("deliver.file.intent", 2),
    ("deliver.file.receipt", 4),
    ("deliver.manifest.act", 1),
    ("deliver.manifest.intent", 1),
    ("deliver.manifest.receipt", 1),
    ("deliver.begun", 1),
]


@pytest.mark.parametrize(("point", "time"), rarer(KILLS, keep=1))
async def test_a_kill_leaves_every_object_once(
    world: World, runner: Runner, s3: S3, tmp_path: Path, point: str, time: int
) -> None:
    """The bucket holds what the manifest lists, nothing half sent and nothing else."""
    to_store(world, s3, limits=LIMITS)
    runner.die(world, point, on=time)
    runner.finish(world)
    batch = await only_batch(world)
    assert (batch["status"], batch["deliveries"][0]["status"]) == ("done", "done"), batch
    assert_whole(s3, tmp_path / "there")
    assert reached(world)["deliver.manifest.act"] >= 1
