"""What changed between two versions of a workflow is told in sentences, and nothing else is."""

from __future__ import annotations

import json
from dataclasses import replace

from watcher.galaxy.workflow_changes import differences
from watcher.galaxy.workflows import WorkflowFacts, WorkflowInput, WorkflowStep
from watcher.model import WorkflowId

FASTP = "toolshed.example.org/repos/iuc/fastp/fastp"
READS = WorkflowInput("Reads", 0, "collection", collection_type="list:paired", extensions=("fastqsanger",), uuid="u0")
LENGTH = WorkflowInput("minlen", 1, "parameter", "integer", optional=True, default=5, has_default=True, uuid="u1")
TRIM = WorkflowStep(
    2,
    "trim",
    "tool",
    f"{FASTP}/0.23.4",
    "0.23.4",
    connections={"reads": ((0, "output"),)},
    outputs=("out", "report"),
    labels={"report": "QC"},
    settings="a",
    uuid="u2",
)
COUNT = WorkflowStep(3, "", "tool", "count", "1.0", connections={"reads": ((2, "out"),)}, outputs=("n",), settings="b")
FACTS = WorkflowFacts(WorkflowId("w"), "QC", "u", 0, (READS, LENGTH), (TRIM, COUNT), ("QC",))


def told(**what: object) -> list[str]:
    """Return what is told of a workflow that differs so, compared with a digest that was stored as JSON."""
    return differences(json.loads(json.dumps(FACTS.digest())), replace(FACTS, **what))  # type: ignore[arg-type]


def test_an_equal_workflow_has_no_changes() -> None:
    """Nothing is told of the same workflow, nor of a step that only moved."""
    moved = replace(TRIM, index=3), replace(COUNT, index=2, connections={"reads": ((3, "out"),)})
    assert told() == []
    assert told(steps=moved) == []


def test_changes_of_inputs_are_told() -> None:
    """Inputs that came, went, or take something else are told by their labels."""
    new = WorkflowInput("genome", 2, "parameter", "text")
    assert told(inputs=(READS, new)) == [
        "Input “minlen” was removed.",
        "Input “genome” was added and has to be given.",
    ]
    other = replace(READS, label="Samples", collection_type="list", extensions=())
    assert told(inputs=(other, replace(LENGTH, default=8))) == [
        "Input “Reads” is now called “Samples”.",
        "Input “Samples” takes a collection of type list instead of a collection of type list:paired.",
        "Input “Samples” takes anything instead of fastqsanger.",
        "Input “minlen” is 8 instead of 5 when it is left out.",
    ]
    needed = replace(LENGTH, optional=False, default=None, choices=("5", "8"))
    assert told(inputs=(READS, needed)) == [
        "Input “minlen” has to be given now.",
        "Input “minlen” lets choose 5, 8 instead of anything.",
    ]


def test_changes_of_steps_are_told() -> None:
    """Other versions, tools, settings, connections and labels are told by the step."""
    newer = replace(TRIM, tool_id=f"{FASTP}/0.24.0", tool_version="0.24.0", settings="c", labels={"report": "Report"})
    assert told(steps=(newer, COUNT), name="QC 2") == [
        "The workflow is called “QC 2” instead of “QC”.",
        "Step “trim” runs version 0.24.0 of fastp instead of 0.23.4.",
        "The settings of step “trim” changed.",
        "Output report of step “trim” is labelled “Report” instead of “QC”.",
    ]
    rewired = replace(COUNT, connections={"reads": ((0, "output"),)}, labels={"n": "number"})
    assert told(steps=(replace(TRIM, labels={}), rewired)) == [
        "Output report of step “trim” is not labelled “QC” any more.",
        "Step 3 (count) takes input “Reads” as reads now.",
        "Output n of step 3 (count) is labelled “number” now.",
    ]
    cut = replace(COUNT, tool_id="measure", label="size", connections={})
    assert told(steps=(replace(TRIM, tool_id="cutadapt", tool_version="4", label=""), cut)) == [
        "Step 3 (count 1.0) was removed.",
        "Step “size” (measure 1.0) was added.",
        "Step “trim” has no label any more.",
        "Step 2 (cutadapt) runs cutadapt instead of toolshed.example.org/repos/iuc/fastp/fastp/0.23.4.",
    ]


def test_a_step_put_between_others_is_the_only_change() -> None:
    """Numbers that move because a step was put between others are no change of their own."""
    look = WorkflowStep(3, "look", "pause", connections={"input": ((2, "out"),)}, outputs=("output",))
    after = replace(COUNT, index=4, connections={"reads": ((3, "output"),)})
    assert told(steps=(TRIM, look, after)) == [
        "Step “look” was added.",
        "Step 4 (count) takes output of step “look” as reads now.",
    ]
    assert told(steps=(TRIM, replace(look, connections={}), replace(COUNT, index=4))) == ["Step “look” was added."]


def test_changes_inside_a_subworkflow_are_told_with_their_place() -> None:
    """What changed inside a subworkflow is told with the step that holds it."""
    older = replace(FACTS, steps=(TRIM, replace(COUNT, tool_version="0.9"))).digest()
    before = replace(FACTS, steps=(WorkflowStep(2, "inside", "subworkflow", inside=older),))
    after = replace(FACTS, steps=(WorkflowStep(2, "inside", "subworkflow", inside=FACTS.digest()),))
    assert differences(before, after) == [
        "Step 3 (count) inside step “inside” runs version 1.0 of count instead of 0.9."
    ]
