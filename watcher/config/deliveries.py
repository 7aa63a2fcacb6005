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
    outputs: Patterns = Field(("*",), description="Which results: patterns on the labels of the workflow's outputs.")
    on: Literal["ok", "failed", "always"] = Field("ok", description="After which ending of the batch.")
    may_fail: bool = Field(
        False,
        description="true: the batch is done without it, too. What asks for a person fails it at once; a target that is"
        " full or away is waited for, an hour long.",
    )
