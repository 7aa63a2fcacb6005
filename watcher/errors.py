"""Every error this program raises on purpose, and what each one says to a person.

A message has three parts: what happened to what (`message`), what you can do (`hint`), and a short `code` that never
changes, for logs, metrics and tests. What the watcher does about an error is not decided here but in
`service/faults.py`.

    WatcherError                     exit code
    ├── UsageError                   2   the command line makes no sense
    ├── ConfigError                  3   the configuration, all problems at once
    ├── StateError                   3   the state database: network disk, second daemon, newer schema
    │   └── Superseded                   somebody else moved the row: stop at once, write nothing more
    ├── DiskError                    5   the watched file systems
    │   ├── MountGone                    the root does not answer, or is not the one we know
    │   ├── FileChanged                  a source file changed while we used it
    │   ├── FileGone                     a source file vanished
    │   └── UnsafePath                   a link that leaves the root, a device, a name we cannot pass on
    ├── RunError                     5   what the sequencer wrote
    │   ├── StructureBroken              seen without reading through: magic, pairs, sheet, manifest
    │   ├── ContentBroken                seen while reading: checksum, gzip, FASTQ records
    │   └── RunFailed                    the instrument itself says the run failed
    ├── PlanError                    5   the plan cannot be made or no longer fits: rules, names, workflow inputs
    ├── GalaxyError                  4   Galaxy and the way to it
    │   ├── GalaxyAway                   no answer: refused, reset, timed out, 502, 503, 504
    │   │   └── AnswerLost               the request may have been carried out: look before repeating
    │   │       └── Uncertain            it may still be carried out: look again after `again_in`
    │   ├── NoGalaxy                     something else answers at Galaxy's address
    │   ├── GalaxyBusy                   429: try again after `retry_after_s`
    │   ├── KeyRefused                   401, or the key is nobody's
    │   ├── OverQuota                    the account has no room left
    │   ├── Forbidden                    403
    │   ├── NotThere                     404: deleted by hand, or a wrong id
    │   ├── Refused                      any other 4xx: our request, or a bad input
    │   ├── SessionLost                  an upload session is gone or cut: the file is sent again
    │   └── GalaxyBroken                 500 and answers that are no JSON
    ├── DeliveryError                5   where results go
    │   ├── TargetFull                   no space left
    │   ├── TargetGone                   the target folder's mount is not there
    │   └── DeliveryBroken               size or checksum differ, name not possible, nothing selected
    │       └── NameTaken                another file has the name of a result
    └── SandboxError                 5   the throw-away Galaxy of demo and tests
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any


class WatcherError(Exception):
    """Base of all known errors: shown as message and hint, never as a traceback.

    `subject` names the shared thing that is broken (account, delivery target) where a stage knows better than the row.
    """

    code = "error"
    exit_code = 5

    def __init__(self, message: str, *, hint: str = "", files: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.files = tuple(files)
        self.subject = ""

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class UsageError(WatcherError):
    """The command line makes no sense."""

    code = "usage"
    exit_code = 2


@dataclass(frozen=True, slots=True)
class ConfigProblem:
    """One thing wrong in one place of a configuration; `line` counts from 1, 0 = no line known."""

    file: str
    line: int
    key: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.key}: {self.message}{' ' + self.hint if self.hint else ''}"


class ConfigError(WatcherError):
    """The configuration cannot be used; `problems` lists everything found, not only the first."""

    code = "config"
    exit_code = 3

    def __init__(self, problems: Sequence[ConfigProblem], *, hint: str = "") -> None:
        super().__init__("\n".join(str(problem) for problem in problems), hint=hint)
        self.problems = tuple(problems)


class StateError(WatcherError):
    """The state database cannot be used."""

    code = "state"
    exit_code = 3


class Superseded(StateError):
    """A person or another process moved the row meanwhile: what we were doing is no longer wanted."""

    code = "superseded"


class DiskError(WatcherError):
    """A watched file system did not do what we need."""

    code = "disk"


class MountGone(DiskError):
    """A root does not answer, does not exist, or lies on another mount than the remembered one."""

    code = "mount_gone"


class FileChanged(DiskError):
    """A source file is not the one we looked at."""

    code = "file_changed"


class FileGone(DiskError):
    """A source file is not there any more."""

    code = "file_gone"


class UnsafePath(DiskError):
    """A path that we do not read: leaves the root, is no regular file, or has a name that cannot be passed on."""

    code = "unsafe_path"


class RunError(WatcherError):
    """What the sequencer wrote is not usable as it is."""

    code = "run"


class StructureBroken(RunError):
    """Wrong without reading through: magic, end block, pairs, sample sheet, manifest."""

    code = "structure"


class ContentBroken(RunError):
    """Wrong in the bytes: checksum, gzip, FASTQ records."""

    code = "content"


class RunFailed(RunError):
    """The instrument or its software says that the run failed."""

    code = "run_failed"


class PlanError(WatcherError):
    """No plan can be made, or the plan does not fit Galaxy any more."""

    code = "plan"


class GalaxyError(WatcherError):
    """Galaxy or the way to it; `status` is the HTTP status or None, `request_id` what Galaxy calls the request in its
    log.
    """

    code = "galaxy"
    exit_code = 4

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        status: int | None = None,
        request_id: str = "",
        files: Sequence[str] = (),
    ) -> None:
        super().__init__(message, hint=hint, files=files)
        self.status = status
        self.request_id = request_id


class GalaxyAway(GalaxyError):
    """Galaxy does not answer, and certainly did nothing."""

    code = "galaxy_away"


class AnswerLost(GalaxyAway):
    """The answer is lost: Galaxy may or may not have done it, perhaps does it later."""

    code = "answer_lost"


class LineCut(AnswerLost):
    """The connection broke in the middle of a request; unlike a time limit that passed, both sides know of it."""

    code = "line_cut"


class Uncertain(AnswerLost):
    """The act may still take effect; `again_in` says when to look next."""

    code = "uncertain"

    def __init__(self, message: str, again_in: timedelta) -> None:
        super().__init__(
            message, hint="Nothing to do: the watcher looks again, and repeats the step only when it is safe."
        )
        self.again_in = again_in


class NoGalaxy(GalaxyError):
    """Something answers at Galaxy's address, but not as Galaxy does when asked who it is: a login or maintenance page,
    another web server, a Galaxy that fails at everything.
    """

    code = "no_galaxy"


class GalaxyBusy(GalaxyError):
    """Galaxy asks us to come back later."""

    code = "galaxy_busy"

    def __init__(
        self, message: str, *, retry_after_s: float = 5.0, status: int | None = 429, request_id: str = ""
    ) -> None:
        super().__init__(message, status=status, request_id=request_id)
        self.retry_after_s = retry_after_s


class KeyRefused(GalaxyError):
    """The API key is wrong, expired, or nobody's."""

    code = "key_refused"


