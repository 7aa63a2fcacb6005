"""The page of figures, as Markdown: what was measured, on what, with the promise beside each figure.

Nothing is measured or decided here; see `figures.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.figures import Figure, NotMeasured, Table
from benchmarks.machine import Machine

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"

HEAD = """\
# Performance

Measured and written by `make bench`; nothing here is typed by hand. One measurement alone is printed only:
`make bench ARGS=content` (or `cores`, `marker`, `footprint`, `scale`, `small`, `large`); with `ARGS="scale --page"` its
table takes the place of the one here, and says so. What is measured how stands in `benchmarks/`.
"""
BUSY = """\
**Measured on a busy machine**: other programs ran at the same time. Times are longer than they need to be, and
comparisons are uneven.
"""


def page(machine: Machine, tables: Iterable[Table | NotMeasured], took_s: float) -> str:
    """Return the whole page."""
    facts = [f"- {line}" for line in machine.lines()]
    facts.append(f"- {datetime.now(UTC):%Y-%m-%d}, {took_s / 60:.1f} minutes in all")
    parts = [HEAD, *([BUSY] if machine.is_busy else []), "\n".join(facts) + "\n"]
    parts += ["\n".join(table_lines(table)) + "\n" for table in tables]
    return "\n".join(parts)


def with_tables(text: str, tables: Iterable[Table | NotMeasured]) -> str:
    """Return the page with these tables in the places of those of the same titles; ValueError where it has none."""
    for table in tables:
        before, found, after = text.partition(f"## {table.title}\n")
        if not found:
            raise ValueError(f"the page has no table `{table.title}`")
        _, next_one, rest = after.partition("\n## ")
        again = f"Measured once more by itself, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC."
        text = before + "\n".join([*table_lines(table), "", again]) + "\n" + (next_one + rest)
    return text


def table_lines(table: Table | NotMeasured) -> Sequence[str]:
    """Return one section."""
    if isinstance(table, NotMeasured):
        return [f"## {table.title}", "", f"Not measured: {table.reason}"]
    rows = ["| What | Measured | Target | | |", "|---|---|---|---|---|", *(_row(figure) for figure in table.figures)]
    return [f"## {table.title}", "", table.about, "", *rows]


def _row(figure: Figure) -> str:
    measured = f"{figure.value:.{figure.digits}f} {figure.unit}".strip()
    target = figure.target.shown(figure.unit) if figure.target else ""
    verdict = f"**{figure.verdict}**" if figure.verdict == "missed" else figure.verdict
    return f"| {figure.what} | {measured} | {target} | {verdict} | {figure.how} |"
