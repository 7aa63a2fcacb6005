"""What delivered files are called, all the way from a run: by templates, and where another file has the name."""

from __future__ import annotations

import dataclasses
import hashlib
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.crash.conftest import runner
from tests.crash.runner import LIMITS, Runner
from tests.delivery.conftest import s3, s3_server
from tests.delivery.results import AtOnce, Results
from tests.delivery.stores import S3
from tests.fakes.galaxy import Fault
from tests.rarer import rarer
from tests.stages.test_deliveries_to_stores import to_store
from tests.world import RUN, World
from watcher.clock import ManualClock
from watcher.delivery import FolderDelivery
from watcher.model import PlannedDelivery
from watcher.rows import DeliveredFile
from watcher.stages.clashes import free_way, ways_of

__all__ = ["runner", "s3", "s3_server"]

pytestmark = pytest.mark.timeout(180)  # a whole way each, also on a busy machine

Json = dict[str, Any]
THEIRS = "somebody else's\n"
BY_SAMPLE = {"read counts": "{run}/{element.1}/{output}.{element.2}.{ext}", "*": "{element}-{output}.tsv"}
FILES = {f"{RUN}/S1/read counts.{read}.tabular" for read in ("forward", "reverse")} | {
    f"S1_{read}-copy.tsv" for read in ("forward", "reverse")
}
CLASHING = "S1_forward-copy.tsv"


def deliver(world: World, **delivery: Any) -> Path:
    """Let the only rule deliver to a folder with names by sample, and add a run of one sample; return that folder."""
    folder = {"folder": f"{world.results}/{{run}}", "names": BY_SAMPLE, "beside": [], **delivery}
    world.write_config(rule={"deliver": folder}, limits=LIMITS)
    world.add_run(samples=("S1",))
    return world.results / RUN


def in_the_way(folder: Path) -> Path:
    """Let another file have the name of a result."""
    folder.mkdir(parents=True)
    path = folder / CLASHING
    path.write_text(THEIRS)
    return path


def files_in(folder: Path) -> set[str]:
    """Return the paths of all files below a folder, hidden ones too."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def assert_checked(folder: Path, count: int = 4) -> None:
    """The real command accepts everything that the manifest lists."""
    told = subprocess.run(
        ["sha256sum", "--check", "--strict", "MANIFEST.sha256"], cwd=folder, check=True, capture_output=True, text=True
    )
    assert told.stdout.count(": OK") == count


async def only_batch(world: World) -> Json:
    """Return the only batch."""
    (unit,) = (await world.status())["units"]
    (batch,) = unit["batches"]
    found: Json = batch
    return found


async def test_results_are_called_by_their_templates(world: World) -> None:
    """By output and element, the first pattern that fits; `plan` shows the templates beforehand."""
    folder = deliver(world)
    told = world.command("plan", str(world.watched / RUN), "--json").report
    assert told["units"][0]["batches"][0]["deliveries"][0]["names"] == BY_SAMPLE
    assert (
        "read counts: {run}/{element.1}/{output}.{element.2}.{ext}\n" in world.command("plan", str(world.watched)).out
    )
    await world.once()
    assert (await only_batch(world))["status"] == "done"
    assert files_in(folder) == {*FILES, "MANIFEST.sha256"}
    assert_checked(folder)


@pytest.mark.slow
async def test_another_file_asks_a_person(world: World) -> None:
    """By default: it holds the batch and stays as it is; taken away, the result gets its name."""
    folder = deliver(world)
    theirs = in_the_way(folder)
    await world.once()
    batch = await only_batch(world)
    assert (batch["stage"], batch["status"]) == ("deliver", "held"), batch
    assert f"{theirs} is there already and is another file" in batch["reason"]
    assert theirs.read_text() == THEIRS
    theirs.unlink()
    await world.wish("retry", batch["id"])
    await world.once()
    assert (await only_batch(world))["status"] == "done"
    assert files_in(folder) == {*FILES, "MANIFEST.sha256"}


def assert_both_are_kept(folder: Path) -> str:
    """Theirs is as it was, ours is beside it under a suffix, once, and in the manifest; return its name."""
    assert (folder / CLASHING).read_text() == THEIRS
    (ours,) = files_in(folder) - FILES - {"MANIFEST.sha256"}
    digits = ours.removeprefix("S1_forward-copy~").removesuffix(".tsv")
    assert len(digits) == 6, ours
    assert f"  {ours}\n" in (folder / "MANIFEST.sha256").read_text()
    assert f"  {CLASHING}\n" not in (folder / "MANIFEST.sha256").read_text()
    assert_checked(folder)
    return ours


async def test_both_are_kept(world: World) -> None:
    """With `suffix` the result gets a name of its own and the batch goes on; delivered again it keeps that name, also
    when the other file has gone.
    """
    folder = deliver(world, on_clash="suffix")
    theirs = in_the_way(folder)
    await world.once()
    batch = await only_batch(world)
    assert batch["status"] == "done", batch
    ours = assert_both_are_kept(folder)
    shown = (await world.show(batch["id"]))["batches"][0]["results"]
    assert {row["path"] for row in shown} == {*FILES - {CLASHING}, ours}
    theirs.unlink()
    assert world.command("retry", batch["id"], "--from", "deliver").code == 0
    await world.once()
    assert (await only_batch(world))["status"] == "done"
    assert files_in(folder) == {*FILES - {CLASHING}, ours, "MANIFEST.sha256"}


@pytest.mark.slow
async def test_what_is_there_and_the_same_is_no_other_file(world: World) -> None:
    """Its name is the result's own, and nothing gets a suffix."""
    folder = deliver(world, on_clash="suffix")
    await world.once()
    before = {path: (folder / path).read_bytes() for path in FILES}
    batch = await only_batch(world)
    async with world.store() as store:
        rows = {row.path: row.sha256 for row in await store.delivered_files(batch["id"])}
    assert rows == {path: hashlib.sha256(content).hexdigest() for path, content in before.items()}
    world.state_file.unlink()
    (folder / "MANIFEST.sha256").unlink()
    await world.once()
    assert {path: (folder / path).read_bytes() for path in FILES} == before


