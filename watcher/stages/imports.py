"""What Galaxy's import folders are asked for: a tree, a folder or a file with one request.

Galaxy takes whatever lies in a folder, so one is named only when all that is in it is wanted and nothing there is other
than it seems; else each file is named by itself. One way answers with the items (`upload_directory`), the others with a
job that names none. Both read the server's folder for an administrator's account; for another one the first reads the
account's own, as the second does for any account when asked to. With a tree Galaxy makes the folders that are not
there, and two such requests at once make them twice: so `items.py` makes them before, and Galaxy finds those.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from watcher.disk.scan import list_folder
from watcher.errors import AnswerLost
from watcher.galaxy import Galaxy
from watcher.galaxy.library_imports import Source
from watcher.model import FolderId, JobId, Kind, LibraryId, LibraryItemId, PlannedDataset
from watcher.rows import NO_JOB, Batch
from watcher.stages.offered import NO_DBKEY
from watcher.stages.rooms import Rooms

Made = tuple[JobId, Mapping[str, LibraryItemId]]
"""What Galaxy answered: a job, or the items by the keys of their datasets."""

TOP = PurePosixPath(".")


@dataclass(frozen=True, slots=True)
class Import:
    """One request: what is at `source`, below Galaxy's import folder, goes into a folder `inner` below the batch's own.

    `tree`: with all folders below; `named`: the files right in a folder, answered with their items; `folder`: the same,
    answered with a job.
    """

    shape: Literal["tree", "named", "folder", "file"]
    source: PurePosixPath
    inner: str
    members: tuple[PlannedDataset, ...]


@dataclass(frozen=True, slots=True)
class _Seen:
    """What lies right in a folder of the run. A link is taken under its own name by one way in, under that of its file
    by the other.
    """

    is_wanted: bool  # nothing but wanted files, all of them, and folders
    folders: tuple[PurePosixPath, ...]
    has_links: bool


async def cut_imports(batch: Batch, rooms: Rooms, galaxy: Galaxy, members: Iterable[PlannedDataset]) -> list[Import]:
    """Return the requests for these datasets, as few as can be, none for more than `limits.library_files` of them."""
    identity = await galaxy.known_identity()
    # Galaxy refuses the one, and takes the other for the account's whole folder.
    unfit = (PurePosixPath("None"), PurePosixPath(identity.email))
    is_named = identity.is_admin == (batch.plan.transfer == "import_dir")
    alike: dict[tuple[str, str], list[PlannedDataset]] = defaultdict(list)
    for planned in members:
        alike[planned.ext, planned.dbkey].append(planned)
    found: list[Import] = []
    for part in alike.values():
        found += await _Folders(batch, rooms, part, unfit if is_named else None).imports()
    return found


async def ask(batch: Batch, galaxy: Galaxy, library: LibraryId, folder: FolderId, wanted: Import) -> Made:
    """Let Galaxy link what is wanted into a folder of the library; raises AnswerLost when it made something else."""
    path, first = str(wanted.source), wanted.members[0]
    ext, dbkey = first.ext, first.dbkey or NO_DBKEY
    if wanted.shape == "named":
        made = await galaxy.libraries.upload_directory(library, folder, path, ext=ext, dbkey=dbkey, link=True)
        items = {item.name: item.id for item in made}
        if len(items) != len(made) or set(items) != {one.name for one in wanted.members}:
            raise AnswerLost(
                f"Galaxy at {galaxy.account.shown} made {len(made)} items of the folder `{path}`, others than the"
                f" {len(wanted.members)} that it was asked for.",
                hint="Did somebody write to it just now? The watcher looks for its own by their names.",
            )
        return NO_JOB, {one.key: items[one.name] for one in wanted.members}
    ways: tuple[Source, Source] = ("importdir_file", "importdir_folder")
    if batch.plan.transfer == "user_import_dir":
        ways = ("userdir_file", "userdir_folder")
    job = await galaxy.libraries.import_path(
        folder,
        ways[wanted.shape != "file"],
        path,
        ext=ext,
        dbkey=dbkey,
        link=True,
        preserve_dirs=wanted.shape == "tree",
    )
    return job, {}


class _Folders:
    """The folders of a run in which datasets of one extension and build lie; each is looked at once, when it must be.

    `unfit` are the folders that the way which names items cannot be asked for, None when it reads others than the
    watch means.
    """

    def __init__(
        self, batch: Batch, rooms: Rooms, members: Sequence[PlannedDataset], unfit: Sequence[PurePosixPath] | None
    ) -> None:
        self._root = Path(batch.plan.path)
        self._rooms = rooms
        self._unfit = unfit
        self._limit = rooms.settings.limits.library_files
        self._in: dict[PurePosixPath, list[PlannedDataset]] = defaultdict(list)
        for planned in members:
            self._in[PurePosixPath(planned.sources[0]).parent].append(planned)
        above = {folder for inside in self._in for folder in inside.parents}
        self._known = sorted({*self._in, *above}, key=lambda folder: folder.parts)
        self._looks: dict[PurePosixPath, _Seen] = {}

    async def imports(self) -> list[Import]:
        """Return the requests, those for what lies further up first."""
        found: list[Import] = []
        trees: set[PurePosixPath] = set()
        for folder in self._known:
            if not trees.isdisjoint(folder.parents):
                continue
            tree = self._as_tree(folder)
            if tree is not None and await self._is_whole(folder):
                trees.add(folder)
                found.append(tree)
            elif self._in[folder]:
                found += await self._right_in(folder, self._in[folder])
        return found

    def _as_tree(self, folder: PurePosixPath) -> Import | None:
        """Return the request for all below a folder; None when it is too much, is no tree, or goes to other places."""
        inside = {one: self._in[one] for one in self._known if one == folder or folder in one.parents}
        members = tuple(planned for of_one in inside.values() for planned in of_one)
        if not 1 < len(members) <= self._limit or not any(self._in[one] for one in inside if one != folder):
            return None
        bases = {
            _base(PurePosixPath(planned.folder), one.relative_to(folder))
            for one, of_one in inside.items()
            for planned in of_one
        }
        base = bases.pop()
        source = _source(folder, members[0])
        return Import("tree", source, base, members) if base is not None and not bases and source != TOP else None

    async def _right_in(self, folder: PurePosixPath, members: Sequence[PlannedDataset]) -> list[Import]:
        """Return the request for all that lies right in a folder, or one for each file."""
        source, inner = _source(folder, members[0]), members[0].folder
        is_one = 1 < len(members) <= self._limit and {one.folder for one in members} == {inner} and source != TOP
        if is_one and (seen := await self._seen(folder)).is_wanted:
            if self._unfit is not None and source not in self._unfit and not seen.has_links:
                return [Import("named", source, inner, tuple(members))]
            if not seen.folders:
                return [Import("folder", source, inner, tuple(members))]
        return [Import("file", PurePosixPath(one.server_path), one.folder, (one,)) for one in members]

    async def _is_whole(self, folder: PurePosixPath) -> bool:
        """Tell whether all that lies below a folder is wanted."""
        if folder not in self._known:
            return False
        seen = await self._seen(folder)
        if not seen.is_wanted:
            return False
        for inside in seen.folders:
            if not await self._is_whole(inside):
                return False
        return True

    async def _seen(self, folder: PurePosixPath) -> _Seen:
        if folder not in self._looks:
            rooms = self._rooms
            there = await list_folder(rooms.threads, self._root / folder, depth=1, names_only=True, clock=rooms.clock)
            facts = there.entries.values()
            files = {one.path for one in facts if one.kind is Kind.FILE}
            folders = tuple(folder / one.path for one in facts if one.kind is Kind.FOLDER)
            wanted = {PurePosixPath(planned.sources[0]).name for planned in self._in[folder]}
            is_wanted = files == wanted and len(files) + len(folders) == len(there.entries)
            # Of what is no link only the name was asked.
            has_links = any(one.inode for one in facts if one.kind is Kind.FILE)
            self._looks[folder] = _Seen(is_wanted, folders, has_links)
        return self._looks[folder]


def _source(folder: PurePosixPath, below: PlannedDataset) -> PurePosixPath:
    """Return what Galaxy calls a folder of the run, told by a dataset below it."""
    return PurePosixPath(below.server_path).parents[len(PurePosixPath(below.sources[0]).relative_to(folder).parts) - 1]


def _base(folder: PurePosixPath, below: PurePosixPath) -> str | None:
    """Return the folder of the library above these last parts of one; None when it does not end so."""
    cut = len(folder.parts) - len(below.parts)
    if cut < 0 or folder.parts[cut:] != below.parts:
        return None
    return "/".join(folder.parts[:cut])
