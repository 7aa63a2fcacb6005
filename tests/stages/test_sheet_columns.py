"""Columns of the sample sheet on the whole way: into rules, names and workflows, and nothing else out of the house."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.world import World

Json = dict[str, Any]
CANARY = "patient-4711@canary.example.org"


def write_sheet(run: Path, *rows: str) -> Path:
    """Write a sheet with columns of one's own; each row is `sample,group,history,length`."""
    sheet = run / "Reports" / "SampleSheet.csv"
    text = "[Header]\nFileFormatVersion,2\nInvestigator,INVESTIGATOR\n[BCLConvert_Data]\nSample_ID,Index\n"
    text += "".join(f"{row.split(',')[0]},ACGT{'ACGT'[number]}\n" for number, row in enumerate(rows))
    text += "[Galaxy_Data]\nSample_ID,Group,Galaxy_History,Length,E-Mail,Name\n"
    text += "".join(f"{row},{CANARY},n-{row.split(',')[0]}\n" for row in rows)
    sheet.write_text(text.replace("INVESTIGATOR", CANARY))
    return sheet


async def test_columns_name_and_fill_what_the_rule_says(world: World) -> None:
    """A column picks the rule, names history, tag, collection, elements and folder, and fills a typed input; no other
    cell is ever sent.
    """
    world.write_config(
        rule={
            "match": {"sheet": {"group": "so*"}},
            "tags": ["{sheet.Group}"],
            "destination": {
                "history": "{sheet.Galaxy_History}", "collection_name": "reads of {sheet.group}",
                "element": "{sheet.Name}",
            },
            "workflow": {**world.workflow, "inputs": {"Reads": "reads", "minlen": "sheet.Length"}},
            "deliver": {"folder": f"{world.results}/{{sheet.Group}}/{{run}}"},
        }
    )  # fmt: skip
    run = world.add_run()
    sheet = write_sheet(run, "S1,soil,Soil of June,12", "S2,soil,Soil of June,12")
    world.fake.requests.sent = bytearray()
    (unit,) = (await world.once())["units"]
    assert unit["status"] == "done"
    assert unit["batches"][0]["history"] == "Soil of June"
    assert (world.results / "soil" / run.name / "MANIFEST.sha256").exists()
    sent = bytes(world.fake.requests.sent)
    for told in (b"Soil of June", b"reads of soil", b'"soil"', b"n-S1", b'"1": 12'):  # inputs go by step
        assert told in sent or told.replace(b": ", b":") in sent, told
    for kept in (CANARY.encode(), b"ACGTA", b"E-Mail", b"Galaxy_History", b"INVESTIGATOR", b"SampleSheet"):
        assert kept not in sent
    shown = world.command("show", unit["id"])
    assert f"Sample sheet: {sheet}" in shown.out.replace("\n", "")
    (planned,) = await world.journal("plan.ended")
    assert planned.endswith("Sample sheet: Reports/SampleSheet.csv.")
    assert unit["sheet"]["path"] == str(sheet)


@pytest.mark.parametrize(
    ("rule", "row", "words"),
    [
        ({"destination": {"history": "{sheet.Galaxy_History}"}}, "S2,soil,Other,12", ["Galaxy_History", "S1", "S2"]),
        ({"tags": ["{sheet.Group}"]}, "S2,sea,One,12", ["`soil` for sample S1", "`sea` for sample S2"]),
        ({"destination": {"element": "{sheet.Group}"}}, "S2,soil,One,12", ["would have soil twice"]),
        ({"destination": {"element": "{sheet.Group}"}}, "S2,,One,12", ["nothing of sample S2 in column Group"]),
    ],
)
async def test_a_column_without_a_single_value_holds(world: World, rule: Json, row: str, words: list[str]) -> None:
    """The unit is held at plan before a byte is sent, and goes on once the sheet is put right and it is tried again."""
    world.write_config(rule=rule)
    run = world.add_run()
    write_sheet(run, "S1,soil,One,12", row)
    (unit,) = (await world.once())["units"]
    assert (unit["stage"], unit["status"], unit["batches"]) == ("plan", "held", [])
    assert all(word in unit["reason"] for word in words)
    assert world.posts("upload") == world.posts("histories") == 0


