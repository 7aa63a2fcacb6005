"""Promise 2: nothing is done twice, whatever breaks in between. Death at every instant is in `tests/crash/`."""

from __future__ import annotations

import shutil

import pytest

from tests.fakes.galaxy import Fault
from tests.rarer import rarer
from tests.world import RUN, World
from watcher.errors import StateError
from watcher.model import Status

pytestmark = pytest.mark.timeout(180)  # a whole way each, also on a busy machine

MADE_BY = {
    "history": ("/api/histories", "histories"),
    "datasets": ("/api/tools/fetch", "uploads"),
    "collection": ("/api/dataset_collections", "collections"),
    "invocation": ("/api/workflows/*/invocations", "invocations"),
}


def made(world: World) -> dict[str, int]:
    """Count what there is of each kind."""
    return {
        "histories": len(world.fake.histories()),
        "uploads": sum(row["uploaded"] for row in world.fake.datasets()),
        "collections": sum(not row["made_by_tool"] for row in world.fake.collections()),
        "invocations": len(world.fake.invocations()),
    }


ONCE = {"histories": 1, "uploads": 4, "collections": 1, "invocations": 1}


@pytest.mark.parametrize("kind", rarer(["late", "lose_answer"], keep=1))
@pytest.mark.parametrize("thing", MADE_BY)
async def test_a_lost_answer_is_looked_up_and_not_repeated(world: World, thing: str, kind: str) -> None:
    """Whether the answer is lost or the server acts only after the line was cut: there is one of each."""
    world.add_run()
    fault = world.fake.faults.add(Fault(kind, method="POST", path=MADE_BY[thing][0], seconds=0.5, size=3))
    report = await world.once()
    assert fault.used_up
    assert report["units"][0]["status"] == "done", report
    assert made(world) == ONCE
    assert world.uploads() == world.fastqs()


async def test_starting_again_does_nothing_again(world: World) -> None:
    """A run that is done stays done: no second start posts anything."""
    world.add_run()
    await world.once()
    before = len(world.fake.requests.all("POST"))
    for _ in range(2):
        report = await world.once()
        assert [unit["status"] for unit in report["units"]] == ["done"]
    assert len(world.fake.requests.all("POST")) == before


async def test_a_lost_state_does_not_send_everything_again(world: World) -> None:
    """What Galaxy has of a run that the rows know nothing of is named, and a person decides; `retry` sends it anew."""
    world.add_run()
    await world.once()
    before = made(world)
    for left in world.folder.rglob("state.sqlite*"):
        left.unlink()
    (unit,) = (await world.once())["units"]
    (batch,) = unit["batches"]
    assert batch["status"] == "held"
    assert "is in Galaxy already" in batch["reason"]
    assert f"galaxy-watcher retry {batch['id']}" in batch["hint"]
    async with world.store() as store:  # death between asking Galaxy and storing the hold: nobody has answered yet
        row = await store.batch(batch["id"])
        assert row is not None
        await store.move(row, status=Status.READY)
    (unit,) = (await world.once())["units"]
    assert unit["batches"][0]["status"] == "held"
    assert made(world) == before
    assert world.command("retry", batch["id"]).code == 0
    (unit,) = (await world.once())["units"]
    assert unit["status"] == "done"
    assert made(world) == {thing: 2 * count for thing, count in before.items()}


async def test_a_run_that_moved_is_the_same_run(world: World) -> None:
    """The same run under another name or as a second copy is known by the id it carries."""
    run = world.add_run()
    await world.once()
    shutil.copytree(run, world.watched / "copy of it")
    run.rename(world.watched / "moved")
    report = await world.once()
    assert [unit["status"] for unit in report["units"]] == ["done"]
    assert made(world) == ONCE


async def test_a_second_daemon_is_refused(world: World) -> None:
    """While one watcher lives, another one on the same state ends at once and says why."""
    world.add_run()
    async with world.daemon():
        with pytest.raises(StateError, match=r"[Aa]nother"):
            await world.once()
        await world.until_status("done")
    assert made(world) == ONCE


async def test_a_delivered_file_is_not_fetched_again(world: World) -> None:
    """Starting the delivery stage once more finds every file in its place, whole, and leaves it as it is."""
    world.add_run()
    report = await world.once()
    folder = world.results / RUN
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.name != "MANIFEST.sha256"}
    downloads = len(world.fake.requests.all("GET", "/display"))
    batch = report["units"][0]["batches"][0]["id"]
    assert world.command("retry", batch, "--from", "deliver").code == 0
    report = await world.once()
    assert report["units"][0]["batches"][0]["status"] == "done"
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert len(world.fake.requests.all("GET", "/display")) == downloads
