"""What a thousand known runs cost, and a run of base calls that is still being written.

The runs are taken in by the stages themselves (`detect`, `settle`) and then put at their end, so that the state holds
what it would hold after they were uploaded, but for their batches, which no look asks for. `BENCH_SHARE=0.01` makes a
hundredth of the runs and of the base calls, for trying.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast
from unittest import mock

from benchmarks.daemons import Daemon
from benchmarks.figures import Figure, Table, Target
from benchmarks.run_trees import HISEQ_CYCLES, Runs, write_hiseq, write_runs
from tests.world import World
from watcher.disk.events import Wakeups
from watcher.model import Next, Stage, Status, Wait
from watcher.rows import Unit
from watcher.runs.manifests import expected_checksums
from watcher.service.build import build
from watcher.stages.afterwards import ENDED_AT, SURE_S
from watcher.stages.detect import detect
from watcher.stages.looking import find_again, view_of
from watcher.stages.rooms import Rooms
from watcher.stages.settle import settle
from watcher.store.store import Store

TITLE = "A thousand known runs"
KINDS = ("bclconvert", "novaseqx", "minknow")
RESCAN_S = 5
RESCANS, FEW_RESCANS = 6, 2
LOOK_LIMIT_S = 900.0
POLL_S = 0.2
CALM_S = 0.05  # of processor time in a second
YEARS = timedelta(days=2 * 365)
ALL_RUNS = Runs()


def measure(folder: Path) -> Table:
    """Let the daemon start beside a thousand finished runs, let it look again and again; then look at base calls."""
    share = float(os.environ.get("BENCH_SHARE", "1"))
    runs = ALL_RUNS.part(share)
    with World(folder / "scale") as world:
        watch_all(world)
        Daemon(world).stop()  # leaves its bytecode behind
        files = write_runs(places_of(world), runs)
        known_files = asyncio.run(make_known(world))
        figures = asyncio.run(_of_the_daemon(world))
    with World(folder / "hiseq") as world:
        calls = write_hiseq(world.watched, cycles=max(round(HISEQ_CYCLES * share), 1))
        world.write_config()
        look = asyncio.run(look_at_open_run(world))
    figures += [
        Figure("open run: directories read per rescan", look.reads, "", "detect and settle", Target(below=200), 0),
        Figure("open run: time per rescan", look.took_s, "s", "detect and settle, one look"),
    ]
    about = (
        f"{runs.count} finished runs with {files} files in {len(KINDS)} watches: {runs.bclconvert} of BCL Convert with"
        f" 10 projects, {runs.novaseqx} of a NovaSeq X with an analysis each, {runs.minknow} of MinKNOW as"
        f" GROUP/SAMPLE/RUN; {known_files} of the files are in the state. Files are empty, folders are in the cache of"
        " the kernel, and Python's bytecode is there. The runs of each watch ended one after the other over two years,"
        " so that those of the last week are still looked through for late files. Settings as by default, but for the"
        " time between rescans. The start is over when every watch was looked through once. Then a HiSeq run of"
        f" {calls} base call files that still waits for its markers, alone in its watch."
    )
    return Table(TITLE, about, tuple(figures))


# --- the known runs --------------------------------------------------------------------------------------------------


def places_of(world: World) -> dict[str, Path]:
    """Return the watched folder of each kind of run."""
    return {kind: world.folder / kind for kind in KINDS}


def watch_all(world: World, rescan: str | None = None) -> None:
    """Write the configuration: a watch for each kind of run, settings as by default but for `rescan`."""
    places = places_of(world)
    for place in places.values():
        place.mkdir(exist_ok=True)
    watches = [
        {"name": kind, "path": str(place), "settle": "0s", "existing": "process"} for kind, place in places.items()
    ]
    rule = {"workflow": None, "deliver": None}
    world.write_config(rule=rule, watches=watches, rescan=rescan, rescan_active=None, limits=None, log=None)


async def make_known(world: World) -> int:
    """Take in every run as the daemon does and put it at its end, one after the other over the last `YEARS`; return how
    many source files the state then holds.

    RuntimeError when a run is not complete in the eyes of its layout: then it would say nothing of true ones.
    """
    count = 0
    async with _rooms(world) as rooms:
        for watch in rooms.settings.watches:
            await detect(await rooms.store.watch(watch.name), rooms)
            units = sorted(await rooms.store.units(watch=watch.name), key=lambda unit: unit.run_path)
            for number, unit in enumerate(units, start=1):
                outcome = await settle(unit, rooms)
                if not isinstance(outcome, Next):
                    raise RuntimeError(f"{unit.run} ({unit.layout}) is not complete: {outcome.reason}")
                await _put_at_end(rooms, unit, datetime.now(UTC) - YEARS * (1 - number / len(units)))
                count += len(await rooms.store.source_files(unit.id))
    return count


async def _put_at_end(rooms: Rooms, unit: Unit, ended_at: datetime) -> None:
    place, found = await find_again(unit, rooms)
    view = await view_of(rooms.threads, place, found, rooms.watch(unit.watch), quiet_s={}, assume_quiet=True)
    checksums = {path: dict(known) for path, known in expected_checksums(view).items()}
    more = {"checksums": checksums, "unmatched": [], ENDED_AT: ended_at.isoformat()}
    await rooms.store.move(unit, stage=Stage.FINISH, status=Status.DONE, more=more)


class _Deaf:
    """Stands for the kernel's events: what is looked at here is looked at once."""

    def watch(self, key: str, folder: Path) -> None:
        """Watch nothing."""

    def unwatch(self, key: str) -> None:
        """Have nothing to end."""

    def watched(self) -> frozenset[str]:
        """Return no key."""
        return frozenset()


