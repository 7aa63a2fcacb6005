"""How samples become batches: what travels together, and what their places are called.

Pure: samples and rules in, plans out. Asked by `plan.py` when a unit is planned and by the `plan` command, which shows
what would be. Which rule takes which sample is found in `choose.py`; what Galaxy says to a plan is the business of
`plan.py`.
"""

from __future__ import annotations

import itertools
import os.path
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from watcher.config import DeliverySettings, RuleSettings, Settings, WatchSettings
from watcher.config.destinations import (
    SHEET,
    LibraryPlace,
    LibrarySettings,
    field_value,
    fields_of,
    fixed_folder,
    fixed_store,
    render,
    render_folder,
    render_url,
    sheet_columns,
)
from watcher.config.finishing import FinishSettings
from watcher.config.galaxies import GalaxySettings
from watcher.config.rules import is_dbkey, is_ext
from watcher.config.ways import server_path
from watcher.config.workflows import WorkflowSettings, column_of
from watcher.errors import PlanError
from watcher.model import (
    Plan,
    PlannedDataset,
    PlannedDelivery,
    PlannedFinish,
    PlannedLibrary,
    PlannedShare,
    PlannedWorkflow,
    Sample,
)
from watcher.rows import Batch
from watcher.runs.collecting import collection
from watcher.runs.filenames import fits
from watcher.runs.grouping import datasets, ext_by_name
from watcher.runs.portions import pair_of
from watcher.runs.sheet_columns import cell_of, shared_cell
from watcher.stages.choose import Facts, verdicts
from watcher.stages.revisions import REPLANNED

GIVEN_UP = (REPLANNED, "superseded")
"""Codes of batches whose plan was given up: they wait for the next revision."""


@dataclass(frozen=True, slots=True)
class Sent:
    """The files that standing batches send: `first` those of rules that take samples first, and each rule's own."""

    first: frozenset[str] = frozenset()
    by_rule: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def of(self, rule: RuleSettings) -> frozenset[str]:
        """Return what a rule does not send again: what it sent itself, and unless it is `also` what any other did."""
        own = self.by_rule.get(rule.name, frozenset())
        return own if rule.also else own | self.first


def cut(
    settings: Settings,
    facts: Facts,
    samples: Sequence[Sample],
    numbers: Mapping[tuple[str, str], int] | None = None,
    sent: Sent | None = None,
) -> tuple[dict[int, Plan], list[Sample]]:
    """Return a plan per batch, by its number, and the samples no rule takes.

    Each sample goes to the first rule that matches it and finds files in it, and to every such rule that is `also`.
    `numbers` are those of an earlier plan (see `part_of`): what was batch 2 stays batch 2, whatever else comes or goes;
    samples whose files are all `sent` already are left out: what was sent is not sent again under another rule.
    """
    taken: dict[tuple[str, str], list[Sample]] = defaultdict(list)
    unmatched: list[Sample] = []
    sent = sent or Sent()
    rules = {rule.name: rule for rule in settings.rules}
    for sample in samples:
        takers = [verdict for verdict in verdicts(settings.rules, facts, sample) if verdict.takes]
        if all(verdict.rule.also for verdict in takers) and not {file.path for file in sample.files} <= sent.first:
            unmatched.append(sample)
        for verdict in takers:
            for one in verdict.portions:
                if not {file.path for file in one.files} <= sent.of(verdict.rule):
                    taken[verdict.rule.name, _part(verdict.rule.per, one)].append(one)
    order = {rule.name: number for number, rule in enumerate(settings.rules)}
    keys = sorted(taken, key=lambda key: (order[key[0]], key[1]))
    given = {key: number for key, number in (numbers or {}).items() if key in taken}
    free = (number for number in itertools.count(1) if number not in (numbers or {}).values())
    numbered = {given[key] if key in given else next(free): key for key in keys}
    return {
        number: _plan(settings, rules[key[0]], facts, taken[key], number) for number, key in sorted(numbered.items())
    }, unmatched


