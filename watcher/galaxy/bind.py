"""Values meet a workflow: checked by label, kind and type before a byte is sent.

Galaxy accepts unknown names and wrong types with a 200 and fails much later, or not at all (measured on 24.1.4 to
26.1.2), so they are checked here: names of inputs, steps and parameters, types of values, shapes of collections,
options of fixed lists. Extensions are held against an input by `extensions.py`. Not checked are options that depend on
data, and parameters of tools that Galaxy says nothing of. Pure: reads a workflow's facts and what an operator wrote,
asks nobody.

An input is named by its label, or by its number where it has none; what goes into it is one of the forms of
`config/workflows.py`. References (data that was there before) are found by others and handed in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from watcher.galaxy.bind_steps import bind_steps, may_fail_problems
from watcher.galaxy.bind_values import article, did_you_mean, scalar
from watcher.galaxy.workflows import WorkflowFacts, WorkflowInput
from watcher.model import CollectionId, DatasetId, PlannedDataset, PlannedReference

PAIRED, EITHER = "paired", "paired_or_unpaired"

READS = "reads"
"""What an operator writes for "the collection of this batch"."""

SOURCES = ("hda", "hdca", "ldda", "ld")

REFERENCES = (frozenset({"history", "name"}), frozenset({"library", "path"}), frozenset({"src", "id"}))
"""Keys of the mappings that name data which was there before."""


@dataclass(frozen=True, slots=True)
class Binding:
    """What will be asked of Galaxy, by step number as text; usable without `problems`.

    `constants` are values and references, `reads_inputs` take the batch's collection, `dataset_inputs` one dataset of
    it by key, `output_inputs` the output of an earlier workflow by (workflow key, label). `unfound` are inputs whose
    reference was not handed in; `names` tells how the rule calls each input.
    """

    constants: Mapping[str, Any] = field(default_factory=dict)
    reads_inputs: tuple[str, ...] = ()
    dataset_inputs: Mapping[str, str] = field(default_factory=dict)
    output_inputs: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    parameters: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    unfound: tuple[str, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)

    @property
    def takes_reads(self) -> bool:
        """Tell whether the batch's collection is needed."""
        return bool(self.reads_inputs)

    @property
    def dataset_keys(self) -> tuple[str, ...]:
        """Return the keys of the batch's datasets that are needed one by one."""
        return tuple(dict.fromkeys(self.dataset_inputs.values()))

    @property
    def outputs(self) -> tuple[tuple[str, str], ...]:
        """Return workflow key and label of the earlier outputs that are needed."""
        return tuple(dict.fromkeys(self.output_inputs.values()))

    def request(
        self,
        reads: CollectionId | None,
        datasets: Mapping[str, DatasetId],
        outputs: Mapping[tuple[str, str], Mapping[str, str]],
    ) -> dict[str, Any]:
        """Return the inputs of the request by step number (`inputs_by: step_index`).

        `datasets` are ids by dataset key, `outputs` hold src and id of each earlier output. Raises ValueError when
        something that is needed is not handed in.
        """
        lacking = [*(key for key in self.dataset_keys if key not in datasets)]
        lacking += [f"{label} of {key}" for key, label in self.outputs if (key, label) not in outputs]
        lacking += [self.names[index] for index in self.unfound]
        if self.problems or lacking or (self.takes_reads and reads is None):
            raise ValueError(f"a binding that is not whole: {[*self.problems, *lacking]}")
        return {
            **self.constants,
            **{index: {"src": "hdca", "id": reads} for index in self.reads_inputs},
            **{index: {"src": "hda", "id": datasets[key]} for index, key in self.dataset_inputs.items()},
            **{index: dict(outputs[output]) for index, output in self.output_inputs.items()},
        }

    def inputs(self, collection: CollectionId) -> dict[str, Any]:
        """Return the inputs of a request that goes by label, of a workflow that takes nothing but the reads."""
        return {self.names[index]: value for index, value in self.request(collection, {}, {}).items()}


