"""The same run in another folder: a copy is noted, never sent twice, what is made anew is a version or a notice."""

from __future__ import annotations

import io
import shutil
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tests.runs.run_folders import novaseqx
from tests.stages.test_same_run import write_named
from tests.world import RUN, World, fastq, packed, write_bclconvert
from watcher.cli.output import print_status

Json = dict[str, Any]


def plain(world: World, **watch: object) -> None:
    """Let nothing but the upload happen."""
    world.write_config(watch=watch, rule={"workflow": None, "deliver": None})


def made_anew(folder: Path, reads: int = 9) -> Path:
    """Write other reads of the run that `write_bclconvert` writes: it says who it is as the first ones do."""
    write_bclconvert(folder, reads=reads)
    report = folder / "Reports" / "RunInfo.xml"
    report.write_text(report.read_text().replace(f'Id="{folder.name}"', f'Id="{RUN}"'))
    return folder


def by_version(report: Json) -> dict[int, Json]:
    """Return the units of a report by their versions; AssertionError when two share one."""
    units = {unit["version"]: unit for unit in report["units"]}
    assert len(units) == len(report["units"]), report["units"]
    return units


async def test_a_second_demultiplexing_is_told_once(world: World) -> None:
    """Other reads of the same run in another folder are ignored with the reason, and `retry` takes them."""
    plain(world)
    world.add_run()
    (first,) = (await world.once())["units"]
    anew = made_anew(world.watched / "other" / "Fastq_v2")
    for _ in range(2):
        units = by_version(await world.once())
        assert (units[1]["id"], units[1]["status"], units[1]["path"]) == (first["id"], "done", first["path"])
        assert (units[2]["status"], units[2]["code"]) == ("ignored", "made_anew")
        assert (units[2]["replaces"], units[2]["path"], units[2]["batches"]) == (first["id"], str(anew), [])
    assert first["id"] in units[2]["reason"]
    assert f"`galaxy-watcher retry {units[2]['id']}`" in units[2]["reason"]
    assert len(await world.journal("unit.made_anew")) == 1
    shown = io.StringIO()
    print_status(await world.status(), console=Console(file=shown, width=250))
    assert "made anew" in shown.getvalue()
    assert world.posts("/api/tools/fetch") == 1
    await world.wish("retry", units[2]["id"])
    units = by_version(await world.once())
    assert (units[2]["status"], units[2]["replaces"]) == ("done", first["id"])
    assert world.posts("/api/tools/fetch") == 2


async def test_a_second_demultiplexing_is_a_new_version_where_that_is_wished(world: World) -> None:
    """It is linked to the first, in a history and a results folder of its own; nothing of the first is touched."""
    world.write_config(watch={"late": "new_version"})
    world.add_run()
    (first,) = (await world.once())["units"]
    before = {path: path.read_bytes() for path in world.results.rglob("*") if path.is_file()}
    made_anew(world.watched / "Fastq_v2")
    units = by_version(await world.once())
    assert (units[2]["status"], units[2]["replaces"], units[2]["run"]) == ("done", first["id"], RUN)
    assert set(units) == {1, 2}
    (batch,) = units[2]["batches"]
    assert batch["history"] == f"{RUN} v2 {units[2]['id']}"
    assert [one["target"] for one in batch["deliveries"]] == [f"{world.results / RUN}_v2_{units[2]['id']}"]
    assert {path: path.read_bytes() for path in before} == before
    assert len(world.fake.histories()) == 2


async def test_one_that_failed_is_replaced_without_a_wish(world: World) -> None:
    """Nothing was sent of the first: what was made anew is what everybody waits for."""
    plain(world)
    first = world.add_run()
    (first / "Logs" / "Errors.log").write_text("out of space\n")
    assert (await world.once())["units"][0]["status"] == "failed"
    made_anew(world.watched / "again")
    units = by_version(await world.once())
    assert (units[1]["status"], units[2]["status"], units[2]["replaces"]) == ("failed", "done", units[1]["id"])


async def test_a_copy_that_comes_slowly_is_known_when_it_is_whole(world: World) -> None:
    """Half of it tells nothing; the whole is a copy, and neither a version nor made anew."""
    plain(world, late="new_version")
    run = world.add_run()
    await world.once()
    copy = world.watched / "copy"
    shutil.copytree(run, copy)
    (copy / "Logs" / "FastqComplete.txt").unlink()
    name = "S2_S2_L001_R2_001.fastq.gz"
    (copy / name).write_bytes((run / name).read_bytes()[:-10])
    assert by_version(await world.once(0.5))[2]["status"] == "waiting"
    (copy / name).write_bytes((run / name).read_bytes())
    (copy / "Logs" / "FastqComplete.txt").touch()
    for _ in range(2):
        units = by_version(await world.once())
        assert {number: (unit["status"], unit["code"]) for number, unit in units.items()} == {
            1: ("done", ""), 2: ("ignored", "same_as"),
        }  # fmt: skip
    assert len(await world.journal("unit.copy_seen")) == 1
    assert world.posts("/api/tools/fetch") == 1


