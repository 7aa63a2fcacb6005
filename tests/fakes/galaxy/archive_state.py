"""What the fake server knows of archives and of clouds; the routes are in `archives.py` and `cloud.py`."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Archive:
    """One archive of a history; `as_of` is how new the history was."""

    number: int
    history: int
    as_of: str
    state: str = "new"
    job: int = 0


@dataclass
class ArchiveShelf:
    """All that was asked for: archives by number, tasks and what is to be fetched by their words."""

    archives: dict[int, Archive] = field(default_factory=dict)
    tasks: dict[str, tuple[str, str]] = field(default_factory=dict)
    ready: set[str] = field(default_factory=set)
    has_celery: bool = True


@dataclass
class CloudShelf:
    """Whether OpenID Connect is set up, and what the account has left here."""

    has_oidc: bool = False
    authorizations: list[str] = field(default_factory=list)
