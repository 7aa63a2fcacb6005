"""Do the places that results go to take them? Folders are looked at, object stores are asked; nothing is written.

Libraries are asked for with the other names that Galaxy has to know (`preflight_galaxy.py`). A part of `check`
(`preflight.py`).
"""

from __future__ import annotations

import os
import shutil

from watcher.clock import Clock
from watcher.config import DeliverySettings, RuleSettings, Settings, options_for
from watcher.config.destinations import fixed_folder, fixed_url
from watcher.delivery import ObjectStoreDelivery
from watcher.delivery.rights import Rights
from watcher.errors import DeliveryBroken, WatcherError
from watcher.service.preflight_galaxy import Finding


async def target_findings(settings: Settings, rule: RuleSettings, clock: Clock) -> list[Finding]:
    """Return what can be known of the places of a rule's deliveries; a bucket is asked for, nothing is written."""
    findings = []
    for delivery in rule.deliver:
        if delivery.is_written_by_galaxy:
            continue  # Galaxy is asked for it
        if delivery.url:
            findings.append(await _store(settings, rule, delivery.url, clock))
        elif delivery.folder:
            findings += _folder(rule, delivery)
    return findings


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
    if not base.is_dir():
        hint = "Create or mount it: only folders below it are made."
        findings.append(Finding(subject, False, f"{base} is not there.", hint, 5))
    elif not os.access(base, os.W_OK | os.X_OK):
        findings.append(Finding(subject, False, f"{base} cannot be written by this user.", "Give write rights.", 5))
    else:
        free = shutil.disk_usage(base).free
        findings.append(Finding(subject, True, f"{base} is writable, {free / 1024**3:.1f} GiB free."))
    return findings
