"""Mounts that go away while the daemon runs: nothing is concluded from what is not there, nothing is doubled after."""

from __future__ import annotations

import asyncio
import subprocess
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest

from tests.world import RUN, World, until, write_bclconvert
from watcher.clock import SystemClock
from watcher.disk.threads import DiskThreads
from watcher.service.daemon import Daemon
from watcher.service.obstacles import probe_obstacles
from watcher.stages import detect, looking

T = TypeVar("T")
OPEN = "260301_M02439_0044_000000000-KT43M"
NEXT = "260302_M02439_0045_000000000-KT44M"
RESCAN = timedelta(hours=1)


class LeapingClock(SystemClock):
    """The machine's clock, but the hours pass when told to."""

    def __init__(self) -> None:
        self._leapt = timedelta(0)

    def now(self) -> datetime:
        """Return the wall clock, with the hours leapt over."""
        return super().now() + self._leapt

    def monotonic(self) -> float:
        """Return seconds that never go back, with those leapt over."""
        return super().monotonic() + self._leapt.total_seconds()

    def leap(self, by: timedelta) -> None:
        """Let time pass at once."""
        self._leapt += by


@pytest.fixture
def server(world: World, mount_tmpfs: Callable[[Path], Path]) -> Iterator[Path]:
    """Yield a file system that keeps its files while it is mounted on the watched folder, or not."""
    yield mount_tmpfs(world.folder / "server")
    subprocess.run(["umount", "-l", str(world.watched)], check=False, capture_output=True)


def _mount(server: Path, world: World) -> None:
    subprocess.run(["mount", "--bind", str(server), str(world.watched)], check=True)


def _unmount(world: World) -> None:
    subprocess.run(["umount", str(world.watched)], check=True)


async def _statuses(world: World) -> dict[str, str]:
    return {unit["run"]: unit["status"] for unit in (await world.status())["units"]}


async def _stand(world: World, **wanted: str) -> None:
    """Wait until the runs stand so."""

    async def they_do() -> bool:
        return await _statuses(world) == wanted

    await until(they_do, 30, what=f"{wanted}")


async def _is_blind(world: World) -> bool:
    return [one["kind"] for one in (await world.status())["obstacles"]] == ["mount"]


async def _rescanned(daemon: Daemon) -> None:
    """Do what the timers do, now: ask after what is broken, look at every watch; wait until no stage is due or runs."""
    rooms = daemon.rooms
    await probe_obstacles(rooms)
    for watch in rooms.settings.watches:
        await rooms.store.wake("watch", watch.name)
    daemon.dispatcher.nudge()
    while await rooms.store.due(rooms.clock.now()) or not daemon.dispatcher.idle:  # noqa: ASYNC110 - no event says so
        await asyncio.sleep(0.005)


async def test_a_mount_that_comes_back_finds_everything_as_it_was(world: World, server: Path) -> None:
    """While it is away no run is called gone, new or late; back again, the open one goes on, and no other once more."""
    world.write_config(rule={"workflow": None, "deliver": None})
    _mount(server, world)
    world.add_run()
    run = world.add_run(OPEN, samples=("T1",), marker=False)
    async with world.daemon() as daemon:
        await _stand(world, **{RUN: "done", OPEN: "waiting"})
        before = await world.status()
        _unmount(world)
        for _ in range(5):
            await _rescanned(daemon)
        assert await _is_blind(world)
        away = await world.status()
        assert [(one["id"], one["version"]) for one in away["units"]] == [
            (one["id"], one["version"]) for one in before["units"]
        ]
        assert {one["run"]: one["status"] for one in away["units"]} in (
            {RUN: "done", OPEN: "waiting"},
            {RUN: "done", OPEN: "working"},  # it looks once more just now
        )
        (server / OPEN / "Logs" / "FastqComplete.txt").touch()
        _mount(server, world)
        await _rescanned(daemon)
        await _stand(world, **{RUN: "done", OPEN: "done"})
    assert world.uploads() == {**world.fastqs(world.watched / RUN), **world.fastqs(run)}
    assert [len(await world.journal(event)) for event in ("obstacle.raised", "obstacle.ended")] == [1, 1]
    assert not [*await world.journal("unit.late_files"), *await world.journal("unit.moved")]


