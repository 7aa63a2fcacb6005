"""What a fault means: one function, one reason per error.

Four answers. *Again*: worth another try, after a pause that grows. *Obstacle*: a shared thing is broken (account,
Galaxy, mount, target, disk, quota); whatever stands behind it waits and goes on by itself. *Hold*: we stopped and ask
a person; the answer to everything unknown. *Stop*: somebody else moved the row. What to say to people stands in the
errors themselves (`errors.py`).
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from watcher.errors import (
    AnswerLost,
    DeliveryError,
    DiskError,
    Forbidden,
    GalaxyAway,
    GalaxyBroken,
    GalaxyBusy,
    KeyRefused,
    MountGone,
    NoGalaxy,
    NotThere,
    OverQuota,
    PlanError,
    Refused,
    RunError,
    RunFailed,
    SessionLost,
    StateError,
    Superseded,
    TargetFull,
    TargetGone,
    Uncertain,
    WatcherError,
)

TRIES = 6
"""How often in a row something is tried again before a person is asked."""

SHORT_TRIES = 1
"""The same for a line that breaks: one such break in a long download is no dead Galaxy."""


class Means(StrEnum):
    """What is done about a fault."""

    AGAIN = "again"
    OBSTACLE = "obstacle"
    HOLD = "hold"
    FAIL = "fail"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a fault means; `after` for *again*, `kind` for *obstacle*."""

    means: Means
    after: timedelta = timedelta(0)
    kind: str = ""


def judge(error: Exception, tries: int) -> Verdict:
    """Decide what an error means after `tries` earlier ones in a row."""
    match error:
        case Superseded():
            return Verdict(Means.STOP)
        case StateError():  # our own database, full or locked: no person can say more about this row than about all
            return _again(tries)
        case Uncertain():  # the look-up is not over yet; does not count as a try
            return Verdict(Means.AGAIN, error.again_in)
        case AnswerLost():  # the next entry looks whether it was done
            return _again(tries) if tries < TRIES else Verdict(Means.OBSTACLE, kind="galaxy")
        case GalaxyAway() | NoGalaxy():  # may pass at once; when nobody answers, all behind this Galaxy wait together
            return _again(tries) if tries < SHORT_TRIES else Verdict(Means.OBSTACLE, kind="galaxy")
        case GalaxyBusy():  # Galaxy itself says when
            return Verdict(Means.AGAIN, timedelta(seconds=max(error.retry_after_s, 1.0)))
        case KeyRefused():  # every batch of the account would fail alike; a new key file heals all
            return Verdict(Means.OBSTACLE, kind="account")
        case OverQuota():
            return Verdict(Means.OBSTACLE, kind="quota")
        case SessionLost() | GalaxyBroken():  # an internal error of Galaxy may pass; a lasting one needs a person
            return _again(tries) if tries < TRIES else Verdict(Means.HOLD)
        case Forbidden() | NotThere() | Refused():  # asking again changes nothing
            return Verdict(Means.HOLD)
        case MountGone():
            return Verdict(Means.OBSTACLE, kind="mount")
        case TargetFull() | TargetGone():
            return Verdict(Means.OBSTACLE, kind="target")
        case RunFailed():
            return Verdict(Means.FAIL)
        case (
            DiskError() | RunError() | PlanError() | DeliveryError()
        ):  # a file, a rule, a name: only a person can correct it
            return Verdict(Means.HOLD)
        case WatcherError():
            return Verdict(Means.HOLD)
        case _:  # a bug of ours: never guess
            return Verdict(Means.HOLD)


def _again(tries: int) -> Verdict:
    """Pause 1 s, 2 s, 4 s … up to a minute, each up to half as long again so that many do not come back at once."""
    pause = min(2.0**tries, 60.0)
    return Verdict(Means.AGAIN, timedelta(seconds=pause * random.uniform(1.0, 1.5)))
