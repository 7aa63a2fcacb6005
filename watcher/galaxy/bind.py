"""Values meet a workflow: checked by label, kind and type before a byte is sent.

Galaxy accepts unknown names and wrong types with a 200 and fails much later, or not at all (measured on 24.1.4 to
26.1.2), so they are checked here: names of inputs, steps and parameters, types of values, shapes of collections,
options of fixed lists. Not checked are datatypes (which extensions an input takes: Galaxy alone knows what counts as a
subtype), options that depend on data, and parameters of tools that Galaxy says nothing of. Pure: reads a workflow's
facts and what an operator wrote, asks nobody.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from watcher.galaxy.workflows import WorkflowFacts, WorkflowInput, WorkflowStep
from watcher.model import CollectionId

PAIRED, EITHER = "paired", "paired_or_unpaired"

READS = "reads"
"""What an operator writes for "the collection of this batch"."""

SOURCES = ("hda", "hdca", "ldda", "ld")
DATA = ("data", "data_collection", "hidden_data")
"""Types of parameters that take no value; `data_column` takes one, a number."""

TRUE, FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


@dataclass(frozen=True, slots=True)
class Binding:
    """What will be asked of Galaxy: constants and `reads_inputs` by label, parameters by step number; usable without
    `problems`.
    """

    constants: Mapping[str, Any] = field(default_factory=dict)
    reads_inputs: tuple[str, ...] = ()
    parameters: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    problems: tuple[str, ...] = ()

    def inputs(self, collection: CollectionId) -> dict[str, Any]:
        """Return the inputs of the request, the batch's collection put where the reads go."""
        return {**self.constants, **{label: {"src": "hdca", "id": collection} for label in self.reads_inputs}}


def bind(
    facts: WorkflowFacts,
    inputs: Mapping[str, Any],
    steps: Mapping[str, Mapping[str, Any]] | None = None,
    collection_type: str = "",
    cells: Mapping[str, str | None] | None = None,
) -> Binding:
    """Check values against a workflow and return what to ask for; every problem is a sentence that names the workflow's
    part.

    `collection_type` is that of the batch's collection, empty when there is none. `cells` are values from a sample
    sheet: only ever constants, whatever they say; None stands for one that is not known yet.
    """
    problems: list[str] = []
    constants: dict[str, Any] = {}
    reads_inputs: list[str] = []
    by_label = {one.label: one for one in facts.inputs if one.label}
    for label in sorted({one.label for one in facts.inputs if one.label and _count(facts.inputs, one.label) > 1}):
        problems.append(f"Two inputs of “{facts.name}” are called “{label}”: rename one in Galaxy's workflow editor.")
    for label, value in inputs.items():
        wanted = by_label.get(label)
        if wanted is None:
            problems.append(f"“{facts.name}” has no input “{label}”{_did_you_mean(label, by_label)}.")
        elif value == READS and wanted.kind != "parameter":
            problems.extend(_reads_problems(wanted, collection_type))
            reads_inputs.append(label)
        else:
            try:
                constants[label] = _value(wanted, value)
            except ValueError as error:
                problems.append(f"Input “{label}” {error}.")
    for label, cell in (cells or {}).items():
        wanted = by_label.get(label)
        if wanted is None:
            problems.append(f"“{facts.name}” has no input “{label}”{_did_you_mean(label, by_label)}.")
        elif wanted.kind != "parameter":
            problems.append(f"Input “{label}” takes a {wanted.kind}, which the sample sheet cannot give.")
        elif cell is not None:
            try:
                constants[label] = _scalar(wanted, cell)
            except ValueError as error:
                problems.append(f"Input “{label}” {error}.")
    problems.extend(_missing(facts, {**inputs, **(cells or {})}))
    if collection_type and not reads_inputs and not any("wants" in problem for problem in problems):
        problems.append(f"No input of “{facts.name}” takes the reads: write `{_likely(facts)}: {READS}`.")
    parameters = _parameters(facts, steps or {}, problems)
    return Binding(constants, tuple(reads_inputs), parameters, tuple(problems))


