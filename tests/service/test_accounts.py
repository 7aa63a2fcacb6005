"""Accounts from the first request to the result: by password, for another user, behind proxies; asked for patience."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

import pytest

from tests.fakes.galaxy import Fault
from tests.world import World, fastq, until

PASSWORD = "correct horse battery"
SESAME = "open-sesame"
SESSIONS = "/api/upload/resumable_upload/*"


def write_secret(world: World, name: str, text: str) -> str:
    """Write a file for the owner alone, whole and at once, and return its path."""
    file = world.folder / name
    new = file.with_suffix(".new")
    new.touch(mode=0o600)
    new.write_text(text)
    new.replace(file)
    return str(file)


def by_password(world: World, password: str = PASSWORD) -> None:
    """Let the account be told by user and password; Galaxy knows the right one."""
    world.fake.set_password(PASSWORD)
    file = write_secret(world, "password", f"{password}\n")
    world.write_config(galaxy={"api_key_file": None, "user": "watcher@example.org", "password_file": file})


async def obstacles(world: World) -> list[str]:
    """Return the keys of the open obstacles."""
    return [obstacle["key"] for obstacle in (await world.status())["obstacles"]]


async def test_a_run_by_password_whose_key_is_renewed(world: World) -> None:
    """The daemon logs in once, again when the key is renewed in mid-upload, and keeps every secret to itself."""
    by_password(world)
    headers = write_secret(world, "headers", f"X-Front: {SESAME}\n")
    world.write_config(
        galaxy={
            "api_key_file": None,
            "user": "watcher@example.org",
            "password_file": str(world.folder / "password"),
            "headers_file": headers,
        }
    )
    run = world.add_run()
    keys = [world.fake.key]
    renewal = Fault("act", method="POST", path="/api/tools/fetch", action=lambda: keys.append(world.fake.renew_key()))
    world.fake.faults.add(renewal)
    world.fake.requests.sent = bytearray()
    running = world.start("serve")
    await world.until_status("done")
    arguments = Path(f"/proc/{running.pid}/cmdline").read_bytes() + Path(f"/proc/{running.pid}/environ").read_bytes()
    assert running.end() == 0
    assert renewal.hits == 1
    assert world.uploads() == world.fastqs(run)
    assert len(world.fake.requests.all("GET", "baseauth")) == 2
    assert SESAME.encode() in world.fake.requests.sent
    assert not await world.journal("obstacle.raised")
    (unit,) = (await world.status())["units"]
    told = [world.command(*words) for words in (("status",), ("show", unit["id"]), ("config", "show"), ("check",))]
    assert [ended.code for ended in told] == [0, 0, 0, 0], told
    assert "watcher@example.org logs in as watcher@example.org" in " ".join(told[3].out.split())
    left = [
        arguments,
        "\n".join(running.lines).encode(),
        *(ended.out.encode() + ended.err.encode() for ended in told),
        *(path.read_bytes() for path in (world.folder / "state").iterdir()),
        *(path.read_bytes() for path in world.results.rglob("*") if path.is_file()),
    ]
    for secret in (PASSWORD, SESAME, *keys):
        assert not [number for number, text in enumerate(left) if secret.encode() in text]


async def test_a_wrong_password_is_one_obstacle_and_one_login(world: World) -> None:
    """Probes go on, but Galaxy sees the wrong password once; with the right one everything goes on by itself."""
    by_password(world, "wrong")
    world.write_config(
        galaxy={"api_key_file": None, "user": "watcher", "password_file": str(world.folder / "password")},
        limits={"probe": "200ms"},
        rule={"per": "sample", "deliver": {"folder": f"{world.results}/{{run}}/{{sample}}"}},
    )
    run = world.add_run(samples=("S1", "S2", "S3"))
    async with world.daemon() as daemon:
        await until(lambda: obstacles(world), what="an obstacle")
        (obstacle,) = (await world.status())["obstacles"]
        assert obstacle["key"] == "account:galaxy"
        assert "does not let watcher log in" in obstacle["reason"]
        assert "password_file" in obstacle["hint"]
        probed: set[object] = set()

        async def probed_often() -> bool:
            probed.update(one.next_probe_at for one in await daemon.rooms.store.obstacles())
            return len(probed) > 4

        await until(probed_often, what="several probes")
        assert len(world.fake.requests.all("GET", "baseauth")) == 1
        write_secret(world, "password", PASSWORD)
        await world.until_status("done")
    assert world.uploads() == world.fastqs(run)
    assert len(world.fake.requests.all("GET", "baseauth")) == 2
    assert len(await world.journal("obstacle.raised")) == len(await world.journal("obstacle.ended")) == 1


async def test_a_run_for_another_user(world: World) -> None:
    """Nothing is sent before Galaxy lets the administrator act for the user; then everything is the user's own."""
    world.fake.user.is_admin = True
    world.write_workflow("Count for bob")
    world.write_config(galaxy={"run_as": "bob@example.org"})
    run = world.add_run()
    async with world.daemon():
        await until(lambda: obstacles(world), what="an obstacle")
        (obstacle,) = (await world.status())["obstacles"]
        assert obstacle["key"] == "account:galaxy"
        assert "api_allow_run_as" in obstacle["hint"]
        assert [seen for seen in world.fake.requests.all() if seen.method != "GET"] == []
        refused = await asyncio.to_thread(world.command, "check")
        assert refused.code == 4
        assert "api_allow_run_as" in refused.out
        world.fake.let_run_as()
        await world.until_status("done")
    assert world.uploads() == world.fastqs(run)
    assert {row["user"] for row in world.fake.histories()} == {"bob"}
    rows = world.fake.state
    assert {rows.users[row.user].username for row in rows.invocations.values()} == {"bob"}
    assert {rows.users[row.user].username for row in rows.jobs.values()} == {"bob"}
    assert {rows.users[row.file.user].username for row in rows.datasets.values()} == {"bob"}
    well = world.command("check")
    assert well.code == 0, well
    assert "the key acts for bob@example.org" in " ".join(well.out.split())


@pytest.mark.parametrize("status", [429, 503])
async def test_patience_that_is_asked_for_in_mid_upload_is_given(world: World, status: int) -> None:
    """No byte is sent before Retry-After is over, the offset is asked for first, and nobody is told of an obstacle."""
    rule = {"workflow": None, "deliver": None, "destination": {"collection": "none"}}
    world.write_config(watch={"layout": "files"}, rule=rule, limits={"chunk_bytes": "64 KiB"})
    content = fastq(2000, bases=60)
    (world.watched / "reads.fastq").write_bytes(content)
    busy = world.fake.faults.add(Fault("status", method="PATCH", path=SESSIONS, status=status, seconds=3, skip=1))
    async with world.daemon():
        await world.until_status("done")
    assert busy.hits == 1
    assert world.uploads() == {"reads.fastq": hashlib.sha256(content).hexdigest()}
    seen = world.fake.requests.all(path="/api/upload")
    at = next(number for number, one in enumerate(seen) if one.status == status)
    later = seen[at + 1 :]
    assert next(one.method for one in later if one.method in ("HEAD", "PATCH")) == "HEAD"
    again = next(one for one in later if one.method == "PATCH")
    assert again.at - seen[at].at >= 3
    assert again.offset == seen[at].offset
    assert not await world.journal("obstacle.raised")
    assert sum(one.received for one in seen if one.method == "PATCH" and one.status == 204) == len(content)
