"""`check` says whether Galaxy takes a watch's files by itself, and whether a rule's library takes what comes."""

from __future__ import annotations

import os
from unittest import mock

from tests.fakes.galaxy import Fault
from tests.service.test_check_offers import told
from tests.stages.shelves import LIBRARY, into_library, world
from tests.world import World
from watcher.service.preflight import check_all

__all__ = ["world"]


async def test_files_by_path(world: World) -> None:
    """What can be known is told, and that the mapping shows with the first run only."""
    into_library(world, "link")
    findings = await check_all(world.settings())
    assert told(findings, well=False) == ""
    well = told(findings, well=True)
    assert f"watch miseq: Galaxy takes files by their path; whether it sees {world.watched} as {world.watched}" in well
    assert f"rule all: the library `{LIBRARY}` will be made." in well
    world.fake.state.allow_path_paste = False
    bad = told(await check_all(world.settings()), well=False)
    assert "watch miseq: Galaxy takes no files by their path" in bad and "transfer of watch miseq" in bad


async def test_import_folders_are_compared(world: World) -> None:
    """A watch in the import folder is looked for there; another folder of the same name shows."""
    inner = world.fake.import_folder / "runs"
    inner.mkdir()
    into_library(world, "import_dir", path=str(inner))
    well = told(await check_all(world.settings()), well=True)
    assert f"watch miseq: Galaxy sees a folder `runs` in its import folder, {inner.parent}." in well
    world.fake.faults.add(Fault("status", method="GET", path="/api/remote_files", status=403))
    assert "Galaxy does not show its import folder" in told(await check_all(world.settings()), well=True)
    ours = world.folder / "ours" / "runs"
    ours.mkdir(parents=True)
    (ours / "R1").mkdir()
    into_library(world, "import_dir", path=str(ours))
    text = world.config_file.read_text().replace(str(world.fake.import_folder), str(ours.parent))
    world.config_file.write_text(text)
    bad = told(await check_all(world.settings()), well=False)
    assert "watch miseq: Galaxy does not see `R1` in a folder `runs` in its import folder" in bad
    inner.rmdir()
    assert "Galaxy does not see a folder `runs`" in told(await check_all(world.settings()), well=False)


async def test_library_and_its_readers(world: World) -> None:
    """What a template says is known with the run; all else is held against Galaxy, each problem once."""
    root = world.fake.state.shelf.add_library("Sequencing", "", "")
    world.fake.state.shelf.add_folder(world.fake.state.shelf.folders[root.root], "MiSeq", "")
    place = {"name": LIBRARY, "folder": "MiSeq/{run}", "access": "bob@example.org", "manage": "whole labs"}
    into_library(world, "tus", rule={"destination": {"library": place}})
    bad = told(await check_all(world.settings()), well=False)
    assert bad == "rule all: Galaxy knows no role or user `whole labs`. Did you mean `whole lab`?"
    place["manage"] = "whole lab"
    into_library(world, "tus", rule={"destination": {"library": place}})
    findings = await check_all(world.settings())
    assert told(findings, well=False) == ""
    assert "rule all: Galaxy offers bob@example.org, whole lab." in told(findings, well=True)
    assert f"the account may add to `{LIBRARY}/MiSeq` of the libraries." in told(findings, well=True)
    into_library(world, "tus", rule={"destination": {"library": {**place, "name": "{project}"}}, "per": "project"})
    findings = await check_all(world.settings())
    assert told(findings, well=False) == "" and "the libraries" not in told(findings, well=True)
    assert not any(world.fake.requests.all(method) for method in ("POST", "PUT", "PATCH", "DELETE"))


async def test_a_library_for_results(world: World) -> None:
    """It is held against Galaxy as one for data is: its name, its folder and its readers."""
    shelf = world.fake.state.shelf
    shelf.add_library("Results", "", "")
    place = {"name": "Results", "folder": "{run}", "access": "whole labs"}
    world.write_config(rule={"deliver": {"library": place}})
    bad = told(await check_all(world.settings()), well=False)
    assert bad == "rule all: Galaxy knows no role or user `whole labs`. Did you mean `whole lab`?"
    del place["access"]
    world.write_config(rule={"deliver": {"library": place}})
    findings = await check_all(world.settings())
    assert told(findings, well=False) == ""
    assert "rule all: the account may add to `Results` of the libraries." in told(findings, well=True)
    world.fake.user.is_admin = False
    bad = told(await check_all(world.settings()), well=False)
    assert "may not add to `Results` of Galaxy's libraries" in bad


async def test_the_end_of_a_run_folder_is_asked_for(world: World) -> None:
    """The archive has to be there, and who moves folders has to write to the watch: both show before the date."""
    archive = world.folder / "archive"
    finish = {"source": "archive", "archive": f"{archive}/{{run}}", "after": "30d"}
    into_library(world, "tus", rule={"finish": finish})
    assert f"rule all, finish: {archive} is not there." in told(await check_all(world.settings()), well=False)
    archive.mkdir()
    findings = await check_all(world.settings())
    assert told(findings, well=False) == ""
    assert f"rule all, finish: {archive} is writable" in told(findings, well=True)
    with mock.patch.object(os, "access", lambda path, mode: path != world.watched or not mode & os.W_OK):
        bad = told(await check_all(world.settings()), well=False)
    assert bad.startswith(f"rule all, finish: {world.watched} cannot be written by this user"), bad
