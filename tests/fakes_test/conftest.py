"""The servers the contract tests run against: the fake always, the real one where it can be had."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fakes.galaxy import FakeGalaxy
from tests.fakes_test.ground import Ground, lay_ground
from tests.fakes_test.raw_galaxy import RawGalaxy
from tests.live.real_galaxy import real_galaxy


@pytest.fixture(scope="session")
def fake_ground() -> Iterator[Ground]:
    """Give the fake server, played by an administrator as the real one is, with the ground laid."""
    with FakeGalaxy(admin=True) as fake:
        yield lay_ground(RawGalaxy(fake.url, fake.key))


@pytest.fixture(scope="session")
def real_ground() -> Ground:
    """Give the real server with the ground laid; skipped where none can be had."""
    real = real_galaxy()
    return lay_ground(RawGalaxy(real.url, real.key))


@pytest.fixture(params=["fake", pytest.param("real", marks=[pytest.mark.real])])
def ground(request: pytest.FixtureRequest) -> Ground:
    """Give each server in turn."""
    chosen: Ground = request.getfixturevalue(f"{request.param}_ground")
    return chosen
