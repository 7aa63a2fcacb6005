"""One bad sample of many, in a workflow that runs for each by itself: failed, or good as far as the rule says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.endings.served import ServedWorld
from tests.endings.workflows import each_sample
from tests.world_files import fastq, packed

SAMPLES = ("S1", "S2", "S3")
LABELS = ("copy", "counts", "enough")


def add_run_with_poor_sample(world: ServedWorld) -> None:
    """Write a run whose second sample has too few reads."""
    run = world.add_run(samples=SAMPLES, reads=20, marker=False)
    for read in (1, 2):
        path = next(run.glob(f"S2_*_R{read}_*"))
        path.write_bytes(packed(fastq(4, read=read)))
    Path(run / "Logs" / "FastqComplete.txt").touch()


def rule(world: ServedWorld, **more: Any) -> None:
    """Run the workflow for each sample."""
    world.rule({"file": world.saved(each_sample("Each sample")), "inputs": {"Reads": "reads"}, **more})


def files(*samples: str, labels: tuple[str, ...] = LABELS) -> list[str]:
    """Return what is delivered of these samples."""
    return [
        f"{label}/{sample}/{way}.tabular" for label in labels for sample in samples for way in ("forward", "reverse")
    ]


@pytest.mark.slow_on_real
@pytest.mark.also_killed
async def test_one_bad_sample_fails_the_batch(world: ServedWorld) -> None:
    """The sample is named, the others are counted, and what is good is delivered where failures go."""
    rule(world)
    add_run_with_poor_sample(world)
    async with world.living():
        batch = await world.ended("failed")
    assert "2 of 3 samples are good, not `S2`" in batch["reason"]
    assert "4 reads are too few" in batch["reason"]
    assert set(batch["invocations"][0]["samples_not_good"]) == {"S2"}
    assert world.delivered("ok") == []
    assert "enough/S1/forward.tabular" in world.delivered("failed")
    assert world.delivered("failed") == world.delivered("always")


@pytest.mark.also_killed
async def test_enough_good_samples(world: ServedWorld) -> None:
    """With `min_ok` it ends well with the good samples alone, and names the bad one."""
    rule(world, min_ok="60%")
    add_run_with_poor_sample(world)
    async with world.living():
        batch = await world.ended("done")
    assert batch["code"] == "partly_good"
    assert "2 of 3 samples are good, not `S2`" in batch["reason"]
    assert "4 reads are too few" in batch["invocations"][0]["samples_not_good"]["S2"]
    assert world.delivered("ok") == files("S1", "S3")
    assert world.delivered("failed") == []


@pytest.mark.slow_on_real
async def test_step_that_may_fail(world: ServedWorld) -> None:
    """With `may_fail` on the step it ends well; what that step and those after it did not make is not delivered."""
    rule(world, may_fail="enough")
    add_run_with_poor_sample(world)
    async with world.living():
        batch = await world.ended("done")
    assert batch["code"] == "partly_good"
    assert "4 reads are too few" in batch["reason"]
    good = files("S1", "S3", labels=("copy", "enough"))
    assert world.delivered("ok") == sorted([*files(*SAMPLES, labels=("counts",)), *good])
