"""Galaxy's answers, typed: only the fields that are read, under our names.

Whatever else an answer holds is ignored, so that other versions of Galaxy fit; what is read and missing makes an answer
that is not understood. Field names of Galaxy are translated here and nowhere else (`extension` is `ext`, `file_size` is
`size`). Workflows have their own module, `workflows.py`, and so have invocations and jobs, `invocation_answers.py`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from watcher.errors import GalaxyBroken, GalaxyError
from watcher.galaxy.refusals import Asked, not_understood
from watcher.model import CollectionId, DatasetId, HistoryId

T = TypeVar("T")


def _text(value: Any) -> Any:
    return "" if value is None else value


def _number(value: Any) -> Any:
    return 0 if value is None else value


def _hashes(value: Any) -> Any:
    """Galaxy lists `{"hash_function", "hash_value"}`; those of extra files are not the dataset's own."""
    if not isinstance(value, list):
        return value or {}
    return {row["hash_function"]: row["hash_value"] for row in value if not row.get("extra_files_path")}


def _words(value: Any) -> Any:
    return _SESSION_IN_PATH.sub("***", value) if isinstance(value, str) else _text(value)


_SESSION_IN_PATH = re.compile(r"(?<=/)[0-9a-f]{32}(?![0-9a-f])")
Text = Annotated[str, BeforeValidator(_text)]
Words = Annotated[str, BeforeValidator(_words)]
"""What Galaxy says of a dataset; the path of an upload in it ends in the id of the session, which is a secret."""
Number = Annotated[int, BeforeValidator(_number)]
Tags = Annotated[tuple[str, ...], BeforeValidator(lambda value: value or ())]
MetaFiles = Annotated[
    tuple[str, ...], BeforeValidator(lambda rows: [str(row["file_type"]) for row in rows or () if "file_type" in row])
]
Hashes = Annotated[Mapping[str, str], BeforeValidator(_hashes)]


class Answer(BaseModel):
    """Base of everything read from Galaxy: frozen, foreign fields ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore", coerce_numbers_to_str=True)


def understand(kind: type[T], answer: Any, asked: Asked) -> T:
    """Return the answer as `kind` (a model or a list of models); raises GalaxyBroken, or AnswerLost for a change that
    was asked for.
    """
    try:
        return TypeAdapter(kind).validate_python(answer)
    except (ValidationError, KeyError, AttributeError, TypeError) as error:
        raise unknown_answer(error, asked) from None


def unknown_answer(error: Exception, asked: Asked) -> GalaxyError:
    """Return the error for an answer whose fields are not as measured, naming the fields but not their values."""
    if isinstance(error, ValidationError):
        places = sorted({".".join(str(step) for step in problem["loc"]) or "all of it" for problem in error.errors()})
        return not_understood(asked, f"fields not as expected: {', '.join(places[:5])}", status=200, request_id="")
    return GalaxyBroken(
        f"Galaxy at {asked.shown_url} gave an answer of an unknown shape when asked to {asked.purpose}."
    )


class UserAnswer(Answer):
    """`/api/users/current`; without an `id` Galaxy takes us for an anonymous visitor (measured on 26.1.2 and
    24.1.4).
    """

    id: Text = ""
    email: Text = ""
    is_admin: bool = False
    quota_bytes: int | None = None
    total_disk_usage: float = 0.0


class ConfigurationAnswer(Answer):
    """The few settings of the server that change what we do; those about files by path are told to administrators."""

    enable_celery_tasks: bool = False
    chunk_upload_size: Number = 0
    expose_user_email: bool = False
    allow_library_path_paste: bool = False
    library_import_dir: Text = ""
    user_library_import_dir_available: bool = False


class VersionAnswer(Answer):
    """`{"version_major": "26.1", "version_minor": "2"}`."""

    version_major: str
    version_minor: Text = ""


class History(Answer):
    """A history and what we wrote on it. Whose it is and whether it is archived is told only where it is read alone."""

    id: HistoryId
    name: str
    user_id: Text = ""
    archived: bool = False
    tags: Tags = ()
    annotation: Text = ""
    deleted: bool = False
    purged: bool = False


class Content(Answer):
    """A row of a history's contents: a dataset, or a collection (whose `state` is its populated state)."""

    id: str
    hid: Number = 0
    name: Text = ""
    kind: Literal["dataset", "collection"]
    state: Text = ""
    ext: Text = ""
    size: Number = 0
    deleted: bool = False
    purged: bool = False
    visible: bool = True
    tags: Tags = ()
    collection_type: Text = ""
    stored_id: Text = ""

    @model_validator(mode="before")
    @classmethod
    def _translate(cls, row: Any) -> Any:
        if isinstance(row, dict) and "history_content_type" in row:
            is_dataset = row["history_content_type"] == "dataset"
            return {
                **row,
                "kind": "dataset" if is_dataset else "collection",
                "state": row.get("state") if is_dataset else row.get("populated_state"),
                "ext": row.get("extension"),
                "size": row.get("file_size"),
                "stored_id": row.get("dataset_id"),
            }
        return row


