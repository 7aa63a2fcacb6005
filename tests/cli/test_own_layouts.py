"""Layouts of an operator's own: recognised by content on the whole way, and told with file and line when they are
broken, by every command that reads them.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Call
from tests.runs.run_folders import Tree
from tests.world import World, fastq, packed

OWN = """\
# The house's own converter writes its report last.
extends = "base"
title = "House converter"
rank = 70

[run]
has_any = ["house.json"]

[complete]
all = [{ json = { file = "house.json", at = "state", in = ["over"] } }, { pairs = true }]

[files]
include = ["reads/*.fastq.gz"]
"""


@pytest.fixture
def layouts(world: World) -> Path:
    """Return the folder that the configuration names as `layouts_dir`."""
    folder = world.folder / "layouts"
    folder.mkdir()
    world.write_config(layouts_dir=str(folder))
    return folder


def house_run(state: str) -> Tree:
    """Return what the house's converter leaves."""
    tree = Tree("june")
    for read in (1, 2):
        tree.add(f"reads/S1_S1_L001_R{read}_001.fastq.gz", packed(fastq(3, read=read)))
    return tree.add("house.json", json.dumps({"state": state}).encode())


async def test_an_own_layout_takes_a_run_to_its_end(world: World, layouts: Path) -> None:
    """It is recognised by what lies in the folder, waits for its own proof, and goes the whole way."""
    (layouts / "house.toml").write_text(OWN)
    run = house_run("busy").write(world.watched)
    (unit,) = (await world.once(wait_s=0.0))["units"]
    assert (unit["layout"], unit["status"]) == ("house", "waiting")
    assert "state is 'busy' in house.json" in unit["reason"]
    (run / "house.json").write_text('{"state": "over"}')
    (unit,) = (await world.once())["units"]
    assert (unit["run"], unit["status"]) == ("june", "done")
    assert sorted(world.uploads()) == [f"S1_S1_L001_R{read}_001.fastq.gz" for read in (1, 2)]


@pytest.mark.parametrize("command", ["check", "plan", "serve", "once", "status"])
def test_a_broken_layout_is_told_with_file_and_line(world: World, call: Call, layouts: Path, command: str) -> None:
    """Every mistake of every file at once, with what was meant; nothing is begun."""
    (layouts / "house.toml").write_text(OWN.replace("has_any", "has_an").replace("pairs = ", "piars = "))
    (layouts / "other.toml").write_text('extends = "bclconvert"\n\nsetle = "1h"\n')
    ended = call(command, *([str(world.watched)] if command == "plan" else []))
    assert (ended.code, ended.out) == (3, "")
    text = " ".join(ended.err.split())
    for told in (
        f"{layouts}/house.toml:7: run.has_an:",
        "did you mean has_any?",
        f"{layouts}/other.toml:3: setle:",
        "did you mean settle?",
    ):
        assert told in text
    assert not world.state_file.exists()
    (layouts / "other.toml").unlink()
    (layouts / "house.toml").write_text(OWN.replace("pairs = ", "piars = "))
    ended = call(command, *([str(world.watched)] if command == "plan" else []))
    assert ended.code == 3
    assert f"{layouts}/house.toml:10: complete.all:" in ended.err
    assert "did you mean pairs?" in ended.err


def test_a_watch_may_name_an_own_layout(world: World, call: Call, layouts: Path) -> None:
    """A name that is nearly one of them is told with the one that was meant."""
    (layouts / "house.toml").write_text(OWN)
    world.write_config(layouts_dir=str(layouts), watch={"layout": "hose"})
    ended = call("plan", str(world.watched))
    assert ended.code == 3
    assert "house" in ended.err
    world.write_config(layouts_dir=str(layouts), watch={"layout": "house"})
    run = house_run("over").write(world.watched)
    (unit,) = call("plan", str(run), "--json", "--assume-quiet").report["units"]
    assert (unit["layout"], unit["status"]) == ("house", "ready")
