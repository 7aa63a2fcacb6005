"""Stage plan: which rules, samples, collections, names, destinations?

Cuts the unit into batches and freezes a plan for each: whatever the configuration says later, a planned batch follows
its plan. What can be refused is refused here, before a byte is sent: samples no rule takes, names that do not fit,
workflows that are not there or whose inputs do not bind. All it ever makes in Galaxy is a workflow that a rule gives as
a file. How samples are cut into batches stands in `cut.py`, what a workflow wants in `workflow_fit.py`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from watcher.config import Settings
from watcher.errors import GalaxyAway, GalaxyBusy, GalaxyError, KeyRefused, NoGalaxy, OverQuota, PlanError, WatcherError
from watcher.galaxy import Galaxy
from watcher.galaxy.workflow_files import content_uuid
from watcher.galaxy.workflows import TrsRef, WorkflowRef
from watcher.model import (
    ENDED,
    Hold,
    Next,
    Outcome,
    Plan,
    PlannedLibrary,
    PlannedSheet,
    PlannedWorkflow,
    Stage,
    Status,
)
from watcher.rows import Batch, DeliveryRow, GalaxyObject, Unit
from watcher.stages.afterwards import ENDED_AT, LATE, PLANNED_SHEET, SHEET_CHANGED, TOUCHED, sheet_of
from watcher.stages.choose import Facts
from watcher.stages.cut import GIVEN_UP, cut, numbers_of, sent_by
from watcher.stages.library import FOLDER
from watcher.stages.looking import problems_of, view_again
from watcher.stages.offered import names_in, offered, plan_error
from watcher.stages.removable import remember_stock
from watcher.stages.removal import forget_date
from watcher.stages.revisions import REPLANNED
from watcher.stages.rooms import Rooms
from watcher.stages.space import Needed, refuse_without_room, room_needed
from watcher.stages.workflow_fit import Fits, Fitter, file_content, supply_of

PARTLY = "partly_planned"
"""Set while some batches of a unit are planned and those for a Galaxy that does not answer are not."""

WAITS = (GalaxyAway, GalaxyBusy, KeyRefused, NoGalaxy, OverQuota)
"""What is wrong with an account for a while: batches for others go on."""

IMPORTS = "imports"
"""Where a unit remembers which workflow files it asked Galaxy to import: intent and receipt, by account and content.
There is no batch yet that could."""


async def plan(unit: Unit, rooms: Rooms) -> Outcome:
    """Freeze a plan per batch and make the batches' rows; holds what no rule takes."""
    _, view = await view_again(unit, rooms)
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
        view.instrument,
    )
    known = await rooms.store.batches(unit.id)
    standing = [batch for batch in known if batch.code not in GIVEN_UP]
    plans, unmatched = cut(rooms.settings, facts, grouping.samples, numbers_of(known), sent_by(standing))
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
    fitted, away = await _fitted_where_galaxy_answers(plans, known, unit, rooms)
    sheet = sheet_of(view)
    await remember_stock(rooms, unit, fitted.values())
    await forget_date(rooms, unit)
    async with rooms.planning:
        for number, planned in fitted.items():
            planned = await _own_place(planned, unit, number, rooms)
            planned = planned.model_copy(update={"sheet": PlannedSheet(**sheet)})
            await _freeze(unit, rooms, number, planned, [batch for batch in known if batch.number == number])
    if away is not None:
        if fitted and not unit.more.get(PARTLY):
            await rooms.store.touch(unit, more={PARTLY: True, PLANNED_SHEET: sheet})
        raise away
    for batch in known:
        if batch.number not in plans and batch.code == REPLANNED:
            await rooms.store.move(
                batch, status=Status.CANCELLED, code="superseded", reason="The new plan has no such batch."
            )
    left = [[sample.name, "no rule takes it"] for sample in unmatched]
    remarks = [remark.message for remark in grouping.remarks]
    told = {"unmatched": left, "remarks": remarks, "sheet": view.sheet.told(unit.run_path)}
    if unit.more.get(PARTLY):  # what was planned first was planned by the sheet of then
        sheet = unit.more.get(PLANNED_SHEET, sheet)
    afterwards = {PLANNED_SHEET: sheet, SHEET_CHANGED: {}, LATE: [], TOUCHED: [], ENDED_AT: "", PARTLY: False}
    await rooms.store.touch(unit, more={**told, **afterwards})
    for key in rooms.wakeups.watched():
        if key.startswith(f"unit:{unit.id}:"):
            rooms.wakeups.unwatch(key)
    file_count = sum(len(planned.datasets) for planned in fitted.values())
    by = f"Sample sheet: {view.sheet.path}" if view.sheet.path else "There is no sample sheet"
    return Next(Stage.FINISH, f"Planned: files {file_count}, batches {len(fitted)}. {by}.")


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


