"""The words of the program: units, batches, plans, what a stage may answer, and what the rooms hand to each other.

Only frozen facts live here, no behaviour: listings as the disk room sees them, plans as they are frozen. Words know no
room. `results.py` holds what Galaxy offers, `rows.py` the rows the store keeps, `errors.py` what can go wrong,
`clock.py` time; `stages/` reads like the story that uses these words.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NewType

from pydantic import BaseModel, ConfigDict

HistoryId = NewType("HistoryId", str)
DatasetId = NewType("DatasetId", str)
CollectionId = NewType("CollectionId", str)
WorkflowId = NewType("WorkflowId", str)
InvocationId = NewType("InvocationId", str)
JobId = NewType("JobId", str)
LibraryId = NewType("LibraryId", str)
FolderId = NewType("FolderId", str)
"""A folder of a library, with the F that Galaxy puts before its id."""
LibraryItemId = NewType("LibraryItemId", str)
"""A file of a library; the bytes it shows now are a version of it, which has a DatasetId."""


class Stage(StrEnum):
    """What is to be done next; each is a file in `stages/`."""

    DETECT = "detect"
    SETTLE = "settle"
    VERIFY = "verify"
    PLAN = "plan"
    UPLOAD = "upload"
    INVOKE = "invoke"
    POLL = "poll"
    DELIVER = "deliver"
    FINISH = "finish"


class Status(StrEnum):
    """How a row stands; the same words in the database, metrics, commands, logs, page and JSON."""

    READY = "ready"
    WORKING = "working"
    WAITING = "waiting"  # goes on by itself
    HELD = "held"  # we stopped and ask a person
    FAILED = "failed"  # the instrument or Galaxy ended and says no
    DONE = "done"
    CANCELLED = "cancelled"
    IGNORED = "ignored"  # somebody's written wish


ENDED = frozenset({Status.FAILED, Status.DONE, Status.CANCELLED, Status.IGNORED})
"""Statuses that nothing leaves by itself (a held row may release itself)."""


# --- what a stage may answer ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Next:
    """This stage is through; go on with `stage`."""

    stage: Stage
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Wait:
    """Not yet; look again after `after` (or when woken). `code` is short and stable, `reason` is for people."""

    after: timedelta
    reason: str
    code: str = "waiting"


@dataclass(frozen=True, slots=True)
class Hold:
    """Stopped for a person. A hold that names `files` releases itself when one of them has changed and settled."""

    reason: str
    code: str
    hint: str = ""
    files: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Fail:
    """The instrument or Galaxy ended and says no."""

    reason: str
    code: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Done:
    """The end, and well; `code` tells an end that is not the usual one."""

    reason: str = ""
    code: str = ""


@dataclass(frozen=True, slots=True)
class Ignore:
    """The end, and nothing is done about it: it is something that is known already."""

    reason: str
    code: str


Outcome = Next | Wait | Hold | Fail | Done | Ignore


# --- what the disk room sees ----------------------------------------------------------------------------------------


NETWORK_FILE_SYSTEMS = re.compile(
    r"9p|acfs|afp|afs|autofs|beegfs|ceph|cifs|coda|davfs2?|fuse|fuse\..*|gfs2?|glusterfs|gpfs|lustre|mmfs|ncpfs|nfs[34]?"
    r"|ocfs2|orangefs|panfs|pvfs2|smb[23]?|smbfs|vboxsf|virtiofs|wekafs"
)
"""Types as the kernel's list of mounts writes them: network, cluster and user-space file systems, where calls may hang,
others write unseen, and locks are not to be trusted (`fuseblk` is a local disk).
"""


class Kind(StrEnum):
    """What a path is."""

    FILE = "file"
    FOLDER = "folder"
    OTHER = "other"  # FIFO, socket, device, link that leaves the root, unreadable, unusable name: `problem` says which


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """One path at one look; `path` is relative to the listing's root, POSIX separators, never absolute."""

    path: str
    kind: Kind
    size: int = 0
    mtime_ns: int = 0
    ctime_ns: int = 0
    inode: int = 0
    problem: str = ""

    def same_bytes(self, other: SourceFacts) -> bool:
        """Tell whether nothing a writer leaves behind differs (size, mtime, inode; ctime moves with a mere rename)."""
        return (self.size, self.mtime_ns, self.inode) == (other.size, other.mtime_ns, other.inode)


@dataclass(frozen=True, slots=True)
class Listing:
    """What one look over a folder found. `pruned` folders were not entered; `seconds` is what the look took."""

    root: str
    entries: Mapping[str, SourceFacts]
    taken_at: datetime
    pruned: frozenset[str] = frozenset()
    seconds: float = 0.0

    def files(self) -> list[SourceFacts]:
        """Return the regular files, sorted by path."""
        return [self.entries[path] for path in sorted(self.entries) if self.entries[path].kind is Kind.FILE]


