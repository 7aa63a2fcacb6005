"""The dated row: a run is done and its folder goes later, unless a person says otherwise."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.world import RUN, World, until
from watcher.clock import SystemClock
from watcher.stages import removal

Json = dict[str, Any]


async def dated(world: World, **finish: Any) -> Json:
    """Let a run end whose folder is to be deleted in thirty days, and return its unit."""
    world.write_config(rule={"finish": {"source": "delete", "after": "30d", **finish}})
    world.add_run()
    (unit,) = (await world.once())["units"]
    return dict(unit)


async def bring_forward(world: World, unit_id: str) -> None:
    """Let the date be in the past: nobody waits a month."""
    async with world.store() as store:
        unit = await store.unit(unit_id)
        assert unit is not None
        await store.put_removal(unit, due_at=SystemClock().now() - timedelta(seconds=1))


async def test_done_does_not_wait_for_the_date(world: World) -> None:
    """The run is done, the date is told with the command that stops it, and nothing goes before it."""
    unit = await dated(world)
    assert (unit["status"], unit["source"]["status"], unit["source"]["action"]) == ("done", "waiting", "delete"), unit
    day = unit["source"]["due"][:10]
    assert f"is deleted on {day}" in unit["reason"]
    assert f"galaxy-watcher hold {unit['id']}" in unit["reason"]
    await world.once(wait_s=1.5)
    assert (world.watched / RUN).is_dir()
    assert len(await world.journal("source.dated")) == 1


async def test_what_is_due_is_taken_up_by_the_next_start(world: World) -> None:
    """A one-shot run takes what is due by then."""
    unit = await dated(world)
    await bring_forward(world, unit["id"])
    (unit,) = (await world.once())["units"]
    assert (unit["status"], unit["source"]["status"]) == ("done", "done"), unit
    assert not (world.watched / RUN).exists()
    assert "source" in world.command("show", unit["id"], "--json").report


@pytest.mark.slow
async def test_what_is_due_is_taken_up_by_a_daemon_that_runs(world: World) -> None:
    """The daemon sees the date come."""
    unit = await dated(world)
    async with world.daemon():
        await bring_forward(world, unit["id"])

        await world.until_status("done")

        async def gone() -> bool:
            return not (world.watched / RUN).exists()

        await until(gone, what="the deletion")
        assert (await world.until_status("done"))["source"]["status"] == "done"


@pytest.mark.slow
async def test_a_person_stops_the_date_and_goes_on(world: World) -> None:
    """`hold` keeps the folder past its date, `retry` lets it go."""
    unit = await dated(world)
    assert world.command("hold", unit["id"]).code == 0
    await bring_forward(world, unit["id"])
    (held,) = (await world.once(wait_s=1.5))["units"]
    assert (held["status"], held["source"]["code"]) == ("done", "by_hand"), held
    assert "held by hand" in held["reason"]
    assert (world.watched / RUN).is_dir()
    assert world.command("hold", unit["id"]).code == 2
    assert world.command("retry", unit["id"]).code == 0
    await world.once()
    assert not (world.watched / RUN).exists()


@pytest.mark.slow
async def test_a_person_gives_the_date_up(world: World) -> None:
    """`cancel` lets the folder stay for good; the run stays done."""
    unit = await dated(world)
    assert "stays where it is" in world.command("cancel", unit["id"]).out
    await bring_forward(world, unit["id"])
    (unit,) = (await world.once(wait_s=1.5))["units"]
    assert (unit["status"], unit["source"]["status"]) == ("done", "cancelled"), unit
    assert (world.watched / RUN).is_dir()


async def test_what_came_later_may_go_when_a_person_says_so(world: World) -> None:
    """A file that came later holds the run; `retry` takes it as part of the run."""
    unit = await dated(world)
    (world.watched / RUN / "notes.txt").write_text("of no use")
    await bring_forward(world, unit["id"])
    (unit,) = (await world.once())["units"]
    assert (unit["status"], unit["code"]) == ("held", removal.SOURCE_STAYS), unit
    assert "came later: notes.txt" in unit["reason"]
    assert world.command("retry", unit["id"]).code == 0
    (unit,) = (await world.once())["units"]
    assert (unit["status"], unit["source"]["status"]) == ("done", "done"), unit
    assert not (world.watched / RUN).exists()


@pytest.mark.slow
async def test_a_run_that_somebody_took_away_is_journaled(world: World) -> None:
    """Gone after all of it was verified is no trouble."""
    unit = await dated(world)
    (world.watched / RUN).rename(world.folder / "taken")
    (world.watched / "other").mkdir()
    await bring_forward(world, unit["id"])
    (unit,) = (await world.once())["units"]
    assert (unit["status"], unit["source"]["code"]) == ("done", "gone"), unit
    assert len(await world.journal("source.gone")) == 1


@pytest.mark.slow
async def test_the_next_run_comes_after_an_empty_root(world: World) -> None:
    """A root that is empty because we emptied it is no lost mount, and a run that was deleted is not taken again."""
    unit = await dated(world)
    await bring_forward(world, unit["id"])
    await world.once()
    report = await world.once(wait_s=1.5)
    assert report["obstacles"] == []
    assert [watch["blind_since"] for watch in report["watches"]] == [None]
    world.add_run()
    world.add_run("260301_M02439_0044_000000000-KT42N")
    units = (await world.once())["units"]
    assert [one["status"] for one in units] == ["done", "done"], units
    assert len(world.fake.invocations()) == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("second", "status", "why"),
    [
        ({"source": "keep"}, "ignored", "rule `rest` keeps it"),
        ({"source": "archive", "archive": "ARCHIVE/{run}"}, "done", "was moved"),
    ],
)
async def test_the_most_careful_rule_wins(world: World, second: Json, status: str, why: str) -> None:
    """Of several rules for one run the one that keeps it counts, then the one that moves it."""
    archive = world.folder / "archive"
    archive.mkdir()
    if "archive" in second:
        second = {**second, "archive": f"{archive}/{{run}}"}
    first = {
        "name": "some", "match": {"sample": "S1"}, "workflow": world.workflow,
        "finish": {"source": "delete", "after": "0s"},
    }  # fmt: skip
    rest = {"name": "rest", "workflow": world.workflow, "destination": {"history": "{run} rest"}, "finish": second}
    world.write_config(rules=[first, rest])
    world.add_run()
    (unit,) = (await world.once())["units"]
    assert (unit["status"], unit["source"]["status"]) == ("done", status), unit
    assert why in unit["reason"]
    assert (world.watched / RUN).exists() is (status == "ignored")
    assert (archive / RUN).exists() is (status == "done")


@pytest.mark.slow
async def test_two_archives_are_none(world: World) -> None:
    """Rules that name two places leave the folder where it is, and say so."""
    rules = [
        {
            "name": name, "match": {"sample": sample}, "workflow": world.workflow,
            "destination": {"history": f"{{run}} {name}"},
            "finish": {"source": "archive", "archive": f"{world.folder}/{name}/{{run}}"},
        }
        for name, sample in (("one", "S1"), ("two", "S2"))
    ]  # fmt: skip
    world.write_config(rules=rules)
    world.add_run()
    (unit,) = (await world.once())["units"]
    assert unit["source"]["status"] == "ignored", unit
    assert "two archives" in unit["reason"]
    assert (world.watched / RUN).is_dir()


@pytest.mark.slow
async def test_an_archive_that_is_not_there_is_waited_for(world: World) -> None:
    """A missing archive is an obstacle: nothing is touched, and all goes on when it is there."""
    archive = world.folder / "archive"
    world.write_config(rule={"finish": {"source": "archive", "archive": f"{archive}/{{run}}"}})
    world.add_run()
    async with world.daemon():
        unit = await world.until_status("waiting", stage="finish")
        while "archive" not in unit["reason"]:
            unit = await world.until_status("waiting", stage="finish")
        assert (world.watched / RUN).is_dir()
        archive.mkdir()
        await world.until_status("done")
    assert (archive / RUN).is_dir()
