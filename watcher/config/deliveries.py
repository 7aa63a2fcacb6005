"""A delivery: where results go when a batch has ended.

The folder is a template (`destinations.py` knows them). Writing files is the delivery room's work; whether there is
room is asked by `check` and before each delivery.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from watcher.config.destinations import FolderTemplate, LibraryPlace, UrlTemplate
from watcher.config.file_names import FileNames
from watcher.config.values import Patterns, Section, Text, wrong
from watcher.model import GALAXY_SCHEMES
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

OF_OUR_WRITING = (*OF_FOLDERS, "marker", "beside", "names", "on_clash")
"""What a place has not that only Galaxy writes to."""

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
        """Where to, as it is written; nothing for a bucket, which all batches share."""
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

    @property
    def is_written_by_galaxy(self) -> bool:
        """Whether Galaxy itself brings it there."""
        return self.cloud is not None or (self.url or "").partition("://")[0] in GALAXY_SCHEMES

    @property
    def ours_beside(self) -> tuple[str, ...]:
        """What lies beside the results, which only we write, and of which an archive has enough itself."""
        return () if self.export or self.library is not None or self.is_written_by_galaxy else self.beside

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
        places = [name for name in ("folder", "url", "library", "cloud") if getattr(self, name) is not None]
        if len(places) != 1:
            raise wrong(
                f"has both {' and '.join(places)}." if places else "needs one place: folder, url, library or cloud.",
                "For example {folder: /results/{run}}; several deliveries may go to several places.",
            )
        for problem, hint in (*self._misplaced(places[0]), *self._misfit_archive()):
            raise wrong(problem, hint)
        return self

    def _misplaced(self, place: str) -> Iterator[tuple[str, str]]:
        """Find what the place has not."""
        if place == "folder":
            return
        is_galaxys = place == "library" or self.is_written_by_galaxy
        what = "a library" if place == "library" else "a place of Galaxy's" if is_galaxys else "an object store"
        for name in OF_OUR_WRITING if is_galaxys else OF_FOLDERS:
            if getattr(self, name) != type(self).model_fields[name].get_default(call_default_factory=True):
                yield f"has {name}, which {what} has not.", f"Leave out {name}."

    def _misfit_archive(self) -> Iterator[tuple[str, str]]:
        """Find what makes no archive."""
        if self.export is None:
            if self.format is not None:
                yield "has a format, but is no archive.", "Add export: history or export: invocation."
            return
        if self.cloud is not None:
            yield "sends an archive to a bucket of Galaxy's.", "Only results go there: leave out export, or use url."
        if self.library is not None:
            yield "puts an archive into a library.", "Only results go there: leave out export, or use folder."
        for name in ("outputs", "names", "beside"):
            if name in self.model_fields_set:
                yield f"has {name}, which an archive has not.", f"Leave out {name}: all is in there."
        if self.format is not None and self.format not in FORMATS[self.export]:
            known = " and ".join(FORMATS[self.export])
            yield f"has format {self.format}, which is none of {self.export}.", f"Formats are {known}."
