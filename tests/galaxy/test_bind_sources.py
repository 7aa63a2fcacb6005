"""Where an input's data come from: single datasets of the batch, outputs of earlier workflows, data of before."""

from __future__ import annotations

from typing import Any

import pytest

from watcher.galaxy.bind import Binding, bind
from watcher.galaxy.workflows import WorkflowFacts, WorkflowInput, WorkflowStep
from watcher.model import CollectionId, DatasetId, PlannedDataset, PlannedReference, WorkflowId

READS = WorkflowInput("Reads", 0, "collection", collection_type="list:paired")
FORWARD, REVERSE = WorkflowInput("Forward", 1, "dataset"), WorkflowInput("Reverse", 2, "dataset", optional=True)
MINLEN = WorkflowInput("minlen", 3, "parameter", type="integer", optional=True)
COUNT = WorkflowStep(4, "", "tool", "count_reads", "1.0")
EARLIER = {"qc": ("report", "trimmed reads"), "own": None}


def facts(*inputs: WorkflowInput) -> WorkflowFacts:
    """Return a workflow with these inputs, and two steps of one tool."""
    return WorkflowFacts(
        WorkflowId("w"), "Assembly", "u", 1, inputs, (COUNT, WorkflowStep(5, "", "tool", "count_reads"))
    )


def dataset(name: str, read: str) -> PlannedDataset:
    """Return a dataset of the batch, whose key is its name in capitals."""
    return PlannedDataset(
        key=name.upper(), name=name, ext="fastqsanger.gz", sources=(name,), size=1, sample="S", read=read
    )


PAIR = (dataset("s_1.fq", "R1"), dataset("s_2.fq", "R2"))


def bound(inputs: dict[str, Any], *wanted: WorkflowInput, **more: Any) -> Binding:
    """Bind with a pair of datasets, a collection of them, and two earlier workflows."""
    given = {"collection_type": "list:paired", "datasets": PAIR, "earlier": EARLIER, **more}
    return bind(facts(*(wanted or (FORWARD, REVERSE, MINLEN))), inputs, **given)


def told(inputs: dict[str, Any], *wanted: WorkflowInput, **more: Any) -> str:
    """Return all problems as one text."""
    return "\n".join(bound(inputs, *wanted, **more).problems)


def test_single_datasets_of_the_batch_are_found_by_read_and_by_name() -> None:
    """Each stands at its input's number, and the request holds its id; the collection is not needed for them."""
    binding = bound({"Forward": {"read": "R1"}, "Reverse": {"dataset": "*_2.fq"}, "minlen": "7"})
    assert binding.problems == ()
    assert binding.dataset_keys == ("S_1.FQ", "S_2.FQ")
    assert not binding.takes_reads
    ids = {"S_1.FQ": DatasetId("d1"), "S_2.FQ": DatasetId("d2")}
    assert binding.request(None, ids, {}) == {
        "1": {"src": "hda", "id": "d1"},
        "2": {"src": "hda", "id": "d2"},
        "3": 7,
    }


def test_outputs_of_earlier_workflows_are_asked_for_by_key_and_label() -> None:
    """The request holds what the earlier workflow made, be it a dataset or a collection."""
    outputs = {"Forward": {"from": "qc", "output": "report"}, "Reverse": {"from": "own", "output": "of any name"}}
    binding = bound(outputs)
    assert binding.problems == ()
    assert binding.outputs == (("qc", "report"), ("own", "of any name"))
    made = {("qc", "report"): {"src": "hda", "id": "d"}, ("own", "of any name"): {"src": "hdca", "id": "c"}}
    assert binding.request(None, {}, made) == {"1": {"src": "hda", "id": "d"}, "2": {"src": "hdca", "id": "c"}}


def test_references_that_were_found_are_named_by_id() -> None:
    """What a rule names by history or library goes in as what was found."""
    found = {
        "Forward": PlannedReference(src="ldda", id="l1", name="hg38.fa"),
        "Reverse": PlannedReference(src="hda", id="d1", name="adapters"),
    }
    inputs = {
        "Reads": "reads",
        "Forward": {"library": "Genomes", "path": "human/hg38.fa"},
        "Reverse": {"history": "References", "name": "adapters"},
    }
    binding = bound(inputs, READS, FORWARD, REVERSE, references=found)
    assert binding.problems == ()
    assert binding.request(CollectionId("c"), {}, {}) == {
        "0": {"src": "hdca", "id": "c"},
        "1": {"src": "ldda", "id": "l1"},
        "2": {"src": "hda", "id": "d1"},
    }


def test_references_that_nobody_looked_for_make_no_request() -> None:
    """The binding tells which are open, and a request is refused instead of lacking an input."""
    binding = bound({"Reads": "reads", "Forward": {"history": "References", "name": "x"}}, READS, FORWARD)
    assert (binding.problems, binding.unfound) == ((), ("1",))
    with pytest.raises(ValueError, match="Forward"):
        binding.request(CollectionId("c"), {}, {})


