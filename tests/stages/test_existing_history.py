"""A rule may send batches into a history that is there already: all that is done to it is that our tags are added."""

from __future__ import annotations

from typing import Any

import pytest

from tests.world import World

Json = dict[str, Any]


def into(world: World, existing: str, **rule: Any) -> None:
    """Send everything into a history that is there."""
    world.write_config(rule={"destination": {"existing": existing}, **rule})


def history_of(world: World, history_id: str) -> Json:
    """Return a history by its id."""
    (row,) = [row for row in world.fake.histories() if row["id"] == history_id]
    return row


@pytest.mark.parametrize("by", ["name", "id"])
async def test_several_runs_share_a_history_that_was_there(world: World, by: str) -> None:
    """Name, annotation and tags stay, ours are added; no other history is made, and each file is there once."""
    history_id = world.fake.add_history("Run archive", tags=["mine"])
    into(world, "Run archive" if by == "name" else history_id)
    runs = [world.add_run(name, reads=reads) for name, reads in (("240612_M1_0001_A", 3), ("240613_M1_0002_B", 4))]
    units = (await world.once())["units"]
    assert [unit["status"] for unit in units] == ["done", "done"]
    (history,) = world.fake.histories()
    assert (history["id"], history["name"], history["annotation"]) == (history_id, "Run archive", None)
    batches = [batch for unit in units for batch in unit["batches"]]
    marks = {f"watcher:{batch['id']}" for batch in batches} | {f"run:{run.name}" for run in runs}
    assert set(history["tags"]) == {"mine", *marks}
    assert {batch["history"] for batch in batches} == {"Run archive"}
    assert len([row for row in world.fake.datasets() if row["uploaded"]]) == 8
    assert len([row for row in world.fake.collections() if not row["made_by_tool"]]) == 2
    assert len(world.fake.invocations()) == 2
    assert all((world.results / run.name / "MANIFEST.sha256").exists() for run in runs)


async def test_what_lands_in_an_open_history_is_private(world: World) -> None:
    """A history that was made before keeps its own defaults: what is sent there is closed when it is registered."""
    world.fake.add_history("open to all")
    world.fake.engine.job_seconds = 0.5
    into(world, "open to all")
    world.add_run()
    seen: list[bool] = []

    def look(point: str) -> None:
        if point == "upload.fetch.receipt":
            seen.extend(row["open"] for row in world.fake.datasets())

    await world.once(points=look)
    (unit,) = (await world.status())["units"]
    assert unit["status"] == "done"
    assert seen == [False] * 4
    assert not any(row["open"] for row in world.fake.datasets())


async def test_batches_that_go_there_at_once_keep_each_others_tags(world: World) -> None:
    """Tags are set as a whole: two batches that mark at the same time do not undo each other."""
    world.fake.add_history("samples", tags=["mine"])
    into(world, "samples", per="sample", workflow=None, deliver=None)
    world.add_run(samples=("S1", "S2", "S3"))
    (unit,) = (await world.once())["units"]
    assert [batch["status"] for batch in unit["batches"]] == ["done"] * 3
    (history,) = world.fake.histories()
    assert {f"watcher:{batch['id']}" for batch in unit["batches"]} < set(history["tags"])


@pytest.mark.parametrize(
    ("histories", "asked", "words"),
    [
        (["Run archive"], "Run arhive", ["no history `Run arhive`", "Did you mean `Run archive`?"]),
        (["twice", "twice"], "twice", ["2 histories", "by its id"]),
    ],
)
async def test_a_history_that_is_not_clear_holds(
    world: World, histories: list[str], asked: str, words: list[str]
) -> None:
    """None or several of that name: the unit is held at plan, and nothing is made."""
    ids = [world.fake.add_history(name) for name in histories]
    into(world, asked)
    world.add_run()
    (unit,) = (await world.once())["units"]
    assert (unit["stage"], unit["status"], unit["batches"]) == ("plan", "held", [])
    assert all(word in f"{unit['reason']} {unit['hint']}" for word in words)
    assert [row["id"] for row in world.fake.histories()] == ids
    assert world.posts("upload") == 0


async def test_an_archived_history_holds_with_the_reason(world: World) -> None:
    """Nothing can be added to one that was archived after the plan; taken out again, it goes on."""
    history_id = world.fake.add_history("Run archive")
    into(world, "Run archive", workflow=None, deliver=None)
    world.add_run()

    def archive(point: str) -> None:
        if point == "upload.marks.intent":
            world.fake.archive_history(history_id)

    await world.once(points=archive)
    (unit,) = (await world.status())["units"]
    (batch,) = unit["batches"]
    assert batch["status"] == "held"
    assert "is in Galaxy's archive" in batch["reason"]
    world.fake.state.histories[1].archived = False
    await world.wish("retry", batch["id"])
    (unit,) = (await world.once())["units"]
    assert unit["status"] == "done"


async def test_a_run_that_another_watcher_put_there_is_not_sent_again(world: World) -> None:
    """Its datasets tell, whatever else of ours the history holds."""
    world.fake.add_history("Run archive")
    into(world, "Run archive", workflow=None, deliver=None)
    world.add_run()
    await world.once()
    fetches = world.posts("/api/tools/fetch")
    state = {"path": str(world.folder / "state" / "lost.sqlite")}
    world.write_config(
        rule={"destination": {"existing": "Run archive"}, "workflow": None, "deliver": None}, state=state
    )
    world.state_file.unlink()
    (world.folder / "state" / "lost.sqlite").unlink(missing_ok=True)
    ended = world.command("once", "--wait", "5s")
    assert ended.code == 5
    report = world.command("status", "--json").report
    (batch,) = report["units"][0]["batches"]
    assert batch["status"] == "held"
    assert "`Run archive` has it" in batch["reason"]
    assert world.posts("/api/tools/fetch") == fetches


async def test_a_new_plan_elsewhere_does_not_mark_what_is_not_ours(world: World) -> None:
    """When the rule changes to a new history, the one that was there is not called superseded."""
    history_id = world.fake.add_history("Run archive")
    into(world, "Run archive", workflow=None, deliver=None)
    world.add_run()
    (unit,) = (await world.once())["units"]
    world.write_config(rule={"destination": {"history": "{run} anew"}, "workflow": None, "deliver": None})
    await world.wish("retry", unit["id"], **{"from": "plan"})
    (unit,) = (await world.once())["units"]
    assert unit["status"] == "done"
    assert "watcher:superseded" not in history_of(world, history_id)["tags"]


async def test_a_new_history_gets_the_annotation_of_its_rule(world: World) -> None:
    """Templates work there as in names; without one, the annotation says batch, run and unit."""
    world.write_config(
        rule={"destination": {"annotation": "made of {run} by {watch}"}, "workflow": None, "deliver": None}
    )
    run = world.add_run()
    await world.once()
    (history,) = world.fake.histories()
    assert history["annotation"] == f"made of {run.name} by miseq"
