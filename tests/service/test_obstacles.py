"""Shared things that break: one row, one notice, everything behind them waits and goes on by itself."""

from __future__ import annotations

import pytest

from tests.fakes.galaxy import Fault
from tests.rarer import rarer
from tests.world import RUN, World, until
from watcher.service.obstacles import probe_obstacles
from watcher.store.store import Store


async def open_obstacles(world: World) -> list[str]:
    """Return the keys of the open obstacles."""
    return [obstacle["key"] for obstacle in (await world.status())["obstacles"]]


async def test_a_key_renewed_in_mid_upload_lets_everything_go_on(world: World) -> None:
    """An expired key is one obstacle and one notice for all batches; a new key file heals them without a restart."""
    world.write_config(rule={"per": "sample", "deliver": {"folder": f"{world.results}/{{run}}/{{sample}}"}})
    run = world.add_run(samples=("S1", "S2", "S3"))
    expiry = world.fake.faults.add(Fault("act", method="PATCH", path="/api/upload/*", action=world.fake.expire_key))
    async with world.daemon():
        await until(lambda: open_obstacles(world), what="an obstacle")
        assert expiry.hits == 1
        report = await world.status()
        assert await open_obstacles(world) == ["account:galaxy"]
        world.write_key(world.fake.renew_key())
        await world.until_status("done")
    assert world.uploads() == world.fastqs(run)
    assert len(world.fake.invocations()) == 3
    assert len(await world.journal("obstacle.raised")) == 1
    assert len(await world.journal("obstacle.ended")) == 1
    assert len({batch["id"] for batch in report["units"][0]["batches"]}) == 3


async def test_a_galaxy_that_goes_away_is_waited_for(world: World) -> None:
    """While Galaxy is down nothing fails and nothing is asked of a person; when it is back the run goes on."""
    run = world.add_run()
    world.fake.stop()
    async with world.daemon():
        await until(lambda: open_obstacles(world), what="an obstacle")
        unit = await world.until_status("waiting")
        assert unit["hint"] or unit["reason"]
        world.fake.start()
        await world.until_status("done")
    assert world.uploads() == world.fastqs(run)
    assert len(await world.journal("obstacle.raised")) == 1


OTHERS = {
    "another-web-server": Fault("status", status=404),
    "page-with-200": Fault("garbage"),
    "login-elsewhere": Fault("status", status=302),
    "page-with-500": Fault("status", status=500),
    "page-with-403": Fault("status", status=403),
}
"""What may answer at the address instead of Galaxy."""


def stand_in(world: World, case: str) -> None:
    """Let something else answer every request until the faults are cleared."""
    other = OTHERS[case]
    world.fake.faults.add(Fault(other.kind, status=other.status, times=None))


@pytest.mark.parametrize("case", rarer(OTHERS, keep=2))
async def test_what_is_no_galaxy_is_waited_for(world: World, case: str) -> None:
    """Another server at Galaxy's address is one obstacle that says so; all goes on by itself with Galaxy back."""
    run = world.add_run()
    stand_in(world, case)
    async with world.daemon():
        await until(lambda: open_obstacles(world), what="an obstacle")
        (obstacle,) = (await world.status())["obstacles"]
        assert obstacle["key"] == "galaxy:galaxy"
        assert f"What answers at {world.fake.url} is no Galaxy" in obstacle["reason"]
        await world.until_status("waiting")
        world.fake.faults.clear()
        await world.until_status("done")
    assert world.uploads() == world.fastqs(run)
    assert len(await world.journal("obstacle.raised")) == 1


PLACES = {
    "upload": ("PATCH", "/api/upload/resumable_upload/*", "page-with-200"),
    "register": ("POST", "/api/tools/fetch", "page-with-200"),
    "invoke": ("POST", "/api/workflows/*/invocations", "page-with-500"),
    "poll": ("GET", "/api/invocations/*", "another-web-server"),
    "deliver": ("GET", "/api/datasets/*/display", "page-with-200"),
}
"""Where the work is, and what answers from then on."""


@pytest.mark.parametrize("place", rarer(PLACES, keep=2))
async def test_a_page_in_front_of_galaxy_in_mid_work_holds_nothing(world: World, place: str) -> None:
    """Maintenance that begins in mid-work is waited for, and nothing is doubled when it is over."""
    method, path, case = PLACES[place]
    run = world.add_run()
    begun = Fault("act", method=method, path=path, action=lambda: stand_in(world, case))
    world.fake.faults.add(begun)
    async with world.daemon():
        await until(lambda: open_obstacles(world), what="an obstacle")
        assert begun.hits == 1
        assert await open_obstacles(world) == ["galaxy:galaxy"]
        world.fake.faults.clear()
        await world.until_status("done")
    assert world.uploads() == world.fastqs(run)
    assert len(world.fake.invocations()) == 1
    assert len(await world.journal("obstacle.raised")) == 1


