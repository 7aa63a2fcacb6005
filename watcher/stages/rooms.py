"""What every stage may use: the rooms, wired together once by `service/build.py`.

Beside the rooms stand the things that stages share in memory: transfer slots (`slots.py`), the bandwidth of watches
(`pace.py`), live progress, and the poll rounds of each account (`rounds.py`). None of them is the truth; after a
restart they start empty and the rows tell what is to be done.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

from watcher.clock import Clock
from watcher.config import Settings, WatchSettings
from watcher.disk.events import Wakeups
from watcher.disk.reader import FileReader
from watcher.disk.threads import DiskThreads
from watcher.errors import PlanError
from watcher.galaxy import Galaxy
from watcher.results import BlockingCalls
from watcher.rows import FolderLook
from watcher.runs.layout import Layout
from watcher.stages.effects import EffectRunner
from watcher.stages.pace import Bandwidth
from watcher.stages.rounds import PollRounds
from watcher.stages.slots import Slots
from watcher.store.store import Store


class Progress:
    """Bytes moved so far, for the live display only; keyed by batch and by what moves."""

    def __init__(self) -> None:
        self.sent_bytes: dict[str, dict[str, int]] = {}
        self.fetched_bytes: dict[str, dict[str, int]] = {}

    def sent(self, batch_id: str, key: str, offset_bytes: int) -> None:
        """Note how much of a dataset is with Galaxy."""
        self.sent_bytes.setdefault(batch_id, {})[key] = offset_bytes

    def fetched(self, batch_id: str, key: str, offset_bytes: int) -> None:
        """Note how much of a result is at its target."""
        self.fetched_bytes.setdefault(batch_id, {})[key] = offset_bytes

    def forget(self, batch_id: str) -> None:
        """Drop a batch that has ended."""
        self.sent_bytes.pop(batch_id, None)
        self.fetched_bytes.pop(batch_id, None)


@dataclass(frozen=True, slots=True)
class LateLook:
    """The last look for late files: when (monotonic), a hash of all that it saw, since when that is so, and whether it
    was looked at long enough after that.
    """

    at_s: float
    seen: int
    since_s: float
    is_sure: bool


@dataclass(frozen=True)
class Rooms:
    """Everything a stage may touch."""

    settings: Settings
    layouts: Mapping[str, Layout]
    store: Store
    threads: DiskThreads
    reader: FileReader
    targets: BlockingCalls
    galaxies: Mapping[str, Galaxy]
    wakeups: Wakeups
    clock: Clock
    effects: EffectRunner
    slots: Slots
    rounds: PollRounds
    bandwidths: Mapping[str, Bandwidth] = field(default_factory=dict)  # by watch, of those that have a limit
    progress: Progress = field(default_factory=Progress)
    late_looks: dict[str, LateLook] = field(default_factory=dict)  # by run folder
    takes_existing: bool = False  # a one-shot catch-up takes what was there before
    # By watch and folder (`unchanged.py`): what need not be looked at again, what was seen once so far, and when
    # (monotonic) a folder is looked at all the same.
    folder_looks: dict[str, dict[str, FolderLook]] = field(default_factory=dict)
    folders_seen_once: dict[str, dict[str, Any]] = field(default_factory=dict)
    folder_turns: dict[str, dict[str, float]] = field(default_factory=dict)
    planning: asyncio.Lock = field(default_factory=asyncio.Lock)  # two plans at once would choose the same places
    marking: asyncio.Lock = field(default_factory=asyncio.Lock)  # a history that several batches share has one tag list
    importing: asyncio.Lock = field(default_factory=asyncio.Lock)  # or both would import the same workflow
    starting: dict[str, tuple[str, int]] = field(default_factory=dict)  # by batch: account, and how many workflows
    starting_turn: asyncio.Lock = field(default_factory=asyncio.Lock)  # or two would find the last slot free
    placing: dict[str, asyncio.Lock] = field(default_factory=dict)  # by account: or both would make the same folder

    @cached_property
    def layouts_mark(self) -> str:
        """What tells these layouts from others, also of another start of the program."""
        told = [
            (name, *(_whole(getattr(layout, one.name)) for one in fields(layout)))
            for name, layout in sorted(self.layouts.items())
        ]
        return hashlib.sha1(repr(told).encode(), usedforsecurity=False).hexdigest()

    def watch(self, name: str) -> WatchSettings:
        """Return the configured watch; PlanError when the configuration no longer has it."""
        for watch in self.settings.watches:
            if watch.name == name:
                return watch
        raise PlanError(
            f"The configuration has no watch named `{name}` any more.",
            hint="Put it back and retry, or cancel what belongs to it.",
        )

    def galaxy(self, name: str) -> Galaxy:
        """Return the account of that name; PlanError when the configuration no longer has it."""
        if name not in self.galaxies:
            raise PlanError(
                f"The configuration has no Galaxy account named `{name}` any more.", hint="Put it back and retry."
            )
        return self.galaxies[name]

    def root(self, watch: str) -> Path:
        """Return the folder a watch looks at."""
        return self.watch(watch).path


def _whole(value: object) -> object:
    """Return what `repr` shows in full: of a long pattern it shows the beginning alone."""
    return (value.pattern, value.flags) if isinstance(value, re.Pattern) else value
