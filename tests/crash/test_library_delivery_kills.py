"""Promise 2 for results that go into a library: killed at each instant, library, folders and items are there once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.runner import LIMITS, Runner, reached
from tests.rarer import rarer
from tests.stages.shelves import folders, items, libraries
from tests.world import RUN, World
from watcher.stages.effects import INSTANTS

pytestmark = pytest.mark.timeout(180)

SHELF = "Results"
EFFECTS = ("deliver.item", "deliver.rights", "deliver.folder", "deliver.library")
POINTS = tuple(f"{effect}.{instant}" for instant in ("act", "intent", "receipt") for effect in EFFECTS)
LATER = (("deliver.item.act", 3), ("deliver.item.intent", 4), ("deliver.rights.act", 2), ("deliver.folder.act", 4))
TWICE = (
    ("deliver.item.act", "deliver.item.act"),
    ("deliver.item.intent", "deliver.rights.intent"),
    ("deliver.library.act", "deliver.folder.act"),
)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Return a finished run of one pair of files, whose results go into a library that is not there yet."""
    with World(tmp_path, admin=True) as made:
        made.write_config(limits=LIMITS, rule={"deliver": {"library": {"name": SHELF, "folder": "runs/{run}"}}})
        made.add_run(samples=("S1",), reads=60, bases=60)
        yield made


async def assert_each_once(world: World) -> None:
    """There is one library, one folder of each name, and one item of each result, named, whole and private."""
    (unit,) = (await world.status())["units"]
    (batch,) = unit["batches"]
    assert (unit["status"], batch["deliveries"][0]["status"]) == ("done", "done"), unit
    assert libraries(world) == [SHELF]
    place = f"{SHELF}/runs/{RUN}"
    labels = [f"{place}/{label}" for label in ("copy", "read counts")]
    assert folders(world) == sorted([f"{SHELF}/runs", place, *labels, *(f"{label}/S1" for label in labels)])
    there = items(world, deleted=True)
    assert set(there) == {f"{label}/S1/{read}.tabular" for label in labels for read in ("forward", "reverse")}
    assert all(item["state"] == "ok" and item["private"] and not item["tags"] for item in there.values())
    results = {row["id"] for row in world.fake.datasets() if not row["uploaded"]}
    assert {item["message"].split()[1] for item in there.values()} <= results


async def test_every_point_is_passed(world: World, runner: Runner) -> None:
    """An undisturbed run reaches each point of such a delivery."""
    runner.finish(world)
    await assert_each_once(world)
    of_library = {point for point in reached(world) if point.startswith(EFFECTS)}
    assert of_library == set(POINTS) == {f"{effect}.{instant}" for effect in EFFECTS for instant in INSTANTS}


@pytest.mark.parametrize("point", rarer(POINTS, keep=2))
async def test_a_kill_doubles_nothing(world: World, runner: Runner, point: str) -> None:
    """After a SIGKILL at the point and a restart, each is there once."""
    runner.die(world, point)
    runner.finish(world)
    await assert_each_once(world)


@pytest.mark.parametrize(("point", "time"), rarer(LATER))
async def test_a_kill_at_a_later_time_doubles_nothing(world: World, runner: Runner, point: str, time: int) -> None:
    """The second folder or item is as safe as the first."""
    runner.die(world, point, on=time)
    runner.finish(world)
    await assert_each_once(world)


@pytest.mark.parametrize(("first", "second"), rarer(TWICE))
async def test_a_second_kill_doubles_nothing(world: World, runner: Runner, first: str, second: str) -> None:
    """Recovering is as safe as the way itself."""
    runner.die(world, first)
    runner.die(world, second)
    runner.finish(world)
    await assert_each_once(world)
