"""What lies in a folder that results were delivered to."""

from __future__ import annotations

import subprocess
from pathlib import Path

from watcher.results import BESIDE, MANIFEST, OURS, RECORD

RECORD_NAMES = BESIDE[RECORD]


def results_in(folder: Path) -> list[str]:
    """Return the results, without what the watcher itself writes beside them; [] where nothing was delivered."""
    there = (str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    return sorted(path for path in there if path not in OURS)


def listed_in(folder: Path) -> list[str]:
    """Return the results that the manifest lists."""
    lines = (folder / MANIFEST).read_text().splitlines()
    return sorted(path for path in (line.split("  ", 1)[1] for line in lines) if path not in OURS)


def assert_whole(folder: Path, results: int) -> None:
    """So many results and the record lie there once, nothing half-written, and `sha256sum -c` takes the manifest."""
    listed = sorted(line.split("  ", 1)[1] for line in (folder / MANIFEST).read_text().splitlines())
    there = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    assert there == sorted([*listed, MANIFEST])
    assert len(results_in(folder)) == results, there
    assert set(RECORD_NAMES) <= set(there)
    checked = subprocess.run(
        ["sha256sum", "--check", "--strict", "--quiet", MANIFEST],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
