"""A store that dies by SIGKILL in the middle of a part, and comes back: Swift, which keeps what it answered for."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.delivery.results import Results
from tests.delivery.stores import line_to
from tests.delivery.swift import Swift
from tests.delivery.test_object_store import LARGE, MIB
from tests.delivery.test_parts import KEY, Notes
from watcher.clock import SystemClock
from watcher.delivery.object_store import PART_BYTES
from watcher.delivery.parts import Part, send_parts
from watcher.delivery.s3_uploads import s3_uploads
from watcher.errors import TargetGone

pytestmark = pytest.mark.xdist_group("object stores")


async def test_a_store_that_is_killed_and_back_at_once_costs_the_parts_under_way(
    swift_server: Swift, results: Results
) -> None:
    """Nobody but the log hears of it: what was cut off is sent again, and nothing else."""
    file = results.add("a", LARGE, "reads")
    killed: list[int] = []

    def hear(done: int) -> None:
        if done > 2 * PART_BYTES and not killed:  # a part has arrived, and two are under way
            swift_server.kill()
            killed.append(done)
            swift_server.start()

    async with line_to(swift_server.port) as line:
        delivery = swift_server.delivery(endpoint=f"http://127.0.0.1:{line.port}")
        assert await delivery.put(results, file, "reads.txt", hear) == (len(LARGE), file.sha256)
        assert killed
        assert line.passed < len(LARGE) + 2 * PART_BYTES + 256 * 1024
    assert results.offsets == [0]
    assert swift_server.contents() == {KEY: LARGE}
    assert swift_server.unfinished() == []


async def test_a_store_that_is_killed_gets_the_rest_when_it_is_back(swift_server: Swift, results: Results) -> None:
    """It stays away until the delivery gives up; the next one, which knows the upload, sends what is missing."""
    file = results.add("a", LARGE, "reads")
    notes = Notes()

    def hear(done: int) -> None:
        if done > 2 * PART_BYTES:
            swift_server.kill()

    with pytest.raises(TargetGone):
        await swift_server.delivery().put(results, file, "reads.txt", hear, begun=notes.begun)
    swift_server.start()
    kept = swift_server.unfinished_parts()[KEY]
    assert kept
    async with line_to(swift_server.port) as line:
        delivery = swift_server.delivery(endpoint=f"http://127.0.0.1:{line.port}")
        await delivery.prepare(len(LARGE))
        assert await delivery.put(results, file, "reads.txt", begun=notes.begun) == (len(LARGE), file.sha256)
        assert line.passed < len(LARGE) - len(kept) * PART_BYTES + 256 * 1024
    assert swift_server.contents() == {KEY: LARGE}
    assert swift_server.head(KEY)["Metadata"] == {"sha256": file.sha256}
    assert swift_server.unfinished() == []


async def test_an_upload_that_was_thrown_away_is_told_as_passing(swift_server: Swift) -> None:
    """Somebody, or a rule of the bucket, aborts it under our hands: neither a part nor the end is taken any more."""
    uploads = s3_uploads(swift_server.bucket, swift_server.options(), SystemClock())
    assert uploads
    async with uploads.of("one", "") as upload:
        upload_id = await upload.take_up("")

        async def pieces() -> AsyncIterator[bytes]:
            yield bytes(MIB)

        await send_parts(upload, pieces(), PART_BYTES, lambda _: None)
        swift_server.client.abort_multipart_upload(Bucket=swift_server.bucket, Key="one", UploadId=upload_id)
        assert not await upload.complete("", replace=False)
        part = Part(2)
        part.add(b"y")
        with pytest.raises(TargetGone, match="has lost the parts"):
            await upload.send(part)
    assert swift_server.contents() == {}
    assert swift_server.unfinished() == []
