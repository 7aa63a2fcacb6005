"""The content pass against its parts: what checking costs beside inflating alone, and beside hashing alone.

All read the same chunks from memory, in turns. The best time of each counts, for what disturbs makes slower only; the
share is taken within each turn, and the median counts, so that a disturbed turn on either side says nothing.
`gzip -t` reads the file, which is in the page cache.
"""

from __future__ import annotations

import hashlib
import shutil
import statistics
import subprocess
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from isal import igzip_lib
from zlib_ng import zlib_ng

from benchmarks import reads
from benchmarks.figures import Figure, Table, Target
from watcher.runs.inflate import BLOCK_BYTES, block_length
from watcher.runs.integrity import ContentPass, kind_of

TITLE = "Checking what is sent"
CHUNK_BYTES = 10 * 2**20
PIECE_BYTES = 64 * 2**10
SIZE_BYTES = 96 * 2**20
ROUNDS = 21
SLOW_ROUNDS = 1
SHARE = Target(at_least=0.9)

Work = Callable[[list[bytes]], None]


def measure(folder: Path) -> Table:
    """Measure one-member gzip, block gzip and plain text."""
    member, blocks, plain = (folder / name for name in ("member.fastq.gz", "blocks.fastq.gz", "plain.fastq"))
    reads.write_member(member, SIZE_BYTES)
    reads.write_blocks(blocks, SIZE_BYTES)
    reads.write_text(plain, 4 * SIZE_BYTES)
    packed = (*_packed(member, "one gzip member", isal_member), *_packed(blocks, "block gzip", isal_blocks))
    hashed = _times(plain, {"SHA-256 alone": hash_alone, "content pass": _content_pass(plain.name)})
    figures = (*packed, *(_rate(f"plain FASTQ: {what}", plain, min(took_s)) for what, took_s in hashed.items()))
    about = (
        "Bytes as they are sent, per second. The content pass is all that happens to them on the way: SHA-256,"
        " inflating to the end, counting FASTQ records and looking at their shape. It is held against inflating alone"
        " with the same library, in its fastest way for that form."
    )
    return Table(TITLE, about, figures)


def _packed(path: Path, form: str, alone: Work) -> Iterator[Figure]:
    times = _times(path, {"isal alone": alone, "content pass": _content_pass(path.name)})
    slow: dict[str, Work] = {"zlib-ng alone": zlib_ng_alone, "zlib alone": zlib_alone}
    if shutil.which("gzip"):
        slow["gzip -t"] = _gzip_of(path)
    times |= _times(path, slow, SLOW_ROUNDS)
    yield from (_rate(f"{form}: {what}", path, min(took_s)) for what, took_s in times.items())
    turns = zip(times["isal alone"], times["content pass"], strict=True)
    share = statistics.median(alone_s / pass_s for alone_s, pass_s in turns)
    yield Figure(f"{form}: content pass of isal alone", share, "", f"median of {ROUNDS} turns", SHARE)


def _times(path: Path, ways: dict[str, Work], rounds: int = ROUNDS) -> dict[str, list[float]]:
    whole = path.read_bytes()
    chunks = [whole[at : at + CHUNK_BYTES] for at in range(0, len(whole), CHUNK_BYTES)]
    del whole
    times: dict[str, list[float]] = {what: [] for what in ways}
    for _ in range(rounds):
        for what, work in ways.items():
            began = time.perf_counter()
            work(chunks)
            times[what].append(time.perf_counter() - began)
    return times


def _rate(what: str, path: Path, took_s: float) -> Figure:
    return Figure(what, path.stat().st_size / took_s / 1e6, "MB/s", digits=0)


def _content_pass(name: str) -> Work:
    def work(chunks: list[bytes]) -> None:
        reading = ContentPass(name, kind_of(name))
        for chunk in chunks:
            reading.feed(chunk)
        reading.finish()

    return work


def _gzip_of(path: Path) -> Work:
    def work(_: list[bytes]) -> None:
        subprocess.run(["gzip", "-t", str(path)], check=True)

    return work


def seconds_alone(path: Path) -> float:
    """Inflate a file of one member and return how long that took, the reading left out."""
    took_s = 0.0
    member = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            began = time.perf_counter()
            _inflate(member, chunk)
            took_s += time.perf_counter() - began
    return took_s


def isal_member(chunks: list[bytes]) -> None:
    """Inflate one member with isal, in slices of a megabyte."""
    member = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)
    for chunk in chunks:
        _inflate(member, chunk)
    if not member.eof:
        raise ValueError("the member does not end")


def _inflate(member: igzip_lib.IgzipDecompressor, chunk: bytes) -> None:
    member.decompress(chunk, 2**20)
    while not member.eof and not member.needs_input:
        member.decompress(b"", 2**20)


def isal_blocks(chunks: list[bytes]) -> None:
    """Inflate block by block with isal, checksums included; only blocks across two chunks are joined."""
    left = b""
    for chunk in chunks:
        at = 0
        if left:
            length = block_length(left + chunk[:18])
            at = length - len(left)
            igzip_lib.decompress(left + chunk[:at], flag=igzip_lib.DECOMP_GZIP, bufsize=BLOCK_BYTES)
        view, size = memoryview(chunk), len(chunk)
        while at + 18 <= size and at + (length := block_length(view[at : at + 18])) <= size:
            igzip_lib.decompress(view[at : at + length], flag=igzip_lib.DECOMP_GZIP, bufsize=BLOCK_BYTES)
            at += length
        left = chunk[at:]
    if left:
        raise ValueError("the last block does not end")


def zlib_alone(chunks: list[bytes]) -> None:
    """Inflate all members with the standard library."""
    _inflate_members(chunks, zlib.decompressobj)


def zlib_ng_alone(chunks: list[bytes]) -> None:
    """Inflate all members with zlib-ng, by the makers of the library we use."""
    _inflate_members(chunks, zlib_ng.decompressobj)


class _Member(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, packed: bytes | memoryview, /) -> bytes: ...


def _inflate_members(chunks: list[bytes], begin: Callable[[int], _Member]) -> None:
    """Inflate members one behind the other, in small pieces: what follows the end of a member comes back as a copy."""
    member = begin(31)
    for chunk in chunks:
        view = memoryview(chunk)
        for at in range(0, len(chunk), PIECE_BYTES):
            rest: bytes | memoryview = view[at : at + PIECE_BYTES]
            while rest:
                if member.eof:
                    member = begin(31)
                member.decompress(rest)
                rest = member.unused_data
    if not member.eof:
        raise ValueError("the last member does not end")


def hash_alone(chunks: list[bytes]) -> None:
    """Compute the SHA-256 and nothing else."""
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk)
    digest.hexdigest()
