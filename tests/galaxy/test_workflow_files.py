"""Steps of a workflow file are numbered as Galaxy numbers them when it takes the file in."""

from __future__ import annotations

from typing import Any

import pytest

from watcher.galaxy.workflow_files import in_order


def step(number: int, left: int | None, *needed: int, **more: Any) -> dict[str, Any]:
    """Return a step at this place which takes something of others."""
    place = {} if left is None else {"position": {"left": left, "top": 0}}
    connections = {f"in{one}": {"id": one, "output_name": "output"} for one in needed}
    return {"id": number, "label": f"was {number}", "input_connections": connections, **place, **more}


def order(*steps: dict[str, Any]) -> list[str]:
    """Return the labels in the order of the new numbers."""
    rows = in_order({str(row["id"]): row for row in steps})
    assert [row["id"] for row in rows] == list(range(len(rows)))
    return [row["label"] for row in rows]


def test_steps_are_numbered_as_they_are_drawn() -> None:
    """Of steps that could come next, the one nearer to the upper left comes first."""
    assert order(step(0, 0), step(1, 400, 0), step(2, 200, 0)) == ["was 0", "was 2", "was 1"]
    assert order(step(0, 300), step(1, -50)) == ["was 1", "was 0"]


def test_a_step_comes_when_all_that_it_needs_has_come() -> None:
    """What a step needs comes before it, wherever it is drawn; connections follow the new numbers."""
    steps = {"0": step(0, 0, 2), "1": step(1, 100), "2": step(2, 200)}
    rows = in_order(steps)
    assert [row["label"] for row in rows] == ["was 1", "was 2", "was 0"]
    assert rows[2]["input_connections"] == {"in2": [{"id": 1, "output_name": "output"}]}
    assert steps["0"]["id"] == 0, "what was given is left alone"


@pytest.mark.parametrize("left", [None, 0])
def test_without_places_the_file_decides(left: int | None) -> None:
    """Where a step has no place, or all have the same, the numbers of the file decide."""
    assert order(step(0, 50), step(1, left)) == (["was 0", "was 1"] if left is None else ["was 1", "was 0"])
    assert order(step(0, left), step(1, left)) == ["was 0", "was 1"]


def test_strange_files_keep_their_numbers() -> None:
    """A circle of steps keeps its numbers, and connections to labels are left as they are."""
    assert sorted(row["id"] for row in in_order({"0": step(0, 9, 1), "1": step(1, 0, 0)})) == [0, 1]
    (alone,) = in_order({"0": {"id": 0, "input_connections": {"a": {"type": "Reads"}, "b": None, "c": "wide"}}})
    assert alone["input_connections"] == {"a": [{"type": "Reads"}], "b": [None], "c": ["wide"]}
