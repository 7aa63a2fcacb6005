"""Histories: made, marked, found again by their tag, and what lies in them.

A history cannot be tagged while it is made (Galaxy ignores `tags` in that request, measured on 24.1.4 to 26.1.2), so
making and marking are two requests, and a crash between them leaves an unmarked, empty history. Knows nothing of what a
tag means.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Any

from watcher.errors import GalaxyError
from watcher.galaxy.answers import Answer, Content, History, understand
from watcher.galaxy.http import Http, Params
from watcher.galaxy.refusals import half_done
from watcher.model import HistoryId

PAGE = 100
LISTING = "list a history"
CONTENT_PAGE = 500
HISTORY_KEYS = "id,name,tags,annotation,deleted,purged"
WHOLE_HISTORY_KEYS = f"{HISTORY_KEYS},user_id,archived"
CONTENT_KEYS = (
    "id,hid,name,state,extension,file_size,hashes,misc_info,deleted,purged,visible,tags,history_id,history_content_type,"
    "collection_type,populated_state,permissions,genome_build,dataset_id"
)


def clean_tag(name: str, value: str) -> str:
    """Return `name:value` in the form Galaxy takes: no blanks, no dots or colons in the name (26.1.2 answers 400 to
    others).
    """
    return re.sub(r"[\s.:]+", "_", name.strip()) + ":" + re.sub(r"\s+", "_", value.strip())


def plain_tag(text: str) -> str:
    """Return an operator's tag in the form Galaxy takes: `name:value` cleaned in both parts, else without blanks."""
    name, colon, value = text.partition(":")
    return clean_tag(name, value) if colon else re.sub(r"[\s.]+", "_", text.strip())


_KINDS = {"hda": "dataset", "hdca": "dataset_collection"}


class _Copied(Answer):
    id: str


