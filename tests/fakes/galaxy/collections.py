"""Routes of dataset collections: building them from datasets and showing them."""

from __future__ import annotations

from typing import Any

from starlette.responses import PlainTextResponse, Response

from tests.fakes.galaxy.data_answers import collection_detail, dataset_inner
from tests.fakes.galaxy.schedule import copied_tree
from tests.fakes.galaxy.state import History, Tree
from tests.fakes.galaxy.web import Call, Refusal, route

Json = dict[str, Any]


def _build(call: Call, history: History, collection_type: str, identifiers: list[Json], *, copy: bool) -> Tree:
    outer, _, rest = collection_type.partition(":")
    seen: set[str] = set()
    members: list[tuple[str, int | Tree]] = []
    for index, wanted in enumerate(identifiers):
        name = str(wanted.get("name"))
        if name in seen:
            raise Refusal(400, 400008, f"Found duplicated element identifier name {name}.")
        seen.add(name)
        nested = wanted.get("src") == "new_collection"
        if rest and not nested:
            place = f"Element '{name}' of collection type '{collection_type}'"
            raise Refusal(400, 400008, f"{place} must be a sub-collection of type '{rest}', got a dataset.")
        if nested:
            members.append(
                (name, _build(call, history, rest or "list", list(wanted.get("element_identifiers") or []), copy=copy))
            )
            continue
        number = call.number(wanted.get("id"), ("body", "element_identifiers", index, "id"))
        dataset = call.world.datasets.get(number)
        if dataset is None or (dataset.file.private and not call.may_use(dataset.file.user)):
            raise Refusal(404, 404001, "HistoryDatasetAssociation not found")
        if copy:
            dataset = call.world.copy_dataset(dataset, history)
        members.append((name, dataset.number))
    if outer == "paired" and [name for name, _ in members] not in (["forward", "reverse"], ["reverse", "forward"]):
        raise Refusal(400, 400008, "Incorrect number of dataset elements for paired collection type.")
    if outer == "paired_or_unpaired":
        if len(members) not in (1, 2):
            few = "Incorrect number of datasets - 1 or 2 datasets is required to create a paired_or_unpaired collection"
            raise Refusal(400, 400008, few)
        # What is called otherwise is left out without a word.
        named = ("unpaired",) if len(members) == 1 else ("forward", "reverse")
        members = [(name, member) for wanted_name in named for name, member in members if name == wanted_name]
    return call.world.new_tree(collection_type, members)


def make_collection(call: Call) -> Json | Response:
    """Build a collection from datasets that are there, in whatever state; tags in the request are ignored."""
    body = call.body
    missing = [name for name in ("collection_type", "element_identifiers") if body.get(name) is None]
    if missing:
        raise Refusal(400, 400005, f"Missing required parameters {missing!r}")
    collection_type = str(body["collection_type"])
    behaviour = call.world.behaviour
    if "paired_or_unpaired" in collection_type and not behaviour.paired_or_unpaired:
        return PlainTextResponse("Internal Server Error", 500, headers={"connection": "close"})
    history = call.history(body.get("history_id"), own=True)
    tree = _build(
        call, history, collection_type, list(body["element_identifiers"]), copy=bool(body.get("copy_elements", False))
    )
    if body.get("hide_source_items"):
        for number in tree.leaves():
            call.world.datasets[number].visible = False
    collection = call.world.add_collection(history, str(body.get("name") or "Unnamed collection"), tree)
    return collection_detail(call.world, collection)


def copy_within(call: Call, history: History) -> Json:
    """Copy a dataset or collection of a history; name and tags in the request are ignored."""
    world = call.world
    if call.body["source"] == "hda":
        source = call.dataset(call.body["content"])
        dataset = world.copy_dataset(source, history, visible=source.visible)
        return {**dataset_inner(dataset), "history_content_type": "dataset"}
    row = call.collection(call.body["content"])
    tree = copied_tree(world, row.tree, history) if call.body.get("copy_elements", True) else row.tree
    copy = world.add_collection(history, row.name, tree)
    copy.tags, copy.populated_state = list(row.tags), row.populated_state
    return collection_detail(world, copy)


def show_collection(call: Call) -> Json:
    """Show a collection with its elements."""
    return collection_detail(call.world, call.collection(call.path["collection"]))


ROUTES = [
    route("/api/dataset_collections", "POST", make_collection),
    route("/api/dataset_collections/{collection}", "GET", show_collection),
]
