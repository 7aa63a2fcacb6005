"""Results that go into a library: each an item of the batch's folder once, under its own name, for nobody else."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import Any

import pytest

from tests.fakes.galaxy import Fault
from tests.fakes.galaxy.ids import encode
from tests.rarer import rarer
from tests.stages.shelves import folders, items, libraries, world
from tests.world import RUN, World
from watcher.model import DatasetId
from watcher.results import ResultFile
from watcher.stages.into_library import laid_out

__all__ = ["world"]

pytestmark = pytest.mark.timeout(180)

Json = dict[str, Any]
SHELF = "Results"
PLACE = f"{SHELF}/{RUN}"
NAMES = {f"{PLACE}/{label}/S1/{read}.tabular" for label in ("copy", "read counts") for read in ("forward", "reverse")}
"""Two outputs of each of the two files of a sample."""


def into(world: World, *more: Json, rule: Json | None = None, **library: Any) -> None:
    """Deliver everything into a library, and then to further places; write the run of one sample."""
    deliver = [{"library": {"name": SHELF, "folder": "{run}", **library}}, *more]
    world.write_config(rule={"deliver": deliver, **(rule or {})})
    world.add_run(samples=("S1",))


async def only_batch(world: World, *, status: str = "done") -> Json:
    """Take all there is, and return the only batch."""
    (unit,) = (await world.once())["units"]
    assert unit["status"] == status, unit
    return dict(unit["batches"][0])


def standing(world: World) -> dict[str, Json]:
    """Return the items by their way, of which each is there once."""
    return items(world, deleted=True)


async def test_each_result_is_an_item(world: World) -> None:
    """Labels and samples are folders; an item has the bytes of its result, is for nobody else and tells whose it is."""
    into(world, {"folder": f"{world.results}/{{run}}"})
    world.results.mkdir(exist_ok=True)
    batch = await only_batch(world)
    assert [row["target"] for row in batch["deliveries"]] == [f"library {PLACE}", f"{world.results}/{RUN}"]
    assert batch["deliveries"][0]["reason"] == "4 items, checked by size"
    there = standing(world)
    assert set(there) == NAMES
    assert libraries(world) == [SHELF]
    assert len(set(folders(world))) == len(folders(world))
    assert all(item["private"] and item["state"] == "ok" for item in there.values())
    assert all(item["message"].startswith(f"watcher:{batch['id']} ") for item in there.values())
    async with world.store() as store:
        rows = await store.delivered_files(batch["id"], "1")
    assert {f"{PLACE}/{row.path}" for row in rows} == NAMES
    assert {(row.status, row.checked, row.sha256) for row in rows} == {("done", "size", "")}
    in_folder = {path.relative_to(world.results).as_posix() for path in world.results.rglob("*.tabular")}
    assert {way.removeprefix(f"{SHELF}/") for way in there} == in_folder
    (told,) = [text for text in await world.journal("delivery.made") if "library" in text]
    assert told == f"Results of batch {batch['id']} are in library {PLACE}: 4 items, checked by size."


async def test_what_servers_hash_is_told_by_its_hash(world: World) -> None:
    """An item shares the bytes of its result, so where Galaxy lists a SHA-256 of that it is the item's as well."""
    world.fake.engine.hashes_outputs = True
    into(world)
    batch = await only_batch(world)
    assert batch["deliveries"][0]["reason"] == "4 items, checked by SHA-256"
    async with world.store() as store:
        rows = await store.delivered_files(batch["id"])
    assert {f"{PLACE}/{row.path}": row.sha256 for row in rows} == {
        way: item["sha256"] for way, item in standing(world).items()
    }


async def test_who_may_see_and_change_them_is_as_the_rule_says(world: World) -> None:
    """Roles that are named read the items, and those that manage them may add to the folder."""
    lab = world.fake.add_role("lab", world.fake.user, world.fake.second_user)
    into(world, access="lab", manage="lab")
    await only_batch(world)
    there = standing(world)
    assert {tuple(map(encode, item["access"])) for item in there.values()} == {(lab,)}
    assert all(lab in map(encode, item["rights"]["manage"]) for item in there.values())