KILLS = [("deliver.file.act", 4), ("deliver.file.intent", 2), ("deliver.file.act", 1), ("deliver.file.receipt", 2)]


@pytest.mark.parametrize(("point", "time"), rarer(KILLS))
async def test_a_kill_takes_no_second_name(world: World, runner: Runner, point: str, time: int) -> None:
    """Also when the other file goes away between the death and the next start, each result is there once."""
    folder = deliver(world, on_clash="suffix")
    theirs = in_the_way(folder)
    runner.die(world, point, on=time)
    async with world.store() as store:
        (unit,) = await store.units()
        (row,) = await store.batches(unit.id)
        begun = [file.path for file in await store.delivered_files(row.id) if "~" in file.path]
    if begun:
        theirs.unlink()
    runner.finish(world)
    assert (await only_batch(world))["status"] == "done"
    if begun:
        theirs.write_text(THEIRS)
    assert_both_are_kept(folder)


@pytest.mark.slow
async def test_both_objects_are_kept(world: World, s3: S3) -> None:
    """The same in an object store, with the same names."""
    to_store(world, s3, names=BY_SAMPLE, on_clash="suffix", beside=[])
    place = f"runs/{RUN}"
    s3.client.put_object(Bucket=s3.bucket, Key=f"{place}/{CLASHING}", Body=THEIRS.encode())
    await world.once()
    batch = await only_batch(world)
    assert batch["status"] == "done", batch
    contents = s3.contents()
    assert contents[f"{place}/{CLASHING}"] == THEIRS.encode()
    listed = contents.pop(f"{place}/MANIFEST.sha256").decode().splitlines()
    assert len(listed) == 4
    for line in listed:
        sha256, _, path = line.partition("  ")
        assert hashlib.sha256(contents[f"{place}/{path}"]).hexdigest() == sha256
    assert len(contents) == 5


async def test_the_marker_never_stands_beside_half_a_delivery(world: World) -> None:
    """A second attempt adds what the first one lacked: at every point, where the marker is, the manifest lists all that
    is there.
    """
    folder = deliver(world, on="always", marker="DELIVERED")
    seen: set[tuple[int, bool]] = set()

    def watch(point: str) -> None:
        if point.startswith("deliver.") and folder.exists():
            there = {path for path in files_in(folder) if not Path(path).name.startswith(".")}
            is_marked = "DELIVERED" in there
            results = there - {"DELIVERED", "MANIFEST.sha256"}
            seen.add((len(results), is_marked))
            if is_marked:
                listed = (folder / "MANIFEST.sha256").read_text().splitlines()
                assert {line.partition("  ")[2] for line in listed} == results

    world.fake.faults.add(Fault("job_error", tool="count_reads", times=1))
    await world.once(points=watch)
    batch = await only_batch(world)
    assert batch["status"] == "failed"
    before = files_in(folder)
    assert {"DELIVERED", "MANIFEST.sha256"} < before
    await world.wish("retry", batch["id"])
    await world.once(points=watch)
    assert (await only_batch(world))["status"] == "done"
    assert files_in(folder) > before
    assert any(not is_marked for _, is_marked in seen)
    assert_checked(folder)


async def test_an_index_moves_with_its_alignment(tmp_path: Path) -> None:
    """Where the name of one of them is another file's, both get the same suffix; what was begun with is gone on with;
    where all names are taken, or no suffix is wished, it is their own that is told.
    """
    results = Results()
    bam = results.add("a", b"alignment", "aligned", ext="bam")
    index = dataclasses.replace(results.add("b", b"index", "aligned", ext="bam"), member="x", suffix="bai")
    index = dataclasses.replace(index, galaxy_id=bam.galaxy_id)
    target = FolderDelivery(tmp_path, tmp_path, AtOnce(), ManualClock())
    places = target.places([bam, index])
    own = {"aligned.bam": bam, "aligned.bam.bai": index}
    assert ways_of(PlannedDelivery(key="1", folder=str(tmp_path)), target, places) == [(own,)]
    (ways,) = ways_of(PlannedDelivery(key="1", folder=str(tmp_path), on_clash="suffix"), target, places)
    assert await free_way(ways, {}, target, results) == own
    (tmp_path / "aligned.bam.bai").write_text(THEIRS)
    moved = await free_way(ways, {}, target, results)
    first, second = moved
    assert (list(moved.values()), f"{first}.bai", first[:8]) == ([bam, index], second, "aligned~")
    begun = {first: DeliveredFile("x-1", "1", first, bam.galaxy_id, bam.size, intent_at=ManualClock().now())}
    (tmp_path / "aligned.bam.bai").unlink()
    assert await free_way(ways, begun, target, results) == moved
    for way in ways:
        for path in way:
            (tmp_path / path).write_text(THEIRS)
    assert await free_way(ways, {}, target, results) == own
