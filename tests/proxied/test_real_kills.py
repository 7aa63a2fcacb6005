"""The daemon is killed while a real Galaxy goes on with a part of a file, behind a proxy that has given it up: nobody
else writes to the session meanwhile, and Galaxy has the files byte for byte.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.crash.on_real_galaxy import datasets_of, made_here, real_world, sha256, witness
from tests.crash.runner import Runner
from tests.live.real_galaxy import RealGalaxy, older_galaxy, real_galaxy
from tests.proxied.between import Impatient
from tests.proxied.conftest import make_large
from tests.world import RUN, World, until

pytestmark = [pytest.mark.real, pytest.mark.slow]

PART = {"PATCH /api/upload/": 1}
MB = 1_000_000
LATE_S = 20.0
BEFORE = 10
"""Parts that pass: more than is sent again sooner than waited for."""


@dataclass(frozen=True)
class Server(RealGalaxy):
    """A real Galaxy, and what a part gets whose session was thrown away while it was under way."""

    gone: int = 0


@pytest.fixture(scope="module", params=["26.1.2", pytest.param("24.1.4", marks=pytest.mark.older)])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """Return a real Galaxy of that version."""
    if request.param == "26.1.2":
        newest = real_galaxy()
        yield Server(newest.url, newest.key, gone=404)
    else:
        with older_galaxy(request.param) as older:
            yield Server(older.url, older.key, gone=500)


def assert_bytes(world: World, real: RealGalaxy) -> None:
    """Hold what the server sends against the files."""
    with witness(real) as galaxy:
        (history,) = made_here(galaxy, world)
        rows = datasets_of(galaxy, history)
        assert {row["name"]: sha256(galaxy.datasets.download_dataset(row["id"])) for row in rows} == world.fastqs()
        assert len(rows) == len(world.fastqs())


@pytest.mark.parametrize(
    ("after", "is_mute"), [(BEFORE, False), (BEFORE, True), (0, True)], ids=["504", "no-answer", "first-part"]
)
async def test_a_kill_while_galaxy_goes_on(
    tmp_path: Path, runner: Runner, server: Server, after: int, is_mute: bool
) -> None:
    """After a SIGKILL the next daemon waits for the part that comes late and goes on behind it, with no byte sent
    twice; a session with next to nothing in it is thrown away, and takes the late part no more.
    """
    port = urlsplit(server.url).port or 80
    with (
        Impatient(port, PART, late_s=LATE_S, after=after, is_mute=is_mute) as proxy,
        real_world(tmp_path, RealGalaxy(proxy.url, server.key)) as world,
    ):
        world.write_config(
            galaxy={"url": proxy.url, "timeouts": {"read": "60s"}},
            rule={"workflow": None, "deliver": None},
            limits={"transfers": 1, "uncertain_for": "5m", "chunk_bytes": 3 * MB},
        )
        make_large(world.watched / RUN, 50)

        async def is_time() -> bool:
            return bool(proxy.given_up) and (is_mute or proxy.given_up[0] in proxy.looks)

        async def is_carried_out() -> bool:
            return bool(proxy.carried_out)

        life = runner.start(world, factor=1.0)
        await until(is_time, 300, what="a part that is given up")
        life.kill()
        assert life.end() == -signal.SIGKILL
        assert not proxy.carried_out
        runner.finish(world, factor=1.0)
        await until(is_carried_out, what="the end of that part")
        (unit,) = (await world.status())["units"]
        assert unit["status"] == "done", unit
        assert_bytes(world, RealGalaxy(server.url, server.key))
        assert proxy.carried_out == ([204] if after else [server.gone]), proxy.parts
        assert proxy.met == 0, proxy.parts
        sessions = {part.session for part in proxy.parts}
        assert len(sessions) == len(world.fastqs()) + (not after), proxy.parts
