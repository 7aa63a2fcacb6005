"""Sends a large result to an object store by obstore alone, where nobody here can sign: it begins anew when it breaks.

obstore aborts an upload that fails under its hands, not one that is cancelled; so an upload is never cancelled, its
pieces fail. What a killed process leaves on S3 and Google Cloud Storage a lifecycle rule of the bucket has to clear.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from watcher.delivery.parts import AT_ONCE
from watcher.delivery.store_access import store_errors

if TYPE_CHECKING:
    from watcher.delivery.store_access import OpenStore

_STOP_S = 90.0


class _Stopped(Exception):
    """The upload is given up: what obstore is told, and what nobody else sees."""


_Waiting = asyncio.Queue[bytes | _Stopped | None]


@dataclass(slots=True)
class Streamed:
    """What was handed to obstore; `complete` makes an object of it."""

    size: int
    sha256: str
    _waiting: _Waiting
    _upload: asyncio.Task[None]

    async def complete(self) -> None:
        """Let obstore end the upload; raises what `store_errors` makes of its errors."""
        await _hand_over(self._waiting, None, self._upload)
        await asyncio.shield(self._upload)


@asynccontextmanager
async def streamed(
    store: OpenStore,
    key: str,
    place: str,
    pieces: AsyncGenerator[bytes, None],
    part_bytes: int,
    attributes: dict[str, str],
    on_bytes: Callable[[int], None],
) -> AsyncIterator[Streamed]:
    """Hand all pieces to obstore; what is not completed in the block is aborted. `place` is for people."""
    waiting: _Waiting = asyncio.Queue(maxsize=2)
    upload = asyncio.create_task(_send(store, key, place, waiting, part_bytes, attributes))
    digest, done = hashlib.sha256(), 0
    try:
        # Closed here when the upload fails, not when somebody finds it lying about.
        async with contextlib.aclosing(pieces):
            async for piece in pieces:
                digest.update(piece)
                await _hand_over(waiting, piece, upload)
                done += len(piece)
                on_bytes(done)
        yield Streamed(done, digest.hexdigest(), waiting, upload)
    finally:
        if not upload.done() or upload.cancelled() or upload.exception() is not None:
            await _stop(waiting, upload)  # also when we are cancelled: obstore aborts only what it sees fail


async def _send(
    store: OpenStore, key: str, place: str, waiting: _Waiting, part_bytes: int, attributes: dict[str, str]
) -> None:
    import obstore

    async def pieces() -> AsyncIterator[bytes]:
        while (piece := await waiting.get()) is not None:
            if isinstance(piece, _Stopped):
                raise piece
            yield piece

    with store_errors(place):
        await obstore.put_async(
            store,
            key,
            pieces(),
            attributes=attributes or None,
            use_multipart=True,
            chunk_size=part_bytes,
            max_concurrency=AT_ONCE,
        )


async def _hand_over(waiting: _Waiting, piece: bytes | None, upload: asyncio.Task[None]) -> None:
    """Put the next piece before the upload, or raise what the upload failed with."""
    handing = asyncio.create_task(waiting.put(piece))
    try:
        await asyncio.wait({handing, upload}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        handing.cancel()
    if upload.done() and not (piece is None and handing.done()):
        await upload


async def _stop(waiting: _Waiting, upload: asyncio.Task[None]) -> None:
    """Let the upload fail, so that obstore aborts it, and wait until it has."""
    while not waiting.empty():
        waiting.get_nowait()
    waiting.put_nowait(_Stopped())
    await asyncio.wait({upload}, timeout=_STOP_S)
    upload.cancel()
    with contextlib.suppress(Exception, asyncio.CancelledError):
        await upload
