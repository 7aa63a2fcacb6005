"""Transfer slots: how many files move at once, and whose turn it is.

A file needs a slot of the whole watcher and one of its server, and is asked again at every chunk: so a file of hours
holds up nobody for longer than two chunks. Of every four bytes to a server three belong to the batch of the highest
priority with fewest bytes left; the fourth goes round among those that have no slot, watch by watch, so that nobody
waits for ever. Servers have equal shares of the slots, and whoever has not moved for a while (a server that hangs, or
is slow) takes no slot from another server. Who sends what is in `upload.py` and `transfer.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Collection, Iterator, Mapping

from watcher.clock import Clock

STUCK_S = 10.0
"""Who has not got a chunk through for so long no longer counts for other servers."""

OWN_PARTS = 3
"""So many bytes go to whoever has fewest left for each one that goes round."""


class Line:
    """The files of one batch that want slots; `left_bytes` is what it still has to send."""

    def __init__(self, slots: Slots, batch_id: str, watch: str, server: str, priority: int, left_bytes: int) -> None:
        self.batch_id = batch_id
        self.watch = watch
        self.server = server
        self.priority = priority
        self.left_bytes = left_bytes
        self.came = next(slots.numbers)
        self.had_slot = 0  # when it last was given one, as a number that grows
        self.waiting: dict[int, Slot] = {}
        self._slots = slots
        self._closed: Exception | None = None

    @property
    def is_waiting(self) -> bool:
        """Whether one of its files waits for a slot."""
        return bool(self.waiting)

    @property
    def files_before(self) -> int:
        """How many files of others hold slots while all of ours wait; 0 when nothing is kept waiting."""
        return self._slots.files_before(self)

    @contextlib.asynccontextmanager
    async def slot(self) -> AsyncIterator[Slot]:
        """Hold a slot for the time of the block; raises what the line was closed with."""
        slot = Slot(self._slots, self)
        await slot.take()
        try:
            yield slot
        finally:
            slot.drop()

    def close(self, reason: Exception) -> None:
        """Let nobody wait any more: `reason` is raised where a slot is waited for, now and later."""
        self._closed = reason
        for slot in list(self.waiting.values()):
            slot.refuse(reason)

    def refuse_when_closed(self) -> None:
        """Raise what the line was closed with, if it was."""
        if self._closed is not None:
            raise self._closed


class Slot:
    """One file's place: held, waited for, or given away for a while."""

    def __init__(self, slots: Slots, line: Line) -> None:
        self.line = line
        self.goes_round = False
        self.moved_at = 0.0
        self._slots = slots
        self._came = next(slots.numbers)  # kept while it gives way: what has begun goes on before anything new
        self._given: asyncio.Future[None] | None = None

    @property
    def is_wanted(self) -> bool:
        """Whether somebody else should have it now: ask at each chunk, then `give_way`."""
        return self._slots.is_better_elsewhere(self)

    def moved(self, sent_bytes: int) -> None:
        """Tell that so many bytes more are with the server."""
        self._slots.count(self, sent_bytes)

    async def give_way(self) -> None:
        """Give the slot back and return when it is our turn again."""
        self.drop()
        await self.take()

    @contextlib.asynccontextmanager
    async def away(self) -> AsyncIterator[None]:
        """Be without the slot for the time of the block, and wait for one after it."""
        self.drop()
        yield
        await self.take()

    async def take(self) -> None:
        """Wait for a slot."""
        self.line.refuse_when_closed()
        self._given = asyncio.get_running_loop().create_future()
        self.line.waiting[self._came] = self
        self._slots.hand_out()
        if not self._given.done():
            self._slots.look_after_stuck()
        try:
            await self._given
        except BaseException:  # cancelled, also right after it was given; or the line was closed
            self.line.waiting.pop(self._came, None)
            self.drop()
            raise

    def drop(self) -> None:
        """Give the slot back; harmless without one."""
        self._slots.take_back(self)

    @property
    def is_alive(self) -> bool:
        """Whether somebody still waits for it: a whole batch is cancelled at once, before its files take back."""
        return self._given is not None and not self._given.done()

    def give(self, *, goes_round: bool) -> None:
        """Let the one who waits go on."""
        assert self._given is not None
        self.line.waiting.pop(self._came)
        self.goes_round = goes_round
        self._given.set_result(None)

    def refuse(self, reason: Exception) -> None:
        """Let the one who waits end with an error."""
        self.line.waiting.pop(self._came, None)
        if self.is_alive and self._given is not None:
            self._given.set_exception(reason)


