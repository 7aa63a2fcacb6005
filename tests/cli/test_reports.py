"""The JSON that other programs read: its keys are a contract."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Call
from tests.delivered import RECORD_NAMES
from tests.runs.run_folders import novaseqx
from tests.world import RUN, World, fastq, packed, tree_of, write_bclconvert
from watcher.service.preview import preview

Json = dict[str, Any]

# The contract names these; more may come, none may go.
UNIT = {"id", "watch", "layout", "run", "unit", "version", "stage", "status", "reason", "batches", "sheet"}
BATCH = {
    "id", "rule", "stage", "status", "reason", "bytes_total", "bytes_done", "checked", "history_url", "invocations",
    "deliveries",
}  # fmt: skip
PLANNED_UNIT = {
    "watch", "layout", "run", "unit", "version", "path", "status", "reasons", "predicates", "left_out", "batches",
    "sheet",
}  # fmt: skip
PLANNED_BATCH = {"rule", "samples", "datasets", "destination", "collection", "workflow", "deliveries"}
WORDS = {"ready", "working", "waiting", "held", "failed", "done", "cancelled", "ignored"}


async def test_status_json(world: World) -> None:
    """`status --json` has what the contract names, with true numbers."""
    run = world.add_run()
    await world.once()
    report = world.command("status", "--json").report
    assert set(report) == {"units", "obstacles", "watches"}
    (unit,) = report["units"]
    assert set(unit) >= UNIT
    (batch,) = unit["batches"]
    assert set(batch) >= BATCH
    size = sum(path.stat().st_size for path in run.glob("*.fastq.gz"))
    assert (batch["bytes_total"], batch["bytes_done"], batch["checked"]) == (size, size, "SHA-256")
    assert unit["status"] in WORDS
    assert batch["history_url"].startswith(f"{world.fake.url}/histories/view?id=")
    (invocation,) = batch["invocations"]
    assert {"id", "workflow", "jobs"} <= set(invocation)
    assert invocation["jobs"] == {"ok": 8}
    (delivery,) = batch["deliveries"]
    assert (delivery["target"], delivery["status"]) == (f"{world.results}/{RUN}", "done")


async def test_show_and_plan_tell_alike_what_holds_and_since_when(world: World) -> None:
    """One shape and, once the daemon has seen it, one time; `plan` then knows the id, and still writes nothing."""

    async def planned() -> Json:
        unit: Json = (await preview(run, world.settings()))["units"][0]
        return unit

    run = world.add_run(marker=False)
    before = await planned()
    assert "id" not in before
    assert None not in [one["since"] for one in before["predicates"]]
    (unit,) = (await world.once(wait_s=0.0))["units"]
    async with world.store() as store:
        row = await store.unit(unit["id"])
        assert row
        seen = [{**one, "since": "2026-03-01T12:00:00+00:00"} for one in row.more["predicates"]]
        await store.touch(row, more={"predicates": seen})
    before_it = {path: one for path, one in tree_of(world.folder).items() if path != "state"}
    then = await planned()
    assert (then["id"], then["version"], then["status"]) == (unit["id"], 1, "waiting")
    assert then["predicates"] == (await world.show(unit["id"]))["predicates"] == seen
    # SQLite's own files in the state's folder come and go.
    assert {path: one for path, one in tree_of(world.folder).items() if path != "state"} == before_it
    (run / "Logs" / "FastqComplete.txt").touch()
    changed = [one["name"] for one in (await planned())["predicates"] if one["since"] > seen[0]["since"]]
    assert changed == ["file Logs/FastqComplete.txt"]


async def test_show_json_never_shows_a_session(world: World) -> None:
    """`show --json` tells files, datasets, results and journal, by unit or batch id; sessions are secrets."""
    world.add_run()
    unit = (await world.once())["units"][0]["id"]
    shown = world.command("show", f"{unit}-1", "--json")
    report = shown.report
    assert UNIT | {"files", "left_out", "journal", "predicates"} <= set(report)
    (batch,) = report["batches"]
    assert BATCH | {"datasets", "results"} <= set(batch)
    assert {row["checked"] for row in batch["datasets"]} == {"SHA-256"}
    assert len(batch["results"]) == 8 + len(RECORD_NAMES)
    assert "session" not in shown.out
    events = [line["event"] for line in report["journal"]]
    assert events.index("unit.detected") < events.index("plan.ended") < events.index("deliver.done")


def test_plan_json(world: World, call: Call) -> None:
    """`plan --json` has what the contract names: absolute path, files relative to it."""
    run = world.add_run()
    report = call("plan", str(world.watched), "--json").report
    (unit,) = report["units"]
    assert set(unit) >= PLANNED_UNIT
    assert (unit["path"], unit["status"], unit["reasons"]) == (str(run), "ready", [])
    assert {"name", "holds", "detail", "since"} == set(unit["predicates"][0])
    (batch,) = unit["batches"]
    assert set(batch) == PLANNED_BATCH
    assert [sample["name"] for sample in batch["samples"]] == ["S1", "S2"]
    file = batch["samples"][0]["files"][0]
    assert set(file) == {"path", "read", "lane", "size"}
    assert (run / file["path"]).stat().st_size == file["size"]
    assert batch["collection"]["type"] == "list:paired"
    assert {"type", "name", "elements"} == set(batch["collection"])


def test_plan_without_a_configuration(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any folder can be asked about: one batch with all samples, no rule."""
    monkeypatch.delenv("WATCHER_CONFIG")
    run = write_bclconvert(tmp_path / "elsewhere" / RUN)
    for path in (run, run / "S1_S1_L001_R1_001.fastq.gz"):
        ended = call("plan", str(path), "--json", "--assume-quiet")
        assert ended.code == 0, ended.err
        (unit,) = ended.report["units"]
        assert (unit["watch"], unit["layout"], unit["run"], unit["status"]) == (None, "bclconvert", RUN, "ready")
        (batch,) = unit["batches"]
        assert batch["rule"] is None
        assert len(batch["samples"]) == 2


