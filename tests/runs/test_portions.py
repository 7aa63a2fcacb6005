"""What a rule takes of a sample, and how many files become one dataset: nothing lost, nothing twice, in order."""

from __future__ import annotations

import gzip
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.runs.run_folders import READS, Tree, fastq_names
from watcher.errors import PlanError
from watcher.model import Sample
from watcher.runs.collecting import collection
from watcher.runs.filenames import parse_fastq_name
from watcher.runs.grouping import Grouping, datasets, group
from watcher.runs.layout import judge
from watcher.runs.portions import pair_of, portion
from watcher.runs.selection import NO_WISH, Wish
from watcher.runs.structure import has_no_reads

EMPTY = gzip.compress(b"", mtime=0)
ONT_RUN = "20260301_1201_3E_PAA12345_e05460c6"


def grouped(tree: Tree, layout: str, unit: str = ".", wish: Wish = NO_WISH, empty: tuple[str, ...] = ()) -> Grouping:
    """Return the grouping of a unit, with what is wished beyond its layout."""
    look = tree.look(layout, unit, wish=wish)
    return group(look, judge(look), empty)


def converted(*names: str) -> Tree:
    """Return the output of BCL Convert with these files."""
    tree = Tree("out").add("Logs/FastqComplete.txt", b"")
    for name in names:
        tree.add(name)
    return tree


def nanopore(*paths: str) -> Tree:
    """Return a MinKNOW run with these files."""
    tree = Tree(ONT_RUN)
    for path in paths:
        tree.add(path)
    return tree.add(
        "final_summary_PAA12345_e05460c6_1a2b3c4d.txt",
        b"acquisition_stopped=x\nsample_id=soil\nfastq_files_in_fallback=0\n",
    )


def sources(samples: tuple[Sample, ...], *, joins_lanes: bool = False) -> dict[str, tuple[str, ...]]:
    """Return the sources of each dataset by its name."""
    return {one.name: one.sources for one in datasets(samples, joins_lanes=joins_lanes)}


def test_lanes_may_be_joined_into_one_file_for_each_read() -> None:
    """Lanes follow each other by number in both reads, and the name of the dataset names no lane."""
    names = fastq_names(["S1"], [10, 9, 1])
    (sample,) = grouped(converted(*names), "bclconvert").samples
    joined = sources((sample,), joins_lanes=True)
    assert joined == {
        f"S1_S1_{read}_001.fastq.gz": tuple(f"S1_S1_L{lane:03d}_{read}_001.fastq.gz" for lane in (1, 9, 10))
        for read in ("R1", "R2")
    }
    made = collection("auto", "run", [sample], datasets([sample], joins_lanes=True))
    assert made is not None and made.type == "list:paired"
    assert [one.name for one in made.elements] == ["S1"]


def test_lanes_may_be_kept_apart_as_samples_of_their_own() -> None:
    """Each lane is then a sample, so that rules can cut by it."""
    (sample,) = grouped(converted(*fastq_names(["S1"], [1, 2])), "bclconvert").samples
    kept = portion(sample, keeps_lanes=True)
    assert [(one.name, len(one.files)) for one in kept] == [("S1_L001", 2), ("S1_L002", 2)]
    (whole,) = portion(grouped(converted("S1_S1_R1_001.fastq.gz"), "bclconvert").samples[0], keeps_lanes=True)
    assert whole.name == "S1"


def test_index_reads_are_there_for_those_who_ask() -> None:
    """One rule gets them, another of the same run does not; without any rule they are left out."""
    tree = converted(*fastq_names(["S1"], [1], ["R1", "R2", "I1", "I2"]))
    plain = grouped(tree, "bclconvert")
    assert [file.read for file in plain.samples[0].files] == ["R1", "R2"]
    assert {left.reason for left in plain.left_out} == {"index read"}
    (sample,) = grouped(tree, "bclconvert", wish=Wish(reads=frozenset(["I1"]))).samples
    assert [file.read for file in portion(sample)[0].files] == ["R1", "R2"]
    assert sorted(file.read for file in portion(sample, reads=("R1", "R2", "I1"))[0].files) == ["I1", "R1", "R2"]


def test_the_mate_behind_a_umi_makes_the_pair() -> None:
    """With the UMI in R2, a rule that asks for R1 and R3 pairs them."""
    tree = converted(*fastq_names(["S1"], [1], ["R1", "R2", "R3"]))
    (sample,) = portion(grouped(tree, "bclconvert").samples[0], reads=("R1", "R3"))
    made = collection("list:paired", "run", [sample], datasets([sample]), pair_of(("R1", "R3")))
    assert made is not None
    names = {one.key: one.name for one in datasets([sample])}
    assert [(part.name, names[part.dataset]) for part in made.elements[0].elements] == [
        ("forward", "S1_S1_L001_R1_001.fastq.gz"),
        ("reverse", "S1_S1_L001_R3_001.fastq.gz"),
    ]
    with pytest.raises(PlanError, match="exactly one R1 and one R2"):
        collection("list:paired", "run", [sample], datasets([sample]))


def test_the_files_of_a_barcode_become_one_dataset_in_order() -> None:
    """By their numbers, not by the spelling of their names; what no barcode claimed is left out."""
    files = [
        f"fastq_pass/barcode01/PAA12345_pass_barcode01_e05460c6_1a2b3c4d_{number}.fastq.gz" for number in range(12)
    ]
    stray = "fastq_pass/unclassified/PAA12345_pass_unclassified_e05460c6_1a2b3c4d_0.fastq.gz"
    result = grouped(nanopore(*reversed(files), stray), "ont")
    assert sources(result.samples) == {"barcode01.fastq.gz": tuple(files)}
    assert [(left.path, left.reason) for left in result.left_out] == [(stray, "in folder unclassified")]


