"""`check`: proves folders, state, Galaxy account and workflows before the first night, every problem at once with its
remedy.

Writes nothing in Galaxy; `preflight_galaxy.py` says what an account offers. What a batch would need beyond this is
checked again when its plan is made (`stages/plan.py`).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from watcher.clock import Clock, SystemClock
from watcher.config import GalaxySettings, RuleSettings, Settings, WatchSettings, WorkflowSettings
from watcher.config.destinations import fixed_folder
from watcher.disk.mounts import mount_of
from watcher.errors import GalaxyError, PlanError, WatcherError
from watcher.galaxy import Galaxy
from watcher.galaxy.bind import bind
from watcher.galaxy.workflow_files import parse
from watcher.galaxy.workflows import WorkflowFacts
from watcher.service.build import account_of, state_place
from watcher.service.preflight_galaxy import Finding, account_findings, room_told, rule_findings, way_findings
from watcher.store.store import Store

AUTO_SHAPES = ("list:paired", "list")
"""What `collection: auto` may become."""


async def check_all(settings: Settings, clock: Clock | None = None) -> list[Finding]:
    """Look at everything the configuration names and return what was found, good and bad."""
    clock = clock or SystemClock()
    findings = [_watch(watch) for watch in settings.watches]
    findings += [finding for rule in settings.rules for finding in (*_targets(rule), *_broken_files(rule))]
    findings.append(await _state(settings, clock))
    for galaxy in settings.galaxies.values():
        findings += [finding async for finding in _galaxy(settings, galaxy, clock)]
    return findings


def _watch(watch: WatchSettings) -> Finding:
    subject = f"watch {watch.name}"
    if not watch.path.is_dir():
        return Finding(subject, False, f"{watch.path} is not there.", "Create or mount it; the daemon waits for it.", 5)
    if not os.access(watch.path, os.R_OK | os.X_OK):
        return Finding(subject, False, f"{watch.path} cannot be read by this user.", "Give read and search rights.", 5)
    mount = mount_of(watch.path)
    note = " (network file system: no events, rescans only)" if mount.is_network else ""
    return Finding(subject, True, f"{watch.path} is readable, on {mount.fstype}{note}.")


def _targets(rule: RuleSettings) -> list[Finding]:
    findings = []
    for delivery in rule.deliver:
        base, subject = fixed_folder(delivery.folder), f"rule {rule.name}, delivery"
        if not base.is_dir():
            findings.append(
                Finding(
                    subject, False, f"{base} is not there.", "Create or mount it: only folders below it are made.", 5
                )
            )
        elif not os.access(base, os.W_OK | os.X_OK):
            findings.append(Finding(subject, False, f"{base} cannot be written by this user.", "Give write rights.", 5))
        else:
            free = shutil.disk_usage(base).free
            findings.append(Finding(subject, True, f"{base} is writable, {free / 1024**3:.1f} GiB free."))
    return findings


def _broken_files(rule: RuleSettings) -> list[Finding]:
    """Return what is wrong with the rule's workflow files themselves, which no Galaxy needs to be asked for."""
    findings = []
    for workflow in rule.workflow:
        if workflow.file is None:
            continue
        subject = f"rule {rule.name}, workflow {workflow.ref}"
        try:
            parse(workflow.file.read_bytes(), workflow.file.name)
        except OSError as error:
            findings.append(Finding(subject, False, f"cannot be read: {error.strerror}.", "Correct `file:`.", 3))
        except WatcherError as error:
            findings.append(Finding(subject, False, error.message, error.hint, 3))
    return findings


async def _state(settings: Settings, clock: Clock) -> Finding:
    place = state_place(settings)
    if isinstance(place, Path) and not place.exists():
        folder = next((one for one in place.parents if one.exists()), Path("/"))
        if os.access(folder, os.W_OK):
            return Finding("state", True, f"{place} will be made at the first start.")
        return Finding(
            "state",
            False,
            f"{place} cannot be made: {folder} is not writable.",
            "Give write rights, or name another path.",
            3,
        )
    try:
        await (await Store.open(place, clock, lock=False, migrate=False)).close()
    except WatcherError as error:
        return Finding("state", False, error.message, error.hint, error.exit_code)
    return Finding("state", True, f"{'PostgreSQL' if settings.state.url else place} is readable.")


