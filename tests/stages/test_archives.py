"""Archives of a history and of invocations as deliveries: brought home, or written by Galaxy to a place of its own."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.galaxy import Fault
from tests.fakes.galaxy.archive_state import Archive
from tests.stages.test_written_by_galaxy import export_jobs, only_batch
from tests.world import RUN, World, until
from watcher.service.preflight import check_all

pytestmark = pytest.mark.timeout(180)  # a whole way each, also on a busy machine

Json = dict[str, Any]
PLACE = "gxfiles://results/core/{run}"


def deliver(world: World, *deliveries: Json, **more: Any) -> None:
    """Let the only rule make these deliveries."""
    world.write_config(rule={"deliver": list(deliveries)}, **more)
    world.add_run(samples=("S1",))


def home(world: World, **delivery: Any) -> Json:
    """Return a delivery of an archive to the local folder."""
    return {"folder": f"{world.results}/{{run}}", **delivery}


def asked(world: World, path: str) -> int:
    """Return how many requests for an archive were made."""
    return sum(one.status < 300 for method in ("PUT", "POST") for one in world.fake.requests.all(method, path))


def assert_sums(folder: Path) -> None:
    """The files are what the manifest says."""
    subprocess.run(["sha256sum", "--check", "--strict", "--quiet", "MANIFEST.sha256"], cwd=folder, check=True)


async def test_a_history_comes_home_as_one_file(world: World) -> None:
    """With the manifest beside it; nothing but Galaxy's own job is needed."""
    deliver(world, home(world, export="history"))
    world.fake.state.archives.has_celery = False
    assert [one for one in await check_all(world.settings()) if not one.well] == []
    await world.once()
    batch = await only_batch(world)
    assert batch["status"] == "done", batch
    assert batch["deliveries"][0]["reason"] == "1 file, checked by size"
    folder = world.results / RUN
    assert sorted(path.name for path in folder.iterdir()) == ["MANIFEST.sha256", "history.tar.gz"]
    assert_sums(folder)
    with tarfile.open(folder / "history.tar.gz") as archive:
        assert "history_attrs.txt" in archive.getnames()
    assert len(world.fake.state.archives.archives) == 1


async def test_an_invocation_comes_home_as_a_crate(world: World) -> None:
    """As RO-Crate, or as BioCompute Object, each asked for once."""
    crate, bco = home(world, export="invocation"), home(world, export="invocation", format="bco.json")
    deliver(world, crate | {"folder": f"{world.results}/a/{{run}}"}, bco | {"folder": f"{world.results}/b/{{run}}"})
    for name in "ab":
        (world.results / name).mkdir()
    await world.once()
    assert (await only_batch(world))["status"] == "done"
    whole = (world.results / "a" / RUN / "invocation.rocrate.zip").read_bytes()
    assert "ro-crate-metadata.json" in zipfile.ZipFile(io.BytesIO(whole)).namelist()
    assert "spec_version" in json.loads((world.results / "b" / RUN / "invocation.bco.json").read_text())
    assert asked(world, "prepare_store_download") == 2


async def test_galaxy_writes_archives_itself(world: World) -> None:
    """Of the history and of the invocation, each once, proven by the listing."""
    history = {"url": PLACE, "export": "history", "format": "rocrate.zip"}
    deliver(world, history, {"url": f"{PLACE}/run", "export": "invocation"})
    await world.once()
    batch = await only_batch(world)
    assert [row["status"] for row in batch["deliveries"]] == ["done", "done"], batch
    assert batch["deliveries"][0]["reason"] == "1 file"
    folder = world.fake.file_source / "core" / RUN
    assert zipfile.is_zipfile(folder / "history.rocrate.zip")
    assert zipfile.is_zipfile(folder / "run" / "invocation.rocrate.zip")
    assert asked(world, "write_store") == 2


