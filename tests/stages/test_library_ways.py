"""Runs that go into a library, by each way in: every file is there once, checked, closed, and where the rule says."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from tests.stages.shelves import LIBRARY, folders, into_library, items, libraries, ways, world
from tests.world import World, write_bclconvert

__all__ = ["world"]

pytestmark = pytest.mark.timeout(180)

Json = dict[str, Any]


async def taken(world: World) -> Json:
    """Take all there is, and return the only batch, which is done."""
    (unit,) = (await world.once())["units"]
    assert unit["status"] == "done", unit
    (batch,) = unit["batches"]
    return dict(batch)


@pytest.mark.parametrize("content", ["full", "structure"])
async def test_linked_files_stay_where_they_are(world: World, content: str) -> None:
    """Nothing is sent and no history made; each item shows the bytes of the very file, for the account alone."""
    into_library(world, "link", content=content)
    run = world.add_run()
    batch = await taken(world)
    there = items(world)
    assert {way: item["path"] for way, item in there.items()} == ways(run)
    assert {item["state"] for item in there.values()} == {"ok"} and all(item["private"] for item in there.values())
    assert {item["ext"] for item in there.values()} == {"fastqsanger.gz"}
    assert world.fake.histories() == [] and not world.posts("resumable_upload")
    assert (batch["checked"], batch["history"], batch["history_url"]) == ("size", "", "")
    assert (batch["library"], batch["bytes_done"]) == (f"{LIBRARY}/{run.name}", batch["bytes_total"])
    assert "/libraries/folders/F" in batch["library_url"]
    (shown,) = (await world.show(batch["id"]))["batches"]
    hashes = {row["name"]: row["sha256"] for row in shown["datasets"]}
    assert hashes == (world.fastqs(run) if content == "full" else dict.fromkeys(world.fastqs(run), ""))


async def test_a_workflow_works_on_copies_of_the_items(world: World) -> None:
    """The history holds one copy of each item, the collection and the invocation; results come home."""
    into_library(world, "link", rule={"workflow": world.workflow, "deliver": {"folder": f"{world.results}/{{run}}"}})
    run = world.add_run()
    batch = await taken(world)
    assert {way: item["path"] for way, item in items(world).items()} == ways(run)
    copies = [row for row in world.fake.datasets() if row["name"] in world.fastqs(run)]
    assert sorted(row["name"] for row in copies) == sorted(world.fastqs(run)) and len(world.fake.histories()) == 1
    assert all(row["private"] for row in copies)
    assert len(world.fake.invocations()) == 1 and batch["history"]
    assert (world.results / run.name / "MANIFEST.sha256").exists()


async def test_a_collection_that_is_asked_for_is_made_without_a_workflow(world: World) -> None:
    """It needs a history and copies, which `auto` alone is no reason for."""
    into_library(world, "link", rule={"destination": {"library": {"name": LIBRARY}, "collection": "list:paired"}})
    run = world.add_run()
    await taken(world)
    (collection,) = world.fake.collections()
    assert collection["type"] == "list:paired" and len(world.fake.datasets()) == len(world.fastqs(run))


async def test_sent_files_become_items(world: World) -> None:
    """What is sent is proven by its hash in the history, and an item of the same bytes, for the account alone."""
    into_library(world)
    run = world.add_run()
    batch = await taken(world)
    there = items(world)
    assert {way: item["sha256"] for way, item in there.items()} == {
        way: hashlib.sha256(path.read_bytes()).hexdigest() for way, path in ways(run).items()
    }
    assert all(item["private"] and item["state"] == "ok" for item in there.values())
    assert (batch["checked"], world.uploads()) == ("SHA-256", world.fastqs(run))
    assert world.posts("/api/tools/fetch") == 1 and world.fake.collections() == []


async def test_sent_files_serve_a_workflow_where_they_are(world: World) -> None:
    """No second copy is made of what lies in the history already."""
    into_library(world, rule={"workflow": world.workflow})
    run = world.add_run()
    await taken(world)
    assert sorted(row["name"] for row in world.fake.datasets() if row["name"] in world.fastqs(run)) == sorted(
        world.fastqs(run)
    )
    assert set(items(world)) == set(ways(run)) and len(world.fake.invocations()) == 1


async def test_galaxy_copies_files_under_their_whole_names(world: World) -> None:
    """Galaxy's copies lose letters of their names' ends; they get them back, and have bytes of their own."""
    into_library(world, "copy")
    run = world.add_run()
    await taken(world)
    there = items(world)
    assert {way: item["sha256"] for way, item in there.items()} == {
        way: hashlib.sha256(path.read_bytes()).hexdigest() for way, path in ways(run).items()
    }
    assert not {item["path"] for item in there.values()} & set(ways(run).values())


@pytest.mark.parametrize("transfer", ["import_dir", "user_import_dir"])
@pytest.mark.parametrize("all_of_it", [True, False])
async def test_imports_take_what_was_planned_and_nothing_else(world: World, transfer: str, all_of_it: bool) -> None:
    """A folder of which everything is wanted is imported as one; else each file by itself."""
    imports = world.fake.import_folder
    root = imports if transfer == "import_dir" else imports.with_name("userimport") / world.fake.user.email
    into_library(world, transfer, path=str(root / "runs"), layout="bclconvert")
    run = write_bclconvert(root / "runs" / "R1")
    if all_of_it:
        inside = run / "reads"
        inside.mkdir()
        for path in run.glob("*.fastq.gz"):
            path.rename(inside / path.name)
    else:
        (run / "notes.txt").write_text("nobody wants it\n")
    await taken(world)
    assert {way: item["path"] for way, item in items(world).items()} == ways(run)
    assert world.posts("/api/libraries/datasets") + world.posts("/contents") == (1 if all_of_it else 4)
    assert world.fake.histories() == []


async def test_few_files_in_one_request(world: World) -> None:
    """`limits.library_files` bounds what Galaxy is asked for at once."""
    into_library(world, "link")
    settings = world.config_file.read_text().replace("uncertain_for:", "library_files: 3\n  uncertain_for:")
    world.config_file.write_text(settings)
    run = world.add_run(samples=("S1", "S2", "S3", "S4"))
    await taken(world)
    assert len(items(world)) == len(world.fastqs(run)) == 8
    assert world.posts("/contents") == 3


async def test_library_and_folders_are_found_again(world: World) -> None:
    """Two runs, two rules and a library that somebody made by hand: nothing of the same name is made twice."""
    made = world.fake.state.shelf.add_library(LIBRARY, "by hand", "")
    library = {"name": LIBRARY, "folder": "all/{run}/{project}/{id}"}
    into_library(world, "link", rule={"per": "sample", "destination": {"library": library}})
    for name in ("R1", "R2"):
        write_bclconvert(world.watched / name)
    report = await world.once()
    assert [unit["status"] for unit in report["units"]] == ["done", "done"], report
    assert libraries(world) == [LIBRARY] and made.rights == {}
    ids = sorted(batch["id"] for unit in report["units"] for batch in unit["batches"])
    assert len(ids) == 4 and len(items(world)) == 8
    assert len(folders(world)) == len(set(folders(world))) == 1 + 2 + 2 + 4, folders(world)


async def test_who_may_see_it(world: World) -> None:
    """The library is closed before anything is in it; items are for the role of the rule alone."""
    bob = world.fake.second_user
    into_library(
        world,
        "link",
        rule={"destination": {"library": {"name": LIBRARY, "access": bob.email, "manage": [bob.email]}}},
    )
    world.add_run()
    await taken(world)
    (library,) = world.fake.state.shelf.libraries.values()
    own, other = world.fake.user.number, bob.number
    assert set(library.rights["access"]) == {own, other} and other in library.rights["manage"]
    assert {item["access"] for item in items(world).values()} == {(other,)}
    assert all(other in item["rights"]["modify"] for item in items(world).values())
