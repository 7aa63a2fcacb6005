"""Which Galaxy we speak to, as whom, and by which way.

Where keys, passwords and headers are kept is the configuration's business; an account holds functions that return them
as they are now. Which of them holds right now is in `keys.py`; go on with `http.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx


@dataclass(frozen=True, slots=True)
class Login:
    """A user whose key Galaxy itself tells, for the password."""

    user: str
    read_password: Callable[[], str] = field(repr=False)


def _no_headers() -> Mapping[str, str]:
    return {}


def _no_login() -> tuple[str, str] | None:
    return None


@dataclass(frozen=True, slots=True)
class Account:
    """One user of one Galaxy. `url` is the base address with its path (`https://host/galaxy`), times are in seconds.

    With a `login` the key is asked for instead of read. `run_as` is the e-mail address of the user to act for, `proxy`
    the address of a proxy on our side, `read_headers` what a proxy on Galaxy's side wants with every request.
    """

    name: str
    url: str
    read_key: Callable[[], str] = field(repr=False)
    ca_file: Path | None = None
    login: Login | None = None
    run_as: str = ""
    proxy: str = ""
    read_proxy_login: Callable[[], tuple[str, str] | None] = field(default=_no_login, repr=False)
    read_headers: Callable[[], Mapping[str, str]] = field(default=_no_headers, repr=False)
    connect_s: float = 10.0
    read_s: float = 60.0
    upload_read_s: float = 600.0

    @property
    def base(self) -> str:
        """The address that every path is joined to: answers' own addresses lack the prefix of a proxy."""
        return self.url.rstrip("/")

    @property
    def shown(self) -> str:
        """The address as people may see it, without a password written into it."""
        try:
            return str(httpx.URL(self.base).copy_with(username=None, password=None))
        except httpx.InvalidURL:
            return self.name
