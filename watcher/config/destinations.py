"""Where datasets land in Galaxy, and the templates that name places: histories, collections, delivery folders.

A template is text with fields in braces, for example `{run} {project}`. A place belongs to one batch, so a template
must tell batches apart: one that does not name what its rule cuts by is an error of the configuration, and so is one
that asks for something a batch has several of. What `{sheet.Column}` stands for is known only with the sample sheet,
so it is taken to tell batches apart, and the plan asks again. `render` makes names, `render_folder` paths that stay
below the folder the operator wrote.
"""

from __future__ import annotations

import difflib
import hashlib
import re
import string
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from watcher.config.object_stores import BUCKET, SCHEMES
from watcher.config.values import Section, Text, one_or_many, refuse_control, wrong
from watcher.model import GALAXY_SCHEMES

Per = Literal["run", "project", "sample"]
CollectionType = Literal[
    "auto", "list", "paired", "list:paired", "paired_or_unpaired", "list:paired_or_unpaired", "list:list", "none"
]

TEMPLATE_FIELDS: Mapping[str, str] = {
    "run": "run id, or the name of its folder",
    "unit": "part of the run that completed by itself, such as Analysis/2; nothing when that is the whole run",
    "project": "project from the sample sheet",
    "sample": "sample name",
    "watch": "name of the watch",
    "date": "day on which the unit was planned, 2025-01-31",
    "id": "id of the batch, such as k7m2x9-1",
    "version": "version of the unit: 1, or more when its files changed later",
}
"""What a template may name, and what it means."""

DEFAULT_HISTORY: Mapping[str, str] = {
    "run": "{run} {unit}",
    "project": "{run} {unit} {project}",
    "sample": "{run} {unit} {sample}",
}
"""The history of a batch when its rule names none."""

DEFAULT_FOLDER: Mapping[str, str] = {
    "run": "{run}/{unit}",
    "project": "{run}/{unit}/{project}",
    "sample": "{run}/{unit}/{sample}",
}
"""The folder of a batch in a library when its rule names none."""

SHEET = "sheet."
"""What the name of a sample sheet's column follows, in fields (`{sheet.Galaxy_History}`) and workflow inputs."""

ELEMENT_FIELDS = ("sample", "project")
"""What the name of a collection's element may name, besides columns of the sample sheet."""

# What a batch of such a rule has several of.
_FINER: Mapping[str, frozenset[str]] = {
    "run": frozenset({"project", "sample"}),
    "project": frozenset({"sample"}),
    "sample": frozenset(),
}
_LONGEST_COMPONENT_BYTES = 255
FILE_SOURCE = r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}"
"""Ids of file sources: as the server's administrator names them, or a UUID."""


def _split(template: str) -> Iterator[tuple[str, str | None, str, str]]:
    """Yield literal text and the field after it (None at the end), its format and its conversion."""
    for literal, field, form, conversion in string.Formatter().parse(template):
        yield literal, field, form or "", conversion or ""


def fields_of(template: str) -> tuple[str, ...]:
    """Return the fields of a template that was checked, in order."""
    return tuple(field for _, field, _, _ in _split(template) if field is not None)


def sheet_columns(*templates: str) -> tuple[str, ...]:
    """Return the columns of the sample sheet that checked templates name, as they spell them."""
    named = (field for template in templates for field in fields_of(template) if field.startswith(SHEET))
    return tuple(dict.fromkeys(field.removeprefix(SHEET) for field in named))


def check_template(template: str, fields: Collection[str] = tuple(TEMPLATE_FIELDS)) -> str:
    """Refuse broken braces, unknown fields and format instructions."""
    refuse_control(template)
    try:
        pieces = list(_split(template))
    except ValueError:
        raise wrong(
            "has a brace without its counterpart.", "A brace meant as such is written twice: {{ or }}."
        ) from None
    known = ", ".join(f"{{{name}}}" for name in (*fields, f"{SHEET}COLUMN"))
    unknown = [field for _, field, _, _ in pieces if field is not None and not _is_field(field, fields)]
    if unknown:
        names = ", ".join(f"{{{field}}}" for field in dict.fromkeys(unknown))
        nearest = difflib.get_close_matches(unknown[0], fields, n=1)
        raise wrong(
            f"names an unknown field: {names}.",
            f"Did you mean {{{nearest[0]}}}?" if nearest else f"Fields are {known}.",
        )
    if any(form or conversion for _, _, form, conversion in pieces):
        raise wrong("has a field with a format, which is not supported.", f"Fields are {known}.")
    if not template.strip():
        raise wrong("is empty.", "Write a value or remove the line.")
    return template


