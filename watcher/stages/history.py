"""The history of a batch: looked for, made, marked and private, once; shared by the stages that need its id.

Before the first act of a batch Galaxy is asked for the run's tag. A history of the same run that the rows know nothing
of was made by another watcher, or by this one before it lost its state: all would come twice, so a person is asked
first. What lies in a history is no business of this module; that is `upload.py`.

A rule may name a history that is there already (`plan.history_id`). It is never made, renamed, deleted or annotated:
all that is done to it is that our tags are added to its own. What lies in it is told apart by tags of the datasets.
"""

from __future__ import annotations

from watcher.errors import NotThere, PlanError
from watcher.galaxy import Galaxy
from watcher.galaxy.answers import History
from watcher.galaxy.histories import clean_tag, plain_tag
from watcher.model import HistoryId, Hold, Status
from watcher.rows import Batch, GalaxyObject
from watcher.stages.rooms import Rooms

HISTORY = "history"
OWN = "watcher:"
SUPERSEDED = f"{OWN}superseded"
MADE_ELSEWHERE = "made_elsewhere"
"""Code of a batch that is held because Galaxy has the run from another state."""

SENT_ALL_THE_SAME = "sent_all_the_same"
"""Where a batch remembers that a person answered: with `retry`, never by having been asked."""


async def ensure_history(batch: Batch, rooms: Rooms, galaxy: Galaxy) -> HistoryId | Hold:
    """Return the id of the batch's own history, made, named, tagged and annotated once; or why a person is asked.

    It is made under the batch's tag as its name, which no other history has, so that a lost answer can be looked up;
    the name people see comes with the tags in one later request. Raises NotThere when somebody deleted it.
    """
    known = await _object(batch, rooms)
    if known and known.status is Status.DONE:
        return await _still_there(batch, galaxy, known)
    is_first_act = known is None and not batch.more.get(SENT_ALL_THE_SAME)
    if is_first_act and (elsewhere := await _made_elsewhere(batch, rooms, galaxy)):
        return _ask(batch, elsewhere)
    if batch.plan.history_id:
        return await _join(batch, rooms, galaxy)
    history_id = HistoryId(known.galaxy_id if known else "")
    if not history_id:
        history_id = await _make(batch, rooms, galaxy, known)
    if held := await _unknown_readers(batch, rooms, galaxy, history_id):
        return held
    await _mark(batch, rooms, galaxy, history_id)
    return history_id


async def _object(batch: Batch, rooms: Rooms) -> GalaxyObject | None:
    return next((known for known in await rooms.store.galaxy_objects(batch.id) if known.key == HISTORY), None)


async def _still_there(batch: Batch, galaxy: Galaxy, known: GalaxyObject) -> HistoryId:
    facts = await galaxy.histories.get(HistoryId(known.galaxy_id))
    _refuse_unusable(batch, facts)
    return HistoryId(known.galaxy_id)


async def _made_elsewhere(batch: Batch, rooms: Rooms, galaxy: Galaxy) -> History | None:
    """Return a history of this run that carries the tag of a batch which is not in our rows."""
    for history in await galaxy.histories.find(clean_tag("run", batch.plan.run)):
        tags = {tag.lower() for tag in history.tags}
        owners = {tag.removeprefix(OWN) for tag in tags if tag.startswith(OWN)}
        if owners and SUPERSEDED not in tags and not [one for one in owners if await rooms.store.batch(one)]:
            return history
    if batch.plan.history_id and await _made_there(batch, rooms, galaxy):
        return await galaxy.histories.get(batch.plan.history_id)
    return None


def _ask(batch: Batch, history: History) -> Hold:
    has_it = "has it, put there by" if batch.plan.history_id == history.id else "was made for it by"
    return Hold(
        f"Run {batch.plan.run} is in Galaxy already: the history `{history.name}` {has_it} another watcher,"
        " or by this one with another state database. Sending it would double it.",
        MADE_ELSEWHERE,
        hint=f"`galaxy-watcher cancel {batch.id}` leaves it at that; `galaxy-watcher retry {batch.id}` sends it all the"
        f" same{'' if batch.plan.history_id else ', into a history of its own'}.",
    )


async def _made_there(batch: Batch, rooms: Rooms, galaxy: Galaxy) -> bool:
    """Tell whether datasets of this run lie in the existing history for batches that are not in our rows."""
    run, owners = clean_tag("run", batch.plan.run), set()
    for content in await galaxy.histories.contents(batch.plan.history_id, tag=run):
        if run in content.tags and not content.deleted:
            owners |= {tag.removeprefix(OWN).partition(".")[0] for tag in content.tags if tag.startswith(OWN)}
    return bool(owners) and not [one for one in owners if await rooms.store.batch(one)]