@pytest.mark.parametrize("lacking", ["reads", "dataset", "output"])
def test_a_request_is_whole_or_none(lacking: str) -> None:
    """Whatever the invoke stage forgot to prepare is an error, never an input that is left out."""
    inputs = {"Reads": "reads", "Forward": {"read": "R1"}, "Reverse": {"from": "qc", "output": "report"}}
    binding = bound(inputs, READS, FORWARD, REVERSE)
    with pytest.raises(ValueError, match="not whole"):
        binding.request(
            None if lacking == "reads" else CollectionId("c"),
            {} if lacking == "dataset" else {"S_1.FQ": DatasetId("d")},
            {} if lacking == "output" else {("qc", "report"): {"src": "hda", "id": "d"}},
        )


def test_inputs_without_labels_go_by_number_and_a_label_beats_a_number() -> None:
    """A workflow that nobody labelled is bound by step numbers; what is called “1” is not input number 1."""
    plain = (WorkflowInput("", 0, "collection", collection_type="list"), WorkflowInput("", 1, "parameter", type="text"))
    binding = bound({"0": "reads", "1": "x"}, *plain, collection_type="list")
    assert binding.problems == ()
    assert binding.request(CollectionId("c"), {}, {}) == {"0": {"src": "hdca", "id": "c"}, "1": "x"}
    odd = (WorkflowInput("", 1, "parameter", type="text", optional=True), WorkflowInput("1", 2, "dataset"))
    assert bound({"1": "reads"}, *odd).reads_inputs == ("2",)
    assert 'write `"0": reads`' in told({}, *plain)


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        (
            {"Forward": {"read": "R3"}},
            "“Forward” wants one dataset, and none of the batch has the read R3; it has s_1.fq",
        ),
        ({"Forward": {"dataset": "*.fq"}}, "2 of the batch fit the pattern `*.fq`: s_1.fq, s_2.fq."),
        ({"Forward": {"dataset": "S_*"}}, "none of the batch fits the pattern `S_*`"),
        (
            {"Forward": {"from": "qd", "output": "report"}},
            "“qd”, which does not run before it (those are: “qc”, “own”)",
        ),
        ({"Forward": {"from": "qc", "output": "reports"}}, "the workflow “qc” has not (did you mean “report”?)"),
        ({"Forward": "reads", "1": "reads"}, "Input “1” of “Assembly” is given twice, as “Forward” too."),
        ({"Forward": "reads", "minlen": {"read": "R1"}}, "“minlen” is a parameter and wants an integer, not a dataset"),
        ({"Forward": "reads", "9": 3}, "no input “9”; it has “Forward”, “Reverse”, “minlen”"),
        ({"Forward": {"src": "xda", "id": "1"}}, "names data by `xda`, and Galaxy knows hda, hdca, ldda, ld"),
        ({"Forward": {"read": "R1", "lane": "1"}}, "wants a dataset: write `reads`"),
    ],
)
def test_what_cannot_be_meant_is_told(inputs: dict[str, Any], words: str) -> None:
    """Each form tells what is wrong with it, at its input."""
    assert words in told(inputs)


@pytest.mark.parametrize("source", [{"read": "R1"}, {"library": "L", "path": "p"}, {"src": "hda", "id": "d"}])
def test_a_collection_is_never_one_dataset(source: dict[str, str]) -> None:
    """An input that wants a collection takes no single dataset, wherever it would come from."""
    assert "Input “Reads” wants a collection, not" in told({"Reads": source}, READS)
    assert told({"Reads": {"from": "qc", "output": "report"}}, READS) == ""  # mapped over, it becomes a collection


@pytest.mark.parametrize("source", ["reads", {"read": "R1"}, {"from": "qc", "output": "report"}])
def test_a_workflow_takes_something_of_the_batch(source: Any) -> None:
    """Reads, a dataset of the batch or an earlier output: any of them is enough, and one there has to be."""
    assert told({"Forward": source}) == ""
    reference = {"Forward": {"src": "hda", "id": "d"}}
    assert "No input of “Assembly” takes the reads: write `Forward: reads`." in told(reference)
    assert "takes the reads" in told(reference, collection_type="")


def test_datasets_that_are_not_known_yet_are_no_problem() -> None:
    """Before there is a run, nobody can say which dataset is meant."""
    assert told({"Forward": {"read": "R9"}}, datasets=None) == ""


def test_steps_that_may_fail_are_there() -> None:
    """A name that no step has is told; a tool id may stand for several steps."""
    inputs = {"Forward": "reads"}
    assert told(inputs, may_fail=("count_reads", "4")) == ""
    assert "has no step “count_read” (did you mean “count_reads”?)" in told(inputs, may_fail=("count_read",))
