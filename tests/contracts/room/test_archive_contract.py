"""Archives that Galaxy makes of a history or an invocation: written to a place of its own, or fetched from it."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile

import pytest

from tests.contracts.room.conftest import TAG, Prepared, until
from watcher.errors import NotThere
from watcher.galaxy import Galaxy
from watcher.galaxy.archives import FAILED, SUCCEEDED
from watcher.model import HistoryId

PLACE = "gxfiles://results/archives"


async def content(galaxy: Galaxy, path: str, offset: int = 0) -> bytes:
    """Return the bytes of an archive from an offset on."""
    async with galaxy.archives.open(path, offset) as pieces:
        return b"".join([piece async for piece in pieces])


async def ended(galaxy: Galaxy, ticket: str) -> str:
    """Return how a task ends."""

    async def is_over() -> bool:
        return await galaxy.archives.task_state(ticket) in (FAILED, SUCCEEDED)

    await until(is_over)
    return await galaxy.archives.task_state(ticket)


async def assert_readable(galaxy: Galaxy, path: str) -> bytes:
    """It has the size that is told, and can be read from any offset, also from its end."""
    whole = await content(galaxy, path)
    assert await galaxy.archives.size(path) == len(whole)
    assert await content(galaxy, path, 10) == whole[10:]
    assert await content(galaxy, path, len(whole)) == b""
    return whole


@pytest.mark.slow_on_real
async def test_the_archive_of_a_history(galaxy: Galaxy, prepared: Prepared) -> None:
    """It has the bytes of the uploads; asked for twice it is made once, and it can be told from older ones; what is
    changed later leaves it as it is.
    """
    before = [one.path for one in await galaxy.archives.of_history(prepared.history)]
    assert await galaxy.archives.find(prepared.history, but=before) is None
    path = await galaxy.archives.begin(prepared.history, but=before)
    assert await galaxy.archives.find(prepared.history, but=before) == path
    assert await galaxy.archives.begin(prepared.history, but=before) == path

    async def is_ready() -> bool:
        state = await galaxy.archives.history_state(prepared.history, path)
        assert state in ("", SUCCEEDED)
        return state == SUCCEEDED

    await until(is_ready)
    whole = await assert_readable(galaxy, path)
    with tarfile.open(fileobj=io.BytesIO(whole)) as archive:
        names = archive.getnames()
        packed = [archive.extractfile(one) for one in archive.getmembers() if one.isfile()]
        contents = [one.read() for one in packed if one is not None]
    assert any("history_attrs" in name for name in names)
    assert set(prepared.contents.values()) <= set(contents)
    for annotation in ("changed meanwhile", "for the contract tests"):
        await galaxy.histories.mark(prepared.history, [TAG, "run:240612_M00001_0001"], annotation)
    again = await galaxy.archives.begin(prepared.history, but=[*before, path])
    assert again not in (*before, path)
    assert await content(galaxy, path) == whole


@pytest.mark.parametrize("format", ["rocrate.zip", "bco.json"])
async def test_an_invocation_as_the_server_tells_it(galaxy: Galaxy, prepared: Prepared, format: str) -> None:
    """To be fetched, and written to a place of Galaxy's, whose listing shows it."""
    made = await galaxy.archives.prepare("invocation", prepared.good, format)
    assert await ended(galaxy, made.task) == SUCCEEDED
    assert await galaxy.archives.is_ready(made.path)
    whole = await assert_readable(galaxy, made.path)
    if format == "bco.json":
        assert "spec_version" in json.loads(whole)
    else:
        with zipfile.ZipFile(io.BytesIO(whole)) as crate:
            assert "ro-crate-metadata.json" in crate.namelist()
    place = f"{PLACE} {prepared.good}"
    ticket = await galaxy.archives.write("invocation", prepared.good, f"{place}/é {format}", format)
    assert await ended(galaxy, ticket) == SUCCEEDED
    assert (await galaxy.exports.listing(place))[f"é {format}"] > 0


@pytest.mark.slow_on_real
async def test_a_history_at_a_place_of_galaxys(galaxy: Galaxy, history: HistoryId) -> None:
    """Its RO-Crate and its plain archive are written there, over what has the name."""
    place = f"{PLACE} {history}"
    for format in ("rocrate.zip", "tar.gz"):
        for _ in range(2):
            ticket = await galaxy.archives.write("history", history, f"{place}/one.{format}", format)
            assert await ended(galaxy, ticket) == SUCCEEDED
    assert set(await galaxy.exports.listing(place)) == {"one.rocrate.zip", "one.tar.gz"}


async def test_what_cannot_be_written(galaxy: Galaxy, history: HistoryId) -> None:
    """Galaxy says yes and the task fails; newer servers tell why."""
    ticket = await galaxy.archives.write("history", history, "gxfiles://nosuch/x.zip", "rocrate.zip")
    assert await ended(galaxy, ticket) == FAILED
    told = await galaxy.archives.why_failed(ticket)
    assert told.startswith("Could not find handler") or (await galaxy.features()).version == (24, 1)


async def test_what_is_not_there(galaxy: Galaxy) -> None:
    """A task that nobody knows looks like one still to come; what was never prepared, or is gone, is not ready."""
    nobody = "0b6c1e1e-0000-4000-8000-000000000000"
    assert await galaxy.archives.task_state(nobody) == "PENDING"
    path = f"/api/short_term_storage/{nobody}"
    assert not await galaxy.archives.is_ready(path)
    with pytest.raises(NotThere):
        await galaxy.archives.size(path)
    with pytest.raises(NotThere):
        await content(galaxy, path)
