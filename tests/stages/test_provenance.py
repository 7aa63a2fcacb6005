"""What is told of a batch beside its results: true to what was done, the same each time, and nothing that must stay."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.stages.test_sheet_columns import CANARY, write_sheet
from tests.world import RUN, World
from watcher.delivery.crate import record_files
from watcher.model import (
    DatasetId,
    InvocationId,
    Plan,
    PlannedDataset,
    PlannedDelivery,
    PlannedSheet,
    PlannedWorkflow,
    Sample,
    SampleFile,
    Status,
    WorkflowId,
)
from watcher.results import OURS
from watcher.rows import Batch, Dataset, DeliveredFile, Invocation, InvocationRecord
from watcher.service.daemon import Daemon
from watcher.stages.provenance import Kept, batch_record, record_of

Json = dict[str, Any]
HOST = "/srv/sequencers/miseq"
USED, UNUSED = "used-", "person-"


async def recorded(world: World) -> list[dict[str, bytes]]:
    """Return the files of the only batch's record, asked for by two daemons one after the other."""
    found = []
    for _ in range(2):
        async with Daemon(world.settings()).running() as rooms:
            (unit,) = await rooms.store.units()
            (batch,) = await rooms.store.batches(unit.id)
            files = await rooms.store.delivered_files(batch.id)
            results = [file for file in files if file.path not in OURS]
            found.append(record_files(await batch_record(batch, rooms, results)))
    return found


async def test_a_record_tells_what_was_done(world: World) -> None:
    """Sources and results have their true size and SHA-256, steps their tool, parameters and jobs; a second daemon
    writes the same bytes.
    """
    world.fake.engine.hashes_outputs = True
    world.add_run(samples=("S1",))
    (unit,) = (await world.once())["units"]
    assert unit["status"] == "done", unit
    first, again = await recorded(world)
    assert first == again == {name: (world.results / RUN / name).read_bytes() for name in first}
    told: Json = json.loads(first["batch.json"])
    sources = [source for dataset in told["datasets"] for source in dataset["sources"]]
    assert {Path(source["path"]).name: source["sha256"] for source in sources} == world.fastqs()
    assert all((world.watched / RUN / source["path"]).stat().st_size == source["size"] for source in sources)
    assert {dataset["checked"] for dataset in told["datasets"]} == {"SHA-256"}
    (manifest,) = world.results.rglob("MANIFEST.sha256")
    lines = [line.partition("  ") for line in manifest.read_text().splitlines()]
    listed = {path: sha256 for sha256, _, path in lines if path not in OURS}
    assert {result["path"]: result["sha256"] for result in told["results"]} == listed
    assert {result["checked"] for result in told["results"]} == {"SHA-256"}
    (invocation,) = told["invocations"]
    (shown,) = unit["batches"][0]["invocations"]
    assert (invocation["id"], invocation["url"], invocation["status"]) == (shown["id"], shown["url"], "done")
    assert invocation["uuid"]
    assert invocation["inputs"] == {"Reads": "reads"}
    assert all(step["tool_id"] and step["tool_version"] and step["jobs"] for step in invocation["steps"])
    assert {job["exit_code"] for step in invocation["steps"] for job in step["jobs"]} == {0}
    assert (told["galaxy"]["url"], told["galaxy"]["version"]) == (world.fake.url, world.fake.version)
    assert (told["run"], told["ending"]) == (RUN, "ok")
    assert told["planned_at"].endswith("+00:00")
    assert told["planned_at"] < told["ended_at"]


async def test_no_word_of_the_sheet_leaves_but_for_used_columns(world: World) -> None:
    """Cells that the rule uses are told with the sheet's hash; a person's name in another column leaves no trace, nor
    does a path of this host or the key.
    """
    world.write_config(rule={"match": {"sheet": {"group": "so*"}}, "tags": ["{sheet.Galaxy_History}"]})
    write_sheet(world.add_run(), "S1,soil,June,12", "S2,soil,June,13")
    await world.once()
    first, _ = await recorded(world)
    told = json.loads(first["batch.json"])
    assert [sample["columns"] for sample in told["samples"]] == [{"Galaxy_History": ["June"], "Group": ["soil"]}] * 2
    assert told["sheet"]["columns"] == ["Galaxy_History", "Group"]
    assert len(told["sheet"]["sha256"]) == 64
    for content in first.values():
        for kept in (CANARY, "n-S1", "ACGTA", "E-Mail", str(world.folder), world.fake.key):
            assert kept.encode() not in content, kept


# --- whatever stands in the rows ------------------------------------------------------------------------------------


