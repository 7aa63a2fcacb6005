"""What the fake server knows: users, histories, datasets, collections, jobs, workflows, invocations, uploads.

Plain rows behind one lock. It knows nothing of HTTP (see `histories.py`, `datasets.py` and their neighbours) and
nothing of how a job is done (`engine.py`). File bytes lie on disk below `folder`, never in memory.
"""

from __future__ import annotations

import secrets
import threading
import uuid
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.fakes.galaxy.account_state import LAB_ROLE, Role, User
from tests.fakes.galaxy.archive_state import ArchiveShelf, CloudShelf
from tests.fakes.galaxy.library_state import LibraryShelf
from tests.fakes.galaxy.versions import Behaviour

Json = dict[str, Any]
TERMINAL_JOB_STATES = frozenset({"ok", "error", "paused", "deleted", "skipped"})
FINAL_DATASET_STATES = frozenset({"ok", "error", "paused", "failed_metadata", "empty", "discarded"})


def now_text() -> str:
    """Give the time the way Galaxy writes it: naive UTC with microseconds."""
    return datetime.now(UTC).replace(tzinfo=None).isoformat(timespec="microseconds")


@dataclass
class History:
    """A history; `contents` are ("dataset" | "collection", number) by hid."""

    number: int
    user: int
    name: str
    tags: list[str] = field(default_factory=list)
    annotation: str | None = None
    deleted: bool = False
    purged: bool = False
    access: tuple[int, ...] = ()
    shared: list[int] = field(default_factory=list)
    archived: bool = False
    hid: int = 0
    contents: list[tuple[str, int]] = field(default_factory=list)
    create_time: str = field(default_factory=now_text)
    update_time: str = field(default_factory=now_text)


@dataclass
class StoredFile:
    """What all copies of a dataset share: bytes, state, datatype, hashes, who may read it."""

    number: int
    user: int
    ext: str
    state: str = "new"
    path: Path | None = None
    size: int = 0
    hashes: list[tuple[int, str, str]] = field(default_factory=list)
    access: tuple[int, ...] = ()
    misc_info: str | None = None
    blurb: str | None = None
    peek: str | None = None
    lines: int = 0
    job: int | None = None
    basename: str | None = None
    dbkey: str = "?"

    @property
    def private(self) -> bool:
        """Tell whether only its owner may read it: all roles are needed, and the lab's everybody has."""
        return any(role != LAB_ROLE for role in self.access)

    uuid: str = field(default_factory=lambda: str(uuid.uuid4()))


@dataclass
class Dataset:
    """A dataset as it stands in one history (an HDA)."""

    number: int
    file: StoredFile
    history: int
    hid: int
    name: str
    tags: list[str] = field(default_factory=list)
    visible: bool = True
    deleted: bool = False
    purged: bool = False
    create_time: str = field(default_factory=now_text)
    update_time: str = field(default_factory=now_text)


@dataclass
class Element:
    """A member of a collection: either a dataset (its number) or a nested collection."""

    number: int
    identifier: str
    dataset: int | None = None
    child: Tree | None = None


@dataclass
class Tree:
    """One level of a collection."""

    number: int
    collection_type: str
    elements: list[Element] = field(default_factory=list)

    def leaves(self) -> list[int]:
        """Give the dataset numbers below, in order."""
        found: list[int] = []
        for element in self.elements:
            if element.dataset is not None:
                found.append(element.dataset)
            elif element.child is not None:
                found.extend(element.child.leaves())
        return found


@dataclass
class Collection:
    """A collection as it stands in one history (an HDCA); `map_jobs` is set when mapping a tool made it."""

    number: int
    tree: Tree
    history: int
    hid: int
    name: str
    tags: list[str] = field(default_factory=list)
    visible: bool = True
    deleted: bool = False
    populated_state: str = "ok"
    populated_message: str | None = None
    map_jobs: int | None = None
    create_time: str = field(default_factory=now_text)
    update_time: str = field(default_factory=now_text)


@dataclass
class Job:
    """One job; `inputs` and `outputs` are dataset numbers by parameter name."""

    number: int
    tool_id: str
    tool_version: str
    user: int
    history: int
    state: str = "new"
    exit_code: int | None = None
    params: dict[str, Any] = field(default_factory=dict)
    inputs: dict[str, list[int]] = field(default_factory=dict)
    outputs: dict[str, int] = field(default_factory=dict)
    library_items: list[int] = field(default_factory=list)
    output_collections: dict[str, int] = field(default_factory=dict)
    stdout: str = ""
    stderr: str = ""
    command_line: str | None = None
    invocation: int | None = None
    is_by_hand: bool = False
    request: Json = field(default_factory=dict, repr=False)
    create_time: str = field(default_factory=now_text)
    update_time: str = field(default_factory=now_text)


@dataclass
class Step:
    """A step of a workflow; `connections` are (step index, output name) by input name."""

    number: int
    index: int
    kind: str
    label: str | None
    uuid: str
    tool_id: str | None = None
    tool_version: str | None = None
    state: Json = field(default_factory=dict)
    connections: dict[str, list[tuple[int, str]]] = field(default_factory=dict)
    output_labels: dict[str, str] = field(default_factory=dict)
    subworkflow: Workflow | None = None


