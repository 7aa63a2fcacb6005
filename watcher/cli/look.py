"""`plan`, `explain`, `status`, `show`: commands that only look.

They open the state without its lock and change nothing. What they show is made in `service/report.py`,
`service/preview.py` and `service/explain.py`.
"""

from __future__ import annotations

import asyncio
import json as jsonlib
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import typer

from watcher.cli.output import print_explain, print_plan, print_show, print_status
from watcher.cli.settings import settings_from
from watcher.clock import SystemClock
from watcher.config.load import find_config
from watcher.errors import ConfigError, UsageError
from watcher.service.build import state_place
from watcher.service.report import show_report, status_report
from watcher.store.store import Store


def _print(report: Any, json: bool, text: Callable[[Any], None]) -> None:
    if json:
        typer.echo(jsonlib.dumps(report, indent=2))
    else:
        text(report)


def _read(config: Path | None, ask: Callable[[Store, dict[str, str]], Awaitable[Any]]) -> Any:
    settings = settings_from(config, check_keys=False)

    async def work() -> Any:
        store = await Store.open(state_place(settings), SystemClock(), lock=False, migrate=False)
        try:
            return await ask(store, {name: galaxy.url for name, galaxy in settings.galaxies.items()})
        finally:
            await store.close()

    return asyncio.run(work())


def status(config: Path | None, json: bool) -> None:
    """Print how everything stands."""
    _print(_read(config, status_report), json, print_status)


def show(wanted: str, config: Path | None, json: bool) -> None:
    """Print all that is known of one unit."""
    report = _read(config, lambda store, urls: show_report(store, urls, wanted))
    if report is None:
        raise UsageError(f"There is no unit or batch `{wanted}`.", hint="`galaxy-watcher status` lists them.")
    _print(report, json, print_show)


def plan(path: Path, config: Path | None, layout: str, content: bool, assume_quiet: bool, json: bool) -> None:
    """Print what would be done with what lies at a path; without a configuration one batch with all samples."""
    from watcher.service.preview import preview

    path = _asked(path)
    settings = settings_from(config, check_keys=False) if config or _is_configured() else None
    report = asyncio.run(preview(path, settings, layout=layout, content=content, assume_quiet=assume_quiet))
    _print(report, json, print_plan)
    if any(unit["status"] in ("held", "failed") for unit in report["units"]):
        raise typer.Exit(5)


def explain(path: Path, config: Path | None, assume_quiet: bool, json: bool) -> None:
    """Print which rule takes each sample at a path, and why the others do not."""
    from watcher.service.explain import explain as ask

    report = asyncio.run(ask(_asked(path), settings_from(config, check_keys=False), assume_quiet=assume_quiet))
    _print(report, json, print_explain)
    if any(unit["status"] in ("held", "failed") for unit in report["units"]):
        raise typer.Exit(5)


def _asked(path: Path) -> Path:
    if not path.exists() and not path.is_symlink():
        raise UsageError(f"{path} does not exist.")
    # A link to a file stays one: where it lies in a watch, it is asked about itself.
    return path.parent.resolve() / path.name if path.is_symlink() and not path.is_dir() else path.resolve()


def _is_configured() -> bool:
    """Tell whether there is a configuration at all, which `plan` can do without."""
    try:
        find_config(None, os.environ)
    except ConfigError:
        return False
    return True
