"""Arrivals on the whole way: parts that come after the rest was judged, and bytes that come without a new time."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from tests.runs.run_folders import miseq
from tests.world import RUN, World, fastq, packed, until, write_bclconvert

LONG_AGO_NS = 1_700_000_000 * 10**9


def uploads_alone(world: World) -> None:
    """Let nothing but the upload happen."""
    world.write_config(rule={"workflow": None, "deliver": None})


async def test_a_sample_that_comes_after_the_marker_ends_the_hold(world: World) -> None:
    """Where the marker was copied before the last sample, the sheet tells what is missing; its files go on by
    themselves, and nothing is sent before they are there.
    """
    uploads_alone(world)
    whole = miseq()
    late = [path for path in whole.files if "/S2_" in path]
    run = whole.without(*late).write(world.watched)
    async with world.daemon():
        unit = await world.until_status("held", stage="verify")
        assert unit["reason"] == "SampleSheet.csv:5:1: sample S2 has no files."
        assert world.uploads() == {}
        for path in late:
            (run / path).write_bytes(whole.files[path])
        await world.until_status("done")
    assert world.uploads() == world.fastqs(run)


async def test_a_sample_that_only_a_list_of_checksums_knows_ends_the_hold(world: World) -> None:
    """Quiet time is over and nothing else tells of the sample: whoever made the list had it, so it is waited for."""
    world.write_config(watch={"settle": "1s"}, rule={"workflow": None, "deliver": None})
    run, late = world.watched / "from the core facility", packed(fastq(4))
    run.mkdir()
    (run / "a.fastq.gz").write_bytes(packed(fastq(4)))
    (run / "MD5.txt").write_text(f"{hashlib.md5(late).hexdigest()}  b.fastq.gz\n")
    async with world.daemon():
        unit = await world.until_status("held", stage="verify")
        assert unit["reason"] == "b.fastq.gz is listed in MD5.txt, but not there."
        (run / "b.fastq.gz").write_bytes(late)
        await world.until_status("done")
    assert world.uploads() == world.fastqs(run)


async def test_the_other_read_of_a_pair_ends_the_hold(world: World) -> None:
    """Nothing but time tells when somebody's folder is complete: the mate that comes later is seen all the same."""
    world.write_config(watch={"settle": "1s"}, rule={"workflow": None, "deliver": None})
    run = world.watched / "from the core facility"
    run.mkdir()
    for name, read in (("a_R1", 1), ("a_R2", 2), ("b_R1", 1)):
        (run / f"{name}.fastq.gz").write_bytes(packed(fastq(4, read=read)))
    async with world.daemon():
        unit = await world.until_status("held", stage="verify")
        assert unit["reason"] == "R2 of b is missing."
        (run / "b_R2.fastq.gz").write_bytes(packed(fastq(4, read=2)))
        await world.until_status("done")
    assert world.uploads() == world.fastqs(run)


async def test_bytes_that_come_without_a_new_time_end_the_hold(world: World) -> None:
    """A copy over SMB has its full size at once and its old time again at the end: zeros are held, the bytes go."""
    uploads_alone(world)
    run = world.add_run()
    path = run / "S1_S1_L001_R1_001.fastq.gz"
    content = path.read_bytes()
    path.write_bytes(bytes(len(content)))
    os.utime(path, ns=(LONG_AGO_NS, LONG_AGO_NS))
    async with world.daemon():
        unit = await world.until_status("held")
        assert path.name in unit["reason"] and world.uploads().keys().isdisjoint({path.name})
        with path.open("r+b") as same:
            same.write(content)
        os.utime(path, ns=(LONG_AGO_NS, LONG_AGO_NS))
        await world.until_status("done")
    assert world.uploads() == world.fastqs(run)


def copied(source: Path, target: Path, *paths: str) -> None:
    """Copy some files of a run."""
    for path in paths:
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        (target / path).write_bytes((source / path).read_bytes())