def _is_field(field: str, fields: Collection[str]) -> bool:
    return field in fields or (field.startswith(SHEET) and bool(field.removeprefix(SHEET).strip()))


def check_element_template(template: str) -> str:
    """Refuse what `check_template` refuses, and fields that an element of a collection has not."""
    return check_template(template, ELEMENT_FIELDS)


def check_email(text: str) -> str:
    """Refuse what is no e-mail address: Galaxy knows users by theirs."""
    if not re.fullmatch(r"[^@\s]+@[^@\s]+", text):
        raise wrong("is not an e-mail address.", "A user is named by the e-mail of the account in Galaxy.")
    return text


def check_folder_template(template: str) -> str:
    """Refuse what `check_template` refuses, and folders that are not absolute, go up, or begin with a field."""
    check_template(template)
    if not template.startswith("/"):
        raise wrong("must be an absolute path: it has to begin with /.", relative=template)
    if ".." in template.split("/"):
        raise wrong("must not go up with '..'.", "Write the path out.")
    if fixed_folder(template) == Path("/"):
        raise wrong(
            "must begin with a fixed folder: its first part comes from the run or is missing.",
            "For example /results/{run}.",
        )
    return template


def check_url_template(template: str) -> str:
    """Refuse what `check_template` refuses, and places that are in no object store, name no bucket, or go up."""
    check_template(template)
    scheme, found, rest = template.partition("://")
    if not found or (scheme not in SCHEMES and scheme not in GALAXY_SCHEMES):
        raise wrong(
            "is no object store.",
            "For example s3://bucket/{run}; gs:// and az:// (a container) as well, or gxfiles://ID/{run} for a file"
            " source of Galaxy.",
        )
    if scheme in GALAXY_SCHEMES and not re.fullmatch(FILE_SOURCE, rest.partition("/")[0]):
        raise wrong("must begin with the fixed id of a file source.", f"For example {scheme}://results/{{run}}.")
    bucket = rest.partition("/")[0]
    if scheme in SCHEMES and not re.fullmatch(BUCKET, bucket):  # a field has braces
        raise wrong("must begin with a fixed bucket or container.", f"For example {scheme}://bucket/{{run}}.")
    if ".." in rest.split("/"):
        raise wrong("must not go up with '..'.", "Write the way down from the bucket.")
    return template


def fixed_store(template: str) -> str:
    """Return scheme and bucket of a template that was checked, such as s3://bucket."""
    scheme, _, rest = template.partition("://")
    return f"{scheme}://{rest.partition('/')[0]}"


def fixed_url(template: str) -> str:
    """Return the part of such a template before its first field, such as s3://bucket/lab; all objects lie below it."""
    before = next((literal for literal, field, _, _ in _split(template) if field is not None), None)
    whole = template if before is None else before.rpartition("/")[0]
    return whole.replace("{{", "{").replace("}}", "}").rstrip("/")


def render_url(template: str, values: Mapping[str, str]) -> str:
    """Return the place in an object store that a template stands for, without a slash at its end; values are kept from
    going up, as in `render_folder`.
    """
    store = fixed_store(template)
    return f"{store}{render_folder(template.removeprefix(store) or '/', values)}".rstrip("/")


def check_inner_folder_template(template: str) -> str:
    """Refuse what `check_template` refuses, and folders that go up."""
    check_template(template)
    if ".." in template.split("/"):
        raise wrong(
            "must not go up with '..'.", "Write the way down from the library's root, for example {run}/{unit}."
        )
    return template


