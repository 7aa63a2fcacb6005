"""Object stores: what can be set, what is refused, which settings fit an address, and that no secret shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.config.conftest import GOOD, WriteConfig
from watcher.config import effective_yaml, load_config, options_for
from watcher.config.object_stores import store_of
from watcher.errors import ConfigError, KeyRefused

SECRET = "wJalrXUtnFEMI/K7MDENG"


def problems(file: Path) -> list[str]:
    """Return what is said about a configuration that is refused."""
    with pytest.raises(ConfigError) as refused:
        load_config(file, {})
    assert SECRET not in str(refused.value)
    return [f"{problem.key}: {problem.message} {problem.hint}" for problem in refused.value.problems]


@pytest.fixture
def secret_file(tmp_path: Path) -> Path:
    """A file that holds a secret access key."""
    file = tmp_path / "secret"
    file.write_text(SECRET + "\n")
    file.chmod(0o600)
    return file


def test_the_longest_prefix_counts(write: WriteConfig, secret_file: Path) -> None:
    """Below a prefix means below a folder of it; an address that nothing fits is left to the environment."""
    listed = f"""\
object_stores:
  - prefix: s3://results/
    region: eu-central-1
    access_key_id_file: KEY
    secret_access_key_file: {secret_file}
  - prefix: s3://results/lab
    endpoint: http://minio.example.org:9000/
    allow_http: true
    checksums: false
  - prefix: az://clinic
    account_name: hospital
    account_key_file: {secret_file}
"""
    settings = load_config(write(GOOD + listed), {})
    stores = settings.object_stores
    assert [store.prefix for store in stores] == ["s3://results", "s3://results/lab", "az://clinic"]
    assert store_of(stores, "s3://results/lab/run 7") is stores[1]
    assert store_of(stores, "s3://results/lab") is stores[1]
    assert store_of(stores, "s3://results/laboratory") is stores[0]
    assert store_of(stores, "s3://results-of-others/x") is None
    assert store_of(stores, "gs://results/x") is None
    options = options_for(stores, "s3://results/run 7")
    assert options == {
        "region": "eu-central-1",
        "access_key_id": "0123456789abcdef0123456789abcdef",
        "secret_access_key": SECRET,
        "checksum_algorithm": "sha256",
    }
    assert options_for(stores, "s3://results/lab/x") == {
        "endpoint": "http://minio.example.org:9000", "allow_http": "true"
    }  # fmt: skip
    assert options_for(stores, "az://clinic/x") == {"account_name": "hospital", "account_key": SECRET}
    assert options_for(stores, "s3://elsewhere") == {"checksum_algorithm": "sha256"}
    assert options_for(stores, "gs://elsewhere") == {}
    assert SECRET not in repr(settings) + effective_yaml(settings)


@pytest.mark.parametrize(
    ("entry", "key", "said"),
    [
        ("{prefix: ftp://x}", "prefix", "has to begin with s3://"),
        ("{prefix: 's3:///x'}", "prefix", "names no bucket"),
        ("{prefix: s3://results/../x}", "prefix", "holds '//', '.' or '..'"),
        ("{prefix: s3://results, endpoint: 'https://us:secret@example.org'}", "endpoint", "must not hold a user name"),
        ("{prefix: s3://results, endpoint: minio}", "endpoint", "is not a web address"),
        ("{prefix: s3://results, endpoint: 'http://minio:9000'}", "endpoint", "is not encrypted"),
        ("{prefix: s3://results, account_name: x}", "account_name", "is only for Azure"),
        ("{prefix: az://results, region: x}", "region", "is only for S3"),
        ("{prefix: az://results, account_key_file: KEY}", "account_key_file", "is set without account_name"),
        ("{prefix: s3://results, access_key_id_file: KEY}", "access_key_id_file", "belong together"),
        ("{prefix: gs://results, service_account_file: KEY}", "service_account_file", "holds no key of a service"),
        ("{prefix: s3://results, secret_access_key: x}", "secret_access_key", ""),
    ],
)
def test_what_is_wrong_is_told_at_its_place(write: WriteConfig, entry: str, key: str, said: str) -> None:
    """Addresses, settings of another kind of store, pairs of which one is missing, a secret in the file itself."""
    told = problems(write(f"{GOOD}object_stores:\n  - {entry}\n"))
    assert [problem for problem in told if problem.startswith(f"object_stores[0].{key}: ") and said in problem], told


def test_a_prefix_is_listed_once(write: WriteConfig) -> None:
    """Of two with the same prefix nobody could tell which counts."""
    listed = "object_stores: [{prefix: s3://results}, {prefix: s3://results/}]\n"
    (told,) = problems(write(GOOD + listed))
    assert told == "object_stores[1].prefix: is that of object_stores[0] as well. Keep one of them."


@pytest.mark.parametrize(
    ("mode", "content", "said"),
    [
        (0o644, SECRET, "can be read or changed by others"),
        (0o600, "", "is empty"),
        (0o600, f"{SECRET}\nmore", "holds more than one line"),
        (None, "", "does not exist"),
    ],
)
def test_key_files_are_checked_like_those_of_galaxy(
    write: WriteConfig, secret_file: Path, mode: int | None, content: str, said: str
) -> None:
    """Open to others, empty, more than a key, missing: refused at start, and each time it is read anew."""
    listed = f"object_stores: [{{prefix: az://clinic, account_name: x, account_key_file: {secret_file}}}]\n"
    file = write(GOOD + listed)
    stores = load_config(file, {}).object_stores
    secret_file.write_text(content)
    if mode is None:
        secret_file.unlink()
    else:
        secret_file.chmod(mode)
    (told,) = problems(file)
    assert told.startswith("object_stores[0].account_key_file: The account key file ")
    assert said in told
    with pytest.raises(KeyRefused, match=said) as refused:
        options_for(stores, "az://clinic/x")
    assert SECRET not in str(refused.value)


def test_a_service_account_is_handed_over_whole(write: WriteConfig, tmp_path: Path) -> None:
    """The JSON of Google goes to the delivery as it is."""
    file = tmp_path / "account.json"
    file.write_text('{"client_email": "us@example.org", "private_key": "PEM"}')
    file.chmod(0o600)
    listed = f"object_stores: [{{prefix: gs://results, service_account_file: {file}}}]\n"
    stores = load_config(write(GOOD + listed), {}).object_stores
    assert options_for(stores, "gs://results/x") == {"service_account_key": file.read_text()}
