"""What requests do: which are repeated, what every failure becomes, and what never leaves."""

from __future__ import annotations

import asyncio
import inspect
import logging
from pathlib import Path

import httpx
import pytest

from tests.galaxy.conftest import KEY, ScriptedServer, reply, user, version
from watcher.clock import ManualClock
from watcher.errors import (
    AnswerLost,
    ConfigError,
    Forbidden,
    GalaxyAway,
    GalaxyBroken,
    GalaxyBusy,
    GalaxyError,
    KeyRefused,
    LineCut,
    NotThere,
    Refused,
)
from watcher.galaxy import Account, Galaxy
from watcher.galaxy.http import ANSWER_UNKNOWN, NOTHING_SENT, OUR_MISTAKE, map_error
from watcher.galaxy.refusals import Asked
from watcher.model import DatasetId, HistoryId

GET = Asked("GET", "read a thing", "http://galaxy")
POST = Asked("POST", "make a thing", "http://galaxy")
PAGE = b"<html><h1>no</h1></html>"
H = HistoryId("h1")


def httpx_exceptions() -> list[type[Exception]]:
    """Return every exception that httpx has."""
    return [kind for kind in vars(httpx).values() if inspect.isclass(kind) and issubclass(kind, Exception)]


@pytest.mark.parametrize("kind", httpx_exceptions(), ids=lambda kind: kind.__name__)
def test_every_httpx_error_is_mapped(kind: type[Exception]) -> None:
    """Every exception httpx has belongs to a group of ours and becomes an error of ours that quotes none of its
    text.
    """
    assert issubclass(kind, NOTHING_SENT + OUR_MISTAKE + ANSWER_UNKNOWN)
    error = kind.__new__(kind)
    error.args = ("the text with a secret",)
    for asked in (GET, POST):
        mapped = map_error(error, asked)
        assert isinstance(mapped, GalaxyError)
        assert "secret" not in str(mapped)


@pytest.mark.parametrize(
    ("kind", "for_get", "for_post"),
    [
        (httpx.ConnectError, GalaxyAway, GalaxyAway),
        (httpx.ConnectTimeout, GalaxyAway, GalaxyAway),
        (httpx.PoolTimeout, GalaxyAway, GalaxyAway),
        (httpx.ReadTimeout, GalaxyAway, AnswerLost),
        (httpx.WriteTimeout, GalaxyAway, AnswerLost),
        (httpx.ReadError, GalaxyAway, LineCut),
        (httpx.WriteError, GalaxyAway, LineCut),
        (httpx.RemoteProtocolError, GalaxyAway, LineCut),
        (httpx.DecodingError, GalaxyBroken, AnswerLost),
        (httpx.LocalProtocolError, Refused, Refused),
        (httpx.UnsupportedProtocol, Refused, Refused),
    ],
)
def test_doubt_is_told_from_certainty(
    kind: type[httpx.HTTPError], for_get: type[GalaxyError], for_post: type[GalaxyError]
) -> None:
    """A change whose bytes may have left is in doubt; one that never left, or a reading, is not."""
    assert type(map_error(kind("x"), GET)) is for_get
    assert type(map_error(kind("x"), POST)) is for_post


REFUSALS = [
    (400, {"err_msg": "Wrong id.", "err_code": 400009}, Refused, "Wrong id (400)"),
    (400, {"detail": "Upload would exceed declared Upload-Length"}, Refused, "would exceed"),
    (401, {"err_msg": "Provided API key is not valid.", "err_code": 401001}, KeyRefused, "API key"),
    (403, {"err_msg": "API authentication required", "err_code": 403001}, KeyRefused, "API key"),
    (403, {"err_msg": "History is not owned by user", "err_code": 403003}, Forbidden, "not owned"),
    (404, {"err_msg": "History not found", "err_code": 404001}, NotThere, "History not found"),
    (404, {"detail": "Upload not found"}, NotThere, "Upload not found"),
    (404, b"", NotThere, "not there"),
    (404, PAGE, GalaxyBroken, "does not know the address"),
    (404, {"detail": "Not Found"}, GalaxyBroken, "does not know the address"),
    (404, {"message": "No route for /x", "title": "Not Found"}, GalaxyBroken, "does not know the address"),
    (409, {"detail": "Offset mismatch"}, Refused, "Offset mismatch (409)"),
    (413, PAGE, Refused, "send less at once"),
    (301, b"", Refused, "points elsewhere"),
    (429, b"", GalaxyBusy, "too much to do"),
    (500, b"Internal Server Error", GalaxyBroken, "Internal Server Error"),
    (500, {"err_msg": "Uncaught exception", "err_code": 0}, GalaxyBroken, "Uncaught exception"),
    (502, PAGE, AnswerLost, "bad gateway"),
    (503, {"detail": "Timed out after 30.0s waiting for lock"}, AnswerLost, "unavailable"),
    (504, PAGE, AnswerLost, "gateway timed out"),
]


