"""Do the places that results and run folders go to take them? Folders are looked at, object stores are asked; nothing
is written.

Libraries are asked for with the other names that Galaxy has to know (`preflight_galaxy.py`). A part of `check`
(`preflight.py`).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from watcher.clock import Clock
from watcher.config import DeliverySettings, RuleSettings, Settings, WatchSettings, options_for
from watcher.config.destinations import fixed_folder, fixed_url
from watcher.delivery import ObjectStoreDelivery
from watcher.delivery.rights import Rights
from watcher.errors import DeliveryBroken, WatcherError
from watcher.service.preflight_galaxy import Finding


async def target_findings(settings: Settings, rule: RuleSettings, clock: Clock) -> list[Finding]:
    """Return what can be known of the places of a rule's deliveries, and of its end; buckets are asked."""
    findings = []
    for delivery in rule.deliver:
        if delivery.is_written_by_galaxy:
            continue  # Galaxy is asked for it
        if delivery.url:
            findings.append(await _store(settings, rule, delivery.url, clock))
        elif delivery.folder:
            findings += _folder(rule, delivery)
    return [*findings, *_finish(rule, [watch for watch in settings.watches if may_take(rule, watch)])]


async def _store(settings: Settings, rule: RuleSettings, url: str, clock: Clock) -> Finding:
    # As far as it is known: settings, and the rights of an account, may be for a part of the bucket alone.
    subject, place = f"rule {rule.name}, delivery", fixed_url(url)
    try:
        options = options_for(settings.object_stores, place)
        await ObjectStoreDelivery(place, options, clock).prepare(0)
    except WatcherError as error:
        return Finding(subject, False, error.message, error.hint, 5)
    return Finding(subject, True, f"{place} answers; whether it may be written shows with the first delivery.")


def _folder(rule: RuleSettings, delivery: DeliverySettings) -> list[Finding]:
    findings = []
    base, subject = fixed_folder(delivery.template), f"rule {rule.name}, delivery"
    try:
        rights = Rights(delivery.owner or "", delivery.group or "")
        rights.owner_id()
        rights.group_id()
    except DeliveryBroken as error:
        findings.append(Finding(subject, False, error.message, error.hint, 3))
    return [*findings, _writable(subject, base)]


def _writable(subject: str, base: Path) -> Finding:
    if not base.is_dir():
        hint = "Create or mount it: only folders below it are made."
        return Finding(subject, False, f"{base} is not there.", hint, 5)
    if not os.access(base, os.W_OK | os.X_OK):
        return Finding(subject, False, f"{base} cannot be written by this user.", "Give write rights.", 5)
    free = shutil.disk_usage(base).free
    return Finding(subject, True, f"{base} is writable, {free / 1024**3:.1f} GiB free.")


def _finish(rule: RuleSettings, watches: Sequence[WatchSettings]) -> list[Finding]:
    """Return what speaks against moving or deleting a run folder that can be known today, weeks before its date."""
    finish, subject = rule.finish, f"rule {rule.name}, finish"
    findings = [_writable(subject, fixed_folder(finish.archive))] if finish.archive else []
    if finish.source == "keep" and not finish.receipt:
        return findings
    wanted = "moved or deleted" if finish.source != "keep" else "given a receipt"
    for watch in watches:
        if watch.path.is_dir() and not os.access(watch.path, os.W_OK | os.X_OK):
            message = f"{watch.path} cannot be written by this user, so that no run folder there can be {wanted}."
            findings.append(Finding(subject, False, message, "Give write rights, or mount it writable.", 5))
    return findings


def may_take(rule: RuleSettings, watch: WatchSettings) -> bool:
    """Tell whether runs of the watch may fall to the rule."""
    return any(fnmatchcase(watch.name, pattern) for pattern in rule.match.watch)
