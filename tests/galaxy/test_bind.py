"""Values meet a workflow: what is taken, and that everything Galaxy would swallow is told before."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from watcher.galaxy.bind import bind, fits_input
from watcher.galaxy.workflows import WorkflowFacts, WorkflowInput, WorkflowStep
from watcher.model import CollectionId, WorkflowId

FASTP = "toolshed.example.org/repos/iuc/fastp/fastp/0.23.4+galaxy0"
TYPES = {
    "length": "integer",
    "input": "data",
    "cut_0|name": "text",
    "strict": "boolean",
    "mode": "select",
    "ends": "select",
    "column": "data_column",
}
OPTIONS = {
    "mode": {"Fast, less exact": "fast", "fast": "fast", "true": "true"},
    "ends": {"5": "5", "3": "3"},
}
MULTIPLE = frozenset({"ends", "column"})
READS = WorkflowInput("Reads", 0, "collection", collection_type="list:paired")
FACTS = WorkflowFacts(
    id=WorkflowId("w1"),
    name="QC",
    uuid="u",
    version=1,
    inputs=(
        READS,
        WorkflowInput("Reference", 1, "dataset", optional=True),
        WorkflowInput("minlen", 2, "parameter", type="integer", default=5, has_default=True),
        WorkflowInput("Cutoff", 3, "parameter", type="float", optional=True),
        WorkflowInput("Strict", 4, "parameter", type="boolean", optional=True),
        WorkflowInput("Kit", 5, "parameter", type="text", optional=True, choices=("nextera", "truseq")),
        WorkflowInput(
            "Kits", 10, "parameter", type="text", optional=True, choices=("nextera", "truseq"), multiple=True
        ),
    ),
    steps=(
        WorkflowStep(6, "trim", "tool", FASTP, "0.23.4", ("quality", "adapter|sequence"), TYPES, OPTIONS, MULTIPLE),
        WorkflowStep(7, "", "tool", "count_reads", "1.0", ("minlen",)),
        WorkflowStep(8, "", "tool", "count_reads", "1.0", ("minlen",)),
        WorkflowStep(9, "inside", "subworkflow"),
    ),
)
GOOD: dict[str, Any] = {"Reads": "reads"}


def problems(inputs: dict[str, Any], steps: dict[str, dict[str, Any]] | None = None, type: str = "list:paired") -> str:
    """Return all problems as one text."""
    return "\n".join(bind(FACTS, inputs, steps, type).problems)


def test_reads_go_where_they_are_wanted() -> None:
    """The collection is put at the number of the input that says `reads`, constants beside it in the wanted type."""
    inputs = {"Reads": "reads", "minlen": "50", "Cutoff": "0.5", "Strict": "no", "Kit": "truseq"}
    binding = bind(FACTS, inputs, {"trim": {"quality": 20}, "7": {"minlen": 3}}, "list:paired")
    assert binding.problems == ()
    assert binding.request(CollectionId("c1"), {}, {}) == {
        "0": {"src": "hdca", "id": "c1"},
        "2": 50,
        "3": 0.5,
        "4": False,
        "5": "truseq",
    }
    assert binding.parameters == {"6": {"quality": 20}, "7": {"minlen": 3}}


def test_dataset_of_galaxy_is_taken_as_it_is() -> None:
    """A dataset that lies in Galaxy already is named by source and id."""
    binding = bind(FACTS, {**GOOD, "Reference": {"src": "hda", "id": "d1"}}, None, "list:paired")
    assert binding.problems == ()
    assert binding.constants == {"1": {"src": "hda", "id": "d1"}}


@pytest.mark.parametrize(
    ("inputs", "told"),
    [
        ({"reads": "reads"}, "no input “reads” (did you mean “Reads”?)"),
        ({**GOOD, "mnlen": 3}, "no input “mnlen” (did you mean “minlen”?)"),
        ({**GOOD, "zzz": 3}, "no input “zzz”; it has “Reads”"),
        ({}, "Input “Reads” of “QC” is missing"),
        ({**GOOD, "minlen": "abc"}, "Input “minlen” wants an integer, not 'abc'"),
        ({**GOOD, "minlen": 1.5}, "wants an integer"),
        ({**GOOD, "minlen": True}, "wants an integer"),
        ({**GOOD, "Cutoff": "much"}, "wants a number"),
        ({**GOOD, "Strict": "perhaps"}, "wants true or false"),
        ({**GOOD, "Kit": "nextra"}, "wants one of nextera, truseq"),
        ({**GOOD, "Kit": None}, "wants a text"),
        ({**GOOD, "minlen": "reads"}, "wants an integer, not 'reads'"),
        ({**GOOD, "minlen": {"src": "hda", "id": "d"}}, "is a parameter"),
        ({**GOOD, "minlen": [1, 2]}, "Input “minlen” wants an integer, not [1, 2]"),
        ({**GOOD, "Kit": ["truseq"]}, "Input “Kit” wants a text, not ['truseq']"),
        ({**GOOD, "Kits": ["truseq", "nextra"]}, "wants one of nextera, truseq, not 'nextra'"),
        ({**GOOD, "Kits": [["truseq"]]}, "wants a text, not ['truseq']"),
        ({**GOOD, "Reference": 5}, "wants a dataset"),
        ({"Reads": {"src": "hda", "id": "d"}}, "wants a collection, not a dataset"),
        ({"Reads": 5}, "wants a collection"),
    ],
)
def test_wrong_input_is_told(inputs: dict[str, Any], told: str) -> None:
    """Every value that cannot be meant is told with the input's label and what it wants."""
    assert told in problems(inputs)


