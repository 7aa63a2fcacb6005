"""Stage plan: which rules, samples, collections, names, destinations?

Cuts the unit into batches and freezes a plan for each: whatever the configuration says later, a planned batch follows
its plan. What can be refused is refused here, before a byte is sent: samples no rule takes, names that do not fit,
workflows that are not there or whose inputs do not bind. All it ever makes in Galaxy is a workflow that a rule gives as
a file. `cut` is pure and also behind the `plan` command.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from watcher.config import DeliverySettings, RuleSettings, Settings
from watcher.config.destinations import fixed_folder, render, render_folder
from watcher.errors import GalaxyError, OverQuota, PlanError
from watcher.galaxy import Galaxy
from watcher.galaxy.bind import bind
from watcher.galaxy.workflow_files import content_uuid
from watcher.galaxy.workflows import WorkflowRef
from watcher.model import (
    ENDED,
    Hold,
    Next,
    Outcome,
    Plan,
    PlannedDelivery,
    PlannedWorkflow,
    Sample,
    Stage,
    Status,
)
from watcher.rows import Batch, DeliveryRow, GalaxyObject, Unit
from watcher.runs.grouping import collection, datasets
from watcher.stages.afterwards import ENDED_AT, LATE, SHEET, SHEET_CHANGED, TOUCHED, sheet_of
from watcher.stages.looking import find_again, problems_of, see_root, view_of
from watcher.stages.revisions import REPLANNED
from watcher.stages.rooms import Rooms

GIVEN_UP = (REPLANNED, "superseded")
"""Codes of batches whose plan was given up: they wait for the next revision."""


QUOTA_BYTES = "quota_bytes"
"""Where a unit remembers how much room it needs, by account."""

IMPORTS = "imports"
"""Where a unit remembers which workflow files it asked Galaxy to import: intent and receipt, by account and content.
There is no batch yet that could."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What names and rules may depend on."""

    id: str
    watch: str
    layout: str
    run: str
    unit: str
    version: int
    path: str
    day: date


async def plan(unit: Unit, rooms: Rooms) -> Outcome:
    """Freeze a plan per batch and make the batches' rows; holds what no rule takes."""
    settings = rooms.watch(unit.watch)
    await see_root(unit.watch, rooms)
    place, found = await find_again(unit, rooms)
    view = await view_of(
        rooms.threads, place, found, quiet_s={}, settle=settings.settle, max_wait=None, assume_quiet=True
    )
    problems, files, grouping = await problems_of(rooms.threads, view)
    if problems or grouping is None:
        return Hold(" ".join(problems), "structure", hint="Correct what is named; the watcher sees it.", files=files)
    facts = Facts(
        unit.id,
        unit.watch,
        unit.layout,
        unit.run,
        "" if unit.unit == "." else unit.unit,
        unit.unit_version,
        unit.run_path,
        rooms.clock.now().date(),
    )
    known = await rooms.store.batches(unit.id)
    standing = [batch for batch in known if batch.code not in GIVEN_UP]
    samples = not_planned(grouping.samples, standing)
    plans, unmatched = cut(rooms.settings, facts, samples, numbers_of(known))
    if unmatched and rooms.settings.unmatched == "hold":
        names = ", ".join(sample.name for sample in unmatched)
        return Hold(
            f"No rule takes {names}.",
            "unmatched",
            hint=f"Add a rule and `galaxy-watcher retry {unit.id} --from plan`, or set `unmatched: ignore`.",
        )
    if not plans and not standing:
        return Hold(
            "There is nothing to upload in it.", "empty", hint=f"`galaxy-watcher cancel {unit.id}` if that is right."
        )
    if not known:  # a later plan finds most of it in Galaxy already
        await _refuse_without_room(unit, rooms, list(plans.values()))
    fitted = [await _fit_to_galaxy(planned, unit, rooms) for planned in plans.values()]
    async with rooms.planning:
        for number, planned in zip(plans, fitted, strict=True):
            planned = await _own_place(planned, unit, number, rooms)
            await _freeze(unit, rooms, number, planned, [batch for batch in known if batch.number == number])
    for batch in known:
        if batch.number not in plans and batch.code == REPLANNED:
            await rooms.store.move(
                batch, status=Status.CANCELLED, code="superseded", reason="The new plan has no such batch."
            )
    left = [[sample.name, "no rule takes it"] for sample in unmatched]
    afterwards = {SHEET: sheet_of(view), SHEET_CHANGED: {}, LATE: [], TOUCHED: [], ENDED_AT: ""}
    await rooms.store.touch(unit, more={"unmatched": left, **afterwards})
    for key in rooms.wakeups.watched():
        if key.startswith(f"unit:{unit.id}:"):
            rooms.wakeups.unwatch(key)
    file_count = sum(len(planned.datasets) for planned in fitted)
    return Next(Stage.FINISH, f"Planned: files {file_count}, batches {len(fitted)}.")


