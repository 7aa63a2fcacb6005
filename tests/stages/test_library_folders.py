"""Runs with folders in them that go into a library: kept where asked for, by each way in, with as few requests as can
be and nothing doubled.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.galaxy import Fault
from tests.rarer import rarer
from tests.stages.shelves import LIBRARY, RAW_EXT, folders, into_library, items, write_deep_layout, write_deep_run
from tests.world import World

pytestmark = pytest.mark.timeout(180)

Json = dict[str, Any]
KEPT: Json = {"destination": {"library": {"name": LIBRARY, "keep_folders": True}}, "ext": RAW_EXT}
FLAT: Json = {"destination": {"library": {"name": LIBRARY}}, "ext": RAW_EXT}
DEEP = ("top.raw", "A/x.raw", "A/y.raw", "B/x.raw", "B/C/z.raw")
"""Two files of one name, and a folder with a folder in it."""

TREE, DIRECTORY = "/api/libraries/datasets", "/contents"


@pytest.fixture(params=[True])
def world(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[World]:
    """Return a world whose account may make libraries, or one that has a library in which it may make folders."""
    with World(tmp_path, admin=request.param) as made:
        if not request.param:
            library = made.fake.state.shelf.add_library(LIBRARY, "", "")
            rights = made.fake.state.shelf.folders[library.root].rights
            rights |= {right: (made.fake.user.role,) for right in ("add", "modify", "manage")}
        yield made


def place_of(world: World, transfer: str) -> Path:
    """Return a folder to watch for this way in."""
    imports = world.fake.import_folder
    if transfer == "import_dir":
        return imports / "runs"
    own = imports.with_name("userimport") / world.fake.user.email
    return own / "runs" if transfer == "user_import_dir" else world.watched


def prepare(world: World, transfer: str, rule: Json, files: tuple[str, ...] = DEEP, **limits: Any) -> Path:
    """Write a run of these files where this way in finds them, and the configuration; return the run."""
    place = place_of(world, transfer)
    into_library(world, transfer, rule=rule, limits={"uncertain_for": "2s", **limits}, path=str(place), layout="deep")
    world.config_file.write_text(world.config_file.read_text() + f"layouts_dir: {write_deep_layout(world.folder)}\n")
    return write_deep_run(place / "R1", files)


async def taken(world: World, status: str = "done") -> Json:
    """Take all there is, and return the only unit."""
    (unit,) = (await world.once())["units"]
    assert unit["status"] == status, unit
    return dict(unit)


def kept(run: Path) -> dict[str, Path]:
    """Return where each file has to be in the library, and where it lies."""
    return {f"{LIBRARY}/R1/{path.relative_to(run)}": path for path in run.rglob("*.raw")}


WAYS = ["tus", "link", "copy", "import_dir", "user_import_dir"]


@pytest.mark.parametrize("transfer", WAYS)
async def test_folders_are_kept(world: World, transfer: str) -> None:
    """Each file is there once under its own name, in the folder it has in the run, whichever way it came."""
    run = prepare(world, transfer, KEPT)
    await taken(world)
    there = items(world)
    assert set(there) == set(kept(run))
    assert all(item["state"] == "ok" and item["private"] for item in there.values())
    assert {way: item["size"] for way, item in there.items()} == {
        way: path.stat().st_size for way, path in kept(run).items()
    }
    if transfer not in ("tus", "copy"):
        assert {way: item["path"] for way, item in there.items()} == kept(run)
    assert folders(world) == [f"{LIBRARY}/R1{below}" for below in ("", "/A", "/B", "/B/C")]


@pytest.mark.parametrize("transfer", ["import_dir", "user_import_dir"])
async def test_a_tree_of_wanted_files_is_one_request(world: World, transfer: str) -> None:
    """The folders are ours, made before, so that Galaxy finds them; what is in them comes with one import."""
    prepare(world, transfer, KEPT)
    await taken(world)
    assert (world.posts(TREE), world.posts(DIRECTORY)) == (1, 0)
    made = world.fake.state.shelf.folders.values()
    assert not [row.name for row in made if "Automatically" in row.description]


async def test_a_tree_with_something_else_in_it_is_cut_up(world: World) -> None:
    """A folder with a file that nobody wants is asked for file by file; those beside it as a whole."""
    run = prepare(world, "import_dir", KEPT)
    (run / "B" / "notes.txt").write_text("not wanted\n")
    await taken(world)
    assert set(items(world)) == set(kept(run))
    assert (world.posts(TREE), world.posts(DIRECTORY)) == (3, 1)  # top, B/x and B/C/z; A as a whole


async def test_no_tree_of_more_files_than_the_limit(world: World) -> None:
    """`limits.library_files` bounds a tree; its folders then come one by one."""
    run = prepare(world, "import_dir", KEPT, library_files=4)
    await taken(world)
    assert set(items(world)) == set(kept(run))
    assert (world.posts(TREE), world.posts(DIRECTORY)) == (2, 1)  # top and A; what is below B is a tree of its own


async def test_files_of_one_name_get_their_folders_anyway(world: World) -> None:
    """Without the option only they do; one that lies right in the run stays right in the folder."""
    run = prepare(world, "link", FLAT, ("x.raw", "A/x.raw", "A/y.raw"))
    await taken(world)
    assert {way.removeprefix(f"{LIBRARY}/R1/") for way in items(world)} == {"x.raw", "A/x.raw", "y.raw"}
    assert folders(world) == [f"{LIBRARY}/R1", f"{LIBRARY}/R1/A"]
    assert run.is_dir()


NAMED = [("import_dir", True, "upload_directory"), ("user_import_dir", False, "upload_directory")]
OTHERWISE = [("user_import_dir", True, "userdir_folder")]


@pytest.mark.parametrize(("transfer", "world", "way"), [*NAMED, *OTHERWISE], indirect=["world"])
async def test_a_whole_folder_by_the_way_that_reads_it(world: World, transfer: str, way: str) -> None:
    """Where Galaxy reads the same folder for this account, its items are named in the answer: no job is asked about."""
    run = prepare(world, transfer, FLAT, ("A/x.raw", "A/y.raw"))
    await taken(world)
    assert sorted(item["path"] for item in items(world).values()) == sorted(run.rglob("*.raw"))
    assert len(items(world)) == 2
    is_named = way == "upload_directory"
    assert (world.posts(TREE), world.posts(DIRECTORY)) == ((0, 1) if is_named else (1, 0))
    assert bool(world.fake.requests.all("GET", "/api/jobs/")) is not is_named


async def test_folders_below_are_no_hindrance(world: World) -> None:
    """The way that names items leaves out what lies below, so that only files have to be wanted."""
    run = prepare(world, "import_dir", FLAT, ("A/x.raw", "A/y.raw"))
    (run / "A" / "logs").mkdir()
    (run / "A" / "logs" / "log.txt").write_text("not wanted\n")
    await taken(world)
    assert set(items(world)) == {f"{LIBRARY}/R1/x.raw", f"{LIBRARY}/R1/y.raw"}
    assert (world.posts(TREE), world.posts(DIRECTORY)) == (0, 1)


async def test_links_go_by_the_way_that_keeps_their_names(world: World) -> None:
    """A link to another file is an item under its own name."""
    run = prepare(world, "import_dir", FLAT, ("A/x.raw",))
    (run / "A" / "y.raw").symlink_to("x.raw")
    await taken(world)
    assert set(items(world)) == {f"{LIBRARY}/R1/x.raw", f"{LIBRARY}/R1/y.raw"}
    assert (world.posts(TREE), world.posts(DIRECTORY)) == (1, 0)


async def test_what_came_between_two_looks_doubles_nothing(world: World) -> None:
    """Galaxy took a file as well that nobody asked for: ours are found by their names, and none is asked for again."""
    run = prepare(world, "import_dir", FLAT, ("A/x.raw", "A/y.raw"))
    late = run / "A" / "late.txt"
    world.fake.faults.add(
        Fault("act", method="POST", path="/api/libraries/*/contents", action=lambda: late.write_text("late\n"))
    )
    await taken(world)
    assert set(items(world)) == {f"{LIBRARY}/R1/{name}" for name in ("x.raw", "y.raw", "late.txt")}
    assert world.posts(DIRECTORY) == 1


async def test_what_went_between_two_looks_is_asked_for_again(world: World) -> None:
    """Galaxy took one file less than was asked for: that one is asked for once more, by itself, and no other."""
    run = prepare(world, "import_dir", FLAT, ("A/x.raw", "A/y.raw"))
    here, away = run / "A" / "y.raw", run.parent.parent / "y.raw"
    faults = world.fake.faults
    faults.add(Fault("act", method="POST", path="/api/libraries/*/contents", action=lambda: here.rename(away)))
    faults.add(Fault("act", method="GET", path="/api/folders/*/contents", skip=3, action=lambda: away.rename(here)))
    await taken(world)
    assert Counter(item["path"] for item in items(world, deleted=True).values()) == Counter(run.rglob("*.raw"))
    assert (world.posts(TREE), world.posts(DIRECTORY)) == (1, 1)


LOST = [
    (KEPT, "/api/libraries/datasets"),
    (KEPT, "/api/folders/*"),
    (FLAT, "/api/libraries/*/contents"),
]


@pytest.mark.parametrize("kind", rarer(["late", "lose_answer", "reset"], keep=2))
@pytest.mark.parametrize(("rule", "path"), LOST, ids=["tree", "folder", "directory"])
async def test_a_lost_answer_doubles_nothing(world: World, kind: str, rule: Json, path: str) -> None:
    """Whether Galaxy did it, does it later or never: folders and items are there once."""
    files = DEEP if rule is KEPT else ("A/x.raw", "A/y.raw")
    run = prepare(world, "import_dir", rule, files)
    fault = world.fake.faults.add(Fault(kind, method="POST", path=path, seconds=0.8))
    await taken(world)
    assert fault.used_up
    paths = [item["path"] for item in items(world, deleted=True).values()]
    assert Counter(paths) == Counter(run.rglob("*.raw"))
    assert len(folders(world)) == len(set(folders(world)))


async def test_a_folder_that_galaxy_does_not_see_asks_a_person(world: World) -> None:
    """Where it shows none of its import folder it says so when asked, certain that nothing was made; `retry` goes on
    when the folder is the right one.
    """
    prepare(world, "import_dir", FLAT, ("A/x.raw", "A/y.raw"))
    world.fake.faults.add(Fault("status", method="GET", path="/api/remote_files", status=403, times=None))
    right = world.fake.state.import_folder
    world.fake.state.import_folder = world.folder
    unit = await taken(world, "held")
    assert "does not see the folder `runs/R1/A`" in unit["batches"][0]["reason"]
    assert items(world) == {} and world.posts(DIRECTORY) == 1
    world.fake.state.import_folder = right
    assert world.command("retry", unit["batches"][0]["id"]).code == 0
    await taken(world)
    assert len(items(world)) == 2


async def test_a_folder_that_galaxy_does_not_show_holds_the_plan(world: World) -> None:
    """Where it shows its import folder nothing is asked of it before the folder is the right one."""
    prepare(world, "import_dir", FLAT, ("A/x.raw", "A/y.raw"))
    right = world.fake.state.import_folder
    world.fake.state.import_folder = world.folder
    unit = await taken(world, "held")
    assert unit["stage"] == "plan" and "does not see a folder `runs/R1/A` in its import folder" in unit["reason"]
    assert not world.posts("/api/libraries")
    world.fake.state.import_folder = right
    assert world.command("retry", unit["id"]).code == 0
    await taken(world)
    assert len(items(world)) == 2


async def test_a_new_plan_keeps_what_was_sent_under_one_name(world: World) -> None:
    """Files of one name in several folders are told apart by where they lie, also by the next plan."""
    run = prepare(world, "tus", KEPT, ("A/x.raw", "B/x.raw", "B/y.raw"))
    world.fake.faults.add(Fault("status", method="POST", path="/api/folders/*/contents", status=403, times=None))
    unit = await taken(world, "held")
    world.fake.faults.clear()
    assert world.command("retry", unit["id"], "--from", "plan").code == 0
    unit = await taken(world)
    assert [batch["id"] for batch in unit["batches"]] == [f"{unit['id']}-1", f"{unit['id']}-1r2"]
    assert set(items(world, deleted=True)) == set(kept(run))
    assert len(world.fake.datasets()) == 3  # none was sent again
