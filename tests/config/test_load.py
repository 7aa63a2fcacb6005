"""Loading: what a good configuration becomes, and who wins over whom."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from tests.config.conftest import GOOD, KEY, WriteConfig
from watcher.config import Match, load_config
from watcher.errors import ConfigError, ConfigProblem

LAYOUTS = ("bclconvert", "files")


def test_a_good_file_becomes_settings(write: WriteConfig) -> None:
    """Every part of a good file is there afterwards, with defaults for what is left out."""
    settings = load_config(write(GOOD), {}, layouts=LAYOUTS)
    assert list(settings.galaxies) == ["galaxy"]
    assert settings.galaxies["galaxy"].read_key() == KEY
    assert settings.state.path == Path("/var/lib/galaxy-watcher/state.sqlite")
    assert [watch.name for watch in settings.watches] == ["miseq", "nova"]
    assert settings.watches[0].settle == timedelta(minutes=5)
    assert settings.watches[1].settle is None
    assert settings.watches[0].layout == "auto"
    amplicon, rest = settings.rules
    assert (amplicon.per, rest.per) == ("project", "run")
    assert amplicon.workflow[0].by == "name"
    assert (amplicon.workflow[0].ref, amplicon.workflow[0].key) == ("Amplicon QC", "1")
    assert amplicon.workflow[0].inputs == {"Reads": "reads"}
    assert amplicon.deliver[0].outputs == ("*",)
    assert rest.destination.history == "{run} {unit}"
    assert settings.rescan == timedelta(minutes=5)
    assert settings.galaxy_of(rest) is settings.galaxies["galaxy"]


def test_settings_are_frozen(write: WriteConfig) -> None:
    """Nobody changes the configuration after loading."""
    settings = load_config(write(GOOD), {})
    with pytest.raises(ValidationError, match="frozen"):
        settings.watches[0].name = "other"  # type: ignore[misc]


def takes(match: Match, **asked: Any) -> bool:
    """Say whether nothing misses."""
    return match.miss(**asked) is None


def test_the_first_matching_rule_is_told_by_patterns(write: WriteConfig) -> None:
    """Every key of a match has to fit, upper and lower case differ, a list offers several patterns."""
    text = GOOD.replace('"16S*"', '["16S*", "ITS-?"]')
    match = load_config(write(text), {}).rules[0].match
    where: dict[str, Any] = {"watch": "miseq", "layout": "bclconvert", "run": "240612"}
    assert takes(match, **where, project="16S-soil", sample="S1")
    assert takes(match, **where, project="ITS-1", sample="S1")
    assert not takes(match, **where, project="16s-soil", sample="S1")
    assert not takes(match, **{**where, "watch": "nova"}, project="16S-soil", sample="S1")


def test_columns_of_the_sample_sheet_are_matched_by_patterns(write: WriteConfig) -> None:
    """Columns are found in any case, cells are not; a column with several cells fits by one, a missing one is empty."""
    text = GOOD.replace('project: "16S*"', 'sheet: {Galaxy_Group: ["soil*", sea], pi: "?o*"}')
    match = load_config(write(text), {}).rules[0].match
    where: dict[str, Any] = {"watch": "miseq", "layout": "bclconvert", "run": "240612"}
    assert takes(match, **where, sheet={"galaxy_group": ("soil 1",), "pi": ("botany",)})
    assert takes(match, **where, sheet={"galaxy_group": ("lake", "sea"), "pi": ("Jo",), "other": ("x",)})
    assert not takes(match, **where, sheet={"galaxy_group": ("Soil 1",), "pi": ("botany",)})
    assert not takes(match, **where, sheet={"galaxy_group": ("soil 1",)})
    assert not takes(match, **where)
    anything = load_config(write(GOOD.replace('project: "16S*"', 'sheet: {PI: "*"}')), {}).rules[0].match
    assert takes(anything, **where)


@pytest.mark.parametrize(
    ("per", "history"),
    [("run", "{run} {unit}"), ("project", "{run} {unit} {project}"), ("sample", "{run} {unit} {sample}")],
    ids=["run", "project", "sample"],
)
def test_the_default_history_follows_per(write: WriteConfig, per: str, history: str) -> None:
    """A rule without a destination gets a history that tells its batches apart."""
    text = GOOD.replace("  - name: rest\n", f"  - name: rest\n    per: {per}\n    destination:\n")
    assert load_config(write(text), {}).rules[1].destination.history == history


def test_several_workflows_and_a_single_delivery(write: WriteConfig) -> None:
    """Workflows may be a list, a delivery may be written without one; keys are numbers unless given."""
    text = GOOD.replace(
        "{name: Amplicon QC, inputs: {Reads: reads}}",
        "[{id: abc123}, {file: /srv/qc.ga, key: qc, steps: {3: {minlen: 50}}}]",
    ).replace("      - folder:", "      folder:")
    rule = load_config(write(text), {}).rules[0]
    assert [(each.by, each.ref, each.key) for each in rule.workflow] == [
        ("id", "abc123", "1"),
        ("file", "/srv/qc.ga", "qc"),
    ]
    assert rule.workflow[1].steps == {"3": {"minlen": 50}}
    assert rule.deliver[0].folder == "/results/{run}/{project}"


def test_words_mean_what_yaml_1_2_says(write: WriteConfig) -> None:
    """`on` is a key and no truth value; numbers with leading zeros, dates and yes/no stay text."""
    text = GOOD.replace("inputs: {Reads: reads}", "inputs: {a: 007, b: 2025-01-31, c: no, d: 1e-5, e: true, f: 12:30}")
    text = text.replace("/results/{run}/{project}\n", "/results/{run}/{project}\n        on: failed\n")
    rule = load_config(write(text), {}).rules[0]
    assert rule.workflow[0].inputs == {"a": "007", "b": "2025-01-31", "c": "no", "d": 1e-5, "e": True, "f": "12:30"}
    assert rule.deliver[0].on == "failed"


def test_the_environment_wins_over_the_file(write: WriteConfig) -> None:
    """Variables replace single values of the file, two underscores go one level down."""
    env = {
        "WATCHER_GALAXY__URL": "http://localhost:8080/galaxy/",
        "WATCHER_STATE__PATH": "/srv/state.sqlite",
        "WATCHER_LIMITS__TRANSFERS": "8",
        "WATCHER_LIMITS__CHUNK_BYTES": "10MiB",
        "WATCHER_RESCAN": "90s",
        "WATCHER_WATCHES": '[{"name": "only", "path": "/data/only"}]',
        "WATCHER_RULES": '[{"name": "all"}]',
        "WATCHER_SOMETHING_ELSE": "is left alone",
        "OTHER": "as well",
    }
    settings = load_config(write(GOOD), env)
    assert settings.galaxies["galaxy"].url == "http://localhost:8080/galaxy"
    assert settings.galaxies["galaxy"].read_key() == KEY
    assert settings.state.path == Path("/srv/state.sqlite")
    assert settings.limits.transfers == 8
    assert settings.limits.chunk_bytes == 10 * 1024 * 1024
    assert settings.rescan == timedelta(seconds=90)
    assert [watch.name for watch in settings.watches] == ["only"]


def test_several_galaxies(write: WriteConfig, key_file: Path) -> None:
    """With several Galaxies each has its name, and a rule says which one it means."""
    text = GOOD.replace(
        "galaxy:\n  url: https://galaxy.example.org\n  api_key_file: KEY\n",
        "galaxies:\n  main: {url: https://a.example.org, api_key_file: KEY}\n"
        "  test: {url: https://b.example.org, api_key_file: KEY}\n",
    )
    text = text.replace("- name: amplicon", "- name: amplicon\n    galaxy: main").replace(
        "- name: rest", "- name: rest\n    galaxy: test"
    )
    settings = load_config(write(text), {"WATCHER_GALAXIES__TEST__URL": "https://c.example.org"})
    assert {name: galaxy.name for name, galaxy in settings.galaxies.items()} == {"main": "main", "test": "test"}
    assert settings.galaxy_of(settings.rules[1]).url == "https://c.example.org"


def test_empty_sections_mean_their_defaults(write: WriteConfig) -> None:
    """A section whose options are all commented out is as good as none."""
    settings = load_config(write(GOOD + "limits:\n  # transfers: 4\nlog:\n"), {})
    assert settings.limits.transfers == 4
    assert settings.log.format == "auto"


def test_state_may_be_a_postgresql_database(write: WriteConfig) -> None:
    """A database address replaces the file, and its password shows nowhere."""
    url = "postgresql+psycopg://watcher:pa55@db.example.org/watcher"
    settings = load_config(write(GOOD.replace("path: /var/lib/galaxy-watcher/state.sqlite", f"url: {url}")), {})
    assert (settings.state.path, settings.state.url) == (None, url)
    assert "pa55" not in repr(settings)


def test_where_the_file_is_looked_for(write: WriteConfig, tmp_path: Path) -> None:
    """--config wins over WATCHER_CONFIG, which wins over the usual place."""
    usual = tmp_path / "usual.yaml"
    usual.write_text(write(GOOD.replace("miseq", "usual")).read_text())
    told = tmp_path / "told.yaml"
    told.write_text(write(GOOD.replace("miseq", "told")).read_text())
    asked = write(GOOD)
    env = {"WATCHER_CONFIG": str(told)}
    assert load_config(asked, env, default=usual).watches[0].name == "miseq"
    assert load_config(None, env, default=usual).watches[0].name == "told"
    assert load_config(None, {}, default=usual).watches[0].name == "usual"


def test_layout_names_may_depend_on_the_own_folder(write: WriteConfig, tmp_path: Path) -> None:
    """Layouts can be asked for with the folder the file names, and their own problems are told along."""
    asked: list[Path | None] = []

    def layouts(own: Path | None) -> tuple[str, ...]:
        asked.append(own)
        return LAYOUTS

    load_config(write(GOOD + "layouts_dir: /etc/galaxy-watcher/layouts\n"), {}, layouts=layouts)
    assert asked == [Path("/etc/galaxy-watcher/layouts")]

    def broken(own: Path | None) -> tuple[str, ...]:
        raise ConfigError([ConfigProblem("own.toml", 3, "units", "is not known.")])

    with pytest.raises(ConfigError) as refused:
        load_config(write(GOOD.replace("settle: 5m", "settle: soon")), {}, layouts=broken)
    assert {Path(problem.file).name for problem in refused.value.problems} == {"config.yaml", "own.toml"}
