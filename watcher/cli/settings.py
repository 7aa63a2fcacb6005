"""Loads the configuration for a command, with the names of the layouts there are.

The config room does not know the runs room: a door brings them together.
"""

from __future__ import annotations

from pathlib import Path

from watcher.config import Settings, load_config
from watcher.runs.layout import load_layouts


def settings_from(config: Path | None, *, check_keys: bool = True) -> Settings:
    """Return the settings; ConfigError with every problem in the file. Without `check_keys` no key file is opened."""
    return load_config(config, layouts=load_layouts, check_keys=check_keys)
