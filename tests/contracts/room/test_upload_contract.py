"""Bytes on their way into Galaxy: sessions, datasets, hashes, privacy, collections."""

from __future__ import annotations

import pytest

from tests.contracts.room.conftest import (
    BROKEN,
    TAG,
    GalaxyServer,
    Prepared,
    as_user,
    ended,
    fastq,
    send,
    sha256,
    until,
)
from watcher.clock import SystemClock
from watcher.errors import Forbidden, GalaxyBroken, GalaxyError, NotThere, Refused
from watcher.galaxy import Galaxy
from watcher.galaxy.fetch import FetchElement
from watcher.model import DatasetId, HistoryId

UNKNOWN_ID = "0123456789abcdef"


async def test_session_grows_by_what_is_sent(galaxy: Galaxy) -> None:
    """A session tells how many bytes it holds, from none to all."""
    session = await galaxy.tus.create(10, "file name with blanks – and more.fastq")
    assert await galaxy.tus.offset(session) == 0
    assert await galaxy.tus.send(session, 0, b"01234") == 5
    assert await galaxy.tus.offset(session) == 5
    assert await galaxy.tus.send(session, 5, b"56789") == 10
    assert await galaxy.tus.settled_offset(session, SystemClock()) == 10
    await galaxy.tus.delete(session)


async def test_nothing_is_lost_behind_a_file_that_is_complete(galaxy: Galaxy) -> None:
    """Whatever is asked for after the last chunk of a file is answered, time and again."""
    for _ in range(10):
        session = await galaxy.tus.create(5, "a.fastq")
        assert await galaxy.tus.send(session, 0, b"01234") == 5
        await galaxy.tus.delete(session)


async def test_session_is_resumed_by_another_process(galaxy_server: GalaxyServer) -> None:
    """A session begun by one client is resumed by another where the first one stopped."""
    async with as_user(galaxy_server) as first:
        session = await first.tus.create(6, "a.fastq")
        await first.tus.send(session, 0, b"abc")
    async with as_user(galaxy_server) as second:
        offset = await second.tus.offset(session)
        assert offset == 3
        assert await second.tus.send(session, offset, b"def") == 6
        await second.tus.delete(session)


async def test_chunk_at_a_wrong_offset_is_never_taken_for_a_good_one(galaxy: Galaxy) -> None:
    """A chunk that does not begin where the session ends is refused and changes nothing; before 26.0 it is appended
    all the same, and told as an error of ours.
    """
    session = await galaxy.tus.create(10, "a.fastq")
    await galaxy.tus.send(session, 0, b"01234")
    checks_offset = (await galaxy.features()).tus_checks_offset
    with pytest.raises(Refused if checks_offset else GalaxyBroken) as refused:
        await galaxy.tus.send(session, 2, b"xyz")
    assert refused.value.status == (409 if checks_offset else 204)
    assert await galaxy.tus.offset(session) == (5 if checks_offset else 8)
    await galaxy.tus.delete(session)


async def test_deleted_session_is_gone(galaxy: Galaxy) -> None:
    """A forgotten session has no offset, takes no bytes, and can be forgotten again."""
    session = await galaxy.tus.create(10, "a.fastq")
    await galaxy.tus.delete(session)
    assert await galaxy.tus.offset(session) is None
    assert await galaxy.tus.settled_offset(session, SystemClock()) is None
    with pytest.raises(NotThere) as gone:
        await galaxy.tus.send(session, 0, b"01234")
    assert session not in str(gone.value)
    await galaxy.tus.delete(session)


