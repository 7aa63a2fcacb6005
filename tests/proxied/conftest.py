"""Files large enough to be cut on their way, and the nginx of this machine."""

from __future__ import annotations

import gzip
import random
from pathlib import Path

import pytest

from tests.crash.conftest import runner
from tests.proxied.nginx import find_nginx
from tests.world import world

__all__ = ["runner", "world"]


@pytest.fixture(scope="session")
def nginx_program() -> Path:
    """Return nginx; without one the test is left out."""
    program = find_nginx()
    if program is None:
        pytest.skip("nginx is not installed (package: nginx)")
    return program


def make_large(run: Path, size_mb: int) -> Path:
    """Fill the FASTQ files of a run with unpacked reads, about that many megabytes each; return the run."""
    bases = bytes(random.Random(size_mb).choices(b"ACGT", k=150))
    for path in sorted(run.glob("*.fastq.gz")):
        read = b"@M1:1:FC:1:1:%09d:1 " + path.name.partition("_R")[2][:1].encode() + b":N:0:1\n%s\n+\n%s\n"
        count = size_mb * 1_000_000 // len(read % (0, bases, bases))
        content = b"".join(read % (number, bases, b"I" * 150) for number in range(count))
        path.write_bytes(gzip.compress(content, compresslevel=0, mtime=0))
    return run
