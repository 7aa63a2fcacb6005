"""What follows from the facts of a workflow without asking anybody."""

from __future__ import annotations

from dataclasses import replace

import pytest

from watcher.galaxy.result_names import result_name
from watcher.galaxy.tool_ids import repository
from watcher.galaxy.workflows import MissingTool, WorkflowFacts, WorkflowInput, WorkflowStep
from watcher.model import WorkflowId

FASTP = "toolshed.example.org/repos/iuc/fastp/fastp/0.23.4"
STEPS = (
    WorkflowStep(1, "trim", "tool", FASTP, connections={"reads": ((0, "output"),)}, outputs=("out", "report")),
    WorkflowStep(2, "", "pause", connections={"input": ((1, "out"),)}, outputs=("output",)),
    WorkflowStep(3, "", "tool", "count", connections={"reads": ((2, "output"),)}, outputs=("n",)),
    WorkflowStep(4, "", "tool", "plot", connections={"n": ((3, "n"), (1, "report"))}, outputs=("a", "b")),
)
FACTS = WorkflowFacts(WorkflowId("w"), "QC", "u", 0, (WorkflowInput("Reads", 0, "dataset"),), STEPS)


@pytest.mark.parametrize(
    ("index", "label", "tool", "name"),
    [
        (2, "", "count_reads", "count_reads 2.report"),
        (2, "", FASTP, "fastp 2.report"),
        (2, "trim", FASTP, "trim.report"),
        (2, "", "", "step 2.report"),
    ],
)
def test_a_result_without_label_has_a_name(index: int, label: str, tool: str, name: str) -> None:
    """A result is named after its step's label, or the tool's short name and the step's number."""
    assert result_name(index, label, tool, "report") == name


def test_results_are_what_no_step_takes() -> None:
    """Without labels the results are what is left over; what a review passes on to nobody is a result of its maker."""
    assert FACTS.results == ("plot 4.a", "plot 4.b")
    assert replace(FACTS, steps=STEPS[:2]).results == ("trim.out", "trim.report")
    assert replace(FACTS, outputs=("QC",)).results == ("QC",)


def test_what_is_behind_a_step_is_known() -> None:
    """All steps that need what a step gives are found, at any distance."""
    assert FACTS.downstream(0) == {1, 2, 3, 4}
    assert FACTS.downstream(2) == {3, 4}
    assert FACTS.downstream(4) == set()


def test_a_missing_tool_is_told_with_what_is_known() -> None:
    """A missing tool tells its version, repository and what is there instead."""
    assert str(MissingTool("count", "")) == "count"
    assert str(MissingTool("count", "1.0")) == "count (1.0)"
    assert str(MissingTool(FASTP, "0.23.4", repository(FASTP), ("0.22", "0.24"))) == (
        f"{FASTP} (0.23.4; repository iuc/fastp@toolshed.example.org; Galaxy has 0.22, 0.24)"
    )
    assert repository("count_reads") == ""
