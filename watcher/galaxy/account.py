"""Which Galaxy we speak to, as whom, and which key holds right now.

A key may be exchanged while we run: it is read again every few seconds at most, and at once when Galaxy refuses the one
we have. Where keys are kept is the configuration's business; this module knows a function that returns one. Go on with
`http.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from watcher.clock import Clock
from watcher.errors import KeyRefused

KEY_AGE_S = 5.0
"""A key that was read longer ago is read again before the next request."""


@dataclass(frozen=True, slots=True)
class Account:
    """One user of one Galaxy. `url` is the base address with its path (`https://host/galaxy`), times are in seconds."""

    name: str
    url: str
    read_key: Callable[[], str] = field(repr=False)
    ca_file: Path | None = None
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


class CurrentKey:
    """The key in use; never part of a repr."""

    def __init__(self, account: Account, clock: Clock) -> None:
        self._account = account
        self._clock = clock
        self._key = ""
        self._read_at = float("-inf")

    def value(self) -> str:
        """Return the key, read anew when the last reading is old; raises KeyRefused when there is none that can be
        sent.
        """
        if self._clock.monotonic() - self._read_at >= KEY_AGE_S:
            self._read()
        return self._key

    def changed(self, refused: str) -> bool:
        """Read again after `refused` was refused, and tell whether there is another key to try."""
        self._read()
        return self._key != refused

    def hide(self, text: str) -> str:
        """Return `text` without the key, for texts that others wrote."""
        return text.replace(self._key, "***") if self._key else text

    def _read(self) -> None:
        name = self._account.name
        try:
            key = self._account.read_key().strip()
        except OSError as error:
            raise KeyRefused(
                f"The API key of {name} cannot be read: {error.strerror}.",
                hint="Put the key file back, readable by us alone.",
            ) from error
        if not key:
            raise KeyRefused(f"The API key of {name} is empty.", hint="Write the key into its file.")
        if not (key.isascii() and key.isprintable() and not any(letter.isspace() for letter in key)):
            raise KeyRefused(
                f"The API key of {name} has characters that no key has.", hint="Put only the key into its file."
            )
        self._key = key
        self._read_at = self._clock.monotonic()
