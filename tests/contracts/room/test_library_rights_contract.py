"""Who may see and change what in libraries, and what is written on their files."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from tests.contracts.room.conftest import GalaxyServer, as_user, ended, fastq, send, until
from tests.contracts.room.library import folder, library, settled, source
from watcher.errors import Forbidden, GalaxyBroken, NotThere, Refused
from watcher.galaxy import Galaxy
from watcher.galaxy.fetch import FetchElement
from watcher.galaxy.library_answers import Folder, Library, LibraryPermissions, Role
from watcher.model import LibraryItemId

__all__ = ["folder", "library", "source"]
UNKNOWN_ID = "0123456789abcdef"


async def link(galaxy: Galaxy, library: Library, folder: Folder, path: Path) -> LibraryItemId:
    """Link one file and wait until Galaxy has looked at it."""
    before = len(await galaxy.libraries.items(folder.id))
    (id,) = await galaxy.libraries.link_paths(library.id, folder.id, [str(path)], ext="txt")
    await settled(galaxy, folder.id, before + 1)
    return id


async def roles(galaxy: Galaxy, server: GalaxyServer, library: Library) -> tuple[Role, Role]:
    """Return the private roles of the administrator and of the second account, as Galaxy offers them."""
    async with as_user(server, server.second_key) as other:  # made when first asked for
        theirs = (await other.users.current()).email
    offered = {role.name: role for role in await galaxy.libraries.roles_offered("library", library.id)}
    return offered[(await galaxy.users.current()).email], offered[theirs]


@asynccontextmanager
async def private_default(server: GalaxyServer, user: Galaxy) -> AsyncIterator[None]:
    """Make the second account's new datasets private and put its default back afterwards."""
    path = f"{server.url}/api/users/{(await user.users.current()).id}/permissions/inputs"
    async with httpx.AsyncClient(headers={"x-api-key": server.second_key}, timeout=60) as client:
        before = {field["name"]: field["value"] for field in (await client.get(path)).json()["inputs"]}
        await user.users.make_new_datasets_private()
        try:
            yield
        finally:
            (await client.put(path, json=before)).raise_for_status()


async def test_roles_bear_the_addresses_of_their_users(
    galaxy: Galaxy, galaxy_server: GalaxyServer, library: Library, folder: Folder, source: Path
) -> None:
    """The private role of each account is offered under its e-mail address, for libraries, folders and files alike."""
    item = await link(galaxy, library, folder, source / "S1_R1.fastq.gz")
    mine, theirs = await roles(galaxy, galaxy_server, library)
    assert mine.id == await galaxy.users.own_role()
    for offered in (
        await galaxy.libraries.roles_offered("library", library.id, "rights"),
        await galaxy.libraries.roles_offered("folder", folder.id),
        await galaxy.libraries.roles_offered("item", item),
    ):
        assert {mine, theirs} <= set(offered)
        assert {mine.type, theirs.type} == {"private"}


async def test_new_things_are_open(galaxy: Galaxy, library: Library, folder: Folder, source: Path) -> None:
    """Without anything set a library is open to all, and its things have no roles."""
    item = await link(galaxy, library, folder, source / "S1_R1.fastq.gz")
    assert await galaxy.libraries.permissions("library", library.id) == LibraryPermissions()
    assert await galaxy.libraries.permissions("folder", folder.id) == LibraryPermissions()
    assert (await galaxy.libraries.permissions("item", item)).access == ()


async def test_closed_library_is_hidden(
    galaxy: Galaxy, galaxy_server: GalaxyServer, library: Library, folder: Folder, source: Path
) -> None:
    """A library with an access role is not there for others: neither itself, nor its folders, nor its files."""
    item = await link(galaxy, library, folder, source / "S1_R1.fastq.gz")
    mine, _ = await roles(galaxy, galaxy_server, library)
    now = await galaxy.libraries.set_permissions("library", library.id, access=[mine.id])
    assert now == await galaxy.libraries.permissions("library", library.id) == LibraryPermissions(access=(mine.id,))
    async with as_user(galaxy_server, galaxy_server.second_key) as other:
        assert await other.libraries.find(library.name) == []
        with pytest.raises(NotThere):
            await other.libraries.items(folder.id)
        with pytest.raises(NotThere):
            await other.libraries.item(item)


