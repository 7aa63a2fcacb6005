"""Libraries when things go wrong: answers that are lost, broken items, taken names, replaced files."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.galaxy import Fault
from tests.rarer import rarer
from tests.stages.shelves import (
    LIBRARY,
    folders,
    into_library,
    items,
    libraries,
    ways,
    world,
    write_raw_layout,
    write_raw_run,
)
from tests.world import World, fastq, packed, until
from watcher.model import Status
from watcher.service import engine
from watcher.service.daemon import Daemon
from watcher.stages.rooms import Rooms
from watcher.store.store import Store

__all__ = ["world"]

pytestmark = pytest.mark.timeout(180)

Json = dict[str, Any]


async def taken(world: World, status: str = "done") -> Json:
    """Take all there is, and return the only unit."""
    (unit,) = (await world.once())["units"]
    assert unit["status"] == status, unit
    return dict(unit)


LOST = [
    ("link", "POST", "/api/libraries"),
    ("link", "POST", "/api/folders/*"),
    ("link", "POST", "/api/libraries/*/contents"),
    ("import_dir", "POST", "/api/libraries/datasets"),
    ("tus", "POST", "/api/tools/fetch"),
    ("tus", "POST", "/api/folders/*/contents"),
    ("copy", "POST", "/api/libraries/*/contents"),
]


@pytest.mark.parametrize("kind", rarer(["late", "lose_answer", "reset"], keep=1))
@pytest.mark.parametrize(("transfer", "method", "path"), LOST, ids=[f"{way}-{path}" for way, _, path in LOST])
async def test_a_lost_answer_doubles_nothing(world: World, kind: str, transfer: str, method: str, path: str) -> None:
    """Whether Galaxy did it, does it later or never: library, folder and items are there once."""
    imports = world.fake.import_folder
    into_library(world, transfer, path=str(imports if transfer == "import_dir" else world.watched))
    fault = world.fake.faults.add(Fault(kind, method=method, path=path, seconds=0.8))
    run = world.add_run() if transfer != "import_dir" else _imported_run(world)
    await taken(world)
    assert fault.used_up
    assert libraries(world) == [LIBRARY] and len(folders(world)) == 1
    assert set(items(world, deleted=True)) == set(ways(run))


def _imported_run(world: World) -> Path:
    run = world.add_run()
    (run / "notes.txt").write_text("nobody wants it: so each file is asked for by itself\n")
    moved = world.fake.import_folder / run.name
    run.rename(moved)
    return moved


@pytest.mark.parametrize("kind", ["lose_answer", "late"])
async def test_a_lost_answer_doubles_no_copy(world: World, kind: str) -> None:
    """A copy in the history is found again by looking."""
    into_library(world, "link", rule={"workflow": world.workflow})
    path = "/api/histories/*/contents"
    fault = world.fake.faults.add(Fault(kind, method="POST", path=path, seconds=0.8, skip=1))
    run = world.add_run()
    await taken(world)
    assert fault.used_up
    copies = [row["name"] for row in world.fake.datasets() if row["name"] in world.fastqs(run)]
    assert sorted(copies) == sorted(world.fastqs(run))


async def test_half_of_an_import_is_found_and_the_rest_is_made(world: World) -> None:
    """Galaxy was cut in the middle: what it made is kept, and only what is missing is asked for again."""
    into_library(world, "link")
    run = world.add_run()
    gone = world.fake.state.shelf

    def forget_half() -> None:
        for number in list(gone.items)[:2]:
            del gone.items[number]

    world.fake.faults.add(Fault("lose_answer", method="POST", path="/api/libraries/*/contents"))
    world.fake.faults.add(Fault("act", method="GET", path="/api/folders/*/contents", skip=2, action=forget_half))
    await taken(world)
    assert {way: item["path"] for way, item in items(world, deleted=True).items()} == ways(run)
    assert world.posts("/contents") == 2 and len(gone.items) == 4


async def test_it_waits_while_galaxy_still_works_on_uploads(world: World) -> None:
    """As long as an upload job of ours runs, an import without an answer is not sent again."""
    into_library(world, "link")
    world.add_run()
    world.fake.engine.job_seconds = 4.0
    fault = world.fake.faults.add(Fault("late", method="POST", path="/api/libraries/*/contents", seconds=1.0))
    await taken(world)
    assert fault.used_up and world.posts("/contents") == 1


async def test_a_broken_item_is_made_once_more(world: World) -> None:
    """An import job that fails leaves nothing behind: its items are deleted and made anew."""
    into_library(world, "link")
    run = world.add_run()
    fault = world.fake.faults.add(Fault("job_error", tool="upload1"))
    await taken(world)
    assert fault.used_up
    assert {way: item["state"] for way, item in items(world).items()} == dict.fromkeys(ways(run), "ok")


async def test_an_item_that_stays_broken_asks_a_person(world: World) -> None:
    """The second time it is held with what Galaxy says; `retry` tries it once more."""
    into_library(world, "link")
    world.add_run(samples=("S1",))
    world.fake.faults.add(Fault("job_error", tool="upload1", times=None))
    unit = await taken(world, "held")
    assert "Galaxy cannot take `S1_S1_L001_R" in unit["batches"][0]["reason"]
    world.fake.faults.clear()
    assert world.command("retry", unit["batches"][0]["id"]).code == 0
    await taken(world)
    assert {item["state"] for item in items(world).values()} == {"ok"} and len(items(world)) == 2


@pytest.mark.parametrize("transfer", ["tus", "copy"])
async def test_what_somebody_else_put_there_is_not_doubled(world: World, transfer: str) -> None:
    """A file of the same name and size that no row knows of: a person is asked before a byte is sent."""
    into_library(world, "link")
    run = world.add_run(samples=("S1",))
    await taken(world)
    world.state_file.unlink()
    into_library(world, transfer)
    world.fake.requests.clear()
    unit = await taken(world, "held")
    assert "S1_S1_L001_R1_001.fastq.gz" in unit["batches"][0]["reason"]
    assert not world.posts("resumable_upload") and not world.posts("/contents") and set(items(world)) == set(ways(run))


async def test_links_are_known_again_when_the_state_is_lost(world: World) -> None:
    """A new state finds the items that show the very files, and makes no second one."""
    into_library(world, "link")
    run = world.add_run()
    await taken(world)
    world.state_file.unlink()
    await taken(world)
    assert {way: item["path"] for way, item in items(world).items()} == ways(run)
    assert world.posts("/contents") == 1


def add_two(world: World) -> None:
    """Make two libraries of the name that is meant."""
    for _ in range(2):
        world.fake.state.shelf.add_library(LIBRARY, "", "")


async def test_two_libraries_of_one_name_ask_a_person(world: World) -> None:
    """Nobody can tell which is meant, so none is used: at the plan, and when the second one came after it."""
    into_library(world, "link")
    world.add_run()
    world.fake.faults.add(Fault("act", method="GET", path="/api/libraries", skip=1, action=lambda: add_two(world)))
    unit = await taken(world, "held")
    (batch,) = unit["batches"]
    assert batch["stage"] == "upload" and "2 libraries named" in batch["reason"] and items(world) == {}
    await world.wish("retry", unit["id"], **{"from": "plan"})
    unit = await taken(world, "held")
    assert unit["stage"] == "plan" and "2 libraries named" in unit["reason"] and items(world) == {}


async def test_a_role_that_goes_after_the_plan_holds(world: World) -> None:
    """The name that was probably meant is told, and the folder stays empty."""
    world.fake.add_role("lab of soil", world.fake.user)
    roles = world.fake.state.roles
    library = {"name": LIBRARY, "access": "lab of soil"}
    into_library(world, "link", rule={"destination": {"library": library}})

    def rename() -> None:
        roles.clear()
        world.fake.add_role("lab of soils", world.fake.user)

    world.fake.faults.add(Fault("act", method="POST", path="/api/libraries", action=rename))
    world.add_run()
    (batch,) = (await taken(world, "held"))["batches"]
    assert batch["stage"] == "upload" and "no role or user `lab of soil`" in batch["reason"]
    assert "Did you mean `lab of soils`" in batch["hint"] and items(world) == {}


async def test_bad_content_never_comes_into_the_library(world: World) -> None:
    """With `content: full` a file is read through once before Galaxy hears of it; `structure` looks at its ends."""
    into_library(world, "link")
    run = world.add_run(samples=("S1",))
    bad = run / "S1_S1_L001_R2_001.fastq.gz"
    bad.write_bytes(packed(fastq(4, read=2)[:-30] + b"\n"))
    unit = await taken(world, "held")
    assert bad.name in unit["batches"][0]["reason"] and items(world) == {}
    bad.write_bytes(packed(fastq(4, read=2)))
    await taken(world)
    assert len(items(world)) == 2


# --- later plans and versions ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("transfer", ["tus", "link"])
async def test_a_new_plan_keeps_what_is_there(world: World, transfer: str) -> None:
    """`retry --from plan` takes the items over and sends nothing again."""
    into_library(world, transfer)
    run = world.add_run()
    unit = await taken(world)
    world.fake.requests.clear()
    assert world.command("retry", unit["id"], "--from", "plan").code == 0
    unit = await taken(world)
    assert set(items(world, deleted=True)) == set(ways(run))
    assert not world.posts("resumable_upload") and not world.posts("/contents") and not world.posts("/api/tools/fetch")


@pytest.mark.parametrize(
    ("transfer", "content"), rarer([("tus", "full"), ("copy", "structure"), ("copy", "full")], keep=2)
)
async def test_a_replaced_file_is_a_new_item_beside_the_old_one(world: World, transfer: str, content: str) -> None:
    """The next version lies in the same folder; the file that is the same stays one item, the old one is tagged."""
    destination = {"library": {"name": LIBRARY, "folder": "{run}"}}
    into_library(
        world, transfer, rule={"destination": destination}, layout="folder", late="new_version", content=content
    )
    run = world.watched / "drop"
    run.mkdir()
    (run / "S1_R1.fastq.gz").write_bytes(packed(fastq(4)))
    (run / "S2_R1.fastq.gz").write_bytes(packed(fastq(5)))
    await taken(world)
    before = dict(world.fake.state.shelf.items)
    (run / "S2_R1.fastq.gz").write_bytes(packed(fastq(9)))
    os.utime(run / "S2_R1.fastq.gz", (2_000_000_000, 2_000_000_000))
    report = await world.once()
    statuses = {unit["version"]: unit["status"] for unit in report["units"]}
    assert statuses == {1: "done", 2: "done"}, report
    assert folders(world) == [f"{LIBRARY}/drop"]
    rows = world.fake.state.shelf.items
    (new,) = [row for number, row in rows.items() if number not in before]
    old = next(row for row in before.values() if row.name == new.name)
    kept = next(row for row in before.values() if row.name != new.name)
    assert new.name == "S2_R1.fastq.gz" and new.file.state == "ok" and not new.tags
    assert old.tags == ["watcher:superseded"] and "Superseded" in (old.message or "") and not old.deleted
    assert kept.tags == []


async def test_what_galaxy_takes_by_no_path_is_told_before(world: World) -> None:
    """An extension that is for uploads alone holds the run with what to do, before anything is made in Galaxy."""
    into_library(world, "link", layout="raw", content="structure")
    settings = world.config_file.read_text()
    world.config_file.write_text(f"{settings}layouts_dir: {write_raw_layout(world.folder)}\n")
    write_raw_run(world.watched / "run1", 2, 10)
    (unit,) = (await world.once())["units"]
    assert (unit["stage"], unit["status"]) == ("plan", "held")
    assert "Galaxy takes no file by its path as `data` (S0000.raw and 1 more)." in unit["reason"]
    assert "`ext:`" in unit["hint"] and libraries(world) == []


async def test_a_hold_that_is_told_late_is_waited_for(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The batch is held, and its unit sees that by itself before it is told: `once` ends when it was told as well, so
    that its report and its exit code say held.
    """
    into_library(world, "link")
    world.add_run()
    looks = 0

    async def look(daemon: Daemon, rooms: Rooms) -> bool:
        nonlocal looks
        looks += 1
        return await all_looked_at(daemon, rooms)

    async def late(store: Store, unit_id: str) -> None:
        await store.wake("unit", unit_id)

        async def is_held() -> bool:
            unit = await store.unit(unit_id)
            return unit is not None and unit.status is Status.HELD

        await until(is_held, what="a unit on hold")
        before = looks

        async def is_looked_at() -> bool:
            return looks > before + 2

        with contextlib.suppress(TimeoutError):  # it does not look any more
            await until(is_looked_at, 3, what="a look of `once`")
        await wake_finish(store, unit_id)

    all_looked_at, wake_finish = Daemon._all_looked_at, engine.wake_finish
    monkeypatch.setattr(Daemon, "_all_looked_at", look)
    monkeypatch.setattr(engine, "wake_finish", late)
    world.fake.faults.add(Fault("act", method="GET", path="/api/libraries", skip=1, action=lambda: add_two(world)))
    assert (await taken(world, "held"))["stage"] == "finish"