def bind(
    facts: WorkflowFacts,
    inputs: Mapping[str, Any],
    steps: Mapping[str, Mapping[str, Any]] | None = None,
    collection_type: str = "",
    cells: Mapping[str, str | None] | None = None,
    *,
    datasets: Sequence[PlannedDataset] | None = None,
    references: Mapping[str, PlannedReference] | None = None,
    earlier: Mapping[str, Sequence[str] | None] | None = None,
    may_fail: Iterable[str] = (),
) -> Binding:
    """Check values against a workflow and return what to ask for; every problem is a sentence that names the workflow's
    part.

    `collection_type` is that of the batch's collection, empty when there is none. `cells` are values from a sample
    sheet: only ever constants, whatever they say; None stands for one that is not known yet. `datasets` are those of
    the batch, None while they are not known; `references` what was found of each input that names data of before;
    `earlier` the outputs of each workflow that runs before, None where they are not known.
    """
    bound = _Bound(facts, collection_type, datasets, references or {}, earlier or {})
    for label in sorted({one.label for one in facts.inputs if one.label and _count(facts.inputs, one.label) > 1}):
        told = f"Two inputs of “{facts.name}” are called “{label}”"
        bound.problems.append(f"{told}: rename one in Galaxy's workflow editor.")
    for key, value in inputs.items():
        if (wanted := bound.input(key)) is not None:
            try:
                bound.take(wanted, key, value)
            except ValueError as error:
                bound.problems.append(f"Input “{key}” {error}.")
    for key, cell in (cells or {}).items():
        wanted = bound.input(key)
        if wanted is None:
            continue
        if wanted.kind != "parameter":
            bound.problems.append(f"Input “{key}” takes a {wanted.kind}, which the sample sheet cannot give.")
        elif cell is not None:
            try:
                bound.constants[str(wanted.index)] = scalar(wanted, cell)
            except ValueError as error:
                bound.problems.append(f"Input “{key}” {error}.")
    bound.problems.extend(_missing(facts, bound.names))
    if not bound.takes_of_batch and (collection_type or datasets is not None):
        bound.problems.append(f"No input of “{facts.name}” takes the reads: write `{_likely(facts)}: {READS}`.")
    parameters = bind_steps(facts, steps or {}, bound.problems)
    bound.problems.extend(may_fail_problems(facts, may_fail))
    return Binding(
        bound.constants,
        tuple(bound.reads_inputs),
        bound.dataset_inputs,
        bound.output_inputs,
        parameters,
        tuple(bound.problems),
        tuple(bound.unfound),
        bound.names,
    )


def input_called(facts: WorkflowFacts, key: str) -> WorkflowInput | None:
    """Return the input of that label, else the one of that number."""
    labelled = next((one for one in reversed(facts.inputs) if one.label and one.label == key), None)
    return labelled or next((one for one in facts.inputs if str(one.index) == key), None)


def is_reference(value: object) -> bool:
    """Tell whether what is written for an input names data that was there before."""
    return isinstance(value, Mapping) and frozenset(value) in REFERENCES


class _Bound:
    """A binding while it is made."""

    def __init__(
        self,
        facts: WorkflowFacts,
        collection_type: str,
        datasets: Sequence[PlannedDataset] | None,
        references: Mapping[str, PlannedReference],
        earlier: Mapping[str, Sequence[str] | None],
    ) -> None:
        self.facts = facts
        self.collection_type = collection_type
        self.datasets = datasets
        self.references = references
        self.earlier = earlier
        self.constants: dict[str, Any] = {}
        self.reads_inputs: list[str] = []
        self.dataset_inputs: dict[str, str] = {}
        self.output_inputs: dict[str, tuple[str, str]] = {}
        self.unfound: list[str] = []
        self.names: dict[str, str] = {}
        self.problems: list[str] = []
        self.takes_of_batch = False
        """Also where what is written does not fit: that is told by itself."""

    def input(self, key: str) -> WorkflowInput | None:
        """Return the input of that name, and note that something is given for it; tell when there is none, or when it
        is given already.
        """
        wanted = input_called(self.facts, key)
        if wanted is None:
            known = [one.label or str(one.index) for one in self.facts.inputs]
            self.problems.append(f"“{self.facts.name}” has no input “{key}”{did_you_mean(key, known)}.")
            return None
        index = str(wanted.index)
        if index in self.names:
            self.problems.append(f"Input “{key}” of “{self.facts.name}” is given twice, as “{self.names[index]}” too.")
            return None
        self.names[index] = key
        return wanted

    def take(self, wanted: WorkflowInput, key: str, value: Any) -> None:
        """Note what goes into the input; raises ValueError with the end of a sentence."""
        index = str(wanted.index)
        if value == READS and wanted.kind != "parameter":
            self.takes_of_batch = True
            self.problems.extend(_reads_problems(wanted, key, self.collection_type))
            self.reads_inputs.append(index)
        elif wanted.kind == "parameter":
            self.constants[index] = _value(wanted, value)
        elif isinstance(value, Mapping) and (set(value) == {"read"} or set(value) == {"dataset"}):
            self.takes_of_batch = True
            if wanted.kind == "collection":
                raise ValueError(f"wants a collection, not one dataset of the batch: write `{READS}`")
            if self.datasets is not None:
                self.dataset_inputs[index] = _one_dataset(self.datasets, value).key
        elif isinstance(value, Mapping) and set(value) == {"from", "output"}:
            self.takes_of_batch = True
            self.output_inputs[index] = _output(self.earlier, str(value["from"]), str(value["output"]))
        elif isinstance(value, Mapping) and is_reference(value):
            self._take_reference(wanted, key, value)
        else:
            raise ValueError(f"wants a {wanted.kind}: write `{READS}` or {{src: hda, id: …}}, not {value!r}")

    def _take_reference(self, wanted: WorkflowInput, key: str, value: Mapping[str, Any]) -> None:
        found = self.references.get(key)
        src = found.src if found else str(value.get("src") or ("ldda" if "library" in value else ""))
        if src and src not in SOURCES:
            raise ValueError(f"names data by `{src}`, and Galaxy knows {', '.join(SOURCES)}")
        if src and src != "hdca" and wanted.kind == "collection":
            raise ValueError("wants a collection, not a dataset")
        if found is not None:
            self.constants[str(wanted.index)] = {"src": found.src, "id": found.id}
        elif value.get("id"):
            self.constants[str(wanted.index)] = {"src": src, "id": str(value["id"])}
        else:
            self.unfound.append(str(wanted.index))


