"""A world per test, and commands called in this process; see `tests/world.py`."""

from __future__ import annotations

from collections.abc import Callable

import pytest
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

    def run(*arguments: str) -> Ended:
        with pytest.raises(SystemExit) as ending:
            main(list(arguments))
        out, err = capsys.readouterr()
        return Ended(int(ending.value.code or 0), out, err)

    return run
