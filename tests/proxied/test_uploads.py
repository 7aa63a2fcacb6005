"""Whole runs through proxies that limit, cut and give up: everything arrives, byte for byte, and nothing twice."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.fakes.galaxy import Fault
from tests.proxied.between import Impatient, Relay
from tests.proxied.conftest import make_large
from tests.proxied.nginx import Nginx
from tests.rarer import rarer
from tests.world import World

MB = 1_000_000
SESSIONS = "/api/upload/resumable_upload/*"
PARTS = {"PATCH /api/upload/": 2}
MAKING = {
    "POST /api/histories": 1,
    "POST /api/tools/fetch": 1,
    "POST /api/dataset_collections": 1,
    "POST /invocations": 1,
}
"""Requests that are given up, and how often."""


@pytest.fixture(params=rarer(["26.1.2", "24.1.4"], keep=1))
def versioned(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """Return a world whose Galaxy behaves as that version."""
    with World(tmp_path / "world", version=request.param) as made:
        yield made


def downloads(world: World, url: str) -> dict[str, str]:
    """Return name → SHA-256 of what Galaxy sends when it is asked for the uploaded datasets."""
    found = {}
    with httpx.Client(headers={"x-api-key": world.fake.key}, trust_env=False) as client:
        for row in world.fake.datasets():
            if row["uploaded"] and not row["deleted"]:
                answer = client.get(f"{url}/api/datasets/{row['id']}/display", params={"to_ext": "data"})
                found[row["name"]] = hashlib.sha256(answer.raise_for_status().content).hexdigest()
    return found


async def assert_arrived(world: World, run: Path, url: str) -> None:
    """Hold what Galaxy has against the files: each is there once, whole, and nobody met another writer."""
    (unit,) = (await world.status())["units"]
    assert unit["status"] == "done", unit
    assert world.uploads() == world.fastqs(run) == downloads(world, url)
    assert sum(row["uploaded"] for row in world.fake.datasets()) == len(world.fastqs(run))
    assert len(world.fake.histories()) == len(world.fake.invocations()) == 1
    assert world.fake.snapshot()["sessions"] == []
    assert world.fake.writers_met == 0


async def test_behind_nginx_with_a_sub_path_and_a_limit(versioned: World, nginx_program: Path, tmp_path: Path) -> None:
    """Below a path, with bodies limited to less than a chunk and an outage in mid-upload, a run is done."""
    world = versioned
    run = make_large(world.add_run(samples=("S1",)), 12)
    with (
        Relay(world.fake.port) as relay,
        Nginx(nginx_program, tmp_path / "nginx", relay.port, body_limit="4m", prefix_is_cut=True) as nginx,
    ):
        world.write_config(galaxy={"url": nginx.url})
        outage = world.fake.faults.add(
            Fault("act", method="PATCH", path=SESSIONS, skip=3, action=lambda: relay.away(for_s=6))
        )
        async with world.daemon():
            await world.until_status("done", timeout_s=150)
        await assert_arrived(world, run, nginx.url)
        statuses = nginx.statuses("PATCH")
        assert outage.hits == 1
        assert 413 in statuses
        assert 502 in statuses
        assert max(seen.received for seen in world.fake.requests.all("PATCH")) <= 4 * 1024**2
        assert relay.refused


async def test_where_every_connection_is_cut_after_eight_megabytes(versioned: World) -> None:
    """Chunks are larger than what gets through at once, and what was cut is lost on old servers: all arrives."""
    world = versioned
    run = make_large(world.add_run(samples=("S1",)), 24)
    with Relay(world.fake.port, cut_after=8 * MB) as relay:
        world.write_config(galaxy={"url": relay.url})
        async with world.daemon():
            await world.until_status("done", timeout_s=150)
        assert relay.cuts
        await assert_arrived(world, run, world.fake.url)


async def test_where_a_proxy_gives_up_what_the_server_goes_on_with(versioned: World) -> None:
    """After a 504 nobody else writes while the server still does, and its bytes count: nothing is sent twice."""
    world = versioned
    run = make_large(world.add_run(samples=("S1",)), 12)
    with Impatient(world.fake.port, PARTS, late_s=8) as proxy:
        world.write_config(galaxy={"url": proxy.url})
        async with world.daemon():
            await world.until_status("done", timeout_s=150)
        assert proxy.carried_out == [204, 204]
        await assert_arrived(world, run, world.fake.url)
    sent = sum(seen.received for seen in world.fake.requests.all("PATCH"))
    assert sent == sum(path.stat().st_size for path in run.glob("*.fastq.gz"))


async def test_where_a_proxy_gives_up_what_makes_things(versioned: World) -> None:
    """History, datasets, collection and invocation that are made after a 504 are found, and none is made again."""
    world = versioned
    run = world.add_run(samples=("S1",))
    with Impatient(world.fake.port, MAKING, late_s=1.5) as proxy:
        world.write_config(galaxy={"url": proxy.url}, limits={"uncertain_for": "30s"})
        async with world.daemon():
            await world.until_status("done", timeout_s=150)
        assert proxy.carried_out == [200] * len(MAKING)
        await assert_arrived(world, run, world.fake.url)
    assert len(world.fake.collections()) == 1 + sum(row["made_by_tool"] for row in world.fake.collections())
