"""A workflow of a rule: which one, what goes into it, and how its ending is judged.

An input is written by its label (or its number, where the workflow has no labels): `reads` for the collection of the
batch, `sheet.COLUMN`, a plain value, or one of the mappings of `InputSource`. What a workflow wants is known to Galaxy
alone: the plan stage compares. `workflow_misfits` finds what is wrong between the workflows of one rule.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, JsonValue, PlainSerializer, WithJsonSchema

from watcher.config.destinations import SHEET, NameTemplate
from watcher.config.values import (
    AbsolutePath,
    Interval,
    Misfit,
    Name,
    Section,
    Text,
    one_or_many,
    wrong,
)

SOURCE_KEYS: tuple[frozenset[str], ...] = (
    frozenset({"read"}),
    frozenset({"dataset"}),
    frozenset({"from", "output"}),
    frozenset({"history", "name"}),
    frozenset({"library", "path"}),
    frozenset({"src", "id"}),
)
"""What a mapping that names data may hold: one dataset of the batch by its read or by a pattern on its name, an output
of an earlier workflow, something by name in a history of the account or in a library, or anything by its id."""


def column_of(value: object) -> str:
    """Return the column that `sheet.COLUMN` names, "" for any other value."""
    return value.removeprefix(SHEET).strip() if isinstance(value, str) and value.startswith(SHEET) else ""


def output_of(value: object) -> tuple[str, str] | None:
    """Return workflow key and output of a `{from: KEY, output: LABEL}`, None for any other value."""
    if isinstance(value, Mapping) and set(value) == {"from", "output"}:
        return str(value["from"]), str(value["output"])
    return None


def _check_input(value: Any) -> Any:
    if isinstance(value, Mapping):
        if frozenset(value) not in SOURCE_KEYS:
            known = "; ".join("{" + ", ".join(sorted(keys)) + "}" for keys in SOURCE_KEYS)
            raise wrong("names no data that an input can take.", f"Mappings are {known}.")
        if not all(isinstance(part, str) and part.strip() for part in value.values()):
            raise wrong("has a part that is no text.", "Quote it, or fill it in.")
    return value


def _parse_share(value: object) -> float:
    """Read `95%` or 0.95: a share of all samples."""
    if isinstance(value, str) and (found := re.fullmatch(r"\s*([0-9]{1,3}(?:\.[0-9]{1,6})?)\s*%\s*", value)):
        value = float(found[1]) / 100
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1:
        raise wrong(
            "is not a share of all samples.", 'Write a percentage, for example "95%", or a number above 0 to 1.'
        )
    return float(value)


def _format_share(value: float) -> str:
    return f"{value * 100:.6f}".rstrip("0").rstrip(".") + "%"


Share = Annotated[
    float,
    BeforeValidator(_parse_share),
    PlainSerializer(_format_share, return_type=str, when_used="json"),
    WithJsonSchema({"type": ["string", "number"], "examples": ["95%", 0.95]}),
]
InputValue = Annotated[JsonValue, AfterValidator(_check_input)]


class TrsSettings(Section):
    """A workflow in a registry that speaks TRS; Galaxy fetches it from there."""

    id: Text = Field(description="Id of the workflow there, such as #workflow/github.com/OWNER/REPOSITORY/NAME.")
    version: Text = Field(description="Version there, such as v0.5 or main.")
    server: Text = Field(
        "dockstore", description="Name of the registry in Galaxy's configuration (dockstore, workflowhub)."
    )


class WorkflowSettings(Section):
    """A workflow to run on a batch, with its inputs and tool parameters. Exactly one of `id`, `name`, `file`, `trs` is
    set.
    """

    id: Text | None = Field(None, description="Id of the workflow in Galaxy.")
    name: Text | None = Field(None, description="Exact name of the workflow in Galaxy.")
    file: AbsolutePath | None = Field(None, description="Workflow file (.ga or gxformat2); imported once.")
    trs: TrsSettings | None = Field(None, description="Workflow in a registry (TRS); imported once, by Galaxy.")
    version: int | None = Field(
        None, ge=0, description="Version of it in Galaxy, as its history of versions counts. Left out: the newest."
    )
    key: Name = Field("", description="Short name of this entry; its number when left out.")
    after: Annotated[tuple[Name, ...], BeforeValidator(one_or_many)] = Field(
        (),
        description="Keys of workflows that have to end well before; those whose outputs it takes count by themselves.",
    )
    inputs: Mapping[str, InputValue] = Field(
        default_factory=dict,
        description="Inputs by label, or by number where there is none. reads: the collection of the batch;"
        " sheet.COLUMN: what the sample sheet says in that column for all samples of the batch; {read: R1} or"
        " {dataset: PATTERN}: its one dataset of that read or name; {from: KEY, output: LABEL}: an output of an earlier"
        " workflow; {history: NAME, name: NAME} or {library: NAME, path: FOLDER/FILE}: reference data; {src: hda,"
        " id: ID}: anything by its id. All else is a value.",
    )
    steps: Mapping[str, Mapping[str, JsonValue]] = Field(
        default_factory=dict, description="Tool parameters by label, number or tool id of the step."
    )
    replacements: Mapping[Text, NameTemplate] = Field(
        default_factory=dict,
        description="What ${WORD} stands for in the names that the workflow gives to its outputs; templates as for"
        " history.",
    )
    use_cached_job: bool = Field(
        False, description="true: Galaxy takes the results of an equal job that ran before instead of running it again."
    )
    upgrades: Literal["refuse", "allow"] = Field(
        "refuse",
        description="Steps whose tool Galaxy has in another version only, or whose settings it would correct: refuse"
        " stops before a byte is sent, allow takes what Galaxy makes of them.",
    )
    may_fail: Annotated[tuple[Text, ...], BeforeValidator(one_or_many)] = Field(
        (),
        description="Steps (by label, number or tool id) that may fail: the batch ends well without them and what hangs"
        " on them.",
    )
    min_ok: Share = Field(
        1.0,
        description="Share of the samples that has to be good, where each runs by itself; the batch then ends well with"
        " the good ones, and names the others.",
    )
    retries: Annotated[int, Field(ge=0, le=10)] = Field(
        0, description="How often to start it anew by itself when it failed for a reason that may pass."
    )
    reviews: Literal["in_galaxy", "release"] = Field(
        "in_galaxy",
        description="Steps at which a person reviews: in_galaxy, or galaxy-watcher release confirms them too.",
    )
    stuck_after: Interval = Field(
        timedelta(days=2), description="Hold it when no job has moved for so long; it goes on by itself when one does."
    )

    @property
    def by(self) -> Literal["id", "name", "file", "trs"]:
        """How the workflow is told."""
        if self.trs is not None:
            return "trs"
        return "id" if self.id is not None else "name" if self.name is not None else "file"

    @property
    def columns(self) -> Mapping[str, str]:
        """Columns of the sample sheet by the label of the input that takes what they say."""
        return {label: column for label, value in self.inputs.items() if (column := column_of(value))}

    @property
    def values(self) -> Mapping[str, JsonValue]:
        """Inputs by label that are the same for every batch."""
        return {label: value for label, value in self.inputs.items() if not column_of(value)}

    @property
    def waits_for(self) -> tuple[str, ...]:
        """Keys of the workflows that have to end well before this one starts."""
        given = [found[0] for value in self.inputs.values() if (found := output_of(value))]
        return tuple(dict.fromkeys([*self.after, *given]))

    @property
    def ref(self) -> str:
        """Id, name, file or registry id, whichever is set."""
        if self.trs is not None:
            return f"{self.trs.id}:{self.trs.version}"
        return str(self.id if self.id is not None else self.name if self.name is not None else self.file)


def workflow_misfits(workflows: Sequence[WorkflowSettings]) -> Iterator[Misfit]:
    """Find what is wrong between the workflows of a rule; keys are relative to the rule."""
    keys: dict[str, int] = {}
    for number, workflow in enumerate(workflows):
        told = [by for by in ("id", "name", "file", "trs") if getattr(workflow, by) is not None]
        if len(told) > 1:
            yield Misfit(("workflow", number), f"is told by {' and '.join(told)}.", "Keep one of them.")
        elif not told:
            hint = "Add one of id, name, file or trs."
            yield Misfit(("workflow", number), "does not say which workflow.", hint, True)
        elif workflow.version is not None and told[0] in ("file", "trs"):
            hint = "A file is one version; a registry's stands in trs."
            yield Misfit(("workflow", number, "version"), f"is not for a workflow told by {told[0]}.", hint)
        first = keys.setdefault(workflow.key, number)
        if first != number:
            yield Misfit(("workflow", number, "key"), f"is the key of workflow[{first}] as well.", "Give each its own.")
    yield from _order_misfits(workflows, keys)


def _order_misfits(workflows: Sequence[WorkflowSettings], keys: Mapping[str, int]) -> Iterator[Misfit]:
    """Workflows stand in the order in which they may run: so there are no circles, and people read them in order."""
    for number, workflow in enumerate(workflows):
        for key in workflow.waits_for:
            name = "after" if key in workflow.after else "inputs"
            if key not in keys:
                listed = ", ".join(keys)
                yield Misfit(("workflow", number, name), f"names no workflow of this rule: {key}.", f"Keys: {listed}.")
            elif keys[key] >= number:
                hint = "Write workflows in the order in which they run."
                yield Misfit(("workflow", number, name), f"waits for {key}, which does not stand before it.", hint)
