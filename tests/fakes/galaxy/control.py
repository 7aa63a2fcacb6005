"""The HTTP door for tests that run the fake in another process: `/_fake/...`, never logged, never hit by a fault.

GET /_fake/state gives everything, as `FakeGalaxy.snapshot()`.
POST /_fake/faults arms a fault, {"kind": "reset", "method": "PATCH", "path": "/api/upload/*", "times": 2},
and gives {"number"}.
GET /_fake/faults/N?wait=S waits until it has hit and gives {"hits", "used_up"}; POST /_fake/faults/N/release lets go.
DELETE /_fake/faults takes all of them away.
POST /_fake/act carries out one of `ACTIONS`: {"action": "delete_history", "history_id": "..."} gives {"answer"}.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from tests.fakes.galaxy.faults import Fault

if TYPE_CHECKING:
    from tests.fakes.galaxy.server import FakeGalaxy

Json = dict[str, Any]
ACTIONS = (
    "expire_key",
    "renew_key",
    "restore_key",
    "set_quota",
    "delete_history",
    "delete_dataset",
    "spoil_dataset",
    "import_workflow",
    "wait_idle",
    "save",
)


def act(fake: FakeGalaxy, name: str, arguments: Json) -> object:
    """Carry out one of the actions by name."""
    if name not in ACTIONS:
        raise ValueError(f"there is no action {name!r}")
    if "content" in arguments:
        arguments = {**arguments, "content": str(arguments["content"]).encode("latin-1")}
    return getattr(fake, name)(**arguments)


def routes(fake: FakeGalaxy) -> list[BaseRoute]:
    """Make the routes of the control door."""

    async def state(request: Request) -> Response:
        del request
        return JSONResponse(await asyncio.to_thread(fake.snapshot))

    async def arm(request: Request) -> Response:
        fake.faults.add(Fault(**await request.json()))
        return JSONResponse({"number": len(fake.faults.all()) - 1})

    async def disarm(request: Request) -> Response:
        del request
        fake.faults.clear()
        return JSONResponse({})

    async def look(request: Request) -> Response:
        fault = fake.faults.all()[int(request.path_params["number"])]
        wait_s = float(request.query_params.get("wait", "0"))
        if wait_s:
            await asyncio.to_thread(fault.reached.wait, wait_s)
        return JSONResponse({"hits": fault.hits, "used_up": fault.used_up})

    async def release(request: Request) -> Response:
        fake.faults.all()[int(request.path_params["number"])].release()
        return JSONResponse({})

    async def carry_out(request: Request) -> Response:
        body = await request.json()
        name = body.pop("action")
        return JSONResponse({"answer": await asyncio.to_thread(act, fake, name, body)})

    return [
        Route("/_fake/state", state, methods=["GET"]),
        Route("/_fake/faults", arm, methods=["POST"]),
        Route("/_fake/faults", disarm, methods=["DELETE"]),
        Route("/_fake/faults/{number}", look, methods=["GET"]),
        Route("/_fake/faults/{number}/release", release, methods=["POST"]),
        Route("/_fake/act", carry_out, methods=["POST"]),
    ]
