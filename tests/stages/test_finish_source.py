"""What becomes of a run folder when its rule wants it to go: moved or deleted, once all of it is proven."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.world import RUN, World, tree_of

Json = dict[str, Any]


@pytest.fixture
def elsewhere() -> Iterator[Path]:
    """Give a folder on another file system."""
    folder = Path(tempfile.mkdtemp(prefix="galaxy-watcher-", dir="/dev/shm"))
    yield folder
    shutil.rmtree(folder)


async def ended(world: World, finish: Json) -> Json:
    """Let a run end under this rule, and return its unit."""
    world.write_config(rule={"finish": finish})
    world.add_run()
    return await once(world)


async def once(world: World) -> Json:
    """Catch up, and return the only unit."""
    (unit,) = (await world.once())["units"]
    return dict(unit)


def names(folder: Path) -> list[str]:
    """Return what lies in a folder."""
    return sorted(path.name for path in folder.iterdir())


def contents(folder: Path) -> dict[str, tuple[int, str]]:
    """Return size-independent facts of each file: when it was changed, and its bytes."""
    return {path: (at, sha) for path, (_, at, sha) in tree_of(folder).items() if sha}


async def test_a_run_is_deleted(world: World) -> None:
    """With nothing to wait for it goes as soon as it is done, and the journal tells before and after."""
    unit = await ended(world, {"source": "delete", "after": "0s"})
    assert (unit["status"], unit["source"]["status"]) == ("done", "done"), unit
    assert names(world.watched) == []
    assert len(await world.journal("source.deleting")) == 1
    (told,) = await world.journal("source.deleted")
    assert str(world.watched / RUN) in told
    assert told in unit["reason"]


@pytest.mark.parametrize("far", [False, True])
async def test_a_run_is_moved(world: World, elsewhere: Path, far: bool) -> None:
    """The archive has every file as it was, on the same file system or another, and nothing half-made is left."""
    archive = elsewhere if far else world.folder / "archive"
    archive.mkdir(exist_ok=True)
    world.write_config(rule={"finish": {"source": "archive", "archive": f"{archive}/{{run}}"}})
    before = contents(world.add_run())
    unit = await once(world)
    assert (unit["status"], unit["source"]["status"]) == ("done", "done"), unit
    assert names(world.watched) == []
    assert names(archive) == [RUN]
    assert contents(archive / RUN) == before
    assert unit["path"] == str(archive / RUN)


async def test_a_run_that_somebody_took_away_meanwhile(world: World) -> None:
    """All of it is verified in Galaxy by then: its batch goes on, and the journal tells of it once."""
    run = world.add_run()
    world.add_run(run.name.replace("000000000", "000000001"))  # a root that is empty all at once is not believed

    def at(point: str) -> None:
        if point == "poll.begun" and run.exists():
            shutil.rmtree(run)

    units = (await world.once(points=at))["units"]
    assert [unit["status"] for unit in units] == ["done", "done"], units
    (told,) = await world.journal("source.gone")
    assert told == f"{run} is gone; all of it was verified in Galaxy before."
    await world.once()
    assert len(await world.journal("source.gone")) == 1
