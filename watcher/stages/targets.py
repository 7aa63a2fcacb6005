"""Opens the place that a planned delivery goes to, for the stage and for whoever asks whether it takes more.

It knows which kinds of places there are, and nothing of what is brought there.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from watcher.config import options_for
from watcher.delivery import Delivery, FolderDelivery, ObjectStoreDelivery
from watcher.delivery.rights import Rights
from watcher.delivery.templates import Names
from watcher.errors import KeyRefused, TargetGone
from watcher.model import PlannedDelivery
from watcher.stages.rooms import Rooms


def open_target(planned: PlannedDelivery, rooms: Rooms, kept: Sequence[str] = ()) -> Delivery:
    """Return the place, where no result is given a name that is `kept`; nothing is touched yet. TargetGone when a key
    file cannot be read, DeliveryBroken when the place cannot be had with what is installed.
    """
    names = Names(planned.names, planned.name_values)
    if planned.url:
        try:
            options = options_for(rooms.settings.object_stores, planned.url)
        except KeyRefused as error:  # a new key file heals it, as a mount that is back does
            raise TargetGone(error.message, hint=error.hint) from error
        return ObjectStoreDelivery(planned.url, options, rooms.clock, marker=planned.marker, kept=kept, names=names)
    _refuse_bare_mount_point(planned, rooms)
    return FolderDelivery(
        Path(planned.folder),
        Path(planned.base or planned.folder),
        rooms.targets,
        rooms.clock,
        rights=Rights(planned.owner, planned.group, planned.mode, planned.folder_mode),
        marker=planned.marker,
        kept=kept,
        names=names,
    )


def _refuse_bare_mount_point(planned: PlannedDelivery, rooms: Rooms) -> None:
    """Raise TargetGone when the folder lay on a mount once that is not there, so that it lies on what is beneath."""
    here = rooms.threads.mount_of(Path(planned.base)).point
    if planned.mount not in ("", here) and Path(planned.mount).is_relative_to(here):
        raise TargetGone(
            f"{planned.mount} was mounted when this was planned, and is not: nothing is written to {planned.base}.",
            hint=f"Mount {planned.mount}; the delivery goes on by itself. If it is meant to be so, plan anew:"
            " `galaxy-watcher retry ID --from plan`.",
        )
