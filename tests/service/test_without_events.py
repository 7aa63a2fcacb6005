"""A kernel that tells nothing: everything is found by looking again, and one warning says what is to be raised."""

from __future__ import annotations

import errno
from datetime import timedelta
from pathlib import Path

import pytest
import structlog

from tests.stages.looks import looks_of
from tests.world import RUN, World
from watcher.disk import events
from watcher.model import Next, Stage, Wait
from watcher.stages.settle import settle


@pytest.mark.parametrize(
    ("number", "sysctl"),
    [(errno.ENOSPC, "fs.inotify.max_user_watches"), (errno.EMFILE, "fs.inotify.max_user_instances")],
)
async def test_a_limit_of_the_kernel_is_one_warning_and_nothing_is_missed(
    world: World, monkeypatch: pytest.MonkeyPatch, number: int, sysctl: str
) -> None:
    """No folder can be watched, neither roots nor runs: a run that comes is found, and its marker; one line tells."""

    def refuse(_: object, folder: Path) -> str:
        raise OSError(number, "limit reached", str(folder))

    monkeypatch.setattr(events._Kernel, "watch", refuse)
    world.write_config(rule={"workflow": None, "deliver": None}, rescan="1s", rescan_active="1s")
    with structlog.testing.capture_logs() as lines:
        async with world.daemon():
            run = world.add_run(marker=False)
            await world.until_status("waiting", stage="settle")
            (run / "Logs" / "FastqComplete.txt").touch()
            await world.until_status("done")
    (line,) = [line for line in lines if line["event"] == "events.blind"]
    assert sysctl in line["reason"]
    assert line["log_level"] == "warning"


async def test_a_marker_that_no_event_tells_of_is_seen_within_a_minute(world: World) -> None:
    """What is being written is looked at once a minute, whatever `rescan` is; the look after the marker ends it."""
    world.write_config(watch={"settle": "0s"}, rescan="1h", rescan_active=None)
    run = world.add_run(marker=False)
    async with looks_of(world) as looks:  # where nobody hears of events
        await looks.look()
        (unit,) = await looks.units()
        outcome = await settle(await looks.rooms.store.begin(unit), looks.rooms)
        assert isinstance(outcome, Wait)
        assert outcome.after == timedelta(seconds=60)
        (run / "Logs" / "FastqComplete.txt").touch()
        looks.clock.advance(outcome.after)
        (unit,) = await looks.units()
        assert unit.run == RUN
        outcome = await settle(await looks.rooms.store.begin(unit), looks.rooms)
        assert outcome == Next(Stage.VERIFY, "Finished: every condition holds.")
