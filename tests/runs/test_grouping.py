"""Samples, datasets and collections: nothing lost, nothing twice, whatever the order."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.runs.run_folders import READS, Tree, bclconvert, fastq_names, miseq, novaseqx, run_info, sheet_v2
from watcher.errors import PlanError
from watcher.model import PlannedCollection, Sample, SampleFile
from watcher.runs.collecting import collection
from watcher.runs.grouping import Grouping, datasets, group
from watcher.runs.layout import judge


def grouped(tree: Tree, layout: str = "bclconvert", unit: str = ".") -> Grouping:
    """Return the grouping of a unit."""
    look = tree.look(layout, unit)
    return group(look, judge(look))


def output(*names: str, sheet: bytes | None = None) -> Tree:
    """Return a converter's output with these reads."""
    tree = Tree("out").add("Logs/FastqComplete.txt", b"")
    for name in names:
        tree.add(name)
    return tree if sheet is None else tree.add("Reports/SampleSheet.csv", sheet)


def sample(name: str, *files: tuple[str, str, int], project: str = "") -> Sample:
    """Return a sample with files (path, read, lane)."""
    return Sample(
        name=name,
        project=project,
        files=tuple(SampleFile(path=path, read=read, lane=lane, size=10) for path, read, lane in files),
    )


def shape(planned: PlannedCollection | None) -> object:
    """Return a collection as plain names."""
    assert planned is not None
    return planned.type, [(one.name, [part.name for part in one.elements] or one.dataset) for one in planned.elements]


FILES = st.sets(
    st.tuples(
        st.sampled_from(["", "P1/", "P2/"]),
        st.sampled_from(["a", "b_S1_L001_R1", "c-1"]),
        st.integers(0, 3),
        st.integers(1, 2),
        st.sampled_from(["R1", "R2", "I1"]),
    ),
    max_size=25,
)


@given(FILES, st.randoms(use_true_random=False))
def test_grouping_loses_nothing_doubles_nothing_and_knows_no_order(
    files: set[tuple[str, str, int, int, str]], order: random.Random
) -> None:
    """Every file is in one sample and one dataset, or left out with a reason, in whatever order it was listed."""
    names = [
        f"{folder}{name}_S{number}_L{lane:03d}_{read}_001.fastq.gz"
        for folder, name, number, lane, read in sorted(files)
    ]
    first = grouped(output(*names))
    taken = [file.path for one in first.samples for file in one.files]
    assert sorted([*taken, *(one.path for one in first.left_out)]) == sorted(names)
    planned = datasets(first.samples)
    assert sorted(path for one in planned for path in one.sources) == sorted(taken)
    assert len({one.name for one in planned}) == len({one.key for one in planned}) == len(planned)
    order.shuffle(names)
    second = grouped(output(*names))
    assert (second.samples, second.left_out, datasets(second.samples)) == (first.samples, first.left_out, planned)


def test_names_that_look_like_names_inside_are_whole_samples() -> None:
    """`ctl_S1_L001_R1_x` is one sample, not sample `ctl`."""
    found = grouped(output(*fastq_names(["ctl_S1_L001_R1_x", "ctl"])))
    assert [one.name for one in found.samples] == ["ctl", "ctl_S1_L001_R1_x"]
    assert found.problems == ()


def test_projects_come_from_folders_and_sheets() -> None:
    """A project's folder, a sample's folder, the converter's own folders, and the sheet where it tells."""
    assert {one.project for one in grouped(bclconvert(project="Proj")).samples} == {"Proj"}
    named = output(
        "P/id1/n1_S1_R1_001.fastq.gz",
        "id2/n2_S2_R1_001.fastq.gz",
        sheet=b"[Data]\nSample_ID,Sample_Name\nid1,n1\nid2,n2\n",
    )
    assert [(one.name, one.project) for one in grouped(named).samples] == [("n2", ""), ("n1", "P")]
    assert {one.project for one in grouped(novaseqx(), "novaseqx", "Analysis/1").samples} == {""}
    flat = output(*fastq_names(["a"]), sheet=sheet_v2(["a"], "FromSheet"))
    assert grouped(flat).samples[0].project == "FromSheet"


