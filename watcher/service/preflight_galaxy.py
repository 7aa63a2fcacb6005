"""`check`, of one Galaxy account: what the server is and how it keeps what is new, and whether it offers the names that
the rules ask for.

Reads only. The names themselves are compared by `stages/offered.py`, which asks again when a plan is made; how the rest
of the configuration is looked at stands in `preflight.py`.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from itertools import islice, takewhile
from pathlib import Path

from watcher.clock import Clock
from watcher.config import DeliverySettings, GalaxySettings, RuleSettings, WatchSettings
from watcher.config.destinations import LibraryPlace, fields_of, fixed_store, fixed_url, render, render_folder
from watcher.config.ways import BY_PATH, server_path
from watcher.config.workflows import column_of
from watcher.errors import WatcherError
from watcher.galaxy import Galaxy
from watcher.galaxy.client import Identity
from watcher.galaxy.features import NEWEST, OLDEST
from watcher.model import PlannedDelivery, PlannedLibrary
from watcher.stages.allowed import Way, way_problems
from watcher.stages.offered import Names, offered

MOST_SKEW_S = 60.0
"""Clocks further apart are told: times in logs and in Galaxy cannot be compared any more."""

GIB = 1024**3

MOST_NAMES = 1000
"""So many names of a watched folder are looked for in Galaxy's import folder: one of them has to be there."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at; `hint` is the remedy when it is not well."""

    subject: str
    well: bool
    message: str
    hint: str = ""
    exit_code: int = 0


def room_told(identity: Identity) -> str:
    """Say how much room the account uses and has."""
    used = f"{identity.used_bytes / GIB:.1f} GiB used"
    if identity.quota_bytes is None:
        return f"{used}, no quota"
    left = max(identity.quota_bytes - identity.used_bytes, 0)
    return f"{used} of {identity.quota_bytes / GIB:.1f} GiB, {left / GIB:.1f} GiB of quota left"


async def account_findings(
    galaxy: GalaxySettings, client: Galaxy, identity: Identity, clock: Clock
) -> AsyncIterator[Finding]:
    """Say what kind of server it is, and who reads what the account makes."""
    subject = f"galaxy {galaxy.name}"
    yield _version(subject, identity)
    if identity.quota_bytes is not None and identity.used_bytes >= identity.quota_bytes:
        yield Finding(subject, False, "the quota is used up.", "Free space in Galaxy or ask for a larger quota.", 4)
    yield _proof(subject, galaxy, identity)
    if galaxy.upload_store is not None:
        yield _upload_store(subject, galaxy.upload_store)
    try:
        yield _access(subject, galaxy, identity.email, await client.users.default_access())
        if (skew_s := await client.offers.clock_skew_s(clock)) is not None:
            yield _clock(subject, skew_s)
    except WatcherError as error:
        yield Finding(subject, False, error.message, error.hint, error.exit_code)


def _version(subject: str, identity: Identity) -> Finding:
    text, oldest, newest = identity.version_text, ".".join(map(str, OLDEST)), ".".join(map(str, NEWEST))
    if not identity.features.is_measured:
        hint = f"Nothing below {oldest} was ever tried."
        return Finding(subject, False, f"Galaxy {text} is older than {oldest}.", hint, 4)
    if identity.features.is_newer_than_measured:
        return Finding(subject, True, f"{text} is newer than {newest}, the last one tried; it is taken to be like it.")
    return Finding(subject, True, f"versions from {oldest} to {newest} were tried, {text} is among them.")


def _proof(subject: str, galaxy: GalaxySettings, identity: Identity) -> Finding:
    how = {"off": "size alone", "sample": "size and a sample that is read back", "full": "reading all of them back"}
    if identity.features.fetch_hashes:
        text = f"it verifies the SHA-256 of uploads; what it reads by itself is checked by {how[galaxy.readback]}."
        return Finding(subject, True, text)
    more = " (`readback: sample` or `full` proves more)" if galaxy.readback == "off" else ""
    return Finding(subject, True, f"it does not verify uploads: they are checked by {how[galaxy.readback]}{more}.")


def _upload_store(subject: str, folder: Path) -> Finding:
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        text = f"its folder for uploads, {folder}, cannot be looked at: {error.strerror}."
        return Finding(subject, False, text, "Correct upload_store, or remove it.", 5)
    return Finding(subject, True, f"{folder}, where it keeps uploads, has {free / GIB:.1f} GiB free.")


def _access(subject: str, galaxy: GalaxySettings, email: str, roles: list[str]) -> Finding:
    if email in roles:
        return Finding(subject, True, "new datasets are private, by the account's own default in Galaxy as well.")
    readers = f"who has {' and '.join(roles)}" if roles else "everybody who knows its id"
    by_default = f"by the account's default in Galaxy a new dataset can be read by {readers}"
    if galaxy.access == "private":
        return Finding(subject, True, f"new datasets are private: {by_default}, and the watcher changes that.")
    return Finding(subject, True, f"access: server: {by_default}, and that is left so.")