async def test_readers_of_the_history_read_the_items(world: World) -> None:
    """What the rule shares is not closed again by the library: both have one list of readers."""
    lab = world.fake.add_role("lab", world.fake.user, world.fake.second_user)
    into(world, rule={"destination": {"share": {"roles": ["lab"]}}})
    await only_batch(world)
    assert {tuple(map(encode, item["access"])) for item in standing(world).values()} == {(lab,)}


async def test_a_result_that_is_open_is_closed_before_it_is_put_there(world: World) -> None:
    """A tool may make what everybody reads; the item is private from its first instant on."""
    into(world)
    seen: list[tuple[int, ...]] = []

    def open_all() -> None:
        for row in world.fake.state.datasets.values():
            row.file.access = ()

    def look() -> None:
        seen.extend(item.file.access for item in world.fake.state.shelf.items.values())

    world.fake.faults.add(Fault("act", method="POST", path="/api/folders/*", action=open_all))
    world.fake.faults.add(Fault("act", method="PATCH", path="/api/libraries/datasets/*", action=look))
    await only_batch(world)
    assert seen and () not in seen
    assert all(item["private"] for item in standing(world).values())


async def test_an_ordinary_account_names_what_it_may_only_add(world: World) -> None:
    """Who may add to a library, and change nothing there, gives the items their names all the same."""
    with World(world.folder / "ordinary") as other:
        library = other.fake.state.shelf.add_library(SHELF, "", "")
        other.fake.state.shelf.folders[library.root].rights["add"] = (other.fake.user.role,)
        into(other)
        await only_batch(other)
        assert set(standing(other)) == NAMES


async def test_without_a_library_an_ordinary_account_is_told_before_the_first_byte(world: World) -> None:
    """Only administrators make libraries: the plan asks."""
    with World(world.folder / "ordinary") as other:
        into(other)
        (unit,) = (await other.once())["units"]
        assert (unit["stage"], unit["status"]) == ("plan", "held")
        assert f"There is no library `{SHELF}`" in unit["reason"]
        assert other.fake.datasets() == []


async def test_somebody_elses_item_is_not_taken_for_ours(world: World) -> None:
    """The delivery holds and names it, nothing is put there, and the other delivery is made; then it goes on."""
    into(world, {"folder": f"{world.results}/{{run}}"})
    world.results.mkdir(exist_ok=True)
    shelf = world.fake.state.shelf
    library = shelf.add_library(SHELF, "", "")
    folder = shelf.folders[library.root]
    for name in (RUN, "read counts", "S1"):
        folder = shelf.add_folder(folder, name, "")
    theirs = world.fake.state.add_dataset(
        world.fake.state.add_history(world.fake.user, "x"), "x", ext="txt", state="ok"
    )
    row = shelf.add_item(folder, "forward.tabular", theirs.file)
    batch = await only_batch(world, status="held")
    assert [one["status"] for one in batch["deliveries"]] == ["held", "done"]
    assert f"`read counts/S1/forward.tabular` is in the library folder {PLACE} already" in batch["reason"]
    assert len(items(world)) == 1
    row.name = "theirs.tabular"
    await world.wish("retry", batch["id"])
    batch = await only_batch(world)
    assert set(standing(world)) == NAMES | {f"{PLACE}/read counts/S1/theirs.tabular"}


@pytest.mark.parametrize("kind", rarer(["lose_answer", "late", "reset"], keep=1))
@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/api/libraries"), ("POST", "/api/folders/*"), ("POST", "/api/folders/*/contents"),
     ("PATCH", "/api/libraries/datasets/*")],
)  # fmt: skip
async def test_a_lost_answer_doubles_nothing(world: World, kind: str, method: str, path: str) -> None:
    """Whether Galaxy did it, does it later or never: library, folders and items are there once."""
    into(world)
    fault = world.fake.faults.add(Fault(kind, method=method, path=path, seconds=0.8))
    await only_batch(world)
    assert fault.used_up
    assert libraries(world) == [SHELF]
    assert len(set(folders(world))) == len(folders(world)) == 5
    assert set(items(world, deleted=True)) == NAMES


