"""Whole ways through a library of a real Galaxy, with a daemon that dies again and again: data that lie in one go
through a workflow into a folder, and data of a history through a workflow into one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.crash.exactly_once import assert_delivered_once
from tests.crash.on_real_galaxy import COUNT_READS, made_here, remove_histories, sha256, witness
from tests.crash.runner import Runner
from tests.delivered import results_in
from tests.live.real_galaxy import RealGalaxy, real_galaxy
from tests.world import RUN, World

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(300)]

Json = dict[str, Any]

OUT_OF_ONE = (
    "upload.library.act",
    "upload.import.act",
    "upload.copy.act",
    "invoke.invocation.act",
    "deliver.file.act",
    "deliver.manifest.act",
)
INTO_ONE = (
    "upload.fetch.act",
    "invoke.invocation.act",
    "deliver.library.act",
    "deliver.folder.act",
    "deliver.item.act",
    "deliver.rights.intent",
    "deliver.rights.act",
    "deliver.item.receipt",
    "deliver.moved",
)
"""Where a daemon dies on one and the same way, one after the other."""


@pytest.fixture
def real() -> RealGalaxy:
    """Return the real Galaxy."""
    return real_galaxy()


@contextmanager
def journey(folder: Path, real: RealGalaxy, watch: Json, **rule: Any) -> Iterator[World]:
    """Give a world of one sample that a workflow counts; histories and libraries of the test's name go away."""
    with World(folder) as made:
        made.write_key(real.key)
        here = {"here": str(made.watched), "there": str(made.watched)}
        made.write_config(
            galaxy={"url": real.url, "timeouts": {"read": "60s"}, "paths": [here]},
            watch=watch,
            rule={"workflow": {"file": str(COUNT_READS), "inputs": {"Reads": "reads"}}, **rule},
            limits={"uncertain_for": "4s"},
        )
        made.add_run(samples=("S1",), reads=60, bases=60)
        try:
            yield made
        finally:  # what is left would be found by the next test, and believed to be its own
            remove_histories(real, made)
            with witness(real) as galaxy:
                for library in galaxy.libraries.get_libraries(name=folder.name):
                    galaxy.libraries.delete_library(library["id"])


async def died_at(world: World, runner: Runner, points: Sequence[str]) -> Json:
    """Kill one daemon after the other, let the last one end, and return the only batch."""
    for point in points:
        runner.die(world, point, factor=1.0)
    runner.finish(world, factor=1.0)
    (unit,) = (await world.status())["units"]
    (batch,) = unit["batches"]
    assert (unit["status"], [row["status"] for row in batch["deliveries"]]) == ("done", ["done"]), unit
    return dict(batch)


def made_by(real: RealGalaxy, world: World) -> list[str]:
    """Return the SHA-256 of each result of the only invocation; AssertionError when there is another one."""
    with witness(real) as galaxy:
        (history,) = made_here(galaxy, world)
        (invocation,) = galaxy.invocations.get_invocations(history_id=history)
        found = []
        for output in galaxy.invocations.show_invocation(invocation["id"])["output_collections"].values():
            for sample in galaxy.dataset_collections.show_dataset_collection(output["id"])["elements"]:
                ids = [element["object"]["id"] for element in sample["object"]["elements"]]
                found += [sha256(galaxy.datasets.download_dataset(one)) for one in ids]
        return sorted(found)


def in_library(real: RealGalaxy, name: str) -> tuple[list[str], dict[str, Json]]:
    """Return the folders, and the files by their ways, of the only library of this name; each is there once."""
    with witness(real) as galaxy:
        (library,) = galaxy.libraries.get_libraries(name=name)
        rows = galaxy.libraries.show_library(library["id"], contents=True)
        files = [row for row in rows if row["type"] == "file"]
        assert set(Counter(row["name"] for row in rows).values()) == {1}
        shown = {row["name"]: galaxy.libraries.show_dataset(library["id"], row["id"]) for row in files}
        return sorted(row["name"] for row in rows if row["type"] == "folder"), shown


def bytes_of(real: RealGalaxy, item: str) -> str:
    """Return the SHA-256 of a file of a library."""
    path = f"{real.url}/api/libraries/datasets/download/uncompressed?ld_ids={item}"
    return sha256(httpx.get(path, headers={"x-api-key": real.key}, timeout=60).raise_for_status().content)


def is_shown_to(real: RealGalaxy, key: str, item: str) -> bool:
    """Tell whether whoever has this key sees a file of a library."""
    path = f"{real.url}/api/libraries/datasets/{item}"
    return httpx.get(path, headers={"x-api-key": key}, timeout=60).status_code < 400


async def test_out_of_a_library_into_a_folder(tmp_path: Path, runner: Runner, real: RealGalaxy) -> None:
    """Files are linked into a library, a workflow runs over them, and what it made lies in a folder, each once."""
    place = {"library": {"name": tmp_path.name, "folder": "{run}"}}
    with journey(tmp_path, real, {"transfer": "link"}, destination=place) as world:
        batch = await died_at(world, runner, OUT_OF_ONE)
        assert batch["checked"] == "size"
        _, files = in_library(real, tmp_path.name)
        assert set(files) == {f"/{RUN}/{name}" for name in world.fastqs()}
        assert_delivered_once(world.results / RUN)
        folder = world.results / RUN
        assert sorted(sha256((folder / path).read_bytes()) for path in results_in(folder)) == made_by(real, world)


async def test_out_of_a_history_into_a_library(tmp_path: Path, runner: Runner, real: RealGalaxy) -> None:
    """What a workflow made of a history's datasets are items of a library, each once, named and for nobody else."""
    place = {"library": {"name": tmp_path.name, "folder": "runs/{run}"}}
    with journey(tmp_path, real, {}, deliver=place) as world:
        batch = await died_at(world, runner, INTO_ONE)
        assert batch["deliveries"][0]["target"] == f"library {tmp_path.name}/runs/{RUN}"
        folders, files = in_library(real, tmp_path.name)
        made = {path.rpartition("/")[0] for path in files}
        assert {f"/runs/{RUN}", "/runs", "/"} | made <= set(folders)
        assert all(path.startswith(f"/runs/{RUN}/") and "/S1/" in path for path in files)
        assert sorted(path.rpartition("/")[2].partition(".")[0] for path in files) == sorted(["forward", "reverse"] * 2)
        for shown in files.values():
            assert shown["state"] == "ok"
            assert shown["message"].startswith(f"watcher:{batch['id']} ")
            assert not is_shown_to(real, real.second_key, shown["id"])
        assert sorted(bytes_of(real, shown["id"]) for shown in files.values()) == made_by(real, world)
