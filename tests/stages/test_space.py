"""Room where the server keeps uploads, on a machine that shares that folder."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.world import World, until
from watcher.model import Plan, PlannedDataset
from watcher.service.preflight import check_all
from watcher.stages.space import IN_FLIGHT_BYTES, QUOTA_BYTES, STORE_BYTES, room_needed

SMALL_BYTES = 64 * 1024


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Return a folder with hardly any room; only root can make one."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    point = tmp_path / "uploads"
    point.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SMALL_BYTES}", "tmpfs", point], check=True)
    try:
        yield point
    finally:
        subprocess.run(["umount", "--lazy", point], check=True)


def filled(folder: Path) -> Path:
    """Take up all room of the small disk, and return the file that does."""
    ballast = folder / "ballast"
    ballast.write_bytes(bytes(SMALL_BYTES))
    return ballast


async def test_a_run_waits_while_galaxy_s_folder_for_uploads_is_full(world: World, small_disk: Path) -> None:
    """Nothing is sent into a full folder; with room again the run goes on by itself."""
    ballast = filled(small_disk)
    world.write_config(galaxy={"upload_store": str(small_disk)}, limits={"probe": "1s"})
    run = world.add_run()
    async with world.daemon():
        await until(lambda: waits(world), what="the run waits for room")
        assert not world.posts("resumable_upload")
        ballast.unlink()
        await world.until_status("done")
    assert world.uploads() == world.fastqs(run)


async def waits(world: World) -> bool:
    """Say whether the only run waits because of that folder."""
    return any(
        unit["code"] == "over_quota" and "where Galaxy `galaxy` keeps uploads" in unit["reason"]
        for unit in (await world.status())["units"]
    )


async def test_check_tells_the_room_there(world: World, tmp_path: Path) -> None:
    """Free space is told, and a folder that is not there is no well."""
    world.write_config(galaxy={"upload_store": str(tmp_path)})
    assert any("where it keeps uploads, has" in one.message for one in await check_all(world.settings()))
    world.write_config(galaxy={"upload_store": str(tmp_path / "nowhere")})
    (bad,) = [one for one in await check_all(world.settings()) if not one.well]
    assert "cannot be looked at: No such file or directory" in bad.message and "upload_store" in bad.hint


def test_more_is_sent_than_ever_lies_there(plan: Plan) -> None:
    """Galaxy takes uploads out as it goes: a large run needs room for what is on its way, a small one for itself."""
    large = plan.model_copy(update={"datasets": tuple(dataset(number, 10**10) for number in range(100))})
    needed = room_needed({"galaxy": [large]}, 4)
    assert needed[QUOTA_BYTES] == {"galaxy": 10**12}
    assert needed[STORE_BYTES] == {"galaxy": IN_FLIGHT_BYTES + 4 * 10**10}
    small = plan.model_copy(update={"datasets": (dataset(1, 7),)})
    assert room_needed({"galaxy": [small]}, 4) == {QUOTA_BYTES: {"galaxy": 7}, STORE_BYTES: {"galaxy": 7}}
    linked = large.model_copy(update={"transfer": "link"})
    assert room_needed({"galaxy": [linked]}, 4)[STORE_BYTES] == {"galaxy": 0}


def dataset(number: int, size: int) -> PlannedDataset:
    """Return a planned dataset of so many bytes."""
    return PlannedDataset(
        key=f"d{number}", name=f"f{number}", ext="data", size=size, sources=(f"f{number}",), sample="S1"
    )


@pytest.fixture
def plan() -> Plan:
    """Return a plan without datasets."""
    return Plan(rule="all", watch="miseq", galaxy="galaxy", run="R", unit="R", path="/data/R")
