"""Files of reads that come or change in a run folder after its plan: told once, or a new version."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

from rich.console import Console

from tests.fakes.galaxy import Fault
from tests.world import RUN, World, fastq, packed, until
from watcher.cli.output import print_status

LATE_NAME = "S9_S9_L001_R1_001.fastq.gz"


def plain(world: World, **watch: Any) -> None:
    """Let nothing but the upload happen."""
    world.write_config(watch=watch, rule={"workflow": None, "deliver": None})


def touch(path: Path) -> None:
    """Give a file another time and leave its bytes."""
    os.utime(path, (1_700_000_000, 1_700_000_000))


async def test_a_late_file_is_told_once(world: World) -> None:
    """A sample that appears after the end is named in the journal, `status` and `show`; nothing is sent again."""
    plain(world)
    run = world.add_run()
    (unit,) = (await world.once())["units"]
    (run / LATE_NAME).write_bytes(packed(fastq(2)))
    first = run / "S1_S1_L001_R1_001.fastq.gz"
    first.write_bytes(packed(fastq(9)))
    for _ in range(2):
        (after,) = (await world.once())["units"]
        assert (after["id"], after["status"]) == (unit["id"], "done")
        assert after["late"] == [
            {"path": first.name, "what": "other size"}, {"path": LATE_NAME, "what": "new"},
        ]  # fmt: skip
    (line,) = await world.journal("unit.late_files")
    assert line == f"Came after the plan, which does not know it: {first.name} (other size), {LATE_NAME} (new)."
    shown = io.StringIO()
    print_status(await world.status(), console=Console(file=shown, width=200))
    assert f"{unit['id']}: Came later: {first.name} (other size), {LATE_NAME} (new)" in shown.getvalue()
    assert world.posts("/api/tools/fetch") == 1


async def test_a_resync_that_touches_only_times_is_nothing(world: World) -> None:
    """Same bytes with new times are read once and then known: no notice, no version, no second read."""
    plain(world)
    run = world.add_run()
    (unit,) = (await world.once())["units"]
    for path in run.rglob("*"):
        touch(path)
    (after,) = (await world.once())["units"]
    assert (after["id"], after["status"], after["late"]) == (unit["id"], "done", [])
    async with world.store() as store:
        rows = {row.path: row.mtime_ns for row in await store.source_files(unit["id"])}
        version = (await store.units())[0].version
    assert {rows[name] for name in world.fastqs(run)} == {1_700_000_000 * 10**9}
    await world.once()
    async with world.store() as store:
        assert (await store.units())[0].version == version, "it was read again"
    assert not await world.journal("unit.late_files")


async def test_other_bytes_of_the_same_size_are_told(world: World) -> None:
    """A file that was exchanged for one of the same size is read, and found to be another."""
    plain(world)
    run = world.add_run()
    await world.once()
    path = run / "S1_S1_L001_R1_001.fastq.gz"
    content = path.read_bytes()
    path.write_bytes(content[:4] + b"\1" + content[5:])
    touch(path)
    (after,) = (await world.once())["units"]
    assert after["late"] == [{"path": path.name, "what": "other content"}]
    assert after["status"] == "done"
    await world.once()
    assert len(await world.journal("unit.late_files")) == 1


async def test_late_files_make_a_new_version_where_that_is_wished(world: World) -> None:
    """The second version takes the whole run, in a history and folder of its own; touched files alone bring nothing."""
    world.write_config(watch={"late": "new_version"})
    run = world.add_run()
    (first,) = (await world.once())["units"]
    before = {path: path.read_bytes() for path in world.results.rglob("*") if path.is_file()}
    touch(run / "S1_S1_L001_R1_001.fastq.gz")
    second = (await world.once())["units"]
    assert sorted((unit["version"], unit["status"], len(unit["batches"])) for unit in second) == [
        (1, "done", 1), (2, "done", 0),
    ]  # fmt: skip
    for read in (1, 2):
        (run / f"S9_S9_L001_R{read}_001.fastq.gz").write_bytes(packed(fastq(2, read=read)))
    sheet = run / "Reports" / "fastq_list.csv"
    sheet.write_text(sheet.read_text() + f"x.9,S9,UnknownLibrary,1,{LATE_NAME},{LATE_NAME.replace('R1', 'R2')}\n")
    third = await world.once()
    newest = max(third["units"], key=lambda unit: unit["version"])
    assert (newest["version"], newest["status"]) == (3, "done"), newest
    assert newest["batches"][0]["datasets_total"] == 6
    assert len(third["units"]) == len((await world.once())["units"]) == 3
    histories = {unit["batches"][0]["history"] for unit in third["units"] if unit["batches"]}
    targets = {unit["batches"][0]["deliveries"][0]["target"] for unit in third["units"] if unit["batches"]}
    assert histories == {RUN, f"{RUN} v3 {newest['id']}"}
    assert targets == {str(world.results / RUN), f"{world.results / RUN}_v3_{newest['id']}"}
    assert first["batches"][0]["deliveries"][0]["target"] == str(world.results / RUN)
    assert {path: path.read_bytes() for path in before} == before, "what was delivered is as it was"
    assert len(world.fake.histories()) == 2


async def test_a_file_dropped_by_while_the_run_is_under_way_is_told(world: World) -> None:
    """Also a unit whose batch is still running is looked after."""
    plain(world)
    run = world.add_run()
    world.fake.faults.add(Fault("hold", method="PATCH", path="/api/upload/*", times=None))
    async with world.daemon():
        unit = await world.until_status("waiting", stage="finish")
        (run / LATE_NAME).write_bytes(packed(fastq(2)))

        async def told() -> bool:
            return bool((await world.show(unit["id"]))["late"])

        await until(told, 20, what="the notice")
        world.fake.faults.clear()


async def test_long_ended_units_are_left_alone(world: World) -> None:
    """After `late_for` nothing is listed any more."""
    plain(world, late_for="0s")
    run = world.add_run()
    await world.once()
    (run / LATE_NAME).write_bytes(packed(fastq(2)))
    (after,) = (await world.once())["units"]
    assert (after["status"], after["late"]) == ("done", [])