@pytest.mark.parametrize(
    ("status", "body", "kind", "text"), REFUSALS, ids=[f"{r[0]}-{r[2].__name__}" for r in REFUSALS]
)
async def test_every_shape_of_refusal(
    galaxy: Galaxy, server: ScriptedServer, status: int, body: object, kind: type[GalaxyError], text: str
) -> None:
    """Each status with each shape of body becomes one of our errors, with the request's name and no repetition."""
    content_type = "text/html" if body == PAGE else "text/plain" if isinstance(body, bytes) else "application/json"
    server.script = [reply(status, body, content_type, x_request_id="req-1")]
    with pytest.raises(kind) as raised:
        await galaxy.histories.create("x")
    assert type(raised.value) is kind
    assert text in str(raised.value)
    assert raised.value.status == status
    assert raised.value.request_id == "req-1"
    assert len(server.requests) == 1


async def test_reading_is_repeated_shortly(galaxy: Galaxy, server: ScriptedServer) -> None:
    """A reading request survives a proxy's 502 and a broken connection."""
    server.script = [reply(502, PAGE, "text/html"), server.HANG_UP, reply(200, {"id": "h1", "name": "n"})]
    assert (await galaxy.histories.get(H)).name == "n"
    assert len(server.requests) == 3


async def test_reading_is_not_repeated_for_ever(galaxy: Galaxy, server: ScriptedServer) -> None:
    """After three tries the caller is told that Galaxy is away."""
    server.script = [reply(503, PAGE, "text/html") for _ in range(4)]
    with pytest.raises(GalaxyAway):
        await galaxy.histories.get(H)
    assert len(server.requests) == 3


async def test_busy_server_is_given_its_time(galaxy: Galaxy, server: ScriptedServer) -> None:
    """A short Retry-After is waited for; a long one is the caller's business."""
    server.script = [
        reply(429, b"", retry_after="0"),
        reply(200, {"id": "h1", "name": "n"}),
        reply(429, retry_after="600"),
    ]
    assert (await galaxy.histories.get(H)).id == "h1"
    with pytest.raises(GalaxyBusy) as busy:
        await galaxy.histories.get(H)
    assert busy.value.retry_after_s == 600
    assert len(server.requests) == 3


async def test_change_is_sent_once(galaxy: Galaxy, server: ScriptedServer) -> None:
    """A change whose answer is lost is never sent again by itself."""
    server.script = [server.HANG_UP]
    with pytest.raises(AnswerLost):
        await galaxy.histories.create("x")
    assert len(server.requests) == 1


async def test_success_that_is_no_answer(galaxy: Galaxy, server: ScriptedServer) -> None:
    """A page with status 200 is no answer: broken for a reading, in doubt for a change, and missing fields are
    named.
    """
    server.script = [reply(200, PAGE, "text/html"), reply(200, PAGE, "text/html"), reply(200, {"name": "no id"})]
    with pytest.raises(GalaxyBroken):
        await galaxy.histories.get(H)
    with pytest.raises(AnswerLost):
        await galaxy.histories.create("x")
    with pytest.raises(GalaxyBroken, match="fields not as expected: id"):
        await galaxy.histories.get(H)


async def test_connection_is_given_up_after_a_crash_of_galaxy(galaxy: Galaxy, server: ScriptedServer) -> None:
    """After a 500 the next request takes a new connection, since Galaxy resets the old one."""
    server.script = [reply(500, b"Internal Server Error", "text/plain"), reply(200, {"id": "h1", "name": "n"})]
    with pytest.raises(GalaxyBroken):
        await galaxy.histories.create("x")
    await galaxy.histories.create("x")
    assert [request.connection for request in server.requests] == [0, 1]


async def test_connection_is_kept_otherwise(galaxy: Galaxy, server: ScriptedServer) -> None:
    """Requests one after another share a connection."""
    server.script = [version(), reply(204, upload_offset="5"), reply(204, upload_offset="9")]
    assert await galaxy.tus.send("s1", 0, b"01234") == 5
    assert await galaxy.tus.send("s1", 5, b"5678") == 9
    assert [request.connection for request in server.requests] == [0, 0, 0]


async def test_cookies_are_never_sent_back(galaxy: Galaxy, server: ScriptedServer) -> None:
    """A cookie that Galaxy sets would beat the key, so none is kept."""
    server.script = [reply(200, {"id": "h1", "name": "n"}, set_cookie="galaxysession=x; path=/") for _ in range(2)]
    await galaxy.histories.get(H)
    await galaxy.histories.get(H)
    assert "cookie" not in server.requests[1].headers
    assert server.requests[1].headers["x-api-key"] == KEY


async def test_renewed_key_is_used_at_once(server: ScriptedServer, clock: ManualClock) -> None:
    """A request refused for its key is sent again once with the key that lies there now, and later ones go on with
    it.
    """
    keys = ["old"]
    server.script = [user(), reply(401, {"err_msg": "no"}), user(), reply(401, {"err_msg": "no"})]
    async with Galaxy(Account("test", server.url, lambda: keys[-1]), clock) as galaxy:
        await galaxy.users.current()
        keys.append("new")
        await galaxy.users.current()
        with pytest.raises(KeyRefused):
            await galaxy.users.current()
    assert [request.headers["x-api-key"] for request in server.requests] == ["old", "old", "new", "new"]


