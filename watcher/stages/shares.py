"""Who else may read what a batch made: its history is shared, its datasets get roles. Shared by the stages.

Done when all datasets are checked, and before a workflow uses them: Galaxy gives users what lies in a history when it
is shared and nothing that comes later, while results get the roles of what they were made from (measured on 24.1.4 to
26.1.2). Roles are set on our own datasets only; where there are roles, they alone say who reads. Whoever a person
added to the readers of a history stays one.
"""

from __future__ import annotations

from datetime import datetime

from watcher.errors import PlanError, Refused
from watcher.galaxy import Galaxy
from watcher.galaxy.answers import DatasetFacts
from watcher.model import HistoryId, Plan, Status
from watcher.rows import Batch
from watcher.stages.rooms import Rooms

SHARE = "share"


def is_opened_by_share(plan: Plan) -> bool:
    """Tell whether sharing the history has to open its datasets: one user, and no roles that say who reads."""
    return len(plan.share.users) == 1 and not plan.share.roles


async def share(batch: Batch, rooms: Rooms, galaxy: Galaxy, history_id: HistoryId) -> None:
    """Let those read who are to, once; what is so already is left as it is. Raises PlanError when Galaxy refuses."""
    if not (batch.plan.share.users or batch.plan.share.roles):
        return
    known = next((row for row in await rooms.store.galaxy_objects(batch.id) if row.key == SHARE), None)
    is_new = False

    async def look() -> bool | None:
        closed = await _closed(batch, rooms, galaxy, history_id)
        return True if not closed and not await _missing(batch, galaxy, history_id) else None

    async def note(intent_at: datetime | None) -> None:
        await rooms.store.put_galaxy_object(batch, SHARE, kind=SHARE, name=batch.plan.history, intent_at=intent_at)

    async def act() -> bool:
        nonlocal is_new
        is_new = True
        await _open(batch, rooms, galaxy, history_id)
        return True

    async def keep(_: bool) -> None:
        if known is None and not is_new:
            return
        await rooms.store.put_galaxy_object(batch, SHARE, status=Status.DONE, receipt_at=rooms.clock.now())
        if is_new:
            readers = ", ".join((*batch.plan.share.users, *batch.plan.share.roles))
            text = f"What batch {batch.id} made can be read by {readers}."
            await rooms.store.journal("history.shared", text, unit_id=batch.unit_id, batch_id=batch.id)

    await rooms.effects.once(
        "upload.share",
        intent_at=known.intent_at if known else None,
        look=look,
        note=note,
        act=act,
        keep=keep,
        repeatable=True,
        always_look=True,
    )


async def _closed(batch: Batch, rooms: Rooms, galaxy: Galaxy, history_id: HistoryId) -> list[DatasetFacts]:
    """Return the batch's datasets that those who are to read them cannot read yet."""
    plan = batch.plan
    if not (plan.share.roles or is_opened_by_share(plan)):
        return []
    rows = await rooms.store.datasets(batch.id)
    found = await galaxy.datasets.many(history_id, [row.galaxy_id for row in rows])
    if plan.share.roles:
        wanted = set(plan.share.role_ids)
        return [facts for facts in found.values() if set(facts.access_roles or ()) != wanted]
    own = await galaxy.users.own_role()
    return [facts for facts in found.values() if facts.is_closed_to_all_but(own)]


async def _missing(batch: Batch, galaxy: Galaxy, history_id: HistoryId) -> list[str]:
    """Return the users the history is not shared with yet."""
    if not batch.plan.share.users:
        return []
    there = {one.email.lower() for one in await galaxy.sharing.users(history_id)}
    return [email for email in batch.plan.share.users if email.lower() not in there]


async def _open(batch: Batch, rooms: Rooms, galaxy: Galaxy, history_id: HistoryId) -> None:
    plan = batch.plan
    closed = await _closed(batch, rooms, galaxy, history_id)
    try:
        if plan.share.roles:
            own = await galaxy.users.own_role()
            for facts in closed:
                await galaxy.datasets.give_to_roles(facts.id, plan.share.role_ids, [own])
        if plan.share.users:
            readers = await galaxy.sharing.users(history_id)
            wanted = {email.lower() for email in plan.share.users}
            others = [one.id for one in readers if one.email.lower() not in wanted]
            opening = is_opened_by_share(plan)
            if opening and closed and len(others) < len(readers):
                # Who is on the list already is given nothing that came later: off it and on again.
                await galaxy.sharing.share(history_id, others, opening=False)
            await galaxy.sharing.share(history_id, [*others, *plan.share.users], opening=opening)
    except Refused as error:
        raise PlanError(
            f"What batch {batch.id} made cannot be shared as rule `{plan.rule}` says: {error.message}",
            hint=f"Correct `share:` in the rule, then `galaxy-watcher retry {batch.unit_id} --from plan`.",
        ) from error
