"""Whose turn it is: small runs pass big ones, nobody waits for ever, no server keeps another one from its slots.

Time is that of a clock which only moves when nothing else can: a line of so many bytes per second is shared by all that
send at once, as a real one is.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import pytest

from watcher.clock import ManualClock
from watcher.stages.slots import OWN_PARTS, STUCK_S, Slots

MB = 10**6
CHUNK = 10 * MB
TURNS = 30
"""So often the loop goes round before nothing is left that could go on without time going by."""


@dataclass
class Line:
    """A line of `rate` bytes per second that all transfers on it share equally, in steps of a hundredth of a second."""

    clock: ManualClock
    rate: float
    sending: list[list[float]] = field(default_factory=list)

    async def send(self, size: int) -> None:
        """Return when that many bytes are through."""
        left = [float(size)]
        self.sending.append(left)
        while left[0] > 0:
            await self.clock.sleep(0.05)
        self.sending.remove(left)

    def pass_time(self, seconds: float) -> None:
        """Let the bytes of that time through."""
        for left in self.sending:
            left[0] -= seconds * self.rate / len(self.sending)


@dataclass
class Office:
    """Slots, lines per server, and batches that are sent through them as `upload` and `transfer` do."""

    slots: Slots
    clock: ManualClock
    lines: dict[str, Line]
    sent: dict[str, int] = field(default_factory=dict)
    most_at_once: int = 0
    at_once: int = 0
    files_begun: list[str] = field(default_factory=list)

    async def batch(
        self, name: str, files: Sequence[int], *, watch: str = "w", server: str = "g", priority: int = 0
    ) -> float:
        """Send files of these sizes and return the seconds it took."""
        began = self.clock.monotonic()
        with self.slots.line(name, watch, server, priority=priority, left_bytes=sum(files)) as line:

            async def one(number: int, size: int) -> None:
                async with line.slot() as slot:
                    self.files_begun.append(f"{name}:{number}")
                    left = size
                    while left > 0:
                        piece = min(CHUNK, left)
                        self.at_once += 1
                        self.most_at_once = max(self.most_at_once, self.at_once)
                        await self.lines[server].send(piece)
                        self.at_once -= 1
                        left -= piece
                        self.sent[name] = self.sent.get(name, 0) + piece
                        slot.moved(piece)
                        if left and slot.is_wanted:
                            await slot.give_way()

            await asyncio.gather(*(one(number, size) for number, size in enumerate(files)))
        return self.clock.monotonic() - began

    async def run_until(self, is_over: Callable[[], bool], *, limit_s: float = 100_000) -> None:
        """Let time go by until it is so."""
        end = self.clock.monotonic() + limit_s
        while not is_over():
            assert self.clock.monotonic() < end, "it never came to be"
            for _ in range(TURNS):
                await asyncio.sleep(0)
            for line in self.lines.values():
                line.pass_time(0.05)
            self.clock.advance(0.05)


def office(count: int, *servers: str, rate: float = 100 * MB, **per_server: int) -> Office:
    """Return slots with a line for each server."""
    clock = ManualClock()
    return Office(Slots(clock, count, per_server), clock, {one: Line(clock, rate) for one in servers or ("g",)})


async def timed(made: Office, *batches: Awaitable[float]) -> list[float]:
    """Run batches to their ends and return their seconds."""
    running = [asyncio.ensure_future(batch) for batch in batches]
    await made.run_until(lambda: all(one.done() for one in running))
    return [one.result() for one in running]


SMALL = [20 * MB] * 24
BIG_FILES = {
    "huge files": [20_000 * MB] * 8,
    "many files": [200 * MB] * 800,
}


@pytest.mark.parametrize("big", BIG_FILES.values(), ids=BIG_FILES)
@pytest.mark.parametrize("watch", ["w", "another"])
@pytest.mark.parametrize("count", [1, 2, 3, 4, 8])
async def test_a_small_run_behind_a_big_one_takes_less_than_twice_its_own_time(
    count: int, watch: str, big: list[int]
) -> None:
    """Whatever the number of slots, and all of them taken by the big one, which is not held up more than needed."""
    (alone_s,) = await timed(made := office(count), made.batch("small", SMALL))
    made = office(count)
    behemoth = asyncio.ensure_future(made.batch("big", big))
    await made.run_until(lambda: made.sent.get("big", 0) >= 30 * CHUNK)
    before = made.sent["big"]
    (behind_s,) = await timed(made, made.batch("small", SMALL, watch=watch))
    assert behind_s < 2 * alone_s, (behind_s, alone_s)
    assert made.most_at_once == count
    share = (made.sent["big"] - before) / (made.sent["big"] - before + sum(SMALL))
    assert 0.1 < share < 0.45, share  # about a quarter, and what was under way
    behemoth.cancel()


async def test_three_big_ones_before_it_change_nothing() -> None:
    """All others together have the part that goes round, however many they are."""
    (alone_s,) = await timed(made := office(4), made.batch("small", SMALL))
    made = office(4)
    behemoths = [asyncio.ensure_future(made.batch(f"big {n}", [5_000 * MB] * 8, watch=f"w{n}")) for n in range(3)]
    await made.run_until(lambda: sum(made.sent.values()) >= 100 * CHUNK)
    (behind_s,) = await timed(made, made.batch("small", SMALL))
    assert behind_s < 2 * alone_s, (behind_s, alone_s)
    assert len(made.sent) == 4
    for one in behemoths:
        one.cancel()


async def test_fewest_bytes_left_first() -> None:
    """Of the same watch whoever has least to send is through first, whichever came first."""
    made = office(2)
    sizes = {"large": [400 * MB] * 6, "middle": [200 * MB] * 6, "small": [100 * MB] * 6}
    ended: list[str] = []

    async def batch(name: str, files: list[int]) -> float:
        took = await made.batch(name, files)
        ended.append(name)
        return took

    await timed(made, *(batch(name, files) for name, files in sizes.items()))
    assert ended == ["small", "middle", "large"]


async def test_priority_comes_before_size() -> None:
    """A rule of higher priority has three quarters even where it has most to send."""
    made = office(4)
    low = asyncio.ensure_future(made.batch("low", [100 * MB] * 200))
    await made.run_until(lambda: bool(made.sent))
    await timed(made, made.batch("high", [1_000 * MB] * 8, priority=5))
    assert made.sent["low"] < made.sent["high"] / OWN_PARTS + 8 * CHUNK
    low.cancel()


async def test_nobody_waits_for_ever() -> None:
    """While small runs come without end, each of several big ones goes on, with one slot for all."""
    made = office(1)

    async def without_end() -> None:
        for number in itertools.count():
            await made.batch(f"small {number}", [50 * MB] * 2, watch="busy")

    small = [asyncio.ensure_future(without_end()) for _ in range(2)]
    big = [asyncio.ensure_future(made.batch(f"big {n}", [1_000 * MB], watch=f"w{n % 2}")) for n in range(4)]
    await made.run_until(lambda: all(made.sent.get(f"big {n}", 0) >= 10 * CHUNK for n in range(4)), limit_s=1_000)
    parts = [made.sent[f"big {n}"] for n in range(4)]
    assert max(parts) - min(parts) <= 4 * CHUNK, parts
    for one in [*small, *big]:
        one.cancel()


async def test_what_has_begun_goes_on_first() -> None:
    """Giving way opens no more files than there are slots: the file that gave way is the next of its batch."""
    made = office(1)
    big = asyncio.ensure_future(made.batch("big", [500 * MB] * 5))
    await made.run_until(lambda: made.sent.get("big", 0) >= 3 * CHUNK)
    await timed(made, made.batch("small", [100 * MB]))
    await made.run_until(lambda: made.sent["big"] >= 30 * CHUNK)
    assert [one for one in made.files_begun if one.startswith("big")] == ["big:0"]
    big.cancel()


async def test_a_server_takes_no_more_than_its_own_cap() -> None:
    """A file needs a slot of the whole and one of its server; what one may not take is left to the other."""
    made = office(4, "a", "b", a=1)
    most: dict[str, int] = {"a": 0, "b": 0}

    def note() -> None:
        for server, line in made.lines.items():
            most[server] = max(most[server], len(line.sending))

    both = [asyncio.ensure_future(made.batch(one, [100 * MB] * 9, server=one)) for one in ("a", "b")]

    def is_over() -> bool:
        note()
        return all(one.done() for one in both)

    await made.run_until(is_over)
    assert most == {"a": 1, "b": 3} or most == {"a": 1, "b": 4}, most  # 4 once a has nothing left
    assert made.most_at_once <= 4


@pytest.mark.parametrize("count", [1, 4])
async def test_a_server_that_hangs_keeps_no_slot_from_another(count: int) -> None:
    """With every slot held by a server that takes no byte, another one gets them all within seconds."""
    made = office(count, "dead", "well")
    made.lines["dead"].rate = 0.0
    hanging = asyncio.ensure_future(made.batch("hanging", [100 * MB] * 9, server="dead"))
    await made.run_until(lambda: made.at_once == count)
    (alone_s,) = await timed(other := office(count, "well"), other.batch("lively", [500 * MB] * 8, server="well"))
    (took_s,) = await timed(made, made.batch("lively", [500 * MB] * 8, server="well"))
    assert took_s < alone_s + 2 * STUCK_S, (took_s, alone_s)
    made.lines["dead"].rate = 100 * MB  # it comes back, and has its slots again
    await made.run_until(hanging.done)
    assert made.sent["hanging"] == 900 * MB


async def test_a_slow_server_does_not_slow_down_another() -> None:
    """What is lent while a chunk takes long is given back when it is through, without more at once than allowed."""
    made = office(2, "slow", "fast")
    made.lines["slow"].rate = 0.8 * MB
    slow = asyncio.ensure_future(made.batch("slow", [30 * MB] * 4, server="slow"))
    await made.run_until(lambda: made.at_once == 2)
    (took_s,) = await timed(made, made.batch("fast", [200 * MB] * 10, server="fast"))
    assert took_s < 20 + 2 * STUCK_S
    await made.run_until(slow.done)


async def test_servers_have_equal_shares() -> None:
    """A server with less to send does not push another one aside, whose line is its own."""
    made = office(4, "a", "b")
    a = asyncio.ensure_future(made.batch("a", [50 * MB] * 80, server="a"))
    b = asyncio.ensure_future(made.batch("b", [5_000 * MB] * 8, server="b"))
    await made.run_until(lambda: made.sent.get("b", 0) >= 20 * CHUNK)
    assert len(made.lines["a"].sending) == len(made.lines["b"].sending) == 2
    await made.run_until(a.done)
    await made.run_until(lambda: len(made.lines["b"].sending) == 4, limit_s=10)
    b.cancel()


async def test_a_closed_line_lets_nobody_wait() -> None:
    """Who waits ends with the reason, who comes later as well; the slot that is held stays held."""
    made = office(1)
    with made.slots.line("a", "w", "g") as line:
        async with line.slot():
            waiting = [asyncio.ensure_future(line.slot().__aenter__()) for _ in range(3)]
            await asyncio.sleep(0)
            assert len(line.waiting) == 3
            line.close(RuntimeError("over"))
            ended = await asyncio.gather(*waiting, return_exceptions=True)
            assert [str(error) for error in ended] == ["over"] * 3
            assert not line.is_waiting
        with pytest.raises(RuntimeError, match="over"):
            async with line.slot():
                pass


async def test_who_is_away_keeps_nobody_waiting() -> None:
    """A slot given away for a while is another's meanwhile, and is waited for afterwards."""
    made = office(1)
    said: list[str] = []

    async def mine() -> None:
        with made.slots.line("a", "w", "g") as line:
            async with line.slot() as slot:
                async with slot.away():
                    await made.clock.sleep(1)
                    said.append("slept")
                said.append("mine again")

    async def theirs() -> None:
        with made.slots.line("b", "w", "g") as line:
            async with line.slot():
                said.append("theirs")
                await made.clock.sleep(5)
                said.append("given back")

    both = [asyncio.ensure_future(one) for one in (mine(), theirs())]
    await made.run_until(lambda: all(one.done() for one in both))
    assert said == ["theirs", "slept", "given back", "mine again"]
