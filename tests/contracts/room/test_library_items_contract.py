"""Items that are taken away again, and whether Galaxy still works on uploads."""

from __future__ import annotations

from pathlib import Path

from tests.contracts.room.conftest import GalaxyServer, as_user, until
from tests.contracts.room.library import folder, library, settled, source
from watcher.galaxy import Galaxy
from watcher.galaxy.library_answers import Folder, Library

__all__ = ["folder", "library", "source"]


async def test_deleted_item_is_listed_no_more(galaxy: Galaxy, library: Library, folder: Folder, source: Path) -> None:
    """Deleting leaves the file that it was linked to, and once more changes nothing."""
    path = source / "S1_R1.fastq.gz"
    (item,) = await galaxy.libraries.link_paths(library.id, folder.id, [str(path)], ext="fastqsanger.gz")
    await settled(galaxy, folder.id, 1)
    for _ in range(2):
        await galaxy.libraries.delete_item(item)
        assert await galaxy.libraries.items(folder.id) == []
    assert path.exists()


async def test_uploads_under_way_end(
    galaxy: Galaxy, galaxy_server: GalaxyServer, library: Library, folder: Folder, source: Path
) -> None:
    """When the items are there no upload of ours is under way; an ordinary account may ask for its own as well."""
    user = (await galaxy.identify()).user_id
    await galaxy.libraries.link_paths(library.id, folder.id, [str(source / "S1_R1.fastq.gz")], ext="fastqsanger.gz")
    await settled(galaxy, folder.id, 1)

    async def none_left() -> bool:
        return await galaxy.jobs.uploads_under_way(user) == 0

    await until(none_left)
    async with as_user(galaxy_server, galaxy_server.second_key) as other:
        assert await other.jobs.uploads_under_way((await other.identify()).user_id) == 0
