"""The flat folder: pairs and single files as units of their own."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.runs.run_folders import LAYOUTS, Tree
from watcher.runs.grouping import group
from watcher.runs.layout import judge, not_taken
from watcher.runs.manifests import expected_checksums

R1, R2 = "S1_S1_L001_R1_001.fastq.gz", "S1_S1_L001_R2_001.fastq.gz"
LANE_2 = (R1.replace("L001", "L002"), R2.replace("L001", "L002"))
HASH = "0123456789abcdef0123456789abcdef"


def dropped(*names: str) -> Tree:
    """Return a flat folder with these files."""
    tree = Tree("inbox")
    for name in names:
        tree.add(name)
    return tree


@pytest.mark.parametrize(
    ("names", "units"),
    [
        ((R1, R2), {"S1_S1": {R1, R2}}),
        (("x_1.fq.gz", "x_2.fq.gz", "x.fq.gz"), {"x": {"x_1.fq.gz", "x_2.fq.gz"}, "x.fq.gz": {"x.fq.gz"}}),
        (("a.R1.fastq", "a.R2.fastq"), {"a": {"a.R1.fastq", "a.R2.fastq"}}),
        ((R1, R2, *LANE_2), {"S1_S1": {R1, R2, *LANE_2}}),
        ((R1, "S1_S2_L001_R1_001.fastq.gz"), {"S1_S1": {R1}, "S1_S2": {"S1_S2_L001_R1_001.fastq.gz"}}),
        (("m.bam", "table.csv"), {"m.bam": {"m.bam"}, "table.csv": {"table.csv"}}),
        (
            ("ctl_S1_L001_R1_x_S2_R1_001.fastq.gz", "ctl_S1_L001_R1_x_S2_R2_001.fastq.gz"),
            {"ctl_S1_L001_R1_x_S2": {f"ctl_S1_L001_R1_x_S2_R{read}_001.fastq.gz" for read in (1, 2)}},
        ),
    ],
)
def test_a_pair_is_one_unit_and_any_other_file_is_one(names: tuple[str, ...], units: dict[str, set[str]]) -> None:
    """What belongs together is told by the beginning of the names."""
    assert {one.unit: set(one.files) for one in dropped(*names).units("files")} == units


FLAT_NAMES = [
    *(f"{sample}{lane}_R{read}.fastq.gz" for sample in "abc" for lane in ("", "_L001", "_L002") for read in "12"),
    "a.bam",
    "b_1.txt",
]


@given(st.sets(st.sampled_from(FLAT_NAMES)))
def test_units_of_a_flat_folder_hold_each_file_once_and_keep_their_names(names: set[str]) -> None:
    """Nothing is lost, nothing is in two units, and a unit's name does not depend on what else is there."""
    units = dropped(*sorted(names)).units("files")
    assert sorted(path for one in units for path in one.files) == sorted(names)
    for one in units:
        assert [alone.unit for alone in dropped(*one.files).units("files")] == [one.unit]


@pytest.mark.parametrize(
    "name",
    [
        f".{R1}.Ab12Cd",
        f"{R1}.part",
        f"{R1}.partial",
        f"{R1}.aspx",
        f"{R1}.filepart",
        f"{R1}.crdownload",
        f"~${R1}",
        f"._{R1}",
        "Thumbs.db",
        "Undetermined_S0_L001_R1_001.fastq.gz",
    ],
)
def test_temporary_and_undetermined_names_are_never_units(name: str) -> None:
    """They are told with a reason instead."""
    tree = dropped(name)
    assert tree.units("files") == []
    assert [one.path for one in not_taken(LAYOUTS["files"], tree.listing())] == [name]


@pytest.mark.parametrize(
    "name", [".DS_Store", ".watcher-root", ".nfs0000001", "md5sum.txt", f"{R1}.md5", ".hidden/x.fastq.gz"]
)
def test_what_is_nobodys_business_is_no_unit_and_not_told(name: str) -> None:
    """Hidden things that are no reads, and lists of checksums."""
    tree = dropped(name)
    assert tree.units("files") == []
    assert not_taken(LAYOUTS["files"], tree.listing()) == ()


def test_other_things_and_folders_are_no_units() -> None:
    """A FIFO and a folder are told, not what is in the folder."""
    tree = dropped("sub/x.fastq.gz")
    tree.others = {"pipe": "FIFO"}
    assert tree.units("files") == []
    assert [(one.path, one.reason) for one in not_taken(LAYOUTS["files"], tree.listing())] == [
        ("pipe", "FIFO"),
        ("sub", "a folder: layout files takes single files"),
    ]


def test_a_pair_is_complete_once_both_are_quiet() -> None:
    """Both reads, then the settle time over both."""
    tree = dropped(R1, R2)
    assert tree.judged("files", "S1_S1", quiet_s=120).complete
    assert not judge(tree.look("files", "S1_S1", quiet_s={R1: 500, R2: 119})).complete
    quick = tree.look("files", "S1_S1", quiet_s=10, settle=timedelta(seconds=10))
    assert judge(quick).complete
    assert judge(quick).identity == judge(quick).run == "S1_S1"


def test_each_lane_must_have_its_pair() -> None:
    """A lane of which one read is still missing keeps the whole sample waiting."""
    tree = dropped(R1, R2, LANE_2[0])
    waiting = tree.judged("files", "S1_S1", quiet_s=3600)
    assert [one.detail for one in waiting.predicates if not one.holds] == ["R2 of S1 lane 2 is missing"]
    look = tree.add(LANE_2[1]).look("files", "S1_S1")
    assert judge(look).complete
    (sample,) = group(look, judge(look)).samples
    assert (sample.name, len(sample.files)) == ("S1", 4)


def test_a_lone_read_waits_and_is_then_held() -> None:
    """R1 without R2 is named as missing, and asked about when it was abandoned."""
    tree = dropped(R1)
    waiting = tree.judged("files", "S1_S1", quiet_s=3600)
    assert (waiting.complete, waiting.held) == (False, "")
    assert [one.detail for one in waiting.predicates if not one.holds] == ["R2 of S1 lane 1 is missing"]
    held = tree.judged("files", "S1_S1", quiet_s=72 * 3600).held
    assert held == "nothing has changed for 3 d, but R2 of S1 lane 1 is missing"


def test_the_other_read_as_a_dangling_link_is_told_with_the_unit() -> None:
    """It is there but cannot be read: nothing to wait for, but to stop at."""
    tree = dropped(R1)
    tree.others = {R2: "a link that leads nowhere", f"{R1}.lock": "FIFO"}
    look = tree.look("files", "S1_S1")
    assert set(look.selection.unusable) == {R2}
    judgement = judge(look)
    assert judgement.complete
    assert (R2, "a link that leads nowhere") in [(one.path, one.reason) for one in judgement.left_out]
    assert group(look, judgement).problems == ()


def test_a_transfer_of_its_own_file_keeps_a_unit_waiting() -> None:
    """`x.bam.aspx` beside `x.bam` says that x.bam is still being written; a neighbour's does not."""
    tree = dropped("x.bam", "x.bam.aspx", "y.bam")
    quiet = {"x.bam": 500.0, "x.bam.aspx": 3.0, "y.bam": 500.0}
    assert not judge(tree.look("files", "x.bam", quiet_s=quiet)).complete
    assert judge(tree.look("files", "y.bam", quiet_s=quiet)).complete


def test_checksums_beside_files_reach_the_unit_they_name() -> None:
    """A list for all and one for a single file are both used, and are no units themselves."""
    tree = dropped(R1, R2, "y.bam").add("md5sum.txt", f"{HASH}  {R1}\n{HASH}  y.bam\n".encode())
    tree.add(f"{R2}.md5", f"{HASH}\n".encode())
    assert expected_checksums(tree.look("files", "S1_S1")) == {R1: (("md5", HASH),), R2: (("md5", HASH),)}
    assert expected_checksums(tree.look("files", "y.bam")) == {"y.bam": (("md5", HASH),)}


def test_a_flat_unit_is_one_sample() -> None:
    """The sample is called as its names say, also where the unit's name tells more."""
    look = dropped(R1, R2).look("files", "S1_S1")
    grouping = group(look, judge(look))
    assert [(one.name, [file.read for file in one.files]) for one in grouping.samples] == [("S1", ["R1", "R2"])]
    assert grouping.problems == ()