async def _freeze(unit: Unit, rooms: Rooms, number: int, planned: Plan, known: Sequence[Any]) -> None:
    """Make the batch, or the next revision of it when the earlier plan was given up; never two revisions alive."""
    latest = max(known, key=lambda batch: batch.revision, default=None)
    if latest is not None and latest.code not in GIVEN_UP:
        return  # planned already: called twice, or the plan still stands, also one that failed or was cancelled
    revision = 1
    if latest is not None:
        revision = latest.revision + 1
        await rooms.store.move(
            latest, status=Status.CANCELLED, code="superseded", reason=f"A new plan (revision {revision}) took over."
        )
    await rooms.store.add_batch(unit, number, planned.rule, planned, priority=planned.priority, revision=revision)


# --- pure -----------------------------------------------------------------------------------------------------------


def cut(
    settings: Settings, facts: Facts, samples: Sequence[Sample], numbers: Mapping[tuple[str, str], int] | None = None
) -> tuple[dict[int, Plan], list[Sample]]:
    """Return a plan per batch, by its number, and the samples no rule takes.

    Each sample goes to the first rule that matches it. `numbers` are those of an earlier plan (see `part_of`): what was
    batch 2 stays batch 2, whatever else comes or goes.
    """
    taken: dict[tuple[str, str], list[Sample]] = defaultdict(list)
    unmatched: list[Sample] = []
    rules = {rule.name: rule for rule in settings.rules}
    for sample in samples:
        rule = next((rule for rule in settings.rules if _takes(rule, facts, sample)), None)
        if rule is None:
            unmatched.append(sample)
        else:
            taken[rule.name, _part(rule.per, sample)].append(sample)
    order = {rule.name: number for number, rule in enumerate(settings.rules)}
    keys = sorted(taken, key=lambda key: (order[key[0]], key[1]))
    given = {key: number for key, number in (numbers or {}).items() if key in taken}
    free = (number for number in itertools.count(1) if number not in (numbers or {}).values())
    numbered = {given[key] if key in given else next(free): key for key in keys}
    return {
        number: _plan(settings, rules[key[0]], facts, taken[key], number) for number, key in sorted(numbered.items())
    }, unmatched


def not_planned(samples: Sequence[Sample], standing: Sequence[Batch]) -> list[Sample]:
    """Return the samples with a file that no standing batch has: what was sent is not sent again under another rule."""
    covered = {path for batch in standing for dataset in batch.plan.datasets for path in dataset.sources}
    return [sample for sample in samples if not {file.path for file in sample.files} <= covered]


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


def _takes(rule: RuleSettings, facts: Facts, sample: Sample) -> bool:
    return rule.match.takes(
        watch=facts.watch, layout=facts.layout, run=facts.run, project=sample.project, sample=sample.name
    )


