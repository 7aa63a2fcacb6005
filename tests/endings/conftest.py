"""A world for each scenario, on each server: the fake as three versions, real ones of the same.

What differs by version runs on all of them, all else (`newest`) on the newest, fake and real. To keep `make test`
quick, some of both (`slow_on_real`) meet a real one in `make test-extra` alone. There the endings that everything
else is made of (`also_killed`) come about once more with a daemon that dies at each point, on every real server.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.crash.conftest import runner
from tests.endings.served import ServedWorld
from tests.fakes.galaxy import FakeGalaxy
from tests.live.real_galaxy import RealGalaxy
from tests.servers import GalaxyServer

__all__ = ["runner"]


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
            if item.callspec.params["dies"]:
                if not item.get_closest_marker("also_killed") or (kind == "fake" and version):
                    continue
                item.add_marker(pytest.mark.slow)
            if kind == "real" and item.get_closest_marker("slow_on_real"):
                item.add_marker(pytest.mark.slow)
        kept.append(item)
    items[:] = kept


@pytest.fixture(params=[pytest.param(False, id="lives"), pytest.param(True, id="dies")])
def dies(request: pytest.FixtureRequest) -> bool:
    """Tell whether the daemon dies at each point it comes to."""
    return bool(request.param)


@pytest.fixture
def served(tmp_path: Path, galaxy_server: GalaxyServer, dies: bool, request: pytest.FixtureRequest) -> ServedWorld:
    """Return a world, not entered yet, on this server; a fake one is of its version and the world's own."""
    runner = request.getfixturevalue("runner") if dies else None
    ordinary = request.node.get_closest_marker("ordinary") is not None
    if isinstance(galaxy_server, FakeGalaxy):
        return ServedWorld(tmp_path, version=galaxy_server.version, ordinary=ordinary, second=1.0, runner=runner)
    assert isinstance(galaxy_server, RealGalaxy)
    _refuse_without_tools(galaxy_server)
    return ServedWorld(tmp_path, real=galaxy_server, ordinary=ordinary, runner=runner)


@pytest.fixture
async def world(served: ServedWorld) -> AsyncIterator[ServedWorld]:
    """Give the world; what it made in a real Galaxy goes away at the end."""
    with served:
        yield served
        if served.runner:
            await served.assert_nothing_doubled()
        await served.remove()


def _refuse_without_tools(real: RealGalaxy) -> None:
    if httpx.get(f"{real.url}/api/tools/enough_reads", timeout=60).status_code == 404:
        pytest.skip("the real Galaxy has none of the tools in tests/live/tools")