async def test_uploads_become_datasets_in_order(galaxy: Galaxy, prepared: Prepared) -> None:
    """One request makes a dataset of each session, whole and under the name, extension and tag asked for; from 24.2 on
    with the hash that was verified.
    """
    knows_hashes = (await galaxy.features()).fetch_hashes
    facts = await galaxy.datasets.many(prepared.history, list(prepared.datasets.values()))
    assert len(facts) == len(prepared.contents)
    for number, (name, content) in enumerate(prepared.contents.items(), start=1):
        dataset = facts[prepared.datasets[name]]
        assert (dataset.name, dataset.state, dataset.ext, dataset.size) == (name, "ok", "fastqsanger.gz", len(content))
        assert dataset.sha256 == (sha256(content) if knows_hashes else "")
        assert f"{TAG}:{number:03d}" in dataset.tags
        assert dataset.history_id == prepared.history


async def test_one_dataset_reads_like_many(galaxy: Galaxy, prepared: Prepared) -> None:
    """A dataset asked for alone tells what it tells in a list, and its uuid."""
    id = prepared.datasets["S1_R1.fastq.gz"]
    alone = await galaxy.datasets.get(id)
    listed = (await galaxy.datasets.many(prepared.history, [id]))[id]
    assert alone.uuid
    assert alone.model_copy(update={"uuid": ""}) == listed


async def test_wrong_hash_makes_a_failed_dataset(galaxy: Galaxy, prepared: Prepared) -> None:
    """A file whose hash is not the promised one ends in error and says why, while its job is well; 24.1 is not told the
    hash and takes the file.
    """
    dataset = await galaxy.datasets.get(prepared.broken)
    if (await galaxy.features()).fetch_hashes:
        assert (dataset.state, dataset.size) == ("error", 0)
        assert "SHA-256" in dataset.misc_info
    else:
        assert (dataset.state, dataset.size) == ("ok", len(BROKEN))
    assert (await galaxy.jobs.detail(prepared.upload)).state == "ok"


async def test_upload_is_found_by_its_tag(galaxy: Galaxy, prepared: Prepared) -> None:
    """The datasets of a batch are found by the beginning of their tag, and one of them by all of it."""
    found = await galaxy.histories.contents(prepared.history, tag=f"{TAG}:")
    assert [content.id for content in found] == list(prepared.datasets.values())
    assert {content.kind for content in found} == {"dataset"}
    one = await galaxy.histories.contents(prepared.history, tag=f"{TAG}:002")
    assert [content.name for content in one] == ["S1_R2.fastq.gz"]
    assert await galaxy.histories.contents(prepared.history, tag="watcher:contract-2") == []


async def test_contents_are_chosen_by_id(galaxy: Galaxy, prepared: Prepared) -> None:
    """A history's contents can be narrowed to some ids."""
    wanted = list(prepared.datasets.values())[:2]
    found = await galaxy.histories.contents(prepared.history, ids=wanted)
    assert [content.id for content in found if content.kind == "dataset"] == wanted


async def test_session_is_used_up(galaxy: Galaxy, history: HistoryId) -> None:
    """An upload that became a dataset leaves no session behind, and a plain file keeps its bytes."""
    content = b"a line\r\nwith blanks  and no end"
    session = await send(galaxy, content, "notes.txt")
    receipt = await galaxy.fetch.register(history, [FetchElement("notes.txt", "txt", session)])
    await until(lambda: ended(galaxy, history))
    assert await galaxy.tus.offset(session) is None
    assert (await galaxy.datasets.get(receipt.dataset_ids[0])).size == len(content)
    async with galaxy.datasets.open(receipt.dataset_ids[0]) as pieces:
        assert b"".join([piece async for piece in pieces]) == content


async def test_unknown_extension_is_refused_at_once(galaxy: Galaxy, history: HistoryId) -> None:
    """An extension that Galaxy does not know is refused, nothing is made, and no message holds the session."""
    session = await send(galaxy, b"abcdef", "x")
    with pytest.raises(Refused) as refused:
        await galaxy.fetch.register(history, [FetchElement("x", "nosuchext", session)])
    assert "nosuchext" in str(refused.value)
    assert session not in str(refused.value)
    assert await galaxy.histories.contents(history) == []
    await galaxy.tus.delete(session)


