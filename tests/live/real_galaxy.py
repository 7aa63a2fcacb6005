"""The real Galaxy that tests run against, and the second user made on it.

Everything that tests know about where the real server comes from is here: `WATCHER_TEST_GALAXY_URL` and
`WATCHER_TEST_GALAXY_KEY` name a running one, whose key has to be an administrator's; otherwise the project's own
sandbox is booted, once per process. Real tests all run in one process (`tests/conftest.py`), and the server ends with
it. The older versions that the contract holds for are installed from the lists beside this file, and run one after the
other, after everything else that is real; `WATCHER_TEST_GALAXY_24_1_4_URL` and `_KEY` name a running one of them.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from tests.live.registry import galaxy_settings
from tests.live.user_files import file_settings
from watcher.errors import SandboxError
from watcher.sandbox.install import Installation, install, installation
from watcher.sandbox.server import SandboxGalaxy, SandboxUser

OLDER = ("25.0.4", "24.1.4")
"""Further versions to run against; the sandbox's own is the newest."""

TOOLS = Path(__file__).with_name("tools")


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
    def second(self) -> SandboxUser:
        """Another, ordinary user, made when first asked for."""
        name, password = f"second-{secrets.token_hex(4)}", secrets.token_hex(16)
        with httpx.Client(base_url=self.url, headers={"x-api-key": self.key}, timeout=60) as client:
            json = {"username": name, "email": f"{name}@example.org", "password": password}
            user = client.post("/api/users", json=json).raise_for_status().json()
            key = client.post(f"/api/users/{user['id']}/api_key").raise_for_status().json()
        return SandboxUser(json["email"], password, str(key))

    @property
    def second_key(self) -> str:
        """A key of the other user."""
        return self.second.key

    @property
    def second_email(self) -> str:
        """The address of the other user."""
        return self.second.email

    @property
    def second_password(self) -> str:
        """The password of the other user."""
        return self.second.password


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


_BOOTED: list[SandboxGalaxy] = []


def rest() -> None:
    """Let our real Galaxy stand still while no test needs it; one that somebody else runs is left alone."""
    for sandbox in _BOOTED:
        sandbox.pause()


def wake() -> None:
    """Let our real Galaxy go on."""
    for sandbox in _BOOTED:
        sandbox.go_on()


@contextlib.contextmanager
def older_galaxy(version: str) -> Iterator[RealGalaxy]:
    """Run an older Galaxy for the time of the block; the sandbox of this process ends before, for want of memory.

    Where it cannot be had the test is skipped with the reason.
    """
    named = f"WATCHER_TEST_GALAXY_{version.replace('.', '_')}"
    url, key = os.environ.get(f"{named}_URL"), os.environ.get(f"{named}_KEY")
    if url and key:
        yield RealGalaxy(url.rstrip("/"), key)
        return
    while _running:
        _running.pop().close()
    real_galaxy.cache_clear()
    with contextlib.ExitStack() as ending:
        try:
            sandbox = ending.enter_context(booted(older_installation(version)))
        except SandboxError as error:
            pytest.skip(str(error))
        yield RealGalaxy(sandbox.url, sandbox.admin.key)


def older_installation(version: str) -> Installation:
    """Return where an older version is installed from its list, whether it is there yet or not."""
    return installation(version=version, requirements=Path(__file__).with_name(f"galaxy-{version}.txt"))


def boot_sandbox() -> SandboxGalaxy:
    """Boot the project's own Galaxy, which runs until this process ends or an older one is asked for."""
    stack = contextlib.ExitStack()
    sandbox = stack.enter_context(booted(installation()))
    _running.append(stack)
    atexit.register(stack.close)
    return sandbox


@contextlib.contextmanager
def booted(pinned: Installation) -> Iterator[SandboxGalaxy]:
    """Install a Galaxy where it is not there yet, and run it in a folder that is removed with it."""
    install(pinned, say)
    folder = Path(tempfile.mkdtemp(prefix="galaxy-watcher-test-"))
    told = galaxy_settings(folder) | toolbox_settings(folder) | file_settings(folder)
    sandbox = SandboxGalaxy(folder, pinned, say, told)
    try:
        sandbox.up()
        _BOOTED.append(sandbox)
        yield sandbox
    finally:
        if sandbox in _BOOTED:
            _BOOTED.remove(sandbox)
        sandbox.kill()
        shutil.rmtree(folder, ignore_errors=True)


def toolbox_settings(folder: Path) -> dict[str, str]:
    """Return what a real Galaxy is told to have our own tools (`tools/`) beside the sandbox's; writes their list."""
    listed = "".join(f'<tool file="{path}"/>' for path in sorted(TOOLS.glob("*.xml")))
    ours = folder / "test_tool_conf.xml"
    ours.write_text(f'<toolbox><section id="tests" name="Tests">{listed}</section></toolbox>\n')
    return {"tool_config_file": f"{folder.resolve() / 'tool_conf.xml'},{ours}"}


_running: list[contextlib.ExitStack] = []


def say(line: str) -> None:
    """Tell on standard error what takes so long, past pytest's capturing."""
    print(line, file=sys.__stderr__, flush=True)
