"""Columns of the sample sheet in rules: one value for a batch, or a reason that names column and samples."""

from __future__ import annotations

import pytest

from watcher.errors import PlanError
from watcher.model import Sample, SampleFile
from watcher.runs.collecting import collection
from watcher.runs.grouping import datasets
from watcher.runs.sheet_columns import cell_of, cells_of, shared_cell


def sample(name: str, several: dict[str, tuple[str, ...]] | None = None, **columns: str) -> Sample:
    """Return a sample with these cells."""
    files = tuple(SampleFile(path=f"{name}_{read}.fq", read=read, lane=0, size=1) for read in ("R1", "R2"))
    return Sample(name=name, files=files, columns=columns, several=several or {})


A, B = sample("a", PI="botany", Kit="x"), sample("b", PI="zoology", Kit="x", Colour="red")
TWO = sample("two", {"Lane": ("1", "2")}, PI="botany", Lane="1")


def test_a_column_is_found_in_any_case() -> None:
    """What all samples say alike is the batch's value."""
    assert shared_cell([A, B], "kit") == shared_cell([A, B], "KIT") == "x"
    assert cells_of(TWO) == {"pi": ("botany",), "lane": ("1", "2")}


def test_columns_that_differ_in_case_are_told_apart_by_their_spelling() -> None:
    """A rule matches by either of them; a name needs the spelling of one."""
    both = Sample(name="s", files=(), columns={"PI": "Fern", "pi": "Moss"})
    assert cells_of(both) == {"pi": ("Fern", "Moss")}
    assert (cell_of(both, "PI"), cell_of(both, "pi")) == ("Fern", "Moss")
    with pytest.raises(PlanError, match="several things of sample s: `Fern` and `Moss`"):
        cell_of(both, "Pi")


@pytest.mark.parametrize(
    ("samples", "column", "words", "hint"),
    [
        ([A, B], "PI", ["Column PI", "`botany` for sample a", "`zoology` for sample b"], "per: sample"),
        ([A, B], "Colour", ["nothing of sample a in column Colour"], "Fill the column"),
        ([B, A], "Colour", ["nothing of sample a in column Colour"], "Fill the column"),
        ([B], "Color", ["nothing of sample b in column Color"], "Did you mean Colour?"),
        ([TWO], "Lane", ["Column Lane", "several things of sample two: `1` and `2`"], "same in every row"),
    ],
)
def test_a_column_without_a_single_value_is_refused(
    samples: list[Sample], column: str, words: list[str], hint: str
) -> None:
    """The reason names the column and the samples, the hint what can be done."""
    with pytest.raises(PlanError) as refused:
        shared_cell(samples, column)
    assert all(word in refused.value.message for word in words)
    assert hint in refused.value.hint


def test_elements_are_called_by_a_column() -> None:
    """Equal names in one collection stay refused."""
    planned = datasets([A, B])
    made = collection("auto", "run", [A, B], planned, called=lambda one: cell_of(one, "PI"))
    assert made is not None
    assert [one.name for one in made.elements] == ["botany", "zoology"]
    with pytest.raises(PlanError, match="would have x twice"):
        collection("auto", "run", [A, B], planned, called=lambda one: cell_of(one, "Kit"))
