"""Steps at which a workflow waits for a person's review, for `poll.py`.

Whoever reviews does it in Galaxy, and the batch goes on by itself; where the rule says `reviews: release`, the command
`release` confirms as well. The wish lies in the batch's row with the step it was given for, so that it never confirms
another one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from watcher.galaxy import Galaxy
from watcher.galaxy.invocation_answers import PAUSE, InvocationDetail, InvocationStep
from watcher.model import Hold, PlannedWorkflow, Wait
from watcher.rows import Batch
from watcher.stages.rooms import Rooms
from watcher.stages.rounds import SHORTEST

REVIEW = "review"
"""Code of a batch that waits for a review; where it remembers at which step, as `step_key` writes it."""

CONFIRMED = "confirmed"
"""Where a batch remembers the step that a person confirmed."""

RELEASED = "released"
"""Where it remembers that also afterwards."""


def has_review(planned: PlannedWorkflow) -> bool:
    """Tell whether the workflow, as the plan saw it, waits for a person somewhere; then it may do so before any job."""
    return _has_review(planned.digest)


def _has_review(digest: Mapping[str, Any]) -> bool:
    return any(step["type"] == PAUSE or _has_review(step["inside"]) for step in digest.get("steps", ()))


def step_key(detail: InvocationDetail, step: InvocationStep) -> str:
    """Return what tells a step of an invocation from all others."""
    return f"{detail.id}:{step.id}"


async def review(
    batch: Batch,
    rooms: Rooms,
    galaxy: Galaxy,
    planned: PlannedWorkflow,
    details: Sequence[InvocationDetail],
    *,
    is_told: bool,
) -> Wait | Hold:
    """Confirm the step that a person released, else hold for it.

    Only a step that `is_told` to people can be released: another workflow of the batch may wait for a review as well.
    """
    detail, step = next((detail, step) for detail in details for step in detail.to_review)
    key = step_key(detail, step)
    name = f"`{step.label}`" if step.label else str(step.index)
    if batch.more.get(CONFIRMED) == key:
        rooms.effects.reach("poll.review.intent")
        await galaxy.invocations.review(detail.id, step.id, confirmed=True)
        rooms.effects.reach("poll.review.act")
        await rooms.store.touch(batch, more={CONFIRMED: ""})
        rooms.effects.reach("poll.review.receipt")
        return Wait(SHORTEST, f"The review at step {name} is confirmed.", "workflow_runs")
    may_release = planned.reviews == "release"
    if is_told:
        await rooms.store.touch(batch, more={REVIEW: key if may_release else ""})
    by_us = f", or `galaxy-watcher release {batch.id}`" if may_release else ""
    return Hold(
        f"The workflow `{planned.ref}` waits for review at step {name}.",
        REVIEW,
        hint=f"Review it in Galaxy{by_us}; then it goes on by itself.",
    )
