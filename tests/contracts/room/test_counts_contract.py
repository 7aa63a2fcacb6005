"""Job counts of many invocations in one request: the same as each one tells by itself, and what spoils a request."""

from __future__ import annotations

import asyncio

import pytest
from bioblend.galaxy import GalaxyInstance

from tests.contracts.room.conftest import GalaxyServer, Prepared, behind, until
from tests.contracts.room.runs import hda, imported
from watcher.errors import GalaxyBroken, NotThere
from watcher.galaxy import Galaxy
from watcher.model import HistoryId, InvocationId

Counts = dict[str, dict[str, int]]
TWICE, NESTED = 15, 4


async def counted(galaxy: Galaxy, history: HistoryId, ids: list[InvocationId]) -> Counts:
    """Return the counts that our client reads with one request, without states that no job is in."""
    rows = await galaxy.invocations.counts(history, ids)
    return {one: {state: count for state, count in row.states.items() if count} for one, row in rows.items()}


async def test_many_counts_are_what_another_client_reads_for_each(
    galaxy_server: GalaxyServer, galaxy: Galaxy, prepared: Prepared, history: HistoryId
) -> None:
    """Twenty invocations, some of them nested, in one request tell what BioBlend reads for each, one that still runs as
    well as those that ended.
    """
    witness = GalaxyInstance(galaxy_server.url, key=galaxy_server.key)
    twice, nested = await imported(galaxy, "wait_twice.ga"), await imported(galaxy, "nested.ga")
    file = hda(prepared.datasets["S1_R1.fastq.gz"])
    running = (await galaxy.invocations.start(twice, history, {"File": file}, {"1": {"seconds": "600"}})).id
    starts = [galaxy.invocations.start(twice, history, {"File": file}) for _ in range(TWICE)]
    starts += [galaxy.invocations.start(nested, history, {"File": file}) for _ in range(NESTED)]
    ids = [running, *(started.id for started in await asyncio.gather(*starts))]
    inner = {"ok": 1} if (await galaxy.features()).outer_counts_include_nested else {}
    expected = dict(zip(ids[1:], [{"ok": 2}] * TWICE + [inner] * NESTED, strict=True))

    async def have_ended() -> bool:
        ours = await counted(galaxy, history, ids)
        return {one: ours[one] for one in expected} == expected and "running" in ours[running]

    def read_each() -> Counts:
        rows = {one: witness.invocations.get_invocation_summary(one)["states"] for one in ids}
        return {one: {state: count for state, count in states.items() if count} for one, states in rows.items()}

    await until(have_ended)
    assert await asyncio.to_thread(read_each) == await counted(galaxy, history, ids)
    await galaxy.invocations.cancel(running)
    for workflow in (twice, nested):
        await galaxy.workflows.delete(workflow)


async def test_one_unknown_invocation_spoils_the_request(
    galaxy_server: GalaxyServer, galaxy: Galaxy, prepared: Prepared, history: HistoryId
) -> None:
    """Galaxy answers an internal error for all of them, and only the invocation itself tells which one is not there."""
    known = [prepared.good, prepared.failing]
    copy = {"source": "hda", "content": prepared.datasets["S1_R1.fastq.gz"]}
    # There are more datasets than invocations: the id of the newest one can be decoded, and names no invocation.
    made = await behind(galaxy_server, "POST", f"/api/histories/{history}/contents", copy)
    unknown = InvocationId(made["id"])
    for ids in ([unknown], [prepared.good, unknown, prepared.failing]):
        with pytest.raises(GalaxyBroken):
            await galaxy.invocations.counts(prepared.history, ids)
    with pytest.raises(NotThere):
        await galaxy.invocations.get(unknown)
    assert set(await galaxy.invocations.counts(prepared.history, known)) == set(known)
