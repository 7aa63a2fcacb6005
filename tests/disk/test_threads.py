"""Calls that hang are given up, and nothing else suffers."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from watcher.disk.threads import DiskThreads
from watcher.errors import DiskError, MountGone
from watcher.results import BlockingCalls


async def test_a_call_answers_or_raises(threads: DiskThreads, tmp_path: Path) -> None:
    """What the call returns or raises comes out as it is."""
    assert await threads.look(tmp_path, lambda: 7) == 7
    with pytest.raises(FileNotFoundError):
        await threads.read(tmp_path, (tmp_path / "none").stat)
    as_port: BlockingCalls = threads
    assert await as_port(tmp_path, lambda: threading.current_thread().daemon)


async def test_an_error_that_futures_refuse_comes_out_too(threads: DiskThreads, tmp_path: Path) -> None:
    """A StopIteration inside a call does not leave the asking side waiting for ever."""
    with pytest.raises(RuntimeError, match="StopIteration"):
        await threads.look(tmp_path, lambda: next(iter(())))


async def test_a_hung_call_is_given_up(threads: DiskThreads, tmp_path: Path, stuck: threading.Event) -> None:
    """After the time limit the asking side hears which place does not answer, and for how long."""
    with pytest.raises(MountGone, match=rf"{tmp_path} does not answer since [01] s"):
        await threads.look(tmp_path, stuck.wait)
    assert sum(threads.hung().values()) == 1


async def test_hung_threads_are_bounded_and_refuse_at_once(
    threads: DiskThreads, tmp_path: Path, stuck: threading.Event
) -> None:
    """With all looks of a mount hung, further looks fail at once and start no thread; reading goes on."""
    hung = await asyncio.gather(*(threads.look(tmp_path, stuck.wait) for _ in range(5)), return_exceptions=True)
    assert [type(one) for one in hung] == [MountGone] * 5
    before = threading.active_count()
    began = time.monotonic()
    for _ in range(20):
        with pytest.raises(MountGone):
            await threads.look(tmp_path, lambda: 1)
    assert time.monotonic() - began < 5, "refusals waited for the time limit"
    assert threading.active_count() == before
    assert list(threads.hung().values()) == [2]
    assert await threads.read(tmp_path, lambda: 2) == 2


async def test_calls_wait_for_a_thread_without_running_out_of_time(tmp_path: Path) -> None:
    """Waiting for a busy thread does not count as hanging."""
    threads = DiskThreads(looks=1, timeout_s=1.0)
    turns = [threading.Event() for _ in range(4)]

    def wait_a_while() -> bool:
        return turns[0].wait(0.4)

    answers = await asyncio.gather(*(threads.look(tmp_path, wait_a_while) for _ in turns))
    assert answers == [False] * 4
    threads.close()


async def test_another_mount_goes_on(
    threads: DiskThreads, tmp_path: Path, mount_tmpfs: Callable[[Path], Path], stuck: threading.Event
) -> None:
    """A mount whose threads all hang does not keep its neighbours from being looked at, also behind a link."""
    dead = mount_tmpfs(tmp_path / "dead")
    (tmp_path / "alias").symlink_to(dead)
    await asyncio.gather(*(threads.look(dead, stuck.wait) for _ in range(2)), return_exceptions=True)
    with pytest.raises(MountGone):
        await threads.look(tmp_path / "alias" / "run", lambda: 1)
    assert await threads.look(tmp_path, lambda: 1) == 1
    assert threads.hung() == {str(dead): 2}


async def test_a_thread_is_usable_again_when_its_call_returns(tmp_path: Path) -> None:
    """A hung call that returns at last frees its thread, and its late answer goes nowhere."""
    threads = DiskThreads(looks=1, timeout_s=0.1)
    release, over = threading.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def late() -> str:
        release.wait()
        loop.call_soon_threadsafe(over.set)
        return "late"

    with pytest.raises(MountGone):
        await threads.look(tmp_path, late)
    release.set()
    await asyncio.wait_for(over.wait(), 30)
    answer = None
    while answer is None:  # the thread is a few instructions from being free
        with contextlib.suppress(MountGone):
            answer = await threads.look(tmp_path, lambda: "fresh")
    assert answer == "fresh"
    assert threads.hung() == {}
    threads.close()


async def test_cancelling_frees_the_asking_side_at_once(
    threads: DiskThreads, tmp_path: Path, stuck: threading.Event
) -> None:
    """A cancelled look ends now; what was still waiting is never run, and what hangs is still counted as hung."""
    ran: list[int] = []
    begun = threading.Barrier(3)

    def hang() -> None:
        begun.wait(30)
        stuck.wait()

    running = [asyncio.ensure_future(threads.look(tmp_path, hang)) for _ in range(2)]
    waiting = asyncio.ensure_future(threads.look(tmp_path, lambda: ran.append(1)))
    await asyncio.to_thread(begun.wait, 30)
    for one in (*running, waiting):
        one.cancel()
    ended = await asyncio.wait_for(asyncio.gather(*running, waiting, return_exceptions=True), 5)
    assert all(isinstance(one, asyncio.CancelledError) for one in ended)
    with pytest.raises(MountGone):  # waits for a thread until both are known to hang
        await threads.look(tmp_path, lambda: 1)
    assert ran == []


async def test_closing_refuses_new_and_waiting_calls(tmp_path: Path, stuck: threading.Event) -> None:
    """After close nothing is run any more, and nobody is left waiting for a turn."""
    threads = DiskThreads(looks=1, timeout_s=30)
    begun = threading.Barrier(2)

    def hang() -> None:
        begun.wait(30)
        stuck.wait()

    running = asyncio.ensure_future(threads.look(tmp_path, hang))
    waiting = asyncio.ensure_future(threads.look(tmp_path, lambda: 1))
    await asyncio.to_thread(begun.wait, 30)
    threads.close()
    with pytest.raises(DiskError, match="closed"):
        await asyncio.wait_for(waiting, 30)
    with pytest.raises(DiskError, match="closed"):
        await threads.look(tmp_path, lambda: 1)
    running.cancel()


async def test_idle_threads_end(tmp_path: Path) -> None:
    """A pool that has nothing to do gives its threads back."""
    threads = DiskThreads(idle_s=0.05)
    worker = await threads.look(tmp_path, threading.current_thread)
    await asyncio.to_thread(worker.join, 5)
    assert not worker.is_alive()
    assert await threads.look(tmp_path, lambda: "again") == "again"
    threads.close()


async def test_answers_are_not_kept_alive(threads: DiskThreads, tmp_path: Path) -> None:
    """Once taken, a chunk belongs to the asking side alone; an idle thread or a timer does not hold on to it."""
    gone = asyncio.Event()
    loop = asyncio.get_running_loop()

    class Chunk:
        def __del__(self) -> None:
            loop.call_soon_threadsafe(gone.set)

    chunk = await threads.read(tmp_path, Chunk)
    del chunk
    await asyncio.wait_for(gone.wait(), 30)


def test_a_hung_thread_does_not_hold_up_the_exit(tmp_path: Path) -> None:
    """A process whose disk thread hangs in a real system call (opening a FIFO nobody writes to) ends at once."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    program = f"""
