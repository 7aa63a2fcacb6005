"""Promise 6: no source file is changed or deleted; for now no rule can even ask for it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.fakes.galaxy import Fault
from tests.world import World, fastq, packed, tree_of

pytestmark = pytest.mark.timeout(180)  # a whole way each, also on a busy machine


def _ends_well(world: World) -> None:
    world.add_run()


def _flat(world: World) -> None:
    world.write_config(watch={"layout": "files"})
    for read in (1, 2):
        (world.watched / f"a_R{read}.fastq.gz").write_bytes(packed(fastq(3, read=read)))


def _broken(world: World) -> None:
    run = world.add_run()
    (run / "S1_S1_L001_R1_001.fastq.gz").write_bytes(packed(fastq(3000))[:-500])


def _fails(world: World) -> None:
    world.fake.faults.add(Fault("job_error", tool="count_reads", times=None))
    world.add_run()


def _lost(world: World) -> None:
    world.fake.faults.add(Fault("session_gone", method="PATCH", path="/api/upload/resumable_upload/*"))
    world.add_run()


def _incomplete(world: World) -> None:
    world.add_run(marker=False)


CASES: dict[str, tuple[Callable[[World], None], str]] = {
    "done": (_ends_well, "done"),
    "done-flat": (_flat, "done"),
    "held": (_broken, "held"),
    "failed": (_fails, "failed"),
    "sent-again": (_lost, "done"),
    "waiting": (_incomplete, "waiting"),
}


@pytest.mark.parametrize("case", CASES)
async def test_the_watched_tree_is_the_same_before_and_after(world: World, case: str) -> None:
    """Names, modes, times and bytes below the watch are what they were, however the run ended."""
    prepare, status = CASES[case]
    prepare(world)
    before, root = tree_of(world.watched), world.watched.stat().st_mtime_ns
    report = await world.once(wait_s=1.5)
    assert {unit["status"] for unit in report["units"]} == {status}, report
    assert tree_of(world.watched) == before
    assert world.watched.stat().st_mtime_ns == root


async def test_cancel_and_retry_leave_sources_alone(world: World) -> None:
    """Nor do the commands touch them."""
    world.add_run()
    before = tree_of(world.watched)
    (unit,) = (await world.once())["units"]
    assert world.command("retry", unit["id"], "--from", "plan").code == 0
    assert world.command("cancel", unit["id"]).code == 0
    await world.once()
    assert tree_of(world.watched) == before


def test_a_rule_cannot_ask_for_removal_yet(world: World) -> None:
    """Until moving and deleting are proven, only `keep` is taken; everything else is a configuration error."""
    world.write_config(rule={"finish": {"source": "delete"}})
    ended = world.command("status")
    assert ended.code == 3
    assert "source" in ended.err
