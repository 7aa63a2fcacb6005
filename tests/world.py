"""A small world for whole-way tests: a watch folder, a run, a configuration, and a fake Galaxy that can be broken.

    with World(tmp_path) as world:                              # or the fixture `world`
        world.add_run(samples=("S1", "S2"))                     # a finished BCL Convert folder with real gz FASTQ
        report = await world.once()                             # the one-shot way, in this process
        world.command("status", "--json").report                # the real command, in a process of its own
        async with world.daemon() as daemon: ...                # the daemon in this process
        running = world.start("serve"); running.wait_for("watcher.ready"); running.end()

Times are short (settle 0 s, rescan 1 s, probes each second, answers uncertain for 2 s; a daemon in this process asks
soon for what the fake makes in no time) and what is there already is taken (`existing: process`);
`world.write_config(...)` changes anything. `world.fake.faults` breaks Galaxy (see
`fakes/galaxy/faults.py`). It knows the fake only through its public face, and checks nothing: tests do.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from unittest import mock

import pytest

from tests.fakes.galaxy import FakeGalaxy
from tests.warm import warm_process
from tests.world_files import RUN, WORKFLOW, counting_workflow, fastq, packed, tree_of, write_bclconvert
from watcher.clock import Clock, SystemClock
from watcher.config import Settings, load_config
from watcher.config.written import dump_yaml
from watcher.errors import StateError
from watcher.runs.layout import load_layouts
from watcher.service import daemon as service_daemon
from watcher.service.daemon import Daemon
from watcher.service.report import show_report, status_report
from watcher.stages import dataset_checks, rounds
from watcher.stages.effects import Points, pass_by
from watcher.store.store import Store

Json = dict[str, Any]
PAUSE_S = 0.1
"""Between two askings: each reads all rows, and takes the processor from the daemon that is waited for."""

SHORTER = (
    (rounds, "SHORTEST", timedelta(seconds=0.05)),
    (dataset_checks, "SHORTEST_S", 0.05),
    (service_daemon, "LOOK_AGAIN_S", 0.1),
)
"""Pauses that suit a real Galaxy: on a fake one they were three quarters of the time of a run."""

ROOT = Path(__file__).parents[1]

__all__ = [
    "ROOT", "RUN", "WORKFLOW", "Ended", "Running", "World", "counting_workflow", "fastq", "packed", "tree_of", "until",
    "world", "write_bclconvert",
]  # fmt: skip


async def until(
    claim: Callable[[], Awaitable[Any]], timeout_s: float = 60.0, *, what: str = "it", clock: Clock | None = None
) -> Any:
    """Ask again and again until the answer is true, and return it; TimeoutError when it never is."""
    clock = clock or SystemClock()
    end = clock.monotonic() + timeout_s
    while not (answer := await claim()):
        if clock.monotonic() > end:
            raise TimeoutError(f"{what} did not come true within {timeout_s} s; last answer: {answer!r}")
        await clock.sleep(PAUSE_S)
    return answer


@dataclass
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def report(self) -> Json:
        """Return the JSON it printed."""
        report: Json = json.loads(self.out)
        return report


class Running:
    """A command that runs: its lines on stderr as they come, and how to end it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []
        self._came = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr
        for line in self.process.stderr:
            with self._came:
                self.lines.append(line.rstrip("\n"))
                self._came.notify_all()
        with self._came:
            self._came.notify_all()

    @property
    def pid(self) -> int:
        """Return the process id."""
        return self.process.pid

    def wait_for(self, words: str, timeout_s: float = 60.0) -> str:
        """Return the first line that holds these words, also one that came before."""
        end = time.monotonic() + timeout_s
        with self._came:
            while True:
                for line in self.lines:
                    if words in line:
                        return line
                if not self._reader.is_alive() or not self._came.wait(max(end - time.monotonic(), 0.0)):
                    raise TimeoutError(f"{words!r} was never said. It said:\n" + "\n".join(self.lines))

    def end(self, number: int = signal.SIGTERM, timeout_s: float = 60.0) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        return self.wait(timeout_s)

    def wait(self, timeout_s: float = 60.0) -> int:
        """Return the exit code once it has ended by itself."""
        code = self.process.wait(timeout_s)
        self._reader.join(5)
        for stream in (self.process.stdout, self.process.stderr):
            if stream:
                stream.close()
        return code

    def close(self) -> None:
        """Make sure that it is gone."""
        if self.process.poll() is None:
            self.process.kill()
        self.wait()


