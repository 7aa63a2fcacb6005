"""A rescan leaves alone what it knows, and misses nothing for it: whatever a person or a sequencer does is seen."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.runs.run_folders import Tree
from tests.stages.looks import LONG_S, Looks, freeze_mtime, looks_of, looks_until_left_alone
from tests.stages.test_units import finished
from tests.world import RUN, World, fastq, packed, write_bclconvert
from watcher.disk.mounts import Mount
from watcher.model import Stage, Status
from watcher.stages import unchanged
from watcher.store.store import Store

NOVASEQX = finished(1).name
GROUP = "group"


def minknow(watched: Path, number: int, *, sample: str = "sample") -> Path:
    """Write a run of MinKNOW as GROUP/SAMPLE/RUN."""
    run = watched / GROUP / sample / f"20260101_120{number}_X1_FBA0000{number}_0000000{number}"
    (run / "fastq_pass" / "barcode01").mkdir(parents=True)
    (run / "fastq_pass" / "barcode01" / f"FBA_pass_{number}.fastq.gz").write_bytes(packed(fastq(2)))
    (run / f"final_summary_FBA_{number}.txt").write_text("acquisition_stopped=2026-01-03T12:00:00+00:00\n")
    return run


def write_all(world: World) -> None:
    """Write a run of each kind: of BCL Convert, a NovaSeq X, and MinKNOW beside somebody's own file of reads."""
    world.add_run()
    finished(1).write(world.watched)
    minknow(world.watched, 1)


async def found(looks: Looks) -> list[tuple[str, str]]:
    """Return folder and unit of all rows, in order of their names."""
    watched = looks.world.watched
    return sorted((str(Path(unit.run_path).relative_to(watched)), unit.unit) for unit in await looks.units())


# --- what is known costs nothing ------------------------------------------------------------------------------------


async def test_known_runs_are_not_listed(world: World) -> None:
    """The runs of years cost no listing at a rescan, also none of a rescan after a restart."""
    write_all(world)
    async with looks_of(world) as looks:
        assert len(await looks.look()) > 10
        await looks.until_known()
        assert await looks.look() == []
    async with looks_of(world) as looks:
        assert await looks.look() == []


async def test_only_the_folder_with_something_new_is_listed(world: World) -> None:
    """One run that changes does not have the others looked through."""
    write_all(world)
    async with looks_of(world) as looks:
        await looks.until_known()
        finished(2).write(world.watched)
        assert {folder.split("/")[0] for folder in await looks.look()} == {NOVASEQX}


@pytest.mark.parametrize("status", [Status.READY, Status.WAITING, Status.HELD])
async def test_what_is_under_way_is_always_looked_at(world: World, status: Status) -> None:
    """A unit that waits, works or is held may go on because of what comes: its folder is listed each time."""
    world.add_run()
    async with looks_of(world) as looks:
        await looks.look()
        await looks.end_all(stage=Stage.SETTLE, status=status)
        for _ in range(4):
            assert RUN in await looks.look()


async def test_a_unit_that_goes_on_is_looked_at_again(world: World) -> None:
    """A wish moves a row that had ended: from then on its folder counts as unknown."""
    world.add_run()
    async with looks_of(world) as looks:
        await looks.until_known()
        (unit,) = await looks.units()
        await looks.rooms.store.move(unit, stage=Stage.SETTLE, status=Status.READY)
        assert RUN in await looks.look()


async def test_runs_that_were_there_before_are_left_alone_as_well(world: World) -> None:
    """What `existing: ignore` lists and nothing more costs no look either, and its next analysis is taken."""
    world.write_config(watch={"existing": "ignore"})
    finished(1).write(world.watched)
    async with looks_of(world) as looks:
        for _ in range(3):
            await looks.look()
        assert await looks.look() == []
        assert [unit.code for unit in await looks.units()] == ["was_there_before"]
        finished(2).write(world.watched)
        await looks.look()
        assert [unit.status for unit in await looks.units()] == [Status.IGNORED, Status.READY]


# --- nothing is missed ----------------------------------------------------------------------------------------------


def new_run(world: World) -> tuple[str, str]:
    world.add_run("260301_M02439_0044_000000000-KT42N")
    return "260301_M02439_0044_000000000-KT42N", "."


def second_analysis(world: World) -> tuple[str, str]:
    finished(2).write(world.watched)
    return NOVASEQX, "Analysis/2"


def second_analysis_with_old_times(world: World) -> tuple[str, str]:
    """A copy that goes on (`rsync -a` twice): the folders have the times of their source, the same as before."""
    run = world.watched / NOVASEQX
    freeze_mtime(run / "Analysis", lambda: shutil.copytree(run / "Analysis" / "1", run / "Analysis" / "2"))
    return NOVASEQX, "Analysis/2"


def run_beside_another(world: World) -> tuple[str, str]:
    run = minknow(world.watched, 2)
    return str(run.relative_to(world.watched)), "."


def run_of_another_sample(world: World) -> tuple[str, str]:
    run = minknow(world.watched, 2, sample="other")
    return str(run.relative_to(world.watched)), "."


