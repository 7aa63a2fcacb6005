"""A bare httpx caller of a Galaxy, real or fake, and the shape of what it answers; for the tests beside it."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import threading
import time
from dataclasses import dataclass, field
from typing import Any

import httpx

Json = dict[str, Any]
CONNECTED = {"__class__": "ConnectedValue"}


def fastq(reads: int) -> bytes:
    """Give packed FASTQ of some reads of ten bases."""
    text = b"".join(b"@r%d\nACGTACGTAC\n+\nIIIIIIIIII\n" % number for number in range(reads))
    return gzip.compress(text, mtime=0)


def _uuid(number: int) -> str:
    return f"33333333-2222-4333-8444-{number:012d}"


def _step(index: int, kind: str, label: str, state: Json, **more: Any) -> Json:
    return {
        "id": index,
        "type": kind,
        "label": label,
        "name": label,
        "annotation": "",
        "inputs": [],
        "outputs": [],
        "input_connections": {},
        "workflow_outputs": [],
        "tool_id": None,
        "tool_version": None,
        "tool_state": json.dumps(state),
        "uuid": _uuid(index),
        **more,
    }


def counting_workflow(name: str, *, tool_id: str = "count_reads", exit_code: int = 0) -> Json:
    """Give a `.ga` that counts the reads of a dataset or each member of a collection, then copies the count."""
    link = {"id": 0, "output_name": "output"}
    steps = [
        _step(0, "data_input", "Reads", {"optional": False, "format": ["fastqsanger.gz"], "tag": None}),
        _step(1, "parameter_input", "minlen", {"parameter_type": "integer", "optional": True, "default": 5}),
        _step(
            2,
            "tool",
            "count",
            {"reads": CONNECTED, "minlen": CONNECTED, "__page__": 0},
            tool_id=tool_id,
            tool_version="1.0",
            input_connections={"reads": link, "minlen": {"id": 1, "output_name": "output"}},
            workflow_outputs=[{"label": "read counts", "output_name": "counts", "uuid": _uuid(12)}],
        ),
        _step(
            3,
            "tool",
            "wait",
            {"infile": CONNECTED, "seconds": "0", "code": str(exit_code), "__page__": 0},
            tool_id="wait_then_exit",
            tool_version="1.0",
            input_connections={"infile": {"id": 2, "output_name": "counts"}},
            workflow_outputs=[{"label": "copy", "output_name": "out", "uuid": _uuid(13)}],
        ),
    ]
    return {
        "a_galaxy_workflow": "true",
        "format-version": "0.1",
        "annotation": "",
        "name": name,
        "tags": [],
        "uuid": _uuid(99),
        "steps": {str(step["id"]): step for step in steps},
    }


def shape(answer: Any) -> Any:
    """Reduce an answer to its keys and kinds of values; a list to the shape of its first member."""
    if isinstance(answer, dict):
        return {key: shape(value) for key, value in sorted(answer.items())}
    if isinstance(answer, list):
        return [shape(answer[0])] if answer else []
    return type(answer).__name__


@dataclass
class RawGalaxy:
    """One server with one key; no connection outlives a request, so a 500 that hangs up disturbs nothing.

    Cookies are kept by nobody: Galaxy would believe them more than the key.
    """

    url: str
    key: str = field(repr=False)
    patience_s: float = 100.0
    client: httpx.Client = field(init=False, repr=False)
    pause: threading.Event = field(default_factory=threading.Event, repr=False)

    def __post_init__(self) -> None:
        limits = httpx.Limits(max_keepalive_connections=0)
        self.client = httpx.Client(base_url=self.url, limits=limits, timeout=60, trust_env=False)

    def call(self, method: str, path: str, *, key: bool = True, **more: Any) -> httpx.Response:
        """Send one request."""
        headers = {**({"x-api-key": self.key} if key else {}), **more.pop("headers", {})}
        answer = self.client.request(method, path, headers=headers, **more)
        self.client.cookies.clear()
        return answer

    def get(self, path: str, **params: Any) -> Any:
        """Get JSON."""
        answer = self.call("GET", path, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, body: Json) -> Any:
        """Post JSON and get JSON."""
        answer = self.call("POST", path, json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def wait(self, path: str, wanted: tuple[str | bool, ...], name: str = "state") -> Json:
        """Poll until a state is one of those wanted."""
        end = time.monotonic() + self.patience_s
        while True:
            row: Json = self.get(path)
            if row[name] in wanted:
                return row
            assert time.monotonic() < end, row[name]
            self.pause.wait(0.02)

    def tus(self, method: str, session: str = "", content: bytes = b"", **headers: str) -> httpx.Response:
        """Send one TUS request; header names may be written with underscores."""
        path = "/api/upload/resumable_upload" + (f"/{session}" if session else "")
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if method == "PATCH":
            named.setdefault("Content-Type", "application/offset+octet-stream")
            named.setdefault("Connection", "close")  # up to 25.1 what follows a complete file would be lost
        return self.call(method, path, content=content, headers={"Tus-Resumable": "1.0.0", **named})

    def open_session(self, size: int, name: str) -> str:
        """Open an upload and give its id."""
        metadata = f"filename {base64.b64encode(name.encode()).decode()},filetype {base64.b64encode(b'x/y').decode()}"
        answer = self.tus("POST", Upload_Length=str(size), Upload_Metadata=metadata)
        assert answer.status_code == 201
        return answer.headers["location"].rpartition("/")[2]

    def upload(self, content: bytes, name: str, *, part: int | None = None) -> str:
        """Upload a file, or the first part of one, and give the session."""
        session = self.open_session(len(content), name)
        assert self.tus("PATCH", session, content[:part], Upload_Offset="0").status_code == 204
        return session

    def fetch_body(self, history: str, files: list[tuple[str, bytes, str, str]]) -> Json:
        """Give a fetch request for (name, content, ext, claimed SHA-256), the bytes uploaded."""
        elements = []
        body: Json = {"history_id": history, "auto_decompress": False}
        for index, (name, content, ext, sha256) in enumerate(files):
            element: Json = {
                "src": "files",
                "name": name,
                "ext": ext,
                "dbkey": "?",
                "tags": [f"w:{name}"],
                "to_posix_lines": False,
                "space_to_tab": False,
                "created_from_basename": name,
            }
            if sha256:
                element["hashes"] = [{"hash_function": "SHA-256", "hash_value": sha256}]
            elements.append(element)
            body[f"files_{index}|file_data"] = {"session_id": self.upload(content, name), "name": name}
        return {**body, "targets": [{"destination": {"type": "hdas"}, "elements": elements}]}

    def new_history(self, name: str, *tags: str) -> str:
        """Make a history, with tags set the way that works."""
        history = str(self.post("/api/histories", {"name": name})["id"])
        if tags:
            self.call("PUT", f"/api/histories/{history}", json={"tags": list(tags)})
        return history

    def list_of(self, history: str, name: str, datasets: list[str]) -> str:
        """Build a list collection of datasets, named a, b, c …"""
        members = [{"name": chr(97 + index), "src": "hda", "id": one} for index, one in enumerate(datasets)]
        body = {
            "collection_type": "list",
            "name": name,
            "history_id": history,
            "instance_type": "history",
            "element_identifiers": members,
        }
        return str(self.post("/api/dataset_collections", body)["id"])

    def invoke(self, workflow: str, history: str, **inputs: Any) -> Json:
        """Start a workflow with inputs by name."""
        body = {"history_id": history, "inputs_by": "name", "inputs": inputs}
        started: Json = self.post(f"/api/workflows/{workflow}/invocations", body)
        return started


def sha256(content: bytes) -> str:
    """Give the SHA-256 of bytes."""
    return hashlib.sha256(content).hexdigest()
