"""A pretend sequencer: writes a whole run folder slowly, in the true order, with growing files and the marker last.

What is written in which order stands in `platforms.py`, the reads come from `fastq.py`. With `seconds=0` it writes as
fast as it can, which is what tests want. The same arguments write the same bytes.
"""

from __future__ import annotations

import hashlib
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from watcher.errors import UsageError
from watcher.sandbox.fastq import LONGEST_READ, fastq_blocks
from watcher.sandbox.platforms import RUN_IDS, SCRIPTS, FastqFile, Growing, Run, Small, Written

SAMPLES = ("leaf-1", "leaf-2", "root-1", "root-2")
BEFORE_THE_MARKER = 0.1
"""Share of the time that passes between the last file of reads and the marker."""


@dataclass(frozen=True, slots=True)
class WrittenRun:
    """A run folder as it stands: the files of reads, and the marker that came last (paths relative to `folder`)."""

    folder: Path
    run_id: str
    files: tuple[Written, ...]
    marker: str

    @property
    def size(self) -> int:
        """Bytes of all files of reads."""
        return sum(file.size for file in self.files)


@dataclass(slots=True)
class _Open:
    """A file of reads while it grows."""

    path: str
    sink: BinaryIO
    blocks: Iterator[bytes]
    size: int = 0
    crc32: int = 0
    sha256: hashlib._Hash = field(default_factory=hashlib.sha256)

    def grow(self) -> bool:
        """Write one block more; False when the file was whole already."""
        block = next(self.blocks, None)
        if block is None:
            return False
        self.sink.write(block)
        self.size += len(block)
        self.crc32 = zlib.crc32(block, self.crc32)
        self.sha256.update(block)
        return True


class Stopped(Exception):
    """Somebody asked the sequencer to stop in the middle of a run."""


@dataclass(slots=True)
class _Pace:
    """Spreads the writing over the time it shall take; `stop` ends every wait."""

    seconds: float
    stop: threading.Event
    share: float = 0.0
    started: float = field(default_factory=time.monotonic)

    def reach(self, share: float) -> None:
        """Wait until this share (0-1) of the time is over."""
        self.share = share
        if self.stop.wait(max(0.0, self.started + share * self.seconds - time.monotonic()) if self.seconds else 0):
            raise Stopped


def write_run(
    folder: Path,
    platform: str = "bclconvert",
    *,
    samples: Sequence[str] = SAMPLES,
    pairs: int = 1000,
    lanes: Sequence[int] = (1,),
    project: str = "",
    length: int = LONGEST_READ,
    run_id: str = "",
    seed: int = 1,
    seconds: float = 0.0,
    stop: threading.Event | None = None,
    on_step: Callable[[str], None] = lambda path: None,
) -> WrittenRun:
    """Write a run into `folder`, which is made, over `seconds`; `on_step` hears of each file once it is whole.

    `pairs` counts reads per sample, lane and direction, each about 115 bytes once compressed; `length` is at most 151.
    Raises UsageError for an unknown platform or a longer read, Stopped when `stop` is set before the end.
    """
    if platform not in SCRIPTS:
        raise UsageError(f"The pretend sequencer knows no `{platform}`.", hint=f"It knows {', '.join(SCRIPTS)}.")
    if not 1 <= length <= LONGEST_READ:
        raise UsageError(f"The pretend sequencer writes reads of 1 to {LONGEST_READ} bases, not {length}.")
    run = Run(run_id or RUN_IDS[platform], tuple(samples), pairs, tuple(lanes), project, length, seed)
    script = SCRIPTS[platform](run)
    pace = _Pace(seconds, stop or threading.Event())
    to_come = sum(len(step.files) for step in script if isinstance(step, Growing))
    written: dict[str, Written] = {}
    for step in script[:-1]:
        if isinstance(step, Small):
            _write_small(folder, step, written)
            on_step(step.path)
        else:
            until = pace.share + (1 - BEFORE_THE_MARKER) * len(step.files) / to_come
            for file in _grow(folder, step.files, pace, until):
                written[file.path] = file
                on_step(file.path)
    pace.reach(1.0)
    marker = script[-1]
    assert isinstance(marker, Small)
    _write_small(folder, marker, written)
    on_step(marker.path)
    return WrittenRun(folder, run.run_id, tuple(written.values()), marker.path)


def _write_small(folder: Path, step: Small, written: dict[str, Written]) -> None:
    path = folder / step.path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes((step.text if isinstance(step.text, str) else step.text(written)).encode())


def _grow(folder: Path, files: Sequence[FastqFile], pace: _Pace, until: float) -> list[Written]:
    """Let files grow side by side, block by block, until `until` of the whole time is over and all are whole."""
    opened = [_open(folder, file) for file in files]
    begun, rounds = pace.share, max(file.reads.count for file in files) // 160 + 2
    try:
        growing = list(opened)
        for number in range(1, rounds + 1):
            growing = [file for file in growing if file.grow()]
            pace.reach(begun + (until - begun) * number / rounds)
            if not growing:
                break
    finally:
        for file in opened:
            file.sink.close()
    pace.share = until
    return [Written(file.path, file.size, file.sha256.hexdigest(), file.crc32) for file in opened]


def _open(folder: Path, file: FastqFile) -> _Open:
    path = folder / file.path
    path.parent.mkdir(parents=True, exist_ok=True)
    return _Open(file.path, path.open("wb"), fastq_blocks(file.reads, file.read))
