"""Workflows that failed and are tried once more: taken over from Galaxy, by `retry`, or by themselves."""

from __future__ import annotations

import secrets

import pytest

from tests.contracts.room.runs import repeat_by_hand
from tests.endings.served import Json, ServedWorld, history_of
from tests.endings.workflows import READ_1, document, dying_once, one_file, waiting
from tests.world import RUN, until
from watcher.model import DatasetId, HistoryId, JobId


async def run_again_by_hand(world: ServedWorld, batch: Json, *, takes_place: bool) -> DatasetId:
    """Run a failed job again with success, in its place or beside it, and return what it made."""
    history = HistoryId(history_of(batch))
    failed = world.ask("GET", f"/api/jobs?history_id={history}&state=error")[0]
    infile = world.ask("GET", f"/api/jobs/{failed['id']}")["inputs"]["infile"]["id"]
    old = JobId(failed["id"]) if takes_place else None
    job, dataset = repeat_by_hand(world.server, history, old, infile, code=0)

    async def is_good() -> bool:
        return bool(world.ask("GET", f"/api/jobs/{job}")["state"] == "ok")

    await until(is_good, what="the job that was run again")
    return dataset


async def start_anew_beside(world: ServedWorld, batch: Json) -> None:
    """Run a failed job beside its place, try again, and wait until the workflow was started anew."""
    await run_again_by_hand(world, batch, takes_place=False)
    await world.wish("retry", batch["id"])

    async def has_two() -> bool:
        return len(world.invocations(batch)) == 2

    await until(has_two, what="a second invocation")


@pytest.mark.newest
@pytest.mark.parametrize(("step", "takes_place"), [("first", True), ("second", False)])
async def test_job_run_again_by_hand(world: ServedWorld, step: str, *, takes_place: bool) -> None:
    """After a job was run again in Galaxy with success, `retry` takes its result over and starts nothing: in place of
    the failed one, and at the last step, where Galaxy offers no place, beside it.
    """
    world.rule({"file": world.saved("wait_twice.ga"), "inputs": READ_1, "steps": {step: {"code": 3}}})
    world.add_run(samples=("S1",))
    async with world.living():
        batch = await world.ended("failed")
        dataset = await run_again_by_hand(world, batch, takes_place=takes_place)
        await world.wish("retry", batch["id"])
        batch = await world.ended("done")
    assert len(world.invocations(batch)) == 1
    (attempt,) = batch["attempts"]
    assert list(attempt["run_again_by_hand"].values()) == [dataset]
    assert "run again by hand in Galaxy" in batch["reason"]
    assert world.delivered("ok") == ["one.fastqsanger.gz", "two.fastqsanger.gz"]


@pytest.mark.slow_on_real
@pytest.mark.newest
async def test_job_run_beside_one_that_others_wait_for(world: ServedWorld) -> None:
    """A good job beside the failed one lets nothing go on that waits for that, so `retry` starts the workflow anew."""
    world.rule({"file": world.saved("wait_twice.ga"), "inputs": READ_1, "steps": {"first": {"code": 3}}})
    world.add_run(samples=("S1",))
    async with world.living():
        batch = await world.ended("failed")
        await start_anew_beside(world, batch)


@pytest.mark.slow_on_real
@pytest.mark.newest
async def test_job_that_could_stand_for_two(world: ServedWorld) -> None:
    """Where two last steps failed with the same tool and input, one good job is neither's, so both are run anew."""
    steps = {"a": waiting("File", code=3), "b": waiting("File", code=4)}
    twins = document("Twins", {"File": {"type": "data"}}, {"a": "a/out", "b": "b/out"}, steps)
    world.rule({"file": world.saved(twins), "inputs": READ_1})
    world.add_run(samples=("S1",))
    async with world.living():
        batch = await world.ended("failed")
        await start_anew_beside(world, batch)


@pytest.mark.slow_on_real
@pytest.mark.newest
async def test_retry_starts_a_second_attempt(world: ServedWorld) -> None:
    """Where nobody made anything good, `retry` starts the workflow once more on the same datasets."""
    world.rule({"file": world.saved(one_file("Second attempt", code=3)), "inputs": READ_1})
    world.add_run(samples=("S1",))
    async with world.living():
        before = await world.ended("failed")
        await world.wish("retry", before["id"])

        async def has_two() -> bool:
            (unit,) = (await world.status())["units"]
            batch = unit["batches"][0]
            return batch["status"] == "failed" and [row["attempt"] for row in batch["invocations"]] == [2]

        await until(has_two, what="the end of a second attempt")
        batch = await world.ended("failed")
    assert [(row["number"], row["status"]) for row in batch["attempts"]] == [(1, "failed"), (2, "failed")]
    assert len(world.invocations(batch)) == 2
    assert [row["galaxy_id"] for row in batch["datasets"]] == [row["galaxy_id"] for row in before["datasets"]]
    uploads = world.ask("GET", f"/api/jobs?history_id={history_of(batch)}&tool_id=__DATA_FETCH__")
    assert len(uploads) == 1


@pytest.mark.also_killed
@pytest.mark.newest
async def test_killed_job_is_tried_again_by_itself(world: ServedWorld) -> None:
    """With `retries: 1` a job that was killed is run once more without anybody asking for it."""
    mark = world.folder / f"mark-{secrets.token_hex(4)}"
    document = dying_once("Dies once", str(mark))
    world.rule({"file": world.saved(document), "inputs": READ_1, "retries": 1})
    world.add_run(samples=("S1",))
    async with world.living():
        batch = await world.ended("done")
    first, second = batch["attempts"]
    assert (first["status"], second["status"]) == ("failed", "done")
    assert "exit code 137" in first["reason"]
    assert len(world.invocations(batch)) == 2
    assert world.delivered("ok") == ["copy.fastqsanger.gz"]


@pytest.mark.slow_on_real
@pytest.mark.newest
async def test_second_attempt_from_cached_jobs(world: ServedWorld) -> None:
    """With `use_cached_job` an attempt that is asked for anew takes what the one before it made, and is delivered;
    `replacements` are what the workflow says in the names of its datasets.
    """
    made = document("Cached", {"File": {"type": "data"}}, {"copy": "copy/out"}, {"copy": waiting("File")})
    made["steps"]["copy"]["out"] = {"out": {"rename": "${sample} copied"}}
    rule = {"file": world.saved(made), "inputs": READ_1, "use_cached_job": True}
    world.rule({**rule, "replacements": {"sample": "{run}"}})
    world.add_run(samples=("S1",))
    async with world.living():
        batch = await world.ended("done")
        await world.wish("retry", batch["id"], **{"from": "invoke"})

        async def has_two() -> bool:
            (unit,) = (await world.status())["units"]
            batch = unit["batches"][0]
            return batch["status"] == "done" and [row["attempt"] for row in batch["invocations"]] == [2]

        await until(has_two, what="the end of a second attempt")
        batch = await world.ended("done")
    assert [row["status"] for row in batch["attempts"]] == ["done", "done"]
    assert world.delivered("ok") == ["copy.fastqsanger.gz"]
    if world.real:  # the fake computes everything anew, and renames nothing
        first, second = sorted(
            world.ask("GET", f"/api/jobs?history_id={history_of(batch)}&tool_id=wait_then_exit"),
            key=lambda row: str(row["create_time"]),
        )
        copied = world.ask("GET", f"/api/jobs/{second['id']}?full=true")
        assert copied["copied_from_job_id"] == first["id"]
        result = world.ask("GET", f"/api/datasets/{copied['outputs']['out']['id']}")
        assert result["name"] == f"{RUN} copied"
