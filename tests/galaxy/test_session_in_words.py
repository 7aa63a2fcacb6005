"""What Galaxy says of a dataset may name the file of an upload, whose last part is the id of the session: a secret."""

from __future__ import annotations

from watcher.galaxy.answers import CollectionElement, DatasetFacts
from watcher.galaxy.library_answers import LibraryItemFacts

SESSION = "0123456789abcdef0123456789abcdef"
SAID = f"No such file or directory: '/data/tus_upload_store/{SESSION}' (MD5 {SESSION})"
TOLD = f"No such file or directory: '/data/tus_upload_store/***' (MD5 {SESSION})"


def test_of_a_dataset() -> None:
    """The rest of the words stays, a hash that is no part of a path as well."""
    assert DatasetFacts.model_validate({"id": "a", "state": "error", "misc_info": SAID}).misc_info == TOLD


def test_of_an_element() -> None:
    """As it is inside a collection."""
    inner = {"id": "a", "state": "error", "misc_info": SAID, "model_class": "HistoryDatasetAssociation"}
    answer = {"element_identifier": "S1", "element_type": "hda", "object": inner}
    assert CollectionElement.model_validate(answer).misc_info == TOLD


def test_of_an_item_of_a_library() -> None:
    """In both places where Galaxy says something of it."""
    answer = {"id": "a", "ldda_id": "b", "parent_library_id": "c", "folder_id": "d", "message": SAID, "misc_info": SAID}
    facts = LibraryItemFacts.model_validate(answer)
    assert (facts.message, facts.misc_info) == (TOLD, TOLD)
