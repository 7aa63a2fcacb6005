"""What a column of the sample sheet says of samples, for rules, names and workflow inputs.

A name or an input has one value for a whole batch: where the samples differ, or one of them says nothing, there is no
plan, and the reason names column and samples. Knows samples as they were grouped, no sheet and no template.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches

from watcher.errors import PlanError
from watcher.model import Sample


def cells_of(sample: Sample) -> Mapping[str, tuple[str, ...]]:
    """Return what the sheet says of a sample, by lower-case column: several cells where its rows differ, or where two
    columns differ in case only.
    """
    cells: dict[str, dict[str, None]] = {}
    for column, cell in sample.columns.items():
        cells.setdefault(column.lower(), {}).update(dict.fromkeys(sample.several.get(column, (cell,))))
    return {column: tuple(found) for column, found in cells.items()}


def cell_of(sample: Sample, column: str) -> str:
    """Return the one cell of a sample in a column, as spelled, else in any case; PlanError when there is none, or
    several.
    """
    cells = cells_of(sample)
    found = cells.get(column.lower(), ())
    if column in sample.columns:
        found = sample.several.get(column, (sample.columns[column],))
    if len(found) > 1:
        raise PlanError(
            f"Column {column} of the sample sheet says several things of sample {sample.name}: {_quoted(found)}.",
            hint="Name a column that says the same in every row of a sample.",
        )
    if not found:
        near = get_close_matches(column.lower(), cells, n=1)
        spelled = next((one for one in sample.columns if near and one.lower() == near[0]), "")
        raise PlanError(
            f"The sample sheet says nothing of sample {sample.name} in column {column}.",
            hint=f"Did you mean {spelled}?" if spelled else "Fill the column, or name another one in the rule.",
        )
    return found[0]


def shared_cell(samples: Sequence[Sample], column: str) -> str:
    """Return what all samples of a batch say in a column; PlanError when they differ, or one says nothing."""
    first, value = samples[0], cell_of(samples[0], column)
    for sample in samples[1:]:
        if (other := cell_of(sample, column)) != value:
            raise PlanError(
                f"Column {column} of the sample sheet has no single value for this batch:"
                f" `{value}` for sample {first.name}, `{other}` for sample {sample.name}.",
                hint="Set `per: sample`, or name another column in the rule.",
            )
    return value


def _quoted(cells: Sequence[str]) -> str:
    return " and ".join(f"`{cell}`" for cell in cells[:2])
