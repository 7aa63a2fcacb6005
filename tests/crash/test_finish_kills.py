"""A SIGKILL at every step of what happens at the end: no file is ever lost, and what was begun is ended."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.crash.exactly_once import FROM_FILE
from tests.crash.runner import LIMITS, Runner
from tests.delivered import assert_whole
from tests.rarer import rarer
from tests.stages.test_finish_histories import by_the_way
from tests.world import RUN, World, tree_of
from watcher.stages.effects import EFFECTS, INSTANTS

pytestmark = pytest.mark.timeout(180)  # two or three lives, each some seconds on a busy machine

Json = dict[str, Any]


def points(*effects: str) -> list[str]:
    """Return the points of these effects, those of the act first: there a death is the worst."""
    return [f"finish.{effect}.{instant}" for instant in ("act", "intent", "receipt") for effect in effects]


DELETED, NEAR = points("claim", "remove"), points("place")
FAR = [*points("copy", "place"), "finish.remove.act"]
CLOSED, PURGED = points("history", "receipt"), points("purge")


@pytest.fixture
def archive() -> Iterator[Path]:
    """Give a folder on another file system."""
    folder = Path(tempfile.mkdtemp(prefix="galaxy-watcher-", dir="/dev/shm"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Return a finished run of one sample, and a folder that can be its archive."""
    with World(tmp_path) as made:
        made.write_workflow(FROM_FILE)
        (tmp_path / "archive").mkdir()
        made.add_run(samples=("S1",), reads=60, bases=60)
        yield made


def ends_with(world: World, finish: Json) -> None:
    """Let the rule say this about the end."""
    world.write_config(limits=LIMITS, rule={"finish": finish})


def bytes_of(folder: Path) -> dict[str, tuple[int, str]]:
    """Return time and SHA-256 of each file."""
    return {path: (at, sha256) for path, (_, at, sha256) in tree_of(folder).items() if sha256}


def whole_somewhere(world: World, archive: Path, before: Any) -> bool:
    """Tell whether the run is whole in one place at least: under its name, claimed, or in the archive."""
    places = [world.watched / RUN, *world.watched.glob(".galaxy-watcher-*"), archive / RUN]
    return any(place.is_dir() and bytes_of(place) == before for place in places)


async def assert_gone(world: World) -> None:
    """The run is done, nothing of it is left in the watch, and nothing of it was made twice in Galaxy."""
    (unit,) = (await world.status())["units"]
    assert (unit["status"], unit["source"]["status"]) == ("done", "done"), unit
    assert list(world.watched.iterdir()) == []
    assert len(world.fake.histories()) == len(world.fake.invocations()) == 1


@pytest.mark.parametrize("point", rarer(DELETED, keep=2))
async def test_a_kill_while_a_run_is_deleted(world: World, runner: Runner, point: str) -> None:
    """What was begun is ended; before the deletion begins all of it is there."""
    ends_with(world, {"source": "delete", "after": "0s"})
    before = bytes_of(world.watched / RUN)
    runner.die(world, point)
    assert whole_somewhere(world, world.folder, before) or point in ("finish.remove.act", "finish.remove.receipt")
    runner.finish(world)
    await assert_gone(world)


@pytest.mark.parametrize("point", rarer(NEAR, keep=1))
async def test_a_kill_while_a_run_is_renamed(world: World, runner: Runner, point: str) -> None:
    """On one file system the run is at every instant whole, and in one place."""
    archive = world.folder / "archive"
    ends_with(world, {"source": "archive", "archive": f"{archive}/{{run}}"})
    before = bytes_of(world.watched / RUN)
    runner.die(world, point)
    assert whole_somewhere(world, archive, before)
    runner.finish(world)
    await assert_gone(world)
    assert bytes_of(archive / RUN) == before
    assert [path.name for path in archive.iterdir()] == [RUN]


@pytest.mark.parametrize("point", rarer(FAR, keep=2))
async def test_a_kill_while_a_run_is_copied(world: World, runner: Runner, archive: Path, point: str) -> None:
    """On two file systems the run is at every instant whole in one place at least."""
    ends_with(world, {"source": "archive", "archive": f"{archive}/{{run}}"})
    before = bytes_of(world.watched / RUN)
    runner.die(world, point)
    assert whole_somewhere(world, archive, before)
    runner.finish(world)
    await assert_gone(world)
    assert bytes_of(archive / RUN) == before
    assert [path.name for path in archive.iterdir()] == [RUN]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("first", "second"),
    [("finish.copy.intent", "finish.copy.act"), ("finish.claim.act", "finish.remove.intent"),
     ("finish.place.intent", "finish.place.act")],
)  # fmt: skip
async def test_a_second_kill_while_it_goes_on(
    world: World, runner: Runner, archive: Path, first: str, second: str
) -> None:
    """Going on is as safe as the way itself."""
    ends_with(world, {"source": "archive", "archive": f"{archive}/{{run}}"})
    before = bytes_of(world.watched / RUN)
    runner.die(world, first)
    runner.die(world, second)
    assert whole_somewhere(world, archive, before)
    runner.finish(world)
    await assert_gone(world)
    assert bytes_of(archive / RUN) == before


@pytest.mark.parametrize("point", rarer(CLOSED, keep=1))
async def test_a_kill_while_the_history_is_closed(world: World, runner: Runner, point: str) -> None:
    """The history goes to the archive once, and the receipt is whole."""
    ends_with(world, {"history": "archive", "receipt": True})
    runner.die(world, point)
    runner.finish(world)
    (unit,) = (await world.status())["units"]
    assert unit["status"] == "done", unit
    assert [row["archived"] for row in world.fake.histories()] == [True]
    assert sorted(path.name for path in world.watched.iterdir()) == [RUN, f"{RUN}.galaxy-watcher.json"]


@pytest.mark.parametrize("point", rarer(PURGED))
async def test_a_kill_while_datasets_are_purged(world: World, runner: Runner, point: str) -> None:
    """What is no result is gone for good in the end, and nothing else is."""
    world.fake.import_workflow(by_the_way())
    workflow = {"name": "By the way", "inputs": {"Reads": "reads"}}
    world.write_config(limits=LIMITS, rule={"workflow": workflow, "finish": {"purge_intermediates": True}})
    runner.die(world, point)
    runner.finish(world)
    (unit,) = (await world.status())["units"]
    assert unit["status"] == "done", unit
    gone = [row for row in world.fake.datasets() if row["deleted"]]
    assert [row["name"].partition(" of ")[0] for row in gone] == ["Read count"] * 2
    assert not [row for row in gone if row["uploaded"]]
    assert_whole(world.results / RUN, 2)


def test_every_step_of_a_removal_is_here() -> None:
    """No effect of the end is left out but that on sessions, which are deleted again without harm."""
    here = {point.rpartition(".")[0] for point in (*DELETED, *FAR, *NEAR, *CLOSED, *PURGED)}
    assert {one for one in EFFECTS if one.startswith("finish.")} - here == {"finish.session"}
    assert all(len([one for one in DELETED if one.endswith(instant)]) == 2 for instant in INSTANTS)
