"""The measurements of many runs and of few cores stand on true runs and whole reads; tried small."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from benchmarks import cores, reads, scale
from benchmarks.run_trees import Runs, write_hiseq, write_runs
from tests.world import World
from watcher.errors import ContentBroken
from watcher.model import Stage, Status


def test_all_runs_are_a_thousand_with_a_million_files(tmp_path: Path) -> None:
    """The count of files is that of one run of each kind, times the runs."""
    counts = []
    for kind, how_many in (("bclconvert", Runs(1, 0, 0)), ("novaseqx", Runs(0, 1, 0)), ("minknow", Runs(0, 0, 1))):
        made = write_runs({name: tmp_path / kind for name in scale.KINDS}, how_many)
        assert made == sum(1 for path in (tmp_path / kind).rglob("*") if path.is_file())
        counts.append(made)
    whole = scale.ALL_RUNS
    wanted = (whole.bclconvert, whole.novaseqx, whole.minknow)
    files = sum(many * each for many, each in zip(wanted, counts, strict=True))
    assert whole.count == 1000
    assert files == 1_000_000


async def test_every_run_is_known_and_finished(tmp_path: Path) -> None:
    """Each kind is recognised as what it stands for, complete, and at its end in the state with its source files."""
    with World(tmp_path) as world:
        scale.watch_all(world)
        write_runs(scale.places_of(world), Runs(1, 2, 3))
        count = await scale.make_known(world)
        async with world.store() as store:
            units = await store.units()
            rows = [len(await store.source_files(unit.id)) for unit in units]
    assert sorted((unit.watch, unit.layout) for unit in units) == [
        ("bclconvert", "bclconvert"),
        *[("minknow", "ont")] * 3,
        *[("novaseqx", "novaseqx")] * 2,
    ]
    assert {(unit.stage, unit.status) for unit in units} == {(Stage.FINISH, Status.DONE)}
    assert sum(rows) == count
    assert min(rows) > 300


async def test_a_run_that_is_no_run_is_refused(tmp_path: Path) -> None:
    """A run that is not complete would be looked at again and again, and say nothing of finished ones."""
    with World(tmp_path) as world:
        scale.watch_all(world)
        write_runs(scale.places_of(world), Runs(1, 0, 0))
        next(scale.places_of(world)["bclconvert"].rglob("FastqComplete.txt")).unlink()
        with pytest.raises(RuntimeError, match="is not complete"):
            await scale.make_known(world)


async def test_an_open_run_of_base_calls_waits(tmp_path: Path) -> None:
    """It is looked at as a run that is being written; base calls are not walked, so that it costs the same however many
    there are.
    """
    looks = []
    for cycles in (2, 40):
        with World(tmp_path / str(cycles)) as world:
            assert write_hiseq(world.watched, cycles=cycles, tiles=1) == 8 * cycles + 3
            looks.append(await scale.look_at_open_run(world))
    assert looks[0].reads == looks[1].reads
    assert 2 < looks[0].reads < 20
    assert looks[0].took_s > 0


def test_directories_are_counted_whoever_reads_them(tmp_path: Path) -> None:
    """Each reading of a directory counts once, and none after the block."""
    with scale.counting_reads() as count:
        os.scandir(tmp_path).close()
        list(tmp_path.iterdir())
        assert count() == 2
    os.scandir(tmp_path).close()
    assert count() == 2


async def test_files_are_read_through_as_the_daemon_does(tmp_path: Path) -> None:
    """All records of each file are counted, with both at once."""
    files = [tmp_path / "a.fastq.gz", tmp_path / "b.fastq.gz"]
    reads.write_member(files[0], 1)
    reads.write_blocks(files[1], 1)
    assert await cores.read_through(files) == [reads.BASE_RECORDS] * 2
    files[1].write_bytes(files[1].read_bytes()[:-40])
    with pytest.raises(ContentBroken, match=r"b\.fastq\.gz"):
        await cores.read_through(files)


def test_cores_are_measured_where_there_are_some(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is one core only, the table says that two were not measured, and measures the rest."""
    monkeypatch.setattr(cores, "SIZE_BYTES", 1)
    monkeypatch.setattr(cores, "TURNS", 1)
    one = {min(os.sched_getaffinity(0))}
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: one)
    table = cores.measure(tmp_path)
    assert "one core only" in table.about
    assert [figure.what for figure in table.figures if "two" in figure.what] == []
    assert all(figure.value > 0 for figure in table.figures)
