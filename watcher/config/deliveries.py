"""A delivery: where results go when a batch has ended.

The folder is a template (`destinations.py` knows them). Writing files is the delivery room's work; whether there is
room is asked by `check` and before each delivery.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from watcher.config.destinations import FolderTemplate, UrlTemplate
from watcher.config.values import Patterns, Section, Text, wrong
from watcher.model import GALAXY_SCHEMES

MANIFEST = "MANIFEST.sha256"


def _check_mode(written: object) -> object:
    # 640 is a number to YAML, whose digits would be taken as they come; what begins with 0 is text to our reader.
    if written in (None, ""):
        return ""
    if not isinstance(written, str) or not re.fullmatch(r"0?[0-7]{3,4}", written):
        raise wrong("is not a mode.", 'Write it in quotes, as chmod takes it: "0640".', written=written)
    return written


def _check_marker(name: str) -> str:
    if name and (not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}", name) or name == MANIFEST):
        raise wrong("is no name for a marker.", "For example DELIVERED; letters, digits, dots, - and _.")
    return name


Mode = Annotated[str, BeforeValidator(_check_mode)]
Marker = Annotated[str, AfterValidator(_check_marker)]


OF_FOLDERS = ("owner", "group", "mode", "folder_mode")
"""What an object store has not."""

FORMATS = {
    "history": ("tar.gz", "rocrate.zip"),
    "invocation": ("rocrate.zip", "bco.json"),
}
"""What Galaxy makes of each; the first one where none is named."""


class CloudSettings(Section):
    """A bucket that Galaxy sends to itself, as servers up to 24.1 can, with an authorization of the account."""

    authz_id: Text = Field(description="Id of the authorization, as /api/cloud/authz of that Galaxy lists it.")
    bucket: Text = Field(description="Name of the bucket. Objects get the names of the datasets.")
    overwrite: bool = Field(
        False, description="true: an object of that name is replaced; else the new one gets the time behind its name."
    )


class DeliverySettings(Section):
    """Results, or an archive, brought to a folder of this machine, to an object store, or to a place of Galaxy's."""

    folder: FolderTemplate | None = Field(None, description="A folder to bring them to; begins with a fixed folder.")
    url: UrlTemplate | None = Field(
        None,
        description="Instead of a folder a place in an object store, s3://bucket/{run}, gs:// or az://, with the extra"
        " `cloud`; object_stores tells how to get there. Or a file source of Galaxy, gxfiles://ID/{run} or"
        " gxuserfiles://UUID/{run}: Galaxy writes there itself.",
    )
    cloud: CloudSettings | None = Field(
        None,
        description="Instead of both a bucket that Galaxy sends the results to, on servers up to 24.1: {authz_id: …,"
        " bucket: …}; with overwrite what is there is replaced.",
    )
    export: Literal["history", "invocation"] | None = Field(
        None, description="Instead of results an archive that Galaxy makes: of the history, or of each invocation."
    )
    format: Text | None = Field(
        None,
        description="Of the archive: tar.gz (default) or rocrate.zip of a history, rocrate.zip (default) or bco.json of"
        " an invocation. All but tar.gz to a folder or object store need a Galaxy with Celery.",
    )
    outputs: Patterns = Field(
        ("*",),
        description="Which results: patterns on the labels of the workflow's outputs; step:STEP/OUTPUT (label or number"
        " of the step, counted from 0), also for outputs without a label; ext:EXTENSION; tag:TAG, of a dataset or"
        " collection in Galaxy.",
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
    may_fail: bool = Field(
        False,
        description="true: the batch is done without it, too. What asks for a person fails it at once; a target that is"
        " full or away is waited for, an hour long.",
    )

    @property
    def template(self) -> str:
        """Where to, as it is written; nothing for a bucket, which all batches share."""
        return self.url or self.folder or ""

    @property
    def place_key(self) -> str:
        """The key under which that stands."""
        return "url" if self.url else "folder"

    @property
    def is_written_by_galaxy(self) -> bool:
        """Whether Galaxy itself brings it there."""
        return self.cloud is not None or (self.url or "").partition("://")[0] in GALAXY_SCHEMES

    @property
    def archive_format(self) -> str:
        """What the archive is made as; nothing for results."""
        return (self.format or FORMATS[self.export][0]) if self.export else ""

    @property
    def needs_celery(self) -> bool:
        """Whether only a Galaxy with Celery can do it."""
        return bool(self.export) and (self.is_written_by_galaxy or self.archive_format != "tar.gz")

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        places = [name for name in ("folder", "url", "cloud") if getattr(self, name) is not None]
        if len(places) != 1:
            raise wrong(
                f"has both {places[0]} and {places[1]}." if places else "needs one place: folder or url.",
                "For example {folder: /results/{run}}; several deliveries may go to several places.",
            )
        for problem, hint in (*self._misplaced(places[0]), *self._misfit_archive()):
            raise wrong(problem, hint)
        return self

    def _misplaced(self, place: str) -> Iterator[tuple[str, str]]:
        """Find what the place has not."""
        what = "a place of Galaxy's" if self.is_written_by_galaxy else "an object store"
        of_others = OF_FOLDERS if place != "folder" else ()
        for name in (*of_others, *(("marker",) if self.is_written_by_galaxy else ())):
            if getattr(self, name):
                yield f"has {name}, which {what} has not.", f"Leave out {name}."

    def _misfit_archive(self) -> Iterator[tuple[str, str]]:
        """Find what makes no archive."""
        if self.export is None:
            if self.format is not None:
                yield "has a format, but is no archive.", "Add export: history or export: invocation."
            return
        if self.cloud is not None:
            yield "sends an archive to a bucket of Galaxy's.", "Only results go there: leave out export, or use url."
        if "outputs" in self.model_fields_set:
            yield "selects outputs of an archive.", "Leave out outputs: all of it is in there."
        if self.format is not None and self.format not in FORMATS[self.export]:
            known = " and ".join(FORMATS[self.export])
            yield f"has format {self.format}, which is none of {self.export}.", f"Formats are {known}."
