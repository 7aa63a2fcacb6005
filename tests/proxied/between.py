"""Small faulty proxies between a client and a server of this machine, each in a thread of its own.

`Relay` passes bytes on and cuts connections; `Impatient` understands just enough HTTP to answer 504 to parts of files
that it delivers all the same, slowly, and writes down when which part of which upload was open at the server. What a
healthy proxy does is nginx's matter (`nginx.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import re
import socket
import struct
import threading
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

PIECE_BYTES = 64 * 1024
PAGE = b"<h1>504 Gateway Time-out</h1>"
GIVEN_UP = (
    b"HTTP/1.1 504 Gateway Time-out\r\nContent-Type: text/html\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s"
    % (len(PAGE), PAGE)
)


class Between:
    """A server in front of `port`, as a context manager; its address is `url`."""

    def __init__(self, port: int) -> None:
        self.behind = port
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._done: asyncio.Event
        self._serving: set[asyncio.Task[None] | None] = set()

    @property
    def url(self) -> str:
        """The address, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(lambda: self._done.set())
        self._thread.join(10)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        self._done = asyncio.Event()
        server = await asyncio.start_server(self._guarded, "127.0.0.1", 0, limit=PIECE_BYTES)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._done.wait()
        server.close()
        # What was accepted just now shows only after a turn of the loop, and so does what was closed.
        for _ in range(5):
            await asyncio.sleep(0)
            left = [one for one in asyncio.all_tasks() if one is not asyncio.current_task()]
            for one in left:
                one.cancel()
            await asyncio.gather(*left, return_exceptions=True)

    async def _guarded(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # The loop itself holds what runs only weakly, and a connection that rests is held by nobody else.
        self._serving.add(asyncio.current_task())
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await self.converse(reader, writer)
        finally:
            self._serving.discard(asyncio.current_task())
            writer.transport.abort() if self._done.is_set() else writer.close()

    @contextlib.asynccontextmanager
    async def server(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        """Open a connection to the server behind, and close it in the end."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.behind, limit=PIECE_BYTES)
        try:
            yield reader, writer
        finally:
            writer.transport.abort() if self._done.is_set() else writer.close()

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        raise NotImplementedError


def reset(writer: asyncio.StreamWriter) -> None:
    """Cut a connection so that the other side gets a reset."""
    raw = writer.get_extra_info("socket")
    if raw is not None:
        with contextlib.suppress(OSError):
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


class Relay(Between):
    """Passes bytes on; cuts each connection after `cut_after` bytes from the client, and all while it is `away`: once
    after `away_after` bytes in all, for `away_s` seconds.
    """

    def __init__(
        self, port: int, *, cut_after: int | None = None, away_after: int | None = None, away_s: float = 0.0
    ) -> None:
        super().__init__(port)
        self.away_after = away_after
        self.away_s = away_s
        self.passed = 0
        self.cut_after = cut_after
        self.cuts = 0
        self.refused = 0
        self._is_away = False
        self._open: set[asyncio.StreamWriter] = set()

    def away(self, for_s: float | None = None) -> None:
        """Cut everything and let nobody through, until `back` or for some seconds."""
        self._is_away = True
        self._loop.call_soon_threadsafe(self._cut_all)
        if for_s is not None:
            self._loop.call_soon_threadsafe(self._loop.call_later, for_s, self.back)

    def back(self) -> None:
        """Let everybody through again."""
        self._is_away = False

    def _cut_all(self) -> None:
        for writer in list(self._open):
            reset(writer)

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass bytes on in both directions until one side ends, or the connection is cut."""
        if self._is_away:
            self.refused += 1
            reset(writer)
            return
        async with self.server() as (back, on):
            self._open |= {writer, on}
            ways = [asyncio.ensure_future(self._pass(reader, on, self.cut_after, counts=True)),
                    asyncio.ensure_future(self._pass(back, writer, None))]  # fmt: skip
            try:
                done, _ = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
                self._open -= {writer, on}
            if any(way.exception() is None and way.result() for way in done):
                self.cuts += 1
                reset(writer)
                reset(on)

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, most: int | None, *, counts: bool = False
    ) -> bool:
        """Pass bytes on until the end; True when more than `most` came."""
        passed = 0
        while piece := await reader.read(PIECE_BYTES):
            passed += len(piece)
            writer.write(piece)
            await writer.drain()
            self.passed += len(piece) * counts
            if self.away_after is not None and self.passed >= self.away_after:
                self.away_after = None
                self.away(for_s=self.away_s)
            if most is not None and passed >= most:
                return True
        return False


@dataclass
class Part:
    """A part of a file on its way into the server: into which session, and from when to when."""

    session: str
    began: float
    ended: float | None = None

    def meets(self, other: Part) -> bool:
        """Tell whether both were open at once, in the same session."""
        first, second = sorted((self, other), key=lambda part: part.began)
        return self.session == other.session and (first.ended is None or second.began < first.ended)


class Impatient(Between):
    """Answers 504 at once to the first requests of each kind, and brings them to the server all the same, over `late_s`
    seconds; everything else passes. `gives_up` tells how many: {"PATCH /api/upload/": 2}.

    `after` so many of each kind pass before. With `is_mute` there is no 504 and no answer at all.
    """

    def __init__(
        self, port: int, gives_up: Mapping[str, int], *, late_s: float, after: int = 0, is_mute: bool = False
    ) -> None:
        super().__init__(port)
        self.left = dict(gives_up)
        self.late_s = late_s
        self.is_mute = is_mute
        self.carried_out: list[int] = []
        """Statuses of what was carried out though it had been given up."""
        self.given_up: list[str] = []
        """Sessions, or other last parts of addresses, of what was given up."""
        self.looks: list[str] = []
        """The same of what was asked with HEAD after that."""
        self.parts: list[Part] = []
        self._after = dict.fromkeys(gives_up, after)

    @property
    def met(self) -> int:
        """How often two parts were open in the same session at once."""
        return sum(one.meets(other) for one, other in itertools.combinations(self.parts, 2))

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve the one request of a connection."""
        head = await reader.readuntil(b"\r\n\r\n")
        found = re.search(rb"(?im)^content-length: *(\d+)", head)
        body = await reader.readexactly(int(found[1])) if found else b""
        head = re.sub(rb"(?im)^connection:.*\r\n", b"", head).replace(b"\r\n", b"\r\nConnection: close\r\n", 1)
        method, path, _ = head.decode("latin-1").split(" ", 2)
        last = path.rpartition("/")[2]
        if self._gives_up(method, path):
            self.given_up.append(last)
            delivering = asyncio.ensure_future(self._deliver_late(head, body, method, last))
            if not self.is_mute:
                writer.write(GIVEN_UP)
                await writer.drain()
                writer.close()
            await delivering
            return
        if method == "PATCH":
            writer.write(await self._bring(head, [body], last))
            await writer.drain()
            return
        if method == "HEAD" and self.given_up:
            self.looks.append(last)
        async with self.server() as (back, on):
            on.write(head + body)
            while piece := await back.read(PIECE_BYTES):
                writer.write(piece)
                await writer.drain()

    def _gives_up(self, method: str, path: str) -> bool:
        for kind, left in self.left.items():
            wanted, _, part = kind.partition(" ")
            if left and method == wanted and part in path:
                if self._after[kind]:
                    self._after[kind] -= 1
                    return False
                self.left[kind] -= 1
                return True
        return False

    async def _deliver_late(self, head: bytes, body: bytes, method: str, last: str) -> None:
        half = len(body) // 2
        answer = await self._bring(head, [body[:half], body[half:]], last if method == "PATCH" else "")
        self.carried_out.append(int(answer.split(b" ", 2)[1]))

    async def _bring(self, head: bytes, pieces: Sequence[bytes], session: str) -> bytes:
        """Have the server carry a request out, with a pause between the pieces, and return its whole answer: whatever
        becomes of the client.
        """
        part = Part(session, time.monotonic())
        if session:
            self.parts.append(part)
        async with self.server() as (back, on):
            on.write(head)
            for number, piece in enumerate(pieces):
                if number:
                    await asyncio.sleep(self.late_s)
                on.write(piece)
                await on.drain()
            answer = await back.read()
        part.ended = time.monotonic()
        return answer


class Cutting(Between):
    """Passes bytes on, and counts those that the server sends; cuts the connection under way whenever as many came as
    `cuts_at` says next. Little of them is in the hands of the system then: what a fast network holds.
    """

    def __init__(self, port: int, cuts_at: Sequence[int]) -> None:
        super().__init__(port)
        self.passed = 0
        self.cuts = 0
        self._cuts_at = list(cuts_at)

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass bytes on in both directions until one side ends, or the connection is cut."""
        raw = writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, PIECE_BYTES)
        async with self.server() as (back, on):
            ways = [asyncio.ensure_future(self._ask(reader, on)), asyncio.ensure_future(self._answer(back, writer))]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)

    async def _ask(self, reader: asyncio.StreamReader, on: asyncio.StreamWriter) -> None:
        while piece := await reader.read(PIECE_BYTES):
            on.write(piece)
            await on.drain()

    async def _answer(self, back: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await back.read(PIECE_BYTES):
            self.passed += len(piece)
            writer.write(piece)
            await writer.drain()
            if self._cuts_at and self.passed >= self._cuts_at[0]:
                self.cuts += 1
                del self._cuts_at[0]
                reset(writer)
                return
