"""Object stores that run in processes of their own; each test has a bucket to itself."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.delivery.results import Results
from tests.delivery.stores import S3, Azure, azurite, find_azurite, moto
from tests.delivery.swift import Swift, find_swift, swift


@pytest.fixture
def results() -> Results:
    """Results in memory."""
    return Results()


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3]:
    """An S3 server."""
    with moto() as server:
        yield server


@pytest.fixture
def s3(s3_server: S3, monkeypatch: pytest.MonkeyPatch) -> S3:
    """A bucket, empty; nothing of this machine's own settings is taken."""
    for name in ("AWS_CA_BUNDLE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    store = S3(s3_server.port, f"results-{secrets.token_hex(4)}")
    store.make_bucket()
    return store


@pytest.fixture(scope="session")
def azure_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azure]:
    """An Azure server; without one the test is left out."""
    program: Path | None = find_azurite()
    if program is None:
        pytest.skip("Azurite is not installed (.ci/azurite)")
    with azurite(program, tmp_path_factory.mktemp("azurite")) as server:
        yield server


@pytest.fixture
def azure(azure_server: Azure) -> Azure:
    """A container, empty."""
    store = Azure(azure_server.port, f"results-{secrets.token_hex(4)}")
    store.make_container()
    return store


@pytest.fixture
def swift_server(tmp_path: Path) -> Iterator[Swift]:
    """A store of this test's own, which may be killed and started again; without Swift the test is left out."""
    programs: Path | None = find_swift()
    if programs is None:
        pytest.skip("OpenStack Swift is not installed (.ci/swift)")
    with swift(programs, tmp_path / "swift") as server:
        yield server
