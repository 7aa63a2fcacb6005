"""Hours of the day: over midnight, over a change of the clocks, in a named time zone and in the machine's own."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from pydantic_core import PydanticCustomError

from watcher.config.hours import Hours, check_span
from watcher.config.values import parse_rate

BERLIN = ZoneInfo("Europe/Berlin")


def berlin(day: str, at: str, fold: int = 0) -> datetime:
    """Return a time of the clocks in Berlin."""
    return datetime.fromisoformat(f"{day}T{at}").replace(tzinfo=BERLIN, fold=fold)


@pytest.mark.parametrize(
    ("written", "span"),
    [("20:00-06:00", "20:00-06:00"), (" 08:30 - 24:00 ", "08:30-24:00"), ("00:00-24:00", "00:00-24:00")],
)
def test_spans_are_read(written: str, span: str) -> None:
    """A span is two times of day."""
    assert check_span(written) == span


@pytest.mark.parametrize("written", ["20-6", "8:00-9:00", "20:00", "25:00-26:00", "24:00-06:00", "20:60-21:00", ""])
def test_other_spans_are_refused(written: str) -> None:
    """What is no span is told with an example."""
    with pytest.raises(PydanticCustomError) as refused:
        check_span(written)
    assert refused.value.context is not None
    assert "20:00-06:00" in refused.value.context["hint"]


def test_an_empty_span_is_refused() -> None:
    """Nobody means never, nor always."""
    with pytest.raises(PydanticCustomError, match="begins when it ends"):
        check_span("06:00-06:00")


def test_without_spans_it_is_always_open() -> None:
    """No hours, or the whole day, never change."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    for hours in (Hours((), None), Hours(("00:00-24:00",), BERLIN), Hours(("00:00-12:00", "12:00-24:00"), BERLIN)):
        assert hours.is_open(now)
        assert hours.next_change(now) is None


@pytest.mark.parametrize(
    ("at", "is_open", "changes"),
    [
        ("19:59", False, "2026-01-10T20:00"),
        ("20:00", True, "2026-01-11T06:00"),
        ("05:59", True, "2026-01-10T06:00"),
        ("06:00", False, "2026-01-10T12:00"),
        ("12:30", True, "2026-01-10T13:15"),
        ("13:15", False, "2026-01-10T20:00"),
    ],
)
def test_spans_hold_their_start_and_not_their_end(at: str, is_open: bool, changes: str) -> None:
    """Several spans, one of them over midnight, to the minute."""
    hours = Hours(("20:00-06:00", "12:00-13:15"), BERLIN)
    now = berlin("2026-01-10", at) + timedelta(seconds=17)
    if at in ("19:59", "05:59"):
        now = berlin("2026-01-10", f"{at}:59")
    assert hours.is_open(now) is is_open
    assert hours.next_change(now) == datetime.fromisoformat(changes).replace(tzinfo=BERLIN)


def opened_s(hours: Hours, start: datetime, end: datetime) -> float:
    """Return for how many seconds it is open, as a clock that goes from change to change finds it."""
    total, at = 0.0, start
    while at < end:
        change = min(hours.next_change(at) or end, end)
        total += (change - at).total_seconds() if hours.is_open(at) else 0.0
        at = change
    return total


def test_the_night_in_which_an_hour_is_left_out() -> None:
    """In spring the night is an hour shorter, and hours that begin in the hour left out begin after it."""
    evening, morning = berlin("2026-03-28", "12:00"), berlin("2026-03-29", "12:00")
    assert opened_s(Hours(("20:00-06:00",), BERLIN), evening, morning) == 9 * 3600
    assert opened_s(Hours(("02:30-05:00",), BERLIN), evening, morning) == 2 * 3600
    opens_at = Hours(("02:30-05:00",), BERLIN).next_change(evening)
    assert opens_at == datetime(2026, 3, 29, 1, 0, tzinfo=UTC)  # 03:00, the first minute after the change
    assert opened_s(Hours(("02:00-03:00",), BERLIN), evening, morning) == 0
    assert Hours(("02:00-03:00",), BERLIN).next_change(evening) == berlin("2026-03-30", "02:00")


def test_the_night_in_which_an_hour_comes_twice() -> None:
    """In autumn the night is an hour longer; the hour that comes twice counts twice."""
    evening, morning = berlin("2026-10-24", "12:00"), berlin("2026-10-25", "12:00")
    assert opened_s(Hours(("20:00-06:00",), BERLIN), evening, morning) == 11 * 3600
    assert opened_s(Hours(("02:00-03:00",), BERLIN), evening, morning) == 2 * 3600
    assert opened_s(Hours(("02:30-02:45",), BERLIN), evening, morning) == 2 * 15 * 60
    assert Hours(("20:00-06:00",), BERLIN).next_change(berlin("2026-10-24", "21:00")) == datetime(
        2026, 10, 25, 5, 0, tzinfo=UTC
    )


@pytest.fixture
def far_away(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the machine's own time zone be that of Auckland, 13 hours before UTC in January."""
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("far_away")
def test_without_a_time_zone_the_machines_own_counts() -> None:
    """The host's clock decides, also over its own change of the clocks."""
    hours = Hours(("20:00-06:00",), None)
    assert hours.is_open(datetime(2026, 1, 10, 8, 0, tzinfo=UTC))  # 21:00 there
    assert not hours.is_open(datetime(2026, 1, 10, 22, 0, tzinfo=UTC))  # 11:00 there
    assert hours.told(datetime(2026, 1, 10, 7, 0, tzinfo=UTC)) == "2026-01-10 20:00 NZDT"
    noon = datetime(2026, 4, 4, 0, 0, tzinfo=UTC)
    assert opened_s(hours, noon, noon + timedelta(hours=25)) == 11 * 3600  # the clocks go back on 5 April


@pytest.mark.parametrize(
    ("written", "rate"),
    [("50MB", 50_000_000), ("50 MB/s", 50_000_000), ("1MiB", 1024**2), (20_000, 20_000), ("10kB", 10_000)],
)
def test_rates_are_bytes_per_second(written: object, rate: int) -> None:
    """A rate is a size, with or without the second."""
    assert parse_rate(written) == rate


@pytest.mark.parametrize("written", ["400Mbit", "50Mb", "fast", "9kB", 0, None, True, "50MB/m"])
def test_other_rates_are_refused_with_the_unit(written: object) -> None:
    """Bits per second, and what nobody can mean, are refused with an example of what is meant."""
    with pytest.raises(PydanticCustomError) as refused:
        parse_rate(written)
    assert refused.value.context is not None
    assert "bytes per second" in refused.value.context["hint"]
