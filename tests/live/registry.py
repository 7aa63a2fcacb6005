"""A registry of workflows (GA4GH TRS) on this machine, as far as Galaxy asks one: the descriptor of a version.

Galaxy lists it as `tests`, and beside it `away`, at whose address nobody answers. One is enough for all servers of a
process; each test puts its own workflow there, under a tool id of its own.
"""

from __future__ import annotations

import functools
import json
import threading
from collections.abc import Mapping
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import Any
from urllib.parse import unquote

from watcher.sandbox.server import free_port

LISTED, AWAY = "tests", "away"


class Registry:
    """The running registry; `asked` are the paths that were asked for."""

    def __init__(self) -> None:
        self._contents: dict[tuple[str, str], str] = {}
        self.asked: list[str] = []
        self._server = ThreadingTCPServer(("127.0.0.1", 0), _asked_of(self))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self.away_url = f"http://127.0.0.1:{free_port()}"
        threading.Thread(target=self._server.serve_forever, name="registry", daemon=True).start()

    def put(self, tool_id: str, version_id: str, content: str) -> None:
        """Put one version of a workflow there."""
        self._contents[tool_id, version_id] = content

    def answer(self, path: str) -> tuple[int, Mapping[str, Any]]:
        """Give status and body for a path."""
        self.asked.append(path)
        parts = [unquote(part) for part in path.split("/")]
        if parts[1:5] == ["ga4gh", "trs", "v2", "tools"] and parts[6:7] == ["versions"] and len(parts) == 10:
            content = self._contents.get((parts[5], parts[7]))
            if content is not None:
                return 200, {"content": content, "url": f"{self.url}{path}"}
        return 404, {"code": 404, "message": "no such version in this registry"}

    def listed(self) -> dict[str, str]:
        """Give the addresses by the names that Galaxy shall know."""
        return {LISTED: self.url, AWAY: self.away_url}


def _asked_of(registry: Registry) -> type[StreamRequestHandler]:
    class Conversation(StreamRequestHandler):
        """One request for JSON, and its answer."""

        def handle(self) -> None:
            """Read the request and answer it."""
            path = self.rfile.readline().decode().split(" ")[1]
            while self.rfile.readline().strip():
                pass
            status, body = registry.answer(path)
            content = json.dumps(body).encode()
            head = f"HTTP/1.1 {status} -\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n"
            self.wfile.write(f"{head}Connection: close\r\n\r\n".encode() + content)

    return Conversation


@functools.cache
def registry() -> Registry:
    """Return the registry of this process, started when first asked for."""
    return Registry()


def galaxy_settings(folder: Path) -> dict[str, str]:
    """Return what a real Galaxy is told to list our registries and to ask this machine; writes its list there."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [
        {"id": name, "api_url": url, "link_url": url, "label": name, "doc": "of the tests"}
        for name, url in registry().listed().items()
    ]
    path = folder / "registries.yml"
    path.write_text(json.dumps(rows))  # JSON is YAML
    return {"trs_servers_config_file": str(path), "fetch_url_allowlist": "127.0.0.1"}
