"""The real Galaxy that tests run against, and the second user made on it.

Everything that tests know about where the real server comes from is here: `WATCHER_TEST_GALAXY_URL` and
`WATCHER_TEST_GALAXY_KEY` name a running one, whose key has to be an administrator's; otherwise the project's own
sandbox is booted, once per process. Real tests all run in one process (`tests/conftest.py`), and the server ends with
it.
"""

from __future__ import annotations

import atexit
import functools
import os
import secrets
import shutil
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from watcher.errors import SandboxError
from watcher.sandbox.install import install, installation
from watcher.sandbox.server import SandboxGalaxy


@dataclass(frozen=True)
class RealGalaxy:
    """A running server: its address and an administrator's key."""

    url: str
    key: str = field(repr=False)

    @functools.cached_property
    def import_folder(self) -> Path:
        """Its `library_import_dir`, which has to be a folder of this machine with `userimport` beside it."""
        with httpx.Client(base_url=self.url, headers={"x-api-key": self.key}, timeout=60) as client:
            told = client.get("/api/configuration").raise_for_status().json()["library_import_dir"]
        folder = Path(told or "/nowhere")
        if not folder.with_name("userimport").is_dir():
            pytest.skip(f"the real Galaxy imports from {told}, which is not on this machine")
        return folder

    @functools.cached_property
    def second_key(self) -> str:
        """A key of another, ordinary user, made when first asked for."""
        name = f"second-{secrets.token_hex(4)}"
        with httpx.Client(base_url=self.url, headers={"x-api-key": self.key}, timeout=60) as client:
            json = {"username": name, "email": f"{name}@example.org", "password": secrets.token_hex(16)}
            user = client.post("/api/users", json=json).raise_for_status().json()
            return str(client.post(f"/api/users/{user['id']}/api_key").raise_for_status().json())


@functools.cache
def real_galaxy() -> RealGalaxy:
    """Return the real Galaxy to test against; where none can be had, the test is skipped with the reason.

    In CI a skipped test is a failed one.
    """
    url, key = os.environ.get("WATCHER_TEST_GALAXY_URL"), os.environ.get("WATCHER_TEST_GALAXY_KEY")
    if url and key:
        return RealGalaxy(url.rstrip("/"), key)
    try:
        sandbox = boot_sandbox()
    except SandboxError as error:
        pytest.skip(str(error))
    return RealGalaxy(sandbox.url, sandbox.admin.key)


def boot_sandbox() -> SandboxGalaxy:
    """Boot the project's own Galaxy in a folder that is removed when this process ends."""
    pinned = installation()
    install(pinned, say)
    folder = Path(tempfile.mkdtemp(prefix="galaxy-watcher-test-"))
    sandbox = SandboxGalaxy(folder, pinned, say)

    def end() -> None:
        sandbox.kill()
        shutil.rmtree(folder, ignore_errors=True)

    atexit.register(end)
    sandbox.up()
    return sandbox


def say(line: str) -> None:
    """Tell on standard error what takes so long, past pytest's capturing."""
    print(line, file=sys.__stderr__, flush=True)
