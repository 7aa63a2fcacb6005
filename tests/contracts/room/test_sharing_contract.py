"""What a server offers by name, whose histories are whose, and what sharing does to datasets, on the fake and the real
Galaxy.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from tests.contracts.room.conftest import GalaxyServer, as_user, send, until
from watcher.clock import SystemClock
from watcher.errors import Forbidden, Refused
from watcher.galaxy import Galaxy
from watcher.galaxy.answers import History
from watcher.galaxy.fetch import FetchElement
from watcher.galaxy.users import Role
from watcher.model import DatasetId, HistoryId

MANY = "0123456789abcdef"


@dataclass
class Other:
    """An ordinary user: its e-mail, its id, its client."""

    email: str
    id: str
    galaxy: Galaxy


@pytest.fixture
async def other(galaxy_server: GalaxyServer) -> AsyncIterator[Other]:
    """Return the second user of the server."""
    async with as_user(galaxy_server, galaxy_server.second_key) as client:
        identity = await client.identify()
        yield Other(identity.email, identity.user_id, client)


async def uploaded(galaxy: Galaxy, history: HistoryId, *names: str) -> list[DatasetId]:
    """Upload small text files and wait until they are good."""
    elements = [FetchElement(name, "txt", await send(galaxy, b"text\n", name), (), "") for name in names]
    receipt = await galaxy.fetch.register(history, elements)

    async def good() -> bool:
        found = await galaxy.datasets.many(history, receipt.dataset_ids)
        return {facts.state for facts in found.values()} == {"ok"}

    await until(good)
    return list(receipt.dataset_ids)


async def may_read(galaxy: Galaxy, dataset: DatasetId) -> bool:
    """Tell whether this account gets the bytes."""
    try:
        async with galaxy.datasets.open(dataset) as pieces:
            return b"".join([piece async for piece in pieces]) == b"text\n"
    except Forbidden:
        return False


async def made_role(galaxy: Galaxy, *users: str) -> Role:
    """Make a role with these members, which only administrators can."""
    json = {"name": f"role {secrets.token_hex(4)}", "description": "for a test", "user_ids": users, "group_ids": []}
    return await galaxy._http.post("/api/roles", "make a role", Role, json=json)


async def private_history(galaxy: Galaxy) -> HistoryId:
    """Make a history whose datasets are private from the start."""
    await galaxy.users.make_new_datasets_private()
    return await galaxy.histories.create("shared by a contract test")


async def test_datatypes_and_dbkeys_are_listed(galaxy: Galaxy) -> None:
    """All extensions are there, those that are not offered for uploads as well, and no genome has its own key."""
    known = await galaxy.offers.datatypes()
    assert {"fastqsanger.gz", "bam", "unsorted.bam", "cram", "pod5", "data", "txt"} <= set(known)
    assert "fastqsangr.gz" not in known
    taken = await galaxy.offers.datatypes(by_path=True)
    assert {"fastqsanger.gz", "fastqsanger.bz2", "bam", "unsorted.bam", "cram", "pod5", "txt", "thermo.raw"} <= set(
        taken
    )
    assert "data" not in taken and set(taken) < set(known)
    dbkeys = await galaxy.offers.dbkeys()
    assert "?" in dbkeys
    assert "hg999" not in dbkeys


async def test_administrators_look_users_up_and_others_cannot(galaxy: Galaxy, other: Other) -> None:
    """An administrator finds an e-mail in any case and knows who is nobody; another account learns nothing."""
    nobody = f"nobody-{secrets.token_hex(4)}@example.org"
    known, nobodys, untold = await galaxy.offers.known_users([other.email.upper(), nobody])
    assert (known, nobodys, untold) == ({other.email.upper(): other.email}, [nobody], [])
    assert other.email in await galaxy.offers.emails_like(other.email)
    admin = (await galaxy.identify()).email
    assert await other.galaxy.offers.known_users([admin, nobody]) == ({}, [], [admin, nobody])
    assert await other.galaxy.offers.emails_like(admin) == [other.email]


async def test_roles_for_people_are_shown_to_all_and_held_by_members(galaxy: Galaxy, other: Other) -> None:
    """Every account sees a role, and the one that has it can tell."""
    role = await made_role(galaxy, other.id)
    assert (role.id, "admin") in [(one.id, one.type) for one in await galaxy.offers.roles()]
    assert role.id in [one.id for one in await other.galaxy.offers.roles()]
    assert role.name in await other.galaxy.offers.held_roles()
    assert role.name not in await galaxy.offers.held_roles()
    private = [one.name for one in await other.galaxy.offers.roles() if one.type == "private"]
    assert private == [other.email]
    with pytest.raises(Forbidden):
        await made_role(other.galaxy, other.id)


async def test_default_access_tells_who_reads_new_datasets(other: Other) -> None:
    """By default nobody needs a role; once it is changed, the account's own."""
    if (await other.galaxy.users.default_access()) != [other.email]:
        assert await other.galaxy.users.default_access() == []
        await other.galaxy.users.make_new_datasets_private()
    assert await other.galaxy.users.default_access() == [other.email]


