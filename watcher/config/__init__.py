"""What the operator wrote, frozen after loading.

Start at `load.py` (from file, environment and secrets to `Settings`, or all problems at once), then `settings.py`
(what there is to set). This room reads its own file and key files; it asks neither the watched disks nor Galaxy.
"""

from watcher.config.deliveries import DeliverySettings
from watcher.config.destinations import Destination, render, render_folder
from watcher.config.example import effective_yaml, example_yaml, json_schema
from watcher.config.galaxies import GalaxySettings
from watcher.config.load import load_config
from watcher.config.match import Match
from watcher.config.object_stores import ObjectStoreSettings, options_for
from watcher.config.rules import RuleSettings
from watcher.config.settings import LimitSettings, LogSettings, Settings, StateSettings
from watcher.config.watches import WatchSettings
from watcher.config.workflows import TrsSettings, WorkflowSettings

__all__ = [
    "DeliverySettings",
    "Destination",
    "GalaxySettings",
    "LimitSettings",
    "LogSettings",
    "Match",
    "ObjectStoreSettings",
    "RuleSettings",
    "Settings",
    "StateSettings",
    "TrsSettings",
    "WatchSettings",
    "WorkflowSettings",
    "effective_yaml",
    "example_yaml",
    "json_schema",
    "load_config",
    "options_for",
    "render",
    "render_folder",
]
