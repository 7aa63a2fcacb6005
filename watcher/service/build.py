"""Wires the rooms together: the only place that makes them.

Everything is passed in, nothing is global. A test builds the same rooms with its own clock, its own points and its
own Galaxy.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from watcher.clock import Clock, SystemClock
from watcher.config import GalaxySettings, Settings
from watcher.config.settings import DEFAULT_STATE
from watcher.disk.events import Wakeups
from watcher.disk.reader import FileReader
from watcher.disk.threads import DiskThreads
from watcher.galaxy import Account, Galaxy, Login
from watcher.runs.layout import load_layouts
from watcher.stages.effects import EffectRunner, Points, pass_by
from watcher.stages.pace import Bandwidth
from watcher.stages.rooms import Rooms
from watcher.stages.rounds import PollRounds
from watcher.stages.slots import Slots
from watcher.store.store import Store


def account_of(settings: GalaxySettings) -> Account:
    """Return the account a `galaxy:` block describes; its secrets are read when needed, never kept here."""
    return Account(
        name=settings.name,
        url=settings.url,
        read_key=settings.read_key,
        ca_file=settings.ca_file,
        login=Login(settings.user, settings.read_password) if settings.user is not None else None,
        run_as=settings.run_as or "",
        proxy=settings.proxy or "",
        read_proxy_login=settings.read_proxy_login,
        read_headers=settings.read_headers,
        read_s=settings.timeouts.read.total_seconds(),
        upload_read_s=settings.timeouts.upload.total_seconds(),
    )


def state_place(settings: Settings) -> str | Path:
    """Return where the state lives: a path (SQLite) or an address (PostgreSQL)."""
    return settings.state.url or settings.state.path or DEFAULT_STATE


@contextlib.asynccontextmanager
async def build(
    settings: Settings,
    *,
    on_wake: Callable[[str], None],
    on_blind: Callable[[str, str], None],
    clock: Clock | None = None,
    points: Points = pass_by,
    takes_existing: bool = False,
) -> AsyncIterator[Rooms]:
    """Open the state (one owner at a time) and make every room; close them in reverse order."""
    clock = clock or SystemClock()
    layouts = load_layouts(settings.layouts_dir)
    async with contextlib.AsyncExitStack() as stack:
        store = await Store.open(state_place(settings), clock, lock=True, migrate=True)
        stack.push_async_callback(store.close)
        threads = DiskThreads(looks=settings.limits.per_mount_looks, transfers=settings.limits.transfers)
        stack.callback(threads.close)
        galaxies: dict[str, Galaxy] = {}
        for name, galaxy in settings.galaxies.items():
            galaxies[name] = await stack.enter_async_context(Galaxy(account_of(galaxy), clock))
        wakeups = Wakeups(threads, on_wake=on_wake, on_blind=on_blind)
        stack.callback(wakeups.close)
        yield Rooms(
            settings=settings,
            layouts=layouts,
            store=store,
            threads=threads,
            reader=FileReader(threads),
            targets=threads,
            galaxies=galaxies,
            wakeups=wakeups,
            clock=clock,
            effects=EffectRunner(clock, points, settings.limits.uncertain_for),
            slots=Slots(
                clock,
                settings.limits.transfers,
                {name: galaxy.transfers for name, galaxy in settings.galaxies.items() if galaxy.transfers},
            ),
            rounds=PollRounds(clock, store.invocations_running),
            bandwidths={watch.name: Bandwidth(clock, watch.bandwidth) for watch in settings.watches if watch.bandwidth},
            takes_existing=takes_existing,
        )
