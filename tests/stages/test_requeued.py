"""Analyses that are asked for again, and run folders that turn out to be something else when they seemed over."""

from __future__ import annotations

from tests.runs.instruments.others import mgi
from tests.runs.run_folders import Tree, bclconvert, miseq
from tests.stages.test_units import finished
from tests.world import World, until
from watcher.clock import SystemClock
from watcher.model import Stage, Status
from watcher.store.store import Store


def latest(world: World) -> None:
    """Take only the last analysis of a run, and let nothing but the upload happen."""
    world.write_config(watch={"units": "latest"}, rule={"workflow": None, "deliver": None})


async def test_only_the_latest_of_several_analyses_is_taken(world: World) -> None:
    """Analysis/10 comes after Analysis/9, whatever the letters say; the earlier one is listed with the reason."""
    latest(world)
    tree = finished(2)
    renumbered = {"Analysis/1/": "Analysis/9/", "Analysis/2/": "Analysis/10/"}
    for old, new in renumbered.items():
        tree.files = {path.replace(old, new): content for path, content in tree.files.items()}
    tree.write(world.watched)
    units = {unit["unit"]: unit for unit in (await world.once())["units"]}
    assert (units["Analysis/9"]["status"], units["Analysis/9"]["code"]) == ("ignored", "superseded")
    assert units["Analysis/9"]["reason"] == "Analysis/10 came after it."
    assert units["Analysis/10"]["status"] == "done"
    assert len(world.fake.histories()) == 1


async def test_an_analysis_that_waits_gives_way_and_a_person_may_take_it(world: World) -> None:
    """One that is not planned yet ends when a later one appears; `retry` is a person's word and stays."""
    latest(world)
    half = finished(1).without("Analysis/1/CopyComplete.txt")
    run = half.write(world.watched)
    async with world.daemon():
        first = (await world.until_status("waiting", stage="settle"))["id"]
        finished(2).without("Analysis/1/CopyComplete.txt").write(world.watched)

        async def is_over() -> bool:
            units = {unit["unit"]: unit["status"] for unit in (await world.status())["units"]}
            return units == {"Analysis/1": "ignored", "Analysis/2": "done"}

        await until(is_over, 30, what="the second analysis")
    (run / "Analysis/1/CopyComplete.txt").touch()
    await world.wish("retry", first)
    units = {unit["id"]: unit for unit in (await world.once())["units"]}
    assert units[first]["status"] == "done"


async def test_an_analysis_that_was_taken_stays_and_is_named(world: World) -> None:
    """What was sent before the later one came is left as it is; the later one says what it replaces."""
    latest(world)
    finished(1).write(world.watched)
    (first,) = (await world.once())["units"]
    finished(2).write(world.watched)
    units = {unit["unit"]: unit for unit in (await world.once())["units"]}
    assert units["Analysis/1"]["status"] == units["Analysis/2"]["status"] == "done"
    assert (units["Analysis/1"]["replaces"], units["Analysis/2"]["replaces"]) == ("", first["id"])


async def test_all_analyses_are_taken_unless_somebody_says_otherwise(world: World) -> None:
    """The default names nothing superseded."""
    world.write_config(rule={"workflow": None, "deliver": None})
    finished(2).write(world.watched)
    assert [unit["status"] for unit in (await world.once())["units"]] == ["done", "done"]


async def test_lanes_are_no_analyses_of_each_other(world: World) -> None:
    """`latest` is about what is made anew: the parts of a run are all taken."""
    latest(world)
    tree = mgi()
    tree.write(world.watched)
    units = {unit["unit"]: unit["code"] for unit in (await world.once(1))["units"]}
    assert set(units) == {"L01", "L02"}
    assert "superseded" not in units.values()


# --- one folder, two layouts ----------------------------------------------------------------------------------------


