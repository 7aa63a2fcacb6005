"""Source bytes come whole, in order, checked, in little memory, and only while the file stays the one we looked at."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from watcher.disk.reader import FileReader
from watcher.disk.scan import facts
from watcher.disk.threads import DiskThreads
from watcher.errors import ContentBroken, DiskError, FileChanged, FileGone, MountGone, UnsafePath


def ignore(chunk: bytes) -> None:
    """Inspect nothing."""


async def collect(reader: FileReader, root: Path, path: str, *, offset: int = 0, size: int = 4) -> list[bytes]:
    """Read a file whole."""
    expect = facts(root, path)
    chunks = reader.chunks(root, path, offset=offset, chunk_bytes=size, inspect=ignore, expect=expect)
    return [chunk async for chunk in chunks]


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=60), size=st.integers(1, 20), share=st.floats(0, 1))
async def test_chunks_are_the_file_from_the_offset_on(
    patient: DiskThreads, tmp_path: Path, content: bytes, size: int, share: float
) -> None:
    """For any content, chunk size and offset: nothing lost, nothing twice; prefix and chunks show all bytes."""
    (tmp_path / "f").write_bytes(content)
    offset = int(share * len(content))
    shown: list[bytes] = []
    reader = FileReader(patient)
    expect = facts(tmp_path, "f")
    await reader.inspect_prefix(tmp_path, "f", offset, shown.append, expect=expect)
    assert b"".join(shown) == content[:offset]
    chunks = reader.chunks(tmp_path, "f", offset=offset, chunk_bytes=size, inspect=shown.append, expect=expect)
    got = [chunk async for chunk in chunks]
    assert b"".join(got) == content[offset:]
    assert b"".join(shown) == content
    assert [len(chunk) for chunk in got[:-1]] == [size] * (len(got) - 1)


async def test_a_part_is_read_alone_and_only_of_the_expected_file(patient: DiskThreads, tmp_path: Path) -> None:
    """A part in the middle or at the end of a file is returned; of another file nothing is."""
    (tmp_path / "f").write_bytes(b"0123456789")
    expect, reader = facts(tmp_path, "f"), FileReader(patient)
    assert await reader.part(tmp_path, "f", 3, 4, expect=expect) == b"3456"
    assert await reader.part(tmp_path, "f", 8, 2, expect=expect) == b"89"
    (tmp_path / "f").write_bytes(b"another file")
    with pytest.raises(FileChanged):
        await reader.part(tmp_path, "f", 3, 4, expect=expect)
    (tmp_path / "f").unlink()
    with pytest.raises(FileGone):
        await reader.part(tmp_path, "f", 3, 4, expect=expect)


async def test_one_chunk_is_read_ahead_in_a_thread_and_no_more(patient: DiskThreads, tmp_path: Path) -> None:
    """While a chunk is with the consumer the next is inspected already, in another thread; the one after it is not."""
    (tmp_path / "f").write_bytes(bytes(range(10)))
    loop, ahead = asyncio.get_running_loop(), asyncio.Event()
    seen: list[bytes] = []
    names: set[str] = set()

    def inspect(chunk: bytes) -> None:
        seen.append(chunk)
        names.add(threading.current_thread().name)
        loop.call_soon_threadsafe(ahead.set)

    expect = facts(tmp_path, "f")
    chunks = FileReader(patient).chunks(tmp_path, "f", offset=0, chunk_bytes=2, inspect=inspect, expect=expect)
    handed = 0
    async with contextlib.aclosing(chunks):
        async for chunk in chunks:
            assert seen[handed] == chunk, "handed over before it was inspected"
            handed += 1
            while len(seen) < min(handed + 1, 5):
                ahead.clear()
                await asyncio.wait_for(ahead.wait(), 30)
            assert len(seen) == min(handed + 1, 5)
    assert handed == 5
    assert threading.current_thread().name not in names


async def test_files_read_at_a_time_share_the_room_for_reading_ahead(tmp_path: Path) -> None:
    """The second file gets small chunks one by one while the first fills the room, and reads ahead afterwards."""
    (tmp_path / "f").write_bytes(bytes(range(10)))
    expect = facts(tmp_path, "f")
    threads = DiskThreads(transfers=1)  # one thread: what was asked before has been done when the next call ends
    reader = FileReader(threads, memory_bytes=4)
    seen: dict[str, list[bytes]] = {"first": [], "second": []}
    first, second = (
        reader.chunks(tmp_path, "f", offset=0, chunk_bytes=2, inspect=seen[name].append, expect=expect) for name in seen
    )
    await anext(first)
    for count in (1, 2):
        await anext(second)
        await threads.read(tmp_path, lambda: None)
        assert [len(chunks) for chunks in seen.values()] == [2, count]
    await first.aclose()
    await anext(second)
    while len(seen["second"]) < 4:  # it reads ahead without being asked for more
        await threads.read(tmp_path, lambda: None)
    assert [chunk async for chunk in second] == [bytes([4, 5]), bytes([6, 7]), bytes([8, 9])]
    threads.close()


async def test_what_inspect_finds_ends_the_reading(patient: DiskThreads, tmp_path: Path) -> None:
    """An error of the inspection comes out in place of its chunk; chunks before it were handed over."""
    (tmp_path / "f").write_bytes(b"aabbcc")

    def inspect(chunk: bytes) -> None:
        if chunk == b"bb":
            raise ContentBroken("f is broken.", files=("f",))

    expect = facts(tmp_path, "f")
    got: list[bytes] = []
    with pytest.raises(ContentBroken):
        async for chunk in FileReader(patient).chunks(
            tmp_path, "f", offset=0, chunk_bytes=2, inspect=inspect, expect=expect
        ):
            got.append(chunk)
    assert got == [b"aa"]


def rewrite(file: Path) -> None:
    """Write other bytes of the same length."""
    with file.open("r+b") as opened:
        opened.write(b"X")


def rewrite_and_hide(file: Path) -> None:
    """Write other bytes and set the old times back, as movers do."""
    before = file.stat()
    rewrite(file)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def append(file: Path) -> None:
    """Let the file grow."""
    with file.open("ab") as opened:
        opened.write(b"X")


def replace_with_same_times(file: Path) -> None:
    """Put another file of the same size and times in its place."""
    before, other = file.stat(), file.with_name("other")
    other.write_bytes(b"X" * before.st_size)
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(file)


def replace_by_link(file: Path) -> None:
    """Put a link that leaves the root in its place."""
    file.unlink()
    file.symlink_to("/etc/hostname")


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        pytest.param(rewrite, FileChanged, "it was written to", id="rewritten"),
        pytest.param(rewrite_and_hide, FileChanged, "it was written to, renamed", id="rewritten-times-set-back"),
        pytest.param(append, FileChanged, "it has 11 bytes, not 10", id="grown"),
        pytest.param(lambda file: os.truncate(file, 3), FileChanged, "it ends after|it has 3 bytes", id="truncated"),
        pytest.param(replace_with_same_times, FileChanged, "it was replaced", id="replaced"),
        pytest.param(Path.unlink, FileGone, "is not there any more", id="removed"),
        pytest.param(replace_by_link, UnsafePath, "leaves the watched folder", id="replaced-by-a-link"),
    ],
)
async def test_a_file_that_changes_meanwhile_never_ends_well(
    patient: DiskThreads, tmp_path: Path, change: Callable[[Path], None], error: type[DiskError], message: str
) -> None:
    """A change during the reading raises before the last chunk is handed over, and the error names the file."""
    file = tmp_path / "f"
    file.write_bytes(bytes(10))
    expect = facts(tmp_path, "f")
    got = 0
    with pytest.raises(error, match=message) as raised:
        async for chunk in FileReader(patient).chunks(
            tmp_path, "f", offset=0, chunk_bytes=2, inspect=ignore, expect=expect
        ):
            if not got:
                change(file)
            got += len(chunk)
    assert got < 10
    assert raised.value.files == ("f",)


@pytest.mark.parametrize("differs", ["size", "mtime_ns", "inode"])
async def test_a_file_that_is_not_the_expected_one_is_not_begun(
    patient: DiskThreads, tmp_path: Path, differs: str
) -> None:
    """Another size, mtime or inode than the one settled ends the reading before the first byte is inspected."""
    (tmp_path / "f").write_bytes(b"abc")
    real = facts(tmp_path, "f")
    expect = replace(real, **{differs: getattr(real, differs) + 1})
    shown: list[bytes] = []
    reader = FileReader(patient)
    with pytest.raises(FileChanged):
        async for _ in reader.chunks(tmp_path, "f", offset=0, chunk_bytes=2, inspect=shown.append, expect=expect):
            pass
    with pytest.raises(FileChanged):
        await reader.inspect_prefix(tmp_path, "f", 2, shown.append, expect=expect)
    assert shown == []


async def test_other_rights_before_the_reading_do_not_matter(patient: DiskThreads, tmp_path: Path) -> None:
    """A chmod or rename between settling and sending moves only ctime: the bytes are the same."""
    (tmp_path / "f").write_bytes(b"abc")
    expect = facts(tmp_path, "f")
    (tmp_path / "f").chmod(0o640)
    chunks = FileReader(patient).chunks(tmp_path, "f", offset=0, chunk_bytes=9, inspect=ignore, expect=expect)
    assert [chunk async for chunk in chunks] == [b"abc"]


async def test_an_offset_beyond_the_end_is_a_changed_file(patient: DiskThreads, tmp_path: Path) -> None:
    """More bytes sent than the file has means that it is not the same file."""
    (tmp_path / "f").write_bytes(b"abc")
    reader = FileReader(patient)
    assert await collect(reader, tmp_path, "f", offset=3) == []
    with pytest.raises(FileChanged, match="4 were read before"):
        await collect(reader, tmp_path, "f", offset=4)
    with pytest.raises(FileChanged, match="4 were read before"):
        await reader.inspect_prefix(tmp_path, "f", 4, ignore)


async def test_links_inside_the_root_are_read_others_are_not(patient: DiskThreads, tmp_path: Path) -> None:
    """A link to a file in the root gives its bytes; links out, also on the way, FIFOs and folders do not."""
    root = tmp_path / "root"
    (root / "run").mkdir(parents=True)
    (tmp_path / "outside").write_bytes(b"secret")
    (root / "run" / "f").write_bytes(b"abc")
    (root / "link").symlink_to("run/f")
    (root / "out").symlink_to("../outside")
    (root / "way").symlink_to(tmp_path)
    os.mkfifo(root / "pipe")
    reader = FileReader(patient)
    assert await collect(reader, root, "link") == [b"abc"]
    expect = facts(root, "run/f")
    for path in ("out", "way/outside", "pipe", "run", "../outside", str(tmp_path / "outside")):
        with pytest.raises(UnsafePath):
            async for _ in reader.chunks(root, path, offset=0, chunk_bytes=2, inspect=ignore, expect=expect):
                pass
    with pytest.raises(FileGone):
        async for _ in reader.chunks(root, "none", offset=0, chunk_bytes=2, inspect=ignore, expect=expect):
            pass


def open_descriptors(file: Path) -> int:
    """Count how often this process has a file open."""
    count = 0
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            count += link.readlink() == file
    return count


async def test_files_are_closed_however_the_reading_ends(tmp_path: Path) -> None:
    """Read whole, left early, broken or refused: no descriptor stays open."""
    threads = DiskThreads(transfers=1)
    file = tmp_path / "f"
    file.write_bytes(bytes(10))
    reader = FileReader(threads)
    expect = facts(tmp_path, "f")

    def broken(chunk: bytes) -> None:
        raise ContentBroken("broken")

    await collect(reader, tmp_path, "f")
    async with contextlib.aclosing(
        reader.chunks(tmp_path, "f", offset=0, chunk_bytes=2, inspect=ignore, expect=expect)
    ) as chunks:
        assert await anext(chunks) == bytes(2)
        assert open_descriptors(file) == 1
    with pytest.raises(ContentBroken):
        await reader.inspect_prefix(tmp_path, "f", 4, broken)
    with pytest.raises(FileChanged):
        await reader.inspect_prefix(tmp_path, "f", 4, ignore, expect=replace(expect, size=1))
    assert await threads.read(tmp_path, lambda: open_descriptors(file)) == 0  # the one thread has closed all by now
    threads.close()


async def test_a_hung_reading_is_given_up_and_closed_later(tmp_path: Path) -> None:
    """A read that hangs raises; its file is closed by its own thread as soon as that returns."""
    threads = DiskThreads(transfers=2, read_timeout_s=0.5)
    file = tmp_path / "f"
    file.write_bytes(bytes(10))
    expect = facts(tmp_path, "f")
    release = threading.Event()

    def hang(chunk: bytes) -> None:
        release.wait()

    with pytest.raises(MountGone, match="does not answer"):
        async for _ in FileReader(threads).chunks(tmp_path, "f", offset=0, chunk_bytes=2, inspect=hang, expect=expect):
            pass
    await threads.read(tmp_path, lambda: None)
    assert open_descriptors(file) == 1
    release.set()
    while await threads.read(tmp_path, lambda: open_descriptors(file)):
        pass
    threads.close()


async def test_a_cancelled_reading_ends_at_once(patient: DiskThreads, tmp_path: Path) -> None:
    """The consumer can be cancelled while a chunk hangs, without waiting for the disk."""
    (tmp_path / "f").write_bytes(bytes(10))
    expect = facts(tmp_path, "f")
    release, begun = threading.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def hang(chunk: bytes) -> None:
        loop.call_soon_threadsafe(begun.set)
        release.wait()

    async def consume() -> None:
        chunks = FileReader(patient).chunks(tmp_path, "f", offset=0, chunk_bytes=2, inspect=hang, expect=expect)
        async with contextlib.aclosing(chunks):
            async for _ in chunks:
                pass

    consuming = asyncio.ensure_future(consume())
    await asyncio.wait_for(begun.wait(), 30)
    consuming.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(consuming, 30)
    release.set()


def test_memory_holds_two_chunks_whatever_the_size(tmp_path: Path) -> None:
    """Reading half a GiB in 10 MiB chunks adds less than four of them to the process, checksum included."""
    with (tmp_path / "f").open("wb") as file:
        file.truncate(512 * 1024 * 1024)
    program = f"""
import asyncio, hashlib, resource
from pathlib import Path
from watcher.disk.reader import FileReader
from watcher.disk.scan import facts
from watcher.disk.threads import DiskThreads

async def main():
    root = Path({str(tmp_path)!r})
    threads = DiskThreads()
    await threads.read(root, lambda: None)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    size = 0
    chunks = FileReader(threads).chunks(root, "f", offset=0, chunk_bytes=10 << 20, inspect=hashlib.sha256().update,
                                        expect=facts(root, "f"))
    async for chunk in chunks:
        size += len(chunk)
    print(size, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)

asyncio.run(main())
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    size, added_kib = map(int, ended.stdout.split())
    assert size == 512 * 1024 * 1024
    assert added_kib < 40 * 1024
