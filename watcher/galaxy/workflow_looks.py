"""What is asked of a workflow beyond what it wants: its results, what it was like, what Galaxy would change to run it.

Small questions in one place, for those who hold a workflow against a batch (`stages/workflow_fit.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast

from watcher.galaxy.client import Galaxy
from watcher.galaxy.extensions import Datatypes
from watcher.galaxy.workflows import WorkflowFacts
from watcher.model import WorkflowId


async def read_version(galaxy: Galaxy, workflow: WorkflowId, version: int | None) -> WorkflowFacts:
    """Return what that version of the workflow wants and gives, the newest one where none is named."""
    if version is None:
        return await galaxy.workflows.read(workflow)
    read = cast(Any, galaxy.workflows.read)
    facts: WorkflowFacts = await read(workflow, version=version)
    return facts


def results_of(facts: WorkflowFacts) -> tuple[str, ...] | None:
    """Return the names of what the workflow gives, None where they are not known before it ran."""
    found: tuple[str, ...] = getattr(facts, "results", facts.outputs)
    return found or None


def digest_of(facts: WorkflowFacts) -> dict[str, Any]:
    """Return a small summary of what the workflow is like, empty where there is none."""
    make = getattr(facts, "digest", dict)
    found: dict[str, Any] = make()
    return found


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each thing that differs between two digests; none where one of them is empty."""
    if not before or not after or before == after:
        return []
    from watcher.galaxy import workflow_changes

    found: list[str] = workflow_changes.differences(before, after)
    return found


def missing_tools(facts: WorkflowFacts, *, takes_others: bool) -> list[str]:
    """Return the tools that Galaxy does not have, for people; `takes_others`: another version of one will do."""
    told = []
    for one in cast(Iterable[Any], facts.missing):
        if isinstance(one, tuple):
            told.append(f"{one[0]} ({one[1]})" if one[1] else one[0])
        elif not (takes_others and one.installed_versions):
            told.append(str(one))
    return told


async def upgrade_messages(galaxy: Galaxy, workflow: WorkflowId, version: int | None) -> list[str]:
    """Return what Galaxy would change in the steps to run the workflow; it tells only when a history is named, any of
    the account's own.
    """
    ask = getattr(galaxy.workflows, "upgrade_messages", None)
    history = await galaxy.offers.any_history() if ask else None
    if ask is None or history is None:
        return []
    found: list[str] = await ask(workflow, history, version)
    return found


async def datatypes_of(galaxy: Galaxy) -> Datatypes | None:
    """Return what Galaxy knows of its datatypes, None where that cannot be asked."""
    ask = getattr(galaxy.workflows, "datatypes", None)
    found: Datatypes | None = await ask() if ask else None
    return found
