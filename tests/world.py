"""A small world for whole-way tests: a watch folder, a run in it, a configuration, and a fake Galaxy that can be broken.

    with World(tmp_path) as world:
        world.add_run(samples=("S1", "S2"))                       # a finished BCL Convert folder with real gz FASTQ
        report = await world.once()                               # the daemon's one-shot way, in this process
        world.command("status", "--json")                         # the real command, as a process of its own
        async with world.daemon() as daemon: ...                  # the daemon in this process
        running = world.start("serve"); running.wait_for("watcher.ready"); running.stop()

Times are short (settle 0 s, rescan 1 s, probes each second, answers uncertain for 2 s); `world.write_config(...)` changes
anything. It knows the fake only through its public face, and checks nothing: tests do.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import os
import random
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

import pytest
from tests.fakes.galaxy import FakeGalaxy
from watcher.clock import Clock, SystemClock
from watcher.config import Settings, load_config
from watcher.config.written import dump_yaml
from watcher.runs.layout import load_layouts
from watcher.service.daemon import Daemon
from watcher.service.report import show_report, status_report
from watcher.stages.effects import Points, pass_by
from watcher.store.store import Store

Json = dict[str, Any]
ROOT = Path(__file__).parents[1]
WORKFLOW = "Count reads"
RUN = "260228_M02439_0043_000000000-KT42M"


def fastq(reads: int = 4, *, read: int = 1, bases: int = 20) -> bytes:
    """Return plain FASTQ of some reads; the bases are random, so that packing makes it about a third as large."""
    chance = random.Random(reads * 10 + read)
    return b"".join(
        b"@M1:1:FC:1:1:%d:1 %d:N:0:1\n%s\n+\n%s\n"
        % (number, read, bytes(chance.choices(b"ACGT", k=bases)), b"I" * bases)
        for number in range(reads)
    )


def packed(content: bytes) -> bytes:
    """Return the gzip of some bytes, the same for the same bytes."""
    return gzip.compress(content, compresslevel=1, mtime=0)


def counting_workflow(name: str = WORKFLOW, *, exit_code: int = 0, seconds: int = 0, shape: str = "list:paired") -> Json:
    """Return a workflow that counts the reads of each dataset; its last tool waits and ends with `exit_code`.

    Outputs are labelled `read counts` and `copy`; inputs `Reads` (a collection of that shape) and `minlen`.
    """
    return {
        "class": "GalaxyWorkflow",
        "label": name,
        "inputs": {
            "Reads": {"type": "collection", "collection_type": shape, "format": ["fastqsanger", "fastqsanger.gz"]},
            "minlen": {"type": "int", "default": 0, "optional": True},
        },
        "outputs": {"read counts": {"outputSource": "count/counts"}, "copy": {"outputSource": "wait/out"}},
        "steps": {
            "count": {
                "tool_id": "count_reads", "tool_version": "1.0", "in": {"reads": "Reads", "minlen": "minlen"},
            },
            "wait": {
                "tool_id": "wait_then_exit", "tool_version": "1.0", "in": {"infile": "count/counts"},
                "state": {"seconds": seconds, "code": exit_code},
            },
        },
    }  # fmt: skip


def write_bclconvert(
    folder: Path, samples: Iterable[str] = ("S1", "S2"), *, reads: int = 4, bases: int = 20, marker: bool = True
) -> Path:
    """Write the finished output of BCL Convert: pairs of gz FASTQ, sheet and reports, the marker last."""
    folder.mkdir(parents=True, exist_ok=True)
    for part in ("Reports", "Logs"):
        (folder / part).mkdir(exist_ok=True)
    samples = tuple(samples)
    rows = ["RGID,RGSM,RGLB,Lane,Read1File,Read2File"]
    for number, sample in enumerate(samples, start=1):
        names = [f"{sample}_S{number}_L001_R{read}_001.fastq.gz" for read in (1, 2)]
        for read, name in enumerate(names, start=1):
            (folder / name).write_bytes(packed(fastq(reads, read=read, bases=bases)))
        rows.append(f"x.{number},{sample},UnknownLibrary,1,{names[0]},{names[1]}")
    (folder / "Reports" / "fastq_list.csv").write_text("\n".join(rows) + "\n")
    (folder / "Reports" / "RunInfo.xml").write_text(
        f'<?xml version="1.0"?><RunInfo><Run Id="{folder.name}" Number="1"><Reads>'
        '<Read Number="1" NumCycles="20" IsIndexedRead="N"/><Read Number="2" NumCycles="8" IsIndexedRead="Y"/>'
        '<Read Number="3" NumCycles="20" IsIndexedRead="N"/></Reads></Run></RunInfo>'
    )
    (folder / "Reports" / "SampleSheet.csv").write_text(
        "[Header]\nFileFormatVersion,2\n[BCLConvert_Data]\nSample_ID,Index\n"
        + "".join(f"{sample},ACGTACGT\n" for sample in samples)
    )
    (folder / "Logs" / "Info.log").write_text("started\n")
    if marker:
        (folder / "Logs" / "FastqComplete.txt").touch()
    return folder


def tree_of(folder: Path) -> dict[str, tuple[int, int, str]]:
    """Return every path below a folder with mode, mtime and SHA-256: what must be the same when nothing was written."""
    tree = {}
    for path in sorted(folder.rglob("*")):
        facts = path.lstat()
        digest = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        tree[str(path.relative_to(folder))] = (facts.st_mode, facts.st_mtime_ns, digest)
    return tree


async def until(
    claim: Callable[[], Awaitable[Any]], timeout_s: float = 10.0, *, what: str = "it", clock: Clock | None = None
) -> Any:
    """Ask again and again until the answer is true, and return it; TimeoutError when it never is."""
    clock = clock or SystemClock()
    end = clock.monotonic() + timeout_s
    while not (answer := await claim()):
        if clock.monotonic() > end:
            raise TimeoutError(f"{what} did not come true within {timeout_s} s; last answer: {answer!r}")
        await clock.sleep(0.02)
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

    def wait_for(self, words: str, timeout_s: float = 15.0) -> str:
        """Return the first line that holds these words, also one that came before."""
        end = time.monotonic() + timeout_s
        with self._came:
            while True:
                for line in self.lines:
                    if words in line:
                        return line
                if not self._reader.is_alive() or not self._came.wait(max(end - time.monotonic(), 0.0)):
                    raise TimeoutError(f"{words!r} was never said. It said:\n" + "\n".join(self.lines))

    def end(self, number: int = signal.SIGTERM, timeout_s: float = 15.0) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        return self.wait(timeout_s)

    def wait(self, timeout_s: float = 15.0) -> int:
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
    fake: FakeGalaxy = field(init=False)
    _running: list[Running] = field(default_factory=list)

    def __enter__(self) -> Self:
        for part in ("watched", "results", "state"):
            (self.folder / part).mkdir(parents=True, exist_ok=True)
        self.fake = FakeGalaxy(self.version, second=self.second, quota_bytes=self.quota_bytes, lock_wait_s=0.5)
        self.fake.start()
        self.workflow_id = self.fake.import_workflow(counting_workflow())
        self.write_key(self.fake.key)
        self.write_config()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
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
            "watches": [_merged({"name": "miseq", "path": str(self.watched), "settle": "0s"}, watch)],
            "rules": [
                _merged(
                    {
                        "name": "all",
                        "workflow": {"name": WORKFLOW, "inputs": {"Reads": "reads"}},
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

    async def once(
        self, wait_s: float | None = 3.0, *, follow: bool = True, points: Points = pass_by, takes_existing: bool = True
    ) -> Json:
        """Catch up in this process and return the `status` report."""
        daemon = Daemon(self.settings(), points=points, takes_existing=takes_existing)
        await daemon.catch_up(None if wait_s is None else timedelta(seconds=wait_s), follow=follow)
        return await self.status()

    @contextlib.asynccontextmanager
    async def daemon(
        self, *, points: Points = pass_by, takes_existing: bool = True, clock: Clock | None = None
    ) -> AsyncIterator[Daemon]:
        """Run the daemon in this process for the time of the block."""
        daemon = Daemon(self.settings(), clock=clock, points=points, takes_existing=takes_existing)
        async with daemon.running():
            yield daemon

    async def status(self) -> Json:
        """Return the `status` report, daemon up or down."""
        store = await Store.open(self.state_file, SystemClock(), lock=False, migrate=False)
        try:
            return await status_report(store, {"galaxy": self.fake.url})
        finally:
            await store.close()

    async def show(self, wanted: str) -> Json:
        """Return the `show` report of a unit."""
        store = await Store.open(self.state_file, SystemClock(), lock=False, migrate=False)
        try:
            report = await show_report(store, {"galaxy": self.fake.url}, wanted)
            assert report is not None
            return report
        finally:
            await store.close()

    async def until_status(self, wanted: str, *, stage: str = "", timeout_s: float = 15.0) -> Json:
        """Wait until the only unit has this status (at this stage), and return it with its batches."""

        async def stands() -> Json | None:
            units = (await self.status())["units"]
            fits = units and units[0]["status"] == wanted and stage in ("", units[0]["stage"])
            return units[0] if fits else None

        try:
            unit: Json = await until(stands, timeout_s, what=f"status {wanted}")
        except TimeoutError as error:
            raise TimeoutError(f"{error}\n{json.dumps(await self.status(), indent=1)}") from None
        return unit

    async def journal(self, event: str) -> list[str]:
        """Return the texts of all journal lines of this event."""
        store = await Store.open(self.state_file, SystemClock(), lock=False, migrate=False)
        try:
            return [line.text for line in await store.journal_of(limit=10_000) if line.event == event]
        finally:
            await store.close()

    def environment(self, **more: str) -> dict[str, str]:
        """Return the variables for a command: ours, none of the person's own WATCHER_ ones."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("WATCHER_")}
        return {**kept, "WATCHER_CONFIG": str(self.config_file), "NO_COLOR": "1", "COLUMNS": "100", **more}

    def command(self, *arguments: str, timeout_s: float = 25.0, **variables: str) -> Ended:
        """Run `galaxy-watcher` to its end."""
        ended = subprocess.run(
            [sys.executable, "-m", "watcher", *arguments],
            cwd=self.folder, env=self.environment(PYTHONPATH=str(ROOT), **variables), timeout=timeout_s,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        return Ended(ended.returncode, ended.stdout, ended.stderr)

    def start(self, *arguments: str, **variables: str) -> Running:
        """Start `galaxy-watcher` and leave it running; it is killed at the end of the world."""
        process = subprocess.Popen(
            [sys.executable, "-m", "watcher", *arguments],
            cwd=self.folder, env=self.environment(PYTHONPATH=str(ROOT), **variables),
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self._running.append(Running(process))
        return self._running[-1]


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
