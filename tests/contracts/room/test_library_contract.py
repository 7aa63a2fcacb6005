"""Libraries: found and made, filled by uploads and from the server's own paths, and copied into histories."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contracts.room.conftest import GalaxyServer, as_user, fastq, send, sha256, until
from tests.contracts.room.library import folder, library, settled, source
from watcher.errors import Forbidden, GalaxyError, NotThere, Refused
from watcher.galaxy import Galaxy
from watcher.galaxy.fetch import FetchElement
from watcher.galaxy.library_answers import Folder, Library
from watcher.model import DatasetId, FolderId, HistoryId, LibraryItemId

__all__ = ["folder", "library", "source"]
UNKNOWN_ID = "0123456789abcdef"


async def test_library_is_found_by_its_whole_name(galaxy: Galaxy, library: Library) -> None:
    """A library is found by exactly its name, with what was written on it, and by no part of it."""
    found = [one for one in await galaxy.libraries.find("contract & <tests>") if one.id == library.id]
    assert found == [library]
    assert (library.description, library.synopsis, library.deleted) == ("a description", "a synopsis", False)
    assert await galaxy.libraries.find("contract & <test") == []


async def test_a_second_library_of_the_same_name_is_another(galaxy: Galaxy, library: Library) -> None:
    """Making a library again makes another one: only looking first avoids that."""
    other = await galaxy.libraries.create(library.name)
    found = {one.id for one in await galaxy.libraries.find(library.name)}
    assert other.id != library.id
    assert {library.id, other.id} <= found
    await galaxy.libraries.delete(other.id)
    assert other.id not in {one.id for one in await galaxy.libraries.find(library.name)}


async def test_only_administrators_make_libraries(galaxy_server: GalaxyServer) -> None:
    """An ordinary account is refused a library."""
    async with as_user(galaxy_server, galaxy_server.second_key) as user:
        with pytest.raises(Forbidden, match="administrator"):
            await user.libraries.create("mine")


async def test_folders_lie_in_folders(galaxy: Galaxy, library: Library) -> None:
    """Folders are listed one level at a time, and two may have the same name."""
    root = library.root_folder_id
    first = await galaxy.libraries.create_folder(root, "a & <b>", "described")
    second = await galaxy.libraries.create_folder(root, "a & <b>")
    inner = await galaxy.libraries.create_folder(first.id, "inner")
    assert first.id.startswith("F")
    assert {one.id for one in await galaxy.libraries.folders(root)} == {first.id, second.id}
    assert {one.description for one in await galaxy.libraries.folders(root)} == {"described", ""}
    assert await galaxy.libraries.folders(first.id) == [inner]
    assert await galaxy.libraries.items(first.id) == []


async def test_ordinary_accounts_add_nothing(galaxy_server: GalaxyServer, folder: Folder) -> None:
    """An account without the right sees an open library and adds nothing to it."""
    async with as_user(galaxy_server, galaxy_server.second_key) as user:
        assert await user.libraries.folders(folder.id) == []
        with pytest.raises(Forbidden):
            await user.libraries.create_folder(folder.id, "mine")


async def test_uploads_become_items(galaxy: Galaxy, history: HistoryId, folder: Folder) -> None:
    """Uploads become items under their names with their bytes; tags are dropped, a wrong hash is an item in error and
    the job is well all the same, where hashes are verified.
    """
    content = fastq("S1", 9)
    elements = [
        FetchElement("a & <b>.fastq.gz", "fastqsanger.gz", await send(galaxy, content, "a"), ("w:1",), sha256(content)),
        FetchElement("broken.fastq.gz", "fastqsanger.gz", await send(galaxy, content, "b"), (), "0" * 64),
    ]
    job = await galaxy.libraries.register(history, folder.id, elements)
    good, broken = await settled(galaxy, folder.id, 2)

    async def has_ended() -> bool:
        return (await galaxy.jobs.detail(job)).state in ("ok", "error")

    await until(has_ended)  # the job may end a moment after its last item
    assert (await galaxy.jobs.detail(job)).state == "ok"
    assert (good.name, good.state, good.ext, good.size) == ("a & <b>.fastq.gz", "ok", "fastqsanger.gz", len(content))
    assert good.tags == ()
    if (await galaxy.features()).fetch_hashes:
        assert (broken.name, broken.state, broken.size) == ("broken.fastq.gz", "error", 0)
        assert "SHA-256" in broken.message
    else:
        assert (broken.name, broken.state, broken.size) == ("broken.fastq.gz", "ok", len(content))
    assert await galaxy.histories.contents(history) == []
    assert [one.name for one in await galaxy.libraries.items(folder.id, name="a & <b>.fastq.gz")] == [good.name]
    assert await galaxy.libraries.items(folder.id, name="a & <b>.fastq") == []
    facts = await galaxy.libraries.item(good.id)
    assert (facts.version_id, facts.folder_id, facts.size) == (good.version_id, folder.id, len(content))
    assert Path(facts.file_name).read_bytes() == content


async def test_paths_are_linked_in_order(galaxy: Galaxy, library: Library, folder: Folder, source: Path) -> None:
    """Linked files keep their place, name, size and extension, and are there as soon as Galaxy answers."""
    paths = [str(source / "notes & <more>.txt"), str(source / "S1_R1.fastq.gz")]
    made = await galaxy.libraries.link_paths(library.id, folder.id, paths, ext="txt")
    listed = {item.id: item for item in await galaxy.libraries.items(folder.id)}
    assert [listed[id].name for id in made] == ["notes & <more>.txt", "S1_R1.fastq.gz"]
    for item in await settled(galaxy, folder.id, 2):
        facts = await galaxy.libraries.item(item.id)
        assert (item.state, item.ext) == ("ok", "txt")
        assert item.size == facts.size == (source / item.name).stat().st_size
        assert facts.file_name == str(source / item.name)


async def test_linking_again_makes_it_again(galaxy: Galaxy, library: Library, folder: Folder, source: Path) -> None:
    """The same path linked twice is two items: only looking first avoids that."""
    for _ in range(2):
        await galaxy.libraries.link_paths(library.id, folder.id, [str(source / "sub dir" / "deep.txt")], ext="txt")
    assert [item.name for item in await settled(galaxy, folder.id, 2)] == ["deep.txt", "deep.txt"]


async def test_missing_path_refuses_all(galaxy: Galaxy, library: Library, folder: Folder, source: Path) -> None:
    """One path that is not there refuses the whole request, by its name, and nothing is made."""
    paths = [str(source / "S1_R1.fastq.gz"), str(source / "nosuch.txt")]
    with pytest.raises(Refused, match=r"nosuch\.txt"):
        await galaxy.libraries.link_paths(library.id, folder.id, paths, ext="txt")
    assert await galaxy.libraries.items(folder.id) == []


async def test_unknown_extension_is_refused(galaxy: Galaxy, library: Library, folder: Folder, source: Path) -> None:
    """An extension that Galaxy does not know is refused, and nothing is made."""
    with pytest.raises(Refused, match="nosuchext"):
        await galaxy.libraries.link_paths(library.id, folder.id, [str(source / "S1_R1.fastq.gz")], ext="nosuchext")
    assert await galaxy.libraries.items(folder.id) == []


async def test_extension_that_no_form_offers_fails(
    galaxy: Galaxy, library: Library, folder: Folder, source: Path
) -> None:
    """An extension that Galaxy knows but offers for no upload is taken, and ends as an item in error."""
    await galaxy.libraries.link_paths(library.id, folder.id, [str(source / "S1_R1.fastq.gz")], ext="data")
    (item,) = await settled(galaxy, folder.id, 1)
    assert item.state == "error"
    assert "'data'" in item.message


async def test_copies_have_the_same_bytes(galaxy: Galaxy, library: Library, folder: Folder, source: Path) -> None:
    """Copied files have the very bytes of the originals, packed or with odd line ends, under shortened names."""
    for name, ext in (("S1_R1.fastq.gz", "fastqsanger.gz"), ("notes & <more>.txt", "txt")):
        await galaxy.libraries.link_paths(library.id, folder.id, [str(source / name)], ext=ext, copy=True)
    packed, text = await settled(galaxy, folder.id, 2)
    for item, original in ((packed, "S1_R1.fastq.gz"), (text, "notes & <more>.txt")):
        copy = Path((await galaxy.libraries.item(item.id)).file_name)
        assert copy != source / original
        assert copy.read_bytes() == (source / original).read_bytes()
    assert (packed.name, text.name) == ("S1_R1.fastq", "notes & <more>.txt")


async def test_only_administrators_name_paths(
    galaxy_server: GalaxyServer, library: Library, folder: Folder, source: Path
) -> None:
    """An ordinary account is refused paths of the server, whichever way it names them."""
    path = str(source / "S1_R1.fastq.gz")
    async with as_user(galaxy_server, galaxy_server.second_key) as user:
        with pytest.raises(Forbidden):
            await user.libraries.link_paths(library.id, folder.id, [path], ext="txt")
        with pytest.raises(Forbidden, match="admins"):
            await user.libraries.import_path(folder.id, "admin_path", path, ext="txt", link=True)
        with pytest.raises(Forbidden, match="admins"):
            await user.libraries.import_path(folder.id, "importdir_file", "x", ext="txt", link=True)


async def test_folder_is_imported_with_its_folders(galaxy: Galaxy, folder: Folder, source: Path) -> None:
    """A path of the server is imported with all below it, in folders of the same names."""
    await galaxy.libraries.import_path(folder.id, "admin_path", str(source), ext="txt", link=True, preserve_dirs=True)
    assert [item.name for item in await settled(galaxy, folder.id, 2)] == ["S1_R1.fastq.gz", "notes & <more>.txt"]
    (below,) = await galaxy.libraries.folders(folder.id)
    assert below.name == "sub dir"
    (deep,) = await settled(galaxy, below.id, 1)
    assert (await galaxy.libraries.item(deep.id)).file_name == str(source / "sub dir" / "deep.txt")


async def test_item_becomes_a_dataset(
    galaxy: Galaxy, history: HistoryId, library: Library, folder: Folder, source: Path
) -> None:
    """An item copied into a history is a dataset of the same bytes, and another one each time."""
    path = source / "S1_R1.fastq.gz"
    (id,) = await galaxy.libraries.link_paths(library.id, folder.id, [str(path)], ext="fastqsanger.gz")
    await settled(galaxy, folder.id, 1)
    first, second = [await galaxy.libraries.copy_to_history(history, id) for _ in range(2)]
    assert first != second
    facts = await galaxy.datasets.get(first)
    assert (facts.state, facts.ext, facts.size) == ("ok", "fastqsanger.gz", path.stat().st_size)
    async with galaxy.datasets.open(first) as pieces:
        assert b"".join([piece async for piece in pieces]) == path.read_bytes()


async def test_path_that_is_not_there_makes_nothing(galaxy: Galaxy, folder: Folder, source: Path) -> None:
    """A path that the server does not see is taken without a word, and nothing is made of it."""
    job = await galaxy.libraries.import_path(folder.id, "admin_path", str(source / "nosuch"), ext="txt", link=True)

    async def over() -> bool:
        return (await galaxy.jobs.detail(job)).state in ("ok", "error")

    await until(over)
    assert await galaxy.libraries.items(folder.id) == []


@pytest.fixture
def imports(galaxy_server: GalaxyServer) -> Iterator[Path]:
    """Return a folder of this test alone in the server's import folder: two files, and one in a folder below."""
    made = galaxy_server.import_folder / f"run-{secrets.token_hex(4)}"
    (made / "sub").mkdir(parents=True)
    (made / "one.txt").write_bytes(b"one\n")
    (made / "two.txt").write_bytes(b"two\n")
    (made / "sub" / "three.txt").write_bytes(b"three\n")
    yield made
    shutil.rmtree(made)


