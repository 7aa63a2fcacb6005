"""A small world with one pair of files in several chunks, and the warm process that daemons are forked from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.exactly_once import FROM_FILE, READER
from tests.crash.runner import LIMITS, Runner
from tests.world import World


@pytest.fixture(scope="session")
def runner() -> Iterator[Runner]:
    """Return the process that daemons are forked from; one for all tests."""
    with Runner() as started:
        yield started


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Return a finished run of one sample that is shared with a user, and a workflow to import.

    On the daemon's clock a lost answer may still come true for ten seconds.
    """
    with World(tmp_path) as made:
        made.write_workflow(FROM_FILE)
        made.write_config(limits=LIMITS, rule={"destination": {"share": {"users": [READER]}}})
        made.add_run(samples=("S1",), reads=60, bases=60)
        yield made
