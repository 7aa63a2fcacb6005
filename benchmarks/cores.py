"""The content pass on one core against `gzip -t`, and two files at once on two cores.

Each turn is a process of its own that keeps to the cores it is given, all its threads with it, and reads as the daemon
does: on reading threads, 10 MiB ahead, several files sharing the memory (`watcher/disk/reader.py`). Only the sending is
left out. What the pass costs beside its parts is measured in `content.py`.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import reads
from benchmarks.content import CHUNK_BYTES
from benchmarks.figures import Figure, Table, Target
from watcher.disk.paths import facts
from watcher.disk.reader import FileReader
from watcher.disk.threads import DiskThreads
from watcher.runs.integrity import ContentPass, kind_of

TITLE = "Checking on one core and on two"
SIZE_BYTES = 192 * 2**20
TURNS = 5
OF_GZIP = Target(at_least=2)
OF_ONE_CORE = Target(at_least=1.6)
WAYS: tuple[tuple[str, str, Callable[[Path, int], int]], ...] = (
    ("one gzip member", "member", reads.write_member),
    ("block gzip", "blocks", reads.write_blocks),
)
ABOUT = (
    "Bytes as they are sent, per second. Each turn is a process of its own, kept to these cores (sched_setaffinity(2))"
    " with all its threads; it reads from the page cache and checks as the daemon does, with nothing sent."
    " `gzip -t` is kept to the same core. Two files at once are two passes in one process."
)


@dataclass(slots=True)
class _Turns:
    """Seconds of each turn: one file on one core, `gzip -t` of it on the same core, two files on two cores."""

    one_s: list[float] = field(default_factory=list)
    gzip_s: list[float] = field(default_factory=list)
    two_s: list[float] = field(default_factory=list)


def measure(folder: Path) -> Table:
    """Measure one-member gzip and block gzip; what this machine lacks is named above the table."""
    cores = sorted(os.sched_getaffinity(0))
    figures: list[Figure] = []
    for form, stem, write in WAYS:
        files = [folder / f"{stem}-{number}.fastq.gz" for number in (1, 2)]
        for file in files:
            write(file, SIZE_BYTES)
        figures += _figures(form, files, _turns(files, cores))
        for file in files:
            file.unlink()
    lacking = [] if shutil.which("gzip") else ["there is no `gzip`"]
    lacking += [] if len(cores) > 1 else ["there is one core only, so that two files at once were not measured"]
    return Table(TITLE, ABOUT + (f" On this machine {' and '.join(lacking)}." if lacking else ""), tuple(figures))


def _turns(files: Sequence[Path], cores: Sequence[int]) -> _Turns:
    turns = _Turns()
    for _ in range(TURNS):
        turns.one_s.append(_seconds_on(cores[:1], files[:1]))
        if shutil.which("gzip"):
            turns.gzip_s.append(_seconds_on(cores[:1], files[:1], "--gzip"))
        if len(cores) > 1:
            turns.two_s.append(_seconds_on(cores[:2], files))
    return turns


def _figures(form: str, files: Sequence[Path], turns: _Turns) -> Iterator[Figure]:
    """Yield the figures of a form. The best of the turns counts: what slows one down is never the program alone."""
    one_bytes, all_bytes = files[0].stat().st_size, sum(file.stat().st_size for file in files)
    one_rate, how = one_bytes / min(turns.one_s), f"best of {TURNS} turns"
    yield Figure(f"{form}: content pass, one core", one_rate / 1e6, "MB/s", how, digits=0)
    if turns.gzip_s:
        gzip_rate = one_bytes / min(turns.gzip_s)
        yield Figure(f"{form}: `gzip -t`, one core", gzip_rate / 1e6, "MB/s", how, digits=0)
        yield Figure(f"{form}: times as fast as `gzip -t`", one_rate / gzip_rate, "", "of the two above", OF_GZIP)
    if turns.two_s:
        two_rate = all_bytes / min(turns.two_s)
        yield Figure(f"{form}: two files at once, two cores", two_rate / 1e6, "MB/s", how, digits=0)
        yield Figure(f"{form}: two cores against one", two_rate / one_rate, "", "of the rates above", OF_ONE_CORE)


def _seconds_on(cores: Sequence[int], files: Sequence[Path], *more: str) -> float:
    """Let a process that keeps to these cores read the files through, all at once; return the seconds it took."""
    command = [sys.executable, "-m", __name__, *more, "--cores", ",".join(map(str, cores)), *map(str, files)]
    # From the project's own folder, whatever the caller stands in: `-m` finds the modules there.
    ended = subprocess.run(command, check=True, capture_output=True, text=True, cwd=Path(__file__).parents[1])
    return float(ended.stdout)


async def read_through(files: Sequence[Path]) -> list[int]:
    """Read files through, all at once, as the daemon's uploads do without their sending; return the records of each."""
    threads = DiskThreads()
    reader = FileReader(threads)

    async def one(path: Path) -> int:
        expect = await threads.look(path, lambda: facts(path.parent, path.name))
        content = ContentPass(path.name, kind_of(path.name), has_core_left=reader.has_core_left)
        chunks = reader.chunks(
            path.parent, path.name, offset=0, chunk_bytes=CHUNK_BYTES, inspect=content.feed, expect=expect
        )
        async with aclosing(chunks):
            async for _ in chunks:
                pass
        return content.finish().records or 0

    try:
        return await asyncio.gather(*(one(path) for path in files))
    finally:
        threads.close()


def _main() -> None:
    """Be the process of one turn: print the seconds that reading the files through takes."""
    parser = argparse.ArgumentParser(prog=f"python -m {__spec__.name}")
    parser.add_argument("--cores", required=True, help="numbers of the cores to keep to, with commas")
    parser.add_argument("--gzip", action="store_true", help="let gzip -t read them, one after another")
    parser.add_argument("files", nargs="+", type=Path)
    wanted = parser.parse_args()
    os.sched_setaffinity(0, {int(core) for core in wanted.cores.split(",")})  # threads and processes inherit it
    began = time.perf_counter()
    if wanted.gzip:
        subprocess.run(["gzip", "-t", *map(str, wanted.files)], check=True)
    else:
        asyncio.run(read_through(wanted.files))
    print(time.perf_counter() - began)


if __name__ == "__main__":
    _main()
