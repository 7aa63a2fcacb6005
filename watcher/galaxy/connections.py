"""What a connection to Galaxy goes through: whose certificates are trusted, and the proxy on our side.

Knows no request; `http.py` makes them.
"""

from __future__ import annotations

import ssl

import httpx

from watcher.errors import ConfigError, ConfigProblem
from watcher.galaxy.account import Account


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


def proxy(account: Account) -> httpx.Proxy | None:
    """Return the proxy on our side, with its login if it wants one; without one httpx looks into the environment."""
    if not account.proxy:
        return None
    secure = account.proxy.lower().startswith("https:")
    return httpx.Proxy(account.proxy, auth=account.read_proxy_login(), ssl_context=trust(account) if secure else None)
