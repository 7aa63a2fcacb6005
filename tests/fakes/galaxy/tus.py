"""Resumable uploads: creation, HEAD, PATCH and DELETE, which ask for no key on any version.

Bytes go to one file per session. A PATCH writes as it receives; what HEAD says changes when the PATCH ends, or when its
connection breaks (26.0 and later). What becomes of a full session is in `fetch.py`.
"""

from __future__ import annotations

import time
import uuid
from datetime import timedelta
from email.utils import format_datetime
from pathlib import Path

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.fakes.galaxy.state import Session, World

BASE = "/api/upload/resumable_upload"


def session_path(world: World, sid: str) -> Path:
    """Give the file that holds the bytes of a session."""
    return world.folder / "tus" / Path(sid).name


def drop_session(world: World, sid: str) -> None:
    """Forget a session and its bytes."""
    world.sessions.pop(sid, None)
    session_path(world, sid).unlink(missing_ok=True)


def cut_session(world: World, sid: str, lost_bytes: int) -> None:
    """Lose the last bytes a session holds."""
    session = world.sessions[sid]
    session.offset = max(0, session.offset - lost_bytes)
    with session_path(world, sid).open("r+b") as stored:
        stored.truncate(session.offset)


def _refuse(world: World, status: int, detail: str, **headers: str) -> Response:
    if world.behaviour.tus_detail_bodies:
        return JSONResponse({"detail": detail}, status, headers=headers)
    return Response(b"", status, headers=headers)


def _headers(world: World, session: Session) -> dict[str, str]:
    expires = session.created + timedelta(days=world.behaviour.tus_expires_days)
    return {
        "tus-resumable": "1.0.0",
        "upload-offset": str(session.offset),
        "upload-expires": format_datetime(expires, usegmt=True),
    }


def _wrong_version(world: World, request: Request) -> Response | None:
    if request.headers.get("tus-resumable") == "1.0.0":
        return None
    status = world.behaviour.tus_no_version_status
    return _refuse(world, status, "Unsupported version. Expected 1.0.0", **{"tus-version": "1.0.0"})


def _has_full_metadata(metadata: str) -> bool:
    names = {part.split()[0] for part in metadata.split(",") if part.strip()}
    return {"filename", "filetype"} <= names


async def create(request: Request) -> Response:
    """Open a session for a file of a declared length."""
    world: World = request.app.state.world
    if refused := _wrong_version(world, request):
        return refused
    try:
        length = int(request.headers.get("upload-length", ""))
    except ValueError:
        return _refuse(world, 400, "Invalid Upload-Length header")
    limit = world.behaviour.tus_limit_bytes
    if limit is not None and length > limit:
        return _refuse(world, 413, "Upload exceeds the maximum size")
    session = Session(uuid.uuid4().hex, length, request.headers.get("upload-metadata", ""))
    with world.lock:
        world.sessions[session.sid] = session
        session_path(world, session.sid).touch()
    headers = _headers(world, session)
    del headers["upload-offset"]
    scheme = request.headers.get("x-forwarded-proto", request.url.scheme)
    location = f"{scheme}://{request.headers.get('host', '')}{BASE}/{session.sid}"
    return Response(b"", 201, headers={**headers, "location": location})


async def look(request: Request) -> Response:
    """Say how many bytes a session holds."""
    world: World = request.app.state.world
    if refused := _wrong_version(world, request):
        return refused
    session = world.sessions.get(request.path_params["sid"])
    if session is None:
        return _refuse(world, 404, "Not Found")
    if world.behaviour.tus_needs_metadata and not _has_full_metadata(session.metadata):
        return _refuse(world, 400, "Upload-Metadata lacks filename or filetype")
    metadata = ", ".join(part.strip() for part in session.metadata.split(","))
    return Response(
        b"",
        200,
        headers={
            "tus-resumable": "1.0.0",
            "upload-metadata": metadata,
            "upload-length": str(session.length),
            "content-length": str(session.length),
            "upload-offset": str(session.offset),
            "cache-control": "no-store",
        },
    )


async def drop(request: Request) -> Response:
    """Throw a session away."""
    world: World = request.app.state.world
    if refused := _wrong_version(world, request):
        return refused
    sid = request.path_params["sid"]
    if sid not in world.sessions:
        return _refuse(world, 404, "Upload not found")
    with world.lock:
        drop_session(world, sid)
    return Response(b"", 204, headers={"tus-resumable": "1.0.0"})


def _stand_still(seconds: float) -> None:
    """Wait for the other PATCH as the real server does: in the event loop, so that it answers nobody meanwhile."""
    time.sleep(seconds)


async def _write(world: World, session: Session, request: Request, start: int) -> int:
    """Write the body at `start` and give the bytes written; more than declared is not written."""
    written = 0
    try:
        with session_path(world, session.sid).open("r+b") as stored:
            stored.seek(start)
            async for chunk in request.stream():
                room = session.length - start - written
                stored.write(chunk[:room])
                written += len(chunk)
                if written > session.length - start:
                    raise OverflowError
    except ClientDisconnect:
        if world.behaviour.tus_keeps_partial_patch:
            session.offset = start + written
        raise
    return written


async def append(request: Request) -> Response:
    """Add bytes at an offset."""
    world: World = request.app.state.world
    if refused := _wrong_version(world, request):
        return refused
    session = world.sessions.get(request.path_params["sid"])
    if session is None:
        return _refuse(world, 404, "Upload not found")
    try:
        offset = int(request.headers.get("upload-offset", ""))
    except ValueError:
        return _refuse(world, 400, "Invalid Upload-Offset header")
    checks = world.behaviour.tus_checks_offset
    world.writers_met += session.writing
    if checks and session.writing:
        _stand_still(world.lock_wait_s)
        return _refuse(world, 503, f"Timed out after {world.lock_wait_s}s waiting for lock")
    if checks and offset != session.offset:
        return _refuse(world, 409, "Offset mismatch")
    declared = int(request.headers.get("content-length") or 0)
    if session.offset + declared > session.length:
        return _refuse(world, 400, "Upload would exceed declared Upload-Length")
    session.writing = True
    start = session.offset if checks else session_path(world, session.sid).stat().st_size
    try:
        written = await _write(world, session, request, start)
    except OverflowError:
        return _refuse(world, 400, "Upload would exceed declared Upload-Length")
    except (ClientDisconnect, FileNotFoundError):
        return _refuse(world, 400, "Client disconnected")
    finally:
        session.writing = False
    if session.sid not in world.sessions:  # thrown away meanwhile; before 26.0 the server misses its file too late
        return _refuse(world, 404 if checks else 500, "Upload not found")
    session.offset = start + written
    full = session.offset >= session.length
    key = request.headers.get("x-api-key", "")
    if full and world.behaviour.tus_completion_needs_key and world.user_of_key(key) is None:
        return JSONResponse({"err_msg": "API authentication required for this request", "err_code": 403001}, 403)
    return Response(b"", 204, headers=_headers(world, session))


async def preflight(request: Request) -> Response:
    """Answer OPTIONS the way Galaxy does: a CORS preflight that says nothing about TUS."""
    return Response(b"", 200, headers={"access-control-allow-headers": "*", "access-control-max-age": "600"})


ROUTES = [
    Route(BASE, create, methods=["POST"]),
    Route(BASE, preflight, methods=["OPTIONS"]),
    Route(BASE + "/{sid}", look, methods=["HEAD"]),
    Route(BASE + "/{sid}", append, methods=["PATCH"]),
    Route(BASE + "/{sid}", drop, methods=["DELETE"]),
]
