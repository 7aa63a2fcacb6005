"""Upload sessions that cannot be trusted any more: their bytes do not stay on the server under an id nobody knows."""

from __future__ import annotations

import pytest

from tests.fakes.galaxy import Fault
from tests.rarer import rarer
from tests.world import World

SESSIONS = "/api/upload/resumable_upload/*"

CHUNKS = {"limits": {"chunk_bytes": "64 KiB", "probe": "1s", "uncertain_for": "2s"}}
"""Several chunks per file, so that something can go wrong between them."""

BREAKS = {
    "conflict": Fault("status", method="PATCH", path=SESSIONS, status=409, skip=1),
    "cut-by-the-server": Fault("truncate", method="PATCH", path=SESSIONS, size=20),
    "cut-after-the-last-byte": Fault("truncate", method="PATCH", path=SESSIONS, size=20, skip=1),
    "answer-lost-and-cut": Fault("late", method="PATCH", path=SESSIONS, seconds=0.1),
}


def break_session(world: World, case: str) -> Fault:
    """Arm the fault that makes a session worthless."""
    armed = BREAKS[case]
    return world.fake.faults.add(
        Fault(
            armed.kind, method=armed.method, path=armed.path, status=armed.status,
            size=armed.size, seconds=armed.seconds, skip=armed.skip,
        )
    )  # fmt: skip


@pytest.mark.parametrize("case", rarer(BREAKS, keep=2))
async def test_a_session_that_is_given_up_is_deleted(world: World, case: str) -> None:
    """Whatever made it worthless, only the fresh session becomes a dataset, and the old one is gone."""
    world.write_config(**CHUNKS)
    world.add_run(samples=("S1",), reads=4000, bases=60)
    fault = break_session(world, case)
    (unit,) = (await world.once())["units"]
    assert fault.hits
    assert unit["status"] == "done", unit
    assert world.uploads() == world.fastqs()
    assert world.fake.snapshot()["sessions"] == []


@pytest.mark.parametrize("case", ["conflict", "cut-after-the-last-byte"])
async def test_a_session_that_cannot_be_deleted_keeps_nothing_up(
    world: World, case: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """The file is sent again all the same; the log says so and does not give the session away."""
    world.write_config(**CHUNKS)
    world.add_run(samples=("S1",), reads=4000, bases=60)
    break_session(world, case)
    refused = world.fake.faults.add(Fault("status", method="DELETE", path=SESSIONS, status=500, times=None))
    (unit,) = (await world.once())["units"]
    assert refused.hits == 1
    assert unit["status"] == "done", unit
    assert world.uploads() == world.fastqs()
    (left,) = world.fake.state.sessions
    told = "".join(capfd.readouterr())
    assert "session.not_deleted" in told
    assert left not in told