async def test_import_folder_is_taken_whole(galaxy: Galaxy, folder: Folder, imports: Path) -> None:
    """A folder of the import folder is linked with the folders below, which are made."""
    await galaxy.libraries.import_path(
        folder.id, "importdir_folder", imports.name, ext="txt", link=True, preserve_dirs=True
    )
    assert [item.name for item in await settled(galaxy, folder.id, 2)] == ["one.txt", "two.txt"]
    (below,) = await galaxy.libraries.folders(folder.id)
    (three,) = await settled(galaxy, below.id, 1)
    assert below.name == "sub"
    assert (await galaxy.libraries.item(three.id)).file_name == str(imports / "sub" / "three.txt")


async def test_file_of_the_import_folder_is_copied(galaxy: Galaxy, folder: Folder, imports: Path) -> None:
    """A single file of the import folder is copied when it is not to be linked, and the original stays."""
    await galaxy.libraries.import_path(folder.id, "importdir_file", f"{imports.name}/one.txt", ext="txt", link=False)
    (one,) = await settled(galaxy, folder.id, 1)
    copy = Path((await galaxy.libraries.item(one.id)).file_name)
    assert (one.name, one.state, copy.read_bytes()) == ("one.txt", "ok", b"one\n")
    assert copy != imports / "one.txt"
    assert (imports / "one.txt").read_bytes() == b"one\n"


