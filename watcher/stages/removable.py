"""May a run folder be moved or deleted? Everything that speaks against it, asked when it is due and before each act.

The plan remembers what lies in the folder (`remember_stock`). It may go when it is still exactly that: nothing came,
went or changed, every file that was sent has the bytes that were sent, all batches of all versions are done, every
dataset is checked and every delivery is made. What is wrong is said with names; `removal.py` acts.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from watcher.disk.removal import claimed_path
from watcher.disk.scan import facts_of
from watcher.disk.stock import stock_of, take_stock
from watcher.errors import DiskError, FileChanged, MountGone, PlanError, UnsafePath
from watcher.model import ENDED, Kind, Plan, SourceFacts, Status
from watcher.rows import Batch, StockFile, Unit
from watcher.stages.looking import see_root
from watcher.stages.revisions import hashes_sent, other_bytes
from watcher.stages.rooms import Rooms

STOCK_PROBLEM = "stock_problem"
"""Where a unit remembers why nothing is known of what lies in its folder."""

SUPERSEDED = "superseded"
UNMATCHED = "unmatched"
MOST_NAMES = 8


@dataclass(frozen=True, slots=True)
class Source:
    """What of a unit would go: the folder `path` below the watch's `root`, or of a flat watch (path "") its `files`."""

    root: Path
    path: str
    files: tuple[str, ...] = ()

    @property
    def shown(self) -> str:
        """What people call it."""
        return str(self.root / self.path) if self.path else f"{', '.join(self.files[:3])} in {self.root}"

    def in_run(self, run_path: str) -> str:
        """Return what stands before the paths of its entries, as paths of the run are written."""
        inner = Path(self.root, self.path)
        return f"{inner.relative_to(run_path)}/".removeprefix("./") if inner.is_relative_to(run_path) else "../"


async def source_of(rooms: Rooms, unit: Unit) -> Source:
    """Return what of a unit would go; PlanError when it lies in no watch, UnsafePath when it is the root itself."""
    root, layout = rooms.root(unit.watch), rooms.layouts.get(unit.layout)
    path = Path(unit.path)
    if not path.is_relative_to(root) or ".." in path.parts:
        raise PlanError(
            f"{path} does not lie in the watch `{unit.watch}` ({root}).", hint="Nothing outside of it is touched."
        )
    inner = str(path.relative_to(root))
    if inner != ".":
        return Source(root, inner)
    if layout is None or not layout.flat:
        raise UnsafePath(f"{path} is the root of the watch `{unit.watch}`, which is never moved or deleted.")
    files = [row.path for row in await rooms.store.source_files(unit.id)]
    return Source(root, "", tuple(files))


async def remember_stock(rooms: Rooms, unit: Unit, plans: Iterable[Plan]) -> None:
    """Remember what lies in the folder of a unit that a rule wants to go: what comes later is unknown to it."""
    if all(plan.finish.source == "keep" for plan in plans):
        return
    problem = ""
    try:
        source = await source_of(rooms, unit)
        await rooms.store.put_stock(unit, await look_at_stock(rooms, source))
    except MountGone:
        raise
    except (DiskError, PlanError) as error:  # it does not keep the run from being sent
        problem = error.message
    await rooms.store.touch(unit, more={STOCK_PROBLEM: problem})


async def look_at_stock(rooms: Rooms, source: Source, *, claim: str = "") -> list[StockFile]:
    """Return what lies there now; with the mark of a `claim`, what was claimed."""
    path = claimed_path(source.path, claim) if claim else source.path
    if source.path:
        return await take_stock(rooms.threads, source.root, path)
    return await stock_of(rooms.threads, source.root, path, source.files)


def difference(known: Sequence[StockFile], now: Sequence[StockFile]) -> str:
    """Say what is not as it was, with names; nothing when all is."""
    before, after = {one.path: one for one in known}, {one.path: one for one in now}
    came = [path for path in after if path not in before]
    gone = [path for path in before if path not in after]
    changed = [path for path, one in after.items() if path in before and _marks(one) != _marks(before[path])]
    told = (("came later", came), ("changed", changed), ("is gone", gone))
    return "; ".join(f"{what}: {named(paths)}" for what, paths in told if paths)


def named(paths: Collection[str]) -> str:
    """Return the first of some paths, and how many more there are."""
    listed = ", ".join(sorted(paths)[:MOST_NAMES])
    return f"{listed} and {len(paths) - MOST_NAMES} more" if len(paths) > MOST_NAMES else listed


def _marks(one: StockFile) -> tuple[str, int, int, str]:
    return one.kind, one.size, one.mtime_ns, one.link


# --- what the rows say ----------------------------------------------------------------------------------------------


def living(batches: Iterable[Batch]) -> list[Batch]:
    """Return the batches whose plan no later one has taken over."""
    return [batch for batch in batches if batch.code != SUPERSEDED]


async def versions_of(rooms: Rooms, unit: Unit) -> list[Unit]:
    """Return a unit and the versions of it before that lie in the same folder, newest first; an analysis may replace
    another one, which lies beside it.
    """
    chain = [unit]
    while (before := await rooms.store.unit(chain[-1].replaces) if chain[-1].replaces else None) is not None:
        if before.path != unit.path or before.id in {one.id for one in chain}:
            break
        chain.append(before)
    return chain