import asyncio
from pathlib import Path
from watcher.disk.threads import DiskThreads
from watcher.errors import MountGone

async def main():
    threads = DiskThreads(timeout_s=0.2)
    try:
        await threads.look(Path({str(tmp_path)!r}), lambda: open({str(pipe)!r}))
    except MountGone as error:
        print(error.code)
    threads.close()

asyncio.run(main())
"""
    began = time.monotonic()
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=20)
    assert (ended.returncode, ended.stdout.strip(), ended.stderr) == (0, "mount_gone", "")
    assert time.monotonic() - began < 10, "the exit waited for something"


def test_answers_for_a_closed_loop_are_dropped(tmp_path: Path) -> None:
    """A call that returns after its loop was closed harms nobody, and the thread serves the next loop."""
    threads = DiskThreads(looks=1, timeout_s=0.1)
    release, returned = threading.Event(), threading.Event()

    def late() -> None:
        release.wait()
        returned.set()

    async def ask() -> None:
        with pytest.raises(MountGone):
            await threads.look(tmp_path, late)

    async def ask_again() -> int:
        while True:
            with contextlib.suppress(MountGone):
                return await threads.look(tmp_path, lambda: 3)

    asyncio.run(ask())
    release.set()
    assert returned.wait(5)
    assert asyncio.run(ask_again()) == 3
    threads.close()
