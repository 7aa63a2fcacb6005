"""How Galaxy numbers the steps of a workflow that it takes in, whatever numbers the file has.

They are walked as they are drawn, nearest to the upper left first, where the file tells all places, and each comes as
soon as all that it needs has come (measured on 24.1.4, 25.0.4 and 26.1.2).
"""

from __future__ import annotations

import math
from typing import Any

Json = dict[str, Any]


def renumbered(steps: Json) -> Json:
    """Give the steps of a `.ga` file under their new numbers, connections included."""
    rows = [row for _, row in sorted(steps.items(), key=lambda item: int(item[0]))]
    places = [row.get("position") or {} for row in rows]
    if rows and all("left" in place and "top" in place for place in places):
        left, top = min(place["left"] for place in places), min(place["top"] for place in places)
        rows.sort(key=lambda row: math.hypot(row["position"]["left"] - left, row["position"]["top"] - top))
    walked = _walked({int(row["id"]): _needed(row) for row in rows})
    if len(walked) < len(rows):
        return steps
    numbers = {old: new for new, old in enumerate(walked)}
    by_id = {int(row["id"]): row for row in rows}
    return {str(new): _moved(by_id[old], new, numbers) for old, new in numbers.items()}


def _links(value: Any) -> list[Json]:
    return value if isinstance(value, list) else [value]


def _needed(row: Json) -> list[int]:
    return [int(link["id"]) for links in (row.get("input_connections") or {}).values() for link in _links(links)]


def _walked(needs: dict[int, list[int]]) -> list[int]:
    left = {step: list(needed) for step, needed in needs.items()}
    walked = [step for step, needed in left.items() if not needed]
    for done in walked:
        for step, needed in left.items():
            if done in needed:
                left[step] = needed = [one for one in needed if one != done]
                if not needed:
                    walked.append(step)
    return walked


def _moved(row: Json, number: int, numbers: dict[int, int]) -> Json:
    connections = {}
    for name, links in (row.get("input_connections") or {}).items():
        moved = [{**link, "id": numbers[int(link["id"])]} for link in _links(links)]
        connections[name] = moved if isinstance(links, list) else moved[0]
    return {**row, "id": number, "input_connections": connections}
