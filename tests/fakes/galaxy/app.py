"""Puts the routes together into one ASGI application."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from tests.fakes.galaxy import (
    archives,
    cloud,
    collections,
    datasets,
    datatypes,
    exports,
    fetch,
    histories,
    invocations,
    job_routes,
    libraries,
    library_imports,
    library_permissions,
    members,
    offers,
    sharing,
    tus,
    users,
    workflows,
)
from tests.fakes.galaxy.engine import Engine
from tests.fakes.galaxy.schedule import Scheduler
from tests.fakes.galaxy.state import World
from tests.fakes.galaxy.web import not_found_page

# Galaxy answers HEAD only where it says so; elsewhere it is an unknown route.
HEAD_PATHS = ("/display", "/metadata_file")


async def _unknown(request: Request, problem: Exception) -> Response:
    del problem
    return not_found_page(request.url.path)


def make_app(world: World, engine: Engine, scheduler: Scheduler, control: list[BaseRoute]) -> Starlette:
    """Build the application; a path or method nobody knows gets Galaxy's HTML page."""
    routes: list[BaseRoute] = [*control]
    own = (libraries, library_imports, library_permissions)
    for module in (
        tus,
        fetch,
        histories,
        datasets,
        collections,
        workflows,
        datatypes,
        members,
        invocations,
        job_routes,
        users,
        sharing,
        offers,
        exports,
        archives,
        cloud,
        *own,
    ):
        for one in module.ROUTES:
            if isinstance(one, Route) and one.methods and "GET" in one.methods and not one.path.endswith(HEAD_PATHS):
                one.methods.discard("HEAD")
            routes.append(one)
    app = Starlette(routes=_by_path(routes), exception_handlers={404: _unknown, 405: _unknown, HTTPException: _unknown})
    app.router.redirect_slashes = False
    app.state.world = world
    app.state.engine = engine
    app.state.scheduler = scheduler
    return app


def _by_path(routes: list[BaseRoute]) -> list[BaseRoute]:
    """Put routes without parameters before those that would swallow them."""
    return sorted(routes, key=lambda one: one.path.count("{") if isinstance(one, Route) else 0)
