"""What becomes of a history at the end: Galaxy's archive of histories, and what a workflow made by the way."""

from __future__ import annotations

import pytest

from tests.contracts.room.conftest import fastq, send, until
from tests.world_files import counting_workflow
from watcher.config.written import dump_yaml
from watcher.errors import Forbidden, Refused
from watcher.galaxy import Galaxy
from watcher.galaxy.bind import bind
from watcher.galaxy.collections import Element
from watcher.galaxy.fetch import FetchElement
from watcher.galaxy.made import made_by_the_way
from watcher.model import DatasetId, HistoryId, InvocationId

TAG = "watcher:end-1"


async def test_a_history_goes_to_the_archive_once(galaxy: Galaxy) -> None:
    """There it is read as before, but not listed by name, and can neither be marked nor deleted."""
    history = await galaxy.histories.create("to the archive")
    await galaxy.histories.archive(history)
    facts = await galaxy.histories.get(history)
    assert (facts.archived, facts.deleted, facts.purged) == (True, False, False)
    assert await galaxy.histories.find_by_name("to the archive") == []
    with pytest.raises(Refused, match="already archived"):
        await galaxy.histories.archive(history)
    with pytest.raises(Forbidden, match="immutable"):
        await galaxy.histories.tag(history, ["late"])
    with pytest.raises(Forbidden, match="immutable"):
        await galaxy.histories.delete(history)
    assert not (await galaxy.histories.get(history)).deleted


async def started(galaxy: Galaxy, history: HistoryId) -> tuple[list[DatasetId], InvocationId]:
    """Let a workflow with one labelled output of two work on a pair, and return what was sent and the invocation."""
    elements = [
        FetchElement(f"S1_R{read}.fastq.gz", "fastqsanger.gz", await send(galaxy, fastq("S1", 4), "x"), (TAG,), "")
        for read in (1, 2)
    ]
    sent = list((await galaxy.fetch.register(history, elements)).dataset_ids)

    async def good() -> bool:
        return {facts.state for facts in (await galaxy.datasets.many(history, sent)).values()} == {"ok"}

    await until(good)
    pair = Element("S1", elements=(Element("forward", sent[0]), Element("reverse", sent[1])))
    collection = await galaxy.collections.build(history, "reads", "list:paired", [pair], [TAG])
    document = {**counting_workflow("By the way"), "outputs": {"copy": {"outputSource": "wait/out"}}}
    workflow = await galaxy.workflows.import_file(dump_yaml(document).encode(), "way.gxwf.yml")
    binding = bind(await galaxy.workflows.read(workflow.id), {"Reads": "reads"}, {}, "list:paired")
    start = await galaxy.invocations.start(workflow.id, history, binding.inputs(collection), binding.parameters)

    async def ended() -> bool:
        (counts,) = (await galaxy.invocations.counts(history, [start.id])).values()
        return counts.populated == "ok" and {state for state, count in counts.states.items() if count} == {"ok"}

    await until(ended)
    await galaxy.workflows.delete(workflow.id)
    return sent, start.id


async def test_what_was_made_by_the_way_is_told_from_results(galaxy: Galaxy, history: HistoryId) -> None:
    """Hidden outputs without a label are by the way; sources, results and what others put there are not."""
    sent, invocation = await started(galaxy, history)
    found = await made_by_the_way(galaxy, history, [invocation], [], sent, TAG)
    assert (len(found.by_the_way), found.unknown) == (2, ())
    rows = {DatasetId(one.id): one for one in await galaxy.histories.contents(history) if one.kind == "dataset"}
    assert {rows[one].visible for one in found.by_the_way} == {False}
    assert not set(sent) & set(found.by_the_way)
    other = FetchElement("by hand", "txt", await send(galaxy, b"text\n", "by hand"), (), "")
    await galaxy.fetch.register(history, [other])
    assert (await made_by_the_way(galaxy, history, [invocation], [], sent, TAG)).unknown == ("by hand",)
    for dataset in found.by_the_way:
        await galaxy.datasets.delete(dataset, purge=True)

    async def purged() -> bool:
        facts = [await galaxy.datasets.get(dataset) for dataset in found.by_the_way]
        return all(one.purged for one in facts)

    await until(purged)
    assert (await made_by_the_way(galaxy, history, [invocation], [], sent, TAG)).by_the_way == ()