async def test_an_item_that_is_not_the_result_is_not_believed(world: World) -> None:
    """What Galaxy answered is looked at: other bytes under our message hold the delivery, and are not named as ours."""
    into(world)
    shelf, state = world.fake.state.shelf, world.fake.state

    def spoil() -> None:
        item = next(iter(shelf.items.values()))
        other = state.add_dataset(state.add_history(world.fake.user, "x"), "x", ext="tabular", state="ok").file
        other.access = item.file.access
        item.file = other

    world.fake.faults.add(Fault("act", method="GET", path="/api/libraries/datasets/*", action=spoil))
    batch = await only_batch(world, status="held")
    assert batch["deliveries"][0]["status"] == "held"
    assert "is not the result: ok, 0 bytes; the result has" in batch["reason"]


def test_the_plan_shows_the_library(world: World) -> None:
    """The command says where results would go, and makes nothing."""
    into(world, access="lab")
    (unit,) = world.command("plan", str(world.watched / RUN), "--json").report["units"]
    (delivery,) = unit["batches"][0]["deliveries"]
    assert delivery["target"] == f"library {PLACE}"
    assert libraries(world) == []


def test_ways_in_a_library() -> None:
    """Labels and elements are folders and the last one is the name; indexes and files beside a result come with it,
    and no name has what Galaxy would take for HTML.
    """
    files = [
        ResultFile(DatasetId("1"), ("a & <b>", "S1"), "tabular", 1),
        ResultFile(DatasetId("2"), ("bam",), "bam", 1),
        ResultFile(DatasetId("2"), ("bam",), "bam", 1, member="metadata:bam_index", suffix="bai"),
        ResultFile(DatasetId("3"), ("report", "report"), "html", 1),
        ResultFile(DatasetId("3"), ("report", "plots", "one.svg"), "", 1, member="extra:plots/one.svg"),
        ResultFile(DatasetId("4"), ("a _ _b_", "S1"), "tabular", 1),
    ]
    found = laid_out(files)
    assert sorted(file.galaxy_id for file in found.values()) == ["1", "2", "3", "4"]
    assert {"bam.bam", "report.html"} <= set(found)
    assert all(path.startswith("a _ _b_/S1~") for path in set(found) - {"bam.bam", "report.html"})


async def test_an_answer_that_is_lost_keeps_no_other_delivery_waiting(world: World) -> None:
    """While Galaxy may still have put an item there, the folder gets its files."""
    into(world, {"folder": f"{world.results}/{{run}}"})
    world.results.mkdir(exist_ok=True)
    world.fake.faults.add(Fault("lose_answer", method="POST", path="/api/folders/*/contents"))
    await only_batch(world)
    first, second = await world.journal("delivery.made")
    assert f"are in {world.results}" in first
    assert "are in library" in second


async def test_an_item_of_ours_that_no_row_tells_of_is_found(world: World) -> None:
    """What is in the folder with the message of a result is taken for it, whatever became of our own notes."""
    into(world)
    batch = await only_batch(world)
    with contextlib.closing(sqlite3.connect(world.state_file)) as state, state:
        state.execute("DELETE FROM delivered_file")
        state.execute("UPDATE delivery SET status = 'held'")
        state.execute("UPDATE batch SET status = 'held'")
    await world.wish("retry", batch["id"])
    await only_batch(world)
    assert set(items(world, deleted=True)) == NAMES


async def test_what_is_made_anew_is_put_beside_what_it_replaces(world: World) -> None:
    """With another attempt of the workflow its results are the items, and those before them are tagged."""
    into(world)
    batch = await only_batch(world)
    await world.wish("retry", batch["id"], **{"from": "invoke"})
    batch = await only_batch(world)
    assert batch["deliveries"][0]["reason"] == "4 items, checked by size"
    there = list(world.fake.state.shelf.items.values())
    assert len(there) == 8 and not any(item.deleted for item in there)
    assert len([item for item in there if "watcher:superseded" in item.tags]) == 4
    assert len(await world.journal("item.superseded")) == 4


async def test_two_runs_have_folders_of_their_own(world: World) -> None:
    """A folder belongs to one batch: the next one whose template says the same goes beside it."""
    world.write_config(
        rule={"per": "run", "deliver": {"library": {"name": SHELF, "folder": "{sheet.Sample_ID}"}}},
    )
    for name in (RUN, f"{RUN}X"):
        world.add_run(name, samples=("S1",))
    report = await world.once()
    assert [unit["status"] for unit in report["units"]] == ["done", "done"]
    targets = {row["target"] for unit in report["units"] for row in unit["batches"][0]["deliveries"]}
    assert len(targets) == 2
    assert len(standing(world)) == 8
