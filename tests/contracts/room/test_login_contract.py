"""As whom we are known: by a password instead of a key, and as an administrator who acts for another user."""

from __future__ import annotations

import pytest

from tests.contracts.room.conftest import GalaxyServer, as_user, ended, fastq, send, sha256, until
from watcher.errors import Forbidden, KeyRefused
from watcher.galaxy import Galaxy, Login
from watcher.galaxy.fetch import FetchElement
from watcher.model import HistoryId


@pytest.mark.parametrize("by", ["address", "name"])
async def test_password_opens_the_account(galaxy_server: GalaxyServer, by: str) -> None:
    """A user is known by e-mail address or name and password, and everything after that goes by the key."""
    email = galaxy_server.second_email
    login = Login(email if by == "address" else email.partition("@")[0], lambda: galaxy_server.second_password)
    async with as_user(galaxy_server, login=login) as galaxy:
        assert (await galaxy.identify()).email == email
        history = await galaxy.histories.create("by password")
        await galaxy.histories.delete(history, purge=True)


@pytest.mark.parametrize("wrong", ["password", "user", "colon"])
async def test_wrong_login_is_refused(galaxy_server: GalaxyServer, wrong: str) -> None:
    """A wrong password, an unknown user and a password that Galaxy cannot read are each a refused key."""
    user = "nobody@example.org" if wrong == "user" else galaxy_server.second_email
    password = "wrong:wrong" if wrong == "colon" else "hush-hush"
    async with as_user(galaxy_server, login=Login(user, lambda: password)) as galaxy:
        with pytest.raises(KeyRefused, match="log in") as refused:
            await galaxy.identify()
    assert refused.value.status == {"password": 401, "user": 404, "colon": 400}[wrong]
    assert password not in str(refused.value)


async def test_administrator_acts_for_another_user(galaxy_server: GalaxyServer) -> None:
    """History, upload and collection made for another user belong to that user alone, who may read and change them."""
    content = fastq("S1", 3)
    async with (
        as_user(galaxy_server, run_as=galaxy_server.second_email) as acting,
        as_user(galaxy_server, galaxy_server.second_key) as user,
    ):
        identity = await acting.identify()
        assert identity.email == galaxy_server.second_email
        assert not identity.is_admin
        await acting.users.make_new_datasets_private()
        history = await acting.histories.create("for another user")
        await acting.histories.mark(history, [f"watcher:{history}"], "made for another user")
        session = await send(acting, content, "S1_R1.fastq.gz")
        element = FetchElement("S1_R1.fastq.gz", "fastqsanger.gz", session, (), sha256(content), len(content))
        receipt = await acting.fetch.register(history, [element])
        await until(lambda: ended(acting, history))
        made = await user.datasets.get(receipt.dataset_ids[0])
        assert (made.state, made.size) == ("ok", len(content))
        assert made.is_closed_to_all_but(await user.users.own_role())
        assert await acting.users.own_role() == await user.users.own_role()
        assert [one.id for one in await user.histories.find(f"watcher:{history}")] == [history]
        async with acting.datasets.open(receipt.dataset_ids[0]) as pieces:
            assert b"".join([piece async for piece in pieces]) == content
        await user.histories.delete(history, purge=True)


async def test_history_of_the_administrator_is_foreign_to_whom_it_acts_for(
    galaxy_server: GalaxyServer, history: HistoryId
) -> None:
    """Acting for another user the administrator's own histories may not be changed."""
    async with as_user(galaxy_server, run_as=galaxy_server.second_email) as acting:
        with pytest.raises(Forbidden):
            await acting.histories.mark(history, ["mine"], "")


async def test_ordinary_user_acts_for_nobody(galaxy_server: GalaxyServer, galaxy: Galaxy) -> None:
    """Whoever is no administrator cannot even find the other user, and nothing is sent."""
    email = (await galaxy.identify()).email
    async with as_user(galaxy_server, galaxy_server.second_key, run_as=email) as other:
        with pytest.raises(KeyRefused, match="no user") as refused:
            await other.identify()
    assert "administrator" in refused.value.hint


async def test_user_that_is_not_there_is_told(galaxy_server: GalaxyServer) -> None:
    """An address that nobody has is refused before anything is done."""
    async with as_user(galaxy_server, run_as="nobody@example.org") as acting:
        with pytest.raises(KeyRefused, match=r"nobody@example\.org"):
            await acting.histories.create("for nobody")
