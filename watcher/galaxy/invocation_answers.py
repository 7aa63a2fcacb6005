"""Galaxy's answers about invocations and jobs, typed: only the fields that are read, under our names.

Measured on 24.1.4, 25.0.4 and 26.1.2. What all answers have in common is in `answers.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field, model_validator

from watcher.galaxy.answers import Answer, Number, Text
from watcher.model import HistoryId, InvocationId, JobId, WorkflowId


class JobFacts(Answer):
    """A job; the last three are only filled by `Jobs.detail`."""

    id: JobId
    tool_id: Text = ""
    state: Text = ""
    exit_code: int | None = None
    stderr: Text = ""
    stdout: Text = ""
    messages: tuple[str, ...] = ()


class JobCounts(Answer):
    """How many jobs of an invocation stand where; `populated` is "new" until everything is scheduled.

    Below Galaxy 26.0 the jobs of subworkflows are not in it: ask for those invocations as well.
    """

    id: InvocationId
    populated: Text = Field(default="", validation_alias="populated_state")
    states: Mapping[str, int] = {}


class OutputRef(Answer):
    """What an output label points to: `src` is "hda" (dataset) or "hdca" (collection)."""

    src: str
    id: str


class InvocationStep(Answer):
    """A step of an invocation; `subworkflow_invocation_id` when the step is a workflow of its own."""

    index: Number = Field(default=0, validation_alias="order_index")
    label: Text = Field(default="", validation_alias="workflow_step_label")
    state: Text = ""
    job_id: Text = ""
    subworkflow_invocation_id: Text = ""


class InvocationFacts(Answer):
    """A row of a history's invocations; `input_ids` are the ids of its datasets and collections."""

    id: InvocationId
    workflow_id: WorkflowId
    state: Text = ""
    create_time: Text = ""
    input_ids: frozenset[str] = frozenset()

    @model_validator(mode="before")
    @classmethod
    def _translate(cls, row: Any) -> Any:
        if isinstance(row, dict) and "input_ids" not in row:
            return {
                **row,
                "input_ids": [given["id"] for given in (row.get("inputs") or {}).values() if given.get("id")],
            }
        return row


class InvocationDetail(InvocationFacts):
    """One invocation with its steps, labelled outputs and Galaxy's messages about it (a failing job leaves none)."""

    history_id: HistoryId
    steps: tuple[InvocationStep, ...] = ()
    outputs: Mapping[str, OutputRef] = {}
    output_collections: Mapping[str, OutputRef] = {}
    messages: tuple[Mapping[str, Any], ...] = ()

    @property
    def subworkflow_ids(self) -> tuple[InvocationId, ...]:
        """The invocations one level below."""
        return tuple(
            InvocationId(step.subworkflow_invocation_id) for step in self.steps if step.subworkflow_invocation_id
        )

    @property
    def message_texts(self) -> tuple[str, ...]:
        """Galaxy's messages as short texts: the reason and what it is about."""
        return tuple(
            ", ".join(
                [
                    str(message.get("reason", "unknown")),
                    *(
                        f"{key} {value}"
                        for key, value in sorted(message.items())
                        if key != "reason" and isinstance(value, str | int)
                    ),
                ]
            )
            for message in self.messages
        )
