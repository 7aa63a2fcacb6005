"""Object stores for tests: moto as S3 and Azurite as Azure, each in a process of its own, and a line that goes dead.

boto3 looks at what is in S3 and does not go through the watcher's own code.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hmac
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from tests.house.tree import ROOT
from watcher.clock import SystemClock
from watcher.delivery.object_store import ObjectStoreDelivery
from watcher.sandbox.server import free_port

SECRET = "moto-takes-every-secret"
# Azurite knows this account by itself; name and key are in its documentation, and open nothing else.
AZURITE_ACCOUNT = "devstoreaccount1"
AZURITE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
READY_S = 60


@dataclass
class S3:
    """A bucket of a server that speaks S3; as it stands, of moto's."""

    port: int
    bucket: str = "results"
    access_key: str = "us"
    secret: str = SECRET

    def options(self, **more: str) -> dict[str, str]:
        """Return what opens the store."""
        return {
            "endpoint": f"http://127.0.0.1:{self.port}",
            "region": "eu-central-1",
            "access_key_id": self.access_key,
            "secret_access_key": self.secret,
            "checksum_algorithm": "sha256",
            "allow_http": "true",
        } | more

    def delivery(self, prefix: str = "run 7/out", **more: str) -> ObjectStoreDelivery:
        """Return a delivery to a prefix of the bucket."""
        return ObjectStoreDelivery(f"s3://{self.bucket}/{prefix}", self.options(**more), SystemClock())

    @property
    def client(self) -> Any:
        """Return boto3's client."""
        return boto3.client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{self.port}",
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret,
            region_name="eu-central-1",
            config=Config(retries={"max_attempts": 1}),
        )

    def make_bucket(self) -> None:
        """Make the bucket, empty."""
        self.client.create_bucket(Bucket=self.bucket, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})

    def contents(self) -> dict[str, bytes]:
        """Return all objects by key."""
        client = self.client
        listed = client.list_objects_v2(Bucket=self.bucket).get("Contents", [])
        return {
            entry["Key"]: client.get_object(Bucket=self.bucket, Key=entry["Key"])["Body"].read() for entry in listed
        }

    def head(self, key: str) -> dict[str, Any]:
        """Return what the store says of an object."""
        answer: dict[str, Any] = self.client.head_object(Bucket=self.bucket, Key=key, ChecksumMode="ENABLED")
        return answer

    def unfinished(self) -> list[str]:
        """Return the keys of uploads in parts that have not ended."""
        return [entry["Key"] for entry in self.client.list_multipart_uploads(Bucket=self.bucket).get("Uploads", [])]

    def unfinished_parts(self) -> dict[str, list[int]]:
        """Return the numbers of the parts that each such upload has, by key."""
        client, found = self.client, {}
        for one in client.list_multipart_uploads(Bucket=self.bucket).get("Uploads", []):
            listed = client.list_parts(Bucket=self.bucket, Key=one["Key"], UploadId=one["UploadId"])
            found[one["Key"]] = [part["PartNumber"] for part in listed.get("Parts", [])]
        return found


@dataclass
class Azure:
    """A container of Azurite's."""

    port: int
    container: str = "results"
    key: str = AZURITE_KEY

    def options(self) -> dict[str, str]:
        """Return what opens the store."""
        return {
            "endpoint": f"http://127.0.0.1:{self.port}/{AZURITE_ACCOUNT}",
            "account_name": AZURITE_ACCOUNT,
            "account_key": self.key,
            "allow_http": "true",
        }

    def delivery(self, prefix: str = "run 7/out") -> ObjectStoreDelivery:
        """Return a delivery to a prefix of the container."""
        return ObjectStoreDelivery(f"az://{self.container}/{prefix}", self.options(), SystemClock())

    def make_container(self) -> None:
        """Make the container, empty."""
        self.ask("PUT", f"/{AZURITE_ACCOUNT}/{self.container}", "restype:container", "restype=container")

    def ask(self, method: str, path: str, signed: str, query: str) -> bytes:
        """Send a request signed with the account's key; return the answer."""
        date = formatdate(usegmt=True)
        lines = f"x-ms-date:{date}\nx-ms-version:2023-11-03\n/{AZURITE_ACCOUNT}{path}\n{signed}"
        text = f"{method}{chr(10) * 12}{lines}"
        signature = base64.b64encode(hmac.digest(base64.b64decode(AZURITE_KEY), text.encode(), "sha256")).decode()
        headers = {
            "x-ms-date": date,
            "x-ms-version": "2023-11-03",
            "Authorization": f"SharedKey {AZURITE_ACCOUNT}:{signature}",
        }
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}?{query}", method=method, headers=headers)
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as answer:
            content: bytes = answer.read()
            return content


