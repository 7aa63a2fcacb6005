"""A watch: one place that is looked at, and when what lies there counts as finished.

Whether the folder exists and answers is not asked here: a missing mount is a state of the disk, not an error of the
configuration. Which layouts there are is told by the runs room; `fit.py` compares the names.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from watcher.config.values import AbsolutePath, Duration, Name, Section


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
    existing: Literal["ignore", "process"] = Field(
        "ignore", description="Runs that were complete at the first look: ignore lists them, process takes them."
    )
    transfer: Literal["tus"] = Field("tus", description="How bytes travel: tus uploads them, resumably.")
