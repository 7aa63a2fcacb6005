"""`plan` takes any path: a place with runs in it, a run, a unit, a file; with a watch around it or without."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.cli.conftest import Call
from tests.runs.run_folders import MISEQ_RUN, Tree, bclconvert, miseq, novaseqx
from tests.world import RUN, World, fastq, packed, write_bclconvert

BASE_CALLS = "Data/Intensities/BaseCalls"
FASTQ = "Analysis/2/Data/BCLConvert/fastq"


@pytest.fixture
def anywhere(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder that no configuration knows."""
    monkeypatch.delenv("WATCHER_CONFIG")
    place = tmp_path / "elsewhere"
    place.mkdir()
    return place


def planned(call: Call, path: Path, code: int = 0) -> tuple[list[tuple[str, str, str]], dict[str, str]]:
    """Return (layout, run, unit) of each unit, and what is in none with the reason."""
    ended = call("plan", str(path), "--json", "--assume-quiet")
    assert ended.code == code, ended
    units = [(unit["layout"], unit["run"], unit["unit"]) for unit in ended.report["units"]]
    return units, {left["path"]: left["reason"] for left in ended.report["left_out"]}


TWO = "260302_M02439_0044_000000000-KT43M"


def _two_runs(place: Path) -> list[tuple[str, str, str]]:
    write_bclconvert(place / RUN)
    write_bclconvert(place / TWO)
    return [("bclconvert", RUN, "."), ("bclconvert", TWO, ".")]


def _novaseqx(place: Path) -> list[tuple[str, str, str]]:
    tree = novaseqx(analyses=(1, 2))
    tree.write(place)
    return [("novaseqx", tree.name, "Analysis/1"), ("novaseqx", tree.name, "Analysis/2")]


def _miseq(place: Path) -> list[tuple[str, str, str]]:
    miseq().write(place)
    return [("miseq-msr", MISEQ_RUN, ".")]


def _mere_folders(place: Path) -> list[tuple[str, str, str]]:
    Tree("a").add("x_R1.fastq.gz").add("x_R2.fastq.gz").write(place)
    Tree("b").add("y_R1.fastq.gz").add("y_R2.fastq.gz").write(place)
    return [("folder", place.name, ".")]


@pytest.mark.parametrize("write", [_two_runs, _novaseqx, _miseq, _mere_folders])
def test_a_place_with_runs_in_it_lists_them(anywhere: Path, call: Call, write: object) -> None:
    """Each run one level below, as under a watch; a folder of nothing known stays one folder of reads."""
    assert callable(write)
    wanted = write(anywhere)
    assert planned(call, anywhere) == (wanted, {})


def test_a_file_of_a_miseq_means_its_run(anywhere: Path, call: Call) -> None:
    """The run lies four folders above its reads."""
    run = miseq().write(anywhere)
    for path in (run / BASE_CALLS, *sorted((run / BASE_CALLS).iterdir())[:1]):
        assert planned(call, path) == ([("miseq-msr", MISEQ_RUN, ".")], {})


def test_a_file_of_an_analysis_means_this_one_alone(anywhere: Path, call: Call) -> None:
    """The run lies six folders above, and what the converter has left inside does not stand for it."""
    tree = novaseqx(analyses=(1, 2)).add(f"{FASTQ}/Reports/fastq_list.csv", b"RGID\n").add(f"{FASTQ}/Logs/Info.log")
    run = tree.write(anywhere)
    file = next((run / FASTQ).glob("*.fastq.gz"))
    assert planned(call, file) == ([("novaseqx", tree.name, "Analysis/2")], {})


def test_a_file_beside_the_analyses_is_in_no_unit(anywhere: Path, call: Call) -> None:
    """RunInfo.xml belongs to the run, not to an analysis."""
    tree = novaseqx()
    run = tree.write(anywhere)
    told = {"RunInfo.xml": f"in no unit of {tree.name}, a run of layout novaseqx"}
    assert planned(call, run / "RunInfo.xml") == ([], told)


def test_a_file_of_a_run_that_is_not_taken_says_why(anywhere: Path, call: Call) -> None:
    """The unit around it is shown, and beside it why this file is no part of it."""
    tree = bclconvert()
    run = tree.write(anywhere)
    units, told = planned(call, run / "Logs" / "Info.log")
    assert units == [("bclconvert", tree.name, ".")]
    assert told == {"Logs/Info.log": "not where layout bclconvert looks for reads"}


def test_a_stray_file_in_a_watch_says_why_nobody_takes_it(world: World, call: Call) -> None:
    """Each is told with its reason, and that is no error."""
    (world.watched / "x.fastq.gz").write_bytes(packed(fastq(3)))
    assert planned(call, world.watched / "x.fastq.gz") == (
        [],
        {"x.fastq.gz": "a single file: layout auto takes folders"},
    )
    (world.watched / "sub").mkdir()
    (world.watched / "sub" / "notes.txt").touch()
    assert planned(call, world.watched / "sub" / "notes.txt") == (
        [],
        {"sub/notes.txt": "in a folder that no layout recognises"},
    )
    shown = call("plan", str(world.watched / "x.fastq.gz"))
    assert (shown.code, "layout auto takes folders" in shown.out) == (0, True)


def test_a_stray_file_in_a_flat_watch_says_why_nobody_takes_it(world: World, call: Call) -> None:
    """A FIFO, a link that leaves, a list of checksums, a hidden file, a file in a folder; a good one is shown."""
    world.write_config(watch={"layout": "files"})
    for read in (1, 2):
        (world.watched / f"a_R{read}.fastq.gz").write_bytes(packed(fastq(3, read=read)))
    (world.watched / "b.bam").symlink_to("/dev/null")
    (world.watched / "c.bam").symlink_to("/does/not/exist")
    os.mkfifo(world.watched / "pipe")
    (world.watched / "a_R1.fastq.gz.md5").touch()
    (world.watched / ".watcher-root").touch()
    (world.watched / "sub").mkdir()
    (world.watched / "sub" / "x.bam").touch()
    leaves = "it is a link that leaves the watched folder"
    folder = "a folder: layout files takes single files"
    for name, told in {
        "b.bam": {"b.bam": leaves},
        "c.bam": {"c.bam": leaves},
        "pipe": {"pipe": "it is a FIFO"},
        "a_R1.fastq.gz.md5": {"a_R1.fastq.gz.md5": "list of checksums"},
        ".watcher-root": {".watcher-root": "hidden file"},
        "sub": {"sub": folder},
        "sub/x.bam": {"sub": folder},
    }.items():
        assert planned(call, world.watched / name) == ([], told), name
    assert planned(call, world.watched / "a_R1.fastq.gz") == ([("files", "a", "a")], {})


def test_a_path_that_is_not_there_is_a_usage_error(anywhere: Path, call: Call) -> None:
    """A link to nothing that lies in no watch as well."""
    (anywhere / "link").symlink_to("nothing")
    assert call("plan", str(anywhere / "link")).code == 2
    assert call("plan", str(anywhere / "nothing")).code == 2