async def refuse_unproven(rooms: Rooms, unit: Unit) -> None:
    """Raise PlanError while anything of the unit, or of another one in its folder, is not where it belongs."""
    chain = await versions_of(rooms, unit)
    for one in chain:
        if problem := await _unproven(rooms, one):
            raise PlanError(problem, hint="Put that right first")
    newest = await rooms.store.find_unit(unit.identity, unit.unit)
    if newest is not None and newest.id not in {one.id for one in chain} and newest.status is not Status.IGNORED:
        raise PlanError(f"{newest.id} is a newer version of it.", hint="Let that one end first")
    layout = rooms.layouts.get(unit.layout)
    if layout is None or not layout.flat:  # files of a flat folder hold nobody else's
        await _refuse_others_inside(rooms, unit, {one.id for one in chain})


async def _refuse_others_inside(rooms: Rooms, unit: Unit, mine: Collection[str]) -> None:
    """Raise PlanError when another unit lies in the folder that is under way, never was sent, or is to stay."""
    for one in await rooms.store.units(watch=unit.watch):
        if one.id in mine or not Path(one.path).is_relative_to(unit.path):
            continue
        if one.status in (Status.CANCELLED, Status.IGNORED):
            if one.path != unit.path:
                raise PlanError(f"{one.id} ({one.unit}) lies in it and was never sent.")
        elif one.status is not Status.DONE:
            raise PlanError(f"{one.id} ({one.unit}) lies in it and is {one.status}.", hint="Let that one end first")
        elif any(batch.plan.finish.source == "keep" for batch in living(await rooms.store.batches(one.id))):
            raise PlanError(f"{one.id} ({one.unit}) lies in it and stays, as its rule says.")


async def _unproven(rooms: Rooms, unit: Unit) -> str:
    if unit.more.get(UNMATCHED):
        return f"No rule took {named([str(name) for name, _ in unit.more[UNMATCHED]])}."
    for batch in living(await rooms.store.batches(unit.id)):
        if batch.status is not Status.DONE:
            return f"Batch {batch.id} is {batch.status}."
        if batch.plan.transfer not in ("tus", "copy"):
            return f"Galaxy reads the files of batch {batch.id} where they lie."
        rows = {row.key: row for row in await rooms.store.datasets(batch.id)}
        unchecked = [one.name for one in batch.plan.datasets if one.key not in rows or not rows[one.key].checked]
        if unchecked:
            return f"Not checked in Galaxy: {named(unchecked)} (batch {batch.id})."
        made = {row.key: row for row in await rooms.store.deliveries(batch.id)}
        for planned in batch.plan.deliveries:
            row = made.get(planned.key)
            if row is None or row.status not in (Status.DONE, Status.IGNORED):
                return f"The delivery of batch {batch.id} to {planned.target} is not made."
    return ""


# --- what the disk says ---------------------------------------------------------------------------------------------


async def refuse_blind(rooms: Rooms, unit: Unit) -> None:
    """Raise MountGone while the watch is blind."""
    await see_root(unit.watch, rooms)


async def refuse_changed(rooms: Rooms, source: Source, known: Sequence[StockFile], *, claim: str = "") -> None:
    """Raise FileChanged when what lies there, or was claimed, is not what was planned."""
    if told := difference(known, await look_at_stock(rooms, source, claim=claim)):
        raise FileChanged(f"{source.shown} is not as it was when it was planned: {told}.")


async def refuse_other_bytes(rooms: Rooms, unit: Unit, source: Source, *, joined_only: bool = False) -> None:
    """Raise FileChanged when a file has not the bytes that were sent of it; reads them through. `joined_only`: those
    that were sent as parts of one dataset, the others are compared by somebody else.
    """
    for one in await versions_of(rooms, unit):
        paths = await _sent_from(rooms, one, source)
        if joined_only:
            paths -= set(await hashes_sent(rooms, one.id))
        found = await facts_of(rooms.threads, Path(one.run_path), sorted(paths))
        files: list[SourceFacts] = [facts for facts in found.values() if facts.kind is Kind.FILE]
        missing = paths - {facts.path for facts in files}
        other = missing | set(await other_bytes(rooms, one.id, Path(one.run_path), files))
        if other:
            raise FileChanged(f"These have not the bytes that were sent: {named(other)}.", files=tuple(sorted(other)))


async def sent_hashes(rooms: Rooms, unit: Unit, source: Source) -> Mapping[str, str]:
    """Return the SHA-256 that was sent of each file which was sent alone, by its path in the source."""
    found: dict[str, str] = {}
    for one in reversed(await versions_of(rooms, unit)):
        begin = source.in_run(one.run_path)
        for path, sha256 in (await hashes_sent(rooms, one.id)).items():
            if path.startswith(begin):
                found[path.removeprefix(begin)] = sha256
    return found


async def _sent_from(rooms: Rooms, unit: Unit, source: Source) -> set[str]:
    """Return the paths in the run of all files that were sent from what would go."""
    begin = source.in_run(unit.run_path)
    plans = [batch.plan for batch in living(await rooms.store.batches(unit.id)) if batch.status in ENDED]
    return {path for plan in plans for dataset in plan.datasets for path in dataset.sources if path.startswith(begin)}
