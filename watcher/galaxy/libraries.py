"""Libraries: found, made, filled and read, folder by folder.

Galaxy takes every name as often as it is given: a library or folder of the same name is a second one, and an import
that is sent again makes everything again. So nothing here looks first; callers look, and look again after a lost
answer. Files come in by an upload (`register`), or from where the server can read them (`library_imports.py`); who may
see them is in `library_permissions.py`. Knows nothing of runs and samples.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from watcher.errors import NotThere
from watcher.galaxy.answers import Answer, understand
from watcher.galaxy.datasets import pieces_of
from watcher.galaxy.features import Features
from watcher.galaxy.fetch import FetchElement, fetch_request
from watcher.galaxy.http import Http
from watcher.galaxy.library_answers import (
    Fetched,
    Folder,
    Library,
    LibraryItem,
    LibraryItemFacts,
    LibraryVersion,
    ListedFolder,
    PutThere,
)
from watcher.galaxy.library_imports import LONG_READ_S, LibraryImports
from watcher.galaxy.library_permissions import LibraryRights
from watcher.model import DatasetId, FolderId, HistoryId, JobId, LibraryId, LibraryItemId

PAGE = 500
LISTING = "list a folder of a library"


class _Copied(Answer):
    id: DatasetId


class Libraries(LibraryImports, LibraryRights):
    """The libraries that the account may see."""

    def __init__(self, http: Http, features: Callable[[], Awaitable[Features]]) -> None:
        super().__init__(http)
        self._http = http
        self._features = features

    async def find(self, name: str) -> list[Library]:
        """Return the libraries of exactly this name that are not deleted, in Galaxy's order."""
        found = await self._http.get("/api/libraries", "list the libraries", list[Library], params={"deleted": False})
        return [library for library in found if library.name == name and not library.deleted]

    async def names(self) -> list[str]:
        """Return the names of the libraries that the account may see."""
        found = await self._http.get("/api/libraries", "list the libraries", list[Library], params={"deleted": False})
        return sorted({library.name for library in found if not library.deleted})

    async def may_add(self, folder: FolderId) -> bool:
        """Tell whether the account may put files and folders into the folder."""
        params: dict[str, str | int | bool] = {"limit": 1}
        listed = await self._http.get(f"/api/folders/{folder}/contents", LISTING, ListedFolder, params=params)
        return listed.may_add

    async def create(self, name: str, description: str = "", synopsis: str = "") -> Library:
        """Make a library, also when there is one of that name; raises Forbidden unless the account is an
        administrator, AnswerLost when it may have been made.
        """
        json = {"name": name, "description": description, "synopsis": synopsis}
        return await self._http.post("/api/libraries", "create a library", Library, json=json)

    async def delete(self, library: LibraryId) -> None:
        """Delete the library with all it holds; for administrators."""
        await self._http.delete(f"/api/libraries/{library}", "delete a library")

    async def folders(self, parent: FolderId) -> list[Folder]:
        """Return the folders right below, of which several may have the same name; raises NotThere or Refused when
        the parent is not there.
        """
        rows = [row for row in await self._rows(parent) if row.get("type") == "folder"]
        folders = understand(list[Folder], rows, self._http.asked("GET", LISTING))
        return [folder for folder in folders if not folder.deleted]

    async def create_folder(self, parent: FolderId, name: str, description: str = "") -> Folder:
        """Make a folder, also when there is one of that name; raises AnswerLost when it may have been made.

        It has the permissions of its parent.
        """
        json = {"name": name, "description": description}
        return await self._http.post(f"/api/folders/{parent}", "create a folder in a library", Folder, json=json)

    async def items(self, folder: FolderId, *, name: str = "", message: str = "") -> list[LibraryItem]:
        """Return the files right in the folder, all or those of exactly this name or message, with what is known of
        each.
        """
        rows = [row for row in await self._rows(folder, text=name or message) if row.get("type") == "file"]
        items = understand(list[LibraryItem], rows, self._http.asked("GET", LISTING))
        standing = [item for item in items if not item.deleted]
        return [item for item in standing if name in ("", item.name) and message in ("", item.message)]

    async def _rows(self, folder: FolderId, *, text: str = "") -> list[Mapping[str, Any]]:
        """Return what lies in a folder, page by page.

        A page that its folders fill has all files behind them as well (24.1.4 and 26.1.2), so rows may come twice.
        """
        rows: dict[tuple[Any, Any], Mapping[str, Any]] = {}
        at = 0
        while True:
            params: dict[str, str | int | bool] = {"limit": PAGE, "offset": at, "order_by": "name"}
            if text:
                params["search_text"] = text  # anywhere in the name or message, whatever the case; the rest is ours
            page = await self._http.get(f"/api/folders/{folder}/contents", LISTING, ListedFolder, params=params)
            rows |= {(row.get("type"), row.get("id")): row for row in page.rows}
            at += PAGE
            if at >= page.total or not page.rows:
                return list(rows.values())

    async def item(self, item: LibraryItemId) -> LibraryItemFacts:
        """Return one file with its exact size and where its bytes lie, also a deleted one; raises NotThere."""
        purpose = "read a file of a library"
        asked = self._http.asked("GET", purpose)
        facts = await self._http.get(f"/api/libraries/datasets/{item}", purpose, dict[str, Any])
        # That one tells the size as a text for people ("1.2 GB"), this one in bytes, but not whether it is deleted.
        path = f"/api/libraries/{facts.get('parent_library_id')}/contents/{item}"
        measured = await self._http.get(path, purpose, dict[str, Any])
        return understand(LibraryItemFacts, {**facts, "file_size": measured.get("file_size")}, asked)

    async def version(self, version: DatasetId) -> LibraryVersion:
        """Return a version of a file; raises NotThere, Forbidden, and Refused for what is no id.

        GalaxyBroken at times for one that is good: a real 26.1.2 shows what was copied from a history, and answers 500
        for what was uploaded into the library.
        """
        params = {"hda_ldda": "ldda"}
        return await self._http.get(
            f"/api/datasets/{version}", "read a version of a library's file", LibraryVersion, params=params
        )

    async def register(self, history: HistoryId, folder: FolderId, elements: Sequence[FetchElement]) -> JobId:
        """Make files of uploads in a folder, bytes untouched; they show in its listing when the job has ended.

        `history` only carries the job. Galaxy drops the elements' tags here (measured on 24.1.4 to 26.1.2): set them
        afterwards. It asks for no right to add and passes none of the folder's on, and everybody may read the file from
        the start, whatever the account's default: `copy_from_history` is the other way. A wrong hash makes an item in
        state `error`, never a failed job. Raises AnswerLost when they may be made: look for their names.
        """
        destination = {"type": "library_folder", "library_folder_id": folder.removeprefix("F")}
        json = fetch_request(history, destination, elements, await self._features())
        secrets = [element.session for element in elements]
        answer = await self._http.post(
            "/api/tools/fetch", "put uploads into a library", Fetched, json=json, secrets=secrets
        )
        return answer.jobs[0].id

    async def copy_from_history(self, folder: FolderId, dataset: DatasetId, *, message: str = "") -> LibraryItemId:
        """Make a file of a folder from a dataset of the account's own; they share bytes, hashes and access roles.

        It is there at once, and what was private stays so: the way to settle who may read it before anybody sees it.
        Tags are dropped; purging the history leaves the file. Raises Forbidden without the right to add, AnswerLost
        when it may be made: sent twice it is made twice.
        """
        json = {"from_hda_id": dataset, "ldda_message": message}
        path = f"/api/folders/{folder}/contents"
        return (await self._http.post(path, "put a dataset into a library", PutThere, json=json)).item_id

    async def tag_item(self, item: LibraryItemId, tags: Sequence[str]) -> None:
        """Set the tags in place of those it has; repeating it changes nothing."""
        await self.describe_item(item, tags=tags)

    async def describe_item(
        self, item: LibraryItemId, *, name: str = "", tags: Sequence[str] | None = None, message: str | None = None
    ) -> None:
        """Set name, tags or message of a file where given; repeating it changes nothing.

        Galaxy keeps name and message as HTML: `&` becomes `&amp;`, and what looks like a mark-up is changed or lost
        (measured on 24.1.4 and 26.1.2). Names given by the other ways are kept to the letter. Raises NotThere for a
        deleted one.
        """
        json: dict[str, Any] = {}
        if name:
            json["name"] = name
        if tags is not None:
            json["tags"] = list(tags)
        if message is not None:
            json["message"] = message
        await self._http.patch(f"/api/libraries/datasets/{item}", "describe a file of a library", Answer, json=json)

    @asynccontextmanager
    async def open(self, item: LibraryItemId) -> AsyncIterator[AsyncIterator[bytes]]:
        """Open all bytes of a file as they are; of a part there is no telling, other than by `Datasets.open`.

        Raises Forbidden, NotThere, and GalaxyAway when the connection breaks on the way.
        """
        asked = self._http.asked("GET", "send a file of a library")
        headers = {"accept": "*/*", "accept-encoding": "identity"}
        path = "/api/libraries/datasets/download/uncompressed"
        async with self._http.open(asked, path, params={"ld_ids": item}, headers=headers) as response:
            yield pieces_of(response, asked)

    async def delete_item(self, item: LibraryItemId) -> None:
        """Mark a file deleted, so that no listing shows it; one that is gone already is fine."""
        try:
            await self._http.delete(f"/api/libraries/datasets/{item}", "delete a file of a library")
        except NotThere:
            return

    async def copy_to_history(self, history: HistoryId, item: LibraryItemId) -> DatasetId:
        """Make a dataset of the history from a file, which shares its bytes; raises AnswerLost when it may be made.

        Sent twice it is made twice.
        """
        json = {"source": "library", "content": item, "type": "dataset"}
        path = f"/api/histories/{history}/contents"
        return (await self._http.post(path, "copy a file of a library", _Copied, json=json, read_s=LONG_READ_S)).id
