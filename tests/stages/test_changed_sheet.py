"""A sample sheet that is edited after the plan: a new plan while nothing is sent, later what the operator said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.fakes.galaxy import Fault
from tests.runs.run_folders import sheet_v2
from tests.stages.test_units import finished
from tests.world import World


def sheet(run: Path) -> Path:
    """Return the sample sheet of a run."""
    return run / "Reports" / "SampleSheet.csv"


def edit(run: Path, remark: str = "corrected") -> None:
    """Change the sheet without changing the samples."""
    path = sheet(run)
    path.write_text(path.read_text().replace("[Header]\n", f"[Header]\nRunDescription,{remark}\n"))


def plain(world: World, **watch: Any) -> None:
    """Let nothing but the upload happen."""
    world.write_config(watch=watch, rule={"workflow": None, "deliver": None})


async def test_a_sheet_that_was_only_touched_is_nothing(world: World) -> None:
    """The bytes count, not the time."""
    plain(world)
    run = world.add_run()
    await world.once()
    sheet(run).write_bytes(sheet(run).read_bytes())
    (unit,) = (await world.once())["units"]
    assert (unit["status"], unit["code"]) == ("done", "")
    assert not await world.journal("sheet.changed")


async def held_for_its_sheet(world: World) -> tuple[Path, str]:
    """Let a run end and change its sheet; return the run and the id of its unit."""
    plain(world)
    run = world.add_run()
    await world.once()
    edit(run)
    (unit,) = (await world.once())["units"]
    assert (unit["status"], unit["stage"], unit["code"]) == ("held", "finish", "sheet_changed"), unit
    assert unit["reason"] == "The sample sheet Reports/SampleSheet.csv was changed after the plan."
    assert unit["batches"][0]["status"] == "done"
    return run, unit["id"]


async def test_a_changed_sheet_holds_a_run_that_was_sent(world: World) -> None:
    """A person is asked; `retry` leaves it at what was done, and the same sheet asks nobody again."""
    _, unit_id = await held_for_its_sheet(world)
    await world.wish("retry", unit_id)
    for _ in range(2):
        (unit,) = (await world.once())["units"]
        assert (unit["status"], unit["code"]) == ("done", "")
    assert world.posts("/api/tools/fetch") == 1


async def test_retry_from_plan_takes_the_run_once_more(world: World) -> None:
    """What was done stays; the new sheet is followed by a new version in a history of its own."""
    _, unit_id = await held_for_its_sheet(world)
    await world.wish("retry", unit_id, **{"from": "plan"})
    units = {unit["version"]: unit for unit in (await world.once())["units"]}
    assert {version: unit["status"] for version, unit in units.items()} == {1: "done", 2: "done"}
    assert (units[1]["id"], units[2]["replaces"]) == (unit_id, unit_id)
    assert len({unit["batches"][0]["history"] for unit in units.values()}) == 2
    assert world.posts("/api/tools/fetch") == 2


async def test_a_sheet_put_back_releases_the_hold(world: World) -> None:
    """The sheet of the plan lies there again: nobody needs to say anything."""
    plain(world)
    run = world.add_run()
    await world.once()
    before = sheet(run).read_bytes()
    edit(run)
    assert (await world.once())["units"][0]["status"] == "held"
    sheet(run).write_bytes(before)
    (unit,) = (await world.once())["units"]
    assert (unit["status"], unit["code"]) == ("done", "")


@pytest.mark.parametrize(("mode", "versions"), [("new_version", {1, 2}), ("ignore", {1})])
async def test_the_operator_may_say_otherwise(world: World, mode: str, versions: set[int]) -> None:
    """`new_version` takes the run once more by itself, `ignore` writes a line; neither does it twice."""
    plain(world, sheet_changed=mode)
    run = world.add_run()
    await world.once()
    edit(run)
    for _ in range(2):
        units = (await world.once())["units"]
        assert {unit["version"] for unit in units} == versions
        assert {unit["status"] for unit in units} == {"done"}
    assert world.posts("/api/tools/fetch") == len(versions)
    assert len(await world.journal("sheet.changed")) == (mode == "ignore")


async def test_before_anything_is_sent_there_is_simply_a_new_plan(world: World) -> None:
    """Galaxy stands still before the history is made: the plan follows the new sheet, nobody is asked."""
    world.write_config(rule={"workflow": None, "deliver": None, "match": {"project": "*"}})
    run = world.add_run()
    world.fake.faults.add(Fault("hold", method="GET", path="/api/histories*", times=None))
    async with world.daemon():
        unit = await world.until_status("waiting", stage="finish")
        edit(run)
        await world.until_planned_anew(unit["id"])
        world.fake.faults.clear()
        await world.until_status("done", timeout_s=20)
    report = (await world.status())["units"][0]
    assert [batch["status"] for batch in report["batches"]] == ["cancelled", "done"]
    assert world.uploads() == world.fastqs(run)
    assert len(world.fake.histories()) == 1


def analysed(world: World, *, own_sheet: bool) -> Path:
    """Write a run with one analysis; the sheet of the run is the one it was made by."""
    tree = finished(1)
    own = "Analysis/1/Data/BCLConvert/SampleSheet.csv"
    tree.add("SampleSheet.csv", tree.files[own])
    return (tree if own_sheet else tree.without(own)).write(world.watched)


@pytest.mark.parametrize("own_sheet", [True, False], ids=["its own copy", "no copy"])
async def test_the_sheet_of_the_next_analysis_holds_no_earlier_one(world: World, own_sheet: bool) -> None:
    """A requeue begins with another sheet in the run folder: what was sent by the sheet before stays done."""
    plain(world)
    run = analysed(world, own_sheet=own_sheet)
    assert (await world.once())["units"][0]["status"] == "done"
    (run / "SampleSheet.csv").write_bytes(sheet_v2(["T1"]))
    for _ in range(2):
        (unit,) = (await world.once())["units"]
        assert (unit["status"], unit["code"]) == ("done", "")
    assert len(await world.journal("sheet.changed")) == (not own_sheet)
    assert world.posts("/api/tools/fetch") == 1


async def test_an_analysis_whose_own_sheet_changes_is_held(world: World) -> None:
    """Its own copy is what it was read by: who changes that means this analysis."""
    plain(world)
    run = analysed(world, own_sheet=True)
    await world.once()
    own = run / "Analysis/1/Data/BCLConvert/SampleSheet.csv"
    own.write_bytes(own.read_bytes().replace(b"ACGT", b"AAAA"))
    (unit,) = (await world.once())["units"]
    assert (unit["status"], unit["code"]) == ("held", "sheet_changed")