@pytest.mark.parametrize(
    "come",
    [
        new_run, second_analysis, second_analysis_with_old_times, run_beside_another, run_of_another_sample,
    ],
)  # fmt: skip
async def test_whatever_comes_is_found(world: World, come: Callable[[World], tuple[str, str]]) -> None:
    """Each way in which something new shows leads to one row more, at the first look after it."""
    write_all(world)
    async with looks_of(world) as looks:
        await looks.until_known()
        before = await found(looks)
        new = come(world)
        await looks.look()
        assert sorted([*before, new]) == await found(looks)


async def test_a_run_in_a_group_that_looked_like_a_folder_of_reads(world: World) -> None:
    """Reads that lie about make a run of a whole group; a true run, deep in it, is found all the same."""
    sample = world.watched / GROUP / "sample"
    sample.mkdir(parents=True)
    (sample / "mine.fastq.gz").write_bytes(packed(fastq(2)))
    async with looks_of(world) as looks:
        await looks.until_known()
        assert [unit.layout for unit in await looks.units()] == ["folder"]
        run = minknow(world.watched, 1)
        await looks.look()
        assert (str(run.relative_to(world.watched)), ".") in await found(looks)


async def test_the_first_analysis_in_a_folder_that_was_empty_for_long(world: World) -> None:
    """A run that is known by its reads gets a folder for analyses, and only much later one in it."""
    run = world.watched / NOVASEQX
    write_bclconvert(run)
    tree = finished(1)
    for name in ("RunInfo.xml", "RunCompletionStatus.xml", "CopyComplete.txt"):
        (run / name).write_bytes(tree.files[name])
    async with looks_of(world) as looks:
        await looks.until_known()
        (run / "Analysis").mkdir()
        while await looks.look():
            pass
        for path, content in tree.files.items():
            if path.startswith("Analysis/"):
                (run / path).parent.mkdir(parents=True, exist_ok=True)
                (run / path).write_bytes(content)
        await looks.look()
        assert (NOVASEQX, "Analysis/1") in await found(looks)


async def test_a_run_info_that_is_filled_later(world: World) -> None:
    """What tells the instrument may be written in place, which no folder's time shows."""
    tree = finished(1)
    path = Tree("site-name", dict(tree.files)).write(world.watched) / "RunInfo.xml"
    content = path.read_bytes()
    path.write_bytes(b"")
    async with looks_of(world) as looks:
        await looks.look()
        await looks.end_all()
        while await looks.look():
            pass
        path.write_bytes(content)
        assert "site-name" in await looks.look()


async def test_another_folder_under_a_known_name_is_looked_into(world: World) -> None:
    """Also one that was copied with all its times, and so differs only by being another folder."""
    run = world.add_run()
    async with looks_of(world) as looks:
        await looks.until_known()
        run.rename(world.folder / "elsewhere")
        shutil.copytree(world.folder / "elsewhere", run)
        assert RUN in await looks.look()


async def test_a_renamed_run_is_followed(world: World) -> None:
    """A folder with another name is looked at, and its row goes there; the old name is forgotten."""
    run = world.add_run()
    async with looks_of(world) as looks:
        await looks.until_known()
        run.rename(world.watched / "renamed")
        assert "renamed" in await looks.look()
        assert await found(looks) == [("renamed", ".")]
        names = [look.name for look in await looks.rooms.store.folder_looks(looks.watch)]
        assert RUN not in names


async def test_the_second_place_of_a_run_is_kept_in_sight(world: World) -> None:
    """A run that lies in two places is taken from the first alone; when that one goes, it is taken from the other."""
    run = world.add_run()
    await world.once()
    shutil.copytree(run, world.watched / "z-copy")
    async with looks_of(world) as looks:
        for _ in range(4):
            await looks.look()
        assert await found(looks) == [(RUN, ".")]
        shutil.rmtree(run)
        await looks.look()
        assert await found(looks) == [("z-copy", ".")]


# --- when times may be believed -------------------------------------------------------------------------------------


async def ended(looks: Looks) -> None:
    """Take in what is there and end it."""
    await looks.look()
    await looks.end_all()


async def test_two_looks_close_together_prove_nothing(world: World) -> None:
    """Where times are counted in steps of two seconds, what comes right after a look may leave them as they are."""
    world.add_run()
    async with looks_of(world) as looks:
        await ended(looks)
        assert await looks_until_left_alone(looks, 0.5) >= unchanged.COARSEST_S / 0.5


