"""What Galaxy answers about libraries, typed: only the fields that are read, under our names.

Libraries have answers of their own: a row of a folder is no row of a history, sizes come as a number in one place and
as a text for people in another, and the dataset behind an item has an id of its own kind, for which Galaxy's dataset
routes are no use. Read by `libraries.py` and its neighbours; the base is in `answers.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from watcher.galaxy.answers import Answer, Number, Tags, Text, Words
from watcher.model import DatasetId, FolderId, JobId, LibraryId, LibraryItemId


def _role_ids(value: Any) -> Any:
    """Galaxy lists `[name, id]` for each role."""
    return tuple(sorted(id for _, id in value or ()))


RoleIds = Annotated[tuple[str, ...], BeforeValidator(_role_ids)]


class Library(Answer):
    """A library. Its `public` is not read: Galaxy says it of closed ones as well (26.1.2); look at the permissions."""

    id: LibraryId
    root_folder_id: FolderId
    name: str
    description: Text = ""
    synopsis: Text = ""
    deleted: bool = False


class Folder(Answer):
    """A folder of a library."""

    id: FolderId
    name: str
    description: Text = ""
    deleted: bool = False


class LibraryItem(Answer):
    """A file as the listing of its folder shows it; `state` and `size` (bytes) are those of the version it shows now.

    `message` is what was written on it, else what Galaxy says of how it came: why an upload failed, for one.
    """

    id: LibraryItemId
    version_id: DatasetId = Field(validation_alias="ldda_id")
    name: Text = ""
    state: Text = ""
    ext: Text = Field(default="", validation_alias="file_ext")
    size: Number = Field(default=0, validation_alias="raw_size")
    tags: Tags = ()
    message: Text = ""
    deleted: bool = False
    is_unrestricted: bool | None = None
    is_private: bool | None = None


class LibraryItemFacts(Answer):
    """A file by itself; `size` is in bytes. Galaxy tells no hashes of it: copy it into a history and read those. `uuid`
    is that of the bytes, which a dataset has as well that it was made from.

    `file_name` is where its bytes lie on the server: for a linked file the very path it was linked from. Galaxy shows
    it to administrators, and may show nobody.
    """

    id: LibraryItemId
    version_id: DatasetId = Field(validation_alias="ldda_id")
    library_id: LibraryId = Field(validation_alias="parent_library_id")
    folder_id: FolderId
    name: Text = ""
    state: Text = ""
    ext: Text = Field(default="", validation_alias="file_ext")
    dbkey: Text = Field(default="", validation_alias="genome_build")
    size: Number = Field(default=0, validation_alias="file_size")
    file_name: Text = ""
    tags: Tags = ()
    message: Words = ""
    misc_info: Words = ""
    uuid: Text = ""
    deleted: bool = False


class LibraryVersion(Answer):
    """A version of a file, by the id that workflows take: `ldda`, Galaxy's word for it."""

    id: DatasetId
    name: Text = ""
    state: Text = ""
    ext: Text = Field(default="", validation_alias="file_ext")
    deleted: bool = False


class ListedFolder(Answer):
    """A page of a folder: `rows` are files and folders as Galaxy gives them, `total` counts all pages; `may_add` tells
    whether the account may put something there.
    """

    total: int
    rows: tuple[Mapping[str, Any], ...]
    may_add: bool = False

    @model_validator(mode="before")
    @classmethod
    def _translate(cls, answer: Any) -> Any:
        if isinstance(answer, dict) and "folder_contents" in answer:
            facts = answer["metadata"]
            may_add = facts.get("can_add_library_item", False)
            return {"total": facts["total_rows"], "rows": answer["folder_contents"], "may_add": may_add}
        return answer


class NewItem(Answer):
    """A file that an import has begun to make."""

    id: LibraryItemId
    name: str


class PutThere(Answer):
    """A version that was made from a dataset, with the file it is a version of."""

    item_id: LibraryItemId = Field(validation_alias="library_dataset_id")


class Started(Answer):
    """A job."""

    id: JobId


class Fetched(Answer):
    """The answer to an upload into a folder: a job, and no word of what it will make."""

    jobs: tuple[Started, ...] = Field(min_length=1)


class Role(Answer):
    """A role that Galaxy offers; the private role of a user bears the e-mail address as its name."""

    id: str
    name: Text = ""
    type: Text = ""


class OfferedRoles(Answer):
    """A page of roles; `total` counts all pages."""

    roles: tuple[Role, ...]
    total: int


class LibraryPermissions(Answer):
    """The ids of the roles that hold each right, sorted; an empty `access` means that everybody may read.

    Folders have no `access` (the library's is theirs), items have no `add`.
    """

    access: tuple[str, ...] = ()
    modify: tuple[str, ...] = ()
    manage: tuple[str, ...] = ()
    add: tuple[str, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _translate(cls, answer: Any) -> Any:
        if not isinstance(answer, dict) or not set(answer) & set(_LISTS):
            return answer
        return {right: _role_ids(answer[name]) for name, right in _LISTS.items() if name in answer}


_LISTS: Mapping[str, Literal["access", "modify", "manage", "add"]] = {
    "access_library_role_list": "access",
    "modify_library_role_list": "modify",
    "manage_library_role_list": "manage",
    "add_library_item_role_list": "add",
    "modify_folder_role_list": "modify",
    "manage_folder_role_list": "manage",
    "access_dataset_roles": "access",
    "modify_item_roles": "modify",
    "manage_dataset_roles": "manage",
}
