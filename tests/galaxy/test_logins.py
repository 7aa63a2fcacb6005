"""Whose key is sent: asked for with a password, acting for another user, through proxies with logins of their own."""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import Mapping

import pytest

from tests.galaxy.conftest import KEY, ScriptedServer, reply, user, version
from watcher.clock import ManualClock
from watcher.errors import Forbidden, GalaxyAway, GalaxyBroken, GalaxyBusy, KeyRefused
from watcher.galaxy import Account, Galaxy, Login
from watcher.galaxy.http import Http

PASSWORD = "correct horse battery"
BASIC = "Basic " + base64.b64encode(f"seq:{PASSWORD}".encode()).decode()
VERSION = {"version_major": "26.1", "version_minor": "2"}
WRONG = reply(401, {"err_msg": f"Invalid password {PASSWORD} {BASIC}.", "err_code": 401001})
NO_KEY = reply(401, {"err_msg": "Provided API key is not valid.", "err_code": 401001})


def told(key: str) -> bytes:
    """Return the answer to a login."""
    return reply(200, {"api_key": key})


class Passwords:
    """The password as it lies in its file."""

    def __init__(self) -> None:
        self.now = PASSWORD

    def read(self) -> str:
        """Return it."""
        return self.now


@pytest.fixture
def passwords() -> Passwords:
    """Return a password file."""
    return Passwords()


@pytest.fixture
def account(server: ScriptedServer, passwords: Passwords) -> Account:
    """Return an account by user and password."""
    return Account("test", server.url, lambda: "", login=Login("seq", passwords.read), read_s=5)


def targets(server: ScriptedServer) -> list[str]:
    """Return the last part of each path that was asked for."""
    return [request.target.partition("?")[0].rpartition("/")[2] for request in server.requests]


async def test_key_is_asked_for_when_it_is_first_needed(
    server: ScriptedServer, account: Account, clock: ManualClock
) -> None:
    """The password is sent once, alone, to the one address that takes it; everything else is done with the key."""
    async with Galaxy(account, clock) as galaxy:
        assert server.requests == []
        server.script = [told(KEY), user(), user(), user()]
        await galaxy.users.current()
        clock.advance(3600)
        await asyncio.gather(galaxy.users.current(), galaxy.users.current())
    assert targets(server) == ["baseauth", "current", "current", "current"]
    assert server.requests[0].headers["authorization"] == BASIC
    assert "x-api-key" not in server.requests[0].headers
    for request in server.requests[1:]:
        assert request.headers["x-api-key"] == KEY
        assert "authorization" not in request.headers


async def test_requests_at_once_log_in_once(server: ScriptedServer, account: Account, clock: ManualClock) -> None:
    """Many requests that need the first key share one login."""
    server.script = [told(KEY), *(user() for _ in range(5))]
    async with Galaxy(account, clock) as galaxy:
        await asyncio.gather(*(galaxy.users.current() for _ in range(5)))
    assert targets(server).count("baseauth") == 1


async def test_renewed_key_is_asked_for_when_the_old_one_is_refused(
    server: ScriptedServer, account: Account, clock: ManualClock
) -> None:
    """A key that somebody renewed in Galaxy is asked for at once, and what was refused is sent again with it."""
    server.script = [told("old"), user(), NO_KEY, told("new"), user(), user()]
    async with Galaxy(account, clock) as galaxy:
        await galaxy.users.current()
        clock.advance(60)
        await galaxy.users.current()
        await galaxy.users.current()
    assert targets(server) == ["baseauth", "current", "current", "baseauth", "current", "current"]
    assert [request.headers.get("x-api-key") for request in server.requests[4:]] == ["new", "new"]


async def test_key_that_stays_refused_is_not_asked_for_by_every_request(
    server: ScriptedServer, account: Account, clock: ManualClock
) -> None:
    """A server that hands out a key and refuses it is asked for another one twice a minute at most."""
    server.script = [told(KEY), NO_KEY, told(KEY), *(NO_KEY for _ in range(10))]
    async with Galaxy(account, clock) as galaxy:
        for _ in range(10):
            with pytest.raises(KeyRefused):
                await galaxy.users.current()
        assert targets(server).count("baseauth") == 2
        clock.advance(31)
        server.script = [NO_KEY, told("new"), user()]
        await galaxy.users.current()


