"""What is a unit, once for ever: analyses, renamed folders, dropped files, and things that turn out to be others."""

from __future__ import annotations

import asyncio
import os
import zlib

from tests.runs.run_folders import Tree, miseq, novaseqx
from tests.world import RUN, World, fastq, packed, until, write_bclconvert


async def test_each_analysis_of_a_novaseqx_goes_its_own_way(world: World) -> None:
    """Analysis/1 is taken when it is complete, Analysis/2 when it comes; each has a history and folder of its own."""
    world.write_config(rule={"deliver": {"folder": f"{world.results}/{{run}}/{{unit}}"}})
    run = finished(1)
    run.write(world.watched)
    async with world.daemon():
        await until(lambda: statuses(world, {"Analysis/1": "done"}), 20, what="Analysis/1")
        finished(2).write(world.watched)
        await until(lambda: statuses(world, {"Analysis/1": "done", "Analysis/2": "done"}), 20, what="both")
    assert len({row["name"] for row in world.fake.histories()}) == 2
    assert len([row for row in world.fake.datasets() if row["uploaded"]]) == 8
    assert len(list(world.results.rglob("MANIFEST.sha256"))) == 2


def finished(analyses: int) -> Tree:
    """Return a run with so many analyses, their manifests true."""
    tree = novaseqx(analyses=range(1, analyses + 1))
    for number in range(1, analyses + 1):
        base = f"Analysis/{number}/"
        reads = {path: content for path, content in tree.files.items() if path.startswith(base) and "fastq" in path}
        rows = (f"{path.removeprefix(base)}\t{zlib.crc32(content):08x}\n" for path, content in reads.items())
        tree.files[f"{base}Manifest.tsv"] = "".join(rows).encode()
    return tree


async def statuses(world: World, wanted: dict[str, str]) -> bool:
    """Tell whether the units stand so."""
    return {unit["unit"]: unit["status"] for unit in (await world.status())["units"]} == wanted


async def test_a_renamed_run_stays_the_same_unit(world: World) -> None:
    """The run says who it is: under another folder name nothing is sent again."""
    run = world.add_run()
    unit = (await world.once())["units"][0]["id"]
    run.rename(run.with_name("moved"))
    report = await world.once()
    assert [one["id"] for one in report["units"]] == [unit]
    assert world.posts("/api/tools/fetch") == 1


async def test_a_folder_that_shows_later_what_it_is(world: World) -> None:
    """Reads copied before the rest look like a plain folder; it is one unit of the right layout in the end."""
    run = write_bclconvert(world.folder / "later" / RUN)
    target = world.watched / RUN
    target.mkdir()
    async with world.daemon():
        for path in sorted(run.glob("*.fastq.gz")):
            (target / path.name).write_bytes(path.read_bytes())
        await until(lambda: seen_as(world, {"folder"}), what="the folder layout")
        for part in ("Reports", "Logs"):
            (target / part).mkdir()
        for name in ("Reports/fastq_list.csv", "Reports/RunInfo.xml", "Reports/SampleSheet.csv", "Logs/Info.log"):
            (target / name).write_bytes((run / name).read_bytes())
        (target / "Logs" / "FastqComplete.txt").touch()
        await until(lambda: done_as(world, "bclconvert"), 20, what="the end")
    assert len(world.fake.invocations()) == 1
    report = await world.status()
    assert [unit["layout"] for unit in report["units"] if unit["status"] == "done"] == ["bclconvert"]


async def seen_as(world: World, layouts: set[str]) -> bool:
    """Tell whether the units have these layouts."""
    return {unit["layout"] for unit in (await world.status())["units"]} == layouts


async def done_as(world: World, layout: str) -> bool:
    """Tell whether a unit of that layout is done."""
    return any(unit["status"] == "done" and unit["layout"] == layout for unit in (await world.status())["units"])


