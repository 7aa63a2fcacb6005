"""The README is executed: its configuration loads, its commands, targets, layouts and links exist."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from tests.world import World
from watcher.config import RuleSettings, WatchSettings, load_config
from watcher.errors import WatcherError
from watcher.model import Stage
from watcher.runs.layout import load_layouts

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def test_every_configuration_loads(tmp_path: Path) -> None:
    """Each YAML block is a complete configuration, as it stands; the first is the smallest one."""
    rules = []
    for block in re.findall(r"```yaml\n(.*?)```", README, re.DOTALL):
        file = tmp_path / "config.yaml"
        file.write_text(block)
        rules.append([rule.name for rule in load_config(file, layouts=load_layouts, check_keys=False).rules])
    assert rules == [["amplicon"], ["all"], ["germline"], ["amplicon"], ["amplicon"], ["amplicon"]]


def test_every_link_leads_somewhere() -> None:
    """A link to a file of the project names one that is there; the performance page is written by `make bench`."""
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", README) if "://" not in link]
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_two_commands_are_targets() -> None:
    """What the first block tells to type is what the Makefile has."""
    wanted = re.findall(r"^\$ make (\S+)", README, re.MULTILINE)
    listed = subprocess.run(["make", "-s", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert wanted == ["demo", "test"]
    assert all(f"make {target}" in listed for target in wanted)


def test_every_command_of_the_table_exists(world: World) -> None:
    """Each command of the table is one of the program, and no command is left out."""
    table = README.split("## Commands")[1].split("## ")[0]
    told = set(re.findall(r"`(?:galaxy-watcher )?([a-z]+)(?: [^`]*)?`[^|]*\|", table)) | set(
        re.findall(r"galaxy-watcher ([a-z]+)", table)
    )
    told |= set(re.findall(r"`([a-z]+) ID`", table))
    listed = world.command("--help").out.split("Commands:")[1]
    existing = set(re.findall(r"^\s+([a-z]+)\s{2,}", listed, re.MULTILINE))
    assert existing
    assert existing == told


def test_the_table_has_every_layout() -> None:
    """A layout that the README names is one that can be configured, and none is left out."""
    table = README.split("## Which sequencers")[1].split("## ")[0]
    told = [
        name for row in re.findall(r"^\|.*\| (`.*`) \|$", table, re.MULTILINE) for name in re.findall("`(.+?)`", row)
    ]
    assert sorted(told) == sorted(name for name, layout in load_layouts().items() if not layout.abstract)


def test_the_keys_of_the_section_on_sequencers_exist() -> None:
    """What is said to override a layout, or to choose, are keys of watches and rules."""
    text = README.split("A watch may override its layout")[1].split("\n\n")[0]
    watch, rule = (set(one.model_fields) for one in (WatchSettings, RuleSettings))
    told = set(re.findall(r"`([a-z_]+)(?:: [a-z]+)?`", text)) - {"files", "status", "plan", "layouts_dir"}
    assert len(told & watch) == 7
    assert told - watch == {"kinds", "reads", "lanes"} <= rule


def test_the_stages_are_told_in_order() -> None:
    """The story of a night has the nine stages, in their order."""
    story = README.split("## What happens tonight")[1].split("## ")[0]
    words = ["detect", "settle", "verif", "plan", "upload", "invoke", "poll", "deliver", "finish"]
    assert len(words) == len(Stage)
    places = [story.index(f"**{word}") for word in words]
    assert places == sorted(places)


def test_exit_codes_are_those_of_the_errors() -> None:
    """The exit codes that the README tells are those that errors carry."""
    told = {int(code) for code in re.findall(r"\b(\d{1,3}) [a-zG]", README.split("Exit codes:")[1].split("\n\n")[0])}
    kinds: list[type[WatcherError]] = [WatcherError, *WatcherError.__subclasses__()]
    assert {kind.exit_code for kind in kinds} <= told
