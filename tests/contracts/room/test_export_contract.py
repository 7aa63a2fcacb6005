"""What Galaxy writes to a file source by itself, under names of ours, and how it is proven and found again."""

from __future__ import annotations

import pytest

from tests.contracts.room.conftest import Prepared, as_user, until
from tests.live.user_files import make_own_source
from tests.servers import GalaxyServer
from watcher.errors import AnswerLost, Forbidden, GalaxyBroken, Refused
from watcher.galaxy import Galaxy
from watcher.galaxy.archives import SUCCEEDED
from watcher.galaxy.exports import EXPORT_TOOL, longest_name
from watcher.model import HistoryId, JobId

SOURCE = "gxfiles://results"
NOBODYS = "gxuserfiles://00000000-0000-4000-8000-000000000000"


@pytest.fixture
def place(history: HistoryId) -> str:
    """Return a folder of the file source that nobody has used."""
    return f"{SOURCE}/contract {history}"


@pytest.fixture
def own(galaxy_server: GalaxyServer) -> str:
    """Return the root of a file source that the user of the key has made."""
    return make_own_source(galaxy_server.url, galaxy_server.key)


async def ended(galaxy: Galaxy, job: JobId) -> str:
    """Return how a job ends."""

    async def is_over() -> bool:
        return (await galaxy.jobs.detail(job)).state in ("ok", "error", "paused")

    await until(is_over)
    return (await galaxy.jobs.detail(job)).state


async def test_the_file_sources(galaxy: Galaxy) -> None:
    """The one that can be written to says so, and by what its places begin; the tool is there, another one is not."""
    sources = {source.id: source for source in await galaxy.exports.sources()}
    assert (sources["results"].is_writable, sources["results"].root) == (True, SOURCE)
    shared = [source for source in sources.values() if not source.root.startswith("gxuserfiles://")]
    assert [source.id for source in shared if source.is_writable] == ["results"]
    assert await galaxy.exports.has_tool(EXPORT_TOOL)
    assert not await galaxy.exports.has_tool("no_such_tool")


async def test_places_that_are_not_there(galaxy: Galaxy, history: HistoryId, prepared: Prepared) -> None:
    """An empty folder and none look alike; a source that is not there is refused, also by the tool, which then makes
    no job.
    """
    assert await galaxy.exports.listing(f"{SOURCE}/nobody/was/here") == {}
    with pytest.raises(Refused, match="Could not find handler"):
        await galaxy.exports.listing("gxfiles://nosuch/x")
    dataset = next(iter(prepared.datasets.values()))
    with pytest.raises(Refused, match="Could not find handler"):
        await galaxy.exports.write(history, "gxfiles://nosuch/x", {"a.txt": dataset})
    assert await galaxy.exports.jobs_of(history, EXPORT_TOOL) == []


async def test_datasets_get_the_names_they_are_given(
    galaxy: Galaxy, history: HistoryId, place: str, prepared: Prepared
) -> None:
    """Folders, letters of any language and no second ending, also where the place itself has such letters; the listing
    tells the sizes.
    """
    first, second = list(prepared.datasets.items())[:2]
    for one in (f"{place}/plain", f"{place}/é ü"):
        wanted = {"a/first one.fastq.gz": first[1], "zweite é.fq.gz": second[1]}
        job = await galaxy.exports.write(history, one, wanted)
        assert await ended(galaxy, job) == "ok"
        sizes = {
            "a/first one.fastq.gz": len(prepared.contents[first[0]]),
            "zweite é.fq.gz": len(prepared.contents[second[0]]),
        }
        assert await galaxy.exports.listing(one) == sizes


