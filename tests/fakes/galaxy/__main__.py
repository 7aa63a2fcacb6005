"""Runs the fake Galaxy as a process of its own: `python -m tests.fakes.galaxy --port 0 --state DIR`.

Prints one line of JSON with url, keys and pid, then serves until SIGTERM or SIGINT and writes its state to DIR.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
from pathlib import Path

from tests.fakes.galaxy.server import FakeGalaxy


def main() -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--state", type=Path, default=None)
    parser.add_argument("--version", default="26.1.2")
    parser.add_argument("--job-seconds", type=float, default=0.05)
    parser.add_argument("--second", type=float, default=0.02)
    parser.add_argument("--admin", action="store_true")
    parser.add_argument("--quota-bytes", type=int, default=None)
    parser.add_argument("--key", default=None, help="use this key instead of a new one")
    chosen = parser.parse_args()
    done = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: done.set())
    fake = FakeGalaxy(
        chosen.version,
        job_seconds=chosen.job_seconds,
        second=chosen.second,
        admin=chosen.admin,
        quota_bytes=chosen.quota_bytes,
        key=chosen.key,
        port=chosen.port,
        state_dir=chosen.state,
    )
    with fake:
        place = {
            "url": fake.url,
            "key": fake.key,
            "second_key": fake.second_key,
            "pid": os.getpid(),
            "version": fake.version,
        }
        sys.stdout.write(json.dumps(place) + "\n")
        sys.stdout.flush()
        done.wait()


if __name__ == "__main__":
    main()
