"""`plan PATH --json` says the same of every sequencer and converter in one shape, without a configuration and without
Galaxy: finished, unfinished, or with base calls alone.

The shape is `watcher/service/plan.schema.json`; the run folders come from `tests/runs/instruments/`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer

from tests.cli.shapes import misfits
from tests.runs.instruments import INSTRUMENTS, Instrument
from watcher.cli import look

Json = dict[str, Any]
ROOT = Path(__file__).parents[2]
SCHEMA: Json = json.loads((ROOT / "watcher" / "service" / "plan.schema.json").read_text())
WORDS = {"ready": "ready", "nothing": "ignored", "failed": "failed", "held": "held", "waiting": "waiting"}
FAILED = [
    (name, why) for name, one in INSTRUMENTS.items() for why, how in one.failures.items() if how.outcome == "failed"
]
QUIET_TELLS = ("lrm", "mgi")
"""Layouts whose last file is no condition: what it means is told by other files, and by time."""

every_instrument = pytest.mark.parametrize("instrument", INSTRUMENTS.values(), ids=INSTRUMENTS)
Plan = Callable[..., Json]


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Plan:
    """Return the command's function, where nothing is configured; the exit code must fit what it prints."""
    for name in [name for name in os.environ if name.startswith("WATCHER_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)

    def ask(path: Path, layout: str, *, assume_quiet: bool = True) -> Json:
        code = 0
        try:
            look.plan(path, None, layout if layout == "files" else "", False, assume_quiet, True)
        except typer.Exit as ended:
            code = ended.exit_code
        report: Json = json.loads(capsys.readouterr().out)
        assert code == (5 if {"held", "failed"} & {unit["status"] for unit in report["units"]} else 0)
        return report

    return ask


def held_against_the_contract(report: Json) -> dict[str, Json]:
    """Return the units of a report by name; AssertionError when anything in it is not as the contract has it."""
    assert list(misfits(report, SCHEMA, SCHEMA)) == []
    for unit in report["units"]:
        _check_unit(unit)
        _check_files(unit)
    return {unit["unit"]: unit for unit in report["units"]}


def _check_unit(unit: Json) -> None:
    """What status, conditions and reasons say must be the same."""
    assert (unit["watch"], "id" in unit, unit["version"]) == (None, False, 1)
    missing = [one for one in unit["predicates"] if not one["holds"]]
    assert unit["predicates"]
    if unit["status"] == "waiting":
        assert [reason for reason in unit["reasons"] if reason in {one["detail"] for one in missing}]
    if unit["status"] in ("ready", "ignored"):
        assert missing == []
    if unit["status"] in ("held", "failed", "ignored"):
        assert unit["reasons"]
    if unit["sheet"]:
        assert Path(unit["sheet"]["path"]).is_file()


def _check_files(unit: Json) -> None:
    """Every path is there, every file is in one place, and every dataset is somebody's."""
    folder = Path(unit["path"])
    taken = [file for batch in unit["batches"] for sample in batch["samples"] for file in sample["files"]]
    left_out = [left["path"] for left in unit["left_out"]]
    for file in taken:
        assert (folder / file["path"]).stat().st_size == file["size"]
    for path in left_out:
        assert (folder / path).exists(), path
    assert len({file["path"] for file in taken}) == len(taken)
    assert not {file["path"] for file in taken} & set(left_out)
    for batch in unit["batches"]:
        assert (batch["rule"], batch["destination"], batch["workflow"], batch["deliveries"]) == (None, None, None, [])
        assert len(batch["collection"]["elements"]) >= len(batch["samples"])


@pytest.mark.parametrize(
    ("place", "value", "told"),
    [
        (("units",), None, "$.units: None is no array"),
        (("units", 0, "status"), "done", "$.units[0].status: 'done' is none of"),
        (("units", 0, "path"), "relative", "$.units[0].path: 'relative' does not fit"),
        (("units", 0, "version"), 0, "$.units[0].version: 0 is less than 1"),
        (("units", 0, "version"), True, "$.units[0].version: True is no integer"),
        (("units", 0, "watch"), "", "$.units[0].watch: is empty"),
        (("units", 0, "more"), 1, "$.units[0]: has 'more'"),
        (("units", 0, "predicates", 0), {"name": "x"}, "$.units[0].predicates[0]: has no 'holds'"),
        (("units", 0, "predicates", 0, "since"), "2026-03-01T12:00:00", "tells no time zone"),
        (("units", 0, "batches", 0, "samples"), [], "$.units[0].batches[0].samples: is empty"),
        (("units", 0, "batches", 0, "collection", "elements", 0), {"name": "x"}, "has no 'dataset'"),
        (("units", 0, "batches", 0, "workflow"), {}, "$.units[0].batches[0].workflow: {} is no"),
    ],
)
def test_what_breaks_the_contract_is_found(
    plan: Plan, tmp_path: Path, place: tuple[str | int, ...], value: object, told: str
) -> None:
    """A report is held against every word of the schema."""
    report = plan(INSTRUMENTS["BCL Convert"].make().write(tmp_path), "bclconvert")
    assert list(misfits(report, SCHEMA, SCHEMA)) == []
    at: Any = report
    for step in place[:-1]:
        at = at[step]
    at[place[-1]] = value
    found = list(misfits(report, SCHEMA, SCHEMA))
    assert any(told in one for one in found), found


@every_instrument
def test_a_finished_run(instrument: Instrument, plan: Plan, tmp_path: Path) -> None:
    """Its layout, its units, what becomes of each, and exactly its samples and files."""
    run = instrument.make().write(tmp_path)
    units = held_against_the_contract(plan(run, instrument.layout))
    assert sorted(units) == sorted(instrument.units)
    for name, unit in units.items():
        assert (unit["layout"], unit["status"]) == (instrument.layout, WORDS[instrument.outcome]), unit["reasons"]
        samples = [sample for batch in unit["batches"] for sample in batch["samples"]]
        if instrument.outcome == "ready":
            files = [Path(unit["path"], file["path"]) for sample in samples for file in sample["files"]]
            empty = [left["path"] for left in unit["left_out"] if left["reason"].startswith("no reads in it")]
            files += [Path(unit["path"], path) for path in empty]
            assert sorted(files) == sorted(run / path for path in instrument.taken[name])
            if not empty:
                assert sorted(sample["name"] for sample in samples) == sorted(instrument.samples[name])
        else:
            assert samples == []
        if instrument.nothing:
            assert unit["reasons"][0].startswith("Nothing to upload: ")


@every_instrument
def test_an_unfinished_run(instrument: Instrument, plan: Plan, tmp_path: Path) -> None:
    """Without its last file it waits and names what is missing and since when; where only quiet tells, what moved
    last.
    """
    run = instrument.make().without(*instrument.last.values()).write(tmp_path)
    units = held_against_the_contract(plan(run, instrument.layout, assume_quiet=False))
    for name, unit in units.items():
        if unit["layout"] != instrument.layout:
            continue  # without it, the folder is what a more general layout says it is
        missing = {one["name"]: one["since"] for one in unit["predicates"] if not one["holds"]}
        if unit["status"] == "held":
            assert instrument.outcome == "held"
            continue
        assert unit["status"] == "waiting", unit["reasons"]
        assert None not in missing.values()
        if name in instrument.last and instrument.layout not in QUIET_TELLS:
            assert [one for one in missing if not one.startswith("quiet")], unit["predicates"]


@pytest.mark.parametrize(("name", "why"), FAILED, ids=[f"{name}: {why}" for name, why in FAILED])
def test_a_run_that_failed(name: str, why: str, plan: Plan, tmp_path: Path) -> None:
    """What the instrument says of the failure is the reason, and nothing of it would be sent."""
    instrument = INSTRUMENTS[name]
    failure = instrument.failures[why]
    run = failure.change(instrument.make()).write(tmp_path)
    units = held_against_the_contract(plan(run, instrument.layout))
    concerned = [unit for unit in units.values() if failure.unit in ("", unit["unit"])]
    assert {unit["status"] for unit in concerned} == {"failed"}
    assert [unit["batches"] for unit in concerned] == [[]] * len(concerned)


def test_a_place_full_of_runs_in_a_process_of_its_own(tmp_path: Path) -> None:
    """One of each layout side by side, as a person asks about a whole share."""
    of_layout = {one.layout: one for one in INSTRUMENTS.values() if one.outcome == "ready" and one.layout != "files"}
    trees = {layout: (one, one.make()) for layout, one in of_layout.items()}
    placed = {tree.name: (one, tree) for one, tree in trees.values()}  # some call their runs alike
    place = tmp_path / "place"
    for _, tree in placed.values():
        tree.write(place)
    env = {name: value for name, value in os.environ.items() if not name.startswith("WATCHER_")}
    ended = subprocess.run(
        [sys.executable, "-m", "watcher", "plan", str(place), "--json", "--assume-quiet"],
        cwd=tmp_path, env={**env, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    report = json.loads(ended.stdout)
    held_against_the_contract(report)
    told = sorted((unit["layout"], unit["unit"], unit["status"]) for unit in report["units"])
    assert told == sorted((one.layout, unit, "ready") for one, _ in placed.values() for unit in one.units)
    assert len(placed) > 10
