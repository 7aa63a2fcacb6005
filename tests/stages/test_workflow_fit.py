"""What of a workflow does not fit is told before a byte is sent: by `check`, at the plan, once more at the upload."""

from __future__ import annotations

import asyncio

from tests.stages.workflows import (
    REFERENCE,
    REFERENCES,
    assembling_workflow,
    changed_by_hand,
    far_hours,
    nothing_was_asked,
    plan_of,
    put_references,
)
from tests.world import World, counting_workflow
from watcher.service.preflight import check_all

EVERYTHING_WRONG = {
    "workflow": {
        "name": "Assembly",
        "inputs": {
            "Reads": "reads",
            "Genom": {"history": REFERENCES, "name": REFERENCE},
            "Annotation": {"read": "R1"},
            "Genome": {"history": REFERENCES, "name": "S1_S1_L001_R1_001.fastq.gx"},
            "minlen": "long",
        },
        "steps": {"count": {"minlength": 5}},
        "may_fail": ["waits"],
    },
    "ext": "fastqsanger.gz",
}
TOLD = (
    "“Assembly” has no input “Genom” (did you mean “Genome”?).",
    "Input “Annotation” wants a collection, not one dataset of the batch",
    "Input “minlen” wants an integer, not 'long'.",
    "has no parameter “minlength”",
    "has no step “waits” (did you mean “wait”?)",
    "Tool no_such_tool (1.0) is not installed in Galaxy.",
    f"Input “Genome”: history `{REFERENCES}` has no dataset or collection `S1_S1_L001_R1_001.fastq.gx`.",
    f"Did you mean `{REFERENCE}`?",
    "Input “Reads” takes bam, not fastqsanger.gz",
    "delivery 1 selects nothing with `raed*`. Did you mean `read counts`?",
)


async def test_every_misfit_is_told_at_once_and_nothing_is_sent(world: World) -> None:
    """Labels, kinds, types, steps, tools, references, extensions, deliveries: one list, in the plan and in `check`."""
    await put_references(world)
    world.fake.import_workflow(assembling_workflow(tool="no_such_tool", ext="bam"))
    deliver = {"folder": f"{world.results}/{{run}}", "outputs": ["raed*"]}
    world.write_config(rule={**EVERYTHING_WRONG, "deliver": deliver})
    run = world.add_run()
    world.fake.requests.clear()
    units = (await world.once())["units"]
    unit = next(one for one in units if one["run"] == run.name)
    assert (unit["stage"], unit["status"], unit["batches"]) == ("plan", "held", [])
    assert [words for words in TOLD if words not in f"{unit['reason']} {unit['hint']}"] == []
    bad = " ".join(f"{one.message} {one.hint}" for one in await check_all(world.settings()) if not one.well)
    assert [words for words in TOLD if words not in bad] == []
    assert nothing_was_asked(world)


async def test_what_was_found_is_fixed_in_the_plan(world: World) -> None:
    """Id, uuid and references of each workflow stand in the plan as they were found, and `check` tells them."""
    await put_references(world)
    id = world.fake.import_workflow(assembling_workflow())
    reference = {"history": REFERENCES, "name": REFERENCE}
    rule = {"workflow": {"name": "Assembly", "inputs": {"Reads": "reads", "Genome": reference}}}
    world.write_config(rule=rule, watch={"hours": far_hours()}, time_zone="UTC")
    assert f"“Genome” is `{REFERENCE}`" in " ".join(one.message for one in await check_all(world.settings()))
    run = world.add_run()
    units = (await world.once(wait_s=2))["units"]
    unit = next(one for one in units if one["run"] == run.name)
    assert (unit["batches"][0]["stage"], unit["batches"][0]["status"]) == ("upload", "waiting")
    (planned,) = (await plan_of(world, unit["id"])).workflows
    assert planned.workflow_id == id
    assert planned.uuid
    (row,) = [row for row in world.fake.datasets() if row["name"] == REFERENCE]
    found = planned.references["Genome"]
    assert (found.src, found.id, found.name) == ("hda", row["id"], REFERENCE)


async def test_a_workflow_that_changed_while_the_batch_waited_holds_before_a_byte(world: World) -> None:
    """A plan may wait for its hours for long: what it was bound to is looked at again before the first byte."""
    world.write_config(watch={"hours": far_hours()}, time_zone="UTC")
    world.add_run()
    (unit,) = (await world.once(wait_s=2))["units"]
    (batch,) = unit["batches"]
    assert (batch["stage"], batch["status"]) == ("upload", "waiting")
    await changed_by_hand(world)
    world.write_config()
    (unit,) = (await world.once())["units"]
    (batch,) = unit["batches"]
    assert (batch["stage"], batch["status"]) == ("upload", "held")
    assert f"`Count reads` was changed in Galaxy after batch {batch['id']} was planned." in batch["reason"]
    assert "“Reads”" in batch["reason"]
    assert "“Samples”" in batch["reason"]
    assert f"retry {unit['id']} --from plan" in batch["hint"]
    assert world.posts("upload") == world.posts("fetch") == 0
    world.write_config(rule={"workflow": {"name": "Count reads", "inputs": {"Samples": "reads"}}})
    ended = await asyncio.to_thread(world.command, "retry", unit["id"], "--from", "plan")
    assert ended.code == 0
    (unit,) = (await world.once())["units"]
    assert unit["status"] == "done"


