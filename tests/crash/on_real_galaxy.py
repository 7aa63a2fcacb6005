"""A world whose Galaxy is the real one, and BioBlend as the witness of what is there in the end.

The witness asks the server itself, over a client that is not ours; the watcher's report only names the batch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bioblend.galaxy import GalaxyInstance

from tests.delivered import results_in
from tests.delivery.stores import S3
from tests.live.real_galaxy import RealGalaxy
from tests.stages.test_deliveries_to_stores import store_of
from tests.world import ROOT, World

Json = dict[str, Any]
COUNT_READS = ROOT / "tests" / "live" / "count_reads.ga"


@contextmanager
def real_world(
    folder: Path, real: RealGalaxy, *, workflows: Sequence[Json] = (), store: S3 | None = None, **limits: Any
) -> Iterator[World]:
    """Give a world with one finished sample that goes to the real Galaxy and through a workflow given as a file, or
    through several, each given as a rule names it; the results go to a folder, or to a store.
    """
    with World(folder) as world:
        world.write_key(real.key)
        rule: Json = {"workflow": list(workflows) or {"file": str(COUNT_READS), "inputs": {"Reads": "reads"}}}
        if store:
            rule["deliver"] = {"url": f"s3://{store.bucket}/runs/{{run}}"}
        stores = [store_of(world, store)] if store else []
        world.write_config(galaxy={"url": real.url}, rule=rule, object_stores=stores, limits=limits)
        world.add_run(samples=("S1",), reads=60, bases=60)
        try:
            yield world
        finally:  # what is left would be found by the next test, and believed to be its own
            remove_histories(real, world)


@contextmanager
def witness(real: RealGalaxy) -> Iterator[GalaxyInstance]:
    """Give BioBlend with the same account."""
    yield GalaxyInstance(real.url, key=real.key)


def made_here(galaxy: GalaxyInstance, world: World) -> set[str]:
    """Return the ids of all histories that carry the tag of a unit of this world, or its name before they got it."""
    marks = tuple(f"watcher:{row}-" for row in _unit_ids(world))
    return {
        history["id"]
        for history in galaxy.histories.get_histories()
        if history["name"].startswith(marks) or any(tag.startswith(marks) for tag in history["tags"])
    }


def remove_histories(real: RealGalaxy, world: World) -> None:
    """Delete for good what the world made on the server."""
    with witness(real) as galaxy:
        for history in made_here(galaxy, world):
            galaxy.histories.delete_history(history, purge=True)


def _unit_ids(world: World) -> list[str]:
    ended = world.command("status", "--json")
    return [unit["id"] for unit in ended.report["units"]]


def sha256(content: bytes) -> str:
    """Return the SHA-256 in hex."""
    return hashlib.sha256(content).hexdigest()


def datasets_of(galaxy: GalaxyInstance, history: str) -> list[Json]:
    """Return all datasets of a history, deleted ones as well, each as the server shows it."""
    rows = galaxy.histories.show_history(history, contents=True, details="all")
    return [row for row in rows if row["history_content_type"] == "dataset"]


def assert_real_exactly_once(real: RealGalaxy, world: World, batch_id: str, folder: Path) -> None:
    """Hold the server against the run: one history, dataset, collection, invocation, delivered file of each."""
    with witness(real) as galaxy:
        (history,) = made_here(galaxy, world)
        _assert_datasets(galaxy, history, world, batch_id)
        _assert_collection(galaxy, history, batch_id)
        _assert_results(galaxy, history, folder)


def _assert_datasets(galaxy: GalaxyInstance, history: str, world: World, batch_id: str) -> None:
    ours = [
        row
        for row in datasets_of(galaxy, history)
        if any(tag.startswith(f"watcher:{batch_id}.") for tag in row["tags"])
    ]
    assert sorted(row["name"] for row in ours) == sorted(world.fastqs())
    for row in ours:
        assert (row["state"], row["deleted"], row["extension"]) == ("ok", False, "fastqsanger.gz")
        expected = world.fastqs()[row["name"]]
        listed = {found["hash_function"]: found["hash_value"] for found in row["hashes"]}
        assert listed["SHA-256"] == expected
        assert sha256(galaxy.datasets.download_dataset(row["id"])) == expected


def _assert_collection(galaxy: GalaxyInstance, history: str, batch_id: str) -> None:
    rows = galaxy.histories.show_history(history, contents=True, types=["dataset_collection"])
    (ours,) = [row for row in rows if f"watcher:{batch_id}" in row["tags"]]
    shown = galaxy.dataset_collections.show_dataset_collection(ours["id"])
    assert shown["collection_type"] == "list:paired"
    identifiers = {
        sample["element_identifier"]: [inner["element_identifier"] for inner in sample["object"]["elements"]]
        for sample in shown["elements"]
    }
    assert identifiers == {"S1": ["forward", "reverse"]}


def _assert_results(galaxy: GalaxyInstance, history: str, folder: Path) -> None:
    (invocation,) = galaxy.invocations.get_invocations(history_id=history)
    shown = galaxy.invocations.show_invocation(invocation["id"])
    in_galaxy = []
    for output in shown["output_collections"].values():
        collection = galaxy.dataset_collections.show_dataset_collection(output["id"])
        for sample in collection["elements"]:
            for element in sample["object"]["elements"]:
                in_galaxy.append(sha256(galaxy.datasets.download_dataset(element["object"]["id"])))
    delivered = results_in(folder)
    assert len(in_galaxy) == len(delivered) == 4
    assert sorted(sha256((folder / path).read_bytes()) for path in delivered) == sorted(in_galaxy)
