"""Extensions meet the inputs of a workflow: what a dataset is against what an input takes.

Galaxy accepts an invocation with a dataset of a wrong datatype and runs its tools on it, to `ok` or to nonsense
(measured on 24.1.4 to 26.1.2). What counts as a subtype, and what Galaxy converts by itself, it tells; here it is only
asked of `Datatypes`. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol

from watcher.galaxy.workflows import WorkflowInput


class Datatypes(Protocol):
    """What a Galaxy knows of its datatypes."""

    def fits(self, ext: str, wanted: Collection[str]) -> bool:
        """Tell whether the extension is one of those, or of a subtype."""
        ...

    def converts(self, ext: str, wanted: Collection[str]) -> bool:
        """Tell whether Galaxy makes one of those of it by itself."""
        ...


def extension_problems(wanted: WorkflowInput, exts: Mapping[str, str], datatypes: Datatypes) -> list[str]:
    """Return a sentence for each extension that the input does not take; `exts` tell of each what has it, for people.

    What Galaxy would convert by itself is taken.
    """
    problems = []
    for ext, what in exts.items():
        for group in wanted.accepts:
            if not (datatypes.fits(ext, group) or datatypes.converts(ext, group)):
                name = wanted.label or str(wanted.index)
                problems.append(f"Input “{name}” takes {' or '.join(group)}, not {ext} ({what}).")
                break
    return problems
