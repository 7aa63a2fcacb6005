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
def library_world(
    folder: Path, transfer: str, *, at: tuple[str, ...] = (), keeps: bool = False, files: int = 1
) -> Iterator[World]:
    """Give a finished run of two files that goes into a library, so many files with each request, and a workflow to
    import; lost answers as above. The files lie `at` these folders, which the library keeps or not.
    """
    with World(folder, admin=True) as made:
        made.fake.state.import_folder = made.watched
        made.write_workflow(FROM_FILE)
        into_library(
            made,
            transfer,
            rule={
                "destination": {"library": {"name": LIBRARY, "folder": "runs/{run}", "keep_folders": keeps}},
                "workflow": made.workflow,
                "deliver": {"folder": f"{made.results}/{{run}}"},
            },
            limits={**LIMITS, "library_files": files},
        )
        run = made.add_run(samples=("S1",), reads=60, bases=60)
        for path, inside in zip(sorted(run.glob("*.fastq.gz")), at, strict=bool(at)):
            (run / inside).mkdir(parents=True, exist_ok=True)
            path.rename(run / inside / path.name)
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


@pytest.fixture
def named(tmp_path: Path) -> Iterator[World]:
    """Return such a run in a folder of Galaxy's import folder, which is taken whole and answered with its items."""
    with library_world(tmp_path, "import_dir", at=("reads", "reads"), files=2) as made:
        yield made


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[World]:
    """Return such a run in folders that the library keeps, which are taken with one import."""
    with library_world(tmp_path, "import_dir", at=("reads/one", "reads/two"), keeps=True, files=2) as made:
        yield made