# --- against Galaxy -------------------------------------------------------------------------------------------------


async def _fitted_where_galaxy_answers(
    plans: Mapping[int, Plan], known: Sequence[Batch], unit: Unit, rooms: Rooms
) -> tuple[dict[int, Plan], GalaxyError | None]:
    """Return the plans that fit their Galaxy, and what keeps the others waiting: one dead Galaxy, expired key or full
    account stops nothing that goes elsewhere. What can never fit is raised, all of it at once.
    """
    by_account: dict[str, dict[int, Plan]] = defaultdict(dict)
    for number, planned in plans.items():
        by_account[planned.galaxy][number] = planned
    begun = {batch.plan.galaxy for batch in known}  # a later plan finds most of it in Galaxy already
    fresh = {account: list(its.values()) for account, its in by_account.items() if account not in begun}
    needed = room_needed(fresh, rooms.settings.limits.transfers)
    if fresh:
        await rooms.store.touch(unit, more=dict(needed))  # what a probe asks for while we wait
    fitted: dict[int, Plan] = {}
    away: GalaxyError | None = None
    wrong: list[WatcherError] = []
    for account, its in by_account.items():
        try:
            fitted |= await _fitted_to(account, its, unit, rooms, needed, wrong)
        except WAITS as error:
            error.subject = account
            away = away or error
        except GalaxyError as error:
            error.subject = account
            raise
    if wrong:
        together = plan_error(wrong)
        together.subject = wrong[0].subject
        raise together
    return dict(sorted(fitted.items())), away


async def _fitted_to(
    account: str,
    plans: Mapping[int, Plan],
    unit: Unit,
    rooms: Rooms,
    needed: Needed,
    wrong: list[WatcherError],
) -> dict[int, Plan]:
    """Return the plans for one account with all they name found there; adds to `wrong` what a person has to correct.

    Raises OverQuota when there is only too little room, which may pass by itself.
    """
    mine: list[WatcherError] = []
    full: OverQuota | None = None
    if any(account in of_kind for of_kind in needed.values()):
        try:
            await refuse_without_room(rooms, account, needed, unit.run)
        except OverQuota as error:
            full = error
    galaxy = rooms.galaxy(account)
    found = await offered(galaxy, names_in(list(plans.values())))
    if found.problems:
        mine.append(plan_error(found.problems))
    fitter = Fitter(galaxy)
    fits = {number: await _fits(planned, fitter, galaxy, mine) for number, planned in plans.items()}
    if not (mine or full or wrong):  # nothing is sent while anything is wrong
        for number, planned in plans.items():
            imported = await _with_imported(planned, unit, rooms, galaxy)
            if not all(fit.is_imported for fit in fits[number].workflows):
                fits[number] = await _fits(imported, Fitter(galaxy), galaxy, mine)
    mine = list({(one.message, one.hint): one for one in mine}.values())  # several batches may meet the same
    for one in mine:
        one.subject = account
    if mine:
        wrong += [full, *mine] if full else mine
        return {}
    if full:
        raise full
    return {
        number: found.put_into(planned).model_copy(
            update={"workflows": tuple(fit.planned for fit in fits[number].workflows)}
        )
        for number, planned in plans.items()
    }


