"""Facts of the machine that measures, as far as a reader of the figures needs them.

Nothing is told that says whose machine it is: no host name, no path.
"""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path

QUIET_LOAD = 1.0
"""Above this load average at the start, other programs take part in what is measured."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What it is made of, and how much it had to do when the measuring began."""

    cores: int
    processor: str
    memory_gib: float
    python: str
    kernel: str
    load: float

    @property
    def is_busy(self) -> bool:
        """Say whether the figures are to be taken with care."""
        return self.load > QUIET_LOAD

    def lines(self) -> list[str]:
        """Return the facts, one per line."""
        return [
            f"{self.cores} cores ({self.processor}), {self.memory_gib:.0f} GiB of memory",
            f"{self.kernel}, {self.python}",
            f"load average at the start: {self.load:.2f}",
        ]


def this_machine() -> Machine:
    """Look at the machine."""
    return Machine(
        cores=len(os.sched_getaffinity(0)),
        processor=_field("/proc/cpuinfo", "model name") or platform.machine(),
        memory_gib=int((_field("/proc/meminfo", "MemTotal") or "0 kB").split()[0]) / 2**20,
        python=f"{platform.python_implementation()} {platform.python_version()}",
        kernel=f"{platform.system()} {platform.release()}",
        load=os.getloadavg()[0],
    )


def _field(path: str, name: str) -> str:
    for line in Path(path).read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return ""
