"""API keys: where they come from, when they are refused, and that they show nowhere."""

import os
from pathlib import Path

import pytest

from tests.config.conftest import GOOD, KEY, WriteConfig
from watcher.config import effective_yaml, load_config
from watcher.errors import ConfigError, KeyRefused

OTHER = "f" * 32


def refused_key(file: Path, env: dict[str, str] | None = None, secrets: Path = Path("/nonexistent")) -> str:
    """Return what is said about the key, with its place."""
    with pytest.raises(ConfigError) as refused:
        load_config(file, env or {}, secrets=secrets)
    [problem] = refused.value.problems
    return str(problem)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o601], ids=oct)
def test_a_key_file_that_others_can_read_is_refused(write: WriteConfig, key_file: Path, mode: int) -> None:
    """The exact command that makes it right is told, at the line that names the file."""
    key_file.chmod(mode)
    said = refused_key(write(GOOD))
    assert "config.yaml:3: galaxy.api_key_file: " in said
    assert said.endswith(f"Run: chmod 600 {key_file}")
    assert KEY not in said
    key_file.chmod(0o600)
    assert load_config(write(GOOD), {}).galaxies["galaxy"].read_key() == KEY


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_key_file_of_another_user_is_refused(write: WriteConfig, key_file: Path) -> None:
    """Who owns the file can read and change it, whatever its mode says; root's may be read by whoever can."""
    os.chown(key_file, 65534, -1)
    said = refused_key(write(GOOD))
    assert "belongs to another user (uid 65534)" in said
    assert said.endswith(f"Run: chown 0 {key_file}")


def test_a_bad_key_file_is_told_beside_other_mistakes(write: WriteConfig, key_file: Path) -> None:
    """Nobody has to correct the one to hear of the other; a key that is only missing from a broken file is not told."""
    key_file.chmod(0o644)
    with pytest.raises(ConfigError) as refused:
        load_config(write(GOOD.replace("settle: 5m", "settle: banana")), {})
    assert [problem.key for problem in refused.value.problems] == ["galaxy.api_key_file", "watches[0].settle"]
    with pytest.raises(ConfigError) as refused:
        load_config(write(GOOD.replace("api_key_file", "api_key_fil")), {})
    assert [problem.key for problem in refused.value.problems] == ["galaxy.api_key_fil"]


def test_the_command_can_be_pasted(tmp_path: Path, write: WriteConfig) -> None:
    """A path with a blank is quoted in the command."""
    file = tmp_path / "my key"
    file.write_text(KEY)
    file.chmod(0o644)
    assert refused_key(write(GOOD.replace("KEY", str(file)))).endswith(f"Run: chmod 600 '{file}'")


BROKEN = {
    "missing": (None, "does not exist"),
    "empty": ("", "is empty"),
    "blank": (" \n\n", "is empty"),
    "two-lines": (f"{KEY}\n{OTHER}\n", "holds more than a key"),
    "a-sentence": (f"my key is {KEY}", "holds more than a key"),
    "no-ascii": (f"{KEY}é", "holds more than a key"),
}


@pytest.mark.parametrize("case", BROKEN.values(), ids=BROKEN.keys())
def test_a_key_file_without_a_key(write: WriteConfig, key_file: Path, case: tuple[str | None, str]) -> None:
    """A missing, empty or wrong key file is one clear problem that does not repeat its content."""
    content, message = case
    if content is None:
        key_file.unlink()
    else:
        key_file.write_text(content)
    said = refused_key(write(GOOD))
    assert message in said
    assert str(key_file) in said
    assert KEY not in said


@pytest.mark.parametrize("kind", ["folder", "fifo"])
def test_a_key_file_that_is_no_file(write: WriteConfig, key_file: Path, kind: str) -> None:
    """A folder or a FIFO in the place of the key file is refused at once, nothing waits for it."""
    key_file.unlink()
    if kind == "folder":
        key_file.mkdir(mode=0o700)
    else:
        os.mkfifo(key_file, 0o600)
    assert "is not a regular file" in refused_key(write(GOOD))


def test_the_key_is_read_anew(write: WriteConfig, key_file: Path) -> None:
    """A renewed key works without loading again, a file that went wrong is refused from then on."""
    galaxy = load_config(write(GOOD), {}).galaxies["galaxy"]
    assert galaxy.read_key() == KEY
    key_file.write_text(OTHER)
    assert galaxy.read_key() == OTHER
    key_file.chmod(0o644)
    with pytest.raises(KeyRefused, match="can be read or changed by others") as refused:
        galaxy.read_key()
    assert OTHER not in str(refused.value)
    key_file.unlink()
    with pytest.raises(KeyRefused, match="does not exist"):
        galaxy.read_key()


