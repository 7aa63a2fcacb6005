"""Results as files of a library: told by a message from the first instant on, and named by whoever may only add."""

from __future__ import annotations

import pytest

from tests.contracts.room.conftest import GalaxyServer, as_user, ended, send, until
from tests.contracts.room.library import folder, library
from watcher.errors import Forbidden
from watcher.galaxy import Galaxy
from watcher.galaxy.fetch import FetchElement
from watcher.galaxy.library_answers import Folder, Library
from watcher.model import DatasetId, HistoryId

__all__ = ["folder", "library"]

CONTENT = b"some\tbytes\n"


async def dataset_in(galaxy: Galaxy, history: HistoryId) -> DatasetId:
    """Return a dataset of the history that is ready."""
    session = await send(galaxy, CONTENT, "x")
    receipt = await galaxy.fetch.register(history, [FetchElement("table on data 1", "tabular", session, ())])
    await until(lambda: ended(galaxy, history))
    return receipt.dataset_ids[0]


async def test_a_file_is_found_by_its_message(galaxy: Galaxy, history: HistoryId, folder: Folder) -> None:
    """The message names one file among others made of the same dataset, also when it is called otherwise; dataset and
    file have the same bytes by one uuid.
    """
    dataset = await dataset_in(galaxy, history)
    message = f"watcher:k7m2x9-1 {dataset}"
    await galaxy.libraries.copy_from_history(folder.id, dataset, message=f"{message}0")
    item = await galaxy.libraries.copy_from_history(folder.id, dataset, message=message)
    (found,) = await galaxy.libraries.items(folder.id, message=message)
    assert (found.id, found.name, found.message) == (item, "table on data 1", message)
    await galaxy.libraries.describe_item(item, name="forward.tabular")
    (found,) = await galaxy.libraries.items(folder.id, message=message)
    assert (found.id, found.name, found.message) == (item, "forward.tabular", message)
    facts = await galaxy.libraries.item(item)
    assert (facts.state, facts.size, facts.name) == ("ok", len(CONTENT), "forward.tabular")
    assert facts.uuid == (await galaxy.datasets.get(dataset)).uuid != ""


async def test_who_may_only_add_names_files_all_the_same(
    galaxy: Galaxy, galaxy_server: GalaxyServer, library: Library, folder: Folder
) -> None:
    """Without the right to modify, the account manages what it put there: it gives itself that right."""
    async with as_user(galaxy_server, galaxy_server.second_key) as user:
        role = await user.users.own_role()
        await galaxy.libraries.set_permissions("folder", folder.id, add=[role])
        inner = await user.libraries.create_folder(folder.id, "S1")
        history = await user.histories.create("contract test")
        dataset = await dataset_in(user, history)
        await user.datasets.make_private(dataset)
        assert (await user.datasets.get(dataset)).access_roles == (role,)
        item = await user.libraries.copy_from_history(inner.id, dataset, message="ours")
        with pytest.raises(Forbidden):
            await user.libraries.describe_item(item, name="forward.tabular")
        rights = await user.libraries.permissions("item", item)
        assert (rights.access, rights.modify, rights.manage) == ((role,), (), (role,))
        await user.libraries.set_permissions("item", item, modify=[*rights.modify, role])
        await user.libraries.describe_item(item, name="forward.tabular", tags=["watcher:superseded"])
        (found,) = await user.libraries.items(inner.id)
        assert (found.name, found.tags, found.is_private) == ("forward.tabular", ("watcher:superseded",), True)
        await user.histories.delete(history, purge=True)
