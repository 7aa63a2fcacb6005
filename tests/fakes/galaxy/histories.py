"""Routes of histories and their contents."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from starlette.responses import JSONResponse, Response

from tests.fakes.galaxy.account_state import User
from tests.fakes.galaxy.data_answers import (
    collection_detail,
    collection_summary,
    dataset_detail,
    dataset_summary,
    history_detail,
    history_summary,
    listed_collection,
    only,
)
from tests.fakes.galaxy.filters import chosen, ordered, page
from tests.fakes.galaxy.state import History, World, now_text
from tests.fakes.galaxy.tags import checked
from tests.fakes.galaxy.web import Call, Refusal, route

Json = dict[str, Any]


def purge_dataset(world: World, number: int) -> None:
    """Delete a dataset; its bytes go when no other history holds them."""
    dataset = world.datasets[number]
    dataset.deleted = dataset.purged = True
    dataset.update_time = now_text()
    file = dataset.file
    held = world.shelf.holds(file) or any(one.file is file and not one.purged for one in world.datasets.values())
    if file.path and not held:
        file.path.unlink(missing_ok=True)


def delete_history(world: World, history: History, *, purge: bool) -> None:
    """Delete a history, for good when `purge`."""
    history.deleted, history.purged, history.update_time = True, history.purged or purge, now_text()
    if purge:
        for kind, number in history.contents:
            if kind == "dataset":
                purge_dataset(world, number)


def shown_history(call: Call, history: History) -> Json:
    """Give a history as the request asks for it."""
    keys = call.keys()
    if call.query("view") == "summary":
        return only(history_summary(call.world, history), keys)
    return only(history_detail(call.world, history), keys)


def list_histories(call: Call) -> list[Json]:
    """List the caller's histories, newest change first; deleted ones only when asked for by name."""
    if call.user is None:
        return []
    wants_deleted = call.flag("deleted") or ("deleted", "eq", "True") in call.filters()
    rows = [
        row for row in call.world.histories.values() if row.user == call.user.number and row.deleted is wants_deleted
    ]
    rows = [row for row in rows if not row.archived]
    detailed = call.query("view") == "detailed"
    keys = call.keys()
    if not call.filters():
        rows.sort(key=lambda row: row.update_time, reverse=True)
        return [_listed(call.world, row, keys, detailed=detailed) for row in page(rows, call)]
    summaries = {
        row["id"]: row
        for row in ({**history_summary(call.world, r), "n": r.number, "create_time": r.create_time} for r in rows)
    }
    passed = page(ordered(chosen(summaries.values(), call), call, "update_time"), call)
    return [_listed(call.world, call.world.histories[row["n"]], keys, detailed=detailed) for row in passed]


def _listed(world: World, history: History, keys: list[str], *, detailed: bool) -> Json:
    wants_detail = detailed or bool(set(keys) - set(history_summary(world, history)))
    return only(history_detail(world, history) if wants_detail else history_summary(world, history), keys)


def make_history(call: Call) -> Json:
    """Make a history; tags and annotation in the request are ignored, as Galaxy does."""
    user = call.need_user("You need to be logged in to create histories.")
    history = call.world.add_history(user, str(call.body.get("name") or "Unnamed history"))
    return shown_history(call, history)


def show_history(call: Call) -> Json:
    """Show one history."""
    return shown_history(call, call.history(call.path["history"]))


def _changeable(call: Call) -> History:
    """Find a history of the caller that is not in the archive: there it can neither be marked nor deleted."""
    history = call.history(call.path["history"], own=True)
    if history.archived:
        raise Refusal(403, 403003, "History is immutable")
    return history


def archive_history(call: Call) -> Json:
    """Put a history into the archive, once; a deleted one as well."""
    history = call.history(call.path["history"], own=True)
    if history.archived:
        raise Refusal(409, 409001, "History is already archived.")
    history.archived, history.update_time = True, now_text()
    return shown_history(call, history)


def restore_history(call: Call) -> Json:
    """Take a history out of the archive."""
    history = call.history(call.path["history"], own=True)
    history.archived, history.update_time = False, now_text()
    return shown_history(call, history)


def change_history(call: Call) -> Json:
    """Change name, tags, annotation or the deleted mark; unknown keys are ignored."""
    history = _changeable(call)
    if "tags" in call.body:
        history.tags = checked(call.body["tags"], call.world.behaviour)
    for name in ("name", "annotation", "deleted"):
        if name in call.body:
            setattr(history, name, call.body[name])
    history.update_time = now_text()
    return shown_history(call, history)


def remove_history(call: Call) -> Json:
    """Delete or purge a history."""
    history = _changeable(call)
    purge = call.flag("purge") or bool(call.body.get("purge"))
    delete_history(call.world, history, purge=purge)
    answer = shown_history(call, history)
    if purge and not call.keys():
        answer["purge_task"] = {"id": str(uuid4()), "ignored": False, "name": None, "queue": None}
    return answer


def undelete_history(call: Call) -> Json:
    """Take a history out of the bin."""
    history = call.history(call.path["history"], own=True)
    history.deleted = False
    return shown_history(call, history)


