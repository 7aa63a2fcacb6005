"""What is sent is what Galaxy has: size and SHA-256 of the download are those of the file, for every kind of file.

One request registers all small files with the extensions of the watcher's own table, and those that Galaxy is known to
rewrite under the extension that lets it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.contracts.room.conftest import GalaxyServer, as_user, ended, sha256, until
from tests.contracts.room.small_files import PLACED, SMALL_FILES, bam
from watcher.galaxy import Galaxy
from watcher.galaxy.answers import DatasetFacts
from watcher.galaxy.features import SORTED_BY_GALAXY
from watcher.galaxy.fetch import FetchElement
from watcher.model import DatasetId, HistoryId
from watcher.runs.filenames import extension_for

ASKED_FOR: dict[str, tuple[str, bytes]] = {
    "wished fastq": ("fastq", SMALL_FILES["S1_R1.fastq"]),
    "wished fastq.gz": ("fastq.gz", SMALL_FILES["S1_R1.fastq.gz"]),
    "wished sorted bam": ("bam", SMALL_FILES["sorted.bam"]),
    "wished bam of bare reads": ("bam", SMALL_FILES["reads.bam"]),
    "wished data": ("data", SMALL_FILES["unsorted.bam"]),
}
"""What a rule may ask for instead, and keeps every byte as well: by name the extension and the bytes."""

REWRITTEN: dict[str, tuple[str, bytes]] = {
    "unsorted as bam": ("bam", SMALL_FILES["unsorted.bam"]),
    "by place as qname_sorted.bam": ("qname_sorted.bam", bam(PLACED[::-1], order="coordinate")),
}
"""What Galaxy sorts: the dataset then holds other bytes than were sent."""


@dataclass(frozen=True)
class Sent:
    """What Galaxy made of all files, by name, and what it gives back of each."""

    facts: dict[str, DatasetFacts]
    given_back: dict[str, bytes]


@pytest.fixture(scope="session")
def sent(galaxy_server: GalaxyServer) -> Iterator[Sent]:
    """Send all files, in one request, and read each of them back."""
    yield asyncio.run(send_all(galaxy_server))


async def send_all(server: GalaxyServer) -> Sent:
    """Send as an upload does: a file without bytes is a session to which none is added."""
    files = {name: (extension_for(name), content) for name, content in SMALL_FILES.items()} | ASKED_FOR | REWRITTEN
    async with as_user(server) as galaxy:
        history = await galaxy.histories.create("exact bytes")
        elements = []
        for name, (ext, content) in files.items():
            session = await galaxy.tus.create(len(content), name)
            if content:
                await galaxy.tus.send(session, 0, content)
            assert await galaxy.tus.offset(session) == len(content)
            elements.append(FetchElement(name, ext, session, sha256=sha256(content), size=len(content)))
        receipt = await galaxy.fetch.register(history, elements)
        await until(lambda: ended(galaxy, history))
        facts = {name: await galaxy.datasets.get(id) for name, id in zip(files, receipt.dataset_ids, strict=True)}
        given_back = {name: await download(galaxy, found.id) for name, found in facts.items() if found.state == "ok"}
        await galaxy.histories.delete(history, purge=True)
    return Sent(facts, given_back)


async def download(galaxy: Galaxy, dataset: DatasetId) -> bytes:
    """Return what Galaxy gives back."""
    async with galaxy.datasets.open(dataset) as pieces:
        return b"".join([piece async for piece in pieces])


def assert_exact(sent: Sent, name: str, ext: str, content: bytes) -> None:
    """Hold the dataset against the file: state, extension, size, hash, and the bytes themselves."""
    found = sent.facts[name]
    assert (found.state, found.ext, found.size) == ("ok", ext, len(content)), found.misc_info
    assert sha256(sent.given_back[name]) == sha256(content)
    assert found.sha256 in ("", sha256(content))


@pytest.mark.parametrize("name", SMALL_FILES)
def test_every_kind_of_file_keeps_its_bytes(sent: Sent, name: str) -> None:
    """Under the extension that its name tells the watcher, a file comes back exactly as it was sent."""
    assert_exact(sent, name, extension_for(name), SMALL_FILES[name])


@pytest.mark.parametrize("name", ASKED_FOR)
def test_an_extension_that_was_asked_for_keeps_the_bytes(sent: Sent, name: str) -> None:
    """An extension that a rule may ask for instead is the one Galaxy has, and changes no byte."""
    assert_exact(sent, name, *ASKED_FOR[name])


@pytest.mark.parametrize("name", REWRITTEN)
def test_what_galaxy_sorts_is_never_taken_for_the_file(sent: Sent, name: str) -> None:
    """Galaxy sorts what is not in the order its extension stands for, and goes on listing the hash of what was sent:
    only the size, or reading it back, tells.
    """
    ext, content = REWRITTEN[name]
    found = sent.facts[name]
    assert (found.state, found.ext) == ("ok", ext)
    assert sent.given_back[name] != content
    assert found.size == len(sent.given_back[name]) != len(content)


async def test_hash_of_a_rewritten_file_is_no_proof(galaxy: Galaxy, sent: Sent) -> None:
    """Where hashes are verified, it was the sent bytes that were: the listed hash is not that of the dataset."""
    listed = sent.facts["unsorted as bam"].sha256
    expected = sha256(SMALL_FILES["unsorted.bam"]) if (await galaxy.features()).fetch_hashes else ""
    assert listed == expected != sha256(sent.given_back["unsorted as bam"])


async def test_a_part_is_read_alone(galaxy: Galaxy, history: HistoryId) -> None:
    """Any part of a dataset is given by itself, and none behind its end."""
    content = SMALL_FILES["reads.pod5"]
    session = await galaxy.tus.create(len(content), "reads.pod5")
    await galaxy.tus.send(session, 0, content)
    receipt = await galaxy.fetch.register(history, [FetchElement("reads.pod5", "pod5", session)])
    await until(lambda: ended(galaxy, history))
    for offset, length in ((0, 1), (0, len(content)), (8, 25), (len(content) - 8, 8), (len(content) - 1, 1)):
        assert await galaxy.datasets.part(receipt.dataset_ids[0], offset, length) == content[offset : offset + length]
    assert await galaxy.datasets.part(receipt.dataset_ids[0], len(content), 1) == b""


def test_what_is_sorted_is_known() -> None:
    """The extensions that Galaxy is seen to sort are those that the room knows of, and no file gets one by its name."""
    assert {ext for ext, _ in REWRITTEN.values()} == SORTED_BY_GALAXY
    assert not {extension_for(name) for name in SMALL_FILES} & SORTED_BY_GALAXY