class Slots:
    """All transfer slots: `count` for everybody, `per_server` for those that take fewer at once."""

    def __init__(self, clock: Clock, count: int, per_server: Mapping[str, int] | None = None) -> None:
        self.numbers = itertools.count(1)
        self._clock = clock
        self._count = count
        self._per_server = dict(per_server or {})
        self._lines: list[Line] = []
        self._held: set[Slot] = set()
        self._served: dict[str, int] = {}
        self._own_bytes: dict[str, int] = {}
        self._round_bytes: dict[str, int] = {}
        self._watching: asyncio.Future[None] | None = None

    @contextlib.contextmanager
    def line(self, batch_id: str, watch: str, server: str, *, priority: int = 0, left_bytes: int = 0) -> Iterator[Line]:
        """Let the files of a batch ask for slots during the block."""
        line = Line(self, batch_id, watch, server, priority, left_bytes)
        self._lines.append(line)
        try:
            yield line
        finally:
            self._lines.remove(line)

    @property
    def in_use(self) -> int:
        """How many slots are held now."""
        return len(self._held)

    def files_before(self, line: Line) -> int:
        """Return how many files hold slots while all of this line wait; 0 when it is not kept waiting."""
        return 0 if not line.is_waiting or self._has_slot(line) else len(self._held)

    def hand_out(self) -> None:
        """Give every slot that is free to whose turn it is."""
        while chosen := self._choose(self._held):
            line, goes_round = chosen
            came = min(line.waiting)
            slot = line.waiting[came]
            if not slot.is_alive:
                del line.waiting[came]
                continue
            slot.moved_at = self._clock.monotonic()
            line.had_slot = self._served[line.server] = next(self.numbers)
            self._held.add(slot)
            slot.give(goes_round=goes_round)

    def take_back(self, slot: Slot) -> None:
        """Take a slot back and give it to the next one; nothing happens when it is not held."""
        if slot in self._held:
            self._held.remove(slot)
            self.hand_out()

    def is_better_elsewhere(self, slot: Slot) -> bool:
        """Tell whether this slot, given back now, would go to another batch."""
        mine = slot.line
        if sum(self._is_moving(one) for one in self._held) > self._count:
            return True  # what was lent while others hung
        if not any(line.is_waiting and line is not mine for line in self._lines):
            return False
        others = self._held - {slot}
        line, goes_round = self._choose(others, joining=mine) or (mine, False)
        if line.server != mine.server and 0 < _of_server(others, mine.server) <= _of_server(others, line.server):
            return False  # equal shares: to change places would only cost
        slot.goes_round = goes_round if line is mine else slot.goes_round
        return line is not mine

    def count(self, slot: Slot, sent_bytes: int) -> None:
        """Note that a file has moved."""
        slot.moved_at = self._clock.monotonic()
        slot.line.left_bytes = max(slot.line.left_bytes - sent_bytes, 0)
        server = slot.line.server
        if any(line.server == server and line.is_waiting and not self._has_slot(line) for line in self._lines):
            counted = self._round_bytes if slot.goes_round else self._own_bytes
            counted[server] = counted.get(server, 0) + sent_bytes
        else:  # nobody is kept waiting: no share has to be kept in mind
            self._own_bytes.pop(server, None)
            self._round_bytes.pop(server, None)

    def look_after_stuck(self) -> None:
        """See to it that slots which stop moving are lent, as long as somebody waits for one of another server."""
        if self._watching is None and self._may_be_kept_from():
            self._watching = asyncio.ensure_future(self._lend())
            self._watching.add_done_callback(self._lent)

    async def _lend(self) -> None:
        while self._may_be_kept_from():
            await self._clock.sleep(STUCK_S / 2)
            self.hand_out()

    def _lent(self, ended: asyncio.Future[None]) -> None:
        self._watching = None
        if not ended.cancelled():
            ended.result()

    def _may_be_kept_from(self) -> bool:
        holding = {slot.line.server for slot in self._held}
        return any(line.is_waiting and holding - {line.server} for line in self._lines)

    def _choose(self, held: Collection[Slot], joining: Line | None = None) -> tuple[Line, bool] | None:
        """Return whose turn it is, and whether it is the part that goes round; None when no slot is free for anybody.

        `joining` counts as waiting.
        """
        asking = [line for line in self._lines if (line.is_waiting or line is joining) and self._fits(line, held)]
        if not asking:
            return None
        server = min(
            {line.server for line in asking}, key=lambda one: (_of_server(held, one), self._served.get(one, 0))
        )
        asking = [line for line in asking if line.server == server]
        best = min(asking, key=lambda line: (-line.priority, line.left_bytes, line.came))
        if not any(slot.goes_round for slot in held if slot.line.server == server) and self._owes_a_round(server):
            lines, watches = {slot.line for slot in held}, {slot.line.watch for slot in held}
            without = [line for line in asking if line not in lines and line is not best]
            if without:
                return min(without, key=lambda line: (line.watch in watches, line.had_slot, line.came)), True
        return best, False

    def _owes_a_round(self, server: str) -> bool:
        return self._own_bytes.get(server, 0) > OWN_PARTS * self._round_bytes.get(server, 0)

    def _fits(self, line: Line, held: Collection[Slot]) -> bool:
        if _of_server(held, line.server) >= self._per_server.get(line.server, self._count):
            return False
        counted = sum(slot.line.server == line.server or self._is_moving(slot) for slot in held)
        return counted < self._count

    def _is_moving(self, slot: Slot) -> bool:
        return self._clock.monotonic() - slot.moved_at < STUCK_S

    def _has_slot(self, line: Line) -> bool:
        return any(slot.line is line for slot in self._held)


def _of_server(held: Collection[Slot], server: str) -> int:
    return sum(slot.line.server == server for slot in held)
