"""What changed between two versions of a workflow, in sentences for people.

Pure: compares what `WorkflowFacts.digest` gave, today or long ago and stored as JSON since. Inputs and steps are the
same ones by uuid, which Galaxy's editor keeps, else by label, else by tool in their order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from watcher.galaxy.tool_ids import short_tool_id
from watcher.galaxy.workflow_facts import REVIEW, WorkflowFacts

Digest = Mapping[str, Any]
Row = Mapping[str, Any]
Pair = tuple[Row, Row]


def differences(before: WorkflowFacts | Digest, after: WorkflowFacts | Digest) -> list[str]:
    """Return a sentence for each change that matters to a run; nothing for positions, notes and order."""
    old, new = _digest(before), _digest(after)
    renamed = [f"The workflow is called “{new['name']}” instead of “{old['name']}”."]
    return [*(renamed if old["name"] != new["name"] else ()), *_changes(old, new, "")]


def _digest(one: WorkflowFacts | Digest) -> Digest:
    return one.digest() if isinstance(one, WorkflowFacts) else one


def _changes(old: Digest, new: Digest, where: str) -> Iterator[str]:
    inputs, inputs_gone, inputs_new = _paired(old["inputs"], new["inputs"], lambda row: row["kind"])
    steps, steps_gone, steps_new = _paired(
        old["steps"], new["steps"], lambda row: (row["type"], short_tool_id(row["tool"]))
    )
    yield from (f"{_input(row)}{where} was removed." for row in inputs_gone)
    yield from (f"{_input(row)}{where} was added{_needed(row)}." for row in inputs_new)
    for pair in inputs:
        yield from _input_changes(*pair, where)
    yield from (f"{_step(row)}{where} was removed." for row in steps_gone)
    yield from (f"{_step(row)}{where} was added." for row in steps_new)
    now = {one["index"]: other["index"] for one, other in (*inputs, *steps)}
    sources = {row["index"]: row for row in (*new["inputs"], *new["steps"])}
    for pair in steps:
        yield from _step_changes(*pair, now, sources, where)


def _paired(
    old: Sequence[Row], new: Sequence[Row], kind: Callable[[Row], Any]
) -> tuple[list[Pair], list[Row], list[Row]]:
    """Return the pairs, those that are gone and those that are new."""
    pairs: list[Pair] = []
    gone, added = list(old), list(new)
    by_uuid, by_label = (lambda row: row["uuid"]), (lambda row: row["label"])
    for key in (by_uuid, by_label, kind):
        for row in list(gone):
            same = next((one for one in added if key(one) and key(one) == key(row)), None)
            # By its kind alone a labelled one is never another labelled one: one went, one came.
            if same is not None and not (key is kind and row["label"] and same["label"]):
                pairs.append((row, same))
                gone.remove(row)
                added.remove(same)
    return sorted(pairs, key=lambda pair: int(pair[1]["index"])), gone, added


def _input(row: Row) -> str:
    return f"Input “{row['label']}”" if row["label"] else f"Input {row['index']}"


def _needed(row: Row) -> str:
    return "" if row["optional"] or row["default"] is not None else " and has to be given"


def _step(row: Row) -> str:
    if not row["tool"]:
        return _named(row)
    name = f"“{row['label']}”" if row["label"] else row["index"]
    return f"Step {name} ({short_tool_id(row['tool'])} {row['version']})"


def _named(row: Row) -> str:
    if row["label"]:
        return f"Step “{row['label']}”"
    what = "review" if row["type"] == REVIEW else short_tool_id(row["tool"]) or row["type"]
    return f"Step {row['index']} ({what})"


def _input_changes(old: Row, new: Row, where: str) -> Iterator[str]:
    if old["label"] != new["label"]:
        yield f"{_input(old)}{where} is now called “{new['label']}”."
    name = f"{_input(new)}{where}"
    if (old["kind"], old["type"]) != (new["kind"], new["type"]):
        yield f"{name} takes {_taken(new)} instead of {_taken(old)}."
    if (old["optional"], old["default"] is None) != (new["optional"], new["default"] is None):
        yield f"{name} {'has to be given' if _needed(new) else 'may be left out'} now."
    if old["default"] != new["default"] and None not in (old["default"], new["default"]):
        yield f"{name} is {new['default']!r} instead of {old['default']!r} when it is left out."
    if old["extensions"] != new["extensions"]:
        yield f"{name} takes {_listed(new['extensions'])} instead of {_listed(old['extensions'])}."
    if old["choices"] != new["choices"]:
        yield f"{name} lets choose {_listed(new['choices'])} instead of {_listed(old['choices'])}."


def _taken(row: Row) -> str:
    return f"a {row['kind']}" + (f" of type {row['type']}" if row["type"] else "")


def _listed(values: Sequence[str]) -> str:
    return ", ".join(values) or "anything"


def _step_changes(old: Row, new: Row, now: Mapping[int, int], sources: Mapping[int, Row], where: str) -> Iterator[str]:
    if old["label"] != new["label"]:
        yield (
            f"{_named(old)}{where} is now called “{new['label']}”."
            if new["label"]
            else (f"{_named(old)}{where} has no label any more.")
        )
    name = f"{_named(new)}{where}"
    if _unversioned(old["tool"], old["version"]) != _unversioned(new["tool"], new["version"]):
        yield f"{name} runs {new['tool'] or new['type']} instead of {old['tool'] or old['type']}."
    elif old["version"] != new["version"]:
        yield f"{name} runs version {new['version']} of {short_tool_id(new['tool'])} instead of {old['version']}."
    elif old["tool"] != new["tool"]:
        yield f"{name} runs {new['tool']} instead of {old['tool']}."
    if old["settings"] != new["settings"]:
        yield f"The settings of {_lower(name)} changed."
    for taken in dict.fromkeys([*old["connections"], *new["connections"]]):
        # Steps are numbered anew when one is put between them.
        before = [(now.get(index, -1), output) for index, output in old["connections"].get(taken, ())]
        after = [(index, output) for index, output in new["connections"].get(taken, ())]
        if before != after:
            said = " and ".join(_source(sources[index], output) for index, output in after if index in sources)
            yield f"{name} takes {said or 'nothing'} as {taken} now."
    for output in dict.fromkeys([*old["labels"], *new["labels"]]):
        yield from _label_change(name, output, old["labels"].get(output, ""), new["labels"].get(output, ""))
    if old["inside"] and new["inside"]:
        yield from _changes(old["inside"], new["inside"], f" inside {_lower(name)}")


def _unversioned(tool: str, version: str) -> str:
    return tool.removesuffix(f"/{version}")


def _lower(name: str) -> str:
    return name[:1].lower() + name[1:]


def _source(row: Row, output: str) -> str:
    return _lower(_input(row)) if "kind" in row else f"{output} of {_lower(_named(row))}"


def _label_change(name: str, output: str, old: str, new: str) -> Iterator[str]:
    if old == new:
        return
    if not old:
        yield f"Output {output} of {_lower(name)} is labelled “{new}” now."
    elif not new:
        yield f"Output {output} of {_lower(name)} is not labelled “{old}” any more."
    else:
        yield f"Output {output} of {_lower(name)} is labelled “{new}” instead of “{old}”."
