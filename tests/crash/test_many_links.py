"""Some hundred files that are linked into a library; a thousand on a real Galaxy are in `test_real_library.py`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.runner import LIMITS, Runner
from tests.stages.shelves import LIBRARY, RAW_EXT, into_library, items, write_raw_layout, write_raw_run
from tests.world import World

FILES = 300


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Return a watch of raw files that are linked, a hundred with each request."""
    with World(tmp_path, admin=True) as made:
        into_library(made, "link", rule={"ext": RAW_EXT}, limits=LIMITS, layout="raw", content="structure")
        layouts = write_raw_layout(tmp_path)
        made.config_file.write_text(f"{made.config_file.read_text()}layouts_dir: {layouts}\n")
        yield made


@pytest.mark.slow
@pytest.mark.parametrize(("point", "requests"), [("upload.import.act", 3), ("upload.import.intent", 3)])
async def test_a_kill_in_the_middle_doubles_none(world: World, runner: Runner, point: str, requests: int) -> None:
    """After a SIGKILL at the second of three requests each file is there once, and none was asked for twice."""
    files = write_raw_run(world.watched / "run1", FILES, 10**6)
    runner.die(world, point, on=2)
    runner.finish(world)
    (unit,) = (await world.status())["units"]
    assert (unit["status"], unit["batches"][0]["checked"]) == ("done", "size"), unit
    there = {way.removeprefix(f"{LIBRARY}/"): str(item["path"]) for way, item in items(world, deleted=True).items()}
    assert there == files
    assert world.posts("/contents") == requests
    assert not world.posts("resumable_upload") and world.fake.histories() == []
