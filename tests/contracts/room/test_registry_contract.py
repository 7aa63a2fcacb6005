"""Workflows of a registry: fetched by Galaxy, imported once, and told plainly when they cannot be had."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest

from tests.contracts.room.conftest import WORKFLOWS, GalaxyServer, behind
from tests.live.registry import AWAY, LISTED, Registry, registry
from watcher.errors import PlanError
from watcher.galaxy import Galaxy
from watcher.galaxy.trs import TrsRef
from watcher.model import HistoryId


@pytest.fixture
async def shelf(galaxy_server: GalaxyServer) -> Registry:
    """Return the registry of the tests, which the server has to list."""
    listed = await behind(galaxy_server, "GET", "/api/trs_consume/servers")
    if registry().url not in [server["api_url"] for server in listed]:
        pytest.skip("the real Galaxy does not list the registry of these tests")
    return registry()


@pytest.fixture
async def tool(galaxy: Galaxy, shelf: Registry, history: HistoryId) -> AsyncIterator[str]:
    """Return the id of a workflow that lies in the registry in two versions; what was imported of it is deleted."""
    tool_id = f"#workflow/github.com/example/{history}/main"
    for version in ("v0.1", "v0.2"):
        content = json.loads((WORKFLOWS / "count_reads.ga").read_bytes())
        shelf.put(tool_id, version, json.dumps({**content, "name": f"Count reads {version} {history}"}))
    yield tool_id
    for version in ("v0.1", "v0.2"):
        for server in (LISTED, shelf.url):
            while known := await galaxy.workflows.imported_trs(TrsRef(tool_id, version, server)):
                await galaxy.workflows.delete(known.id)


async def test_workflow_of_a_registry_is_imported_once(galaxy: Galaxy, tool: str, history: HistoryId) -> None:
    """A version of a workflow in a registry is imported once, and another version is another workflow."""
    trs = TrsRef(tool, "v0.1", LISTED)
    assert await galaxy.workflows.imported_trs(trs) is None
    first = await galaxy.workflows.import_trs(trs)
    assert first.name == f"Count reads v0.1 {history}"
    assert (await galaxy.workflows.import_trs(trs)).id == first.id
    found = await galaxy.workflows.imported_trs(trs)
    assert found is not None
    assert (found.id, found.uuid) == (first.id, first.uuid)
    other = await galaxy.workflows.import_trs(TrsRef(tool, "v0.2", LISTED))
    assert other.id != first.id
    assert [one.label for one in (await galaxy.workflows.read(other.id)).inputs] == ["Reads", "minlen"]


async def test_workflow_is_imported_by_its_whole_address(galaxy: Galaxy, shelf: Registry, tool: str) -> None:
    """A registry that Galaxy does not list is asked by the whole address."""
    quoted = tool.replace("#", "%23").replace("/", "%2F")
    trs = TrsRef.from_url(f"{shelf.url}/ga4gh/trs/v2/tools/{quoted}/versions/v0.2/GALAXY/descriptor")
    assert trs == TrsRef(tool, "v0.2", shelf.url)
    made = await galaxy.workflows.import_trs(trs)
    assert (await galaxy.workflows.import_trs(trs)).id == made.id


async def test_changed_workflow_is_not_the_one_of_the_registry(
    galaxy: Galaxy, galaxy_server: GalaxyServer, tool: str
) -> None:
    """A workflow that was changed in Galaxy, even by name, counts no more as the registry's, which is imported anew."""
    trs = TrsRef(tool, "v0.1", LISTED)
    made = await galaxy.workflows.import_trs(trs)
    await behind(galaxy_server, "PUT", f"/api/workflows/{made.id}", {"name": "ours by now"})
    assert await galaxy.workflows.imported_trs(trs) is None
    assert (await galaxy.workflows.import_trs(trs)).id != made.id
    await galaxy.workflows.delete(made.id)


async def test_registry_that_cannot_be_asked_is_named(galaxy: Galaxy, shelf: Registry, tool: str) -> None:
    """A registry that is unknown, away, not allowed or without the version is named, each with what can be done."""
    cases = [
        (TrsRef(tool, "v0.1", "nobody"), "lists no registry nobody", LISTED),
        (TrsRef(tool, "v0.1", AWAY), f"registry {AWAY}", "Is the registry up"),
        (TrsRef(tool, "v0.1", shelf.away_url), shelf.away_url, "Is the registry up"),
        (TrsRef(tool, "v9", LISTED), "no such version", "tool and version"),
        (TrsRef(tool, "v0.1", "http://127.0.0.2:9"), "127.0.0.2", "fetch_url_allowlist"),
        (TrsRef(tool, "v0.1/x", LISTED), "v0.1/x", "whole address"),
    ]
    for trs, message, hint in cases:
        with pytest.raises(PlanError) as told:
            await galaxy.workflows.import_trs(trs)
        assert message in told.value.message
        assert hint in told.value.hint


async def test_what_is_no_workflow_is_not_imported(galaxy: Galaxy, shelf: Registry, tool: str) -> None:
    """What lies in a registry and is no workflow is told with the registry."""
    shelf.put(tool, "text", "hello")
    with pytest.raises(PlanError, match=f"registry {LISTED}"):
        await galaxy.workflows.import_trs(TrsRef(tool, "text", LISTED))


def test_an_address_of_another_form_is_told() -> None:
    """An address that names no version of a tool is told before Galaxy is asked."""
    with pytest.raises(PlanError, match="names no workflow"):
        TrsRef.from_url("https://example.org/workflows/1")
