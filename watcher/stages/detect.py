"""Stage detect: what is new under the watch?

Looks at the watch's root (never while blind), at each run folder only as deep as its layout needs to find units, and
gives every unit its row and id, once for ever. What was complete at the very first look was there before us and is
left alone unless the operator says otherwise. Whether a unit is finished is the question of `settle.py`.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import structlog

from watcher.config import WatchSettings
from watcher.disk.mounts import inspect_root
from watcher.disk.scan import list_folder
from watcher.errors import FileGone, MountGone, StateError, WatcherError
from watcher.model import Kind, Outcome, Stage, Status, Wait
from watcher.rows import Unit, Watch
from watcher.runs.layout import FoundUnit, judge, not_taken
from watcher.stages.looking import Place, identity_of, known_names, look_at, runs_in, view_of
from watcher.stages.revisions import files_of, has_new_files
from watcher.stages.rooms import Rooms

BACK_SINCE = "back_since"
"""When the root was last back after being blind: quiet time from before does not count (see `settle.py`)."""

LEFT_OUT, LEFT_OUT_MORE = "left_out", "left_out_more"
"""What lies in a flat folder and is no unit, as [path, reason], and how many more there are than are remembered."""

MOST_LEFT_OUT = 200

OPEN_STAGES = (Stage.SETTLE, Stage.VERIFY, Stage.PLAN)

log = structlog.get_logger("watcher")


async def detect(watch: Watch, rooms: Rooms) -> Outcome:
    """Make rows for new units under the watch; raises MountGone while blind."""
    settings = rooms.watch(watch.name)
    known = await rooms.store.units(watch=watch.name)
    watch = await _look_at_root(watch, rooms, settings, known)
    problems = []
    left_out: dict[str, Any] = {}
    for folder in await _folders(rooms, settings):
        try:
            for path, layout in await runs_in(rooms.threads, rooms.clock, rooms.layouts, settings.layout, folder):
                place = await look_at(rooms.threads, rooms.clock, layout, path, shallow_only=True)
                left_out = left_out or _left_out(watch, place)
                await _take_in(watch, rooms, settings, place, [unit for unit in known if unit.run_path == str(path)])
        except (MountGone, StateError):
            raise
        except WatcherError as error:  # one bad folder never stops the others
            problems.append(error.message)
    now = rooms.clock.now()
    await rooms.store.touch(watch, last_look_at=now, first_look_at=watch.first_look_at or now, more=left_out)
    await _wake_open_units(rooms, known)
    pause = rooms.settings.rescan
    return Wait(pause, " ".join(problems) or "Watching.", "watching")


async def _look_at_root(watch: Watch, rooms: Rooms, settings: WatchSettings, known: list[Unit]) -> Watch:
    """Refuse to infer anything while the root is not the one we know; remember the mount otherwise."""
    names = known_names(known, settings.path)
    look = await inspect_root(rooms.threads, watch, settings.path, known=names)
    first_look_at = watch.first_look_at
    if not look.ok and watch.mount and not watch.entry_count and not known:
        # We started before the mount did and remember the bare folder below it: what is there now is the first look.
        fresh = replace(watch, mount="", device=0, root_inode=0)
        look = await inspect_root(rooms.threads, fresh, settings.path, known=names)
        first_look_at = None
    if not look.ok:
        if watch.blind_since is None:
            watch = await rooms.store.touch(watch, blind_since=rooms.clock.now())
        raise MountGone(
            f"The watch `{watch.name}` is blind: {look.blind_reason}",
            hint=look.hint or f"Look at {settings.path}; the watcher goes on by itself when it is back.",
        )
    is_back = look.restarted or watch.blind_since is not None
    if is_back:  # the kernel tells nothing of a remount: watch the root anew
        rooms.wakeups.watch(f"watch:{watch.name}", settings.path)
    return await rooms.store.touch(
        watch,
        mount=look.mount,
        device=look.device,
        root_inode=look.inode,
        entry_count=look.entry_count,
        blind_since=None,
        first_look_at=first_look_at,
        more={
            "root_marked": look.marked,
            "is_network": look.is_network,
            **({BACK_SINCE: rooms.clock.now().isoformat()} if is_back else {}),
        },
    )


async def _folders(rooms: Rooms, settings: WatchSettings) -> list[Path]:
    """Return the folders that may be runs or hold some: the root itself for a flat layout, else each folder in it."""
    layout = rooms.layouts.get(settings.layout)
    if layout is not None and layout.flat:
        return [settings.path]
    top = await list_folder(rooms.threads, settings.path, depth=1, clock=rooms.clock)
    return [
        settings.path / facts.path
        for facts in top.entries.values()
        if facts.kind is Kind.FOLDER and not facts.path.startswith(".")
    ]


def _left_out(watch: Watch, place: Place) -> dict[str, Any]:
    """Return what is to be remembered of a place's files that are no units; says each new one once."""
    if not place.layout.flat:
        return {LEFT_OUT: [], LEFT_OUT_MORE: 0} if watch.more.get(LEFT_OUT) else {}
    strays = not_taken(place.layout, place.listing)
    told = [[stray.path, stray.reason] for stray in strays[:MOST_LEFT_OUT]]
    before = watch.more.get(LEFT_OUT, [])
    for path, reason in told:
        # A transfer that goes on is nothing to warn of: it is listed while it is there.
        if [path, reason] not in before and not place.layout.any_unfinished.fullmatch(path):
            log.warning("file.left_out", watch=watch.name, path=path, reason=reason)
    return {LEFT_OUT: told, LEFT_OUT_MORE: len(strays) - len(told)}


