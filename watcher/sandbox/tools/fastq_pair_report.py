"""Counts reads, bases and GC of a pair of FASTQ files, and writes them as one line under a heading.

Runs as a tool inside the sandbox's Galaxy, with its Python and nothing of ours: FORWARD REVERSE TABLE SAMPLE
SHORTEST.
"""

import gzip
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

HEADING = "sample\tread pairs\tbases\tGC %\tmean length\tshorter than asked\n"


def opened(path: str) -> BinaryIO:
    """Open a file for reading, compressed or not."""
    with Path(path).open("rb") as start:
        is_gzip = start.read(2) == b"\x1f\x8b"
    return cast(BinaryIO, gzip.open(path)) if is_gzip else Path(path).open("rb")


def lengths_and_gc(path: str) -> Iterator[tuple[int, int]]:
    """Yield the length and the number of G and C of each read."""
    with opened(path) as lines:
        for number, line in enumerate(lines):
            if number % 4 == 1:
                read = line.rstrip()
                yield len(read), read.count(b"G") + read.count(b"C")


def main(forward: str, reverse: str, target: str, sample: str, shortest: int) -> None:
    """Read both files side by side; a pair with a read too short is counted apart."""
    pairs = bases = gc = short = 0
    for (one, one_gc), (two, two_gc) in zip(lengths_and_gc(forward), lengths_and_gc(reverse), strict=True):
        if min(one, two) < shortest:
            short += 1
            continue
        pairs += 1
        bases += one + two
        gc += one_gc + two_gc
    share = 100 * gc / bases if bases else 0
    mean = bases / pairs / 2 if pairs else 0
    with Path(target).open("w") as out:
        out.write(HEADING + f"{sample}\t{pairs}\t{bases}\t{share:.1f}\t{mean:.1f}\t{short}\n")


_, forward_file, reverse_file, table, name, minlen = sys.argv
main(forward_file, reverse_file, table, name, int(minlen))
