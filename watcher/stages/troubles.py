"""What keeps single deliveries of a batch from being made, and what that means for the batch.

Each delivery is made whatever became of the others. A target that is full or away is waited for; what only a person
can put right holds the batch, once nothing else is to be waited for. A delivery that may fail holds nothing: it is
given up at once, or after an hour where waiting may help.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from watcher.errors import DeliveryBroken, DeliveryError, TargetFull, TargetGone
from watcher.model import PlannedDelivery, Status, Wait
from watcher.rows import Batch, DeliveryRow
from watcher.stages.rooms import Rooms

PASSING = (TargetFull, TargetGone)
PATIENCE = timedelta(hours=1)
"""How long a delivery that may fail is waited for, from the first trouble on."""

AGAIN_AFTER = timedelta(minutes=5)
DELIVERY_WAITS = "delivery_waits"
"""Why a batch waits all of whose deliveries are made but for some that may fail."""

AT_WORK = "galaxy_at_work"
"""Where a batch that waits for Galaxy remembers which deliveries are broken, by key, and what a person can do."""

IN_TROUBLE = "in_trouble"
"""Where a batch remembers since when a delivery cannot be made, by its key."""


@dataclass
class Troubles:
    """The troubles of one round over all deliveries; `lacking` says of each that was given up what became of it."""

    batch: Batch
    rooms: Rooms
    lacking: list[str] = field(default_factory=list)
    _met: list[tuple[PlannedDelivery, DeliveryError]] = field(default_factory=list)
    _since: dict[str, str] = field(default_factory=dict)
    _broken: dict[str, str] = field(default_factory=dict)

    def refuse_again(self, planned: PlannedDelivery, known: DeliveryRow | None) -> None:
        """Raise what broke a delivery in a round before this one, while the batch only waits for another delivery:
        only a person can put it right, and says so by a retry.
        """
        told: dict[str, str] = self.batch.more.get(AT_WORK, {})
        if known and planned.key in told and known.status in (Status.HELD, Status.FAILED):
            raise DeliveryBroken(known.reason, hint=told[planned.key])

    async def note(self, planned: PlannedDelivery, error: DeliveryError, known: DeliveryRow | None) -> None:
        """Keep with the delivery why it was not made, and decide whether it is given up; `known` is how it stood."""
        now, passes = self.rooms.clock.now(), isinstance(error, PASSING)
        since = self.batch.more.get(IN_TROUBLE, {}).get(planned.key) or now.isoformat()
        is_given_up = planned.may_fail and not (passes and now - datetime.fromisoformat(since) < PATIENCE)
        if not passes:
            self._broken[planned.key] = error.hint
        status = Status.FAILED if is_given_up else Status.WAITING if passes else Status.HELD
        await self.rooms.store.put_delivery(
            self.batch, planned.key, target=planned.target, on_ending=planned.on, status=status, reason=error.message
        )
        if not is_given_up:
            self._since[planned.key] = since
            self._met.append((planned, error))
            return
        told = f"Delivery {planned.key} to {planned.target} failed, as it may: {error.message}"
        self.lacking.append(told)
        if known and (known.status, known.reason) == (
            Status.FAILED,
            error.message,
        ):  # told already: others are waited for
            return
        await self.rooms.store.journal(
            "delivery.failed", f"{told} ({self.batch.id})", unit_id=self.batch.unit_id, batch_id=self.batch.id
        )

    async def settled(self, waits: Sequence[Wait] = ()) -> Wait | None:
        """Return None when no delivery is to be waited for, a Wait for one that Galaxy is at work on (`waits`) or that
        may fail; raise what the batch has to wait for, or a person to see, otherwise.
        """
        more = {IN_TROUBLE: self._since, AT_WORK: self._broken if waits else {}}
        if any(self.batch.more.get(name, {}) != value for name, value in more.items()):
            await self.rooms.store.touch(self.batch, more=more)
        if waits:
            return min(waits, key=lambda wait: wait.after)
        required = [(planned, error) for planned, error in self._met if not planned.may_fail]
        for planned, error in required:
            if isinstance(error, PASSING):
                error.subject = planned.base
                raise error
        if required:
            raise required[0][1]
        if self._met:
            planned, error = self._met[0]
            return Wait(AGAIN_AFTER, f"Delivery {planned.key}, which may fail: {error.message}", DELIVERY_WAITS)
        return None