async def test_missing_file_of_the_import_folder_is_an_item_in_error(
    galaxy: Galaxy, folder: Folder, imports: Path
) -> None:
    """A file that is not in the import folder becomes an item all the same, in error; it need not say why. On 24.1 it
    is even `ok`, without a byte.
    """
    await galaxy.libraries.import_path(folder.id, "importdir_file", f"{imports.name}/nosuch.txt", ext="txt", link=True)
    (item,) = await settled(galaxy, folder.id, 1)
    is_ok = (await galaxy.features()).version == (24, 1)
    assert (item.name, item.state, item.size) == ("nosuch.txt", "ok" if is_ok else "error", 0)


async def test_no_way_leads_out_of_the_import_folder(galaxy: Galaxy, library: Library, folder: Folder) -> None:
    """Paths that lead elsewhere are refused, and nothing is made."""
    for path in ("../elsewhere", "/etc/hostname"):
        with pytest.raises(Refused, match="invalid"):
            await galaxy.libraries.import_path(folder.id, "importdir_file", path, ext="txt", link=True)
        with pytest.raises(Refused, match="Invalid server_dir"):
            await galaxy.libraries.upload_directory(library.id, folder.id, path, ext="txt", link=True)
    assert await galaxy.libraries.items(folder.id) == []


