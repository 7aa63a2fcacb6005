"""Worlds of more than one workflow that ends well at once, and what has to hold in the end: each attempt has one
invocation, something of its own went into it, and results are home once.

In a chain the second workflow takes a collection and a dataset of the first one, and a third one a single file. The
other worlds have one workflow, which tests let be paused, wait for a review, be killed, or fail.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.contracts.room.runs import asked, repeat_by_hand
from tests.crash.runner import LIMITS
from tests.delivered import assert_whole
from tests.world import ROOT, RUN, World
from watcher.model import HistoryId, JobId

Json = dict[str, Any]
REVIEWED = "Count with a review"
CHAIN = ("first", "second", "alone")


def _step(tool: str, of: str) -> Json:
    name = "reads" if tool == "count_reads" else "infile"
    state = {"minlen": 0} if tool == "count_reads" else {"seconds": 0, "code": 0}
    return {"tool_id": tool, "tool_version": "1.0", "in": {name: of}, "state": state}


def _document(label: str, inputs: Json, outputs: dict[str, str], steps: Json) -> Json:
    sources = {name: {"outputSource": source} for name, source in outputs.items()}
    return {"class": "GalaxyWorkflow", "label": label, "inputs": inputs, "outputs": sources, "steps": steps}


def _pairs(ext: str) -> Json:
    return {"type": "collection", "collection_type": "list:paired", "format": [ext]}


def chain_documents() -> list[Json]:
    """Return the three workflows of a chain, and one of a single job that people can run again."""
    file = {"type": "data", "format": ["fastqsanger.gz"]}
    first = _document(
        "first",
        {"Reads": _pairs("fastqsanger.gz"), "File": file},
        {"tables": "many/counts", "table": "one/counts"},
        {"many": _step("count_reads", "Reads"), "one": _step("count_reads", "File")},
    )
    second = _document(
        "second",
        {"Tables": _pairs("tabular"), "Table": {"type": "data", "format": ["tabular"]}},
        {"copies": "many/out", "copy": "one/out"},
        {"many": _step("wait_then_exit", "Tables"), "one": _step("wait_then_exit", "Table")},
    )
    alone = _document("alone", {"File": file}, {"single": "one/counts"}, {"one": _step("count_reads", "File")})
    waits = _document("waits", {"File": file}, {"waited": "one/out"}, {"one": _step("wait_then_exit", "File")})
    return [first, second, alone, waits]


def chain_rule() -> list[Json]:
    """Return how a rule names them."""
    tables = {"Tables": {"from": "first", "output": "tables"}, "Table": {"from": "first", "output": "table"}}
    return [
        {"key": "first", "name": "first", "inputs": {"Reads": "reads", "File": {"read": "R1"}}},
        {"key": "second", "name": "second", "inputs": tables},
        {"key": "alone", "name": "alone", "inputs": {"File": {"read": "R2"}}},
    ]


def waiting_workflow() -> Json:
    """Return how a rule names the workflow of a single job."""
    return {"name": "waits", "inputs": {"File": {"read": "R1"}}}


def repeat_the_failed_job(world: World) -> None:
    """Run the job that failed once more, in its place and with success, as a person does."""
    (failed,) = [row for row in world.fake.jobs() if row["state"] == "error"]
    infile = asked(world.fake, "GET", f"/api/jobs/{failed['id']}")["inputs"]["infile"]["id"]
    history = HistoryId(world.fake.histories()[0]["id"])
    repeat_by_hand(world.fake, history, JobId(failed["id"]), infile, code=0)
    world.fake.wait_idle()


def reviewed_workflow(*, reviews: str = "release") -> Json:
    """Return how a rule names the workflow with a review."""
    return {"name": REVIEWED, "inputs": {"File": {"read": "R1"}}, "reviews": reviews}


@contextmanager
def workflow_world(
    folder: Path, workflow: Json | list[Json] | None = None, *, uncertain_for: str = "10s", **more: Any
) -> Iterator[World]:
    """Give a finished run of one sample, all workflows in Galaxy, and a rule that uses those named, or the counting
    workflow with `more` settings. For so long a lost answer may come true, on the daemon's clock.
    """
    with World(folder) as made:
        for document in chain_documents():
            made.fake.import_workflow(document)
        made.fake.import_workflow(_review_document())
        (made.results / "always").mkdir()
        deliver = [
            {"folder": f"{made.results}/{{run}}"},
            {"folder": f"{made.results}/always/{{run}}", "on": "always"},
        ]
        rule = {"workflow": workflow or {**made.workflow, **more}, "deliver": deliver}
        made.write_config(limits={**LIMITS, "uncertain_for": uncertain_for}, rule=rule)
        made.add_run(samples=("S1",), reads=60, bases=60)
        yield made


def _review_document() -> Json:
    document: Json = json.loads((ROOT / "tests" / "live" / "review.ga").read_text())
    return document


async def batch_of(world: World) -> Json:
    """Return the only batch, as `show` tells of it."""
    (unit,) = (await world.status())["units"]
    (batch,) = (await world.show(unit["id"]))["batches"]
    found: Json = batch
    return found


async def assert_runs_once(
    world: World, attempts: dict[str, list[str]], *, collections: int, copies: int, files: int
) -> None:
    """Hold Galaxy, the delivery folders and the report against the run.

    `attempts` are how the attempts of each workflow ended, by key; so many `collections` and `copies` were made for
    them, and so many `files` are home in each folder.
    """
    batch = await batch_of(world)
    assert (batch["status"], batch["checked"]) == ("done", "SHA-256"), batch
    rows = batch["attempts"]
    ended = {key: [row["status"] for row in rows if row["key"] == key] for key in {row["key"] for row in rows}}
    assert ended == attempts
    there = [row["id"] for row in world.fake.invocations()]
    assert sorted(row["id"] for row in rows) == sorted(there), (rows, world.fake.invocations())
    assert [(one["key"], one["number"]) for one in batch["records"]] == sorted(
        (row["key"], row["number"]) for row in rows if row["status"] != "cancelled"
    )
    tag = f"watcher:{batch['id']}"
    ours = [row for row in world.fake.collections() if not row["made_by_tool"]]
    assert (len(ours), {tuple(row["tags"][-1:]) for row in ours} <= {(tag,)}) == (collections, True), ours
    copied = [row for row in world.fake.datasets() if row["copied"]]
    assert len(copied) == copies, copied
    assert all(count == 1 for count in Counter(tag for row in copied for tag in row["tags"]).values())
    assert all(row["tags"] and row["tags"][0].startswith(tag) for row in copied)
    assert world.uploads() == world.fastqs()
    assert sum(row["uploaded"] for row in world.fake.datasets()) == len(world.fastqs())
    assert len(world.fake.histories()) == 1
    for folder in (world.results / RUN, world.results / "always" / RUN):
        assert_whole(folder, files)
