"""The one view of what stands how: behind `status`, `show`, their JSON, live progress and the page.

Reads rows and nothing else; never shows a session id or a key. The shape of `status_report` is a contract (README,
"status --json").
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from watcher.model import Stage, Status
from watcher.results import weakest
from watcher.rows import Batch, Dataset, DeliveredFile, DeliveryRow, Obstacle, Removal, Unit, Watch
from watcher.stages.chain import current_invocations
from watcher.stages.library import FOLDER
from watcher.stages.removal import told
from watcher.stages.rooms import Progress
from watcher.stages.settle import OVERDUE
from watcher.store.store import Store


async def status_report(
    store: Store, urls: Mapping[str, str], *, progress: Progress | None = None, unit_id: str = ""
) -> dict[str, Any]:
    """Return every unit with its batches, the open obstacles and the watches; `urls` maps account names to Galaxy
    addresses.
    """
    units = [unit for unit in await store.units() if not unit_id or unit.id == unit_id]
    return {
        "units": [await _unit(store, unit, urls, progress) for unit in units],
        "obstacles": [_obstacle(obstacle) for obstacle in await store.obstacles(open_only=True)],
        "watches": [_watch(watch) for watch in await store.watches()],
    }


async def _unit(store: Store, unit: Unit, urls: Mapping[str, str], progress: Progress | None) -> dict[str, Any]:
    is_waiting = (unit.stage, unit.status) == (Stage.SETTLE, Status.WAITING)
    return {
        "id": unit.id,
        "watch": unit.watch,
        "layout": unit.layout,
        "run": unit.run,
        "unit": unit.unit,
        "version": unit.unit_version,
        "replaces": unit.replaces,
        "path": unit.path,
        "stage": str(unit.stage),
        "status": str(unit.status),
        "code": unit.code,
        "reason": unit.reason,
        "hint": unit.hint,
        "since": _time(unit.stage_since),
        "late": [{"path": path, "what": what} for path, what in unit.more.get("late", [])],
        "overdue": unit.more.get(OVERDUE, "") if is_waiting else "",
        "predicates": unit.more.get("predicates", []),
        "sheet": unit.more.get("sheet"),
        "source": _source(await store.removal(unit.id)),
        "batches": [await _batch(store, batch, urls, progress) for batch in await store.batches(unit.id)],
    }


def _source(row: Removal | None) -> dict[str, Any] | None:
    """Return what becomes of the run folder; None when it stays as it is."""
    if row is None:
        return None
    return {
        "action": row.action, "target": row.target, "due": _time(row.due_at), "status": str(row.status),
        "code": row.code, "reason": told(row), "done": _time(row.receipt_at),
    }  # fmt: skip


async def _batch(store: Store, batch: Batch, urls: Mapping[str, str], progress: Progress | None) -> dict[str, Any]:
    datasets = await store.datasets(batch.id)
    objects = {row.key: row for row in await store.galaxy_objects(batch.id)}
    history, folder = objects.get("history"), objects.get(FOLDER)
    url = urls.get(batch.plan.galaxy, "")
    live = progress.sent_bytes.get(batch.id, {}) if progress else {}
    names = {workflow.key: workflow.ref for workflow in batch.plan.workflows}
    results: dict[str, list[DeliveredFile]] = defaultdict(list)
    for file in await store.delivered_files(batch.id):
        results[file.delivery_key].append(file)
    return {
        "id": batch.id,
        "rule": batch.rule,
        "stage": str(batch.stage),
        "status": str(batch.status),
        "code": batch.code,
        "reason": batch.reason,
        "hint": batch.hint,
        "since": _time(batch.stage_since),
        "bytes_total": sum(planned.size for planned in batch.plan.datasets),
        "bytes_done": sum(_done_bytes(row, live) for row in datasets),
        "bytes_fetched": sum(progress.fetched_bytes.get(batch.id, {}).values()) if progress else 0,
        "datasets_total": len(batch.plan.datasets),
        "datasets_done": sum(bool(row.checked) for row in datasets),
        "checked": _checked(datasets, len(batch.plan.datasets)),
        "library": batch.plan.library.path if batch.plan.library else "",
        "library_url": f"{url}/libraries/folders/{folder.galaxy_id}" if folder and folder.galaxy_id and url else "",
        "history": batch.plan.history if batch.plan.needs_history else "",
        "history_url": f"{url}/histories/view?id={history.galaxy_id}" if history and history.galaxy_id and url else "",
        "invocations": [
            {
                "id": row.galaxy_id,
                "key": row.key,
                "attempt": row.number,
                "workflow": names.get(row.key, row.key),
                "url": f"{url}/workflows/invocations/{row.galaxy_id}" if url and row.galaxy_id else "",
                "state": row.state,
                "status": str(row.status),
                "code": row.code,
                "reason": row.reason,
                "jobs": dict(row.counts),
                "samples_not_good": dict(row.samples),
            }
            for row in current_invocations(await store.invocations(batch.id))
        ],
        "deliveries": [
            {
                "target": row.target, "status": str(row.status), "reason": row.reason,
                "checked": _checked_results(row, results.get(row.key, [])),
            }
            for row in _deliveries(batch, await store.deliveries(batch.id))
        ],
    }  # fmt: skip


def _deliveries(batch: Batch, begun: list[DeliveryRow]) -> list[DeliveryRow]:
    """Return every delivery of the plan in its order: as it stands, or as it is still to come."""
    rows = {row.key: row for row in begun}
    to_come = Status.CANCELLED if batch.status is Status.CANCELLED else Status.READY
    return [
        rows.get(planned.key) or DeliveryRow(batch.id, planned.key, planned.target, planned.on, to_come)
        for planned in batch.plan.deliveries
    ]


def _done_bytes(row: Dataset, live: Mapping[str, int]) -> int:
    if row.sent_at or row.galaxy_id or row.item_id:
        return row.size
    return max(row.offset, live.get(row.key, 0))


def _checked(datasets: list[Dataset], expected: int) -> str:
    """Return the weakest check of the batch; nothing while one dataset is unchecked."""
    if not datasets or len(datasets) < expected:
        return ""
    return weakest(row.checked for row in datasets)


def _checked_results(row: DeliveryRow, files: list[DeliveredFile]) -> str:
    """Return the weakest check of a delivery; nothing until it is done."""
    return weakest(file.checked for file in files) if row.status is Status.DONE else ""


def _obstacle(obstacle: Obstacle) -> dict[str, Any]:
    return {
        "key": obstacle.key,
        "kind": obstacle.kind,
        "subject": obstacle.subject,
        "reason": obstacle.reason,
        "hint": obstacle.hint,
        "since": _time(obstacle.since),
    }


def _watch(watch: Watch) -> dict[str, Any]:
    return {
        "name": watch.name,
        "status": str(watch.status),
        "code": watch.code,
        "reason": watch.reason,
        "last_look": _time(watch.last_look_at),
        "blind_since": _time(watch.blind_since),
        "left_out": [{"path": path, "reason": reason} for path, reason in watch.more.get("left_out", [])],
        "left_out_more": watch.more.get("left_out_more", 0),
    }


def _time(moment: datetime | None) -> str | None:
    return moment.isoformat(timespec="seconds") if moment else None


async def show_report(
    store: Store, urls: Mapping[str, str], wanted: str, *, journal_lines: int = 200
) -> dict[str, Any] | None:
    """Return all that is known of one unit (or of the unit of a batch): its status, files, datasets and journal."""
    unit_id = wanted.split("-", 1)[0]
    unit = await store.unit(unit_id)
    if unit is None:
        return None
    report: dict[str, Any] = (await status_report(store, urls, unit_id=unit_id))["units"][0]
    report["files"] = [
        {"path": row.path, "size": row.size, "sha256": row.sha256, "unchanged_s": round(row.unchanged_s, 1)}
        for row in await store.source_files(unit_id)
    ]
    for batch in report["batches"]:
        batch["datasets"] = [
            {
                "name": row.name, "ext": row.ext, "size": row.size, "sha256": row.sha256, "records": row.records,
                "checked": row.checked, "galaxy_id": row.galaxy_id, "item_id": row.item_id,
                "version_id": row.version_id, "status": str(row.status), "reason": row.reason,
            }
            for row in await store.datasets(batch["id"])
        ]  # fmt: skip
        batch["attempts"] = [
            {
                "key": row.key, "number": row.number, "id": row.galaxy_id, "status": str(row.status),
                "reason": row.reason, "started": _time(row.receipt_at), "request_id": row.request_id,
                "run_again_by_hand": dict(row.replaced),
            }
            for row in await store.invocations(batch["id"])
        ]  # fmt: skip
        batch["records"] = [
            {
                "key": row.key, "number": row.number, "made": _time(row.made_at), "report": row.report,
                "steps": [dict(step) for step in row.steps],
            }
            for row in await store.invocation_records(batch["id"])
        ]  # fmt: skip
        batch["results"] = [
            {
                "path": row.path,
                "size": row.size,
                "sha256": row.sha256,
                "checked": row.checked,
                "status": str(row.status),
            }
            for row in await store.delivered_files(batch["id"])
        ]
    report["left_out"] = unit.more.get("left_out", [])
    report["remarks"] = unit.more.get("remarks", [])
    report["journal"] = [
        {"at": _time(line.at), "actor": line.actor, "event": line.event, "batch": line.batch_id, "text": line.text}
        for line in await store.journal_of(unit_id, journal_lines)
    ]
    return report


def counts_by_status(units: list[Unit]) -> dict[str, int]:
    """Return how many units stand how."""
    return {str(status): sum(unit.status is status for unit in units) for status in Status}
