"""Several files read at a time share one memory: smaller chunks for each, all of it again for the last one."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Callable
from pathlib import Path

from watcher.disk.reader import FileReader
from watcher.disk.scan import facts
from watcher.disk.threads import DiskThreads

PATIENCE_S = 30.0


def ignore(chunk: bytes) -> None:
    """Inspect nothing."""


def met(count: int) -> Callable[[bytes], None]:
    """Return what inspects nothing, but lets the first chunks of `count` files wait for each other: all have begun by
    then.
    """
    others, chunks = threading.Barrier(count), itertools.count()

    def inspect(chunk: bytes) -> None:
        if next(chunks) < count:
            others.wait(PATIENCE_S)

    return inspect


async def test_the_more_files_the_smaller_their_chunks(tmp_path: Path) -> None:
    """Four streams get a quarter of the memory each; the one that is left gets half of it and reads ahead again."""
    content = bytes(range(200))
    (tmp_path / "f").write_bytes(content)
    threads = DiskThreads(transfers=4)
    reader = FileReader(threads, memory_bytes=40)
    expect = facts(tmp_path, "f")
    meet = met(4)
    streams = [reader.chunks(tmp_path, "f", offset=0, chunk_bytes=30, inspect=meet, expect=expect) for _ in range(4)]
    firsts = await asyncio.gather(*(anext(stream) for stream in streams))
    assert [len(chunk) for chunk in firsts] == [10, 10, 10, 10]
    for stream in streams[1:]:
        await stream.aclose()
    rest = [chunk async for chunk in streams[0]]
    assert b"".join([firsts[0], *rest]) == content
    assert [len(chunk) for chunk in rest] == [20] * 9 + [10]
    threads.close()


async def test_who_comes_later_takes_what_is_left(tmp_path: Path) -> None:
    """While an early stream still holds half of the memory and has read ahead, a late one begins with little."""
    content = bytes(range(200))
    (tmp_path / "f").write_bytes(content)
    threads = DiskThreads(transfers=4)
    reader = FileReader(threads, memory_bytes=40)
    expect = facts(tmp_path, "f")
    early, late = (
        reader.chunks(tmp_path, "f", offset=0, chunk_bytes=30, inspect=ignore, expect=expect) for _ in range(2)
    )
    assert [len(await anext(early)), len(await anext(late))] == [20, 5]
    await early.aclose()
    rest = [chunk async for chunk in late]
    assert [len(chunk) for chunk in rest] == [20] * 9 + [15]
    threads.close()


async def test_a_chunk_is_never_larger_than_asked_for(tmp_path: Path) -> None:
    """Much memory does not make chunks grow beyond what the server takes."""
    (tmp_path / "f").write_bytes(bytes(50))
    threads = DiskThreads()
    chunks = FileReader(threads, memory_bytes=10_000).chunks(
        tmp_path, "f", offset=0, chunk_bytes=20, inspect=ignore, expect=facts(tmp_path, "f")
    )
    assert [len(chunk) async for chunk in chunks] == [20, 20, 10]
    threads.close()


async def test_memory_for_no_byte_each_is_one_byte_each(tmp_path: Path) -> None:
    """However many streams there are, each goes on."""
    (tmp_path / "f").write_bytes(b"abc")
    threads = DiskThreads()
    chunks = FileReader(threads, memory_bytes=1).chunks(
        tmp_path, "f", offset=0, chunk_bytes=20, inspect=ignore, expect=facts(tmp_path, "f")
    )
    assert [chunk async for chunk in chunks] == [b"a", b"b", b"c"]
    threads.close()
