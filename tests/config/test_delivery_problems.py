"""What is wrong with the deliveries of a rule, each told once with its place."""

from __future__ import annotations

import pytest

from tests.config.conftest import GOOD, WriteConfig
from tests.config.test_problems import Bad, assert_told_once
from watcher.config import load_config

FOLDER = "- folder: /results/{run}/{project}"
LINE = next(number for number, line in enumerate(GOOD.splitlines(), 1) if FOLDER in line)


def bad(name: str, more: str, key: str, *told: str) -> Bad:
    """Return a mistake in the first delivery, on the line after its folder."""
    return Bad(name, FOLDER, f"{FOLDER}\n        {more}", LINE + 1, f"rules[0].deliver[0].{key}", *told)


TABLE = (
    bad("mode-that-is-a-number", "mode: 640", "mode", "is not a mode.", '"0640"'),
    bad("mode-in-words", 'mode: "u=rw"', "mode", "is not a mode.", "in quotes"),
    bad("mode-of-nine", 'folder_mode: "0999"', "folder_mode", "is not a mode.", "in quotes"),
    bad("marker-elsewhere", "marker: ../READY", "marker", "is no name for a marker.", "For example"),
    bad("marker-like-the-manifest", "marker: MANIFEST.sha256", "marker", "is no name for a marker.", "For example"),
)


@pytest.mark.parametrize("bad", TABLE, ids=[bad.name for bad in TABLE])
def test_one_wrong_thing_of_a_delivery_is_one_problem(write: WriteConfig, bad: Bad) -> None:
    """Each mistake is told once, with file, line, key, what is wrong and what would be right."""
    assert_told_once(write, bad)


def test_what_a_delivery_says_is_kept(write: WriteConfig) -> None:
    """Modes are kept as they are written; what is left out stays as the system makes it."""
    more = ('mode: "0640"', "folder_mode: 02750", "group: lab", "marker: READY", "may_fail: true")
    text = GOOD.replace(FOLDER, "\n        ".join((FOLDER, *more)))
    delivery = load_config(write(text), {}).rules[0].deliver[0]
    assert (delivery.mode, delivery.folder_mode, delivery.owner, delivery.group) == ("0640", "02750", None, "lab")
    assert (delivery.marker, delivery.may_fail) == ("READY", True)
