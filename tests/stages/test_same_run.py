"""Which run is which: renamed and moved folders are no new runs, copies are not sent twice, other bytes are."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from tests.fakes.galaxy import Fault
from tests.world import RUN, World, fastq, packed, until, write_bclconvert

NAMED = "plate7"


def write_named(folder: Path, *, reads: int = 3) -> Path:
    """Write a run that is known by its folder's name alone: a pair of reads and the marker that somebody makes last."""
    folder.mkdir(parents=True)
    for read in (1, 2):
        (folder / f"A_S1_L001_R{read}_001.fastq.gz").write_bytes(packed(fastq(reads, read=read)))
    (folder / "READY").touch()
    return folder


def plain(world: World, **watch: object) -> None:
    """Let nothing but the upload happen."""
    world.write_config(watch=watch, rule={"workflow": None, "deliver": None})


async def test_a_renamed_folder_is_the_same_run(world: World) -> None:
    """Nothing says who the run is: the files themselves do, and the old row goes where the folder went."""
    plain(world)
    run = write_named(world.watched / NAMED)
    (old,) = (await world.once())["units"]
    assert old["status"] == "done", old
    run.rename(run.with_name("plate7-renamed"))
    for _ in range(2):  # the second look makes no third row
        report = {unit["id"]: unit for unit in (await world.once())["units"]}
        assert len(report) == 2
        assert report[old["id"]]["path"] == str(run.with_name("plate7-renamed"))
        (new,) = (unit for unit in report.values() if unit["id"] != old["id"])
        assert (new["status"], new["code"], new["stage"]) == ("ignored", "same_as", "verify")
        assert old["id"] in new["reason"]
    assert world.posts("/api/tools/fetch") == 1


async def test_a_folder_that_gets_its_old_name_back_is_followed_again(world: World) -> None:
    """The old identity is still known: the row comes back with the folder."""
    plain(world)
    run = write_named(world.watched / NAMED)
    (old,) = (await world.once())["units"]
    run.rename(run.with_name("elsewhere"))
    await world.once()
    run.with_name("elsewhere").rename(run)
    for _ in range(2):
        report = {unit["id"]: unit for unit in (await world.once())["units"]}
        assert sorted(unit["code"] for unit in report.values()) == ["", "same_as", "same_as"]
        assert (report[old["id"]]["path"], report[old["id"]]["status"]) == (str(run), "done")
    assert world.posts("/api/tools/fetch") == 1


async def test_a_name_that_is_used_again_is_another_run(world: World) -> None:
    """Each run is written under one name and renamed when it is over: none is taken for the one before."""
    plain(world)
    for number, reads in enumerate((3, 4, 5), start=1):
        run = write_named(world.watched / "current", reads=reads)
        report = await world.once()
        assert [unit["status"] for unit in report["units"]].count("done") == number
        run.rename(run.with_name(f"final{number}"))
        await world.once()
        if number == 1:
            shutil.rmtree(run.with_name("final1"))  # put away: its old name is still not its own
    units = (await world.once())["units"]
    assert sorted(unit["status"] for unit in units) == ["done"] * 3 + ["ignored"] * 3
    assert sorted(Path(unit["path"]).name for unit in units if unit["status"] == "done") == [
        "final1", "final2", "final3",
    ]  # fmt: skip
    assert world.posts("/api/tools/fetch") == 3


async def test_a_copy_known_by_its_name_is_read_before_it_is_believed(world: World) -> None:
    """The watch looks elsewhere now, and the old place still has the folder: the same bytes are not sent again."""
    plain(world)
    write_named(world.watched / NAMED)
    (old,) = (await world.once())["units"]
    other = world.folder / "other"
    shutil.copytree(world.watched, other)
    plain(world, path=str(other))
    for _ in range(2):
        units = {unit["version"]: unit for unit in (await world.once())["units"]}
        assert (units[1]["id"], units[1]["path"]) == (old["id"], str(world.watched / NAMED))
        assert (units[2]["status"], units[2]["stage"], units[2]["batches"]) == ("done", "verify", [])
        assert len(units) == 2
    assert world.posts("/api/tools/fetch") == 1


async def test_a_run_renamed_while_it_is_sent_goes_on_from_there(world: World) -> None:
    """The plan names the old folder: a new one is made for the new folder, and nothing comes twice."""
    plain(world)
    run = world.add_run()
    world.fake.faults.add(Fault("hold", method="PATCH", path="/api/upload/*", times=None))
    async with world.daemon():
        unit = await world.until_status("waiting", stage="finish")
        run.rename(run.with_name("moved"))
        await world.until_planned_anew(unit["id"])
        world.fake.faults.clear()
        await world.until_status("done", timeout_s=20)
    assert world.uploads() == world.fastqs(run.with_name("moved"))
    assert world.posts("/api/tools/fetch") == 1
    assert len(world.fake.histories()) == 1


async def test_a_copy_that_replaced_the_folder_is_read_and_known(world: World) -> None:
    """Other inodes and times, the old folder gone: only the bytes prove that it is the same."""
    plain(world)
    run = write_named(world.watched / NAMED)
    (old,) = (await world.once())["units"]
    copy = world.watched / "copied"
    copy.mkdir()
    for path in run.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
        os.utime(copy / path.name, (1_700_000_000, 1_700_000_000 + (path.name == "READY")))
    shutil.rmtree(run)
    report = {unit["id"]: unit for unit in (await world.once())["units"]}
    assert {unit["code"] for unit in report.values()} == {"", "same_as"}
    assert report[old["id"]]["path"] == str(copy)
    assert world.posts("/api/tools/fetch") == 1