def _clock(subject: str, skew_s: float) -> Finding:
    if abs(skew_s) <= MOST_SKEW_S:
        return Finding(subject, True, "its clock and ours agree.")
    which = "ahead of" if skew_s > 0 else "behind"
    return Finding(
        subject,
        False,
        f"its clock is {abs(skew_s):.0f} s {which} ours.",
        "Let both machines set their clocks by the network (NTP).",
        5,
    )


async def way_findings(watch: WatchSettings, galaxy: GalaxySettings, client: Galaxy) -> list[Finding]:
    """Say whether Galaxy takes the files of a watch by itself, and sees what lies in it, as far as it shows that."""
    subject, shown_as = f"watch {watch.name}", server_path(galaxy, watch.transfer, watch.path)
    if shown_as is None:  # refused with the configuration already
        return []
    try:
        identity = await client.identify()
        here = {} if watch.transfer in BY_PATH else _names_in(watch.path)
        way = Way(watch.transfer, f"transfer of watch {watch.name}", shown_as, here)
        told: list[str] = []
        problems = await way_problems(client, identity, way, told)
    except WatcherError as error:
        return [Finding(subject, False, error.message, error.hint, error.exit_code)]
    if problems:
        return [Finding(subject, False, problem.message, problem.hint, 5) for problem in problems]
    if watch.transfer in BY_PATH:
        text = f"Galaxy takes files by their path; whether it sees {watch.path} as {shown_as} shows with the first run."
        return [Finding(subject, True, text)]
    return [Finding(subject, True, f"{told[0] if told else 'Galaxy does not show its import folder to anybody'}.")]


def _names_in(folder: Path) -> dict[str, None]:
    """Return some names that lie in a folder, none when it cannot be read, which is told elsewhere."""
    try:
        with os.scandir(folder) as entries:
            seen = (entry.name for entry in entries if not entry.name.startswith("."))
            return dict.fromkeys(islice(seen, MOST_NAMES))
    except OSError:
        return {}


async def rule_findings(rule: RuleSettings, client: Galaxy, *, by_path: bool) -> list[Finding]:
    """Say whether the server offers the names of a rule that are known without a run; `by_path` for one that takes
    what Galaxy reads by itself.
    """
    subject, names = f"rule {rule.name}", _names(rule, by_path=by_path)
    if names == Names():
        return []
    try:
        found = await offered(client, names)
    except WatcherError as error:
        return [Finding(subject, False, error.message, error.hint, error.exit_code)]
    findings = [Finding(subject, False, problem.message, problem.hint, 5) for problem in found.problems]
    if found.untold:
        text = "cannot be looked up by this account; whether they are users is asked before the first byte is sent."
        findings.append(Finding(subject, True, f"{', '.join(found.untold)} {text}"))
    if not found.problems:
        shelved = (name for library in names.libraries for name in (*library.access, *library.manage))
        asked = [*names.exts, *names.dbkeys, *names.existing, *found.emails, *names.roles, *dict.fromkeys(shelved)]
        asked += dict.fromkeys(one.base for one in names.places if one.is_written_by_galaxy and one.base)
        findings += [Finding(subject, True, f"Galaxy offers {', '.join(asked)}.")] if asked else []
        findings += [Finding(subject, True, f"{told}.") for told in found.told]
    return findings


def _names(rule: RuleSettings, *, by_path: bool) -> Names:
    place = rule.destination
    of_results = (delivery.library for delivery in rule.deliver)
    exts = _asked_by(rule, rule.ext.values())
    return Names(
        exts=exts,
        path_exts=exts if by_path else {},
        dbkeys=_asked_by(rule, [rule.dbkey]),
        existing=(place.existing,) if place.existing and not fields_of(place.existing) else (),
        users=place.share.users,
        roles=place.share.roles,
        libraries=tuple(_known_of(one) for one in (place.library, *of_results) if one is not None),
        places=tuple(
            _known_place(one, str(number))
            for number, one in enumerate(rule.deliver, 1)
            if one.is_written_by_galaxy or one.export
        ),
    )


def _known_place(delivery: DeliverySettings, key: str) -> PlannedDelivery:
    """Return as much of a delivery as is known without a run: what only Galaxy can do of it."""
    url, cloud = delivery.url or "", delivery.cloud
    return PlannedDelivery(
        key=key,
        url=url and fixed_url(url),
        base=url and fixed_store(url),
        export=delivery.export or "",
        format=delivery.archive_format,
        bucket=cloud.bucket if cloud else "",
        authz_id=cloud.authz_id if cloud else "",
    )


def _known_of(library: LibraryPlace) -> PlannedLibrary:
    """Return as much of a library as is known without a run: its name, and the first folders."""
    name = "" if fields_of(library.name) else render(library.name, {})
    parts = takewhile(lambda part: not fields_of(part), library.folder.split("/"))
    folder = render_folder("/".join(parts), {}).parts[1:] if name else ()
    return PlannedLibrary(name=name, folder=folder, access=library.access, manage=library.manage)


def _asked_by(rule: RuleSettings, written: Iterable[str]) -> dict[str, str]:
    """Return the names that stand in the rule itself; what a column of the sheet says is known with the run."""
    return {name: f"rule {rule.name}" for name in written if name and not column_of(name)}