async def test_wrong_password_is_tried_once(
    server: ScriptedServer, account: Account, passwords: Passwords, clock: ManualClock
) -> None:
    """Servers lock accounts out: a refused password is not sent again until it changes or an hour has passed."""
    server.script = [WRONG]
    async with Galaxy(account, clock) as galaxy:
        for _ in range(20):
            with pytest.raises(KeyRefused, match="does not let seq log in") as refused:
                await galaxy.users.current()
            assert "password_file" in refused.value.hint
            assert refused.value.status == 401
            clock.advance(60)
        assert targets(server) == ["baseauth"]
        passwords.now = "another"
        server.script = [told(KEY), user()]
        await galaxy.users.current()
        assert targets(server) == ["baseauth", "baseauth", "current"]


async def test_wrong_password_is_tried_again_after_an_hour(
    server: ScriptedServer, account: Account, clock: ManualClock
) -> None:
    """Where Galaxy's own directory was ill, the account comes back by itself."""
    server.script = [WRONG, told(KEY), user()]
    async with Galaxy(account, clock) as galaxy:
        with pytest.raises(KeyRefused):
            await galaxy.users.current()
        clock.advance(3601)
        await galaxy.users.current()


async def test_refused_key_with_a_wrong_password_behind_it_is_sent_no_more(
    server: ScriptedServer, account: Account, clock: ManualClock
) -> None:
    """Once neither key nor password hold, nothing is sent at all."""
    server.script = [told("old"), user(), NO_KEY, WRONG]
    async with Galaxy(account, clock) as galaxy:
        await galaxy.users.current()
        clock.advance(60)
        for _ in range(3):
            with pytest.raises(KeyRefused, match="does not let seq log in"):
                await galaxy.users.current()
    assert targets(server) == ["baseauth", "current", "current", "baseauth"]


NOT_LET_IN = {
    "unknown-user": (404, {"err_msg": "The user does not exist.", "err_code": 404001}, KeyRefused),
    "not-understood": (400, {"err_msg": "Invalid authorization line", "err_code": 400008}, KeyRefused),
    "forbidden": (403, {"err_msg": "no", "err_code": 403002}, KeyRefused),
    "no-such-address": (404, b"<html></html>", GalaxyBroken),
    "busy": (429, b"", GalaxyBusy),
    "away": (502, b"<html></html>", GalaxyAway),
    "no-answer-at-all": (200, b"<html></html>", GalaxyBroken),
}


@pytest.mark.parametrize("case", NOT_LET_IN.values(), ids=NOT_LET_IN.keys())
async def test_a_login_that_fails_says_why(
    server: ScriptedServer, account: Account, clock: ManualClock, case: tuple[int, object, type[Exception]]
) -> None:
    """Whatever is wrong with user or password is a refused key, anything else stays what it is."""
    status, body, kind = case
    answer = reply(status, body, retry_after="600") if status == 429 else reply(status, body)
    server.script = [answer for _ in range(3)]
    async with Galaxy(account, clock) as galaxy:
        with pytest.raises(kind) as raised:
            await galaxy.histories.create("x")
    assert type(raised.value) is kind
    assert targets(server) == ["baseauth"]


