"""A world for each scenario, on each server: the fake as three versions, real ones of the same.

What differs by version runs on all of them, all else (`newest`) on the newest, fake and real. To keep `make test`
quick, some of both (`slow_on_real`) meet a real one in `make test-extra` alone.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.endings.served import ServedWorld
from tests.fakes.galaxy import FakeGalaxy
from tests.live.real_galaxy import RealGalaxy
from tests.servers import GalaxyServer


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out the older servers where only the newest is wanted, and call slow what is so on a real one."""
    here = Path(__file__).parent
    kept = []
    for item in items:
        if item.path.parent == here and isinstance(item, pytest.Function):
            server: Any = item.callspec.params["galaxy_server"]
            kind, version = server
            if version and item.get_closest_marker("newest"):
                continue
            if kind == "real" and item.get_closest_marker("slow_on_real"):
                item.add_marker(pytest.mark.slow)
        kept.append(item)
    items[:] = kept


@pytest.fixture
def served(tmp_path: Path, galaxy_server: GalaxyServer, request: pytest.FixtureRequest) -> ServedWorld:
    """Return a world, not entered yet, on this server; a fake one is of its version and the world's own."""
    ordinary = request.node.get_closest_marker("ordinary") is not None
    if isinstance(galaxy_server, FakeGalaxy):
        return ServedWorld(tmp_path, version=galaxy_server.version, ordinary=ordinary, second=1.0)
    assert isinstance(galaxy_server, RealGalaxy)
    _refuse_without_tools(galaxy_server)
    return ServedWorld(tmp_path, real=galaxy_server, ordinary=ordinary)


@pytest.fixture
async def world(served: ServedWorld) -> AsyncIterator[ServedWorld]:
    """Give the world; what it made in a real Galaxy goes away at the end."""
    with served:
        yield served
        await served.remove()


def _refuse_without_tools(real: RealGalaxy) -> None:
    if httpx.get(f"{real.url}/api/tools/enough_reads", timeout=60).status_code == 404:
        pytest.skip("the real Galaxy has none of the tools in tests/live/tools")
