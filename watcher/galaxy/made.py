"""What invocations made, and what of it lies in a history by the way only.

Read from the steps of the invocations, those of subworkflows as well, and from the collections among their outputs. A
dataset that is hidden, is no result and was delivered to nobody is one made by the way. Knows no rule; who may delete
anything is decided elsewhere.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from watcher.errors import NotThere
from watcher.galaxy.answers import Content
from watcher.galaxy.client import Galaxy
from watcher.galaxy.invocation_answers import OutputRef
from watcher.galaxy.results import GalaxyResults
from watcher.model import CollectionId, DatasetId, HistoryId, InvocationId


@dataclass(frozen=True, slots=True)
class Found:
    """The ids of `by_the_way` datasets, and the names of what lies in the history and is not known."""

    by_the_way: tuple[DatasetId, ...]
    unknown: tuple[str, ...]


async def made_by_the_way(
    galaxy: Galaxy,
    history: HistoryId,
    invocations: Sequence[InvocationId],
    inner: Sequence[InvocationId],
    ours: Collection[str],
    tag: str,
) -> Found:
    """Look through a history that `invocations` worked in, with those of their subworkflows (`inner`).

    `ours` are ids that must stay: what was sent, delivered, made anew. What carries `tag` is ours as well.
    """
    made = await _made(galaxy, [*invocations, *inner])
    kept = {*ours, *await _ids_of(galaxy, (await GalaxyResults(galaxy, invocations).refs()).values())}
    contents = [one for one in await galaxy.histories.contents(history) if not one.deleted]
    ours_by_tag = {one.id for one in contents if any(own.startswith(tag) for own in one.tags)}
    for collection in [one for one in contents if one.kind == "collection" and one.id in ours_by_tag | set(ours)]:
        kept |= await _leaves(galaxy, CollectionId(collection.id))
    kept_bytes = {one.stored_id for one in contents if one.id in kept | ours_by_tag and one.stored_id}
    known = made | kept | ours_by_tag
    return Found(
        tuple(
            DatasetId(one.id)
            for one in contents
            if _is_by_the_way(one, made) and one.id not in kept | ours_by_tag and one.stored_id not in kept_bytes
        ),
        tuple(one.name for one in contents if one.id not in known),
    )


def _is_by_the_way(one: Content, made: Collection[str]) -> bool:
    return one.kind == "dataset" and not one.visible and one.id in made


async def _made(galaxy: Galaxy, invocations: Iterable[InvocationId]) -> set[str]:
    refs: list[OutputRef] = []
    for invocation in invocations:
        for step in (await galaxy.invocations.detailed(invocation)).steps:
            refs += [*step.outputs.values(), *step.output_collections.values()]
    return await _ids_of(galaxy, refs)


async def _ids_of(galaxy: Galaxy, refs: Iterable[OutputRef]) -> set[str]:
    """Return the ids of these, and of all datasets in those that are collections."""
    found: set[str] = set()
    for ref in refs:
        found.add(ref.id)
        if ref.src == "hdca":
            found |= await _leaves(galaxy, CollectionId(ref.id))
    return found


async def _leaves(galaxy: Galaxy, collection: CollectionId) -> set[str]:
    try:
        facts = await galaxy.collections.get(collection)
    except NotThere:
        return set()
    return {leaf.dataset_id for _, leaf in facts.leaves() if leaf.dataset_id}
