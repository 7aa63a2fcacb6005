"""The results of an invocation, whole: an alignment with its index, a page with the files beside it."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.contracts.room.conftest import GalaxyServer, as_user, behind, ended, send, sha256, until
from tests.contracts.room.runs import hda, imported, listed, run
from tests.contracts.room.small_files import PLACED, SMALL_FILES, bam
from watcher.delivery.names import clean_part, lay_out
from watcher.delivery.templates import Names
from watcher.galaxy import Galaxy
from watcher.galaxy.fetch import FetchElement
from watcher.galaxy.results import GalaxyResults
from watcher.model import CollectionId, DatasetId, HistoryId, InvocationId
from watcher.results import ResultFile

PAGE = b'<a href="plots/one plot.svg">one</a>'
BESIDE = {"index": b"no page", "plots/one plot.svg": b"a plot", "plots/deep/.hidden": b"far down"}

LONG = bam(PLACED, order="coordinate", reference_bases=600_000_000)
"""Aligned to a reference that is longer than a BAI index can hold."""


@dataclass
class Results:
    """Invocations of one workflow: over an alignment, over a CRAM file, over an alignment to a long
    reference, and over a list with the first one.
    """

    history: HistoryId
    bam: InvocationId
    cram: InvocationId
    long: InvocationId
    mapped: InvocationId


@pytest.fixture(scope="module")
def made(galaxy_server: GalaxyServer) -> Iterator[Results]:
    """Return what the workflow made on this server; it goes away at the end."""

    async def make() -> Results:
        async with as_user(galaxy_server) as galaxy:
            history = await galaxy.histories.create("results")
            workflow = await imported(galaxy, "page_with_files.ga")
            sent = {name: SMALL_FILES[name] for name in ("sorted.bam", "reads.cram")} | {"long.bam": LONG}
            elements = [
                FetchElement(name, name.rpartition(".")[2], await send(galaxy, content, name), (), sha256(content))
                for name, content in sent.items()
            ]
            short, cram, long = (await galaxy.fetch.register(history, elements)).dataset_ids

            await until(lambda: ended(galaxy, history))
            alone = await run(galaxy, history, workflow, {"File": hda(short)})
            other = await run(galaxy, history, workflow, {"File": hda(cram)})
            third = await run(galaxy, history, workflow, {"File": hda(long)})
            samples = await listed(galaxy, history, {"S1": short})
            mapped = await run(galaxy, history, workflow, {"File": {"src": "hdca", "id": samples}})
            await galaxy.workflows.delete(workflow)
            return Results(history, alone, other, third, mapped)

    async def remove(history: HistoryId) -> None:
        async with as_user(galaxy_server) as galaxy:
            await galaxy.histories.delete(history, purge=True)

    results = asyncio.run(make())
    yield results
    asyncio.run(remove(results.history))


async def content(results: GalaxyResults, file: ResultFile, offset: int = 0) -> bytes:
    """Return the bytes of a result from an offset on."""
    async with results.read(file, offset) as pieces:
        return b"".join([piece async for piece in pieces])


async def test_an_alignment_comes_with_its_index(galaxy: Galaxy, made: Results) -> None:
    """The index has the alignment's name and an ending more, a size but no checksum, and is read from any offset."""
    for invocation, ext, ending, start in (
        (made.bam, "bam", "bai", b"BAI\x01"),
        (made.cram, "cram", "crai", b"\x1f\x8b"),
    ):
        results = GalaxyResults(galaxy, [invocation])
        own, index = await results.files(["alignment"])
        assert (own.member, own.size) == ("", len(SMALL_FILES["sorted.bam" if ext == "bam" else "reads.cram"]))
        assert (index.member, index.checked) == (f"metadata:{ext}_index", "size")
        assert list(lay_out([own, index])) == [f"alignment.{ext}", f"alignment.{ext}.{ending}"]
        whole = await content(results, index)
        assert whole.startswith(start)
        assert len(whole) == index.size
        assert await content(results, index, 3) == whole[3:]
        assert await content(results, index, len(whole)) == b""


async def test_an_index_of_a_long_reference_is_called_what_it_is(galaxy: Galaxy, made: Results) -> None:
    """Galaxy names it like any other, and programs would take it for one."""
    results = GalaxyResults(galaxy, [made.long])
    files = await results.files(["alignment"])
    assert list(lay_out(files)) == ["alignment.bam", "alignment.bam.csi"]
    assert gzip.decompress(await content(results, files[1])).startswith(b"CSI\x01")


