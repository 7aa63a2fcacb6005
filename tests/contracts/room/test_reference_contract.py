"""Data that was there before is found by name in a history or a library, or by its id, on every server alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tests.contracts.room.conftest import GalaxyServer, Prepared, as_user
from tests.contracts.room.library import folder, library, settled
from watcher.galaxy import Galaxy
from watcher.galaxy.library_answers import Folder, Library
from watcher.model import HistoryId, PlannedReference
from watcher.stages.references import Reference, find_references

__all__ = ["folder", "library"]

NOBODYS = "0123456789abcdef"


async def found(galaxy: Galaxy, value: Mapping[str, Any], fixed: PlannedReference | None = None) -> Reference:
    """Return what is found for an input."""
    references, problems = await find_references(galaxy, {"Genome": value}, {"Genome": fixed} if fixed else None)
    assert problems == []
    return references["Genome"]


async def told(galaxy: Galaxy, value: Mapping[str, Any], fixed: PlannedReference | None = None) -> tuple[str, str]:
    """Return message and hint of what is wrong with an input."""
    references, problems = await find_references(galaxy, {"Genome": value}, {"Genome": fixed} if fixed else None)
    assert references == {}
    return problems[0].message, problems[0].hint


async def test_a_dataset_and_a_collection_are_found_in_a_history(galaxy: Galaxy, prepared: Prepared) -> None:
    """By name, in a history told by its id; with the extension, and of a collection its type as well."""
    name, id = next(iter(prepared.datasets.items()))
    got = await found(galaxy, {"history": prepared.history, "name": "240612"})
    assert got == Reference(
        PlannedReference(src="hdca", id=prepared.collection, name="240612"), ("fastqsanger.gz",), "list:paired"
    )
    assert await found(galaxy, {"src": "hdca", "id": prepared.collection}) == got
    by_id = await found(galaxy, {"src": "hda", "id": id})
    assert by_id == Reference(PlannedReference(src="hda", id=id, name=name), ("fastqsanger.gz",))


async def test_what_is_not_good_is_no_reference(galaxy: Galaxy, prepared: Prepared) -> None:
    """A dataset in state error is told with its state, by name and by id; a wrong name with what was meant."""
    assert (await told(galaxy, {"history": prepared.history, "name": "24O612"}))[1] == "Did you mean `240612`?"
    if not (await galaxy.features()).fetch_hashes:
        return  # there nothing is wrong with it
    by_name = await told(galaxy, {"history": prepared.history, "name": "broken.fastq.gz"})
    assert "`broken.fastq.gz` in history `contract tests` is not good (error)." in by_name[0]
    by_id = await told(galaxy, {"src": "hda", "id": prepared.broken})
    assert by_id[0] == "Input “Genome”: `broken.fastq.gz` is not good (error)."


@pytest.mark.parametrize("src", ["hda", "hdca", "ld", "ldda"])
async def test_what_nobody_may_read_is_told(galaxy: Galaxy, src: str) -> None:
    """An id that leads nowhere is one sentence, never a crash."""
    message, hint = await told(galaxy, {"src": src, "id": NOBODYS})
    assert f"nothing with the id {NOBODYS} ({src})" in message
    assert "Ids differ between servers" in hint


async def test_a_dataset_of_somebody_else_is_told(
    galaxy: Galaxy, galaxy_server: GalaxyServer, prepared: Prepared, history: HistoryId
) -> None:
    """Neither a private dataset by its id nor a history by its name is another account's."""
    id = next(iter(prepared.datasets.values()))
    await galaxy.datasets.make_private(id)
    async with as_user(galaxy_server, galaxy_server.second_key) as other:
        assert "nothing with the id" in (await told(other, {"src": "hda", "id": id}))[0]
        assert "no history" in (await told(other, {"history": history, "name": "x"}))[0]


async def test_a_file_of_a_library_is_found_by_its_way(
    galaxy: Galaxy, galaxy_server: GalaxyServer, prepared: Prepared, library: Library, folder: Folder
) -> None:
    """Its version is what a workflow gets; once a person put another there of the same name, nobody can tell."""
    name, id = list(prepared.datasets.items())[1]
    item = await galaxy.libraries.copy_from_history(folder.id, id)
    (listed,) = await settled(galaxy, folder.id, 1)
    planned = PlannedReference(src="ldda", id=listed.version_id, name=f"{library.name}/run/{name}")
    value = {"library": library.name, "path": f"run/{name}"}
    assert await found(galaxy, value) == Reference(planned, ("fastqsanger.gz",))
    assert await found(galaxy, value, planned) == Reference(planned, ("fastqsanger.gz",))
    assert (await found(galaxy, {"src": "ld", "id": item})).planned.id == listed.version_id
    version = {"src": "ldda", "id": listed.version_id}
    assert await found(galaxy, version) == Reference(PlannedReference(**version, name=name), ("fastqsanger.gz",))
    shown = await galaxy.libraries.version(listed.version_id)
    assert (shown.id, shown.name, shown.state, shown.deleted) == (listed.version_id, name, "ok", False)
    older = planned.model_copy(update={"id": NOBODYS})
    assert "has another version since it was planned" in (await told(galaxy, value, older))[0]
    assert (await told(galaxy, {**value, "path": f"rum/{name}"}))[1] == "Did you mean `run`?"
    assert f"has no file `{name}x`" in (await told(galaxy, {**value, "path": f"run/{name}x"}))[0]
    assert "there is no library" in (await told(galaxy, {**value, "library": "contrast"}))[0]
    await galaxy.libraries.copy_from_history(folder.id, id)
    await settled(galaxy, folder.id, 2)
    assert f"Galaxy has 2 files `{library.name}/run/{name}`" in (await told(galaxy, value))[0]


async def test_a_file_that_the_account_may_not_read_is_not_there(
    galaxy: Galaxy, galaxy_server: GalaxyServer, prepared: Prepared, library: Library, folder: Folder
) -> None:
    """Galaxy lists no file of a library to those who may not read it, and the watcher says that it may be so."""
    name, id = list(prepared.datasets.items())[2]
    await galaxy.datasets.make_private(id)
    await galaxy.libraries.copy_from_history(folder.id, id)
    await settled(galaxy, folder.id, 1)
    async with as_user(galaxy_server, galaxy_server.second_key) as other:
        message, hint = await told(other, {"library": library.name, "path": f"run/{name}"})
    assert "that the account may see" in message
    assert "allowed to read it" in hint


async def test_any_history_is_one_of_the_accounts_own(galaxy: Galaxy, history: HistoryId) -> None:
    """Galaxy tells some things only for a history: any that is not deleted will do."""
    del history  # there is at least this one
    some = await galaxy.offers.any_history()
    assert some in [one.id for one in await galaxy.histories.own()]
