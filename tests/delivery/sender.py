"""Sends one result to an object store, alone in its process: to be measured, or to be killed.

`sender.py ADDRESS MEGABYTES PAUSE_AT`: a result of that many MiB, made while it is read, of which nothing comes after
PAUSE_AT MiB. Options come as JSON on standard input. Prints the peak of its memory in MB when it has come to an end.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from watcher.clock import SystemClock
from watcher.delivery.object_store import ObjectStoreDelivery
from watcher.model import DatasetId
from watcher.results import ResultFile

MIB = 1024 * 1024


class Made:
    """A ResultSource whose bytes are made while they are read, and end in a long silence."""

    def __init__(self, stop_mib: int) -> None:
        self._stop_mib = stop_mib

    async def files(self, outputs: Sequence[str]) -> list[ResultFile]:
        """Not asked by a delivery."""
        raise NotImplementedError(outputs)

    @asynccontextmanager
    async def read(self, file: ResultFile, offset: int) -> AsyncIterator[AsyncIterator[bytes]]:
        """Open the bytes; only from the beginning."""
        assert offset == 0
        yield self._pieces(file.size)

    async def _pieces(self, size: int) -> AsyncIterator[bytes]:
        for number in range(size // MIB):
            if number == self._stop_mib:
                await asyncio.Event().wait()
            for _ in range(16):  # as they come over a network
                yield number.to_bytes(4, "big") * (MIB // 64)


async def send(url: str, size_mib: int, stop_mib: int) -> None:
    """Send it."""
    delivery = ObjectStoreDelivery(url, json.load(sys.stdin), SystemClock())
    file = ResultFile(DatasetId("made"), ("made",), "txt", size_mib * MIB)
    await delivery.put(Made(stop_mib), file, "made.txt")


if __name__ == "__main__":
    asyncio.run(send(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
    # Not `ru_maxrss`, which begins with that of the process that started this one.
    peak = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert peak
    print(int(peak[1]) // 1024, flush=True)
    # A thread of obstore that comes back to Python while it shuts down ends the process with SIGABRT; in a daemon there
    # is more to do in between.
    os._exit(0)
