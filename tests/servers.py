"""The servers that tests of more than one folder run against, fake or real, of each version.

The fake as three versions and the real newest one run in `make test`, the real older ones in `make test-extra`. All
tests share one fixture, so that pytest puts those of a version together and each real server is booted once.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from tests.fakes.galaxy import FakeGalaxy
from tests.live.real_galaxy import OLDER, older_galaxy, real_galaxy
from tests.live.registry import registry

NEWEST = "26.1.2"


class GalaxyServer(Protocol):
    """What a test may know of the server: its address, the key of an administrator who may act for others, and another,
    ordinary user.
    """

    @property
    def url(self) -> str: ...

    @property
    def key(self) -> str: ...

    @property
    def second_key(self) -> str: ...

    @property
    def import_folder(self) -> Path:
        """Its `library_import_dir`; beside it, in `userimport`, each account has a folder of its own."""
        ...

    @property
    def second_email(self) -> str: ...

    @property
    def second_password(self) -> str: ...


SERVERS = [
    pytest.param(("fake", ""), id="fake"),
    *(pytest.param(("fake", version), id=f"fake-{version}") for version in OLDER),
    pytest.param(("real", ""), id="real", marks=pytest.mark.real),
    *(
        pytest.param(
            ("real", version), id=f"real-{version}", marks=[pytest.mark.real, pytest.mark.older, pytest.mark.slow]
        )
        for version in OLDER
    ),
]


@pytest.fixture(scope="session", params=SERVERS)
def galaxy_server(request: pytest.FixtureRequest) -> Iterator[GalaxyServer]:
    """Return a server, a fake one in this process or a real one; of the newest version when none is named."""
    kind, version = request.param
    if kind == "fake":
        with FakeGalaxy(version or NEWEST, admin=True) as fake:
            fake.let_run_as()
            fake.state.registries = registry().listed()
            yield fake
    elif version:
        with older_galaxy(version) as older:
            yield older
    else:
        yield real_galaxy()
