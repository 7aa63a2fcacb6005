"""A server that asks to be left alone is left alone, by the whole account and for as long as it says."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.galaxy.conftest import ScriptedServer, reply, version
from watcher.clock import ManualClock
from watcher.errors import AnswerLost, GalaxyBusy
from watcher.galaxy import Galaxy
from watcher.galaxy.rests import DEFAULT_REST_S, LONGEST_REST_S, retry_after
from watcher.model import HistoryId

H = HistoryId("h1")
NOON = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("said", "date", "seconds"),
    [
        ("120", "", 120.0),
        (" 0 ", "", 0.0),
        ("1.5", "", 1.5),
        ("-3", "", 0.0),
        ("Sun, 01 Mar 2026 12:02:00 GMT", "", 120.0),
        ("Sun, 01 Mar 2026 11:00:00 GMT", "", 0.0),
        ("Sun, 01 Mar 2026 15:02:00 GMT", "Sun, 01 Mar 2026 15:00:00 GMT", 120.0),
        ("Sun, 01 Mar 2026 13:02:00 +0100", "", 120.0),
        ("86400", "", LONGEST_REST_S),
        ("soon", "", DEFAULT_REST_S),
        ("nan", "", DEFAULT_REST_S),
    ],
)
def test_retry_after_is_understood(said: str, date: str, seconds: float) -> None:
    """Seconds and dates are read, dates by the server's own clock where it tells it; nonsense has a default."""
    assert retry_after({"retry-after": said, "date": date}, NOON) == seconds


def test_nothing_said_is_nothing_heard() -> None:
    """Without the header there is no rest."""
    assert retry_after({}, NOON) is None


async def test_all_of_the_account_leave_a_busy_server_alone(
    galaxy: Galaxy, server: ScriptedServer, clock: ManualClock
) -> None:
    """What one request hears keeps all others back, also sending and making, until the time is over."""
    server.script = [version(), reply(429, retry_after="120"), reply(204, upload_offset="5")]
    with pytest.raises(GalaxyBusy):
        await galaxy.tus.send("s1", 0, b"01234")
    clock.advance(20)
    with pytest.raises(GalaxyBusy) as busy:
        await galaxy.tus.send("s2", 0, b"01234")
    assert busy.value.retry_after_s == pytest.approx(100)
    with pytest.raises(GalaxyBusy):
        await galaxy.histories.create("x")
    with pytest.raises(GalaxyBusy):
        await galaxy.histories.get(H)
    assert len(server.requests) == 2
    clock.advance(100)
    assert await galaxy.tus.send("s2", 0, b"01234") == 5


async def test_the_longest_rest_counts(galaxy: Galaxy, server: ScriptedServer, clock: ManualClock) -> None:
    """A later answer never shortens what was asked for before."""
    server.script = [reply(429, retry_after="0"), reply(429, retry_after="60"), reply(200, {"id": "h1", "name": "n"})]
    with pytest.raises(GalaxyBusy):
        await galaxy.histories.create("x")
    with pytest.raises(GalaxyBusy):
        await galaxy.histories.create("x")
    clock.advance(59)
    with pytest.raises(GalaxyBusy):
        await galaxy.histories.get(H)
    clock.advance(1)
    assert (await galaxy.histories.get(H)).id == "h1"


async def test_maintenance_with_a_time_is_a_rest(galaxy: Galaxy, server: ScriptedServer, clock: ManualClock) -> None:
    """A 503 that says when to come back is left alone as well; what may have changed Galaxy stays in doubt."""
    server.script = [
        reply(503, b"", "text/html", retry_after="30"),
        reply(503, b"", "text/html", retry_after="600"),
    ]
    with pytest.raises(AnswerLost):
        await galaxy.histories.create("x")
    with pytest.raises(GalaxyBusy):
        await galaxy.histories.get(H)
    assert len(server.requests) == 1
    clock.advance(30)
    with pytest.raises(GalaxyBusy) as busy:
        await galaxy.histories.get(H)
    assert (busy.value.status, busy.value.retry_after_s) == (503, 600)
    assert len(server.requests) == 2


async def test_maintenance_without_a_time_is_no_rest(galaxy: Galaxy, server: ScriptedServer) -> None:
    """A 503 that says nothing keeps nobody back."""
    server.script = [reply(503, b"", "text/html"), reply(200, {"id": "h1", "name": "n"})]
    with pytest.raises(AnswerLost):
        await galaxy.histories.create("x")
    assert (await galaxy.histories.get(H)).id == "h1"