@pytest.mark.parametrize("delivery", [{"url": PLACE, "export": "history"}, {"export": "invocation"}])
async def test_without_celery_nothing_is_sent(world: World, delivery: Json) -> None:
    """Galaxy would say yes and write nothing: the run is held before its first byte, and `check` says the same."""
    deliver(world, delivery if "url" in delivery else home(world, **delivery))
    world.fake.state.archives.has_celery = False
    (told,) = [one for one in await check_all(world.settings()) if not one.well]
    assert "works without Celery" in told.message
    (unit,) = (await world.once())["units"]
    assert (unit["stage"], unit["status"]) == ("plan", "held"), unit
    assert told.message in unit["reason"]
    assert world.uploads() == {}
    assert asked(world, "store") == 0


async def test_an_archive_that_fails_asks_a_person(world: World) -> None:
    """A retry lets Galaxy make another one."""
    deliver(world, home(world, export="history"))
    world.fake.faults.add(Fault("job_error", tool="__EXPORT_HISTORY__"))
    await world.once()
    batch = await only_batch(world)
    assert batch["status"] == "held", batch
    assert "the job that makes it failed" in batch["reason"]
    await world.wish("retry", batch["id"])
    await world.once()
    assert (await only_batch(world))["status"] == "done"
    assert (world.results / RUN / "history.tar.gz").exists()


async def test_a_line_that_breaks_is_gone_on_with(world: World) -> None:
    """The same archive is read on, from where it broke."""
    deliver(world, home(world, export="history"))
    world.fake.faults.add(Fault("cut_answer", method="GET", path="*/exports/*", skip=1, size=100))
    await world.once()
    assert (await only_batch(world))["status"] == "done"
    assert tarfile.is_tarfile(world.results / RUN / "history.tar.gz")
    assert len(world.fake.state.archives.archives) == 1


async def test_an_archive_that_is_ready_at_once_is_known_again(world: World) -> None:
    """Galaxy has packed it before anybody asks how it stands, then the line breaks: it is not asked for once more."""

    def hurry() -> None:
        world.fake.engine.job_seconds = 0.0

    deliver(world, home(world, export="history"))
    world.fake.faults.add(Fault("act", method="PUT", path="*/exports", action=hurry))
    world.fake.faults.add(Fault("cut_answer", method="GET", path="*/exports/*", skip=1, size=100))
    await world.once()
    assert (await only_batch(world))["status"] == "done"
    assert asked(world, "/exports") == 1


async def test_an_archive_that_somebody_made_of_the_same_state_will_do(world: World) -> None:
    """Galaxy makes no second one while nothing changes: to insist on another would be to wait for ever."""
    state = world.fake.state

    def make() -> None:
        (history,) = state.histories.values()
        number = state.next_number("archive")
        state.archives.archives[number] = Archive(number, history.number, history.update_time, job=0, state="ready")
        folder = state.folder / "archives"
        folder.mkdir()
        with tarfile.open(folder / str(number), "w:gz"):
            pass

    deliver(world, home(world, export="history"))
    world.fake.faults.add(Fault("act", method="GET", path="*/exports", action=make))
    await world.once()
    assert (await only_batch(world))["status"] == "done"
    assert len(state.archives.archives) == 1


@pytest.mark.parametrize("path", ["*/write_store", "*/exports", "*/prepare_store_download"])
async def test_a_lost_answer_is_no_second_archive(world: World, path: str) -> None:
    """What Galaxy did all the same is found where it can be; what nobody can find again is left to itself."""
    kind = {"*/write_store": {"url": PLACE, "export": "history"}, "*/exports": home(world, export="history")}
    deliver(world, kind.get(path) or home(world, export="invocation"))
    world.fake.faults.add(Fault("lose_answer", method="P*", path=path))
    await world.once()
    batch = await only_batch(world)
    assert batch["status"] == "done", batch
    assert len(world.fake.state.archives.archives) <= 1
    assert len(world.fake.requests.all("POST", "write_store")) <= 1