@contextmanager
def moto(port: int = 0) -> Iterator[S3]:
    """Run moto until the end of the block; it keeps everything in memory."""
    port = port or free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with _running(command, f"http://127.0.0.1:{port}/moto-api/"):
        store = S3(port)
        store.make_bucket()
        yield store


def find_azurite() -> Path | None:
    """Return Azurite where `.ci/azurite` installs it; None without one."""
    told = subprocess.run([ROOT / ".ci" / "azurite", "where"], check=True, capture_output=True, text=True)
    program = Path(told.stdout.strip())
    return program if program.exists() else None


@contextmanager
def azurite(program: Path, folder: Path) -> Iterator[Azure]:
    """Run Azurite until the end of the block, with its data in a folder."""
    port = free_port()
    command = [str(program), "--blobPort", str(port), "--location", str(folder)]
    command += ["--silent", "--skipApiVersionCheck", "--disableTelemetry"]
    with _running(command, f"http://127.0.0.1:{port}/"):
        yield Azure(port)


@contextmanager
def _running(command: list[str], url: str) -> Iterator[None]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=without_proxies())
    try:
        await_answer(process, url)
        yield
    finally:
        process.kill()
        process.wait()


def without_proxies() -> dict[str, str]:
    """Return the environment for a server on this machine."""
    return {name: value for name, value in os.environ.items() if not name.endswith("_proxy")}


def await_answer(process: subprocess.Popen[bytes], url: str) -> None:
    """Ask until something answers, whatever it says."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    for _ in range(READY_S * 10):
        with contextlib.suppress(subprocess.TimeoutExpired):
            raise AssertionError(f"{process.args!r} ended with {process.wait(0.1)}")
        try:
            opener.open(url, timeout=5).close()
        except urllib.error.HTTPError as answer:
            answer.close()
            return
        except OSError:
            continue
        return
    raise AssertionError(f"{process.args!r} does not answer")


@dataclass
class Line:
    """A relay before a server: it dies after some bytes, and nobody answers until it is mended."""

    port: int
    die_after: int | None = None
    passed: int = 0
    dead: asyncio.Event = field(default_factory=asyncio.Event)

    def mend(self) -> None:
        """Let everything through from now on."""
        self.die_after = None
        self.dead.clear()


@asynccontextmanager
async def line_to(server_port: int) -> AsyncIterator[Line]:
    """Run a relay to a server until the end of the block."""
    pumps: set[asyncio.Task[None]] = set()
    writers: list[asyncio.StreamWriter] = []

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, counts: bool) -> None:
        with contextlib.suppress(OSError):
            while (piece := await reader.read(65536)) and not line.dead.is_set():
                line.passed += len(piece) if counts else 0
                if line.die_after is not None and line.passed > line.die_after:
                    line.dead.set()
                    break
                writer.write(piece)
                await writer.drain()
        writer.transport.abort()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        if line.dead.is_set():
            writer.transport.abort()
            return
        there, here = await asyncio.open_connection("127.0.0.1", server_port)
        writers.append(here)
        for one, other, counts in ((reader, here, True), (there, writer, False)):
            pumping = asyncio.create_task(pump(one, other, counts=counts))
            pumps.add(pumping)
            pumping.add_done_callback(pumps.discard)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    line = Line(server.sockets[0].getsockname()[1])
    try:
        yield line
    finally:
        server.close()
        for pumping in list(pumps):
            pumping.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)
        for writer in writers:
            writer.transport.abort()
        await asyncio.gather(*(writer.wait_closed() for writer in writers), return_exceptions=True)
