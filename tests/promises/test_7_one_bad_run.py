"""Promise 7: one bad run never stops the others; what is missing, dead, expired or full is a state, not a crash."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fakes.galaxy import Fault
from tests.world import RUN, World, fastq, packed, until

pytestmark = pytest.mark.timeout(180)  # a whole way each, also on a busy machine

GOOD = "260301_M02439_0044_000000000-KT43M"


def _truncated(run: Path) -> None:
    (run / "S1_S1_L001_R1_001.fastq.gz").write_bytes(packed(fastq(3000))[:-500])


def _sheet_broken(run: Path) -> None:
    (run / "Reports" / "SampleSheet.csv").write_bytes(b"\xff\xfe\x00[Header\n,,,\n")


def _endless_link(run: Path) -> None:
    (run / "loop").symlink_to(run)
    (run / "S1_S1_L001_R1_001.fastq.gz").unlink()
    (run / "S1_S1_L001_R1_001.fastq.gz").symlink_to("/dev/zero")


def _odd_names(run: Path) -> None:
    (run / "new\nline.fastq.gz").write_bytes(b"x")
    os.close(os.open(os.fsencode(run) + b"/S1_S1_L001_R3_\xff.fastq.gz", os.O_CREAT | os.O_WRONLY, 0o600))
    (run / "S1_S1_L001_R2_001.fastq.gz").unlink()


def _folder_for_a_file(run: Path) -> None:
    path = run / "S1_S1_L001_R2_001.fastq.gz"
    path.unlink()
    path.mkdir()


BAD: dict[str, Callable[[Path], None]] = {
    "truncated": _truncated,
    "sheet-broken": _sheet_broken,
    "links-astray": _endless_link,
    "odd-names": _odd_names,
    "folder-for-a-file": _folder_for_a_file,
}


def statuses(report: dict[str, list[dict[str, str]]]) -> dict[str, str]:
    """Return run → status."""
    return {unit["run"]: unit["status"] for unit in report["units"]}


@pytest.mark.parametrize("case", BAD)
async def test_a_bad_run_beside_a_good_one(world: World, case: str) -> None:
    """The good one is done whatever the bad one looks like, and the bad one says what it wants."""
    BAD[case](world.add_run())
    world.add_run(GOOD)
    report = await world.once(wait_s=2.0)
    assert statuses(report)[GOOD] == "done", report
    bad = next(unit for unit in report["units"] if unit["run"] != GOOD)
    assert bad["status"] in ("held", "waiting")
    assert bad["reason"]
    assert len(world.fake.invocations()) == 1
    assert (world.results / GOOD / "MANIFEST.sha256").exists()


async def test_a_failing_workflow_beside_a_good_one(world: World) -> None:
    """A failed job of one batch is its own."""
    world.fake.faults.add(Fault("job_error", tool="wait_then_exit"))
    world.add_run()
    world.add_run(GOOD)
    report = await world.once()
    assert sorted(statuses(report).values()) == ["done", "failed"]


async def test_a_watch_that_is_not_there_beside_one_that_is(world: World) -> None:
    """A missing root is an obstacle of its watch alone, and goes on when it is back."""
    gone = world.folder / "nextseq"
    watches = [
        {"name": "miseq", "path": str(world.watched), "settle": "0s", "existing": "process"},
        {"name": "nextseq", "path": str(gone), "settle": "0s", "existing": "process"},
    ]
    world.write_config(watches=watches)
    world.add_run()
    async with world.daemon():

        async def good_is_done() -> bool:
            return statuses(await world.status()).get(RUN) == "done"

        await until(good_is_done)
        (obstacle,) = (await world.status())["obstacles"]
        assert (obstacle["kind"], obstacle["subject"]) == ("mount", "nextseq")
        shutil.copytree(world.watched / RUN, world.folder / "made" / GOOD)
        run_info = world.folder / "made" / GOOD / "Reports" / "RunInfo.xml"
        run_info.write_text(run_info.read_text().replace(RUN, GOOD))
        (world.folder / "made").rename(gone)

        async def both_are_done() -> bool:
            return statuses(await world.status()) == {RUN: "done", GOOD: "done"}

        await until(both_are_done)
    assert (await world.status())["obstacles"] == []


async def test_a_dead_galaxy_beside_a_living_one(world: World) -> None:
    """What goes to another Galaxy does not wait for the dead one."""
    account = {"url": world.fake.url, "api_key_file": str(world.key_file)}
    rule = {"workflow": {"name": "Count reads", "inputs": {"Reads": "reads"}}}
    world.write_config(
        galaxy=None,
        galaxies={"alive": account, "dead": {**account, "url": "http://127.0.0.1:9"}},
        rules=[
            {"name": "good", "match": {"run": GOOD}, "galaxy": "alive", **rule},
            {"name": "rest", "galaxy": "dead", **rule},
        ],
    )
    world.add_run()
    world.add_run(GOOD)
    async with world.daemon():

        async def stands() -> bool:
            report = await world.status()
            return bool(report["obstacles"]) and statuses(report) == {RUN: "waiting", GOOD: "done"}

        await until(stands)
        (obstacle,) = (await world.status())["obstacles"]
        assert (obstacle["kind"], obstacle["subject"]) == ("galaxy", "dead")


async def test_a_key_that_expires_in_mid_upload_is_one_obstacle(world: World) -> None:
    """Two runs wait behind one refused key; a new key in the file, and both go on by themselves."""
    world.fake.faults.add(Fault("act", method="POST", path="/api/tools/fetch", action=world.fake.expire_key))
    world.add_run()
    world.add_run(GOOD)
    async with world.daemon():

        async def obstructed() -> bool:
            report = await world.status()
            return [one["kind"] for one in report["obstacles"]] == ["account"]

        await until(obstructed)
        world.write_key(world.fake.renew_key())

        async def both_are_done() -> bool:
            return statuses(await world.status()) == {RUN: "done", GOOD: "done"}

        await until(both_are_done, 20)
    assert len(await world.journal("obstacle.raised")) == 1
    assert len(world.fake.invocations()) == 2


async def test_a_full_quota_is_waited_for(world: World) -> None:
    """An account over its quota is an obstacle; with more room the batch goes on by itself, and once."""
    world.fake.faults.add(Fault("over_quota", tool="__DATA_FETCH__"))
    world.fake.faults.add(Fault("act", method="POST", path="/api/tools/fetch", action=lambda: world.fake.set_quota(1)))
    world.add_run()
    async with world.daemon():

        async def obstructed() -> bool:
            return [one["kind"] for one in (await world.status())["obstacles"]] == ["quota"]

        await until(obstructed)
        world.fake.set_quota(None)
        await world.until_status("done")
    assert world.uploads() == world.fastqs()


async def test_a_delivery_target_that_is_gone_is_waited_for(world: World) -> None:
    """Results wait for their target; the next run's upload does not."""
    world.add_run()
    hidden = world.folder / "hidden"
    world.results.rename(hidden)
    async with world.daemon():

        async def obstructed() -> bool:
            return [one["kind"] for one in (await world.status())["obstacles"]] == ["target"]

        await until(obstructed)
        world.add_run(GOOD)

        async def second_is_uploaded() -> bool:
            return len(world.fake.invocations()) == 2

        await until(second_is_uploaded)
        hidden.rename(world.results)

        async def both_are_done() -> bool:
            return statuses(await world.status()) == {RUN: "done", GOOD: "done"}

        await until(both_are_done)
