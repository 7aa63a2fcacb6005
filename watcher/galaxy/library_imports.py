"""Files that the server can read by itself become items of a library: linked where they lie, or copied, without a byte
sent by us.

Galaxy looks at every file before it answers: a thousand linked files took it 56 s (measured on 26.1.2), so these
requests have a long time limit, and the caller sends few files at a time. The types they take are those that Galaxy's
upload form offers: one that it does not (such as `data`) makes items that end in state `error`. Paths are the server's,
which may see the same storage under other names than we do. What a repeated request does is told in `libraries.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from watcher.errors import AnswerLost, GalaxyBroken, Refused
from watcher.galaxy.http import Http
from watcher.galaxy.library_answers import NewItem, Started
from watcher.model import FolderId, JobId, LibraryId, LibraryItemId

LONG_READ_S = 600.0
"""Galaxy answers an import only when every file of it is a row."""

NO_LIST = "Unable to get file list"
"""What it says, as an internal error, of a folder that it cannot list (24.1.4 to 26.1.2)."""

Source = Literal["admin_path", "importdir_file", "importdir_folder", "userdir_file", "userdir_folder"]
"""Where a path is looked up: as it is, in the server's import folder, or in the account's own one."""


class LibraryImports:
    """The ways into a library for files that the server can read."""

    def __init__(self, http: Http) -> None:
        self._http = http

    async def link_paths(
        self,
        library: LibraryId,
        folder: FolderId,
        paths: Sequence[str],
        *,
        ext: str,
        dbkey: str = "?",
        copy: bool = False,
    ) -> list[LibraryItemId]:
        """Make an item of each path on the server, in their order, each under its file's name; with `copy` Galaxy
        takes the bytes into its own store and the end off the names of packed files: all `.`, `g` and `z` that end
        `a.fastq.gz`, so that it is named `a.fastq` and `bag.gz` is named `ba` (measured on 26.1.2).

        Raises Refused when one of them is not there (then nothing is made) or the server allows no paths, Forbidden
        unless the account is an administrator, AnswerLost when they may be made.
        """
        for path in paths:
            self._check_fits_a_line(path)
        names = [path.rstrip("/").rpartition("/")[2] for path in paths]
        ways = {"upload_option": "upload_paths", "filesystem_paths": "\n".join(paths)}
        made = await self._contents(library, folder, ways, ext=ext, dbkey=dbkey, link=not copy)
        if len(made) != len(names):
            raise AnswerLost(
                f"Galaxy at {self._http.account.shown} made {len(made)} files of {len(names)} paths.",
                hint="The watcher looks for them by their names.",
            )
        return [item.id for item in made]

    async def upload_directory(
        self, library: LibraryId, folder: FolderId, server_dir: str, *, ext: str, dbkey: str = "?", link: bool
    ) -> list[NewItem]:
        """Make an item of each file right in a folder of the server's import folder (of the account's own one, unless
        it is an administrator's), and return them in no order; folders below are left out.

        A linked item is called like its file, but one of a link like what that points to (measured on 24.1.4, 25.0.4
        and 26.1.2). Raises Refused for a folder that leads out of where it may be, is not there or has no files (then
        nothing is made), Forbidden when none is configured, AnswerLost when they may be made.
        """
        ways = {"upload_option": "upload_directory", "server_dir": server_dir}
        try:
            return await self._contents(library, folder, ways, ext=ext, dbkey=dbkey, link=link)
        except GalaxyBroken as error:
            if NO_LIST not in error.message:
                raise
            raise Refused(
                f"Galaxy at {self._http.account.shown} does not see the folder `{server_dir}` below its import folder;"
                " it made nothing.",
                hint="Is the import folder that the configuration names the one that this Galaxy reads, for this"
                " account, and may Galaxy list it?",
                status=error.status,
                request_id=error.request_id,
            ) from error

    async def _contents(
        self, library: LibraryId, folder: FolderId, ways: dict[str, str], *, ext: str, dbkey: str, link: bool
    ) -> list[NewItem]:
        json = {
            "create_type": "file",
            "folder_id": folder,
            "file_type": ext,
            "dbkey": dbkey,
            "link_data_only": "link_to_files" if link else "copy_files",
            **ways,
        }
        path = f"/api/libraries/{library}/contents"
        purpose = "take files of its server into a library"
        return await self._http.post(path, purpose, list[NewItem], json=json, read_s=LONG_READ_S)

    async def import_path(
        self,
        folder: FolderId,
        source: Source,
        path: str,
        *,
        ext: str,
        dbkey: str = "?",
        link: bool,
        preserve_dirs: bool = False,
    ) -> JobId:
        """Make items of a file or of all files below a folder, with its folders when `preserve_dirs`; return the job.

        A folder that is there under the same name is taken, the first if there are several; but two requests at once
        make it twice (24.1.4 and 26.1.2), so make it before. One that is made has the permissions of its parent.

        Only a `link` keeps every byte: for a copy Galaxy asks its upload tool for line ends of its own here (so its
        source says; not measured), which `link_paths` with `copy` does not.

        Raises Forbidden for what only administrators may, Refused for a path that leads out of where it may be or when
        the server is not configured for it, AnswerLost when they may be made; GalaxyBroken for an extension that Galaxy
        does not know, whose items stay behind as `queued` for ever. What is not there is no error here: of a path or
        folder nothing is made, a file named as such is an item that ends in state `error`.
        """
        self._check_fits_a_line(path)
        json = {
            "encoded_folder_id": folder,
            "source": source,
            "path": path,
            "file_type": ext,
            "dbkey": dbkey,
            "link_data": link,
            "preserve_dirs": preserve_dirs,
        }
        purpose = "take files of its server into a library"
        return (await self._http.post("/api/libraries/datasets", purpose, Started, json=json, read_s=LONG_READ_S)).id

    def _check_fits_a_line(self, path: str) -> None:
        """Refuse what Galaxy would read as another path: it takes one path a line, without the blanks around it."""
        if path.splitlines() != [path] or path.strip() != path:
            raise Refused(
                f"Galaxy at {self._http.account.shown} cannot be told the path {path!r}: it takes one path a line, "
                "without blanks around it.",
                hint="Rename the file or folder, or let its bytes be sent (`transfer: tus`).",
            )
