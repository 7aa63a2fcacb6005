"""Collections of each type: which elements they have, and when a type cannot be made of some samples."""

from __future__ import annotations

from typing import Any

import pytest

from tests.runs.test_grouping import sample
from watcher.errors import PlanError
from watcher.model import PlannedElement
from watcher.runs.collecting import collection
from watcher.runs.grouping import datasets

PAIRED = sample("a", ("a_R1.fastq.gz", "R1", 1), ("a_R2.fastq.gz", "R2", 1))
SINGLE = sample("b", ("b_R1.fastq.gz", "R1", 1))
ALONE = sample("c", ("c.bam", "", 0))
LANES = sample("d", *((f"d_L{lane}_{read}.fastq.gz", read, lane) for lane in (1, 2) for read in ("R1", "R2")))
INDEXED = sample("e", *((f"e_{read}.fastq.gz", read, 0) for read in ("I1", "R1", "R2")))
TWO_FILES = sample("f", ("f1.bam", "", 0), ("f2.bam", "", 0))


def made(type_: str, *samples: Any) -> Any:
    """Return the elements by name, a dataset as the name of its file."""
    planned = datasets(samples)
    built = collection(type_, "run", samples, planned)
    assert built is not None and built.type == type_
    names = {one.key: one.name for one in planned}

    def shown(elements: tuple[PlannedElement, ...]) -> Any:
        return {one.name: names[one.dataset] if one.dataset else shown(one.elements) for one in elements}

    return shown(built.elements)


def test_a_list_of_pairs_and_single_files() -> None:
    """What is a pair is one, what is a single file stands alone; each lane is an element of its own."""
    assert made("list:paired_or_unpaired", PAIRED, SINGLE, ALONE) == {
        "a": {"forward": "a_R1.fastq.gz", "reverse": "a_R2.fastq.gz"},
        "b": {"unpaired": "b_R1.fastq.gz"},
        "c": {"unpaired": "c.bam"},
    }
    assert list(made("list:paired_or_unpaired", LANES)) == ["d_L001", "d_L002"]


def test_one_sample_that_may_be_single() -> None:
    """A collection for a single sample has its file or files as elements."""
    assert made("paired_or_unpaired", PAIRED) == {"forward": "a_R1.fastq.gz", "reverse": "a_R2.fastq.gz"}
    assert made("paired_or_unpaired", ALONE) == {"unpaired": "c.bam"}


def test_a_list_of_lists_has_a_list_for_each_sample() -> None:
    """All files of a sample are inside its element, by lane and read, counted where neither is told."""
    assert made("list:list", SINGLE, LANES, INDEXED, TWO_FILES, ALONE) == {
        "b": {"L001_R1": "b_R1.fastq.gz"},
        "c": {"1": "c.bam"},
        "d": {f"L00{lane}_{read}": f"d_L{lane}_{read}.fastq.gz" for lane in (1, 2) for read in ("R1", "R2")},
        "e": {"I1": "e_I1.fastq.gz", "R1": "e_R1.fastq.gz", "R2": "e_R2.fastq.gz"},
        "f": {"1": "f1.bam", "2": "f2.bam"},
    }


@pytest.mark.parametrize(
    ("type_", "samples", "told"),
    [
        ("list:paired_or_unpaired", (INDEXED,), "e has not exactly one R1 and one R2, nor a single file"),
        ("list:paired_or_unpaired", (TWO_FILES,), "would have f twice"),
        ("paired_or_unpaired", (PAIRED, SINGLE), "it has 2 samples, a the first"),
        ("list:paired", (PAIRED, SINGLE), "b has not exactly one R1 and one R2."),
        ("list:list", (PAIRED, sample("a", ("x/a_R1.fastq.gz", "R1", 1), project="x")), "would have a twice"),
        ("list:list:list", (PAIRED,), "no collection type"),
    ],
)
def test_what_cannot_be_made_is_told(type_: str, samples: Any, told: str) -> None:
    """The sentence names the sample, and what is wrong with it."""
    with pytest.raises(PlanError) as refused:
        made(type_, *samples)
    assert told in refused.value.message
