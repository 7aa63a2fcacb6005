"""The `plan` command's view: what the watcher would do with what lies at a path, without a row, and without writing
anything. Which units those are is found out in `units_at.py`.

It asks the same questions as the stages, through the same functions (`stages/looking.py`, `cut.py`), so that what
it shows is what would happen. It needs no configuration (one batch with all samples, rule null), no Galaxy and no
state; where there is one, ids, versions and times come from its rows (`remembered.py`). The shape of the report is a
contract: `plan.schema.json`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from watcher.clock import Clock
from watcher.config import Settings, WatchSettings
from watcher.disk.reader import FileReader
from watcher.disk.threads import DiskThreads
from watcher.errors import WatcherError
from watcher.model import LeftOut, Plan, PlannedElement, Sample, Status
from watcher.runs.collecting import collection
from watcher.runs.grouping import datasets
from watcher.runs.integrity import ContentPass, check_pair, kind_of
from watcher.runs.layout import FoundUnit, UnitView
from watcher.runs.manifests import expected_checksums
from watcher.runs.since import since_when
from watcher.service.remembered import told_predicates
from watcher.service.units_at import Looked, UnitAt, inside, look_into, units_at
from watcher.stages.cut import cut
from watcher.stages.looking import problems_of
from watcher.stages.pace import rate_text, waits_for_hours


async def preview(
    path: Path,
    settings: Settings | None,
    *,
    layout: str = "",
    content: bool = False,
    assume_quiet: bool = False,
    clock: Clock | None = None,
) -> dict[str, Any]:
    """Return the units at, below or around a path; structure only unless `content`."""

    async def tell(found: UnitAt) -> dict[str, Any]:
        return await _unit(found, content, assume_quiet)

    return await units_at(path, settings, tell, layout=layout, clock=clock)


async def _unit(at: UnitAt, content: bool, assume_quiet: bool) -> dict[str, Any]:
    looked = await look_into(at, assume_quiet=assume_quiet)
    view, judgement, found, settings = looked.view, looked.judgement, at.found, at.settings
    reasons: list[str] = []
    remarks: list[str] = []
    batches: list[dict[str, Any]] = []
    left_out = list(judgement.left_out)
    status, reasons = looked.verdict()
    if status in (Status.READY, Status.WAITING):
        problems, _, grouping = await problems_of(at.threads, view)
        if grouping is not None:
            left_out += [left for left in grouping.left_out if left not in left_out]
            remarks = [remark.message for remark in grouping.remarks]
            try:
                batches, unmatched = _batches(looked, grouping.samples)
                left_out += [
                    LeftOut(file.path, f"no rule takes {sample.name}") for sample in unmatched for file in sample.files
                ]
                if unmatched and settings and settings.unmatched == "hold":
                    problems.append(f"No rule takes {', '.join(sample.name for sample in unmatched)}.")
            except WatcherError as error:
                problems.append(str(error))
            if content and judgement.complete and not problems:
                problems += await _content_problems(at.threads, view, grouping.samples)
        if judgement.complete and not problems and not batches:
            problems.append("There is nothing to upload in it.")
        if judgement.complete and problems:
            status, reasons = Status.HELD, problems
    if batches and settings and at.watch:
        remarks += _pace(settings, at.watch, batches, at.clock)
    if judgement.overdue:
        remarks.append(f"{judgement.overdue[0].upper()}{judgement.overdue[1:]}.")
    return {
        **looked.told(),
        "status": str(status),
        "reasons": [*reasons, *remarks],
        "sheet": view.sheet.told(str(at.place.root)),
        "predicates": told_predicates(judgement.predicates, since_when(view, judgement.predicates), looked.row),
        "left_out": [{"path": inside(left.path, found), "reason": left.reason} for left in left_out],
        "batches": batches,
    }


def _pace(settings: Settings, watch: WatchSettings, batches: Sequence[Mapping[str, Any]], clock: Clock) -> list[str]:
    """Say what the hours and the bandwidth of the watch mean for what is to be sent."""
    remarks, hours, now = [], settings.hours_of(watch.name), clock.now()
    if not hours.is_open(now) and (opens_at := hours.next_change(now)):
        remarks.append(waits_for_hours(watch.name, hours, opens_at))
    if watch.bandwidth:
        files = [file for batch in batches for sample in batch["samples"] for file in sample["files"]]
        least = timedelta(seconds=sum(file["size"] for file in files) // watch.bandwidth)
        remarks.append(
            f"At {rate_text(watch.bandwidth)}, the bandwidth of watch `{watch.name}`, it takes {least} or more."
        )
    return remarks


def _batches(looked: Looked, samples: Sequence[Sample]) -> tuple[list[dict[str, Any]], list[Sample]]:
    at, facts = looked.at, looked.facts()
    if at.settings is None or at.watch is None:
        if not samples:
            return [], []
        planned = datasets(samples)
        alone = Plan(
            rule="",
            watch="",
            galaxy="",
            run=facts.run,
            unit=facts.unit,
            path=facts.path,
            samples=tuple(samples),
            datasets=planned,
            collection=collection("auto", facts.run, samples, planned),
        )
        return [_batch(alone, at.found, None)], []
    plans, unmatched = cut(at.settings, facts, samples)
    return [_batch(planned, at.found, planned.rule) for planned in plans.values()], unmatched


def _as_configured(watch: WatchSettings, path: Path) -> str:
    """Return a path below the watch as the daemon spells it: through the links that lead to the watch."""
    root = watch.path.resolve()
    return str(watch.path / path.relative_to(root) if path.is_relative_to(root) else path)


def _batch(planned: Plan, found: FoundUnit, rule: str | None) -> dict[str, Any]:
    made = planned.collection
    return {
        "rule": rule,
        "samples": [
            {
                "name": sample.name,
                "project": sample.project,
                "files": [
                    {"path": inside(file.path, found), "read": file.read, "lane": file.lane, "size": file.size}
                    for file in sample.files
                ],
            }
            for sample in planned.samples
        ],
        "datasets": [
            {"name": one.name, "folder": one.folder, "ext": one.ext, "dbkey": one.dbkey, "size": one.size}
            for one in planned.datasets
        ],
        "destination": _destination(planned) if rule else None,
        "collection": {
            "type": made.type,
            "name": made.name,
            "elements": [_element(planned, one) for one in made.elements],
        }
        if made
        else None,
        "workflow": [
            {"key": one.key, "ref": one.ref, "after": list(one.after), "inputs": {**one.inputs, **one.cells}}
            for one in planned.workflows
        ]
        or None,
        "deliveries": [
            {
                "target": one.target,
                "outputs": [f"{one.export}.{one.format}"] if one.export else list(one.outputs),
                "on": one.on,
                "may_fail": one.may_fail,
                **({"names": dict(one.names)} if one.names else {}),
            }
            for one in planned.deliveries
        ],
    }


def _destination(planned: Plan) -> dict[str, Any]:
    library = planned.library
    return {
        "galaxy": planned.galaxy,
        "history": planned.history if planned.needs_history else None,
        "library": {"name": library.name, "folder": "/".join(library.folder)} if library else None,
        "transfer": planned.transfer,
        "content": planned.content,
        "readback": planned.readback,
    }


def _element(planned: Plan, element: PlannedElement) -> dict[str, Any]:
    if element.dataset:
        name = next(dataset.name for dataset in planned.datasets if dataset.key == element.dataset)
        return {"name": element.name, "dataset": name}
    return {"name": element.name, "elements": [_element(planned, inner) for inner in element.elements]}


async def _content_problems(threads: DiskThreads, view: UnitView, samples: Sequence[Sample]) -> list[str]:
    """Read every selected file through, as an upload would."""
    reader = FileReader(threads)
    root, known = Path(view.listing.root), expected_checksums(view)
    problems: list[str] = []
    for sample in samples:
        facts = {}
        for file in sample.files:
            content = ContentPass(file.path, kind_of(file.path), dict(known.get(file.path, ())))
            try:
                await reader.inspect_prefix(
                    root, file.path, file.size, content.feed, expect=view.listing.entries[file.path]
                )
                facts[file.lane, file.read] = (content.finish(), file.path)
            except WatcherError as error:
                problems.append(error.message)
        for lane, read in list(facts):
            if read == "R1" and (lane, "R2") in facts:
                first, second = facts[lane, "R1"], facts[lane, "R2"]
                try:
                    check_pair(first[0], second[0], (first[1], second[1]))
                except WatcherError as error:
                    problems.append(error.message)
    return problems
