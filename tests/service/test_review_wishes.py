"""Wishes and new plans: nothing of an old plan lives on, nothing is done twice, nothing is forgotten."""

from __future__ import annotations

from typing import Any

from tests.delivered import assert_whole, listed_in
from tests.fakes.galaxy import Fault
from tests.runs.run_folders import novaseqx
from tests.world import RUN, WORKFLOW, World, fastq, packed
from watcher.service.build import build
from watcher.service.verbs import carry_out_verbs

Json = dict[str, Any]


async def test_retry_never_wakes_a_plan_that_was_given_up(world: World) -> None:
    """While the new plan is held, `retry` of the unit makes the new plan, and does not let the old one go on."""
    run = world.add_run(samples=("S1",))
    world.fake.faults.add(Fault("job_error", tool="wait_then_exit"))
    unit = (await world.once())["units"][0]["id"]
    world.write_config(rule={"workflow": {"name": "No such", "inputs": {"Reads": "reads"}}})
    assert "goes on" in await wish(world, "retry", unit, {"from": "plan"})
    report = (await world.once())["units"][0]
    assert (report["stage"], report["status"], report["batches"][0]["status"]) == ("plan", "held", "held")
    world.write_config()
    assert "goes on" in await wish(world, "retry", unit)
    report = (await world.once())["units"][0]
    assert [(one["id"], one["status"]) for one in report["batches"]] == [
        (f"{unit}-1", "cancelled"),
        (f"{unit}-1r2", "done"),
    ]
    assert world.uploads() == world.fastqs(run)


async def test_a_new_plan_stops_the_workflow_of_the_old_one(world: World) -> None:
    """`retry --from plan` in mid-workflow leaves one workflow that counts; the other is cancelled in Galaxy."""
    run = world.add_run(samples=("S1",))
    world.fake.faults.add(Fault("job_paused", tool="wait_then_exit"))
    unit = (await world.once())["units"][0]["id"]
    assert "goes on" in await wish(world, "retry", unit, {"from": "plan"})
    assert (await world.once())["units"][0]["status"] == "done"
    assert sum(row["state"].startswith("cancel") for row in world.fake.invocations()) == 1
    assert len(world.fake.invocations()) == 2
    assert world.uploads() == world.fastqs(run)


async def test_cancel_tells_what_galaxy_does_not_know_yet(world: World) -> None:
    """With Galaxy away a batch is cancelled here, and the same wish once more stops the workflow there."""
    world.add_run(samples=("S1",))
    world.fake.faults.add(Fault("job_paused", tool="wait_then_exit"))
    unit = (await world.once())["units"][0]["id"]
    world.fake.stop()
    assert "could not be told" in await wish(world, "cancel", unit)
    world.fake.start()
    assert "stays there" in await wish(world, "cancel", unit)
    assert world.fake.invocations()[0]["state"].startswith("cancel")
    assert "Not done" in await wish(world, "cancel", unit)


async def test_a_batch_that_is_done_is_not_sent_again_under_another_rule(world: World) -> None:
    """After a rule was renamed only what was not done is planned anew."""
    rule = {"per": "sample", "deliver": {"folder": f"{world.results}/{{run}}/{{sample}}"}}
    world.write_config(rule=rule)
    run = world.add_run()
    bad = run / "S2_S2_L001_R2_001.fastq.gz"
    good = bad.read_bytes()
    bad.write_bytes(packed(fastq(4000, read=2))[:-3000] + b"\x01" * 8)
    unit = (await world.once())["units"][0]
    assert sorted(batch["status"] for batch in unit["batches"]) == ["done", "held"]
    world.write_config(rule={**rule, "name": "renamed"})
    bad.write_bytes(good)
    assert "goes on" in await wish(world, "retry", unit["id"], {"from": "settle"})
    unit = (await world.once())["units"][0]
    assert unit["status"] == "done", unit
    assert world.uploads() == world.fastqs(run)
    assert len(world.fake.invocations()) == 2


async def test_two_rules_never_share_a_place(world: World) -> None:
    """Batches of one run whose rules write to the same folder get histories and folders of their own."""
    rules = [_rule(world, "first", {"sample": "S1"}), _rule(world, "second", {})]
    world.write_config(rules=rules)
    world.add_run()
    unit = (await world.once())["units"][0]
    assert [batch["status"] for batch in unit["batches"]] == ["done", "done"], unit
    assert len({batch["history"] for batch in unit["batches"]}) == 2
    assert [len(listed_in(path.parent)) for path in world.results.rglob("MANIFEST.sha256")] == [4, 4]


async def test_two_units_that_are_planned_together_never_share_a_place(world: World) -> None:
    """Both analyses of a run are found in the same look; the second one gets a history and a folder of its own."""
    novaseqx(analyses=(1, 2)).write(world.watched)
    report = await world.once()
    histories = [batch["history"] for unit in report["units"] for batch in unit["batches"]]
    assert len(histories) == len(set(histories)) == 2, report


async def test_equal_sample_names_of_two_projects_are_compared_each(world: World) -> None:
    """An unequal pair is found also when another project has a whole pair of the same sample name."""
    world.write_config(
        rule={"workflow": None, "deliver": None, "destination": {"history": "{run}", "collection": "none"}}
    )
    run = world.watched / "plain"
    for project, counts in {"A": (4, 3), "B": (4, 4)}.items():
        (run / project).mkdir(parents=True)
        for read, count in enumerate(counts, start=1):
            (run / project / f"S1_R{read}.fastq.gz").write_bytes(packed(fastq(count, read=read)))
    unit = (await world.once())["units"][0]
    assert unit["status"] == "held", unit
    assert "A/S1_R1.fastq.gz" in unit["reason"]
    assert len(world.uploads()) == 2


async def test_results_of_a_failed_attempt_do_not_stand_for_those_of_the_next(world: World) -> None:
    """A delivery made always is made again for the attempt that went well."""
    world.write_config(rule={"deliver": {"folder": f"{world.results}/{{run}}", "on": "always"}})
    world.add_run(samples=("S1",))
    world.fake.faults.add(Fault("job_error", tool="wait_then_exit"))
    unit = (await world.once())["units"][0]
    assert unit["status"] == "failed"
    assert "goes on" in await wish(world, "retry", unit["id"])
    assert (await world.once())["units"][0]["status"] == "done"
    assert_whole(world.results / RUN, 4)


async def wish(world: World, verb: str, target: str, arguments: Json | None = None) -> str:
    """Ask for a verb with the daemon down, and return what came of it."""
    async with build(world.settings(), on_wake=lambda _: None, on_blind=lambda *_: None) as rooms:
        asked = await rooms.store.add_verb("tester", verb, target, arguments)
        await carry_out_verbs(rooms, None)
        answered = await rooms.store.verb(asked.id)
    assert answered
    return answered.answer


def _rule(world: World, name: str, match: Json) -> Json:
    return {
        "name": name,
        "match": match,
        "workflow": {"name": WORKFLOW, "inputs": {"Reads": "reads"}},
        "deliver": {"folder": f"{world.results}/{{run}}"},
    }