async def test_other_files_of_the_same_name_are_not_lost(world: World) -> None:
    """In an inbox, new files under names that were there before are new work, not silently passed over."""
    world.write_config(watch={"layout": "files"})
    first = {f"a_R{read}.fastq.gz": packed(fastq(3, read=read)) for read in (1, 2)}
    second = {f"a_R{read}.fastq.gz": packed(fastq(5, read=read)) for read in (1, 2)}
    for name, content in first.items():
        (world.watched / name).write_bytes(content)
    async with world.daemon():
        await until(lambda: count_done(world, 1), 20, what="the first pair")
        for name, content in second.items():
            (world.watched / name).write_bytes(content)
        await until(lambda: count_done(world, 2), 20, what="the second pair")
    report = await world.status()
    assert sorted(unit["version"] for unit in report["units"]) == [1, 2]
    assert len([row for row in world.fake.datasets() if row["uploaded"]]) == 4
    assert len({row["name"] for row in world.fake.histories()}) == 2


async def test_lanes_of_a_sample_travel_together(world: World) -> None:
    """Both lanes are one batch; a lane that comes after the end makes a new version with all of them."""
    world.write_config(watch={"layout": "files"}, rule={"workflow": None, "deliver": None})
    lanes = {
        lane: {f"A_S1_L00{lane}_R{read}_001.fastq.gz": packed(fastq(3 + lane, read=read)) for read in (1, 2)}
        for lane in (1, 2, 3)
    }
    for name, content in {**lanes[1], **lanes[2]}.items():
        (world.watched / name).write_bytes(content)
    async with world.daemon():
        await until(lambda: count_done(world, 1), 20, what="two lanes")
        assert set(world.uploads()) == {*lanes[1], *lanes[2]}
        for name, content in lanes[3].items():
            (world.watched / name).write_bytes(content)
        await until(lambda: count_done(world, 2), 20, what="the third lane")
    units = (await world.status())["units"]
    assert sorted((unit["unit"], unit["version"]) for unit in units) == [("A_S1", 1), ("A_S1", 2)]
    newest = max(units, key=lambda unit: unit["version"])
    assert [batch["datasets_total"] for batch in newest["batches"]] == [6]


async def test_the_same_bytes_under_the_same_name_are_not_sent_again(world: World) -> None:
    """A file that was touched or copied back looks new, but brings nothing new."""
    world.write_config(watch={"layout": "files"})
    for read in (1, 2):
        (world.watched / f"a_R{read}.fastq.gz").write_bytes(packed(fastq(3, read=read)))
    async with world.daemon():
        await until(lambda: count_done(world, 1), 20, what="the pair")
        os.utime(world.watched / "a_R1.fastq.gz", (1_700_000_000, 1_700_000_000))
        await until(lambda: count_done(world, 2), 20, what="the second look")
    second = max((await world.status())["units"], key=lambda unit: unit["version"])
    assert (second["stage"], second["batches"]) == ("verify", [])
    assert len(world.uploads()) == 2


async def count_done(world: World, count: int) -> bool:
    """Tell whether so many units are done."""
    return [unit["status"] for unit in (await world.status())["units"]].count("done") == count


async def test_a_run_with_a_warning_goes_on_when_a_person_says_so(world: World) -> None:
    """MiSeq Reporter's warning holds the run with its text; `retry`, as the hint says, takes it as it is."""
    said = b"<AnalysisJobInfo><Warning>low diversity</Warning></AnalysisJobInfo>"
    run = miseq().add("CompletedJobInfo.xml", said).write(world.watched)
    async with world.daemon():
        unit = await world.until_status("held", stage="settle")
        assert unit["reason"] == "CompletedJobInfo.xml says Warning: low diversity"
        assert f"`galaxy-watcher retry {unit['id']}`" in unit["hint"]
        assert world.uploads() == {}
        retried = await asyncio.to_thread(world.command, "retry", unit["id"])
        assert retried.code == 0
        await world.until_status("done")
    assert world.uploads() == world.fastqs(run)


async def test_a_unit_that_vanishes_before_it_is_finished_is_named(world: World) -> None:
    """A run folder that is removed is held with its path, the others go on."""
    run = world.add_run()
    (run / "Logs" / "FastqComplete.txt").unlink()
    async with world.daemon():
        await world.until_status("waiting", stage="settle")
        world.add_run("260301_M02439_0044_000000000-KT42N", samples=("T1",))
        run.rename(world.folder / "gone")
        await until(lambda: statuses_by_run(world, {RUN: "held", "260301_M02439_0044_000000000-KT42N": "done"}), 20)


async def statuses_by_run(world: World, wanted: dict[str, str]) -> bool:
    """Tell whether the runs stand so."""
    return {unit["run"]: unit["status"] for unit in (await world.status())["units"]} == wanted
