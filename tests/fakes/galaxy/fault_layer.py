"""Stands between the network and the routes: writes down every request and carries out the faults that hit it.

Resets are real ones: the socket is closed with SO_LINGER 0, so the client sees ECONNRESET. It knows transports through
`Connections`, which `server.py` fills.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tests.fakes.galaxy.faults import Fault, FaultBox
from tests.fakes.galaxy.state import World
from tests.fakes.galaxy.tus import BASE, cut_session, drop_session

PAGE = """<html>
<head><title>{status} {text}</title></head>
<body>
<center><h1>{status} {text}</h1></center>
</body>
</html>
"""
TEXTS = {
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    413: "Request Entity Too Large",
    429: "Too Many Requests",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Temporarily Unavailable",
    504: "Gateway Time-out",
}


@dataclass
class Seen:
    """One request as it came in; status 0 means it was never answered. Keys and session ids are not kept."""

    method: str
    path: str
    query: str
    has_key: bool
    offset: int | None = None
    received: int = 0
    status: int = 0
    fault: str = ""
    at: float = 0.0
    seconds: float = 0.0


class Connections:
    """The open connections by client address, so that one can be cut."""

    def __init__(self) -> None:
        self._open: dict[Any, asyncio.Transport] = {}

    def opened(self, client: Any, transport: asyncio.Transport) -> None:
        """Remember a new connection."""
        self._open[client] = transport

    def closed(self, client: Any) -> None:
        """Forget a connection."""
        self._open.pop(client, None)

    def reset(self, client: Any) -> None:
        """Cut a connection so that the other side gets a reset."""
        transport = self._open.pop(client, None)
        if transport is None:
            return
        raw = transport.get_extra_info("socket")
        if raw is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()

    def reset_all(self) -> None:
        """Cut all connections."""
        for client in list(self._open):
            self.reset(client)


class RequestLog:
    """The requests so far, and how many PATCHes of one upload ever ran at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: list[Seen] = []
        self._patching: Counter[str] = Counter()
        self.most_patches_per_session = 0
        self.sent: bytearray | None = None
        """All that clients sent (paths, headers, bodies), once a test has put an empty one here."""

    def keep(self, *parts: bytes) -> None:
        """Keep what a client sent, if a test asks for it."""
        with self._lock:
            if self.sent is not None:
                self.sent += b"\n".join([*parts, b""])

    def open(self, seen: Seen, place: str) -> None:
        """Write down a request that begins."""
        with self._lock:
            self._seen.append(seen)
            if seen.method == "PATCH":
                self._patching[place] += 1
                self.most_patches_per_session = max(self.most_patches_per_session, self._patching[place])

    def close(self, seen: Seen, place: str) -> None:
        """Write down that a request is over."""
        seen.seconds = time.monotonic() - seen.at
        if seen.method == "PATCH":
            with self._lock:
                self._patching[place] -= 1

    def all(self, method: str = "", path: str = "") -> list[Seen]:
        """Give the requests, those of a method, or those whose path contains a text."""
        with self._lock:
            return [seen for seen in self._seen if (not method or seen.method == method) and path in seen.path]

    def clear(self) -> None:
        """Forget the requests so far."""
        with self._lock:
            self._seen.clear()
            self.most_patches_per_session = 0


def _shown_path(path: str) -> str:
    return BASE + "/SESSION" if path.startswith(BASE + "/") else path


