"""A delivery in a process of its own: how much memory it takes, and what is left when it is killed."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.delivery.results import Results
from tests.delivery.sender import MIB, Made
from tests.delivery.stores import S3
from tests.house.tree import ROOT
from tests.world import until
from watcher.clock import SystemClock
from watcher.delivery.object_store import ObjectStoreDelivery
from watcher.model import DatasetId
from watcher.results import ResultFile

pytestmark = pytest.mark.xdist_group("object stores")


def start(url: str, options: dict[str, str], size_mib: int, stop_mib: int) -> subprocess.Popen[str]:
    """Start a process that sends a result."""
    command = [sys.executable, "-m", "tests.delivery.sender", url, str(size_mib), str(stop_mib)]
    process = subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=dict(os.environ)
    )
    assert process.stdin is not None
    with process.stdin as stdin:
        json.dump(options, stdin)
    process.stdin = None  # `communicate` would write to it
    return process


async def test_a_process_that_was_killed_leaves_nothing_for_good(s3: S3, results: Results) -> None:
    """Its parts stay in the store, out of sight, until the next try of the same file takes them away."""
    process = start(f"s3://{s3.bucket}/out", s3.options(), 64, 20)
    try:

        async def has_parts() -> bool:
            uploads = s3.client.list_multipart_uploads(Bucket=s3.bucket).get("Uploads", [])
            return any(
                s3.client.list_parts(Bucket=s3.bucket, Key=one["Key"], UploadId=one["UploadId"]).get("Parts")
                for one in uploads
            )

        await until(has_parts, what="a part in the store")
    finally:
        process.kill()
        process.communicate()
    assert s3.contents() == {}
    assert s3.unfinished() == ["out/made.txt"]
    file = ResultFile(DatasetId("made"), ("made",), "txt", 64 * MIB)
    size, sha256 = await s3.delivery("out").put(Made(64), file, "made.txt")
    (content,) = s3.contents().values()
    assert (size, sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert s3.unfinished() == []


class _Sink(BaseHTTPRequestHandler):
    """As much of S3 as an upload in parts asks for; what it takes it throws away."""

    protocol_version = "HTTP/1.1"
    taken: dict[str, int]

    def begin_or_end(self) -> None:
        """Begin or end an upload, or forget a manifest of before, of which there is none."""
        self._swallow()
        if self.path.endswith("?delete"):
            key = b"out/MANIFEST.sha256"
            self._answer(b"<DeleteResult><Deleted><Key>%b</Key></Deleted></DeleteResult>" % key)
        elif "uploads" in self.path:
            self.taken.clear()
            self._answer(b"<InitiateMultipartUploadResult><UploadId>one</UploadId></InitiateMultipartUploadResult>")
        else:
            self._answer(b'<CompleteMultipartUploadResult><ETag>"x"</ETag></CompleteMultipartUploadResult>')

    def take_part(self) -> None:
        """Take a part."""
        self.taken[self.path] = self._swallow()
        self._answer(b"")

    def list_uploads(self) -> None:
        """List the uploads that have not ended: none."""
        self._answer(b"<ListMultipartUploadsResult></ListMultipartUploadsResult>")

    def tell_size(self) -> None:
        """Tell how much came, once something has."""
        self._answer(b"", sum(self.taken.values()))

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def _swallow(self) -> int:
        size = left = int(self.headers.get("Content-Length", 0))
        while left:
            left -= len(self.rfile.read(min(left, MIB)))
        return size

    def _answer(self, body: bytes, size: int | None = None) -> None:
        self.send_response(404 if size == 0 else 200)
        self.send_header("Content-Length", str(size or len(body)))
        self.send_header("ETag", '"x"')
        self.send_header("Last-Modified", "Wed, 21 Oct 2015 07:28:00 GMT")
        self.end_headers()
        self.wfile.write(body)


for verb, method in (
    ("POST", _Sink.begin_or_end),
    ("PUT", _Sink.take_part),
    ("GET", _Sink.list_uploads),
    ("HEAD", _Sink.tell_size),
):
    setattr(_Sink, f"do_{verb}", method)  # the name is dictated by the base class


@pytest.fixture
def sink() -> Iterator[str]:
    """A server that throws everything away, for what is too large to be kept in memory; return its address."""
    _Sink.taken = {}
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Sink)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.slow
@pytest.mark.parametrize("size_mib", [256, 2048])
def test_memory_does_not_grow_with_the_result(s3: S3, sink: str, size_mib: int) -> None:
    """A process that sends 2 GiB stays well below 200 MB."""
    process = start("s3://results/out", s3.options(endpoint=sink), size_mib, size_mib)
    out, _ = process.communicate(timeout=170)
    assert process.returncode == 0
    print(f"{size_mib} MiB: peak {out.strip()} MB")
    assert 20 < int(out) < 120


@pytest.mark.slow
async def test_two_gigabytes_arrive_as_they_are(s3: S3) -> None:
    """Each byte of a large result is there, in as many parts as it takes."""
    file = ResultFile(DatasetId("made"), ("made",), "txt", 2048 * MIB)
    delivery = ObjectStoreDelivery(f"s3://{s3.bucket}/out", s3.options(), SystemClock())
    size, sha256 = await delivery.put(Made(2048), file, "made.txt")
    digest = hashlib.sha256()
    body = s3.client.get_object(Bucket=s3.bucket, Key="out/made.txt")["Body"]
    for piece in iter(lambda: body.read(MIB), b""):
        digest.update(piece)
    assert (size, sha256) == (2048 * MIB, digest.hexdigest())
    assert s3.unfinished() == []
    s3.client.delete_object(Bucket=s3.bucket, Key="out/made.txt")
