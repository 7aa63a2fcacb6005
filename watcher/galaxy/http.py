"""The one edge between us and HTTP: requests as one account, every failure mapped to `watcher/errors.py`.

Reading requests are repeated shortly by themselves; anything that may change Galaxy is sent once, and a lost answer is
an AnswerLost: Galaxy has no idempotency keys, so callers look before they repeat. There is no cookie jar (a cookie that
Galaxy sets beats the key and makes us anonymous, measured on Galaxy 26.1.2) and redirects are not followed. Knows no
route; those are in the modules beside it.
"""

from __future__ import annotations

import asyncio
import json as json_text
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx
import stamina

from watcher.clock import Clock
from watcher.errors import (
    Forbidden,
    GalaxyAway,
    GalaxyBusy,
    GalaxyError,
    KeyRefused,
    LineCut,
    NotThere,
    Refused,
)
from watcher.galaxy.account import Account
from watcher.galaxy.answers import Answer, understand
from watcher.galaxy.connections import Connections
from watcher.galaxy.keys import CurrentKey, basic
from watcher.galaxy.refusals import IN_FRONT, Asked, away, not_understood, refusal
from watcher.galaxy.rests import Rest

T = TypeVar("T")
Params = Mapping[str, str | int | bool]

REPEATS = 3
"""Times a reading request is tried within `REPEAT_WITHIN_S`."""

REPEAT_WITHIN_S = 15.0
LONGEST_RETRY_AFTER_S = 5.0
"""A server that asks for more patience is left to the caller."""

PIECE_BYTES = 512 * 1024
"""A long body goes to the socket in such pieces: asyncio keeps copies of what the socket does not take at once."""

NOTHING_SENT: tuple[type[Exception], ...] = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
)
"""No byte of the request has left: it may be repeated whatever it is."""

OUR_MISTAKE: tuple[type[Exception], ...] = (
    httpx.UnsupportedProtocol,
    httpx.InvalidURL,
    httpx.LocalProtocolError,
    httpx.CookieConflict,
    httpx.StreamError,
)
"""The request could not be made or the answer not be read because of what we asked; the texts may quote headers."""

