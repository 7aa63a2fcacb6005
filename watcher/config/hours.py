"""Hours of the day in which something may happen, by the wall clock of one time zone.

Asked of the wall clock minute by minute, so that nights with a change of the clocks need no rule of their own: the hour
that comes twice counts twice, the hour that is left out is left out. What happens in these hours is not known here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from watcher.config.values import wrong

_SPAN = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])\s*-\s*(([01][0-9]|2[0-3]):([0-5][0-9])|24:00)")
_MINUTE = timedelta(minutes=1)
_LOOK_AHEAD = 2 * 24 * 60
_HINT = 'For example "20:00-06:00"; hours have two digits, and the end may be 24:00.'


def check_span(value: str) -> str:
    """Return `20:00-06:00` as it is written everywhere."""
    found = _SPAN.fullmatch(value.strip())
    if found is None:
        raise wrong("is not a span of hours.", _HINT)
    start, end = f"{found[1]}:{found[2]}", found[3]
    if start == end:
        raise wrong("begins when it ends.", "Leave hours out to send at any time.")
    return f"{start}-{end}"


class Hours:
    """Spans of every day (`20:00-06:00` goes over midnight); none: always. `zone` None is this machine's own."""

    def __init__(self, spans: Sequence[str], zone: ZoneInfo | None) -> None:
        self._spans = [(_minutes(span[:5]), _minutes(span[6:])) for span in spans]
        self._zone = zone

    def is_open(self, moment: datetime) -> bool:
        """Tell whether an aware time lies in one of the spans."""
        if not self._spans:
            return True
        local = moment.astimezone(self._zone)
        minute = local.hour * 60 + local.minute
        return any(
            start <= minute < end if start < end else minute >= start or minute < end for start, end in self._spans
        )

    def next_change(self, moment: datetime) -> datetime | None:
        """Return when it next opens (or closes, when it is open), in UTC to the minute; None when it never does."""
        is_open = self.is_open(moment)
        at = moment.astimezone(UTC).replace(second=0, microsecond=0)
        for _ in range(_LOOK_AHEAD if self._spans else 0):
            at += _MINUTE
            if self.is_open(at) is not is_open:
                return at
        return None

    def told(self, moment: datetime) -> str:
        """Return a time as people of this time zone read it: `2026-03-29 20:00 CEST`."""
        return f"{moment.astimezone(self._zone):%Y-%m-%d %H:%M %Z}".rstrip()


def _minutes(time: str) -> int:
    hours, minutes = time.split(":")
    return int(hours) * 60 + int(minutes)