def test_commands_without_galaxy_need_no_key(write: WriteConfig, key_file: Path) -> None:
    """Where Galaxy is not asked, a key that cannot be read stops nobody."""
    key_file.unlink()
    assert load_config(write(GOOD), {}, check_keys=False).watches[0].name == "miseq"


KEYLESS = GOOD.replace("  api_key_file: KEY\n", "")


def test_where_the_key_comes_from(write: WriteConfig, tmp_path: Path, key_file: Path) -> None:
    """The named file wins over the systemd credential, that over the Docker secret, that over the environment."""
    credentials, secrets = tmp_path / "credentials", tmp_path / "secrets"
    credentials.mkdir()
    secrets.mkdir()
    (credentials / "galaxy-api-key").write_text("from-systemd\n")
    (secrets / "galaxy_api_key").write_text("from-docker\n")
    # As the service managers hand them over.
    (credentials / "galaxy-api-key").chmod(0o440)
    (secrets / "galaxy_api_key").chmod(0o444)
    env = {"CREDENTIALS_DIRECTORY": str(credentials), "WATCHER_GALAXY__API_KEY": "from-environment"}

    named = load_config(write(GOOD), env, secrets=secrets).galaxies["galaxy"]
    assert (named.read_key(), named.key_origin()) == (KEY, f"file {key_file}")
    file = write(KEYLESS)
    systemd = load_config(file, env, secrets=secrets).galaxies["galaxy"]
    assert (systemd.read_key(), systemd.key_origin()) == ("from-systemd", f"secret {credentials / 'galaxy-api-key'}")
    (credentials / "galaxy-api-key").unlink()
    assert systemd.read_key() == "from-docker"
    (secrets / "galaxy_api_key").unlink()
    assert (systemd.read_key(), systemd.key_origin()) == ("from-environment", "environment")
    said = refused_key(file, {}, secrets)
    assert "config.yaml:1: galaxy.api_key_file: There is no API key for https://galaxy.example.org." in said


def test_named_secrets_of_several_galaxies(write: WriteConfig, tmp_path: Path) -> None:
    """With several Galaxies each credential carries the name; naming the managed file itself works too."""
    (tmp_path / "galaxy-api-key-main").write_text("key-of-main")
    (tmp_path / "galaxy_api_key_test").write_text("key-of-test")
    managed = tmp_path / "third"
    managed.write_text("key-of-third")
    managed.chmod(0o444)
    text = GOOD[GOOD.index("state:") :].replace("  - name: amplicon", "  - name: amplicon\n    galaxy: main")
    text = text.replace("  - name: rest", "  - name: rest\n    galaxy: test")
    text += "galaxies:\n  main: {url: https://a.example.org}\n  test: {url: https://b.example.org}\n"
    text += f"  third: {{url: https://c.example.org, api_key_file: {managed}}}\n"
    env = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    settings = load_config(write(text), env, secrets=tmp_path)
    keys = {name: galaxy.read_key() for name, galaxy in settings.galaxies.items()}
    assert keys == {"main": "key-of-main", "test": "key-of-test", "third": "key-of-third"}


def test_a_key_from_the_environment_shows_nowhere(write: WriteConfig) -> None:
    """Neither the text of the settings nor the values in effect hold a key or a database password."""
    env = {
        "WATCHER_GALAXY__API_KEY": OTHER,
        "WATCHER_STATE": '{"url": "postgresql+psycopg://me:pa55@db.example.org/x?password=pa56", "path": null}',
    }
    settings = load_config(write(KEYLESS), env, secrets=Path("/nonexistent"))
    assert settings.galaxies["galaxy"].read_key() == OTHER
    for text in (repr(settings), str(settings), effective_yaml(settings), settings.model_dump_json()):
        assert OTHER not in text
    assert "pa55" in settings.state.url
    for text in (repr(settings), str(settings), effective_yaml(settings)):
        assert "pa5" not in text
    assert "postgresql+psycopg://me:********@db.example.org/x?password=********" in effective_yaml(settings)


def test_a_wrong_key_in_the_environment(write: WriteConfig) -> None:
    """A key with something else in it is refused without being repeated."""
    said = refused_key(write(KEYLESS), {"WATCHER_GALAXY__API_KEY": f"key: {OTHER}"})
    assert "The API key from the environment holds more than a key." in said
    assert OTHER not in said
