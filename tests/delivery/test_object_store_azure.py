"""The same delivery to Azure: what is complete gets its name, what is not, never does."""

from __future__ import annotations

import dataclasses
import hashlib

import obstore
import pytest

from tests.delivery.results import Results
from tests.delivery.stores import AZURITE_KEY, Azure
from tests.delivery.test_object_store import LARGE, MIB, bring
from watcher.delivery.store_access import open_store
from watcher.errors import DeliveryBroken, GalaxyAway

pytestmark = pytest.mark.xdist_group("object stores")


def contents(azure: Azure) -> dict[str, bytes]:
    """Return all objects by key."""
    store = open_store("az", azure.container, azure.options())
    keys = [entry["path"] for batch in obstore.list(store) for entry in batch]
    return {key: bytes(obstore.get(store, key).bytes()) for key in keys}


async def test_results_reach_azure_whole(azure: Azure, results: Results) -> None:
    """Hostile names, an empty and a large file; the second time nothing is read from Galaxy."""
    files = [
        results.add("a", b"x", "../Größe #%41?&.txt"),
        results.add("b", LARGE, "reads", "forward", ext="fastqsanger"),
        results.add("c", b"", "empty", ext="tabular"),
    ]
    delivery = azure.delivery()
    await delivery.prepare(sum(file.size for file in files))
    listed = await bring(delivery, results, *files)
    places = delivery.places(files)
    found = contents(azure)
    assert b"reads/forward" in found.pop("run 7/out/MANIFEST.sha256")
    assert found == {f"run 7/out/{path}": results.contents[file.galaxy_id] for path, file in places.items()}
    assert {path: hashlib.sha256(found[f"run 7/out/{path}"]).hexdigest() for path in listed} == listed
    results.offsets.clear()
    assert await bring(azure.delivery(), results, *files) == listed
    assert results.offsets == []


@pytest.mark.parametrize("content", [b"small", LARGE], ids=["small", "large"])
async def test_what_is_not_galaxys_never_gets_the_name_on_azure(azure: Azure, results: Results, content: bytes) -> None:
    """A wrong checksum and a broken line: there is no object; the next try ends right."""
    file = results.add("a", content, "reads")
    delivery = azure.delivery()
    with pytest.raises(DeliveryBroken, match="is not what Galaxy has"):
        await delivery.put(results, dataclasses.replace(file, sha256="0" * 64), "reads.txt")
    results.cut_at = min(len(content) - 1, 17 * MIB)
    with pytest.raises(GalaxyAway):
        await delivery.put(results, file, "reads.txt")
    assert contents(azure) == {}
    results.cut_at = None
    await delivery.put(results, file, "reads.txt")
    assert contents(azure) == {"run 7/out/reads.txt": content}


@pytest.mark.parametrize("content", [b"small", LARGE], ids=["small", "large"])
async def test_a_different_blob_is_never_overwritten(azure: Azure, results: Results, content: bytes) -> None:
    """It stays, and a person is told; only what an earlier attempt of ours delivered gives way."""
    other = results.add("o", b"other", "reads")
    delivery = azure.delivery()
    await delivery.put(results, other, "reads.txt")
    file = results.add("a", content, "reads")
    with pytest.raises(DeliveryBroken, match="is another object"):
        await delivery.put(results, file, "reads.txt")
    assert contents(azure) == {"run 7/out/reads.txt": b"other"}
    await delivery.put(results, file, "reads.txt", outdated=other.sha256)
    assert contents(azure) == {"run 7/out/reads.txt": content}


async def test_a_missing_container_and_a_wrong_key_are_told_to_a_person(azure: Azure, results: Results) -> None:
    """Both before anything is sent; no key is in the words."""
    azure.container = "never-made"
    with pytest.raises(DeliveryBroken, match="no such bucket or container"):
        await azure.delivery().prepare(1)
    azure.key = AZURITE_KEY.replace("E", "F")
    with pytest.raises(DeliveryBroken, match="refuses our credentials") as caught:
        await azure.delivery().prepare(1)
    assert azure.key not in repr(caught.value) + str(caught.value)
