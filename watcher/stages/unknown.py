"""What Galaxy does not offer, told with the name that was probably meant.

Words only: what is asked for, and of whom, stands in `offered.py` and `allowed.py`.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

from watcher.galaxy import Galaxy

NEVER_ROLES = ("private", "sharing")
"""Roles that Galaxy made for itself: one user's own, and what sharing makes for two."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that Galaxy does not offer or allow, and what to do."""

    message: str
    hint: str


def unknown(what: str, name: str, known: Sequence[str], else_hint: str, more: str = "") -> Problem:
    """Return that Galaxy knows no such thing."""
    return Problem(f"Galaxy knows no {what} `{name}`{more}.", near(name, known) or else_hint)


def near(name: str, known: Sequence[str]) -> str:
    """Return "Did you mean …?" with the name that is nearest, whatever the case; empty when none is near."""
    folded = {one.lower(): one for one in reversed(known)}
    found = difflib.get_close_matches(name.lower(), folded, n=1)
    return f"Did you mean `{folded[found[0]]}`?" if found else ""


async def unknown_role(galaxy: Galaxy, what: str, name: str, known: Sequence[str], else_hint: str) -> Problem:
    """Return that Galaxy knows no such role; of a group, which roles stand for it."""
    roles = await galaxy.offers.roles_of_group(name)
    if roles is None:
        return unknown(what, name, known, else_hint)
    shown = ", ".join(f"`{role}`" for role in roles)
    hint = f"Name its roles: {shown}." if roles else "An administrator of Galaxy gives it one, to be named here."
    return Problem(f"`{name}` is a group of Galaxy, and rights are given to roles.", hint)
