"""A registry of workflows (GA4GH TRS) on this machine, as far as Galaxy asks one: the descriptor of a version.

Galaxy lists it as `tests`, and beside it `away`, at whose address nobody answers. One is enough for all servers of a
process; each test puts its own workflow there, under a tool id of its own.
"""

from __future__ import annotations

import asyncio
import functools
import json
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from watcher.sandbox.server import free_port

LISTED, AWAY = "tests", "away"


class Registry:
    """The running registry; `asked` are the paths that were asked for."""

    def __init__(self) -> None:
        self._contents: dict[tuple[str, str], str] = {}
        self.asked: list[str] = []
        self.port = 0
        listening = threading.Event()
        threading.Thread(target=lambda: asyncio.run(self._serve(listening)), name="registry", daemon=True).start()
        if not listening.wait(10):
            raise RuntimeError("the registry does not listen")
        self.url = f"http://127.0.0.1:{self.port}"
        self.away_url = f"http://127.0.0.1:{free_port()}"

    async def _serve(self, listening: threading.Event) -> None:
        server = await asyncio.start_server(self._converse, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        listening.set()
        await server.serve_forever()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = (await reader.readuntil(b"\r\n\r\n")).decode()
        status, body = self.answer(request.split(" ")[1])
        content = json.dumps(body).encode()
        head = f"HTTP/1.1 {status} -\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n"
        writer.write(f"{head}Connection: close\r\n\r\n".encode() + content)
        await writer.drain()
        writer.close()

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
