"""The pretend sequencer: what it writes, in which order, and that the watcher takes it for what it pretends to be."""

from __future__ import annotations

import gzip
import hashlib
import threading
from pathlib import Path
from typing import Any

import pytest

from watcher.errors import UsageError
from watcher.sandbox.fastq import END_BLOCK
from watcher.sandbox.platforms import SCRIPTS
from watcher.sandbox.sequencer import SAMPLES, Stopped, write_run
from watcher.service.preview import preview

PLATFORMS = sorted(SCRIPTS)
MARKERS = {
    "bclconvert": "Logs/FastqComplete.txt",
    "miseq-msr": "CompletedJobInfo.xml",
    "novaseqx": "Analysis/1/CopyComplete.txt",
}


class Onlooker(threading.Event):
    """Stands where the sequencer waits, lets no time pass, and notes which files there are and how large."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder
        self.looks: list[dict[str, int]] = []

    def wait(self, timeout: float | None = None) -> bool:
        """Look instead of waiting."""
        self.looks.append(sizes(self._folder))
        return False


def sizes(folder: Path) -> dict[str, int]:
    """Return the size of every file below a folder."""
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in folder.rglob("*") if path.is_file()}


async def plan(folder: Path) -> dict[str, Any]:
    """Return the one unit that `plan` sees, as if nothing changed any more."""
    report = await preview(folder, None, assume_quiet=True, content=True)
    (unit,) = report["units"]
    assert isinstance(unit, dict)
    return unit


@pytest.mark.parametrize("platform", PLATFORMS)
def test_the_marker_comes_last(tmp_path: Path, platform: str) -> None:
    """Every other file is whole before the marker appears."""
    steps: list[str] = []
    run = write_run(tmp_path, platform, pairs=200, on_step=steps.append)
    assert steps[-1] == run.marker == MARKERS[platform]
    assert steps.index(run.marker) == len(steps) - 1
    assert {file.path for file in run.files} < set(steps)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_files_grow_before_the_marker_is_there(tmp_path: Path, platform: str) -> None:
    """A look in between finds files of reads half written, each larger later, and no marker."""
    onlooker = Onlooker(tmp_path)
    run = write_run(tmp_path, platform, pairs=1000, seconds=60, stop=onlooker)
    assert all(run.marker not in look for look in onlooker.looks)
    for file in run.files:
        grown = [look.get(file.path, 0) for look in onlooker.looks]
        assert grown == sorted(grown)
        assert len(set(grown)) > 3
        assert grown[-1] == file.size


def test_miseq_writes_one_sample_after_the_other(tmp_path: Path) -> None:
    """MiSeq Reporter begins a sample when the one before is whole; BCL Convert has all files open at once."""
    onlooker = Onlooker(tmp_path / "miseq")
    miseq = write_run(tmp_path / "miseq", "miseq-msr", pairs=300, seconds=60, stop=onlooker)
    first, last = miseq.files[0], miseq.files[-1]
    assert all(look[first.path] == first.size for look in onlooker.looks if last.path in look)
    onlooker = Onlooker(tmp_path / "bcl")
    convert = write_run(tmp_path / "bcl", "bclconvert", pairs=300, seconds=60, stop=onlooker)
    assert {file.path for file in convert.files} <= set(onlooker.looks[0])


@pytest.mark.parametrize("platform", PLATFORMS)
def test_the_reads_are_real(tmp_path: Path, platform: str) -> None:
    """Every file is whole block gzip of whole records; both files of a pair have the same names in the same order."""
    run = write_run(tmp_path, platform, pairs=500, length=60)
    for forward, reverse in zip(run.files[::2], run.files[1::2], strict=True):
        names = []
        for file in (forward, reverse):
            content = (tmp_path / file.path).read_bytes()
            assert (len(content), hashlib.sha256(content).hexdigest()) == (file.size, file.sha256)
            assert content.endswith(END_BLOCK)
            lines = gzip.decompress(content).decode().splitlines()
            assert len(lines) % 4 == 0
            assert {len(line) for number, line in enumerate(lines) if number % 2} == {60}
            names.append([line.split()[0] for line in lines[::4]])
        assert names[0] == names[1]
        assert len(set(names[0])) == len(names[0]) > 500


def test_the_same_seed_writes_the_same_bytes(tmp_path: Path) -> None:
    """Two runs of one seed are equal, another seed makes other reads."""
    one, same, other = (write_run(tmp_path / name, seed=seed) for name, seed in (("a", 7), ("b", 7), ("c", 8)))
    assert one.files == same.files
    assert sizes(one.folder) == sizes(same.folder)
    assert not {file.sha256 for file in one.files} & {file.sha256 for file in other.files}


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_the_watcher_takes_it_for_real(tmp_path: Path, platform: str) -> None:
    """`plan` recognises the platform, finds the run complete and its content good, and pairs every sample."""
    run = write_run(tmp_path / "run", platform, pairs=200)
    unit = await plan(tmp_path / "run")
    assert (unit["layout"], unit["run"], unit["status"]) == (platform, run.run_id, "ready")
    (batch,) = unit["batches"]
    assert [sample["name"] for sample in batch["samples"]] == list(SAMPLES)
    assert sorted(file["size"] for sample in batch["samples"] for file in sample["files"]) == sorted(
        file.size for file in run.files
    )
    assert batch["collection"]["type"] == "list:paired"


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_without_its_marker_it_is_not_ready(tmp_path: Path, platform: str) -> None:
    """A sequencer stopped just before the marker leaves a run that the watcher waits for."""
    stop = threading.Event()
    seen: list[str] = []

    def on_step(path: str) -> None:
        seen.append(path)
        if len([one for one in seen if one.endswith(".fastq.gz")]) == 2 * len(SAMPLES):
            stop.set()

    with pytest.raises(Stopped):
        write_run(tmp_path / "run", platform, pairs=200, stop=stop, on_step=on_step)
    assert (await plan(tmp_path / "run"))["status"] == "waiting"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [({"platform": "abacus"}, "knows no `abacus`"), ({"length": 300}, "not 300")],
    ids=["platform", "length"],
)
def test_what_it_cannot_write_is_said(tmp_path: Path, wrong: dict[str, Any], said: str) -> None:
    """An unknown platform and reads that are too long are refused before anything is written."""
    with pytest.raises(UsageError, match=said):
        write_run(tmp_path / "run", **wrong)
    assert not (tmp_path / "run").exists()
