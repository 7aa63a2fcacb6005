"""Verbs: `retry`, `release`, `hold` and `cancel`. A verb is written as a row; the daemon carries it out, or this
command does when no daemon runs.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

from watcher.cli.settings import settings_from
from watcher.clock import SystemClock
from watcher.config import Settings
from watcher.errors import StateError, UsageError
from watcher.service.build import build, state_place
from watcher.service.daemon import wake_socket_path
from watcher.service.logs import set_up_logs
from watcher.service.verbs import carry_out_verbs, stage_to_retry
from watcher.store.store import Store

ANSWER_WITHIN_S = 10.0


def act(config: Path | None, verb: str, target: str, arguments: Mapping[str, Any]) -> None:
    """Ask for a verb and print what came of it."""
    stage_to_retry(arguments.get("from"))
    settings = settings_from(config)
    set_up_logs(settings.log.format, "warning")
    answer = asyncio.run(_act(settings, verb, target, arguments))
    if answer.startswith("Not done: "):
        raise UsageError(answer)
    typer.echo(answer)


def actor() -> str:
    """Return who asks: the login behind this process."""
    with contextlib.suppress(KeyError):
        return pwd.getpwuid(os.getuid()).pw_name
    return f"uid {os.getuid()}"


async def _act(settings: Settings, verb: str, target: str, arguments: Mapping[str, Any]) -> str:
    clock = SystemClock()
    store = await Store.open(state_place(settings), clock, lock=False, migrate=False)
    try:
        row = await store.add_verb(actor(), verb, target, arguments)
        if not _wake(settings):
            try:
                async with build(settings, on_wake=lambda _: None, on_blind=lambda *_: None, clock=clock) as rooms:
                    await carry_out_verbs(rooms, None)
            except StateError:  # a daemon that does not listen holds the state: it finds the verb within a minute
                return f"Noted; the daemon carries `{verb} {target}` out within a minute."
        waited_s = 0.0
        while waited_s < ANSWER_WITHIN_S:
            known = await store.verb(row.id)
            if known and known.done_at:
                return known.answer
            await clock.sleep(0.05)
            waited_s += 0.05
        return f"Noted; the daemon is busy and carries `{verb} {target}` out soon."
    finally:
        await store.close()


def _wake(settings: Settings) -> bool:
    """Wake the daemon; False when none listens."""
    path = wake_socket_path(settings)
    if path is None or not path.exists():
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        try:
            line.sendto(b"verb", str(path))
        except OSError:
            return False
    return True
