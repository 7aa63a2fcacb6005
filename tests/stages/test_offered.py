"""What a plan names is held against what Galaxy offers, every problem at once and before a byte is sent."""

from __future__ import annotations

import pytest

from tests.world import World
from watcher.clock import SystemClock
from watcher.galaxy import Account, Galaxy
from watcher.model import Plan, PlannedDataset
from watcher.stages.offered import Names, names_in, offered

GHOST = "ghost@example.org"


def nothing_was_sent(world: World) -> bool:
    """Tell whether Galaxy was only read from."""
    return not any(world.fake.requests.all(method) for method in ("POST", "PUT", "PATCH", "DELETE"))


async def problems(world: World, names: Names) -> list[tuple[str, str]]:
    """Return what is wrong with the names, asked with the account of the world."""
    async with Galaxy(Account("galaxy", world.fake.url, lambda: world.fake.key), SystemClock()) as galaxy:
        found = await offered(galaxy, names)
    return [(problem.message, problem.hint) for problem in found.problems]


async def test_every_problem_is_one_reason_and_nothing_is_sent(world: World) -> None:
    """An unknown extension, user, role and history and too little quota are told together; a workflow file waits."""
    world.fake.user.is_admin = True
    world.fake.set_quota(10)
    world.fake.add_role("lab of soil", world.fake.user)
    world.write_workflow("imported when all is well")
    share = {"users": ["bop@example.org"], "roles": ["lab of soils"]}
    world.write_config(rule={"destination": {"share": share}, "ext": {"*_R1_*": "fastqsangr.gz"}, "dbkey": "hg83"})
    world.add_run()
    (unit,) = (await world.once())["units"]
    assert (unit["stage"], unit["status"], unit["code"], unit["batches"]) == ("plan", "held", "plan", [])
    for words in (
        "bytes in Galaxy, the quota of the account",
        "no datatype `fastqsangr.gz` (S1_S1_L001_R1_001.fastq.gz and 1 more). Did you mean `fastqsanger.gz`?",
        "no reference genome `hg83` (S1_S1_L001_R1_001.fastq.gz and 3 more). Did you mean `hg38`?",
        "no user `bop@example.org`. Did you mean `bob@example.org`?",
        "no role `lab of soils`. Did you mean `lab of soil`?",
    ):
        assert words in unit["reason"]
    assert nothing_was_sent(world)
    world.fake.set_quota(None)
    world.write_config(rule={"destination": {"share": {"users": ["bob@example.org"]}}})
    await world.wish("retry", unit["id"])
    (unit,) = (await world.once())["units"]
    assert unit["status"] == "done"


async def test_a_datatype_that_this_server_has_not_yet_holds(world: World) -> None:
    """What the watcher names by itself is held against the server as well."""
    world.fake.forget_datatype("fastqsanger.gz")
    world.add_run()
    (unit,) = (await world.once())["units"]
    assert (unit["stage"], unit["status"]) == ("plan", "held")
    assert "no datatype `fastqsanger.gz`" in unit["reason"]
    assert nothing_was_sent(world)


async def test_too_little_quota_alone_waits_for_room(world: World) -> None:
    """Quota may pass by itself: nobody has to be asked."""
    world.fake.set_quota(10)
    world.add_run()
    (unit,) = (await world.once(wait_s=2))["units"]
    assert (unit["stage"], unit["status"], unit["code"]) == ("plan", "waiting", "over_quota")
    assert nothing_was_sent(world)


@pytest.mark.parametrize(
    ("names", "message", "hint"),
    [
        (Names(exts={"fastqsangr.gz": "x"}), "no datatype `fastqsangr.gz` (x)", "Did you mean `fastqsanger.gz`?"),
        (Names(exts={"data": "x"}, path_exts={"data": "x"}), "no file by its path as `data` (x)", "`transfer: tus`"),
        (Names(dbkeys={"HG38": "x"}), "no reference genome `HG38` (x)", "Did you mean `hg38`?"),
        (Names(dbkeys={"oryCun2": "x"}), "no reference genome `oryCun2`", "An administrator adds genomes"),
        (Names(roles=("whole labs",)), "no role `whole labs`", "Did you mean `whole lab`?"),
        (Names(roles=("others",)), "does not have the role `others` itself", "An administrator"),
        (Names(roles=("watcher@example.org",)), "no role `watcher@example.org`", "makes roles"),
        (Names(users=("Watcher@Example.org",)), "is the account itself", "Leave it out"),
        (Names(existing=("Run arhive",)), "has no history `Run arhive`", "Did you mean `Run archive`?"),
        (Names(existing=("twice",)), "2 histories of the account are called `twice`", "by its id: "),
        (Names(existing=("put away",)), "neither deleted nor archived", "leave out `existing:`"),
        (Names(existing=("bob's own",)), "has no history `bob's own`", "leave out `existing:`"),
    ],
)
async def test_each_unknown_name_is_told_with_the_one_that_was_meant(
    world: World, names: Names, message: str, hint: str
) -> None:
    """One sentence for each name that Galaxy does not offer to this account, and what to do."""
    fake = world.fake
    fake.add_role("others", fake.second_user)
    for name in ("Run archive", "twice", "twice"):
        fake.add_history(name)
    fake.archive_history(fake.add_history("put away"))
    fake.add_history("bob's own", user=fake.second_user)
    ((told, what_to_do),) = await problems(world, names)
    assert message in told
    assert hint in what_to_do


async def test_names_that_are_offered_are_no_problem(world: World) -> None:
    """Known names, no genome, and users whom this account cannot look up pass."""
    world.fake.add_history("Run archive")
    names = Names({"bam": ""}, {"bam": ""}, {"hg38": "", "?": ""}, ("Run archive",), (GHOST,), ("whole lab",))
    assert await problems(world, names) == []


def test_names_are_collected_from_plans() -> None:
    """Each name is asked for once, with the first dataset that wants it and how many more do."""
    datasets = [
        PlannedDataset.model_validate(
            {"key": name, "name": name, "ext": ext, "sources": (name,), "size": 1, "sample": "S", "dbkey": dbkey}
        )
        for name, ext, dbkey in (("a", "bam", ""), ("b", "cram", "hg38"), ("c", "bam", "hg38"))
    ]
    planned = Plan(rule="r", watch="w", galaxy="g", run="r", unit=".", path="/", datasets=tuple(datasets))
    names = names_in([planned])
    assert names.exts == {"bam": "a and 1 more", "cram": "b"}
    assert names.dbkeys == {"hg38": "b and 1 more"}
    assert (names.existing, names.users, names.roles) == ((), (), ())


async def test_a_user_nobody_can_look_up_is_held_before_a_byte(world: World) -> None:
    """An ordinary account learns from an empty history who is not there; put right, the same history is used."""
    world.write_config(rule={"destination": {"share": {"users": [GHOST]}}})
    world.add_run()
    (unit,) = (await world.once())["units"]
    (batch,) = unit["batches"]
    assert (batch["stage"], batch["status"]) == ("upload", "held")
    assert GHOST in batch["reason"]
    assert world.posts("upload") == world.posts("fetch") == 0
    world.write_config(rule={"destination": {"share": {"users": ["bob@example.org"]}}})
    await world.wish("retry", unit["id"], **{"from": "plan"})
    (unit,) = (await world.once())["units"]
    assert unit["status"] == "done"
    (history,) = world.fake.histories()
    assert history["shared"] == ["bob@example.org"]
