"""What a measurement brings: figures with their targets, in tables.

Whether a target is met is computed here, from the measured value alone. How it looks is the question of `page.py`.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Target:
    """A promise about a figure: it stays `below` a limit, or reaches one (`at_least`)."""

    below: float | None = None
    at_most: float | None = None
    at_least: float | None = None

    def is_met(self, value: float) -> bool:
        """Say whether the value keeps the promise."""
        return (
            (self.below is None or value < self.below)
            and (self.at_most is None or value <= self.at_most)
            and (self.at_least is None or value >= self.at_least)
        )

    def shown(self, unit: str) -> str:
        """Return the promise in words."""
        words = {"under": self.below, "at most": self.at_most, "at least": self.at_least}
        return " and ".join(f"{word} {limit:g} {unit}".strip() for word, limit in words.items() if limit is not None)


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value; `how` says of how many, and what else it stands for."""

    what: str
    value: float
    unit: str
    how: str = ""
    target: Target | None = None
    digits: int = 2

    @property
    def verdict(self) -> str:
        """Return `met`, `missed`, or nothing where nothing was promised."""
        if self.target is None:
            return ""
        return "met" if self.target.is_met(self.value) else "missed"


@dataclass(frozen=True, slots=True)
class Table:
    """Figures that belong together, with what a reader must know of how they came about."""

    title: str
    about: str
    figures: tuple[Figure, ...]


class NotMeasured(Exception):
    """Something is missing on this machine; the page says so under the title, in place of a table."""

    def __init__(self, title: str, reason: str) -> None:
        super().__init__(f"{title}: {reason}")
        self.title = title
        self.reason = reason


def median_of(
    what: str, values: Sequence[float], unit: str, *, target: Target | None = None, digits: int = 2
) -> Figure:
    """Make a figure of the median, naming the least and the most."""
    how = f"median of {len(values)}; {min(values):.{digits}f} to {max(values):.{digits}f}"
    return Figure(what, statistics.median(values), unit, how, target, digits)