async def test_a_move_that_takes_its_time_is_followed_in_the_end(world: World) -> None:
    """Copied to the other place, then deleted here: one row, which lies there now, and nothing sent again."""
    plain(world)
    run = world.add_run()
    (first,) = (await world.once())["units"]
    copy = world.watched / "moved"
    shutil.copytree(run, copy)
    marker = copy / "Logs" / "FastqComplete.txt"
    marker.unlink()
    (copy / "S2_S2_L001_R2_001.fastq.gz").rename(world.folder / "to come")
    await world.once(0.5)
    (world.folder / "to come").rename(copy / "S2_S2_L001_R2_001.fastq.gz")
    marker.touch()
    shutil.rmtree(run)
    for _ in range(2):
        units = by_version(await world.once())
        assert (units[1]["id"], units[1]["path"], units[1]["status"]) == (first["id"], str(copy), "done")
        assert (units[2]["status"], units[2]["code"]) == ("ignored", "same_as")
    assert world.posts("/api/tools/fetch") == 1


async def test_other_bytes_of_the_same_sizes_are_made_anew(world: World) -> None:
    """Names and sizes alone do not make a copy."""
    plain(world)
    run = world.add_run()
    await world.once()
    other = made_anew(world.watched / "again", reads=4)
    path = other / "S1_S1_L001_R1_001.fastq.gz"
    content = path.read_bytes()
    path.write_bytes(content[:4] + b"\1" + content[5:])
    assert path.stat().st_size == (run / path.name).stat().st_size
    assert by_version(await world.once())[2]["code"] == "made_anew"


async def test_an_analysis_of_the_same_name_elsewhere_is_compared_too(world: World) -> None:
    """`Analysis/1` of another copy of the run folder has other reads: a version of that analysis, not of the run."""
    plain(world, late="new_version")
    first = novaseqx().without("Analysis/1/Manifest.tsv")
    first.write(world.watched)
    (old,) = (await world.once())["units"]
    other = novaseqx().without("Analysis/1/Manifest.tsv")
    for path in [path for path in other.files if path.endswith(".fastq.gz")]:
        other.files[path] = packed(fastq(7, read=1 + ("R2" in path)))
    other.name = "second"
    other.write(world.watched)
    units = by_version(await world.once())
    assert (units[2]["status"], units[2]["unit"], units[2]["replaces"]) == ("done", "Analysis/1", old["id"])
    assert world.posts("/api/tools/fetch") == 2


async def test_what_replaced_a_folder_that_is_gone_is_no_move(world: World) -> None:
    """The first folder was deleted before the second was made: other reads are told, and the old row stays as it is."""
    plain(world, late_for="0s")
    run = world.add_run()
    (first,) = (await world.once())["units"]
    shutil.rmtree(run)
    made_anew(world.watched / "again")
    units = by_version(await world.once())
    assert (units[1]["path"], units[1]["late"]) == (first["path"], [])
    assert (units[2]["code"], units[2]["replaces"]) == ("made_anew", first["id"])


async def test_a_folder_that_was_renamed_with_something_new_in_it_is_followed(world: World) -> None:
    """All that was taken is there: it is the run, and what came to it is late."""
    plain(world)
    run = world.add_run()
    (first,) = (await world.once())["units"]
    (run / "S9_S9_L001_R1_001.fastq.gz").write_bytes(packed(fastq(2)))
    run.rename(run.with_name("renamed"))
    await world.once()
    (unit,) = (await world.once())["units"]
    assert (unit["id"], unit["path"]) == (first["id"], str(run.with_name("renamed")))
    assert unit["late"] == [{"path": "S9_S9_L001_R1_001.fastq.gz", "what": "new"}]


async def test_the_second_of_two_that_come_at_once_waits_for_the_first(world: World) -> None:
    """A copy beside the run at the very first look: one is sent, the other is named, as a unit of its own where the
    first was not known well enough yet.
    """
    plain(world)
    run = world.add_run()
    shutil.copytree(run, world.watched / "zz-copy")
    await world.once()
    units = by_version(await world.once())  # the first may have been done before the other was looked at again
    told = {number: (unit["status"], unit["code"]) for number, unit in units.items()}
    assert told.pop(1) == ("done", "")
    noted = await world.journal("unit.copy_seen")
    assert told == {2: ("ignored", "same_as")} or (not told and len(noted) == 1)
    assert world.posts("/api/tools/fetch") == 1