def _plan(settings: Settings, rule: RuleSettings, facts: Facts, samples: list[Sample], number: int) -> Plan:
    values = template_values(facts, rule, samples, f"{facts.id}-{number}")
    galaxy = settings.galaxy_of(rule)
    planned = datasets(samples)
    shape, name = rule.destination.collection, render(rule.destination.collection_name, values)
    return Plan(
        rule=rule.name,
        watch=facts.watch,
        galaxy=galaxy.name,
        run=facts.run,
        unit=facts.unit or ".",
        path=facts.path,
        access=galaxy.access,
        history=render(rule.destination.history, values),
        tags=tuple(render(tag, values) for tag in rule.tags),
        samples=tuple(samples),
        datasets=planned,
        collection=None if shape == "none" else collection(shape, name, samples, planned),
        workflows=tuple(
            PlannedWorkflow(key=one.key, ref=one.ref, by=one.by, inputs=one.inputs, steps=one.steps)
            for one in rule.workflow
        ),
        deliveries=tuple(_delivery(delivery, str(place), values) for place, delivery in enumerate(rule.deliver, 1)),
        priority=rule.priority,
        rule_text=rule.model_dump(mode="json"),
    )


def _delivery(delivery: DeliverySettings, key: str, values: Mapping[str, str]) -> PlannedDelivery:
    return PlannedDelivery(
        key=key,
        folder=str(render_folder(delivery.folder, values)),
        base=str(fixed_folder(delivery.folder)),
        outputs=delivery.outputs,
        on=delivery.on,
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
    }


# --- against Galaxy -------------------------------------------------------------------------------------------------


async def _refuse_without_room(unit: Unit, rooms: Rooms, plans: Sequence[Plan]) -> None:
    """Raise OverQuota when an account has less room than the unit needs: Galaxy would notice in the middle of it."""
    needed_bytes: dict[str, int] = defaultdict(int)
    for planned in plans:
        needed_bytes[planned.galaxy] += sum(dataset.size for dataset in planned.datasets)
    await rooms.store.touch(unit, more={QUOTA_BYTES: needed_bytes})  # what a probe asks for while we wait
    for account, needed in needed_bytes.items():
        try:
            used, limit = await rooms.galaxy(account).users.quota()
        except GalaxyError as error:
            error.subject = account
            raise
        if limit is not None and needed > limit - used:
            refusal = OverQuota(
                f"{unit.run} needs {needed} bytes in Galaxy, the quota of the account `{account}` leaves"
                f" {max(limit - used, 0)}.",
                hint="Free space in Galaxy or ask for a larger quota; the watcher goes on by itself.",
            )
            refusal.subject = account
            raise refusal


async def _fit_to_galaxy(planned: Plan, unit: Unit, rooms: Rooms) -> Plan:
    """Return the plan with its workflows found and bound; PlanError names everything that does not fit."""
    try:
        return await _fitted(planned, unit, rooms)
    except (GalaxyError, PlanError) as error:
        error.subject = planned.galaxy
        raise


async def _fitted(planned: Plan, unit: Unit, rooms: Rooms) -> Plan:
    galaxy = rooms.galaxy(planned.galaxy)
    workflows = []
    for wanted in planned.workflows:
        if wanted.by == "file":
            async with rooms.importing:
                found = await _imported(unit, rooms, galaxy, wanted.ref)
        else:
            found = await galaxy.workflows.find(**{wanted.by: wanted.ref})
        facts = await galaxy.workflows.read(found.id)
        binding = bind(facts, wanted.inputs, wanted.steps, planned.collection.type if planned.collection else "")
        missing = await galaxy.workflows.missing_tools(facts)
        problems = [*binding.problems, *(f"Tool {tool} is not installed in Galaxy." for tool in missing)]
        if problems:
            raise PlanError(
                f"The workflow `{wanted.ref}` of rule `{planned.rule}` cannot be used: {' '.join(problems)}",
                hint="Correct the rule or the workflow; `galaxy-watcher check` tells when it fits.",
            )
        workflows.append(wanted.model_copy(update={"workflow_id": found.id, "uuid": facts.uuid}))
    return planned.model_copy(update={"workflows": tuple(workflows)})


