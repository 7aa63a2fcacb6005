"""Obstacles, journal and verbs."""

from __future__ import annotations

from datetime import timedelta

from watcher.clock import ManualClock
from watcher.model import Stage, Status
from watcher.store.store import Store

GALAXY = ("galaxy:main", "galaxy", "main", "Galaxy does not answer.", "Is it up?")


async def test_obstacle_is_new_once(store: Store, clock: ManualClock) -> None:
    """A second fault of the same thing takes the newest reason, keeps the time of the first, and asks for no notice."""
    first, is_new = await store.raise_obstacle(*GALAXY)
    clock.advance(60)
    second, again = await store.raise_obstacle("galaxy:main", "galaxy", "main", "502", "Is the proxy up?")
    assert (is_new, again) == (True, False)
    assert second.since == first.since
    assert [(o.reason, o.hint) for o in await store.obstacles()] == [("502", "Is the proxy up?")]


async def test_obstacle_that_comes_back_is_new(store: Store, clock: ManualClock) -> None:
    """An obstacle that ended and is met again starts a new time and a new notice."""
    await store.raise_obstacle(*GALAXY)
    await store.set_probe("galaxy:main", clock.now() + timedelta(minutes=1))
    await store.end_obstacle("galaxy:main")
    assert await store.obstacles() == []
    ended = (await store.obstacles(open_only=False))[0]
    assert ended.ended_at == clock.now() and ended.next_probe_at is None
    clock.advance(60)
    risen, is_new = await store.raise_obstacle(*GALAXY)
    assert is_new and risen.since == clock.now() and risen.ended_at is None
    assert await store.obstacles() == [risen]


async def test_what_was_met_before_the_end_raises_nothing(store: Store, clock: ManualClock) -> None:
    """The news of a fault may come after its end: it stays ended, and only what is met from then on raises it anew."""
    began_at = clock.now()
    await store.raise_obstacle(*GALAXY, met_since=began_at)
    clock.advance(5)
    await store.end_obstacle("galaxy:main")
    clock.advance(1)
    ended, is_new = await store.raise_obstacle(*GALAXY, met_since=began_at)
    assert (is_new, ended.ended_at is not None, await store.obstacles()) == (False, True, [])
    unit = await store.begin(await store.add_unit("miseq", "files", "a", "a", ".", "/data"))
    await store.finish_stage(unit, stage=Stage.VERIFY, status=Status.WAITING, obstacle=ended.key)
    assert [row.id for row in await store.due(clock.now())] == [unit.id]
    _, is_new = await store.raise_obstacle(*GALAXY, met_since=clock.now())
    assert is_new and len(await store.obstacles()) == 1


async def test_end_of_obstacle_frees_rows(store: Store, clock: ManualClock) -> None:
    """Rows behind an obstacle are not due until it ends, and all of them at once then; rows behind another stay."""
    await store.raise_obstacle(*GALAXY)
    await store.raise_obstacle("mount:miseq", "mount", "miseq", "gone", "")
    units = [await store.add_unit("miseq", "files", name, name, ".", "/data") for name in ("a", "b", "c")]
    for unit, key in zip(units, ("galaxy:main", "galaxy:main", "mount:miseq"), strict=True):
        begun = await store.begin(unit)
        await store.finish_stage(begun, stage=Stage.VERIFY, status=Status.WAITING, obstacle=key)
    assert await store.due(clock.now()) == []
    assert await store.next_due() is None
    assert await store.end_obstacle("galaxy:main") == 2
    assert {row.id for row in await store.due(clock.now())} == {units[0].id, units[1].id}


async def test_obstacle_that_ended_meanwhile_stops_nobody(store: Store, clock: ManualClock) -> None:
    """A stage that met an obstacle which is gone when its outcome is stored becomes due at once, not never."""
    await store.raise_obstacle(*GALAXY)
    unit = await store.begin(await store.add_unit("miseq", "files", "a", "a", ".", "/data"))
    await store.end_obstacle("galaxy:main")
    moved = await store.finish_stage(unit, stage=Stage.VERIFY, status=Status.WAITING, obstacle="galaxy:main")
    assert moved.obstacle == ""
    assert [row.id for row in await store.due(clock.now())] == [unit.id]


async def test_journal_in_order(store: Store, clock: ManualClock) -> None:
    """The newest lines of a unit come back, oldest of them first, with what was said."""
    for number in range(5):
        clock.advance(1)
        await store.journal("unit.settled", f"line {number}", unit_id="k7m2x9", batch_id="k7m2x9-1", more={"n": number})
    await store.journal("unit.settled", "another", actor="anna", unit_id="aaaaaa")
    lines = await store.journal_of("k7m2x9", limit=3)
    assert [line.text for line in lines] == ["line 2", "line 3", "line 4"]
    assert lines[-1].at == clock.now() and lines[-1].actor == "watcher" and lines[-1].more == {"n": 4}
    assert len(await store.journal_of()) == 6


async def test_verbs_are_answered_once(store: Store, clock: ManualClock) -> None:
    """Wishes keep their order and are open until answered; a second answer changes nothing."""
    first = await store.add_verb("anna", "retry", "k7m2x9-1", {"from": "plan"})
    second = await store.add_verb("ben", "cancel", "k7m2x9")
    assert await store.open_verbs() == [first, second]
    assert await store.answer_verb(first.id, "Goes on from plan.")
    assert not await store.answer_verb(first.id, "no")
    assert await store.open_verbs() == [second]
    answered = await store.verb(first.id)
    assert answered is not None
    assert (answered.answer, answered.done_at, answered.arguments) == (
        "Goes on from plan.",
        clock.now(),
        {"from": "plan"},
    )
