"""Parameters of tools meet the steps of a workflow: which step is meant, and whether its tool knows what is written.

Pure; part of `bind.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from watcher.galaxy.bind_values import article, did_you_mean, typed
from watcher.galaxy.workflows import WorkflowFacts, WorkflowStep

DATA = ("data", "data_collection", "hidden_data")
"""Types of parameters that take no value; `data_column` takes one, a number."""


def bind_steps(
    facts: WorkflowFacts, steps: Mapping[str, Mapping[str, Any]], problems: list[str]
) -> dict[str, dict[str, Any]]:
    """Return the parameters by step number, and add to `problems` what does not fit."""
    parameters: dict[str, dict[str, Any]] = {}
    for key, values in steps.items():
        found = steps_called(facts, str(key))
        if not found:
            problems.append(_no_step(facts, str(key)))
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
                problems.append(f"Step “{key}” of “{facts.name}” has no parameter “{name}”{did_you_mean(name, known)}.")
            elif isinstance(value, Mapping):
                problems.append(f"Parameter “{name}” of step “{key}” wants one value; write inner ones as `{name}|…`.")
            elif type in DATA:
                problems.append(
                    f"Parameter “{name}” of step “{key}” wants a dataset: make it an input of the workflow."
                )
            else:
                try:
                    found_value = _parameter(step, _first_repeat(name), value)
                except ValueError as error:
                    problems.append(f"Parameter “{name}” of step “{key}” {error}.")
                else:
                    parameters.setdefault(str(step.index), {})[name] = found_value
    return parameters


def may_fail_problems(facts: WorkflowFacts, may_fail: Iterable[str]) -> Iterator[str]:
    """Yield which steps that may fail are not there; a tool id may stand for several."""
    return (_no_step(facts, key) for key in may_fail if not steps_called(facts, key))


def steps_called(facts: WorkflowFacts, key: str) -> list[WorkflowStep]:
    """Return the steps of that name: a label beats a number, a number beats a tool id (whole, without version, or its
    last name).
    """
    tools = [step for step in facts.steps if step.tool_id]
    for found in (
        [step for step in facts.steps if step.label == key],
        [step for step in facts.steps if str(step.index) == key],
        [step for step in tools if key in (step.tool_id, step.tool_id.rpartition("/")[0], _short_id(step.tool_id))],
    ):
        if found:
            return found
    return []


def _no_step(facts: WorkflowFacts, key: str) -> str:
    names = [step.label for step in facts.steps if step.label]
    names += [_short_id(step.tool_id) for step in facts.steps if step.tool_id]
    return f"“{facts.name}” has no step “{key}”{did_you_mean(key, names)}."


def _short_id(tool_id: str) -> str:
    """`toolshed/repos/owner/repository/fastp/0.23` is called fastp."""
    parts = tool_id.split("/")
    return parts[-2] if len(parts) > 2 else tool_id


def _first_repeat(name: str) -> str:
    """Name the first one of a repeat, which stands for all of them: `reads_3|adapter` is known as `reads_0|adapter`."""
    return re.sub(r"_\d+\|", "_0|", name)


def _parameter(step: WorkflowStep, name: str, value: Any) -> Any:
    """Return a tool parameter's value in its type; raises ValueError with the end of a sentence."""
    type, options = step.types.get(name, ""), step.options.get(name)
    if isinstance(value, list):
        if type and name not in step.multiple:
            raise ValueError(f"wants {article(type)}, not the list {value!r}")
        return [_one_of(type, options, one) for one in value]
    return _one_of(type, options, value)


def _one_of(type: str, options: Mapping[str, str] | None, value: Any) -> Any:
    if isinstance(value, list | Mapping):
        raise ValueError(f"wants {article(type)}, not {value!r}")
    if options is None or value is None:
        return typed(type, value)
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if text not in options:
        raise ValueError(f"wants one of {', '.join(dict.fromkeys(options.values()))}, not {value!r}")
    return options[text]