def sent_by(standing: Sequence[Batch]) -> Sent:
    """Return the files that these batches send, as their own plans say who took them."""
    by_rule: dict[str, frozenset[str]] = {}
    first: frozenset[str] = frozenset()
    for batch in standing:
        paths = frozenset(path for dataset in batch.plan.datasets for path in dataset.sources)
        by_rule[batch.plan.rule] = by_rule.get(batch.plan.rule, frozenset()) | paths
        if not batch.plan.rule_text.get("also", False):
            first |= paths
    return Sent(first, by_rule)


def numbers_of(known: Sequence[Batch]) -> dict[tuple[str, str], int]:
    """Return the number of each part whose plan was given up; numbers of standing batches are taken, by nobody's part.

    So a sample that comes later to a part that is done already gets a batch of its own, instead of none.
    """
    latest = {batch.number: batch for batch in sorted(known, key=lambda batch: batch.revision)}
    return {
        part_of(batch.plan) if batch.code in GIVEN_UP else ("", str(number)): number for number, batch in latest.items()
    }


def part_of(planned: Plan) -> tuple[str, str]:
    """Return which rule and which part of the unit a plan is for: what tells the batches of a unit apart."""
    return planned.rule, _part(str(planned.rule_text.get("per", "run")), planned.samples[0])


def _part(per: str, sample: Sample) -> str:
    return {"run": "", "project": sample.project, "sample": f"{sample.project}/{sample.name}"}[per]


def _plan(settings: Settings, rule: RuleSettings, facts: Facts, samples: list[Sample], number: int) -> Plan:
    values = template_values(facts, rule, samples, f"{facts.id}-{number}")
    galaxy = settings.galaxy_of(rule)
    planned = datasets(
        samples,
        joins_lanes=rule.lanes == "concat",
        ext_of=lambda sample, path: _ext(rule, sample, path),
        dbkey_of=lambda sample: _dbkey(rule, sample),
    )
    library = rule.destination.library
    if library is not None:
        planned = _in_library(settings, galaxy, facts, planned, library)
    shape, name = rule.destination.collection, render(rule.destination.collection_name, values)
    if library is not None and shape == "auto" and not rule.workflow:
        shape = "none"  # a collection needs copies in a history, which nobody asked for
    watch = settings.watch(facts.watch)
    return Plan(
        rule=rule.name,
        watch=facts.watch,
        galaxy=galaxy.name,
        run=facts.run,
        unit=facts.unit or ".",
        path=facts.path,
        access=galaxy.access,
        readback=galaxy.readback,
        library=_library(library, values) if library is not None else None,
        transfer=watch.transfer if watch else "tus",
        content=watch.content if watch else "full",
        history=render(rule.destination.existing or rule.destination.history, values),
        existing=render(rule.destination.existing, values),
        annotation=render(rule.destination.annotation, values),
        share=PlannedShare(users=rule.destination.share.users, roles=rule.destination.share.roles),
        tags=tuple(render(tag, values) for tag in rule.tags),
        samples=tuple(samples),
        datasets=planned,
        collection=collection(
            shape, name, samples, planned, pair_of(rule.reads), lambda sample: _element(rule, sample)
        ),
        workflows=tuple(_workflow(one, samples, values) for one in rule.workflow),
        deliveries=tuple(_delivery(delivery, str(place), values) for place, delivery in enumerate(rule.deliver, 1)),
        finish=_finish(rule.finish, facts, values),
        priority=rule.priority,
        rule_text=rule.model_dump(mode="json"),
    )


def _library(asked: LibraryPlace, values: Mapping[str, str]) -> PlannedLibrary:
    return PlannedLibrary(
        name=render(asked.name, values),
        folder=render_folder(asked.folder, values).parts[1:],
        description=render(asked.description, values),
        synopsis=render(asked.synopsis, values),
        access=asked.access,
        manage=asked.manage,
    )


