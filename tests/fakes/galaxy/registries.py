"""Workflows that come from a registry (GA4GH TRS), which this server really asks.

What differs between releases stands in `versions.py`. Of this machine's addresses it asks 127.0.0.1 only, as a real one
does whose `fetch_url_allowlist` names that.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote_plus, unquote, urlsplit

import httpx
import yaml

from tests.fakes.galaxy.account_state import User
from tests.fakes.galaxy.ids import encode
from tests.fakes.galaxy.state import Workflow
from tests.fakes.galaxy.web import Call, Refusal
from tests.fakes.galaxy.workflow_import import read_workflow

Json = dict[str, Any]
ADDRESS = re.compile(r"(https?://.+)/ga4gh/trs/v2/tools/(.+)/versions/([^/]+).*")
UNCAUGHT = "Uncaught exception in exposed API method:"


def list_servers(call: Call) -> list[Json]:
    """List the registries that this server was told of."""
    return [
        {"id": name, "api_url": url, "link_url": url, "label": name, "doc": ""}
        for name, url in call.world.registries.items()
    ]


def import_workflow(call: Call, user: User) -> Json:
    """Fetch a workflow from a registry and import it; from 25.0 on one that is there already is given back."""
    body, behaviour = call.body, call.world.behaviour
    server, tool, version = (str(body.get(name) or "") for name in ("trs_server", "trs_tool_id", "trs_version_id"))
    url = str(body.get("trs_url") or "")
    if url:
        found = ADDRESS.match(url)
        if urlsplit(url).hostname != "127.0.0.1":
            raise Refusal(403, 403004, "Access to this address in not permitted by server configuration")
        if found is None:
            raise Refusal(400, 400008, f"Invalid TRS URL {url}.")
        base, tool, version = found[1], unquote(found[2]), found[3]
    elif server not in call.world.registries:
        raise Refusal(500, 0, UNCAUGHT)
    else:
        base = call.world.registries[server]
        if behaviour.registry_imports_once:
            url = f"{base}/ga4gh/trs/v2/tools/{quote_plus(tool)}/versions/{version}"
    known = _imported(call, user, tool, version) if behaviour.registry_imports_once else None
    workflow = known or read_workflow(call.world, user, _fetched(call, base, tool, version))
    if known is None:
        empty = None if behaviour.registry_imports_once else ""
        workflow.source = {
            "trs_server": server or empty,
            "trs_tool_id": tool,
            "trs_url": url,
            "trs_version_id": version,
        }
    message = f"Workflow '{workflow.name}' imported successfully."
    return {"message": message, "status": "success", "id": encode(workflow.number)}


def _imported(call: Call, user: User, tool: str, version: str) -> Workflow | None:
    rows = [row for row in call.world.workflows.values() if row.user == user.number and not row.deleted and row.source]
    same = [row for row in rows if (row.source or {}).get("trs_tool_id") == tool]
    return next((row for row in reversed(same) if (row.source or {}).get("trs_version_id") == version), None)


def _fetched(call: Call, base: str, tool: str, version: str) -> Json:
    """Give what the registry has; the ways in which it may have nothing end as measured."""
    behaviour = call.world.behaviour
    address = f"{base}/ga4gh/trs/v2/tools/{quote_plus(tool)}/versions/{version}/GALAXY/descriptor"
    try:
        answer = httpx.get(address, timeout=10, trust_env=False)
    except httpx.HTTPError as problem:
        if behaviour.registry_away_is_told:
            raise Refusal(502, 502001, f"TRS server {base} could not be reached.") from problem
        raise Refusal(500, 0, UNCAUGHT) from problem
    if not answer.is_success:
        told = answer.json()
        raise Refusal(int(told["code"]), int(told["code"]) * 1000 + 1, str(told["message"]))
    document = yaml.safe_load(answer.json()["content"])
    if not isinstance(document, dict):
        if behaviour.registry_imports_once:
            raise Refusal(500, 0, UNCAUGHT)
        raise Refusal(400, 0, "The data content does not appear to be a valid workflow.")
    return document
