"""Rules on the whole way: which files go where, a second taker, extensions and builds that rules and sheets tell."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.stages.test_sheet_columns import write_sheet
from tests.world import World, fastq, packed

Json = dict[str, Any]


def rules(world: World, *written: Json, **top: Any) -> None:
    """Write a configuration with these rules, none of which runs a workflow."""
    world.write_config(rules=list(written), **top)


def planned(world: World, run: Path) -> list[Json]:
    """Return the batches that `plan` shows."""
    (unit,) = world.command("plan", str(run), "--json").report["units"]
    batches: list[Json] = unit["batches"]
    return batches


async def test_a_second_taker_has_batches_of_its_own(world: World) -> None:
    """`also` takes besides the first rule, into another history; sent once by each, however often it is planned."""
    rules(
        world,
        {"name": "copy", "also": True, "match": {"sample": "S1"}, "destination": {"history": "copy {run}"}},
        {"name": "all"},
    )
    world.add_run()
    (unit,) = (await world.once())["units"]
    assert unit["status"] == "done"
    assert [(one["rule"], one["status"]) for one in unit["batches"]] == [("copy", "done"), ("all", "done")]
    rows = [row for row in world.fake.datasets() if row["uploaded"]]
    names = sorted(row["name"] for row in rows)
    assert len(names) == 6
    assert [name for name in names if names.count(name) == 2] == [name for name in names if name.startswith("S1")]
    assert world.command("retry", unit["id"], "--from", "plan").code == 0
    (again,) = (await world.once())["units"]
    assert again["status"] == "done"
    assert [batch["id"] for batch in again["batches"]] == [batch["id"] for batch in unit["batches"]]
    assert len([row for row in world.fake.datasets() if row["uploaded"]]) == 6


@pytest.mark.parametrize(("unmatched", "status", "batches"), [("hold", "held", 0), ("ignore", "done", 1)])
async def test_who_is_only_also_taken_is_unmatched(world: World, unmatched: str, status: str, batches: int) -> None:
    """A rule with `also` never makes `unmatched` go away: its batch is made, where unmatched samples are let be."""
    rules(world, {"name": "copy", "also": True}, unmatched=unmatched)
    world.add_run()
    (unit,) = (await world.once())["units"]
    assert (unit["status"], len(unit["batches"])) == (status, batches)


async def test_a_new_rule_with_also_takes_what_was_sent_before(world: World) -> None:
    """Added later, it sends its own batch at the next plan, and the first batch stays as it is."""
    rules(world, {"name": "all"})
    world.add_run()
    (unit,) = (await world.once())["units"]
    rules(world, {"name": "all"}, {"name": "copy", "also": True, "match": {"sample": "S2"}})
    assert world.command("retry", unit["id"], "--from", "plan").code == 0
    (again,) = (await world.once())["units"]
    assert [(one["rule"], one["status"]) for one in again["batches"]] == [("all", "done"), ("copy", "done")]
    assert len([row for row in world.fake.datasets() if row["uploaded"]]) == 6


def test_instrument_file_and_size_choose(world: World) -> None:
    """Each is a key of `match`; file patterns choose among a sample's files, size counts those that are taken."""
    run = world.add_run()
    big = run / "S2_S2_L001_R1_001.fastq.gz"
    big.write_bytes(packed(fastq(4000)))
    (run / "S2_S2_L001_R2_001.fastq.gz").write_bytes(packed(fastq(4000, read=2)))
    rules(
        world,
        {"name": "other-machine", "match": {"instrument": "NB5*"}},
        {"name": "forward", "match": {"instrument": "M02439", "file": "*_R1_*", "size": {"min": "10kB"}}},
        {"name": "rest", "match": {"size": {"max": 9999}}},
    )
    shown = planned(world, run)
    assert {one["rule"]: [made["name"] for made in one["datasets"]] for one in shown} == {
        "forward": [big.name],
        "rest": ["S1_S1_L001_R1_001.fastq.gz", "S1_S1_L001_R2_001.fastq.gz"],
    }