async def test_a_mount_that_goes_in_the_middle_of_a_look(
    world: World, server: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is seen then may lie on the bare folder: no row is made of it, and the watch is blind."""
    world.write_config(rule={"workflow": None, "deliver": None})
    _mount(server, world)
    world.add_run()
    plain = looking.runs_in

    async def unmounted(*arguments: Any) -> Any:
        if not (world.watched / NEXT / "bare").exists():
            _unmount(world)
            write_bclconvert(world.watched / NEXT, ("X1",))
            (world.watched / NEXT / "bare").touch()
        return await plain(*arguments)

    async with world.daemon() as daemon:
        await _stand(world, **{RUN: "done"})
        monkeypatch.setattr(detect, "runs_in", unmounted)
        world.add_run(NEXT, samples=("N1",))
        while not (world.watched / NEXT / "bare").exists():  # a look that had begun before does not come by there
            await _rescanned(daemon)
        assert await _is_blind(world)
        assert await _statuses(world) == {RUN: "done"}


async def test_what_lies_below_a_missing_mount_is_nobodys_run(world: World, server: Path) -> None:
    """Somebody wrote into the bare folder while the mount was away: it is not taken, now or after."""
    world.write_config(rule={"workflow": None, "deliver": None})
    _mount(server, world)
    world.add_run()
    async with world.daemon() as daemon:
        await _stand(world, **{RUN: "done"})
        _unmount(world)
        write_bclconvert(world.watched / NEXT, ("X1",))
        await _rescanned(daemon)
        assert await _is_blind(world)
        assert await _statuses(world) == {RUN: "done"}
        _mount(server, world)
        world.add_run(OPEN, samples=("T1",))
        await _rescanned(daemon)
        await _stand(world, **{RUN: "done", OPEN: "done"})
    assert world.uploads() == world.fastqs(server)


def _hang(monkeypatch: pytest.MonkeyPatch, place: Path) -> threading.Event:
    """Let every disk call at a place wait until the event is set, as it is in the beginning."""
    answers = threading.Event()
    answers.set()

    def slowed(kind: str) -> Callable[..., Any]:
        real = getattr(DiskThreads, kind)

        async def run(self: DiskThreads, where: Path, call: Callable[[], T], *, timeout_s: float | None = None) -> T:
            def late() -> T:
                answers.wait()
                return call()

            if not where.is_relative_to(place):
                return await real(self, where, call, timeout_s=timeout_s)  # type: ignore[no-any-return]
            return await real(self, where, late, timeout_s=timeout_s if answers.is_set() else 0.1)  # type: ignore[no-any-return]

        return run

    for kind in ("look", "read"):
        monkeypatch.setattr(DiskThreads, kind, slowed(kind))
    return answers


async def test_a_day_of_rescans_on_a_mount_that_hangs(
    world: World, mount_tmpfs: Callable[[Path], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two threads at most are lost to it, it is told once, the other watch goes on; its run does once it answers."""
    dead = mount_tmpfs(world.folder / "dead")
    answers = _hang(monkeypatch, dead)
    watch = {"settle": "0s", "existing": "process"}
    watches = [{"name": "alive", "path": str(world.watched), **watch}, {"name": "dead", "path": str(dead), **watch}]
    world.write_config(
        watches=watches, rule={"workflow": None, "deliver": None}, rescan=f"{RESCAN.seconds}s", limits={"probe": "1h"}
    )
    write_bclconvert(dead / OPEN, ("T1",), marker=False)
    clock = LeapingClock()
    try:
        async with world.daemon(clock=clock) as daemon:
            await _stand(world, **{OPEN: "waiting"})
            answers.clear()
            for number in range(timedelta(days=1) // RESCAN):
                clock.leap(RESCAN)
                await _rescanned(daemon)
                assert 1 <= sum(daemon.rooms.threads.hung().values()) <= 2
                assert len([one for one in threading.enumerate() if str(dead) in one.name]) <= 2
                if number == 11:
                    world.add_run()
                if number == 12:
                    await _stand(world, **{OPEN: "waiting", RUN: "done"})
            assert await _statuses(world) == {OPEN: "waiting", RUN: "done"}
            assert len(await world.journal("obstacle.raised")) == 1
            answers.set()
            (dead / OPEN / "Logs" / "FastqComplete.txt").touch()
            await _rescanned(daemon)
            await _stand(world, **{OPEN: "done", RUN: "done"})
            assert world.uploads() == {**world.fastqs(), **world.fastqs(dead)}
            assert len(await world.journal("obstacle.ended")) == 1
    finally:
        answers.set()
