"""Do the deliveries of a rule select results? A pattern that fits none would bring nothing home, and nobody would know.

Words only; which results there are is known before a workflow runs by `workflow_fit.py`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence

from watcher.galaxy.results import selects
from watcher.stages.unknown import Problem


def unselected(patterns: Iterable[str], labels: Sequence[str]) -> list[str]:
    """Return the patterns that fit none of the labels."""
    return [pattern for pattern in patterns if not any(selects(label, [pattern]) for label in labels)]


def nearest_label(pattern: str, labels: Sequence[str]) -> str:
    """Return the label that was probably meant; the fixed beginning of a pattern is compared with theirs."""
    stem = re.split(r"[*?\[]", pattern.lower())[0]
    known = {label.lower()[: len(stem)]: label for label in labels} | {label.lower(): label for label in labels}
    near = difflib.get_close_matches(stem, known, n=1) if stem else []
    return known[near[0]] if near else ""


def delivery_problems(deliveries: Mapping[str, Sequence[str]], labels: Sequence[str]) -> list[Problem]:
    """Return which deliveries (patterns by key) would select nothing of these results."""
    problems = []
    for key, patterns in deliveries.items():
        if wrong := unselected(patterns, labels):
            told = ", ".join(f"`{pattern}`" for pattern in wrong)
            near = dict.fromkeys(f"`{label}`" for pattern in wrong if (label := nearest_label(pattern, labels)))
            hint = f"Did you mean {' and '.join(near)}? " if near else ""
            hint += f"Results are {', '.join(f'`{label}`' for label in labels)}. Correct `outputs:`."
            problems.append(Problem(f"delivery {key} selects nothing with {told}.", hint))
    return problems
