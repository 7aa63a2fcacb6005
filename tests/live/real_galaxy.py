"""The real Galaxy that tests run against, and the second user made on it.

Everything that tests know about where the real server comes from is here: `WATCHER_TEST_GALAXY_URL` and
`WATCHER_TEST_GALAXY_KEY` name a running one, whose key has to be an administrator's.
"""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass, field
from functools import cached_property

import httpx


@dataclass
class RealGalaxy:
    """A running server: its address and an administrator's key."""

    url: str
    key: str = field(repr=False)

    @cached_property
    def second_key(self) -> str:
        """The key of another, ordinary user, who is made when first asked for."""
        name = f"second-{secrets.token_hex(4)}"
        with httpx.Client(base_url=self.url, headers={"x-api-key": self.key}, timeout=60) as client:
            json = {"username": name, "email": f"{name}@example.org", "password": secrets.token_hex(16)}
            user = client.post("/api/users", json=json).raise_for_status().json()
            return str(client.post(f"/api/users/{user['id']}/api_key").raise_for_status().json())


def real_galaxy() -> RealGalaxy | None:
    """Return the real Galaxy to test against, or None when there is none here."""
    url, key = os.environ.get("WATCHER_TEST_GALAXY_URL"), os.environ.get("WATCHER_TEST_GALAXY_KEY")
    return RealGalaxy(url.rstrip("/"), key) if url and key else None
