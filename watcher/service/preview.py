"""The `plan` command's view: what the watcher would do with what lies at a path, without a row, and without writing
anything. Which run folders a path means is found out in `meant.py`.

It asks the same questions as the stages, through the same functions (`stages/looking.py`, `cut.py`), so that what
it shows is what would happen. It needs no configuration (one batch with all samples, rule null), no Galaxy and no
state; where there is one, ids, versions and times come from its rows (`remembered.py`). The shape of the report is a
contract: `plan.schema.json`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from watcher.clock import Clock, SystemClock
from watcher.config import Settings, WatchSettings
from watcher.disk.reader import FileReader
from watcher.disk.threads import DiskThreads
from watcher.errors import DiskError, UsageError, WatcherError
from watcher.model import LeftOut, Plan, PlannedElement, Sample, Status
from watcher.rows import Unit
from watcher.runs.grouping import collection, datasets
from watcher.runs.integrity import ContentPass, check_pair, kind_of
from watcher.runs.layout import FoundUnit, Layout, UnitView, judge, load_layouts, not_taken
from watcher.runs.manifests import expected_checksums
from watcher.runs.selection import NO_WISH, Wish, select
from watcher.runs.since import since_when
from watcher.runs.units import reason_against
from watcher.service.meant import Asked, concerns, run_folders, watch_around
from watcher.service.remembered import Remembered, remembered, told_predicates
from watcher.stages.cut import Facts, cut
from watcher.stages.looking import Place, identity_of, look_at, problems_of, runs_in, view_of, wish_of

READ_CHUNK_BYTES = 4 * 1024**2


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
    clock = clock or SystemClock()
    threads = DiskThreads(looks=2, transfers=2)
    memory: Remembered | None = None
    try:
        layouts = load_layouts(settings.layouts_dir if settings else None)
        asked = _asked(path, settings, layouts, layout)
        folders = await run_folders(threads, clock, asked)
        memory = await remembered(settings, clock) if settings and asked.watch else None
        units: list[dict[str, Any]] = []
        strays: list[LeftOut] = []
        for folder in folders:
            try:
                looked = await runs_in(threads, clock, layouts, asked.wanted, folder)
                places = [
                    await look_at(threads, clock, found_as, run, wish=_wish(settings, asked.watch, found_as))
                    for run, found_as in looked.runs
                ]
            except DiskError as error:
                if len(folders) == 1:
                    raise
                strays.append(LeftOut(folder.name, error.message))  # one bad folder never stops the others
                continue
            for place in places:
                for found in place.units:
                    if concerns(asked.path, place, found):
                        units.append(
                            await _unit(
                                threads, clock, settings, asked.watch, memory, place, found, content, assume_quiet
                            )
                        )
                strays += _strays(asked, place)
        if not units and not strays and not asked.is_folder:
            strays = [_in_no_run(asked)]
        told = {left["path"] for unit in units for left in unit["left_out"]}
        left_out = [{"path": one.path, "reason": one.reason} for one in strays if one.path not in told]
        return {"units": units, "left_out": left_out}
    finally:
        threads.close()
        if memory is not None:
            await memory.close()


def _asked(path: Path, settings: Settings | None, layouts: Mapping[str, Layout], layout: str) -> Asked:
    watch = watch_around(path, settings)
    if watch is None:
        path = path.resolve()  # a link lying in a watch is asked about itself, any other stands for its file
        if not path.exists():
            raise UsageError(f"{path} does not exist.")
    wanted = layout or (watch.layout if watch else "auto")
    if wanted != "auto" and wanted not in layouts:
        raise UsageError(f"There is no layout `{wanted}`.", hint=f"Known: auto, {', '.join(sorted(layouts))}.")
    return Asked(path, watch, layouts, wanted)


def _strays(asked: Asked, place: Place) -> list[LeftOut]:
    """Return what lies in a place and no unit takes, as far as it was asked about."""
    if asked.path == place.root:
        return list(not_taken(place.layout, place.listing))
    strays = not_taken(place.layout, place.listing, all_of_it=True)
    here = [one for one in strays if (place.root / one.path) in (asked.path, *asked.path.parents)]
    if here or asked.is_folder or not asked.path.is_relative_to(place.root):
        return here
    inner = str(asked.path.relative_to(place.root))
    for found in place.units:
        if concerns(asked.path, place, found):
            if found.files or inner in select(place.layout, place.listing, found).selected:
                return []
            facts = place.listing.entries.get(inner)
            inside = _inside(inner, found)
            reason = reason_against(place.layout, facts, inside) if facts else "in a folder that is not looked into"
            return [LeftOut(inside, reason)] if reason else []
    return [LeftOut(inner, f"in no unit of {place.name}, a run of layout {place.layout.name}")]


def _in_no_run(asked: Asked) -> LeftOut:
    root = asked.watch.path.resolve() if asked.watch else asked.path.parent
    inner = asked.path.relative_to(root)
    if len(inner.parts) == 1 and asked.watch:
        return LeftOut(str(inner), f"a single file: layout {asked.wanted} takes folders")
    return LeftOut(str(inner), "in a folder that no layout recognises")


async def _unit(
    threads: DiskThreads,
    clock: Clock,
    settings: Settings | None,
    watch: WatchSettings | None,
    memory: Remembered | None,
    place: Place,
    found: FoundUnit,
    content: bool,
    assume_quiet: bool,
) -> dict[str, Any]:
    view = await view_of(
        threads,
        place,
        found,
        watch,
        quiet_s=_untouched_s(place, clock),
        assume_quiet=assume_quiet,
        wish=_wish(settings, watch, place.layout),
    )
    judgement = judge(view)
    root = watch.path.resolve() if watch else place.root.parent
    identity, run = identity_of(watch.name if watch else "", root, place, judgement)
    row = await memory.unit(identity, found.unit) if memory else None
    reasons: list[str] = []
    remarks: list[str] = []
    batches: list[dict[str, Any]] = []
    left_out = list(judgement.left_out)
    status = Status.READY if judgement.complete else Status.WAITING
    if judgement.failed:
        status, reasons = Status.FAILED, [judgement.failed]
    elif judgement.held:
        status, reasons = Status.HELD, [judgement.held]
    elif judgement.complete and judgement.nothing:
        status, reasons = Status.IGNORED, [f"Nothing to upload: {judgement.nothing}."]
    else:
        problems, _, grouping = await problems_of(threads, view)
        if grouping is not None:
            left_out += [left for left in grouping.left_out if left not in left_out]
            remarks = [remark.message for remark in grouping.remarks]
            try:
                batches, unmatched = _batches(settings, watch, row, place, found, run, grouping.samples, clock)
                left_out += [
                    LeftOut(file.path, f"no rule takes {sample.name}") for sample in unmatched for file in sample.files
                ]
                if unmatched and settings and settings.unmatched == "hold":
                    problems.append(f"No rule takes {', '.join(sample.name for sample in unmatched)}.")
            except WatcherError as error:
                problems.append(str(error))
            if content and judgement.complete and not problems:
                problems += await _content_problems(threads, view, grouping.samples)
        if judgement.complete and problems:
            status = Status.HELD
        elif judgement.complete and not batches:
            status = Status.HELD
            problems.append("There is nothing to upload in it.")
        reasons = (
            problems
            if judgement.complete
            else [f"{one.detail or one.name}" for one in judgement.predicates if not one.holds]
        )
    if judgement.overdue:
        remarks.append(f"{judgement.overdue[0].upper()}{judgement.overdue[1:]}.")
    return {
        **({"id": row.id} if row else {}),
        "watch": watch.name if watch else None,
        "layout": place.layout.name,
        "run": run,
        "unit": found.unit,
        "version": row.unit_version if row else 1,
        "path": str(place.root if found.subpath in ("", ".") else place.root / found.subpath),
        "status": str(status),
        "reasons": [*reasons, *remarks],
        "sheet": view.sheet.told(str(place.root)),
        "predicates": told_predicates(judgement.predicates, since_when(view, judgement.predicates), row),
        "left_out": [{"path": _inside(left.path, found), "reason": left.reason} for left in left_out],
        "batches": batches,
    }


def _wish(settings: Settings | None, watch: WatchSettings | None, layout: Layout) -> Wish:
    return wish_of(settings, watch.name, layout.name) if settings and watch else NO_WISH


def _untouched_s(place: Place, clock: Clock) -> dict[str, float]:
    """Without a remembered look the files' own change times are all there is to judge quiet by."""
    now_ns = clock.now().timestamp() * 1e9
    return {path: max((now_ns - facts.ctime_ns) / 1e9, 0.0) for path, facts in place.listing.entries.items()}