async def test_a_client_of_a_file_server_is_believed_later(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may show times that are a minute old."""
    world.add_run()
    async with looks_of(world) as looks:
        on(looks, "nfs4", monkeypatch)
        await ended(looks)
        assert await looks_until_left_alone(looks, 10) >= unchanged.CACHED_S / 10
        assert await looks.look() == []


async def test_file_systems_without_times_of_folders_are_never_believed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bucket that is mounted shows always the same time: each folder is looked at each time."""
    world.add_run()
    async with looks_of(world) as looks:
        on(looks, "fuse.rclone", monkeypatch)
        await ended(looks)
        assert await looks_until_left_alone(looks, LONG_S) == 9


def on(looks: Looks, fstype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the watch seem to lie on such a file system, but for the question whether its root is well."""
    mount = Mount(point="/", source="filer:/x", fstype=fstype)
    monkeypatch.setattr(looks.rooms.threads, "mount_of", lambda _: mount)


async def test_everything_is_looked_at_once_a_day(world: World) -> None:
    """Whatever times say, a folder is listed again within a day, and then left alone for hours."""
    world.add_run()
    async with looks_of(world) as looks:
        await looks.until_known()
        assert RUN in await looks.look(unchanged.ANYWAY_S)
        assert await looks_until_left_alone(looks, LONG_S) == 0


async def test_a_folder_that_could_not_be_read_is_looked_at_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rights that a file server gives later change no time that we see."""
    finished(1).write(world.watched)
    hidden = str(world.watched / NOVASEQX / "Analysis")
    async with looks_of(world) as looks:
        with monkeypatch.context() as patch:
            refuse(patch, "scandir", lambda path: path.startswith(hidden))
            await looks.look()
            await looks.end_all(stage=Stage.SETTLE)
            for _ in range(4):
                await looks.look()
        await looks.look()
        assert (NOVASEQX, "Analysis/1") in await found(looks)


async def test_a_folder_that_refuses_keeps_nobody_from_the_others(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When a known run is locked away, the new one beside it is found, and the locked one asked for again."""
    finished(1).write(world.watched)
    async with looks_of(world) as looks:
        await looks.until_known()
        new = new_run(world)
        with monkeypatch.context() as patch:
            refuse(patch, "lstat", lambda path: f"{NOVASEQX}/" in path)
            assert NOVASEQX in await looks.look()
        assert new in await found(looks)


def refuse(patch: pytest.MonkeyPatch, call: str, whom: Callable[[str], bool]) -> None:
    """Let a system call refuse some paths."""
    real = getattr(os, call)

    def refusing(path: Any = ".", *arguments: Any, **named: Any) -> Any:
        if whom(os.fspath(path)):
            raise PermissionError(13, "Permission denied", path)
        return real(path, *arguments, **named)

    patch.setattr(os, call, refusing)


# --- what else decides what a look finds ----------------------------------------------------------------------------


def later_version(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unchanged, "__version__", "99")


def own_layout(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = world.folder / "layouts"
    folder.mkdir()
    (folder / "bclconvert.toml").write_text('extends = "bclconvert"\nsettle = "9m"\n')
    world.write_config(layouts_dir=str(folder))


def only_the_latest(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.write_config(watch={"units": "latest"})


def late_for_longer(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.write_config(watch={"late_for": "3000d"})


def fixed_layout(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.write_config(watch={"layout": "bclconvert"})


def _own_layout(last: str) -> str:
    return f'extends = "folder"\n[run]\nname = "{"a" * 300}{last}"\n'


@pytest.mark.parametrize(
    "change", [later_version, own_layout, only_the_latest, late_for_longer, fixed_layout]
)  # fmt: skip
async def test_another_way_of_looking_looks_at_everything(
    world: World, monkeypatch: pytest.MonkeyPatch, change: Callable[[World, pytest.MonkeyPatch], None]
) -> None:
    """A newer program, other layouts or other settings of the watch may find more in the same folders."""
    world.add_run()
    async with looks_of(world) as looks:
        await looks.until_known()
    change(world, monkeypatch)
    async with looks_of(world) as looks:
        assert RUN in await looks.look()


async def test_layouts_that_differ_at_the_end_of_a_long_pattern_differ(
    world: World,
) -> None:
    """Of a long pattern Python shows the beginning alone; what is compared is the whole."""
    folder = world.folder / "layouts"
    folder.mkdir()
    world.write_config(layouts_dir=str(folder))
    marks = []
    for last in ("a", "b", "b"):
        (folder / "own.toml").write_text(_own_layout(last))
        async with looks_of(world) as looks:
            marks.append(looks.rooms.layouts_mark)
    assert marks[0] != marks[1] == marks[2]


async def test_a_clock_that_was_wrong_for_a_while_harms_nobody(world: World) -> None:
    """A look in a year to come remembers nothing that hides what comes when the clock is right again."""
    world.write_config(watch={"late_for": "1h"})
    finished(1).write(world.watched)
    async with looks_of(world) as looks:
        looks.clock.advance(timedelta(days=4000))
        await looks.until_known()
    async with looks_of(world) as looks:
        second_analysis(world)
        await looks.look()
        assert (NOVASEQX, "Analysis/2") in await found(looks)


async def test_what_was_remembered_goes_with_the_folder(world: World) -> None:
    """The state does not grow with folders that are gone."""
    write_all(world)
    async with looks_of(world) as looks:
        await looks.until_known()
        assert {look.name for look in await remembered(looks.rooms.store, looks.watch)} == {RUN, NOVASEQX, GROUP}
        shutil.rmtree(world.watched / RUN)
        await looks.look()
        assert {look.name for look in await remembered(looks.rooms.store, looks.watch)} == {NOVASEQX, GROUP}


async def remembered(store: Store, watch: str) -> Iterable[Any]:
    """Return what the state remembers of folders."""
    return await store.folder_looks(watch)
