"""Counts the reads of a FASTQ file and refuses one with too few, as an assembler does: SOURCE TARGET LEAST.

Runs as a tool inside the tests' Galaxy, with its Python and nothing of ours.
"""

import gzip
import sys
from pathlib import Path

source, target, least = sys.argv[1], sys.argv[2], int(sys.argv[3])
with gzip.open(source) as lines:
    reads = sum(1 for _ in lines) // 4
if reads < least:
    sys.exit(f"{reads} reads are too few")
Path(target).write_text(f"reads\t{reads}\n")
