"""Several deliveries of one batch: each is made whatever became of the others, and one may fail by the rule."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.world import RUN, World
from watcher.stages import troubles

pytestmark = pytest.mark.timeout(180)  # a whole way each, also on a busy machine

Json = dict[str, Any]
COPY = f"{RUN}/copy/S1/forward.tabular"


def to(world: World, *places: str, **of_the_first: Any) -> None:
    """Deliver everything to folders of these names; the first delivery has further settings."""
    deliver: list[Json] = [{"folder": f"{world.results}/{place}/{{run}}"} for place in places]
    deliver[0] |= of_the_first
    world.write_config(rule={"deliver": deliver}, rescan_active="1s")
    world.add_run(samples=("S1",))


def put_in_the_way(world: World, place: str) -> None:
    """Let another file have the name of a result."""
    path = world.results / place / COPY
    path.parent.mkdir(parents=True)
    path.write_text("somebody else's\n")


async def only_batch(world: World) -> Json:
    """Return the only batch, with its code."""
    (unit,) = (await world.status())["units"]
    async with world.store() as store:
        (row,) = await store.batches(unit["id"])
    return {**unit["batches"][0], "code": row.code}


def told(batch: Json) -> list[str]:
    """Return how the deliveries stand."""
    return [row["status"] for row in batch["deliveries"]]


def is_whole(world: World, place: str) -> bool:
    """Tell whether everything lies there, with its manifest."""
    folder = world.results / place / RUN
    return (folder / "MANIFEST.sha256").exists() and len(list(folder.rglob("*.tabular"))) == 4


async def test_one_in_trouble_keeps_no_other_waiting(world: World) -> None:
    """What is in the way of the first one holds the batch, and says so there; the second one is made all the same."""
    to(world, "a", "b")
    (world.results / "b").mkdir()
    put_in_the_way(world, "a")
    await world.once()
    batch = await only_batch(world)
    assert (batch["stage"], batch["status"], told(batch)) == ("deliver", "held", ["held", "done"])
    assert "is there already and is another file" in batch["deliveries"][0]["reason"]
    assert batch["reason"] == batch["deliveries"][0]["reason"]
    assert is_whole(world, "b")
    (world.results / "a" / COPY).unlink()
    await world.wish("retry", batch["id"])
    await world.once()
    batch = await only_batch(world)
    assert (batch["status"], told(batch)) == ("done", ["done", "done"])
    assert batch["deliveries"][0]["reason"] == "4 files, checked by size"
    assert is_whole(world, "a")


async def test_what_passes_is_waited_for_before_a_person_is_asked(world: World) -> None:
    """With one target away and another file in the way of the other, the batch waits behind the target; back again,
    that one is made, and the other holds.
    """
    to(world, "a", "b")
    put_in_the_way(world, "b")
    await world.once(wait_s=1.0)
    batch = await only_batch(world)
    assert (batch["status"], told(batch)) == ("waiting", ["waiting", "held"])
    (obstacle,) = (await world.status())["obstacles"]
    assert obstacle["subject"] == f"{world.results}/a"
    (world.results / "a").mkdir()
    await world.once()
    batch = await only_batch(world)
    assert (batch["status"], told(batch)) == ("held", ["done", "held"])
    assert is_whole(world, "a")


async def test_one_that_may_fail_is_given_up(world: World) -> None:
    """The batch is done without it and says so; once nothing is in the way, a retry of the deliveries makes it."""
    to(world, "a", "b", may_fail=True)
    (world.results / "b").mkdir()
    put_in_the_way(world, "a")
    await world.once()
    batch = await only_batch(world)
    assert (batch["status"], batch["code"], told(batch)) == ("done", "partly_delivered", ["failed", "done"])
    assert f"Delivery 1 to {world.results}/a/{RUN} failed, as it may:" in batch["reason"]
    assert len(await world.journal("delivery.failed")) == 1
    (world.results / "a" / COPY).unlink()
    await world.wish("retry", batch["id"], **{"from": "deliver"})
    await world.once()
    batch = await only_batch(world)
    assert (batch["status"], batch["code"], told(batch)) == ("done", "", ["done", "done"])
    assert is_whole(world, "a")


async def test_one_that_may_fail_waits_for_its_target_for_a_while(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No obstacle is raised for it, since nothing depends on it; after an hour it is given up."""
    to(world, "a", "b", may_fail=True)
    (world.results / "b").mkdir()
    await world.once(wait_s=1.0)
    batch = await only_batch(world)
    assert (batch["status"], batch["code"], told(batch)) == ("waiting", "delivery_waits", ["waiting", "done"])
    assert "Delivery 1, which may fail:" in batch["reason"]
    assert (await world.status())["obstacles"] == []
    monkeypatch.setattr(troubles, "PATIENCE", timedelta(0))
    async with world.store() as store:
        await store.wake("batch", batch["id"])
    await world.once()
    batch = await only_batch(world)
    assert (batch["status"], batch["code"], told(batch)) == ("done", "partly_delivered", ["failed", "done"])
