"""How an effect on the outside world happens exactly once: intent, act, receipt.

The intent is stored before the act, the receipt after it. Whoever finds an intent without a receipt looks first
whether the act took place. An act whose answer is unknown stays uncertain for a while, because a server may finish a
request after the line was cut; only then it is repeated. `POINTS` lists every instant at which a sudden death must
leave nothing lost and nothing doubled; the tests kill the program at each of them. This module knows no effect
itself; the stages name theirs in `EFFECTS`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from datetime import datetime, timedelta
from typing import Any, TypeVar

from watcher.clock import Clock
from watcher.errors import AnswerLost, GalaxyBroken, Uncertain, WatcherError
from watcher.model import Stage

R = TypeVar("R")

EFFECTS = (
    "plan.workflow",
    "upload.history",
    "upload.marks",
    "upload.session",
    "upload.bytes",
    "upload.library",
    "upload.folder",
    "upload.fetch",
    "upload.import",
    "upload.check",
    "upload.item",
    "upload.copy",
    "upload.share",
    "invoke.collection",
    "invoke.copy",
    "invoke.invocation",
    "poll.resume",
    "poll.review",
    "poll.record",
    "poll.attempt",
    "deliver.write",
    "deliver.log",
    "deliver.archive",
    "deliver.send",
    "deliver.file",
    "deliver.manifest",
    "deliver.library",
    "deliver.folder",
    "deliver.item",
    "deliver.rights",
    "finish.session",
    "finish.purge",
    "finish.history",
    "finish.copy",
    "finish.claim",
    "finish.place",
    "finish.remove",
    "finish.receipt",
)
"""Every effect on Galaxy, on a target or on a run folder, and what is stored of one in several steps,
named `stage.effect`."""

INSTANTS = ("intent", "act", "receipt")

POINTS = tuple(f"{stage}.{edge}" for stage in Stage for edge in ("begun", "moved")) + tuple(
    f"{effect}.{instant}" for effect in EFFECTS for instant in INSTANTS
)
"""Where a kill must be harmless: around each stage, and at intent, act and receipt of each effect."""

Points = Callable[[str], None]


async def together(work: Iterable[Coroutine[Any, Any, object]]) -> None:
    """Run coroutines side by side; the first error, or a cancellation, ends them all and comes out as itself."""
    try:
        async with asyncio.TaskGroup() as group:
            for one in work:
                group.create_task(one)
    except BaseExceptionGroup as errors:
        error: BaseException = errors
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        raise error from None


def pass_by(point: str) -> None:
    """Do nothing at a point: what the program does outside the crash tests."""


class EffectRunner:
    """Makes effects once; `uncertain_for` is how long an act without an answer may still take effect."""

    def __init__(self, clock: Clock, points: Points, uncertain_for: timedelta) -> None:
        self._clock = clock
        self._points = points
        self._uncertain_for = uncertain_for

    def reach(self, point: str) -> None:
        """Tell the crash tests that this point is reached."""
        self._points(point)

    async def once(
        self,
        name: str,
        *,
        intent_at: datetime | None,
        look: Callable[[], Awaitable[R | None]],
        note: Callable[[datetime | None], Awaitable[object]],
        act: Callable[[], Awaitable[R]],
        keep: Callable[[R], Awaitable[object]],
        repeatable: bool = False,
        always_look: bool = False,
    ) -> R:
        """Return the effect's result, made now or found.

        `look` finds an earlier result (None = not there), `note` stores the intent (None = takes it back), `act`
        makes it, `keep` stores the receipt. `repeatable` acts are harmless when done twice and are not waited for.
        Raises `Uncertain` while an unanswered act may still come true.
        """
        found = await look() if intent_at or always_look else None
        if found is None:
            if intent_at and not repeatable:
                self.refuse_while_uncertain(name, intent_at)
            await note(self._clock.now())
            self._points(f"{name}.intent")
            try:
                found = await act()
            except (AnswerLost, GalaxyBroken):
                raise  # the intent stands: look again before anything is repeated
            except WatcherError:
                await note(None)  # Galaxy said no, or was never reached: certainly not done
                raise
            self._points(f"{name}.act")
        await keep(found)
        self._points(f"{name}.receipt")
        return found

    def refuse_while_uncertain(self, name: str, intent_at: datetime) -> None:
        """Raise until the act can no longer come true; pauses grow with the age of the intent."""
        age = self._clock.now() - intent_at
        if age < self._uncertain_for:
            left = self._uncertain_for - age
            pause = min(max(age / 2, timedelta(seconds=1)), left, timedelta(minutes=1))
            raise Uncertain(f"The answer to `{name}` never came; looking whether Galaxy did it after all.", pause)
