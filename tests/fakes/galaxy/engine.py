"""Does the jobs: one thread, a queue of things due, states moved on by the wall clock.

A job waits in `new` until all its inputs are final, then is `queued`, `running` and ends. Uploads are jobs as well
(`fetch.py` says what they do). Bytes are read and written here, outside the world's lock. It knows nothing of HTTP and
nothing of workflows beyond the hook `on_job_end`.
"""

from __future__ import annotations

import hashlib
import heapq
import itertools
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from tests.fakes.galaxy.bytes_on_disk import describe
from tests.fakes.galaxy.state import FINAL_DATASET_STATES, Dataset, Job, World
from tests.fakes.galaxy.tools import TOOLS, Ending, Run, Tool

PAUSED_INPUT = "Execution of this dataset's job is paused because its input datasets are in an error state."
TO_RESUME = " To resume this job fix the input dataset(s)."
PAUSED_QUOTA = (
    "Execution of this dataset's job is paused because you were over your disk quota at the time it was ready to run"
)
FETCH_TOOL = "__DATA_FETCH__"


class JobFaults(Protocol):
    """What the engine asks the armed faults: the kind that hits this job now, or nothing."""

    def job_fault(self, tool_id: str) -> str: ...


class Engine:
    """The job runner of one server; `job_seconds` is what a job takes from `new` to its end."""

    def __init__(self, world: World, faults: JobFaults, *, job_seconds: float, second: float) -> None:
        self.world = world
        self.faults = faults
        self.job_seconds = job_seconds
        self.second = second
        self.hashes_outputs = False  # as a server does with `calculate_dataset_hash: always`
        self.on_job_end: Callable[[Job], None] = lambda job: None
        self.run_fetch: Callable[[Job], Ending] = lambda job: Ending()
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._wake = threading.Condition()
        self._waiting: dict[int, Job] = {}
        self._thread: threading.Thread | None = None
        self._stopped = True
        self.problems: list[BaseException] = []

    def start(self) -> None:
        """Begin to work, or go on after a stop."""
        self._stopped = False
        self._thread = threading.Thread(target=self._work, name="fake-galaxy-jobs", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Leave everything where it is until the next start."""
        with self._wake:
            self._stopped = True
            self._wake.notify_all()
        if self._thread:
            self._thread.join(timeout=10)

    def after(self, delay_s: float, action: Callable[[], None]) -> None:
        """Do something later, in the engine's thread."""
        with self._wake:
            heapq.heappush(self._due, (time.monotonic() + delay_s, next(self._order), action))
            self._wake.notify_all()

    def _work(self) -> None:
        while True:
            with self._wake:
                while not self._stopped and (not self._due or self._due[0][0] > time.monotonic()):
                    self._wake.wait(self._due[0][0] - time.monotonic() if self._due else None)
                if self._stopped:
                    return
                action = heapq.heappop(self._due)[2]
            try:
                action()
            except Exception as problem:  # kept for the test that asks; the server goes on
                self.problems.append(problem)

    def submit(self, job: Job) -> None:
        """Take a new job; it starts once its inputs are final."""
        self._waiting[job.number] = job
        self.after(self.job_seconds / 4, lambda: self._consider(job))

    def consider_all(self) -> None:
        """Look again at all jobs that wait."""
        for job in list(self._waiting.values()):
            self._consider(job)

    def resume(self, job: Job) -> None:
        """Let a paused job try again, and with it those that wait for what it makes."""
        with self.world.lock:
            self.world.set_job_state(job, "new")
            for number in job.outputs.values():
                self.world.set_file_state(self.world.datasets[number], "new")
            made = set(job.outputs.values())
            waiting = [
                one
                for one in self.world.jobs.values()
                if one.state == "paused" and any(made & set(numbers) for numbers in one.inputs.values())
            ]
        self.submit(job)
        for one in waiting:
            self.resume(one)

    def _inputs(self, job: Job) -> list[Dataset]:
        return [self.world.datasets[number] for numbers in job.inputs.values() for number in numbers]

    def _set_outputs(self, job: Job, state: str, misc_info: str | None = None) -> None:
        for number in job.library_items:
            file = self.world.shelf.items[number].file
            file.state, file.misc_info = state, misc_info if misc_info is not None else file.misc_info
        for number in job.outputs.values():
            self.world.set_file_state(self.world.datasets[number], state, misc_info)

    def _consider(self, job: Job) -> None:
        with self.world.lock:
            if job.number not in self._waiting or job.state != "new":
                self._waiting.pop(job.number, None)
                return
            inputs = self._inputs(job)
            if any(dataset.file.state not in FINAL_DATASET_STATES for dataset in inputs):
                return
            del self._waiting[job.number]
            kind = self.faults.job_fault(job.tool_id)
            if purged := next((dataset for dataset in inputs if dataset.purged), None):
                text = f"Input dataset '{purged.name}' was deleted before the job started"
                return self._end(job, Ending(1), started=False, misc_info=text)
            if wrong := next((one for one in inputs if one.deleted or one.file.state != "ok"), None):
                return self._pause(job, f"Input dataset '{wrong.name}' {_what_is_wrong(wrong)}.{TO_RESUME}")
            if kind == "job_paused":
                name = inputs[0].name if inputs else ""
                return self._pause(job, f"Input dataset '{name}' is in error state.{TO_RESUME}")
            uploads = job.tool_id == FETCH_TOOL
            checks_quota = not uploads or self.world.behaviour.upload_pauses_over_quota
            if kind == "over_quota" or (checks_quota and self.world.is_over_quota(self.world.users[job.user])):
                return self._pause(job, PAUSED_QUOTA)
            tool = TOOLS.get(job.tool_id)
            if tool and (problem := _wrong_parameter(tool, job, self.world.behaviour.names_wrong_parameter)):
                return self._end(job, Ending(1), started=False, misc_info=problem)
            self.world.set_job_state(job, "queued")
            self._set_outputs(job, "queued")
        self.after(self.job_seconds / 4, lambda: self._begin(job, kind))

    def _pause(self, job: Job, reason: str) -> None:
        self.world.set_job_state(job, "paused")
        self._set_outputs(job, "paused", reason)
        self.after(0, lambda: self._ended(job))

    def _begin(self, job: Job, kind: str) -> None:
        with self.world.lock:
            if job.state != "queued":
                return
            self.world.set_job_state(job, "running")
            self._set_outputs(job, "running")
            tool = TOOLS.get(job.tool_id)
            works_s = tool.seconds_of(job.params) * self.second if tool else 0.0
        self.after(self.job_seconds / 2 + works_s, lambda: self._finish(job, kind))

    def _finish(self, job: Job, kind: str) -> None:
        if job.state != "running":
            return
        tool = TOOLS.get(job.tool_id)
        if kind == "job_error":
            ending = Ending(1, stderr="the tool failed\n")
        elif kind == "job_killed":
            ending = Ending(137)
        elif tool is None:
            ending = self.run_fetch(job)
        else:
            ending = self._run(job, tool)
        with self.world.lock:
            if job.state == "running":
                self._end(job, ending, started=True)

    def _run(self, job: Job, tool: Tool) -> Ending:
        with self.world.lock:
            outputs = {name: self.new_path(self.world.datasets[number]) for name, number in job.outputs.items()}
            paths = {
                name: [path for number in numbers if (path := self.world.datasets[number].file.path)]
                for name, numbers in job.inputs.items()
            }
        for path in outputs.values():
            path.touch()
        try:
            return tool.run(Run(paths, job.params, outputs, self.world.folder / "results"))
        except Exception as problem:  # whatever a tool stumbles over is its exit code, as on a real server
            return Ending(1, stderr=f"{type(problem).__name__}: {problem}\n")

    def _end(self, job: Job, ending: Ending, *, started: bool, misc_info: str = "") -> None:
        good = ending.exit_code == 0
        uploads = job.tool_id == FETCH_TOOL
        job.stdout, job.stderr = ending.stdout, ending.stderr
        job.exit_code = None if uploads or not started else ending.exit_code
        self.world.set_job_state(job, "ok" if good else "error")
        if not good:
            for number in job.library_items:
                file = self.world.shelf.items[number].file
                if file.state != "ok":
                    file.state, file.misc_info = "error", ending.stderr.strip()
        if not uploads or not good:
            for number in job.outputs.values():
                dataset = self.world.datasets[number]
                if started and not uploads:
                    describe(dataset.file)
                    if good and self.hashes_outputs and dataset.file.path:
                        value = hashlib.sha256(dataset.file.path.read_bytes()).hexdigest()
                        dataset.file.hashes.append((self.world.next_number("hash"), "SHA-256", value))
                self.world.set_file_state(dataset, "ok" if good else "error", misc_info or ending.stderr.strip())
        if not good:
            self._pause_next(job)
        self.after(0, lambda: self._ended(job))

    def _pause_next(self, failed: Job) -> None:
        """Pause the jobs that wait for what a failed one was to make; what waits for those finds them paused."""
        made = set(failed.outputs.values())
        for job in [one for one in self._waiting.values() if one.state == "new"]:
            if any(made & set(numbers) for numbers in job.inputs.values()):
                del self._waiting[job.number]
                self._pause(job, PAUSED_INPUT)

    def _ended(self, job: Job) -> None:
        self.consider_all()
        self.on_job_end(job)

    def cancel(self, job: Job) -> None:
        """Stop a job wherever it is."""
        with self.world.lock:
            if job.state in ("new", "queued", "running", "paused"):
                self._waiting.pop(job.number, None)
                self.world.set_job_state(job, "deleted")
                for number in job.outputs.values():
                    dataset = self.world.datasets[number]
                    dataset.deleted = True
                    self.world.set_file_state(dataset, "discarded")

    def new_path(self, dataset: Dataset) -> Path:
        """Give the place for a dataset's bytes and remember it."""
        path = self.world.folder / "files" / f"dataset_{dataset.file.uuid}.dat"
        dataset.file.path = path
        return path


def _what_is_wrong(dataset: Dataset) -> str:
    if dataset.deleted:
        return "was deleted before the job started"
    if dataset.file.state == "error":
        return "is in error state"
    return (
        "was paused before the job started" if dataset.file.state == "paused" else f"is in {dataset.file.state} state"
    )


def _wrong_parameter(tool: Tool, job: Job, named: bool) -> str:
    """Say what Galaxy writes on the outputs of a job that it cannot start, or nothing."""
    for one in tool.inputs:
        value = job.params.get(one.name)
        if one.kind == "integer" and value is not None:
            try:
                int(value)
            except ValueError:
                if named:
                    return f"Parameter '{one.name}': the attribute 'value' must be set for non optional parameters"
                return f"invalid literal for int() with base 10: {value!r}"
    return ""
