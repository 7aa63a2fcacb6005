"""Galaxy's answers about invocations and jobs, typed: only the fields that are read, under our names.

Measured on 24.1.4, 25.0.4 and 26.1.2. What all answers have in common is in `answers.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field, model_validator

from watcher.galaxy.answers import Answer, Number, Text
from watcher.model import HistoryId, InvocationId, JobId, WorkflowId

PAUSE = "pause"
"""Galaxy's word for a step at which an invocation waits for a person."""


class OutputRef(Answer):
    """What an output or input points to: `src` is "hda" (dataset) or "hdca" (collection)."""

    src: str
    id: str


class JobFacts(Answer):
    """A job; what follows `tool_id`, `state` and `exit_code` is only filled by `Jobs.detail`.

    `inputs` and `outputs` are datasets by parameter name; those of a mapped job are the elements. `invocation_uuid` is
    empty for a job that a person started. No version of Galaxy tells a job's tool version here.
    """

    id: JobId
    history_id: Text = ""
    tool_id: Text = ""
    state: Text = ""
    exit_code: int | None = None
    create_time: Text = ""
    update_time: Text = ""
    stderr: Text = ""
    stdout: Text = ""
    messages: tuple[str, ...] = ()
    inputs: Mapping[str, OutputRef] = {}
    outputs: Mapping[str, OutputRef] = {}
    invocation_uuid: Text = ""


class JobCounts(Answer):
    """How many jobs of an invocation stand where; `populated` is "new" until everything is scheduled.

    Below Galaxy 26.0 the jobs of subworkflows are not in it: ask for those invocations as well. A mapped job that a
    person repeated in Galaxy is counted in place of the old one, any other repeated job never is.
    """

    id: InvocationId
    populated: Text = Field(default="", validation_alias="populated_state")
    states: Mapping[str, int] = {}


class InvocationStep(Answer):
    """A step of an invocation; `subworkflow_invocation_id` when the step is a workflow of its own.

    `jobs`, `outputs` and `output_collections` (by output name, labelled or not) are told on request, and then `type`
    ("tool", "subworkflow", "pause", "data_input", ...) and `tool_version` are filled in from the workflow: see
    `Invocations.detailed`. `action` is what a person decided at a pause step.
    """

    id: Text = ""
    index: Number = Field(default=0, validation_alias="order_index")
    label: Text = Field(default="", validation_alias="workflow_step_label")
    state: Text = ""
    action: bool | None = None
    job_id: Text = ""
    is_mapped: bool = False
    subworkflow_invocation_id: Text = ""
    jobs: tuple[JobFacts, ...] = ()
    outputs: Mapping[str, OutputRef] = {}
    output_collections: Mapping[str, OutputRef] = {}
    type: Text = ""
    tool_id: Text = ""
    tool_version: Text = ""

    @model_validator(mode="before")
    @classmethod
    def _translate(cls, row: Any) -> Any:
        if isinstance(row, dict) and "implicit_collection_jobs_id" in row:
            # The type of a step is not among what an invocation tells.
            return {**row, "is_mapped": row["implicit_collection_jobs_id"] is not None}
        return row


class InvocationFacts(Answer):
    """A row of a history's invocations; `input_refs` are "hda" or "hdca" and the id of what went in: Galaxy counts
    datasets and collections apart, so an id alone may name one of each.

    `workflow_version_id` is not the id that one starts: Galaxy counts the versions of all workflows, those of
    subworkflows as well, by ids of their own, which may even name another workflow (measured on 24.1.4 and 26.1.2).
    `Invocations.of_history` compares with the id that one starts.
    """

    id: InvocationId
    workflow_version_id: WorkflowId = Field(validation_alias="workflow_id")
    state: Text = ""
    create_time: Text = ""
    input_refs: frozenset[tuple[str, str]] = frozenset()

    @model_validator(mode="before")
    @classmethod
    def _translate(cls, row: Any) -> Any:
        if isinstance(row, dict) and "input_refs" not in row:
            given = [one for one in (row.get("inputs") or {}).values() if one.get("id")]
            return {**row, "input_refs": [(one.get("src") or "", one["id"]) for one in given]}
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
    def to_review(self) -> tuple[InvocationStep, ...]:
        """The pause steps at which Galaxy waits for a person; known only of an invocation that was read `detailed`.

        Such an invocation is `ready`, its counts are `populated` "new" for as long, and the step itself is `scheduled`
        without an action: nothing else tells it (measured on 24.1.4 and 26.1.2).
        """
        if self.state != "ready":
            return ()
        return tuple(
            step for step in self.steps if step.type == PAUSE and step.state == "scheduled" and step.action is None
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


class WorkflowStep(Answer):
    """A step of the version of a workflow that an invocation used; `takes` are (step index, output name)."""

    type: Text = ""
    tool_id: Text = ""
    tool_version: Text = ""
    takes: frozenset[tuple[int, str]] = frozenset()
    labels: tuple[str, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _translate(cls, row: Any) -> Any:
        if not isinstance(row, dict) or "input_connections" not in row:
            return row
        # One input may take several outputs; then it is a list.
        links = [
            link
            for given in (row["input_connections"] or {}).values()
            for link in (given if isinstance(given, list) else [given])
        ]
        return {
            **row,
            "takes": [(link["id"], link["output_name"]) for link in links],
            "labels": [output["label"] for output in row.get("workflow_outputs") or () if output.get("label")],
        }


class WorkflowVersion(Answer):
    """The version of a workflow that an invocation used, step by step."""

    steps: Mapping[int, WorkflowStep] = {}

    @property
    def has_labelled_outputs(self) -> bool:
        """Whether anything in it is named as a result."""
        return any(step.labels for step in self.steps.values())

    @property
    def taken(self) -> frozenset[tuple[int, str]]:
        """The outputs that a later step takes, as (step index, output name), also those that reach it through a review;
        a review itself takes nothing away.
        """
        waiting = [link for step in self.steps.values() if step.type != PAUSE for link in step.takes]
        found = set[tuple[int, str]]()
        while waiting:
            link = waiting.pop()
            if link not in found and (maker := self.steps.get(link[0])) is not None and maker.type == PAUSE:
                waiting += maker.takes
            found.add(link)
        return frozenset(found)


class Metric(Answer):
    """One figure of one job; `step_index` is a path ("1.1" is step 1 of the subworkflow that is step 1)."""

    title: Text = ""
    value: Text = ""
    name: Text = ""
    raw_value: Text = ""
    plugin: Text = ""
    job_id: Text = ""
    tool_id: Text = ""
    step_index: Text = ""
    step_label: Text = ""
