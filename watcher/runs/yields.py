"""Which samples have no reads, in the words of the run's own statistics.

Where such a list stands and how it names samples and counts is told by the layout (`sheet.zero`). What cannot be read
says nothing: only a count that is there, and zero in every row of a sample, excuses that the sample has no files.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from watcher.runs.filenames import folded
from watcher.runs.layout_values import Counts
from watcher.runs.markup import NotReadable, csv_rows, json_rows
from watcher.runs.view import UnitView


def without_reads(view: UnitView) -> Mapping[str, str]:
    """Return the samples (folded) that the run's statistics list without a single read, and which file says so."""
    reads: dict[str, int] = {}
    told: dict[str, str] = {}
    for counts in view.layout.zero_yield:
        for facts in view.find([counts.glob]):
            for sample, count in _rows(counts, view.contents.get(facts.path, b"")):
                reads[sample] = reads.get(sample, 0) + count
                told[sample] = facts.path
    return {sample: told[sample] for sample, count in reads.items() if not count}


def _rows(counts: Counts, content: bytes) -> Iterable[tuple[str, int]]:
    try:
        if counts.kind == "json":
            rows = json_rows(content, counts.at)
        else:
            rows = csv_rows(content, "\t" if counts.kind == "tsv" else ",")
    except NotReadable:
        return
    for row in rows:
        sample, count = str(row.get(counts.sample) or "").strip(), str(row.get(counts.reads, "")).strip()
        if sample and count.isdecimal():
            yield folded(sample), int(count)
