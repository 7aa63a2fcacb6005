"""The example, the schema and the values in effect tell what is really accepted."""

import json
import re
from pathlib import Path

from tests.config.conftest import GOOD, WriteConfig
from watcher.config import GalaxySettings, effective_yaml, example_yaml, json_schema, load_config
from watcher.config.values import Section

TOP = Path(__file__).parents[2]


def test_the_example_file_is_the_rendered_one() -> None:
    """The file in the repository is what `config example` prints; print it into the file to bring it up to date."""
    assert (TOP / "config.example.yaml").read_text() == example_yaml()


def test_the_example_loads(key_file: Path) -> None:
    """The example is a configuration that works as soon as its key file is there."""
    env = {"WATCHER_GALAXY__API_KEY_FILE": str(key_file)}
    settings = load_config(TOP / "config.example.yaml", env, layouts=["files"])
    assert [rule.name for rule in settings.rules] == ["amplicon", "everything-else"]
    assert settings.rules[0].deliver[1].on == "failed"


def sections(of: type[Section] = Section) -> list[type[Section]]:
    """Return every section of a configuration."""
    return [each for child in of.__subclasses__() for each in (child, *sections(child))]


def test_the_example_with_every_option_loads(tmp_path: Path) -> None:
    """The defaults that stand in comments are accepted, and are the defaults."""
    options = {name for section in sections() for name in section.model_fields}
    bare, count = re.subn(rf"^( *)# ({'|'.join(options)}): (?=\S)", r"\1\2: ", example_yaml(), flags=re.MULTILINE)
    file = tmp_path / "config.yaml"
    file.write_text(bare)
    assert count >= 20
    assert load_config(file, {}, check_keys=False) == load_config(TOP / "config.example.yaml", {}, check_keys=False)


def test_every_option_is_explained() -> None:
    """Each option has a sentence that says what it is for; the example and the schema show it."""
    explained = {
        f"{section.__name__}.{name}": option.description
        for section in sections()
        for name, option in section.model_fields.items()
    }
    assert len(explained) > 50
    assert [name for name, sentence in explained.items() if not sentence] == []


def test_the_schema_knows_both_ways_to_name_a_galaxy() -> None:
    """The JSON Schema is plain JSON, refuses unknown keys, and holds every section."""
    schema = json.loads(json.dumps(json_schema()))
    assert {"galaxy", "galaxies", "watches", "rules"} <= set(schema["properties"])
    assert schema["additionalProperties"] is False
    assert set(schema["required"]) == {"watches", "rules"}
    assert GalaxySettings.__name__ in schema["$defs"]


def test_the_values_in_effect_load_as_the_same(write: WriteConfig, tmp_path: Path) -> None:
    """What `config show` prints is a configuration that means the same, defaults and environment included."""
    settings = load_config(write(GOOD), {"WATCHER_RESCAN": "7m"})
    shown = tmp_path / "shown.yaml"
    shown.write_text(effective_yaml(settings))
    assert "rescan: 7m" in shown.read_text()
    assert load_config(shown, {}) == settings
