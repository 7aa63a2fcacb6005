"""A delivery: where results go when a batch has ended.

The folder is a template (`destinations.py` knows them). Writing files is the delivery room's work; whether there is
room is asked by `check` and before each delivery.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from watcher.config.destinations import FolderTemplate, LibraryPlace, UrlTemplate
from watcher.config.file_names import FileNames
from watcher.config.values import Patterns, Section, Text, wrong
from watcher.results import OURS


def _check_mode(written: object) -> object:
    # 640 is a number to YAML, whose digits would be taken as they come; what begins with 0 is text to our reader.
    if written in (None, ""):
        return ""
    if not isinstance(written, str) or not re.fullmatch(r"0?[0-7]{3,4}", written):
        raise wrong("is not a mode.", 'Write it in quotes, as chmod takes it: "0640".', written=written)
    return written


def _check_marker(name: str) -> str:
    if name and (not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}", name) or name in OURS):
        raise wrong("is no name for a marker.", "For example DELIVERED; letters, digits, dots, - and _.")
    return name


Mode = Annotated[str, BeforeValidator(_check_mode)]
Marker = Annotated[str, AfterValidator(_check_marker)]


OF_FOLDERS = ("owner", "group", "mode", "folder_mode")
"""What an object store has not."""

OF_FILES = (*OF_FOLDERS, "marker", "beside")
"""What a library has not."""


class DeliverySettings(Section):
    """Results brought to a folder of this machine, to an object store, or into a library of Galaxy itself."""

    folder: FolderTemplate | None = Field(None, description="A folder to bring them to; begins with a fixed folder.")
    url: UrlTemplate | None = Field(
        None,
        description="Instead of a folder a place in an object store, s3://bucket/{run}, gs:// or az://, with the extra"
        " `cloud`; object_stores tells how to get there.",
    )
    library: LibraryPlace | None = Field(
        None,
        description="Instead of a folder one in a data library of the same Galaxy: {name: …, folder: …, description: …,"
        " synopsis: …, access: …, manage: …} as for a destination. The items share their bytes with the results in the"
        " history, and who may read them: where access is left out, nothing changes in that.",
    )
    outputs: Patterns = Field(
        ("*",),
        description="Which results: patterns on the labels of the workflow's outputs; step:STEP/OUTPUT (label or number"
        " of the step, counted from 0), also for outputs without a label; ext:EXTENSION; tag:TAG, of a dataset or"
        " collection in Galaxy.",
    )
    names: FileNames = Field(
        default_factory=dict,
        description="What the files are called: templates by patterns on the labels of outputs, or ext:EXTENSION, such"
        ' as {"counts": "{element}/{output}.{ext}"}, the first that fits; one alone is for all. Fields: {output},'
        " {element} (S1_forward; {element.1} is S1, {element.2} is forward), {name} of the dataset in Galaxy, {ext} of"
        " its datatype, and those of folder. A field with nothing to say takes a separator beside it along; what would"
        " be called alike gets a suffix. Left out: the output, below it the elements, as folders.",
    )
    on_clash: Literal["hold", "suffix"] = Field(
        "hold",
        description="When another file has the name of a result: ask a person, or keep both and give the result a"
        " suffix. Nothing is overwritten either way.",
    )
    on: Literal["ok", "failed", "always"] = Field("ok", description="After which ending of the batch.")
    owner: Text | None = Field(
        None,
        description="User that files and new folders are given to, by name or number; needs root. Left out: ours.",
    )
    group: Text | None = Field(
        None, description="Group that they are given to, by name or number; the watcher's user has to be in it."
    )
    mode: Mode = Field("", description='Rights of files, such as "0640", in quotes. Left out: as the umask says.')
    folder_mode: Mode = Field("", description='Rights of new folders, such as "2750". Left out: as the umask says.')
    marker: Marker = Field(
        "", description="Name of an empty file that is made last of all, for a tool that waits for it. Left out: none."
    )
    beside: tuple[Literal["record", "report", "logs"], ...] = Field(
        ("record",),
        description="What is written beside the results: record (how they were made: batch.json and"
        " ro-crate-metadata.json), report (Galaxy's report of each workflow: report.md), logs (what failed jobs wrote:"
        " failed_jobs.txt). Reports and logs hold whatever tools wrote into them.",
    )
    may_fail: bool = Field(
        False,
        description="true: the batch is done without it, too. What asks for a person fails it at once; a target that is"
        " full or away is waited for, an hour long.",
    )

    @property
    def template(self) -> str:
        """Where to, as it is written."""
        if self.library is not None:
            return f"{self.library.name}/{self.library.folder}"
        return self.url or self.folder or ""

    @property
    def place_key(self) -> str:
        """The key under which that stands."""
        return "library" if self.library is not None else "url" if self.url else "folder"

    @property
    def templates(self) -> tuple[str, ...]:
        """All of its templates that are in use."""
        return self.library.templates if self.library is not None else (self.template,)

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        named = [name for name in ("folder", "url", "library") if getattr(self, name) is not None]
        if len(named) != 1:
            raise wrong(
                f"has both {' and '.join(named)}." if named else "needs one place: folder, url or library.",
                "For example {folder: /results/{run}}; several deliveries may go to several places.",
            )
        if self.library is not None and (misplaced := [one for one in OF_FILES if one in self.model_fields_set]):
            raise wrong(f"has {misplaced[0]}, which a library has not.", f"Leave out {misplaced[0]}.")
        misplaced = [name for name in OF_FOLDERS if self.url and getattr(self, name)]
        if misplaced:
            raise wrong(f"has {misplaced[0]}, which an object store has not.", f"Leave out {misplaced[0]}.")
        return self
