"""Poll rounds: one request for the job counts of a hundred invocations of an account, however many batches ask.

Whoever asks first in a round asks for everybody; the others are answered from it. Kept in memory only: after a restart
the first round asks anew. What the counts mean is the business of `endings.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from watcher.clock import Clock
from watcher.galaxy import Galaxy
from watcher.galaxy.invocation_answers import JobCounts
from watcher.model import HistoryId, InvocationId

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
    """One request per round for the job counts of all invocations of an account."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._wanted: dict[str, dict[InvocationId, tuple[float, float]]] = {}  # when, and how fresh it has to be
        self._known: dict[str, dict[InvocationId, tuple[float, JobCounts]]] = {}
        self._turn: dict[str, asyncio.Lock] = {}

    async def counts(
        self, galaxy: Galaxy, history_id: HistoryId, invocation_ids: Sequence[InvocationId], *, fresh_s: float
    ) -> Mapping[InvocationId, JobCounts]:
        """Return the counts of these invocations, at most `fresh_s` old; asks for all others that are due in the same
        request. An invocation that Galaxy does not tell of is missing.
        """
        account = galaxy.account.name
        wanted = self._wanted.setdefault(account, {})
        wanted |= dict.fromkeys(invocation_ids, (self._clock.monotonic(), fresh_s))
        async with self._turn.setdefault(account, asyncio.Lock()):
            known = self._known.setdefault(account, {})
            now = self._clock.monotonic()

            def is_due(one: InvocationId) -> bool:
                return one not in known or now - known[one][0] > wanted[one][1]

            if any(is_due(one) for one in invocation_ids):
                # What was cancelled or held meanwhile is not asked for by anybody any more.
                asked = sorted(one for one, (at, _) in wanted.items() if now - at <= ASKED_LATELY_S and is_due(one))
                answer = await galaxy.invocations.counts(history_id, asked)
                known.update({one: (now, counts) for one, counts in answer.items()})
            return {one: known[one][1] for one in invocation_ids if one in known}

    def forget(self, galaxy: Galaxy, invocation_ids: Iterable[InvocationId]) -> None:
        """Stop asking for invocations that have ended."""
        account = galaxy.account.name
        for one in invocation_ids:
            self._wanted.get(account, {}).pop(one, None)
            self._known.get(account, {}).pop(one, None)
