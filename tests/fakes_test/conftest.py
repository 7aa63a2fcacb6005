"""The servers the contract tests run against: the fake always, a real one where the environment names it."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.fakes.galaxy import FakeGalaxy
from tests.fakes_test.ground import Ground, lay_ground
from tests.fakes_test.raw_galaxy import RawGalaxy

REAL_URL = "WATCHER_TEST_GALAXY_URL"
REAL_KEY = "WATCHER_TEST_GALAXY_KEY"


@pytest.fixture(scope="session")
def fake_ground() -> Iterator[Ground]:
    """Give the fake server, played by an administrator as the real one is, with the ground laid."""
    with FakeGalaxy(admin=True) as fake:
        yield lay_ground(RawGalaxy(fake.url, fake.key))


@pytest.fixture(scope="session")
def real_ground() -> Ground:
    """Give the real server with the ground laid; skipped where none is configured."""
    url, key = os.environ.get(REAL_URL), os.environ.get(REAL_KEY)
    if not url or not key:
        pytest.skip(f"no real Galaxy: set {REAL_URL} and {REAL_KEY}")
    return lay_ground(RawGalaxy(url.rstrip("/"), key))


@pytest.fixture(params=["fake", pytest.param("real", marks=[pytest.mark.real, pytest.mark.timeout(180)])])
def ground(request: pytest.FixtureRequest) -> Ground:
    """Give each server in turn."""
    chosen: Ground = request.getfixturevalue(f"{request.param}_ground")
    return chosen
