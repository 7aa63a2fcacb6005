"""How an invocation's ending is told from what Galaxy says, and what a rule tolerates."""

from __future__ import annotations

from typing import Any

import pytest

from watcher.galaxy.invocation_answers import InvocationDetail, JobCounts
from watcher.galaxy.job_failures import JobFailure, PauseCause
from watcher.model import InvocationId, JobId, PlannedWorkflow
from watcher.stages.endings import PASSING, Ending, counts_of, first_look, judged

OUTER, INNER = InvocationId("outer"), InvocationId("inner")


def failure(**told: Any) -> JobFailure:
    """Return a failed job of step 2, `trim`."""
    usual: dict[str, Any] = {
        "invocation": OUTER,
        "job": JobId("j"),
        "step_index": 2,
        "step_label": "trim",
        "tool_id": "shed.example.org/repos/owner/fastp/fastp/0.23",
        "tool_version": "0.23",
        "state": "error",
        "exit_code": 1,
        "words": "no reads",
    }
    return JobFailure(**{**usual, **told})


def ending(*failures: JobFailure, total: int = 96, **rule: Any) -> Ending:
    """Return the ending of a workflow in which step 3 hangs on step 2."""
    planned = PlannedWorkflow(key="1", ref="QC", by="name", **rule)
    return judged(planned, failures, total, {INNER: 5}, {2: [3], 5: [6]})


def detail(state: str, **more: Any) -> InvocationDetail:
    """Return an invocation in this state."""
    told = {"id": "outer", "workflow_id": "w", "history_id": "h", "state": state, "inputs": {}, **more}
    return InvocationDetail.model_validate(told)


def counted(id: str, **states: int) -> JobCounts:
    """Return job counts as Galaxy tells them."""
    return JobCounts.model_validate({"id": id, "populated_state": "ok", "states": states})


@pytest.mark.parametrize(
    ("second", "expected"), [("running", "running"), ("error", "bad"), ("paused", "bad"), ("ok", "ok")]
)
def test_a_job_that_was_not_counted_yet_is_seen(second: str, expected: str) -> None:
    """Counts that were made while the last job was may lack it; who reads the jobs afterwards sees it."""
    jobs = [{"id": "1", "state": "ok"}, {"id": "2", "state": second}]
    steps = [{"order_index": place, "jobs": [job]} for place, job in enumerate(jobs, 1)]
    assert first_look([detail("scheduled", steps=steps)], {"ok": 1}, all_scheduled=True) == expected


def test_jobs_of_subworkflows_are_counted_once() -> None:
    """Where the outer counts hold the inner jobs they are not added again; where they do not, they are."""
    answer = {OUTER: counted("outer", ok=1, error=1), INNER: counted("inner", error=1)}
    assert counts_of([OUTER, INNER], answer, outer_has_all=True) == {"ok": 1, "error": 1}
    answer = {OUTER: counted("outer", ok=1), INNER: counted("inner", error=1)}
    assert counts_of([OUTER, INNER], answer, outer_has_all=False) == {"ok": 1, "error": 1}


@pytest.mark.parametrize(
    ("state", "counts", "all_scheduled", "expected"),
    [
        ("new", {}, False, "running"),
        ("scheduled", {"ok": 3}, True, "ok"),
        ("scheduled", {"ok": 3}, False, "running"),
        ("completed", {"ok": 3, "skipped": 1}, True, "ok"),
        ("completed", {"ok": 1, "running": 1}, True, "running"),
        ("completed", {"ok": 1, "paused": 1}, True, "bad"),
        ("completed", {"ok": 1, "deleted": 1}, True, "bad"),
        ("scheduled", {"error": 1, "queued": 1}, True, "running"),
        ("cancelling", {"running": 1}, True, "cancelled"),
        ("failed", {}, False, "failed"),
    ],
)
def test_counts_tell_the_ending_and_states_do_not(
    state: str, counts: dict[str, int], all_scheduled: bool, expected: str
) -> None:
    """`completed` is not believed: what still runs, failed or is paused is seen in the counts."""
    assert first_look([detail(state)], counts, all_scheduled=all_scheduled) == expected


