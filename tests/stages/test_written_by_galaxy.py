"""Results that Galaxy itself writes to a file source, all the way from a run, and what may be in the way."""

from __future__ import annotations

import shutil
from datetime import timedelta
from typing import Any

import pytest

from tests.fakes.galaxy import Fault
from tests.live.user_files import make_own_source
from tests.world import RUN, World
from watcher.service.preflight import check_all
from watcher.stages import by_galaxy

pytestmark = pytest.mark.timeout(180)  # a whole way each, also on a busy machine

Json = dict[str, Any]
TARGET = f"gxfiles://results/core/{RUN}"
COPIES = [f"{made}/S1/{way}.tabular" for made in ("copy", "counts") for way in ("forward", "reverse")]


def to_source(world: World, *more: Json, **delivery: Any) -> None:
    """Let the only rule deliver to the file source, then elsewhere."""
    deliver = [{"url": "gxfiles://results/core/{run}/", **delivery}, *more]
    world.write_config(rule={"deliver": deliver})
    world.add_run(samples=("S1",))


async def only_batch(world: World) -> Json:
    """Return the only batch."""
    (unit,) = (await world.status())["units"]
    (batch,) = unit["batches"]
    found: Json = batch
    return found


def there(world: World) -> dict[str, bytes]:
    """Return what lies at the place, by path."""
    folder = world.fake.file_source / "core" / RUN
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def export_jobs(world: World) -> list[str]:
    """Return the states of all jobs of Galaxy's tool."""
    return [job["state"] for job in world.fake.jobs() if job["tool_id"] == "export_remote"]


async def test_galaxy_writes_the_results(world: World) -> None:
    """Each is there once under the name that it would have in a folder; the tool's log is gone from the history."""
    to_source(world, {"folder": f"{world.results}/{{run}}"})
    assert [one for one in await check_all(world.settings()) if not one.well] == []
    await world.once()
    batch = await only_batch(world)
    assert [row["status"] for row in batch["deliveries"]] == ["done", "done"], batch
    assert batch["deliveries"][0]["target"] == TARGET
    assert batch["deliveries"][0]["reason"] == "4 files, checked by size"
    local = {
        str(path.relative_to(world.results / RUN)): path.read_bytes()
        for path in (world.results / RUN).rglob("*.tabular")
    }
    assert there(world) == local
    assert len(local) == 4
    assert export_jobs(world) == ["ok"]
    (log,) = [row for row in world.fake.datasets() if row["name"] == "Export logs"]
    assert log["deleted"]