class FaultLayer:
    """The ASGI layer in front of the routes."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        world: World,
        faults: FaultBox,
        connections: Connections,
        log: RequestLog,
        act: Callable[[str], object],
    ) -> None:
        self.app = app
        self.world = world
        self.faults = faults
        self.connections = connections
        self.log = log
        self.act = act
        self.later: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Write the request down, ask for a fault, and carry both out."""
        if scope["type"] != "http" or scope["path"].startswith("/_fake"):
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        seen = Seen(
            method=scope["method"],
            path=_shown_path(scope["path"]),
            query=scope["query_string"].decode(),
            has_key="x-api-key" in headers,
            offset=int(headers["upload-offset"]) if headers.get("upload-offset", "").isdigit() else None,
            at=time.monotonic(),
        )
        self.log.open(seen, scope["path"])
        self.log.keep(scope["raw_path"], scope["query_string"], *(value for _, value in scope["headers"]))

        async def counted_receive() -> Message:
            message = await receive()
            seen.received += len(message.get("body", b""))
            self.log.keep(message.get("body", b""))
            return message

        async def noted_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                seen.status = message["status"]
            await send(message)

        length = int(headers.get("content-length") or 0)
        fault = self.faults.for_request(scope["method"], scope["path"], length)
        try:
            if fault is None:
                await self.app(scope, counted_receive, noted_send)
            else:
                seen.fault = fault.kind
                await self._carry_out(fault, scope, counted_receive, noted_send)
        finally:
            self.log.close(seen, scope["path"])

    async def _carry_out(self, fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        kind = fault.kind
        client = scope["client"]
        if kind == "reset":
            self.connections.reset(client)
        elif kind in ("status", "garbage", "too_large"):
            await self._page(fault, send)
        elif kind in ("late", "impatient"):
            await self._late(fault, scope, receive, send)
        elif kind in ("lose_answer", "stall_answer", "hold_answer"):
            await self._after_effect(fault, scope, receive, send)
        elif kind == "cut_answer":
            await self.app(scope, receive, self._cutting(fault, client, send))
        elif kind == "spoil_answer":
            await self.app(scope, receive, _spoiling(send))
        elif kind == "slow":
            await self.app(scope, _slowed(receive, fault.size), send)
        else:
            await self._before(fault, scope)
            await self.app(scope, receive, send)
            if kind == "truncate":
                sid = scope["path"].rpartition("/")[2]
                if sid in self.world.sessions:
                    cut_session(self.world, sid, fault.size)

    async def _before(self, fault: Fault, scope: Scope) -> None:
        if fault.kind == "stall":
            await asyncio.sleep(fault.seconds)
        elif fault.kind == "hold":
            await fault.let_go()
        elif fault.kind == "act":
            if fault.action is not None:
                await asyncio.to_thread(fault.action)
            else:
                await asyncio.to_thread(self.act, fault.target)
        elif fault.kind == "session_gone":
            drop_session(self.world, scope["path"].rpartition("/")[2])

    async def _page(self, fault: Fault, send: Send) -> None:
        status = {"too_large": 413, "garbage": 200}.get(fault.kind, fault.status)
        body = PAGE.format(status=status, text=TEXTS.get(status, "OK")).encode()
        headers = [(b"content-type", b"text/html"), (b"content-length", str(len(body)).encode()), (b"server", b"nginx")]
        if status == 413:
            headers.append((b"connection", b"close"))
        if status == 429 or (status == 503 and fault.seconds):
            headers.append((b"retry-after", str(int(fault.seconds) or 1).encode()))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _after_effect(self, fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        kept: list[Message] = []

        async def keep(message: Message) -> None:
            kept.append(message)

        await self.app(scope, receive, keep)
        if fault.kind == "lose_answer":
            self.connections.reset(scope["client"])
            return
        if fault.kind == "stall_answer":
            await asyncio.sleep(fault.seconds)
        else:
            await fault.let_go()
        for message in kept:
            await send(message)

    async def _late(self, fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if message["type"] == "http.disconnect" or not message.get("more_body"):
                break
        if fault.kind == "late":
            self.connections.reset(scope["client"])
        else:
            await self._page(fault, send)

        async def replay() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        async def nobody(message: Message) -> None:
            del message

        async def carry_out() -> None:
            await asyncio.sleep(fault.seconds)
            await self.app(scope, replay, nobody)

        effect = asyncio.ensure_future(carry_out())
        self.later.add(effect)
        effect.add_done_callback(self.later.discard)

    def _cutting(self, fault: Fault, client: Any, send: Send) -> Send:
        left = fault.size

        async def cut(message: Message) -> None:
            nonlocal left
            if message["type"] != "http.response.body":
                await send(message)
                return
            body = message.get("body", b"")
            if len(body) <= left:
                left -= len(body)
                await send(message)
                return
            await send({**message, "body": body[:left], "more_body": True})
            # The part has to leave the buffer before the reset throws the rest away.
            await asyncio.sleep(0.05)
            self.connections.reset(client)
            raise ConnectionResetError("cut on purpose")

        async def quiet(message: Message) -> None:
            if left >= 0:
                await cut(message)

        return quiet


def _spoiling(send: Send) -> Send:
    is_first = True

    async def spoil(message: Message) -> None:
        nonlocal is_first
        body = message.get("body", b"")
        if body and is_first:
            is_first, message = False, {**message, "body": bytes([body[0] ^ 1]) + body[1:]}
        await send(message)

    return spoil


def _slowed(receive: Receive, bytes_per_second: int) -> Receive:
    async def slow() -> Message:
        message = await receive()
        await asyncio.sleep(len(message.get("body", b"")) / max(1, bytes_per_second))
        return message

    return slow