def _missing(facts: WorkflowFacts, given: Mapping[str, Any]) -> Iterable[str]:
    for one in facts.inputs:
        if one.optional or one.has_default or one.label in given:
            continue
        if not one.label:
            yield f"Input number {one.index} of “{facts.name}” has no label: give it one in Galaxy's workflow editor."
        elif one.kind == "parameter":
            yield f"Input “{one.label}” of “{facts.name}” is missing: it wants {_article(one.type)}."
        else:
            yield f"Input “{one.label}” of “{facts.name}” is missing: write `{one.label}: {READS}` for the reads."


def _likely(facts: WorkflowFacts) -> str:
    return next((one.label for one in facts.inputs if one.kind != "parameter" and one.label), "INPUT")


def _reads_problems(wanted: WorkflowInput, collection_type: str) -> Iterable[str]:
    if not collection_type:
        yield f"Input “{wanted.label}” wants the reads, but no collection is made of them: set `collection`."
        return
    if wanted.kind == "dataset":
        return  # Galaxy maps the workflow over the collection
    wanted_types = [one.strip() for one in wanted.collection_type.split(",") if one.strip()]
    if wanted_types and not any(fits_input(collection_type, one) for one in wanted_types):
        yield (
            f"Input “{wanted.label}” wants a collection of type {' or '.join(wanted_types)}, "
            f"and the reads become one of type {collection_type}."
        )


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
    """Return the value in the type the input wants; raises ValueError with the end of a sentence."""
    is_reference = isinstance(value, Mapping)
    if wanted.kind != "parameter":
        if is_reference and value.get("src") in SOURCES and value.get("id"):
            if wanted.kind == "collection" and value["src"] != "hdca":
                raise ValueError("wants a collection, not a dataset")
            return {"src": value["src"], "id": str(value["id"])}
        raise ValueError(f"wants a {wanted.kind}: write `{READS}` or {{src: hda, id: …}}, not {value!r}")
    if is_reference:
        raise ValueError(f"is a parameter and wants {_article(wanted.type)}, not a dataset or collection")
    if isinstance(value, list) and wanted.multiple:
        return [_scalar(wanted, one) for one in value]
    return _scalar(wanted, value)


def _scalar(wanted: WorkflowInput, value: Any) -> Any:
    if value is None or isinstance(value, list | Mapping):
        raise ValueError(f"wants {_article(wanted.type)}, not {value!r}")
    if wanted.choices and str(value).strip() not in wanted.choices:
        raise ValueError(f"wants one of {', '.join(wanted.choices)}, not {value!r}")
    typed = _typed(wanted.type, value)
    return typed if isinstance(typed, bool | int | float | str) else str(typed)


def _typed(type: str, value: Any) -> Any:
    """Return the value in Galaxy's type; texts count as what they say, since tables and templates hold nothing else."""
    text = str(value).strip()
    wrong = ValueError(f"wants {_article(type)}, not {value!r}")
    if type in ("integer", "float") and isinstance(value, bool):
        raise wrong
    try:
        if type == "integer":
            return int(text)
        if type == "float":
            return float(text)
    except ValueError:
        raise wrong from None
    if type == "boolean":
        if text.lower() not in TRUE + FALSE:
            raise wrong
        return text.lower() in TRUE
    return text if type == "text" and not isinstance(value, str) else value


def _first_repeat(name: str) -> str:
    """Name the first one of a repeat, which stands for all of them: `reads_3|adapter` is known as `reads_0|adapter`."""
    return re.sub(r"_\d+\|", "_0|", name)


def _article(type: str) -> str:
    return {"integer": "an integer", "float": "a number", "boolean": "true or false", "text": "a text"}.get(
        type, f"a {type or 'value'}"
    )


