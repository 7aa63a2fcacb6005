"""Which part of a watch goes: single files of a flat folder, an analysis of several, runs that lie deeper."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.stages.test_units import finished
from tests.world import World, fastq, packed

Json = dict[str, Any]


def names(folder: Path) -> list[str]:
    """Return the names of everything below a folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize("source", ["delete", "archive"])
async def test_of_a_flat_folder_only_its_files_go(world: World, source: str) -> None:
    """A pair that was dropped goes, what is no file of it stays."""
    archive = world.folder / "archive"
    archive.mkdir()
    finish = {"source": "delete", "after": "0s"}
    if source == "archive":
        finish = {"source": "archive", "archive": f"{archive}/{{run}}"}
    world.write_config(watch={"layout": "files"}, rule={"finish": finish})
    pair = [f"a_R{read}.fastq.gz" for read in (1, 2)]
    for read, name in enumerate(pair, start=1):
        (world.watched / name).write_bytes(packed(fastq(3, read=read)))
    (world.watched / "other").mkdir()
    (world.watched / "other" / "notes.txt").write_text("stay")
    units = (await world.once())["units"]
    assert [(unit["status"], unit["source"]["status"]) for unit in units] == [("done", "done")] * len(units), units
    assert names(world.watched) == ["other", "other/notes.txt"]
    moved = [Path(name).name for name in names(archive) if name.endswith(".gz")]
    assert sorted(moved) == (pair if source == "archive" else [])


async def test_a_run_that_lies_deeper_keeps_its_neighbours(world: World) -> None:
    """Only the run's own folder goes, not the one it lies in."""
    world.write_config(rule={"finish": {"source": "delete", "after": "0s"}})
    world.add_run("2026/260301_M02439_0044_000000000-KT42N")
    (world.watched / "2026" / "list.txt").write_text("stay")
    (unit,) = (await world.once())["units"]
    assert (unit["status"], unit["source"]["status"]) == ("done", "done"), unit
    assert names(world.watched) == ["2026", "2026/list.txt"]


async def test_a_receipt_in_a_flat_folder_is_no_run(world: World) -> None:
    """What the watcher writes beside single files is never taken for one of them."""
    world.write_config(watch={"layout": "files"}, rule={"finish": {"receipt": True}})
    for read in (1, 2):
        (world.watched / f"a_R{read}.fastq.gz").write_bytes(packed(fastq(3, read=read)))
    await world.once()
    units = (await world.once(wait_s=1.5))["units"]
    assert [unit["run"] for unit in units] == ["a"], units
    assert names(world.watched) == ["a.galaxy-watcher.json", "a_R1.fastq.gz", "a_R2.fastq.gz"]


@pytest.mark.parametrize("units", ["all", "latest"])
async def test_of_several_analyses_each_goes_by_itself(world: World, units: str) -> None:
    """An analysis goes to its place in the run; the rest of the run folder stays, and what was not taken as well."""
    archive = world.folder / "archive"
    archive.mkdir()
    finish = {"source": "archive", "archive": f"{archive}/{{run}}"}
    world.write_config(watch={"units": units}, rule={"workflow": None, "deliver": None, "finish": finish})
    run = finished(2).write(world.watched)
    ended = {unit["unit"]: unit for unit in (await world.once())["units"]}
    taken = ["Analysis/1", "Analysis/2"] if units == "all" else ["Analysis/2"]
    assert [name for name, unit in sorted(ended.items()) if unit["status"] == "done"] == taken
    assert {ended[name]["source"]["status"] for name in taken} == {"done"}
    place = archive / ended["Analysis/2"]["run"]
    assert sorted(path.name for path in place.iterdir()) == [name.replace("/", "_") for name in taken]
    assert (run / "Analysis" / "1").exists() is (units == "latest")
    assert (run / "RunInfo.xml").exists()
    report = await world.once(wait_s=1.5)
    assert report["obstacles"] == []
    # What is left may be a run of base calls, of which nothing is sent.
    assert len([batch for unit in report["units"] for batch in unit["batches"]]) == len(taken)
