"""Which outputs a delivery selects: by label, by step, by extension, by tag; and what comes home of a report."""

from __future__ import annotations

from typing import Any

import pytest

from tests.delivered import listed_in, results_in
from tests.world import RUN, World, counting_workflow
from watcher.galaxy.workflows import WorkflowStep
from watcher.stages.selected import delivery_problems, unselected

pytestmark = pytest.mark.timeout(180)  # a whole way each, also on a busy machine

Json = dict[str, Any]

STEPS = (
    WorkflowStep(1, "fastqc", "tool", "fastqc", outputs=("html_file", "text_file")),
    WorkflowStep(2, "", "tool", "not_installed"),
    WorkflowStep(3, "look", "pause", outputs=("output",)),
)


def paging_workflow() -> Json:
    """Return a workflow that makes a page with files beside it of each count, and copies the counts without a label."""
    document = counting_workflow("Pages")
    document["outputs"] = {"page": {"outputSource": "page/page"}}
    document["steps"]["page"] = {
        "tool_id": "page_with_files", "tool_version": "1.0", "in": {"infile": "count/counts"},
    }  # fmt: skip
    return document


def delivering(world: World, *outputs: str) -> None:
    """Let the only rule use that workflow and deliver the outputs of these patterns."""
    world.fake.import_workflow(paging_workflow())
    workflow = {"name": "Pages", "inputs": {"Reads": "reads"}}
    deliver = {"folder": f"{world.results}/{{run}}", "outputs": list(outputs)}
    world.write_config(rule={"workflow": workflow, "deliver": deliver})


def delivered(world: World) -> set[str]:
    """Return the results at their place."""
    return set(results_in(world.results / RUN))


async def ended(world: World) -> Json:
    """Return the only unit after everything has been done for it."""
    world.add_run(samples=("S1",))
    (unit,) = (await world.once())["units"]
    found: Json = unit
    return found


async def test_reports_come_home_with_the_files_beside_them(world: World) -> None:
    """Each is a folder with the page and its files at their paths, all of them in the manifest."""
    delivering(world, "*")
    unit = await ended(world)
    assert unit["status"] == "done", unit
    one, other = "page/S1/forward", "page/S1/reverse"
    beside = ("copy.txt", "index", "plots/one plot.svg", "plots/deep/hidden")
    expected = {f"{folder}/{name}" for folder in (one, other) for name in beside}
    expected |= {f"{one}/forward.html", f"{other}/reverse.html"}
    assert delivered(world) == expected
    assert (world.results / RUN / one / "index").read_text() == "no page"
    assert set(listed_in(world.results / RUN)) == expected


async def test_an_output_without_a_label_is_delivered_by_its_step(world: World) -> None:
    """It is called after step and output, and what is labelled comes only when it is asked for."""
    delivering(world, "step:wait/out")
    unit = await ended(world)
    assert unit["status"] == "done", unit
    copies = {"wait.out/S1/forward.tabular", "wait.out/S1/reverse.tabular"}
    assert delivered(world) == copies


async def test_results_are_chosen_by_extension(world: World) -> None:
    """What else the workflow made of it stays in Galaxy."""
    world.write_config(rule={"deliver": {"folder": f"{world.results}/{{run}}", "outputs": ["ext:tab*"]}})
    unit = await ended(world)
    assert unit["status"] == "done", unit
    assert len(delivered(world)) == 4


@pytest.mark.parametrize("pattern", ["ext:vcf", "tag:final"])
async def test_nothing_of_an_extension_or_tag_is_told_at_the_end(world: World, pattern: str) -> None:
    """Nobody could know it before, so the workflow runs; then the batch is held, and nothing is delivered."""
    delivering(world, pattern)
    (batch,) = (await ended(world))["batches"]
    assert (batch["stage"], batch["status"]) == ("deliver", "held")
    assert batch["reason"].endswith(f"selects nothing with `{pattern}`: there is no such output.")
    assert not (world.results / RUN).exists()


async def test_a_step_that_is_not_there_holds_before_a_byte_is_sent(world: World) -> None:
    """The step that was probably meant is named."""
    delivering(world, "page", "step:wiat/out")
    unit = await ended(world)
    assert (unit["stage"], unit["status"], unit["batches"]) == ("plan", "held", [])
    assert unit["reason"] == "Rule `all`: delivery 1 selects nothing with `step:wiat/out`."
    assert "Did you mean `step:wait/out`?" in unit["hint"]


def test_steps_are_known_before_and_what_galaxy_makes_is_not() -> None:
    """Of a tool that is not installed nobody knows the outputs, and a review gives none of its own."""
    known = ["step:fastqc/html_file", "step:1/*", "step:2/anything", "ext:bam", "tag:final", "table"]
    unknown = ["step:fastqc/html", "step:look/output", "step:4/out", "step:fastqc", "tabel"]
    assert unselected([*known, *unknown], ["table"], STEPS) == unknown
    assert delivery_problems({"1": known}, ["table"], STEPS) == []
    (problem,) = delivery_problems({"1": ["step:fastqc/html"]}, ["table"], STEPS)
    assert problem.hint.startswith("Did you mean `step:fastqc/html_file`?")
