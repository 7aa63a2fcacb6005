"""Uploads to a real Galaxy, ours against BioBlend's, in the same run on the same server.

BioBlend is the library that people write their own upload scripts with: a loop of `upload_file`, then a wait for each
dataset. Ours is the daemon's one-shot way, from its start. The server is the sandbox, or the one that
`WATCHER_TEST_GALAXY_URL` and `WATCHER_TEST_GALAXY_KEY` name.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from bioblend.galaxy import GalaxyInstance

from benchmarks import content, reads
from benchmarks.figures import Figure, NotMeasured, Table, Target, median_of
from tests.live.real_galaxy import RealGalaxy, real_galaxy
from tests.world import RUN, World
from watcher.clock import SystemClock
from watcher.errors import Superseded
from watcher.galaxy import Galaxy
from watcher.model import HistoryId
from watcher.service.build import account_of
from watcher.service.daemon import Daemon

SMALL_TITLE = "Many small files"
LARGE_TITLE = "One large file"
PAIRS = 20
SMALL_READS = 2000
POLL_S = 0.5
LARGE_BYTES = 2**30
LARGE_ROUNDS = 7


def measure_small(folder: Path) -> Table:
    """Measure 20 pairs of small gz FASTQ, from the start to the last dataset that is checked."""
    real = _server(SMALL_TITLE)
    with World(folder / "small") as world:
        samples = [f"S{number:02d}" for number in range(1, PAIRS + 1)]
        run = world.add_run(RUN, samples=samples, reads=SMALL_READS, bases=100)
        _aim_at(world, real)
        files = sorted(run.glob("*.fastq.gz"))
        size_kb = sum(file.stat().st_size for file in files) // len(files) // 1000
        _bioblend_loop(real, files[:2])  # let the server load what its first uploads need
        theirs_s = _bioblend_loop(real, files)
        ours_s = asyncio.run(_ours(world, "", "upload.check.receipt"))
    about = (
        f"{len(files)} gz FASTQ ({PAIRS} pairs, {size_kb} kB each) to a real Galaxy {_version(real)}, until every"
        " dataset is `ok`. BioBlend: a loop of `upload_file`, then `wait_for_dataset` for each, asking every"
        f" {POLL_S} s. Ours: the one-shot daemon from its start, with looking, settling, rows on the disk, and the"
        " check of every dataset on the server."
    )
    figures = (
        Figure("BioBlend loop", theirs_s, "s", digits=1),
        Figure("galaxy-watcher", ours_s, "s", digits=1),
        Figure("times as fast", theirs_s / ours_s, "", "", Target(at_least=3), 1),
    )
    return Table(SMALL_TITLE, about, figures)


def measure_large(folder: Path) -> Table:
    """Measure 1 GiB of plain FASTQ, the sending alone, in turns; and 1 GiB of gz, against inflating alone."""
    real = _server(LARGE_TITLE)
    theirs, ours = [], []
    with World(folder / "large") as world:
        path = world.watched / "large.fastq"
        size = reads.write_text(path, LARGE_BYTES)
        _aim_at(world, real, layout="files")
        for _ in range(LARGE_ROUNDS):
            os.sync()  # what was written before would slow down whoever comes first
            theirs.append(_bioblend_session(real, path))
            os.sync()
            ours.append(asyncio.run(_ours(world, "upload.session.intent", "upload.bytes.receipt")))
            world.state_file.unlink()
        path.unlink()
        packed = world.watched / "large.fastq.gz"
        packed_size = reads.write_member(packed, LARGE_BYTES)
        inflated_s, packed_s = [], []
        for _ in range(LARGE_ROUNDS):
            os.sync()
            inflated_s.append(content.seconds_alone(packed))
            packed_s.append(asyncio.run(_ours(world, "upload.session.intent", "upload.bytes.receipt")))
            world.state_file.unlink()
    about = (
        f"One plain FASTQ of {size / 2**30:.2f} GiB to a real Galaxy {_version(real)}, from the opening of the upload"
        " session to its last byte, in turns. BioBlend sends without hashing; ours hashes (SHA-256) and looks at each"
        " record. Then a gz of the same size, one member: Galaxy runs on the same cores as the inflating, which it has"
        " to itself in the line before."
    )
    share = statistics.median(ours_s / theirs_s for ours_s, theirs_s in zip(ours, theirs, strict=True))
    figures = (
        median_of("BioBlend's upload session, no hash", theirs, "s"),
        median_of("galaxy-watcher, with SHA-256", ours, "s"),
        Figure("BioBlend's rate", size / 1e6 / min(theirs), "MB/s", "best", digits=0),
        Figure("galaxy-watcher's rate", size / 1e6 / min(ours), "MB/s", "best", digits=0),
        Figure("our time of BioBlend's", share, "", f"median of {LARGE_ROUNDS} turns", Target(at_most=1.3)),
        Figure("gz: isal alone, nothing sent", packed_size / 1e6 / min(inflated_s), "MB/s", "best", digits=0),
        Figure("gz: galaxy-watcher's rate", packed_size / 1e6 / min(packed_s), "MB/s", "best", digits=0),
    )
    return Table(LARGE_TITLE, about, figures)


def _server(title: str) -> RealGalaxy:
    try:
        return real_galaxy()
    except pytest.skip.Exception as reason:
        raise NotMeasured(title, str(reason)) from None


def _version(real: RealGalaxy) -> str:
    version = GalaxyInstance(real.url, key=real.key).config.get_version()
    return f"{version['version_major']}.{version.get('version_minor', '')}".rstrip(".")


def _aim_at(world: World, real: RealGalaxy, **watch: Any) -> None:
    """Configure the world for the real server, all else as by default."""
    world.write_key(real.key)
    world.write_config(
        galaxy={"url": real.url, "timeouts": None},
        watch=watch,
        rule={"workflow": None, "deliver": None},
        rescan=None,
        rescan_active=None,
        limits=None,
    )


def _bioblend_loop(real: RealGalaxy, files: list[Path]) -> float:
    galaxy = GalaxyInstance(real.url, key=real.key)
    began = time.monotonic()
    history = galaxy.histories.create_history(name="benchmark")["id"]
    answers = [galaxy.tools.upload_file(str(path), history, file_type="fastqsanger.gz") for path in files]
    for answer in answers:
        for made in answer["outputs"]:
            galaxy.datasets.wait_for_dataset(made["id"], interval=POLL_S)
    took_s = time.monotonic() - began
    galaxy.histories.delete_history(history, purge=True)
    return took_s


def _bioblend_session(real: RealGalaxy, path: Path) -> float:
    began = time.monotonic()
    uploader = GalaxyInstance(real.url, key=real.key).get_tus_uploader(str(path))
    uploader.upload()
    took_s = time.monotonic() - began
    httpx.delete(uploader.url, headers={"tus-resumable": "1.0.0"}, timeout=60)
    return took_s


class _Stopwatch:
    """Is called at every point that the daemon reaches; stops it at the last one wanted. No first one: runs already."""

    def __init__(self, first: str, last: str, stop: Callable[[], None]) -> None:
        self._first = first
        self._last = last
        self._stop = stop
        self.began = None if first else time.monotonic()
        self.took_s: float | None = None

    def __call__(self, point: str) -> None:
        if point == self._first and self.began is None:
            self.began = time.monotonic()
        if point == self._last and self.began is not None and self.took_s is None:
            self.took_s = time.monotonic() - self.began
            self._stop()
            raise Superseded("All is measured.")


async def _ours(world: World, first: str, last: str) -> float:
    """Run the one-shot daemon and return the seconds between two points; what it made in Galaxy is removed."""
    settings = world.settings()
    daemon = Daemon(settings, points=lambda point: stopwatch(point), takes_existing=True)
    stopwatch = _Stopwatch(first, last, daemon.stop.set)
    await daemon.catch_up(timedelta(seconds=10))
    if stopwatch.took_s is None:
        raise RuntimeError(f"{last} was not reached: {await world.status()}")
    async with world.store() as store, Galaxy(account_of(settings.galaxies["galaxy"]), SystemClock()) as galaxy:
        for batch in await store.batches():
            for row in await store.datasets(batch.id):
                if row.session:
                    await galaxy.tus.delete(row.session)
            for made in await store.galaxy_objects(batch.id):
                if made.kind == "history" and made.galaxy_id:
                    await galaxy.histories.delete(HistoryId(made.galaxy_id), purge=True)
    return stopwatch.took_s
