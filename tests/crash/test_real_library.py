"""A thousand large files that Galaxy sees by itself become items of a library: soon, without a byte, and each once."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.on_real_galaxy import witness
from tests.crash.runner import Runner
from tests.live.real_galaxy import RealGalaxy, real_galaxy
from tests.stages.shelves import RAW_EXT, write_raw_layout, write_raw_run
from tests.world import World

FILES = 1000
FEWER_FILES = 300
FILE_BYTES = 10**9
MOST_WRITTEN_BYTES = 100 * 10**6
"""What Galaxy may write about so many files: its database, the folders of its jobs."""

pytestmark = [pytest.mark.real, pytest.mark.slow]


@pytest.fixture
def real() -> RealGalaxy:
    """Return the real Galaxy."""
    return real_galaxy()


@pytest.fixture
def world(tmp_path: Path, real: RealGalaxy) -> Iterator[World]:
    """Return a watch whose files the real Galaxy sees, and a library of this test alone."""
    with World(tmp_path) as made:
        made.write_key(real.key)
        made.write_config(
            galaxy={
                "url": real.url,
                "timeouts": {"read": "60s"},
                "paths": [{"here": str(made.watched), "there": str(made.watched)}],
            },
            watch={"layout": "raw", "transfer": "link", "content": "structure"},
            rule={
                "destination": {"library": {"name": tmp_path.name}},
                "workflow": None,
                "deliver": None,
                "ext": RAW_EXT,
            },
            limits={"uncertain_for": "20s"},
            layouts_dir=str(write_raw_layout(tmp_path)),
        )
        yield made
        with witness(real) as galaxy:
            for library in galaxy.libraries.get_libraries(name=tmp_path.name):
                galaxy.libraries.delete_library(library["id"])


def written_bytes(real: RealGalaxy) -> int:
    """Return what lies in the folder of the real Galaxy."""
    count = 0
    for path in real.import_folder.parent.rglob("*"):
        with contextlib.suppress(FileNotFoundError):  # its jobs come and go
            count += path.lstat().st_blocks * 512
    return count


def assert_each_once(real: RealGalaxy, world: World, files: dict[str, str]) -> None:
    """Ask another client what is in the library: each file once, of its size, linked to its place."""
    with witness(real) as galaxy:
        (library,) = galaxy.libraries.get_libraries(name=world.folder.name)
        rows = galaxy.libraries.show_library(library["id"], contents=True)
        ways = Counter(row["name"] for row in rows if row["type"] == "file")
        assert ways == Counter(f"/{way}" for way in files)
        for row in [row for row in rows if row["type"] == "file"][::100]:
            shown = galaxy.libraries.show_dataset(library["id"], row["id"])
            assert (shown["state"], shown["file_size"], shown["file_ext"]) == ("ok", FILE_BYTES, "thermo.raw")
            assert galaxy.libraries.get_dataset_permissions(row["id"])["access_dataset_roles"]
            assert shown["file_name"] == files[row["name"].removeprefix("/")]


async def test_a_thousand_files_are_registered(world: World, runner: Runner, real: RealGalaxy) -> None:
    """From the first look to the last check nothing but rows is made of them; `--durations` tells how long it takes."""
    files = write_raw_run(world.watched / "run1", FILES, FILE_BYTES)
    before = written_bytes(real)
    runner.finish(world, factor=1.0)
    (unit,) = (await world.status())["units"]
    assert (unit["status"], unit["batches"][0]["checked"]) == ("done", "size"), unit
    assert_each_once(real, world, files)
    assert written_bytes(real) - before < MOST_WRITTEN_BYTES


@pytest.mark.parametrize("point", ["upload.import.intent", "upload.import.act"])
async def test_a_kill_in_the_middle_doubles_none(world: World, runner: Runner, real: RealGalaxy, point: str) -> None:
    """After a SIGKILL at the second of three requests and a restart, each file is there once."""
    files = write_raw_run(world.watched / "run1", FEWER_FILES, FILE_BYTES)
    runner.die(world, point, on=2, factor=1.0)
    runner.finish(world, factor=1.0)
    (unit,) = (await world.status())["units"]
    assert unit["status"] == "done", unit
    assert_each_once(real, world, files)
