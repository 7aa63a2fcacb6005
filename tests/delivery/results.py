"""Results that live in memory, and calls that run at once: what the delivery tests read from and run on.

They stand for Galaxy and the disk threads; the folders written to are real.
"""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

from watcher.errors import GalaxyAway
from watcher.model import DatasetId
from watcher.results import ResultFile

T = TypeVar("T")


class Results:
    """A ResultSource: bytes by id, the offsets that were asked for, and a place where the line goes dead."""

    def __init__(self, piece_bytes: int = 700_000) -> None:
        self.contents: dict[str, bytes] = {}
        self.offsets: list[int] = []
        self.cut_at: int | None = None
        self._piece_bytes = piece_bytes

    def add(self, galaxy_id: str, content: bytes, *parts: str, ext: str = "txt", hashed: bool = True) -> ResultFile:
        """Keep a result and describe it."""
        self.contents[galaxy_id] = content
        sha256 = hashlib.sha256(content).hexdigest() if hashed else ""
        return ResultFile(DatasetId(galaxy_id), parts or (galaxy_id,), ext, len(content), sha256)

    async def files(self, outputs: Sequence[str]) -> list[ResultFile]:
        """Not asked by a delivery."""
        raise NotImplementedError(outputs)

    @asynccontextmanager
    async def read(self, file: ResultFile, offset: int) -> AsyncIterator[AsyncIterator[bytes]]:
        """Open the bytes from an offset on."""
        self.offsets.append(offset)
        yield self._pieces(self.contents[file.galaxy_id], offset)

    async def _pieces(self, content: bytes, offset: int) -> AsyncIterator[bytes]:
        end = len(content) if self.cut_at is None else self.cut_at
        for start in range(offset, end, self._piece_bytes):
            yield content[start : min(end, start + self._piece_bytes)]
        if self.cut_at is not None:
            raise GalaxyAway("The line went dead.")


class AtOnce:
    """BlockingCalls without threads; remembers for which places it was asked."""

    def __init__(self) -> None:
        self.places: set[Path] = set()

    async def __call__(self, place: Path, call: Callable[[], T]) -> T:
        """Run the call here and now."""
        self.places.add(place)
        return call()


def run_command(*words: str, cwd: Path | None = None) -> str:
    """Run a command that must succeed; return what it prints."""
    return subprocess.run(words, cwd=cwd, check=True, capture_output=True, text=True).stdout


def parts_in(folder: Path) -> list[Path]:
    """Return the temporary files below a folder."""
    return sorted(folder.rglob(".*.part"))