async def test_secrets_of_an_account_stay_out_of_logs_and_errors(
    server: ScriptedServer, account: Account, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither password nor key nor a proxy's header is in a log line, in an error or in a repr."""
    account = Account("test", account.url, lambda: "", login=account.login, read_headers=lambda: {"x-front": "sesame"})
    echo = {"err_msg": f"{KEY} {PASSWORD} {BASIC} sesame are none"}
    server.script = [told(KEY), reply(400, echo)]
    with caplog.at_level(logging.DEBUG):
        async with Galaxy(account, clock) as galaxy:
            with pytest.raises(Exception, match="are none") as refused:
                await galaxy.histories.create("x")
            server.script = [WRONG]
            clock.advance(60)
            galaxy._http._key._key = ""
            with pytest.raises(KeyRefused) as wrong:
                await galaxy.histories.create("x")
    texts = (str(refused.value), repr(refused.value), str(wrong.value), repr(account), caplog.text, repr(account.login))
    for text in texts:
        for secret in (KEY, PASSWORD, BASIC, "sesame"):
            assert secret not in text


# --- acting for another user ----------------------------------------------------------------------------------------


ALICE = {"id": "a11ce00000000000", "email": "Alice@example.org", "username": "alice", "deleted": False}
GONE = {"id": "d000000000000000", "email": "alice@example.org", "deleted": True}
LONGER = {"id": "b000000000000000", "email": "not-alice@example.org", "deleted": False}


@pytest.fixture
def acting(server: ScriptedServer) -> Account:
    """Return an administrator's account that acts for alice."""
    return Account("test", server.url, lambda: KEY, run_as="alice@example.org", read_s=5)


async def test_every_request_says_for_whom_it_is(server: ScriptedServer, acting: Account, clock: ManualClock) -> None:
    """The user is looked up once, by exactly that address, and every later request carries the id."""
    found = reply(200, [GONE, LONGER, ALICE])
    server.script = [found, reply(200, VERSION), user(email="alice@example.org"), reply(200, {})]
    server.script += [reply(201, location="/s1"), reply(204, upload_offset="3"), reply(200, {"id": "h1", "name": "x"})]
    async with Galaxy(acting, clock) as galaxy:
        assert (await galaxy.identify()).email == "alice@example.org"
        session = await galaxy.tus.create(3, "a")
        await galaxy.tus.send(session, 0, b"abc")
        await galaxy.histories.create("x")
    assert server.requests[0].target == "/api/users?f_email=alice%40example.org"
    assert "run-as" not in server.requests[0].headers
    assert {request.headers["run-as"] for request in server.requests[1:]} == {ALICE["id"]}
    assert {request.headers["x-api-key"] for request in server.requests} == {KEY}


async def test_nothing_is_sent_for_an_unknown_user(server: ScriptedServer, acting: Account, clock: ManualClock) -> None:
    """Whoever cannot look for users, or names one that is not there, sends nothing under its own name instead."""
    own = reply(200, [{"id": "c", "email": "seq@example.org", "deleted": False}])
    server.script = [own, own]
    async with Galaxy(acting, clock) as galaxy:
        for _ in range(2):
            with pytest.raises(KeyRefused, match=r"no user alice@example\.org") as refused:
                await galaxy.histories.create("x")
            assert "administrator" in refused.value.hint
    assert [request.method for request in server.requests] == ["GET", "GET"]


async def test_not_being_allowed_to_act_for_others_is_clear(
    server: ScriptedServer, acting: Account, clock: ManualClock
) -> None:
    """Galaxy's refusal is told with the option that allows it."""
    no = reply(403, {"err_msg": "User does not have permissions to run jobs as another user.", "err_code": 400001})
    server.script = [reply(200, [ALICE]), reply(200, VERSION), no]
    async with Galaxy(acting, clock) as galaxy:
        with pytest.raises(KeyRefused, match="act for another user") as refused:
            await galaxy.identify()
    assert "api_allow_run_as" in refused.value.hint


async def test_acting_that_is_ignored_is_found_out(server: ScriptedServer, acting: Account, clock: ManualClock) -> None:
    """A proxy that takes the header away would let everything belong to the administrator."""
    server.script = [reply(200, [ALICE]), reply(200, VERSION), user(email="admin@example.org"), reply(200, {})]
    async with Galaxy(acting, clock) as galaxy:
        with pytest.raises(KeyRefused, match=r"takes us for admin@example\.org instead of alice@example\.org"):
            await galaxy.identify()


# --- who stands between ---------------------------------------------------------------------------------------------


async def test_headers_for_a_proxy_go_with_everything(server: ScriptedServer, clock: ManualClock) -> None:
    """What a proxy in front of Galaxy wants is sent with each request, and read anew like a key."""
    headers: list[Mapping[str, str]] = [{"x-front": "one"}]
    page = reply(401, b"<html>who are you?</html>", "text/html", www_authenticate="Basic")
    account = Account("test", server.url, lambda: KEY, read_headers=lambda: headers[-1], read_s=5)
    async with Galaxy(account, clock) as galaxy:
        server.script = [user(), page, user(), page]
        await galaxy.users.current()
        headers.append({"x-front": "two"})
        await galaxy.users.current()
        with pytest.raises(KeyRefused, match="stands in front of Galaxy") as refused:
            await galaxy.users.current()
    assert "headers_file" in refused.value.hint
    assert [request.headers["x-front"] for request in server.requests] == ["one", "one", "two", "two"]
    assert {request.headers["x-api-key"] for request in server.requests} == {KEY}


async def test_login_that_a_proxy_in_front_refuses(
    server: ScriptedServer, account: Account, clock: ManualClock
) -> None:
    """It is not taken for a wrong password, and with other headers the login is tried again at once."""
    headers: list[Mapping[str, str]] = [{"x-front": "one"}]
    login = account.login
    account = Account("test", server.url, lambda: "", login=login, read_headers=lambda: headers[-1], read_s=5)
    server.script = [reply(401, b"<html>who are you?</html>", "text/html")]
    async with Galaxy(account, clock) as galaxy:
        for _ in range(2):
            with pytest.raises(KeyRefused, match="stands in front of Galaxy"):
                await galaxy.users.current()
        headers.append({"x-front": "two"})
        clock.advance(6)
        server.script = [told(KEY), user()]
        await galaxy.users.current()
    assert [request.headers["x-front"] for request in server.requests] == ["one", "two", "two"]


async def test_proxy_on_our_side_is_asked_with_its_login(server: ScriptedServer, clock: ManualClock) -> None:
    """With a proxy everything goes there, under Galaxy's whole address; the login is in a header of its own."""
    account = Account(
        "test", "http://galaxy.invalid/g", lambda: KEY, proxy=server.url, read_proxy_login=lambda: ("me", "hush:hush")
    )
    server.script = [user()]
    async with Galaxy(account, clock) as galaxy:
        assert (await galaxy.users.current()).id == "u1"
        server.script = [reply(407, b"<html></html>", "text/html") for _ in range(3)]
        with pytest.raises(GalaxyAway, match="proxy_login_file"):
            await galaxy.histories.create("x")
    first = server.requests[0]
    assert first.target == "http://galaxy.invalid/g/api/users/current"
    assert first.headers["host"] == "galaxy.invalid"
    assert first.headers["proxy-authorization"] == "Basic " + base64.b64encode(b"me:hush:hush").decode()
    assert "hush" not in repr(account)


async def test_login_of_a_proxy_is_read_anew(server: ScriptedServer, clock: ManualClock) -> None:
    """A login that is exchanged on the disk is used some seconds later; a file that is gone is told, nothing sent."""
    now: list[tuple[str, str]] = [("me", "old")]

    def read() -> tuple[str, str]:
        if not now:
            raise KeyRefused("The proxy login file does not exist.")
        return now[0]

    account = Account("test", "http://galaxy.invalid/g", lambda: KEY, proxy=server.url, read_proxy_login=read)
    async with Galaxy(account, clock) as galaxy:
        server.script = [user(), user(), user()]
        await galaxy.users.current()
        now[0] = ("me", "new")
        await galaxy.users.current()
        clock.advance(5)
        await galaxy.users.current()
        now.clear()
        clock.advance(5)
        with pytest.raises(KeyRefused, match="does not exist"):
            await galaxy.users.current()
    sent = [base64.b64decode(one.headers["proxy-authorization"].removeprefix("Basic ")) for one in server.requests]
    assert sent == [b"me:old", b"me:old", b"me:new"]


async def test_request_under_way_outlives_a_new_login(server: ScriptedServer, clock: ManualClock) -> None:
    """What was begun through the proxy with the old login is not cut off by the new one."""
    now = [("me", "old")]
    account = Account("test", "http://galaxy.invalid/g", lambda: KEY, proxy=server.url, read_proxy_login=lambda: now[0])
    async with Http(account, clock) as http:
        server.script = [reply(200, {"whole": "answer"}), user()]
        async with http.open(http.asked("GET", "send a file"), "/api/file") as response:
            now[0] = ("me", "new")
            clock.advance(5)
            await http.send(http.asked("GET", "tell who we are"), "/api/users/current")
            assert await response.aread() == b'{"whole": "answer"}'
    assert len({one.headers["proxy-authorization"] for one in server.requests}) == 2


async def test_proxy_that_opens_no_way_is_away(server: ScriptedServer, clock: ManualClock) -> None:
    """A proxy that does not let us through to an https address is told as such, and nothing was done."""
    account = Account("test", "https://galaxy.invalid", lambda: KEY, proxy=server.url)
    server.script = [reply(407, b"")]
    async with Galaxy(account, clock) as galaxy:
        with pytest.raises(GalaxyAway, match="the proxy on the way lets nobody through") as away:
            await galaxy.histories.create("x")
    assert type(away.value) is GalaxyAway
    assert [(request.method, request.target) for request in server.requests] == [("CONNECT", "galaxy.invalid:443")]


# --- asked for patience ---------------------------------------------------------------------------------------------


async def test_upload_that_is_asked_for_patience_says_how_long(
    galaxy: Galaxy, server: ScriptedServer, clock: ManualClock
) -> None:
    """429, and 503 with Retry-After, on a chunk are no lost answers; for a change of another kind a 503 stays in
    doubt.
    """
    server.script = [
        version(),
        reply(503, b"", retry_after="7"),
        reply(429, b"", retry_after="9"),
        reply(503, b"", retry_after="7"),
    ]
    for seconds in (7, 9):
        with pytest.raises(GalaxyBusy) as busy:
            await galaxy.tus.send("s1", 0, b"abc")
        assert busy.value.retry_after_s == seconds
        clock.advance(seconds)
    with pytest.raises(GalaxyAway):
        await galaxy.histories.create("x")


async def test_forbidden_stays_forbidden(galaxy: Galaxy, server: ScriptedServer) -> None:
    """A right that is missing is not taken for a user that may not act for others."""
    server.script = [reply(403, {"err_msg": "no", "err_code": 403002})]
    with pytest.raises(Forbidden):
        await galaxy.histories.create("x")