def test_a_run_without_barcodes_has_the_sample_that_the_run_tells() -> None:
    """MinKNOW's own word for it, since no folder names it."""
    result = grouped(nanopore("fastq_pass/PAA12345_pass_e05460c6_1a2b3c4d_0.fastq.gz"), "ont")
    assert [one.name for one in result.samples] == ["soil"]


def test_bam_and_raw_signal_are_taken_when_a_rule_asks_for_them() -> None:
    """Each file is a dataset: put end to end they would be no BAM; the reads stay out of it."""
    paths = [f"bam_pass/barcode01/PAA12345_pass_barcode01_e05460c6_1a2b3c4d_{number}.bam" for number in (0, 1)]
    reads = "fastq_pass/barcode01/PAA12345_pass_barcode01_e05460c6_1a2b3c4d_0.fastq.gz"
    signal = "pod5/barcode01/PAA12345_barcode01_e05460c6_1a2b3c4d_0.pod5"
    tree = nanopore(*paths, reads, signal)
    plain = grouped(tree, "ont")
    assert [file.path for file in plain.samples[0].files] == [reads]
    assert {left.reason for left in plain.left_out} == {
        "bam files are taken when a rule asks for them",
        "pod5 files are taken when a rule asks for them",
    }
    (sample,) = grouped(tree, "ont", wish=Wish(kinds=frozenset(["bam", "pod5"]))).samples
    assert [file.path for file in portion(sample)[0].files] == [reads]
    assert [file.path for file in portion(sample, kinds=("pod5",))[0].files] == [signal]
    (bams,) = portion(sample, kinds=("bam",))
    assert sorted(sources((bams,)).values()) == [(path,) for path in paths]
    assert portion(sample, kinds=("cram",)) == ()


def test_samples_without_a_read_are_listed_not_sent() -> None:
    """Both reads of a sample that failed are empty: nothing of it is sent, and the others go on."""
    tree = converted(*fastq_names(["S1", "S2"]))
    result = grouped(tree, "bclconvert", empty=("S2_S2_L001_R1_001.fastq.gz", "S2_S2_L001_R2_001.fastq.gz"))
    assert [one.name for one in result.samples] == ["S1"]
    assert [(left.path, left.reason) for left in result.left_out] == [
        (f"S2_S2_L001_R{read}_001.fastq.gz", "no reads in it (0 records)") for read in (1, 2)
    ]
    assert result.problems == ()
    alone = grouped(tree, "bclconvert", empty=("S2_S2_L001_R2_001.fastq.gz",))
    assert "has no reads, but `S2_S2_L001_R1_001.fastq.gz` has" in alone.problems[0].message
    none = grouped(tree, "bclconvert", empty=tuple(fastq_names(["S1", "S2"])))
    assert [one.message for one in none.problems] == ["No sample of it has a single read."]


FILES = st.sets(
    st.tuples(
        st.sampled_from(["a", "b_S1_L001_R1", "c-1"]),
        st.integers(0, 3),
        st.integers(1, 12),
        st.sampled_from(["R1", "R2", "R3", "I1"]),
    ),
    min_size=1,
    max_size=30,
)


def place_of(name: str) -> tuple[int, int]:
    """Return lane and chunk of a name of Illumina's form."""
    told = parse_fastq_name(name)
    assert told is not None
    return told.lane, told.chunk


@given(
    FILES,
    st.sampled_from([(), ("R1",), ("R1", "R3"), ("R1", "R2", "I1")]),
    st.sampled_from(["merge", "concat", "keep"]),
    st.randoms(use_true_random=False),
)
def test_every_file_asked_for_is_in_one_dataset(
    files: set[tuple[str, int, int, str]], reads: tuple[str, ...], lanes: str, order: random.Random
) -> None:
    """Whatever the rule says and in whichever order files are listed: once each, parts in order."""
    names = [
        f"{sample}_S1{f'_L{lane:03d}' if lane else ''}_{read}_{chunk:03d}.fastq.gz"
        for sample, lane, chunk, read in files
    ]
    order.shuffle(names)
    wish = Wish(reads=frozenset(reads))
    samples = grouped(converted(*names), "bclconvert", wish=wish).samples
    taken = tuple(one for sample in samples for one in portion(sample, reads=reads, keeps_lanes=lanes == "keep"))
    planned = datasets(taken, joins_lanes=lanes == "concat")
    sent = [path for one in planned for path in one.sources]
    asked = reads or ("R1", "R2", "R3")
    assert sorted(sent) == sorted(name for name in names if name.rsplit("_", 2)[1] in asked)
    assert len({one.key for one in planned}) == len({one.name for one in planned}) == len(planned)
    for one in planned:
        assert list(one.sources) == sorted(one.sources, key=place_of)
        assert len({path.rsplit("_", 2)[1] for path in one.sources}) == 1
    order.shuffle(names)
    again = grouped(converted(*names), "bclconvert", wish=wish).samples
    assert again == samples


def test_a_file_without_a_read_is_found_in_its_last_bytes() -> None:
    """Whole and empty is told from broken and from full."""
    for packed in (EMPTY, EMPTY * 2):
        assert has_no_reads("a.fastq.gz", len(packed), packed)
    assert not has_no_reads("a.fastq.gz", len(READS), READS)
    assert not has_no_reads("a.fastq.gz", 10, EMPTY[:10])
    assert not has_no_reads("a.fastq.gz", 9999, EMPTY)
    assert not has_no_reads("a.bam", len(EMPTY), EMPTY)
