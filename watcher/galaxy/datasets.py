"""Datasets: what Galaxy really has, who may read it, and its bytes on the way home.

The state of an upload is read here and never from its job (which is `ok` even when the hash was wrong, measured on
24.2.4 to 26.1.2). Knows nothing of whose file a dataset was.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager

import httpx
from pydantic import Field

from watcher.errors import NotThere, Refused
from watcher.galaxy.answers import Answer, DatasetFacts, DatasetOrigin, understand
from watcher.galaxy.histories import Histories
from watcher.galaxy.http import Http, Params, map_error
from watcher.galaxy.refusals import Asked, not_understood
from watcher.model import DatasetId, HistoryId

PAST_THE_END = 416

METADATA, EXTRA = "metadata:", "extra:"
"""How a member of a dataset is called that is not its own bytes, see `Datasets.open_member`."""

AS_IT_IS = {"accept": "*/*", "accept-encoding": "identity"}
"""A proxy that compresses would move all offsets."""


class _Extra(Answer):
    kind: str = Field(validation_alias="class")
    path: str


async def pieces_of(response: httpx.Response, asked: Asked) -> AsyncIterator[bytes]:
    """Yield the bytes of an answer as they come; raises GalaxyAway when the connection breaks."""
    try:
        async for piece in response.aiter_raw():
            yield piece
    except (httpx.HTTPError, httpx.StreamError) as error:
        raise map_error(error, asked) from error


class Datasets:
    """Datasets that the account may read."""

    def __init__(self, http: Http, histories: Histories) -> None:
        self._http = http
        self._histories = histories

    async def get(self, dataset: DatasetId) -> DatasetFacts:
        """Return one dataset, also a deleted one; raises NotThere."""
        return await self._http.get(f"/api/datasets/{dataset}", "read a dataset", DatasetFacts)

    async def origin(self, dataset: DatasetId) -> DatasetOrigin:
        """Return where one dataset comes from; raises NotThere."""
        return await self._http.get(f"/api/datasets/{dataset}", "read a dataset", DatasetOrigin)

    async def many(self, history: HistoryId, ids: Collection[DatasetId]) -> dict[DatasetId, DatasetFacts]:
        """Return datasets of one history by id, in one request for each 500 things in it; what is not there is left
        out.
        """
        asked = self._http.asked("GET", "read datasets")
        rows = await self._histories.rows(history, until=ids)
        wanted = frozenset(ids)
        # Ids of datasets and of collections are counted apart: the same text may name one of each.
        chosen = [row for row in rows if row.get("history_content_type") == "dataset" and row.get("id") in wanted]
        return {facts.id: facts for facts in understand(list[DatasetFacts], chosen, asked)}

    async def copy_within(self, history: HistoryId, dataset: DatasetId, name: str, tags: Sequence[str]) -> DatasetId:
        """Copy a dataset inside its history, without its bytes, for one invocation alone, which names the copy's id
        among its inputs; `find_copy` finds it again. Raises as `Histories.copy`.
        """
        return DatasetId(await self._histories.copy(history, "hda", dataset, name, tags))

    async def find_copy(
        self, history: HistoryId, name: str, tag: str, *, of: DatasetId, but: Collection[str] = ()
    ) -> DatasetId | None:
        """Return the oldest copy of that name with exactly that tag; else one that is not marked yet: it has name and
        tags of its source at first, is none of `but`, and is marked now.
        """
        rows = sorted(await self._histories.contents(history), key=lambda content: content.hid)
        source = await self.get(of)
        alive = [row for row in rows if row.kind == "dataset" and not row.deleted and row.id != of]
        # Datasets of equal names, tags and sizes are nothing rare: each attempt of a workflow makes them.
        copies = [row for row in alive if row.stored_id == source.stored_id]
        for row in copies:
            if row.name == name and tag in row.tags:
                return DatasetId(row.id)
        for row in copies:
            if (row.name, sorted(row.tags)) == (source.name, sorted(source.tags)) and row.id not in but:
                await self._histories.name_copy(history, "hda", row.id, name, [tag])
                return DatasetId(row.id)
        return None

    async def make_private(self, dataset: DatasetId) -> None:
        """Let only the account read the dataset; results made from it are private then as well."""
        json = {"action": "make_private"}
        await self._http.put(f"/api/datasets/{dataset}/permissions", "make a dataset private", json=json)

    async def give_to_roles(self, dataset: DatasetId, roles: Collection[str], managers: Collection[str]) -> None:
        """Let those read the dataset who have all of these roles, and those change that who have one of `managers`.

        Results made from it get the same roles (measured on 24.1.4 to 26.1.2). Raises Refused when nobody has all.
        """
        json = {
            "action": "set_permissions",
            "access_ids[]": list(roles),
            "manage_ids[]": list(managers),
            "modify_ids[]": list(managers),
        }
        await self._http.put(f"/api/datasets/{dataset}/permissions", "give a dataset to roles", json=json)

    @asynccontextmanager
    async def open(
        self, dataset: DatasetId, ext: str = "data", offset: int = 0, *, in_library: bool = False
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Open the bytes from `offset` on; at the end there are none.

        `ext` "data" gives the bytes as they are; so does `in_library`, for the version of a file of a library, whatever
        `ext` says (Galaxy fails when it is told one), on servers that `shows_library_files`. Raises Refused with status
        409 while the dataset is not ready, Forbidden, NotThere, and GalaxyAway when the connection breaks on the way:
        open again where it ended.
        """
        params = {"hda_ldda": "ldda"} if in_library else {"to_ext": ext}
        async with self._open(f"/api/datasets/{dataset}/display", params, offset) as pieces:
            yield pieces

    @asynccontextmanager
    async def open_member(
        self, dataset: DatasetId, member: str = "", offset: int = 0
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Open one file of a dataset from `offset` on: its own bytes (""), what Galaxy made about it
        (`metadata:bam_index`), or a file beside it (`extra:PATH`).

        They come as they lie there: of `html` and composite datasets `open` would give an archive of all their files.
        Servers send the rest of each alone (measured on 24.1.4 and 26.1.2). Errors as for `open`.
        """
        path, params = _place(dataset, member)
        async with self._open(path, params, offset) as pieces:
            yield pieces

    async def member_size(self, dataset: DatasetId, member: str = "") -> int:
        """Return how many bytes `open_member` gives. What Galaxy lists as the size of a composite dataset is another
        number; raises NotThere.
        """
        asked = self._http.asked("HEAD", "tell the size of a file")
        path, params = _place(dataset, member)
        reply = await self._http.repeat(lambda: self._http.send(asked, path, params=params, headers=AS_IT_IS))
        size = reply.headers.get("content-length", "")
        if not size.isdigit():
            raise not_understood(asked, "no size", status=reply.status, request_id=reply.request_id)
        return int(size)

    async def extra_files(self, dataset: DatasetId) -> list[str]:
        """Return the paths of the files beside a dataset's own bytes; a tool chose them, so they may be called
        anything.
        """
        path = f"/api/datasets/{dataset}/extra_files"
        rows = await self._http.get(path, "list the files of a dataset", list[_Extra])
        return sorted(row.path for row in rows if row.kind == "File")

    @asynccontextmanager
    async def _open(self, path: str, params: Params, offset: int) -> AsyncIterator[AsyncIterator[bytes]]:
        asked = self._http.asked("GET", "send a dataset")
        headers = dict(AS_IT_IS)
        if offset:
            headers["range"] = f"bytes={offset}-"
        try:
            async with self._http.open(asked, path, params=params, headers=headers) as response:
                if offset and response.status_code != 206:
                    raise not_understood(
                        asked, "all of it instead of the rest", status=response.status_code, request_id=""
                    )
                if response.headers.get("content-encoding", "identity") != "identity":
                    raise not_understood(asked, "compressed bytes", status=response.status_code, request_id="")

                yield pieces_of(response, asked)
        except Refused as error:
            if error.status != PAST_THE_END or not offset:
                raise
            yield _nothing()

    async def part(self, dataset: DatasetId, offset: int, length: int, *, in_library: bool = False) -> bytes:
        """Return so many bytes from `offset` on, which have to be there: of more, servers up to 25.0 give none.

        One request for just these, asked again shortly while Galaxy is away. `in_library` and errors as for `open`.
        """
        asked = self._http.asked("GET", "send a part of a dataset")
        headers = {
            "accept": "*/*",
            "accept-encoding": "identity",
            "range": f"bytes={offset}-{offset + length - 1}",
        }
        path = f"/api/datasets/{dataset}/display"
        params = {"hda_ldda": "ldda"} if in_library else {"to_ext": "data"}

        async def ask() -> bytes:
            async with self._http.open(asked, path, params=params, headers=headers) as response:
                if response.status_code != 206:  # perhaps terabytes: not to be read
                    raise not_understood(
                        asked, "all of it instead of a part", status=response.status_code, request_id=""
                    )
                try:
                    return b"".join([piece async for piece in response.aiter_raw()])
                except (httpx.HTTPError, httpx.StreamError) as error:
                    raise map_error(error, asked) from error

        try:
            return await self._http.repeat(ask)
        except Refused as error:
            if error.status != PAST_THE_END:
                raise
            return b""

    async def delete(self, dataset: DatasetId, *, purge: bool = False) -> None:
        """Delete the dataset, with its bytes when `purge`; one that is gone already is fine."""
        try:
            await self._http.delete(f"/api/datasets/{dataset}", "delete a dataset", params={"purge": purge})
        except NotThere:
            return


async def _nothing() -> AsyncIterator[bytes]:
    no_pieces: tuple[bytes, ...] = ()
    for piece in no_pieces:
        yield piece


def _place(dataset: DatasetId, member: str) -> tuple[str, Params]:
    """Return where a member is asked for."""
    if name := member.removeprefix(METADATA) if member.startswith(METADATA) else "":
        return f"/api/datasets/{dataset}/metadata_file", {"metadata_file": name}
    params: dict[str, str | int | bool] = {"raw": True}
    if member:
        file = member.removeprefix(EXTRA)
        # By this very name Galaxy means the dataset's own bytes.
        params["filename"] = f"./{file}" if file == "index" else file
    return f"/api/datasets/{dataset}/display", params