def content_rows(world: World, history: History, *, dev: bool) -> list[Json]:
    """Give what a history holds, by hid."""
    rows = []
    for kind, number in history.contents:
        if kind == "dataset":
            rows.append(dataset_summary(world.datasets[number], dev=dev))
        else:
            rows.append(collection_summary(world, world.collections[number]))
    return sorted(rows, key=lambda row: int(row["hid"]))


def _enlarged(call: Call, row: Json, keys: list[str], *, detailed: bool) -> Json:
    if not detailed and not set(keys) - set(row):
        return row
    number = call.number(row["id"])
    if row["history_content_type"] == "dataset":
        full = dataset_detail(call.world, call.world.datasets[number])
    else:
        full = collection_detail(call.world, call.world.collections[number])
    return full if detailed else {**row, **{key: full[key] for key in keys if key in full}}


def list_contents(call: Call) -> list[Json]:
    """List a history's contents; `keys` adds to the summary and takes nothing away."""
    history = call.history(call.path["history"])
    dev = call.query("v") == "dev"
    if call.query("ids"):
        # Galaxy decodes these twice and stumbles over its own result.
        number = call.number(call.query("ids").split(",")[0])
        raise Refusal(400, 400009, f"Wrong  id ( {number} ) specified, unable to decode.")
    rows = content_rows(call.world, history, dev=dev)
    if not dev:
        kinds = [kind for kind in (call.query("types") or call.query("type")).split(",") if kind]
        rows = [row for row in rows if not kinds or row["history_content_type"] in kinds]
        for name in ("deleted", "visible"):
            if call.query(name):
                rows = [row for row in rows if row[name] is call.flag(name)]
        return rows
    detailed = call.query("view") == "detailed"
    passed = page(ordered(chosen(rows, call), call, "hid-asc"), call)
    return [_enlarged(call, row, call.keys(), detailed=detailed) for row in passed]


def list_datasets(call: Call) -> Response:
    """List datasets and collections of a history, or of all the caller's, newest first."""
    user: User = call.need_user()
    world = call.world
    if call.query("history_id"):
        histories = [call.history(call.query("history_id"))]
    else:
        histories = [row for row in world.histories.values() if row.user == user.number]
    rows = [row for history in histories for row in content_rows(world, history, dev=False)]
    passed = ordered(chosen(rows, call), call, "create_time")
    detailed = call.query("view") == "detailed"
    shown = [_enlarged(call, row, call.keys(), detailed=detailed) for row in page(passed, call, limit=500)]
    return JSONResponse(shown, headers={"total_matches": str(len(passed))})


def show_content(call: Call) -> Json:
    """Show one dataset of a history."""
    call.history(call.path["history"])
    dataset = call.dataset(call.path["content"])
    return only(dataset_detail(call.world, dataset), call.keys())


def change_dataset(call: Call) -> Json:
    """Change name, tags or marks of a dataset."""
    call.history(call.path["history"], own=True)
    dataset = call.dataset(call.path["content"], own=True)
    for name in ("name", "visible", "deleted"):
        if name in call.body:
            setattr(dataset, name, call.body[name])
    if "tags" in call.body:
        dataset.tags = checked(call.body["tags"], call.world.behaviour)
    dataset.update_time = now_text()
    return dataset_detail(call.world, dataset)


def change_collection(call: Call) -> Json:
    """Change name, tags or marks of a collection; the answer holds only what was changed."""
    call.history(call.path["history"], own=True)
    collection = call.collection(call.path["content"])
    wanted: Json = {name: call.body[name] for name in ("name", "visible", "deleted") if name in call.body}
    if "tags" in call.body:
        wanted["tags"] = checked(call.body["tags"], call.world.behaviour)
    changed = {name: value for name, value in wanted.items() if getattr(collection, name) != value}
    for name, value in changed.items():
        setattr(collection, name, value)
    return changed


def show_collection(call: Call) -> Json:
    """Show one collection of a history."""
    call.history(call.path["history"])
    return listed_collection(call.world, call.collection(call.path["content"]))


ROUTES = [
    route("/api/histories", "GET", list_histories),
    route("/api/histories", "POST", make_history),
    route("/api/histories/deleted/{history}/undelete", "POST", undelete_history),
    route("/api/histories/{history}", "GET", show_history),
    route("/api/histories/{history}", "PUT", change_history),
    route("/api/histories/{history}", "DELETE", remove_history),
    route("/api/histories/{history}/archive", "POST", archive_history),
    route("/api/histories/{history}/archive/restore", "PUT", restore_history),
    route("/api/histories/{history}/contents", "GET", list_contents),
    route("/api/histories/{history}/contents/datasets/{content}", "GET", show_content),
    route("/api/histories/{history}/contents/datasets/{content}", "PUT", change_dataset),
    route("/api/histories/{history}/contents/dataset_collections/{content}", "GET", show_collection),
    route("/api/histories/{history}/contents/dataset_collections/{content}", "PUT", change_collection),
    route("/api/histories/{history}/contents/{content}", "GET", show_content),
    route("/api/histories/{history}/contents/{content}", "PUT", change_dataset),
    route("/api/datasets", "GET", list_datasets),
]
