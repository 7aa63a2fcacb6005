"""`check` says what an account offers before there is any run: names, readers, room, versions, clocks."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.fakes.galaxy.versions import Behaviour
from tests.world import World
from watcher.clock import SystemClock
from watcher.service.preflight import check_all
from watcher.service.preflight_galaxy import Finding


class LateClock(SystemClock):
    """A machine whose clock is five minutes behind."""

    def now(self) -> datetime:
        """Return the time five minutes ago."""
        return super().now() - timedelta(minutes=5)


def told(findings: list[Finding], *, well: bool) -> str:
    """Return all that is well, or all that is not, with its hints."""
    return "\n".join(f"{one.subject}: {one.message} {one.hint}" for one in findings if one.well is well)


async def test_names_of_a_rule_are_all_told(world: World) -> None:
    """Role, user and history that are not there, each with the one that was meant; nothing is written in Galaxy."""
    world.fake.user.is_admin = True
    world.fake.add_history("Run archive")
    place = {"existing": "Run arhive", "share": {"roles": ["whole labs"]}}
    world.write_config(rule={"destination": place, "ext": "fastqsangr.gz", "dbkey": "hg83"})
    bad = told(await check_all(world.settings()), well=False)
    assert "rule all: Galaxy knows no role `whole labs`. Did you mean `whole lab`?" in bad
    assert "no datatype `fastqsangr.gz` (rule all). Did you mean `fastqsanger.gz`?" in bad
    assert "no reference genome `hg83` (rule all). Did you mean `hg38`?" in bad
    assert "no history `Run arhive`" in bad
    assert "Did you mean `Run archive`?" in bad
    world.write_config(rule={"destination": {"share": {"users": ["bop@example.org"]}}})
    assert "Did you mean `bob@example.org`?" in told(await check_all(world.settings()), well=False)
    assert not any(world.fake.requests.all(method) for method in ("POST", "PUT", "PATCH", "DELETE"))


async def test_what_cannot_be_looked_up_is_said(world: World) -> None:
    """An ordinary account sees no other users: that is no fault, and it is told when they are asked for."""
    world.write_config(rule={"destination": {"share": {"users": ["bob@example.org"]}}})
    findings = await check_all(world.settings())
    assert told(findings, well=False) == ""
    assert "bob@example.org cannot be looked up by this account" in told(findings, well=True)


async def test_a_history_that_the_sheet_names_is_known_with_the_run(world: World) -> None:
    """A template cannot be looked up beforehand, and is not called wrong."""
    world.write_config(rule={"destination": {"existing": "{sheet.Archive}"}})
    assert told(await check_all(world.settings()), well=False) == ""


async def test_who_reads_new_datasets_is_said(world: World) -> None:
    """The account's default in Galaxy, and what the watcher makes of it."""
    well = told(await check_all(world.settings()), well=True)
    assert "new datasets are private: by the account's default in Galaxy a new dataset can be read by everybody" in well
    world.fake.user.default_access = (world.fake.user.role,)
    well = told(await check_all(world.settings()), well=True)
    assert "new datasets are private, by the account's own default in Galaxy as well." in well
    world.fake.user.default_access = ()
    world.write_config(galaxy={"access": "server"})
    well = told(await check_all(world.settings()), well=True)
    assert "access: server: by the account's default in Galaxy a new dataset can be read by everybody" in well


async def test_clocks_that_differ_are_told(world: World) -> None:
    """Galaxy's clock is compared with ours by the date of its answers."""
    assert "its clock and ours agree." in told(await check_all(world.settings()), well=True)
    bad = told(await check_all(world.settings(), LateClock()), well=False)
    assert "s ahead of ours." in bad
    assert "NTP" in bad


async def test_room_is_told_with_used_and_limit(world: World) -> None:
    """Used bytes and quota are shown, and a quota that is used up is no well."""
    assert "0.0 GiB used, no quota." in told(await check_all(world.settings()), well=True)
    world.fake.set_quota(3 * 1024**3)
    assert "0.0 GiB used of 3.0 GiB, 3.0 GiB of quota left." in told(await check_all(world.settings()), well=True)
    world.fake.set_quota(0)
    assert "the quota is used up." in told(await check_all(world.settings()), well=False)


@pytest.mark.parametrize(
    ("version", "words"),
    [("24.1.4", "versions from 24.1 to 26.1 were tried, 24.1.4 is among them."), ("27.0.1", "is newer than 26.1")],
)
async def test_whether_the_version_was_tried_is_said(tmp_path: Path, version: str, words: str) -> None:
    """A version that was tried, and one that came later."""
    with World(tmp_path, version="24.1.4") as world:
        world.fake.state.behaviour = replaced(world, version)
        assert words in told(await check_all(world.settings()), well=True)


def replaced(world: World, version: str) -> Behaviour:
    """Return the same server under another version number."""
    return replace(world.fake.state.behaviour, version=version)


async def test_rights_of_a_delivery(world: World) -> None:
    """A group that nobody made is told before anything is delivered; a number is taken as it is."""
    for group, is_well in (("no-such-group", False), ("0", True)):
        world.write_config(rule={"deliver": {"folder": f"{world.results}/{{run}}", "group": group}})
        bad = told(await check_all(world.settings()), well=False)
        assert ("rule all, delivery: There is no group `no-such-group` on this machine" in bad) is not is_well
