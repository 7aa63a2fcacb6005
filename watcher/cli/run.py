"""`serve` and `once`: the daemon, and the daemon that ends.

What runs stands in `service/daemon.py`; here is what people see of it, and the exit code.
"""

from __future__ import annotations

import asyncio
import json as jsonlib
import sys
from pathlib import Path

import typer

from watcher.cli.output import LiveProgress, print_status
from watcher.cli.settings import settings_from
from watcher.config import Settings
from watcher.config.values import parse_duration
from watcher.errors import UsageError
from watcher.model import Status
from watcher.service.daemon import Daemon
from watcher.service.logs import set_up_logs
from watcher.service.report import status_report

NOT_WELL = (str(Status.HELD), str(Status.FAILED))


def serve(config: Path | None) -> None:
    """Run until SIGTERM or SIGINT."""
    settings = settings_from(config)
    set_up_logs(settings.log.format, settings.log.level)
    asyncio.run(Daemon(settings).serve())


def once(config: Path | None, wait: str, follow: bool, json: bool) -> None:
    """Take what is ready, follow it, print what stands how, and exit by it."""
    settings = settings_from(config)
    live = sys.stderr.isatty() and not json
    set_up_logs(settings.log.format, "error" if live else settings.log.level)
    code, report = asyncio.run(_once(settings, wait, follow, live))
    if json:
        typer.echo(jsonlib.dumps(report, indent=2))
    else:
        print_status(report)
    raise typer.Exit(code)


async def _once(settings: Settings, wait: str, follow: bool, live: bool) -> tuple[int, dict[str, object]]:
    try:
        patience = parse_duration(wait) if wait else None
    except ValueError as error:
        raise UsageError(f"--wait: {error}", hint="For example --wait 10m.") from None
    daemon = Daemon(settings, takes_existing=True)
    urls = {name: galaxy.url for name, galaxy in settings.galaxies.items()}
    with LiveProgress(live) as progress:
        last: dict[str, object] = {}

        async def on_look(rooms: object) -> None:
            nonlocal last
            last = await status_report(daemon.rooms.store, urls, progress=daemon.rooms.progress)
            progress.show(last)

        ended = await daemon.catch_up(patience, follow=follow, on_look=on_look)
    return (130 if not ended else exit_code(last)), last


def exit_code(report: dict[str, object]) -> int:
    """Return 4 when Galaxy kept us from going on, 5 when something is held, failed or behind an obstacle, else 0."""
    obstacles = report.get("obstacles") or []
    units = report.get("units") or []
    assert isinstance(obstacles, list)
    assert isinstance(units, list)
    watches = report.get("watches") or []
    assert isinstance(watches, list)
    if any(obstacle["kind"] in ("galaxy", "account") for obstacle in obstacles):
        return 4
    not_looked = any(watch["status"] == "waiting" and watch["code"] != "watching" for watch in watches)
    if obstacles or not_looked or any(unit["status"] in NOT_WELL for unit in units):
        return 5
    return 0
