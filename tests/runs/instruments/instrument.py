"""What a test knows of one instrument: how to make its run folder, and what should be found in it.

Knows no layout but by its name. The makers are beside it, by vendor; the table of all is in `__init__.py`, what goes
wrong on the way to the watched folder in `trouble.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from tests.runs.run_folders import Tree

Outcome = Literal["ready", "nothing", "failed", "held", "waiting"]
"""What a look should say: whole with reads, over with base calls alone, or one of the three that are no end.

A run whose reads were deleted, packed as nobody can read them, or never came is `held`: a person expected some.
"""

EIGHT_HOURS_S = 8 * 3600.0
# DRAGEN begins after the base calls are copied: whoever sees base calls alone waits a day before he says so.
OVER_A_DAY_S = 30 * 3600.0


@dataclass(frozen=True, slots=True)
class Failure:
    """A run that ended otherwise, or did not end: how its folder differs, and what should be said of it.

    `unit` is the one that is concerned, "" all of them; `layout` is what should recognise the folder where it is not
    the instrument's own, `gone` whether the unit is then not found at all. `quiet_s` is the instrument's without one.
    """

    change: Callable[[Tree], Tree]
    outcome: Outcome
    unit: str = ""
    layout: str = ""
    gone: bool = False
    quiet_s: float | None = None


@dataclass(frozen=True)
class Instrument:
    """One way to write runs, with what should be found in `make()`.

    `samples` and `taken` are by unit, paths relative to the run folder; `last` is the file of a unit that proves it
    complete, no entry = there is no such file and only quiet tells. `quiet_s` is how many seconds everything must have
    been still for `outcome` to be said, and short enough that no fallback without marker applies.
    """

    layout: str
    make: Callable[..., Tree]
    samples: Mapping[str, tuple[str, ...]]
    taken: Mapping[str, tuple[str, ...]]
    last: Mapping[str, str] = field(default_factory=dict)
    failures: Mapping[str, Failure] = field(default_factory=dict)
    outcome: Outcome = "ready"
    quiet_s: float = EIGHT_HOURS_S

    @property
    def units(self) -> tuple[str, ...]:
        """Return the names of the units, in the order they should be found."""
        return tuple(self.taken)

    @property
    def nothing(self) -> bool:
        """Tell whether its runs hold base calls and nothing to take."""
        return self.outcome == "nothing"


def one_unit(
    samples: Iterable[str], taken: Iterable[str], unit: str = "."
) -> tuple[dict[str, tuple[str, ...]], dict[str, tuple[str, ...]]]:
    """Return `samples` and `taken` of an instrument with one unit."""
    return {unit: tuple(samples)}, {unit: tuple(taken)}


def base_calls_only(
    layout: str,
    make: Callable[..., Tree],
    last: str,
    failures: Mapping[str, Failure] | None = None,
    quiet_s: float = EIGHT_HOURS_S,
) -> Instrument:
    """Return an instrument whose runs hold base calls and nothing to take."""
    return Instrument(layout, make, {".": ()}, {".": ()}, {".": last}, failures or {}, "nothing", quiet_s)


def with_file(path: str, content: bytes) -> Callable[[Tree], Tree]:
    """Return a change that has one file say something else, written where it was."""

    def change(tree: Tree) -> Tree:
        changed = tree.copied()
        changed.files[path] = content
        return changed

    return change


def without(*paths: str) -> Callable[[Tree], Tree]:
    """Return a change that leaves files out; each must be there."""

    def change(tree: Tree) -> Tree:
        missing = set(paths) - set(tree.files)
        assert not missing, f"{missing} are not written by this instrument"
        return tree.copied().without(*paths)

    return change


def crashed_before(path: str) -> Callable[[Tree], Tree]:
    """Return a change that ends the writing before this file: a crash, or power that went."""

    def change(tree: Tree) -> Tree:
        order = list(tree.files)
        return tree.copied().without(*order[order.index(path) :])

    return change


def both(*changes: Callable[[Tree], Tree]) -> Callable[[Tree], Tree]:
    """Return one change after the other."""

    def change(tree: Tree) -> Tree:
        for one in changes:
            tree = one(tree)
        return tree

    return change
