"""Runs the measurements and writes the page: `python -m benchmarks [NAME …]`.

All of them take some twenty minutes, half of it for `scale`. They run one after another, each in a temporary folder
of its own.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import against_bioblend, content, cores, footprint, marker, scale
from benchmarks.figures import NotMeasured, Table
from benchmarks.machine import this_machine
from benchmarks.page import PAGE, page, table_lines, with_tables
from watcher.service.logs import set_up_logs

MEASUREMENTS = {
    "content": content.measure,  # first: two threads on two cores feel whatever else is still going on
    "cores": cores.measure,
    "marker": marker.measure,
    "footprint": footprint.measure,
    "scale": scale.measure,
    # Last: from here on a Galaxy runs, which takes its share of the processor also when nobody asks it anything.
    "small": against_bioblend.measure_small,
    "large": against_bioblend.measure_large,
}


def main() -> int:
    """Measure what is asked for, all by default. Only a whole round is written to the page unasked."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure, and write docs/performance.md.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(MEASUREMENTS)}; default: all")
    parser.add_argument("--page", action="store_true", help="put what is chosen into the page, too")
    wanted = parser.parse_args()
    chosen = wanted.names
    if unknown := set(chosen) - set(MEASUREMENTS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(MEASUREMENTS)}")
    set_up_logs("json", "error")
    machine = this_machine()
    if machine.is_busy:
        print(f"This machine is busy (load average {machine.load:.1f}); the figures will say so.", file=sys.stderr)
    began = time.monotonic()
    tables: list[Table | NotMeasured] = []
    for name in chosen or MEASUREMENTS:
        print(f"{name} ...", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory(prefix="galaxy-watcher-bench-") as folder:
            try:
                tables.append(MEASUREMENTS[name](Path(folder)))
            except NotMeasured as reason:
                tables.append(reason)
        print("\n".join(table_lines(tables[-1])), flush=True)
    if wanted.page or not chosen:
        took_s = time.monotonic() - began
        PAGE.write_text(with_tables(PAGE.read_text(), tables) if chosen else page(machine, tables, took_s))
        print(f"Written to {PAGE.relative_to(PAGE.parents[1])}.", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
