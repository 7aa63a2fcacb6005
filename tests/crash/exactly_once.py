"""What has to hold when all is over, however often the daemon died on the way: everything is there, and once.

Read from the fake Galaxy, the disk and the watcher's own report; it does not know what was done to the daemon.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.delivered import assert_whole
from tests.stages.shelves import LIBRARY, folders, items, libraries
from tests.world import RUN, World

Json = dict[str, Any]
FROM_FILE = "Count reads, from a file"
READER = "bob@example.org"
"""With whom the histories of the kill matrix are shared."""


async def assert_exactly_once(world: World) -> Json:
    """Hold Galaxy, the delivery folder and the report against the run; return the unit's report."""
    report = await world.status()
    assert [unit["status"] for unit in report["units"]] == ["done"], report
    (unit,) = report["units"]
    (batch,) = unit["batches"]
    assert (batch["status"], batch["checked"]) == ("done", "SHA-256"), batch
    assert report["obstacles"] == []
    assert_one_history(world, batch["id"])
    assert_one_dataset_per_file(world, batch["id"])
    assert_one_collection(world, batch["id"])
    assert_one_workflow(world)
    assert_one_invocation(world, batch)
    assert_delivered_once(world.results / RUN)
    assert world.fake.requests.most_patches_per_session <= 1
    return report


def assert_one_history(world: World, batch_id: str) -> None:
    """There is one history, and it is named and marked; nothing half-made is left over."""
    (history,) = world.fake.histories()
    assert f"watcher:{batch_id}" in history["tags"]
    assert (history["name"], history["deleted"]) == (RUN, False)
    assert batch_id in (history["annotation"] or "")


def assert_shared(world: World) -> None:
    """The history is shared with the one user, who may read what was sent and what was made of it."""
    assert [row["shared"] for row in world.fake.histories()] == [[READER]]
    assert all(row["readers"] == ["bob@example.org", "watcher@example.org"] for row in world.fake.datasets())


def assert_one_dataset_per_file(world: World, batch_id: str) -> None:
    """Each source file is one dataset of the same bytes, tagged and private, and none was made and thrown away."""
    assert world.uploads() == world.fastqs()
    sent = [row for row in world.fake.datasets() if row["uploaded"]]
    assert len(sent) == len(world.fastqs()), sent
    for row in sent:
        assert f"watcher:{batch_id}" in row["tags"]
        assert row["private"]
        assert row["state"] == "ok"


def assert_one_collection(world: World, batch_id: str) -> None:
    """There is one collection of ours, tagged, and every file is in it once, under its sample."""
    (collection,) = [row for row in world.fake.collections() if not row["made_by_tool"]]
    assert f"watcher:{batch_id}" in collection["tags"]
    assert collection["type"] == "list:paired"
    names = {row["id"]: row["name"] for row in world.fake.datasets()}
    members = {
        sample: {read: names[dataset] for read, dataset in reads.items()}
        for sample, reads in collection["elements"].items()
    }
    samples = sorted({name.split("_")[0] for name in world.fastqs()})
    assert {sample: sorted(reads.values()) for sample, reads in members.items()} == {
        sample: sorted(name for name in world.fastqs() if name.startswith(f"{sample}_")) for sample in samples
    }


def assert_one_workflow(world: World) -> None:
    """The workflow that is given as a file was imported once."""
    assert [row["name"] for row in world.fake.workflows()].count(FROM_FILE) == 1


def assert_one_invocation(world: World, batch: Json) -> None:
    """The workflow was started once, and the report names that one."""
    (invocation,) = world.fake.invocations()
    assert [row["id"] for row in batch["invocations"]] == [invocation["id"]]
    assert set(invocation["jobs"]) == {"ok"}


def assert_delivered_once(folder: Path) -> None:
    """Two results of each of the two files lie in the folder, each once."""
    assert_whole(folder, 4)


async def assert_linked_once(world: World, *, keeps: bool = False) -> None:
    """There is one library, one folder of each name, one item of each file and one copy of each item; the workflow ran
    once on those, and what it made is delivered. The items lie in the folders of their files when it `keeps` them.
    """
    report = await world.status()
    assert [unit["status"] for unit in report["units"]] == ["done"], report
    (unit,) = report["units"]
    (batch,) = unit["batches"]
    assert (batch["status"], batch["checked"], report["obstacles"]) == ("done", "size", []), report
    assert_items_once(world, keeps=keeps)
    copies = [row for row in world.fake.datasets() if row["name"] in world.fastqs()]
    assert sorted(row["name"] for row in copies) == sorted(world.fastqs())
    assert_one_history(world, batch["id"])
    assert_one_collection(world, batch["id"])
    assert_one_workflow(world)
    assert_one_invocation(world, batch)
    assert_delivered_once(world.results / RUN)
    assert world.posts("resumable_upload") == 0


def assert_items_once(world: World, *, keeps: bool = False) -> None:
    """There is one library, one folder of each name, and one item of each file, whole and private."""
    assert libraries(world) == [LIBRARY]
    run = world.watched / RUN
    in_run = {path.name: path.relative_to(run).parent if keeps else Path() for path in run.rglob("*.fastq.gz")}
    inner = {above for folder in in_run.values() for above in (folder, *folder.parents)}
    assert folders(world) == sorted([f"{LIBRARY}/runs", *(str(Path(LIBRARY, "runs", RUN, one)) for one in inner)])
    there = items(world, deleted=True)
    assert {way: item["sha256"] for way, item in there.items()} == {
        str(Path(LIBRARY, "runs", RUN, in_run[name], name)): sha256 for name, sha256 in world.fastqs().items()
    }
    assert all(item["state"] == "ok" and item["private"] for item in there.values())