async def test_role_that_is_not_offered_is_not_given(
    galaxy: Galaxy, galaxy_server: GalaxyServer, library: Library, folder: Folder
) -> None:
    """An ordinary account is offered its own roles and may give no others."""
    mine, theirs = await roles(galaxy, galaxy_server, library)
    await galaxy.libraries.set_permissions("folder", folder.id, manage=[theirs.id])
    async with as_user(galaxy_server, galaxy_server.second_key) as other:
        offered = await other.libraries.roles_offered("folder", folder.id)
        assert theirs in offered
        assert mine not in offered
        with pytest.raises(NotThere):
            await other.libraries.set_permissions("folder", folder.id, add=[mine.id, theirs.id])
        now = await other.libraries.set_permissions("folder", folder.id, add=[theirs.id])
    assert (now.add, now.manage) == ((theirs.id,), (theirs.id,))


async def test_closed_file_is_hidden(
    galaxy: Galaxy, galaxy_server: GalaxyServer, library: Library, folder: Folder, source: Path
) -> None:
    """A file with an access role is not there for others, while files beside it are."""
    item = await link(galaxy, library, folder, source / "S1_R1.fastq.gz")
    beside = await link(galaxy, library, folder, source / "notes & <more>.txt")
    mine, theirs = await roles(galaxy, galaxy_server, library)
    version = (await galaxy.libraries.item(item)).version_id
    await galaxy.libraries.set_permissions("item", item, access=[mine.id])
    async with as_user(galaxy_server, galaxy_server.second_key) as other:
        assert [one.id for one in await other.libraries.items(folder.id)] == [beside]
        with pytest.raises(Forbidden):
            await other.libraries.version(version)
        with pytest.raises(NotThere):
            await other.libraries.item(item)
        with pytest.raises(NotThere):
            copy = await other.histories.create("copies")
            await other.libraries.copy_to_history(copy, item)
    await galaxy.libraries.set_permissions("item", item, access=[theirs.id])
    async with as_user(galaxy_server, galaxy_server.second_key) as other:
        assert (await other.libraries.item(item)).name == "S1_R1.fastq.gz"


async def test_rights_not_named_are_kept(
    galaxy: Galaxy, galaxy_server: GalaxyServer, library: Library, folder: Folder
) -> None:
    """Setting one right leaves the others, and a folder made afterwards inherits them all."""
    mine, theirs = await roles(galaxy, galaxy_server, library)
    both = tuple(sorted([mine.id, theirs.id]))
    await galaxy.libraries.set_permissions("folder", folder.id, add=both)
    await galaxy.libraries.set_permissions("folder", folder.id, modify=[mine.id])
    wanted = LibraryPermissions(modify=(mine.id,), add=both)
    assert await galaxy.libraries.permissions("folder", folder.id) == wanted
    inner = await galaxy.libraries.create_folder(folder.id, "inner")
    assert await galaxy.libraries.permissions("folder", inner.id) == wanted
    async with as_user(galaxy_server, galaxy_server.second_key) as other:
        await other.libraries.create_folder(folder.id, "theirs")
        with pytest.raises(Forbidden):
            await other.libraries.permissions("folder", folder.id)


async def test_rights_that_a_kind_has_not_are_our_mistake(galaxy: Galaxy, folder: Folder) -> None:
    """A folder has no access of its own, so asking for it is a mistake of the program."""
    with pytest.raises(ValueError, match="access"):
        await galaxy.libraries.set_permissions("folder", folder.id, access=[])


async def test_unknown_role_is_refused(galaxy: Galaxy, library: Library) -> None:
    """A role that does not exist is an error, and nothing is changed."""
    with pytest.raises(Refused):
        await galaxy.libraries.set_permissions("library", library.id, access=[UNKNOWN_ID])
    assert await galaxy.libraries.permissions("library", library.id) == LibraryPermissions()


async def test_file_is_described(galaxy: Galaxy, library: Library, folder: Folder, source: Path) -> None:
    """Tags and a message are set in place of what was there, and shown by the listing and by the file itself."""
    item = await link(galaxy, library, folder, source / "S1_R1.fastq.gz")
    await galaxy.libraries.tag_item(item, ["first"])
    await galaxy.libraries.tag_item(item, ["watcher:abc:001", "name:S1"])
    await galaxy.libraries.describe_item(item, message="replaced by one & another")
    (listed,) = await galaxy.libraries.items(folder.id)
    facts = await galaxy.libraries.item(item)
    assert set(listed.tags) == set(facts.tags) == {"watcher:abc:001", "name:S1"}
    assert listed.message == facts.message == "replaced by one &amp; another"
    await galaxy.libraries.describe_item(item, name="other name.gz", tags=[])
    (listed,) = await galaxy.libraries.items(folder.id, name="other name.gz")
    assert (listed.name, listed.tags) == ("other name.gz", ())