async def test_extension_and_build_of_rule_and_sheet_reach_galaxy(world: World) -> None:
    """Both are told for each sample, by pattern or column, and are what the datasets in Galaxy have."""
    run = world.add_run()
    write_sheet(run, "S1,fastq.gz,hg38,1", "S2,fastqsanger.gz,mm39,1")
    rules(
        world,
        {"name": "all", "ext": {"*_R1_*": "sheet.Group", "*.fastq.gz": "data"}, "dbkey": "sheet.Galaxy_History"},
    )
    told = {"S1_S1_L001_R1_001.fastq.gz": ("fastq.gz", "hg38"),
            "S1_S1_L001_R2_001.fastq.gz": ("data", "hg38"),
            "S2_S2_L001_R1_001.fastq.gz": ("fastqsanger.gz", "mm39"),
            "S2_S2_L001_R2_001.fastq.gz": ("data", "mm39")}  # fmt: skip
    (batch,) = planned(world, run)
    assert {one["name"]: (one["ext"], one["dbkey"]) for one in batch["datasets"]} == told
    world.fake.requests.sent = bytearray()
    (unit,) = (await world.once())["units"]
    assert unit["status"] == "done"
    rows = [row for row in world.fake.datasets() if row["uploaded"]]
    assert {row["name"]: (row["ext"], row["dbkey"]) for row in rows} == told
    assert b"canary" not in bytes(world.fake.requests.sent)


async def test_another_build_is_another_dataset(world: World) -> None:
    """A new plan takes over no dataset that has the build of the earlier one: it would stay wrong."""
    run = world.add_run(samples=("S1",))
    folder = f"{world.results}/{{run}}"
    world.write_config(rule={"dbkey": "hg19", "workflow": None, "deliver": {"folder": folder}})
    (unit,) = (await world.once())["units"]
    assert unit["status"] == "held"
    world.write_config(rule={"dbkey": "hg38"})
    assert world.command("retry", unit["id"], "--from", "plan").code == 0
    (unit,) = (await world.once())["units"]
    assert unit["status"] == "done"
    assert world.posts("/api/tools/fetch") == 2
    used = [leaf for one in world.fake.collections() if not one["made_by_tool"] for leaf in _leaves(one["elements"])]
    builds = {row["id"]: row["dbkey"] for row in world.fake.datasets() if row["name"] in world.fastqs(run)}
    assert [builds[leaf] for leaf in used] == ["hg19", "hg19", "hg38", "hg38"]


def _leaves(elements: Json | str) -> list[str]:
    return [elements] if isinstance(elements, str) else [leaf for one in elements.values() for leaf in _leaves(one)]


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"dbkey": "sheet.Galaxy_History"}, "Column Galaxy_History of the sample sheet says `has blanks`"),
        ({"ext": "sheet.Length"}, "which is no extension"),
        ({"ext": {"*_R2_*": "sheet.Colour"}}, "says nothing of sample S1 in column Colour"),
    ],
)
async def test_a_cell_that_cannot_be_meant_holds(world: World, rule: Json, words: str) -> None:
    """The unit is held at plan, before a byte is sent."""
    rules(world, {"name": "all", **rule})
    write_sheet(world.add_run(), "S1,g,has blanks,a/b", "S2,g,has blanks,a/b")
    (unit,) = (await world.once())["units"]
    assert (unit["stage"], unit["status"]) == ("plan", "held")
    assert words in unit["reason"]
    assert world.posts("upload") == world.posts("histories") == 0


@pytest.mark.parametrize(
    ("shape", "elements"),
    [
        ("list:list", {"S1": ["L001_R1", "L001_R2"], "S2": ["L001_R1", "L001_R2"]}),
        ("list:paired_or_unpaired", {"S1": ["forward", "reverse"], "S2": ["forward", "reverse"]}),
    ],
)
async def test_nested_collections_are_built(world: World, shape: str, elements: Json) -> None:
    """The collection in Galaxy has the planned shape, and its files inside."""
    rules(world, {"name": "all", "destination": {"collection": shape}})
    world.add_run()
    (unit,) = (await world.once())["units"]
    assert unit["status"] == "done"
    (built,) = world.fake.collections()
    assert built["type"] == shape
    assert {name: list(inside) for name, inside in built["elements"].items()} == elements


async def test_an_old_galaxy_says_at_plan_what_it_does_not_know(tmp_path: Path) -> None:
    """Below 25.0 there is no `paired_or_unpaired`: the plan and `check` name the version, and nothing is sent."""
    with World(tmp_path, version="24.2.4") as world:
        rules(world, {"name": "all", "destination": {"collection": "list:paired_or_unpaired"}})
        world.add_run()
        (unit,) = (await world.once())["units"]
        assert (unit["stage"], unit["status"]) == ("plan", "held")
        assert "list:paired_or_unpaired of rule `all` is not known to Galaxy 24.2: it came with 25.0" in unit["reason"]
        assert world.posts("histories") == world.posts("dataset_collections") == 0
        checked = world.command("check", "--json")
        assert checked.code == 5
        assert "it came with 25.0" in json.dumps(checked.report)
