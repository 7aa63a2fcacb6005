"""What each error means: one verdict for every class of the tree, none of them guessed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from watcher import errors
from watcher.errors import Uncertain, WatcherError
from watcher.service.faults import SHORT_TRIES, TRIES, Means, judge
from watcher.service.obstacles import PROBES

TABLE = {
    "Superseded": Means.STOP,
    "GalaxyAway": Means.AGAIN,
    "AnswerLost": Means.AGAIN,
    "LineCut": Means.AGAIN,
    "NoGalaxy": Means.AGAIN,
    "GalaxyBusy": Means.AGAIN,
    "KeyRefused": Means.OBSTACLE,
    "OverQuota": Means.OBSTACLE,
    "SessionLost": Means.AGAIN,
    "GalaxyBroken": Means.AGAIN,
    "Forbidden": Means.HOLD,
    "NotThere": Means.HOLD,
    "Refused": Means.HOLD,
    "GalaxyError": Means.HOLD,
    "MountGone": Means.OBSTACLE,
    "TargetFull": Means.OBSTACLE,
    "TargetGone": Means.OBSTACLE,
    "DeliveryBroken": Means.HOLD,
    "NameTaken": Means.HOLD,
    "DeliveryError": Means.HOLD,
    "RunFailed": Means.FAIL,
    "StructureBroken": Means.HOLD,
    "ContentBroken": Means.HOLD,
    "RunError": Means.HOLD,
    "FileChanged": Means.HOLD,
    "FileGone": Means.HOLD,
    "UnsafePath": Means.HOLD,
    "DiskError": Means.HOLD,
    "PlanError": Means.HOLD,
    "StateError": Means.AGAIN,
    "SandboxError": Means.HOLD,
    "UsageError": Means.HOLD,
    "ConfigError": Means.HOLD,
    "WatcherError": Means.HOLD,
    "Uncertain": Means.AGAIN,
}


def classes(base: type[WatcherError] = WatcherError) -> Iterator[type[WatcherError]]:
    """Yield every class of the tree."""
    yield base
    for below in base.__subclasses__():
        yield from classes(below)


def made(kind: type[WatcherError]) -> WatcherError:
    """Make one error of a class."""
    if issubclass(kind, errors.ConfigError):
        return kind([])
    if issubclass(kind, Uncertain):
        return kind("unsure", timedelta(seconds=7))
    return kind("something happened to something")


ALL = {kind.__name__: kind for kind in classes()}


@pytest.mark.parametrize("kind", [pytest.param(ALL[name], id=name) for name in sorted(ALL)])
def test_every_error_has_its_verdict(kind: type[WatcherError]) -> None:
    """Each class means what the table says; a new class has to be put there."""
    assert judge(made(kind), 0).means is TABLE[kind.__name__]


@pytest.mark.parametrize("kind", ["AnswerLost", "SessionLost", "GalaxyBroken"])
def test_nothing_is_tried_for_ever(kind: str) -> None:
    """After some tries in a row a person is asked, or everybody waits for Galaxy together."""
    error = made(getattr(errors, kind))
    pauses = [judge(error, tries).after.total_seconds() for tries in range(TRIES)]
    assert all(2**tries <= pause <= 1.5 * 2**tries for tries, pause in enumerate(pauses))
    assert judge(error, TRIES).means in (Means.HOLD, Means.OBSTACLE)


@pytest.mark.parametrize("kind", [errors.GalaxyAway, errors.NoGalaxy])
def test_a_galaxy_that_stays_away_is_an_obstacle(kind: type[errors.GalaxyError]) -> None:
    """What breaks once is tried again; after a few times everything behind this Galaxy waits together."""
    means = [judge(kind("away"), tries).means for tries in range(SHORT_TRIES + 1)]
    assert means == [Means.AGAIN] * SHORT_TRIES + [Means.OBSTACLE]


def test_a_bug_of_ours_is_held() -> None:
    """An error nobody foresaw stops the row for a person and nothing else."""
    assert judge(ZeroDivisionError(), 0).means is Means.HOLD


def test_galaxy_says_when_to_come_back() -> None:
    """Retry-After is kept."""
    assert judge(errors.GalaxyBusy("busy", retry_after_s=42), 0).after == timedelta(seconds=42)


def test_every_obstacle_can_be_probed() -> None:
    """Whatever becomes an obstacle has a question that ends it."""
    kinds = {judge(made(one), tries).kind for one in classes() for tries in (0, TRIES)} - {""}
    assert kinds <= set(PROBES)
