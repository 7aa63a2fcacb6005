"""A folder that holds another run than before: whoever reuses names must not lose a run."""

from __future__ import annotations

import shutil

import pytest

from tests.runs.run_folders import Tree, run_info
from tests.world import World, fastq, packed
from watcher.model import Status

FIRST, SECOND = "260301_A00187_1009_AHK33MDRX3", "260308_A00187_1010_AHK44MDRX3"


def write_run(world: World, run: str, sample: str, reads: int) -> None:
    """Write the converter's output of a run into the folder that every run gets."""
    tree = Tree("out").add("Reports/RunInfo.xml", run_info(run))
    for read in (1, 2):
        tree.add(f"{sample}_S1_L001_R{read}_001.fastq.gz", packed(fastq(reads, read=read)))
    tree.add("Logs/FastqComplete.txt", b"").write(world.watched)


@pytest.mark.parametrize("sample", ["S1", "S2"])
async def test_another_run_in_the_folder_of_an_earlier_one_is_a_run_of_its_own(world: World, sample: str) -> None:
    """Also with the same names of samples: RunInfo.xml says which run it is."""
    write_run(world, FIRST, "S1", 3)
    await world.once()
    shutil.rmtree(world.watched / "out")
    write_run(world, SECOND, sample, 4)
    units = (await world.once())["units"]
    assert {unit["run"]: unit["status"] for unit in units} == {FIRST: Status.DONE, SECOND: Status.DONE}
    assert [unit["version"] for unit in units] == [1, 1]