def _in_library(
    settings: Settings,
    galaxy: GalaxySettings,
    facts: Facts,
    planned: Sequence[PlannedDataset],
    library: LibrarySettings,
) -> tuple[PlannedDataset, ...]:
    """Return the datasets with the names and folders that a library's items get, and where Galaxy finds those it
    fetches itself.

    Such an item is called like its file, so files of one name get their folder below that of the batch.
    """
    watch = settings.watch(facts.watch)
    if watch is None or watch.transfer == "tus":
        return _in_their_folders(facts, planned) if library.keep_folders else tuple(planned)
    if joined := next((one for one in planned if len(one.sources) > 1), None):
        raise PlanError(
            f"`{joined.name}` would be joined from {len(joined.sources)} files, which cannot be done with files that"
            f" stay where they are (transfer: {watch.transfer}).",
            hint="Set `transfer: tus` for this watch, or `lanes: merge` in the rule.",
        )
    found = []
    for one in planned:
        known_as = _server_path(settings, watch, galaxy, facts, PurePosixPath(one.sources[0]))
        found.append(one.model_copy(update={"server_path": known_as}))
    if library.keep_folders:
        return _in_their_folders(facts, found)
    counts = Counter(PurePosixPath(one.sources[0]).name for one in planned)
    return tuple(
        _placed(one, source.name, _way(source.parent) if counts[source.name] > 1 else "")
        for one, source in ((one, PurePosixPath(one.sources[0])) for one in found)
    )


def _in_their_folders(facts: Facts, planned: Sequence[PlannedDataset]) -> tuple[PlannedDataset, ...]:
    """Return the datasets in the folders that their files have in the unit, each under its file's own name; what is
    joined from several folders goes where those lie.
    """
    unit = PurePosixPath(facts.unit or ".")
    in_run = [
        PurePosixPath(os.path.commonpath([PurePosixPath(path).parent for path in one.sources])) for one in planned
    ]
    in_unit = [folder.relative_to(unit) if folder.is_relative_to(unit) else folder for folder in in_run]
    own = [PurePosixPath(one.sources[0]).name if len(one.sources) == 1 else one.name for one in planned]
    for folders, names in ((in_unit, own), (in_run, own), (in_run, [one.name for one in planned])):
        if len(set(zip(folders, names, strict=True))) == len(planned):  # a file beside the unit may be another's equal
            break
    return tuple(_placed(one, name, _way(at)) for one, name, at in zip(planned, names, folders, strict=True))


def _placed(one: PlannedDataset, name: str, folder: str) -> PlannedDataset:
    return one.model_copy(update={"name": name, "folder": folder})


def _way(folder: PurePosixPath) -> str:
    return "" if folder == PurePosixPath(".") else str(folder)


def _server_path(
    settings: Settings, watch: WatchSettings, galaxy: GalaxySettings, facts: Facts, source: PurePosixPath
) -> str:
    file = Path(facts.path, source)
    found = server_path(galaxy, watch.transfer, file)
    if found is None:
        raise PlanError(
            f"Galaxy {galaxy.name} does not see {file} (transfer: {watch.transfer}).",
            hint=f"Correct `paths` or the import folder of {galaxy.name}, or set `transfer: tus`.",
        )
    if "\n" in found or found != found.strip():  # paths are told line by line
        raise PlanError(
            f"Galaxy cannot be told the path {file!r}: it begins or ends with a blank, or holds a line break.",
            hint="Rename it, or set `transfer: tus`.",
        )
    return found


def workflow_as_asked(asked: WorkflowSettings) -> PlannedWorkflow:
    """Return a workflow as a rule names it, before there are samples: cells of the sheet and templates are empty."""
    return PlannedWorkflow(
        key=asked.key,
        ref=asked.ref,
        by=asked.by,
        version=asked.version,
        trs=(asked.trs.id, asked.trs.version, asked.trs.server) if asked.trs else ("", "", ""),
        after=asked.waits_for,
        inputs=asked.values,
        cells=dict.fromkeys(asked.columns, ""),
        steps=asked.steps,
        use_cached_job=asked.use_cached_job,
        upgrades=asked.upgrades,
        may_fail=asked.may_fail,
        min_ok=asked.min_ok,
        retries=asked.retries,
        reviews=asked.reviews,
        stuck_after_s=asked.stuck_after.total_seconds(),
    )


def _workflow(asked: WorkflowSettings, samples: Sequence[Sample], values: Mapping[str, str]) -> PlannedWorkflow:
    cells = {label: shared_cell(samples, column) for label, column in asked.columns.items()}
    replacements = {word: render(template, values) for word, template in asked.replacements.items()}
    return workflow_as_asked(asked).model_copy(update={"cells": cells, "replacements": replacements})


