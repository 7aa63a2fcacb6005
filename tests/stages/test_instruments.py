"""Runs of other instruments on their whole way: deep folders, runs in one folder, base calls, joined files."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from tests.runs.instruments import INSTRUMENTS
from tests.runs.run_folders import Tree, run_info
from tests.world import World, fastq, packed, until, write_bclconvert
from watcher.clock import SystemClock
from watcher.model import Stage, Status
from watcher.store.store import Store

ONT_RUN = "20260301_1201_3E_PAA12345_e05460c6"


def minknow(
    name: str = ONT_RUN, *, ids: str = "e05460c6_1a2b3c4d", barcodes: tuple[str, ...] = ("soil", "water")
) -> Tree:
    """Return a finished MinKNOW run with three files for each barcode."""
    tree = Tree(name)
    for place, barcode in enumerate(barcodes):
        for number in (2, 10, 1):
            path = f"fastq_pass/{barcode}/PAA12345_pass_{barcode}_{ids}_{number}.fastq.gz"
            tree.add(path, packed(fastq(3 + place + number)))
    told = f"acquisition_stopped=2026\nsample_id=s\nfastq_files_in_final_dest={3 * len(barcodes)}\n"
    return tree.add(f"final_summary_PAA12345_{ids}.txt", f"{told}fastq_files_in_fallback=0\n".encode())


def joined(run: Path, barcode: str, ids: str = "e05460c6_1a2b3c4d") -> str:
    """Return the SHA-256 of a barcode's files put end to end in the order of their numbers."""
    digest = hashlib.sha256()
    for number in (1, 2, 10):
        path = run / "fastq_pass" / barcode / f"PAA12345_pass_{barcode}_{ids}_{number}.fastq.gz"
        digest.update(path.read_bytes())
    return digest.hexdigest()


async def test_a_run_three_folders_deep_goes_as_one_file_for_each_barcode(world: World) -> None:
    """MinKNOW's GROUP/SAMPLE/RUN is found, and the folders above it are no runs of their own."""
    world.write_config(rule={"workflow": None, "deliver": None})
    run = minknow().write(world.watched / "group" / "sample")
    report = await world.once()
    assert [(unit["layout"], unit["run"], unit["status"]) for unit in report["units"]] == [("ont", ONT_RUN, "done")]
    assert world.uploads() == {f"{name}.fastq.gz": joined(run, name) for name in ("soil", "water")}
    assert [one["name"] for one in world.fake.collections()] == [ONT_RUN]
    run.parent.rename(run.parent.with_name("renamed"))
    assert len((await world.once())["units"]) == 1
    assert world.posts("/api/tools/fetch") == 1


async def test_two_runs_in_one_folder_are_two_units(world: World) -> None:
    """With data pooling the ids in the names of files tell runs apart; one that still goes on stops no other."""
    world.write_config(rule={"workflow": None, "deliver": None})
    folder = world.watched / "group" / "pooled"
    minknow("pooled", barcodes=("soil",)).write(folder.parent)
    minknow("pooled", ids="e05460c6_5e6f7a8b", barcodes=("soil",)).write(folder.parent)
    (folder / "final_summary_PAA12345_e05460c6_5e6f7a8b.txt").unlink()
    report = await world.once(wait_s=0.0)
    assert {unit["unit"]: unit["status"] for unit in report["units"]} == {
        "e05460c6_1a2b3c4d": "done",
        "e05460c6_5e6f7a8b": "waiting",
    }
    assert world.uploads() == {"soil.fastq.gz": joined(folder, "soil")}


async def test_a_run_of_base_calls_ends_with_nothing_to_upload(world: World) -> None:
    """It says so, nobody is asked anything, and the converter's output of the same run is taken all the same."""
    tree = base_calls()
    tree.write(world.watched)
    report = await world.once()
    (unit,) = report["units"]
    assert (unit["layout"], unit["status"]) == ("novaseq6000", "done")
    assert unit["reason"] == "Nothing to upload: it holds base calls only, a converter makes the reads."
    assert not world.fake.histories()
    out = Tree("out").add("Logs/FastqComplete.txt", b"").add("Reports/RunInfo.xml", run_info(tree.name))
    for read in (1, 2):
        out.add(f"S1_S1_L001_R{read}_001.fastq.gz", packed(fastq(3, read=read)))
    out.write(world.watched)
    report = await world.once()
    assert {unit["layout"]: unit["status"] for unit in report["units"]} == {"novaseq6000": "done", "bclconvert": "done"}
    assert len(world.uploads()) == 2


def base_calls() -> Tree:
    """Return a NovaSeq 6000 whose base calls are copied."""
    tree = Tree("260301_A00187_1009_AHK33MDRX3").add("RunInfo.xml", run_info("260301_A00187_1009_AHK33MDRX3"))
    for marker in ("RTAComplete.txt", "SequenceComplete.txt", "CopyComplete.txt"):
        tree.add(marker, b"")
    return tree