async def test_a_page_comes_with_the_files_beside_it(galaxy: Galaxy, made: Results) -> None:
    """They lie in a folder named after the result, with the page as it is and not packed, each of its own size."""
    results = GalaxyResults(galaxy, [made.bam])
    files = await results.files(["page"])
    laid_out = lay_out(files)
    assert sorted(laid_out) == sorted(
        ["page/page.html", "page/copy.txt", "page/index", "page/plots/one plot.svg", "page/plots/deep/hidden"]
    )
    expected = {f"extra:{path}": text for path, text in BESIDE.items()}
    expected |= {"": PAGE, "extra:copy.txt": SMALL_FILES["sorted.bam"]}
    for file in files:
        whole = await content(results, file)
        assert (whole, len(whole)) == (expected[file.member], file.size)
        assert await content(results, file, 2) == whole[2:]


async def test_elements_of_collections_come_whole_as_well(galaxy: Galaxy, made: Results) -> None:
    """Each element has its index beside it, or a folder of its own."""
    files = await GalaxyResults(galaxy, [made.mapped]).files(["*"])
    laid_out = list(lay_out(files))
    assert "alignment/S1.bam" in laid_out
    assert "alignment/S1.bam.bai" in laid_out
    assert "page/S1/S1.html" in laid_out
    assert "page/S1/plots/one plot.svg" in laid_out
    assert all(file.name for file in files)
    names = Names([("page", "{element}/{name}.{ext}"), ("*", "{element.1}/{output}.{ext}")])
    called = list(lay_out(files, names=names))
    (page,) = {clean_part(file.name) for file in files if file.parts[0] == "page"}
    assert "S1/alignment.bam" in called
    assert "S1/alignment.bam.bai" in called
    assert f"S1/{page}/{page}.html" in called
    assert f"S1/{page}/plots/one plot.svg" in called


async def test_bytes_that_are_not_there(galaxy: Galaxy, made: Results) -> None:
    """Only what lies beside a dataset is listed for it; plain results have nothing there."""
    (own, _) = await GalaxyResults(galaxy, [made.bam]).files(["alignment"])
    assert await galaxy.datasets.extra_files(DatasetId(own.galaxy_id)) == []


async def test_an_output_without_a_label_is_named_by_its_step(galaxy: Galaxy, made: Results) -> None:
    """By label or number of the step; one that has a label keeps it, and comes once."""
    for invocation, path in ((made.bam, ()), (made.mapped, ("S1",))):
        results = GalaxyResults(galaxy, [invocation])
        assert await results.labels() == ["alignment", "page"]
        for pattern in ("step:again/out", "step:2/out", "step:agai?/*"):
            own, _ = await results.files([pattern])
            assert (own.parts, own.ext) == (("again.out", *path), "bam")
        files = await results.files(["step:alignment/out", "alignment", "step:1/*"])
        assert [file.parts for file in files] == [("alignment", *path)] * 2
        assert results.unmet(["step:alignment/out", "alignment", "step:1/*"]) == []
        assert await results.files(["step:nobody/out"]) == []
        assert results.unmet(["step:nobody/out"]) == ["step:nobody/out"]


async def test_results_by_extension(galaxy: Galaxy, made: Results) -> None:
    """Only results are chosen, and only those of the extension; what else comes with one comes with it."""
    for invocation in (made.bam, made.mapped):
        results = GalaxyResults(galaxy, [invocation])
        assert {file.parts[0] for file in await results.files(["ext:bam"])} == {"alignment"}
        assert {file.parts[0] for file in await results.files(["ext:html"])} == {"page"}
        assert await results.files(["ext:vcf*"]) == []
        assert results.unmet(["ext:vcf*"]) == ["ext:vcf*"]


async def test_results_by_tag(galaxy_server: GalaxyServer, galaxy: Galaxy, made: Results) -> None:
    """A tag of a dataset chooses it, a tag of a collection all its elements."""
    outputs = await GalaxyResults(galaxy, [made.bam, made.cram]).refs()
    history = made.history
    place = f"/api/histories/{history}/contents"
    await behind(galaxy_server, "PUT", f"{place}/datasets/{outputs['page'].id}", {"tags": ["best"]})
    results = GalaxyResults(galaxy, [made.bam, made.cram])
    assert {(file.parts[0], file.galaxy_id) for file in await results.files(["tag:bes*"])} == {
        ("page", outputs["page"].id)
    }
    mapped = GalaxyResults(galaxy, [made.mapped])
    assert await mapped.files(["tag:best"]) == []
    whole = CollectionId((await mapped.refs())["alignment"].id)
    await galaxy.collections.mark(history, whole, ["name:best"])
    assert {file.parts for file in await mapped.files(["tag:#best"])} == {("alignment", "S1")}
