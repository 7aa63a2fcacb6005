"""Workflows that wait for each other: outputs that go on, order alone, and what is never started."""

from __future__ import annotations

import pytest

from tests.endings.served import Json, ServedWorld
from tests.endings.workflows import READ_1, first_of_chain, one_file, second_of_chain

PAIR = ("forward", "reverse")
BOTH = {"Reads": "reads", "File": {"read": "R1"}}
TAKES = {"Tables": {"from": "first", "output": "tables"}, "Table": {"from": "first", "output": "table"}}


def fan(world: ServedWorld, *, code: int = 0) -> list[Json]:
    """Return a workflow and two that come after it: one takes its outputs, one only waits."""
    return [
        {"key": "first", "file": world.saved(first_of_chain("First", code=code)), "inputs": BOTH},
        {"key": "takes", "file": world.saved(second_of_chain("Takes")), "inputs": TAKES},
        {"key": "waits", "file": world.saved(one_file("Waits")), "inputs": READ_1, "after": "first"},
    ]


@pytest.mark.also_killed
async def test_two_after_one(world: ServedWorld) -> None:
    """The outputs of the first, a dataset and a collection, go into the second; a third only waits for it."""
    world.rule(*fan(world))
    world.add_run(samples=("S1",))
    async with world.living():
        batch = await world.ended("done")
    started = {row["key"]: row["started"] for row in batch["attempts"]}
    assert started["first"] <= started["takes"]
    assert started["first"] <= started["waits"]
    ends = {row["key"]: (row["status"], row["jobs"]) for row in batch["invocations"]}
    assert ends == {"first": ("done", {"ok": 4}), "takes": ("done", {"ok": 3}), "waits": ("done", {"ok": 2})}
    many = [f"{label}/S1/{way}.tabular" for label in ("copies", "tables") for way in PAIR]
    assert [path for path in world.delivered("ok") if "/" in path] == many
    assert world.delivered("failed") == []


@pytest.mark.slow_on_real
async def test_nothing_comes_after_a_failed_one(world: ServedWorld) -> None:
    """When the first fails, those that wait for it are never started, and that is said."""
    world.rule(*fan(world, code=3))
    world.add_run(samples=("S1",))
    async with world.living():
        batch = await world.ended("failed")
    assert [row["key"] for row in batch["attempts"]] == ["first"]
    assert len(world.invocations(batch)) == 1
    assert "exit code 3" in batch["reason"]
    for name in ("Takes", "Waits"):
        assert f"{name}.gxwf.yml` was not started." in batch["reason"]
    assert world.delivered("ok") == []
    assert "tables/S1/forward.tabular" in world.delivered("failed")