async def _imported(unit: Unit, rooms: Rooms, galaxy: Galaxy, path: str) -> WorkflowRef:
    """Return the workflow made from this file, imported once whoever asks for it: Galaxy would take it twice, under one
    name and uuid.
    """
    content = await _workflow_file(path)
    account, is_new = galaxy.account.name, False
    key = f"{account}:{content_uuid(content)}"

    async def write(**values: str) -> None:
        stored = await rooms.store.unit(unit.id)
        known = stored.more.get(IMPORTS, {}) if stored else {}
        await rooms.store.touch(unit, more={IMPORTS: {**known, key: values}})

    async def look() -> WorkflowRef | None:
        return await galaxy.workflows.imported(content)

    async def note(intent_at: datetime | None) -> None:
        await write(intent_at=intent_at.isoformat() if intent_at else "")

    async def act() -> WorkflowRef:
        nonlocal is_new
        is_new = True
        return await galaxy.workflows.import_file(content, Path(path).name)

    async def keep(found: WorkflowRef) -> None:
        await write(workflow_id=found.id)
        if is_new:
            text = f"Workflow `{found.name}` imported from {path} into `{account}`."
            await rooms.store.journal("workflow.imported", text, unit_id=unit.id)

    return await rooms.effects.once(
        "plan.workflow",
        intent_at=await _import_asked_at(rooms, key),
        look=look,
        note=note,
        act=act,
        keep=keep,
        always_look=True,
    )


async def _import_asked_at(rooms: Rooms, key: str) -> datetime | None:
    """Return when any unit last asked for this import without hearing an answer: it may still come true for all."""
    # A unit that is done has heard its answer, and one that is ignored never asked: years of them are left unread.
    units = await rooms.store.units(status=set(Status) - {Status.DONE, Status.IGNORED})
    asked = [unit.more.get(IMPORTS, {}).get(key, {}).get("intent_at", "") for unit in units]
    return max((datetime.fromisoformat(intent_at) for intent_at in asked if intent_at), default=None)


async def _workflow_file(path: str) -> bytes:
    try:
        return Path(path).read_bytes()  # noqa: ASYNC240 - a small local file named in the configuration
    except OSError as error:
        raise PlanError(
            f"The workflow file {path} cannot be read: {error.strerror}.", hint="Correct `file:` in the rule."
        ) from None


async def _own_place(planned: Plan, unit: Unit, number: int, rooms: Rooms) -> Plan:
    """Give a batch places of its own: a history name or delivery folder that another batch has, or will have, gets the
    unit's marks appended.
    """
    others = [
        one for one in await rooms.store.batches(status=set(Status) - ENDED) if not _is_ours(one.id, unit, number)
    ]
    folders = {delivery.folder for one in others for delivery in one.plan.deliveries}
    history, deliveries = planned.history, []
    rows: Sequence[GalaxyObject | DeliveryRow] = await rooms.store.galaxy_objects_named("history", history)
    taken = any(not _is_ours(row.batch_id, unit, number) for row in rows)
    if taken or any((one.plan.galaxy, one.plan.history) == (planned.galaxy, history) for one in others):
        history = _suffixed(rooms.settings, unit, number, history, " ", f"The history name `{history}`")
    for delivery in planned.deliveries:
        folder = delivery.folder
        rows = await rooms.store.deliveries_to(folder)
        if folder in folders or any(not _is_ours(row.batch_id, unit, number) for row in rows):
            folder = _suffixed(rooms.settings, unit, number, folder, "/", f"The delivery folder {folder}")
        deliveries.append(delivery.model_copy(update={"folder": folder}))
    return planned.model_copy(update={"history": history, "deliveries": tuple(deliveries)})


def _is_ours(batch_id: str, unit: Unit, number: int) -> bool:
    """Tell whether a batch is this one in any revision."""
    return batch_id == f"{unit.id}-{number}" or batch_id.startswith(f"{unit.id}-{number}r")


def _suffixed(settings: Settings, unit: Unit, number: int, name: str, glue: str, what: str) -> str:
    if settings.on_clash == "hold":
        raise PlanError(f"{what} belongs to another batch.", hint="Change the template, or set `on_clash: suffix`.")
    part = unit.unit.replace("/", "-") if unit.unit != "." else ""
    version = f"v{unit.unit_version}" if unit.unit_version > 1 else ""
    return glue.join(filter(None, (name, part, version, f"{unit.id}-{number}" if number > 1 else unit.id)))
