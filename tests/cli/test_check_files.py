"""`check` looks into workflow files: what is no workflow, what the rule gets wrong, and tools that Galaxy lacks."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cli.conftest import Call
from tests.world import ROOT, World
from watcher.clock import SystemClock
from watcher.galaxy import Galaxy
from watcher.service.build import account_of

Json = dict[str, Any]
LIVE = ROOT / "tests" / "live"
BROKEN = {
    "half-a-file": ("{", "flow.ga:1: neither JSON nor YAML."),
    "no-text": ("\x00\x01", "neither JSON nor YAML."),
    "nothing-in-it": ("{}", "flow.ga is no workflow: it has no steps."),
    "empty": ("", "flow.ga is no workflow: it has no steps."),
    "a-list": ("[1, 2]", "flow.ga is no workflow: it has no steps."),
    "no-step": ('{"steps": {}}', "flow.ga is no workflow: it has no steps."),
    "strange-steps": ('{"steps": {"0": {"tool": 1}}}', "is no workflow: its steps are not as Galaxy writes them."),
    "strange-format2": ("class: GalaxyWorkflow\nsteps: [3]", "its steps are not as Galaxy writes them."),
}  # fmt: skip


def name_file(world: World, name: str, content: str, **inputs: Any) -> None:
    """Let the only rule use a workflow file of this content."""
    path = world.folder / name
    path.write_text(content)
    world.write_config(rule={"workflow": {"file": str(path), "inputs": inputs or {"Reads": "reads"}}})


@pytest.mark.parametrize("case", BROKEN)
def test_a_file_that_is_no_workflow_is_told(world: World, call: Call, case: str) -> None:
    """What is wrong with the file is said with its name, once; nothing is imported."""
    content, words = BROKEN[case]
    name_file(world, "flow.ga", content)
    ended = call("check")
    assert ended.code != 0
    assert words in ended.out
    assert ended.out.count("BAD") == 1
    assert world.posts("/api/workflows") == 0


def test_a_broken_file_is_told_without_galaxy(world: World, call: Call) -> None:
    """A Galaxy that is away hides nothing that can be seen here."""
    name_file(world, "flow.ga", "{}")
    world.fake.stop()
    ended = call("check")
    world.fake.start()
    assert "it has no steps" in ended.out


@pytest.mark.parametrize("name", ["count_reads.ga", "format2.yml"])
def test_a_wrong_input_is_told_from_the_file(world: World, call: Call, name: str) -> None:
    """Labels are compared before the file is in Galaxy, with what was probably meant."""
    content = (LIVE / name).read_text() if name.endswith(".ga") else world.write_workflow("Counting").read_text()
    name_file(world, name, content, Raeds="reads")
    ended = call("check")
    assert ended.code == 5
    assert "has no input “Raeds” (did you mean “Reads”?)" in ended.out
    assert world.posts("/api/workflows") == 0


def test_an_old_file_that_names_inputs_in_their_settings(world: World, call: Call) -> None:
    """Galaxy makes a label of such a name, so it is known here as well."""
    old = (LIVE / "count_reads.ga").read_text()
    old = old.replace('"label": "Reads"', '"label": null').replace('{\\"optional\\": false', '{\\"name\\": \\"Reads\\"')
    assert old.count("null") > 1
    name_file(world, "old.ga", old)
    ended = call("check")
    assert ended.code == 0, ended.out


@pytest.mark.parametrize("name", ["count_reads.ga", "format2.yml"])
def test_a_tool_that_galaxy_lacks_is_told_from_the_file(world: World, call: Call, name: str) -> None:
    """Tools of the file are looked for in Galaxy before it is imported."""
    content = (LIVE / name).read_text() if name.endswith(".ga") else world.write_workflow("Counting").read_text()
    name_file(world, name, content.replace("wait_then_exit", "no_such_tool"))
    ended = call("check")
    assert ended.code == 5
    assert "Tool no_such_tool (1.0) is not installed in Galaxy." in ended.out


def test_a_good_file_is_well_and_not_imported(world: World, call: Call) -> None:
    """`check` writes nothing in Galaxy; it says when the file will be imported."""
    name_file(world, "count_reads.ga", (LIVE / "count_reads.ga").read_text())
    ended = call("check")
    assert ended.code == 0, ended.out
    assert "imported when it is first needed" in ended.out
    assert world.posts("/api/workflows") == 0


@pytest.mark.parametrize("name", ["count_reads.ga", "count_one.gxwf.yml", "nested.ga", "format2.yml"])
async def test_a_file_says_what_galaxy_says_of_it_later(world: World, name: str) -> None:
    """Inputs, steps and tools read from the file are those that Galaxy tells after the import."""
    path = LIVE / name if (LIVE / name).exists() else world.write_workflow("Counting")
    content = path.read_bytes()
    async with Galaxy(account_of(world.settings().galaxies["galaxy"]), SystemClock()) as galaxy:
        before = await galaxy.workflows.read_file(content, name)
        after = await galaxy.workflows.read((await galaxy.workflows.import_file(content, name)).id)
    assert (before.name, before.uuid, before.tools) == (after.name, after.uuid, after.tools)
    told = [(one.label, one.index, one.kind, one.type, one.optional, one.default) for one in before.inputs]
    assert told == [(one.label, one.index, one.kind, one.type, one.optional, one.default) for one in after.inputs]
    steps = [(one.index, one.label, one.type, one.tool_id, one.types) for one in before.steps]
    assert steps == [(one.index, one.label, one.type, one.tool_id, one.types) for one in after.steps]
    assert (before.missing, after.missing) == ((), ())


def test_a_list_that_the_reads_may_become_is_well(world: World, call: Call) -> None:
    """What `collection: auto` becomes is told by the samples alone: a workflow that wants a list may be right."""
    world.write_workflow("Lists", shape="list")
    assert call("check").code == 0


@pytest.mark.parametrize(
    ("shape", "reads", "words"),
    [
        ("sample_sheet", "reads", "wants a collection of type sample_sheet"),
        ("list:paired", {"src": "hda", "id": "d"}, "wants a collection, not a dataset"),
        ("list:paired", 5, "wants a collection: write `reads`"),
    ],
    ids=["no type it may become", "a dataset", "a number"],
)
def test_a_collection_that_never_fits_is_told(world: World, call: Call, shape: str, reads: Any, words: str) -> None:
    """Also when it is all that is wrong: no sample will make it right."""
    world.write_workflow("Lists", shape=shape)
    world.workflow["inputs"] = {"Reads": reads}
    world.write_config()
    ended = call("check")
    assert ended.code != 0
    assert words in " ".join(ended.out.split())
