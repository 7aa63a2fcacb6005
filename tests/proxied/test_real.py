"""The same proxies in front of a real Galaxy that lives below a path and says that large chunks are welcome."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.crash.on_real_galaxy import assert_real_exactly_once, real_world
from tests.live.real_galaxy import RealGalaxy, say
from tests.proxied.between import Impatient, Relay
from tests.proxied.conftest import make_large
from tests.proxied.nginx import Nginx
from tests.world import RUN
from watcher.config.written import dump_yaml
from watcher.errors import SandboxError
from watcher.sandbox.install import install, installation
from watcher.sandbox.server import SandboxGalaxy

pytestmark = [pytest.mark.real, pytest.mark.slow]

MB = 1_000_000
PREFIX = "/galaxy"
CHUNK_BYTES = 40 * 1024**2


@pytest.fixture(scope="module")
def below_a_path(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxGalaxy]:
    """Return a Galaxy of our own whose address ends in /galaxy."""
    more = {"galaxy_url_prefix": PREFIX, "chunk_upload_size": CHUNK_BYTES}
    try:
        install(installation(), say)
    except SandboxError as error:
        pytest.skip(str(error))
    with SandboxGalaxy(tmp_path_factory.mktemp("galaxy"), installation(), say, more) as sandbox:
        yield sandbox


async def assert_done(folder: Path, sandbox: SandboxGalaxy, url: str, size_mb: int) -> None:
    """Send a run to that address, in the daemon, and hold the server itself against the files."""
    with real_world(folder, RealGalaxy(url, sandbox.admin.key)) as world:
        settings = yaml.safe_load(world.config_file.read_text())
        # On a busy machine an answer may take longer than most tests grant.
        settings["galaxy"]["timeouts"] = {"read": "60s"}
        settings["limits"]["uncertain_for"] = "5m"
        world.config_file.write_text(dump_yaml(settings))
        make_large(world.watched / RUN, size_mb)
        async with world.daemon():
            unit = await world.until_status("done", timeout_s=600)
        direct = RealGalaxy(sandbox.url, sandbox.admin.key)
        assert_real_exactly_once(direct, world, unit["batches"][0]["id"], world.results / RUN)


async def test_behind_nginx_below_a_path_with_an_outage(
    tmp_path: Path, nginx_program: Path, below_a_path: SandboxGalaxy
) -> None:
    """Bodies of 16 MiB at most, to which our chunks keep by themselves, and 502 for 20 s in mid-upload: done, once."""
    with (
        Relay(below_a_path.port, away_after=45 * MB, away_s=20) as relay,
        Nginx(nginx_program, tmp_path / "nginx", relay.port, prefix_is_cut=False) as nginx,
    ):
        await assert_done(tmp_path / "world", below_a_path, nginx.url, 50)
        assert 502 in nginx.statuses("")
        assert 413 not in nginx.statuses("")
        assert relay.away_after is None


async def test_behind_nginx_that_takes_less_than_a_chunk(
    tmp_path: Path, nginx_program: Path, below_a_path: SandboxGalaxy
) -> None:
    """With bodies of 4 MiB at most, which no server tells us, a refused chunk is halved and everything arrives."""
    with Nginx(nginx_program, tmp_path / "nginx", below_a_path.port, body_limit="4m", prefix_is_cut=False) as nginx:
        await assert_done(tmp_path / "world", below_a_path, nginx.url, 24)
        statuses = nginx.statuses("PATCH")
        assert 413 in statuses
        assert statuses.count(204) >= 12


async def test_where_every_connection_is_cut(tmp_path: Path, below_a_path: SandboxGalaxy) -> None:
    """A proxy that cuts every connection after 8 MB lets the run through, once."""
    with Relay(below_a_path.port, cut_after=8 * MB) as relay:
        await assert_done(tmp_path / "world", below_a_path, relay.url + PREFIX, 24)
        assert relay.cuts


async def test_where_a_proxy_gives_up(tmp_path: Path, below_a_path: SandboxGalaxy) -> None:
    """What the server takes in after a 504 counts: nobody else wrote to the session meanwhile."""
    with Impatient(below_a_path.port, {"PATCH /galaxy/api/upload/": 2}, late_s=10) as proxy:
        await assert_done(tmp_path / "world", below_a_path, proxy.url + PREFIX, 24)
        assert proxy.carried_out == [204, 204]
