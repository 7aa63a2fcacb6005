"""Upload sessions that somebody goes on with later: at once where the last request was seen to end, else only when it
can no longer write.
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.crash.run_and_die import QuickClock
from tests.fakes.galaxy import Fault
from tests.world import World, until
from watcher.clock import SystemClock

SESSIONS = "/api/upload/resumable_upload/*"
PIECE_BYTES = 32 * 1024
LIMITS = {"limits": {"chunk_bytes": PIECE_BYTES, "probe": "1s", "uncertain_for": "2s", "transfers": 1}}
PIECE_S = PIECE_BYTES / 10_000
"""How long a piece has to wait for the one before at 10 kB/s, at most."""


class NotingClock(SystemClock):
    """The machine's own clock, which knows who waits for bandwidth."""

    def __init__(self) -> None:
        self.paces = 0

    async def sleep(self, seconds: float) -> None:
        """Note a pause that is about as long as one piece takes, or two."""
        self.paces += PIECE_S - 0.5 < seconds <= 2 * PIECE_S
        await super().sleep(seconds)


def sent_bytes(world: World) -> int:
    """Return how many bytes went into sessions."""
    return sum(seen.received for seen in world.fake.requests.all("PATCH"))


def size(world: World) -> int:
    """Return how many bytes the FASTQ files have."""
    return sum(path.stat().st_size for path in world.watched.rglob("*.fastq.gz"))


async def test_a_stop_between_two_parts_costs_nothing(world: World, capfd: pytest.CaptureFixture[str]) -> None:
    """Where every request was answered the next daemon goes on at once, and sends no byte twice."""
    world.write_config(**LIMITS, watch={"bandwidth": "10 kB/s"})
    world.add_run(samples=("S1",), reads=4000, bases=60)
    clock = NotingClock()

    async def is_between() -> bool:
        return clock.paces == 2  # both files rest

    async with world.daemon(clock=clock):
        await until(is_between, what="a pause of both")
    world.write_config(**LIMITS)
    async with world.daemon():
        await world.until_status("done", timeout_s=45)  # less than it would wait for a request under way
    assert world.uploads() == world.fastqs()
    assert world.posts("resumable_upload") == 2
    assert sent_bytes(world) == size(world)
    assert "session.doubted" not in "".join(capfd.readouterr())


@pytest.mark.parametrize("version", ["24.1.4", "26.1.2"])
async def test_a_stop_in_the_middle_of_a_part_is_waited_for(
    tmp_path: Path, version: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """A request that nobody saw end may still write: the next daemon waits, and goes on in the same session."""
    with World(tmp_path, version=version) as world:
        world.write_config(limits={**LIMITS["limits"], "chunk_bytes": 4096})
        world.add_run(samples=("S1",), reads=8000, bases=60)

        async def is_held() -> bool:
            return held.used_up

        held = world.fake.faults.add(Fault("hold_answer", method="PATCH", path=SESSIONS, skip=9))
        async with world.daemon():
            await until(is_held, what="the tenth part")
        held.release()
        async with world.daemon(clock=QuickClock(time.time(), 10.0)):
            await world.until_status("done")
        assert world.uploads() == world.fastqs()
        assert world.posts("resumable_upload") == 2
        assert sent_bytes(world) == size(world)
        assert world.fake.writers_met == 0
        assert "session.doubted" in "".join(capfd.readouterr())
