"""What goes wrong on the way into a library, seen through the client: lost answers, a proxy that waits no longer,
files that arrive broken. Whatever was done is found by looking.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.fakes.galaxy import FakeGalaxy, Fault
from tests.fakes_test.raw_galaxy import fastq, sha256
from watcher.clock import SystemClock
from watcher.errors import AnswerLost, Refused
from watcher.galaxy import Account, Galaxy
from watcher.galaxy.fetch import FetchElement
from watcher.galaxy.library_answers import Folder, Library, LibraryItem

CONTENTS = "/api/libraries/*/contents"
CONTENT = fastq(5)


@dataclass
class Ground:
    """A server with a library, a folder in it, and a file that the server can read."""

    fake: FakeGalaxy
    galaxy: Galaxy
    library: Library
    folder: Folder
    path: Path

    async def link(self) -> None:
        """Link the file into the folder."""
        await self.galaxy.libraries.link_paths(self.library.id, self.folder.id, [str(self.path)], ext="txt")

    async def upload(self) -> None:
        """Send the file to the folder, its hash promised where the server knows hashes."""
        session = await self.galaxy.tus.create(len(CONTENT), "a.fastq.gz")
        await self.galaxy.tus.send(session, 0, CONTENT)
        history = await self.galaxy.histories.create("carries the job")
        element = FetchElement("a.fastq.gz", "fastqsanger.gz", session, (), sha256(CONTENT))
        await self.galaxy.libraries.register(history, self.folder.id, [element])

    async def items(self) -> list[LibraryItem]:
        """Return what lies in the folder once nothing moves any more."""
        self.fake.wait_idle()
        return await self.galaxy.libraries.items(self.folder.id)


@pytest.fixture(params=["24.1.4", "26.1.2"])
def fake(request: pytest.FixtureRequest) -> Iterator[FakeGalaxy]:
    """Return one server of each release."""
    with FakeGalaxy(request.param, admin=True, job_seconds=0.02) as server:
        yield server
        assert server.engine.problems == []


@pytest.fixture
async def ground(fake: FakeGalaxy, tmp_path: Path) -> AsyncIterator[Ground]:
    """Return a library with a folder and nothing in it."""
    path = tmp_path / "a.txt"
    path.write_bytes(b"some bytes")
    async with Galaxy(Account("fake", fake.url, lambda: fake.key), SystemClock()) as galaxy:
        library = await galaxy.libraries.create("L")
        folder = await galaxy.libraries.create_folder(library.root_folder_id, "F")
        yield Ground(fake, galaxy, library, folder, path)


async def test_lost_answer_has_linked_all_the_same(ground: Ground) -> None:
    """A link whose answer is lost is in doubt, never sent again by itself, and found by looking."""
    ground.fake.faults.add(Fault("lose_answer", method="POST", path=CONTENTS))
    with pytest.raises(AnswerLost):
        await ground.link()
    assert [item.name for item in await ground.items()] == ["a.txt"]


async def test_server_goes_on_after_the_proxy_gave_up(ground: Ground) -> None:
    """A 504 of a proxy does not stop Galaxy: the file shows up later, once."""
    fault = ground.fake.faults.add(Fault("impatient", method="POST", path=CONTENTS, status=504, seconds=0.2))
    with pytest.raises(AnswerLost, match="504"):
        await ground.link()
    assert fault.hits == 1
    ground.fake.wait_until(lambda: len(ground.fake.state.shelf.items) == 1)
    assert [item.state for item in await ground.items()] == ["ok"]


async def test_cut_request_has_linked_nothing(ground: Ground) -> None:
    """A link that never reached Galaxy is in doubt as well, and looking finds nothing."""
    ground.fake.faults.add(Fault("reset", method="POST", path=CONTENTS))
    with pytest.raises(AnswerLost):
        await ground.link()
    assert await ground.items() == []


async def test_folder_of_a_lost_answer_is_found(ground: Ground) -> None:
    """A folder whose making was in doubt is found by its name."""
    ground.fake.faults.add(Fault("impatient", method="POST", path="/api/folders/*", status=504))
    with pytest.raises(AnswerLost):
        await ground.galaxy.libraries.create_folder(ground.folder.id, "inner")
    ground.fake.wait_until(lambda: len(ground.fake.state.shelf.folders) == 3)
    assert [folder.name for folder in await ground.galaxy.libraries.folders(ground.folder.id)] == ["inner"]


async def test_upload_of_a_lost_answer_is_found(ground: Ground) -> None:
    """An upload into a folder whose answer is lost shows in its listing once."""
    ground.fake.faults.add(Fault("lose_answer", method="POST", path="/api/tools/fetch"))
    with pytest.raises(AnswerLost):
        await ground.upload()
    assert [(item.name, item.state, item.size) for item in await ground.items()] == [
        ("a.fastq.gz", "ok", len(CONTENT)),
    ]


async def test_spoilt_upload_is_an_item_in_error(ground: Ground) -> None:
    """A byte changed on the way is found out, by the promised hash or because the file cannot be unpacked."""
    ground.fake.faults.add(Fault("hash_mismatch"))
    await ground.upload()
    (item,) = await ground.items()
    assert item.state == "error"
    assert item.size == 0


async def test_failed_import_leaves_its_items_in_error(ground: Ground) -> None:
    """An import whose job fails has made its items all the same."""
    ground.fake.faults.add(Fault("job_error", tool="upload1"))
    await ground.link()
    assert [item.state for item in await ground.items()] == ["error"]


async def test_paths_that_are_no_line_are_never_sent(ground: Ground) -> None:
    """A path that Galaxy would read as another one is refused here, before anything is asked."""
    ground.fake.requests.clear()
    for path in ("/data/a\nb", "/data/a ", " /data/a", "/data/a\x0bb", ""):
        with pytest.raises(Refused, match="one path a line"):
            await ground.galaxy.libraries.link_paths(ground.library.id, ground.folder.id, [path], ext="txt")
    assert ground.fake.requests.all("POST") == []


async def test_linked_bytes_outlive_their_copies(ground: Ground) -> None:
    """Purging a history leaves the file that its dataset was linked from."""
    await ground.link()
    (item,) = await ground.items()
    history = await ground.galaxy.histories.create("h")
    await ground.galaxy.libraries.copy_to_history(history, item.id)
    await ground.galaxy.histories.delete(history, purge=True)
    assert ground.path.read_bytes() == b"some bytes"


async def test_listing_of_many_is_whole(ground: Ground) -> None:
    """A folder of more folders and files than a page holds is listed whole, each thing once."""
    shelf, state = ground.fake.state.shelf, ground.fake.state
    folder = next(row for row in shelf.folders.values() if row.name == "F")
    with state.lock:
        for number in range(500):
            shelf.add_folder(folder, f"d{number:03d}", "")
    await ground.link()
    (item,) = await ground.items()
    with state.lock:
        for number in range(700):
            shelf.add_item(folder, f"f{number:03d}", next(iter(shelf.items.values())).file)
    assert len(await ground.galaxy.libraries.folders(ground.folder.id)) == 500
    listed = [one.name for one in await ground.galaxy.libraries.items(ground.folder.id)]
    assert sorted(listed) == sorted([item.name, *(f"f{number:03d}" for number in range(700))])
