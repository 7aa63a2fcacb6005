"""Files that Galaxy reads by itself are read back from the library, where the configuration wants it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.stages.shelves import LIBRARY, items, ways, world
from tests.world import World

__all__ = ["world"]

pytestmark = pytest.mark.timeout(180)

Json = dict[str, Any]


def linked(world: World, readback: str, *, there: Path | None = None, content: str = "full", **rule: Any) -> None:
    """Let the runs be linked into a library; `there` is where Galaxy sees the watched folder."""
    shown = {"here": str(world.watched), "there": str(there or world.watched)}
    world.write_config(
        galaxy={"readback": readback, "paths": [shown]},
        watch={"transfer": "link", "content": content},
        rule={"destination": {"library": {"name": LIBRARY}}, "workflow": None, "deliver": None, **rule},
    )


def other_bytes(world: World, run: Path) -> Path:
    """Copy the watched folder, change the last byte of one file of the run there, and return where it is now."""
    there = world.folder / "as galaxy sees it"
    shutil.copytree(world.watched, there)
    changed = sorted((there / run.name).rglob("*.fastq.gz"))[0]
    content = changed.read_bytes()
    changed.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    return there


async def taken(world: World) -> Json:
    """Take all there is, and return the only batch with its datasets."""
    (unit,) = (await world.once())["units"]
    (batch,) = (await world.show(unit["id"]))["batches"]
    return dict(batch)


@pytest.mark.parametrize(
    ("readback", "content", "checked"),
    [
        ("off", "full", "size"),
        ("sample", "full", "size+sample"),
        ("full", "full", "SHA-256"),
        ("full", "structure", "size+sample"),
    ],
)
async def test_the_level_that_was_reached_is_shown(world: World, readback: str, content: str, checked: str) -> None:
    """Items say how far they were compared; where we read no file there is no hash, so its parts are compared."""
    linked(world, readback, content=content)
    run = world.add_run(samples=("S1",))
    batch = await taken(world)
    assert (batch["status"], batch["checked"]) == ("done", checked), batch
    assert {row["checked"] for row in batch["datasets"]} == {checked}
    assert set(items(world)) == set(ways(run)) and world.fake.histories() == []


@pytest.mark.parametrize("readback", ["sample", "full"])
async def test_a_path_that_leads_elsewhere_is_found_out(world: World, readback: str) -> None:
    """A wrong pair of `paths` shows Galaxy other files of the same names and sizes: linked twice, then held."""
    run = world.add_run(samples=("S1",))
    there = other_bytes(world, run)
    linked(world, readback, there=there)
    batch = await taken(world)
    assert (batch["stage"], batch["status"]) == ("upload", "held"), batch
    assert "other bytes than the file's" in batch["reason"]
    assert "whether Galaxy sees the file as we do" in batch["hint"]
    shutil.rmtree(there)
    shutil.copytree(world.watched, there)
    assert world.command("retry", batch["id"]).code == 0
    assert (await taken(world))["status"] == "done"
    assert set(items(world)) == set(ways(run))


async def test_without_reading_back_nobody_notices(world: World) -> None:
    """The difference of the test above is one that name and size do not tell, and no more than size is claimed."""
    run = world.add_run(samples=("S1",))
    linked(world, "off", there=other_bytes(world, run))
    batch = await taken(world)
    assert (batch["status"], batch["checked"]) == ("done", "size")


async def test_items_carry_the_dbkey_of_the_rule(world: World) -> None:
    """`dbkey` reaches what Galaxy reads by itself as well."""
    linked(world, "off", dbkey="hg38")
    world.add_run(samples=("S1",))
    assert (await taken(world))["status"] == "done"
    assert {item.dbkey for item in world.fake.state.shelf.items.values()} == {"hg38"}


@pytest.mark.parametrize(("content", "checked"), [("full", "SHA-256"), ("structure", "size")])
async def test_where_galaxy_gives_no_parts_all_is_read(tmp_path: Path, content: str, checked: str) -> None:
    """Galaxy 24.1 shows no part of a library's file: it is read whole, and without a hash of ours not at all."""
    with World(tmp_path, admin=True, version="24.1.4") as world:
        linked(world, "sample", content=content)
        run = world.add_run(samples=("S1",))
        batch = await taken(world)
        assert (batch["status"], batch["checked"]) == ("done", checked), batch
        assert set(items(world)) == set(ways(run))


async def test_a_path_that_leads_elsewhere_is_found_out_there_as_well(tmp_path: Path) -> None:
    """Read whole, another byte shows."""
    with World(tmp_path, admin=True, version="24.1.4") as world:
        run = world.add_run(samples=("S1",))
        linked(world, "full", there=other_bytes(world, run))
        batch = await taken(world)
        assert batch["status"] == "held" and "with another SHA-256" in batch["reason"], batch
