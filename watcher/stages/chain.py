"""The workflows of a batch in their order: which may start, which still run, and what those that did not end well
keep from starting.

Pure: a plan and its invocation rows in, answers out; for invoke, poll, deliver and the report. An attempt that is to be
made is a row without an id in Galaxy; those before it stay as they ended.
"""

from __future__ import annotations

from collections.abc import Sequence

from watcher.model import Plan, PlannedWorkflow, Status
from watcher.rows import Invocation


def current_invocations(rows: Sequence[Invocation]) -> list[Invocation]:
    """Return the latest attempt of each workflow."""
    latest: dict[str, Invocation] = {}
    for row in sorted(rows, key=lambda row: row.number):
        latest[row.key] = row
    return list(latest.values())


def to_start(plan: Plan, rows: Sequence[Invocation]) -> list[PlannedWorkflow]:
    """Return the workflows that are wanted, were not asked for yet, and wait for nobody any more."""
    current = {row.key: row for row in current_invocations(rows)}
    return [
        planned
        for planned in plan.workflows
        if _is_open(current.get(planned.key))
        and all(key in current and current[key].status is Status.DONE for key in planned.after)
    ]


def _is_open(row: Invocation | None) -> bool:
    return row is None or (not row.galaxy_id and row.status not in (Status.FAILED, Status.CANCELLED))


def running(rows: Sequence[Invocation]) -> list[Invocation]:
    """Return the attempts that Galaxy has and whose end is not known."""
    over = (Status.DONE, Status.FAILED, Status.CANCELLED)
    return [row for row in current_invocations(rows) if row.galaxy_id and row.status not in over]


def never_started(plan: Plan, rows: Sequence[Invocation]) -> list[PlannedWorkflow]:
    """Return the workflows that cannot start, since one that they wait for did not end well."""
    current = {row.key: row for row in current_invocations(rows)}
    return [planned for planned in plan.workflows if _is_open(current.get(planned.key))]
