"""Libraries and ways in are held against what the account may in Galaxy, before anything is put there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.fakes.galaxy import Fault
from tests.stages.shelves import LIBRARY, into_library, items, world
from tests.world import World
from watcher.clock import SystemClock
from watcher.galaxy import Account, Galaxy
from watcher.model import PlannedLibrary
from watcher.stages.allowed import Way
from watcher.stages.offered import Names, Offered, offered

__all__ = ["world"]

pytestmark = pytest.mark.timeout(180)

Json = dict[str, Any]


async def held_against(
    world: World, *, libraries: tuple[PlannedLibrary, ...] = (), ways: tuple[Way, ...] = ()
) -> Offered:
    """Ask the world's Galaxy with its account."""
    async with Galaxy(Account("galaxy", world.fake.url, lambda: world.fake.key), SystemClock()) as galaxy:
        return await offered(galaxy, Names(libraries=libraries, ways=ways))


def told(found: Offered) -> str:
    """Return all problems with their hints."""
    return "\n".join(f"{problem.message} {problem.hint}" for problem in found.problems)


def no_admin(world: World) -> None:
    """Let the account be an ordinary one."""
    world.fake.user.is_admin = False


def no_paths(world: World) -> None:
    """Take no files by their path."""
    world.fake.state.allow_path_paste = False


def no_import_folders(world: World) -> None:
    """Have no folders to import from."""
    world.fake.state.has_import_folder = world.fake.state.has_user_import_folder = False


@pytest.mark.parametrize(
    ("transfer", "change", "words"),
    [
        ("link", no_admin, "from administrators only, and watcher@example.org is none (watch w). Name an admin"),
        ("copy", no_admin, "(transfer: copy) from administrators only"),
        ("import_dir", no_admin, "(transfer: import_dir) from administrators only"),
        ("link", no_paths, "`allow_path_paste` is not set (watch w). Whoever runs Galaxy sets it to true; or use"),
        ("copy", no_paths, "`allow_path_paste` is not set"),
        ("import_dir", no_import_folders, "`library_import_dir` is not set (watch w)"),
        ("user_import_dir", no_import_folders, "`user_library_import_dir` is not set (watch w)"),
    ],
)
async def test_what_a_way_needs(world: World, transfer: str, change: Callable[[World], None], words: str) -> None:
    """An administrator's key, a setting of the server, a folder of the server: each is told before the first run."""
    (world.fake.import_folder.with_name("userimport") / world.fake.user.email).mkdir()
    way = Way(transfer, "watch w")
    assert told(await held_against(world, ways=(way,))) == ""
    change(world)
    assert words in told(await held_against(world, ways=(way, way)))
    assert len((await held_against(world, ways=(way, way))).problems) == 1


@pytest.mark.parametrize("transfer", ["import_dir", "user_import_dir"])
async def test_an_import_folder_is_the_same_on_both_sides(world: World, transfer: str) -> None:
    """Folder, names and sizes are compared with what Galaxy sees, as far as it shows it."""
    root = world.fake.import_folder
    if transfer == "user_import_dir":
        root = root.with_name("userimport") / world.fake.user.email
    (root / "runs" / "R1").mkdir(parents=True)
    (root / "runs" / "R1" / "a.bam").write_bytes(b"1234")

    async def asked(folder: str, here: dict[str, int | None]) -> str:
        return told(await held_against(world, ways=(Way(transfer, "watch w", folder, here),)))

    assert await asked("runs/R1", {"a.bam": 4}) == ""
    assert await asked("runs/R1", {"a.bam": None, "just come.bam": None}) == ""
    assert await asked(".", {"runs": None}) == ""
    assert "Galaxy does not see a folder `run/R1` in " in await asked("run/R1", {"a.bam": 4})
    assert f"Compare `{transfer}` of this Galaxy" in await asked("run/R1", {"a.bam": 4})
    assert "Galaxy does not see `b.bam`, `c.bam` in " in await asked("runs/R1", {"b.bam": 4, "c.bam": 1})
    assert "`a.bam` has 5 bytes here and 4 in " in await asked("runs/R1", {"a.bam": 5})
    if transfer == "user_import_dir":
        (root / "runs" / "R1" / "a.bam").unlink()
        (root / "runs" / "R1").rmdir()
        (root / "runs").rmdir()
        root.rmdir()
        assert "does not see the import folder of watcher@example.org" in await asked(".", {})


async def test_a_server_that_shows_no_import_folder_is_believed(world: World) -> None:
    """Where it does not list its files nothing is said against it."""
    world.fake.faults.add(Fault("status", method="GET", path="/api/remote_files", status=403, times=None))
    assert told(await held_against(world, ways=(Way("import_dir", "watch w", "nowhere"),))) == ""


