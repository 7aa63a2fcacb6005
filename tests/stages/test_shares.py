"""Who else may read a batch: one user by e-mail, those who have a role, and nobody besides them."""

from __future__ import annotations

import pytest

from tests.world import World

BOB, WATCHER = "bob@example.org", "watcher@example.org"


def readers(world: World) -> set[tuple[str, ...]]:
    """Return who may read the datasets, each way once."""
    return {tuple(row["readers"]) for row in world.fake.datasets()}


@pytest.mark.parametrize("version", ["24.1.4", "25.0.4", "26.1.2"])
async def test_a_user_reads_what_was_sent_and_what_was_made_of_it(world: World, version: str) -> None:
    """The history is on the user's list, uploads and results are open to that user and still to nobody else."""
    with World(world.folder / version, version=version) as other:
        carol = other.fake.state.add_user("carol", is_admin=False)
        other.write_config(rule={"destination": {"share": {"users": [BOB]}}})
        other.add_run()
        (unit,) = (await other.once())["units"]
        assert unit["status"] == "done"
        (history,) = other.fake.histories()
        assert history["shared"] == [BOB]
        assert {row["uploaded"] for row in other.fake.datasets()} == {True, False}
        assert readers(other) == {(BOB, WATCHER)}
        assert carol.email not in str(other.fake.histories())
        (told,) = await other.journal("history.shared")
        assert told == f"What batch {unit['batches'][0]['id']} made can be read by {BOB}."


async def test_who_has_the_roles_reads(world: World) -> None:
    """Datasets and results carry the roles; the history is shared with the users that are named, and opens nothing."""
    carol = world.fake.state.add_user("carol", is_admin=False)
    world.fake.add_role("lab", world.fake.user, world.fake.second_user)
    world.write_config(rule={"destination": {"share": {"users": [BOB, carol.email], "roles": ["lab"]}}})
    world.add_run()
    (unit,) = (await world.once())["units"]
    assert unit["status"] == "done"
    assert world.fake.histories()[0]["shared"] == [BOB, carol.email]
    assert readers(world) == {(BOB, WATCHER)}


async def test_roles_open_only_our_datasets_of_an_existing_history(world: World) -> None:
    """What others put into the history stays as it is, and the history is shared with nobody."""
    history_id = world.fake.add_history("Run archive")
    state = world.fake.state
    state.add_dataset(state.histories[1], "theirs", ext="txt", state="ok").file.access = (world.fake.user.role,)
    world.fake.add_role("lab", world.fake.user, world.fake.second_user)
    world.write_config(rule={"destination": {"existing": history_id, "share": {"roles": ["lab"]}}})
    world.add_run()
    (unit,) = (await world.once())["units"]
    assert unit["status"] == "done"
    assert world.fake.histories()[0]["shared"] == []
    by_name = {row["name"]: row["readers"] for row in world.fake.datasets()}
    assert by_name.pop("theirs") == [WATCHER]
    assert {tuple(names) for names in by_name.values()} == {(BOB, WATCHER)}


async def test_readers_that_a_person_added_stay(world: World) -> None:
    """The list is set as a whole, with those who are on it already."""
    carol = world.fake.state.add_user("carol", is_admin=False)
    world.write_config(rule={"destination": {"share": {"users": [BOB]}}, "workflow": None, "deliver": None})
    world.add_run()

    def by_hand(point: str) -> None:
        if point == "upload.share.intent":
            (history,) = world.fake.histories()
            world.fake.share_by_hand(history["id"], carol)

    await world.once(points=by_hand)
    assert sorted(world.fake.histories()[0]["shared"]) == [BOB, carol.email]
    assert readers(world) == {(BOB, WATCHER)}


async def test_a_user_who_is_on_the_list_already_is_given_what_comes(world: World) -> None:
    """Galaxy gives nothing that comes later to those it was shared with before: they are taken off and put on again."""
    world.write_config(rule={"destination": {"share": {"users": [BOB]}}, "workflow": None, "deliver": None})
    world.add_run()

    def by_hand(point: str) -> None:
        if point == "upload.fetch.receipt":
            (history,) = world.fake.histories()
            world.fake.share_by_hand(history["id"], world.fake.second_user)

    await world.once(points=by_hand)
    assert world.fake.histories()[0]["shared"] == [BOB]
    assert readers(world) == {(BOB, WATCHER)}


async def test_without_a_word_nobody_is_given_anything(world: World) -> None:
    """Left out, sharing asks Galaxy for nothing."""
    world.add_run()
    (unit,) = (await world.once())["units"]
    assert unit["status"] == "done"
    assert readers(world) == {(WATCHER,)}
    assert not world.fake.requests.all("PUT", "share_with_users")
