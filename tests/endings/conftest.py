"""A world for each scenario, on each server: the fake as three versions, real ones of the same.

What differs by version runs on all of them (`world`), all else on the newest, fake and real (`newest`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.endings.served import ServedWorld
from tests.fakes.galaxy import FakeGalaxy
from tests.live.real_galaxy import RealGalaxy
from tests.servers import FAKE_AND_REAL, GalaxyServer


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run scenarios that ask for `newest` on the newest servers alone."""
    if "newest" in metafunc.fixturenames:
        metafunc.parametrize("galaxy_server", FAKE_AND_REAL, indirect=True, scope="session")


@pytest.fixture
def served(tmp_path: Path, galaxy_server: GalaxyServer, request: pytest.FixtureRequest) -> ServedWorld:
    """Return a world, not entered yet, on this server; a fake one is of its version and the world's own."""
    ordinary = request.node.get_closest_marker("ordinary") is not None
    if isinstance(galaxy_server, FakeGalaxy):
        return ServedWorld(tmp_path, version=galaxy_server.version, ordinary=ordinary, second=0.05)
    assert isinstance(galaxy_server, RealGalaxy)
    _refuse_without_tools(galaxy_server)
    return ServedWorld(tmp_path, real=galaxy_server, ordinary=ordinary)


@pytest.fixture
async def world(served: ServedWorld) -> AsyncIterator[ServedWorld]:
    """Give the world; what it made in a real Galaxy goes away at the end."""
    with served:
        yield served
        await served.remove()


@pytest.fixture
def newest(world: ServedWorld) -> ServedWorld:
    """Return the world of a scenario that is the same on all versions."""
    return world


def _refuse_without_tools(real: RealGalaxy) -> None:
    if httpx.get(f"{real.url}/api/tools/enough_reads", timeout=60).status_code == 404:
        pytest.skip("the real Galaxy has none of the tools in tests/live/tools")