async def test_what_a_library_needs(world: World) -> None:
    """Its name, the right to add to the last folder that is there, and the right to say who manages."""
    shelf, fake = world.fake.state.shelf, world.fake
    library = PlannedLibrary(name="Sequencing", folder=("R1", "S1"))
    assert (await held_against(world, libraries=(library,))).told == ["the library `Sequencing` will be made"]
    no_admin(world)
    ordinary = "There is no library `Sequencing` that watcher@example.org may see"
    found = await held_against(world, libraries=(library,))
    assert ordinary in told(found) and "An administrator of Galaxy makes it" in told(found)
    made = shelf.add_library("sequencing", "", "")
    assert "Did you mean `sequencing`?" in told(await held_against(world, libraries=(library,)))
    made.name = "Sequencing"
    root = shelf.folders[made.root]
    assert "may not add to `Sequencing` of" in told(await held_against(world, libraries=(library,)))
    root.rights = {"add": (fake.user.role,)}
    found = await held_against(world, libraries=(library,))
    assert told(found) == "" and found.told == ["the account may add to `Sequencing` of the libraries"]
    managed = library.model_copy(update={"manage": (fake.user.email,)})
    assert "may not say who manages what is made in `Sequencing`" in told(
        await held_against(world, libraries=(managed,))
    )
    inner = shelf.add_folder(root, "R1", "")
    inner.rights = {}
    assert "may not add to `Sequencing/R1` of" in told(await held_against(world, libraries=(library,)))
    inner.rights = {"add": (fake.user.role,), "manage": (fake.user.role,)}
    found = await held_against(world, libraries=(library, managed))
    assert told(found) == "" and found.told[0] == "the account may add to `Sequencing/R1` of the libraries"
    shelf.add_folder(root, "R1", "")
    assert "2 folders `Sequencing/R1`: nobody can tell" in told(await held_against(world, libraries=(library,)))
    shelf.add_library("Sequencing", "", "")
    assert "2 libraries named `Sequencing`" in told(await held_against(world, libraries=(library,)))


async def test_who_may_be_let_in(world: World) -> None:
    """Roles and users of `access` and `manage` are known and may be given; readers must not exclude each other."""
    fake = world.fake
    fake.add_role("lab of soil", fake.user)
    fake.add_role("others", fake.second_user)

    async def asked(access: tuple[str, ...], manage: tuple[str, ...] = ()) -> str:
        return told(await held_against(world, libraries=(PlannedLibrary(name="", access=access, manage=manage),)))

    assert await asked(("Lab of soil", "Bob@example.org"), ("others", "bob@example.org")) == ""
    assert "no role or user `lab of soils`. Did you mean `lab of soil`?" in await asked(("lab of soils",))
    assert "no role or user `boob@example.org`. Did you mean `bob@example.org`?" in await asked(
        (), ("boob@example.org",)
    )
    assert "Nobody could read what is open to watcher@example.org and bob@example.org" in await asked(
        ("watcher@example.org", "bob@example.org")
    )
    no_admin(world)
    assert await asked(("lab of soil",), (fake.user.email,)) == ""
    assert "watcher@example.org does not have the role `others`" in await asked(("others",))
    assert "watcher@example.org cannot let bob@example.org in" in await asked(("bob@example.org",))
    assert "Name a role that both have" in await asked((), ("bob@example.org",))


async def test_a_group_is_told_with_its_roles(world: World) -> None:
    """Galaxy gives rights to roles alone, and people know groups; for libraries and for `share` alike."""
    fake = world.fake
    number = fake.state.add_role("lab of soil", [fake.user.number]).number
    fake.state.groups += [("Soil", (number,)), ("Empty", ())]
    library = PlannedLibrary(name="", access=("soil",))
    shown = "`soil` is a group of Galaxy, and rights are given to roles. Name its roles: `lab of soil`."
    assert shown in told(await held_against(world, libraries=(library,)))
    async with Galaxy(Account("galaxy", fake.url, lambda: fake.key), SystemClock()) as galaxy:
        shared = told(await offered(galaxy, Names(roles=("Soil", "Empty"))))
        assert "`Soil` is a group" in shared and "`Empty` is a group" in shared and "gives it one" in shared
        no_admin(world)
        assert "Galaxy knows no role `Soil`" in told(await offered(galaxy, Names(roles=("Soil",))))


async def test_all_of_it_holds_the_plan_and_nothing_is_made(world: World) -> None:
    """A missing right, an unknown reader and a setting of the server are one reason; corrected, the run goes on."""
    no_paths(world)
    library = {"name": LIBRARY, "access": "boob@example.org"}
    into_library(world, "link", rule={"destination": {"library": library}})
    world.add_run()
    (unit,) = (await world.once())["units"]
    assert (unit["stage"], unit["status"], unit["batches"]) == ("plan", "held", [])
    assert "`allow_path_paste` is not set (watch miseq)" in unit["reason"]
    assert "no role or user `boob@example.org`. Did you mean `bob@example.org`?" in unit["reason"]
    assert not any(world.fake.requests.all(method) for method in ("POST", "PUT", "PATCH", "DELETE"))
    world.fake.state.allow_path_paste = True
    into_library(world, "link", rule={"destination": {"library": {**library, "access": "bob@example.org"}}})
    await world.wish("retry", unit["id"])
    (unit,) = (await world.once())["units"]
    assert unit["status"] == "done" and len(items(world)) == 4


async def test_an_ordinary_account_without_a_library_is_held_before_a_byte(world: World) -> None:
    """Bytes that could not be put anywhere are not sent."""
    no_admin(world)
    into_library(world)
    world.add_run()
    (unit,) = (await world.once())["units"]
    assert (unit["stage"], unit["status"]) == ("plan", "held")
    assert "only administrators make one" in unit["reason"] and not world.posts("resumable_upload")