@pytest.mark.parametrize(
    ("steps", "told"),
    [
        ({"trimm": {"quality": 3}}, "no step “trimm” (did you mean “trim”?)"),
        ({"trim": {"qualty": 3}}, "no parameter “qualty” (did you mean “quality”?)"),
        ({"count_reads": {"minlen": 3}}, "Several steps of “QC” are called “count_reads”"),
        ({"2": {"minlen": 3}}, "no step “2”"),
        ({"trim": {"quality": {"a": 1}}}, "wants one value"),
        ({"trim": {"length": ["x", "y"]}}, "“length” of step “trim” wants an integer, not the list ['x', 'y']"),
        ({"trim": {"length": [5]}}, "wants an integer, not the list [5]"),
        ({"trim": {"strict": []}}, "wants true or false, not the list []"),
        ({"trim": {"mode": "slow"}}, "“mode” of step “trim” wants one of fast, true, not 'slow'"),
        ({"trim": {"mode": ["fast"]}}, "wants a select, not the list ['fast']"),
        ({"trim": {"ends": [5, 4]}}, "wants one of 5, 3, not 4"),
        ({"trim": {"ends": [{"a": 1}]}}, "not {'a': 1}"),
        ({"trim": {"length": "abc"}}, "Parameter “length” of step “trim” wants an integer, not 'abc'"),
        ({"trim": {"input": "x.fastq"}}, "wants a dataset: make it an input of the workflow"),
        ({"trim": {"cut_0|nme": 3}}, "did you mean “cut_0|name”?"),
    ],
)
def test_wrong_step_is_told(steps: dict[str, dict[str, Any]], told: str) -> None:
    """A step or parameter that is not there, or is there twice, is told."""
    assert told in problems(GOOD, steps)


def test_parameters_take_the_tools_types() -> None:
    """Parameters that only the tool knows are taken in its types, and every one of a repeat like the first."""
    steps = {"trim": {"length": "50", "strict": "yes", "cut_2|name": "a"}}
    assert bind(FACTS, GOOD, steps, "list:paired").parameters == {
        "6": {"length": 50, "strict": True, "cut_2|name": "a"}
    }


@pytest.mark.parametrize(
    ("name", "value", "sent"),
    [
        ("mode", "fast", "fast"),
        ("mode", "Fast, less exact", "fast"),
        ("mode", True, "true"),
        ("ends", 5, "5"),
        ("ends", [3, "5"], ["3", "5"]),
        ("column", [1, 2], [1, 2]),
        ("quality", [1, 2], [1, 2]),
    ],
)
def test_options_and_lists_are_taken_where_the_tool_takes_them(name: str, value: Any, sent: Any) -> None:
    """An option is taken by value or label, a list where several are allowed or nothing is known of the parameter."""
    binding = bind(FACTS, GOOD, {"trim": {name: value}}, "list:paired")
    assert binding.problems == ()
    assert binding.parameters == {"6": {name: sent}}


def test_an_input_that_takes_several_values_takes_a_list() -> None:
    """Several values go where the workflow allows several."""
    binding = bind(FACTS, {**GOOD, "Kits": ["truseq", "nextera"]}, None, "list:paired")
    assert (binding.problems, binding.constants) == ((), {"10": ["truseq", "nextera"]})


@pytest.mark.parametrize("name", ["trim", "6", "fastp", FASTP, FASTP.rpartition("/")[0]])
def test_step_has_several_names(name: str) -> None:
    """A step is called by its label, its number, or its tool in long or short."""
    assert bind(FACTS, GOOD, {name: {"adapter|sequence": "ACGT"}}, "list:paired").parameters == {
        "6": {"adapter|sequence": "ACGT"}
    }


@pytest.mark.parametrize(
    ("have", "want", "fits"),
    [
        ("list:paired", "list:paired", True),
        ("list:paired", "paired", True),
        ("list:paired", "list", False),
        ("list", "list:paired", False),
        ("list", "list,paired", True),
        ("paired", "list,paired", True),
        ("list:paired", "list:paired_or_unpaired", True),
        ("list", "", True),
        ("", "list", False),
    ],
)
def test_collection_has_to_fit(have: str, want: str, fits: bool) -> None:
    """A collection fits its own type and is mapped over where its end fits; no collection fits nothing."""
    facts = WorkflowFacts(
        WorkflowId("w"), "QC", "u", 1, (WorkflowInput("Reads", 0, "collection", collection_type=want),), ()
    )
    assert (bind(facts, GOOD, None, have).problems == ()) is fits


