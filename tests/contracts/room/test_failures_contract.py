"""Why jobs failed or stand still, in which step and of which sample, and what lets them go on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.contracts.room.conftest import GalaxyServer, Prepared, as_user, ended, fastq, send, until
from tests.contracts.room.runs import asked, at_rest, hda, hdca, imported, listed, run
from watcher.galaxy import Galaxy
from watcher.galaxy.fetch import FetchElement
from watcher.galaxy.job_failures import PauseCause
from watcher.model import DatasetId, HistoryId, WorkflowId

AFTER_A_FAILED_JOB = "Execution of this dataset's job is paused because its input datasets are in an error state."
TO_RESUME = "To resume this job fix the input dataset(s)."


@pytest.fixture
async def twice(galaxy: Galaxy) -> AsyncIterator[WorkflowId]:
    """Return a workflow of two jobs in a row."""
    workflow = await imported(galaxy, "wait_twice.ga")
    yield workflow
    await galaxy.workflows.delete(workflow)


async def uploaded(galaxy: Galaxy, history: HistoryId, content: bytes, name: str, ext: str = "data") -> DatasetId:
    """Upload one file and wait until Galaxy has taken it in, well or not."""
    element = FetchElement(name, ext, await send(galaxy, content, name), (), "")
    dataset = DatasetId((await galaxy.fetch.register(history, [element])).dataset_ids[0])
    await until(lambda: ended(galaxy, history))
    return dataset


async def test_failed_jobs_name_step_and_sample(galaxy: Galaxy, prepared: Prepared) -> None:
    """The failed jobs of a mapped step are told with tool, version, exit code, last words, step and element."""
    failures = await galaxy.jobs.failed([prepared.good, prepared.failing])
    assert sorted(failure.elements for failure in failures) == [
        (sample, way) for sample in ("S1", "S2") for way in ("forward", "reverse")
    ]
    for failure in failures:
        assert (failure.invocation, failure.step_index, failure.step_label) == (prepared.failing, 3, "wait")
        assert (failure.tool_id, failure.tool_version, failure.exit_code) == ("wait_then_exit", "1.0", 3)
        assert (failure.state, failure.words, failure.cause) == ("error", "exit code 3", None)
        assert set(failure.outputs or {}) == {"out"}


async def test_of_many_alike_few_are_asked_for(
    galaxy: Galaxy, prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond the limit the elements and words come from the collection alone, and are the same."""
    every = await galaxy.jobs.failed([prepared.failing])
    monkeypatch.setattr("watcher.galaxy.jobs.ALIKE", 1)
    few = await galaxy.jobs.failed([prepared.failing])
    assert [one.outputs is None for one in few] == [False, True, True, True]
    assert [(one.job, one.elements, one.words) for one in few] == [(one.job, one.elements, one.words) for one in every]


async def test_failed_input_pauses_what_needs_it(galaxy: Galaxy, history: HistoryId, twice: WorkflowId) -> None:
    """Of a list with one broken file only that sample's jobs are paused, each with Galaxy's reason."""
    good = await uploaded(galaxy, history, fastq("S1", 3), "S1.fastq.gz", "fastqsanger.gz")
    broken = await uploaded(galaxy, history, fastq("S2", 3)[:-9], "S2.fastq.gz", "fastqsanger.gz")
    samples = await listed(galaxy, history, {"S1": good, "S2": broken})
    invocation = await run(galaxy, history, twice, {"File": hdca(samples)})
    first, second = await galaxy.jobs.failed([invocation])
    assert (first.step_index, first.elements, first.state, first.exit_code) == (1, ("S2",), "paused", None)
    assert first.words == f"Input dataset 'S2.fastq.gz' is in error state. {TO_RESUME}"
    assert (second.step_index, second.elements, second.cause) == (2, ("S2",), PauseCause.INPUT)
    assert second.words.endswith(f"was paused before the job started. {TO_RESUME}")
    assert first.cause is PauseCause.INPUT


@pytest.mark.parametrize("purge", [False, True])
async def test_deleted_input(galaxy: Galaxy, history: HistoryId, twice: WorkflowId, purge: bool) -> None:
    """A deleted input pauses the job, a purged one is an error at once; both say so."""
    dataset = await uploaded(galaxy, history, b"a line\n", "gone.txt", "txt")
    await galaxy.datasets.delete(dataset, purge=purge)

    async def is_gone() -> bool:
        facts = await galaxy.datasets.get(dataset)
        return facts.purged or (facts.deleted and not purge)

    await until(is_gone)
    invocation = await run(galaxy, history, twice, {"File": hda(dataset)})
    first, second = await galaxy.jobs.failed([invocation])
    text = "Input dataset 'gone.txt' was deleted before the job started"
    if purge:
        assert (first.state, first.exit_code, first.words, first.cause) == ("error", None, text, None)
    else:
        assert (first.state, first.words) == ("paused", f"{text}. {TO_RESUME}")
        assert first.cause is PauseCause.DELETED_INPUT
    assert first.elements == ()
    assert (second.state, second.cause) == ("paused", PauseCause.INPUT)


