"""Poll rounds: how often Galaxy is asked, whoever asks."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from watcher.clock import ManualClock
from watcher.errors import GalaxyBroken
from watcher.galaxy.invocation_answers import JobCounts
from watcher.model import HistoryId, InvocationId
from watcher.stages.rounds import ASKED_LATELY_S, PollRounds, pause_after

HISTORY = HistoryId("h")


class Counting:
    """Stands for the one call of a Galaxy that rounds make, and remembers what was asked for."""

    def __init__(self, *unknown: InvocationId) -> None:
        self.asked: list[list[str]] = []
        self.unknown = set(unknown)
        self.account = SimpleNamespace(name="account")
        self.invocations = self

    async def counts(self, history: HistoryId, ids: Sequence[InvocationId]) -> dict[InvocationId, JobCounts]:
        """Tell of every invocation that it runs; none of them when one is unknown, as Galaxy does."""
        self.asked.append(list(ids))
        await asyncio.sleep(0)  # others may ask meanwhile
        if self.unknown.intersection(ids):
            raise GalaxyBroken("Internal Server Error", status=500)
        return {one: JobCounts.model_validate({"id": one, "populated_state": "ok", "states": {}}) for one in ids}


async def nobody(_: str) -> list[InvocationId]:
    """Know of no invocation, as the rows of a new watcher."""
    return []


def ids(*numbers: int) -> list[InvocationId]:
    """Return ids in order."""
    return [InvocationId(f"i{number:03d}") for number in numbers]


async def test_whoever_asks_first_asks_for_all() -> None:
    """Two hundred that are due are asked for once, and each is answered."""
    galaxy: Any = Counting()
    clock = ManualClock()
    rounds = PollRounds(clock, nobody)
    for _ in range(2):
        answers = await asyncio.gather(*(rounds.counts(galaxy, HISTORY, ids(n), fresh_s=1) for n in range(200)))
        assert [list(answer) for answer in answers] == [ids(n) for n in range(200)]
        clock.advance(timedelta(seconds=2))
    assert [len(asked) for asked in galaxy.asked][-1] == 200
    assert sum(len(asked) for asked in galaxy.asked) <= 2 * 200


async def test_old_ones_are_left_in_peace_while_young_ones_are_asked_for() -> None:
    """An invocation is in a round only when it is due by its own age."""
    galaxy: Any = Counting()
    clock = ManualClock()
    rounds = PollRounds(clock, nobody)
    await rounds.counts(galaxy, HISTORY, ids(1), fresh_s=30)
    for _ in range(3):
        await rounds.counts(galaxy, HISTORY, ids(2), fresh_s=1)
        clock.advance(timedelta(seconds=2))
    assert galaxy.asked == [ids(1), ids(2), ids(2), ids(2)]
    clock.advance(timedelta(seconds=30))
    await rounds.counts(galaxy, HISTORY, ids(2), fresh_s=1)
    assert galaxy.asked[-1] == ids(1, 2)


async def test_nobody_asks_for_what_was_forgotten() -> None:
    """What ended, and what no stage wanted for minutes, is in no round any more."""
    galaxy: Any = Counting()
    clock = ManualClock()
    rounds = PollRounds(clock, nobody)
    await rounds.counts(galaxy, HISTORY, ids(1, 2, 3), fresh_s=1)
    rounds.forget(galaxy, ids(1))
    clock.advance(timedelta(seconds=10))
    await rounds.counts(galaxy, HISTORY, ids(3), fresh_s=1)
    assert galaxy.asked[-1] == ids(2, 3)
    clock.advance(timedelta(seconds=ASKED_LATELY_S + 1))
    await rounds.counts(galaxy, HISTORY, ids(3), fresh_s=1)
    assert galaxy.asked[-1] == ids(3)


async def test_the_first_who_asks_asks_for_all_that_the_rows_know() -> None:
    """After a restart two hundred that come one after the other are one request, too."""
    galaxy: Any = Counting()

    async def known(account: str) -> list[InvocationId]:
        assert account == "account"
        return ids(*range(200))

    rounds = PollRounds(ManualClock(), known)
    for number in range(200):
        assert list(await rounds.counts(galaxy, HISTORY, ids(number), fresh_s=1)) == ids(number)
    assert galaxy.asked == [ids(*range(200))]


async def test_one_that_galaxy_does_not_know_spoils_nothing_for_the_others() -> None:
    """It is found by halves, once; its own batch is told, and from then on it is asked for alone."""
    bad = ids(77)
    galaxy: Any = Counting(*bad)
    clock = ManualClock()
    rounds = PollRounds(clock, nobody)

    async def all_rounds() -> list[Any]:
        asking = (rounds.counts(galaxy, HISTORY, ids(number), fresh_s=1) for number in range(100))
        return await asyncio.gather(*asking, return_exceptions=True)

    for _ in range(2):
        answers = await all_rounds()
        assert [n for n, answer in enumerate(answers) if isinstance(answer, GalaxyBroken)] == [77]
        assert all(list(answer) == ids(n) for n, answer in enumerate(answers) if n != 77)
        clock.advance(timedelta(seconds=2))
    before = len(galaxy.asked)
    assert before < 40
    await all_rounds()
    assert galaxy.asked[before:] == [ids(*(n for n in range(100) if n != 77)), bad]
    galaxy.unknown.clear()  # the server was put right
    clock.advance(timedelta(seconds=2))
    await all_rounds()
    clock.advance(timedelta(seconds=2))
    before = len(galaxy.asked)
    await all_rounds()
    assert galaxy.asked[before:] == [ids(*range(100))]


async def test_a_galaxy_that_fails_altogether_is_not_asked_for_each_one() -> None:
    """Two requests for each who asks, not one for everybody he knows."""
    everyone = ids(*range(100))
    galaxy: Any = Counting(*everyone)
    rounds = PollRounds(ManualClock(), nobody)
    asking = (rounds.counts(galaxy, HISTORY, [one], fresh_s=1) for one in everyone)
    answers = await asyncio.gather(*asking, return_exceptions=True)
    assert all(isinstance(answer, GalaxyBroken) for answer in answers)
    assert len(galaxy.asked) <= 200


@pytest.mark.parametrize(("age_s", "expected_s"), [(0, 2), (10, 2), (100, 10), (3600, 60)])
def test_pauses_grow_with_the_age_of_an_invocation(age_s: int, expected_s: int) -> None:
    """From two seconds to a minute."""
    now = ManualClock().now()
    assert pause_after(now - timedelta(seconds=age_s), now) == timedelta(seconds=expected_s)
