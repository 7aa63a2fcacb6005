"""A delivery: where results go when a batch has ended.

The folder is a template (`destinations.py` knows them). Writing files is the delivery room's work; whether there is
room is asked by `check` and before each delivery.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from watcher.config.destinations import FolderTemplate
from watcher.config.values import Patterns, Section


class DeliverySettings(Section):
    """Results brought to a local folder."""

    folder: FolderTemplate = Field(description="Where to; begins with a fixed folder.")
    outputs: Patterns = Field(
        ("*",),
        description="Which results: patterns on the labels of the workflow's outputs; step:STEP/OUTPUT (label or number"
        " of the step, counted from 0), also for outputs without a label; ext:EXTENSION; tag:TAG, of a dataset or"
        " collection in Galaxy.",
    )
    on: Literal["ok", "failed", "always"] = Field("ok", description="After which ending of the batch.")
