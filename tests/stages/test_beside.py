"""What lies beside the results: the record by default, Galaxy's reports and what failed jobs wrote when asked for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from tests.delivered import assert_whole, listed_in, results_in
from tests.fakes.galaxy.faults import Fault
from tests.world import RUN, World
from watcher.results import MANIFEST


def delivering(world: World, **more: Any) -> None:
    """Let the only rule deliver everything to the run's folder."""
    world.write_config(rule={"deliver": {"folder": f"{world.results}/{{run}}", **more}})


def there(world: World) -> Sequence[str]:
    """Return all names at the top of the place that have no folder."""
    return sorted(path.name for path in (world.results / RUN).glob("*") if path.is_file())


async def test_the_record_lies_beside_the_results(world: World) -> None:
    """It names each of them with the SHA-256 of the manifest, and stands in the manifest itself; it is no result."""
    world.add_run(samples=("S1",))
    (unit,) = (await world.once())["units"]
    (delivery,) = unit["batches"][0]["deliveries"]
    assert (unit["status"], delivery["reason"]) == ("done", "4 files, checked by size")
    assert_whole(world.results / RUN, 4)
    told = json.loads((world.results / RUN / "batch.json").read_text())
    assert [one["path"] for one in told["results"]] == listed_in(world.results / RUN)
    graph = json.loads((world.results / RUN / "ro-crate-metadata.json").read_text())["@graph"]
    assert {one["@id"] for one in graph} >= {quote(path) for path in results_in(world.results / RUN)}


async def test_nothing_lies_beside_where_nothing_is_wanted(world: World) -> None:
    """An empty list leaves the results alone with their manifest."""
    delivering(world, beside=[])
    world.add_run(samples=("S1",))
    assert (await world.once())["units"][0]["status"] == "done"
    assert there(world) == [MANIFEST]


async def test_the_report_of_each_workflow_comes_home(world: World) -> None:
    """As Galaxy made it when the workflow ended; without a failed job there is no log."""
    delivering(world, beside=["report", "logs"])
    world.add_run(samples=("S1",))
    assert (await world.once())["units"][0]["status"] == "done"
    assert there(world) == [MANIFEST, "report.md"]
    assert "# Workflow Execution Summary of Count reads" in (world.results / RUN / "report.md").read_text()


async def test_what_failed_jobs_wrote_comes_home_without_a_result(world: World) -> None:
    """Each job with its step, sample, tool, exit code and words; the batch has failed all the same."""
    delivering(world, on="failed", outputs=["copy"], beside=["logs"])
    world.fake.faults.add(Fault("job_error", tool="wait_then_exit", times=None))
    world.add_run(samples=("S1",))
    assert (await world.once())["units"][0]["status"] == "failed"
    log = (world.results / RUN / "failed_jobs.txt").read_text()
    assert "S1 / forward: wait_then_exit" in log
    assert "S1 / reverse: wait_then_exit" in log
    assert log.count("## standard error") == 2
    assert there(world) == [MANIFEST, "failed_jobs.txt"]


async def test_somebody_elses_record_is_never_overwritten(world: World) -> None:
    """A file of that name which no manifest lists holds the batch; moved away, the record gets its place."""
    place = world.results / RUN
    place.mkdir()
    (place / "batch.json").write_text("{}")
    world.add_run(samples=("S1",))
    (batch,) = (await world.once())["units"][0]["batches"]
    assert (batch["stage"], batch["status"]) == ("deliver", "held")
    assert "batch.json is there already and is another file" in batch["reason"]
    assert (place / "batch.json").read_text() == "{}"
    (place / "batch.json").unlink()
    await world.wish("retry", batch["id"])
    assert (await world.once())["units"][0]["status"] == "done"
    assert_whole(place, 4)
