"""`explain PATH` says of every sample which rule takes it, and of every other rule which key does not match.

The shape is `watcher/service/explain.schema.json`; verdicts are those of the plan, whatever the sample.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Call
from tests.cli.shapes import misfits
from tests.runs.instruments import INSTRUMENTS
from tests.stages.test_sheet_columns import write_sheet
from tests.world import World, tree_of

Json = dict[str, Any]
SCHEMA: Json = json.loads(
    (Path(__file__).parents[2] / "watcher" / "service" / "explain.schema.json").read_text(encoding="utf-8")
)
RULES: list[Json] = [
    {"name": "nova", "match": {"watch": "nova*"}},
    {"name": "nextseq", "match": {"instrument": "NB*"}},
    {"name": "lake", "match": {"sheet": {"group": ["lake*", "sea"]}}},
    {"name": "huge", "match": {"size": {"min": "1GiB"}}},
    {"name": "third", "match": {"file": "*_R3_*"}},
    {"name": "long", "kinds": "bam"},
    {"name": "index", "reads": ["I1"]},
    {"name": "first", "match": {"sample": "S1"}},
    {"name": "copy", "also": True},
    {"name": "second", "match": {"project": "*", "sample": "S*"}},
]


def explained(call: Call, path: Path, *more: str, code: int = 0) -> list[Json]:
    """Return the units; AssertionError when anything is not as the contract has it."""
    ended = call("explain", str(path), "--json", *more)
    assert ended.code == code, ended.err
    assert list(misfits(ended.report, SCHEMA, SCHEMA)) == []
    units: list[Json] = ended.report["units"]
    return units


def test_each_rule_says_why(world: World, call: Call) -> None:
    """The first key that does not match is told with what is there; who would have taken it says who came before."""
    world.write_config(watches=[{"name": "miseq", "path": str(world.watched), "settle": "0s"}], rules=RULES)
    run = world.add_run()
    write_sheet(run, "S1,soil,One,1", "S2,soil,One,1")
    world.fake.close()  # nobody asks it
    before = tree_of(world.folder)
    (unit,) = explained(call, run)
    assert (unit["status"], unit["instrument"], unit["watch"]) == ("ready", "M02439", "miseq")
    first, second = unit["samples"]
    assert (first["taken_by"], first["also_taken_by"], first["unmatched"]) == ("first", ["copy"], None)
    assert (second["taken_by"], second["also_taken_by"]) == ("second", ["copy"])
    why = {one["rule"]: one["why"] for one in first["rules"]}
    names = "S1_S1_L001_R1_001.fastq.gz and S1_S1_L001_R2_001.fastq.gz"
    assert why == {
        "nova": "watch: it is `miseq`, wanted is nova*",
        "nextseq": "instrument: it is `M02439`, wanted is NB*",
        "lake": "sheet.group: it is `soil`, wanted is lake* or sea",
        "huge": f"size: it has {first['size']} bytes, wanted is at least 1GiB",
        "third": f"file: none of its files ({names}) is *_R3_*",
        "long": f"kinds: none of its files ({names}) is bam",
        "index": "reads: it has R1 and R2, wanted is I1",
        "first": "takes it",
        "copy": "takes it as well (also)",
        "second": "would have taken it, but came later: first takes it first",
    }
    told = {one["rule"]: (one["key"], one["seen"], one["wanted"]) for one in first["rules"]}
    assert told["lake"] == ("sheet.group", ["soil"], ["lake*", "sea"])
    assert told["second"] == (None, [], [])
    text = call("explain", str(run))
    assert text.code == 0
    assert "S1, 2 files" in text.out and "no  second: would have taken it, but came later" in text.out
    assert tree_of(world.folder) == before


@pytest.mark.parametrize(("unmatched", "code", "status"), [("hold", 5, "held"), ("ignore", 0, "ready")])
def test_a_sample_that_no_rule_takes(world: World, call: Call, unmatched: str, code: int, status: str) -> None:
    """It is told with what becomes of it; a rule with `also` does not change that."""
    rules = [{"name": "one", "match": {"sample": "X*"}}, {"name": "copy", "also": True}]
    world.write_config(rules=rules, unmatched=unmatched)
    (unit,) = explained(call, world.add_run(), code=code)
    assert unit["status"] == status
    assert [(one["taken_by"], one["also_taken_by"], one["unmatched"]) for one in unit["samples"]] == [
        (None, ["copy"], unmatched)
    ] * 2


def test_explain_and_plan_say_the_same(world: World, call: Call) -> None:
    """Of every instrument's runs: each sample is in the batches of the rules that take it, and in no other."""
    rules = [{**rule, "destination": {"collection": "none"}} for rule in (*RULES, {"name": "rest"})]
    world.write_config(rules=rules, unmatched="ignore")
    for number, (name, instrument) in enumerate(INSTRUMENTS.items()):
        if instrument.outcome != "ready" or instrument.layout == "files":
            continue
        place = world.watched / f"{number:02d}-{name}"
        instrument.make().write(place)
    planned = json.loads(call("plan", str(world.watched), "--json", "--assume-quiet").out)["units"]
    asked = json.loads(call("explain", str(world.watched), "--json", "--assume-quiet").out)["units"]
    assert len(planned) == len(asked) > 5
    for plan, said in zip(planned, asked, strict=True):
        cut = {(b["rule"], s["project"], s["name"]) for b in plan["batches"] for s in b["samples"]}
        takers = {
            (rule, s["project"], s["name"])
            for s in said["samples"]
            for rule in [s["taken_by"], *s["also_taken_by"]]
            if rule
        }
        assert takers == cut, plan["path"]


def test_a_path_in_no_watch_is_a_usage_error(world: World, call: Call, tmp_path: Path) -> None:
    """No rule is ever asked there, and which watches there are is told."""
    (tmp_path / "else").mkdir()
    ended = call("explain", str(tmp_path / "else"))
    assert (ended.code, "lies in no watch" in ended.err, str(world.watched) in ended.err) == (2, True, True)
    assert call("explain", str(world.watched / "nothing")).code == 2


def test_an_unfinished_run_says_what_is_known_by_now(world: World, call: Call) -> None:
    """It waits for its marker, and its samples are told all the same."""
    (unit,) = explained(call, world.add_run(marker=False))
    assert unit["status"] == "waiting"
    assert unit["reasons"]
    assert [one["taken_by"] for one in unit["samples"]] == ["all", "all"]