async def _join(batch: Batch, rooms: Rooms, galaxy: Galaxy) -> HistoryId:
    """Add our tags to a history that was there before; the batches that share it do so one after the other."""
    plan, history_id = batch.plan, batch.plan.history_id
    rooms.effects.reach("upload.marks.intent")
    await rooms.store.put_galaxy_object(
        batch, HISTORY, kind=HISTORY, name=plan.history, galaxy_id=history_id, intent_at=rooms.clock.now()
    )
    async with rooms.marking:  # all tags are set at once: two at a time would undo each other
        facts = await galaxy.histories.get(history_id)
        _refuse_unusable(batch, facts)
        there = {tag.lower() for tag in facts.tags}
        if missing := [tag for tag in _tags(batch) if tag.lower() not in there]:
            await galaxy.histories.tag(history_id, [*facts.tags, *missing])
    rooms.effects.reach("upload.marks.act")
    await rooms.store.put_galaxy_object(batch, HISTORY, status=Status.DONE, receipt_at=rooms.clock.now())
    rooms.effects.reach("upload.marks.receipt")
    await rooms.store.journal(
        "history.joined",
        f"Batch {batch.id} goes to the history `{facts.name}`, which was there before.",
        unit_id=batch.unit_id,
        batch_id=batch.id,
    )
    return history_id


def _refuse_unusable(batch: Batch, facts: History) -> None:
    """Raise when nothing can be added to the history: PlanError for the archive, NotThere for a deleted one."""
    if facts.deleted or facts.purged:
        raise _deleted(batch, facts.name)
    if facts.archived:
        raise PlanError(
            f"The history `{facts.name}` of batch {batch.id} is in Galaxy's archive: nothing can be added there.",
            hint=f"Take it out of the archive and `galaxy-watcher retry {batch.id}`.",
        )


def _deleted(batch: Batch, name: str) -> NotThere:
    return NotThere(
        f"The history `{name}` of batch {batch.id} was deleted in Galaxy.",
        hint=f"Undelete it and `galaxy-watcher retry {batch.id}`, or `galaxy-watcher cancel {batch.id}`.",
    )


async def _unknown_readers(batch: Batch, rooms: Rooms, galaxy: Galaxy, history_id: HistoryId) -> Hold | None:
    """Ask, while the history is empty, whether all users it is to be shared with are there: most accounts may not look
    them up, and later the answer would open datasets to some of them.
    """
    users = batch.plan.share.users
    if not users or any(row.galaxy_id for row in await rooms.store.datasets(batch.id)):
        return None
    nobodys = await galaxy.sharing.nobodys(history_id, users)
    if not nobodys:
        return None
    return Hold(
        f"Galaxy knows no user {' and no user '.join(nobodys)}, with whom rule `{batch.plan.rule}` shares its history.",
        "unknown_user",
        hint=f"Correct `share:` in the rule, then `galaxy-watcher retry {batch.unit_id} --from plan`.",
    )


async def _make(batch: Batch, rooms: Rooms, galaxy: Galaxy, known: GalaxyObject | None) -> HistoryId:
    tag = f"{OWN}{batch.id}"

    async def note(intent_at: object) -> None:
        await rooms.store.put_galaxy_object(
            batch, HISTORY, kind="history", name=batch.plan.history, intent_at=intent_at
        )

    async def look() -> HistoryId | None:
        found = await galaxy.histories.find(tag) or await galaxy.histories.find_by_name(tag)
        return next((history.id for history in found if not history.deleted), None)

    async def make() -> HistoryId:
        if batch.plan.access == "private" or (batch.plan.library and batch.plan.library.access):
            await galaxy.users.make_new_datasets_private()
        return await galaxy.histories.create(tag)

    async def keep(history_id: HistoryId) -> None:
        await rooms.store.put_galaxy_object(batch, HISTORY, galaxy_id=history_id, receipt_at=rooms.clock.now())

    return await rooms.effects.once(
        "upload.history",
        intent_at=known.intent_at if known else None,
        look=look,
        note=note,
        act=make,
        keep=keep,
        always_look=True,
    )


def _tags(batch: Batch) -> list[str]:
    plan = batch.plan
    return [f"{OWN}{batch.id}", clean_tag("run", plan.run), *(plain_tag(own) for own in plan.tags)]


async def _mark(batch: Batch, rooms: Rooms, galaxy: Galaxy, history_id: HistoryId) -> None:
    rooms.effects.reach("upload.marks.intent")
    plan = batch.plan
    await galaxy.histories.mark(
        history_id,
        name=plan.history,
        tags=_tags(batch),
        annotation=plan.annotation or f"galaxy-watcher {batch.id}: {plan.run} {plan.unit}",
    )
    rooms.effects.reach("upload.marks.act")
    await rooms.store.put_galaxy_object(batch, HISTORY, status=Status.DONE)
    rooms.effects.reach("upload.marks.receipt")
    await rooms.store.journal(
        "history.made", f"History `{plan.history}` made for batch {batch.id}.", unit_id=batch.unit_id, batch_id=batch.id
    )
