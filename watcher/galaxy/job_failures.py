"""What people are told of a job that failed or was paused: where it belongs, and why, in Galaxy's or the tool's words.

Pure: `jobs.py` asks Galaxy. All texts of Galaxy here were measured on 24.1.4 and 26.1.2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from watcher.galaxy.invocation_answers import JobFacts
from watcher.model import DatasetId, InvocationId, JobId

FAILED_STATES = frozenset({"error", "failed", "paused", "stop", "stopped", "deleting", "deleted"})
"""How a job ends that made no good result, by itself or by hand."""

WORDS_LINES = 10

OVER_QUOTA = "over your disk quota"
"""All of it: "Execution of this dataset's job is paused because you were over your disk quota at the time it was ready
to run". It stays so when there is space again, until the job is resumed.
"""

FAILED_BEFORE = "its input datasets are in an error state"
"""All of it: "Execution of this dataset's job is paused because its input datasets are in an error state.": the job
before failed while this one waited.
"""

INPUT = "Input dataset"
"""Both "Input dataset 'x' is in error state. ..." and "... was paused before the job started. ...": each ends with "To
resume this job fix the input dataset(s).".
"""

DELETED = "was deleted before the job started"
"""With a deleted input the job pauses, and goes on once it is undeleted; with a purged one it is an error at once."""


UNUSABLE = "has entered an unusable state"
"""How Galaxy ends a job at once whose input has failed before it was made: an error and no pause (seen on 25.0.4)."""


class PauseCause(StrEnum):
    """Why Galaxy paused a job."""

    QUOTA = "quota"
    INPUT = "input"
    DELETED_INPUT = "deleted input"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class JobFailure:
    """A job that failed or is paused, at the step it belongs to.

    `words` are the last lines of the tool, or Galaxy's own; perhaps none. `elements` is the path of element identifiers
    (outermost first, commonly the sample) that the job was to make, empty when its step was not mapped over a
    collection. `cause` is told of paused jobs alone. `outputs` are by output name, empty where they were not asked for.
    """

    invocation: InvocationId
    job: JobId
    step_index: int
    step_label: str
    tool_id: str
    tool_version: str
    state: str
    exit_code: int | None
    words: str
    elements: tuple[str, ...] = ()
    cause: PauseCause | None = None
    outputs: Mapping[str, DatasetId] | None = None

    @property
    def is_consequence(self) -> bool:
        """Whether it did not run only because a job before it failed: paused, or ended at once."""
        return self.cause is PauseCause.INPUT or UNUSABLE in self.words


def pause_cause(words: str) -> PauseCause:
    """Return why a job is paused, from what Galaxy wrote on its output."""
    if OVER_QUOTA in words:
        return PauseCause.QUOTA
    if DELETED in words:
        return PauseCause.DELETED_INPUT
    if words.startswith(INPUT) or FAILED_BEFORE in words:
        return PauseCause.INPUT
    return PauseCause.OTHER


def tool_words(job: JobFacts) -> str:
    """Return the last lines of what a tool wrote, else what Galaxy noticed about it, else nothing.

    A job that could not be started, as with a parameter of a wrong type, has none: its output tells why.
    """
    for text in (job.stderr, job.stdout, "\n".join(job.messages)):
        if text.strip():
            return last_lines(text)
    return ""


def last_lines(text: str) -> str:
    """Return the end of a text."""
    return "\n".join(text.strip().splitlines()[-WORDS_LINES:])