class Histories:
    """Histories of the account."""

    def __init__(self, http: Http) -> None:
        self._http = http

    async def find(self, tag: str) -> list[History]:
        """Return the histories that carry exactly this tag and are not deleted; Galaxy itself compares without case."""
        found: list[History] = []
        while True:
            params: Params = {
                "q": "tag",
                "qv": tag,
                "keys": HISTORY_KEYS,
                "limit": PAGE,
                "offset": len(found),
                "order": "create_time-asc",
            }
            page = await self._http.get("/api/histories", "list histories by tag", list[History], params=params)
            found.extend(page)
            if len(page) < PAGE:
                return [history for history in found if tag in history.tags and not history.deleted]

    async def create(self, name: str) -> HistoryId:
        """Make a history; raises AnswerLost when it may have been made: it then has no tag to be found by."""
        return (await self._http.post("/api/histories", "create a history", History, json={"name": name})).id

    async def find_by_name(self, name: str) -> list[History]:
        """Return the histories of exactly this name that are not deleted."""
        params: Params = {"q": "name-eq", "qv": name, "keys": HISTORY_KEYS, "limit": PAGE, "order": "create_time-asc"}
        found = await self._http.get("/api/histories", "list histories by name", list[History], params=params)
        return [history for history in found if history.name == name and not history.deleted]

    async def own(self) -> list[History]:
        """Return all histories of the account that are not deleted."""
        found: list[History] = []
        while True:
            params: Params = {"q": "deleted", "qv": "false", "keys": "id,name", "limit": PAGE, "offset": len(found)}
            page = await self._http.get("/api/histories", "list histories", list[History], params=params)
            found.extend(page)
            if len(page) < PAGE:
                return found

    async def tag(self, history: HistoryId, tags: Sequence[str]) -> None:
        """Set the tags and nothing else; those it has and that are not among them are taken away."""
        await self._http.put(f"/api/histories/{history}", "tag a history", json={"tags": list(tags)})

    async def mark(self, history: HistoryId, tags: Sequence[str], annotation: str, *, name: str = "") -> None:
        """Set tags and annotation, and the name when one is given; repeating it changes nothing."""
        json = {"tags": list(tags), "annotation": annotation, **({"name": name} if name else {})}
        await self._http.put(f"/api/histories/{history}", "mark a history", json=json)

    async def get(self, history: HistoryId) -> History:
        """Return the history, also when it is deleted; raises NotThere."""
        return await self._http.get(
            f"/api/histories/{history}", "read a history", History, params={"keys": WHOLE_HISTORY_KEYS}
        )

    async def contents(self, history: HistoryId, *, tag: str = "", ids: Collection[str] = ()) -> list[Content]:
        """Return what lies in the history, hidden and deleted things as well, in order of making.

        `tag` keeps what has a tag beginning so, `ids` what has one of these ids.
        """
        rows = await self.rows(history, tag=tag)
        wanted = frozenset(ids)
        contents = understand(list[Content], rows, self._http.asked("GET", LISTING))
        return [
            content
            for content in contents
            if (not wanted or content.id in wanted) and (not tag or any(own.startswith(tag) for own in content.tags))
        ]

    async def numbered(self, history: HistoryId, number: int) -> list[Content]:
        """Return what has this number in the history (the one in front of its name there), hidden things as well.

        A job repeated by hand in place of another gives its outputs the numbers of that one's.
        """
        params: Params = {"v": "dev", "q": "hid", "qv": str(number), "keys": CONTENT_KEYS, "limit": CONTENT_PAGE}
        return await self._http.get(f"/api/histories/{history}/contents", LISTING, list[Content], params=params)

    async def copy(self, history: HistoryId, source: str, content: str, name: str, tags: Sequence[str]) -> str:
        """Copy a thing of the history ("hda" or "hdca", and its id) inside it and return its id; name and tags are set.


        No bytes are copied, and of a collection not its elements either. A name or tags in the request itself are
        ignored, and the copy has those of its source at first (measured on 24.1.4 and 26.1.2). Raises AnswerLost when
        it may have been made, or is made and not named yet: whoever looks finds both.
        """
        json = {"source": source, "content": content, "type": _KINDS[source], "copy_elements": False}
        path = f"/api/histories/{history}/contents"
        made = await self._http.post(path, "copy within a history", _Copied, json=json)
        try:
            await self.name_copy(history, source, made.id, name, tags)
        except GalaxyError as error:
            raise half_done(error) from error
        return made.id

    async def name_copy(self, history: HistoryId, source: str, copy: str, name: str, tags: Sequence[str]) -> None:
        """Set name and tags of a copy; repeating it changes nothing."""
        path = f"/api/histories/{history}/contents/{_KINDS[source]}s/{copy}"
        await self._http.put(path, "name a copy", json={"name": name, "tags": list(tags)})

    async def rows(self, history: HistoryId, *, tag: str = "", until: Collection[str] = ()) -> list[dict[str, Any]]:
        """Return the raw rows of the contents, page by page; stops early once all ids of `until` were seen."""
        missing = set(until)
        rows: list[dict[str, Any]] = []
        while True:
            params: dict[str, str | int | bool] = {
                "v": "dev",
                "keys": CONTENT_KEYS,
                "limit": CONTENT_PAGE,
                "offset": len(rows),
            }
            if tag:
                # "tag" would want the whole tag; the exact comparison is ours.
                params |= {"q": "tag-contains", "qv": tag}
            path = f"/api/histories/{history}/contents"
            page = await self._http.get(path, LISTING, list[dict[str, Any]], params=params)
            rows.extend(page)
            missing -= {row.get("id") for row in page}
            if len(page) < CONTENT_PAGE or (until and not missing):
                return rows

    async def delete(self, history: HistoryId, *, purge: bool = False) -> None:
        """Delete the history; its jobs run on all the same (measured on 26.1.2)."""
        await self._http.delete(f"/api/histories/{history}", "delete a history", json={"purge": purge})

    async def archive(self, history: HistoryId) -> None:
        """Put the history into Galaxy's archive: it leaves the list of histories and can be taken back; nothing in it
        changes.
        """
        await self._http.post(f"/api/histories/{history}/archive", "archive a history", _Copied, json={})
