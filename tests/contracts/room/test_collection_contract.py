"""Collections of every type that a rule may ask for, workflows over them, and what datasets are told to be."""

from __future__ import annotations

import json

import pytest

from tests.contracts.room.conftest import Prepared, ended, fastq, send, until
from tests.world_files import counting_workflow
from watcher.errors import GalaxyBroken
from watcher.galaxy import Galaxy
from watcher.galaxy.bind import bind
from watcher.galaxy.collections import Element
from watcher.galaxy.fetch import FetchElement
from watcher.model import CollectionId, DatasetId, HistoryId, InvocationId

SHAPES = ("list:list", "list:paired_or_unpaired", "list:paired", "list")


def elements(prepared: Prepared, shape: str) -> list[Element]:
    """Return two samples as a rule would have them in such a collection: of the second one only R1 where it may be."""

    def dataset(sample: str, read: str) -> DatasetId:
        return prepared.datasets[f"{sample}_{read}.fastq.gz"]

    if shape == "list":
        return [Element("S1", dataset("S1", "R1")), Element("S2", dataset("S2", "R1"))]
    first, second = ("R1", "R2") if shape == "list:list" else ("forward", "reverse")
    both = tuple(
        (Element(first, dataset(sample, "R1")), Element(second, dataset(sample, "R2"))) for sample in ("S1", "S2")
    )
    last = (Element("unpaired", dataset("S2", "R1")),) if shape.endswith("or_unpaired") else both[1]
    return [Element("S1", elements=both[0]), Element("S2", elements=last)]


async def built(galaxy: Galaxy, prepared: Prepared, shape: str) -> CollectionId:
    """Build such a collection."""
    return await galaxy.collections.build(prepared.history, shape, shape, elements(prepared, shape), [])


async def is_refused(galaxy: Galaxy, prepared: Prepared, *shapes: str) -> bool:
    """Tell whether this server has not one of these types yet; then it fails when asked for it."""
    missing = [shape for shape in shapes if (await galaxy.features()).refuses_collection(shape)]
    for shape in missing:
        with pytest.raises(GalaxyBroken):
            await built(galaxy, prepared, shape)
    return bool(missing)


@pytest.mark.parametrize("shape", SHAPES)
async def test_each_type_is_built_whole(galaxy: Galaxy, prepared: Prepared, shape: str) -> None:
    """It has the type, and at each place the very dataset it was built over; a type that came later is refused."""
    if await is_refused(galaxy, prepared, shape):
        return
    collection = await galaxy.collections.get(await built(galaxy, prepared, shape))
    assert (collection.type, collection.populated) == (shape, "ok")
    wanted = [
        (tuple(name for name in path if name), dataset)
        for one in elements(prepared, shape)
        for path, dataset in [
            ((one.name, ""), one.dataset_id),
            *(((one.name, inner.name), inner.dataset_id) for inner in one.elements),
        ]
        if dataset is not None
    ]
    assert [(path, leaf.dataset_id) for path, leaf in collection.leaves()] == wanted


async def test_a_single_sample_may_be_a_pair_or_not(galaxy: Galaxy, prepared: Prepared) -> None:
    """Its collection has the pair, or one element called `unpaired`; one of another name is lost without a word."""
    if await is_refused(galaxy, prepared, "list:paired_or_unpaired"):
        return
    forward, alone = elements(prepared, "list:paired_or_unpaired")
    for inside in (forward.elements, alone.elements):
        made = await galaxy.collections.build(prepared.history, "one", "paired_or_unpaired", inside, [])
        assert [path for path, _ in (await galaxy.collections.get(made)).leaves()] == [(one.name,) for one in inside]
    wrong = [Element("single", alone.elements[0].dataset_id)]
    lost = await galaxy.collections.build(prepared.history, "one", "paired_or_unpaired", wrong, [])
    assert (await galaxy.collections.get(lost)).leaves() == []


@pytest.mark.parametrize(
    ("have", "want", "jobs"),
    [
        ("list:list", "list:list", 4),
        ("list:list", "list", 4),
        ("list:paired_or_unpaired", "list:paired_or_unpaired", 3),
        ("list:paired", "list:paired_or_unpaired", 4),
        ("list", "list:paired_or_unpaired", 2),
    ],
)
async def test_what_fits_an_input_runs(galaxy: Galaxy, prepared: Prepared, have: str, want: str, jobs: int) -> None:
    """A workflow whose input wants the type runs on every dataset of a collection that fits it, and ends well."""
    if await is_refused(galaxy, prepared, have) or (await galaxy.features()).refuses_collection(want):
        return
    content = json.dumps(counting_workflow(f"Count {have} as {want}", shape=want)).encode()
    workflow = await galaxy.workflows.import_file(content, "counting.gxwf.yml")
    facts = await galaxy.workflows.read(workflow.id)
    binding = bind(facts, {"Reads": "reads"}, None, have)
    assert binding.problems == ()
    inputs = binding.inputs(await built(galaxy, prepared, have))
    started = (await galaxy.invocations.start(workflow.id, prepared.history, inputs, binding.parameters)).id
    await until(lambda: _all_ok(galaxy, prepared.history, started, 2 * jobs))
    await galaxy.workflows.delete(workflow.id)


async def _all_ok(galaxy: Galaxy, history: HistoryId, started: InvocationId, jobs: int) -> bool:
    counts = (await galaxy.invocations.counts(history, [started]))[started]
    assert not set(counts.states) & {"error", "paused"}
    return counts.states.get("ok") == jobs


async def test_a_dataset_has_the_build_it_was_sent_with(galaxy: Galaxy, history: HistoryId) -> None:
    """`dbkey` is kept, whether the server knows that build or not; without one it is Galaxy's own, which is none."""
    wanted = {"a.fastq.gz": "hg38", "b.fastq.gz": "house_build.1", "c.fastq.gz": ""}
    files = [
        FetchElement(name, "fastqsanger.gz", await send(galaxy, fastq(name, 2), name), dbkey=dbkey)
        for name, dbkey in wanted.items()
    ]
    receipt = await galaxy.fetch.register(history, files)
    await until(lambda: ended(galaxy, history))
    listed = await galaxy.datasets.many(history, receipt.dataset_ids)
    for id, dbkey in zip(receipt.dataset_ids, wanted.values(), strict=True):
        facts = await galaxy.datasets.get(id)
        assert (facts.state, facts.dbkey) == ("ok", dbkey or "?")
        assert listed[id].dbkey == facts.dbkey
