"""From the marker to the first byte that reaches Galaxy.

The fake one, in this process; the daemon is a process of its own, and both read the same clock.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from benchmarks.daemons import Daemon
from benchmarks.figures import Table, Target, median_of
from tests.world import World, until
from watcher.model import Stage, Status

TITLE = "From the marker to the first byte"
ROUNDS = 5
WITHIN_S = 1.0


def measure(folder: Path) -> Table:
    """Write the marker of a run that is complete but for it, several times over."""
    with World(folder / "marker") as world:
        world.write_config(rule={"workflow": None, "deliver": None}, rescan=None, rescan_active=None, limits=None)
        daemon = Daemon(world)
        times = [asyncio.run(_one(world, f"260301_M00000_{number:04d}_000000000-BENCH")) for number in range(ROUNDS)]
        daemon.stop()
    about = (
        "A folder of BCL Convert on a local disk, complete but for `Logs/FastqComplete.txt`, which the daemon waits"
        " for; `settle: 0s`, all else as by default. The clock runs from the writing of that file to the first PATCH"
        " at the server."
    )
    return Table(TITLE, about, (median_of("marker to first uploaded byte", times, "s", target=Target(below=WITHIN_S)),))


async def _one(world: World, run: str) -> float:
    folder = world.add_run(run, marker=False)

    async def stands(stage: Stage, status: Status) -> bool:
        async with world.store() as store:
            return any(unit.run == run and (unit.stage, unit.status) == (stage, status) for unit in await store.units())

    await until(lambda: stands(Stage.SETTLE, Status.WAITING), 30, what=f"{run} waits for its marker")
    world.fake.requests.clear()
    began = time.monotonic()
    (folder / "Logs" / "FastqComplete.txt").touch()
    await until(lambda: stands(Stage.FINISH, Status.DONE), 60, what=f"{run} is done")
    return min(seen.at for seen in world.fake.requests.all("PATCH")) - began
