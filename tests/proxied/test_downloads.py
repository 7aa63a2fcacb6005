"""A large result on its way home over a line that is cut again and again: identical, and hardly a byte comes twice."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tests.delivery.results import AtOnce, parts_in, run_command
from tests.fakes.galaxy import FakeGalaxy
from tests.fakes.galaxy.ids import encode
from tests.proxied.between import Cutting
from watcher.clock import SystemClock
from watcher.delivery import FolderDelivery
from watcher.errors import GalaxyAway
from watcher.galaxy import Account, Galaxy
from watcher.galaxy.results import GalaxyResults
from watcher.model import DatasetId
from watcher.results import ResultFile

MB = 1_000_000
CUTS = 10
STAMP_EVERY = 64 * 1024


def make_result(path: Path, size: int) -> None:
    """Write a file that is different everywhere and takes little room: a stamp of its own each 64 KiB, else holes."""
    with path.open("wb") as made:
        made.truncate(size)
        for number in range(size // STAMP_EVERY):
            made.seek(number * STAMP_EVERY)
            made.write(hashlib.sha256(str(number).encode()).digest())


@pytest.mark.parametrize("size_mb", [200, pytest.param(2000, marks=pytest.mark.slow)])
async def test_a_result_cut_ten_times_is_identical_and_hardly_fetched_twice(tmp_path: Path, size_mb: int) -> None:
    """By the real client, of a server that lists no checksum: at most one byte in a hundred comes twice."""
    size = size_mb * MB
    source = tmp_path / "big"
    make_result(source, size)
    target = tmp_path / "results"
    target.mkdir()
    cuts_at = [size * number // (CUTS + 1) for number in range(1, CUTS + 1)]
    with FakeGalaxy() as fake, Cutting(fake.port, cuts_at) as line:
        state = fake.state
        with state.lock:
            made = state.add_dataset(state.add_history(fake.user, "results"), "big", ext="txt", state="ok")
            made.file.path, made.file.size = source, size
        file = ResultFile(DatasetId(encode(made.number)), ("big",), "txt", size)
        async with Galaxy(Account("main", line.url, lambda: fake.key), SystemClock()) as galaxy:
            results = GalaxyResults(galaxy, [])
            broken = 0
            while True:
                # Each time as a new round of the stage has it, which keeps nothing in memory.
                delivery = FolderDelivery(target, target, AtOnce(), SystemClock())
                try:
                    await delivery.put(results, file, "big.txt")
                except GalaxyAway:
                    broken += 1
                    continue
                break
    assert (broken, line.cuts) == (CUTS, CUTS)
    run_command("cmp", str(source), str(target / "big.txt"))
    assert not parts_in(target)
    assert line.passed - size < size / 100, f"{line.passed - size} of {size} bytes came twice"
