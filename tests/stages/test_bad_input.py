"""Bad input on the whole way: one clear reason, nothing lost, nothing doubled, and on again once it is put right."""

from __future__ import annotations

import bz2
from typing import Any

import pytest

from tests.fakes.galaxy import Fault
from tests.world import World, counting_workflow, fastq, packed, until

Json = dict[str, Any]


def only(report: Json) -> tuple[Json, Json | None]:
    """Return the only unit and its only batch, if it has one."""
    (unit,) = report["units"]
    assert len(unit["batches"]) <= 1
    return unit, unit["batches"][0] if unit["batches"] else None


async def test_an_unknown_workflow_holds_before_a_byte_is_sent(world: World) -> None:
    """A rule that names a workflow Galaxy does not have holds the unit at plan, with the name of the nearest."""
    world.write_config(rule={"workflow": {"name": "Count read", "inputs": {"Reads": "reads"}}})
    world.add_run()
    unit, batch = only(await world.once())
    assert (unit["stage"], unit["status"], batch) == ("plan", "held", None)
    assert "Count read" in unit["reason"]
    assert world.posts("upload") == world.posts("histories") == 0


async def test_two_workflows_of_one_name_hold(world: World) -> None:
    """Which of two equal names is meant is not guessed."""
    world.fake.import_workflow(counting_workflow())
    world.add_run()
    unit, _ = only(await world.once())
    assert (unit["stage"], unit["status"]) == ("plan", "held")
    assert "Count reads" in unit["reason"]
    assert "id" in unit["hint"]


async def test_a_missing_input_label_holds_with_the_nearest_one(world: World) -> None:
    """An input that the workflow does not have is told with what was probably meant."""
    world.write_config(rule={"workflow": {"name": "Count reads", "inputs": {"Raeds": "reads"}}})
    world.add_run()
    unit, _ = only(await world.once())
    assert unit["status"] == "held"
    assert "no input “Raeds” (did you mean “Reads”?)" in unit["reason"]


async def test_a_held_plan_goes_on_after_retry_with_a_corrected_rule(world: World) -> None:
    """After the rule is put right, `retry` takes the unit to its end."""
    world.write_config(rule={"workflow": {"name": "No such", "inputs": {"Reads": "reads"}}})
    world.add_run()
    unit, _ = only(await world.once())
    world.write_config()
    assert world.command("retry", unit["id"]).code == 0
    unit, batch = only(await world.once())
    assert batch
    assert (unit["status"], batch["status"]) == ("done", "done")


async def test_a_truncated_gz_holds_and_releases_itself(world: World) -> None:
    """A gz file cut short never becomes a dataset; a good one in its place goes on by itself, the others are not sent
    twice.
    """
    run = world.add_run()
    bad = run / "S2_S2_L001_R2_001.fastq.gz"
    good = bad.read_bytes()
    bad.write_bytes(packed(fastq(4000))[:-3000] + b"\x01" * 8)
    async with world.daemon():
        unit = await world.until_status("held")
        (batch,) = unit["batches"] or [{"reason": ""}]
        assert bad.name in batch["reason"] + unit["reason"]
        assert bad.name not in world.uploads()
        bad.write_bytes(good)
        unit = await world.until_status("done")
    assert world.uploads() == world.fastqs(run)
    assert len(world.fake.invocations()) == 1
    assert [batch["status"] for batch in unit["batches"]][-1] == "done"
    assert len([history for history in world.fake.histories() if not history["deleted"]]) == 1


