"""What a broken download goes on with, and what it does not believe: a disk that failed, a death without a sync."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.delivery.results import AtOnce, Results, parts_in
from watcher.clock import ManualClock
from watcher.delivery import FolderDelivery
from watcher.delivery.target import give_name
from watcher.errors import GalaxyAway, TargetGone
from watcher.results import ResultFile

MIB = 1024 * 1024
LARGE = bytes(range(251)) * (4 * MIB // 251)


class Silent(Results):
    """Results that come to a place and no further, without an end."""

    def __init__(self, until: int) -> None:
        super().__init__()
        self.until = until
        self.silent = asyncio.Event()

    @asynccontextmanager
    async def read(self, file: ResultFile, offset: int) -> AsyncIterator[AsyncIterator[bytes]]:
        """Open the bytes from an offset on."""

        async def pieces() -> AsyncIterator[bytes]:
            yield self.contents[file.galaxy_id][offset : self.until]
            self.silent.set()
            await asyncio.Event().wait()

        self.offsets.append(offset)
        yield pieces()


def deliver_to(folder: Path) -> FolderDelivery:
    """Return a delivery as each start of the program has it."""
    return FolderDelivery(folder, folder, AtOnce(), ManualClock())


@pytest.mark.parametrize("hashed", [True, False], ids=["with checksum", "without"])
async def test_not_a_byte_is_fetched_twice_after_a_break(tmp_path: Path, hashed: bool) -> None:
    """All that came before the break is kept, also what had not filled a piece, and gone on with by another start."""
    results = Results(piece_bytes=1000)
    file = results.add("a", LARGE, "reads", hashed=hashed)
    results.cut_at = 3 * MIB + 17
    with pytest.raises(GalaxyAway):
        await deliver_to(tmp_path).put(results, file, "reads.txt")
    results.cut_at = None
    await deliver_to(tmp_path).put(results, file, "reads.txt")
    assert results.offsets == [0, 3 * MIB + 17]
    assert (tmp_path / "reads.txt").read_bytes() == LARGE
    assert not parts_in(tmp_path)


async def test_a_program_that_is_told_to_end_keeps_what_it_has(tmp_path: Path) -> None:
    """The next start goes on with what had been written, whether or not Galaxy has a checksum."""
    silent = Silent(2 * MIB)
    file = silent.add("a", LARGE, "reads", hashed=False)
    under_way = asyncio.create_task(deliver_to(tmp_path).put(silent, file, "reads.txt"))
    await silent.silent.wait()
    under_way.cancel()
    with pytest.raises(asyncio.CancelledError):
        await under_way
    results = Results()
    results.add("a", LARGE, "reads")
    await deliver_to(tmp_path).put(results, file, "reads.txt")
    assert results.offsets == [2 * MIB]
    assert (tmp_path / "reads.txt").read_bytes() == LARGE


async def test_bytes_that_the_disk_failed_to_keep_are_fetched_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A system tells once of bytes that it could not write, and of none at the next sync: they are not believed."""
    results = Results()
    file = results.add("a", LARGE, "reads")
    real, calls = os.fsync, []

    def fails_once(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == 1:
            raise OSError(errno.EIO, "broken")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fails_once)
    with pytest.raises(TargetGone):
        await deliver_to(tmp_path).put(results, file, "reads.txt")
    (part,) = parts_in(tmp_path)
    assert ".synced" not in part.name
    await deliver_to(tmp_path).put(results, file, "reads.txt")
    assert results.offsets == [0, 0]
    assert (tmp_path / "reads.txt").read_bytes() == LARGE


async def test_nothing_unsynced_follows_what_is_called_synced(tmp_path: Path) -> None:
    """A part loses that name before a byte is added: after a death it would be believed."""
    results = Results()
    file = results.add("a", LARGE, "reads", hashed=False)
    results.cut_at = MIB
    with pytest.raises(GalaxyAway):
        await deliver_to(tmp_path).put(results, file, "reads.txt")
    silent = Silent(2 * MIB)
    silent.contents = results.contents
    under_way = asyncio.create_task(deliver_to(tmp_path).put(silent, file, "reads.txt"))
    await silent.silent.wait()
    (part,) = parts_in(tmp_path)
    assert ".synced" not in part.name
    under_way.cancel()
    with pytest.raises(asyncio.CancelledError):
        await under_way


@pytest.mark.parametrize("ends", [["DELIVERED"], []], ids=["marker", "manifest alone"])
async def test_marker_and_manifest_are_gone_before_anything_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ends: list[str]
) -> None:
    """Also when a second attempt only adds files: a tool that waits for them never takes half of it."""
    results = Results()
    old, new = results.add("a", b"old", "old"), results.add("b", b"new", "new", "S1")

    def delivery() -> FolderDelivery:
        return FolderDelivery(tmp_path, tmp_path, AtOnce(), ManualClock(), marker="".join(ends))

    async def bring(*files: ResultFile) -> None:
        target = delivery()
        listed = [(path, (await target.put(results, file, path))[1]) for path, file in target.places(files).items()]
        await target.write_manifest(listed)

    await bring(old)
    there = {"MANIFEST.sha256", "old.txt", *ends}
    assert {path.name for path in tmp_path.iterdir()} == there
    seen = []

    def watched(target: object, path: str, *more: object, **options: object) -> None:
        seen.append((path, sorted(one.name for one in tmp_path.glob("[!.]*") if one.is_file())))
        give_name(target, path, *more, **options)  # type: ignore[arg-type]

    monkeypatch.setattr("watcher.delivery.folder.give_name", watched)
    await bring(old, new)
    assert seen[0] == ("new/S1.txt", ["old.txt"])
    assert [path for path, _ in seen] == ["new/S1.txt", "MANIFEST.sha256", *ends]
    assert {path.name for path in tmp_path.iterdir()} == there | {"new"}
