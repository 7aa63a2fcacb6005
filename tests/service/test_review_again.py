"""What an earlier run left behind goes on by itself: obstacles, holds, watches, also in a one-shot catch-up."""

from __future__ import annotations

from tests.fakes.galaxy import Fault
from tests.service.test_review_wishes import wish
from tests.world import World, fastq, packed, until

SELDOM = {"probe": "10m", "uncertain_for": "2s"}


async def test_once_goes_on_after_a_galaxy_that_was_away_yesterday(world: World) -> None:
    """A catch-up asks after old obstacles before it ends, however seldom the timer would."""
    world.write_config(limits=SELDOM)
    run = world.add_run(samples=("S1",))
    world.fake.stop()
    report = await world.once(wait_s=0.0)
    assert [one["kind"] for one in report["obstacles"]] == ["galaxy"]
    world.fake.start()
    report = await world.once(wait_s=0.0)
    assert (report["units"][0]["status"], report["obstacles"]) == ("done", [])
    assert world.uploads() == world.fastqs(run)


async def test_once_takes_up_what_was_corrected_meanwhile(world: World) -> None:
    """A file that was put right between two catch-ups needs no retry."""
    world.write_config(limits=SELDOM)
    run = world.add_run(samples=("S1",))
    bad = run / "S1_S1_L001_R2_001.fastq.gz"
    good = bad.read_bytes()
    bad.write_bytes(packed(fastq(4000, read=2))[:-3000] + b"\x01" * 8)
    assert (await world.once())["units"][0]["status"] == "held"
    bad.write_bytes(good)
    assert (await world.once())["units"][0]["status"] == "done"
    assert world.uploads() == world.fastqs(run)


async def test_a_watch_that_is_taken_away_and_put_back_is_looked_at_again(world: World) -> None:
    """A watch out of the configuration is left alone, not held; back again it takes what came meanwhile."""
    world.write_config(watch={"name": "other", "path": str(world.results)}, rule={"deliver": None})
    world.add_run(samples=("S1",))
    world.write_config()
    await world.once()
    elsewhere = world.folder / "elsewhere"
    elsewhere.mkdir()
    world.write_config(watch={"name": "other", "path": str(elsewhere)})
    stood = {one["name"]: one["status"] for one in (await world.once(wait_s=0.0))["watches"]}
    assert stood["miseq"] == "ignored"
    world.write_config()
    world.add_run("260301_M02439_0044_000000000-KT42N", samples=("T1",))
    report = await world.once()
    assert {one["name"]: one["status"] == "ignored" for one in report["watches"]} == {"miseq": False, "other": True}
    assert [unit["status"] for unit in report["units"]] == ["done", "done"]


async def test_a_root_that_goes_in_mid_upload_is_waited_for(world: World) -> None:
    """Without the mount every file is gone: that is an obstacle, and asks nobody; back again the upload goes on."""
    world.write_config(limits={**SELDOM, "probe": "1s", "transfers": 1})
    run = world.add_run(samples=("S1",))
    away = world.folder / "away"
    hold = world.fake.faults.add(Fault("hold", method="PATCH", path="/api/upload/*", times=1))
    async with world.daemon():
        await until(lambda: _true(hold.hits), what="the first chunk")
        world.watched.rename(away)
        hold.release()
        await until(lambda: _stands(world, "mount:miseq"), what="an obstacle")
        await until(lambda: _batch_is(world, "waiting"), what="the batch behind it")
        assert (await world.status())["watches"][0]["blind_since"]
        away.rename(world.watched)
        await world.until_status("done")
    assert world.uploads() == world.fastqs(run)


async def test_a_dataset_that_galaxy_spoilt_twice_is_sent_again_by_retry(world: World) -> None:
    """Retry of a batch held for a broken dataset sends that file once more."""
    run = world.add_run(samples=("S1",))
    world.fake.faults.add(Fault("wrong_size", size=3, times=3))
    unit = (await world.once())["units"][0]
    assert unit["status"] == "held", "the first one was spoilt, and spoilt again when it was sent once more"
    assert "goes on" in await wish(world, "retry", unit["id"])
    unit = (await world.once())["units"][0]
    assert unit["status"] == "done"
    assert world.uploads() == world.fastqs(run)


async def _true(value: object) -> bool:
    return bool(value)


async def _batch_is(world: World, status: str) -> bool:
    (batch,) = (await world.status())["units"][0]["batches"]
    assert batch["status"] != "held", batch["reason"]
    return bool(batch["status"] == status)


async def _stands(world: World, key: str) -> bool:
    return key in [one["key"] for one in (await world.status())["obstacles"]]
