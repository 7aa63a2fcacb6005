"""What becomes of a batch's history when all is done, and the receipt."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.delivered import assert_whole
from tests.world import RUN, World, counting_workflow, until
from watcher.model import Status

Json = dict[str, Any]


async def ended(world: World, **rule: Any) -> Json:
    """Let a run end under this rule, and return its unit."""
    world.write_config(rule=rule)
    world.add_run()
    (unit,) = (await world.once())["units"]
    assert unit["status"] == "done", unit
    return dict(unit)


def by_the_way() -> Json:
    """Return a workflow with one result, and one output that is none."""
    return {**counting_workflow("By the way"), "outputs": {"copy": {"outputSource": "wait/out"}}}


def by_hand(world: World, history: str) -> None:
    """Put something into a history as a person does: a copy, under a name and without a tag of ours."""
    (source, *_) = [row["id"] for row in world.fake.datasets() if row["uploaded"]]
    with httpx.Client(base_url=world.fake.url, headers={"x-api-key": world.fake.key}) as client:
        contents = f"/api/histories/{history}/contents"
        json = {"source": "hda", "content": source, "type": "dataset"}
        made = client.post(contents, json=json).raise_for_status().json()
        client.put(f"{contents}/datasets/{made['id']}", json={"name": "by hand", "tags": []}).raise_for_status()


@pytest.mark.slow
async def test_a_history_gets_a_tag(world: World) -> None:
    """The tag comes to those it has."""
    unit = await ended(world, finish={"history": "tag", "tag": "over {run}"})
    (history,) = world.fake.histories()
    assert f"watcher:{unit['batches'][0]['id']}" in history["tags"]
    assert any(tag.startswith("over_") for tag in history["tags"])


@pytest.mark.slow
@pytest.mark.parametrize(("history", "marks"), [("archive", (True, False)), ("delete", (False, True))])
async def test_a_history_goes(world: World, history: str, marks: tuple[bool, bool]) -> None:
    """It goes to the archive or to the bin, never for good; the journal tells before and after."""
    await ended(world, finish={"history": history})
    (row,) = world.fake.histories()
    assert ((row["archived"], row["deleted"]), row["purged"]) == (marks, False)
    assert len(await world.journal("history.closing")) == len(await world.journal("history.closed")) == 1
    await world.once(wait_s=1.5)
    assert len(await world.journal("history.closed")) == 1


@pytest.mark.slow
async def test_a_history_that_was_there_is_only_tagged(world: World) -> None:
    """One of before keeps its tags and stays."""
    world.fake.add_history("Run archive", tags=["mine"])
    await ended(world, destination={"existing": "Run archive"}, finish={"history": "tag", "tag": "over"})
    (history,) = world.fake.histories()
    assert {"mine", "over"} <= set(history["tags"])


@pytest.mark.slow
async def test_a_history_with_anything_else_in_it_is_not_deleted(world: World) -> None:
    """What a person put there may not go with it."""
    world.write_config(rule={"finish": {"history": "delete", "purge_intermediates": True}})
    world.add_run()
    put: list[str] = []

    def at(point: str) -> None:
        if point == "deliver.moved" and not put:
            (history,) = world.fake.histories()
            put.append(history["id"])
            by_hand(world, history["id"])

    (unit,) = (await world.once(points=at))["units"]
    assert unit["status"] == "done", unit
    (history,) = world.fake.histories()
    assert not history["deleted"]
    (kept,) = await world.journal("history.kept")
    assert "by hand" in kept
    assert not [row for row in world.fake.datasets() if row["deleted"]]


async def test_what_was_made_by_the_way_is_purged(world: World) -> None:
    """Hidden outputs that are no results go for good; what was sent and what was delivered stays."""
    world.fake.import_workflow(by_the_way())
    workflow = {"name": "By the way", "inputs": {"Reads": "reads"}}
    await ended(world, workflow=workflow, finish={"purge_intermediates": True})
    rows = world.fake.datasets()
    gone = {row["name"] for row in rows if row["deleted"]}
    assert {name.partition(" of ")[0] for name in gone} == {"Read count"}
    assert len([row for row in rows if row["deleted"]]) == 4

    async def purged() -> bool:  # Galaxy does it later
        return [row["purged"] for row in world.fake.datasets()].count(True) == 4

    await until(purged, what="the purge")
    assert not [row for row in rows if row["uploaded"] and row["deleted"]]
    assert_whole(world.results / RUN, 4)
    assert len(await world.journal("history.purged")) == 1


async def test_a_receipt_lies_beside_the_run(world: World) -> None:
    """It says where everything is, and is no run of its own; the run itself is as it was."""
    unit = await ended(world, finish={"receipt": True})
    receipt = json.loads((world.watched / f"{RUN}.galaxy-watcher.json").read_text())
    assert (receipt["id"], receipt["run"]) == (unit["id"], RUN)
    (batch,) = receipt["batches"]
    assert {row["sha256"] for row in batch["datasets"]} == set(world.fastqs().values())
    (history,) = world.fake.histories()
    assert batch["history"]["id"] == history["id"]
    assert [row["run"] for row in (await world.once(wait_s=1.5))["units"]] == [RUN]


@pytest.mark.slow
async def test_a_receipt_goes_to_the_archive_as_well(world: World) -> None:
    """Beside a run that was moved lies its receipt."""
    archive = world.folder / "archive"
    archive.mkdir()
    await ended(world, finish={"source": "archive", "archive": f"{archive}/{{run}}", "receipt": True})
    receipt = json.loads((archive / f"{RUN}.galaxy-watcher.json").read_text())
    assert "was moved" in receipt["source"]


@pytest.mark.slow
async def test_sessions_that_were_left_over_are_deleted(world: World) -> None:
    """A session that a row still names is forgotten in Galaxy at the end."""
    unit = await ended(world)
    async with world.store() as store:
        (batch,) = await store.batches(unit["id"])
        (row, *_) = await store.datasets(batch.id)
        await store.put_dataset(batch, row.key, session="left-over")
        stored = await store.unit(unit["id"])
        assert stored is not None
        await store.move(stored, status=Status.READY)
    await world.once()
    assert len(world.fake.requests.all("DELETE", "resumable_upload")) == 1
    async with world.store() as store:
        assert not [row for row in await store.datasets(batch.id) if row.session]
    assert len(await world.journal("session.deleting")) == len(await world.journal("session.deleted")) == 1
