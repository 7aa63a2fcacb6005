"""Promise 2 at every instant: SIGKILL at each point of each stage, a restart, and everything is there exactly once."""

from __future__ import annotations

import pytest

from tests.crash.exactly_once import assert_exactly_once, assert_items_once, assert_linked_once, assert_shared
from tests.crash.runner import LIMITS, Runner, reached
from tests.rarer import rarer
from tests.world import World
from watcher.stages.effects import INSTANTS, POINTS

pytestmark = pytest.mark.timeout(180)  # two or three lives, each some seconds on a busy machine

LATER = (
    ("detect.begun", 2),
    ("upload.begun", 2),
    ("upload.session.intent", 2),
    ("upload.session.act", 2),
    ("upload.session.receipt", 2),
    ("upload.bytes.act", 2),
    ("upload.bytes.act", 4),
    ("upload.bytes.receipt", 2),
    ("upload.check.act", 2),
    ("poll.begun", 2),
    ("deliver.file.intent", 3),
    ("deliver.file.act", 2),
    ("deliver.file.receipt", 4),
)
"""Points that are reached more than once, killed at a later time than the first."""

TWICE = (
    ("plan.workflow.intent", "plan.workflow.intent"),
    ("plan.workflow.act", "plan.workflow.receipt"),
    ("upload.history.intent", "upload.history.intent"),
    ("upload.history.act", "upload.marks.intent"),
    ("upload.session.act", "upload.session.act"),
    ("upload.bytes.act", "upload.bytes.act"),
    ("upload.fetch.intent", "upload.fetch.intent"),
    ("upload.fetch.act", "upload.check.intent"),
    ("upload.check.act", "upload.check.act"),
    ("upload.share.intent", "upload.share.act"),
    ("invoke.collection.act", "invoke.invocation.intent"),
    ("invoke.invocation.intent", "invoke.invocation.act"),
    ("invoke.invocation.act", "poll.begun"),
    ("deliver.file.act", "deliver.manifest.act"),
    ("deliver.moved", "finish.begun"),
)
"""Where the daemon dies first, and where the one that was started after it."""


IN_LIBRARY = tuple(
    f"{effect}.{instant}"
    for effect in ("upload.library", "upload.folder", "upload.import", "upload.copy")
    for instant in INSTANTS
)
"""Points of a run that is linked into a library."""

SHELVED = tuple(f"upload.item.{instant}" for instant in INSTANTS)
"""Those of one that is sent into a library."""

RESULTS = tuple(
    f"{effect}.{instant}"
    for effect in ("deliver.library", "deliver.folder", "deliver.item", "deliver.rights")
    for instant in INSTANTS
)
"""Those of results that go into one: see `test_library_delivery_kills.py`."""

CHECKED = tuple(f"upload.check.{instant}" for instant in INSTANTS)
LINKED = (*IN_LIBRARY, *CHECKED, "upload.begun", "upload.moved")
"""Those, and others that a linked run passes in its own way."""

OF_RUNS = tuple(
    f"{effect}.{instant}"
    for effect in ("invoke.copy", "poll.resume", "poll.review", "poll.attempt")
    for instant in INSTANTS
)
"""Those of workflows that need more than one that ends well at once: see `test_workflow_kills.py`."""

BY_GALAXY = tuple(
    f"{effect}.{instant}"
    for effect in ("deliver.write", "deliver.log", "deliver.archive", "deliver.send")
    for instant in INSTANTS
)
"""Those of deliveries that Galaxy makes: see `test_export_kills.py`."""

EFFECT_POINTS = tuple(point for point in POINTS if point.endswith(INSTANTS))
"""Those of effects; what comes before and after a stage acts on nothing."""

AT_THE_END = tuple(point for point in POINTS if point.startswith("finish.") and point.endswith(INSTANTS))
"""Those of run folders that go and of histories: see `test_finish_kills.py`."""

MAIN = tuple(
    point for point in POINTS if point not in (*IN_LIBRARY, *SHELVED, *RESULTS, *OF_RUNS, *BY_GALAXY, *AT_THE_END)
)
MAIN_CASES = [point if point in EFFECT_POINTS else pytest.param(point, marks=pytest.mark.slow) for point in MAIN]
LINKED_CASES = [point if point.endswith(".act") else pytest.param(point, marks=pytest.mark.slow) for point in LINKED]
"""Each effect of a library has its three points; the one between asking and knowing is the worst."""

LATER_LINKED = (
    ("upload.folder.intent", 2),
    ("upload.import.intent", 2),
    ("upload.import.act", 2),
    ("upload.import.receipt", 2),
    ("upload.copy.intent", 2),
    ("upload.copy.act", 2),
)

TWICE_LINKED = (
    ("upload.library.intent", "upload.library.intent"),
    ("upload.library.act", "upload.folder.act"),
    ("upload.import.intent", "upload.import.intent"),
    ("upload.import.act", "upload.check.act"),
    ("upload.copy.act", "upload.copy.intent"),
)

IMPORTED = tuple(f"upload.import.{instant}" for instant in INSTANTS)
"""Those at which a folder of an import folder is asked for."""

LATER_TREE = (("upload.folder.intent", 3), ("upload.folder.act", 3), ("upload.folder.act", 5), ("upload.folder.act", 4))
"""Folders that the library keeps are made before anything is asked for that goes into them."""


async def test_every_point_is_passed(world: World, runner: Runner) -> None:
    """An undisturbed run reaches each point that is listed, but for those told of elsewhere, and no other one."""
    runner.finish(world)
    await assert_exactly_once(world)
    assert_shared(world)
    assert set(reached(world)) == set(MAIN)


