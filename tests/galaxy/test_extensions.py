"""Extensions are held against what an input takes, as Galaxy's datatypes say."""

from __future__ import annotations

from collections.abc import Collection

import pytest

from watcher.galaxy.extensions import extension_problems
from watcher.galaxy.workflows import WorkflowInput


class Kinds:
    """Datatypes in which a `fastqsanger.gz` is a `fastq.gz`, and Galaxy unpacks it by itself."""

    def fits(self, ext: str, wanted: Collection[str]) -> bool:
        """Tell whether it is the same, or any of them is its kind."""
        return ext in wanted or (ext == "fastqsanger.gz" and "fastq.gz" in wanted)

    def converts(self, ext: str, wanted: Collection[str]) -> bool:
        """Tell that the packed one is unpacked where that is wanted."""
        return ext == "fastqsanger.gz" and "fastqsanger" in wanted


@pytest.mark.parametrize(
    ("takes", "ext", "told"),
    [
        ((), "bam", []),
        (("fastq.gz",), "fastqsanger.gz", []),
        (("fastqsanger",), "fastqsanger.gz", []),
        (("bam", "sam"), "fastqsanger.gz", ["Input “Reads” takes bam or sam, not fastqsanger.gz (S1.fq and 3 more)."]),
        (("fastqsanger.gz",), "fastq.gz", ["Input “Reads” takes fastqsanger.gz, not fastq.gz (S1.fq and 3 more)."]),
    ],
)
def test_what_an_input_does_not_take_is_told(takes: tuple[str, ...], ext: str, told: list[str]) -> None:
    """A kind of what it takes fits, and what Galaxy converts by itself; an input that names nothing takes all."""
    wanted = WorkflowInput("Reads", 0, "dataset", accepts=(takes,) if takes else ())
    assert extension_problems(wanted, {ext: "S1.fq and 3 more"}, Kinds()) == told


def test_each_extension_is_held_and_an_input_without_a_label_goes_by_its_number() -> None:
    """Of several extensions only those that do not fit are told."""
    wanted = WorkflowInput("", 3, "collection", accepts=(("bam",),))
    exts = {"bam": "a.bam", "cram": "b.cram", "pod5": "c.pod5"}
    assert extension_problems(wanted, exts, Kinds()) == [
        "Input “3” takes bam, not cram (b.cram).",
        "Input “3” takes bam, not pod5 (c.pod5).",
    ]
