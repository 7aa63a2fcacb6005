"""The main path, end to end in one process: what was found is in Galaxy once, and its results are home."""

from __future__ import annotations

import hashlib

from tests.world import RUN, World


async def test_a_finished_run_goes_through_galaxy_and_comes_back(world: World) -> None:
    """Every file becomes one dataset of the same bytes, one workflow runs, its results are delivered and listed."""
    run = world.add_run()
    report = await world.once()
    (unit,) = report["units"]
    (batch,) = unit["batches"]
    assert (unit["status"], batch["status"], batch["checked"]) == ("done", "done", "SHA-256")
    assert world.uploads() == world.fastqs(run)
    assert len(world.fake.invocations()) == 1
    manifest = (world.results / RUN / "MANIFEST.sha256").read_text().splitlines()
    assert len(manifest) == 8
    for line in manifest:
        digest, path = line.split("  ", 1)
        assert hashlib.sha256((world.results / RUN / path).read_bytes()).hexdigest() == digest


async def test_a_second_catch_up_does_nothing_again(world: World) -> None:
    """Starting again with the same run there posts nothing to Galaxy."""
    world.add_run()
    await world.once()
    before = len(world.fake.requests.all("POST"))
    report = await world.once()
    assert report["units"][0]["status"] == "done"
    assert len(world.fake.requests.all("POST")) == before