class OverQuota(GalaxyError):
    """The account's quota is used up."""

    code = "over_quota"


class Forbidden(GalaxyError):
    """The account may not do this."""

    code = "forbidden"


class NotThere(GalaxyError):
    """A thing in Galaxy is not there (any more)."""

    code = "not_there"


class Refused(GalaxyError):
    """Galaxy does not accept the request; `details` are what it tells programs, often nothing."""

    code = "refused"
    details: Any = None


class SessionLost(GalaxyError):
    """An upload session is gone or cut on the server: the file has to be sent again."""

    code = "session_lost"


class GalaxyBroken(GalaxyError):
    """Galaxy answered with an internal error, or with something that is no answer."""

    code = "galaxy_broken"


class DeliveryError(WatcherError):
    """Results could not be brought to where they belong."""

    code = "delivery"


class TargetFull(DeliveryError):
    """The target has no room for what is to come."""

    code = "target_full"


class TargetGone(DeliveryError):
    """The target is not there: its mount is missing or read-only."""

    code = "target_gone"


class DeliveryBroken(DeliveryError):
    """A delivered file is not what Galaxy has, or nothing could be selected."""

    code = "delivery_broken"


class NameTaken(DeliveryBroken):
    """Something else has the name of a result; it is never overwritten."""


class SandboxError(WatcherError):
    """The sandbox cannot be had here: too little room, no network, or Galaxy does not start."""

    code = "sandbox"
