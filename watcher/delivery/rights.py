"""Whom files and folders of a delivery belong to, and who may read them.

Names are looked up when they are needed: a group may be made while the watcher runs. It touches only what it is given
a descriptor of.
"""

from __future__ import annotations

import grp
import os
import pwd
from dataclasses import dataclass

from watcher.errors import DeliveryBroken


@dataclass(frozen=True, slots=True)
class Rights:
    """Owner and group by name or number, modes in octal; what is empty stays as it is made."""

    owner: str = ""
    group: str = ""
    mode: str = ""
    folder_mode: str = ""

    def give_file(self, descriptor: int) -> None:
        """Give a new file away; DeliveryBroken for unknown names, OSError where the watcher's user may not."""
        self._give(descriptor, self.mode)

    def give_folder(self, descriptor: int) -> None:
        """Give a new folder away."""
        self._give(descriptor, self.folder_mode)

    def _give(self, descriptor: int, mode: str) -> None:
        if self.owner or self.group:
            os.fchown(descriptor, self.owner_id(), self.group_id())
        if mode:  # after the owner: a change of that takes the set-group-ID bit away
            os.fchmod(descriptor, int(mode, 8))

    def owner_id(self) -> int:
        """Return the number of the owner, -1 for ours; DeliveryBroken when nobody is called so."""
        if not self.owner or self.owner.isdecimal():
            return int(self.owner or -1)
        try:
            return pwd.getpwnam(self.owner).pw_uid
        except KeyError:
            raise _unknown("user", self.owner) from None

    def group_id(self) -> int:
        """Return the number of the group, -1 for ours; DeliveryBroken when none is called so."""
        if not self.group or self.group.isdecimal():
            return int(self.group or -1)
        try:
            return grp.getgrnam(self.group).gr_gid
        except KeyError:
            raise _unknown("group", self.group) from None


def _unknown(what: str, name: str) -> DeliveryBroken:
    return DeliveryBroken(
        f"There is no {what} `{name}` on this machine: nothing is delivered in that name.",
        hint=f"Make the {what}, or correct `{'owner' if what == 'user' else what}:` of the delivery.",
    )
