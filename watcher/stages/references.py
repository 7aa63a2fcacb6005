"""Data that was there before and goes into a workflow: a reference genome in a history of the account or in a library,
found by the name that a rule gives it, or by its id.

Reads only, and tells every problem at once. Found when a plan is made, whose `references` are then fixed; looked at
again before the first byte is sent and before a workflow starts, and by `check`. Whose input it is knows
`workflow_fit.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from watcher.errors import Forbidden, GalaxyBroken, NotThere, Refused
from watcher.galaxy import Galaxy
from watcher.galaxy.bind import is_reference
from watcher.model import CollectionId, DatasetId, FolderId, LibraryItemId, PlannedReference
from watcher.stages.unknown import Problem, near

T = TypeVar("T")

UNSEEN = (Forbidden, NotThere, Refused)
"""How Galaxy answers for what is not there, is somebody else's, or is no id."""

LIBRARY_ITEM = "ld"
"""Galaxy's word for a file of a library, of which it takes the newest version."""


@dataclass(frozen=True, slots=True)
class Reference:
    """What was found; `exts` are those of the dataset, or of a collection's elements, as far as Galaxy tells them."""

    planned: PlannedReference
    exts: tuple[str, ...] = ()
    collection_type: str = ""


class _Wrong(Exception):
    """It cannot be used."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.problem = Problem(message, hint)


async def find_references(
    galaxy: Galaxy, inputs: Mapping[str, Any], fixed: Mapping[str, PlannedReference] | None = None
) -> tuple[dict[str, Reference], list[Problem]]:
    """Return what every input that names data of before would get, and what is wrong with the others.

    `fixed` are those of a plan: they are looked at again, and never become another one.
    """
    found: dict[str, Reference] = {}
    problems: list[Problem] = []
    for key, value in inputs.items():
        if not is_reference(value):
            continue
        try:
            known = (fixed or {}).get(key)
            found[key] = await (_find(galaxy, value) if known is None else _again(galaxy, value, known))
        except _Wrong as wrong:
            problems.append(Problem(f"Input “{key}”: {wrong.problem.message}", wrong.problem.hint))
    return found, problems


async def _find(galaxy: Galaxy, value: Mapping[str, Any]) -> Reference:
    if "history" in value:
        return await _in_history(galaxy, str(value["history"]), str(value["name"]))
    if "library" in value:
        return await _in_library(galaxy, str(value["library"]), str(value["path"]))
    return await _by_id(galaxy, str(value["src"]), str(value["id"]))


async def _again(galaxy: Galaxy, value: Mapping[str, Any], known: PlannedReference) -> Reference:
    """Return the one that the plan names, whatever else has its name by now."""
    if known.src != "ldda" or "library" not in value:
        return await _by_id(galaxy, known.src, known.id)
    found = await _in_library(galaxy, str(value["library"]), str(value["path"]))
    if found.planned.id != known.id:
        raise _Wrong(
            f"`{known.name}` in the libraries has another version since it was planned.",
            "A new plan takes what is there now.",
        )
    return found


async def _in_history(galaxy: Galaxy, ref: str, name: str) -> Reference:
    histories = await galaxy.offers.histories(ref)
    if len(histories) > 1:
        ids = ", ".join(row.id for row in histories)
        raise _Wrong(
            f"{len(histories)} histories of the account are called `{ref}`.", f"Name the one you mean by its id: {ids}."
        )
    if not histories:
        hint = near(ref, await galaxy.offers.history_names())
        raise _Wrong(f"the account has no history `{ref}` that is neither deleted nor archived.", hint)
    rows = [row for row in await galaxy.histories.contents(histories[0].id) if not row.deleted and row.visible]
    named = [row for row in rows if row.name == name]
    good = [row for row in named if row.state == "ok"]
    where = f"history `{histories[0].name}`"
    if len(good) > 1:
        ids = ", ".join(f"{{src: {'hda' if row.kind == 'dataset' else 'hdca'}, id: {row.id}}}" for row in good)
        raise _Wrong(f"{where} has {len(good)} good `{name}`: nobody can tell which one is meant.", f"Write {ids}.")
    if not good and named:
        states = ", ".join(row.state for row in named)
        raise _Wrong(f"`{name}` in {where} is not good ({states}).", "Put a good one there, or wait until it is ready.")
    if not good:
        hint = near(name, [row.name for row in rows]) or "Put it there, or name another history."
        raise _Wrong(f"{where} has no dataset or collection `{name}`.", hint)
    if good[0].kind == "collection":
        return await _collection(galaxy, good[0].id)
    return Reference(PlannedReference(src="hda", id=good[0].id, name=name), (good[0].ext,))


async def _in_library(galaxy: Galaxy, name: str, path: str) -> Reference:
    """Go down the folders; what the account may not read, Galaxy does not list."""
    found = await galaxy.libraries.find(name)
    if not found:
        raise _Wrong(
            f"there is no library `{name}` that the account may see.", near(name, await galaxy.libraries.names())
        )
    library = _only(found, f"libraries `{name}`")
    *folders, file = [part for part in path.split("/") if part]
    folder, way = library.root_folder_id, name
    for part in folders:
        below = await galaxy.libraries.folders(folder)
        same = [one for one in below if one.name == part]
        if not same:
            raise _Wrong(f"`{way}` of the libraries has no folder `{part}`.", near(part, [one.name for one in below]))
        folder, way = _only(same, f"folders `{way}/{part}`").id, f"{way}/{part}"
    return await _item(galaxy, folder, way, file)


async def _item(galaxy: Galaxy, folder: FolderId, way: str, file: str) -> Reference:
    items = await galaxy.libraries.items(folder, name=file)
    if not items:
        names = [item.name for item in await galaxy.libraries.items(folder)]
        hint = near(file, names) or "The account has to be allowed to read it; else Galaxy does not show it."
        raise _Wrong(f"`{way}` of the libraries has no file `{file}` that the account may see.", hint)
    item = _only([one for one in items if one.state == "ok"] or items, f"files `{way}/{file}`")
    if item.state != "ok":
        raise _Wrong(f"`{way}/{file}` of the libraries is not good ({item.state}).", "Put a good one there.")
    planned = PlannedReference(src="ldda", id=item.version_id, name=f"{way}/{file}")
    return Reference(planned, (item.ext,) if item.ext else ())


def _only(found: Sequence[T], what: str) -> T:
    if len(found) > 1:
        raise _Wrong(
            f"Galaxy has {len(found)} {what}: nobody can tell which one is meant.",
            "Rename or delete all but one of them in Galaxy, or write {src: ld, id: …}.",
        )
    return found[0]


async def _by_id(galaxy: Galaxy, src: str, id: str) -> Reference:
    look: Mapping[str, Callable[[Galaxy, str], Any]] = {
        "hda": _dataset, "hdca": _collection, "ldda": _version, LIBRARY_ITEM: _by_item,
    }  # fmt: skip
    try:
        found: Reference = await look[src](galaxy, id)
    except UNSEEN:
        raise _Wrong(
            f"there is nothing with the id {id} ({src}) that the account may read.",
            "Ids differ between servers; name it by its history or library, or let its owner share it.",
        ) from None
    return found


async def _dataset(galaxy: Galaxy, id: str) -> Reference:
    facts = await galaxy.datasets.get(DatasetId(id))
    _refuse(facts.name, facts.state, is_deleted=facts.deleted or facts.purged)
    return Reference(PlannedReference(src="hda", id=id, name=facts.name), (facts.ext,))


async def _collection(galaxy: Galaxy, id: str) -> Reference:
    facts = await galaxy.collections.get(CollectionId(id))
    leaves = [leaf for _, leaf in facts.leaves()]
    states = [facts.populated, *(leaf.state for leaf in leaves if leaf.dataset_id)]
    _refuse(facts.name, next((state for state in states if state != "ok"), "ok"), is_deleted=facts.deleted)
    exts = tuple(sorted({leaf.ext for leaf in leaves if leaf.ext}))
    return Reference(PlannedReference(src="hdca", id=id, name=facts.name), exts, facts.type)


async def _by_item(galaxy: Galaxy, id: str) -> Reference:
    facts = await galaxy.libraries.item(LibraryItemId(id))
    _refuse(facts.name, facts.state, is_deleted=facts.deleted)
    return Reference(PlannedReference(src="ldda", id=facts.version_id, name=facts.name), (facts.ext,))


async def _version(galaxy: Galaxy, id: str) -> Reference:
    try:
        facts = await galaxy.libraries.version(DatasetId(id))
    except GalaxyBroken:  # a real 26.1.2 fails at some that are good, and tells when the workflow starts
        return Reference(PlannedReference(src="ldda", id=id, name=f"ldda {id}"))
    _refuse(facts.name, facts.state, is_deleted=facts.deleted)
    return Reference(PlannedReference(src="ldda", id=id, name=facts.name), (facts.ext,) if facts.ext else ())


def _refuse(name: str, state: str, *, is_deleted: bool) -> None:
    if is_deleted:
        raise _Wrong(f"`{name}` is deleted in Galaxy.", "Undelete it there, or name another one.")
    if state != "ok":
        raise _Wrong(f"`{name}` is not good ({state}).", "Put a good one there, or wait until it is ready.")