def _parameters(
    facts: WorkflowFacts, steps: Mapping[str, Mapping[str, Any]], problems: list[str]
) -> dict[str, dict[str, Any]]:
    parameters: dict[str, dict[str, Any]] = {}
    for key, values in steps.items():
        found = _steps_called(facts, str(key))
        if not found:
            names = [step.label for step in facts.steps if step.label] + [
                _short_id(step.tool_id) for step in facts.steps if step.tool_id
            ]
            problems.append(f"“{facts.name}” has no step “{key}”{_did_you_mean(str(key), names)}.")
            continue
        if len(found) > 1:
            places = ", ".join(f"{step.index}" + (f" ({step.label})" if step.label else "") for step in found)
            problems.append(
                f"Several steps of “{facts.name}” are called “{key}”: name one by its label or number: {places}."
            )
            continue
        step = found[0]
        for name, value in values.items():
            known = dict.fromkeys([*step.parameters, *step.types])
            type = step.types.get(_first_repeat(name), "")
            if _first_repeat(name) not in known and name not in known:
                problems.append(
                    f"Step “{key}” of “{facts.name}” has no parameter “{name}”{_did_you_mean(name, known)}."
                )
            elif isinstance(value, Mapping):
                problems.append(f"Parameter “{name}” of step “{key}” wants one value; write inner ones as `{name}|…`.")
            elif type in DATA:
                problems.append(
                    f"Parameter “{name}” of step “{key}” wants a dataset: make it an input of the workflow."
                )
            else:
                try:
                    typed = _parameter(step, _first_repeat(name), value)
                except ValueError as error:
                    problems.append(f"Parameter “{name}” of step “{key}” {error}.")
                else:
                    parameters.setdefault(str(step.index), {})[name] = typed
    return parameters


def _parameter(step: WorkflowStep, name: str, value: Any) -> Any:
    """Return a tool parameter's value in its type; raises ValueError with the end of a sentence."""
    type, options = step.types.get(name, ""), step.options.get(name)
    if isinstance(value, list):
        if type and name not in step.multiple:
            raise ValueError(f"wants {_article(type)}, not the list {value!r}")
        return [_one_of(type, options, one) for one in value]
    return _one_of(type, options, value)


def _one_of(type: str, options: Mapping[str, str] | None, value: Any) -> Any:
    if isinstance(value, list | Mapping):
        raise ValueError(f"wants {_article(type)}, not {value!r}")
    if options is None or value is None:
        return _typed(type, value)
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if text not in options:
        raise ValueError(f"wants one of {', '.join(dict.fromkeys(options.values()))}, not {value!r}")
    return options[text]


def _steps_called(facts: WorkflowFacts, key: str) -> list[WorkflowStep]:
    """A label beats a number, a number beats a tool id (whole, without version, or its last name)."""
    tools = [step for step in facts.steps if step.tool_id]
    for found in (
        [step for step in facts.steps if step.label == key],
        [step for step in facts.steps if str(step.index) == key],
        [step for step in tools if key in (step.tool_id, step.tool_id.rpartition("/")[0], _short_id(step.tool_id))],
    ):
        if found:
            return found
    return []


def _short_id(tool_id: str) -> str:
    """`toolshed/repos/owner/repository/fastp/0.23` is called fastp."""
    parts = tool_id.split("/")
    return parts[-2] if len(parts) > 2 else tool_id


def _count(inputs: Iterable[WorkflowInput], label: str) -> int:
    return sum(one.label == label for one in inputs)


def _did_you_mean(word: str, known: Iterable[str]) -> str:
    names = list(dict.fromkeys(known))
    same = [name for name in names if name.lower() == word.lower()]
    near = same or difflib.get_close_matches(word, names, n=1)
    if near:
        return f" (did you mean “{near[0]}”?)"
    return f"; it has {', '.join(f'“{name}”' for name in names[:8])}" if names else "; it has none"