async def _fits(planned: Plan, fitter: Fitter, galaxy: Galaxy, wrong: list[WatcherError]) -> Fits:
    """Hold the plan's collection, workflows and deliveries against Galaxy; add to `wrong` what does not fit."""
    if planned.collection is not None:
        type_ = planned.collection.type
        if refused := (await galaxy.known_identity()).features.refuses_collection(type_):
            wrong.append(
                PlanError(
                    f"The collection type {type_} of rule `{planned.rule}` {refused}.",
                    hint="Use `collection: auto`, or list, in its destination.",
                )
            )
    deliveries = {one.key: one.outputs for one in planned.deliveries}
    fits = await fitter.fits(planned.workflows, supply_of(planned), deliveries)
    wrong += fits.errors(planned.rule)
    return fits


async def _with_imported(planned: Plan, unit: Unit, rooms: Rooms, galaxy: Galaxy) -> Plan:
    """Return the plan with the ids of the workflows that a rule gives as a file or from a registry; what the account
    has not is imported now, and what it has is noted: an earlier attempt may not have heard the answer.
    """
    workflows = []
    for wanted in planned.workflows:
        if wanted.by in ("file", "trs"):
            async with rooms.importing:
                found = await _imported(unit, rooms, galaxy, wanted)
            wanted = wanted.model_copy(update={"workflow_id": found.id})
        workflows.append(wanted)
    return planned.model_copy(update={"workflows": tuple(workflows)})


async def _imported(unit: Unit, rooms: Rooms, galaxy: Galaxy, wanted: PlannedWorkflow) -> WorkflowRef:
    """Return the workflow made from this file or registry, imported once whoever asks for it: Galaxy would take it
    twice, under one name and uuid.
    """
    registry = TrsRef(*wanted.trs)
    content = file_content(wanted.ref) if wanted.by == "file" else b""
    account, is_new = galaxy.account.name, False
    key = f"{account}:{content_uuid(content) if content else f'trs:{registry}'}"

    async def write(**values: str) -> None:
        stored = await rooms.store.unit(unit.id)
        known = stored.more.get(IMPORTS, {}) if stored else {}
        await rooms.store.touch(unit, more={IMPORTS: {**known, key: values}})

    async def look() -> WorkflowRef | None:
        if content:
            return await galaxy.workflows.imported(content)
        return await galaxy.workflows.imported_trs(registry)

    async def note(intent_at: datetime | None) -> None:
        await write(intent_at=intent_at.isoformat() if intent_at else "")

    async def act() -> WorkflowRef:
        nonlocal is_new
        is_new = True
        if content:
            return await galaxy.workflows.import_file(content, Path(wanted.ref).name)
        return await galaxy.workflows.import_trs(registry)

    async def keep(found: WorkflowRef) -> None:
        await write(workflow_id=found.id)
        if is_new:
            text = f"Workflow `{found.name}` imported from {wanted.ref} into `{account}`."
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


