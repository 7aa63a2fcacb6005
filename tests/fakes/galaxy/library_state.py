"""Rows of libraries: the libraries, their folders, and the files in them.

A file has two numbers, as in Galaxy: its own (the id in lists) and that of the version it shows now. `state.py` keeps
the rows; the routes are in `libraries.py` and its neighbours.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.fakes.galaxy.state import StoredFile

Rights = dict[str, tuple[int, ...]]
"""Numbers of roles by right: access, modify, manage, add."""


def _now() -> str:
    return datetime.now(UTC).replace(tzinfo=None).isoformat(timespec="microseconds")


@dataclass
class Library:
    """A library; without access roles everybody sees it."""

    number: int
    root: int
    name: str
    description: str = ""
    synopsis: str = ""
    deleted: bool = False
    rights: Rights = field(default_factory=dict)
    create_time: str = field(default_factory=_now)


@dataclass
class LibraryFolder:
    """A folder; the root of a library has no parent."""

    number: int
    library: int
    parent: int | None
    name: str
    description: str = ""
    deleted: bool = False
    rights: Rights = field(default_factory=dict)
    create_time: str = field(default_factory=_now)
    update_time: str = field(default_factory=_now)


@dataclass
class LibraryItem:
    """A file of a folder; `file.access` is who may read it."""

    number: int
    version: int
    folder: int
    name: str
    file: StoredFile
    tags: list[str] = field(default_factory=list)
    message: str | None = None
    dbkey: str = "?"
    deleted: bool = False
    rights: Rights = field(default_factory=dict)
    create_time: str = field(default_factory=_now)
    update_time: str = field(default_factory=_now)


class LibraryShelf:
    """All libraries of one server."""

    def __init__(self) -> None:
        self.libraries: dict[int, Library] = {}
        self.folders: dict[int, LibraryFolder] = {}
        self.items: dict[int, LibraryItem] = {}
        self._last = 0

    def next_number(self) -> int:
        """Give a number; one row for all tables, so that no two ids of a library's things are alike by chance."""
        self._last += 1
        return self._last

    def add_library(self, name: str, description: str, synopsis: str) -> Library:
        """Make a library with its root folder."""
        number = self.next_number()
        root = LibraryFolder(self.next_number(), number, None, name)
        library = Library(number, root.number, name, description, synopsis)
        self.libraries[number], self.folders[root.number] = library, root
        return library

    def add_folder(self, parent: LibraryFolder, name: str, description: str) -> LibraryFolder:
        """Make a folder with the rights of its parent."""
        row = LibraryFolder(self.next_number(), parent.library, parent.number, name, description)
        row.rights = dict(parent.rights)
        self.folders[row.number] = row
        return row

    def add_item(self, folder: LibraryFolder, name: str, file: StoredFile) -> LibraryItem:
        """Put a file into a folder."""
        row = LibraryItem(self.next_number(), self.next_number(), folder.number, name, file)
        row.rights = {right: roles for right, roles in folder.rights.items() if right in ("modify", "manage")}
        self.items[row.number] = row
        return row

    def holds(self, file: StoredFile) -> bool:
        """Say whether an item shows this file, so that its bytes must stay."""
        return any(item.file is file for item in self.items.values())

    def way_to(self, folder: LibraryFolder) -> list[LibraryFolder]:
        """Give the folders from the root to this one."""
        above = [] if folder.parent is None else self.way_to(self.folders[folder.parent])
        return [*above, folder]

    def folders_in(self, folder: LibraryFolder) -> Iterator[LibraryFolder]:
        """Give the folders right below that are not deleted."""
        return (row for row in self.folders.values() if row.parent == folder.number and not row.deleted)

    def items_in(self, folder: LibraryFolder) -> Iterator[LibraryItem]:
        """Give the files right below that are not deleted."""
        return (row for row in self.items.values() if row.folder == folder.number and not row.deleted)
