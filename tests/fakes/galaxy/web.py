"""How requests come in and answers go out: keys, ids, error bodies, the shapes Galaxy gives to refusals.

It knows no route; those stand in `histories.py`, `datasets.py` and their neighbours and are put together in `app.py`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from tests.fakes.galaxy.account_state import User
from tests.fakes.galaxy.ids import decode
from tests.fakes.galaxy.state import Collection, Dataset, History, Invocation, Job, Workflow, World

if TYPE_CHECKING:
    from tests.fakes.galaxy.engine import Engine

Json = dict[str, Any]
Endpoint = Callable[["Call"], Any]
NOT_FOUND_PAGE = """<html>
 <head>
  <title>404 Not Found</title>
 </head>
 <body>
  <h1>404 Not Found</h1>
  The resource could not be found.<br /><br />
No route for {path}


 </body>
</html>"""


class Refusal(Exception):
    """An answer that is an error: status, Galaxy's own code and message."""

    def __init__(self, status: int, code: int, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status = status
        self.body: Json = {"err_msg": message, "err_code": code, **more}


def not_there(what: str) -> Refusal:
    """Give the 404 for a row that never was."""
    return Refusal(404, 404001, f"{what} not found")


def invalid(message: str, place: tuple[Any, ...], given: Any) -> Refusal:
    """Give the 400 that request validation makes, with its list of JSON strings."""
    problem = json.dumps({"type": "value_error", "loc": place, "msg": message, "input": given})
    return Refusal(400, 400008, f"{message} in {place!r}", validation_errors=[problem])


@dataclass
class Call:
    """One request, read completely, by a known or an anonymous caller."""

    world: World
    engine: Engine
    request: Request
    user: User | None
    body: Json

    @property
    def path(self) -> Mapping[str, str]:
        """The parts of the path."""
        return self.request.path_params

    def query(self, name: str, default: str = "") -> str:
        """Give one query parameter."""
        return str(self.request.query_params.get(name, default))

    def flag(self, name: str, *, default: bool = False) -> bool:
        """Give one query parameter as a truth value."""
        text = self.query(name)
        return text.lower() in ("true", "1", "yes", "on") if text else default

    def count(self, name: str, default: int | None = None) -> int | None:
        """Give one query parameter as a number."""
        text = self.query(name)
        return int(text) if text else default

    def keys(self) -> list[str]:
        """Give the list in `keys=`."""
        return [key for key in self.query("keys").split(",") if key]

    def filters(self) -> list[tuple[str, str, str]]:
        """Give `q` and `qv` as (column, operation, value)."""
        names = self.request.query_params.getlist("q")
        values = self.request.query_params.getlist("qv")
        found = []
        for name, value in zip(names, values, strict=False):
            column, _, operation = name.partition("-")
            found.append((column, operation or "eq", value))
        return found

    def number(self, encoded: Any, place: tuple[Any, ...] = ("path", "id")) -> int:
        """Decode an id or refuse it the way Galaxy does."""
        text = str(encoded)
        if not text or len(text) % 16:
            raise invalid("Value error, Invalid id length, must be multiple of 16", place, text)
        number = decode(text) if len(text) == 16 else None
        if number is None:
            raise Refusal(400, 400009, f"Wrong  id ( {text} ) specified, unable to decode.")
        return number

    def need_user(self, message: str = "API authentication required for this request") -> User:
        """Give the caller's account or refuse anonymous callers."""
        if self.user is None:
            raise Refusal(403, 403001, message)
        return self.user

    def may_use(self, owner: int) -> bool:
        """Say whether the caller owns something, or is an administrator."""
        return self.user is not None and (self.user.is_admin or self.user.number == owner)

    def history(self, encoded: Any, *, own: bool = False) -> History:
        """Find a history the caller may read, or change when `own`."""
        history = self.world.histories.get(self.number(encoded, ("path", "history_id")))
        if history is None:
            raise not_there("History")
        owned = self.user is not None and self.user.number == history.user
        if own and not owned:
            raise Refusal(403, 403003, "History is not owned by user")
        is_shared = self.user is not None and self.user.number in history.shared
        if not owned and not is_shared and not self.may_use(history.user):
            raise Refusal(403, 403002, "History is not accessible by user")
        if own and history.purged and self.request.method != "DELETE":
            raise Refusal(403, 403003, "History is immutable")
        return history

    def dataset(self, encoded: Any, *, own: bool = False) -> Dataset:
        """Find a dataset the caller may read: everybody may who has all of its roles."""
        dataset = self.world.datasets.get(self.number(encoded, ("path", "dataset_id")))
        if dataset is None:
            raise not_there("HistoryDatasetAssociation")
        readable = self.world.may_read(self.user, dataset.file)
        if (own or not readable) and not self.may_use(dataset.file.user):
            verb, code = ("owned", 403003) if own and readable else ("accessible", 403002)
            raise Refusal(403, code, f"HistoryDatasetAssociation is not {verb} by user")
        return dataset

    def collection(self, encoded: Any) -> Collection:
        """Find a collection the caller may read."""
        row = self.world.collections.get(self.number(encoded, ("path", "hdca_id")))
        if row is None:
            raise Refusal(400, 400008, "History dataset collection association not found")
        if not self.may_use(self.world.histories[row.history].user):
            raise Refusal(403, 403002, "History is not accessible by user")
        return row

    def workflow(self, encoded: Any) -> Workflow:
        """Find a workflow the caller may use."""
        row = self.world.workflows.get(self.number(encoded, ("path", "workflow_id")))
        if row is None:
            raise Refusal(404, 404001, "No such workflow found.")
        if not self.may_use(row.user):
            raise Refusal(403, 403002, "Workflow is neither importable, nor owned by or shared with current user")
        return row

    def invocation(self, encoded: Any) -> Invocation:
        """Find an invocation the caller may read."""
        row = self.world.invocations.get(self.number(encoded, ("path", "invocation_id")))
        if row is None:
            raise Refusal(404, 404001, f"'{encoded}' is not a valid workflow invocation id")
        if not self.may_use(row.user):
            raise Refusal(403, 403002, "History is not accessible to the current user")
        return row

    def job(self, encoded: Any) -> Job:
        """Find a job the caller may read."""
        row = self.world.jobs.get(self.number(encoded, ("path", "job_id")))
        if row is None:
            raise Refusal(404, 404001, "No such object found.")
        if not self.may_use(row.user):
            raise Refusal(403, 403002, "You are not allowed to access this job.")
        return row


def answer_headers(world: World) -> dict[str, str]:
    """Give the headers every answer of Galaxy carries."""
    return {"x-frame-options": "SAMEORIGIN", "x-request-id": uuid4().hex}


def not_found_page(path: str) -> Response:
    """Give the HTML page for a path nobody knows."""
    return Response(NOT_FOUND_PAGE.format(path=path), 404, media_type="text/html")


def _caller(world: World, request: Request) -> User | None:
    key = request.headers.get("x-api-key") or request.query_params.get("key")
    if not key:
        return None
    user = world.user_of_key(key)
    if user is None:
        raise Refusal(401, 401001, "Provided API key is not valid.")
    return _acting(world, request, user)


def _acting(world: World, request: Request, user: User) -> User:
    """Give the account that the header run-as names; only accounts that the configuration lists may use it."""
    wanted = request.headers.get("run-as")
    if wanted is None:
        return user
    if not wanted or len(wanted) % 16:
        raise invalid("Value error, Invalid id length, must be multiple of 16", ("header", "run-as"), wanted)
    number = decode(wanted) if len(wanted) == 16 else None
    if number is None or number not in world.users:
        raise Refusal(400, 400009, f"Wrong  id ( {wanted} ) specified, unable to decode.")
    if not user.may_run_as:
        raise Refusal(403, 400001, "User does not have permissions to run jobs as another user.")
    return world.users[number]


async def _body(request: Request) -> Json | None:
    raw = await request.body()
    if not raw:
        return {}
    kind = request.headers.get("content-type", "")
    if "json" not in kind and kind:
        return {}
    try:
        parsed = json.loads(raw)
    except ValueError:
        return None
    return parsed if isinstance(parsed, dict) else {}


def route(path: str, method: str, endpoint: Endpoint, *, for_anybody: bool = False) -> Route:
    """Make a route whose endpoint gets a `Call` under the world's lock and gives JSON data or a whole answer.

    What is `for_anybody` looks at no key, not even at a wrong one.
    """

    async def serve(request: Request) -> Response:
        world: World = request.app.state.world
        headers = answer_headers(world)
        body = await _body(request)
        if body is None:
            # Galaxy stumbles over such a body outside its own error pages and hangs up.
            return PlainTextResponse("Internal Server Error", 500, headers={"connection": "close"})
        try:
            with world.lock:
                user = None if for_anybody else _caller(world, request)
                call = Call(world, request.app.state.engine, request, user, body)
                answer = endpoint(call)
        except Refusal as refusal:
            return JSONResponse(refusal.body, refusal.status, headers=headers)
        if isinstance(answer, Response):
            answer.headers.update(headers)
            return answer
        return JSONResponse(answer, headers=headers)

    return Route(path, serve, methods=[method])