def fixed_folder(template: str) -> Path:
    """Return the part of a folder template before its first field; everything is delivered below it."""
    before = next((literal for literal, field, _, _ in _split(template) if field is not None), None)
    whole = template if before is None else before.rpartition("/")[0]
    return Path("/" + whole.replace("{{", "{").replace("}}", "}").lstrip("/"))


def misfit_of_name(template: str, per: Per) -> tuple[str, str] | None:
    """Return problem and hint when a template names something that batches of such a rule have several of."""
    finer = [field for field in dict.fromkeys(fields_of(template)) if field in _FINER[per]]
    if not finer:
        return None
    return (
        f"{{{finer[0]}}} has no single value here: the rule is per: {per}, so a batch may hold several {finer[0]}s.",
        f"Leave {{{finer[0]}}} out, or set per: {finer[0]}.",
    )


def misfit_of_place(template: str, per: Per) -> tuple[str, str] | None:
    """Return problem and hint when batches of such a rule would share the place, or it has no single value."""
    if misfit := misfit_of_name(template, per):
        return misfit
    fields = set(fields_of(template))
    if "id" in fields or any(field.startswith(SHEET) for field in fields):
        return None  # what a sheet's column says is known later; a place that is taken is never taken twice
    if "run" not in fields:
        return "is the same place for every run.", "Add {run} (or {id}, which differs for every batch)."
    if per != "run" and per not in fields:
        return (
            f"is coarser than the rule: it is per: {per}, and all {per}s of a run would share this place.",
            f"Add {{{per}}}, or set per: run.",
        )
    return None


NameTemplate = Annotated[str, AfterValidator(check_template)]
UrlTemplate = Annotated[str, AfterValidator(check_url_template)]
FolderTemplate = Annotated[str, AfterValidator(check_folder_template)]
ElementTemplate = Annotated[str, AfterValidator(check_element_template)]
InnerFolderTemplate = Annotated[str, AfterValidator(check_inner_folder_template)]
OptionalTemplate = Annotated[str, AfterValidator(lambda text: check_template(text) if text else text)]
Holders = Annotated[tuple[Text, ...], BeforeValidator(one_or_many)]


class LibraryPlace(Section):
    """A folder of a data library, of a batch's own."""

    name: NameTemplate = Field(description="Name of the library; made when it is not there, by administrators only.")
    folder: InnerFolderTemplate = Field(
        DEFAULT_FOLDER["run"], description="Folder in it, nested by /; folders that are not there are made."
    )
    description: OptionalTemplate = Field("", description="What a library that is made is described as.")
    synopsis: OptionalTemplate = Field("", description="The synopsis of a library that is made.")
    access: Holders = Field(
        (),
        description="Roles by name, users by e-mail, who may see what is made there; Galaxy shows a dataset only to"
        " those who have all of its roles. Left out: as access of this Galaxy says.",
    )
    manage: Holders = Field(
        (), description="Roles by name, users by e-mail, who may add to what is made there, and change it."
    )

    @property
    def templates(self) -> tuple[str, ...]:
        """All of its templates that are in use."""
        return tuple(filter(None, (self.name, self.folder, self.description, self.synopsis)))


class LibrarySettings(LibraryPlace):
    """A data library that takes the data of a batch."""

    keep_folders: bool = Field(
        False,
        description="Keep the folders in which the files lie in the run, as folders below this one; else only files of"
        " one name get theirs.",
    )


Email = Annotated[Text, AfterValidator(check_email)]


class ShareSettings(Section):
    """Who may read what a rule makes, besides the account itself."""

    users: Annotated[tuple[Email, ...], BeforeValidator(one_or_many)] = Field(
        (),
        description="E-mails of users the history is shared with. Galaxy opens private datasets to one such user only:"
        " for several, name in roles what they have in common.",
    )
    roles: Annotated[tuple[Text, ...], BeforeValidator(one_or_many)] = Field(
        (),
        description="Names of roles: who has all of them may read the datasets, and the results made from them. The"
        " account must have them itself.",
    )