async def test_reads_among_base_calls_are_not_called_nothing(world: World) -> None:
    """Nobody looks for reads there, so a person is asked; when they come after the end, too."""
    world.write_config(rule={"workflow": None, "deliver": None})
    run = base_calls().write(world.watched)
    (unit,) = (await world.once(2.0))["units"]
    assert unit["status"] == "done"
    (run / "our place").mkdir()
    (run / "our place" / "S1_R1.fastq.gz").write_bytes(packed(fastq(3)))
    told = "it is complete, but holds reads where layout novaseq6000 does not look: our place/S1_R1.fastq.gz"
    units = {one["version"]: one for one in (await world.once(2.0))["units"]}
    assert (units[2]["status"], units[2]["stage"], units[2]["reason"]) == ("held", "settle", told)
    assert world.command("plan", str(run), "--json").report["units"][0]["status"] == "held"
    world.command("retry", units[2]["id"])
    units = {one["version"]: one for one in (await world.once(2.0))["units"]}
    assert units[2]["status"] == "done"


async def test_the_output_of_a_converter_in_the_folder_of_its_run_is_known(world: World) -> None:
    """What is a run of its own by then is nobody's lost reads, though the base calls are told as over later."""
    world.write_config(rule={"workflow": None, "deliver": None})
    waiting = base_calls().without("CopyComplete.txt")
    run = waiting.write(world.watched)
    (unit,) = (await world.once(0.0))["units"]
    assert unit["status"] == "waiting"
    write_bclconvert(run / "Unaligned", ("S1",))
    await world.once(0.0)
    (run / "CopyComplete.txt").touch()
    units = {one["layout"]: one for one in (await world.once(2.0))["units"]}
    assert {layout: one["status"] for layout, one in units.items()} == {"novaseq6000": "done", "bclconvert": "done"}


async def test_a_run_that_has_long_to_lie_still_is_not_looked_at_all_the_time(world: World) -> None:
    """MGI wants half an hour: ten minutes of it are over, and the next look is at the next rescan, not at once."""
    world.write_config(watch={"settle": None}, rescan_active="40s")
    INSTRUMENTS["MGI without barcodes"].make().write(world.watched)
    await world.once(0.0)
    store = await Store.open(world.state_file, SystemClock(), lock=False, migrate=False)
    (unit,) = await store.units()
    rows = [replace(row, unchanged_s=600.0) for row in await store.source_files(unit.id)]
    await store.put_source_files(unit, rows)
    await store.close()
    before = SystemClock().now()
    (told,) = (await world.once(0.0))["units"]
    assert told["reason"].startswith("quiet for 10 m")
    store = await Store.open(world.state_file, SystemClock(), lock=False, migrate=False)
    (unit,) = await store.units()
    await store.close()
    assert unit.due_at is not None
    assert unit.due_at - before >= timedelta(seconds=40)


async def test_lanes_go_as_one_file_where_the_rule_says_so(world: World) -> None:
    """The lanes of each read arrive end to end, as one dataset that is checked against all bytes."""
    world.write_config(rule={"lanes": "concat"})
    run = world.add_run(samples=("S1",))
    for read in (1, 2):
        (run / f"S1_S1_L002_R{read}_001.fastq.gz").write_bytes(packed(fastq(4, read=read)))
    await world.once()
    expected = {
        f"S1_S1_R{read}_001.fastq.gz": hashlib.sha256(
            b"".join((run / f"S1_S1_L00{lane}_R{read}_001.fastq.gz").read_bytes() for lane in (1, 2))
        ).hexdigest()
        for read in (1, 2)
    }
    assert world.uploads() == expected


async def test_samples_without_reads_stay_at_home(world: World) -> None:
    """The converter made empty files for a sample that failed: the rest goes on, and the sample is listed."""
    run = world.add_run(samples=("S1", "S2"))
    for path in run.glob("S2_*"):
        path.write_bytes(gzip.compress(b"", mtime=0))
    unit = (await world.once())["units"][0]
    assert unit["status"] == "done"
    assert set(world.uploads()) == {path.name for path in run.glob("S1_*")}
    told = (await world.show(unit["id"]))["left_out"]
    for path in run.glob("S2_*"):
        assert [path.name, "no reads in it (0 records)"] in told


async def test_what_is_missing_for_too_long_is_told_once(world: World) -> None:
    """One line in the journal names what is missing; the unit goes on waiting, and goes on by itself."""
    world.write_config(watch={"max_wait": "1s"})
    run = world.add_run(marker=False)
    async with world.daemon():

        async def told() -> list[str]:
            return await world.journal("unit.overdue")

        (text,) = await until(told, what="the notice")
        assert text == "nothing has changed for 1 s, but Logs/FastqComplete.txt is not there."
        unit = await world.until_status("waiting")
        assert (unit["stage"], f"{unit['overdue']}.") == (Stage.SETTLE, text)
        (run / "Logs" / "FastqComplete.txt").touch()
        assert (await world.until_status(Status.DONE))["overdue"] == ""
    assert len(await world.journal("unit.overdue")) == 1