@contextlib.asynccontextmanager
async def _rooms(world: World) -> AsyncIterator[Rooms]:
    def ignore(*_: str) -> None:
        pass

    async with build(world.settings(), on_wake=ignore, on_blind=ignore) as rooms:
        yield replace(rooms, wakeups=cast(Wakeups, _Deaf()))


# --- the daemon ------------------------------------------------------------------------------------------------------


async def _of_the_daemon(world: World) -> list[Figure]:
    """Start it once when nothing is remembered of the folders, and once more when it knows them; then let it rescan.

    Looking again begins only when the look before is over, or watches with few files would be looked through more often
    than the others, and count as much: so an interval that is too short for it becomes a longer one.
    """
    watch_all(world, rescan=f"{RESCAN_S}s")
    daemon, first = await _started(world)
    async with world.store() as store:
        await _Looks(store, datetime.now(UTC)).until_each(RESCANS)
    most_mb = daemon.most_resident_mb
    await asyncio.to_thread(daemon.stop)
    daemon, again = await _started(world)
    await asyncio.sleep(SURE_S + 2 * RESCAN_S)  # until then what came late is compared anew each time
    await _until_calm(daemon)
    rescans = RESCANS if again.took_s < RESCAN_S else FEW_RESCANS
    async with world.store() as store:
        before_s = daemon.cpu_s
        await _Looks(store, datetime.now(UTC)).until_each(rescans)
        cpu_s = (daemon.cpu_s - before_s) / rescans
    resident_mb, most_mb = daemon.resident_mb, max(most_mb, daemon.most_resident_mb)
    await asyncio.to_thread(daemon.stop)
    how = f"mean of {rescans}, one every {RESCAN_S} s, a minute after the start"
    return [
        Figure("start until every watch is looked through", again.took_s, "s", "", Target(below=10), 1),
        Figure("start, processor", again.cpu_s, "s", "until then", digits=1),
        Figure("first start, nothing remembered of the folders", first.took_s, "s", "", digits=1),
        Figure("first start, processor", first.cpu_s, "s", "until then", digits=1),
        Figure("processor per rescan of all watches", cpu_s, "s", how, Target(below=0.3)),
        Figure("memory (RSS)", resident_mb, "MB", "after these rescans", Target(below=140), 0),
        Figure("memory (RSS), most at any time", most_mb, "MB", "also of the first start", digits=0),
    ]


@dataclass(frozen=True, slots=True)
class _Start:
    """What it took until every watch was looked through: seconds, and seconds of the processor."""

    took_s: float
    cpu_s: float


async def _started(world: World) -> tuple[Daemon, _Start]:
    """Start the daemon and wait until it has looked through every watch; return it with what that took."""
    began_at = datetime.now(UTC)
    daemon = await asyncio.to_thread(Daemon, world)
    async with world.store() as store:
        looks = _Looks(store, began_at)
        await looks.until_each(1)
    return daemon, _Start((max(looks.last.values()) - began_at).total_seconds(), daemon.cpu_s)


async def _until_calm(daemon: Daemon) -> None:
    """Return once the daemon has hardly worked for a second; TimeoutError when it never rests."""
    async with asyncio.timeout(LOOK_LIMIT_S):
        before_s = -math.inf
        while daemon.cpu_s - before_s > CALM_S:
            before_s = daemon.cpu_s
            await asyncio.sleep(1)


class _Looks:
    """Counts how often each watch was looked through, as the state tells it; asks less often than they end."""

    def __init__(self, store: Store, since: datetime) -> None:
        self._store = store
        self._since = since
        self._count: Counter[str] = Counter()
        self.last: dict[str, datetime] = {}

    async def until_each(self, count: int) -> None:
        """Return once every watch was looked through that often; TimeoutError when that takes far too long."""
        async with asyncio.timeout(LOOK_LIMIT_S):
            while min(self._count[kind] for kind in KINDS) < count:
                await asyncio.sleep(POLL_S)
                for watch in await self._store.watches():
                    looked_at = watch.last_look_at
                    if looked_at is not None and looked_at > self.last.get(watch.name, self._since):
                        self.last[watch.name] = looked_at
                        self._count[watch.name] += 1


# --- the open run ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OpenLook:
    """What a rescan of a run that is being written costs: directories read, and seconds."""

    reads: int
    took_s: float


async def look_at_open_run(world: World) -> OpenLook:
    """Look at the only run of a watch, which is known and waits, once more; RuntimeError when it does not wait."""
    async with _rooms(world) as rooms:
        name = rooms.settings.watches[0].name
        await detect(await rooms.store.watch(name), rooms)
        (unit,) = await rooms.store.units()
        await settle(unit, rooms)
        began = time.monotonic()
        with counting_reads() as count:
            await detect(await rooms.store.watch(name), rooms)
            outcome = await settle(unit, rooms)
        if not isinstance(outcome, Wait) or len(await rooms.store.units()) != 1:
            raise RuntimeError(f"{unit.run} ({unit.layout}) does not wait: {outcome}")
        return OpenLook(count(), time.monotonic() - began)


@contextlib.contextmanager
def counting_reads() -> Iterator[Callable[[], int]]:
    """Count the directories that this process reads during the block, in all its threads."""
    reads: list[Any] = []  # appending is whole in any thread, adding to a number is not

    def counted(call: Callable[..., Any]) -> Callable[..., Any]:
        def read(*arguments: Any) -> Any:
            reads.append(arguments)
            return call(*arguments)

        return read

    with mock.patch.object(os, "scandir", counted(os.scandir)), mock.patch.object(os, "listdir", counted(os.listdir)):
        yield lambda: len(reads)