class Destination(Section):
    """The history that takes a batch, and the collection made of its datasets; or the library that takes them."""

    history: NameTemplate = Field(
        DEFAULT_HISTORY["run"],
        description="Name of the new history. Fields: "
        + ", ".join(f"{{{name}}}" for name in TEMPLATE_FIELDS)
        + ", and {sheet.COLUMN} for a column of the sample sheet in which all samples of the batch say the same.",
    )
    existing: OptionalTemplate = Field(
        "",
        description="Name or id of a history of the account that is there already, instead of a new one: a template"
        " like history. It keeps its name, its annotation and its tags; ours are added. Several batches may go there.",
    )
    annotation: OptionalTemplate = Field(
        "", description="Annotation of the new history, a template like history. Left out: id, run and unit."
    )
    share: ShareSettings = Field(ShareSettings(), description="Who else may read it. Left out: nobody.")
    collection: CollectionType = Field(
        "auto",
        description="auto: list:paired when all samples are paired, else list, and none for a library without a"
        " workflow; none: single datasets. list:list has an"
        " element for each sample, and in it one for each of its files, by lane and read (L001_R1): for samples with"
        " index reads or several lanes, which a workflow merges or looks at together. list:paired_or_unpaired has for"
        " each sample a pair or a single file, in one run both; paired and paired_or_unpaired are for a single sample."
        " What is _or_unpaired needs Galaxy 25.0.",
    )
    collection_name: NameTemplate = Field("{run}", description="Name of the collection.")
    element: ElementTemplate = Field(
        "{sample}", description="Names in the collection. Fields: {sample}, {project}, {sheet.COLUMN}."
    )
    library: LibrarySettings | None = Field(
        None,
        description="A data library instead: {name: …, folder: …, description: …, synopsis: …, access: …, manage: …,"
        " keep_folders: …}, the first four as templates like history. A workflow or collection then works on copies in"
        " a history, which take no room.",
    )


def render(template: str, values: Mapping[str, str]) -> str:
    """Return the name a template stands for; blanks are single, a unit that is the whole run leaves nothing behind."""
    text = "".join(
        literal + ("" if field is None else _visible(field_value(field, values)))
        for literal, field, _, _ in _split(template)
    )
    return " ".join(text.split())


def render_folder(template: str, values: Mapping[str, str]) -> Path:
    """Return the folder a template stands for. No value can add a path component, go up, or begin with a dot."""
    text = "".join(
        literal + ("" if field is None else safe_component(field_value(field, values)))
        for literal, field, _, _ in _split(template)
    )
    components = [component.strip() for component in text.split("/")]
    # A left-out unit between literal dots could leave "." or ".." behind.
    kept = ["_" * len(part) if part in (".", "..") else _shortened(part) for part in components if part]
    return Path("/", *kept)


def safe_component(value: str) -> str:
    """Return the value as text that may stand in a path: no slash, no leading dot, nothing that does not show."""
    text = _visible(value).replace("/", "_").replace("\\", "_").strip()
    bare = text.lstrip(".")
    return "_" * (len(text) - len(bare)) + bare


def field_value(field: str, values: Mapping[str, str]) -> str:
    """Return what a field stands for; nothing for a unit that is the whole run."""
    value = values[field].strip()
    if field == "unit":
        return "" if value == "." else value
    return value or f"no_{field}"


def _visible(value: str) -> str:
    """Replace what cannot be written as UTF-8 or does not show; line breaks in a name would forge log lines."""
    return "".join("_" if not letter.isprintable() or 0xD800 <= ord(letter) <= 0xDFFF else letter for letter in value)


def _shortened(component: str) -> str:
    """Keep a component within what file systems take; the hash keeps two long ones apart."""
    encoded = component.encode("utf-8", "replace")
    if len(encoded) <= _LONGEST_COMPONENT_BYTES:
        return component
    digest = hashlib.sha256(encoded).hexdigest()[:12]
    return encoded[: _LONGEST_COMPONENT_BYTES - 13].decode("utf-8", "ignore") + "-" + digest