async def test_a_source_of_a_users_own(
    galaxy: Galaxy, history: HistoryId, own: str, galaxy_server: GalaxyServer, prepared: Prepared
) -> None:
    """It is listed by its UUID, takes datasets and archives like any other, and is nobody else's; one that is not there
    is a trouble of the server's, with no job.
    """
    sources = {source.root: source for source in await galaxy.exports.sources()}
    assert sources[own].is_writable
    assert f"gxuserfiles://{sources[own].id}" == own
    place = f"{own}/contract {history}"
    assert await galaxy.exports.listing(place) == {}
    name, dataset = next(iter(prepared.datasets.items()))
    job = await galaxy.exports.write(history, place, {"a/first one.fastq.gz": dataset})
    assert await galaxy.exports.find_write(history, place, {"a/first one.fastq.gz": dataset}) == job
    assert await ended(galaxy, job) == "ok"
    size = len(prepared.contents[name])
    assert await galaxy.exports.listing(place) == {"a/first one.fastq.gz": size}
    ticket = await galaxy.archives.write("history", history, f"{place}/history.rocrate.zip", "rocrate.zip")

    async def is_over() -> bool:
        return await galaxy.archives.task_state(ticket) == SUCCEEDED

    await until(is_over)
    assert (await galaxy.exports.listing(place)).keys() == {"a/first one.fastq.gz", "history.rocrate.zip"}
    async with as_user(galaxy_server, galaxy_server.second_key) as other:
        with pytest.raises(Forbidden):
            await other.exports.listing(place)
    with pytest.raises(GalaxyBroken):
        await galaxy.exports.listing(NOBODYS)
    with pytest.raises((GalaxyBroken, AnswerLost)):
        await galaxy.exports.write(history, NOBODYS, {"a.txt": dataset})
    assert await galaxy.exports.jobs_of(history, EXPORT_TOOL) == [job]


@pytest.mark.slow_on_real
async def test_a_job_is_found_by_what_it_writes_and_where(
    galaxy: Galaxy, history: HistoryId, place: str, prepared: Prepared
) -> None:
    """Only the job in this history with these datasets under these names to this place; of two the newer one."""
    first, second = list(prepared.datasets.values())[:2]
    wanted = {"b.txt": first, "a.txt": second}
    assert await galaxy.exports.find_write(history, place, wanted) is None
    job = await galaxy.exports.write(history, place, wanted)
    assert await galaxy.exports.find_write(history, place, wanted) == job
    assert await galaxy.exports.find_write(history, place, wanted, but=[job]) is None
    assert await galaxy.exports.find_write(prepared.history, place, wanted) is None
    for other in ({"b.txt": first}, {"a.txt": first, "b.txt": second}, {"a.txt": second, "c.txt": first}):
        assert await galaxy.exports.find_write(history, place, other) is None
    assert await galaxy.exports.find_write(history, f"{place}/x", wanted) is None
    assert await ended(galaxy, job) == "ok"
    again = await galaxy.exports.write(history, place, wanted)
    assert await galaxy.exports.find_write(history, place, wanted) == again
    assert await ended(galaxy, again) == "ok"


@pytest.mark.slow_on_real
async def test_a_job_that_cannot_write(galaxy: Galaxy, history: HistoryId, place: str, prepared: Prepared) -> None:
    """It fails with the tool's words when a file is in the way of a folder; what has the very name is written over."""
    (name, first), (other, second) = list(prepared.datasets.items())[:2]
    assert await ended(galaxy, await galaxy.exports.write(history, place, {"a": first})) == "ok"
    job = await galaxy.exports.write(history, place, {"a/b": second})
    assert await ended(galaxy, job) == "error"
    assert "Error" in (await galaxy.jobs.detail(job)).stderr
    assert await galaxy.exports.listing(place) == {"a": len(prepared.contents[name])}
    assert await ended(galaxy, await galaxy.exports.write(history, place, {"a": second})) == "ok"
    assert await galaxy.exports.listing(place) == {"a": len(prepared.contents[other])}


def test_names_that_are_too_long() -> None:
    """The tool cuts names at 255 letters; of a place with odd letters its folders count as well."""
    assert longest_name(f"{SOURCE}/run", ["a" * 255]) == ""
    assert longest_name(f"{SOURCE}/run", ["a" * 256, "b"]) == "a" * 256
    assert longest_name(f"{SOURCE}/rün", ["a" * 252]) == "rün/" + "a" * 252
