"""A world per test, see `tests/world.py`, and mounts of its own."""

from tests.disk.conftest import mount_tmpfs
from tests.world import world

__all__ = ["mount_tmpfs", "world"]