async def test_every_point_of_a_library_is_passed(linked: World, runner: Runner) -> None:
    """An undisturbed run that is linked into a library reaches those."""
    runner.finish(linked)
    await assert_linked_once(linked)
    assert set(LINKED) <= set(reached(linked)) <= set(POINTS)


@pytest.mark.parametrize("point", LINKED_CASES)
async def test_a_kill_while_it_is_linked_doubles_nothing(linked: World, runner: Runner, point: str) -> None:
    """After a SIGKILL at the point, library, folders, items and their copies are there once."""
    runner.die(linked, point)
    runner.finish(linked)
    await assert_linked_once(linked)


@pytest.mark.parametrize("point", SHELVED)
@pytest.mark.parametrize("time", [1, pytest.param(2, marks=pytest.mark.slow)])
async def test_a_kill_while_it_is_put_there_doubles_nothing(
    shelved: World, runner: Runner, point: str, time: int
) -> None:
    """What was sent becomes an item once, closed to others, also after a SIGKILL at the point."""
    runner.die(shelved, point, on=time)
    runner.finish(shelved)
    await assert_exactly_once(shelved)
    assert_items_once(shelved)


@pytest.mark.parametrize("point", IMPORTED)
async def test_a_kill_while_a_folder_is_imported_doubles_nothing(named: World, runner: Runner, point: str) -> None:
    """Of a folder that is answered with its items each is there once, also after a SIGKILL at the point."""
    runner.die(named, point)
    runner.finish(named)
    await assert_linked_once(named)
    assert named.posts("/api/libraries/datasets") == 0


@pytest.mark.parametrize("point", IMPORTED)
async def test_a_kill_while_a_tree_is_imported_doubles_nothing(tree: World, runner: Runner, point: str) -> None:
    """Of a tree that Galaxy takes as a whole every folder and item is there once, also after a SIGKILL at the point."""
    runner.die(tree, point)
    runner.finish(tree)
    await assert_linked_once(tree, keeps=True)
    assert tree.posts("/api/libraries/datasets") == 1


@pytest.mark.parametrize(("point", "time"), rarer(LATER_TREE, keep=2))
async def test_a_kill_between_the_folders_of_a_tree(tree: World, runner: Runner, point: str, time: int) -> None:
    """Folders below the batch's own are made once each, and all before the import."""
    runner.die(tree, point, on=time)
    assert tree.posts("/api/libraries/datasets") == 0
    runner.finish(tree)
    await assert_linked_once(tree, keeps=True)


@pytest.mark.slow
@pytest.mark.parametrize("second", ["upload.import.act", "upload.import.intent", "upload.import.receipt"])
async def test_a_second_kill_while_a_tree_recovers(tree: World, runner: Runner, second: str) -> None:
    """An import that was never sent is sent once, whatever happens to the second try."""
    runner.die(tree, "upload.import.intent")
    runner.die(tree, second)
    runner.finish(tree)
    await assert_linked_once(tree, keeps=True)


@pytest.mark.slow
@pytest.mark.parametrize(("point", "time"), LATER_LINKED, ids=[f"{point}-{time}" for point, time in LATER_LINKED])
async def test_a_kill_at_a_later_time_while_it_is_linked(linked: World, runner: Runner, point: str, time: int) -> None:
    """The second folder, request or item is as safe as the first."""
    runner.die(linked, point, on=time)
    runner.finish(linked)
    await assert_linked_once(linked)


@pytest.mark.slow
@pytest.mark.parametrize(("first", "second"), TWICE_LINKED, ids=[f"{first}-{second}" for first, second in TWICE_LINKED])
async def test_a_second_kill_while_a_linked_one_recovers(
    linked: World, runner: Runner, first: str, second: str
) -> None:
    """Recovering is as safe as the way itself."""
    runner.die(linked, first)
    runner.die(linked, second)
    runner.finish(linked)
    await assert_linked_once(linked)


@pytest.mark.parametrize("point", MAIN_CASES)
async def test_a_kill_at_any_point_leaves_nothing_lost_and_nothing_doubled(
    world: World, runner: Runner, point: str
) -> None:
    """After a SIGKILL at the point, a restart ends well with one of everything."""
    runner.die(world, point)
    runner.finish(world)
    await assert_exactly_once(world)
    assert_shared(world)


@pytest.mark.slow
@pytest.mark.parametrize(("point", "time"), LATER, ids=[f"{point}-{time}" for point, time in LATER])
async def test_a_kill_at_a_later_time_of_a_point(world: World, runner: Runner, point: str, time: int) -> None:
    """The second file, chunk or look is as safe as the first."""
    world.fake.engine.job_seconds = 0.5  # long enough to be looked at while they run
    runner.die(world, point, on=time)
    runner.finish(world)
    await assert_exactly_once(world)


async def test_a_kill_while_it_settles(world: World, runner: Runner) -> None:
    """Between two looks at a run that does not lie still long enough yet, nothing is lost."""
    world.write_config(watch={"settle": "20s"}, limits=LIMITS)
    runner.die(world, "settle.begun", on=3)
    runner.die(world, "settle.moved", on=1)
    runner.finish(world)
    await assert_exactly_once(world)


@pytest.mark.slow
@pytest.mark.parametrize(("first", "second"), TWICE, ids=[f"{first}-{second}" for first, second in TWICE])
async def test_a_second_kill_while_it_recovers(world: World, runner: Runner, first: str, second: str) -> None:
    """Recovering is as safe as the way itself."""
    runner.die(world, first)
    runner.die(world, second)
    runner.finish(world)
    await assert_exactly_once(world)