async def test_a_version_that_the_rule_names_stays_as_it_was(world: World) -> None:
    """What is changed in Galaxy meanwhile is another version: the batch runs the one that it was bound to."""
    rule = {"workflow": {"name": "Count reads", "version": 0, "inputs": {"Reads": "reads"}}}
    world.write_config(rule=rule, watch={"hours": far_hours()}, time_zone="UTC")
    world.add_run()
    await world.once(wait_s=2)
    await changed_by_hand(world)
    world.write_config(rule=rule)
    (unit,) = (await world.once())["units"]
    (planned,) = (await plan_of(world, unit["id"])).workflows
    assert planned.version == 0
    assert unit["batches"][0]["stage"] != "upload"
    assert len(world.uploads()) == 4


async def test_a_reference_that_went_away_while_the_batch_waited_holds(world: World) -> None:
    """A reference is looked at again by its id: one that is deleted by now is told before a byte is sent."""
    await put_references(world)
    world.fake.import_workflow(assembling_workflow())
    reference = {"history": REFERENCES, "name": REFERENCE}
    rule = {"workflow": {"name": "Assembly", "inputs": {"Reads": "reads", "Genome": reference}}}
    world.write_config(rule=rule, watch={"hours": far_hours()}, time_zone="UTC")
    run = world.add_run()
    await world.once(wait_s=2)
    (row,) = [row for row in world.fake.datasets() if row["name"] == REFERENCE]
    world.fake.delete_dataset(row["id"])
    world.write_config(rule=rule)
    sent = world.posts("upload")
    units = (await world.once())["units"]
    (batch,) = next(one for one in units if one["run"] == run.name)["batches"]
    assert (batch["stage"], batch["status"]) == ("upload", "held")
    assert f"Input “Genome”: `{REFERENCE}` is deleted in Galaxy." in batch["reason"]
    assert world.posts("upload") == sent


async def test_a_chain_is_bound_by_the_outputs_of_the_first(world: World) -> None:
    """The second workflow takes an output of the first; a label that the first has not is told with the nearest one."""
    document = counting_workflow("Report")
    document["inputs"]["Reads"] = {"type": "data"}
    world.fake.import_workflow(document)
    first = {"key": "qc", "name": "Count reads", "inputs": {"Reads": "reads"}}
    for output, words in (
        ("raed counts", "“raed counts”, which the workflow “qc” has not (did you mean"),
        ("copy", ""),
    ):
        second = {"key": "own", "name": "Report", "inputs": {"Reads": {"from": "qc", "output": output}}}
        world.write_config(rule={"workflow": [first, second]})
        findings = await check_all(world.settings())
        bad = " ".join(one.message for one in findings if not one.well)
        assert words in bad
        assert bool(words) == bool(bad)
    assert "it starts after qc." in " ".join(one.message for one in findings)


async def test_a_workflow_of_somebody_else_is_told(world: World) -> None:
    """One that the account may not use is one problem of the rule, told with the account's address."""
    with world.fake.state.lock:
        row = next(iter(world.fake.state.workflows.values()))
        row.user = world.fake.second_user.number
    world.write_config(rule={"workflow": {"id": world.workflow_id, "inputs": {"Reads": "reads"}}})
    bad = [f"{one.message} {one.hint}" for one in await check_all(world.settings()) if not one.well]
    assert bad == [
        f"{world.fake.user.email} may not use it. Its owner shares it with {world.fake.user.email} in Galaxy, or lets"
        " everybody use it."
    ]


def test_the_plan_shows_workflows_with_what_goes_into_them(world: World) -> None:
    """Which workflow, after which other one, and each input as the rule writes it, references as well."""
    reference = {"history": REFERENCES, "name": REFERENCE}
    first = {"key": "qc", "name": "Count reads", "inputs": {"Reads": "reads"}}
    second = {
        "key": "own",
        "name": "Assembly",
        "inputs": {"Reads": {"from": "qc", "output": "copy"}, "Genome": reference, "minlen": 5},
    }
    world.write_config(rule={"workflow": [first, second]})
    run = world.add_run()
    (unit,) = world.command("plan", str(run), "--json").report["units"]
    assert [one["after"] for one in unit["batches"][0]["workflow"]] == [[], ["qc"]]
    assert unit["batches"][0]["workflow"][1]["inputs"]["Genome"] == reference
    text = world.command("plan", str(run)).out
    for words in (
        "Assembly  after qc",
        "Reads: from `qc`, output `copy`",
        f"history `{REFERENCES}`, name",
        "minlen: 5",
    ):
        assert words in text
