"""Folders of a real Galaxy's import folder become folders and items of a library: as a whole, and each once."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.crash.on_real_galaxy import witness
from tests.crash.runner import Runner
from tests.live.real_galaxy import RealGalaxy, real_galaxy
from tests.stages.shelves import RAW_EXT, write_deep_layout, write_deep_run
from tests.world import World

pytestmark = pytest.mark.real

FILES = ("top.raw", "A/x.raw", "A/y.raw", "B/x.raw", "B/C/z.raw")
FOLDERS = ("", "/A", "/B", "/B/C")


@pytest.fixture
def real() -> RealGalaxy:
    """Return the real Galaxy."""
    return real_galaxy()


@contextmanager
def importing(folder: Path, real: RealGalaxy, *, keeps: bool) -> Iterator[World]:
    """Give a watch in the real Galaxy's import folder, and a library of this test that keeps the folders or not."""
    watched = real.import_folder / folder.name
    with World(folder) as made:
        made.write_key(real.key)
        made.write_config(
            galaxy={"url": real.url, "timeouts": {"read": "60s"}, "import_dir": str(real.import_folder)},
            watch={"path": str(watched), "layout": "deep", "transfer": "import_dir"},
            rule={
                "destination": {"library": {"name": folder.name, "keep_folders": keeps}},
                "workflow": None,
                "deliver": None,
                "ext": RAW_EXT,
            },
            limits={"uncertain_for": "8s"},
            layouts_dir=str(write_deep_layout(folder)),
        )
        try:
            yield made
            with witness(real) as galaxy:
                for library in galaxy.libraries.get_libraries(name=folder.name):
                    galaxy.libraries.delete_library(library["id"])
        finally:
            shutil.rmtree(watched)


async def assert_each_once(real: RealGalaxy, world: World, files: dict[str, Path], folders: list[str]) -> None:
    """Ask another client what is in the library: each folder once, each file once, linked to its place and closed."""
    (unit,) = (await world.status())["units"]
    assert (unit["status"], unit["batches"][0]["checked"]) == ("done", "size"), unit
    with witness(real) as galaxy:
        (library,) = galaxy.libraries.get_libraries(name=world.folder.name)
        rows = galaxy.libraries.show_library(library["id"], contents=True)
        found = Counter(row["name"] for row in rows if row["type"] == "folder" and row["name"] != "/")
        assert found == Counter(folders)
        items = [row for row in rows if row["type"] == "file"]
        assert Counter(row["name"] for row in items) == Counter(list(files))
        for row in items:
            shown = galaxy.libraries.show_dataset(library["id"], row["id"])
            path = files[row["name"]]
            assert (shown["state"], shown["file_size"], shown["file_name"]) == ("ok", path.stat().st_size, str(path))
            assert galaxy.libraries.get_dataset_permissions(row["id"])["access_dataset_roles"]


@pytest.mark.parametrize("point", ["upload.import.act", pytest.param("upload.import.intent", marks=pytest.mark.slow)])
async def test_a_tree_is_taken_as_a_whole(tmp_path: Path, runner: Runner, real: RealGalaxy, point: str) -> None:
    """Galaxy finds the folders that we made, also after a SIGKILL at the point and a restart."""
    with importing(tmp_path, real, keeps=True) as world:
        run = write_deep_run(real.import_folder / tmp_path.name / "R1", FILES)
        runner.die(world, point, factor=1.0)
        runner.finish(world, factor=1.0)
        files = {f"/R1/{name}": run / name for name in FILES}
        await assert_each_once(real, world, files, [f"/R1{folder}" for folder in FOLDERS])


@pytest.mark.parametrize("point", ["upload.import.act", pytest.param("upload.import.intent", marks=pytest.mark.slow)])
async def test_a_folder_is_taken_as_a_whole(tmp_path: Path, runner: Runner, real: RealGalaxy, point: str) -> None:
    """Its items are named in the answer, and found again when that was lost to a SIGKILL."""
    with importing(tmp_path, real, keeps=False) as world:
        run = write_deep_run(real.import_folder / tmp_path.name / "R1", ("in/x.raw", "in/a & <b>.raw"))
        runner.die(world, point, factor=1.0)
        runner.finish(world, factor=1.0)
        files = {f"/R1/{path.name}": path for path in run.rglob("*.raw")}
        await assert_each_once(real, world, files, ["/R1"])