async def test_job_that_could_not_start(galaxy: Galaxy, prepared: Prepared, history: HistoryId) -> None:
    """A parameter of the wrong type leaves nothing the tool could have written: Galaxy's reason is on the output."""
    workflow = await imported(galaxy, "count_one.gxwf.yml")
    file = hda(prepared.datasets["S1_R1.fastq.gz"])
    invocation = await run(galaxy, history, workflow, {"File": file, "minlen": "abc"})
    (failure,) = await galaxy.jobs.failed([invocation])
    assert (failure.state, failure.exit_code, failure.step_label) == ("error", None, "count")
    assert "'minlen'" in failure.words or "'abc'" in failure.words
    await galaxy.workflows.delete(workflow)


async def test_failure_inside_a_subworkflow(galaxy: Galaxy, prepared: Prepared, history: HistoryId) -> None:
    """The failed job of a subworkflow belongs to its invocation there, not to the outer one."""
    workflow = await imported(galaxy, "wait_inside.ga")
    outer = await run(galaxy, history, workflow, {"File": hda(prepared.datasets["S1_R1.fastq.gz"])})
    (inner,) = await galaxy.invocations.nested(outer)

    async def both_are_told() -> bool:  # Galaxy looks at what waits for a failed job a moment later
        return len(await galaxy.jobs.failed([outer, inner])) == 2

    await until(both_are_told)
    after, inside = await galaxy.jobs.failed([outer, inner])
    assert (after.invocation, after.step_label, after.is_consequence) == (outer, "after", True)
    if after.state == "paused":  # made after the inner job had failed it is an error at once
        assert (after.cause, after.words) == (PauseCause.INPUT, AFTER_A_FAILED_JOB)
    assert (inside.invocation, inside.step_label, inside.words) == (inner, "first", "exit code 3")
    await galaxy.workflows.delete(workflow)


async def test_quota_pauses_until_resumed(galaxy_server: GalaxyServer) -> None:
    """Over quota a job pauses and says so; resumed while still over it pauses again, and once there is space only a
    resumed job runs, and what waited for it by itself.
    """
    async with as_user(galaxy_server, galaxy_server.second_key) as galaxy:
        history = await galaxy.histories.create("over quota")
        await uploaded(galaxy, history, bytes(range(256)) * 8192, "big.bin")
        dataset = await uploaded(galaxy, history, b"a line\n", "S1.txt", "txt")
        workflow = await imported(galaxy, "wait_twice.ga")
        user = (await galaxy.identify()).user_id
        quota: dict[str, Any] = {"name": history, "description": "a test's", "operation": "=", "in_users": [user]}
        made = asked(galaxy_server, "POST", "/api/quotas", {**quota, "amount": "1 MB"})
        try:
            invocation = await run(galaxy, history, workflow, {"File": hda(dataset)})
            first, second = await galaxy.jobs.failed([invocation])
            assert first.words == (
                "Execution of this dataset's job is paused because you were over your disk quota at the time it was "
                "ready to run"
            )
            assert (first.cause, second.cause) == (PauseCause.QUOTA, PauseCause.INPUT)
            before = (await galaxy.jobs.detail(first.job)).update_time
            await galaxy.jobs.resume(first.job)

            async def paused_again() -> bool:
                job = await galaxy.jobs.detail(first.job)
                return job.state == "paused" and job.update_time > before

            await until(paused_again)
        finally:
            asked(galaxy_server, "PUT", f"/api/quotas/{made['id']}", {"amount": "1 GB", "operation": "="})
        await until(lambda: at_rest(galaxy, history, invocation))
        # Space alone wakes nothing.
        assert [one.cause for one in await galaxy.jobs.failed([invocation])] == [PauseCause.QUOTA, PauseCause.INPUT]
        await galaxy.jobs.resume(first.job)

        async def all_well() -> bool:
            at_end = await at_rest(galaxy, history, invocation)
            return at_end and not await galaxy.jobs.failed([invocation])

        await until(all_well)
        await galaxy.jobs.resume(first.job)  # a job that is no longer paused is left alone
        assert (await galaxy.jobs.detail(first.job)).state == "ok"
        await galaxy.histories.delete(history, purge=True)
        await galaxy.workflows.delete(workflow)
