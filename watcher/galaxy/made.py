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
from watcher.galaxy.results import WORKING_STEPS, GalaxyResults
from watcher.model import CollectionId, DatasetId, HistoryId, InvocationId


@dataclass(frozen=True, slots=True)
class Found:
    """The ids of `by_the_way` datasets, and the names of what lies in the history and is not known."""

    by_the_way: tuple[DatasetId, ...]
    unknown: tuple[str, ...]


Thing = tuple[str, str]
"""Kind ("dataset" or "collection") and id: Galaxy numbers both from one, so that an id alone may be either."""


async def made_by_the_way(
    galaxy: Galaxy,
    history: HistoryId,
    invocations: Sequence[InvocationId],
    inner: Sequence[InvocationId],
    ours: Collection[DatasetId],
    tag: str,
) -> Found:
    """Look through a history that `invocations` worked in, with those of their subworkflows (`inner`).

    `ours` are datasets that must stay: what was sent, delivered, made anew. What carries `tag` is ours as well.
    """
    made = await _made(galaxy, [*invocations, *inner])
    contents = [one for one in await galaxy.histories.contents(history) if not one.deleted]
    kept: set[Thing] = {("dataset", one) for one in ours}
    kept |= await _things(galaxy, (await GalaxyResults(galaxy, invocations).refs()).values())
    for one in contents:
        if any(own.startswith(tag) for own in one.tags):
            kept.add(_thing(one))
            if one.kind == "collection":
                kept |= await _leaves(galaxy, CollectionId(one.id))
    kept_bytes = {one.stored_id for one in contents if _thing(one) in kept and one.stored_id}
    return Found(
        tuple(
            DatasetId(one.id)
            for one in contents
            if _is_by_the_way(one, made) and _thing(one) not in kept and one.stored_id not in kept_bytes
        ),
        tuple(one.name for one in contents if _thing(one) not in made | kept),
    )


def _thing(one: Content) -> Thing:
    return one.kind, one.id


def _is_by_the_way(one: Content, made: Collection[Thing]) -> bool:
    return one.kind == "dataset" and not one.visible and _thing(one) in made


async def _made(galaxy: Galaxy, invocations: Iterable[InvocationId]) -> set[Thing]:
    refs: list[OutputRef] = []
    for invocation in invocations:
        for step in (await galaxy.invocations.detailed(invocation)).steps:
            if step.type in WORKING_STEPS:  # what goes in was not made by it
                refs += [*step.outputs.values(), *step.output_collections.values()]
    return await _things(galaxy, refs)


async def _things(galaxy: Galaxy, refs: Iterable[OutputRef]) -> set[Thing]:
    """Return these, and all datasets in those that are collections."""
    found: set[Thing] = set()
    for ref in refs:
        if ref.src == "hdca":
            found.add(("collection", ref.id))
            found |= await _leaves(galaxy, CollectionId(ref.id))
        else:
            found.add(("dataset", ref.id))
    return found


async def _leaves(galaxy: Galaxy, collection: CollectionId) -> set[Thing]:
    try:
        facts = await galaxy.collections.get(collection)
    except NotThere:
        return set()
    return {("dataset", str(leaf.dataset_id)) for _, leaf in facts.leaves() if leaf.dataset_id}
