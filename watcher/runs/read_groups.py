"""Puts the files of a unit together that are the same sample in the same lane, from their names and folders.

Projects come from folders where the layout says so; the sample sheet only tells which folders are samples rather than
projects, and with the S numbers which of two samples a name means that is the same for both. Which reads should be
there is asked in `pairing.py`, what the sheet says of a sample in `sheet_match.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from watcher.runs.filenames import ReadsName, folded
from watcher.runs.sample_sheet import SampleSheet
from watcher.runs.sheet_numbers import told_apart

_PLACES_OF_READS = frozenset({"fastq", "fastqs", "basecalls"})


@dataclass(frozen=True, slots=True)
class ReadGroup:
    """The files of one sample in one lane, by read; a read with several paths has chunks or is double."""

    sample: str
    project: str
    lane: int
    reads: Mapping[str, tuple[str, ...]]

    @property
    def called(self) -> str:
        """Return how people call it: `S2 lane 1`."""
        return f"{self.sample} lane {self.lane}" if self.lane else self.sample

    @property
    def any_path(self) -> str:
        """Return the first of its files."""
        return min(path for paths in self.reads.values() for path in paths)


def read_groups(
    names: Mapping[str, ReadsName], folder: str, sheet: SampleSheet | None, *, project_from_folder: bool
) -> tuple[ReadGroup, ...]:
    """Return files by sample, project and lane, sorted; `folder` is the unit's, below which folders may be projects."""
    found: dict[tuple[str, str, int], dict[str, list[str]]] = {}
    sample_folders = _sample_folders(sheet)
    meant = told_apart(names.values(), sheet) if sheet is not None else {}
    for path, name in names.items():
        folders = path[len(folder) :].strip("/").split("/")[:-1] if project_from_folder else []
        sample = meant.get((folded(name.sample), name.number or 0), name.sample) if meant else name.sample
        key = (_project_of(folders, name, sample_folders), sample, name.lane)
        found.setdefault(key, {}).setdefault(name.read, []).append(path)
    return tuple(
        ReadGroup(sample, project, lane, {read: tuple(sorted(paths)) for read, paths in sorted(reads.items())})
        for (project, sample, lane), reads in sorted(found.items())
    )


def _project_of(folders: Sequence[str], name: ReadsName, sample_folders: frozenset[str]) -> str:
    """Return the project that a file's folders tell: the first folder below the output that is neither a sample's nor
    a usual one.
    """
    for at in range(len(folders) - 1, -1, -1):
        if folders[at].lower() in _PLACES_OF_READS:
            folders = folders[at + 1 :]
            break
    if not folders or folded(folders[0]) == folded(name.sample):
        return ""
    # Converters without projects, but with names of their own, make one folder for each Sample_ID.
    if folded(folders[0]) in sample_folders:
        return ""
    return folders[0]


def _sample_folders(sheet: SampleSheet | None) -> frozenset[str]:
    rows = sheet.rows if sheet is not None else ()
    return frozenset(folded(row.sample_id) for row in rows) - {folded(row.project) for row in rows}