def _ext(rule: RuleSettings, sample: Sample, path: str) -> str:
    """Return the extension of a file: that of the rule's first pattern that fits, else what its name means."""
    wanted = next((ext for pattern, ext in rule.ext.items() if fits(path, (pattern,))), "")
    return _cell_or(wanted, sample, is_ext, "extension") or ext_by_name(sample, path)


def _dbkey(rule: RuleSettings, sample: Sample) -> str:
    return _cell_or(rule.dbkey, sample, is_dbkey, "dbkey")


def _cell_or(written: str, sample: Sample, is_one: Callable[[str], bool], what: str) -> str:
    """Return what is written, or what the sample's cell says where that is a column; PlanError when that cannot be."""
    column = column_of(written)
    if not column:
        return written
    cell = cell_of(sample, column).strip()
    if not is_one(cell):
        raise PlanError(
            f"Column {column} of the sample sheet says `{cell[:60]}` of sample {sample.name}, which is no {what}.",
            hint="Correct the cell, or name another column in the rule.",
        )
    return cell


def _element(rule: RuleSettings, sample: Sample) -> str:
    """Return what a sample is called in its collection."""
    template = rule.destination.element
    cells = {SHEET + column: cell_of(sample, column) for column in sheet_columns(template)}
    return render(template, {"sample": sample.name, "project": sample.project, **cells})


def _delivery(delivery: DeliverySettings, key: str, values: Mapping[str, str]) -> PlannedDelivery:
    return PlannedDelivery(
        key=key,
        **_place_of(delivery, values),
        outputs=delivery.outputs,
        names=tuple(delivery.names.items()),
        name_values={
            field: field_value(field, values)
            for template in delivery.names.values()
            for field in fields_of(template)
            if field in values
        },
        on_clash=delivery.on_clash,
        on=delivery.on,
        may_fail=delivery.may_fail,
        owner=delivery.owner or "",
        group=delivery.group or "",
        mode=delivery.mode,
        folder_mode=delivery.folder_mode,
        marker=delivery.marker,
        beside=delivery.ours_beside,
        export=delivery.export or "",
        format=delivery.archive_format,
    )


def _place_of(delivery: DeliverySettings, values: Mapping[str, str]) -> dict[str, Any]:
    if delivery.library is not None:
        return {"library": _library(delivery.library, values)}
    if cloud := delivery.cloud:
        return {"bucket": cloud.bucket, "authz_id": cloud.authz_id, "overwrite": cloud.overwrite}
    if delivery.url:
        return {"url": render_url(delivery.url, values), "base": fixed_store(delivery.url)}
    folder = delivery.folder or ""
    return {"folder": str(render_folder(folder, values)), "base": str(fixed_folder(folder))}


def _finish(asked: FinishSettings, facts: Facts, values: Mapping[str, str]) -> PlannedFinish:
    """Return what becomes of the run at the end; a part of a run keeps its place in it unless the template tells."""
    archive = render_folder(asked.archive, values) if asked.archive else None
    if archive and facts.unit and "unit" not in fields_of(asked.archive or ""):
        archive = render_folder(f"{asked.archive}/{{unit}}", values)
    return PlannedFinish(
        source=asked.source,
        archive=str(archive or ""),
        base=str(fixed_folder(asked.archive)) if asked.archive else "",
        after_s=asked.delay.total_seconds(),
        history=asked.history,
        tag=render(asked.tag, values) if asked.tag else "",
        purge_intermediates=asked.purge_intermediates,
        receipt=asked.receipt,
    )


def template_values(facts: Facts, rule: RuleSettings, samples: Sequence[Sample], batch_id: str) -> Mapping[str, str]:
    """Return what the fields of a template mean for this batch."""
    return {
        "run": facts.run,
        "unit": facts.unit,
        "project": samples[0].project if rule.per in ("project", "sample") else "",
        "sample": samples[0].name if rule.per == "sample" else "",
        "watch": facts.watch,
        "date": facts.day.isoformat(),
        "id": batch_id,
        "version": str(facts.version),
        **{SHEET + column: shared_cell(samples, column) for column in rule.columns},
    }