class DatasetFacts(Answer):
    """A dataset as Galaxy has it; `hashes` are claims unless Galaxy verified or made them (see `features.py`).

    `stored_id` is what a dataset shares with its copies and with no other (measured on 24.1.4 and 26.1.2). `meta_files`
    are the files that Galaxy made about it, such as `bam_index`; they and `uuid` are told only where it is read alone.
    """

    id: DatasetId
    name: Text = ""
    history_id: Text = ""
    state: Text = ""
    ext: Text = ""
    size: Number = 0
    hashes: Hashes = {}
    misc_info: Words = ""
    deleted: bool = False
    purged: bool = False
    visible: bool = True
    tags: Tags = ()
    dbkey: Text = ""
    access_roles: tuple[str, ...] | None = None
    stored_id: Text = ""
    uuid: Text = ""
    meta_files: MetaFiles = ()

    @model_validator(mode="before")
    @classmethod
    def _translate(cls, row: Any) -> Any:
        if isinstance(row, dict) and "file_size" in row:
            permissions = row.get("permissions")
            roles = permissions.get("access") if isinstance(permissions, dict) else None
            ext = row.get("extension") or row.get("file_ext")
            dbkey = row.get("genome_build")
            told = {"ext": ext, "size": row["file_size"], "dbkey": dbkey, "stored_id": row.get("dataset_id")}
            return {**row, **told, "access_roles": roles}
        return row

    @property
    def sha256(self) -> str:
        """The SHA-256 that Galaxy lists, lower case, or empty."""
        return self.hashes.get("SHA-256", "").lower()

    def is_closed_to_all_but(self, role: str) -> bool:
        """Tell whether reading it needs this role; Galaxy asks for all of a dataset's access roles, and no role means
        that anybody who knows the id may read it.
        """
        return role in (self.access_roles or ())


class DatasetOrigin(Answer):
    """The number of a dataset in its history, and the job that made it, which is told only where it is read alone."""

    id: DatasetId
    hid: Number = 0
    creating_job: Text = ""


class CollectionElement(Answer):
    """An element: a dataset of its own, or further elements."""

    identifier: str
    dataset_id: DatasetId = DatasetId("")
    state: str = ""
    ext: str = ""
    size: int = 0
    name: str = ""
    misc_info: Words = ""
    tags: Tags = ()
    collection_type: str = ""
    elements: tuple[CollectionElement, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _translate(cls, row: Any) -> Any:
        if not isinstance(row, dict) or "element_identifier" not in row:
            return row
        inner = row.get("object") or {}
        if row.get("element_type") == "dataset_collection":
            return {
                "identifier": row["element_identifier"],
                "collection_type": inner.get("collection_type") or "",
                "elements": inner.get("elements") or (),
            }
        return {
            "identifier": row["element_identifier"],
            "dataset_id": inner.get("id") or "",
            "state": inner.get("state") or "",
            "ext": inner.get("file_ext") or inner.get("extension") or "",
            "size": inner.get("file_size") or 0,
            "name": inner.get("name") or "",
            "misc_info": inner.get("misc_info") or "",
            "tags": inner.get("tags"),
        }

    def leaves(self, above: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], CollectionElement]]:
        """Return the datasets below with their path of element identifiers."""
        path = (*above, self.identifier)
        if self.dataset_id or not self.elements:
            return [(path, self)]
        return [leaf for element in self.elements for leaf in element.leaves(path)]


class CollectionFacts(Answer):
    """A collection with all its elements; `populated` is "new", "ok" or "failed"."""

    id: CollectionId
    name: Text = ""
    history_id: Text = ""
    type: str = Field(validation_alias="collection_type")
    populated: Text = Field(default="", validation_alias="populated_state")
    populated_message: Text = Field(default="", validation_alias="populated_state_message")
    deleted: bool = False
    tags: Tags = ()
    elements: tuple[CollectionElement, ...] = ()

    def leaves(self) -> list[tuple[tuple[str, ...], CollectionElement]]:
        """Return all datasets with their path of element identifiers, in order."""
        return [leaf for element in self.elements for leaf in element.leaves()]