words = st.text("abcdefghijklmnopqrstuvwxyzäß0123456789 ", min_size=3, max_size=12).map(str.strip).filter(len)
columns = st.lists(words.map(str.title), min_size=2, max_size=6, unique_by=str.lower)
paths = st.lists(words, min_size=1, max_size=3).map(lambda parts: "/".join((HOST, *parts)))


def batch_of(
    headers: Sequence[str], used: int, cells: Sequence[str], texts: Sequence[str], place: str
) -> tuple[Batch, Kept, list[DeliveredFile]]:
    """Return rows whose unused cells, project, paths and secret are marked, in every place where they may stand."""
    project = f"{UNUSED}project"
    said = {
        header: (USED if number < used else UNUSED) + cells[number % len(cells)]
        for number, header in enumerate(headers)
    }
    source = f"Analysis/1/{project}/S1_R1.fastq.gz"
    deliver = {"folder": place + "/{run}" + "".join(f"/{{sheet.{header}}}" for header in headers[:used])}
    workflow = PlannedWorkflow(
        key="1", ref=f"{place}/qc.ga", by="file", workflow_id=WorkflowId("w1"), uuid="u1",
        inputs={"Reads": "reads", "adapters": f"{place}/adapters.fa", "free": [f"see {place}", *texts]},
        cells={"minlen": said[headers[0]]} if used else {}, steps={"fastp": {"more": f"--index={place}/x"}},
    )  # fmt: skip
    plan = Plan(
        rule="all", watch="miseq", galaxy="main", run="run1", unit="Analysis/1", path=f"{HOST}/run1", history="run1",
        sheet=PlannedSheet(path="SampleSheet.csv", sha256="0" * 64),
        samples=(Sample(name="S1", project=project, files=(SampleFile(path=source),), columns=said,
                        several={header: (cell, cell + "2") for header, cell in said.items()}),),
        datasets=(PlannedDataset(key="d1", name="S1_R1.fastq.gz", ext="fastqsanger.gz", sources=(source,), size=1,
                                 sample="S1", server_path=f"{place}/{source}"),),
        workflows=(workflow,), deliveries=(PlannedDelivery(key="1", folder=f"{place}/run1", base=place),),
        rule_text={"name": "all", "per": "run", "deliver": [deliver], "match": {"project": ["*"], "sheet": {}}},
    )  # fmt: skip
    batch = Batch("k7m2x9-1", "k7m2x9", "all", plan)
    shown = (place, f"of {place}/x", *texts)
    step = {"invocation": "i1", "index": 1, "label": "fastp", "tool_id": "fastp", "tool_version": "1",
            "parameters": [{"depth": 1, "name": "index", "value": text} for text in shown],
            "jobs": [{"id": "j1", "state": "ok", "exit_code": 0, "metrics": {"HOSTNAME": UNUSED}}]}  # fmt: skip
    kept = Kept(
        unit=None,
        datasets=[Dataset(batch.id, "d1", "S1_R1.fastq.gz", "fastqsanger.gz", 1, session=f"{UNUSED}session",
                          galaxy_id=DatasetId("g1"))],
        objects=[],
        invocations=[Invocation(batch.id, "1", 1, WorkflowId("w1"), InvocationId("i1"), Status.DONE,
                                reason=f"Cannot read {place}")],
        records=[InvocationRecord(batch.id, "1", 1, report=f"# {UNUSED}report", steps=[step])],
        url="https://galaxy.example.org", made_by={"watcher": "0.1.0", "galaxy": "26.1.2"}, places=(HOST,),
    )  # fmt: skip
    return batch, kept, [DeliveredFile(batch.id, "1", "report.html", DatasetId("g2"), 7, "f" * 64, Status.DONE)]


@given(
    headers=columns, cells=st.lists(words, min_size=1, max_size=4), texts=st.lists(words, max_size=2), more=st.data()
)
def test_whatever_is_planned_nothing_leaves_that_must_stay(
    headers: list[str], cells: list[str], texts: list[str], more: st.DataObject
) -> None:
    """Of any sheet only used cells are in the bytes, and of any path of the host nothing; twice is the same bytes."""
    used = more.draw(st.integers(0, len(headers)))
    batch, kept, files = batch_of(headers, used, cells, texts, more.draw(paths))
    written = record_files(record_of(batch, kept, files))
    assert written == record_files(record_of(batch, kept, list(reversed(files))))
    for content in written.values():
        text = content.decode()
        assert UNUSED not in text
        assert HOST not in text
    told = json.loads(written["batch.json"])
    assert list(told["samples"][0]["columns"]) == sorted(headers[:used])
    assert all(cell.startswith(USED) for said in told["samples"][0]["columns"].values() for cell in said)
    assert told["invocations"][0]["source"] == "qc.ga"