@dataclass
class World:
    """One temporary folder with all that a watcher needs; use it as a context manager."""

    folder: Path
    version: str = "26.1.2"
    second: float = 0.02
    quota_bytes: int | None = None
    admin: bool = False
    fake: FakeGalaxy = field(init=False)
    workflow: Json = field(default_factory=lambda: {"name": WORKFLOW, "inputs": {"Reads": "reads"}})
    _running: list[Running] = field(default_factory=list)
    _quick: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    _store: Store | None = None

    def __enter__(self) -> Self:
        for part in ("watched", "results", "state"):
            (self.folder / part).mkdir(parents=True, exist_ok=True)
        self.fake = FakeGalaxy(
            self.version, second=self.second, quota_bytes=self.quota_bytes, admin=self.admin, lock_wait_s=0.5
        )
        self.fake.start()
        for module, name, shorter in SHORTER:
            self._quick.enter_context(mock.patch.object(module, name, shorter))
        self.workflow_id = self.fake.import_workflow(counting_workflow())
        self.write_key(self.fake.key)
        self.write_config()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._quick.close()
        for running in self._running:
            running.close()
        self.fake.close()

    # --- what lies on the disk ---------------------------------------------------------------------------------------

    @property
    def watched(self) -> Path:
        """Return the watched folder."""
        return self.folder / "watched"

    @property
    def results(self) -> Path:
        """Return the fixed folder below which results are delivered."""
        return self.folder / "results"

    @property
    def config_file(self) -> Path:
        """Return the configuration file."""
        return self.folder / "config.yaml"

    @property
    def key_file(self) -> Path:
        """Return the API key file."""
        return self.folder / "key"

    @property
    def state_file(self) -> Path:
        """Return the SQLite file."""
        return self.folder / "state" / "state.sqlite"

    def write_key(self, key: str) -> None:
        """Write the key file as a person renews it: whole, at once, for the owner alone."""
        new = self.key_file.with_suffix(".new")
        new.touch(mode=0o600)
        new.write_text(key + "\n")
        new.replace(self.key_file)

    def write_config(self, *, watch: Json | None = None, rule: Json | None = None, **top: Any) -> Path:
        """Write the configuration; `watch` and `rule` change the only watch and rule, other keys the top level.

        A value of None takes the key away.
        """
        settings: Json = {
            "galaxy": {"url": self.fake.url, "api_key_file": str(self.key_file), "timeouts": {"read": "5s"}},
            "state": {"path": str(self.state_file)},
            "watches": [
                _merged({"name": "miseq", "path": str(self.watched), "settle": "0s", "existing": "process"}, watch)
            ],
            "rules": [
                _merged(
                    {
                        "name": "all",
                        "workflow": self.workflow,
                        "deliver": {"folder": f"{self.results}/{{run}}"},
                    },
                    rule,
                )
            ],
            "rescan": "1s",
            "rescan_active": "1s",
            "limits": {"probe": "1s", "uncertain_for": "2s"},
            "log": {"format": "json", "level": "debug"},
        }
        self.config_file.write_text(dump_yaml(_merged(settings, top)))
        return self.config_file

    def write_workflow(self, name: str, **more: Any) -> Path:
        """Write the counting workflow into a file, which the rule names from now on; Galaxy has not seen it."""
        path = self.folder / "workflow.gxwf.yml"
        path.write_text(dump_yaml(counting_workflow(name, **more)))
        self.workflow = {"file": str(path), "inputs": {"Reads": "reads"}}
        self.write_config()
        return path

    def add_run(self, name: str = RUN, samples: Iterable[str] = ("S1", "S2"), **more: Any) -> Path:
        """Write a finished BCL Convert folder below the watch (see `write_bclconvert`)."""
        return write_bclconvert(self.watched / name, samples, **more)

    def fastqs(self, run: Path | None = None) -> dict[str, str]:
        """Return name → SHA-256 of the FASTQ files of a run, or of everything watched."""
        return {
            path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in (run or self.watched).rglob("*.fastq*")
            if path.is_file()
        }

    # --- what Galaxy has ---------------------------------------------------------------------------------------------

    def uploads(self) -> dict[str, str]:
        """Return name → SHA-256 of the uploaded datasets that are not deleted; AssertionError when a name is there
        twice.
        """
        rows = [row for row in self.fake.datasets() if row["uploaded"] and not row["deleted"]]
        names = [row["name"] for row in rows]
        assert len(set(names)) == len(names), f"datasets made twice: {sorted(names)}"
        return {row["name"]: row["sha256"] for row in rows}

    def posts(self, path: str) -> int:
        """Return how many POST requests had this text in their path."""
        return len(self.fake.requests.all("POST", path))

    # --- the program -------------------------------------------------------------------------------------------------

    def settings(self) -> Settings:
        """Load the configuration as the commands do."""
        return load_config(self.config_file, layouts=load_layouts)

    async def once(self, wait_s: float | None = 30.0, *, follow: bool = True, points: Points = pass_by) -> Json:
        """Catch up in this process and return the `status` report."""
        daemon = Daemon(self.settings(), points=points, takes_existing=True)
        await daemon.catch_up(None if wait_s is None else timedelta(seconds=wait_s), follow=follow)
        return await self.status()

    @contextlib.asynccontextmanager
    async def daemon(
        self, *, points: Points = pass_by, takes_existing: bool = False, clock: Clock | None = None
    ) -> AsyncIterator[Daemon]:
        """Run the daemon in this process for the time of the block."""
        daemon = Daemon(self.settings(), clock=clock, points=points, takes_existing=takes_existing)
        async with daemon.running() as rooms:
            self._store = rooms.store
            try:
                yield daemon
            finally:
                self._store = None

    @contextlib.asynccontextmanager
    async def store(self) -> AsyncIterator[Store]:
        """Open the state to read: that of the daemon in this process, or the file when another process has it."""
        if self._store is not None:
            yield self._store
            return
        store = await Store.open(self.state_file, SystemClock(), lock=False, migrate=False)
        try:
            yield store
        finally:
            await store.close()

    async def status(self) -> Json:
        """Return the `status` report, daemon up or down."""
        async with self.store() as store:
            return await status_report(store, {"galaxy": self.fake.url})

    async def show(self, wanted: str) -> Json:
        """Return the `show` report of a unit."""
        async with self.store() as store:
            report = await show_report(store, {"galaxy": self.fake.url}, wanted)
            assert report is not None
            return report

    async def until_status(self, wanted: str, *, stage: str = "", timeout_s: float = 60.0) -> Json:
        """Wait until the only unit has this status (at this stage), and return it with its batches."""

        async def stands() -> Json | None:
            try:
                units = (await self.status())["units"]
            except StateError:  # the daemon has not made it yet
                return None
            fits = units and units[0]["status"] == wanted and stage in ("", units[0]["stage"])
            return units[0] if fits else None

        try:
            unit: Json = await until(stands, timeout_s, what=f"status {wanted}")
        except TimeoutError as error:
            raise TimeoutError(f"{error}\n{json.dumps(await self.status(), indent=1)}") from None
        return unit

    async def until_planned_anew(self, unit_id: str) -> None:
        """Wait until the unit's only batch has a second plan."""

        async def planned() -> bool:
            batches = (await self.show(unit_id))["batches"]
            return [batch["id"] for batch in batches] == [f"{unit_id}-1", f"{unit_id}-1r2"]

        await until(planned, 20, what="the new plan")

    async def journal(self, event: str) -> list[str]:
        """Return the texts of all journal lines of this event."""
        async with self.store() as store:
            return [line.text for line in await store.journal_of(limit=10_000) if line.event == event]

    async def wish(self, verb: str, target: str, **arguments: str) -> None:
        """Leave a wish as a command does; whoever runs next, or runs now, carries it out."""
        async with self.store() as store:
            await store.add_verb("a test", verb, target, arguments)

    def environment(self, **more: str) -> dict[str, str]:
        """Return the variables for a command: ours, none of the person's own WATCHER_ ones."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("WATCHER_")}
        return {**kept, "WATCHER_CONFIG": str(self.config_file), "NO_COLOR": "1", "COLUMNS": "100", **more}

    def command(self, *arguments: str, timeout_s: float = 120.0, **variables: str) -> Ended:
        """Run `galaxy-watcher` to its end, forked from a warm process (see `warm.py`); beside `daemon()` only in a
        thread, so that the daemon can answer.
        """
        self._refuse_in_loop()
        environment = self.environment(PYTHONPATH=str(ROOT), **variables)
        return Ended(*warm_process().run(arguments, self.folder, environment, timeout_s))

    def fresh_command(self, *arguments: str, timeout_s: float = 120.0, **variables: str) -> Ended:
        """Do the same with a Python of its own, as a person does; that takes most of a second longer."""
        self._refuse_in_loop()
        ended = subprocess.run(
            [sys.executable, "-m", "watcher", *arguments],
            cwd=self.folder, env=self.environment(PYTHONPATH=str(ROOT), **variables), timeout=timeout_s,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        return Ended(ended.returncode, ended.stdout, ended.stderr)

    def _refuse_in_loop(self) -> None:
        if self._store is not None and _is_in_loop():
            raise RuntimeError("the daemon in this process stands still while a command runs: use asyncio.to_thread")

    def start(self, *arguments: str, **variables: str) -> Running:
        """Start `galaxy-watcher` and leave it running; it is killed at the end of the world."""
        return self._start(["-m", "watcher", *arguments], variables)

    def start_script(self, script: str, *arguments: str, **variables: str) -> Running:
        """Start a script of the test's own, for instance one that calls `main` with something broken."""
        return self._start(["-c", script, *arguments], variables)

    def _start(self, arguments: list[str], variables: Mapping[str, str]) -> Running:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=self.folder, env=self.environment(PYTHONPATH=str(ROOT), **variables),
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self._running.append(Running(process))
        return self._running[-1]


def _is_in_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _merged(below: Json, above: Mapping[str, Any] | None) -> Json:
    merged = dict(below)
    for key, value in (above or {}).items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, Mapping) and isinstance(merged.get(key), Mapping) and key in ("galaxy", "limits", "log"):
            merged[key] = _merged(merged[key], value)
        else:
            merged[key] = value
    return merged


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Give an empty watch, a fake Galaxy with the counting workflow, and a configuration.

    A conftest.py offers it with `from tests.world import world`.
    """
    with World(tmp_path) as made:
        yield made