async def test_a_run_that_says_late_who_it_is_is_known_by_that(world: World) -> None:
    """A converter writes RunInfo.xml at its end: renamed afterwards, the run is still the same."""
    plain(world)
    run = world.add_run()
    report = run / "Reports" / "RunInfo.xml"
    told = report.read_bytes()
    report.unlink()
    (run / "Logs" / "FastqComplete.txt").unlink()
    (unit,) = (await world.once(0.5))["units"]
    report.write_bytes(told)
    (run / "Logs" / "FastqComplete.txt").touch()
    assert (await world.once())["units"][0]["status"] == "done"
    run.rename(run.with_name("renamed"))
    (after,) = (await world.once())["units"]
    assert (after["id"], after["path"]) == (unit["id"], str(run.with_name("renamed")))
    made_anew(world.watched / "again")
    assert by_version(await world.once())[2]["code"] == "made_anew"


async def test_the_next_version_in_place_steps_over_one_elsewhere(world: World) -> None:
    """Two places, two histories of versions: late reads of the first folder do not collide with the second folder's."""
    plain(world, late="new_version")
    run = world.add_run()
    await world.once()
    made_anew(world.watched / "again")
    await world.once()
    (run / "S1_S1_L001_R1_001.fastq.gz").write_bytes(packed(fastq(6, read=1)))
    (run / "S1_S1_L001_R2_001.fastq.gz").write_bytes(packed(fastq(6, read=2)))
    units = by_version(await world.once())
    assert {number: unit["status"] for number, unit in units.items()} == {1: "done", 2: "done", 3: "done"}
    assert (units[3]["path"], units[3]["replaces"]) == (str(run), units[1]["id"])


# --- known by a name alone ------------------------------------------------------------------------------------------


def two_watches(world: World) -> Path:
    """Watch a second folder as well, and return it."""
    second = world.folder / "second"
    second.mkdir(exist_ok=True)
    world.write_config(
        rule={"workflow": None, "deliver": None},
        watches=[
            {"name": name, "path": str(path), "settle": "0s", "existing": "process"}
            for name, path in (("miseq", world.watched), ("second", second))
        ],
    )
    return second


@pytest.mark.parametrize("at_once", [False, True])
async def test_a_named_copy_under_a_second_watch_is_not_sent_again(world: World, at_once: bool) -> None:
    """Nothing says who it is, but the bytes are those that were sent: noted once, and `retry` takes it all the same."""
    second = two_watches(world)
    write_named(world.watched / "plate7")
    if not at_once:
        await world.once()
    write_named(second / "plate7-copy")
    for _ in range(2):
        units = {unit["code"]: unit for unit in (await world.once())["units"]}
        assert units[""]["status"] == "done"
        assert units["same_as"]["status"] == "ignored"
        assert units[""]["id"] in units["same_as"]["reason"]
    assert world.posts("/api/tools/fetch") == 1
    assert len(await world.journal("unit.copy_seen")) == 1
    if at_once:
        return
    await world.wish("retry", units["same_as"]["id"])
    assert {unit["status"] for unit in (await world.once())["units"]} == {"done"}
    assert world.posts("/api/tools/fetch") == 2


async def test_other_bytes_under_a_second_watch_are_another_run(world: World) -> None:
    """Same names, same sizes, one byte else: it is sent."""
    second = two_watches(world)
    write_named(world.watched / "plate7")
    await world.once()
    path = write_named(second / "plate7") / "A_S1_L001_R1_001.fastq.gz"
    content = path.read_bytes()
    path.write_bytes(content[:4] + b"\1" + content[5:])
    assert {unit["status"] for unit in (await world.once())["units"]} == {"done"}
    assert world.posts("/api/tools/fetch") == 2


async def test_a_watch_that_is_renamed_sends_nothing_again(world: World) -> None:
    """A run that is known by watch and name goes over to the watch that looks there now."""
    plain(world)
    write_named(world.watched / "plate7")
    (first,) = (await world.once())["units"]
    plain(world, name="renamed")
    for _ in range(2):
        units = {unit["code"]: unit for unit in (await world.once())["units"]}
        assert (units[""]["id"], units[""]["watch"]) == (first["id"], "renamed")
        assert set(units) == {"", "same_as"}
    assert world.posts("/api/tools/fetch") == 1