async def _take_in(watch: Watch, rooms: Rooms, settings: WatchSettings, place: Place, known: list[Unit]) -> None:
    for found in place.units:
        versions = [unit for unit in known if unit.unit == found.unit and unit.layout == place.layout.name]
        elder = max(versions, key=lambda unit: unit.unit_version, default=None)
        if elder is None:
            await _drop_misread(rooms, place, found, known)
            await _add(watch, rooms, settings, place, found)
        elif await has_new_files(rooms, place, found, elder):
            await _add(watch, rooms, settings, place, found, elder)
        else:
            await _release_if_gone(rooms, elder)


async def _release_if_gone(rooms: Rooms, unit: Unit) -> None:
    """Let a unit go on that was held because it had vanished: here it is."""
    if unit.status is Status.HELD and unit.code == FileGone.code and unit.stage in OPEN_STAGES:
        await rooms.store.move(unit, stage=Stage.SETTLE, status=Status.READY, reason="It is back.")


async def _drop_misread(rooms: Rooms, place: Place, found: FoundUnit, known: list[Unit]) -> None:
    """A folder may show what it is only after some files: what was taken for something else before, and not begun, is
    dropped.
    """
    for unit in known:
        if unit.layout != place.layout.name and unit.stage in OPEN_STAGES and unit.status is not Status.IGNORED:
            await rooms.store.move(
                unit,
                status=Status.IGNORED,
                code="misread",
                reason=f"This folder turned out to be a {place.layout.name} run.",
            )


async def _add(
    watch: Watch, rooms: Rooms, settings: WatchSettings, place: Place, found: FoundUnit, elder: Unit | None = None
) -> None:
    """Give a unit its row, or the next version of `elder` one of its own."""
    view = await view_of(rooms.threads, place, found, settings, quiet_s={}, assume_quiet=True)
    judgement = judge(view)
    identity, run = identity_of(watch.name, settings.path, place, judgement)
    before = watch.first_look_at is None and settings.existing == "ignore" and not rooms.takes_existing
    ignore = before and await _is_complete(rooms, settings, place, found)
    unit = await rooms.store.add_unit(
        watch,
        place.layout.name,
        identity,
        run,
        found.unit,
        str(place.root / found.folder),
        str(place.root),
        status=Status.IGNORED if ignore else Status.READY,
        code="was_there_before" if ignore else "",
        reason="It was there before the first look." if ignore else "",
        unit_version=elder.unit_version + 1 if elder else 1,
        replaces=elder.id if elder else "",
    )
    if ignore:
        await rooms.store.put_source_files(unit, files_of(place, found, unit.id))
    if unit.run_path != str(place.root) and unit.stage in OPEN_STAGES and not await _still_there(rooms, unit):
        # The same run under another name or mount: the row follows it.
        await rooms.store.touch(unit, path=str(place.root / found.folder), run_path=str(place.root))
        await _release_if_gone(rooms, unit)
    if unit.attempt == 0 and not ignore:
        await rooms.store.journal(
            "unit.detected", f"{unit.run} {unit.unit} in {place.root}, layout {unit.layout}.", unit_id=unit.id
        )
        rooms.wakeups.watch(f"unit:{unit.id}:{place.root}", place.root)


async def _is_complete(rooms: Rooms, settings: WatchSettings, place: Place, found: FoundUnit) -> bool:
    """Tell whether a unit is complete but for quiet time, looking at all of its files."""
    whole = await look_at(rooms.threads, rooms.clock, place.layout, place.root)
    same = next((one for one in whole.units if one.unit == found.unit), None)
    if same is None:
        return False
    view = await view_of(rooms.threads, whole, same, settings, quiet_s={}, assume_quiet=True)
    return judge(view).complete


async def _still_there(rooms: Rooms, unit: Unit) -> bool:
    return bool(await rooms.threads.look(Path(unit.run_path), Path(unit.run_path).exists))


async def _wake_open_units(rooms: Rooms, known: list[Unit]) -> None:
    """A rescan looks at every unit that is not settled yet, events or not."""
    for unit in known:
        if unit.stage is Stage.SETTLE and unit.status is Status.WAITING:
            await rooms.store.wake("unit", unit.id)
