"""What happens in a demo, step by step, and how it is told: lines with the seconds gone by and who does something.

Watches the daemon from outside, through the same report as `status`, and pulls its plug twice: SIGKILL in the middle
of the upload and while the workflow runs. Sets nothing up and clears nothing away but the daemon and the sequencer:
see `demo.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.status import Status as Spinner
from rich.text import Text

from watcher.cli.output import Rates, size_text
from watcher.clock import SystemClock
from watcher.errors import StateError, WatcherError
from watcher.sandbox.platforms import run_id_of_its_own
from watcher.sandbox.processes import Kept
from watcher.sandbox.sequencer import SAMPLES, Stopped, WrittenRun, write_run
from watcher.sandbox.witness import Finding, Witness
from watcher.service.report import status_report
from watcher.store.store import Store

CONFIG, STATE, LOG = "config.yaml", "state.sqlite", "daemon.log"
RUNS, RESULTS = "runs", "results"
PLATFORM = "miseq-msr"
PAIRS = 60_000
WRITING_S = 12.0
PATIENCE_S = 180.0
"""How long nothing may change before the demo gives up."""

ENDED = ("done", "held", "failed", "cancelled", "ignored")
VOICES = {"sequencer": "cyan", "daemon": "green", "galaxy": "blue", "demo": "bold red"}


class Teller:
    """Lines on the screen: `12 s  who  what`; on a terminal a live line below them."""

    def __init__(self) -> None:
        self._console = Console(soft_wrap=True, highlight=False)
        self._started = time.monotonic()
        self._spinner: Spinner | None = self._console.status("") if self._console.is_terminal else None

    def __enter__(self) -> Self:
        if self._spinner:
            self._spinner.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.calm()

    @property
    def elapsed_s(self) -> float:
        """Seconds since the demo began."""
        return time.monotonic() - self._started

    def say(self, who: str, text: str) -> None:
        """Print one line."""
        line = Text(f"{self.elapsed_s:5.0f} s  ")
        self._console.print(line.append(f"{who:<10}", style=VOICES[who]).append(text))

    def line(self, who: str) -> Callable[[str], None]:
        """Return a function that prints lines of one voice."""
        return lambda text: self.say(who, text)

    def show(self, text: str) -> None:
        """Show what goes on just now, on a terminal only."""
        if self._spinner:
            self._spinner.update(Text(text))

    def calm(self) -> None:
        """Take the live line away: the story is over."""
        if self._spinner:
            self._spinner.stop()

    @contextlib.contextmanager
    def busy(self, who: str, text: str) -> Iterator[None]:
        """Show that something long goes on."""
        self.show(f"{who}: {text}")
        yield
        self.show("")

    def plain(self, text: str = "", style: str = "") -> None:
        """Print something that is not part of the story."""
        self._console.print(Text(text, style=style))


class Story:
    """One run from the first byte on the sequencer's disk to the checked results, with two power cuts."""

    def __init__(self, place: Path, url: str, key: str, has_workflow: bool, teller: Teller) -> None:
        self._place = place
        self._url = url
        self._key = key
        self._has_workflow = has_workflow
        self._teller = teller
        self._daemon: Kept | None = None
        self._run: WrittenRun | None = None
        self._trouble: BaseException | None = None
        self._stop = threading.Event()
        self._cuts: list[str] = []
        self._told: set[str] = set()
        self._rates = Rates()

    async def tell(self) -> bool:
        """Tell all of it; True when everything that Galaxy and the delivered files say is as it should be."""
        sequencer = threading.Thread(target=self._write, name="sequencer", daemon=True)
        try:
            self._start_daemon("The daemon starts and watches the sequencer's folder.")
            store = await self._open_store()
            try:
                sequencer.start()
                report = await self._follow(store)
            finally:
                await store.close()
        finally:
            self._stop.set()
            if self._daemon:
                self._daemon.ask_to_stop()
                self._daemon.wait()
            if sequencer.is_alive():
                sequencer.join(5)
        return self._conclude(report)

    # --- the sequencer, in a thread of its own ---

    def _write(self) -> None:
        run_id = run_id_of_its_own(PLATFORM)
        say = self._teller.line("sequencer")
        say(f"Run {run_id} begins: {len(SAMPLES)} samples, paired reads, files grow for {WRITING_S:.0f} s.")
        try:
            self._run = write_run(
                self._place / RUNS / run_id,
                PLATFORM,
                run_id=run_id,
                pairs=PAIRS,
                seconds=WRITING_S,
                stop=self._stop,
                on_step=self._written,
            )
        except Stopped:
            return
        except BaseException as error:
            self._trouble = error
            return
        say(
            f"{self._run.marker} is written, the run is complete: {len(self._run.files)} files,"
            f" {size_text(self._run.size)}."
        )

    def _written(self, path: str) -> None:
        if path.endswith("_R2_001.fastq.gz"):
            self._teller.say("sequencer", f"{path.rpartition('/')[2]} and its R1 are whole.")

    # --- the daemon, in a process of its own ---

    def _start_daemon(self, text: str) -> None:
        self._teller.say("daemon", text)
        self._daemon = Kept(
            [sys.executable, "-m", "watcher", "serve", "--config", str(self._place / CONFIG)],
            folder=self._place,
            log=self._place / LOG,
            environment={key: value for key, value in os.environ.items() if not key.startswith("WATCHER_")},
        )

    def _pull_the_plug(self, when: str) -> None:
        assert self._daemon
        self._daemon.kill()
        self._cuts.append(when)
        self._teller.say("demo", f"The plug is pulled {when}: SIGKILL to the daemon, nothing is tidied up.")
        self._start_daemon("The daemon is started again, and knows only what its rows say.")

    async def _open_store(self) -> Store:
        deadline = time.monotonic() + 60
        while True:
            try:
                return await Store.open(self._place / STATE, SystemClock(), lock=False, migrate=False)
            except StateError:
                if time.monotonic() > deadline or not (self._daemon and self._daemon.is_alive()):
                    raise self._gave_up("The daemon did not start.") from None
            await asyncio.sleep(0.2)

    # --- watching from outside ---

    async def _follow(self, store: Store) -> dict[str, Any]:
        """Look at the report until the run has ended, and pull the plug at the two moments."""
        last, changed_at = "", time.monotonic()
        while True:
            report = await status_report(store, {"galaxy": self._url})
            unit = report["units"][0] if report["units"] else None
            now = repr((unit, report["obstacles"]))
            if now != last:
                last, changed_at = now, time.monotonic()
            if self._trouble:
                raise self._trouble
            if self._daemon and not self._daemon.is_alive():
                raise self._gave_up("The daemon ended by itself.")
            if time.monotonic() - changed_at > PATIENCE_S:
                raise self._gave_up(f"Nothing has changed for {PATIENCE_S:.0f} s.")
            self._tell_obstacles(report)
            if unit:
                self._tell_unit(unit)
                if unit["status"] in ENDED and self._run:
                    return report
                self._cut_if_it_is_time(unit["batches"])
            await asyncio.sleep(0.1)

    def _gave_up(self, what: str) -> WatcherError:
        log = self._place / LOG
        said = log.read_text(errors="replace").splitlines()[-3:] if log.exists() else []
        return WatcherError(" ".join([what, *(line.strip() for line in said)]), hint=f"Its log is {log}.")

    def _cut_if_it_is_time(self, batches: list[dict[str, Any]]) -> None:
        if not batches:
            return
        batch = batches[0]
        done, total = batch["bytes_done"], batch["bytes_total"]
        if batch["stage"] == "upload" and 0 < done < total and not self._cuts:
            self._pull_the_plug(f"in mid-upload, with {size_text(done)} of {size_text(total)} sent")
        elif len(self._cuts) == 1 and self._has_workflow and batch["stage"] == "poll":
            if any(state not in ("ok", "error", "deleted") for state in _jobs(batch)):
                self._pull_the_plug(f"while the workflow runs ({_told_jobs(_jobs(batch))})")
        elif (
            len(self._cuts) == 1 and batch["stage"] == "upload" and total / 2 < done < total and not self._has_workflow
        ):
            self._pull_the_plug(f"a second time in mid-upload, with {size_text(done)} of {size_text(total)} sent")

    def _tell_obstacles(self, report: Mapping[str, Any]) -> None:
        for obstacle in report["obstacles"]:
            self._once(obstacle["key"] + obstacle["reason"], f"{obstacle['reason']} {obstacle['hint']}")

    def _tell_unit(self, unit: Mapping[str, Any]) -> None:
        """Say each new stage once, and show the reason of the moment."""
        name = unit["id"]
        if unit["stage"] == "settle" and unit["reason"]:
            first = unit["reason"].split(";")[0]
            self._once("settle", f"{name}: a {unit['layout']} run is being written; the daemon waits. {first}.")
            self._teller.show(f"{name} settle: {unit['reason']}")
        for batch in unit["batches"]:
            self._tell_batch(batch)

    def _tell_batch(self, batch: Mapping[str, Any]) -> None:
        stage, name, files = batch["stage"], batch["id"], batch["datasets_total"]
        sent = f"{size_text(batch['bytes_done'])} of {size_text(batch['bytes_total'])}"
        now = str(batch["reason"])
        if stage == "upload":
            told = self._rates.told(name, batch["bytes_done"], batch["bytes_total"])
            now = f"{told}, {batch['datasets_done']} of {files} files checked in Galaxy"
            self._once("upload", f"{name}: proven complete; {files} files go to Galaxy, each checked on the way.")
            if self._cuts and batch["bytes_done"] > 0:
                self._once("resumed", f"{name}: the upload goes on, {sent} are there already.")
        elif stage == "poll":
            now = _told_jobs(_jobs(batch))
            self._once("poll", f"{name}: every dataset is checked ({batch['checked']}); the workflow runs.")
            if len(self._cuts) == 2:
                self._once("found again", f"{name}: the same invocation is followed, no second one is made.")
        elif stage == "deliver" and self._has_workflow:
            self._once("deliver", f"{name}: the workflow ended well; its results are brought home.")
        elif stage == "deliver":
            self._once("deliver", f"{name}: every dataset is checked ({batch['checked']}), the collection is made.")
        self._teller.show(f"{name} {stage}: {now}")

    def _once(self, key: str, text: str) -> None:
        if key not in self._told:
            self._told.add(key)
            self._teller.say("daemon", text)

    # --- the end ---

    def _conclude(self, report: Mapping[str, Any]) -> bool:
        """Print what Galaxy says, and the results; True when all is as it should be."""
        unit = report["units"][0]
        assert self._run
        self._teller.say("daemon", f"{unit['id']}: {unit['status']}. {unit['reason']}".rstrip())
        self._teller.show("Counting in Galaxy ...")
        results = self._place / RESULTS / self._run.run_id if self._has_workflow else None
        with Witness(self._url, self._key) as witness:
            findings = witness.findings(self._run, results)
        findings.insert(
            0, Finding(f"{len(self._cuts)} times killed, status at the end: {unit['status']}", self._is_told_well(unit))
        )
        self._teller.calm()
        self._teller.plain("\nWhat Galaxy itself says:")
        for finding in findings:
            self._teller.plain(
                f"  {'yes' if finding.is_so else 'NO '}  {finding.text}", "" if finding.is_so else "bold red"
            )
        self._show_results(results)
        is_well = all(finding.is_so for finding in findings)
        verdict = "Everything is there exactly once" if is_well else "That is not as it should be"
        self._teller.plain(
            f"\n{verdict}, after {self._teller.elapsed_s:.0f} s.", "bold green" if is_well else "bold red"
        )
        return is_well

    def _is_told_well(self, unit: Mapping[str, Any]) -> bool:
        """A demo without both cuts has not shown what it promises."""
        return len(self._cuts) == 2 and bool(unit["status"] == "done")

    def _show_results(self, results: Path | None) -> None:
        """Print the delivered report, the table that a person would open."""
        for path in sorted(results.glob("report*")) if results else ():
            self._teller.plain(f"\n{path.name}, as delivered:")
            for line in path.read_text(errors="replace").splitlines():
                self._teller.plain("  " + "".join(f"{cell:>20}" for cell in line.split("\t")).lstrip())


def _jobs(batch: Mapping[str, Any]) -> Mapping[str, int]:
    """Return how many jobs of the batch's workflow are in which state; none before the first count."""
    jobs: Mapping[str, int] = batch["invocations"][0]["jobs"] if batch["invocations"] else {}
    return jobs


def _told_jobs(jobs: Mapping[str, int]) -> str:
    return "jobs: " + ", ".join(f"{count} {state}" for state, count in sorted(jobs.items())) if jobs else "no jobs yet"
