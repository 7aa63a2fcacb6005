"""Promise 1: a half-written file is never registered; ready means proven, and every byte is checked on its way."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from tests.fakes.galaxy import Fault
from tests.world import World, fastq, packed

pytestmark = pytest.mark.timeout(180)  # a whole way each, also on a busy machine

PATCHES = "/api/upload/resumable_upload/*"
LOOKS = 5
NO_WORKFLOW = {"workflow": None, "deliver": None}


async def test_a_marker_alone_proves_nothing(world: World) -> None:
    """A run whose marker came before its last file waits, naming the file, and goes once the file is there."""
    run = world.add_run()
    late = run / "S2_S2_L001_R2_001.fastq.gz"
    content = late.read_bytes()
    late.unlink()
    async with world.daemon():
        unit = await world.until_status("waiting", stage="settle")
        assert late.name in unit["reason"]
        assert world.posts("upload") == 0
        late.write_bytes(content)
        await world.until_status("done")
    assert world.uploads() == world.fastqs(run)


async def test_without_a_marker_a_complete_run_waits(world: World) -> None:
    """All files there but no marker is not finished: nothing is sent until the marker comes."""
    run = world.add_run(marker=False)
    async with world.daemon():
        unit = await world.until_status("waiting", stage="settle")
        assert "FastqComplete.txt" in unit["reason"]
        assert world.posts("upload") == 0
        (run / "Logs" / "FastqComplete.txt").touch()
        await world.until_status("done")
    assert world.uploads() == world.fastqs(run)


async def test_a_growing_file_is_not_touched(world: World) -> None:
    """While a file grows from look to look nothing is sent; when it has lain still long enough, all of it is."""
    world.write_config(watch={"layout": "files", "settle": "1s"}, rule=NO_WORKFLOW)
    sent_before: list[int] = []
    growing = world.watched / "reads.fastq"
    growing.write_bytes(fastq(1))

    def grow_before_each_look(point: str) -> None:
        if point == "settle.begun" and len(sent_before) < LOOKS:
            sent_before.append(world.posts("upload"))
            with growing.open("ab") as more:
                more.write(fastq(1))

    async with world.daemon(points=grow_before_each_look):
        await world.until_status("done")
    assert sent_before == [0] * LOOKS
    assert world.uploads() == world.fastqs()
    assert growing.read_bytes() == fastq(1) * (LOOKS + 1)


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(packed(fastq(4000))[:-2000], id="gzip-cut-short"),
        pytest.param(packed(fastq(50)[:-30]), id="record-cut-short"),
        pytest.param(packed(fastq(4)) + bytes(512), id="tail-of-zeros"),
        pytest.param(packed(fastq(5)), id="more-reads-than-its-partner"),
        pytest.param(gzip.compress(b"no reads at all\n"), id="no-fastq"),
    ],
)
async def test_broken_content_never_becomes_a_dataset(world: World, broken: bytes) -> None:
    """A file that is not whole is held by name; neither it nor its partner is registered, its bytes do not stay."""
    run = world.add_run()
    bad = run / "S2_S2_L001_R1_001.fastq.gz"
    bad.write_bytes(broken)
    report = await world.once()
    (unit,) = report["units"]
    assert unit["status"] == "held"
    assert bad.name in unit["reason"]
    assert not [name for name in world.uploads() if name.startswith("S2")]
    world.fake.wait_idle()  # the whole sample is being made
    assert world.fake.snapshot()["sessions"] == []
    assert world.fake.invocations() == []


async def test_a_file_that_grows_while_it_is_sent_is_sent_anew(world: World) -> None:
    """Bytes that came to a file after it was found ready do not slip in: the file settles again and goes as a whole."""
    run = world.add_run()
    grown = [run / f"S1_S1_L001_R{read}_001.fastq.gz" for read in (1, 2)]

    def grow() -> None:
        for read, path in enumerate(grown, start=1):
            with path.open("ab") as more:
                more.write(packed(fastq(2, read=read)))

    world.fake.faults.add(Fault("act", method="PATCH", path=PATCHES, action=grow))
    async with world.daemon():
        await world.until_status("done")
    assert world.uploads() == world.fastqs(run)


async def test_a_copy_tool_s_temporary_names_are_left_alone(world: World) -> None:
    """What rsync or a browser still writes under another name is no file yet."""
    world.write_config(watch={"layout": "files"}, rule=NO_WORKFLOW)
    temporary = [".reads.fastq.Xy12ab", "reads.fastq.part", "reads.fastq.filepart", "reads.fastq.crdownload"]
    for name in temporary:
        (world.watched / name).write_bytes(fastq(2))
    await world.once(wait_s=0.5)
    assert world.uploads() == {}
    (world.watched / temporary[0]).rename(world.watched / "reads.fastq")
    for name in temporary[1:]:
        Path(world.watched / name).unlink()
    await world.once()
    assert set(world.uploads()) == {"reads.fastq"}
