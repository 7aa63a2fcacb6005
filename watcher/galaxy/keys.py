"""Which key holds right now, and what else every request carries for whoever stands between us and Galaxy.

Secrets may be exchanged while we run: files are read again every few seconds at most, and at once when Galaxy refuses
what we have. A key that is asked for with a password stays in memory; a password that was refused is not sent again
until it or a proxy's headers change or an hour has passed, because servers lock accounts out. Go on with `http.py`.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from watcher.clock import Clock
from watcher.errors import KeyRefused
from watcher.galaxy.account import Account, Login

T = TypeVar("T")

AGE_S = 5.0
"""What was read longer ago is read again before the next request."""

LOGIN_PAUSE_S = 30.0
"""After a question that brought the same key again: Galaxy may go on handing out a key that it refuses."""

REFUSED_PASSWORD_S = 3600.0
"""After that time a password that was refused is tried once more, should Galaxy's own directory have been ill."""

AskKey = Callable[[str, str], Awaitable[str]]
"""Asks Galaxy for the key of a user, with the password; raises KeyRefused when it is not told."""


def basic(user: str, password: str) -> str:
    """Return the value of the header by which a user logs in."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


class CurrentKey:
    """The key in use, and the headers for a proxy; never part of a repr."""

    def __init__(self, account: Account, clock: Clock, ask: AskKey) -> None:
        self._account = account
        self._clock = clock
        self._ask = ask
        self._turn = asyncio.Lock()
        self._key = ""
        self._headers: Mapping[str, str] = {}
        self._read_at = float("-inf")
        self._asked_at = self._in_vain_at = float("-inf")
        self._password = ""
        self._asked_with: Mapping[str, str] = {}
        self._refused: KeyRefused | None = None
        """Why the password of the last login is not taken."""

    async def value(self) -> str:
        """Return the key; raises KeyRefused when there is none that can be sent, and what asking for one raises."""
        if self._clock.monotonic() - self._read_at >= AGE_S:
            self._read()
        login = self._account.login
        if login is not None and not self._key:
            async with self._turn:
                if not self._key:
                    await self._log_in(login)
        return self._key

    async def changed(self, refused: str) -> bool:
        """Read or ask again after `refused` was refused, and tell whether there is another key, or are other headers,
        to try.
        """
        headers = self._headers
        self._read()
        login = self._account.login
        if login is not None:
            async with self._turn:
                if self._key == refused and self._headers == headers:
                    await self._log_in(login)
        return self._key != refused or self._headers != headers

    def headers(self) -> Mapping[str, str]:
        """Return what a proxy in front of Galaxy wants to see, as it was read last."""
        return self._headers

    def hide(self, text: str) -> str:
        """Return `text` without any secret of ours, for texts that others wrote."""
        login = self._account.login
        whole = [basic(login.user, self._password)] if login and self._password else []
        for secret in (*whole, self._key, self._password, *self._headers.values()):
            text = text.replace(secret, "***") if secret else text
        return text

    def _read(self) -> None:
        name = self._account.name
        self._headers = self._from_file(self._account.read_headers, "headers file")
        if self._account.login is None:
            key = self._from_file(self._account.read_key, "API key").strip()
            if not key:
                raise KeyRefused(f"The API key of {name} is empty.", hint="Write the key into its file.")
            if not _is_key(key):
                raise KeyRefused(
                    f"The API key of {name} has characters that no key has.", hint="Put only the key into its file."
                )
            self._key = key
        self._read_at = self._clock.monotonic()

    async def _log_in(self, login: Login) -> None:
        """Ask Galaxy for the key, unless that was in vain just now or the password is known to be wrong."""
        password = self._from_file(login.read_password, "password")
        now = self._clock.monotonic()
        if password == self._password and self._headers == self._asked_with:
            if self._refused is not None and now - self._asked_at < REFUSED_PASSWORD_S:
                raise KeyRefused(self._refused.message, hint=self._refused.hint, status=self._refused.status)
            if self._key and now - self._in_vain_at < LOGIN_PAUSE_S:
                return
        self._password, self._asked_with, self._asked_at, self._refused = password, self._headers, now, None
        try:
            key = await self._ask(login.user, password)
        except KeyRefused as refused:
            # A refused key with a refused password behind it is not worth sending any more.
            self._key, self._refused = "", refused
            raise
        if not _is_key(key):
            raise KeyRefused(f"Galaxy's answer to the login of {login.user} for {self._account.name} is no API key.")
        if key == self._key:
            self._in_vain_at = now
        self._key = key

    def _from_file(self, read: Callable[[], T], what: str) -> T:
        try:
            return read()
        except OSError as error:
            raise KeyRefused(
                f"The {what} of {self._account.name} cannot be read: {error.strerror}.",
                hint="Put the file back, readable by us alone.",
            ) from error


def _is_key(text: str) -> bool:
    return bool(text) and text.isascii() and text.isprintable() and not any(letter.isspace() for letter in text)
