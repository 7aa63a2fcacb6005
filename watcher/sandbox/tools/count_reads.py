"""Counts the reads of a FASTQ file that are not shorter than asked for, and their bases.

Runs as a tool inside the sandbox's Galaxy, with its Python and nothing of ours: SOURCE TARGET SHORTEST.
"""

import gzip
import sys
from pathlib import Path

source, target, shortest = sys.argv[1], sys.argv[2], int(sys.argv[3])
with Path(source).open("rb") as start:
    is_gzip = start.read(2) == b"\x1f\x8b"
reads = bases = 0
with gzip.open(source) if is_gzip else Path(source).open("rb") as lines:
    for number, line in enumerate(lines):
        length = len(line.rstrip())
        if number % 4 == 1 and length >= shortest:
            reads += 1
            bases += length
with Path(target).open("w") as out:
    out.write(f"reads\t{reads}\nbases\t{bases}\n")
