"""Servers that ask to be left alone: how long, and that the whole account keeps to it.

`Retry-After` (seconds or a date) comes with 429, and with 503 of a server in maintenance. Whoever hears it first tells
all others: until then no request leaves, and whoever would send one gets the same GalaxyBusy with what is left of it.
What is done in the meantime is the caller's business.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from watcher.clock import Clock
from watcher.errors import GalaxyBusy
from watcher.galaxy.refusals import Asked

DEFAULT_REST_S = 5.0
"""For a 429 that does not say how long, or says nonsense."""

LONGEST_REST_S = 3600.0
"""Nobody is left alone for longer without being asked whether it is still so."""


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return after how many seconds to come back; None when nothing is said of it."""
    text = headers.get("retry-after", "").strip()
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        try:
            # By the server's own clock, where it tells it: ours may differ.
            seconds = (_date(text) - (_date(headers["date"]) if headers.get("date") else now)).total_seconds()
        except ValueError:
            return DEFAULT_REST_S
    return min(max(seconds, 0.0), LONGEST_REST_S) if seconds == seconds else DEFAULT_REST_S


def _date(text: str) -> datetime:
    moment = parsedate_to_datetime(text)
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


class Rest:
    """The time for which an account leaves its server alone."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._until = float("-inf")

    def hear(self, status: int, headers: Mapping[str, str]) -> float | None:
        """Take note of a refusal, and return for how many seconds it asks to be left alone: 429 and 503 may."""
        if status not in (429, 503):
            return None
        seconds = retry_after(headers, self._clock.now())
        if seconds is None and status == 429:
            seconds = DEFAULT_REST_S
        if seconds is not None:
            self._until = max(self._until, self._clock.monotonic() + seconds)
        return seconds

    def refuse_meanwhile(self, asked: Asked) -> None:
        """Raise GalaxyBusy as long as the server is to be left alone: then nothing was sent."""
        left_s = self._until - self._clock.monotonic()
        if left_s > 0:
            raise GalaxyBusy(
                f"Galaxy at {asked.shown_url} asked to be left alone for {left_s:.0f} s more: it is not asked to"
                f" {asked.purpose} before that.",
                retry_after_s=left_s,
            )
