"""Several Galaxies and accounts in one configuration: what is wrong with one stops nothing that goes to another."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from tests.fakes.galaxy import FakeGalaxy, Fault
from tests.rarer import rarer
from tests.world import World, counting_workflow, until

Json = dict[str, Any]
pytestmark = pytest.mark.timeout(180)
LATER = "260301_M02439_0044_000000000-KT43M"
RULES: list[Json] = [
    {"name": "to-one", "galaxy": "one", "match": {"sample": "S1"}},
    {"name": "to-two", "galaxy": "two", "match": {"sample": "S2"}},
]


@pytest.fixture
def other() -> Iterator[FakeGalaxy]:
    """Give a second Galaxy with the counting workflow."""
    with FakeGalaxy(second=0.02, lock_wait_s=0.5) as fake:
        fake.import_workflow(counting_workflow())
        yield fake


def configure(world: World, other: FakeGalaxy, *, rules: list[Json] | None = None, key: str = "") -> None:
    """Write a configuration with both; each rule names one, runs the workflow and has a folder of its own."""
    second = world.folder / "key-two"
    second.touch(mode=0o600)
    second.write_text((key or other.key) + "\n")
    times = {"timeouts": {"read": "5s"}}
    world.write_config(
        galaxy=None,
        galaxies={
            "one": {"url": world.fake.url, "api_key_file": str(world.key_file), **times},
            "two": {"url": other.url, "api_key_file": str(second), **times},
        },
        rules=[
            {"workflow": world.workflow, "deliver": {"folder": f"{world.results}/{{run}}-{one['name']}"}, **one}
            for one in rules or RULES
        ],
    )


def uploaded(fake: FakeGalaxy) -> list[str]:
    """Return the names of what was uploaded, each as often as it is there."""
    return sorted(row["name"] for row in fake.datasets() if row["uploaded"] and not row["deleted"])


def sent(fake: FakeGalaxy) -> bytes:
    """Return all bytes that were sent to it."""
    return bytes(fake.requests.sent or b"")


def names(sample: str) -> list[str]:
    """Return the names of the files of a sample of the run."""
    return [f"{sample}_{sample}_L001_R{read}_001.fastq.gz" for read in (1, 2)]


async def test_each_sample_goes_to_the_galaxy_of_its_rule(world: World, other: FakeGalaxy) -> None:
    """Both are served by one daemon, each with its own files, and under one name of a history."""
    configure(world, other)
    world.add_run(samples=("S1", "S2"))
    for fake in (world.fake, other):
        fake.requests.sent = bytearray()
    (unit,) = (await world.once())["units"]
    assert [(one["rule"], one["status"]) for one in unit["batches"]] == [("to-one", "done"), ("to-two", "done")]
    assert (uploaded(world.fake), uploaded(other)) == (names("S1"), names("S2"))
    assert world.fake.histories()[0]["name"] == other.histories()[0]["name"]
    assert world.fake.key.encode() in sent(world.fake)
    assert other.key.encode() not in sent(world.fake)
    assert world.fake.key.encode() not in sent(other)


async def _waits_at_plan(world: World) -> bool:
    (unit,) = (await world.status())["units"]
    return (unit["stage"], unit["status"]) == ("plan", "waiting")


@pytest.mark.parametrize("trouble", rarer(["down", "key"], keep=1))
async def test_what_is_wrong_with_one_lets_the_batches_of_the_other_be_planned(
    world: World, other: FakeGalaxy, trouble: str
) -> None:
    """A dead Galaxy, or an expired key, before the plan: the other batch is done; then this one follows, once."""
    configure(world, other, key="0" * 32 if trouble == "key" else "")
    world.add_run()
    if trouble == "down":
        other.stop()
    async with world.daemon():
        await until(lambda: _ended(world, "to-one", 1), timeout_s=40, what="the batch for the living Galaxy")
        await until(lambda: _waits_at_plan(world), timeout_s=20, what="the plan that waits between its tries")
        (unit,) = (await world.status())["units"]
        assert [one["rule"] for one in unit["batches"]] == ["to-one"]
        assert len((await world.status())["obstacles"]) == 1
        if trouble == "down":
            await asyncio.to_thread(other.start)
        else:
            (world.folder / "key-two").write_text(other.key + "\n")
        await until(lambda: _all_done(world), timeout_s=40, what="the other batch as well")
    assert (len(uploaded(world.fake)), len(uploaded(other))) == (2, 2)
    assert (len(world.fake.invocations()), len(other.invocations())) == (1, 1)
    assert len(list(world.results.rglob("MANIFEST.sha256"))) == 2


@pytest.mark.parametrize("moment", rarer(["/api/upload/*", "/api/workflows/*/invocations"], keep=1))
async def test_a_galaxy_that_dies_on_the_way_stops_no_batch_of_the_other(
    world: World, other: FakeGalaxy, moment: str
) -> None:
    """The other batch of the run ends, and a run that comes meanwhile; then all goes on where it was, once."""
    configure(world, other)
    hold = other.faults.add(Fault("hold", method="*", path=moment))
    world.add_run()
    async with world.daemon():
        assert await asyncio.to_thread(hold.reached.wait, 60)
        await asyncio.to_thread(other.stop)
        world.add_run(LATER, samples=("S1",))
        await until(lambda: _ended(world, "to-one", 2), timeout_s=40, what="both batches for the living Galaxy")
        assert "done" not in [one["status"] for one in await _batches(world) if one["rule"] == "to-two"]
        await asyncio.to_thread(other.start)
        await until(lambda: _ended(world, "to-two", 1), timeout_s=40, what="the batch for the one that came back")
        await until(lambda: _all_done(world), timeout_s=40, what="the runs")
    assert uploaded(other) == names("S2")
    assert (len(world.fake.invocations()), len(other.invocations())) == (2, 1)


async def test_two_accounts_of_one_galaxy(world: World) -> None:
    """Each batch belongs to the account of its rule; where one is over its quota, the other goes on."""
    configure(
        world,
        world.fake,
        key=world.fake.second_key,
        rules=[{**one, "workflow": None, "deliver": None} for one in RULES],
    )
    world.fake.set_quota(1)
    world.add_run()
    async with world.daemon():
        await until(lambda: _ended(world, "to-two", 1), timeout_s=40, what="the batch of the second account")
        assert [one["rule"] for one in await _batches(world)] == ["to-two"]
        world.fake.set_quota(None)
        await until(lambda: _all_done(world), timeout_s=40, what="the run")
    assert uploaded(world.fake) == sorted([*names("S1"), *names("S2")])


async def _batches(world: World) -> list[Json]:
    return [batch for unit in (await world.status())["units"] for batch in unit["batches"]]


async def _ended(world: World, rule: str, count: int) -> bool:
    return [one["status"] for one in await _batches(world) if one["rule"] == rule] == ["done"] * count


async def _all_done(world: World) -> bool:
    return {unit["status"] for unit in (await world.status())["units"]} == {"done"}
