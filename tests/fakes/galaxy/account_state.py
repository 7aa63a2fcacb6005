"""Rows of accounts: users and roles.

`state.py` keeps the rows; the routes are in `users.py` and `sharing.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

LAB_ROLE = 99
"""A role that every account has: what it alone closes, is open to all of them."""


@dataclass
class User:
    """An account; `role` is the number of its private role."""

    number: int
    username: str
    email: str
    is_admin: bool
    key: str = field(repr=False)
    role: int = 0
    default_access: tuple[int, ...] = ()
    quota_bytes: int | None = None
    old_keys: set[str] = field(default_factory=set, repr=False)
    password: str = field(default="", repr=False)
    may_run_as: bool = False


@dataclass(frozen=True)
class Role:
    """A role: `kind` is `private`, `sharing` or `admin`, `members` are numbers of users."""

    number: int
    name: str
    kind: str
    members: frozenset[int]
