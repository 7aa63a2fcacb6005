"""Kind to people, lines and servers: bandwidth, hours, slots at chunk boundaries, a server that wants to be left alone.

Time is that of a clock which the test moves; what a line carries is counted in bytes. Nothing here waits for real time.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from tests.fakes.galaxy import Fault
from tests.rarer import rarer
from tests.world import World, fastq, until, write_bclconvert
from watcher.clock import ManualClock
from watcher.disk import reader
from watcher.service.daemon import Daemon

Json = dict[str, Any]
KB = 1000
CHUNK = 64 * 1024
EVENING = datetime(2026, 1, 1, 19, 0, tzinfo=UTC)
UPLOAD_ONLY: Json = {"workflow": None, "deliver": None}


def add_run(world: World, name: str, samples: int, file_bytes: int, *, watched: Path | None = None) -> int:
    """Put a finished run with pairs of files of about this size below a watch; return the bytes of all of them."""
    run = world.folder / "new" / f"260228_M02439_{name}_000000000-KT42M"
    write_bclconvert(run, [f"{name}S{number}" for number in range(samples)])
    text = fastq(50, bases=100)
    paths = sorted(run.glob("*.fastq.gz"))
    for number, path in enumerate(paths):
        content = text * (file_bytes // len(text)) + fastq(1 + number // 2)
        path.write_bytes(gzip.compress(content, compresslevel=0, mtime=0))
    run.rename((watched or world.watched) / run.name)
    return sum(path.stat().st_size for path in (watched or world.watched).glob(f"{run.name}/*.fastq.gz"))


def patched_bytes(world: World) -> int:
    """Return how many bytes of files Galaxy was sent, taken or not."""
    return sum(seen.received for seen in world.fake.requests.all("PATCH"))


@contextlib.contextmanager
def read_bytes() -> Iterator[list[int]]:
    """Count the bytes that are read of source files."""
    counted: list[int] = []
    before = reader._OpenFile._pread

    def counting(self: Any, size: int, start: int) -> bytes:
        chunk = before(self, size, start)
        counted.append(len(chunk))
        return chunk

    with mock.patch.object(reader._OpenFile, "_pread", counting):
        yield counted


@contextlib.asynccontextmanager
async def time_goes_by(
    clock: ManualClock, daemon: Daemon, *, step_s: float = 0.05, while_sending: bool = False
) -> AsyncIterator[None]:
    """During the block, move the clock on; else than `while_sending` only when no file is on its way: then sending
    takes no time, waiting does.
    """

    async def move() -> None:
        while True:
            await asyncio.sleep(0.001)
            if while_sending or not daemon.rooms.slots.in_use:
                clock.advance(step_s)

    moving = asyncio.ensure_future(move())
    try:
        yield
    finally:
        moving.cancel()
        await asyncio.wait({moving})


async def batch_of(world: World, run: str) -> Json | None:
    """Return the batch of a run, once there is one."""
    units = [unit for unit in (await world.status())["units"] if run in unit["run"]]
    batches: list[Json] = units[0]["batches"] if units else []
    return batches[0] if batches else None


async def until_batch(world: World, run: str, claim: Callable[[Json], bool]) -> Json:
    """Wait until a run has a batch of which this is so, and return it."""

    async def stands() -> Json | None:
        batch = await batch_of(world, run)
        return batch if batch is not None and claim(batch) else None

    found: Json = await until(stands, 150, what=f"the batch of {run}")
    return found


@pytest.mark.parametrize("transfers", rarer([4, 1], keep=1))
async def test_a_small_run_behind_a_big_one_takes_less_than_twice_its_own_time(world: World, transfers: int) -> None:
    """With all slots held by files of a big run the line carries less than twice the small run's bytes until it is
    sent; nothing is sent or read twice, and no session has two writers.
    """
    world.write_config(rule=UPLOAD_ONLY, limits={"transfers": transfers, "chunk_bytes": CHUNK})
    big_bytes = add_run(world, "0001", 6, 4_000 * KB)
    hold = world.fake.faults.add(Fault("hold", method="PATCH", skip=3 * transfers, times=transfers))
    sent: dict[str, int] = {}
    small_id, small_bytes = "", 0

    def count(point: str) -> None:
        if point == "upload.bytes.act" and small_id and "big" not in sent:
            now = {key: sum(parts.values()) for key, parts in daemon.rooms.progress.sent_bytes.items()}
            if now.get(small_id, 0) >= small_bytes:
                sent["big"] = sum(size for key, size in now.items() if key != small_id)

    with read_bytes() as read:
        async with world.daemon(points=count, takes_existing=True) as daemon:
            await asyncio.to_thread(hold.wait)
            await until_batch(world, "0001", lambda batch: daemon.rooms.slots.in_use == transfers)
            small_bytes = add_run(world, "0002", 2, 1_000 * KB)
            small = await until_batch(world, "0002", lambda batch: batch["reason"].startswith("Waits for its turn"))
            small_id = small["id"]
            before = sum(sum(one.values()) for one in daemon.rooms.progress.sent_bytes.values())
            hold.release()
            await until_batch(world, "0002", lambda batch: batch["status"] == "done")
            await until_batch(world, "0001", lambda batch: batch["status"] == "done")
    assert sent["big"] - before + small_bytes < 2 * small_bytes, (sent, before, small_bytes)
    assert patched_bytes(world) == sum(read) == big_bytes + small_bytes
    assert world.fake.requests.most_patches_per_session == 1
    assert len(world.uploads()) == 16


async def test_transfers_of_a_watch_share_its_bandwidth(world: World) -> None:
    """However many files move at once, together they take what the watch may take, and the row says so."""
    world.write_config(watch={"bandwidth": "400kB"}, rule=UPLOAD_ONLY)
    total_bytes = add_run(world, "0001", 3, 800 * KB)
    (planned,) = world.command("plan", str(world.watched), "--json").report["units"]
    assert "At 400 kB/s, the bandwidth of watch `miseq`, it takes 0:00:11 or more." in planned["reasons"]
    clock = ManualClock(EVENING)
    at_s: list[float] = []

    def note(point: str) -> None:
        if point == "upload.bytes.act":
            at_s.append(clock.monotonic())

    async with world.daemon(points=note, takes_existing=True, clock=clock) as daemon, time_goes_by(clock, daemon):
        await until_batch(world, "0001", lambda batch: "400 kB/s, the bandwidth of watch `miseq`" in batch["reason"])
        await until_batch(world, "0001", lambda batch: batch["status"] == "done")
    rate = total_bytes / (at_s[-1] - at_s[0])
    assert at_s[-1] - at_s[0] > 8
    assert rate == pytest.approx(400 * KB, rel=0.1)
    for first, second in zip(at_s, at_s[20:], strict=False):  # neither in bursts
        assert 20 * 100 * KB / (second - first) < 400 * KB * 1.25


async def test_files_are_sent_in_the_hours_of_the_watch(world: World) -> None:
    """Before its hours a batch waits and says until when; when they end it stops at a chunk and frees its slot for
    other watches, and goes on the next day where it was.
    """
    other = world.folder / "other"
    other.mkdir()
    watches = [
        {"name": "night", "path": str(world.watched), "settle": "0s", "hours": "20:00-06:00"},
        {"name": "day", "path": str(other), "settle": "0s"},
    ]
    watches = [{**watch, "existing": "process"} for watch in watches]
    world.write_config(
        rule=UPLOAD_ONLY, watches=watches, time_zone="UTC", limits={"transfers": 1, "chunk_bytes": CHUNK}
    )
    total_bytes = add_run(world, "0001", 1, 1_000 * KB)
    clock = ManualClock(EVENING)
    async with world.daemon(takes_existing=True, clock=clock) as daemon:
        async with time_goes_by(clock, daemon, step_s=0.02, while_sending=True):
            batch = await until_batch(world, "0001", lambda batch: batch["status"] == "waiting")
            assert batch["reason"] == "Outside the hours of watch `night`: goes on at 2026-01-01 20:00 UTC."
            assert patched_bytes(world) == 0
        hold = world.fake.faults.add(Fault("hold", method="PATCH", skip=3))
        clock.advance((datetime(2026, 1, 1, 20, 0, tzinfo=UTC) - clock.now()).total_seconds())
        await asyncio.to_thread(hold.wait)
        clock.advance((datetime(2026, 1, 2, 6, 0, tzinfo=UTC) - clock.now()).total_seconds())
        hold.release()
        batch = await until_batch(world, "0001", lambda batch: batch["status"] == "waiting")
        assert batch["reason"].endswith("goes on at 2026-01-02 20:00 UTC.")
        assert len(world.fake.requests.all("PATCH")) <= 6  # what was under way, and what was read ahead of it
        assert daemon.rooms.slots.in_use == 0
        async with time_goes_by(clock, daemon, step_s=0.02, while_sending=True):
            small_bytes = add_run(world, "0002", 1, 10 * KB, watched=other)
            await daemon.rooms.store.wake("watch", "day")
            daemon.dispatcher.nudge()
            await until_batch(world, "0002", lambda batch: batch["status"] == "done")
            assert (await batch_of(world, "0001") or {})["status"] == "waiting"
        clock.advance((datetime(2026, 1, 2, 20, 0, tzinfo=UTC) - clock.now()).total_seconds())
        async with time_goes_by(clock, daemon, step_s=0.02, while_sending=True):
            await until_batch(world, "0001", lambda batch: batch["status"] == "done")
    assert patched_bytes(world) == total_bytes + small_bytes


async def test_a_catch_up_does_not_wait_for_the_hours(world: World) -> None:
    """`once` ends with what waits for its hours, as `plan` says, and a start under other hours takes it up at once."""
    now = datetime.now(UTC)
    span = f"{(now.hour + 2) % 24:02d}:00-{(now.hour + 3) % 24:02d}:00"
    world.write_config(watch={"hours": [span]}, rule=UPLOAD_ONLY, time_zone="UTC")
    add_run(world, "0001", 1, 10 * KB)
    planned = world.command("plan", str(world.watched), "--json").report["units"][0]
    assert [reason for reason in planned["reasons"] if "Outside the hours of watch `miseq`" in reason]
    report = await world.once(wait_s=0.0)
    batch = report["units"][0]["batches"][0]
    assert (batch["status"], patched_bytes(world)) == ("waiting", 0)
    assert "Outside the hours of watch `miseq`" in batch["reason"]
    world.write_config(rule=UPLOAD_ONLY)
    assert (await world.once(wait_s=0.0))["units"][0]["status"] == "done"


async def test_a_busy_server_is_left_alone_by_all_transfers(world: World) -> None:
    """One PATCH hears Retry-After: nobody of the account asks anything before, then all goes on and arrives once."""
    world.write_config(rule=UPLOAD_ONLY, limits={"transfers": 3, "chunk_bytes": CHUNK})
    total_bytes = add_run(world, "0001", 3, 400 * KB)
    busy = world.fake.faults.add(Fault("status", method="PATCH", status=429, seconds=300, skip=4))
    clock = ManualClock(EVENING)
    async with world.daemon(takes_existing=True, clock=clock) as daemon:
        async with time_goes_by(clock, daemon):
            await until_batch(world, "0001", lambda batch: "asked to be left alone until" in batch["reason"])
        asked = len(world.fake.requests.all())
        for _ in range(27):
            clock.advance(10)
            await asyncio.sleep(0.01)
        assert len(world.fake.requests.all()) == asked
        async with time_goes_by(clock, daemon):
            await until_batch(world, "0001", lambda batch: batch["status"] == "done")
    assert busy.hits == 1
    assert patched_bytes(world) <= total_bytes + CHUNK
    assert len(world.uploads()) == 6


async def test_what_a_proxy_lets_through_is_learnt_once(world: World) -> None:
    """The size that worked is kept for all files after the first: no 413 for each."""
    world.write_config(rule=UPLOAD_ONLY, limits={"transfers": 1, "chunk_bytes": 4 * CHUNK})
    add_run(world, "0001", 3, 600 * KB)
    limit = world.fake.faults.add(Fault("too_large", method="PATCH", size=2 * CHUNK - 1, times=None))
    assert (await world.once())["units"][0]["status"] == "done"
    assert limit.hits == 2  # 256 KiB, 128 KiB; 64 KiB is let through
    assert len(world.uploads()) == 6