ANSWER_UNKNOWN: tuple[type[Exception], ...] = (httpx.HTTPError,)
"""Everything else: broken or timed out after the first byte, or an answer that is no HTTP."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A successful answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def request_id(self) -> str:
        """What Galaxy calls the request in its log."""
        return self.headers.get("x-request-id", "")


def map_error(error: Exception, asked: Asked) -> GalaxyError:
    """Return our error for one of httpx's; its text is not quoted, since it may hold headers or addresses with
    secrets.
    """
    name = type(error).__name__
    if isinstance(error, NOTHING_SENT):
        reason = "connecting timed out" if isinstance(error, httpx.TimeoutException) else "no connection"
        if isinstance(error, httpx.ProxyError):
            reason = "the proxy on the way lets nobody through (proxy and proxy_login_file name it and its login)"
        cause = error.__cause__
        if cause is not None and "CERTIFICATE_VERIFY_FAILED" in str(cause):
            reason = "its certificate is not trusted (ca_file names the authority that signed it)"
        return away(asked, reason, surely_undone=True)
    if isinstance(error, OUR_MISTAKE):
        return Refused(
            f"Galaxy at {asked.shown_url} could not be asked to {asked.purpose}: {name}.",
            hint="Is the url of this Galaxy right (https://host/path)?",
        )
    if isinstance(error, httpx.TimeoutException):
        return away(asked, "the time limit passed", surely_undone=False)
    if isinstance(error, httpx.DecodingError | httpx.TooManyRedirects):
        return not_understood(asked, name, status=0, request_id="")
    return away(asked, f"the connection broke ({name})", surely_undone=False, lost=LineCut)


class Http:
    """Requests as one account; a context manager that owns the connections."""

    def __init__(self, account: Account, clock: Clock) -> None:
        self.account = account
        self.clock = clock
        self._key = CurrentKey(account, clock, self._ask_key)
        self._acting_for = ""
        self._turn = asyncio.Lock()
        self._rest = Rest(clock)
        self._timeout = httpx.Timeout(account.read_s, connect=account.connect_s, pool=account.upload_read_s)
        _hush_foreign_logs()
        self._connections = Connections(account, clock, self._timeout)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        await self._connections.close()

    def asked(self, method: str, purpose: str, *secrets: str) -> Asked:
        """Describe a request for messages; `secrets` never appear in one."""
        return Asked(method, purpose, self.account.shown, tuple(secret for secret in secrets if secret))

    async def get(self, path: str, purpose: str, kind: type[T], *, params: Params | None = None) -> T:
        """Return the answer understood as `kind`, asked for up to three times within a few seconds."""
        asked = self.asked("GET", purpose)
        reply = await self.repeat(lambda: self.send(asked, path, params=params))
        return understand(kind, _decode(reply, asked), asked)

    async def post(
        self,
        path: str,
        purpose: str,
        kind: type[T],
        *,
        json: Any,
        secrets: Sequence[str] = (),
        read_s: float | None = None,
    ) -> T:
        """Return the answer to one request that is never repeated; raises AnswerLost when in doubt.

        `read_s` is for what Galaxy answers only when it is done.
        """
        return (await self.post_noting(path, purpose, kind, json=json, secrets=secrets, read_s=read_s))[0]

    async def post_noting(
        self,
        path: str,
        purpose: str,
        kind: type[T],
        *,
        json: Any,
        secrets: Sequence[str] = (),
        read_s: float | None = None,
    ) -> tuple[T, str]:
        """Return the answer as `post` does, and what Galaxy calls the request in its log."""
        asked = self.asked("POST", purpose, *secrets)
        reply = await self.send(asked, path, content=json_text.dumps(json).encode(), headers=_JSON, read_s=read_s)
        return understand(kind, _decode(reply, asked), asked), reply.request_id

    async def patch(self, path: str, purpose: str, kind: type[T], *, json: Any) -> T:
        """Change something once and return what it is now; raises AnswerLost when in doubt."""
        asked = self.asked("PATCH", purpose)
        reply = await self.send(asked, path, content=json_text.dumps(json).encode(), headers=_JSON)
        return understand(kind, _decode(reply, asked), asked)

    async def put(self, path: str, purpose: str, *, json: Any) -> None:
        """Set something once; the answer repeats what was set. Raises AnswerLost when in doubt."""
        await self.send(self.asked("PUT", purpose), path, content=json_text.dumps(json).encode(), headers=_JSON)

    async def put_for(self, path: str, purpose: str, kind: type[T], *, json: Any) -> T:
        """Set something once and return what Galaxy says to it; raises AnswerLost when in doubt."""
        asked = self.asked("PUT", purpose)
        reply = await self.send(asked, path, content=json_text.dumps(json).encode(), headers=_JSON)
        return understand(kind, _decode(reply, asked), asked)

    async def delete(self, path: str, purpose: str, *, params: Params | None = None, json: Any = None) -> None:
        """Ask once for the removal; the answer holds nothing worth reading."""
        content = None if json is None else json_text.dumps(json).encode()
        await self.send(self.asked("DELETE", purpose), path, params=params, content=content, headers=_JSON)

    async def clock_skew_s(self, clock: Clock) -> float | None:
        """Return by how many seconds the other side's clock is ahead of ours, None when it does not tell the time.

        The header has whole seconds, and a proxy in front may have written it.
        """
        before = clock.now()
        reply = await self.repeat(lambda: self.send(self.asked("GET", "tell the time"), "/api/version"))
        after = clock.now()
        try:
            told = parsedate_to_datetime(reply.headers.get("date", ""))
        except ValueError:
            return None
        return (told - before - (after - before) / 2).total_seconds() + 0.5

    async def repeat(self, request: Callable[[], Awaitable[T]]) -> T:
        """Try a reading request again, shortly: no connection, 502, 503, 504, and 429 with a short Retry-After."""
        async for attempt in stamina.retry_context(
            on=_pause_before_repeat,
            attempts=REPEATS,
            timeout=REPEAT_WITHIN_S,
            wait_initial=0.2,
            wait_max=2.0,
            wait_jitter=0.2,
        ):
            with attempt:
                return await request()
        raise AssertionError("retry_context returns or raises")

    async def send(
        self,
        asked: Asked,
        path: str,
        *,
        params: Params | None = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        read_s: float | None = None,
    ) -> Reply:
        """Send one request and return the whole answer when its status is 2xx, else raise what it stands for."""
        async with self.open(asked, path, params=params, content=content, headers=headers, read_s=read_s) as response:
            try:
                body = await response.aread()
            except (httpx.HTTPError, httpx.StreamError) as error:
                raise map_error(error, asked) from error
            return Reply(response.status_code, response.headers, body)

    @asynccontextmanager
    async def open(
        self,
        asked: Asked,
        path: str,
        *,
        params: Params | None = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        read_s: float | None = None,
    ) -> AsyncIterator[httpx.Response]:
        """Open an answer whose body is still to be read; raises for a status outside 2xx.

        A 401 is tried again once when there is another key by now: a refused request has done nothing.
        """
        # First of all, so that nothing is ever done as ourselves that was meant for another user.
        acting = {"run-as": await self._other_user()} if self.account.run_as else {}
        response = await self._attempt(asked, path, params, content, {**acting, **(headers or {})}, read_s)
        try:
            if response.status_code >= 300:
                raise await self._refusal(asked, response)
            yield response
        finally:
            await response.aclose()

    async def _attempt(
        self,
        asked: Asked,
        path: str,
        params: Params | None,
        content: bytes | None,
        headers: Mapping[str, str] | None,
        read_s: float | None,
    ) -> httpx.Response:
        self._rest.refuse_meanwhile(asked)
        key = await self._key.value()
        response = await self._request(asked, key, path, params, content, headers, read_s)
        if response.status_code != 401:
            return response
        try:
            has_changed = await self._key.changed(key)
        except BaseException:
            await response.aclose()
            raise
        if has_changed:
            await response.aclose()
            response = await self._request(asked, await self._key.value(), path, params, content, headers, read_s)
        return response

    async def _other_user(self) -> str:
        """Return the id of the user we act for, found once by the e-mail address; raises KeyRefused without one."""
        async with self._turn:
            if not self._acting_for:
                wanted = self.account.run_as.casefold()
                asked = self.asked("GET", f"find the user {self.account.run_as}")
                response = await self._attempt(asked, "/api/users", {"f_email": self.account.run_as}, None, None, None)
                users = understand(list[_User], _decode(await self._whole(response, asked), asked), asked)
                # Whoever is no administrator is shown the own account instead; and part of an address finds many.
                ids = [user.id for user in users if user.email.casefold() == wanted and not user.deleted]
                if not ids:
                    raise KeyRefused(
                        f"Galaxy at {self.account.shown} shows our account no user {self.account.run_as} (run_as).",
                        hint="Is the address right, and the key an administrator's? Only those may look for users.",
                    )
                self._acting_for = ids[0]
        return self._acting_for

    async def _ask_key(self, user: str, password: str) -> str:
        """Log in once and return the key that Galaxy tells; raises KeyRefused when it lets the user not in."""
        secret = basic(user, password)
        asked = self.asked("GET", f"let {user} log in", password, secret)
        headers = {"authorization": secret}
        try:
            response = await self._request(asked, "", LOGIN, None, None, headers, None)
            reply = await self._whole(response, asked)
        except (Forbidden, KeyRefused, NotThere, Refused) as error:
            if (isinstance(error, Refused) and error.status != 400) or error.message.startswith(IN_FRONT):
                raise
            raise KeyRefused(
                f"Galaxy at {self.account.shown} does not let {user} log in ({error.status}).",
                hint="Correct user and password_file. Before the file changes Galaxy is asked once an hour at most, "
                "so that it locks nobody out. Whoever logs in by single sign-on has no password there: use a key.",
                status=error.status,
                request_id=error.request_id,
            ) from error
        return understand(_Told, _decode(reply, asked), asked).api_key

    async def _whole(self, response: httpx.Response, asked: Asked) -> Reply:
        """Return the whole answer when its status is 2xx, else raise what it stands for."""
        try:
            if response.status_code >= 300:
                raise await self._refusal(asked, response)
            return Reply(response.status_code, response.headers, await response.aread())
        except (httpx.HTTPError, httpx.StreamError) as error:
            raise map_error(error, asked) from error
        finally:
            await response.aclose()

    async def _request(
        self,
        asked: Asked,
        key: str,
        path: str,
        params: Params | None,
        content: bytes | None,
        headers: Mapping[str, str] | None,
        read_s: float | None,
    ) -> httpx.Response:
        # A chunk is written in one go, so its time limit has to cover a slow line as well.
        timeout = self._timeout if read_s is None else httpx.Timeout(read_s, connect=self.account.connect_s)
        client = self._connections.client()
        try:
            own = {**self._key.headers(), **({"x-api-key": key} if key else {}), **(headers or {})}
            body: bytes | AsyncIterator[bytes] | None = content
            if content is not None and len(content) > PIECE_BYTES:
                own["content-length"] = str(len(content))  # else it would be sent chunked, which TUS does not know
                body = _pieces(content)
            request = client.build_request(
                asked.method,
                self.account.base + path,
                params=None if params is None else {name: _text(value) for name, value in params.items()},
                content=body,
                headers=own,
                timeout=timeout,
            )
            return await client.send(request, stream=True)
        except (httpx.HTTPError, httpx.InvalidURL, httpx.CookieConflict, httpx.StreamError) as error:
            raise map_error(error, asked) from error

    async def _refusal(self, asked: Asked, response: httpx.Response) -> GalaxyError:
        body = b""
        try:
            if response.status_code >= 500:
                # Galaxy closes the connection after an unhandled error and resets whatever comes next on it (measured
                # on 26.1.2): leaving the body unread makes our side give the connection up as well.
                async for chunk in response.aiter_bytes():
                    body = chunk
                    break
            else:
                body = await response.aread()
        except (httpx.HTTPError, httpx.StreamError):
            body = b""  # the status alone decides
        rest_s = self._rest.hear(response.status_code, response.headers)
        return refusal(asked, response.status_code, response.headers, body, self._key.hide, rest_s)


class _User(Answer):
    id: str
    email: str = ""
    deleted: bool = False


class _Told(Answer):
    api_key: str


LOGIN = "/api/authenticate/baseauth"
_JSON = {"content-type": "application/json"}


async def _pieces(content: bytes) -> AsyncIterator[bytes]:
    for at in range(0, len(content), PIECE_BYTES):
        yield content[at : at + PIECE_BYTES]


def _text(value: str | int | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _decode(reply: Reply, asked: Asked) -> Any:
    if not reply.body:
        return None
    try:
        return json_text.loads(reply.body)
    except ValueError:
        raise not_understood(asked, "no JSON", status=reply.status, request_id=reply.request_id) from None


def _pause_before_repeat(error: Exception) -> bool | float:
    """Tell stamina whether to try again, and for a busy server after how many seconds."""
    if isinstance(error, GalaxyBusy):
        return error.retry_after_s if error.retry_after_s <= LONGEST_RETRY_AFTER_S else False
    return isinstance(error, GalaxyAway)


def _hush_foreign_logs() -> None:
    """Keep httpx's request lines out of every log: the address of an upload session is all one needs to take it
    over.
    """
    logging.getLogger("httpx").setLevel(logging.WARNING)
    logging.getLogger("httpcore").setLevel(logging.WARNING)
