"""Results that a Galaxy of 24.1 sends to a bucket by its cloud storage API, and what it says where it cannot."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.galaxy import Fault
from tests.fakes.galaxy.ids import encode
from tests.stages.test_written_by_galaxy import only_batch
from tests.world import World
from watcher.service.preflight import check_all

pytestmark = pytest.mark.timeout(180)  # a whole way each, also on a busy machine

Json = dict[str, Any]


@pytest.fixture
def old(tmp_path: Path) -> Iterator[World]:
    """Give a world whose Galaxy is 24.1.4 with OpenID Connect, an authorization and a bucket."""
    with World(tmp_path, version="24.1.4") as world:
        to_bucket(world)
        world.fake.state.clouds.has_oidc = True
        world.fake.state.clouds.authorizations.append("our bucket")
        bucket(world).mkdir(parents=True)
        yield world


def bucket(world: World) -> Path:
    """Return the folder that is the bucket."""
    return world.fake.state.folder / "buckets" / "core"


def to_bucket(world: World, *more: Json, limits: Json | None = None, **cloud: Any) -> None:
    """Let the only rule have Galaxy send one output to the bucket."""
    one = {"cloud": {"authz_id": encode(1), "bucket": "core", **cloud}, "outputs": ["read counts"]}
    world.write_config(rule={"deliver": [one, *more]}, limits=limits or {"uncertain_for": "2s"})
    if not list(world.watched.iterdir()):
        world.add_run(samples=("S1",))


def jobs(world: World) -> list[str]:
    """Return the states of the jobs that send."""
    return [job["state"] for job in world.fake.jobs() if job["tool_id"] == "send_to_cloud"]


def sent(world: World) -> set[str]:
    """Return the names of the objects."""
    return {path.name for path in bucket(world).iterdir()}


async def test_galaxy_sends_the_selected_results(old: World) -> None:
    """Those alone, each by a job of its own, whose log is gone from the history."""
    assert [one for one in await check_all(old.settings()) if not one.well] == []
    await old.once()
    batch = await only_batch(old)
    (delivery,) = batch["deliveries"]
    assert (batch["status"], delivery["target"], delivery["reason"]) == ("done", "bucket core", "2 files"), batch
    assert len(sent(old)) == 2
    assert all(name.startswith("Read_count_of_") for name in sent(old))
    assert jobs(old) == ["ok", "ok"]
    assert all(row["deleted"] for row in old.fake.datasets() if row["name"].startswith("Send to cloud"))


async def test_a_job_that_ends_well_without_sending(old: World) -> None:
    """The tool says so in its output alone; a retry asks for what is missing and for nothing else."""
    (name,) = [f"Read_count_of_{one}" for one in old.fastqs() if "_R1_" in one]
    (bucket(old) / name).mkdir()
    to_bucket(old, overwrite=True)
    await old.once()
    batch = await only_batch(old)
    assert batch["status"] == "held", batch
    assert f"did not send 1 of 2 files to bucket core: `{name}`: Failed to send the dataset." in batch["reason"]
    (bucket(old) / name).rmdir()
    await old.wish("retry", batch["id"])
    await old.once()
    assert (await only_batch(old))["status"] == "done"
    assert len(sent(old)) == 2
    assert len(jobs(old)) == 3


async def test_a_lost_answer_sends_nothing_twice(old: World) -> None:
    """The jobs are found by their datasets, the bucket and the authorization."""
    old.fake.faults.add(Fault("lose_answer", method="POST", path="/api/cloud/storage/send"))
    await old.once()
    assert (await only_batch(old))["status"] == "done"
    assert jobs(old) == ["ok", "ok"]
    assert len(old.fake.requests.all("POST", "/api/cloud/storage/send")) == 1


async def test_without_openid_connect_galaxy_fails(old: World) -> None:
    """Its bare 500 is told as what it is, the other deliveries are made, and a retry asks again."""
    to_bucket(old, {"folder": f"{old.results}/{{run}}"})
    old.fake.state.clouds.has_oidc = False
    await old.once()
    batch = await only_batch(old)
    assert [row["status"] for row in batch["deliveries"]] == ["held", "done"], batch
    assert "(500) and began nothing" in batch["reason"]
    old.fake.state.clouds.has_oidc = True
    await old.wish("retry", batch["id"])
    await old.once()
    assert (await only_batch(old))["status"] == "done"


async def test_an_authorization_that_nobody_knows(old: World) -> None:
    """The run is held before its first byte, with those that there are; `check` says the same."""
    to_bucket(old, authz_id="0123456789abcdef")
    (told,) = [one for one in await check_all(old.settings()) if not one.well]
    assert told.message == "The account has no cloud authorization 0123456789abcdef in Galaxy."
    assert f"It has {encode(1)} (our bucket)." in told.hint
    (unit,) = (await old.once())["units"]
    assert (unit["stage"], unit["status"]) == ("plan", "held")
    assert old.uploads() == {}


async def test_newer_servers_send_nothing(world: World) -> None:
    """The API ended with 24.1: the run is held before its first byte, and told which ways there are."""
    to_bucket(world)
    (told,) = [one for one in await check_all(world.settings()) if not one.well]
    assert "that ended with 24.1" in told.message
    assert "gxfiles://" in told.hint
    (unit,) = (await world.once())["units"]
    assert (unit["stage"], unit["status"]) == ("plan", "held")
    assert world.uploads() == {}
