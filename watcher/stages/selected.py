"""Do the deliveries of a rule select results? A pattern that fits none would bring nothing home, and nobody would know.

Words only; which results there are is known before a workflow runs by `workflow_fit.py`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence

from watcher.galaxy.selection import STEP, is_known_later, selects, selects_step
from watcher.galaxy.workflows import WorkflowStep
from watcher.stages.unknown import Problem


def unselected(patterns: Iterable[str], labels: Sequence[str], steps: Sequence[WorkflowStep] = ()) -> list[str]:
    """Return the patterns that fit none of the labels and none of the outputs of steps; those that only Galaxy's
    results can answer are left out. Where the outputs of a step are not known, its tool is not installed.
    """
    return [
        pattern
        for pattern in patterns
        if not is_known_later(pattern)
        and not any(selects(label, [pattern]) for label in labels)
        and not any(_may_select(pattern, step) for step in steps)
    ]


def _may_select(pattern: str, step: WorkflowStep) -> bool:
    outputs = step.outputs or [pattern.rpartition("/")[2]]
    return not step.is_review and bool(selects_step(pattern, step.index, step.label, outputs))


def nearest_label(pattern: str, labels: Sequence[str]) -> str:
    """Return the label that was probably meant; the fixed beginning of a pattern is compared with theirs."""
    stem = re.split(r"[*?\[]", pattern.lower())[0]
    known = {label.lower()[: len(stem)]: label for label in labels} | {label.lower(): label for label in labels}
    near = difflib.get_close_matches(stem, known, n=1) if stem else []
    return known[near[0]] if near else ""


def delivery_problems(
    deliveries: Mapping[str, Sequence[str]], labels: Sequence[str], steps: Sequence[WorkflowStep] = ()
) -> list[Problem]:
    """Return which deliveries (patterns by key) would select nothing of these results and outputs of steps."""
    known = [
        f"{STEP}{step.label or step.index}/{output}" for step in steps if not step.is_review for output in step.outputs
    ]
    problems = []
    for key, patterns in deliveries.items():
        if wrong := unselected(patterns, labels, steps):
            told = ", ".join(f"`{pattern}`" for pattern in wrong)
            meant = [nearest_label(pattern, known if pattern.startswith(STEP) else labels) for pattern in wrong]
            near = dict.fromkeys(f"`{name}`" for name in meant if name)
            hint = f"Did you mean {' and '.join(near)}? " if near else ""
            hint += f"Results are {', '.join(f'`{label}`' for label in labels)}. Correct `outputs:`."
            problems.append(Problem(f"delivery {key} selects nothing with {told}.", hint))
    return problems
