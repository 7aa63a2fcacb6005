"""Promise 8: nothing the watcher makes in Galaxy can be read by others, tried as another user and without a key.

By default a Galaxy's datasets can be read by anybody who knows their id; uploads and results are tried alike, on the
fake Galaxy and on a real one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx
import pytest

from tests.crash.on_real_galaxy import datasets_of, made_here, real_world, witness
from tests.fakes.galaxy import FakeGalaxy
from tests.fakes.galaxy.account_state import LAB_ROLE
from tests.live.real_galaxy import RealGalaxy, real_galaxy
from tests.world import World

pytestmark = pytest.mark.timeout(180)  # a whole way each, also on a busy machine

WAYS_IN = (
    "/api/datasets/{dataset}",
    "/api/datasets/{dataset}/display",
    "/api/datasets/{dataset}/display?to_ext=data",
    "/api/datasets/{dataset}/display?raw=true",
    "/api/histories/{history}/contents/{dataset}/display",
    "/api/histories/{history}",
    "/api/histories/{history}/contents",
)


def readable_by(galaxy: FakeGalaxy | RealGalaxy, key: str, history: str, datasets: Sequence[str]) -> list[str]:
    """Return the addresses below which this key gets an answer with something in it."""
    headers = {"x-api-key": key} if key else {}
    open_ways = []
    with httpx.Client(base_url=galaxy.url, headers=headers, timeout=60) as client:
        for dataset in datasets:
            for way in WAYS_IN:
                answer = client.get(way.format(history=history, dataset=dataset))
                if answer.status_code < 300 and answer.content not in (b"", b"[]", b"null"):
                    open_ways.append(way)
    return open_ways


@pytest.mark.parametrize("who", ["another-user", "nobody"])
async def test_others_cannot_read_uploads_or_results(world: World, who: str) -> None:
    """Neither another account nor a visitor without a key gets at a dataset, its bytes or the history."""
    world.add_run()
    (unit,) = (await world.once())["units"]
    assert unit["status"] == "done"
    datasets = world.fake.datasets()
    assert {row["uploaded"] for row in datasets} == {True, False}
    ids = [row["id"] for row in datasets]
    (history,) = world.fake.histories()
    key = world.fake.second_key if who == "another-user" else ""
    assert readable_by(world.fake, key, history["id"], ids) == []
    assert readable_by(world.fake, world.fake.key, history["id"], ids)


@pytest.mark.parametrize("version", ["24.1.4", "25.1.3", "26.1.2"])
async def test_every_dataset_is_private_from_its_first_moment(tmp_path: Path, version: str) -> None:
    """Uploads are private before the workflow sees them, and so everything made from them."""
    with World(tmp_path, version=version) as world:
        world.add_run()
        (unit,) = (await world.once())["units"]
        assert unit["status"] == "done"
        assert all(row["private"] for row in world.fake.datasets())


async def test_a_role_that_colleagues_have_is_not_private(world: World) -> None:
    """An account whose default closes datasets only to strangers still uploads what nobody else can read."""
    roles = {"DATASET_MANAGE_PERMISSIONS": [LAB_ROLE], "DATASET_ACCESS": [LAB_ROLE]}
    async with httpx.AsyncClient(base_url=world.fake.url, headers={"x-api-key": world.fake.key}) as client:
        (await client.put("/api/users/current/permissions/inputs", json=roles)).raise_for_status()
    world.add_run()
    (unit,) = (await world.once())["units"]
    assert unit["status"] == "done"
    (history,) = world.fake.histories()
    ids = [row["id"] for row in world.fake.datasets()]
    assert readable_by(world.fake, world.fake.second_key, history["id"], ids) == []


async def test_a_rule_may_leave_it_to_the_server(world: World) -> None:
    """With `access: server` the account's own defaults stand, which on a plain Galaxy are open."""
    world.write_config(galaxy={"access": "server"})
    world.add_run()
    (unit,) = (await world.once())["units"]
    assert unit["status"] == "done"
    assert not any(row["private"] for row in world.fake.datasets())


async def test_keys_and_sessions_stay_inside(world: World) -> None:
    """Neither the key nor an upload session is in the log, the report or the journal."""
    world.add_run()
    ended = world.command("once", "--wait", "2s")
    assert ended.code == 0, ended.err
    (unit,) = (await world.status())["units"]
    shown = world.command("show", unit["id"], "--json")
    for text in (ended.out, ended.err, shown.out, shown.err):
        assert world.fake.key not in text
        assert "resumable_upload/" not in text


@pytest.fixture(scope="module")
def real_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RealGalaxy, World]]:
    """Return a run that went through the real Galaxy."""
    real = real_galaxy()
    with real_world(tmp_path_factory.mktemp("private"), real) as world:
        ended = world.command("once", "--wait", "5s", timeout_s=240)
        assert ended.code == 0, ended.err
        yield real, world


@pytest.mark.real
@pytest.mark.parametrize("who", ["another-user", "nobody"])
def test_others_cannot_read_a_real_galaxy_s_datasets(real_run: tuple[RealGalaxy, World], who: str) -> None:
    """On a real server, too, uploads and results are closed to another user and to a visitor without a key."""
    real, world = real_run
    with witness(real) as galaxy:
        (history,) = made_here(galaxy, world)
        rows = datasets_of(galaxy, history)
    names = set(world.fastqs())
    uploads = [row["id"] for row in rows if row["name"] in names and row["tags"]]
    results = [row["id"] for row in rows if row["id"] not in uploads]
    assert len(uploads) == 2
    assert len(results) == 4
    key = real.second_key if who == "another-user" else ""
    assert readable_by(real, key, history, [*uploads, *results]) == []
    assert readable_by(real, real.key, history, [*uploads, *results])
