"""Folders that people make: files dropped side by side, a folder with a list of checksums, one with a marker.

No instrument is behind them; what is said here about completeness is what the person did last.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence

from tests.runs.instruments.content import bam, fastq_gz
from tests.runs.instruments.illumina import TWO
from tests.runs.instruments.instrument import Failure, Instrument, crashed_before, one_unit, with_file, without
from tests.runs.run_folders import Tree, fastq_names

NAMES = [f"{sample}_{read}.fastq.gz" for sample in TWO for read in ("R1", "R2")]
# Longer than it takes to settle, shorter than it takes to be complete without a marker.
SETTLED_S = 130.0


def dropped(samples: Sequence[str] = TWO, others: Iterable[str] = ("m1.bam",)) -> Tree:
    """Return a folder into which people drop pairs and single files."""
    tree = Tree("inbox")
    for name in fastq_names(samples):
        tree.add(name, fastq_gz(name.rsplit("_S", 1)[0], name.rsplit("_", 2)[1]))
    for name in others:
        tree.add(name, bam(name.split(".")[0]))
    return tree


def folder(names: Iterable[str] = NAMES, end: str = "") -> Tree:
    """Return somebody's folder of reads, with a list of checksums (`md5sum.txt`) or a marker made at the `end`."""
    tree = Tree("from the core facility")
    for name in names:
        sample, read = name.rsplit("/", 1)[-1].split(".")[0].rsplit("_", 1)
        tree.add(name, fastq_gz(sample, read))
    if end == "md5sum.txt":
        return tree.add(end, md5_list(tree))
    return tree.add(end, b"") if end else tree


def md5_list(tree: Tree) -> bytes:
    """Return the list that `md5sum *` writes of all files."""
    lines = (f"{hashlib.md5(content).hexdigest()}  {path}\n" for path, content in sorted(tree.files.items()))
    return "".join(lines).encode()


def _ended(end: str) -> Callable[..., Tree]:
    def make(names: Iterable[str] = NAMES) -> Tree:
        return folder(names, end)

    return make


def _half_a_list(tree: Tree) -> Tree:
    return with_file("md5sum.txt", tree.files["md5sum.txt"][:70])(tree)


_FOLDER = one_unit(TWO, NAMES)

TABLE: Mapping[str, Instrument] = {
    "flat files": Instrument(
        "files", dropped,
        {"S1_S1": ("S1",), "S2_S2": ("S2",), "m1.bam": ("m1",)},
        {
            "S1_S1": tuple(fastq_names(TWO)[:2]),
            "S2_S2": tuple(fastq_names(TWO)[2:]),
            "m1.bam": ("m1.bam",),
        },
        failures={"one of a pair": Failure(without(fastq_names(TWO)[1]), "waiting", "S1_S1")},
    ),
    "folder with list of checksums": Instrument(
        "folder", _ended("md5sum.txt"), *_FOLDER, {".": "md5sum.txt"},
        {
            "half a list": Failure(_half_a_list, "waiting"),
            "a listed file is not there": Failure(without("S2_R2.fastq.gz"), "waiting"),
            "not all is there yet": Failure(crashed_before("S2_R2.fastq.gz"), "waiting"),
        },
        quiet_s=SETTLED_S,
    ),
    "folder with marker": Instrument(
        "folder", _ended("READY"), *_FOLDER, {".": "READY"},
        {"no marker yet": Failure(without("READY"), "waiting")}, quiet_s=SETTLED_S,
    ),
    "folder without marker": Instrument("folder", folder, *_FOLDER),
}  # fmt: skip
