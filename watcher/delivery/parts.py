"""Sends a large result to an object store in parts, and goes on with an upload that another try began.

A store keeps the parts it acknowledged while nobody is there, its own end included, and tells of each how long it is
and what its hash is. So a try that goes on reads the result from its beginning once more, since its SHA-256 cannot be
taken up anywhere else, and sends the parts that the store does not have. What an upload is in S3 and in Azure stands
in `s3_uploads.py` and `azure_blocks.py`; what the object is called, and whether it is right, in `object_store.py`.
"""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol
from xml.etree import ElementTree

import httpx
import stamina

from watcher.delivery.store_access import told
from watcher.errors import DeliveryError, TargetGone, WatcherError

AT_ONCE = 2  # parts of one object under way; several objects are sent at a time, and memory is theirs together
_ATTEMPTS = 6
_WITHIN_S = 30.0  # what lasts longer is waited for by the watcher, with a word to people


async def _forget(_: str) -> None:
    """Remember nothing."""


@dataclass(frozen=True, slots=True)
class Begun:
    """What is remembered of the upload of one result: its id, empty where there is none; and who remembers a new one.

    An id is noted before the first part goes. Without somebody who notes it an upload ends with the try that began it.
    """

    id: str = ""
    note: Callable[[str], Awaitable[None]] = _forget

    @property
    def lasts(self) -> bool:
        """Whether another process could go on with it."""
        return self.note is not _forget


NEVER_BEGUN = Begun()


@dataclass(slots=True)
class Part:
    """A stretch of a result, on its way; the first has number 1."""

    number: int
    size: int = 0
    pieces: list[bytes] = field(default_factory=list)
    _digest: hashlib._Hash = field(default_factory=hashlib.sha256)

    def add(self, piece: bytes) -> None:
        """Take more bytes."""
        self.pieces.append(piece)
        self._digest.update(piece)
        self.size += len(piece)

    @property
    def sha256(self) -> bytes:
        """Its SHA-256."""
        return self._digest.digest()

    def md5(self) -> str:
        """Return its MD5: what stores tell of a part when they tell nothing better."""
        digest = hashlib.md5(usedforsecurity=False)
        for piece in self.pieces:
            digest.update(piece)
        return digest.hexdigest()


class Upload(Protocol):
    """The upload of one object in parts."""

    async def take_up(self, known: str) -> str:
        """Go on with the upload of this id if it is still there, else begin one; return its id. Others of the same
        object are aborted.
        """
        ...

    def has(self, part: Part) -> bool:
        """Tell whether the store has this very part already."""
        ...

    async def send(self, part: Part) -> None:
        """Send a part; one of the same number gives way."""
        ...

    async def complete(self, sha256: str, *, replace: bool) -> bool:
        """Make the object of its parts. False when there is an object already and `replace` is not wanted, or when the
        upload is gone: either may be our own doing, after an answer that was lost.
        """
        ...

    async def abort(self) -> None:
        """Throw away what was sent. Nothing is raised: the next try does it as well."""
        ...


class Uploads(Protocol):
    """A store that takes objects in parts."""

    def of(self, key: str, sha256: str) -> AbstractAsyncContextManager[Upload]:
        """Return the upload of an object; `sha256` is kept with it where it is known beforehand."""
        ...

    async def abort(self, key: str, known: str) -> bool:
        """Throw away what was ever sent for this very object and has not become one, by the upload of the id `known`
        above all, which may be empty. Tell whether the store took it; nothing is raised.
        """
        ...


async def send_parts(
    upload: Upload, pieces: AsyncIterator[bytes], part_bytes: int, on_bytes: Callable[[int], None]
) -> tuple[int, str]:
    """Send what the store does not have yet; return size and SHA-256 of all that was read. Every part has been
    acknowledged then. Raises what the pieces and the upload raise.
    """
    digest, done, part = hashlib.sha256(), 0, Part(1)
    sending: set[asyncio.Task[None]] = set()

    async def hand_over(whole: Part) -> None:
        if not upload.has(whole):
            if len(sending) >= AT_ONCE:
                await _some(sending)
            sending.add(asyncio.create_task(upload.send(whole)))
        on_bytes(done)

    try:
        async for piece in pieces:
            digest.update(piece)
            start = 0
            while start < len(piece):
                end = min(len(piece), start + part_bytes - part.size)
                part.add(piece[start:end])
                done, start = done + end - start, end
                if part.size == part_bytes:
                    await hand_over(part)
                    part = Part(part.number + 1)
        if part.size:
            await hand_over(part)
        while sending:
            await _some(sending)
    except WatcherError as error:
        if sending and not isinstance(error, DeliveryError):
            await asyncio.wait(sending, timeout=_WITHIN_S)  # what came before the break need not come again
        raise
    finally:
        for one in sending:
            one.cancel()
        await asyncio.gather(*sending, return_exceptions=True)
    return done, digest.hexdigest()


async def _some(sending: set[asyncio.Task[None]]) -> None:
    """Wait until a part has arrived; raise what it raised."""
    ended, _ = await asyncio.wait(sending, return_when=asyncio.FIRST_COMPLETED)
    sending -= ended
    for one in ended:
        one.result()


@dataclass(frozen=True, slots=True)
class Request:
    """A request that is signed already; its signature is good for minutes."""

    method: str
    url: str
    headers: dict[str, str]
    content: Sequence[bytes] = ()


def store_client(ca_file: str | None) -> httpx.AsyncClient:
    """Return what sends requests to a store, which trusts the certificates of a file instead of the system's. Raises
    TargetGone when that cannot be read.
    """
    try:
        trusted = ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError):
        raise TargetGone(
            f"The certificates {ca_file} cannot be read.", hint="Correct ca_file in the configuration."
        ) from None
    return httpx.AsyncClient(verify=trusted, timeout=httpx.Timeout(120, connect=10, write=600))


async def ask(
    client: httpx.AsyncClient, place: str, make: Callable[[], Request], allowed: tuple[int, ...] = ()
) -> httpx.Response:
    """Send a request that may be sent twice, signed anew each time; return an answer of 2xx or of an `allowed` status.

    Raises TargetGone, TargetFull and DeliveryBroken about `place`; what passes by itself only after some tries.
    """
    async for attempt in stamina.retry_context(
        on=TargetGone, attempts=_ATTEMPTS, timeout=_WITHIN_S, wait_initial=0.2, wait_max=8.0, wait_jitter=0.2
    ):
        with attempt:
            request = make()
            # In pieces as they are: a part that is joined, and copied on its way, is in memory several times.
            length = {"content-length": str(sum(map(len, request.content)))} if request.content else {}
            content = _each(request.content) if request.content else None
            try:
                answer = await client.request(
                    request.method, request.url, headers=request.headers | length, content=content
                )
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                # Its text may hold a signature: it is not carried along.
                raise told(place, "certificate" if "CERTIFICATE" in str(error) else "") from None
            if answer.is_success or answer.status_code in allowed:
                return answer
            raise told(place, f"status code: {answer.status_code} {answer.text[:4096]}")
    raise AssertionError("retry_context returns or raises")


def read_xml(answer: bytes, place: str) -> ElementTree.Element:
    """Return what a store answered; TargetGone about `place` when something else did, such as a proxy."""
    try:
        return ElementTree.fromstring(answer)
    except ElementTree.ParseError:
        raise told(place, "status code: 502 no answer of a store") from None


async def _each(pieces: Sequence[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece
