"""What a layout would take but nobody can read: it is told apart from what is merely left out."""

from __future__ import annotations

import pytest

from tests.runs.run_folders import Tree, bclconvert, miseq
from watcher.runs.grouping import group
from watcher.runs.layout import judge

LEAVES = "it is a link that leaves the watched folder"


@pytest.mark.parametrize(
    ("path", "stops"),
    [
        ("S2_S2_L001_R2_001.fastq.gz", True),
        ("S9_S9_L001_R1_001.fastq.gz", True),
        ("Project/S9_S9_L001_R1_001.fastq.gz", True),
        ("pipe", False),
        ("loop", False),
        ("Undetermined_S0_L001_R1_001.fastq.gz", False),
        ("S2_S2_L001_I1_001.fastq.gz", False),
        ("Reports/S9_S9_L001_R1_001.fastq.gz", False),
        ("._S2_S2_L001_R1_001.fastq.gz", False),
    ],
)
def test_only_what_would_be_taken_stops_a_unit(path: str, stops: bool) -> None:
    """Reads that are asked for do; other things, index and undetermined reads do not, and are told as before."""
    tree = bclconvert().without(path)
    tree.others = {path: LEAVES}
    look = tree.look("bclconvert")
    assert set(look.selection.unusable) == ({path} if stops else set())
    assert (path, LEAVES) in [(one.path, one.reason) for one in look.selection.left_out]


def test_what_cannot_be_read_is_neither_waited_for_nor_told_as_missing() -> None:
    """All conditions hold, so that `verify` is asked; it then has one thing to say, not three."""
    tree = bclconvert().without("S2_S2_L001_R1_001.fastq.gz", "S2_S2_L001_R2_001.fastq.gz")
    tree.others = {f"S2_S2_L001_R{read}_001.fastq.gz": LEAVES for read in (1, 2)}
    look = tree.look("bclconvert")
    judgement = judge(look)
    assert judgement.complete, judgement.predicates
    assert group(look, judgement).problems == ()


def test_a_run_with_nothing_readable_does_not_wait_for_files() -> None:
    """Twelve hours of waiting would tell nobody what is wrong."""
    tree: Tree = miseq(samples=("S1",))
    reads = [path for path in tree.files if path.endswith(".fastq.gz")]
    tree = tree.without(*reads)
    tree.others = dict.fromkeys(reads, LEAVES)
    look = tree.look("miseq-msr")
    assert judge(look).complete
    assert set(look.selection.unusable) == set(reads)