@pytest.mark.parametrize("told_by", ["RunInfo.xml", "its name"])
async def test_a_run_folder_renamed_in_mid_copy_is_one_run(world: World, told_by: str) -> None:
    """Half of it comes as `….tmp`, the rest under its own name: one run, taken once, and nothing left to ask about."""
    uploads_alone(world)
    source = write_bclconvert(world.folder / "source" / RUN)
    if told_by == "its name":
        (source / "Reports" / "RunInfo.xml").unlink()
    paths = [str(path.relative_to(source)) for path in sorted(source.rglob("*")) if path.is_file()]
    paths.sort(key=lambda path: (path == "Logs/FastqComplete.txt", not path.startswith(("Logs/", "Reports/")), path))
    half = len(paths) - 3
    early, final = world.watched / f"{RUN}.tmp", world.watched / RUN
    copied(source, early, *paths[:half])
    async with world.daemon():
        await world.until_status("waiting", stage="settle")
        early.rename(final)
        copied(source, final, paths[half])

        async def is_seen() -> bool:
            async with world.store() as store:
                return any(unit.run_path == str(final) for unit in await store.units())

        await until(is_seen, 20, what="the new name")
        copied(source, final, *paths[half + 1 :])

        async def is_over() -> bool:
            units = (await world.status())["units"]
            return {unit["status"] for unit in units} <= {"done", "ignored"} and any(
                unit["status"] == "done" for unit in units
            )

        await until(is_over, 20, what="the end")
    assert world.uploads() == world.fastqs(final)
    assert world.posts("/api/tools/fetch") == 1


async def test_data_that_come_after_the_marker_are_waited_for(world: World) -> None:
    """A file that still grows when its marker is there is sent once, as it is in the end."""
    world.write_config(watch={"settle": "2s"}, rule={"workflow": None, "deliver": None})
    run = world.add_run()
    growing = [run / f"S2_S2_L001_R{read}_001.fastq.gz" for read in (1, 2)]
    whole = {path: packed(fastq(400, read=read)) for read, path in enumerate(growing, 1)}
    async with world.daemon():
        for part in range(1, 4):
            for path, content in whole.items():
                path.write_bytes(content[: len(content) * part // 3])
            seen = {path.stat().st_size for path in growing}

            async def is_remembered(sizes: set[int] = seen) -> bool:
                async with world.store() as store:
                    units = await store.units()
                    rows = await store.source_files(units[0].id) if units else []
                return sizes <= {row.size for row in rows}

            await until(is_remembered, 20, what="a look at it")
            assert world.uploads() == {}
        await world.until_status("done")
    assert world.uploads() == world.fastqs(run)
    assert world.posts("/api/tools/fetch") == 1


@pytest.mark.parametrize("late", ["notice", "new_version"])
async def test_a_pause_longer_than_the_quiet_time_loses_nothing(world: World, late: str) -> None:
    """Where only time tells, the part that came before the pause is taken; the rest is told, or a version with all."""
    world.write_config(watch={"settle": "1s", "late": late}, rule={"workflow": None, "deliver": None})
    run = world.watched / "from the core facility"
    run.mkdir()
    parts = {sample: {f"{sample}_R{read}.fastq.gz": packed(fastq(4, read=read)) for read in (1, 2)} for sample in "ab"}
    for name, content in parts["a"].items():
        (run / name).write_bytes(content)
    async with world.daemon():
        await world.until_status("done")
        assert set(world.uploads()) == set(parts["a"])
        for name, content in parts["b"].items():
            (run / name).write_bytes(content)

        async def is_known() -> bool:
            units = sorted((await world.status())["units"], key=lambda unit: unit["version"])
            if late == "notice":
                return [one["path"] for one in units[0]["late"]] == list(parts["b"])
            return [unit["status"] for unit in units] == ["done", "done"]

        await until(is_known, 20, what="the rest")
    by_history: dict[str, set[str]] = {}
    for row in world.fake.datasets():
        if row["uploaded"]:
            by_history.setdefault(row["history_id"], set()).add(row["name"])
    both = {*parts["a"], *parts["b"]}
    assert list(by_history.values()) == [set(parts["a"]), *([both] if late == "new_version" else [])]