@pytest.mark.parametrize("row", ["phiX CT1462-2 1", "PHIX-CT1462-2-1", "phiX_CT1462-2.1", "phiX-CT1462-2-1"])
def test_columns_of_the_sheet_reach_the_sample(row: str) -> None:
    """Rows are matched as spelled, in any case, and as converters fold names."""
    tree = output(*fastq_names(["phiX-CT1462-2-1"]), sheet=f"[Data]\nSample_ID,Galaxy_History\n{row},mine\n".encode())
    found = grouped(tree)
    assert found.samples[0].columns["Galaxy_History"] == "mine"
    assert found.problems == ()


@pytest.mark.parametrize(
    ("tree", "messages"),
    [
        (bclconvert().without("S2_S2_L001_R2_001.fastq.gz"), ["R2 of S2 lane 1 is missing."]),
        (bclconvert().without("S2_S2_L001_R1_001.fastq.gz"), ["R1 of S2 lane 1 is missing."]),
        (output("a_S1_R2_001.fastq.gz"), ["R1 of a is missing."]),
        (output("a_S1_R1_001.fastq.gz").add("Reports/RunInfo.xml", run_info("r")), ["R2 of a is missing."]),
        (
            output("a_S1_R1_001.fastq.gz", sheet=sheet_v2(["a"])),
            ["R2 of a is missing."],
        ),
        (
            output("a_S1_R1_001.fastq.gz", sheet=sheet_v2(["a"], "", "FastqCompressionFormat,dragen-interleaved\r\n")),
            [],
        ),
        (output("a_S1_R1_001.fastq.gz", sheet=sheet_v2(["a"], "", "OverrideCycles,Y151;I8;I8\r\n")), []),
        (output("a_S1_R1_001.fastq.gz"), []),
        (
            output("fastq/a_S1_R1_001.fastq.gz", "a_S1_R1_001.fastq.gz"),
            ["R1 of a is there twice: a_S1_R1_001.fastq.gz and fastq/a_S1_R1_001.fastq.gz."],
        ),
        (
            output(*fastq_names(["a"]), sheet=sheet_v2(["a", "b"])),
            ["Reports/SampleSheet.csv:13:2: sample b has no files."],
        ),
        (
            output(*fastq_names(["a-b"]), sheet=sheet_v2(["a_b", "a-b"])),
            ["samples 'a-b' and 'a_b' of Reports/SampleSheet.csv are one and the same in file names."],
        ),
        (
            output(*fastq_names(["a"]), sheet=b"[Data]\nLane,Index\n1,AC\n"),
            ["Reports/SampleSheet.csv:2:1: the sample table has no Sample_ID column."],
        ),
    ],
)
def test_what_is_wrong_with_a_structure_is_told(tree: Tree, messages: list[str]) -> None:
    """One clear sentence for each problem, with the sample and lane or the sheet's line."""
    assert [one.message for one in grouped(tree).problems] == messages


def test_a_sample_without_reads_by_the_converters_own_count_is_no_problem() -> None:
    """Demultiplex_Stats.csv excuses a sample that has no files."""
    tree = output(*fastq_names(["a"]), sheet=sheet_v2(["a", "b"]))
    stats = b"Lane,SampleID,Index,# Reads\n1,a,ACGT,100\n1,b,ACGT,0\n"
    assert grouped(tree.add("Reports/Demultiplex_Stats.csv", stats)).problems == ()


def test_datasets_join_chunks_and_carry_sizes_and_extensions() -> None:
    """Chunks of one read are one dataset in their order; everything else is one dataset each."""
    found = grouped(output("a_S1_L001_R1_002.fastq.gz", "a_S1_L001_R1_001.fastq.gz", "a_S1_L002_R1_001.fastq.gz"))
    planned = datasets(found.samples)
    assert found.problems == ()
    assert [(one.key, one.sources, one.size, one.ext) for one in planned] == [
        ("001", ("a_S1_L001_R1_001.fastq.gz", "a_S1_L001_R1_002.fastq.gz"), 2 * len(READS), "fastqsanger.gz"),
        ("002", ("a_S1_L002_R1_001.fastq.gz",), len(READS), "fastqsanger.gz"),
    ]


