"""Accounts by user and password, users to act for, proxies on the way: what may be written, and what shows nowhere."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.config.conftest import GOOD, KEY, WriteConfig
from watcher.config import effective_yaml, load_config
from watcher.errors import ConfigError, KeyRefused

PASSWORD = "correct horse battery"
KEY_LINE = "  api_key_file: KEY\n"

WriteSecret = Callable[[str, str], Path]


@pytest.fixture
def secret(tmp_path: Path) -> WriteSecret:
    """Return what writes a secret file as it should be."""

    def write_secret(name: str, text: str) -> Path:
        file = tmp_path / name
        file.touch(mode=0o600)
        file.write_text(text)
        return file

    return write_secret


def refused(file: Path, env: dict[str, str] | None = None) -> list[str]:
    """Return everything that is said about a configuration."""
    with pytest.raises(ConfigError) as error:
        load_config(file, env or {}, secrets=Path("/nonexistent"))
    return [str(problem) for problem in error.value.problems]


def by_password(more: str) -> str:
    """Return the good configuration with a user instead of a key."""
    return GOOD.replace(KEY_LINE, f"  user: seq@example.org\n{more}")


def test_a_user_and_a_password_stand_for_a_key(write: WriteConfig, secret: WriteSecret) -> None:
    """The password is read anew each time, with its blanks, and shows in nothing that is printed."""
    file = secret("password", f"{PASSWORD} \n")
    settings = load_config(write(by_password(f"  password_file: {file}\n")), {})
    galaxy = settings.galaxies["galaxy"]
    assert galaxy.read_password() == f"{PASSWORD} "
    assert galaxy.key_origin() == f"user seq@example.org, password in {file}"
    file.write_text("another")
    assert galaxy.read_password() == "another"
    for text in (repr(settings), effective_yaml(settings), settings.model_dump_json()):
        assert PASSWORD not in text
    file.chmod(0o640)
    with pytest.raises(KeyRefused, match="can be read or changed by others"):
        galaxy.read_password()


def test_a_password_handed_over_by_systemd_or_docker(write: WriteConfig, tmp_path: Path) -> None:
    """Without a file the systemd credential counts, then the Docker secret, whatever their mode."""
    credentials, secrets = tmp_path / "credentials", tmp_path / "secrets"
    for folder, name, text in (
        (credentials, "galaxy-password", "from-systemd"),
        (secrets, "galaxy_password", "from-docker"),
    ):
        folder.mkdir()
        (folder / name).write_text(text)
        (folder / name).chmod(0o444)
    env = {"CREDENTIALS_DIRECTORY": str(credentials)}
    galaxy = load_config(write(by_password("")), env, secrets=secrets).galaxies["galaxy"]
    assert galaxy.read_password() == "from-systemd"
    (credentials / "galaxy-password").unlink()
    assert galaxy.read_password() == "from-docker"
    (secrets / "galaxy_password").unlink()
    said = refused(write(by_password("")), env)
    assert len(said) == 1
    assert "galaxy.password_file: There is no password of seq@example.org" in said[0]


def test_key_and_user_exclude_each_other(write: WriteConfig, secret: WriteSecret) -> None:
    """An account is told in one way; a password needs a user, a login for a proxy needs the proxy."""
    file = secret("password", PASSWORD)
    both = GOOD.replace(KEY_LINE, f"{KEY_LINE}  user: seq\n  password_file: {file}\n")
    assert any("galaxy.user: and api_key_file are both set. Keep one of them." in line for line in refused(write(both)))
    [alone] = refused(write(GOOD.replace(KEY_LINE, f"{KEY_LINE}  password_file: {file}\n")))
    assert "galaxy.password_file: is set without user." in alone
    login = secret("login", "me:hush")
    [alone] = refused(write(GOOD.replace(KEY_LINE, f"{KEY_LINE}  proxy_login_file: {login}\n")))
    assert "galaxy.proxy_login_file: is set without proxy." in alone
    env = {"WATCHER_GALAXY__API_KEY": KEY}
    [twice] = refused(write(by_password(f"  password_file: {file}\n")), env)
    assert "and a key from the environment are both set" in twice
    assert KEY not in twice


@pytest.mark.parametrize(
    ("content", "message"),
    [("", "is empty"), ("\n", "is empty"), ("one\ntwo\n", "more than one line"), ("with:colon", "holds a colon")],
    ids=["nothing", "empty-line", "two-lines", "colon"],
)
def test_a_password_file_without_a_password(
    write: WriteConfig, secret: WriteSecret, content: str, message: str
) -> None:
    """What Galaxy could not take is told before it is asked, without the password."""
    [said] = refused(write(by_password(f"  password_file: {secret('password', content)}\n")))
    assert "galaxy.password_file: " in said
    assert message in said
    assert "with:colon" not in said


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("run_as: alice", "is not an e-mail address"),
        ("run_as: [a]", "must be text"),
        ("user: 'a:b'", "must not hold a colon"),
        ("proxy: proxy.example.org:3128", "it has to be http://HOST:PORT"),
        ("proxy: socks5://proxy.example.org:1080", "it has to be http://HOST:PORT"),
        ("proxy: http://proxy.example.org:3128/path", "it has to be http://HOST:PORT"),
        ("proxy: 'http://[proxy'", "is not the address of a proxy"),
        ("proxy: http://me:hush@proxy.example.org:3128", "must not hold a user name or password"),
    ],
)
def test_what_cannot_be_meant_is_refused(write: WriteConfig, line: str, said: str) -> None:
    """Each value is refused at its line with what would be right."""
    found = [one for one in refused(write(GOOD.replace(KEY_LINE, f"{KEY_LINE}  {line}\n"))) if said in one]
    assert len(found) == 1
    assert f"config.yaml:4: galaxy.{line.partition(':')[0]}: " in found[0]
    assert "hush" not in found[0]


def test_the_way_to_galaxy_is_kept_apart_from_its_secrets(write: WriteConfig, secret: WriteSecret) -> None:
    """Proxy login and headers are read from files of their own and show in nothing that is printed."""
    login, headers = (
        secret("login", "me:hush:hush\n"),
        secret("headers", "# front\n\nX-Front: sesame \nCookie: a=b; c\n"),
    )
    more = f"  proxy: https://proxy.example.org:3128\n  proxy_login_file: {login}\n  headers_file: {headers}\n"
    settings = load_config(write(GOOD.replace(KEY_LINE, KEY_LINE + more)), {})
    galaxy = settings.galaxies["galaxy"]
    assert galaxy.proxy == "https://proxy.example.org:3128"
    assert galaxy.read_proxy_login() == ("me", "hush:hush")
    assert galaxy.read_headers() == {"x-front": "sesame", "cookie": "a=b; c"}
    for text in (repr(settings), effective_yaml(settings), settings.model_dump_json()):
        assert "hush" not in text
        assert "sesame" not in text


BAD_HEADERS = {
    "key": ("X-API-Key: hush", "sets X-API-Key, which the watcher sets itself"),
    "host": ("Host: hush", "sets Host, which the watcher sets itself"),
    "length": ("content-length: 3", "sets content-length, which the watcher sets itself"),
    "user": ("run-as: hush", "sets run-as, which the watcher sets itself"),
    "no-colon": ("A: b\nhush", "Line 2 of the headers file"),
    "no-value": ("X-Front:", "is no header"),
    "blank-in-name": ("X Front: hush", "is no header"),
    "no-ascii": ("X-Front: húsh", "is no header"),
    "twice": ("X-Front: hush\nx-front: b", "sets x-front a second time"),
    "nothing": ("# only words\n", "holds no header"),
}


@pytest.mark.parametrize("case", BAD_HEADERS.values(), ids=BAD_HEADERS.keys())
def test_a_headers_file_that_cannot_be_used(write: WriteConfig, secret: WriteSecret, case: tuple[str, str]) -> None:
    """Headers of our own and lines that are none are refused by their number, without their value."""
    content, message = case
    [said] = refused(write(GOOD.replace(KEY_LINE, f"{KEY_LINE}  headers_file: {secret('headers', content)}\n")))
    assert message in said
    assert "hush" not in said
    assert "húsh" not in said


def test_a_header_that_the_login_needs_itself(write: WriteConfig, secret: WriteSecret) -> None:
    """A proxy's own Authorization and a login by password would be one and the same header."""
    headers, password = secret("headers", "Authorization: Basic aHVzaA=="), secret("password", PASSWORD)
    [said] = refused(write(by_password(f"  password_file: {password}\n  headers_file: {headers}\n")))
    assert "galaxy.headers_file: " in said
    assert "sets Authorization, which the login of seq@example.org needs" in said
    settings = load_config(write(GOOD.replace(KEY_LINE, f"{KEY_LINE}  headers_file: {headers}\n")), {})
    assert settings.galaxies["galaxy"].read_headers() == {"authorization": "Basic aHVzaA=="}


@pytest.mark.parametrize("option", ["password_file", "proxy_login_file", "headers_file"])
def test_every_secret_file_is_for_its_owner_alone(write: WriteConfig, secret: WriteSecret, option: str) -> None:
    """Passwords, logins and headers are refused like a key when others can read them, and when they are no file."""
    file = secret("secret", "me:hush")
    file.chmod(0o604)
    with_proxy = "  proxy: http://proxy.example.org:3128\n" if option == "proxy_login_file" else ""
    text = by_password("") if option == "password_file" else GOOD
    place = "state:"
    configuration = text.replace(place, f"{with_proxy}  {option}: {file}\n{place}", 1)
    [said] = refused(write(configuration))
    assert f"galaxy.{option}: " in said
    assert said.endswith(f"Run: chmod 600 {file}")
    file.unlink()
    os.mkfifo(file, 0o600)
    [said] = refused(write(configuration))
    assert "is not a regular file" in said