async def test_key_file_is_read_again_after_a_while(server: ScriptedServer, clock: ManualClock) -> None:
    """A key that was exchanged is used within seconds, also when the old one still works."""
    keys = ["old"]
    server.script = [user(), user()]
    async with Galaxy(Account("test", server.url, lambda: keys[-1]), clock) as galaxy:
        await galaxy.users.current()
        keys.append("new")
        clock.advance(6)
        await galaxy.users.current()
    assert [request.headers["x-api-key"] for request in server.requests] == ["old", "new"]


@pytest.mark.parametrize("key", ["", "  ", "two words", "kéy"])
async def test_unusable_key_is_never_sent(server: ScriptedServer, clock: ManualClock, key: str) -> None:
    """A key that is none is refused before anything is sent."""
    async with Galaxy(Account("test", server.url, lambda: key), clock) as galaxy:
        with pytest.raises(KeyRefused):
            await galaxy.users.current()
    assert server.requests == []


async def test_unreadable_key_is_refused(server: ScriptedServer, clock: ManualClock, tmp_path: Path) -> None:
    """A key file that is gone is told as a refused key, with what to do."""
    async with Galaxy(Account("test", server.url, (tmp_path / "key").read_text), clock) as galaxy:
        with pytest.raises(KeyRefused, match="No such file"):
            await galaxy.users.current()


async def test_secrets_stay_out_of_logs_and_errors(
    galaxy: Galaxy, server: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither the key nor an upload session is in a log line at any level, in an error, or in a repr."""
    session = "5ess10n-in-the-address"
    body = {"detail": f"waiting for lock /tus/{session} of {KEY}"}
    server.script = [
        reply(201, location=f"http://inside/{session}"),
        version(),
        reply(400, body),
        reply(204, upload_offset="junk"),
    ]
    with caplog.at_level(logging.DEBUG):
        assert await galaxy.tus.create(3, "a") == session
        with pytest.raises(Refused) as refused:
            await galaxy.tus.send(session, 0, b"abc")
        with pytest.raises(AnswerLost) as lost:
            await galaxy.tus.send(session, 0, b"abc")
    for text in (caplog.text, str(refused.value), repr(refused.value), str(lost.value), repr(galaxy.account)):
        assert session not in text
        assert KEY not in text
    assert "waiting for lock" in str(refused.value)


async def test_password_in_the_address_is_not_shown(clock: ManualClock) -> None:
    """An address with a password in it is shown without."""
    async with Galaxy(Account("test", "http://me:hush@127.0.0.1:9/galaxy", lambda: KEY), clock) as galaxy:
        with pytest.raises(GalaxyAway, match=r"http://127\.0\.0\.1:9/galaxy") as away:
            await galaxy.users.current()
    assert "hush" not in str(away.value)


async def test_address_of_another_scheme_is_told(clock: ManualClock) -> None:
    """An address that is no web address is refused with a hint at the configuration."""
    async with Galaxy(Account("test", "galaxy.example.org", lambda: KEY), clock) as galaxy:
        with pytest.raises(Refused, match="https://host/path"):
            await galaxy.users.current()


async def test_unusable_authority_is_a_configuration_error(clock: ManualClock, tmp_path: Path) -> None:
    """A ca_file that is missing or holds no certificate is told before any request."""
    for ca_file in (tmp_path / "missing.pem", tmp_path / "empty.pem"):
        (tmp_path / "empty.pem").write_text("no certificate")
        with pytest.raises(ConfigError, match="ca_file"):
            Galaxy(Account("test", "https://galaxy", lambda: KEY, ca_file=ca_file), clock)


async def test_cancelled_chunk_leaves_the_client_usable(galaxy: Galaxy, server: ScriptedServer) -> None:
    """A chunk cancelled on its way closes its connection, and the next request is answered."""
    started = asyncio.create_task(galaxy.tus.send("s1", 0, b"x" * 100))
    await server.arrived.wait()
    started.cancel()
    with pytest.raises(asyncio.CancelledError):
        await started
    server.script = [user()]
    assert (await galaxy.users.current()).id == "u1"


async def test_results_that_break_off_are_told(galaxy: Galaxy, server: ScriptedServer) -> None:
    """A download that breaks off is told as Galaxy being away, after the bytes that came."""
    server.script = [reply(200, b"0123456789", content_length="20") + server.HANG_UP]
    came = b""
    with pytest.raises(GalaxyAway):
        async with galaxy.datasets.open(DatasetId("d1")) as pieces:
            async for piece in pieces:
                came += piece
    assert came == b"0123456789"


async def test_rest_that_is_the_whole_is_not_taken(galaxy: Galaxy, server: ScriptedServer) -> None:
    """A proxy that ignores the range sends the wrong bytes, which are not handed on."""
    server.script = [reply(200, b"0123456789")]
    with pytest.raises(GalaxyBroken):
        async with galaxy.datasets.open(DatasetId("d1"), offset=4):
            raise AssertionError("the body is open")
    assert server.requests[0].headers["range"] == "bytes=4-"
    assert server.requests[0].headers["accept-encoding"] == "identity"
