"""Names that a plan or a rule asks for, held against what Galaxy offers: extensions, reference genomes, histories,
users, roles; libraries and ways in are held by `allowed.py`.

Reads only, and tells every problem at once, each with the name that was probably meant. Shared by the plan stage and
by `check`, which takes the names from a rule before there is any run. Where Galaxy does not let an account look users
up, nothing is said against a name here; `history.py` asks once more before a byte is sent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from watcher.errors import PlanError, WatcherError
from watcher.galaxy import Galaxy
from watcher.galaxy.answers import History
from watcher.model import Plan, PlannedDelivery, PlannedLibrary
from watcher.stages.allowed import Way, library_problems, way_problems
from watcher.stages.unknown import NEVER_ROLES, Problem, near, unknown, unknown_role
from watcher.stages.ways_out import place_problems

NO_DBKEY = "?"
"""How Galaxy writes that there is no reference genome."""


@dataclass(frozen=True, slots=True)
class Names:
    """What is asked for; `exts` and `dbkeys` with what asks for each, for people. `path_exts` are those of files that
    Galaxy reads by their path, `ways` how it is to read them, `places` where it is to write. A library without a name
    is known with the run.
    """

    exts: Mapping[str, str] = field(default_factory=dict)
    path_exts: Mapping[str, str] = field(default_factory=dict)
    dbkeys: Mapping[str, str] = field(default_factory=dict)
    existing: Sequence[str] = ()
    users: Sequence[str] = ()
    roles: Sequence[str] = ()
    libraries: Sequence[PlannedLibrary] = ()
    ways: Sequence[Way] = ()
    places: Sequence[PlannedDelivery] = ()


@dataclass(slots=True)
class Offered:
    """What was found: histories by what they were asked for as, e-mails as Galaxy writes them by how they were asked
    for, ids of roles by name; `untold` are users that this account cannot look up, `told` says what is well with
    libraries.
    """

    problems: list[Problem] = field(default_factory=list)
    histories: dict[str, History] = field(default_factory=dict)
    role_ids: dict[str, str] = field(default_factory=dict)
    emails: dict[str, str] = field(default_factory=dict)
    untold: Sequence[str] = ()
    told: list[str] = field(default_factory=list)

    def put_into(self, plan: Plan) -> Plan:
        """Return the plan with its history and roles as found; only where there was no problem."""
        ids = tuple(self.role_ids[name] for name in plan.share.roles)
        users = tuple(self.emails.get(email, email) for email in plan.share.users)
        found: dict[str, Any] = {"share": plan.share.model_copy(update={"role_ids": ids, "users": users})}
        if plan.existing:
            history = self.histories[plan.existing]
            found |= {"history": history.name, "history_id": history.id}
        return plan.model_copy(update=found)


def names_in(plans: Sequence[Plan]) -> Names:
    """Return the names that plans for one account ask for."""
    datasets = [dataset for plan in plans for dataset in plan.datasets]
    by_path = [dataset for plan in plans if plan.transfer != "tus" for dataset in plan.datasets]
    return Names(
        exts=_askers((dataset.ext, dataset.name) for dataset in datasets),
        path_exts=_askers((dataset.ext, dataset.name) for dataset in by_path),
        dbkeys=_askers((dataset.dbkey, dataset.name) for dataset in datasets if dataset.dbkey),
        existing=tuple(dict.fromkeys(plan.existing for plan in plans if plan.existing)),
        users=tuple(dict.fromkeys(email for plan in plans for email in plan.share.users)),
        roles=tuple(dict.fromkeys(role for plan in plans for role in plan.share.roles)),
        libraries=tuple(dict.fromkeys(one for plan in plans for one in plan.libraries)),
        ways=tuple(_way(plan) for plan in plans if plan.transfer != "tus" and plan.datasets),
        places=tuple(one for plan in plans for one in plan.deliveries if one.is_written_by_galaxy or one.export),
    )


def _way(plan: Plan) -> Way:
    """Return by which way a plan's files come, with those of its first folder."""
    folder = PurePosixPath(plan.datasets[0].server_path).parent
    named = [(PurePosixPath(dataset.server_path), dataset.size) for dataset in plan.datasets]
    here = {path.name: size for path, size in named if path.parent == folder}
    return Way(plan.transfer, f"watch {plan.watch}", str(folder), here)


