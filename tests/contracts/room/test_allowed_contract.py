"""What a server tells of import folders, groups and rights before anything is put there."""

from __future__ import annotations

import secrets

import httpx
import pytest

from tests.contracts.room.conftest import GalaxyServer, as_user
from tests.contracts.room.library import folder, library
from watcher.errors import Forbidden, Refused
from watcher.galaxy import Galaxy
from watcher.galaxy.library_answers import Folder, Library

__all__ = ["folder", "library"]


async def test_administrators_are_told_of_files_by_path(galaxy: Galaxy, galaxy_server: GalaxyServer) -> None:
    """Whether paths are taken and where the import folder is, administrators alone learn; all know of their own one."""
    told = await galaxy.identify()
    assert told.is_admin and told.takes_paths and told.has_user_import_folder
    assert told.import_folder == str(galaxy_server.import_folder)
    async with as_user(galaxy_server, galaxy_server.second_key) as other:
        theirs = await other.identify()
    assert not theirs.is_admin and not theirs.takes_paths and theirs.has_user_import_folder
    assert theirs.import_folder == ""


async def test_what_lies_in_the_import_folders_is_shown(galaxy: Galaxy, galaxy_server: GalaxyServer) -> None:
    """Names and sizes right in a folder, to anybody; nothing of a folder that is not there, or leads out."""
    name = f"seen {secrets.token_hex(4)} & more"
    common, own = galaxy_server.import_folder, galaxy_server.import_folder.with_name("userimport")
    async with as_user(galaxy_server, galaxy_server.second_key) as other:
        mine = own / (await other.users.current()).email
        for root in (common, mine):
            (root / name / "inner").mkdir(parents=True)
            (root / name / "a b.fastq").write_bytes(b"12345")
        for is_own in (False, True):
            assert await other.offers.import_folder(name, own=is_own) == {"inner": None, "a b.fastq": 5}
            assert name in (await other.offers.import_folder("", own=is_own) or {})
            assert await other.offers.import_folder("not there", own=is_own) is None
        with pytest.raises((Forbidden, Refused)):
            await other.offers.import_folder("../", own=False)
    assert await galaxy.offers.import_folder(name, own=False) == {"inner": None, "a b.fastq": 5}


async def test_groups_and_their_roles(galaxy: Galaxy, galaxy_server: GalaxyServer) -> None:
    """An administrator learns which roles a group gives; an ordinary account sees no groups."""
    name = f"Group {secrets.token_hex(4)}"
    async with httpx.AsyncClient(
        base_url=galaxy_server.url, headers={"x-api-key": galaxy_server.key}, timeout=60
    ) as client:
        role = (await client.post("/api/roles", json={"name": f"{name} role", "description": "x"})).json()
        made = await client.post("/api/groups", json={"name": name, "user_ids": [], "role_ids": [role["id"]]})
        made.raise_for_status()
    assert await galaxy.offers.roles_of_group(name.lower()) == [f"{name} role"]
    assert await galaxy.offers.roles_of_group("no such group") is None
    async with as_user(galaxy_server, galaxy_server.second_key) as other:
        assert await other.offers.roles_of_group(name) is None


async def test_who_may_add_is_told_with_the_folder(
    galaxy: Galaxy, galaxy_server: GalaxyServer, library: Library, folder: Folder
) -> None:
    """An administrator always, others with the right; with it alone they may not say who manages the folder."""
    assert await galaxy.libraries.may_add(folder.id)
    async with as_user(galaxy_server, galaxy_server.second_key) as other:
        assert library.name in await other.libraries.names()
        assert not await other.libraries.may_add(folder.id)
        await galaxy.libraries.set_permissions("folder", folder.id, add=[await other.users.own_role()])
        assert await other.libraries.may_add(folder.id)
        with pytest.raises(Forbidden):
            await other.libraries.permissions("folder", folder.id)
