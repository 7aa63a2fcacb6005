"""Opens the place that a planned delivery goes to, for the stage and for whoever asks whether it takes more.

It knows which kinds of places there are, and nothing of what is brought there.
"""

from __future__ import annotations

from pathlib import Path

from watcher.delivery.folder import FolderDelivery
from watcher.delivery.rights import Rights
from watcher.model import PlannedDelivery
from watcher.stages.rooms import Rooms


def open_target(planned: PlannedDelivery, rooms: Rooms) -> FolderDelivery:
    """Return the place; nothing is touched yet."""
    return FolderDelivery(
        Path(planned.folder),
        Path(planned.base or planned.folder),
        rooms.targets,
        rooms.clock,
        rights=Rights(planned.owner, planned.group, planned.mode, planned.folder_mode),
        marker=planned.marker,
    )
