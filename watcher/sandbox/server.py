"""A real Galaxy for as long as it is needed: boots it in a folder of its own, makes users, kills and restarts it,
ends it.

The server listens on this machine only and on a free port. `up` returns when an upload is taken in at its usual
speed, so that what is measured later is Galaxy's work and not its start. Knows nothing of the watcher; it is used by
`demo` and by the tests.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Self

import httpx

from watcher.errors import SandboxError
from watcher.sandbox import settings
from watcher.sandbox.install import Installation, Say
from watcher.sandbox.processes import Kept

BOOT_LIMIT_S = 300.0
WARM_LIMIT_S = 180.0
STATE_FILE = "sandbox.json"


@dataclass(frozen=True, slots=True)
class SandboxUser:
    """A user of the sandbox: what the web page and what programs log in with."""

    email: str
    password: str = field(repr=False)
    key: str = field(repr=False)


class SandboxGalaxy:
    """One throw-away Galaxy below `folder`; what it holds outlives `down` and `kill`, and is gone with the folder.

    Work that the Celery worker had in hand is lost with `kill`: Galaxy shows such an upload as running for ever.
    `more` are settings of Galaxy that differ from the sandbox's own, such as a `galaxy_url_prefix`.
    """

    def __init__(
        self,
        folder: Path,
        target: Installation,
        say: Say = lambda line: None,
        more: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        self.folder = folder.resolve()
        self._target = target
        self._say = say
        self._more = more
        self._web: Kept | None = None
        self._worker: Kept | None = None
        self._temporary: Path | None = None
        self._remembered: dict[str, Any] = {}

    @property
    def url(self) -> str:
        """Where it answers, for programs and for the browser."""
        return f"http://127.0.0.1:{self.port}{self._more.get('galaxy_url_prefix', '')}"

    @property
    def port(self) -> int:
        """The port it listens at, for proxies in front of it."""
        return int(self._remembered["port"])

    @property
    def admin(self) -> SandboxUser:
        """The administrator."""
        return SandboxUser(**self._remembered["admin"])

    @property
    def keeper_pids(self) -> list[int]:
        """The processes to end when it was left running."""
        return [kept.keeper_pid for kept in (self._web, self._worker) if kept]

    def __enter__(self) -> Self:
        self.up()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.down()

    def up(self, *, warm: bool = True) -> None:
        """Start it, anew or with what it holds, and wait until it works; SandboxError with the log's end otherwise.

        Without `warm` the first upload takes some 20 s longer than all others.
        """
        started = time.monotonic()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        self._remembered = self._read_state() or self._first_state()
        self._temporary = settings.temporary_folder(self.folder)
        environment = settings.environment_of(self.folder, self._temporary, self._target)
        try:
            self._web = self._start(
                settings.web_command(self._target, self._remembered["port"]), "web.log", environment
            )
            self._worker = self._start(settings.worker_command(self._target), "worker.log", environment)
            self._wait("Galaxy", BOOT_LIMIT_S, self._answers)
            if "admin" not in self._remembered:
                admin = self._make_user("admin", self._remembered["bootstrap_key"])
                self._remembered["admin"] = {"email": admin.email, "password": admin.password, "key": admin.key}
                self._write_state()
            self._say(f"Galaxy answers at {self.url} after {time.monotonic() - started:.0f} s.")
            if warm:
                self.warm_up()
                self._say(f"It takes uploads after {time.monotonic() - started:.0f} s.")
        except BaseException:
            self.down()
            raise

    def down(self) -> None:
        """End it in order and wait until it has ended; harmless when it does not run."""
        running = [kept for kept in (self._worker, self._web) if kept]
        for kept in running:
            kept.ask_to_stop()
        for kept in running:
            kept.wait()
        self._forget()

    def kill(self) -> None:
        """End everything at once, running jobs included, as a power cut would."""
        for kept in (self._web, self._worker):
            if kept:
                kept.kill()
        self._forget()

    def pause(self) -> None:
        """Let it stand still while nobody needs it: an idle Galaxy takes a fifth of a core."""
        for kept in (self._web, self._worker):
            if kept:
                kept.pause()

    def go_on(self) -> None:
        """Let it go on after `pause`; harmless otherwise."""
        for kept in (self._web, self._worker):
            if kept:
                kept.go_on()

    def _forget(self) -> None:
        self._web = self._worker = None
        if self._temporary and not self._temporary.is_relative_to(self.folder):
            shutil.rmtree(self._temporary, ignore_errors=True)

    def restart(self) -> None:
        """End it in order and start it with what it holds, at the same address."""
        self.down()
        self.up()

    def let_go(self) -> None:
        """Leave it running when this program ends; `keeper_pids` are what a person ends it by."""
        for kept in (self._web, self._worker):
            if kept:
                kept.let_go()
        self._web = self._worker = self._temporary = None

    def make_user(self, name: str) -> SandboxUser:
        """Make an ordinary user with a key."""
        return self._make_user(name, self._remembered["bootstrap_key"])

    def _make_user(self, name: str, bootstrap_key: str) -> SandboxUser:
        email, password = f"{name}@example.org", secrets.token_urlsafe(12)
        with self._client(bootstrap_key) as client:
            answer = client.post("/api/users", json={"username": name, "email": email, "password": password})
            user = answer.raise_for_status().json()
            key = client.post(f"/api/users/{user['id']}/api_key").raise_for_status().json()
        return SandboxUser(email, password, str(key))

    def _client(self, key: str) -> httpx.Client:
        # A proxy of the environment would be asked for 127.0.0.1.
        return httpx.Client(base_url=self.url, headers={"x-api-key": key}, timeout=60, trust_env=False)

    def _start(self, command: list[str], log: str, environment: dict[str, str]) -> Kept:
        return Kept(command, folder=self.folder, log=self.folder / log, environment=environment)

    def _read_state(self) -> dict[str, Any]:
        with contextlib.suppress(FileNotFoundError):
            found = json.loads((self.folder / STATE_FILE).read_text())
            assert isinstance(found, dict)
            return found
        return {}

    def _first_state(self) -> dict[str, Any]:
        bootstrap_key = secrets.token_hex(16)
        settings.write_settings(self.folder, self._target, bootstrap_key, self._more)
        return {"port": free_port(), "bootstrap_key": bootstrap_key}

    def _write_state(self) -> None:
        path = self.folder / STATE_FILE
        path.touch(mode=0o600)
        path.write_text(json.dumps(self._remembered))

    def _answers(self) -> bool:
        with contextlib.suppress(httpx.HTTPError), self._client("") as client:
            return client.get("/api/version", timeout=5).is_success
        return False

    def warm_up(self) -> None:
        """Take two files in at a time: the worker loads Galaxy with its first work, in each of its processes."""
        with self._client(self.admin.key) as client:
            history = client.post("/api/histories", json={"name": "Warm-up"}).raise_for_status().json()["id"]
            for number in range(2):
                element = {"src": "pasted", "paste_content": f"{number}\n", "name": f"warm-up {number}", "ext": "txt"}
                target = {"destination": {"type": "hdas"}, "elements": [element]}
                client.post("/api/tools/fetch", json={"history_id": history, "targets": [target]}).raise_for_status()

            def all_taken_in() -> bool:
                contents = client.get(f"/api/histories/{history}/contents").raise_for_status().json()
                if any(one["state"] == "error" for one in contents):
                    raise SandboxError("The sandbox Galaxy cannot take a file in.", hint=f"See {self.folder}.")
                return len(contents) == 2 and all(one["state"] == "ok" for one in contents)

            self._wait("Galaxy's worker", WARM_LIMIT_S, all_taken_in)
            client.request("DELETE", f"/api/histories/{history}", json={"purge": True}).raise_for_status()

    def _wait(self, what: str, limit_s: float, is_so: Callable[[], bool]) -> None:
        """Look again and again until it is so; SandboxError when a process ended or the time is over."""
        deadline = time.monotonic() + limit_s
        while not is_so():
            for kept in (self._web, self._worker):
                if kept and not kept.is_alive():
                    raise SandboxError(
                        f"The sandbox Galaxy ended by itself: {_end_of(kept.log)}", hint=f"See {kept.log}."
                    )
            if time.monotonic() > deadline:
                raise SandboxError(
                    f"{what} was not ready after {limit_s:.0f} s.",
                    hint=f"The machine may be too busy; the logs are in {self.folder}.",
                )
            time.sleep(0.2)


def free_port() -> int:
    """Return a port of this machine's own address that nobody uses just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _end_of(log: Path, lines: int = 3) -> str:
    said = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return " / ".join(said[-lines:])[-800:]


def owner_only(path: Path, text: str) -> Path:
    """Write a file that only this user may read, such as a key."""
    opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(opened, "w") as sink:
        sink.write(text)
    return path
