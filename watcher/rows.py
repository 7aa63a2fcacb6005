"""The rows of the program as the store keeps them: one frozen dataclass per table.

Rows are words: every stage reads them, only the store writes them, and only the engine changes `stage` and `status`.
Every effect row (dataset, galaxy_object, invocation, delivery, delivered_file) carries the time of its intent and of
its receipt. What the columns of a plan mean stands in `model.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from watcher.model import DatasetId, InvocationId, JobId, LibraryItemId, Plan, Stage, Status, WorkflowId

NO_DATASET, NO_ITEM, NO_JOB = DatasetId(""), LibraryItemId(""), JobId("")
NO_WORKFLOW, NO_INVOCATION = WorkflowId(""), InvocationId("")


@dataclass(frozen=True, slots=True)
class Watch:
    """What is remembered of a configured watch: the mount it lay on, and whether its first look is over."""

    name: str
    version: int = 0
    attempt: int = 0
    stage: Stage = Stage.DETECT
    status: Status = Status.READY
    code: str = ""
    reason: str = ""
    hint: str = ""
    due_at: datetime | None = None
    obstacle: str = ""
    tries: int = 0
    stage_since: datetime | None = None
    mount: str = ""  # source and type from mountinfo
    device: int = 0
    root_inode: int = 0
    entry_count: int = 0
    first_look_at: datetime | None = None
    last_look_at: datetime | None = None
    blind_since: datetime | None = None
    more: Mapping[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """Watches are named by the operator: the name is the id."""
        return self.name


@dataclass(frozen=True, slots=True)
class Unit:
    """What completes by itself. Identity is (identity, unit, version); `path` may change, the identity may not."""

    id: str
    watch: str
    layout: str
    identity: str
    run: str
    unit: str
    path: str
    version: int = 0
    attempt: int = 0
    stage: Stage = Stage.SETTLE
    status: Status = Status.READY
    code: str = ""
    reason: str = ""
    hint: str = ""
    due_at: datetime | None = None
    unit_version: int = 1
    replaces: str = ""
    fingerprint: str = ""
    obstacle: str = ""
    tries: int = 0
    run_path: str = ""
    seen_at: datetime | None = None
    stage_since: datetime | None = None
    more: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class UnitBrief:
    """As much of a unit as a rescan needs when nothing has changed."""

    id: str
    run_path: str
    stage: Stage
    status: Status
    version: int


@dataclass(frozen=True, slots=True)
class Batch:
    """What travels together: the samples of a unit that fall to one rule."""

    id: str
    unit_id: str
    rule: str
    plan: Plan
    revision: int = 1
    version: int = 0
    attempt: int = 0
    stage: Stage = Stage.UPLOAD
    status: Status = Status.READY
    code: str = ""
    reason: str = ""
    hint: str = ""
    due_at: datetime | None = None
    obstacle: str = ""
    tries: int = 0
    priority: int = 0
    created_at: datetime | None = None
    stage_since: datetime | None = None
    more: Mapping[str, Any] = field(default_factory=dict)

    @property
    def number(self) -> int:
        """Which batch of its unit it is, the same in every revision (`k7m2x9-2r3` is batch 2)."""
        return int(self.id.partition("-")[2].partition("r")[0])


Row = Watch | Unit | Batch


@dataclass(frozen=True, slots=True)
class DueRow:
    """A row that wants a stage, as far as it is needed to choose among thousands: a batch's plan takes time to read."""

    kind: str  # watch, unit, batch
    id: str
    stage: Stage
    due_at: datetime | None
    watch: str
    account: str = ""
    priority: int = 0
    planned_bytes: int = 0


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A source file of a unit as last seen; `unchanged_s` is the quiet time added up between looks."""

    unit_id: str
    path: str
    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    unchanged_s: float = 0.0
    looked_at: datetime | None = None
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Removal:
    """The dated row of a unit whose source is moved or deleted: what, when, and how far it is.

    `step` is the last one that was begun or ended (`stages/removal.py`). `code` tells why it stands still.
    """

    unit_id: str
    action: str  # archive, delete
    target: str = ""
    base: str = ""
    due_at: datetime | None = None
    status: Status = Status.WAITING
    step: str = ""
    code: str = ""
    reason: str = ""
    intent_at: datetime | None = None
    receipt_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class StockFile:
    """One entry of the folder that is to go, as it was when the unit was planned; `path` is relative to that folder.

    `sha256` is that of the bytes in the archive, once they were copied and read back.
    """

    unit_id: str
    path: str
    kind: str  # file, folder, link
    size: int = 0
    mtime_ns: int = 0
    link: str = ""
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Dataset:
    """One dataset on its way: which bytes were sent under which session, what Galaxy made of it, how far it is
    checked.
    """

    batch_id: str
    key: str
    name: str
    ext: str
    size: int
    status: Status = Status.READY
    session: str = field(default="", repr=False)  # a secret: no key guards it
    offset: int = 0
    sha256: str = ""
    records: int | None = None
    sent_at: datetime | None = None  # all bytes are in the session and passed
    fetch_intent_at: datetime | None = None
    fetch_receipt_at: datetime | None = None
    galaxy_id: DatasetId = NO_DATASET
    job_id: JobId = NO_JOB
    checked: str = ""  # one of `CHECK_LEVELS`
    reason: str = ""
    item_id: LibraryItemId = NO_ITEM  # in a library; `galaxy_id` is then its copy in the history, where one is needed
    version_id: DatasetId = NO_DATASET  # what the item holds: the bytes that were checked
    copy_intent_at: datetime | None = None
    quiet_at: datetime | None = None  # every request to the session had ended; None: one may be under way
    doubt_end: int | None = None  # where the session ends once a request whose answer was lost has come true


@dataclass(frozen=True, slots=True)
class GalaxyObject:
    """A history, collection, library or folder made for a batch, or found; `key` says which one."""

    batch_id: str
    key: str
    kind: str
    name: str
    galaxy_id: str = ""
    status: Status = Status.READY
    intent_at: datetime | None = None
    receipt_at: datetime | None = None
    more: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Invocation:
    """One use of a workflow by Galaxy, attempt by attempt.

    `inner` are the invocations of its subworkflows, `moved_at` is when a job last moved. `samples` are those that are
    not good, each with why, `replaced` the datasets that a person made anew by re-running a job, by those they stand
    for. `code` tells an ending that is not good, short and stable.
    """

    batch_id: str
    key: str
    number: int
    workflow_id: WorkflowId = NO_WORKFLOW
    galaxy_id: InvocationId = NO_INVOCATION
    status: Status = Status.READY
    state: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)
    intent_at: datetime | None = None
    receipt_at: datetime | None = None
    reason: str = ""
    code: str = ""
    inner: Sequence[InvocationId] = field(default_factory=list)
    moved_at: datetime | None = None
    samples: Mapping[str, str] = field(default_factory=dict)
    replaced: Mapping[str, str] = field(default_factory=dict)
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class InvocationRecord:
    """What is kept of an invocation that has ended: Galaxy's report (markdown), and its steps with tool, version,
    parameters and metrics of their jobs.
    """

    batch_id: str
    key: str
    number: int
    made_at: datetime | None = None
    report: str = ""
    steps: Sequence[Mapping[str, Any]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """One delivery of a batch: where to, and how it stands."""

    batch_id: str
    key: str
    target: str
    on_ending: str = "ok"
    status: Status = Status.READY
    intent_at: datetime | None = None
    receipt_at: datetime | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class DeliveredFile:
    """One result at its place; `path` is relative to the delivery's target, `sha256` that of the bytes there."""

    batch_id: str
    delivery_key: str
    path: str
    galaxy_id: DatasetId
    size: int
    sha256: str = ""
    status: Status = Status.READY
    intent_at: datetime | None = None
    receipt_at: datetime | None = None
    checked: str = ""  # against Galaxy: "", "size" or "SHA-256"
    upload: str = ""  # into an object store in parts, while it is under way


@dataclass(frozen=True, slots=True)
class Obstacle:
    """A fault of a shared thing. `key` is `kind:subject`; what stands behind it waits and names it."""

    key: str
    kind: str  # galaxy, account, quota, mount, target, disk
    subject: str
    reason: str
    hint: str
    since: datetime
    next_probe_at: datetime | None = None
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """A line of what happened; never changed."""

    at: datetime
    actor: str
    event: str
    text: str
    unit_id: str = ""
    batch_id: str = ""
    more: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Verb:
    """A wish from outside (`retry`, `hold`, `cancel` …) with who wished it; the engine carries it out."""

    id: int
    at: datetime
    actor: str
    verb: str
    target: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    done_at: datetime | None = None
    answer: str = ""


@dataclass(frozen=True, slots=True)
class FolderLook:
    """What was seen of a folder right below a watch's root: as long as it is so, there is nothing new in it.

    `folders` are those in which something new would show, and the files that tell what it is, relative to it; `mark`
    stands for their times, `units` for the rows of its units. Until `again_until` it is looked at all the same, for
    files that come late.
    """

    watch: str
    name: str
    folders: Sequence[str]
    mark: str
    units: str
    again_until: datetime | None = None
