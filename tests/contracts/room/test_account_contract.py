"""Who we are in Galaxy, and the histories we own there."""

from __future__ import annotations

import pytest

from tests.contracts.room.conftest import GalaxyServer, as_user
from watcher.clock import SystemClock
from watcher.errors import Forbidden, GalaxyAway, KeyRefused, NoGalaxy, NotThere, Refused
from watcher.galaxy import Account, Galaxy
from watcher.galaxy.histories import clean_tag
from watcher.model import HistoryId


async def test_identity_tells_who_and_what(galaxy: Galaxy) -> None:
    """The identity names the user, the version with its features, and the size of a chunk."""
    identity = await galaxy.identify()
    assert identity.user_id
    assert "@" in identity.email
    assert identity.is_admin
    assert identity.version in ((24, 1), (25, 0), (26, 1))
    assert identity.features.version == identity.version
    assert identity.chunk_bytes >= 1024 * 1024
    assert identity.used_bytes >= 0
    assert identity.quota_bytes is None


async def test_wrong_key_is_refused(galaxy_server: GalaxyServer) -> None:
    """A wrong key is refused, and no message repeats it."""
    async with as_user(galaxy_server, "0" * 32) as galaxy:
        with pytest.raises(KeyRefused) as refused:
            await galaxy.identify()
    assert "0" * 32 not in str(refused.value)
    assert refused.value.hint


async def test_anonymous_visitor_is_no_account(galaxy_server: GalaxyServer) -> None:
    """Where a proxy takes the key away, Galaxy answers 200 to nobody, and the identity is refused all the same."""
    async with as_user(galaxy_server) as galaxy:
        galaxy._http._connections.client().event_hooks["request"].append(_drop_key)
        with pytest.raises(KeyRefused, match="anonymous"):
            await galaxy.identify()


async def _drop_key(request: object) -> None:
    del request.headers["x-api-key"]  # type: ignore[attr-defined]  # an httpx.Request


async def test_key_is_exchanged_without_a_restart(galaxy_server: GalaxyServer) -> None:
    """A key that is put in place after the old one was refused is used at once."""
    keys = ["1" * 32]
    async with Galaxy(Account("test", galaxy_server.url, lambda: keys[-1]), SystemClock()) as galaxy:
        with pytest.raises(KeyRefused):
            await galaxy.identify()
        keys.append(galaxy_server.key)
        assert (await galaxy.identify()).user_id


async def test_address_without_galaxy_is_told(galaxy_server: GalaxyServer) -> None:
    """An address that is not Galaxy's base is told apart from a Galaxy that is away."""
    account = Account("test", f"{galaxy_server.url}/no/such/path", lambda: galaxy_server.key)
    async with Galaxy(account, SystemClock()) as galaxy:
        with pytest.raises(NoGalaxy, match="404"):
            await galaxy.identify()


async def test_closed_port_is_away() -> None:
    """Where nobody listens, Galaxy is away, and nothing was done."""
    async with Galaxy(Account("test", "http://127.0.0.1:9", lambda: "key"), SystemClock()) as galaxy:
        with pytest.raises(GalaxyAway, match="no connection") as away:
            await galaxy.histories.create("x")
    assert type(away.value) is GalaxyAway


async def test_quota_of_an_account_without_limit(galaxy: Galaxy) -> None:
    """An account without a quota has no limit."""
    used, limit = await galaxy.users.quota()
    assert used >= 0
    assert limit is None


async def test_history_is_found_by_exactly_its_tag(galaxy: Galaxy, history: HistoryId) -> None:
    """A marked history is found by its whole tag, not by a part of it nor by another case."""
    tag = f"watcher:{history}-1"
    assert await galaxy.histories.find(tag) == []
    await galaxy.histories.mark(history, [tag, clean_tag("run", "240612 M00.001:A")], "made by a test")
    found = await galaxy.histories.find(tag)
    assert [one.id for one in found] == [history]
    assert found[0].annotation == "made by a test"
    assert "run:240612_M00.001:A" in found[0].tags
    assert await galaxy.histories.find(f"watcher:{history}") == []
    assert await galaxy.histories.find(tag.upper()) == []


async def test_marking_twice_changes_nothing(galaxy: Galaxy, history: HistoryId) -> None:
    """Marking a history again leaves it as it is."""
    for _ in range(2):
        await galaxy.histories.mark(history, ["watcher:twice-1"], "same")
    assert (await galaxy.histories.get(history)).tags == ("watcher:twice-1",)


async def test_tag_with_blanks_is_never_kept(galaxy: Galaxy, history: HistoryId) -> None:
    """Galaxy takes no blanks in a tag, which is why tags are cleaned; 24.1 takes the tag without them."""
    if (await galaxy.identify()).version > (24, 1):
        with pytest.raises(Refused):
            await galaxy.histories.mark(history, ["run:with blanks"], "")
        return
    await galaxy.histories.mark(history, ["run:with blanks"], "")
    assert (await galaxy.histories.get(history)).tags == ("run:withblanks",)


async def test_deleted_history_says_so(galaxy: Galaxy) -> None:
    """A deleted history can be read about, and is not found any more."""
    history = await galaxy.histories.create("short-lived")
    await galaxy.histories.mark(history, [f"watcher:{history}"], "")
    await galaxy.histories.delete(history)
    assert (await galaxy.histories.get(history)).deleted
    assert await galaxy.histories.find(f"watcher:{history}") == []


async def test_unknown_history_is_not_there(galaxy: Galaxy, history: HistoryId) -> None:
    """A history that is not there is told as such, an id that is none is refused."""
    with pytest.raises((NotThere, Refused)):
        await galaxy.histories.get(HistoryId("0123456789abcdef"))
    with pytest.raises(Refused):
        await galaxy.histories.get(HistoryId("no-id"))


async def test_foreign_history_is_forbidden(galaxy_server: GalaxyServer, history: HistoryId) -> None:
    """Another user may neither read nor mark our history."""
    async with as_user(galaxy_server, galaxy_server.second_key) as other:
        with pytest.raises(Forbidden):
            await other.histories.get(history)
        with pytest.raises(Forbidden):
            await other.histories.mark(history, ["mine"], "")