async def test_over_quota_waits_until_there_is_room(world: World) -> None:
    """Uploads that Galaxy pauses for quota are an obstacle; with room again everything is sent once."""
    run = world.add_run()
    used = world.fake.faults.add(Fault("over_quota", tool="__DATA_FETCH__"))
    world.fake.faults.add(Fault("act", method="POST", path="/api/tools/fetch", action=lambda: world.fake.set_quota(0)))
    async with world.daemon():
        await until(lambda: open_obstacles(world), what="an obstacle")
        assert used.hits
        assert await open_obstacles(world) == ["quota:galaxy"]
        world.fake.set_quota(None)
        await world.until_status("done")
    assert world.uploads() == world.fastqs(run)


async def test_a_run_that_does_not_fit_lets_smaller_ones_by(world: World) -> None:
    """Too little quota for a run stops it before its first byte, and nothing else; with room it goes on by itself."""
    large = world.add_run(samples=[f"S{number}" for number in range(1, 9)])
    needed = sum(path.stat().st_size for path in large.rglob("*.fastq.gz"))
    world.fake.set_quota(needed // 2)
    async with world.daemon():
        await until(lambda: open_obstacles(world), what="an obstacle")
        assert await open_obstacles(world) == ["quota:galaxy"]
        small = world.add_run("260301_M02439_0044_000000000-KT42N", samples=("S1",))

        async def small_is_done() -> bool:
            return {unit["status"] for unit in (await world.status())["units"]} == {"waiting", "done"}

        await until(small_is_done, what="the small run done, the large one waiting")
        assert world.uploads() == world.fastqs(small)
        assert await open_obstacles(world) == ["quota:galaxy"]
        world.fake.set_quota(None)

        async def both_are_done() -> bool:
            return [unit["status"] for unit in (await world.status())["units"]] == ["done", "done"]

        await until(both_are_done, what="both runs done")
    assert len(await world.journal("obstacle.raised")) == 1


async def test_a_root_that_is_renamed_away_makes_the_watch_blind(world: World) -> None:
    """Nothing is inferred while the root is gone; back again, what was seen stays what it was."""
    run = world.add_run()
    (run / "Logs" / "FastqComplete.txt").unlink()
    away = world.folder / "away"
    async with world.daemon() as daemon:
        unit = await world.until_status("waiting")
        world.watched.rename(away)
        await daemon.rooms.store.wake("watch", "miseq")
        daemon.dispatcher.nudge()
        await until(lambda: open_obstacles(world), what="an obstacle")
        assert await open_obstacles(world) == ["mount:miseq"]
        assert (await world.status())["watches"][0]["blind_since"]
        assert (await world.until_status("waiting"))["id"] == unit["id"]  # it may be looked at right now
        away.rename(world.watched)
        await until(lambda: _none(world), what="the end of the obstacle")
        (run / "Logs" / "FastqComplete.txt").touch()
        done = await world.until_status("done")
    assert done["id"] == unit["id"]
    assert len(await world.journal("obstacle.raised")) == 1


async def test_a_target_that_is_not_mounted_is_waited_for(world: World) -> None:
    """A delivery whose fixed folder is missing waits behind its own target, and goes on when it is there."""
    base = world.folder / "share"
    world.write_config(rule={"deliver": [{"folder": f"{world.results}/{{run}}"}, {"folder": f"{base}/{{run}}"}]})
    world.add_run()
    async with world.daemon() as daemon:
        await until(lambda: open_obstacles(world), what="an obstacle")
        assert await open_obstacles(world) == [f"target:{base}"]
        await until(lambda: _probed(daemon.rooms.store, f"target:{base}"), what="a probe")
        base.mkdir()
        await world.until_status("done")
    assert len(await world.journal("obstacle.raised")) == 1
    assert (base / RUN / "MANIFEST.sha256").exists()
    assert (world.results / RUN / "MANIFEST.sha256").exists()


async def test_a_target_that_was_missed_just_now_stands(world: World) -> None:
    """A probe between the fault and the row that stands behind it ends nothing: one fault, one notice."""
    world.write_config(limits={"probe": "1h"})
    async with world.daemon() as daemon:
        await daemon.rooms.store.raise_obstacle("target:/share", "target", "/share", "The share is away.", "")
        assert await probe_obstacles(daemon.rooms) == 0
        assert await open_obstacles(world) == ["target:/share"]


async def _none(world: World) -> bool:
    return not await open_obstacles(world)


async def _probed(store: Store, key: str) -> bool:
    """Tell whether the obstacle still stands after it was probed."""
    return any(one.key == key and one.next_probe_at for one in await store.obstacles())
