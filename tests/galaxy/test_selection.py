"""What the patterns of `outputs:` select, word by word."""

from __future__ import annotations

import pytest

from watcher.galaxy.selection import is_known_later, selects, selects_dataset, selects_step


@pytest.mark.parametrize(
    ("pattern", "outputs"),
    [
        ("step:fastqc/html_file", ["html_file"]),
        ("step:2/*_file", ["html_file", "text_file"]),
        ("step:fast*/raw", ["raw"]),
        ("step:3/raw", []),
        ("step:fastqc/other", []),
        ("step:fastqc", []),
        ("fastqc/raw", []),
    ],
)
def test_outputs_of_a_step(pattern: str, outputs: list[str]) -> None:
    """The step is named by label or by number as in the workflow file, the output by its name in the tool."""
    assert selects_step(pattern, 2, "fastqc", ["html_file", "text_file", "raw"]) == outputs


def test_step_without_a_label_has_only_its_number() -> None:
    """A pattern that fits an empty text does not name it."""
    assert selects_step("step:/raw", 2, "", ["raw"]) == []
    assert selects_step("step:2/raw", 2, "", ["raw"]) == ["raw"]


@pytest.mark.parametrize(
    ("pattern", "fits"),
    [
        ("ext:bam", True),
        ("ext:BAM", True),
        ("ext:b*", True),
        ("ext:cram", False),
        ("tag:final", True),
        ("tag:name:s*", True),
        ("tag:#sample", True),
        ("tag:sample", False),
        ("bam", False),
        ("*", False),
    ],
)
def test_datasets_by_extension_and_tag(pattern: str, fits: bool) -> None:
    """Galaxy shows the tag `name:sample` as `#sample`, and both may be written."""
    assert selects_dataset(pattern, "bam", ("final", "name:sample")) is fits


def test_what_only_galaxy_can_answer() -> None:
    """Extensions and tags are known when the results are there, labels and steps before."""
    assert [one for one in ("copy", "step:1/out", "ext:bam", "tag:x") if is_known_later(one)] == ["ext:bam", "tag:x"]


def test_label_that_looks_like_a_pattern_of_another_kind() -> None:
    """A label is always found by its own name."""
    assert selects("ext:bam", ["ext:bam"])
