"""However long something is missing, nothing is complete because of it: it is told, then a person is asked."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.runs.instruments import INSTRUMENTS
from tests.runs.run_folders import LAYOUTS
from watcher.runs.layout import Judgement, judge

SECOND, YEARS = timedelta(seconds=1), timedelta(days=999)
MARKED = [name for name, one in INSTRUMENTS.items() if one.last and one.outcome == "ready"]


def unfinished(name: str, max_wait: timedelta, abandoned: timedelta) -> list[Judgement]:
    """Return the verdicts on the units of a run without their last files, in which nothing has moved for a minute."""
    instrument = INSTRUMENTS[name]
    tree = instrument.make().without(*instrument.last.values()).seen_by(LAYOUTS[instrument.layout])
    units = [found.unit for found in tree.units(instrument.layout)]
    looks = [
        tree.look(instrument.layout, unit, quiet_s=60.0, max_wait=max_wait, abandoned=abandoned)
        for unit in units
        if unit in instrument.last
    ]
    return [judge(look) for look in looks]


@pytest.mark.parametrize("name", MARKED)
def test_waiting_for_too_long_names_what_is_missing(name: str) -> None:
    """The notice has the words of every predicate that does not hold, and is no end."""
    for judgement in unfinished(name, SECOND, YEARS):
        missing = [one.detail for one in judgement.predicates if not one.holds]
        assert missing
        assert judgement.overdue == f"nothing has changed for 1 s, but {'; '.join(missing)}"
        assert (judgement.complete, judgement.held, judgement.failed) == (False, "", "")


@pytest.mark.parametrize("name", MARKED)
def test_giving_up_asks_a_person(name: str) -> None:
    """It is held with the same words, never complete; then there is nothing to tell beside it."""
    for judgement in unfinished(name, SECOND, SECOND):
        missing = [one.detail for one in judgement.predicates if not one.holds]
        assert (judgement.complete, judgement.overdue) == (False, "")
        assert judgement.held_as in ("abandoned", "never_started")
        assert judgement.held.endswith(f"nothing has changed for 1 s, but {'; '.join(missing)}")


@pytest.mark.parametrize("name", MARKED)
def test_nothing_is_told_before_its_time(name: str) -> None:
    """A unit that waits for less than `max_wait` just waits."""
    for judgement in unfinished(name, YEARS, YEARS):
        assert (judgement.complete, judgement.overdue, judgement.held) == (False, "", "")
