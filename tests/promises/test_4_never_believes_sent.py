"""Promise 4: "sent" is never believed; every dataset is checked on the server, and the report says how far."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fakes.galaxy import Fault
from tests.rarer import rarer
from tests.world import World

pytestmark = pytest.mark.timeout(180)  # a whole way each, also on a busy machine

SPOILT = {
    "size-recorded-wrong": "wrong_size",
    "bytes-changed-on-the-way": "hash_mismatch",
    "tail-lost-on-the-way": "lose_tail",
    "session-lost-before-the-job": "session_lost",
}


@pytest.mark.parametrize("case", SPOILT)
async def test_a_dataset_that_differs_is_made_anew(world: World, case: str) -> None:
    """A dataset that is not what was sent is thrown away and sent again; the workflow sees only good ones."""
    fault = world.fake.faults.add(Fault(SPOILT[case], size=7))
    world.add_run()
    (unit,) = (await world.once())["units"]
    assert fault.used_up
    assert unit["status"] == "done", unit
    assert world.uploads() == world.fastqs()
    used = [row for row in world.fake.collections() if not row["made_by_tool"]]
    good = {row["id"] for row in world.fake.datasets() if not row["deleted"]}
    members = {dataset for row in used for reads in row["elements"].values() for dataset in reads.values()}
    assert members <= good


@pytest.mark.parametrize("case", SPOILT)
async def test_what_never_arrives_whole_is_held(world: World, case: str) -> None:
    """When it goes wrong again and again the batch is held with the file's name, and no workflow starts."""
    world.fake.faults.add(Fault(SPOILT[case], size=7, times=None))
    world.add_run(samples=("S1",))
    (unit,) = (await world.once())["units"]
    assert unit["status"] == "held", unit
    assert "S1_S1_L001" in unit["reason"]
    assert world.fake.invocations() == []
    assert world.fake.collections() == []


@pytest.mark.parametrize(
    ("version", "checked"),
    rarer([("24.1.4", "size"), ("26.1.2", "SHA-256"), ("24.2.4", "SHA-256"), ("25.1.3", "SHA-256")], keep=2),
)
async def test_the_report_says_how_far_a_dataset_was_checked(tmp_path: Path, version: str, checked: str) -> None:
    """SHA-256 where the server verifies it, size elsewhere: never more than was done."""
    with World(tmp_path, version=version) as world:
        world.add_run(samples=("S1",))
        (unit,) = (await world.once())["units"]
        assert (unit["status"], unit["batches"][0]["checked"]) == ("done", checked)
        datasets = (await world.show(unit["id"]))["batches"][0]["datasets"]
        assert {row["checked"] for row in datasets} == {checked}
        assert world.uploads() == world.fastqs()


async def test_a_session_cut_behind_our_back_is_noticed_before_it_is_registered(world: World) -> None:
    """A server that loses the last bytes of a session after its answer does not get away with it."""
    fault = world.fake.faults.add(Fault("truncate", method="PATCH", path="/api/upload/resumable_upload/*", size=1))
    world.add_run(samples=("S1",))
    (unit,) = (await world.once())["units"]
    assert fault.used_up
    assert unit["status"] == "done", unit
    assert world.uploads() == world.fastqs()
    assert sum(row["uploaded"] for row in world.fake.datasets()) == 2
