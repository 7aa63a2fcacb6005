"""Arrivals on the whole way: parts that come after the rest was judged, and bytes that come without a new time."""

from __future__ import annotations

import os

from tests.runs.run_folders import miseq
from tests.world import World, fastq, packed

LONG_AGO_NS = 1_700_000_000 * 10**9


def uploads_alone(world: World) -> None:
    """Let nothing but the upload happen."""
    world.write_config(rule={"workflow": None, "deliver": None})


async def test_a_sample_that_comes_after_the_marker_ends_the_hold(world: World) -> None:
    """Where the marker was copied before the last sample, the sheet tells what is missing; its files go on by
    themselves, and nothing is sent before they are there.
    """
    uploads_alone(world)
    whole = miseq()
    late = [path for path in whole.files if "/S2_" in path]
    run = whole.without(*late).write(world.watched)
    async with world.daemon():
        unit = await world.until_status("held", stage="verify")
        assert unit["reason"] == "SampleSheet.csv:5: sample S2 has no files."
        assert world.uploads() == {}
        for path in late:
            (run / path).write_bytes(whole.files[path])
        await world.until_status("done")
    assert world.uploads() == world.fastqs(run)


async def test_the_other_read_of_a_pair_ends_the_hold(world: World) -> None:
    """Nothing but time tells when somebody's folder is complete: the mate that comes later is seen all the same."""
    world.write_config(watch={"settle": "1s"}, rule={"workflow": None, "deliver": None})
    run = world.watched / "from the core facility"
    run.mkdir()
    for name, read in (("a_R1", 1), ("a_R2", 2), ("b_R1", 1)):
        (run / f"{name}.fastq.gz").write_bytes(packed(fastq(4, read=read)))
    async with world.daemon():
        unit = await world.until_status("held", stage="verify")
        assert unit["reason"] == "R2 of b is missing."
        (run / "b_R2.fastq.gz").write_bytes(packed(fastq(4, read=2)))
        await world.until_status("done")
    assert world.uploads() == world.fastqs(run)


async def test_bytes_that_come_without_a_new_time_end_the_hold(world: World) -> None:
    """A copy over SMB has its full size at once and its old time again at the end: zeros are held, the bytes go."""
    uploads_alone(world)
    run = world.add_run()
    path = run / "S1_S1_L001_R1_001.fastq.gz"
    content = path.read_bytes()
    path.write_bytes(bytes(len(content)))
    os.utime(path, ns=(LONG_AGO_NS, LONG_AGO_NS))
    async with world.daemon():
        unit = await world.until_status("held")
        assert path.name in unit["reason"] and world.uploads().keys().isdisjoint({path.name})
        with path.open("r+b") as same:
            same.write(content)
        os.utime(path, ns=(LONG_AGO_NS, LONG_AGO_NS))
        await world.until_status("done")
    assert world.uploads() == world.fastqs(run)