@dataclass
class Workflow:
    """The newest version of a workflow, with those before it; subworkflows are rows of their own that no list shows.

    `source` is where it came from, until it is changed. `row` is what invocations name: each version has its own.
    """

    number: int
    user: int
    name: str
    uuid: str
    steps: list[Step]
    annotation: str | None = None
    tags: list[str] = field(default_factory=list)
    deleted: bool = False
    hidden: bool = False
    definition: Json = field(default_factory=dict, repr=False)
    version: int = 0
    row: int = 0
    earlier: list[Workflow] = field(default_factory=list, repr=False)
    source: Json | None = None
    create_time: str = field(default_factory=now_text)
    update_time: str = field(default_factory=now_text)


@dataclass
class InvocationStep:
    """A step of an invocation and what it made: ("hda" | "hdca", number) by output name."""

    number: int
    step: Step
    state: str = "scheduled"
    action: bool | None = None
    jobs: list[int] = field(default_factory=list)
    map_jobs: int | None = None
    nested: int | None = None
    outputs: dict[str, tuple[str, int]] = field(default_factory=dict)
    update_time: str = field(default_factory=now_text)


@dataclass
class Invocation:
    """One run of a workflow; `inputs` and `outputs` hold ("hda" | "hdca", number)."""

    number: int
    workflow: Workflow
    user: int
    history: int
    state: str = "new"
    steps: list[InvocationStep] = field(default_factory=list)
    inputs: dict[int, tuple[str, int]] = field(default_factory=dict)
    params: dict[int, Any] = field(default_factory=dict)
    step_params: dict[int, Json] = field(default_factory=dict)
    outputs: dict[str, tuple[str, int, int]] = field(default_factory=dict)
    messages: list[Json] = field(default_factory=list)
    request: Json = field(default_factory=dict)
    parent: int | None = None
    completion_time: str | None = None
    completion_states: dict[str, int] = field(default_factory=dict)
    uuid: str = field(default_factory=lambda: str(uuid.uuid1()))
    create_time: str = field(default_factory=now_text)
    update_time: str = field(default_factory=now_text)


@dataclass
class Session:
    """An upload; `offset` is what HEAD says, which is the old value while a PATCH is under way."""

    sid: str = field(repr=False)
    length: int
    metadata: str
    offset: int = 0
    writing: bool = False
    created: datetime = field(default_factory=lambda: datetime.now(UTC))


