"""Which workflow runs, and with what: from a registry, with tools in another version, with words replaced in names."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.live.registry import AWAY, LISTED, registry
from tests.stages.workflows import far_hours, nothing_was_asked
from tests.world import World, counting_workflow

Json = dict[str, Any]


def requested(world: World) -> list[Json]:
    """Return the invocations that were asked for, as they were sent."""
    sent = bytes(world.fake.requests.sent or b"").decode("utf-8", "replace")
    found, decoder = [], json.JSONDecoder()
    for start in (place for place in range(len(sent)) if sent.startswith('{"history_id"', place)):
        body, _ = decoder.raw_decode(sent[start:])
        if "inputs_by" in body:
            found.append(body)
    return found


@pytest.fixture
def tool() -> Iterator[str]:
    """Return the id of a workflow that lies in a registry in two versions."""
    tool_id = "#workflow/example/count"
    for version, label in (("v0.1", "Count v1"), ("v0.2", "Count v2")):
        content = {**counting_workflow(label), "uuid": f"5f2a4b7e-0000-4000-8000-00000000000{version[-1]}"}
        registry().put(tool_id, version, json.dumps(content))
    yield tool_id


async def test_a_workflow_of_a_registry_is_imported_once_for_all_runs(world: World, tool: str) -> None:
    """Galaxy fetches it when the first run is planned; the second run finds it."""
    world.fake.state.registries = registry().listed()
    trs = {"id": tool, "version": "v0.2", "server": LISTED}
    world.write_config(rule={"workflow": {"trs": trs, "inputs": {"Reads": "reads"}}})
    assert world.command("check").code == 0
    for run in ("260228_M02439_0043_000000000-KT42M", "260301_M02439_0044_000000000-KT42N"):
        world.add_run(run)
    assert {unit["status"] for unit in (await world.once())["units"]} == {"done"}
    names = [row.name for row in world.fake.state.workflows.values() if row.source]
    assert names == ["Count v2"]
    assert len(world.fake.invocations()) == 2


async def test_a_registry_that_is_away_holds_before_a_byte_is_sent(world: World, tool: str) -> None:
    """The registry is named, and what can be done."""
    world.fake.state.registries = registry().listed()
    trs = {"id": tool, "version": "v0.2", "server": AWAY}
    world.write_config(rule={"workflow": {"trs": trs, "inputs": {"Reads": "reads"}}})
    world.add_run()
    (unit,) = (await world.once())["units"]
    assert (unit["stage"], unit["status"]) == ("plan", "held")
    assert f"registry {AWAY}" in unit["reason"]
    assert world.posts("/api/upload") == world.posts("/api/histories") == 0


@pytest.mark.parametrize("upgrades", ["refuse", "allow"])
async def test_a_tool_in_another_version_runs_only_where_the_rule_allows_it(world: World, upgrades: str) -> None:
    """Galaxy would run version 1.0 in place of 0.9 without a word."""
    document = counting_workflow("Older")
    document["steps"]["count"]["tool_version"] = "0.9"
    world.fake.import_workflow(document)
    world.write_config(rule={"workflow": {"name": "Older", "inputs": {"Reads": "reads"}, "upgrades": upgrades}})
    world.add_run()
    checked = world.command("check")
    (unit,) = (await world.once())["units"]
    if upgrades == "allow":
        assert (checked.code, unit["status"]) == (0, "done")
        return
    assert (unit["stage"], unit["status"]) == ("plan", "held")
    for told in (unit["reason"], (checked.out + checked.err).replace("\n", " ")):
        assert "count_reads (0.9; Galaxy has 1.0)" in told
    assert nothing_was_asked(world)


async def test_words_and_the_cache_are_told_to_galaxy(world: World) -> None:
    """Replacement parameters are templates of the rule; jobs that ran before are taken where the rule wants it."""
    world.write_config(
        rule={
            "per": "sample",
            "workflow": {
                "name": "Count reads",
                "inputs": {"Reads": "reads"},
                "replacements": {"sample": "{sample} of {run}"},
                "use_cached_job": True,
            },
            "deliver": {"folder": f"{world.results}/{{run}}/{{sample}}"},
        }
    )
    world.fake.requests.sent = bytearray()
    run = world.add_run(samples=("S1", "S2"))
    (unit,) = (await world.once())["units"]
    assert unit["status"] == "done"
    asked = requested(world)
    assert sorted((body["replacement_params"] for body in asked), key=str) == [
        {"sample": f"S1 of {run.name}"},
        {"sample": f"S2 of {run.name}"},
    ]
    assert all(body["use_cached_job"] and body["require_exact_tool_versions"] for body in asked)


def one_file(**step: Any) -> Json:
    """Return a workflow that counts the reads of a single dataset."""
    count = {"tool_id": "count_reads", "tool_version": "1.0", "in": {"reads": "File"}, **step}
    return {
        "class": "GalaxyWorkflow",
        "label": "One file",
        "inputs": {"File": {"type": "data", "format": ["fastqsanger.gz"]}},
        "outputs": {"counts": {"outputSource": "count/counts"}},
        "steps": {"count": count},
    }


@pytest.mark.parametrize("had_history", [True, False])
async def test_settings_that_galaxy_would_correct_hold_before_a_byte(world: World, had_history: bool) -> None:
    """Also of an account without any history, which Galaxy does not tell what it would correct."""
    if had_history:
        world.write_config(rule={"workflow": None, "deliver": None})
        world.add_run("230101_M02439_0001_000000000-ABCDE")
        assert (await world.once())["units"][0]["status"] == "done"
    world.fake.import_workflow(one_file())
    rule = {"per": "sample", "destination": {"collection": "none"}, "deliver": {"folder": f"{world.results}/{{id}}"}}
    rule["workflow"] = {"name": "One file", "inputs": {"File": {"read": "R2"}}}
    world.write_config(rule=rule)
    before = world.posts("/api/upload")
    world.add_run(samples=("S1",))
    unit = (await world.once())["units"][0]
    where = ("plan", "plan") if had_history else ("finish", "upload")
    assert (unit["stage"], unit["status"]) == (where[0], "held")
    assert [batch["stage"] for batch in unit["batches"]] == ([] if had_history else ["upload"])
    assert "No value found for 'Shortest read to count'" in unit["reason"]
    assert world.posts("/api/upload") == before


async def test_single_datasets_of_a_sample_go_into_a_workflow(world: World) -> None:
    """Without a collection each invocation is known by a copy of its dataset that is made for it alone."""
    world.fake.import_workflow(one_file(state={"minlen": 0}))
    world.write_config(
        rule={
            "per": "sample",
            "destination": {"collection": "none"},
            "workflow": {"name": "One file", "inputs": {"File": {"read": "R2"}}},
            "deliver": {"folder": f"{world.results}/{{run}}/{{sample}}"},
        }
    )
    run = world.add_run(samples=("S1", "S2"))
    (unit,) = (await world.once())["units"]
    assert unit["status"] == "done", unit
    assert sorted(path.parent.name for path in world.results.rglob("MANIFEST.sha256")) == ["S1", "S2"]
    assert world.uploads() == world.fastqs(run)
    names = [row["name"] for row in world.fake.datasets() if row["name"] in world.fastqs(run)]
    once, twice = ([name for name in world.fastqs(run) if f"_R{read}_" in name] for read in (1, 2))
    assert sorted(names) == sorted([*once, *twice, *twice])


async def test_a_workflow_that_is_gone_before_the_first_byte_holds(world: World) -> None:
    """A plan that waited for its hours is held against Galaxy once more."""
    world.write_config(watch={"hours": [far_hours()]})
    world.add_run()
    await world.once(wait_s=0.5)
    world.fake.state.workflows[next(iter(world.fake.state.workflows))].deleted = True
    world.write_config()
    (unit,) = (await world.once())["units"]
    assert (unit["batches"][0]["stage"], unit["status"]) == ("upload", "held")
    assert "is deleted" in unit["reason"]
    assert world.posts("/api/upload") == 0