async def test_other_bytes_of_the_same_size_are_another_run(world: World) -> None:
    """Same names and sizes under a new folder name, but not the bytes that were sent: it is sent."""
    plain(world)
    run = write_named(world.watched / NAMED)
    assert (await world.once())["units"][0]["status"] == "done"
    other = write_named(world.watched / "plate8")
    for path in other.glob("*.gz"):
        content = path.read_bytes()
        path.write_bytes(content[:4] + b"\1" + content[5:])  # the time in the gzip header: no reader minds
        assert path.stat().st_size == (run / path.name).stat().st_size
    shutil.rmtree(run)
    report = await world.once()
    assert [unit["status"] for unit in report["units"]] == ["done", "done"]
    assert world.posts("/api/tools/fetch") == 2


async def test_a_folder_renamed_before_it_was_finished_goes_on_as_the_old_unit(world: World) -> None:
    """The unit that waited goes on under the new name; the row of the new name ends."""
    plain(world)
    run = write_named(world.watched / NAMED)
    (run / "READY").unlink()
    async with world.daemon():
        old = (await world.until_status("waiting", stage="settle"))["id"]
        run.rename(run.with_name("plate7-ok"))
        (run.with_name("plate7-ok") / "READY").touch()

        async def is_done() -> bool:
            units = {unit["id"]: unit for unit in (await world.status())["units"]}
            return units[old]["status"] == "done" and len(units) == 2

        await until(is_done, 30, what="the old unit's end")
    units = {unit["id"]: unit for unit in (await world.status())["units"]}
    assert sorted(unit["code"] for unit in units.values()) == ["", "same_as"]
    assert world.posts("/api/tools/fetch") == 1


async def test_a_folder_that_was_ignored_and_renamed_stays_ignored(world: World) -> None:
    """What was there before the first look is nobody's work under another name either."""
    plain(world, existing="ignore")
    run = write_named(world.watched / NAMED)
    async with world.daemon():
        await world.until_status("ignored")
        run.rename(run.with_name("other"))

        async def both_ignored() -> bool:
            return [unit["status"] for unit in (await world.status())["units"]] == ["ignored", "ignored"]

        await until(both_ignored, 20, what="both ignored")
    assert {unit["code"] for unit in (await world.status())["units"]} == {"was_there_before", "same_as"}
    assert not world.uploads()


async def test_a_run_follows_to_another_mount(world: World) -> None:
    """The watch's path is changed in the configuration and the run lies there: the same unit, also when it is done."""
    plain(world)
    run = world.add_run()
    (old,) = (await world.once())["units"]
    moved = world.folder / "new mount"
    moved.mkdir()
    shutil.move(run, moved / RUN)
    (world.watched / "something").mkdir()  # the old place is healthy, only the run is gone
    plain(world, path=str(moved))
    (unit,) = (await world.once())["units"]
    assert (unit["id"], unit["path"], unit["status"]) == (old["id"], str(moved / RUN), "done")
    assert world.posts("/api/tools/fetch") == 1


async def test_a_copy_under_a_second_watch_is_not_sent_again(world: World) -> None:
    """The run says who it is: in two places at once it is taken from the first, which is said once."""
    plain(world)
    world.add_run()
    assert (await world.once())["units"][0]["status"] == "done"
    second = world.folder / "second"
    write_bclconvert(second / RUN)
    world.write_config(
        rule={"workflow": None, "deliver": None},
        watches=[
            {"name": name, "path": str(path), "settle": "0s", "existing": "process"}
            for name, path in (("miseq", world.watched), ("second", second))
        ],
    )
    for _ in range(2):
        (unit,) = (await world.once())["units"]
        assert (unit["watch"], unit["status"]) == ("miseq", "done")
    assert world.posts("/api/tools/fetch") == 1
    assert len(await world.journal("unit.copy_seen")) == 1


async def test_a_run_moves_to_a_second_watch(world: World) -> None:
    """Where the first place has it no more, the row goes over to the watch that sees it."""
    plain(world)
    run = world.add_run()
    (old,) = (await world.once())["units"]
    (world.watched / "another").mkdir()
    second = world.folder / "second"
    second.mkdir()
    shutil.move(run, second / RUN)
    world.write_config(
        rule={"workflow": None, "deliver": None},
        watches=[
            {"name": name, "path": str(path), "settle": "0s", "existing": "process"}
            for name, path in (("miseq", world.watched), ("second", second))
        ],
    )
    await world.once()
    (unit,) = (await world.once())["units"]
    assert (unit["id"], unit["watch"], unit["path"]) == (old["id"], "second", str(second / RUN))
    assert world.posts("/api/tools/fetch") == 1


async def test_fingerprint_and_hashes_are_kept(world: World) -> None:
    """A unit knows what was taken of it, and each file the SHA-256 of the bytes that were sent."""
    plain(world)
    run = world.add_run()
    (unit,) = (await world.once())["units"]
    async with world.store() as store:
        stored = await store.unit(unit["id"])
        files = {Path(row.path).name: row.sha256 for row in await store.source_files(unit["id"])}
    assert stored is not None
    assert len(stored.fingerprint) == 16
    assert {name: files[name] for name in world.fastqs(run)} == world.fastqs(run)
