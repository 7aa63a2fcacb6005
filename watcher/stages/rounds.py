"""Poll rounds: one request for the job counts of a hundred invocations of an account, however many batches ask.

Whoever asks first in a round asks for everybody; the others are answered from it. Kept in memory only: after a restart
the first who asks learns from the rows for whom else. Galaxy answers 500 to a whole request in which it does not know
one id, as after its database was put back to an earlier state (measured on 26.1.2): such an id is found by
halves, and asked for by its own batch alone from then on. What the counts mean is the business of `endings.py`.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

import structlog

from watcher.clock import Clock
from watcher.errors import GalaxyBroken
from watcher.galaxy import Galaxy
from watcher.galaxy.invocation_answers import JobCounts
from watcher.model import HistoryId, InvocationId

log = structlog.get_logger("watcher")

ASKED_LATELY_S = 300.0
"""Whose counts nobody wanted for so long is left out of the next round."""

SHORTEST, LONGEST = timedelta(seconds=2), timedelta(seconds=60)
"""How soon a young invocation is asked for again, and an old one."""

SLOWING = 10
"""Asked for again after a tenth of its age: who waited ten minutes waits a minute more."""


def pause_after(started_at: datetime | None, now: datetime) -> timedelta:
    """Return when to ask again for an invocation that was started then."""
    age = now - started_at if started_at is not None else timedelta(0)
    return min(max(age / SLOWING, SHORTEST), LONGEST)


class PollRounds:
    """One request per round for the job counts of all invocations of an account; `followed` tells, by account, which
    ones the rows know.
    """

    def __init__(self, clock: Clock, followed: Callable[[str], Awaitable[Iterable[InvocationId]]]) -> None:
        self._clock = clock
        self._followed = followed
        self._wanted: dict[str, dict[InvocationId, tuple[float, float]]] = {}  # when, and how fresh it has to be
        self._known: dict[str, dict[InvocationId, tuple[float, JobCounts]]] = {}
        self._apart: dict[str, set[InvocationId]] = {}  # with these in it a request is answered for none
        self._turn: dict[str, asyncio.Lock] = {}

    async def counts(
        self, galaxy: Galaxy, history_id: HistoryId, invocation_ids: Sequence[InvocationId], *, fresh_s: float
    ) -> Mapping[InvocationId, JobCounts]:
        """Return the counts of these invocations, at most `fresh_s` old; asks for all others that are due in the same
        request. An invocation that Galaxy does not tell of is missing.

        Raises what Galaxy answers when it is asked for these alone; others harm nobody.
        """
        account = galaxy.account.name
        wanted = self._wanted.setdefault(account, {})
        wanted |= dict.fromkeys(invocation_ids, (self._clock.monotonic(), fresh_s))
        async with self._turn.setdefault(account, asyncio.Lock()):
            now = self._clock.monotonic()
            if account not in self._known:
                self.expect(galaxy, await self._followed(account))
                self._known[account] = {}
            known = self._known[account]

            def is_due(one: InvocationId) -> bool:
                return one not in known or now - known[one][0] > wanted[one][1]

            if any(is_due(one) for one in invocation_ids):
                # What was cancelled or held meanwhile is not asked for by anybody any more.
                due = sorted(one for one, (at, _) in wanted.items() if now - at <= ASKED_LATELY_S and is_due(one))
                answer = await self._asked(galaxy, history_id, invocation_ids, due)
                known.update({one: (now, counts) for one, counts in answer.items()})
            return {one: known[one][1] for one in invocation_ids if one in known}

    async def _asked(
        self, galaxy: Galaxy, history_id: HistoryId, own: Sequence[InvocationId], due: Sequence[InvocationId]
    ) -> Mapping[InvocationId, JobCounts]:
        """Ask for all that are due at once, and where that fails for those of others alone find out for which."""
        apart = self._apart.setdefault(galaxy.account.name, set())
        together = list(own) if apart.intersection(own) else [one for one in due if one not in apart]
        others = [one for one in together if one not in own]
        try:
            answer = await galaxy.invocations.counts(history_id, together)
        except GalaxyBroken:
            if not others:
                raise
            answer = await galaxy.invocations.counts(history_id, own)  # fails when it is these, or all of Galaxy
            answer |= await self._by_halves(galaxy, history_id, others)
        apart.difference_update(answer)
        return answer

    async def _by_halves(
        self, galaxy: Galaxy, history_id: HistoryId, ids: Sequence[InvocationId]
    ) -> dict[InvocationId, JobCounts]:
        """Return the counts that Galaxy tells; the others stay apart from now on."""
        try:
            return await galaxy.invocations.counts(history_id, ids)
        except GalaxyBroken as error:
            if len(ids) == 1:
                self._apart[galaxy.account.name].update(ids)
                log.warning("invocation.not_counted", invocation=ids[0], reason=error.message)
                return {}
        middle = len(ids) // 2
        first = await self._by_halves(galaxy, history_id, ids[:middle])
        return first | await self._by_halves(galaxy, history_id, ids[middle:])

    def expect(self, galaxy: Galaxy, invocation_ids: Iterable[InvocationId]) -> None:
        """Ask for these in the next round as well, whoever begins it: inner ones that were just found."""
        wanted = self._wanted.setdefault(galaxy.account.name, {})
        for one in invocation_ids:
            wanted.setdefault(one, (self._clock.monotonic(), math.inf))  # how fresh, its batch will say

    def forget(self, galaxy: Galaxy, invocation_ids: Iterable[InvocationId]) -> None:
        """Stop asking for invocations that have ended."""
        account = galaxy.account.name
        for one in invocation_ids:
            self._wanted.get(account, {}).pop(one, None)
            self._known.get(account, {}).pop(one, None)
            self._apart.get(account, set()).discard(one)
