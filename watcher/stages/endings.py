"""How an invocation ended, told truthfully: from job counts, and where they are not all good from the jobs themselves.

Never from the state of the invocation: `completed` only means that nothing moves any more, and a failing job leaves no
message (measured on 24.1.4 to 26.1.2). Pure: what Galaxy said goes in, an `Ending` comes out. `poll.py` asks, and acts
on it; what a rule tolerates (`may_fail`, `min_ok`) is weighed here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from watcher.galaxy.invocation_answers import InvocationDetail, JobCounts
from watcher.galaxy.job_failures import JobFailure, PauseCause
from watcher.galaxy.tool_ids import bare_tool, short_tool_id
from watcher.model import InvocationId, PlannedWorkflow

GOOD = frozenset({"ok", "skipped"})
BAD = frozenset({"error", "deleted", "deleting", "failed", "stopped", "stop"})
PAUSED = "paused"

KILLED = frozenset({130, 134, 135, 137, 139, 143})
"""Exit codes of a tool that was ended from outside (128 and the signal), not by itself."""

WORKFLOW_PAUSED = "workflow_paused"
TOLERATED, PARTLY_GOOD = "tolerated", "partly_good"
"""Codes of endings that are good as the rule weighs them, and not whole."""

PASSING = frozenset({"job_lost", "not_scheduled"})
"""Codes of endings that may be others the next time: a node died, a job was killed, the scheduler stumbled."""

NAMED = 3
"""So many failed jobs or samples are told in a reason; the others are counted."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How an invocation stands: `kind` is running, ok, failed, paused, review or cancelled.

    `reason` is for people, `code` short and stable. `samples` are those that are not good, each with why; with `ok`
    they are left out of what is delivered. `cause` is why jobs are paused.
    """

    kind: str
    reason: str = ""
    code: str = ""
    samples: Mapping[str, str] = field(default_factory=dict)
    cause: PauseCause | None = None


def counts_of(
    ids: Sequence[InvocationId], answer: Mapping[InvocationId, JobCounts], *, outer_has_all: bool
) -> Counter[str]:
    """Return how many jobs stand where, those of subworkflows counted once; `ids` begins with the outer invocation."""
    counts: Counter[str] = Counter()
    for one in ids[:1] if outer_has_all else ids:
        counts.update(answer[one].states if one in answer else {})
    return counts


def moving(counts: Mapping[str, int]) -> int:
    """Return how many jobs may still change their state by themselves; nothing moves a paused one but a person."""
    return sum(count for state, count in counts.items() if state not in GOOD | BAD | {PAUSED})


def is_populated(answer: JobCounts | None) -> bool:
    """Tell whether all jobs of an invocation are there to be counted."""
    return answer is not None and answer.populated not in ("new", "")


def first_look(details: Sequence[InvocationDetail], counts: Mapping[str, int], *, all_scheduled: bool) -> str:
    """Tell how an invocation stands as far as states and counts say: running, review, cancelled, failed (not
    scheduled), ok, or bad, which the jobs themselves explain. `details` begins with the outer invocation, and was read
    after the counts: a server that counts while it makes the last job may say of all but that one that they are all
    (seen on 25.0.4), so what the jobs themselves say counts as well.
    """
    outer = details[0]
    counts = Counter(counts) | Counter(
        job.state for detail in details for step in detail.steps for job in step.jobs if job.state
    )
    if outer.state in ("cancelled", "cancelling", "failed"):
        return "failed" if outer.state == "failed" else "cancelled"
    if not moving(counts) and any(detail.to_review for detail in details):
        return "review"
    if outer.state not in ("scheduled", "completed") or moving(counts) or not all_scheduled:
        return "running"
    return "bad" if any(counts.get(state) for state in (*BAD, PAUSED)) else "ok"


def judged(
    planned: PlannedWorkflow,
    failures: Sequence[JobFailure],
    samples_total: int,
    place: Mapping[InvocationId, int],
    after: Mapping[int, Iterable[int]],
) -> Ending:
    """Weigh jobs that did not end well: an ending, ok when the rule tolerates all of them. `samples_total` is 0 where
    the elements of the batch's collection are no samples.

    `place` is the step of the outer workflow that an inner invocation belongs to, `after` the steps that hang on each
    step.
    """
    tolerated = _tolerated(planned, failures, place, after)
    bad = [one for number, one in enumerate(failures) if number not in tolerated]
    named = _told([failures[number] for number in sorted(tolerated)])
    if not bad:
        return Ending("ok", f"It may end so: {named}.", TOLERATED) if named else Ending("ok")
    errors = sorted((one for one in bad if one.state != PAUSED), key=lambda one: one.is_consequence)
    samples = {one.elements[0]: _words(one) for one in reversed(bad) if one.elements}
    if errors:
        share_ok = 1 - len(samples) / samples_total if samples_total else 0.0
        each_by_itself = all(one.elements for one in bad)
        if each_by_itself and share_ok + 1e-9 >= planned.min_ok and len(samples) < samples_total:
            return Ending("ok", _shares(samples, samples_total), PARTLY_GOOD, samples)
        told = _told(errors)
        if each_by_itself and samples_total > len(samples):
            told = f"{_shares(samples, samples_total)} {told}"
        causes = [one for one in errors if not one.is_consequence] or errors
        code = "job_lost" if all(_is_lost(one) for one in causes) else "tool_failed"
        return Ending("failed", f"{told}.", code, samples=samples)
    cause = next((one.cause for one in bad if one.cause is PauseCause.QUOTA), bad[0].cause)
    count = len(bad)
    reason = (
        f"{count} {'job is' if count == 1 else 'jobs are'} paused in Galaxy at {_step(bad[0])}: {_why_paused(bad)}."
    )
    return Ending(PAUSED, reason, WORKFLOW_PAUSED, samples=samples, cause=cause)


def _tolerated(
    planned: PlannedWorkflow,
    failures: Sequence[JobFailure],
    place: Mapping[InvocationId, int],
    after: Mapping[int, Iterable[int]],
) -> set[int]:
    """Return which failures are of steps that may fail; what hangs on a step that failed is paused for it alone."""
    own, steps = set(), set[int]()
    for number, one in enumerate(failures):
        if any(_is_called(one, wanted) for wanted in planned.may_fail):
            own.add(number)
            steps.add(place.get(one.invocation, one.step_index))
    below = {step for first in steps for step in after.get(first, ())}
    hanging = {
        number
        for number, one in enumerate(failures)
        if (one.state == PAUSED or one.is_consequence) and place.get(one.invocation, one.step_index) in below
    }
    return own | hanging


def _is_called(one: JobFailure, wanted: str) -> bool:
    tool = (one.tool_id, bare_tool(one.tool_id), short_tool_id(one.tool_id))
    return wanted in (one.step_label, str(one.step_index), *tool)


def _is_lost(one: JobFailure) -> bool:
    """Tell whether the tool itself said nothing: its job was killed, or never came to an exit code."""
    return one.exit_code in KILLED or (one.exit_code is None and one.state == "error" and not one.words)


def _step(one: JobFailure) -> str:
    return f"step `{one.step_label}`" if one.step_label else f"step {one.step_index}"


def _words(one: JobFailure) -> str:
    """Say what happened to one job: step, tool, exit code, last words."""
    tool = f"Tool `{one.tool_id}`" + (f" {one.tool_version}" if one.tool_version else "")
    if one.state == PAUSED:
        return f"{tool} at {_step(one)} is paused" + (f": {one.words}" if one.words else "")
    if one.state in ("deleted", "deleting", "stopped", "stop"):
        return f"The job of `{one.tool_id}` at {_step(one)} was ended by hand"
    code = f" with exit code {one.exit_code}" if one.exit_code is not None else ""
    return f"{tool} at {_step(one)} failed{code}" + (f": {one.words}" if one.words else "")


def _told(failures: Sequence[JobFailure]) -> str:
    """Tell the first failure in its own words, and how many more there are of which steps."""
    if not failures:
        return ""
    first = failures[0]
    told = _words(first) + (f" (sample `{first.elements[0]}`)" if first.elements else "")
    more = len(failures) - 1
    return f"{told}, and {more} more {'job' if more == 1 else 'jobs'}" if more else told


def _why_paused(bad: Sequence[JobFailure]) -> str:
    return bad[0].words.strip().rstrip(".") or "Galaxy does not say why; a person may have paused it"


def _shares(samples: Mapping[str, str], total: int) -> str:
    names = sorted(samples)
    shown = ", ".join(f"`{name}`" for name in names[:NAMED]) + (
        f" and {len(names) - NAMED} more" if names[NAMED:] else ""
    )
    return f"{total - len(samples)} of {total} samples are good, not {shown}."


def told_counts(counts: Mapping[str, int]) -> str:
    """Write job counts for people: "95 ok, 1 error"."""
    return ", ".join(f"{count} {state}" for state, count in sorted(counts.items()) if count) or "no job yet"