async def test_dataset_is_closed_to_others(galaxy: Galaxy, galaxy_server: GalaxyServer, prepared: Prepared) -> None:
    """A dataset made private is read by its owner and by nobody else."""
    id = prepared.datasets["S2_R2.fastq.gz"]
    await galaxy.datasets.make_private(id)
    assert (await galaxy.datasets.get(id)).is_closed_to_all_but(await galaxy.users.own_role())
    async with galaxy.datasets.open(id) as pieces:
        assert b"".join([piece async for piece in pieces]) == prepared.contents["S2_R2.fastq.gz"]
    async with as_user(galaxy_server, galaxy_server.second_key) as other:
        with pytest.raises(Forbidden):
            async with other.datasets.open(id):
                raise AssertionError("another user reads a private dataset")


async def test_new_datasets_are_private_from_the_start(galaxy_server: GalaxyServer) -> None:
    """After the account's default is set, uploads into histories made later are private, and it is set only once."""
    async with as_user(galaxy_server, galaxy_server.second_key) as user:
        was_open = not await user.users.default_access()  # other tests may have closed it before
        assert await user.users.make_new_datasets_private() == was_open
        assert not await user.users.make_new_datasets_private()
        history = await user.histories.create("private")
        session = await send(user, fastq("S", 2), "S_R1.fastq.gz")
        receipt = await user.fetch.register(history, [FetchElement("S_R1.fastq.gz", "fastqsanger.gz", session)])
        made = await user.datasets.get(receipt.dataset_ids[0])
        assert made.is_closed_to_all_but(await user.users.own_role())
        await user.histories.delete(history, purge=True)


async def test_deleted_dataset_says_so(galaxy: Galaxy, history: HistoryId) -> None:
    """A deleted dataset can still be read about and says that it is deleted."""
    session = await send(galaxy, b"abcdef", "x.txt")
    receipt = await galaxy.fetch.register(history, [FetchElement("x.txt", "txt", session)])
    await until(lambda: ended(galaxy, history))
    await galaxy.datasets.delete(receipt.dataset_ids[0])
    assert (await galaxy.datasets.get(receipt.dataset_ids[0])).deleted


async def test_collection_holds_the_verified_datasets(galaxy: Galaxy, prepared: Prepared) -> None:
    """A built collection is whole at once and holds the very datasets it was built over, by sample and read."""
    collection = await galaxy.collections.get(prepared.collection)
    assert (collection.type, collection.name, collection.populated) == ("list:paired", "240612", "ok")
    assert TAG in collection.tags
    assert [(path, leaf.dataset_id, leaf.ext, leaf.size) for path, leaf in collection.leaves()] == [
        (
            (f"S{s}", direction),
            prepared.datasets[f"S{s}_R{r}.fastq.gz"],
            "fastqsanger.gz",
            len(prepared.contents[f"S{s}_R{r}.fastq.gz"]),
        )
        for s in (1, 2)
        for r, direction in ((1, "forward"), (2, "reverse"))
    ]


async def test_collection_is_found_by_name_and_tag(galaxy: Galaxy, prepared: Prepared) -> None:
    """A collection is found again by its name and tag, and by nothing less."""
    assert await galaxy.collections.find(prepared.history, "240612", TAG) == prepared.collection
    assert await galaxy.collections.find(prepared.history, "240612", "watcher:other") is None
    assert await galaxy.collections.find(prepared.history, "2406", TAG) is None


async def test_untagged_collection_is_found_after_a_crash(galaxy: Galaxy, history: HistoryId) -> None:
    """A collection that was built but not tagged yet is found by its name."""
    built = await galaxy.collections.build(history, "run", "list", [], [])
    assert await galaxy.collections.find(history, "run", TAG) == built


@pytest.mark.parametrize("id", [UNKNOWN_ID, "not-an-id"])
async def test_unknown_dataset_is_an_error_of_ours(galaxy: Galaxy, id: str) -> None:
    """An id that does not exist is told by one of our errors, not by a foreign one."""
    with pytest.raises(GalaxyError):
        await galaxy.datasets.get(DatasetId(id))
