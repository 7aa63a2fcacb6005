"""Promise 6: no source file is changed or deleted unless a rule says so and all deliveries are verified."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from tests.fakes.galaxy import Fault
from tests.rarer import rarer
from tests.world import RUN, World, fastq, packed, tree_of

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


def _comes_later(world: World) -> None:
    (world.watched / RUN / "notes.txt").write_text("keep this")


def _changes(world: World) -> None:
    path = world.watched / RUN / "Logs" / "Info.log"
    path.write_text("written to")


def _is_rewritten(world: World) -> None:
    """Put other bytes of the same length there, with the time of before: only reading it through can tell."""
    path = world.watched / RUN / "S1_S1_L001_R1_001.fastq.gz"
    facts, content = path.stat(), path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))


def _goes_away(world: World) -> None:
    (world.watched / RUN / "Logs" / "Info.log").unlink()


def _is_a_link(world: World) -> None:
    run = world.watched / RUN
    run.rename(world.folder / "elsewhere")
    run.symlink_to(world.folder / "elsewhere")


SPEAKS_AGAINST: dict[str, tuple[Callable[[World], None], str]] = {
    "came-later": (_comes_later, "notes.txt"),
    "changed": (_changes, "Logs/Info.log"),
    "other-bytes": (_is_rewritten, "S1_S1_L001_R1_001.fastq.gz"),
    "gone": (_goes_away, "Logs/Info.log"),
    "link": (_is_a_link, "link"),
}


@pytest.mark.parametrize("case", rarer(SPEAKS_AGAINST, keep=3))
async def test_what_is_not_as_planned_is_never_deleted(world: World, case: str) -> None:
    """A rule that deletes runs deletes none in which anything is other than planned; the unit is held, and names it."""
    spoil, name = SPEAKS_AGAINST[case]
    world.write_config(rule={"finish": {"source": "delete", "after": "0s"}})
    world.add_run()
    done: list[bool] = []

    def at(point: str) -> None:
        if point == "deliver.moved" and not done:
            done.append(True)
            spoil(world)

    (unit,) = (await world.once(points=at))["units"]
    assert (unit["status"], unit["source"]["status"]) == ("held", "held"), unit
    assert name in unit["reason"]
    assert "retry" in unit["hint"]
    there = (world.watched / RUN).resolve()
    assert len(list(there.glob("*.fastq.gz"))) == 4
    assert not list(world.watched.glob(".galaxy-watcher-*"))


async def test_a_delivery_that_is_not_made_keeps_the_run(world: World) -> None:
    """Also one that may fail: its results might have to be made once more."""
    world.write_config(
        rule={
            "finish": {"source": "delete", "after": "0s"},
            "deliver": [{"folder": f"{world.results}/{{run}}", "may_fail": True}],
        }
    )
    (world.results / RUN).write_text("a file where a folder should be")
    before = tree_of(world.add_run())
    (unit,) = (await world.once())["units"]
    assert unit["source"]["status"] == "held", unit
    assert tree_of(world.watched / RUN) == before


@pytest.mark.slow
async def test_a_failed_run_stays(world: World) -> None:
    """A run whose workflow fails has no date."""
    world.write_config(rule={"finish": {"source": "delete", "after": "0s"}})
    _fails(world)
    before = tree_of(world.watched)
    (unit,) = (await world.once())["units"]
    assert (unit["status"], unit["source"]) == ("failed", None)
    assert tree_of(world.watched) == before


async def test_nothing_goes_while_the_watch_is_blind(world: World) -> None:
    """A root that is another one than before is not believed; what is due waits for it."""
    world.write_config(rule={"finish": {"source": "delete", "after": "0s"}})
    world.add_run()
    away = world.folder / "away"

    def at(point: str) -> None:
        if point == "deliver.moved" and not away.exists():
            world.watched.rename(away)
            world.watched.mkdir()

    (unit,) = (await world.once(wait_s=1.5, points=at))["units"]
    assert (unit["status"], unit["source"]["status"]) == ("waiting", "waiting"), unit
    assert len(list((away / RUN).glob("*.fastq.gz"))) == 4
    world.watched.rmdir()
    away.rename(world.watched)
    (unit,) = (await world.once())["units"]
    assert (unit["status"], unit["source"]["status"]) == ("done", "done"), unit
    assert not (world.watched / RUN).exists()
