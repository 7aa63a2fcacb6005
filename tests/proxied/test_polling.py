"""The longest address that is asked for, through an nginx with its own limits."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from tests.proxied.nginx import Nginx
from tests.stages.running import COLLECTION, asked, at_rest, started
from tests.world import World
from watcher.clock import ManualClock, SystemClock


async def test_a_hundred_invocations_pass_in_one_request(world: World, nginx_program: Path, tmp_path: Path) -> None:
    """Ids and types of a hundred are four thousand characters, which a proxy lets through as it is installed."""
    await started(world, 200, ago=timedelta(minutes=20))
    with Nginx(nginx_program, tmp_path / "nginx", world.fake.port, body_limit="1m", prefix_is_cut=True) as nginx:
        world.write_config(rule=COLLECTION, galaxy={"url": nginx.url})
        clock = ManualClock(SystemClock().now())
        async with world.daemon(clock=clock):
            await at_rest(world, clock)
        assert [len(part) for part in asked(world)] == [100, 100]
        assert 4000 < max(len(seen.query) for seen in world.fake.requests.all("GET", "/jobs_summary")) < 4096
        assert set(nginx.statuses("")) == {200}
