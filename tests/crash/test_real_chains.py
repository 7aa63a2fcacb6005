"""Workflows in a row on a real Galaxy: SIGKILL where it hurts most, a restart, and BioBlend finds one of everything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.crash.on_real_galaxy import datasets_of, made_here, real_world, sha256, witness
from tests.crash.runner import Runner
from tests.crash.workflow_worlds import CHAIN, batch_of, chain_documents, chain_rule
from tests.delivered import assert_whole, results_in
from tests.live.real_galaxy import RealGalaxy, older_galaxy, real_galaxy
from tests.rarer import rarer
from tests.world import RUN, World
from watcher.config.written import dump_yaml

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]

CASES = (("invoke.copy.act", 1), ("invoke.collection.act", 2), ("invoke.invocation.act", 3))
"""A file for a workflow alone, the tables for the second one, and the second one itself."""

MORE = (("invoke.copy.act", 2), ("invoke.invocation.act", 2), ("invoke.copy.intent", 2), ("poll.record.act", 2))


@pytest.fixture(scope="module", params=["26.1.2", pytest.param("24.1.4", marks=[pytest.mark.older, pytest.mark.slow])])
def real(request: pytest.FixtureRequest) -> Iterator[RealGalaxy]:
    """Return the real Galaxy, of each version."""
    if request.param == "26.1.2":
        yield real_galaxy()
    else:
        with older_galaxy(request.param) as older:
            yield older


@pytest.fixture
def world(tmp_path: Path, real: RealGalaxy) -> Iterator[World]:
    """Return a finished run for the real Galaxy that goes through three workflows given as files."""
    rules = []
    for document, rule in zip(chain_documents(), chain_rule(), strict=False):
        path = tmp_path / f"{rule['key']}.gxwf.yml"
        path.write_text(dump_yaml(document))
        rules.append({"key": rule["key"], "file": str(path), "inputs": rule["inputs"]})
    with real_world(tmp_path, real, workflows=rules, uncertain_for="4s") as made:
        yield made


@pytest.mark.parametrize(
    ("point", "time"), [*CASES, *rarer(MORE)], ids=[f"{point}-{time}" for point, time in (*CASES, *MORE)]
)
async def test_a_kill_leaves_one_of_each_in_a_real_galaxy(
    world: World, runner: Runner, real: RealGalaxy, point: str, time: int
) -> None:
    """Each workflow ran once, on a collection or a copy that was made once; its results are home byte for byte."""
    runner.die(world, point, on=time, factor=1.0)
    runner.finish(world, factor=1.0)
    batch = await batch_of(world)
    assert batch["status"] == "done", batch
    assert sorted((row["key"], row["number"]) for row in batch["attempts"]) == sorted((key, 1) for key in CHAIN)
    ids = {row["key"]: row["id"] for row in batch["attempts"]}
    with witness(real) as galaxy:
        (history,) = made_here(galaxy, world)
        there = galaxy.invocations.get_invocations(history_id=history)
        assert sorted(row["id"] for row in there) == sorted(ids.values())
        rows = galaxy.histories.show_history(history, contents=True, types=["dataset_collection"])
        ours = [row for row in rows if f"watcher:{batch['id']}" in row["tags"]]
        copies = copied(datasets_of(galaxy, history))
        assert (len(ours), len(copies)) == (2, 2), (ours, copies)
        made = {key: set(refs(galaxy.invocations.show_invocation(id)["inputs"])) for key, id in ids.items()}
        own = {("hda", one) for one in copies}
        tables = {("hdca", row["id"]) for row in ours if row["name"] == "tables"}
        assert (len(made["alone"]), made["alone"] & own) == (1, made["alone"])
        assert made["second"] == tables | (own - made["alone"])
        results = [sha256(galaxy.datasets.download_dataset(one)) for id in ids.values() for one in outputs(galaxy, id)]
    folder = world.results / RUN
    assert_whole(folder, 7)
    assert sorted(sha256((folder / path).read_bytes()) for path in results_in(folder)) == sorted(results)


def refs(inputs: Any) -> list[tuple[str, str]]:
    """Return kind and id of what went into an invocation."""
    return [(one["src"], one["id"]) for one in inputs.values()]


def copied(rows: list[Any]) -> list[str]:
    """Return the ids of all datasets that share what is stored with an older one."""
    first: Counter[str] = Counter()
    found = []
    for row in sorted(rows, key=lambda row: row["hid"]):
        first[row["dataset_id"]] += 1
        found += [row["id"]] if first[row["dataset_id"]] > 1 else []
    return found


def outputs(galaxy: Any, invocation: str) -> list[str]:
    """Return the ids of all datasets that an invocation labels."""
    shown = galaxy.invocations.show_invocation(invocation)
    found = [one["id"] for one in shown["outputs"].values()]
    for one in shown["output_collections"].values():
        for sample in galaxy.dataset_collections.show_dataset_collection(one["id"])["elements"]:
            found += [inner["object"]["id"] for inner in sample["object"]["elements"]]
    return found
