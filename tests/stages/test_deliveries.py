"""What comes home: compared as far as Galaxy lets it be, told no better than that, and never silently nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.delivered import RECORD_NAMES, results_in
from tests.fakes.galaxy import Fault
from tests.world import RUN, World

pytestmark = pytest.mark.timeout(180)  # a whole way each, also on a busy machine

Json = dict[str, Any]
DOWNLOADS = "/api/datasets/*/display"


def only_batch(report: Json) -> Json:
    """Return the only batch of the only unit."""
    (unit,) = report["units"]
    (batch,) = unit["batches"]
    found: Json = batch
    return found


def delivered(world: World) -> list[str]:
    """Return the names of the results at their place; what is half there is hidden."""
    return [path for path in results_in(world.results / RUN) if not path.rpartition("/")[2].startswith(".")]


async def test_an_element_that_was_spoilt_on_its_way_is_not_accepted(world: World) -> None:
    """Galaxy lists a SHA-256 of the elements of an output: bytes that differ at equal size are not delivered."""
    world.fake.engine.hashes_outputs = True
    spoilt = world.fake.faults.add(Fault("spoil_answer", method="GET", path=DOWNLOADS, times=None))
    world.add_run(samples=("S1",))
    batch = only_batch(await world.once())
    assert spoilt.hits
    assert (batch["stage"], batch["status"]) == ("deliver", "held"), batch
    assert "SHA-256" in batch["reason"]
    assert delivered(world) == []


async def test_elements_with_a_hash_are_compared_by_it_and_asked_for_together(world: World) -> None:
    """Where Galaxy lists hashes of results the delivery says SHA-256; two collections of four cost two listings."""
    world.fake.engine.hashes_outputs = True
    world.add_run()
    report = await world.once()
    batch = only_batch(report)
    (delivery,) = batch["deliveries"]
    assert (delivery["status"], delivery["checked"]) == ("done", "SHA-256")
    assert delivery["reason"] == "8 files, checked by SHA-256"
    results = (await world.show(batch["id"]))["batches"][0]["results"]
    assert [row["checked"] for row in results] == ["SHA-256"] * (8 + len(RECORD_NAMES))
    (told,) = await world.journal("delivery.made")
    assert "8 files, checked by SHA-256" in told
    ours = {row["id"] for row in world.fake.datasets() if not row["uploaded"]}
    asked = [seen for seen in world.fake.requests.all("GET") if "/jobs/" not in seen.path]
    single = [seen for seen in asked if seen.path.rpartition("/")[2] in ours]
    assert single == []


@pytest.mark.parametrize("version", ["24.2.4", "26.1.2"])
async def test_results_without_a_hash_are_compared_by_size_and_told_so(tmp_path: Path, version: str) -> None:
    """Galaxy hashes no outputs by itself: the delivery is done, says `size`, and the manifest has our own SHA-256."""
    with World(tmp_path, version=version) as world:
        world.add_run(samples=("S1",))
        batch = only_batch(await world.once())
        (delivery,) = batch["deliveries"]
        assert (delivery["status"], delivery["checked"]) == ("done", "size")
        shown = world.command("show", batch["id"])
        assert "4 files, checked by size" in shown.out
        assert "verified" not in shown.out
        results = (await world.show(batch["id"]))["batches"][0]["results"]
        manifest = (world.results / RUN / "MANIFEST.sha256").read_text().splitlines()
    assert sorted(line.split("  ")[0] for line in manifest) == sorted(row["sha256"] for row in results)


def delivering(world: World, *outputs: str, **more: str) -> None:
    """Let the only rule deliver the outputs of these patterns."""
    world.write_config(rule={"deliver": {"folder": f"{world.results}/{{run}}", "outputs": list(outputs), **more}})


@pytest.mark.parametrize(
    ("pattern", "meant"), [("raed*", "Did you mean `read counts`?"), ("copi", "Did you mean `copy`?"), ("zzz", "")]
)
async def test_one_pattern_that_selects_nothing_holds(world: World, pattern: str, meant: str) -> None:
    """Results of the other patterns do not make up for it: pattern and labels are named before a byte is sent."""
    delivering(world, "copy", pattern)
    world.add_run(samples=("S1",))
    (unit,) = (await world.once())["units"]
    assert (unit["stage"], unit["status"], unit["batches"]) == ("plan", "held", [])
    assert unit["reason"] == f"Rule `all`: delivery 1 selects nothing with `{pattern}`."
    assert "Results are `read counts`, `copy`. Correct `outputs:`." in unit["hint"]
    assert meant in unit["hint"]
    assert bool(meant) == ("Did you mean" in unit["hint"])
    assert not any(world.fake.requests.all(method) for method in ("POST", "PUT", "PATCH", "DELETE"))


async def test_patterns_that_all_select_deliver_what_they_select(world: World) -> None:
    """Each file comes once, also when two patterns select it."""
    delivering(world, "read*", "*counts", "co?y")
    world.add_run(samples=("S1",))
    batch = only_batch(await world.once())
    assert (batch["status"], batch["deliveries"][0]["reason"]) == ("done", "4 files, checked by size")
    assert len(delivered(world)) == 4


@pytest.mark.parametrize("on", ["always", "failed"])
async def test_a_failed_workflow_without_results_delivers_none_and_says_so(world: World, on: str) -> None:
    """No file, no folder and no empty manifest; the delivery is done and says that there was nothing to deliver."""
    delivering(world, "*", on=on)
    world.fake.faults.add(Fault("job_error", tool="count_reads", times=None))
    world.add_run(samples=("S1",))
    batch = only_batch(await world.once())
    assert batch["status"] == "failed"
    (delivery,) = batch["deliveries"]
    told = ("done", "no result to deliver", "")
    assert (delivery["status"], delivery["reason"], delivery["checked"]) == told
    assert not (world.results / RUN).exists()
    assert len(await world.journal("delivery.empty")) == 1
    assert await world.journal("delivery.made") == []
    assert "no result to deliver" in world.command("show", batch["id"]).out


async def test_a_delivery_is_told_before_it_begins(world: World) -> None:
    """What the plan will bring where is in the report while nothing is uploaded yet; given up with its batch."""
    folders = [f"{world.results}/{{run}}", f"{world.results}/failed/{{run}}"]
    deliver = [{"folder": folders[0]}, {"folder": folders[1], "on": "failed"}]
    world.write_config(rule={"deliver": deliver})
    (world.results / "failed").mkdir()
    world.fake.faults.add(Fault("hash_mismatch", times=None))
    world.add_run(samples=("S1",))
    batch = only_batch(await world.once())
    assert (batch["stage"], batch["status"]) == ("upload", "held")
    targets = [folder.format(run=RUN) for folder in folders]
    ready = {"status": "ready", "reason": "", "checked": ""}
    assert batch["deliveries"] == [{"target": target, **ready} for target in targets]
    assert world.command("cancel", batch["id"]).code == 0
    batch = only_batch(await world.once())
    assert [row["status"] for row in batch["deliveries"]] == ["cancelled", "cancelled"]
