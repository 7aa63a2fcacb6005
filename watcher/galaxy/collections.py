"""Collections, made from datasets that were verified before.

An upload straight into a collection swallows a wrong hash (the element is `ok` with 0 bytes, measured on 24.2.4 to
26.1.2), so datasets come first and the collection is built over them. Tags given with that request are ignored, hence
set right afterwards.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from watcher.errors import GalaxyError
from watcher.galaxy.answers import Answer, CollectionFacts
from watcher.galaxy.histories import Histories
from watcher.galaxy.http import Http
from watcher.galaxy.refusals import half_done
from watcher.model import CollectionId, DatasetId, HistoryId


@dataclass(frozen=True, slots=True)
class Element:
    """An element to build: a dataset, or elements of its own."""

    name: str
    dataset_id: DatasetId | None = None
    elements: tuple[Element, ...] = ()


class _Built(Answer):
    id: CollectionId


class Collections:
    """Collections in histories of the account."""

    def __init__(self, http: Http, histories: Histories) -> None:
        self._http = http
        self._histories = histories

    async def build(
        self, history: HistoryId, name: str, type: str, elements: Sequence[Element], tags: Sequence[str]
    ) -> CollectionId:
        """Build a collection over datasets of the history, which keep their ids and are hidden behind it.

        Raises AnswerLost when it may have been built, or is built and not tagged yet: `find` knows both.
        """
        json = {
            "history_id": history,
            "instance_type": "history",
            "name": name,
            "collection_type": type,
            # Galaxy would copy every dataset: the copies are not the ones that were verified.
            "copy_elements": False,
            "hide_source_items": True,
            "element_identifiers": [_identifier(element, type) for element in elements],
        }
        collection = (await self._http.post("/api/dataset_collections", "build a collection", _Built, json=json)).id
        if tags:
            try:
                await self.mark(history, collection, tags)
            except GalaxyError as error:
                raise half_done(error) from error
        return collection

    async def copy_within(
        self, history: HistoryId, collection: CollectionId, name: str, tags: Sequence[str]
    ) -> CollectionId:
        """Copy a collection inside its history over the same datasets, for one invocation alone, which names the copy's
        id among its inputs, also where it is mapped over; `find` finds it again with the source among `but`. Raises as
        `Histories.copy`.
        """
        return CollectionId(await self._histories.copy(history, "hdca", collection, name, tags))

    async def mark(self, history: HistoryId, collection: CollectionId, tags: Sequence[str]) -> None:
        """Set the tags; repeating it changes nothing."""
        path = f"/api/histories/{history}/contents/dataset_collections/{collection}"
        await self._http.put(path, "mark a collection", json={"tags": list(tags)})

    async def find(
        self, history: HistoryId, name: str, tag: str, *, of: Collection[DatasetId] = (), but: Collection[str] = ()
    ) -> CollectionId | None:
        """Return the oldest collection of that name with exactly that tag, else one of that name with no tag at all,
        which is made of exactly the datasets in `of` where these are told; never one of the ids in `but`.

        The second one is what a crash between building and marking leaves behind: others, too, make collections in a
        history that they share with us.
        """
        named = [
            content
            for content in await self._histories.contents(history)
            if content.kind == "collection" and content.name == name and not content.deleted and content.id not in but
        ]
        named.sort(key=lambda content: content.hid)
        if tagged := [content for content in named if tag in content.tags]:
            return CollectionId(tagged[0].id)
        for content in named:
            if not content.tags and (not of or await self._is_made_of(CollectionId(content.id), of)):
                return CollectionId(content.id)
        return None

    async def _is_made_of(self, collection: CollectionId, datasets: Collection[DatasetId]) -> bool:
        leaves = (await self.get(collection)).leaves()
        return sorted(element.dataset_id for _, element in leaves) == sorted(datasets)

    async def get(self, collection: CollectionId) -> CollectionFacts:
        """Return the collection with all its elements; raises NotThere."""
        path = f"/api/dataset_collections/{collection}"
        return await self._http.get(path, "read a collection", CollectionFacts, params={"instance_type": "history"})


def _identifier(element: Element, type: str) -> dict[str, Any]:
    if element.dataset_id is not None:
        return {"name": element.name, "src": "hda", "id": element.dataset_id}
    inner = type.partition(":")[2]
    return {
        "name": element.name,
        "src": "new_collection",
        "collection_type": inner,
        "element_identifiers": [_identifier(below, inner) for below in element.elements],
    }