def _askers(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return for each name the first that asks for it, and how many more do."""
    rows = list(pairs)
    counts, first = Counter(name for name, _ in rows), dict(reversed(rows))
    return {name: f"{first[name]} and {count - 1} more" if count > 1 else first[name] for name, count in counts.items()}


async def offered(galaxy: Galaxy, names: Names) -> Offered:
    """Hold the names against this Galaxy."""
    found = Offered()
    if names.exts:
        known = await galaxy.offers.datatypes()
        for ext, asker in names.exts.items():
            if ext not in known:
                found.problems.append(unknown("datatype", ext, known, "See the list at /api/datatypes.", f" ({asker})"))
        await _by_path(galaxy, {ext: asker for ext, asker in names.path_exts.items() if ext in known}, found)
    if asked := {dbkey: asker for dbkey, asker in names.dbkeys.items() if dbkey != NO_DBKEY}:
        known = await galaxy.offers.dbkeys()
        for dbkey, asker in asked.items():
            if dbkey not in known:
                hint = "An administrator adds genomes; a custom build of the account counts as well."
                found.problems.append(unknown("reference genome", dbkey, known, hint, f" ({asker})"))
    await _readers(galaxy, names, found)
    for ref in names.existing:
        await _history(galaxy, ref, found)
    if names.ways or names.libraries:
        identity = await galaxy.identify()  # afresh: somebody may just have corrected what it tells
        for way in names.ways:
            found.problems += await way_problems(galaxy, identity, way, found.told)
        for library in names.libraries:
            found.problems += await library_problems(galaxy, identity, library, found.told)
        found.problems = list(dict.fromkeys(found.problems))  # several plans may meet the same
    found.problems += await place_problems(galaxy, names.places)
    return found


async def _by_path(galaxy: Galaxy, exts: Mapping[str, str], found: Offered) -> None:
    """Find extensions that Galaxy knows and yet takes for no file by its path: the item would end in an error."""
    if not exts:
        return
    taken = await galaxy.offers.datatypes(by_path=True)
    for ext, asker in exts.items():
        if ext not in taken:
            message = f"Galaxy takes no file by its path as `{ext}` ({asker})."
            hint = "Name another extension in the rule's `ext:`, or let the watch send its files (`transfer: tus`)."
            found.problems.append(Problem(message, hint))


async def _readers(galaxy: Galaxy, names: Names, found: Offered) -> None:
    if names.users:
        own = (await galaxy.known_identity()).email
        if own.lower() in {email.lower() for email in names.users}:
            found.problems.append(Problem(f"{own} is the account itself.", "Leave it out of `share:`."))
        others = [email for email in names.users if email.lower() != own.lower()]
        found.emails, nobody, found.untold = await galaxy.offers.known_users(others)
        for email in nobody:
            known = await galaxy.offers.emails_like(email)
            found.problems.append(unknown("user", email, known, "Each needs an account in this Galaxy."))
    if names.roles:
        rows = [role for role in await galaxy.offers.roles() if role.type not in NEVER_ROLES]
        held = await galaxy.offers.held_roles()
        by_name = {role.name: role.id for role in rows}
        for name in names.roles:
            if name not in by_name:
                hint = "An administrator of Galaxy makes roles."
                found.problems.append(await unknown_role(galaxy, "role", name, list(by_name), hint))
            elif name not in held:
                found.problems.append(
                    Problem(
                        f"The account does not have the role `{name}` itself: it could not read what it makes.",
                        "An administrator of Galaxy gives it to the account.",
                    )
                )
        found.role_ids = {name: by_name[name] for name in names.roles if name in by_name}


async def _history(galaxy: Galaxy, ref: str, found: Offered) -> None:
    rows = await galaxy.offers.histories(ref)
    if len(rows) == 1:
        found.histories[ref] = rows[0]
    elif rows:
        ids = ", ".join(row.id for row in rows)
        found.problems.append(
            Problem(
                f"{len(rows)} histories of the account are called `{ref}`.", f"Name the one you mean by its id: {ids}."
            )
        )
    else:
        hint = near(ref, await galaxy.offers.history_names())
        found.problems.append(
            Problem(
                f"The account has no history `{ref}` that is neither deleted nor archived.",
                hint or "Make it in Galaxy, or leave out `existing:` for a new one.",
            )
        )


def plan_error(errors: Sequence[WatcherError | Problem]) -> PlanError:
    """Return one error that tells all of these, each followed by its own hint when there are several."""
    if len(errors) == 1:
        return PlanError(errors[0].message, hint=errors[0].hint)
    return PlanError(" ".join(f"{error.message} {error.hint}".strip() for error in errors))
