"""What a connection to Galaxy goes through: whose certificates are trusted, and the proxy on our side.

The login for that proxy may be exchanged while we run: its file is read again every few seconds at most. Knows no
request; `http.py` makes them.
"""

from __future__ import annotations

import ssl
from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpx

from watcher.clock import Clock
from watcher.errors import ConfigError, ConfigProblem
from watcher.galaxy.account import Account
from watcher.galaxy.keys import AGE_S


class Connections:
    """The connections of one account."""

    def __init__(self, account: Account, clock: Clock, timeout: httpx.Timeout) -> None:
        self._account = account
        self._clock = clock
        self._timeout = timeout
        self._trust = trust(account)
        self._login = account.read_proxy_login()
        self._read_at = clock.monotonic()
        self._client = self._made()
        self._former: list[httpx.AsyncClient] = []
        """Those with an earlier login: requests may still be under way on them, so they end with us."""

    def client(self) -> httpx.AsyncClient:
        """Return what sends the next request, by way of the login that the file holds now; raises KeyRefused without
        one.
        """
        now = self._clock.monotonic()
        if now - self._read_at >= AGE_S:
            login = self._account.read_proxy_login()
            self._read_at = now
            if login != self._login:
                self._login = login
                self._former.append(self._client)
                self._client = self._made()
        return self._client

    async def close(self) -> None:
        """Close all connections."""
        for client in (*self._former, self._client):
            await client.aclose()

    def _made(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            verify=self._trust,
            proxy=self._proxy(),
            timeout=self._timeout,
            cookies=CookieJar(policy=DefaultCookiePolicy(allowed_domains=[])),
            follow_redirects=False,
            headers={"user-agent": "galaxy-watcher", "accept": "application/json"},
        )

    def _proxy(self) -> httpx.Proxy | None:
        """Return the proxy on our side; without one httpx looks into the environment."""
        address = self._account.proxy
        if not address:
            return None
        secure = address.lower().startswith("https:")
        return httpx.Proxy(address, auth=self._login, ssl_context=self._trust if secure else None)


def trust(account: Account) -> ssl.SSLContext:
    """Trust what httpx trusts, what this machine trusts, and the configured authority."""
    if account.ca_file is None and not any(url.lower().startswith("https:") for url in (account.url, account.proxy)):
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # unused, trusts nobody; reading all authorities takes a while
    context = httpx.create_ssl_context()
    context.load_default_certs()
    if account.ca_file is None:
        return context
    try:
        context.load_verify_locations(cafile=str(account.ca_file))
        return context
    except OSError as error:  # ssl.SSLError is one too
        reason = error.strerror or "it holds no certificates"
        problem = ConfigProblem(str(account.ca_file), 0, "ca_file", f"cannot be used: {reason}")
        raise ConfigError([problem], hint=f"It is the ca_file of {account.name}.") from error
