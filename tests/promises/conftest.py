"""A world per test; see `tests/world.py`."""

from tests.world import world

__all__ = ["world"]
