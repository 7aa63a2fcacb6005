"""What `once` shows while it works: bytes, rate and time left on a terminal, a plain line per change elsewhere."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from watcher.cli.output import LiveProgress, Rates

MIB = 1024 * 1024


def report(stage: str, **more: Any) -> dict[str, Any]:
    """Return the report of one unit with one batch."""
    batch = {
        "id": "k7m2x9-1", "stage": stage, "status": "working", "reason": "", "invocations": [], "bytes_done": 0,
        "bytes_total": 40 * MIB, "bytes_fetched": 0, **more,
    }  # fmt: skip
    return {"units": [{"id": "k7m2x9", "run": "run7", "stage": "finish", "status": "waiting", "batches": [batch]}]}


def test_rates_tell_speed_and_what_is_left() -> None:
    """Both come from what has moved since the first look; before that, and without a total, they are left out."""
    now = 100.0
    rates = Rates(lambda: now)
    assert rates.told("a", 0, 40 * MIB) == "0 B of 40.0 MiB"
    now += 4
    assert rates.told("a", 10 * MIB, 40 * MIB) == "10.0 MiB of 40.0 MiB, 2.5 MiB/s, 12 s left"
    assert rates.told("b", 10 * MIB) == "10.0 MiB"
    now += 2
    assert rates.told("b", 20 * MIB) == "20.0 MiB, 5.0 MiB/s"


@pytest.mark.parametrize(
    ("shown", "told"),
    [
        (report("upload", bytes_done=10 * MIB), "10.0 MiB of 40.0 MiB"),
        (report("poll", bytes_done=40 * MIB, invocations=[{"jobs": {"ok": 3, "new": 1}}]), "jobs: 1 new, 3 ok"),
        (report("deliver", bytes_done=40 * MIB, bytes_fetched=7 * MIB), "7.0 MiB brought home"),
    ],
)
def test_a_terminal_shows_one_line_per_batch(shown: dict[str, Any], told: str) -> None:
    """Stage, status and what moves stand behind the id and the run."""
    screen = io.StringIO()
    with LiveProgress(True, Console(file=screen, force_terminal=True, width=120)) as progress:
        progress.show(shown)
    (line,) = {line for line in screen.getvalue().splitlines() if "k7m2x9-1 run7" in line}
    assert told in line


def test_elsewhere_a_line_is_written_per_change_only(capsys: pytest.CaptureFixture[str]) -> None:
    """A log of a batch job shall not hold thousands of lines of percentages."""
    with LiveProgress(False) as progress:
        for done in range(0, 40 * MIB, MIB):
            progress.show(report("upload", bytes_done=done))
        progress.show(report("deliver", bytes_done=40 * MIB))
    assert [line.split()[:3] for line in capsys.readouterr().err.splitlines()] == [
        ["k7m2x9-1", "run7", "upload"],
        ["k7m2x9-1", "run7", "deliver"],
    ]
