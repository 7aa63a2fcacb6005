"""The `--help` pages, word for word: run with WATCHER_WRITE_HELP=1 to write them anew after a change."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.world import World

PAGES = Path(__file__).parent / "help"
COMMANDS = (
    "", "serve", "once", "plan", "explain", "hold", "check", "status", "show", "retry", "release", "cancel", "demo",
    "config", "config example", "config schema", "config show",
)  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_help_page_is_the_stored_one(command: str, world: World) -> None:
    """What people read is reviewed like code."""
    ended = world.command(*command.split(), "--help", COLUMNS="100", TERM="dumb")
    assert ended.code == 0, ended.err
    page = PAGES / f"{command.replace(' ', '-') or 'galaxy-watcher'}.txt"
    text = "\n".join(line.rstrip() for line in ended.out.splitlines()).strip() + "\n"
    if os.environ.get("WATCHER_WRITE_HELP"):
        PAGES.mkdir(exist_ok=True)
        page.write_text(text)
    assert text == page.read_text()


def test_every_command_has_a_page(world: World) -> None:
    """No command is without help."""
    listed = world.fresh_command("--help", TERM="dumb").out.partition("Commands:")[2]
    names = {line.split()[0] for line in listed.splitlines() if line.startswith("  ") and line[2:3].isalpha()}
    assert names == {command.split()[0] for command in COMMANDS if command}