async def test_others_describe_nothing(
    galaxy: Galaxy, galaxy_server: GalaxyServer, library: Library, folder: Folder, source: Path
) -> None:
    """An account without the right reads an open file and changes nothing on it."""
    item = await link(galaxy, library, folder, source / "S1_R1.fastq.gz")
    async with as_user(galaxy_server, galaxy_server.second_key) as other:
        assert (await other.libraries.item(item)).name == "S1_R1.fastq.gz"
        with pytest.raises(Forbidden):
            await other.libraries.tag_item(item, ["theirs"])
        with pytest.raises(Forbidden):
            await other.libraries.permissions("item", item)


async def test_private_dataset_is_a_private_file(
    galaxy: Galaxy, galaxy_server: GalaxyServer, library: Library, folder: Folder
) -> None:
    """A private dataset put into an open folder is seen by its owner alone until it is opened, is there at once with
    its bytes, and outlives its history.
    """
    content = fastq("S1", 7)
    history = await galaxy.histories.create("goes away")
    session = await send(galaxy, content, "x")
    name = "a & <b>.fastq.gz"
    receipt = await galaxy.fetch.register(history, [FetchElement(name, "fastqsanger.gz", session, ("w:1",))])
    await until(lambda: ended(galaxy, history))
    (dataset,) = receipt.dataset_ids
    await galaxy.datasets.make_private(dataset)
    item = await galaxy.libraries.copy_from_history(folder.id, dataset, message="made")
    (listed,) = await galaxy.libraries.items(folder.id)
    assert (listed.id, listed.name, listed.state, listed.size) == (item, name, "ok", len(content))
    assert (listed.tags, listed.message, listed.is_private) == ((), "made", True)
    async with as_user(galaxy_server, galaxy_server.second_key) as other:
        assert await other.libraries.items(folder.id) == []
        with pytest.raises(Forbidden):
            async with other.datasets.open(listed.version_id, in_library=True):
                raise AssertionError("another user reads a private file")
        with pytest.raises(Forbidden):
            await other.libraries.copy_from_history(folder.id, dataset)
    await galaxy.libraries.set_permissions("item", item, access=[])
    async with as_user(galaxy_server, galaxy_server.second_key) as other:
        assert [one.id for one in await other.libraries.items(folder.id)] == [item]
    await galaxy.histories.delete(history, purge=True)
    if (await galaxy.features()).shows_library_files:
        async with galaxy.datasets.open(listed.version_id, offset=3, in_library=True) as pieces:
            assert b"".join([piece async for piece in pieces]) == content[3:]
        assert await galaxy.datasets.part(listed.version_id, 2, 4, in_library=True) == content[2:6]
    else:
        with pytest.raises(GalaxyBroken):
            async with galaxy.datasets.open(listed.version_id, in_library=True):
                raise AssertionError("that came with a later version")
    async with galaxy.libraries.open(item) as pieces:
        assert b"".join([piece async for piece in pieces]) == content


async def test_upload_into_a_folder_is_open_whatever_the_default(galaxy_server: GalaxyServer, folder: Folder) -> None:
    """An account's default of private datasets holds for histories, not for what it uploads into a folder, which
    everybody reads and which it may not even describe; Galaxy asks for no right to add it.
    """
    async with (
        as_user(galaxy_server, galaxy_server.second_key) as user,
        as_user(galaxy_server) as admin,
        private_default(galaxy_server, user),
    ):
        history = await user.histories.create("carries the job")
        session = await send(user, b"some bytes", "x")
        await user.libraries.register(history, folder.id, [FetchElement("x.txt", "txt", session)])
        (item,) = await settled(user, folder.id, 1)
        assert item.is_unrestricted
        assert (await admin.libraries.permissions("item", item.id)).access == ()
        with pytest.raises(Forbidden):
            await user.libraries.tag_item(item.id, ["mine"])
        await user.histories.delete(history, purge=True)
