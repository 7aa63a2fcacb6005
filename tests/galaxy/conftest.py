"""A local server that answers with exactly the bytes a test says, and remembers what it was asked.

It speaks to httpx over a real socket, so that broken connections and odd bodies are what they are in the field.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import stamina

from watcher.clock import ManualClock
from watcher.galaxy import Account, Galaxy

KEY = "5ecre7-0f-the-acc0unt"


def reply(
    status: int, body: bytes | str | object = b"", content_type: str = "application/json", **headers: str
) -> bytes:
    """Return the bytes of an answer; a body that is neither bytes nor text is sent as JSON."""
    raw = body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} Whatever", f"content-type: {content_type}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    if "content_length" not in headers:
        lines.append(f"content-length: {len(raw)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + raw


@dataclass
class Request:
    """A request as it arrived; `connection` counts connections from 0."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    connection: int


@dataclass
class ScriptedServer:
    """Answers in the order of `script`; bytes that end with `HANG_UP` close the connection after them.

    Without an answer left it is silent: it sets `arrived` and waits until the other side gives up.
    """

    HANG_UP = b"<hang up>"
    port: int = 0
    script: list[bytes] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        """The address without a path."""
        return f"http://127.0.0.1:{self.port}"

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        number, self.connections = self.connections, self.connections + 1
        try:
            while request := await self._read(reader, number):
                self.requests.append(request)
                if not self.script:
                    self.arrived.set()
                    await reader.read()
                    break
                answer = self.script.pop(0)
                writer.write(answer.removesuffix(self.HANG_UP))
                await writer.drain()
                if answer.endswith(self.HANG_UP):
                    break
        finally:
            writer.close()

    async def _read(self, reader: asyncio.StreamReader, number: int) -> Request | None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        method, target, _ = head[0].split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        return Request(method, target, headers, body, number)


@pytest.fixture
async def server() -> AsyncIterator[ScriptedServer]:
    """Return a server without any answer yet."""
    scripted = ScriptedServer()
    listening = await asyncio.start_server(scripted.converse, "127.0.0.1", 0)
    scripted.port = listening.sockets[0].getsockname()[1]
    yield scripted
    listening.close()


@pytest.fixture
def clock() -> ManualClock:
    """Return a clock that stands still."""
    return ManualClock()


@pytest.fixture
async def galaxy(server: ScriptedServer, clock: ManualClock) -> AsyncIterator[Galaxy]:
    """Return a client of the scripted server, which lies below a path as behind a proxy."""
    account = Account("test", f"{server.url}/galaxy/", lambda: KEY, connect_s=5, read_s=5)
    async with Galaxy(account, clock) as client:
        yield client


@pytest.fixture(autouse=True)
def no_pauses() -> Iterator[None]:
    """Repeat without waiting."""
    with stamina.set_testing(True, attempts=3):
        yield


def version(text: str = "26.1") -> bytes:
    """Return the answer to "which version are you"; asked once by each client."""
    return reply(200, {"version_major": text, "version_minor": "2"})


def user(**more: Any) -> bytes:
    """Return the answer to "who am I"."""
    return reply(200, {"id": "u1", "email": "a@example.org", "is_admin": False, "total_disk_usage": 7.0, **more})