# --- sequencing facts -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PredicateResult:
    """One condition of completeness: its name as the layout writes it, whether it holds, and what was seen."""

    name: str
    holds: bool
    detail: str = ""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A file that is not taken, and why."""

    path: str
    reason: str


class Stored(BaseModel):
    """Base of what is kept as JSON: frozen, and keys that a newer version wrote survive a round trip."""

    model_config = ConfigDict(frozen=True, extra="allow")


class SampleFile(Stored):
    """One source file of a sample: `read` is R1, R2, R3, I1, I2 or empty; `lane` counts from 1, 0 = not told.

    Files of one read with a `part` are pieces of one dataset, in its order; None is a dataset by itself. `extra` is
    there only because a rule asks for it.
    """

    path: str
    read: str = ""
    lane: int = 0
    size: int = 0
    part: int | None = None
    extra: bool = False


class Sample(Stored):
    """What the sample sheet or the file names call a sample; `columns` are its cells of the sample sheet, the first of
    each column, and `several` all of those columns that differ between the sample's rows.
    """

    name: str
    project: str = ""
    files: tuple[SampleFile, ...]
    columns: Mapping[str, str] = {}
    several: Mapping[str, tuple[str, ...]] = {}


# --- the frozen plan of a batch -------------------------------------------------------------------------------------


class PlannedDataset(Stored):
    """Ordered source files that become one dataset; `key` is unique in the batch and never changes. `dbkey` is its
    reference build, "" for Galaxy's own.

    In a library it may lie in a `folder` below the batch's own. `server_path` is where Galaxy itself finds its bytes:
    an absolute path, or one below Galaxy's import folder; empty when they are sent.
    """

    key: str
    name: str
    ext: str
    sources: tuple[str, ...]
    size: int
    sample: str
    read: str = ""
    lane: int = 0
    dbkey: str = ""
    folder: str = ""
    server_path: str = ""


class PlannedElement(Stored):
    """A collection element: either a dataset (by key) or elements of its own."""

    name: str
    dataset: str = ""
    elements: tuple[PlannedElement, ...] = ()


class PlannedCollection(Stored):
    """A collection by its Galaxy type, such as `list:paired`."""

    type: str
    name: str
    elements: tuple[PlannedElement, ...]


class PlannedReference(Stored):
    """Data that was there before, as found when the plan was frozen: `src` is Galaxy's word (hda, hdca, ldda), `name`
    what people call it.
    """

    src: str
    id: str
    name: str


class PlannedWorkflow(Stored):
    """A workflow as asked for (`ref` = id, name, file or registry id) and as found in Galaxy when the plan was frozen.

    `inputs` are as written in the rule, `cells` those that the sample sheet fills, `references` those that name data of
    before, found; keys are labels, or numbers where there are none. `after` are the keys of the workflows that have to
    end well before. `version` is the one to start, None for the newest; `digest` tells what it was like.
    """

    key: str
    ref: str
    by: str  # "id", "name", "file" or "trs"
    workflow_id: WorkflowId = WorkflowId("")
    uuid: str = ""
    version: int | None = None
    trs: tuple[str, str, str] = ("", "", "")  # id, version and server of a registry
    after: tuple[str, ...] = ()
    inputs: Mapping[str, Any] = {}
    cells: Mapping[str, str] = {}
    references: Mapping[str, PlannedReference] = {}
    steps: Mapping[str, Mapping[str, Any]] = {}
    replacements: Mapping[str, str] = {}
    use_cached_job: bool = False
    upgrades: str = "refuse"  # refuse, allow: other versions of tools, settings that Galaxy corrects
    may_fail: tuple[str, ...] = ()
    min_ok: float = 1.0  # share of the samples
    retries: int = 0
    reviews: str = "in_galaxy"  # in_galaxy, release: who may confirm a step that waits for review
    stuck_after_s: float = 172800.0
    digest: Mapping[str, Any] = {}


class PlannedLibrary(Stored):
    """A library, and the way to a folder in it; both are made when they are not there.

    `access` names roles or users (by e-mail) that may see what lies there, `manage` those that may change it; without
    `access` the account's own `access` counts.
    """

    name: str
    folder: tuple[str, ...] = ()
    description: str = ""
    synopsis: str = ""
    access: tuple[str, ...] = ()
    manage: tuple[str, ...] = ()

    @property
    def path(self) -> str:
        """Return library and folder as people read them."""
        return "/".join((self.name, *self.folder))


GALAXY_SCHEMES = ("gxfiles", "gxuserfiles")
"""How the address of a place begins that only Galaxy itself knows: a file source of the server, or of the account."""


class PlannedDelivery(Stored):
    """Where results go: a local folder, a place in an object store, in a file source of Galaxy or in a library, or a
    bucket that Galaxy knows the way to; which outputs (patterns), and on which ending.

    With `export` an archive goes there instead, of the history or of each invocation, in Galaxy's `format`.
    """

    key: str
    folder: str = ""
    url: str = ""
    library: PlannedLibrary | None = None
    base: str = ""  # the fixed leading part: a folder that must exist, only below it folders are made; or a bucket
    mount: str = ""  # the mount point that `base` was on when the plan was frozen
    outputs: tuple[str, ...] = ("*",)
    names: tuple[tuple[str, str], ...] = ()  # templates by pattern, in order
    name_values: Mapping[str, str] = {}  # those fields of them that are the same for all results
    on_clash: str = "hold"  # hold, suffix: when another file has a result's name
    on: str = "ok"  # ok, failed, always
    may_fail: bool = False
    owner: str = ""
    group: str = ""
    mode: str = ""  # octal, "" = as the umask says
    folder_mode: str = ""
    marker: str = ""
    beside: tuple[str, ...] = ()  # record, report, logs
    export: str = ""  # history, invocation; "" = results
    format: str = ""  # as Galaxy calls it, of an archive
    bucket: str = ""  # where Galaxy sends results with an authorization that it knows
    authz_id: str = ""
    overwrite: bool = False

    @property
    def target(self) -> str:
        """Return where to, as people read it."""
        if self.library is not None:
            return f"library {self.library.path}"
        return self.url or self.folder or f"bucket {self.bucket}"

    @property
    def is_written_by_galaxy(self) -> bool:
        """Tell whether Galaxy itself brings it there, to a place that it alone knows."""
        return bool(self.bucket) or self.url.partition("://")[0] in GALAXY_SCHEMES


class PlannedShare(Stored):
    """Who may read what a batch makes, besides the account: users by e-mail, roles by name and as found in Galaxy when
    the plan was frozen. Who reads needs all of the roles.
    """

    users: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    role_ids: tuple[str, ...] = ()


class PlannedSheet(Stored):
    """The sample sheet that a plan was made by: its path below the run folder, and its SHA-256; empty for none."""

    path: str = ""
    sha256: str = ""


class PlannedFinish(Stored):
    """What becomes of the run folder and the history at the very end.

    `archive` is the folder that the unit's own becomes, `base` the fixed leading part of it, which must exist.
    """

    source: str = "keep"  # keep, archive, delete
    archive: str = ""
    base: str = ""
    after_s: float = 0.0
    history: str = "keep"  # keep, tag, archive, delete
    tag: str = ""
    purge_intermediates: bool = False
    receipt: bool = False


class Plan(Stored):
    """Everything that was decided for a batch; never changed afterwards, a new decision is a new revision."""

    rule: str
    watch: str
    galaxy: str
    run: str
    unit: str
    path: str  # absolute: source paths are relative to it
    access: str = "private"
    readback: str = "off"  # off, sample, full: how what no server verified is compared once more
    history: str = ""
    library: PlannedLibrary | None = None
    transfer: str = "tus"  # tus, link, copy, import_dir, user_import_dir
    content: str = "full"  # full, structure
    existing: str = ""  # a history that is there already, as asked for: its name or id
    history_id: HistoryId = HistoryId("")  # that history as found when the plan was frozen
    annotation: str = ""
    share: PlannedShare = PlannedShare()
    tags: tuple[str, ...] = ()
    sheet: PlannedSheet = PlannedSheet()
    samples: tuple[Sample, ...] = ()
    datasets: tuple[PlannedDataset, ...] = ()
    collection: PlannedCollection | None = None
    workflows: tuple[PlannedWorkflow, ...] = ()
    deliveries: tuple[PlannedDelivery, ...] = ()
    finish: PlannedFinish = PlannedFinish()
    priority: int = 0
    rule_text: Mapping[str, Any] = {}
    left_out: tuple[tuple[str, str], ...] = ()

    @property
    def libraries(self) -> tuple[PlannedLibrary, ...]:
        """Return the places in libraries that it has: that of the data, then those of results."""
        places = (self.library, *(one.library for one in self.deliveries))
        return tuple(one for one in places if one is not None)

    @property
    def needs_history(self) -> bool:
        """Tell whether the batch needs a history: to upload, for a collection, for a workflow."""
        is_sent = self.library is None or self.transfer == "tus"
        return is_sent or self.collection is not None or bool(self.workflows)