def test_plan_with_a_broken_configuration_says_so(world: World, call: Call) -> None:
    """A configuration that is there but wrong is not passed over."""
    run = world.add_run()
    world.config_file.write_text("galaxy: {url: [")
    assert call("plan", str(run)).code == 3


def test_plan_names_what_is_missing_and_what_is_broken(world: World, call: Call) -> None:
    """Waiting names the condition, held names the file; the exit code of held is 5."""
    run = world.add_run()
    (run / "Logs" / "FastqComplete.txt").unlink()
    waiting = call("plan", str(run), "--json")
    assert waiting.code == 0
    assert waiting.report["units"][0]["status"] == "waiting"
    assert "FastqComplete.txt" in " ".join(waiting.report["units"][0]["reasons"])
    (run / "Logs" / "FastqComplete.txt").touch()
    (run / "S1_S1_L001_R1_001.fastq.gz").write_bytes(b"no gzip at all")
    held = call("plan", str(run), "--json", "--assume-quiet")
    assert held.code == 5
    assert "S1_S1_L001_R1_001.fastq.gz" in held.report["units"][0]["reasons"][0]


def test_plan_names_what_has_been_missing_for_too_long(world: World, call: Call) -> None:
    """After `max_wait` it is said beside what is missing; the unit waits as before."""
    world.write_config(watch={"max_wait": "0s"})
    run = world.add_run(marker=False)
    (unit,) = call("plan", str(run), "--json").report["units"]
    assert unit["status"] == "waiting"
    missing = "Logs/FastqComplete.txt is not there"
    assert unit["reasons"] == [missing, f"Nothing has changed for 0 s, but {missing}."]


@pytest.mark.parametrize("content", [b"no database at all", b""])
def test_plan_needs_no_state_that_can_be_read(world: World, call: Call, content: bytes) -> None:
    """What a broken state would have told, the files tell; `status` is the one who complains of it."""
    run = world.add_run()
    world.state_file.write_bytes(content)
    ended = call("plan", str(run), "--json", "--assume-quiet")
    assert (ended.code, ended.err) == (0, "")
    (unit,) = ended.report["units"]
    assert ("id" in unit, unit["version"], unit["status"]) == (False, 1, "ready")
    assert call("status").code == 3


def test_plan_with_content_reads_the_files_through(world: World, call: Call) -> None:
    """`--content` finds what only reading finds."""
    run = world.add_run()
    (run / "S1_S1_L001_R2_001.fastq.gz").write_bytes(packed(fastq(3, read=2)))
    assert call("plan", str(run), "--assume-quiet").code == 0
    ended = call("plan", str(run), "--content", "--assume-quiet", "--json")
    assert ended.code == 5
    assert "S1_S1_L001_R2_001.fastq.gz" in " ".join(ended.report["units"][0]["reasons"])


def test_plan_writes_nothing(world: World, call: Call) -> None:
    """Neither in the run, nor in the state, nor in Galaxy."""
    world.add_run()
    before = tree_of(world.folder)
    assert call("plan", str(world.watched)).code == 0
    assert call("plan", str(world.watched), "--content").code == 0
    assert tree_of(world.folder) == before
    assert world.fake.requests.all() == []


def test_plan_on_a_read_only_mount(world: World, tmp_path: Path) -> None:
    """A share that is mounted read-only is all that `plan` needs."""
    run = world.add_run()
    place = tmp_path / "mounted"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(place)], capture_output=True, check=False)
    if mounted.returncode:  # no right to mount: a folder nobody may write to says the same, but for root
        if os.geteuid() == 0:
            pytest.skip("mounting is not allowed here")
        shutil.copytree(run, place / run.name)
        place.chmod(0o500)
        assert world.command("plan", str(place / run.name), "--content").code == 0
        place.chmod(0o700)
        return
    try:
        shutil.copytree(run, place / run.name)
        subprocess.run(["mount", "-o", "remount,ro", str(place)], check=True)
        # A process of its own: what a command has open when it ends (files are let go in the background) ends with it.
        ended = world.command("plan", str(place / run.name), "--content", "--assume-quiet", "--json")
        assert ended.code == 0, ended.err
        assert ended.report["units"][0]["status"] == "ready"
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def test_plan_of_a_novaseqx_lists_each_analysis(world: World, call: Call) -> None:
    """Each analysis is a unit; a path inside one means that one alone; file paths are relative to the unit."""
    run = novaseqx(analyses=(1, 2)).write(world.watched)
    both = call("plan", str(run), "--json", "--assume-quiet").report["units"]
    assert [unit["unit"] for unit in both] == ["Analysis/1", "Analysis/2"]
    (one,) = call("plan", str(run / "Analysis" / "2"), "--json", "--assume-quiet").report["units"]
    assert one["path"] == str(run / "Analysis" / "2")
    file = one["batches"][0]["samples"][0]["files"][0]
    assert (Path(one["path"]) / file["path"]).is_file()


def test_check_json(world: World, call: Call) -> None:
    """`check --json` lists every finding with its remedy."""
    world.write_config(rule={"deliver": {"folder": f"{world.folder}/missing/{{run}}"}})
    ended = call("check", "--json")
    assert ended.code == 5
    bad = [finding for finding in json.loads(ended.out)["findings"] if not finding["well"]]
    assert [set(one) for one in bad] == [{"subject", "well", "message", "hint", "exit_code"}]
    assert bad[0]["hint"]