async def _galaxy(settings: Settings, galaxy: GalaxySettings, clock: Clock) -> AsyncIterator[Finding]:
    subject = f"galaxy {galaxy.name}"
    async with Galaxy(account_of(galaxy), clock) as client:
        try:
            identity = await client.identify()
        except WatcherError as error:
            yield Finding(
                subject, False, error.message, error.hint, 4 if isinstance(error, GalaxyError) else error.exit_code
            )
            return
        told = f"{_account(galaxy, identity.email)}, {room_told(identity)}."
        yield Finding(subject, True, f"{galaxy.url} is Galaxy {identity.version_text}, {told}")
        async for finding in account_findings(galaxy, client, identity, clock):
            yield finding
        mine = [rule for rule in settings.rules if settings.galaxy_of(rule).name == galaxy.name]
        for watch in settings.watches:
            if watch.transfer != "tus" and any(_may_take(rule, watch) for rule in mine):
                for finding in await way_findings(watch, galaxy, client):
                    yield finding
        for rule in mine:
            if refused := identity.features.refuses_collection(rule.destination.collection):
                text = f"collection: {rule.destination.collection} {refused}."
                yield Finding(f"rule {rule.name}", False, text, "Use collection: auto, or list.", 5)
            names = await rule_findings(rule, client, by_path=_takes_by_path(rule, settings))
            for finding in (*names, *await _workflows(rule, client)):
                yield finding


def _takes_by_path(rule: RuleSettings, settings: Settings) -> bool:
    """Tell whether the rule may take files that Galaxy reads by itself."""
    return any(_may_take(rule, watch) for watch in settings.watches if watch.transfer != "tus")


def _may_take(rule: RuleSettings, watch: WatchSettings) -> bool:
    """Tell whether runs of the watch may fall to the rule."""
    return any(fnmatchcase(watch.name, pattern) for pattern in rule.match.watch)


def _account(galaxy: GalaxySettings, email: str) -> str:
    """Say as whom we are known there."""
    if galaxy.run_as is not None:
        return f"the key acts for {email}"
    return f"{galaxy.user} logs in as {email}" if galaxy.user is not None else f"the key belongs to {email}"


async def _workflows(rule: RuleSettings, client: Galaxy) -> list[Finding]:
    findings = []
    for workflow in rule.workflow:
        subject = f"rule {rule.name}, workflow {workflow.ref}"
        try:
            facts, note = await _facts(workflow, client)
            if facts is None:
                continue
            refused = _refused(rule, workflow, facts)
            missing = await client.workflows.missing_tools(facts)
        except WatcherError as error:
            findings.append(Finding(subject, False, error.message, error.hint, error.exit_code))
            continue
        problems = [*refused, *(f"Tool {tool} is not installed." for tool in missing)]
        findings += [
            Finding(subject, False, problem, "Correct the rule or the workflow in Galaxy.", 5) for problem in problems
        ]
        if not problems:
            findings.append(Finding(subject, True, f"its inputs are bound and its tools are installed{note}."))
    return findings


def _refused(rule: RuleSettings, workflow: WorkflowSettings, facts: WorkflowFacts) -> Sequence[str]:
    """Return what of the rule does not fit the workflow.

    With `collection: auto` only the samples tell the type of the collection, and the plan stage checks it: here it is
    enough that one of the types it may become fits.
    """
    wanted = rule.destination.collection
    shapes = AUTO_SHAPES if wanted == "auto" else ("" if wanted == "none" else wanted,)
    cells = dict.fromkeys(workflow.columns)
    tried = [bind(facts, workflow.values, workflow.steps, shape, cells).problems for shape in shapes]
    return min(tried, key=len)


async def _facts(workflow: WorkflowSettings, client: Galaxy) -> tuple[WorkflowFacts | None, str]:
    """Return what the workflow wants, of a file from the file itself unless Galaxy has it; nothing of a broken file,
    which is told already.
    """
    if workflow.file is None:
        found = await client.workflows.find(**{workflow.by: workflow.ref})
        return await client.workflows.read(found.id), ""
    try:
        content = workflow.file.read_bytes()
        parse(content, workflow.file.name)
    except (OSError, PlanError):
        return None, ""
    known = await client.workflows.imported(content)
    if known is not None:
        return await client.workflows.read(known.id), ""
    facts = await client.workflows.read_file(content, workflow.file.name)
    return facts, "; it is imported when it is first needed"