async def test_directory_gives_only_its_own_files(
    galaxy: Galaxy, library: Library, folder: Folder, imports: Path
) -> None:
    """The older way takes the files right in a folder of the import folder, leaves out folders below, and names its
    items.
    """
    odd = (".hidden", "a & <b> é .txt", "x.fastq.gz")
    for name in odd:
        (imports / name).write_bytes(b"odd\n")
    made = await galaxy.libraries.upload_directory(library.id, folder.id, imports.name, ext="txt", link=True)
    listed = await settled(galaxy, folder.id, 5)
    assert {item.id: item.name for item in listed} == {item.id: item.name for item in made}
    assert sorted(item.name for item in made) == sorted([*odd, "one.txt", "two.txt"])
    assert {(await galaxy.libraries.item(item.id)).file_name for item in made} == {
        str(imports / item.name) for item in made
    }


async def test_directory_that_is_not_there_is_refused(
    galaxy: Galaxy, library: Library, folder: Folder, imports: Path
) -> None:
    """Of a folder that the server does not see, or that holds nothing, nothing is made, and that is certain."""
    (imports / "empty").mkdir()
    for path, said in (("no-such-folder", "does not see"), (f"{imports.name}/empty", "no valid files")):
        with pytest.raises(Refused, match=said):
            await galaxy.libraries.upload_directory(library.id, folder.id, path, ext="txt", link=True)
    assert await galaxy.libraries.items(folder.id) == []


async def test_links_are_called_like_their_files_by_the_directory_way_alone(
    galaxy: Galaxy, library: Library, folder: Folder, imports: Path
) -> None:
    """A link in an import folder is an item under its own name, or under that of its file, as it is asked for."""
    (imports / "links").mkdir()
    (imports / "links" / "other.txt").symlink_to("../one.txt")
    path = f"{imports.name}/links"
    (made,) = await galaxy.libraries.upload_directory(library.id, folder.id, path, ext="txt", link=True)
    assert made.name == "one.txt"
    await galaxy.libraries.import_path(folder.id, "importdir_folder", path, ext="txt", link=True)
    assert [item.name for item in await settled(galaxy, folder.id, 2)] == ["one.txt", "other.txt"]


