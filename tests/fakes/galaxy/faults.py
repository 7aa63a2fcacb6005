"""Things that go wrong on purpose: which faults are armed, and which of them hits a request or a job.

A `Fault` names a kind, what it is for (method and path of a request, or a tool) and how often. How the kinds for
requests are carried out is in `fault_layer.py`; those for jobs and uploads are asked for by `engine.py` and `fetch.py`.

Kinds for requests, in the order of a request's life:
    reset           connection reset before the body is read; nothing happens
    hold            waits before the request is looked at, until `release()`
    status          answers `status` with an HTML page (429 carries Retry-After: `seconds`); nothing happens
    garbage         answers 200 with an HTML page, as a login page in front would; nothing happens
    too_large       413 with an HTML page for a body above `size`; smaller ones pass and do not count
    stall           waits `seconds` before the request is looked at
    slow            takes the body at `size` bytes per second
    act             calls `action` (or the action named by `target`, see `control.py`) before the request is looked at
    session_gone    the upload session is gone
    truncate        after the PATCH the session has lost its last `size` bytes
    lose_answer     carried out, then connection reset instead of the answer
    impatient       answers `status` with an HTML page at once, as a proxy that waits no longer; carried out `seconds`
                    later
    late            connection reset now, carried out `seconds` later
    stall_answer    carried out, then waits `seconds` before it answers
    hold_answer     carried out, then waits until `release()`
    cut_answer      answers, but the connection is reset after `size` bytes of the body
    spoil_answer    answers with the first byte of the body changed
Kinds for jobs (`tool`): job_error, job_killed (its tool is ended from outside: exit code 137 and no word), job_paused,
    over_quota.
Kinds for each dataset of an upload job: wrong_size (`size` bytes too few are recorded), hash_mismatch (a byte is
    changed), lose_tail (`size` bytes, or half, are lost), session_lost (the session is gone), rot (a byte is changed
    after all checks: only reading the dataset back tells).
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

REQUEST_KINDS = frozenset(
    [
        "reset",
        "hold",
        "status",
        "garbage",
        "too_large",
        "stall",
        "slow",
        "act",
        "session_gone",
        "truncate",
        "lose_answer",
        "impatient",
        "late",
        "stall_answer",
        "hold_answer",
        "cut_answer",
        "spoil_answer",
    ]
)
JOB_KINDS = frozenset({"job_error", "job_killed", "job_paused", "over_quota"})
FETCH_KINDS = frozenset({"wrong_size", "hash_mismatch", "lose_tail", "session_lost", "rot"})


@dataclass(eq=False)
class Fault:
    """One armed fault; `times=None` means until it is taken away, `skip` lets that many matches pass first."""

    kind: str
    method: str = "*"
    path: str = "*"
    times: int | None = 1
    skip: int = 0
    seconds: float = 0.0
    size: int = 0
    status: int = 503
    tool: str = "*"
    target: str = ""
    action: Callable[[], object] | None = field(default=None, repr=False)
    hits: int = 0
    reached: threading.Event = field(default_factory=threading.Event, repr=False)
    _released: bool = field(default=False, repr=False)
    _held: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = field(default_factory=list, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def __post_init__(self) -> None:
        if self.kind not in REQUEST_KINDS | JOB_KINDS | FETCH_KINDS:
            raise ValueError(f"there is no fault of kind {self.kind!r}")

    @property
    def used_up(self) -> bool:
        """Whether it hits no more."""
        return self.times is not None and self.hits >= self.times

    def wait(self, timeout_s: float = 60.0) -> None:
        """Wait until it has hit once."""
        if not self.reached.wait(timeout_s):
            raise TimeoutError(f"fault {self.kind} was not reached within {timeout_s} s")

    def release(self) -> None:
        """Let go what a `hold` or `hold_answer` keeps waiting, now and from now on."""
        with self._lock:
            self._released = True
            held, self._held = self._held, []
        for loop, event in held:
            # A loop that has ended in between holds nobody any more.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(event.set)

    async def let_go(self) -> None:
        """Wait for `release()`; for the server's side."""
        event = asyncio.Event()
        with self._lock:
            if self._released:
                return
            self._held.append((asyncio.get_running_loop(), event))
        await event.wait()


class FaultBox:
    """The armed faults of one server, safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []

    def add(self, fault: Fault) -> Fault:
        """Arm a fault and give it back, for `wait()` and `hits`."""
        with self._lock:
            self._faults.append(fault)
        return fault

    def clear(self) -> None:
        """Take all faults away and let go whatever they hold."""
        with self._lock:
            for fault in self._faults:
                fault.release()
            self._faults.clear()

    def all(self) -> list[Fault]:
        """Give all faults, also those used up."""
        with self._lock:
            return list(self._faults)

    def _take(self, fits: Callable[[Fault], bool]) -> Fault | None:
        with self._lock:
            for fault in self._faults:
                if fault.used_up or not fits(fault):
                    continue
                if fault.skip > 0:
                    fault.skip -= 1
                    continue
                fault.hits += 1
                fault.reached.set()
                return fault
        return None

    def for_request(self, method: str, path: str, length: int) -> Fault | None:
        """Give the fault that hits this request."""

        def fits(fault: Fault) -> bool:
            if fault.kind not in REQUEST_KINDS or (fault.kind == "too_large" and length <= fault.size):
                return False
            return fnmatchcase(method, fault.method.upper()) and fnmatchcase(path, fault.path)

        return self._take(fits)

    def job_fault(self, tool_id: str) -> str:
        """Give the kind that hits a job of this tool, or nothing."""
        fault = self._take(lambda one: one.kind in JOB_KINDS and fnmatchcase(tool_id, one.tool))
        return fault.kind if fault else ""

    def fetch_fault(self) -> tuple[str, int]:
        """Give kind and size of the fault that hits the next dataset of an upload job."""
        fault = self._take(lambda one: one.kind in FETCH_KINDS)
        return (fault.kind, fault.size) if fault else ("", 0)
