"""Small workflows whose endings are known beforehand, as gxformat2 documents."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]
READ_1 = {"File": {"read": "R1"}}
"""What `one_file` takes of a batch: the file of its only sample with this read."""


def waiting(of: str, **state: Any) -> Json:
    """Return a step that waits, copies and ends with a code."""
    return {
        "tool_id": "wait_then_exit", "tool_version": "1.0", "in": {"infile": of},
        "state": {"seconds": 0, "code": 0, **state},
    }  # fmt: skip


def counting(of: str) -> Json:
    """Return a step that counts reads."""
    return {"tool_id": "count_reads", "tool_version": "1.0", "in": {"reads": of}, "state": {"minlen": 0}}


def document(label: str, inputs: Json, outputs: dict[str, str], steps: Json) -> Json:
    """Return a workflow; `outputs` are sources by label."""
    sources = {name: {"outputSource": source} for name, source in outputs.items()}
    return {"class": "GalaxyWorkflow", "label": label, "inputs": inputs, "outputs": sources, "steps": steps}


def one_file(label: str, *, seconds: int = 0, code: int = 0) -> Json:
    """Return a workflow of two jobs in a row, the second of which waits and ends with the code."""
    return document(
        label,
        {"File": {"type": "data", "format": ["fastqsanger.gz"]}},
        {"counts": "count/counts", "copy": "wait/out"},
        {"count": counting("File"), "wait": waiting("count/counts", seconds=seconds, code=code)},
    )


def each_sample(label: str) -> Json:
    """Return a workflow that runs for each sample by itself, and fails for one with few reads; a step hangs on that."""
    enough = {"tool_id": "enough_reads", "tool_version": "1.0", "in": {"reads": "Reads"}, "state": {"least": 10}}
    return document(
        label,
        {"Reads": {"type": "collection", "collection_type": "list:paired", "format": ["fastqsanger.gz"]}},
        {"counts": "all/counts", "enough": "enough/counts", "copy": "wait/out"},
        {"all": counting("Reads"), "enough": enough, "wait": waiting("enough/counts")},
    )


def first_of_chain(label: str, *, code: int = 0) -> Json:
    """Return a workflow that makes a collection and a dataset."""
    return document(
        label,
        {
            "Reads": {"type": "collection", "collection_type": "list:paired", "format": ["fastqsanger.gz"]},
            "File": {"type": "data", "format": ["fastqsanger.gz"]},
        },
        {"tables": "many/counts", "table": "wait/out"},
        {"many": counting("Reads"), "one": counting("File"), "wait": waiting("one/counts", code=code)},
    )


def second_of_chain(label: str) -> Json:
    """Return a workflow that takes a collection and a dataset of tables."""
    return document(
        label,
        {
            "Tables": {"type": "collection", "collection_type": "list:paired", "format": ["tabular"]},
            "Table": {"type": "data", "format": ["tabular"]},
        },
        {"copies": "many/out", "copy": "one/out"},
        {"many": waiting("Tables"), "one": waiting("Table")},
    )


def dying_once(label: str, mark: str) -> Json:
    """Return a workflow whose job is killed the first time, and makes the folder `mark` by that."""
    dying = {"tool_id": "dies_once", "tool_version": "1.0", "in": {"infile": "File"}, "state": {"mark": mark}}
    return document(label, {"File": {"type": "data"}}, {"copy": "copy/out"}, {"copy": dying})