def base_calls() -> Tree:
    """Return a MiSeq run folder before its reads are made, in the disguise of a finished BCL Convert run.

    It has no samples, which is the only kind of run folder without reads that is recognised.
    """
    whole = miseq()
    reads = [path for path in whole.files if "fastq" in path]
    return whole.without("CompletedJobInfo.xml", *reads).add("Logs/Info.log", b"started")


async def end_as(world: World, unit_id: str, status: Status, stage: Stage) -> None:
    """Let a unit stand as if a stage had ended it so."""
    store = await Store.open(world.state_file, SystemClock(), lock=False, migrate=False)
    unit = await store.unit(unit_id)
    assert unit is not None
    await store.move(unit, stage=stage, status=status, code="nothing_to_upload", reason="Base calls only.")
    await store.close()


async def test_reads_that_are_made_later_are_a_new_version(world: World) -> None:
    """A run that ended without anything to upload is taken when another layout finds reads in it."""
    world.write_config(rule={"workflow": None, "deliver": None})
    run = base_calls().write(world.watched)
    (first,) = (await world.once(0.5))["units"]
    assert first["layout"] == "bclconvert"
    await end_as(world, first["id"], Status.DONE, Stage.PLAN)
    assert len((await world.once(0.5))["units"]) == 1
    miseq().write(world.watched)
    for _ in range(2):
        units = {unit["version"]: unit for unit in (await world.once())["units"]}
        assert set(units) == {1, 2}
        assert (units[2]["layout"], units[2]["replaces"], units[2]["status"]) == ("miseq-msr", first["id"], "done")
    assert (units[1]["id"], units[1]["status"]) == (first["id"], "done")
    assert world.uploads() == world.fastqs(run)


async def test_reads_that_come_under_the_same_layout_are_a_new_version_too(world: World) -> None:
    """What ended without reads has no late ones: those that come are taken without being asked for."""
    world.write_config(rule={"workflow": None, "deliver": None})
    run = base_calls().write(world.watched)
    (first,) = (await world.once(0.5))["units"]
    await end_as(world, first["id"], Status.DONE, Stage.PLAN)
    for path, content in bclconvert().files.items():
        if path.startswith("S") or path == "Logs/FastqComplete.txt":
            (run / path).write_bytes(content)
    units = {unit["version"]: unit for unit in (await world.once())["units"]}
    assert {version: unit["status"] for version, unit in units.items()} == {1: "done", 2: "done"}
    assert units[2]["replaces"] == first["id"]
    assert len(world.uploads()) == 4


async def test_a_run_that_is_recognised_otherwise_before_it_ended_keeps_its_row(world: World) -> None:
    """It says who it is, under both layouts: the same unit goes on as what it turned out to be."""
    world.write_config(rule={"workflow": None, "deliver": None})
    run = base_calls().write(world.watched)
    (first,) = (await world.once(0.5))["units"]
    assert (first["status"], first["layout"]) == ("waiting", "bclconvert")
    miseq().write(world.watched)
    (unit,) = (await world.once())["units"]
    assert (unit["id"], unit["layout"], unit["status"]) == (first["id"], "miseq-msr", "done")
    assert world.uploads() == world.fastqs(run)


async def test_what_was_sent_is_not_sent_again_under_another_layout(world: World) -> None:
    """A folder of reads that later looks like the output of BCL Convert has the same reads: nothing is sent."""
    world.write_config(rule={"workflow": None, "deliver": None})
    run = world.add_run()
    hidden = world.folder / "hidden"
    hidden.mkdir()
    for part in ("Reports", "Logs"):
        (run / part).rename(hidden / part)
    (run / "READY").touch()
    (first,) = (await world.once())["units"]
    assert (first["layout"], first["status"]) == ("folder", "done")
    for part in ("Reports", "Logs"):
        (hidden / part).rename(run / part)
    (unit,) = (await world.once())["units"]
    assert (unit["id"], unit["status"]) == (first["id"], "done")
    assert unit["late"] == [{"path": "Reports/SampleSheet.csv", "what": "new sample sheet"}]
    assert world.posts("/api/tools/fetch") == 1
