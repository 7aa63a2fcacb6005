"""`check`: proves folders, state, Galaxy account and workflows before the first night, every problem at once with its
remedy.

Writes nothing in Galaxy; `preflight_galaxy.py` says what an account offers. What a batch would need beyond this is
checked again when its plan is made (`stages/plan.py`).
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

from watcher.clock import Clock, SystemClock
from watcher.config import GalaxySettings, RuleSettings, Settings, WatchSettings
from watcher.config.workflows import column_of
from watcher.disk.mounts import mount_of
from watcher.errors import GalaxyError, WatcherError
from watcher.galaxy import Galaxy
from watcher.galaxy.workflow_files import parse
from watcher.service.build import account_of, state_place
from watcher.service.preflight_galaxy import Finding, account_findings, room_told, rule_findings, way_findings
from watcher.service.preflight_targets import may_take, target_findings
from watcher.stages.cut import workflow_as_asked
from watcher.stages.workflow_fit import Fit, Fitter, Supply
from watcher.store.store import Store

AUTO_SHAPES = ("list:paired", "list")
"""What `collection: auto` may become."""


async def check_all(settings: Settings, clock: Clock | None = None) -> list[Finding]:
    """Look at everything the configuration names and return what was found, good and bad."""
    clock = clock or SystemClock()
    findings = [_watch(watch) for watch in settings.watches]
    for rule in settings.rules:
        findings += [*await target_findings(settings, rule, clock), *_broken_files(rule)]
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
            if watch.transfer != "tus" and any(may_take(rule, watch) for rule in mine):
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
    return any(may_take(rule, watch) for watch in settings.watches if watch.transfer != "tus")


def _account(galaxy: GalaxySettings, email: str) -> str:
    """Say as whom we are known there."""
    if galaxy.run_as is not None:
        return f"the key acts for {email}"
    return f"{galaxy.user} logs in as {email}" if galaxy.user is not None else f"the key belongs to {email}"


async def _workflows(rule: RuleSettings, client: Galaxy) -> list[Finding]:
    """Hold the rule's workflows and what its deliveries select against Galaxy, as far as they are known without a run;
    a broken file is told already.
    """
    asked = [workflow_as_asked(workflow) for workflow in rule.workflow]
    deliveries = {str(place): delivery.outputs for place, delivery in enumerate(rule.deliver, 1)}
    try:
        fits = await Fitter(client).fits(asked, _supply(rule), deliveries)
    except WatcherError as error:
        return [Finding(f"rule {rule.name}, workflow", False, error.message, error.hint, error.exit_code)]
    broken = {finding.subject for finding in _broken_files(rule)}
    findings = []
    for fit in fits.workflows:
        subject = f"rule {rule.name}, workflow {fit.planned.ref}"
        if subject in broken:
            continue
        for problem in fit.problems:
            hint = problem.hint or "Correct the rule or the workflow in Galaxy."
            findings.append(Finding(subject, False, problem.message, hint, 5))
        if not fit.problems:
            findings.append(Finding(subject, True, _told(fit)))
    for problem in fits.deliveries:
        findings.append(Finding(f"rule {rule.name}", False, problem.message, problem.hint, 5))
    return findings


def _told(fit: Fit) -> str:
    """Say what is well with a workflow: with its references, and what it waits for."""
    told = "its inputs are bound and its tools are installed"
    for key, reference in fit.planned.references.items():
        told += f"; “{key}” is `{reference.name}`"
    if fit.planned.after:
        told += f"; it starts after {' and '.join(fit.planned.after)}"
    return f"{told}." if fit.is_imported else f"{told}; it is imported when it is first needed."


def _supply(rule: RuleSettings) -> Supply:
    """Return what is known of a rule's batches without a run.

    With `collection: auto` only the samples tell the type of the collection, and the plan stage checks it: here it is
    enough that one of the types it may become fits.
    """
    wanted = rule.destination.collection
    shapes = AUTO_SHAPES if wanted == "auto" else ("" if wanted == "none" else wanted,)
    for_all = rule.ext.get("*", "") if len(rule.ext) == 1 else ""
    reads = {for_all: f"`ext` of rule {rule.name}"} if for_all and not column_of(for_all) else {}
    return Supply(shapes, reads=reads)
