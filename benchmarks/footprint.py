"""What the daemon costs: how soon it is ready, memory and processor time when idle, memory while it uploads.

The state holds the finished runs of some weeks. Uploads go to the fake Galaxy, in this process.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from benchmarks import reads
from benchmarks.daemons import Daemon, bytecode
from benchmarks.figures import Figure, Table, Target, median_of
from tests.world import World, until
from watcher.model import Status

TITLE = "What the daemon costs"
RUNS = 50
STARTS = 5
IDLE_S = 60.0
SIZES_MIB = (64, 512, 2048)
FILES = 4
WATCHES = 3


def measure(folder: Path) -> Table:
    """Start it several times, let it idle, then let it upload runs of growing size."""
    with World(folder / "footprint") as world:
        _write_config(world)
        for number in range(RUNS):
            world.add_run(_run(number), samples=("S1",))
        ended = world.fresh_command("once", "--wait", "0s", timeout_s=240, **bytecode(folder))
        if ended.code:
            raise RuntimeError(f"once ended with {ended.code}:\n{ended.err}")
        starts = []
        for _ in range(STARTS):
            daemon = Daemon(world)
            starts.append(daemon.ready_s)
            if len(starts) < STARTS:
                daemon.stop()
        cpu_share, idle_mb = _idle(daemon)
        figures = [
            median_of("start to ready", starts, "s", target=Target(at_most=1.5)),
            Figure("idle, memory (RSS)", idle_mb, "MB", f"after {IDLE_S:.0f} s", Target(below=110), 0),
            Figure("idle, processor", 100 * cpu_share, "% of a core", f"over {IDLE_S:.0f} s", Target(below=0.5)),
        ]
        for number, size_mib in enumerate(SIZES_MIB):
            asyncio.run(_upload(world, daemon, f"260302_M00000_{number:04d}_000000000-BENCH", size_mib))
            what = f"uploading {size_mib} MiB, memory above idle"
            how = f"most at any time; {FILES} files of gz FASTQ at a time"
            figures.append(Figure(what, daemon.most_resident_mb - idle_mb, "MB", how, Target(at_most=40), 0))
        daemon.stop()
    about = (
        f"`galaxy-watcher serve` with {WATCHES} watches and {RUNS} finished runs in its state, settings as by default."
        " Ready is what it tells systemd (`READY=1`); Python's bytecode is there, as after an installation."
    )
    return Table(TITLE, about, tuple(figures))


def _run(number: int) -> str:
    return f"260101_M00000_{number:04d}_000000000-BENCH"


def _write_config(world: World) -> None:
    places = [world.watched, *(world.folder / f"watched-{number}" for number in range(1, WATCHES))]
    for place in places:
        place.mkdir(exist_ok=True)
    watches = [
        {"name": f"watch{number}", "path": str(place), "settle": "0s", "existing": "process"}
        for number, place in enumerate(places)
    ]
    rule = {"workflow": None, "deliver": None}
    world.write_config(rule=rule, watches=watches, rescan=None, rescan_active=None, limits=None, log=None)


def _idle(daemon: Daemon) -> tuple[float, float]:
    """Return the share of a core it takes, and its memory at the end."""
    time.sleep(2)  # the first look is over
    before, began = daemon.cpu_s, time.monotonic()
    time.sleep(IDLE_S)
    return (daemon.cpu_s - before) / (time.monotonic() - began), daemon.resident_mb


async def _upload(world: World, daemon: Daemon, run: str, size_mib: int) -> None:
    """Let it upload a run of that size, and watch over its memory from then on."""
    folder = world.add_run(run, samples=("S1", "S2"), marker=False)
    for path in sorted(folder.glob("*.fastq.gz")):
        reads.write_blocks(path, size_mib * 2**20 // FILES)
    daemon.forget_most()
    (folder / "Logs" / "FastqComplete.txt").touch()

    async def is_done() -> bool:
        async with world.store() as store:
            return any(unit.run == run and unit.status is Status.DONE for unit in await store.units(limit=3))

    await until(is_done, 180, what=f"{run} is done")