async def _own_place(planned: Plan, unit: Unit, number: int, rooms: Rooms) -> Plan:
    """Give a batch places of its own: a history name, library folder or delivery folder that another batch has, or will
    have, gets the unit's marks appended.
    """
    others = [
        one for one in await rooms.store.batches(status=set(Status) - ENDED) if not _is_ours(one.id, unit, number)
    ]
    targets = {delivery.target for one in others for delivery in one.plan.deliveries}
    history, deliveries = planned.history, []
    rows: Sequence[GalaxyObject | DeliveryRow] = await rooms.store.galaxy_objects_named("history", history)
    owners = [await rooms.store.batch(row.batch_id) for row in rows if not _is_ours(row.batch_id, unit, number)]
    taken = any(one is None or one.plan.galaxy == planned.galaxy for one in owners)
    taken = taken or any((one.plan.galaxy, one.plan.history) == (planned.galaxy, history) for one in others)
    if taken and not planned.history_id:  # one that was there before is shared by the operator's will
        history = _suffixed(rooms.settings, unit, number, history, " ", f"The history name `{history}`")
    for delivery in planned.deliveries:
        if delivery.library is not None:
            place = await _free_folder(delivery.library, planned.galaxy, unit, number, rooms, others)
            deliveries.append(delivery.model_copy(update={"library": place}))
            continue
        if delivery.bucket:  # nobody's own: Galaxy names what it puts there
            deliveries.append(delivery)
            continue
        target = delivery.target
        rows = await rooms.store.deliveries_to(target)
        if target in targets or any(not _is_ours(row.batch_id, unit, number) for row in rows):
            # Beside the other's place, not in it, where nothing of ours belongs; only `base` itself has no beside.
            glue = "/" if target.rstrip("/") == delivery.base.rstrip("/") else "_"
            what = f"The place {target}" if delivery.url else f"The delivery folder {target}"
            target = _suffixed(rooms.settings, unit, number, target, glue, what)
        if delivery.url:
            deliveries.append(delivery.model_copy(update={"url": target}))
        else:
            mount = rooms.threads.mount_of(Path(delivery.base)).point
            deliveries.append(delivery.model_copy(update={"folder": target, "mount": mount}))
    library = await _own_folder(planned, unit, number, rooms, others)
    return planned.model_copy(update={"history": history, "library": library, "deliveries": tuple(deliveries)})


async def _own_folder(
    planned: Plan, unit: Unit, number: int, rooms: Rooms, others: Sequence[Batch]
) -> PlannedLibrary | None:
    """Return the batch's place in the library; the next version of a unit goes where the one before it lies, so that a
    replaced file is seen beside the one it replaces.
    """
    library = planned.library
    if library is None:
        return None
    versions, before = {unit.id}, unit.replaces
    while before and before not in versions:
        versions.add(before)
        row = await rooms.store.unit(before)
        before = row.replaces if row else ""
    return await _free_folder(library, planned.galaxy, unit, number, rooms, others, versions - {unit.id})


async def _free_folder(
    library: PlannedLibrary,
    galaxy: str,
    unit: Unit,
    number: int,
    rooms: Rooms,
    others: Sequence[Batch],
    versions: Collection[str] = (),
) -> PlannedLibrary:
    """Return the place, or one beside it where a batch of another unit than of `versions` has it."""
    owners = [
        await rooms.store.batch(row.batch_id) for row in await rooms.store.galaxy_objects_named(FOLDER, library.path)
    ]
    for one in (*others, *filter(None, owners)):
        is_there = library.path in {place.path for place in one.plan.libraries}
        is_ours = _is_ours(one.id, unit, number) or one.unit_id in versions
        if is_there and one.plan.galaxy == galaxy and not is_ours:
            last = library.folder[-1] if library.folder else ""
            last = _suffixed(rooms.settings, unit, number, last, "_", f"The library folder `{library.path}`")
            return library.model_copy(update={"folder": (*library.folder[:-1], last)})
    return library


def _is_ours(batch_id: str, unit: Unit, number: int) -> bool:
    """Tell whether a batch is this one in any revision."""
    return batch_id == f"{unit.id}-{number}" or batch_id.startswith(f"{unit.id}-{number}r")


def _suffixed(settings: Settings, unit: Unit, number: int, name: str, glue: str, what: str) -> str:
    if settings.on_clash == "hold":
        raise PlanError(f"{what} belongs to another batch.", hint="Change the template, or set `on_clash: suffix`.")
    part = unit.unit.replace("/", "-") if unit.unit != "." else ""
    version = f"v{unit.unit_version}" if unit.unit_version > 1 else ""
    return glue.join(filter(None, (name, part, version, f"{unit.id}-{number}" if number > 1 else unit.id)))