def _inside(path: str, found: FoundUnit) -> str:
    """Return a path relative to the unit's own folder."""
    if found.subpath in ("", "."):
        return path
    inside = PurePosixPath(path)
    return str(inside.relative_to(found.subpath)) if inside.is_relative_to(found.subpath) else path


def _batches(
    settings: Settings | None,
    watch: WatchSettings | None,
    row: Unit | None,
    place: Place,
    found: FoundUnit,
    run: str,
    samples: Sequence[Sample],
    clock: Clock,
) -> tuple[list[dict[str, Any]], list[Sample]]:
    unit = "" if found.unit == "." else found.unit
    if settings is None or watch is None:
        if not samples:
            return [], []
        planned = datasets(samples)
        alone = Plan(
            rule="",
            watch="",
            galaxy="",
            run=run,
            unit=unit,
            path=str(place.root),
            samples=tuple(samples),
            datasets=planned,
            collection=collection("auto", run, samples, planned),
        )
        return [_batch(alone, found, None)], []
    unit_id, version = (row.id, row.unit_version) if row else ("{id}", 1)
    today = clock.now().date()
    facts = Facts(unit_id, watch.name, place.layout.name, run, unit, version, _as_configured(watch, place.root), today)
    plans, unmatched = cut(settings, facts, samples)
    return [_batch(planned, found, planned.rule) for planned in plans.values()], unmatched


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
                    {"path": _inside(file.path, found), "read": file.read, "lane": file.lane, "size": file.size}
                    for file in sample.files
                ],
            }
            for sample in planned.samples
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
            {"key": one.key, "ref": one.ref, "inputs": {**one.inputs, **one.cells}} for one in planned.workflows
        ]
        or None,
        "deliveries": [
            {"folder": one.folder, "outputs": list(one.outputs), "on": one.on} for one in planned.deliveries
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
