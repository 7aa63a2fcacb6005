"""A watch: one place that is looked at, and when what lies there counts as finished.

Whether the folder exists and answers is not asked here: a missing mount is a state of the disk, not an error of the
configuration. Which layouts there are is told by the runs room; `fit.py` compares the names.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from watcher.config.hours import check_span
from watcher.config.values import (
    AbsolutePath,
    Duration,
    Name,
    Rate,
    Section,
    at_least_one,
    json_one_or_many,
    one_or_many,
)

Span = Annotated[str, AfterValidator(check_span)]

Transfer = Literal["tus", "link", "copy", "import_dir", "user_import_dir"]


class WatchSettings(Section):
    """One configured place plus how it settles."""

    name: Name = Field(description="What rules, commands and the status page call it.")
    path: AbsolutePath = Field(description="The folder in which run folders appear.")
    layout: Name = Field("auto", description="How runs look here: name of a layout; auto recognises it.")
    settle: Duration | None = Field(None, description="How long a run must lie still; else as the layout says.")
    max_wait: Duration | None = Field(
        None, description="Nothing moved for so long and something is missing: say so once; else as the layout says."
    )
    abandoned: Duration | None = Field(
        None, description="Nothing moved for so long and something is missing: ask a person; else as the layout says."
    )
    empty: Literal["skip", "upload", "hold"] | None = Field(
        None, description="Samples without a single read: skip lists them, hold asks a person; else as the layout says."
    )
    no_files: Literal["hold", "skip"] = Field(
        "hold",
        description="Samples of the sample sheet without any file, where the run's own statistics do not say that they"
        " had no reads: hold asks a person, skip lists them and goes on.",
    )
    existing: Literal["ignore", "process"] = Field(
        "ignore", description="Runs that were complete at the first look: ignore lists them, process takes them."
    )
    late: Literal["notice", "new_version"] = Field(
        "notice",
        description="Reads that come or change after the plan of a run folder, or are made anew in another folder:"
        " notice names them, new_version takes the run once more. Single files that are dropped again are always a new"
        " version.",
    )
    late_for: Duration = Field(
        timedelta(days=7),
        description="How long after its end a run is still looked through for late and changed files.",
    )
    sheet_changed: Literal["hold", "new_version", "ignore"] = Field(
        "hold",
        description="A sample sheet that changes after the plan, once something was sent: hold asks a person,"
        " new_version takes the run once more, ignore notes it. Before that there is simply a new plan.",
    )
    units: Literal["all", "latest"] = Field(
        "all",
        description="Of several analyses of one run (Analysis/1, Analysis/2): all, or the latest alone.",
    )
    transfer: Transfer = Field(
        "tus",
        description="How bytes come to Galaxy: tus uploads them, resumably. Into libraries only, without sending a"
        " byte: link and copy by their path on the server (see paths), import_dir and user_import_dir out of Galaxy's"
        " own import folders; all but copy leave the bytes where they are.",
    )
    content: Literal["full", "structure"] = Field(
        "full",
        description="Files whose bytes are not sent: full reads each through once, here, for its SHA-256 and its"
        " content; structure looks at its beginning and end alone.",
    )
    bandwidth: Rate | None = Field(
        None,
        description="Bytes per second that all uploads of this watch take together, for example 50MB (400 Mbit/s); else"
        " as fast as it goes.",
    )
    hours: (
        Annotated[
            tuple[Span, ...],
            BeforeValidator(at_least_one),
            BeforeValidator(one_or_many),
            Field(json_schema_extra=json_one_or_many({"type": "string", "examples": ["20:00-06:00"]})),
        ]
        | None
    ) = Field(
        None,
        description='Hours of each day in which files are sent, for example ["20:00-06:00"], by the clock of time_zone;'
        " what is under way when they end goes on when they begin again. Else at any time.",
    )
