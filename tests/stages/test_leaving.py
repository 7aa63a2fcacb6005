"""What may leave the host: the columns that a rule uses, wherever it names them, and no path."""

from __future__ import annotations

from typing import Any

import pytest

from watcher.config.rules import RuleSettings
from watcher.model import Plan, PlannedDelivery, Sample
from watcher.stages.leaving import HIDDEN, Leaving, used_columns, uses_project

Json = dict[str, Any]


def rule(**more: Any) -> Json:
    """Return a rule as a plan keeps it."""
    written = {"name": "all", **more}
    return RuleSettings.model_validate(written).model_dump(mode="json")


@pytest.mark.parametrize(
    ("written", "named", "matched"),
    [
        ({}, set(), set()),
        ({"match": {"sheet": {"Group": "so*"}}}, set(), {"group"}),
        ({"destination": {"history": "{sheet.Study} {run}"}}, {"Study"}, set()),
        ({"destination": {"element": "{sheet.Name} {{sheet.Not}}"}}, {"Name"}, set()),
        ({"destination": {"library": {"name": "Runs", "folder": "{sheet.Lab group}/{run}"}}}, {"Lab group"}, set()),
        ({"tags": ["{sheet.A}-{sheet.B}"]}, {"A", "B"}, set()),
        ({"deliver": {"folder": "/results/{sheet.Study}/{run}"}}, {"Study"}, set()),
        ({"ext": "sheet.Kind", "dbkey": "sheet.Genome"}, {"Kind", "Genome"}, set()),
        ({"workflow": {"name": "QC", "inputs": {"minlen": "sheet.Length", "note": "{sheet.No}"}}}, {"Length"}, set()),
        ({"workflow": {"name": "QC", "replacements": {"study": "{sheet.Study}"}}}, {"Study"}, set()),
        ({"workflow": {"name": "QC", "steps": {"fastp": {"title": "sheet.No {sheet.No}"}}}}, set(), set()),
    ],
)
def test_columns_are_used_where_a_rule_names_them(written: Json, named: set[str], matched: set[str]) -> None:
    """Each place of a rule that takes a column counts; constants that only look like one do not."""
    found = used_columns(rule(**written))
    assert (set(found[0]), set(found[1])) == (named, matched)


@pytest.mark.parametrize(
    ("written", "is_used"),
    [
        ({}, False),
        ({"per": "sample"}, False),
        ({"per": "project"}, True),
        ({"match": {"project": "16S*"}}, True),
        ({"destination": {"element": "{project} {sample}"}}, True),
    ],
)
def test_a_project_leaves_where_the_rule_asks_for_it(written: Json, is_used: bool) -> None:
    """Cutting, matching or naming by project tells it; else it stays, also as a folder of the run."""
    text = rule(**written)
    assert uses_project(text) is is_used
    sample = Sample(name="S1", project="Dr_Miller", files=())
    leaving = Leaving(plan(text, samples=(sample,)))
    assert leaving.project(sample) == ("Dr_Miller" if is_used else "")
    folder = "Dr_Miller" if is_used else HIDDEN
    assert leaving.source("Data/Dr_Miller/S1_R1.fastq.gz") == f"Data/{folder}/S1_R1.fastq.gz"


def plan(text: Json, **more: Any) -> Plan:
    """Return a plan with this rule."""
    delivery = PlannedDelivery(key="1", folder="/results/run1", base="/results")
    return Plan(
        rule="all", watch="w", galaxy="g", run="run1", unit=".", path="/data/run1", rule_text=text,
        deliveries=(delivery,), **more,
    )  # fmt: skip


def test_columns_are_found_as_the_plan_found_them() -> None:
    """A column as spelled comes first, else any case; of columns that differ in case alone the other one stays."""
    said = {"Group": "a", "group": "b", "STUDY": "c", "Name": "d"}
    sample = Sample(name="S1", files=(), columns=said, several={"STUDY": ("c", "e")})
    told = Leaving(plan(rule(tags=["{sheet.Group} {sheet.study}"]))).columns(sample)
    assert told == {"Group": ("a",), "STUDY": ("c", "e")}
    assert set(Leaving(plan(rule(match={"sheet": {"GROUP": "*"}}))).columns(sample)) == {"Group", "group"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("/data/run1/x.fa", HIDDEN),
        ("--index=/mnt/genomes/hg38.fa --fast", f"--index={HIDDEN} --fast"),
        ("/results of /data", f"{HIDDEN} of {HIDDEN}"),
        ("/resultsets", "/resultsets"),
        ("'/mnt/genomes/hg38.fa'", f"'{HIDDEN}'"),
        ("see /results for more", f"see {HIDDEN} for more"),
        ("/elsewhere/my runs of /data/run1/a b", f"{HIDDEN} runs of {HIDDEN} b"),
        ("file:///srv/x/y", f"file://{HIDDEN}"),
        ("s/forward/R1/", "s/forward/R1/"),
        ("https://example.org/a/b?c=/d", "https://example.org/a/b?c=/d"),
        ("reads/S1/forward", "reads/S1/forward"),
        ("text/plain and/or 1/2/3", "text/plain and/or 1/2/3"),
        ("/", "/"),
    ],
)
def test_paths_stay_and_other_texts_are_whole(text: str, told: str) -> None:
    """Absolute paths, known or not, are not told; what only has slashes is left as it is."""
    assert Leaving(plan(rule(deliver={"folder": "/results/{run}"})), ["/data"]).text(text) == told


def test_every_text_of_a_value_is_looked_at() -> None:
    """Texts in lists, mappings and keys are cleaned; numbers and truth stay what they are."""
    value = {"/data/run1/key": [1, True, None, {"at": "/data/run1/x"}], "min": 0.5}
    assert Leaving(plan(rule())).value(value) == {HIDDEN: [1, True, None, {"at": HIDDEN}], "min": 0.5}


@pytest.mark.parametrize("path", ["/data/run1/x.csv", "../other/x.csv"])
def test_a_source_beside_the_run_tells_its_name_alone(path: str) -> None:
    """Whatever lies outside the run folder is told without the way to it."""
    assert Leaving(plan(rule())).source(path) == f"{HIDDEN}/x.csv"
