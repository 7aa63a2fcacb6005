"""One Galaxy for the contract tests of the Galaxy room, fake or real, of each version, and what is prepared on it once.

Every test here runs on all of them (`tests/servers.py`) through the room's own client, so neither the client nor the
fake can drift from what real servers answer. Where versions differ a test asks the room's own features. `prepared`
holds one uploaded run with its collection and two invocations, one good, one failing, because each costs the real
server seconds.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.servers import GalaxyServer as GalaxyServer
from watcher.clock import SystemClock
from watcher.galaxy import Account, Galaxy, Login
from watcher.galaxy.bind import bind
from watcher.galaxy.collections import Element
from watcher.galaxy.fetch import FetchElement
from watcher.model import CollectionId, DatasetId, HistoryId, InvocationId, JobId, WorkflowId

WORKFLOWS = Path(__file__).parent.parent.parent / "live"
WAYS = (("forward", "R1"), ("reverse", "R2"))
TAG = "watcher:contract-1"
BROKEN = b"other"
PATIENCE_S = 600.0
"""A first upload waits for the real server's worker to start."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Call slow on real servers what says so: the fake has shown to answer alike."""
    for item in items:
        if isinstance(item, pytest.Function) and item.get_closest_marker("slow_on_real"):
            server: Any = item.callspec.params.get("galaxy_server")
            if item.path.parent == Path(__file__).parent and server and server[0] == "real":
                item.add_marker(pytest.mark.slow)


@dataclass
class Prepared:
    """What lies in Galaxy before the tests begin: two samples, a broken file, a collection, two invocations."""

    contents: dict[str, bytes]
    history: HistoryId
    datasets: dict[str, DatasetId]
    broken: DatasetId
    upload: JobId
    collection: CollectionId
    workflow: WorkflowId
    good: InvocationId
    failing: InvocationId


@asynccontextmanager
async def as_user(
    server: GalaxyServer, key: str = "", *, login: Login | None = None, run_as: str = ""
) -> AsyncIterator[Galaxy]:
    """Open a client with this key, the administrator's by default, or with a login; perhaps acting for another user."""
    account = Account("test", server.url, lambda: key or server.key, login=login, run_as=run_as)
    async with Galaxy(account, SystemClock()) as galaxy:
        yield galaxy


@pytest.fixture
async def galaxy(galaxy_server: GalaxyServer) -> AsyncIterator[Galaxy]:
    """Return a client with the administrator's key."""
    async with as_user(galaxy_server) as client:
        yield client


@pytest.fixture
async def history(galaxy: Galaxy) -> AsyncIterator[HistoryId]:
    """Return an empty history of this test alone."""
    made = await galaxy.histories.create("contract test")
    yield made
    await galaxy.histories.delete(made, purge=True)


async def behind(server: GalaxyServer, method: str, path: str, json: Any = None) -> Any:
    """Do something behind the watcher's back, as the administrator, and return the answer, if there is one."""
    async with httpx.AsyncClient(base_url=server.url, headers={"x-api-key": server.key}, timeout=60) as client:
        answer = (await client.request(method, path, json=json)).raise_for_status()
        return answer.json() if answer.content else None


async def until(look: Callable[[], Awaitable[bool]]) -> None:
    """Look again and again until it is so; fails when it never is."""
    clock = SystemClock()
    start = clock.monotonic()
    while not await look():
        assert clock.monotonic() - start < PATIENCE_S, "it never came to be"
        await clock.sleep(0.1)


def fastq(sample: str, reads: int) -> bytes:
    """Return a small gzipped FASTQ file."""
    return gzip.compress("".join(f"@{sample}:{n}\nACGTACGT\n+\nIIIIIIII\n" for n in range(reads)).encode(), mtime=0)


def sha256(content: bytes) -> str:
    """Return the SHA-256 in hex."""
    return hashlib.sha256(content).hexdigest()


async def send(galaxy: Galaxy, content: bytes, name: str) -> str:
    """Upload the bytes in two parts and return the session."""
    session = await galaxy.tus.create(len(content), name)
    half = await galaxy.tus.send(session, 0, content[: len(content) // 2])
    await galaxy.tus.send(session, half, content[half:])
    return session


async def ended(galaxy: Galaxy, history: HistoryId) -> bool:
    """Tell whether all datasets of a history are `ok` or `error`."""
    contents = await galaxy.histories.contents(history)
    return all(content.state in ("ok", "error") for content in contents)


@pytest.fixture(scope="session")
def prepared(galaxy_server: GalaxyServer) -> Iterator[Prepared]:
    """Return what was made on the server for all tests; it goes away at the end."""
    made = asyncio.run(prepare(galaxy_server))
    yield made
    asyncio.run(remove(galaxy_server, made))


async def prepare(server: GalaxyServer) -> Prepared:
    """Upload two samples and a file whose hash is wrong, build the collection, use the workflow twice and wait."""
    contents = {f"S{s}_R{r}.fastq.gz": fastq(f"S{s}", 10 * s) for s in (1, 2) for r in (1, 2)}
    async with as_user(server) as galaxy:
        history = await galaxy.histories.create("contract tests")
        await galaxy.histories.mark(history, [TAG, "run:240612_M00001_0001"], "for the contract tests")
        elements = [
            FetchElement(
                name, "fastqsanger.gz", await send(galaxy, content, name), (f"{TAG}:{n:03d}",), sha256(content)
            )
            for n, (name, content) in enumerate(contents.items(), start=1)
        ]
        broken = FetchElement("broken.fastq.gz", "fastqsanger.gz", await send(galaxy, BROKEN, "x"), (), "0" * 64)
        receipt = await galaxy.fetch.register(history, [*elements, broken])
        datasets = dict(zip(contents, receipt.dataset_ids, strict=False))
        await until(lambda: ended(galaxy, history))
        pairs = []
        for sample in ("S1", "S2"):
            forward, reverse = (Element(way, datasets[f"{sample}_{read}.fastq.gz"]) for way, read in WAYS)
            pairs.append(Element(sample, elements=(forward, reverse)))
        collection = await galaxy.collections.build(history, "240612", "list:paired", pairs, [TAG])
        workflow = await galaxy.workflows.import_file((WORKFLOWS / "count_reads.ga").read_bytes(), "count_reads.ga")
        facts = await galaxy.workflows.read(workflow.id)
        started = []
        for code in (0, 3):
            binding = bind(facts, {"Reads": "reads", "minlen": 8}, {"wait": {"code": code}}, "list:paired")
            inputs = binding.inputs(collection)
            start = await galaxy.invocations.start(workflow.id, history, inputs, binding.parameters)
            started.append(start.id)

        async def counted() -> bool:
            counts = await galaxy.invocations.counts(history, started)
            return all(
                one.populated == "ok" and set(one.states) <= {"ok", "error", "paused"} for one in counts.values()
            )

        await until(counted)
    good, failing = started
    broken_id, upload = receipt.dataset_ids[-1], receipt.job_id
    return Prepared(contents, history, datasets, broken_id, upload, collection, workflow.id, good, failing)


async def remove(server: GalaxyServer, made: Prepared) -> None:
    """Take away what was prepared."""
    async with as_user(server) as galaxy:
        await galaxy.histories.delete(made.history, purge=True)
        await galaxy.workflows.delete(made.workflow)