def _one_dataset(datasets: Sequence[PlannedDataset], value: Mapping[str, Any]) -> PlannedDataset:
    """Return the one dataset of the batch that is meant."""
    if "read" in value:
        found = [one for one in datasets if one.read == value["read"]]
        told, verb = f"the read {value['read']}", "has"
    else:
        found = [one for one in datasets if fnmatchcase(one.name, str(value["dataset"]))]
        told, verb = f"the pattern `{value['dataset']}`", "fits"
    if len(found) == 1:
        return found[0]
    if found:
        verb = {"has": "have", "fits": "fit"}[verb]
        raise ValueError(f"wants one dataset, and {len(found)} of the batch {verb} {told}: {_listed(found)}")
    raise ValueError(f"wants one dataset, and none of the batch {verb} {told}; it has {_listed(datasets)}")


def _listed(datasets: Sequence[PlannedDataset]) -> str:
    names = ", ".join(one.name for one in datasets[:5])
    return f"{names} and {len(datasets) - 5} more" if len(datasets) > 5 else names or "none"


def _output(earlier: Mapping[str, Sequence[str] | None], key: str, label: str) -> tuple[str, str]:
    """Return the output, when an earlier workflow makes it; whether it becomes a dataset or a collection is known when
    it is there, since what is mapped over becomes a collection.
    """
    if key not in earlier:
        before = ", ".join(f"“{one}”" for one in earlier) or "none"
        raise ValueError(f"takes an output of the workflow “{key}”, which does not run before it (those are: {before})")
    results = earlier[key]
    if results is not None and label not in results:
        raise ValueError(
            f"takes the output “{label}”, which the workflow “{key}” has not{did_you_mean(label, results)}"
        )
    return key, label


def _missing(facts: WorkflowFacts, given: Mapping[str, str]) -> Iterable[str]:
    for one in facts.inputs:
        if one.optional or one.has_default or str(one.index) in given:
            continue
        if not one.label:
            example = READS if one.kind != "parameter" else "…"
            yield (
                f"Input number {one.index} of “{facts.name}” has no label and is missing: write"
                f' `"{one.index}": {example}`, or give it a label in Galaxy\'s workflow editor.'
            )
        elif one.kind == "parameter":
            yield f"Input “{one.label}” of “{facts.name}” is missing: it wants {article(one.type)}."
        else:
            yield f"Input “{one.label}” of “{facts.name}” is missing: write `{one.label}: {READS}` for the reads."


def _likely(facts: WorkflowFacts) -> str:
    takers = [one for one in facts.inputs if one.kind != "parameter"]
    return next((one.label for one in takers if one.label), f'"{takers[0].index}"' if takers else "INPUT")


def _reads_problems(wanted: WorkflowInput, key: str, collection_type: str) -> Iterable[str]:
    if not collection_type:
        yield f"Input “{key}” wants the reads, but no collection is made of them: set `collection`."
    elif wanted.kind == "collection" and (misfit := shape_problem(wanted, collection_type)):
        yield f"Input “{key}” {misfit}, and the reads become one of type {collection_type}."


def shape_problem(wanted: WorkflowInput, collection_type: str) -> str:
    """Return what type of collection an input wants when this is none of them, else ""."""
    wanted_types = [one.strip() for one in wanted.collection_type.split(",") if one.strip()]
    if wanted.kind != "collection" or not wanted_types:
        return ""  # Galaxy maps the workflow over what it gets for a dataset
    if any(fits_input(collection_type, one) for one in wanted_types):
        return ""
    return f"wants a collection of type {' or '.join(wanted_types)}"


def fits_input(have: str, want: str) -> bool:
    """Tell whether Galaxy takes a collection of type `have` where an input wants `want`: as it is, or mapped over.

    A collection fits its own type, and what it ends in is mapped over. What wants `paired_or_unpaired` takes a pair as
    well, and any single dataset; but nothing that wants pairs takes a collection in which some may be single.
    """
    if want == "any" or have == want or have.endswith(f":{want}"):
        return True
    ranks, _, last = want.rpartition(":")
    if last != EITHER:
        return False
    if not ranks:
        return True  # a pair is taken whole, anything else element by element
    above = have.removesuffix(f":{PAIRED}")
    return above == ranks or above.endswith(f":{ranks}")


def _value(wanted: WorkflowInput, value: Any) -> Any:
    """Return the value in the type the parameter wants; raises ValueError with the end of a sentence."""
    if isinstance(value, Mapping):
        raise ValueError(f"is a parameter and wants {article(wanted.type)}, not a dataset or collection")
    if isinstance(value, list) and wanted.multiple:
        return [scalar(wanted, one) for one in value]
    return scalar(wanted, value)


def _count(inputs: Iterable[WorkflowInput], label: str) -> int:
    return sum(one.label == label for one in inputs)
