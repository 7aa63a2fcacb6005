"""A small world with one pair of files in several chunks, and the warm process that daemons are forked from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.crash.exactly_once import FROM_FILE, READER
from tests.crash.runner import LIMITS, Runner
from tests.stages.shelves import LIBRARY, into_library
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


@contextmanager
def library_world(folder: Path, transfer: str) -> Iterator[World]:
    """Give a finished run of two files that goes into a library, one file with each request, and a workflow to import;
    lost answers as above.
    """
    with World(folder, admin=True) as made:
        made.write_workflow(FROM_FILE)
        into_library(
            made,
            transfer,
            rule={
                "destination": {"library": {"name": LIBRARY, "folder": "runs/{run}"}},
                "workflow": made.workflow,
                "deliver": {"folder": f"{made.results}/{{run}}"},
            },
            limits={**LIMITS, "library_files": 1},
        )
        made.add_run(samples=("S1",), reads=60, bases=60)
        yield made


@pytest.fixture
def linked(tmp_path: Path) -> Iterator[World]:
    """Return such a run that is linked."""
    with library_world(tmp_path, "link") as made:
        yield made


@pytest.fixture
def shelved(tmp_path: Path) -> Iterator[World]:
    """Return such a run that is sent."""
    with library_world(tmp_path, "tus") as made:
        yield made