def test_equal_base_names_are_told_apart_by_their_folder() -> None:
    """Names in a history are unique."""
    two = [sample("x", (f"{project}/x_1.fq", "R1", 0), project=project) for project in ("P", "Q")]
    assert [one.name for one in datasets(two)] == ["x_1.fq (P)", "x_1.fq (Q)"]


def test_many_datasets_have_keys_of_one_width() -> None:
    """Keys sort as text in the order of the datasets."""
    keys = [one.key for one in datasets([sample(f"s{n:04d}", (f"{n:04d}.bam", "", 0)) for n in range(1001)])]
    assert keys == sorted(keys) and keys[0] == "0001" and keys[-1] == "1001"


PAIR = sample("a", ("a_1", "R1", 0), ("a_2", "R2", 0))
SINGLE = sample("s", ("s_1", "R1", 0))
LANES = sample("l", ("l11", "R1", 1), ("l12", "R2", 1), ("l21", "R1", 2), ("l22", "R2", 2))
THREE = sample("t", ("t1", "R1", 0), ("t2", "R2", 0), ("t3", "R3", 0))
PAIRED = ["forward", "reverse"]


@pytest.mark.parametrize(
    ("type_", "samples", "expected"),
    [
        ("auto", [PAIR, LANES], ("list:paired", [("a", PAIRED), ("l_L001", PAIRED), ("l_L002", PAIRED)])),
        ("auto", [SINGLE], ("list", [("s", "001")])),
        ("auto", [PAIR, SINGLE], ("list", [("a_R1", "001"), ("a_R2", "002"), ("s", "003")])),
        ("auto", [THREE], ("list", [("t_R1", "001"), ("t_R2", "002"), ("t_R3", "003")])),
        ("list", [PAIR], ("list", [("a_R1", "001"), ("a_R2", "002")])),
        ("paired", [PAIR], ("paired", [("forward", "001"), ("reverse", "002")])),
        ("list:paired", [PAIR], ("list:paired", [("a", PAIRED)])),
        ("auto", [sample("b", ("p/b.bam", "", 0))], ("list", [("b", "001")])),
    ],
)
def test_collections_take_the_shape_asked_for(type_: str, samples: list[Sample], expected: object) -> None:
    """Samples and lanes are elements, reads are forward and reverse; `auto` pairs only what is all pairs."""
    assert shape(collection(type_, "run", samples, datasets(samples))) == expected


@pytest.mark.parametrize(
    ("type_", "samples", "word"),
    [
        ("paired", [PAIR, sample("b", ("b_1", "R1", 0), ("b_2", "R2", 0))], "cannot be paired: it has 2 pairs"),
        ("paired", [LANES], "2 pairs"),
        ("paired", [SINGLE], "s has not exactly one R1 and one R2"),
        ("list:paired", [PAIR, SINGLE], "cannot be list:paired: s has not"),
        ("list:paired", [THREE], "t has not"),
        ("list", [], "would be empty"),
        ("tree", [PAIR], "no collection type 'tree'"),
        ("auto", [PAIR, sample("a", ("q/a_1", "R1", 0), ("q/a_2", "R2", 0), project="q")], "would have a twice"),
        ("auto", [LANES, sample("l_L001", ("x1", "R1", 0), ("x2", "R2", 0))], "would have l_L001 twice"),
    ],
)
def test_collections_that_cannot_be_made_are_refused(type_: str, samples: list[Sample], word: str) -> None:
    """The reason names the sample or the type."""
    with pytest.raises(PlanError, match=word):
        collection(type_, "run", samples, datasets(samples))


def test_no_collection_is_a_wish_too() -> None:
    """Type `none` makes none."""
    assert collection("none", "run", [PAIR], datasets([PAIR])) is None


def test_the_sheet_of_a_miseq_names_its_columns() -> None:
    """A whole run folder, from sheet to elements."""
    found = grouped(miseq(["x", "y"]), "miseq-msr")
    assert found.problems == ()
    assert [one.columns for one in found.samples] == [
        {"Sample_ID": "x", "index": "ACGT"},
        {"Sample_ID": "y", "index": "ACGT"},
    ]
    planned = collection("auto", "run", found.samples, datasets(found.samples))
    assert shape(planned) == ("list:paired", [("x", PAIRED), ("y", PAIRED)])