def test_reads_that_go_nowhere_are_told() -> None:
    """A workflow that never sees the reads could not be found again after a crash, and is not what is meant."""
    facts = WorkflowFacts(WorkflowId("w"), "QC", "u", 1, (WorkflowInput("Reads", 0, "dataset", optional=True),), ())
    assert "No input of “QC” takes the reads: write `Reads: reads`." in bind(facts, {}, None, "list").problems


def test_unnamed_and_doubled_inputs_are_told() -> None:
    """Inputs without a label, or with the same one, cannot be named and are told."""
    inputs = (
        READS,
        WorkflowInput("", 1, "dataset"),
        WorkflowInput("a", 2, "parameter"),
        WorkflowInput("a", 3, "parameter"),
    )
    told = "\n".join(bind(WorkflowFacts(WorkflowId("w"), "QC", "u", 1, inputs, ()), GOOD, None, "list:paired").problems)
    assert "Input number 1 of “QC” has no label" in told
    assert "Two inputs of “QC” are called “a”" in told


NAMES = st.sampled_from(
    ["Reads", "minlen", "Strict", "Kit", "Kits", "mode", "ends", "x", "", "trim", "7", "quality", "length"]
)
VALUES = st.sampled_from([None, True, 0, -1, 2.5, "", "reads", "truseq", "no", "7", [1, 2], {"src": "hda", "id": "d"}])


@settings(suppress_health_check=[HealthCheck.too_slow])  # how busy the machine is, is no property of ours
@given(
    inputs=st.dictionaries(NAMES, VALUES, max_size=4),
    steps=st.dictionaries(NAMES, st.dictionaries(NAMES, VALUES, max_size=2), max_size=2),
)
def test_nothing_is_lost_between_values_and_request(inputs: dict[str, Any], steps: dict[str, dict[str, Any]]) -> None:
    """Whatever is written is either in the request or told as a problem, never dropped and never a crash."""
    binding = bind(FACTS, inputs, steps, "list:paired")
    if not binding.problems:
        asked = binding.request(CollectionId("c"), {}, {})
        assert {binding.names[index] for index in asked} == set(inputs)
        assert sum(map(len, binding.parameters.values())) == sum(map(len, steps.values()))


@pytest.mark.parametrize(
    ("label", "cell", "told"),
    [
        ("minlen", "50", 50),
        ("Cutoff", "0.5", 0.5),
        ("Strict", "yes", True),
        ("Kit", "truseq", "truseq"),
        ("minlen", None, None),
        ("minlen", "fifty", "Input “minlen” wants an integer, not 'fifty'."),
        ("Kit", "own", "wants one of nextera, truseq, not 'own'"),
        ("Reference", "reads", "Input “Reference” takes a dataset, which the sample sheet cannot give."),
        ("minlenn", "50", "did you mean “minlen”?"),
    ],
)
def test_cells_of_a_sample_sheet_are_constants(label: str, cell: str | None, told: object) -> None:
    """They are typed as the workflow's input wants it, and never mean the reads, whatever they say."""
    binding = bind(FACTS, GOOD, cells={label: cell}, collection_type="list:paired")
    if isinstance(told, str) and told != cell:
        assert told in "\n".join(binding.problems)
    else:
        assert binding.problems == ()
        index = next(str(one.index) for one in FACTS.inputs if one.label == label)
        assert binding.constants.get(index) == told
        assert binding.reads_inputs == ("0",)


@pytest.mark.parametrize(
    ("have", "fits", "not_"),
    [
        ("list", ("list", "any", "list:paired_or_unpaired", "paired_or_unpaired"), ("paired", "list:paired")),
        ("paired", ("paired", "paired_or_unpaired"), ("list", "list:paired", "list:paired_or_unpaired")),
        (
            "list:paired",
            ("list:paired", "paired", "paired_or_unpaired", "list:paired_or_unpaired"),
            ("list", "list:list"),
        ),
        ("paired_or_unpaired", ("paired_or_unpaired",), ("paired", "list", "list:paired_or_unpaired")),
        (
            "list:paired_or_unpaired",
            ("list:paired_or_unpaired", "paired_or_unpaired"),
            ("list:paired", "paired", "list", "list:list"),
        ),
        (
            "list:list",
            ("list:list", "list", "paired_or_unpaired", "list:paired_or_unpaired"),
            ("paired", "list:paired"),
        ),
    ],
)
def test_collections_fit_inputs_as_galaxy_says(have: str, fits: tuple[str, ...], not_: tuple[str, ...]) -> None:
    """A type fits itself, what it ends in, and what takes pairs or single datasets; never what it might not hold."""
    assert [want for want in fits if not fits_input(have, want)] == []
    assert [want for want in not_ if fits_input(have, want)] == []
