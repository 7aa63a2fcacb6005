"""`check`: prints what was looked at, good and bad, and exits by the worst.

What is looked at, and why, stands in `service/preflight.py`.
"""

from __future__ import annotations

import asyncio
import json as jsonlib
from dataclasses import asdict
from pathlib import Path

import typer
from rich.console import Console
from rich.text import Text

from watcher.cli.settings import settings_from
from watcher.service.logs import set_up_logs
from watcher.service.preflight import check_all


def check(config: Path | None, json: bool) -> None:
    """Check everything the configuration names."""
    settings = settings_from(config)
    set_up_logs(settings.log.format, "warning")
    findings = asyncio.run(check_all(settings))
    if json:
        typer.echo(jsonlib.dumps({"findings": [asdict(finding) for finding in findings]}, indent=2))
    else:
        console = Console(soft_wrap=True)
        for finding in findings:
            console.print(
                Text("ok  " if finding.well else "BAD ", style="green" if finding.well else "red").append(
                    f"{finding.subject}: {finding.message}"
                )
            )
            if not finding.well and finding.hint:
                console.print(f"      {finding.hint}")
    bad = [finding.exit_code for finding in findings if not finding.well]
    raise typer.Exit(min(bad, default=0))
