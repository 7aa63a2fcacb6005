"""A library, a folder and files that the server reads, for the contract tests of libraries."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.contracts.room.conftest import GalaxyServer, fastq, until
from watcher.galaxy import Galaxy
from watcher.galaxy.library_answers import Folder, Library, LibraryItem
from watcher.model import FolderId

ENDED = frozenset({"ok", "error", "failed_metadata", "empty"})


@pytest.fixture
async def library(galaxy: Galaxy) -> AsyncIterator[Library]:
    """Return an empty library of this test alone."""
    made = await galaxy.libraries.create("contract & <tests>", "a description", "a synopsis")
    yield made
    await galaxy.libraries.delete(made.id)


@pytest.fixture
async def folder(galaxy: Galaxy, library: Library) -> Folder:
    """Return an empty folder of this test alone."""
    return await galaxy.libraries.create_folder(library.root_folder_id, "run")


@pytest.fixture
def source(galaxy_server: GalaxyServer, tmp_path: Path) -> Path:
    """Return a folder that the server reads as well: a packed file, a text and a folder below."""
    del galaxy_server  # on this machine
    (tmp_path / "sub dir").mkdir()
    (tmp_path / "S1_R1.fastq.gz").write_bytes(fastq("S1", 5))
    (tmp_path / "notes & <more>.txt").write_bytes(b"a  b\r\nno end")
    (tmp_path / "sub dir" / "deep.txt").write_bytes(b"deep\n")
    return tmp_path


async def settled(galaxy: Galaxy, folder: FolderId, count: int) -> list[LibraryItem]:
    """Wait until a folder holds so many files whose state is final, and return them by name."""
    found: list[LibraryItem] = []

    async def look() -> bool:
        found[:] = await galaxy.libraries.items(folder)
        return len(found) >= count and all(item.state in ENDED for item in found)

    await until(look)
    assert len(found) == count
    return sorted(found, key=lambda item: item.name)
