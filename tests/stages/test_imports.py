"""A workflow given as a file: imported into Galaxy once, whoever needs it and whatever becomes of the answer."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fakes.galaxy import Fault
from tests.world import RUN, World

pytestmark = pytest.mark.timeout(180)  # a whole way each, also on a busy machine

Json = dict[str, Any]
NAME = "Count reads, from a file"
OTHER_RUN = RUN.replace("0043", "0044")


def imports(world: World) -> int:
    """Return how many workflows of the file there are."""
    return [row["name"] for row in world.fake.workflows()].count(NAME)


async def test_two_rules_and_two_runs_import_a_file_once(world: World) -> None:
    """All of them find the one workflow; the journal of who imported it says so."""
    world.write_workflow(NAME)
    deliver = {"folder": f"{world.results}/{{run}}/{{id}}"}
    rules = [
        {"name": name, "match": match, "workflow": world.workflow, "deliver": deliver}
        for name, match in (("first", {"sample": "S1"}), ("rest", {}))
    ]
    world.write_config(rules=rules)
    world.add_run()
    world.add_run(OTHER_RUN)
    report = await world.once()
    assert [unit["status"] for unit in report["units"]] == ["done", "done"], report
    assert sum(len(unit["batches"]) for unit in report["units"]) == len(world.fake.invocations()) == 4
    assert imports(world) == 1
    assert len(await world.journal("workflow.imported")) == 1


@pytest.mark.parametrize("kind", ["lose_answer", "late"])
async def test_an_import_without_an_answer_is_waited_for_by_all(world: World, kind: str) -> None:
    """One run asks and hears nothing: neither it nor another run asks again while it may still come true."""
    world.write_workflow(NAME)
    fault = world.fake.faults.add(Fault(kind, method="POST", path="/api/workflows", seconds=0.8))
    world.add_run()
    world.add_run(OTHER_RUN)
    report = await world.once()
    assert fault.used_up
    assert [unit["status"] for unit in report["units"]] == ["done", "done"], report
    assert imports(world) == 1


async def test_an_import_that_was_refused_is_asked_for_again(world: World) -> None:
    """Nothing was done: there is nothing to wait for, and the next try imports it."""
    world.write_workflow(NAME)
    refused = world.fake.faults.add(Fault("status", method="POST", path="/api/workflows", status=403))
    world.add_run()
    (unit,) = (await world.once())["units"]
    assert refused.used_up
    assert (unit["stage"], unit["status"]) == ("plan", "held"), unit
    assert imports(world) == 0
    assert world.command("retry", unit["id"]).code == 0
    (unit,) = (await world.once())["units"]
    assert (unit["status"], imports(world)) == ("done", 1)
