"""A world per test, and commands called in this process; see `tests/world.py`."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest
import structlog

from tests.world import Ended, World, world
from watcher.cli.main import main

__all__ = ["world"]

Call = Callable[..., Ended]


@pytest.fixture
def call(world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Call:
    """Call commands that only look or fail early: quicker than a process, the same way in."""
    for name, value in world.environment().items():
        if name in ("WATCHER_CONFIG", "NO_COLOR", "COLUMNS"):
            monkeypatch.setenv(name, value)
    monkeypatch.chdir(world.folder)
    before = logging.getLogger().handlers[:]

    def run(*arguments: str) -> Ended:
        try:
            with pytest.raises(SystemExit) as ending:
                main(list(arguments))
        finally:  # a command sets up logging for its own life
            structlog.reset_defaults()
            logging.getLogger().handlers[:] = before
        out, err = capsys.readouterr()
        return Ended(int(ending.value.code or 0), out, err)

    return run