async def test_folders_that_are_there_are_taken(galaxy: Galaxy, folder: Folder, imports: Path) -> None:
    """Folders of a tree are found by their names, so that only the items of a second import are doubled."""
    below = await galaxy.libraries.create_folder(folder.id, "sub")
    for count in (1, 2):
        await galaxy.libraries.import_path(
            folder.id, "importdir_folder", imports.name, ext="txt", link=True, preserve_dirs=True
        )
        assert [one.id for one in await galaxy.libraries.folders(folder.id)] == [below.id]
        assert [item.name for item in await settled(galaxy, below.id, count)] == ["three.txt"] * count


async def test_folders_that_galaxy_makes_have_the_rights_of_their_parent(
    galaxy: Galaxy, folder: Folder, imports: Path
) -> None:
    """Nobody gets a right to what an import makes who had none to the folder it was asked for."""
    own = [await galaxy.users.own_role()]
    await galaxy.libraries.set_permissions("folder", folder.id, add=own, manage=own, modify=own)
    path = imports.name
    await galaxy.libraries.import_path(folder.id, "importdir_folder", path, ext="txt", link=True, preserve_dirs=True)
    (below,) = await galaxy.libraries.folders(folder.id)
    assert await galaxy.libraries.permissions("folder", below.id) == await galaxy.libraries.permissions(
        "folder", folder.id
    )


async def test_accounts_import_from_their_own_folder(
    galaxy: Galaxy, galaxy_server: GalaxyServer, library: Library, folder: Folder
) -> None:
    """An ordinary account that may add takes files from the folder named after its address, and from no other."""
    async with as_user(galaxy_server, galaxy_server.second_key) as user:
        email = (await user.users.current()).email
        own = galaxy_server.import_folder.with_name("userimport") / email
        (own / "sub").mkdir(parents=True)
        try:
            (own / "sub" / "mine.txt").write_bytes(b"mine\n")
            (own / "sub" / "deep").mkdir()
            (own / "sub" / "deep" / "mine.txt").write_bytes(b"mine\n")
            with pytest.raises(Forbidden):
                await user.libraries.import_path(folder.id, "userdir_folder", "sub", ext="txt", link=True)
            role = next(one for one in await galaxy.libraries.roles_offered("folder", folder.id) if one.name == email)
            await galaxy.libraries.set_permissions("folder", folder.id, add=[role.id])
            await user.libraries.import_path(
                folder.id, "userdir_folder", "sub", ext="txt", link=True, preserve_dirs=True
            )
            await user.libraries.import_path(folder.id, "userdir_file", "sub/mine.txt", ext="txt", link=True)
            (made,) = await user.libraries.upload_directory(library.id, folder.id, "sub", ext="txt", link=True)
            assert made.name == "mine.txt"
            assert [item.name for item in await settled(user, folder.id, 3)] == ["mine.txt"] * 3
            (below,) = await user.libraries.folders(folder.id)
            assert (below.name, len(await settled(user, below.id, 1))) == ("deep", 1)
            with pytest.raises(Refused, match="does not exist"):
                await user.libraries.import_path(folder.id, "userdir_file", "nosuch.txt", ext="txt", link=True)
        finally:
            shutil.rmtree(own)


@pytest.mark.parametrize("id", [UNKNOWN_ID, "not-an-id"])
async def test_what_is_not_there_is_an_error_of_ours(galaxy: Galaxy, id: str) -> None:
    """An id that does not exist is told by one of our errors, not by a foreign one."""
    with pytest.raises(GalaxyError):
        await galaxy.libraries.item(LibraryItemId(id))
    with pytest.raises((NotThere, Refused)):
        await galaxy.libraries.version(DatasetId(id))
    with pytest.raises(GalaxyError):
        await galaxy.libraries.items(FolderId(f"F{id}"))
