"""What is asked of a workflow beyond what it wants: what changed, which tools are missing, what Galaxy would correct.

Small questions in one place, for those who hold a workflow against a batch (`stages/workflow_fit.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from watcher.galaxy.client import Galaxy
from watcher.galaxy.workflow_changes import differences
from watcher.galaxy.workflows import WorkflowFacts
from watcher.model import WorkflowId


def changes(before: Mapping[str, Any], after: WorkflowFacts) -> list[str]:
    """Return a sentence for each thing that differs from an earlier digest; none where that is empty."""
    return differences(before, after) if before else []


def missing_tools(facts: WorkflowFacts, *, takes_others: bool) -> list[str]:
    """Return the tools that Galaxy does not have, for people; `takes_others`: another version of one will do."""
    return [str(one) for one in facts.missing if not (takes_others and one.installed_versions)]


async def upgrade_messages(galaxy: Galaxy, workflow: WorkflowId, version: int | None) -> list[str]:
    """Return what Galaxy would change in the steps to run the workflow; it tells only when a history is named, any of
    the account's own.
    """
    history = await galaxy.offers.any_history()
    return await galaxy.workflows.upgrade_messages(workflow, history, version) if history else []