@pytest.mark.parametrize(
    ("column", "cell", "word"), [("Length", "long", "wants an integer, not 'long'"), ("Colour", "1", "column Colour")]
)
async def test_an_input_that_the_sheet_cannot_fill_holds(world: World, column: str, cell: str, word: str) -> None:
    """A cell of the wrong type, or a column that is not there, is told at plan."""
    inputs = {"Reads": "reads", "minlen": f"sheet.{column}"}
    world.write_config(rule={"workflow": {**world.workflow, "inputs": inputs}})
    write_sheet(world.add_run(), f"S1,soil,One,{cell}", f"S2,soil,One,{cell}")
    (unit,) = (await world.once())["units"]
    assert (unit["stage"], unit["status"]) == ("plan", "held")
    assert word in unit["reason"]


def test_check_knows_an_input_from_the_sheet_without_a_run(world: World) -> None:
    """Label and kind are checked beforehand, the value when there is one."""
    world.write_config(rule={"workflow": {**world.workflow, "inputs": {"Reads": "reads", "minlen": "sheet.Length"}}})
    assert world.command("check").code == 0
    world.write_config(rule={"workflow": {**world.workflow, "inputs": {"Reads": "sheet.Length"}}})
    checked = world.command("check")
    assert checked.code != 0
    assert "which the sample sheet cannot give" in (checked.out + checked.err).replace("\n", " ")


async def test_plan_tells_the_sheet_and_what_is_odd_in_it(world: World) -> None:
    """A sample that the sheet does not name is a reason that stops nothing; path and checksum of the sheet are told."""
    run = world.add_run(samples=("S1", "S2", "S3"))
    sheet = write_sheet(run, "S1,soil,One,12", "S2,soil,One,12")
    (unit,) = world.command("plan", str(run), "--json").report["units"]
    assert unit["status"] == "ready"
    assert unit["reasons"] == ["Reports/SampleSheet.csv does not name S3."]
    assert unit["sheet"]["path"] == str(sheet)
    text = world.command("plan", str(run)).out
    assert "does not name S3" in text
    (unit,) = (await world.once())["units"]
    assert unit["status"] == "done"
    assert (await world.show(unit["id"]))["remarks"] == ["Reports/SampleSheet.csv does not name S3."]


async def test_a_sheet_of_another_run_holds_until_it_is_replaced(world: World) -> None:
    """It is one reason, and the right sheet in its place goes on by itself."""
    run = world.add_run()
    good = (run / "Reports" / "SampleSheet.csv").read_bytes()
    write_sheet(run, "X1,soil,One,12", "X2,soil,One,12")
    async with world.daemon():
        unit = await world.until_status("held")
        assert unit["reason"] == "Reports/SampleSheet.csv names none of the samples S1, S2."
        (run / "Reports" / "SampleSheet.csv").write_bytes(good)
        await world.until_status("done")


async def test_batches_that_a_column_gives_one_name_keep_places_of_their_own(world: World) -> None:
    """A column may say the same of every sample: history and folder of the second batch get its marks."""
    rule = {
        "per": "sample",
        "destination": {"history": "{sheet.Group}"},
        "deliver": {"folder": f"{world.results}/{{sheet.Group}}"},
    }
    world.write_config(rule=rule)
    write_sheet(world.add_run(), "S1,soil,One,12", "S2,soil,One,12")
    (unit,) = (await world.once())["units"]
    assert [batch["status"] for batch in unit["batches"]] == ["done", "done"]
    assert [batch["history"] for batch in unit["batches"]] == ["soil", f"soil {unit['id']}-2"]
    places = [Path(delivery["target"]) for batch in unit["batches"] for delivery in batch["deliveries"]]
    assert len(set(places)) == 2
    assert all((place / "MANIFEST.sha256").exists() for place in places)