async def test_the_server_tells_the_time(galaxy: Galaxy) -> None:
    """Servers on one machine agree about the time to within what the header and a slow answer can tell."""
    skew_s = await galaxy.offers.clock_skew_s(SystemClock())
    assert skew_s is not None
    assert abs(skew_s) < 30


async def test_own_histories_are_found_by_name_or_id(galaxy: Galaxy, other: Other) -> None:
    """Two of a name are two; deleted ones and those of others are none."""
    name = f"existing {secrets.token_hex(4)}"
    first, second = [await galaxy.histories.create(name) for _ in range(2)]
    assert {one.id for one in await galaxy.offers.histories(name)} == {first, second}
    (by_id,) = await galaxy.offers.histories(first)
    assert (by_id.id, by_id.name) == (first, name)
    assert name in await galaxy.offers.history_names()
    assert await other.galaxy.offers.histories(first) == []
    assert await galaxy.offers.histories(await other.galaxy.histories.create(name)) == []
    assert await galaxy.offers.histories(MANY) == []
    await galaxy.histories.delete(second)
    assert [one.id for one in await galaxy.offers.histories(name)] == [first]
    await galaxy.histories.delete(first, purge=True)
    assert await galaxy.offers.histories(name) == []


async def test_tags_are_set_without_touching_anything_else(galaxy: Galaxy, history: HistoryId) -> None:
    """Only the tags change; name and annotation stay."""
    await galaxy.histories.mark(history, ["mine"], "a person's words", name="a person's history")
    await galaxy.histories.tag(history, ["mine", "watcher:abc-1"])
    facts: History = await galaxy.histories.get(history)
    assert (facts.name, facts.annotation) == ("a person's history", "a person's words")
    assert set(facts.tags) == {"mine", "watcher:abc-1"}
    assert facts.user_id == (await galaxy.identify()).user_id
    assert not facts.archived


async def test_an_empty_history_tells_who_is_nobody(galaxy: Galaxy, history: HistoryId, other: Other) -> None:
    """Nothing is shared by asking, not even with those who are there."""
    nobody = f"nobody-{secrets.token_hex(4)}@example.org"
    assert await galaxy.sharing.nobodys(history, [other.email, nobody]) == [nobody]
    assert await galaxy.sharing.nobodys(history, [other.email]) == []
    assert await galaxy.sharing.users(history) == ()
    with pytest.raises(Refused, match="empty"):
        await galaxy.sharing.share(history, [other.email], opening=True)