async def test_many_files_take_several_jobs(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """One after the other, each for files that no other one writes."""
    monkeypatch.setattr(by_galaxy, "AT_A_TIME", 3)
    to_source(world)
    await world.once()
    assert (await only_batch(world))["status"] == "done"
    assert len(there(world)) == 4
    assert export_jobs(world) == ["ok", "ok"]


async def test_what_is_there_already_is_never_overwritten(world: World) -> None:
    """A file of one of the names holds the delivery before anything is asked for; moved away, a retry makes it."""
    to_source(world)
    foreign = world.fake.file_source / "core" / RUN / COPIES[0]
    foreign.parent.mkdir(parents=True)
    foreign.write_text("somebody else's\n")
    await world.once()
    batch = await only_batch(world)
    assert (batch["stage"], batch["status"]) == ("deliver", "held"), batch
    assert "is there already and is another file" in batch["reason"]
    assert export_jobs(world) == []
    assert foreign.read_text() == "somebody else's\n"
    foreign.unlink()
    await world.wish("retry", batch["id"])
    await world.once()
    assert (await only_batch(world))["status"] == "done"
    assert len(there(world)) == 4


@pytest.mark.parametrize("kind", ["job_error", "job_paused"])
async def test_a_job_that_does_not_end_well_asks_a_person(world: World, kind: str) -> None:
    """What it says is told; a retry lets Galaxy write once more, over what the first one may have left."""
    to_source(world)
    world.fake.faults.add(Fault(kind, tool="export_remote"))
    await world.once()
    batch = await only_batch(world)
    assert (batch["stage"], batch["status"]) == ("deliver", "held"), batch
    assert "Galaxy's job that writes to" in batch["reason"]
    left = world.fake.file_source / "core" / RUN / COPIES[0]
    left.parent.mkdir(parents=True)
    left.write_text("ha")  # half of it
    await world.wish("retry", batch["id"])
    await world.once()
    batch = await only_batch(world)
    assert batch["status"] == "done", batch
    assert len(there(world)) == 4
    assert there(world)[COPIES[0]] != b"ha"


async def test_a_lost_answer_makes_no_second_job(world: World) -> None:
    """The job is found by what it writes; its answer was cut, or the server never got as far."""
    to_source(world)
    world.fake.faults.add(Fault("lose_answer", method="POST", path="/api/tools"))
    world.fake.faults.add(Fault("lose_answer", method="POST", path="/api/tools"))
    await world.once()
    assert (await only_batch(world))["status"] == "done"
    assert export_jobs(world) == ["ok"]


async def test_a_source_that_is_not_there(world: World) -> None:
    """The run is held before its first byte is sent, with what there is; `check` says the same."""
    to_source(world, url="gxfiles://result/{run}")
    told = [one for one in await check_all(world.settings()) if not one.well]
    assert [one.message for one in told] == ["gxfiles://result is no file source that Galaxy shows this account."]
    assert "Did you mean `gxfiles://results`?" in told[0].hint
    report = await world.once()
    (unit,) = report["units"]
    assert (unit["stage"], unit["status"]) == ("plan", "held"), unit
    assert told[0].message in unit["reason"]
    assert world.uploads() == {}


async def test_a_source_that_goes_away(world: World) -> None:
    """Only this delivery is held, with what Galaxy says to it; the other one is made."""
    to_source(world, {"folder": f"{world.results}/{{run}}"})
    world.fake.faults.add(Fault("status", method="GET", path="/api/remote_files", status=403))
    await world.once()
    batch = await only_batch(world)
    assert (batch["status"], [row["status"] for row in batch["deliveries"]]) == ("held", ["held", "done"]), batch
    assert f"Galaxy does not write to {TARGET}" in batch["reason"]
    await world.wish("retry", batch["id"])
    await world.once()
    assert (await only_batch(world))["status"] == "done"


async def test_a_place_that_shows_nothing_is_not_believed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job that ends well proves nothing: without its files in the listing a person is asked, and a retry writes
    anew.
    """
    to_source(world)
    monkeypatch.setattr(by_galaxy, "SHOWS_LATE", timedelta(0))
    place = world.fake.file_source / "core"
    fault = Fault("act", method="GET", path="/api/remote_files", skip=1, action=lambda: shutil.rmtree(place))
    world.fake.faults.add(fault)
    await world.once()
    batch = await only_batch(world)
    assert batch["status"] == "held", batch
    assert "but the listing shows nothing as" in batch["reason"]
    await world.wish("retry", batch["id"])
    await world.once()
    assert (await only_batch(world))["status"] == "done"
    assert export_jobs(world) == ["ok", "ok"]


async def test_a_file_source_of_ones_own(world: World) -> None:
    """It is named by its UUID; one that this account has not is told beforehand, like any that is not there."""
    own = make_own_source(world.fake.url, world.fake.key)
    to_source(world, url=f"{own}/core/{{run}}")
    assert [one for one in await check_all(world.settings()) if not one.well] == []
    await world.once()
    batch = await only_batch(world)
    (delivery,) = batch["deliveries"]
    assert (delivery["status"], delivery["target"]) == ("done", f"{own}/core/{RUN}"), batch
    to_source(world, url="gxuserfiles://00000000-0000-4000-8000-000000000000/{run}")
    (told,) = [one for one in await check_all(world.settings()) if not one.well]
    assert "is no file source that Galaxy shows this account" in told.message