async def test_what_has_the_name_at_the_place_is_left_alone(world: World) -> None:
    """Galaxy would write over it; moved away, a retry goes on."""
    deliver(world, {"url": PLACE, "export": "history"})
    foreign = world.fake.file_source / "core" / RUN / "history.tar.gz"
    foreign.parent.mkdir(parents=True)
    foreign.write_text("somebody else's\n")
    await world.once()
    batch = await only_batch(world)
    assert "is there already and is another file" in batch["reason"]
    assert foreign.read_text() == "somebody else's\n"
    foreign.unlink()
    await world.wish("retry", batch["id"])
    await world.once()
    assert (await only_batch(world))["status"] == "done"
    assert tarfile.is_tarfile(foreign)


async def test_a_place_that_cannot_be_written(world: World) -> None:
    """The task alone fails, with its reason."""
    deliver(world, {"url": PLACE, "export": "history"})
    (world.fake.file_source).mkdir(parents=True, exist_ok=True)
    (world.fake.file_source / "core").write_text("no folder")
    world.fake.faults.add(Fault("status", method="GET", path="/api/remote_files", times=0))
    await world.once()
    batch = await only_batch(world)
    assert batch["status"] == "held", batch
    assert "There is no archive of the history" in batch["reason"]


async def test_a_history_without_a_workflow(world: World) -> None:
    """What was only sent is packed as well; of invocations there are none, which is said."""
    there = home(world, export="history")
    invocation = {"folder": f"{world.results}/none/{{run}}", "export": "invocation"}
    (world.results / "none").mkdir()
    world.write_config(rule={"workflow": None, "deliver": [there, invocation]})
    world.add_run(samples=("S1",))
    assert [one for one in await check_all(world.settings()) if not one.well] == []
    await world.once()
    batch = await only_batch(world)
    assert [row["status"] for row in batch["deliveries"]] == ["done", "done"], batch
    assert batch["deliveries"][1]["reason"] == "no result to deliver"
    with tarfile.open(world.results / RUN / "history.tar.gz") as archive:
        assert sum("fastq.gz" in name for name in archive.getnames()) == 2


async def test_one_whose_answer_is_unknown_keeps_no_other_waiting(world: World) -> None:
    """While it may still come true it is looked for again; the folder beside it is filled meanwhile."""
    deliver(world, {"url": PLACE, "export": "history"}, home(world), limits={"uncertain_for": "1h"})
    world.fake.faults.add(Fault("reset", method="POST", path="*/write_store"))

    async def has_met_both() -> bool:
        units = (await world.status())["units"]
        batches = units[0]["batches"] if units else []
        return bool(batches) and "The answer to `deliver.archive` never came" in batches[0]["reason"]

    async with world.daemon(takes_existing=True):
        await until(has_met_both, what="the wait")
    batch = await only_batch(world)
    assert [row["status"] for row in batch["deliveries"]] == ["working", "done"], batch
    assert len(world.fake.requests.all("POST", "write_store")) == 1


async def test_what_is_broken_is_not_tried_while_another_is_waited_for(world: World) -> None:
    """Galaxy is at work on one delivery; another one, which it could not make, is asked for by a person alone."""
    deliver(world, {"url": f"{PLACE}/a"}, {"url": f"{PLACE}/b", "export": "history"})
    shelf = world.fake.state.archives
    world.fake.faults.add(Fault("job_error", tool="export_remote"))
    dead = Fault("act", method="POST", path="*/write_store", action=lambda: setattr(shelf, "has_celery", False))
    world.fake.faults.add(dead)

    async def many_rounds() -> bool:
        return len(world.fake.requests.all("GET", "/api/tasks/")) > 8

    async with world.daemon(takes_existing=True):
        await until(many_rounds, what="many rounds")
    batch = await only_batch(world)
    assert [row["status"] for row in batch["deliveries"]] == ["held", "working"], batch
    assert export_jobs(world) == ["error"]