class World:
    """All rows of one server; every reader and writer holds `lock`."""

    def __init__(self, folder: Path, behaviour: Behaviour) -> None:
        self.folder = folder
        self.behaviour = behaviour
        self.lock = threading.RLock()
        self.lock_wait_s = 30.0
        self.writers_met = 0
        # As where somebody once saved a workflow twice: else a workflow and its version would have one id.
        self.numbers: Counter[str] = Counter(workflow_version=1)
        self.users: dict[int, User] = {}
        self.roles: dict[int, Role] = {}
        self.unknown_datatypes: set[str] = set()
        self.histories: dict[int, History] = {}
        self.datasets: dict[int, Dataset] = {}
        self.collections: dict[int, Collection] = {}
        self.jobs: dict[int, Job] = {}
        self.map_jobs: dict[int, list[int]] = {}
        self.workflows: dict[int, Workflow] = {}
        self.subworkflows: dict[int, Workflow] = {}
        self.registries: dict[str, str] = {}
        self.own_sources: dict[str, int] = {}  # the user whose file source it is, by its UUID
        self.invocations: dict[int, Invocation] = {}
        self.sessions: dict[str, Session] = {}
        self.shelf = LibraryShelf()
        self.archives = ArchiveShelf()
        self.clouds = CloudShelf()
        self.quotas: list[list[int]] = []
        self.groups: list[tuple[str, tuple[int, ...]]] = []
        self.allow_path_paste = True
        self.has_import_folder = self.has_user_import_folder = True
        self.import_folder = folder / "import"
        self.user_import_folder = folder / "userimport"
        for name in ("tus", "files", "import", "userimport"):
            (folder / name).mkdir(parents=True, exist_ok=True)

    def __getstate__(self) -> Json:
        return {name: value for name, value in self.__dict__.items() if name != "lock"}

    def __setstate__(self, rows: Json) -> None:
        self.__dict__.update(rows, lock=threading.RLock())

    def next_number(self, kind: str) -> int:
        """Give the next database number of a table."""
        self.numbers[kind] += 1
        return self.numbers[kind]

    def add_user(self, username: str, *, is_admin: bool, key: str | None = None) -> User:
        """Make an account with a key."""
        user = User(
            number=self.next_number("user"),
            username=username,
            email=f"{username}@example.org",
            is_admin=is_admin,
            key=key or secrets.token_hex(16),
            role=self.next_number("role"),
        )
        self.users[user.number] = user
        return user

    def add_role(self, name: str, members: Iterable[int], kind: str = "admin") -> Role:
        """Make a role that these users have."""
        role = Role(self.next_number("role"), name, kind, frozenset(members))
        self.roles[role.number] = role
        return role

    def all_roles(self) -> list[Role]:
        """Give every role: a private one of each user, that of the lab, and those that were made."""
        private = [Role(one.role, one.email, "private", frozenset({one.number})) for one in self.users.values()]
        return [*private, Role(LAB_ROLE, "whole lab", "admin", frozenset(self.users)), *self.roles.values()]

    def sharing_role(self, owner: User, user: User) -> Role:
        """Give the role that sharing makes for two users, the same one each time."""
        both = frozenset({owner.number, user.number})
        known = next((one for one in self.roles.values() if one.kind == "sharing" and one.members == both), None)
        return known or self.add_role(f"Sharing role for: {owner.email}, {user.email}", both, "sharing")

    def may_read(self, user: User | None, file: StoredFile) -> bool:
        """Say whether a user, or nobody, has all the roles of a file."""
        held = {role.number for role in self.all_roles() if user is not None and user.number in role.members}
        return set(file.access) <= held

    def add_history(self, user: User, name: str) -> History:
        """Make an empty history; the user's default decides whether what it will hold is private."""
        history = History(self.next_number("history"), user.number, name, access=user.default_access)
        self.histories[history.number] = history
        return history

    def add_dataset(self, history: History, name: str, *, ext: str, state: str, visible: bool = True) -> Dataset:
        """Make a dataset of a new file in a history."""
        file = StoredFile(self.next_number("file"), history.user, ext, state=state, access=history.access)
        return self.place_dataset(history, file, name, visible=visible)

    def copy_dataset(self, source: Dataset, history: History, *, visible: bool = True) -> Dataset:
        """Make a second row for the same file in another history."""
        copy = self.place_dataset(history, source.file, source.name, visible=visible)
        copy.tags, copy.deleted, copy.purged = list(source.tags), source.deleted, source.purged
        return copy

    def place_dataset(self, history: History, file: StoredFile, name: str, *, visible: bool = True) -> Dataset:
        """Put a file into a history, which may be there already."""
        history.hid += 1
        dataset = Dataset(self.next_number("dataset"), file, history.number, history.hid, name, visible=visible)
        self.datasets[dataset.number] = dataset
        history.contents.append(("dataset", dataset.number))
        history.update_time = now_text()
        return dataset

    def new_tree(self, collection_type: str, members: list[tuple[str, int | Tree]]) -> Tree:
        """Make one level of a collection from (identifier, dataset number or nested level)."""
        tree = Tree(self.next_number("tree"), collection_type)
        for identifier, member in members:
            element = Element(self.next_number("element"), identifier)
            if isinstance(member, Tree):
                element.child = member
            else:
                element.dataset = member
            tree.elements.append(element)
        return tree

    def add_collection(self, history: History, name: str, tree: Tree) -> Collection:
        """Put a collection into a history."""
        history.hid += 1
        row = Collection(self.next_number("collection"), tree, history.number, history.hid, name)
        self.collections[row.number] = row
        history.contents.append(("collection", row.number))
        history.update_time = now_text()
        return row

    def add_job(self, job: Job) -> Job:
        """Put a job into the list."""
        self.jobs[job.number] = job
        return job

    def set_job_state(self, job: Job, state: str) -> None:
        """Move a job on."""
        job.state, job.update_time = state, now_text()

    def set_file_state(self, dataset: Dataset, state: str, misc_info: str | None = None) -> None:
        """Move a dataset on; its history is touched as well."""
        dataset.file.state = state
        if misc_info is not None:
            dataset.file.misc_info = misc_info
        dataset.update_time = now_text()
        self.histories[dataset.history].update_time = dataset.update_time

    def usage(self, user: User) -> int:
        """Give the bytes an account uses: each file once, as long as one copy is not purged."""
        files = {
            d.file.number: d.file.size for d in self.datasets.values() if d.file.user == user.number and not d.purged
        }
        return sum(files.values())

    def is_over_quota(self, user: User) -> bool:
        """Say whether jobs of this account have to wait; never for administrators."""
        return user.quota_bytes is not None and not user.is_admin and self.usage(user) > user.quota_bytes

    def user_of_key(self, key: str) -> User | None:
        """Find the account of a key."""
        return next((user for user in self.users.values() if user.key == key), None)

    def nested_of(self, invocation: Invocation) -> list[Invocation]:
        """Give the subworkflow invocations at any depth."""
        found: list[Invocation] = []
        for step in invocation.steps:
            if step.nested is not None:
                inner = self.invocations[step.nested]
                found += [inner, *self.nested_of(inner)]
        return found

    def jobs_of(self, invocation: Invocation, *, nested: bool) -> list[Job]:
        """Give the jobs of an invocation, with or without those of its subworkflows."""
        rows = [invocation, *(self.nested_of(invocation) if nested else [])]
        return [self.jobs[number] for row in rows for step in row.steps for number in step.jobs]
