"""Upload sessions: bytes on their way to Galaxy, resumable after anything.

A session id is a secret: Galaxy asks for no key here (measured on 24.1.4 to 26.1.2), whoever knows it can send or take
the bytes. Two rules keep a file whole: one writer per session, and no chunk is ever sent again without asking for the
offset first, because servers up to 25.1 append a chunk at a wrong offset and 26.x stand still when two write at once.
Go on with `fetch.py`.
"""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable

from watcher.clock import Clock
from watcher.errors import AnswerLost, GalaxyBroken, GalaxyError, NotThere
from watcher.galaxy.features import Features
from watcher.galaxy.http import Http, Reply
from watcher.galaxy.refusals import not_understood

SESSIONS = "/api/upload/resumable_upload"
VERSION = {"tus-resumable": "1.0.0"}
READING_PAUSE_S = 3.0
"""Between two readings of an offset that may still be moving."""

MOST_MOVES = 40
"""An offset that moved at so many readings is moved by somebody who does not end."""

SMALLEST_PIECE_BYTES = 64 * 1024
"""Who lets through less than this in one request cannot be sent to."""

SMALLEST_AFTER_CUT_BYTES = 1024 * 1024
"""Smaller pieces would cost more than a connection that breaks now and then."""

CUTS_REMEMBERED_S = 3600.0


class Tus:
    """Upload sessions of the account."""

    def __init__(self, http: Http, features: Callable[[], Awaitable[Features]]) -> None:
        self._http = http
        self._features = features
        self.largest_bytes: int | None = None
        """What a proxy on the way lets through in one request, as learnt from its refusals; None: no refusal yet."""
        self._cut_at: float | None = None

    def learn_too_large(self, refused_bytes: int) -> bool:
        """Send at most half as much at once from now on, whatever the file; False when that would be too little.

        Then it is forgotten: once somebody has corrected the proxy, whole chunks are tried again.
        """
        if refused_bytes <= SMALLEST_PIECE_BYTES:
            self.largest_bytes = None
            return False
        half = max(refused_bytes // 2, SMALLEST_PIECE_BYTES)
        self.largest_bytes = min(self.largest_bytes or half, half)  # several files may hear of it at once
        return True

    def learn_cut(self, cut_bytes: int) -> None:
        """Send half as much at once and over a connection of its own, since something cuts connections on the way.

        Forgotten for the next file after an hour: it may have been a restart.
        """
        half = max(cut_bytes // 2, SMALLEST_AFTER_CUT_BYTES)
        self.largest_bytes = min(self.largest_bytes or half, half)
        self._cut_at = self._http.clock.monotonic()

    def _forget_old_cuts(self) -> None:
        if self._cut_at is not None and self._http.clock.monotonic() - self._cut_at > CUTS_REMEMBERED_S:
            self._cut_at = self.largest_bytes = None

    async def create(self, size: int, filename: str) -> str:
        """Open a session for that many bytes and return its id; raises AnswerLost, which leaves at most an empty
        session behind.
        """
        self._forget_old_cuts()
        asked = self._http.asked("POST", "open an upload session")
        # Without both keys a session cannot be asked for its offset (26.0 and later answer 400).
        pairs = {"filename": filename, "filetype": "application/octet-stream"}
        metadata = ",".join(f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in pairs.items())
        headers = {**VERSION, "upload-length": str(size), "upload-metadata": metadata}
        reply = await self._http.send(asked, SESSIONS, content=b"", headers=headers)
        # The address as a whole is built from headers that a proxy may have changed; its last part is right.
        session = reply.headers.get("location", "").split("?")[0].rstrip("/").rpartition("/")[2]
        if not session:
            raise not_understood(asked, "no Location", status=reply.status, request_id=reply.request_id)
        return session

    async def offset(self, session: str) -> int | None:
        """Return how many bytes the session holds, or None when there is no such session (any more)."""
        asked = self._http.asked("HEAD", "tell how much of a file has arrived", session)
        try:
            reply = await self._http.repeat(lambda: self._http.send(asked, f"{SESSIONS}/{session}", headers=VERSION))
        except NotThere:
            return None
        return _offset(reply, not_understood(asked, "no offset", status=reply.status, request_id=reply.request_id))

    async def settled_offset(self, session: str, clock: Clock, *, still_s: float = READING_PAUSE_S) -> int | None:
        """Return the offset once it has stood still for so long, at least at two readings; None when the session is
        gone.

        After a lost answer the chunk may still be on its way into Galaxy, where the offset stands still until the end:
        equal readings are no proof, the size and hash of the dataset are. Raises AnswerLost when the offset keeps
        moving.
        """
        before = await self.offset(session)
        moves, stood_s = 0, 0.0
        while before is not None and moves < MOST_MOVES:
            await clock.sleep(READING_PAUSE_S)
            now = await self.offset(session)
            stood_s += READING_PAUSE_S
            if now != before:
                before, moves, stood_s = now, moves + 1, 0.0
            elif stood_s >= still_s:
                return now
        if before is None:
            return None
        raise AnswerLost(
            f"Galaxy at {self._http.account.shown} still takes in bytes that nobody sends any more.",
            hint="Another process may write to the same upload session; a fresh one is cheaper than a doubtful one.",
        )

    async def send(self, session: str, offset: int, chunk: bytes) -> int:
        """Append a chunk and return the new offset.

        Raises AnswerLost when it may or may not have arrived (then `settled_offset`), Refused with status 413 for a
        chunk that a proxy does not let through (the offset has not moved: `learn_too_large`) or 409 for a wrong offset,
        NotThere when the session is gone.
        """
        asked = self._http.asked("PATCH", "take in a part of a file", session)
        headers = {**VERSION, "upload-offset": str(offset), "content-type": "application/offset+octet-stream"}
        if self._cut_at is not None or not (await self._features()).tus_keeps_connection:
            headers["connection"] = "close"
        read_s = self._http.account.upload_read_s
        reply = await self._http.send(asked, f"{SESSIONS}/{session}", content=chunk, headers=headers, read_s=read_s)
        lost = not_understood(asked, "no offset", status=reply.status, request_id=reply.request_id)
        arrived = _offset(reply, lost)
        if arrived != offset + len(chunk):
            raise GalaxyBroken(
                f"Galaxy at {self._http.account.shown} holds {arrived} bytes of a file "
                f"of which {offset + len(chunk)} were sent.",
                hint="Somebody else writes to the same upload session, or a proxy repeats requests: begin a new one.",
                status=reply.status,
                request_id=reply.request_id,
            )
        return arrived

    async def delete(self, session: str) -> None:
        """Forget the session and its bytes; one that is gone already is fine."""
        asked = self._http.asked("DELETE", "forget an upload", session)
        try:
            await self._http.send(asked, f"{SESSIONS}/{session}", headers=VERSION)
        except NotThere:
            return


def _offset(reply: Reply, otherwise: GalaxyError) -> int:
    text = reply.headers.get("upload-offset", "")
    if not text.isdigit():
        raise otherwise
    return int(text)