async def test_sharing_opens_what_is_there_and_nothing_that_comes_later(galaxy: Galaxy, other: Other) -> None:
    """A user reads what lay in the history when it was shared; taken off the list and put on again, also the rest."""
    history = await private_history(galaxy)
    (first,) = await uploaded(galaxy, history, "first")
    assert not await may_read(other.galaxy, first)
    await galaxy.sharing.share(history, [other.email], opening=False)
    assert [one.email for one in await galaxy.sharing.users(history)] == [other.email]
    assert (await other.galaxy.histories.get(history)).id == history
    assert not await may_read(other.galaxy, first)
    await galaxy.sharing.share(history, [], opening=False)
    await galaxy.sharing.share(history, [other.email], opening=True)
    assert await may_read(other.galaxy, first)
    assert await may_read(galaxy, first)
    (later,) = await uploaded(galaxy, history, "later")
    await galaxy.sharing.share(history, [other.id], opening=True)
    assert not await may_read(other.galaxy, later)
    own = await galaxy.users.own_role()
    assert not (await galaxy.datasets.get(first)).is_closed_to_all_but(own)
    assert (await galaxy.datasets.get(later)).is_closed_to_all_but(own)
    await galaxy.sharing.share(history, [], opening=False)
    with pytest.raises(Forbidden):
        await other.galaxy.histories.get(history)
    await galaxy.sharing.share(history, [other.email], opening=True)
    assert await may_read(other.galaxy, first)
    assert await may_read(other.galaxy, later)
    await galaxy.histories.delete(history, purge=True)


async def test_a_private_dataset_is_opened_to_one_user_only(galaxy: Galaxy, other: Other) -> None:
    """Asked for two users, Galaxy shares with both and lets one of them read."""
    name = f"third-{secrets.token_hex(4)}"
    json = {"username": name, "email": f"{name}@example.org", "password": secrets.token_hex(8)}
    await galaxy._http.post("/api/users", "make a user", Role, json=json)
    history = await private_history(galaxy)
    (dataset,) = await uploaded(galaxy, history, "one")
    await galaxy.sharing.share(history, [other.email, f"{name}@example.org"], opening=True)
    assert len(await galaxy.sharing.users(history)) == 2
    roles = (await galaxy.datasets.get(dataset)).access_roles
    assert roles is not None
    assert len(roles) == 1
    await galaxy.histories.delete(history, purge=True)


async def test_roles_say_who_reads(galaxy: Galaxy, other: Other) -> None:
    """A dataset that was given to a role is read by those who have it; a role that nobody has is refused."""
    mine = (await galaxy.identify()).user_id
    both, empty = await made_role(galaxy, mine, other.id), await made_role(galaxy)
    history = await private_history(galaxy)
    (dataset,) = await uploaded(galaxy, history, "given")
    own = await galaxy.users.own_role()
    await galaxy.datasets.give_to_roles(dataset, [both.id], [own])
    assert await may_read(other.galaxy, dataset)
    assert (await galaxy.datasets.many(history, [dataset]))[dataset].access_roles == (both.id,)
    for refused in ([empty.id], [both.id, own]):
        with pytest.raises(Refused, match="At least 1 user must have every role"):
            await galaxy.datasets.give_to_roles(dataset, refused, [own])
    await galaxy.datasets.give_to_roles(dataset, [own], [own])  # 24.1 only adds the own role when asked for private
    assert not await may_read(other.galaxy, dataset)
    await galaxy.histories.delete(history, purge=True)


async def test_a_dataset_can_be_made_private_before_its_bytes_are_there(galaxy: Galaxy) -> None:
    """What was registered in a history that is open can be closed while Galaxy still works on it."""
    history = await private_history(galaxy)
    session = await send(galaxy, b"text\n", "early")
    receipt = await galaxy.fetch.register(history, [FetchElement("early", "txt", session, (), "")])
    (dataset,) = receipt.dataset_ids
    await galaxy.datasets.make_private(dataset)
    assert (await galaxy.datasets.get(dataset)).is_closed_to_all_but(await galaxy.users.own_role())
    await galaxy.histories.delete(history, purge=True)