def test_a_failed_tool_is_told_with_step_tool_exit_code_and_words() -> None:
    """The first failed job speaks for itself, the others are counted."""
    told = ending(failure(), failure(step_index=4, step_label="", words="x"), total=2)
    assert (told.kind, told.code) == ("failed", "tool_failed")
    for words in (
        "`shed.example.org/repos/owner/fastp/fastp/0.23`",
        "step `trim`",
        "exit code 1",
        "no reads",
        "1 more job",
    ):
        assert words in told.reason


def test_one_bad_sample_of_many_is_named_and_the_share_decides() -> None:
    """Samples that run by themselves are weighed: 95 of 96 are enough for a rule that says so, and for no other."""
    bad = failure(elements=("S7", "forward"))
    late = failure(step_index=3, step_label="count", state="paused", elements=("S7",), cause=PauseCause.INPUT)
    strict = ending(bad, late)
    assert (strict.kind, set(strict.samples)) == ("failed", {"S7"})
    assert "95 of 96 samples are good, not `S7`" in strict.reason
    assert "no reads" in strict.samples["S7"]
    enough = ending(bad, late, min_ok=0.95)
    assert (enough.kind, enough.code, set(enough.samples)) == ("ok", "partly_good", {"S7"})
    assert ending(bad, late, min_ok=0.99).kind == "failed"
    assert ending(bad, total=1, min_ok=0.01).kind == "failed"  # none is left


def test_a_failed_summary_over_all_samples_is_no_share() -> None:
    """A job that is of no single sample fails all of them, whatever share would be enough."""
    told = ending(failure(elements=("S7",)), failure(step_label="MultiQC"), min_ok=0.5)
    assert told.kind == "failed"


@pytest.mark.parametrize("name", ["trim", "2", "fastp", "shed.example.org/repos/owner/fastp/fastp"])
def test_steps_that_may_fail_take_what_hangs_on_them_along(name: str) -> None:
    """A tolerated failure, and jobs that are paused for it, leave the ending good; it is told all the same."""
    hanging = failure(step_index=3, step_label="report", state="paused", cause=PauseCause.INPUT)
    told = ending(failure(), hanging, may_fail=(name,))
    assert (told.kind, told.code) == ("ok", "tolerated")
    assert "no reads" in told.reason
    elsewhere = failure(step_index=4, step_label="report", tool_id="x", state="paused", cause=PauseCause.INPUT)
    assert ending(failure(), elsewhere, may_fail=(name,)).kind == "paused"


def test_a_step_inside_a_subworkflow_may_fail() -> None:
    """What hangs on the subworkflow is tolerated with it."""
    inner = failure(invocation=INNER, step_index=1, step_label="plot")
    hanging = failure(step_index=6, step_label="join", state="paused", cause=PauseCause.INPUT)
    assert ending(inner, hanging, may_fail=("plot",)).kind == "ok"


def test_paused_jobs_are_told_with_their_cause() -> None:
    """Paused is no failure: why, and quota before all else, since that one passes."""
    over = failure(state="paused", words="you were over your disk quota", cause=PauseCause.QUOTA)
    told = ending(failure(state="paused", words="", cause=PauseCause.OTHER), over)
    assert (told.kind, told.cause) == ("paused", PauseCause.QUOTA)
    assert "2 jobs are paused" in told.reason


@pytest.mark.parametrize(
    ("exit_code", "words", "passes"), [(137, "", True), (None, "", True), (1, "", False), (3, "x", False)]
)
def test_only_a_job_that_was_ended_from_outside_may_pass(exit_code: int | None, words: str, passes: bool) -> None:
    """A killed job, or one that never came to an exit code, may be good the next time; a tool that failed is not."""
    assert (ending(failure(exit_code=exit_code, words=words)).code in PASSING) is passes


def test_a_job_deleted_by_hand_is_no_good_ending() -> None:
    """Somebody ended it, and that is said."""
    told = ending(failure(state="deleted", exit_code=None, words=""))
    assert told.kind == "failed"
    assert "ended by hand" in told.reason


def test_a_job_that_ended_for_a_failed_input_is_not_the_cause() -> None:
    """What Galaxy ends at once because its input has failed is told after the job that failed by itself."""
    words = "Parameter 'infile': the previously selected dataset has entered an unusable state"
    after = failure(step_index=3, step_label="count", exit_code=None, words=words)
    told = ending(after, failure())
    assert told.reason.startswith("Tool `shed.example.org/repos/owner/fastp/fastp/0.23` 0.23 at step `trim` failed")
    assert ending(after, failure(), may_fail=("trim",)).kind == "ok"
