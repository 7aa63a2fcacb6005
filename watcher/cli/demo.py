"""`demo`: a pretend sequencer, the daemon and a real Galaxy on this machine, with the plug pulled twice on the way.

Sets the stage (Galaxy, configuration, folder) and clears it, however it ends. What happens between is told by
`story.py`; what is counted at the end is asked of Galaxy by `sandbox/witness.py`. The daemon is the one of `serve`,
in a process of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import typer
import yaml

from watcher.cli.story import CONFIG, RESULTS, RUNS, STATE, Story, Teller
from watcher.config.secret_files import read_key_file
from watcher.errors import KeyRefused, UsageError
from watcher.sandbox.install import install, installation
from watcher.sandbox.server import SandboxGalaxy, SandboxUser, owner_only
from watcher.sandbox.settings import workflow_file
from watcher.sandbox.witness import Witness

KEY = "galaxy-api-key"
GALAXY = "galaxy"
TOOL = "fastq_pair_report"
"""The tool that the demo's workflow needs, and that other servers do not have."""


@dataclass(frozen=True, slots=True)
class Target:
    """The Galaxy the demo uses: where, with which key, and whether the demo's workflow can run there."""

    url: str
    key: str = field(repr=False)
    has_workflow: bool = True


def demo(galaxy_url: str, api_key_file: Path | None, keep: bool, folder: Path | None) -> None:
    """Show the whole way of a run; exits with 0 when Galaxy's own counts at the end are right, else with 1."""
    if bool(galaxy_url) != bool(api_key_file):
        raise UsageError(
            "--galaxy-url and --api-key-file belong together.", hint="Give both, or neither for a throw-away Galaxy."
        )
    is_well = interrupted = False
    with _ended_by_signals(), Teller() as teller:
        place = _place(folder)
        kept = False
        try:
            if api_key_file is not None:
                is_well = _show(place, _own_server(galaxy_url.rstrip("/"), api_key_file, teller), teller)
            else:
                with _sandbox(place, teller) as sandbox:
                    user = sandbox.make_user("demo")
                    is_well = _show(place, Target(sandbox.url, user.key), teller)
                    if keep:
                        _leave_running(sandbox, user, teller)
                        kept = True
        except KeyboardInterrupt:
            interrupted = True
            raise
        finally:
            if not kept:
                _clear(place, teller, is_ours=folder is None, is_of_use=not is_well and not interrupted)
    raise typer.Exit(0 if is_well else 1)


def _show(place: Path, target: Target, teller: Teller) -> bool:
    _write_config(place, target)
    return asyncio.run(Story(place, target.url, target.key, target.has_workflow, teller).tell())


@contextlib.contextmanager
def _sandbox(place: Path, teller: Teller) -> Iterator[SandboxGalaxy]:
    """Have a throw-away Galaxy, which ends with the block unless it was let go.

    It warms up while the sequencer writes, so that nobody waits for it.
    """
    pinned = installation()
    with teller.busy("galaxy", "installing or starting ..."):
        install(pinned, teller.line("galaxy"))
        sandbox = SandboxGalaxy(place / GALAXY, pinned, teller.line("galaxy"))
        sandbox.up(warm=False)

    def warm_up() -> None:
        # Whatever is wrong with it, the daemon meets it next and says so; or the demo is over.
        with contextlib.suppress(Exception):
            sandbox.warm_up()

    try:
        threading.Thread(target=warm_up, name="warm-up", daemon=True).start()
        yield sandbox
    finally:
        sandbox.kill()  # nothing in it is needed any more


@contextlib.contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Let a closed terminal and `kill` end the demo as Ctrl-C does: with everything cleared away."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, answer in before.items():
            signal.signal(number, answer)


def _place(folder: Path | None) -> Path:
    """Return the demo's folder, empty and for this user alone."""
    if folder is None:
        return Path(tempfile.mkdtemp(prefix="galaxy-watcher-demo-")).resolve()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is not an empty folder.", hint="Name one that is empty or does not exist.")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder.resolve()


def _own_server(url: str, api_key_file: Path, teller: Teller) -> Target:
    """Use the person's own Galaxy; their key is copied into the demo's folder, as its configuration names one file."""
    try:
        key = read_key_file(api_key_file, check_mode=True)
    except KeyRefused as error:
        raise UsageError(error.message, hint=error.hint) from error
    with Witness(url, key) as witness:
        who = witness.account()
        has_workflow = witness.has_tool(TOOL)
    teller.say("galaxy", f"Using {url} as {who}.")
    if not has_workflow:
        teller.say(
            "galaxy",
            "It does not have the demo's little tools, so no workflow runs: the run is uploaded and made a collection.",
        )
    return Target(url, key, has_workflow)


def _write_config(place: Path, target: Target) -> None:
    """Write what an administrator would: a key file, a configuration, a folder to watch."""
    (place / RUNS).mkdir()
    key_file = owner_only(place / KEY, target.key + "\n")
    rule: dict[str, Any] = {"name": "demo", "destination": {"history": "{run}", "collection": "list:paired"}}
    if target.has_workflow:
        (place / RESULTS).mkdir()
        rule["workflow"] = {"file": str(workflow_file()), "inputs": {"Reads": "reads", "minlen": 50}}
        rule["deliver"] = [{"folder": f"{place / RESULTS}/{{run}}", "outputs": ["*"]}]
    config = {
        "galaxy": {"url": target.url, "api_key_file": str(key_file)},
        "state": {"path": str(place / STATE)},
        "watches": [{"name": "sequencer", "path": str(place / RUNS), "settle": "2s"}],
        "rules": [rule],
        "rescan_active": "1s",
        "limits": {"chunk_bytes": "1 MiB"},  # small pieces, so that there is a middle to pull the plug in
        "log": {"format": "text"},
    }
    (place / CONFIG).write_text(yaml.safe_dump(config, sort_keys=False))


def _leave_running(sandbox: SandboxGalaxy, user: SandboxUser, teller: Teller) -> None:
    pids = " ".join(str(pid) for pid in sandbox.keeper_pids)
    folder = sandbox.folder.parent
    teller.say("galaxy", f"It stays up: {sandbox.url}  user {user.email}  password {user.password}")
    teller.say("galaxy", f"To end it: kill {pids} && rm -r {folder}")
    sandbox.let_go()


def _clear(place: Path, teller: Teller, *, is_ours: bool, is_of_use: bool) -> None:
    """Remove what nobody will look at: a folder of ours altogether, of a person's own only Galaxy's part."""
    if is_of_use and (place / CONFIG).exists():
        teller.say("demo", f"What was written is still in {place}.")
    elif is_ours:
        shutil.rmtree(place, ignore_errors=True)
    else:
        shutil.rmtree(place / GALAXY, ignore_errors=True)
        teller.say("demo", f"Configuration, log, run and results are in {place}.")
