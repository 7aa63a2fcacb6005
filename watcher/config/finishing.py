"""What a rule says about the end: what becomes of the run folder, of the history, and whether a receipt is written.

Everything here destroys or moves something, so nothing of it is done by default. What can be told from one rule is
refused here; whether the archive lies inside a watch, or Galaxy only links to the files, is found in `fit.py` and
`ways.py`. When it is really done is decided by `stages/finish.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from watcher.config.destinations import (
    NameTemplate,
    check_folder_template,
    fields_of,
    fixed_folder,
    misfit_of_name,
    misfit_of_place,
)
from watcher.config.values import Duration, KeyPath, Misfit, Section, wrong


def check_tag(tag: str) -> str:
    """Refuse tags that are ours."""
    if tag.startswith(("watcher:", "run:")):
        raise wrong("is a tag of our own: by watcher: and run: what was made is found again.", "Choose another word.")
    return tag


def _check_archive(template: str) -> str:
    check_folder_template(template)
    if "id" in fields_of(template):
        raise wrong("names {id}, which is another one for each batch of a run.", "Use {run}, {unit} or {version}.")
    if not fixed_folder(template).parts[1:] or str(fixed_folder(template)) == template.rstrip("/"):
        raise wrong("is the same place for every run.", "Add {run}, for example /archive/{run}.")
    return template


Tag = Annotated[NameTemplate, AfterValidator(check_tag)]
ArchiveTemplate = Annotated[str, AfterValidator(_check_archive)]


class FinishSettings(Section):
    """What happens to a run and its history at the very end."""

    source: Literal["keep", "archive", "delete"] = Field(
        "keep",
        description="The run folder, once all batches of the run are done and all deliveries are verified: stays as it"
        " is, is moved to the archive, or is deleted; for both of these its files must be those that were planned.",
    )
    archive: ArchiveTemplate | None = Field(
        None,
        description="Where to, for example /archive/{run}; a template like history. Its fixed first part must be there."
        " On another file system everything is copied, read back and compared before the run folder goes.",
    )
    after: Duration | None = Field(
        None,
        description="How long after the end that is done, for example 30d; delete needs it, archive is at once without"
        " it. The run is done meanwhile, and `galaxy-watcher hold ID` stops it.",
    )
    history: Literal["keep", "tag", "archive", "delete"] = Field(
        "keep",
        description="The history of a batch: stays as it is, gets a tag, goes to Galaxy's archive of histories, or is"
        " deleted (which Galaxy can take back, until its administrator purges).",
    )
    tag: Tag | None = Field(None, description="The tag for history: tag; a template like history.")
    purge_intermediates: bool = Field(
        False,
        description="true: what the workflow made on its way, is hidden in the history and is no result, is deleted for"
        " good, to free room.",
    )
    receipt: bool = Field(
        False,
        description="true: what was done with the run is written to a file beside its folder, such as"
        " RUN.galaxy-watcher.json.",
    )

    @property
    def delay(self) -> timedelta:
        """How long after the end the run folder goes."""
        return self.after if self.after is not None else timedelta(0)

    @property
    def templates(self) -> tuple[str, ...]:
        """All of its templates that are in use."""
        return tuple(template for template in (self.archive, self.tag) if template)


def finish_misfits(finish: FinishSettings, *, existing: bool, workflow: bool) -> Iterator[Misfit]:
    """Find what is wrong between the values of a rule's end; `existing`: it uses a history that was there before."""
    for key, misfit in (*_source_misfits(finish), *_history_misfits(finish, existing=existing, workflow=workflow)):
        yield Misfit(("finish", key), *misfit)


def finish_template_misfits(finish: FinishSettings, per: Literal["run", "project", "sample"]) -> Iterator[Misfit]:
    """Find templates that have no single value: a run folder goes as a whole, a history belongs to one batch."""
    found: list[tuple[KeyPath, tuple[str, str] | None]] = []
    if finish.archive:
        misfit = misfit_of_place(finish.archive, "run")
        if misfit and misfit_of_name(finish.archive, "run"):
            misfit = (misfit[0].partition(":")[0] + ": a run folder goes as a whole.", "Use {run} and {unit}.")
        found.append((("finish", "archive"), misfit))
    if finish.tag:
        found.append((("finish", "tag"), misfit_of_name(finish.tag, per)))
    yield from (Misfit(key, *misfit) for key, misfit in found if misfit)


def _source_misfits(finish: FinishSettings) -> Iterator[tuple[str, tuple[str, str]]]:
    if finish.source == "archive" and finish.archive is None:
        yield "archive", ("is missing: source: archive has to know where to.", "For example archive: /archive/{run}.")
    if finish.source != "archive" and finish.archive is not None:
        yield "archive", (f"is given, but source is {finish.source}.", "Set source: archive, or remove it.")
    if finish.source == "delete" and finish.after is None:
        yield "after", ("is missing: source: delete has to know when.", "For example after: 30d.")
    if finish.source == "keep" and finish.after is not None:
        yield "after", ("is given, but source is keep.", "Set source: archive or delete, or remove it.")


def _history_misfits(
    finish: FinishSettings, *, existing: bool, workflow: bool
) -> Iterator[tuple[str, tuple[str, str]]]:
    if finish.history == "tag" and finish.tag is None:
        yield "tag", ("is missing: history: tag has to know which.", "For example tag: finished.")
    if finish.history != "tag" and finish.tag is not None:
        yield "tag", (f"is given, but history is {finish.history}.", "Set history: tag, or remove it.")
    if existing and finish.history in ("archive", "delete"):
        yield (
            "history",
            (
                f"is {finish.history}, but the history was there before (destination.existing): what others put there"
                " would go as well.",
                "Use keep or tag, or a history of its own.",
            ),
        )
    if existing and finish.purge_intermediates:
        yield (
            "purge_intermediates",
            (
                "is for a history of its own; this one was there before (destination.existing).",
                "Remove it, or leave out destination.existing.",
            ),
        )
    elif finish.purge_intermediates and not workflow:
        yield "purge_intermediates", ("is for what a workflow makes, and the rule has none.", "Remove it.")