async def test_half_a_bzip2_stream_never_becomes_a_dataset(world: World) -> None:
    """Reads packed with bzip2 are read through like any others; the whole file in its place goes on by itself."""
    world.write_config(watch={"layout": "files"}, rule={"workflow": None, "deliver": None})
    whole = bz2.compress(fastq(400))
    (world.watched / "a_R2.fastq.bz2").write_bytes(bz2.compress(fastq(400, read=2)))
    (world.watched / "a_R1.fastq.bz2").write_bytes(whole[: len(whole) // 2])
    async with world.daemon():
        unit = await world.until_status("held")
        assert "`a_R1.fastq.bz2` is cut off" in unit["batches"][0]["reason"]
        (world.watched / "a_R1.fastq.bz2").write_bytes(whole)
        await world.until_status("done")
    assert world.uploads() == world.fastqs()


async def test_an_empty_fastq_is_sent_where_that_is_wished(world: World) -> None:
    """A FASTQ of no reads is legal: samples without reads happen, and some want to see them in Galaxy."""
    world.write_config(watch={"empty": "upload"})
    run = world.add_run()
    for read in (1, 2):
        (run / f"S2_S2_L001_R{read}_001.fastq.gz").write_bytes(packed(b""))
    unit, batch = only(await world.once())
    assert unit["status"] == "done", unit
    assert world.uploads() == world.fastqs(run)
    assert batch


async def test_r1_without_r2_is_not_sent(world: World) -> None:
    """A read that is missing keeps the unit waiting, and is named."""
    run = world.add_run()
    (run / "S2_S2_L001_R2_001.fastq.gz").unlink()
    unit, batch = only(await world.once(wait_s=0.5))
    assert (unit["stage"], unit["status"], batch) == ("settle", "waiting", None)
    assert "S2_S2_L001_R2_001.fastq.gz" in unit["reason"]
    assert world.posts("upload") == 0


async def test_unequal_pairs_hold(world: World) -> None:
    """R1 and R2 of different lengths are found while they are sent, and neither becomes a dataset."""
    run = world.add_run()
    (run / "S2_S2_L001_R2_001.fastq.gz").write_bytes(packed(fastq(3, read=2)))
    unit, batch = only(await world.once())
    assert batch
    assert (unit["status"], batch["status"]) == ("held", "held")
    assert "S2_S2_L001_R1_001.fastq.gz" in batch["reason"]
    assert "S2_S2_L001_R2_001.fastq.gz" in batch["reason"]
    assert not [name for name in world.uploads() if name.startswith("S2")]


async def test_a_tool_that_fails_fails_the_batch_with_its_words(world: World) -> None:
    """Exit code and stderr of the first failed job are the reason; deliveries for failures are made."""
    world.fake.import_workflow(counting_workflow("Fails", exit_code=3))
    world.write_config(
        rule={
            "workflow": {"name": "Fails", "inputs": {"Reads": "reads"}},
            "deliver": [
                {"folder": f"{world.results}/{{run}}"},
                {"folder": f"{world.results}/failed/{{run}}", "on": "failed"},
            ],
        }
    )
    (world.results / "failed").mkdir()
    world.add_run()
    unit, batch = only(await world.once())
    assert batch
    assert (unit["status"], batch["status"]) == ("failed", "failed")
    for words in ("wait_then_exit", "exit code 3"):
        assert words in batch["reason"]
    assert [row["status"] for row in batch["deliveries"]] == ["ignored", "done"]
    assert (world.results / "failed" / unit["run"] / "MANIFEST.sha256").exists()
    assert not (world.results / unit["run"]).exists()


async def test_a_delivery_without_a_workflow_is_held(world: World) -> None:
    """Where nothing makes results a delivery is a mistake, not an empty success."""
    world.write_config(rule={"workflow": None, "deliver": {"folder": f"{world.results}/{{run}}"}})
    world.add_run()
    unit, batch = only(await world.once())
    assert batch
    assert (unit["status"], batch["stage"], batch["status"]) == ("held", "deliver", "held")
    assert "selects nothing with `*`" in batch["reason"]
    assert "The workflow labels nothing." in batch["hint"]


@pytest.mark.parametrize("what", ["history", "dataset"])
async def test_a_thing_deleted_by_hand_holds(world: World, what: str) -> None:
    """What somebody deletes in Galaxy in mid-run is told, not made again."""
    fault_path = "/api/dataset_collections" if what == "dataset" else "/api/tools/fetch"
    world.add_run()

    def delete() -> None:
        if what == "history":
            world.fake.delete_history(world.fake.histories()[0]["id"])
        else:
            world.fake.delete_dataset(world.fake.datasets()[0]["id"])

    world.fake.faults.add(Fault("act", method="POST", path=fault_path, action=delete))
    unit, batch = only(await world.once())
    assert batch
    assert (unit["status"], batch["status"]) == ("held", "held"), batch
    assert "deleted" in batch["reason"]
    # A dataset that goes while the collection is built is only noticed by the workflow, which is asked for once.
    assert len(world.fake.invocations()) == {"history": 0, "dataset": 1}[what]


async def test_a_sample_no_rule_takes_holds_the_unit(world: World) -> None:
    """Samples that fall to no rule are never dropped silently."""
    world.write_config(rule={"match": {"sample": "S1"}})
    world.add_run()
    unit, batch = only(await world.once())
    assert (unit["status"], batch) == ("held", None)
    assert "S2" in unit["reason"]


async def test_a_lone_r1_in_a_flat_folder_is_held_when_abandoned(world: World) -> None:
    """In a folder where files are dropped, a read whose partner never comes is held, and goes on when it does."""
    world.write_config(watch={"layout": "files", "abandoned": "1s"})
    (world.watched / "a_R1.fastq.gz").write_bytes(packed(fastq(3)))
    async with world.daemon():
        unit = await world.until_status("held")
        assert "R2 of a is missing" in unit["reason"]
        (world.watched / "a_R2.fastq.gz").write_bytes(packed(fastq(3, read=2)))
        await world.until_status("done")
    assert world.uploads() == world.fastqs()


async def test_a_flat_folder_takes_pairs_and_single_files(world: World) -> None:
    """R1 and R2 are one unit, each with a history and delivery folder of its own."""
    world.write_config(watch={"layout": "files"})
    for sample in ("a", "b"):
        for read in (1, 2):
            (world.watched / f"{sample}_R{read}.fastq.gz").write_bytes(packed(fastq(3, read=read)))
    report = await world.once()
    assert {unit["unit"]: unit["status"] for unit in report["units"]} == {"a": "done", "b": "done"}
    assert world.uploads() == world.fastqs()
    targets = [batch["deliveries"][0]["target"] for unit in report["units"] for batch in unit["batches"]]
    assert len(set(targets)) == 2
    assert len({history["name"] for history in world.fake.histories()}) == 2


async def test_a_file_that_changes_during_upload_is_not_registered(world: World) -> None:
    """A source that is written to while it is read never becomes a dataset; once it lies still, it goes."""
    run = world.add_run()
    changing = run / "S1_S1_L001_R1_001.fastq.gz"

    def change() -> None:
        changing.write_bytes(packed(fastq(4) + b""))
        with changing.open("ab") as more:
            more.write(packed(fastq(2)))
        (run / "S1_S1_L001_R2_001.fastq.gz").write_bytes(packed(fastq(4, read=2)) + packed(fastq(2, read=2)))

    world.fake.faults.add(Fault("act", method="POST", path="/api/upload/resumable_upload*", action=change))
    async with world.daemon():
        unit = await world.until_status("done")
    assert world.uploads() == world.fastqs(run), unit


async def test_a_file_removed_during_upload_is_held_and_named(world: World) -> None:
    """A source that vanishes holds the batch; put back, it goes on by itself."""
    run = world.add_run()
    gone = run / "S1_S1_L001_R1_001.fastq.gz"
    kept = gone.read_bytes()
    world.fake.faults.add(Fault("act", method="POST", path="/api/upload/resumable_upload*", action=gone.unlink))
    async with world.daemon():
        unit = await world.until_status("held")
        assert gone.name in unit["reason"]
        gone.write_bytes(kept)
        await world.until_status("done")
    assert world.uploads() == world.fastqs(run)


async def test_a_bad_sheet_is_corrected_without_a_shell(world: World) -> None:
    """A sheet that does not fit the files holds with its name, and a corrected one goes on by itself."""
    run = world.add_run()
    sheet = run / "Reports" / "SampleSheet.csv"
    good = sheet.read_bytes()
    sheet.write_bytes(good + b"S3,AAAA\n")
    async with world.daemon():

        async def stopped() -> Json | None:
            units = (await world.status())["units"]
            return units[0] if units and units[0]["status"] in ("held", "waiting") else None

        unit = await until(stopped)
        assert "S3" in unit["reason"]
        sheet.write_bytes(good)
        await world.until_status("done")
    assert world.uploads() == world.fastqs(run)


async def test_a_sample_without_files_is_held_with_its_own_reason(world: World) -> None:
    """It names sheet, line and sample; `no_files: skip` and a retry go on with the others and list it."""
    run = world.add_run()
    sheet = run / "Reports" / "SampleSheet.csv"
    sheet.write_text(sheet.read_text() + "S3,ACGTACGA\n")
    (unit,) = (await world.once())["units"]
    assert (unit["status"], unit["stage"], unit["code"]) == ("held", "verify", "no_files")
    assert unit["reason"] == "Reports/SampleSheet.csv:7:1: sample S3 has no files."
    assert "`no_files: skip`" in unit["hint"]
    assert not world.uploads()
    world.write_config(watch={"no_files": "skip"}, rule={"workflow": None, "deliver": None})
    await world.wish("retry", unit["id"])
    assert (await world.once())["units"][0]["status"] == "done"
    assert (await world.show(unit["id"]))["remarks"] == ["Reports/SampleSheet.csv:7:1: sample S3 has no files."]
    assert world.uploads() == world.fastqs(run)
