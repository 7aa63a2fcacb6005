"""Promise 2 for what a real Galaxy delivers by itself: SIGKILL right after it was asked, and it did each thing once."""

from __future__ import annotations

import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.crash.on_real_galaxy import COUNT_READS, datasets_of, made_here, real_world, witness
from tests.crash.runner import Runner
from tests.live.real_galaxy import RealGalaxy, real_galaxy
from tests.live.user_files import make_own_source
from tests.stages.test_written_by_galaxy import only_batch
from tests.world import RUN, World

Json = dict[str, Any]
LIMITS = {"uncertain_for": "4s", "chunk_bytes": 1024}


@pytest.fixture
def real() -> RealGalaxy:
    """Return the real Galaxy."""
    return real_galaxy()


@pytest.fixture
def own(real: RealGalaxy) -> str:
    """Return the root of a file source that belongs to the user whom the daemon works as."""
    return make_own_source(real.url, real.key)


@pytest.fixture
def world(tmp_path: Path, real: RealGalaxy, own: str) -> Iterator[World]:
    """Return a finished run whose results come home, and are written by Galaxy, with archives both ways."""
    with real_world(tmp_path, real) as made:
        deliver = [
            {"folder": f"{made.results}/{{run}}"},
            {"url": f"{own}/{{id}} é"},
            {"url": "gxfiles://results/{id}-crate", "export": "invocation"},
            {"folder": f"{made.results}/archive/{{run}}", "export": "history"},
            {"folder": f"{made.results}/crate/{{run}}", "export": "invocation"},
        ]
        for name in ("archive", "crate"):
            (made.results / name).mkdir()
        workflow = {"file": str(COUNT_READS), "inputs": {"Reads": "reads"}}
        made.write_config(galaxy={"url": real.url}, rule={"workflow": workflow, "deliver": deliver}, limits=LIMITS)
        yield made


def listed(real: RealGalaxy, place: str) -> dict[str, int]:
    """Return what the server itself lists at a place, by path."""
    with witness(real) as galaxy:
        params = {"target": place, "format": "uri", "recursive": True}
        rows = galaxy.make_get_request(f"{galaxy.url}/remote_files", params=params).json()
    return {row["uri"].removeprefix(f"{place}/"): row["size"] for row in rows if row["class"] == "File"}


@pytest.mark.real
@pytest.mark.slow
async def test_killed_while_a_real_galaxy_delivers(world: World, runner: Runner, real: RealGalaxy, own: str) -> None:
    """After three deaths each file is where it belongs, one job wrote the results, and its log is gone."""
    for point in ("deliver.write.act", "deliver.archive.act", "deliver.log.act"):
        runner.die(world, point, factor=1.0)
    runner.finish(world, factor=1.0)
    batch = await only_batch(world)
    assert [row["status"] for row in batch["deliveries"]] == ["done"] * 5, batch
    home = world.results / RUN
    local = {str(path.relative_to(home)): path.stat().st_size for path in home.rglob("*.tabular")}
    assert listed(real, f"{own}/{batch['id']} é") == local
    assert list(listed(real, f"gxfiles://results/{batch['id']}-crate")) == ["invocation.rocrate.zip"]
    assert tarfile.is_tarfile(world.results / "archive" / RUN / "history.tar.gz")
    assert zipfile.is_zipfile(world.results / "crate" / RUN / "invocation.rocrate.zip")
    with witness(real) as galaxy:
        (history,) = made_here(galaxy, world)
        jobs = galaxy.jobs.get_jobs(history_id=history, tool_id="export_remote")
        assert [job["state"] for job in jobs] == ["ok"]
        logs = [row for row in datasets_of(galaxy, history) if row["name"] == "Export logs"]
    assert [row["deleted"] for row in logs] == [True]
